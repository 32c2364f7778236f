//! What is promised, held against what happened.

use std::collections::BTreeMap;

use uguisu::demo::tsuru::{App, Slot};
use uguisu::engine::course::{Course, Memory};
use uguisu::judge::{Reading, Verdict};
use uguisu::policy::Mode;
use uguisu::rollout::{Command, Event, Kind, PauseCause, Phase, Recorded, Rollout};
use uguisu::words::{Arm, RolloutId, Span, Version};

use crate::daemon::{Stop, World};
use crate::install::DAEMON;
use crate::scenario::{Quality, Scenario};

/// What became of a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) strategy: &'static str,
    pub(crate) quality: Quality,
    pub(crate) spared: bool,
    pub(crate) phase: Phase,
    /// It was rolled back because of what the statistics said.
    pub(crate) blamed: bool,
    /// It was promoted because the statistics called it safe.
    pub(crate) proven: bool,
    pub(crate) kills: u32,
    pub(crate) looks: u32,
    pub(crate) commands: u32,
}

/// What the journal says. A part of the journals is written as JSON and read again.
pub(crate) fn recall(journal: &[Recorded], seed: u64) -> Result<Memory, Stop> {
    let broken = |what: &str| Stop::Broken(what.to_owned());
    let mut memory = None;
    for recorded in journal {
        let read;
        let recorded = if seed.is_multiple_of(8) {
            let body = serde_json::to_string(recorded).map_err(|e| Stop::Broken(e.to_string()))?;
            read = serde_json::from_str::<Recorded>(&body).map_err(|e| Stop::Broken(e.to_string()))?;
            &read
        } else {
            recorded
        };
        match &mut memory {
            None => memory = Memory::begin(RolloutId("simulated".to_owned()), recorded),
            Some(memory) => memory.replay(recorded)?,
        }
    }
    let memory = memory.ok_or_else(|| broken("the journal does not begin"))?;
    if !seed.is_multiple_of(8) {
        return Ok(memory);
    }
    let body = serde_json::to_string(&memory).map_err(|e| Stop::Broken(e.to_string()))?;
    let read: Memory = serde_json::from_str(&body).map_err(|e| Stop::Broken(e.to_string()))?;
    if read == memory { Ok(read) } else { Err(broken("a snapshot reads back as another state")) }
}

/// How long a unit's exit may not be shown yet by a listing that lags, and by the read that follows it.
const UNSEEN: Span = Span::seconds(12);

/// What holds at every step.
pub(crate) fn hold(world: &mut World<'_>, course: &Course) -> Result<(), Stop> {
    // Taken out: each is told once.
    for dark in std::mem::take(&mut world.install.dark) {
        let unseen = dark.exited.is_some_and(|exited| dark.at.since(exited) < UNSEEN);
        if dark.by.as_deref() == Some(DAEMON) && !unseen {
            let what =
                format!("no unit serves since {:?}, by our own act; ready then: {:?}", dark.at, dark.ready);
            return Err(Stop::Broken(what));
        }
    }
    let rollout = course.rollout();
    if others_acted(world) || rollout.policy.mode != Mode::Act {
        return Ok(());
    }
    let (Some(app), Some(plan)) = (world.install.app(), &rollout.plan) else { return Ok(()) };
    if world.scenario.scaled {
        return Ok(());
    }
    let most = plan.steps.iter().map(|step| step.canary).max().unwrap_or(0);
    // Each further try to replace the base adds up the units of all versions that are routed, its own among them.
    let tries = world
        .journal
        .iter()
        .filter(|r| matches!(r.event, Event::CommandIssued { command: Command::MakeOnly { .. }, .. }));
    let tries = u32::try_from(tries.count()).unwrap_or(u32::MAX).max(1);
    for deployment in app.deployments.iter().filter(|d| d.gone_at.is_none() && d.key.process == "web") {
        let allowed = match deployment.key.slot {
            Slot::Beside(_) => most.max(rollout.units).max(1),
            Slot::Base if deployment.version == rollout.canary.0 => rollout.units + most * tries,
            Slot::Base => rollout.units + most,
        };
        if deployment.replicas > allowed {
            let name = app.deployment_name(&deployment.key);
            return Err(Stop::Broken(format!(
                "{name} has {} units, and {allowed} were planned",
                deployment.replicas
            )));
        }
    }
    Ok(())
}

/// Whether somebody else did something that changes traffic or units, or tried to.
fn others_acted(world: &World<'_>) -> bool {
    let Some(Event::Opened { trigger, deployed, .. }) = world.journal.first().map(|r| &r.event) else {
        return false;
    };
    world.install.tsuru.events().any(|event| {
        event.owner.1 != DAEMON
            && event.started > *deployed
            && event.id.to_string() != *trigger
            && !event.internal
    })
}

/// What holds in the end, some time after the rollout is over.
pub(crate) fn check(world: &mut World<'_>, memory: &Memory) -> Result<Outcome, Stop> {
    let rollout = memory.rollout();
    let others = others_acted(world);
    let broken = |what: String| Err(Stop::Broken(what));
    // Whoever takes over does not wait for an answer.
    if rollout.unanswered().is_some() && !others {
        return broken("it is over, and a command is under way".to_owned());
    }
    if !others && matches!(rollout.phase, Phase::TakenOver | Phase::Superseded) {
        return broken(format!("nobody else did anything, and it ended as {}", rollout.phase.label()));
    }
    let app = world.install.app();
    if let (Some(app), false, Mode::Act | Mode::Advise) = (app, others, rollout.policy.mode) {
        let serves = match rollout.phase {
            Phase::Promoted => Some(rollout.canary),
            Phase::RolledBack => Some(rollout.baseline),
            _ => None,
        };
        if let Some(version) = serves
            && let Err(what) = only(app, version, world.scenario)
        {
            return broken(format!("it ended as {}, and {what}", rollout.phase.label()));
        }
    }
    counted_once(world, rollout)?;
    obeyed(&world.journal)?;
    Ok(outcome(world, rollout))
}

