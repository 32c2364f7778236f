//! What is promised, held against what happened.

use std::collections::BTreeMap;

use uguisu::demo::tsuru::{App, Deployment, Slot};
use uguisu::engine::course::{Course, Memory};
use uguisu::judge::{Reading, Verdict};
use uguisu::policy::{Budget, Mode};
use uguisu::rollout::{Answer, Command, Event, Kind, OrderKind, PauseCause, Phase, Recorded, Rollout};
use uguisu::words::{Arm, RolloutId, Span, Version};

use crate::daemon::{Stop, World};
use crate::install::DAEMON;
use crate::scenario::{API, Quality, Scenario};

/// What became of a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
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

/// Whether a seed's journal is written as JSON and read again: a part of them, since that takes long.
fn is_written(seed: u64) -> bool {
    seed.is_multiple_of(16)
}

/// What the journal says. A part of the journals is written as JSON and read again.
pub(crate) fn recall(journal: &[Recorded], seed: u64) -> Result<Memory, Stop> {
    let broken = |what: &str| Stop::Broken(what.to_owned());
    let mut memory = None;
    for recorded in journal {
        let read;
        let recorded = if is_written(seed) {
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
    if !is_written(seed) {
        return Ok(memory);
    }
    let body = serde_json::to_string(&memory).map_err(|e| Stop::Broken(e.to_string()))?;
    let read: Memory = serde_json::from_str(&body).map_err(|e| Stop::Broken(e.to_string()))?;
    if read == memory { Ok(read) } else { Err(broken("a snapshot reads back as another state")) }
}

/// The journal tells the state that was known last, `knew`. A daemon that was never started again shows by every sixteenth
/// seed that its judge follows from the journal too; the others' is known from their starts.
pub(crate) fn tells(journal: &[Recorded], knew: &Memory, seed: u64) -> Result<(), Stop> {
    let other = || Stop::Broken("the journal replays to another state than the last one".to_owned());
    if is_written(seed) {
        return if recall(journal, seed)? == *knew { Ok(()) } else { Err(other()) };
    }
    let (first, rest) = journal.split_first().ok_or_else(other)?;
    let mut rollout = Rollout::open(knew.rollout().id.clone(), first).ok_or_else(other)?;
    for recorded in rest {
        rollout.apply(recorded)?;
    }
    if rollout == *knew.rollout() { Ok(()) } else { Err(other()) }
}

/// How long a unit's exit may not be shown yet by a listing that lags, and by the read that follows it.
const UNSEEN: Span = Span::seconds(12);

/// What holds at every step.
pub(crate) fn hold(world: &mut World<'_>, course: &Course) -> Result<(), Stop> {
    // Taken out: each is told once.
    for dark in std::mem::take(&mut world.install.dark) {
        let unseen = dark.exited.is_some_and(|exited| dark.at.since(exited) < UNSEEN);
        if dark.by.as_deref() == Some(DAEMON) && !unseen && !dark.exits {
            let what = format!(
                "no unit of `{}` serves since {:?}, by our own act; ready then: {:?}",
                dark.process, dark.at, dark.ready
            );
            return Err(Stop::Broken(what));
        }
    }
    let rollout = course.rollout();
    if others_acted(world) || rollout.policy.mode != Mode::Act {
        return Ok(());
    }
    let (Some(app), Some(plan)) = (world.install.app(), &rollout.plan) else { return Ok(()) };
    // What a failed try to replace the baseline left may have to be made anew, a unit at a time.
    let failed =
        |r: &Recorded| matches!(&r.event, Event::CommandAnswered { answer: Answer::Error { .. }, .. });
    if !world.journal.iter().any(failed) {
        others_kept(world, app)?;
    }
    if world.scenario.scaled == Some("web") {
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
        let least = least(rollout, &world.journal).filter(|_| deployment.key.slot == Slot::Base);
        if let Some(least) = least.filter(|least| deployment.replicas < *least) {
            let name = app.deployment_name(&deployment.key);
            return Err(Stop::Broken(format!(
                "{name} has {} units, and the plan leaves it {least}",
                deployment.replicas
            )));
        }
        let allowed = match deployment.key.slot {
            Slot::Beside(_) => most.max(rollout.units).max(1),
            Slot::Base if deployment.version == rollout.canary.0 || rollout.phase == Phase::RollingBack => {
                rollout.units + most * tries
            }
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

/// As many units of the process that is in no step are routed as there were at the beginning, whoever's they are.
fn others_kept(world: &World<'_>, app: &App) -> Result<(), Stop> {
    let routed = app.pods.iter().filter(|p| p.key.process == API && p.routable).count();
    let Scenario { beside, scaled, units, .. } = &world.scenario;
    // How many there are is the autoscaler's to say.
    if !beside.contains(&API) || *scaled == Some(API) || routed >= *units as usize {
        return Ok(());
    }
    Err(Stop::Broken(format!(
        "users reach {routed} units of `{API}`, and {} served them before",
        world.scenario.units
    )))
}

/// The platform is in a state that nobody gets it out of through its API, and a person was told what to do.
pub(crate) fn needs_hands(world: &World<'_>, course: &Course) -> bool {
    let canary = course.rollout().canary.0;
    let told = |r: &Recorded| matches!(&r.event, Event::PersonNeeded { .. });
    let app = world.install.app();
    let deployments = app.map(|app| app.deployments.as_slice()).unwrap_or_default().iter();
    let slots = deployments.filter(|d| d.version == canary && d.gone_at.is_none());
    let beside =
        |d: &Deployment| slots.clone().any(|b| b.key.process == d.key.process && b.key.slot != d.key.slot);
    slots.clone().any(|d| d.key.slot == Slot::Base && beside(d)) && world.journal.iter().any(told)
}

/// How few units the steps so far leave the baseline. Nothing where it is replaced, or was.
fn least(rollout: &Rollout, journal: &[Recorded]) -> Option<u32> {
    let replaced = journal
        .iter()
        .any(|r| matches!(r.event, Event::CommandIssued { command: Command::MakeOnly { .. }, .. }));
    let steps = &rollout.plan.as_ref()?.steps;
    let so_far = steps.iter().take(rollout.step + 1).map(|step| step.baseline).min();
    so_far.filter(|_| !replaced && rollout.kind == Kind::Beside)
}

/// What was sent for each command that names a difference was sent once: the platform has no more events of it.
fn sent_once(world: &World<'_>) -> Result<(), Stop> {
    for (kind, is_one) in [
        (
            "app.update.unit.add",
            (|c: &Command| matches!(c, Command::AddUnits { .. })) as fn(&Command) -> bool,
        ),
        ("app.update.unit.remove", |c: &Command| matches!(c, Command::RemoveUnits { .. })),
    ] {
        let events = world.install.tsuru.events().filter(|e| e.kind == kind && e.owner.1 == DAEMON).count();
        let issued = world
            .journal
            .iter()
            .filter(|r| matches!(&r.event, Event::CommandIssued { command, .. } if is_one(command)));
        let issued = issued.count();
        if events > issued {
            return Err(Stop::Broken(format!("`{kind}` was sent {events} times for {issued} commands")));
        }
    }
    Ok(())
}

/// Whoever is promoted without a person's word, and not because the policy does not insist on proof, was proven.
fn proven_before(journal: &[Recorded]) -> Result<(), Stop> {
    let (mut safe, mut harm) = (false, false);
    for recorded in journal {
        match &recorded.event {
            Event::Looked { verdict, .. } => (safe, harm) = (verdict.safe, verdict.harm),
            Event::PromotionDecided { why } => {
                let without = ["ana ", "neither harm nor safety", "both have served", "missing data"];
                if without.iter().all(|word| !why.contains(word)) && (!safe || harm) {
                    return Err(Stop::Broken(format!("it was promoted without proof: {why}")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The budgets hold over many rollouts, whatever goes wrong in them: a good canary is seldom blamed by its signals, and
/// one that is worse than the margin seldom proven safe.
pub(crate) fn within_budget(outcomes: &[Outcome]) -> Result<(), String> {
    let Budget { false_rollback, false_promotion } = Budget::default();
    let good = |o: &&Outcome| o.quality == Quality::Good;
    let worse = |o: &&Outcome| matches!(o.quality, Quality::Worse(_));
    let blamed: Vec<u64> = outcomes.iter().filter(good).filter(|o| o.blamed).map(|o| o.seed).collect();
    let proven: Vec<u64> = outcomes.iter().filter(worse).filter(|o| o.proven).map(|o| o.seed).collect();
    for (what, seeds, of, budget) in [
        ("good canaries blamed", blamed, outcomes.iter().filter(good).count(), false_rollback),
        ("bad canaries proven safe", proven, outcomes.iter().filter(worse).count(), false_promotion),
    ] {
        let mean = of as f64 * budget.get();
        println!("{what}: {} of {of}, budget {budget}: {:?}", seeds.len(), &seeds[..seeds.len().min(20)]);
        // Four standard deviations, and a little for few rollouts.
        if seeds.len() as f64 > mean + 4.0 * mean.sqrt() + 2.0 {
            return Err(format!("{what}: {} of {of} is over the budget of {budget}", seeds.len()));
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
            && !event.internal
            && event.id.to_string() != *trigger
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
    proven_before(&world.journal)?;
    sent_once(world)?;
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
    let scalers: Vec<u32> = app.autoscales.iter().map(|a| a.version).collect();
    if scalers != Vec::from_iter(scenario.scaled.map(|_| version.0)) {
        return Err(format!("the autoscalers change {scalers:?}"));
    }
    for process in app.spec.processes.iter().filter(|process| scenario.scaled != Some(process)) {
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

/// What a person said is taken at once, or is said to be of no use.
pub(crate) fn answered(before: &Rollout, order: OrderKind, written: &[Recorded]) -> Result<(), Stop> {
    let has = |label: &str| written.iter().any(|recorded| recorded.event.label() == label);
    let acts = before.policy.mode != Mode::Observe;
    let (label, concerns) = match (order, before.phase) {
        (OrderKind::Rollback, phase) => {
            ("rollback_decided", acts && !matches!(phase, Phase::RollingBack | Phase::Leaving))
        }
        (OrderKind::Pause, Phase::Pending | Phase::Step | Phase::Paused | Phase::Watching) => {
            // What waits for agreement to the way back waits already.
            let advised = [PauseCause::RollbackAdvice, PauseCause::SupersededAdvice].map(Some);
            ("paused", !advised.contains(&before.pause))
        }
        // Nobody goes on over a newer version.
        (OrderKind::Resume, Phase::Paused) => ("resumed", before.pause != Some(PauseCause::SupersededAdvice)),
        (OrderKind::Promote, Phase::Step) => ("promotion_decided", acts),
        _ => ("", false),
    };
    let is_answered = if concerns { has(label) } else { !written.is_empty() };
    if before.phase.is_final() || is_answered {
        return Ok(());
    }
    Err(Stop::Broken(format!("a person's {order:?} in phase `{}` came to nothing", before.phase.label())))
}

/// What people said was done: nothing was decided against it.
fn obeyed(journal: &[Recorded]) -> Result<(), Stop> {
    let (mut held, mut back, mut ahead) = (false, false, false);
    for recorded in journal {
        match &recorded.event {
            Event::Paused { cause: PauseCause::Operator, .. } => held = true,
            Event::Resumed { .. }
            | Event::Approved { .. }
            | Event::Finished { .. }
            | Event::WatchEnded { .. } => held = false,
            // From here on the way back is armed again.
            Event::WatchBegan => ahead = false,
            Event::RollbackDecided { why, .. } if why.contains("ana said so") => (held, back) = (false, true),
            Event::PromotionDecided { why } if why.contains("ana said so") => (held, ahead) = (false, true),
            // A newer version takes the place of one that waits, too.
            Event::RollbackDecided { why, .. }
                if held && ["deployed", "approved the advice"].iter().any(|w| why.contains(w)) =>
            {
                held = false;
            }
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
                    && ["platform failed", "deployed", "ready after", "approved"]
                        .iter()
                        .all(|w| !why.contains(w)) =>
            {
                return Err(Stop::Broken(format!("a person said to promote, and then: {why}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn outcome(world: &World<'_>, rollout: &Rollout) -> Outcome {
    let Scenario { quality, trouble, visits, faults, outages, incident, .. } = world.scenario;
    let (mut blamed, mut proven, mut safe) = (false, false, false);
    for recorded in &world.journal {
        match &recorded.event {
            Event::Looked { verdict, .. } => safe = Verdict::clone(verdict).safe,
            // What hits a canary that serves alone cannot be told from what it does itself.
            Event::RollbackDecided { culprits, why, .. }
                if incident.is_none() || !why.contains("serves alone") =>
            {
                blamed |= culprits.iter().any(|c| c == "errors");
            }
            Event::PromotionDecided { why } => proven |= safe && !why.contains("ana"),
            _ => {}
        }
    }
    Outcome {
        seed: world.scenario.seed,
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