/// One version serves, with all of its units, and no other one has any. Its autoscaler is there and in charge of it.
fn only(app: &App, version: Version, scenario: &Scenario) -> Result<(), String> {
    let mut replicas: BTreeMap<(&str, u32), u32> = BTreeMap::new();
    for deployment in app.deployments.iter().filter(|d| d.gone_at.is_none() && !d.stopped) {
        *replicas.entry((&deployment.key.process, deployment.version)).or_default() += deployment.replicas;
        if deployment.version == version.0 && (!deployment.routable || deployment.key.slot != Slot::Base) {
            return Err(format!("{version} is not the base that users are routed to"));
        }
    }
    if let Some(((process, other), units)) = replicas.iter().find(|((_, v), _)| *v != version.0) {
        return Err(format!("v{other} has {units} `{process}` unit(s)"));
    }
    if scenario.scaled {
        let scalers: Vec<u32> = app.autoscales.iter().map(|a| a.version).collect();
        return if scalers == [version.0] {
            Ok(())
        } else {
            Err(format!("the autoscalers change {scalers:?}"))
        };
    }
    for process in &app.spec.processes {
        let have = replicas.get(&(process.as_str(), version.0)).copied().unwrap_or(0);
        if have != scenario.units {
            return Err(format!("{version} has {have} `{process}` units instead of {}", scenario.units));
        }
    }
    Ok(())
}

/// No request was compared twice, over all restarts.
fn counted_once(world: &World<'_>, rollout: &Rollout) -> Result<(), Stop> {
    for (arm, version) in [(Arm::Baseline, rollout.baseline), (Arm::Canary, rollout.canary)] {
        let mut judged = 0.0;
        for recorded in &world.journal {
            let Event::Looked { look, .. } = &recorded.event else { continue };
            let reading = look.signals.values().find_map(|arms| arms.get(arm).as_ref());
            if let Some(Reading::Counts { total, .. }) = reading {
                judged += total;
            }
        }
        let served = world.install.served.get(&version).copied().unwrap_or(0.0);
        if judged > served {
            return Err(Stop::Broken(format!(
                "{judged} requests to the {arm} were compared, and it served {served}"
            )));
        }
    }
    Ok(())
}

/// What people said was done: nothing was decided against it.
fn obeyed(journal: &[Recorded]) -> Result<(), Stop> {
    let (mut held, mut back, mut ahead) = (false, false, false);
    for recorded in journal {
        match &recorded.event {
            Event::Paused { cause: PauseCause::Operator, .. } => held = true,
            Event::Resumed { .. } | Event::Approved { .. } | Event::Finished { .. } => held = false,
            Event::WatchEnded { .. } => held = false,
            // From here on the way back is armed again.
            Event::WatchBegan => ahead = false,
            Event::RollbackDecided { why, .. } if why.contains("ana said so") => (held, back) = (false, true),
            Event::PromotionDecided { why } if why.contains("ana said so") => (held, ahead) = (false, true),
            // A newer version takes the place of one that waits, too.
            Event::RollbackDecided { why, .. } if held && why.contains("deployed") => held = false,
            event @ (Event::RollbackDecided { .. }
            | Event::PromotionDecided { .. }
            | Event::StepBegan { .. }
            | Event::CommandIssued { command: Command::MakeOnly { .. }, .. })
                if held =>
            {
                return Err(Stop::Broken(format!("a person said to wait, and then: {}", event.sentence())));
            }
            Event::PromotionDecided { .. } if back => {
                return Err(Stop::Broken("a person said to roll back, and it was promoted".to_owned()));
            }
            Event::RollbackDecided { why, .. }
                if ahead
                    && ["platform failed", "deployed", "were ready"].iter().all(|w| !why.contains(w)) =>
            {
                return Err(Stop::Broken(format!("a person said to promote, and then: {why}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn outcome(world: &World<'_>, rollout: &Rollout) -> Outcome {
    let Scenario { quality, trouble, visits, faults, outages, .. } = world.scenario;
    let (mut blamed, mut proven, mut safe) = (false, false, false);
    for recorded in &world.journal {
        match &recorded.event {
            Event::Looked { verdict, .. } => safe = Verdict::clone(verdict).safe,
            Event::RollbackDecided { culprits, .. } => blamed |= culprits.iter().any(|c| c == "errors"),
            Event::PromotionDecided { why } => proven |= safe && !why.contains("ana"),
            _ => {}
        }
    }
    Outcome {
        strategy: match rollout.kind {
            Kind::Return => "return",
            _ => rollout.policy.strategy.label(),
        },
        quality: *quality,
        spared: *trouble == crate::scenario::Trouble::default()
            && visits.is_empty()
            && outages.is_empty()
            && *faults == uguisu::demo::tsuru::faults::Faults::default(),
        phase: rollout.phase,
        blamed,
        proven,
        kills: world.kills,
        looks: world.looks,
        commands: rollout.command.as_ref().map_or(0, |command| command.number),
    }
}

/// How long things may go on after a rollout is over.
pub(crate) const AFTERWARDS: Span = Span::minutes(3);
