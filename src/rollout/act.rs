//! The next act: the difference between the traffic that a rollout wants and the traffic that was observed.
//!
//! Pure and without memory of its own: called with the same state and observation it says the same, so an act that
//! was done already is not done again, whoever did it. The order of acts keeps users served: more before less, route
//! before unroute, and never away from the last version that can serve.

mod listed;
mod size;

use super::decide::READY_WITHIN;
use super::event::{Answer, Ending, Kind, PauseCause};
use super::phase::Phase;
use super::state::{REPEATS, Rollout};
use super::traffic::{Autoscaler, Command, Observed, PlatformErrorKind, Unit};
use crate::policy::Mode;
use crate::words::{Span, Time, Version};
use listed::{is_current, is_listed};
use size::{bring_up, less, make_do, make_only, surplus, to_size};

/// How long the platform's listing may lag behind an act that it reported as done.
pub(super) const LAG: Span = Span::seconds(30);

/// The longest wait before a failed command is tried again.
const BACKOFF_MOST: Span = Span::seconds(30);

/// How long the platform may need to come to rest while it replaces units.
const RESTS: Span = Span::minutes(3);

/// How often the platform may refuse to do anything with a version that it has twice: what it removes takes a while.
const TRIES_TWICE: u32 = 3;

/// The most characters of a reason that is written to the platform.
const LONGEST_REASON: usize = 200;

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// What is wanted is in place.
    Settled,
    /// Something is under way or has to pass first; in words.
    Wait(String),
    /// This command.
    Do {
        /// The command.
        command: Command,
        /// For commands that name a difference: how many units are expected afterwards.
        expected: Option<u32>,
    },
    /// It cannot be done safely; a person must look. In words.
    Stuck(String),
}

/// What to do now for `rollout`, given what the platform showed. `busy` says that something holds the app's lock.
#[must_use]
pub fn next_act(rollout: &Rollout, observed: &Observed, busy: bool, now: Time) -> Act {
    if rollout.policy.mode == Mode::Observe || rollout.phase.is_final() {
        return Act::Settled;
    }
    if rollout.unanswered().is_some() || busy {
        return Act::Wait("something is under way on the platform".to_owned());
    }
    if !is_current(rollout, observed, now) {
        return Act::Wait("the platform's listing does not show the last act yet".to_owned());
    }
    let holds = |pause| !matches!(pause, PauseCause::Platform | PauseCause::Approval | PauseCause::Advice);
    if rollout.phase == Phase::Paused && rollout.pause.is_some_and(holds) {
        return Act::Wait("nothing is moved before a person says so".to_owned());
    }
    if is_twice(rollout, observed) && (rollout.failures >= TRIES_TWICE || rollout.toggles_in_vain()) {
        return Act::Stuck(format!(
            "the platform stopped after it had made {0} its base and before it had removed {0} beside it, and refuses to \
             do anything with a version that it has twice; remove the deployments of {0} beside the base in the cluster",
            rollout.canary
        ));
    }
    let act = match rollout.phase {
        // What it waits for a person after the last step, the canary has everything.
        Phase::Paused if rollout.watch_began.is_some() => Act::Settled,
        Phase::Step | Phase::Paused => to_step(rollout, observed, now),
        Phase::Promoting | Phase::Watching => to_only_canary(rollout, observed, now),
        Phase::RollingBack => to_only_baseline(rollout, observed, now),
        Phase::Leaving => give_back(rollout, observed, None, now),
        _ => Act::Settled,
    };
    match act {
        // Units that others have made go or come are counted once they are listed: also before users are left to those that stay.
        Act::Do { command, .. }
            if (!command.is_idempotent() || matches!(command, Command::Unroute { .. }))
                && rollout.disturbed.is_some_and(|at| now.since(at) < LAG) =>
        {
            Act::Wait(
                "somebody else changed the app, which the platform's listing may not show yet".to_owned(),
            )
        }
        Act::Do { command, expected } => patient(rollout, command, expected, now),
        act => act,
    }
}

/// Whether the platform has the canary twice and so refuses to do anything with it. Where it is replacing the base, only the
/// refusal shows it: the base may as well be on its way back.
fn is_twice(r: &Rollout, o: &Observed) -> bool {
    let refused = |(_, answer): &(Time, Answer)| {
        matches!(answer, Answer::Error { kind: PlatformErrorKind::Doubled, .. })
    };
    let is_refused = r.command.as_ref().and_then(|issued| issued.answered.as_ref()).is_some_and(refused);
    o.has_twice(r.canary) || (is_refused && o.is_beside_base(r.canary))
}

/// Holds a command back while the one before has just failed.
fn patient(rollout: &Rollout, command: Command, expected: Option<u32>, now: Time) -> Act {
    if let Some(issued) = &rollout.command
        && let Some((answered, Answer::Error { kind, .. })) = &issued.answered
    {
        let (since, wait) = (now.since(*answered), backoff(rollout.failures, *kind));
        if since < wait {
            let left = Span(wait.0 - since.0);
            return Act::Wait(format!("the last command failed; trying again in {left}"));
        }
    }
    // A platform that has recovered meanwhile does it then.
    let lately = now.since(rollout.quiet_since()) < READY_WITHIN;
    let again = rollout.command.as_ref().is_some_and(|last| last.command == command);
    if again && lately && rollout.is_in_vain(&command) {
        return Act::Stuck(format!("the platform says that it is done, and does not show it: {command}"));
    }
    Act::Do { command, expected }
}

/// How long to wait after the `failures`th failure in a row.
fn backoff(failures: u32, kind: PlatformErrorKind) -> Span {
    let first = match kind {
        // The answer was lost: give the platform's own bookkeeping and listing time to show what happened.
        PlatformErrorKind::Unknown => 10_000,
        // Something else holds the app, or what was removed is still ending: that takes a while.
        PlatformErrorKind::Busy | PlatformErrorKind::Doubled => 4000,
        _ => 1000,
    };
    Span((first << failures.saturating_sub(1).min(5)).min(BACKOFF_MOST.0))
}

/// Towards the units of the current step: autoscalers out of the way, canary up, routed, then baseline down.
fn to_step(r: &Rollout, o: &Observed, now: Time) -> Act {
    // Once the step's traffic was in place, the platform keeps the units; a unit that is missing for a moment is being
    // replaced by it, and a difference computed then would add one too many.
    let (Some(step), Some(_), None) = (r.current(), r.step_began, r.step_reached) else {
        return Act::Settled;
    };
    let process = r.process();
    if let Some(process) = to_suspend(r, o) {
        return act(Command::SuspendAutoscaler { process });
    }
    let canary = std::iter::once((process, step.canary))
        .chain(step.workers.iter().map(|(worker, units)| (worker.as_str(), units.canary)));
    for (process, wanted) in canary {
        if let act @ (Act::Do { .. } | Act::Wait(_)) = bring_up(o, r.canary, process, wanted) {
            return act;
        }
    }
    if !step.routed.baseline()
        && let act @ (Act::Do { .. } | Act::Wait(_)) = bring_up_others(r, o)
    {
        return act;
    }
    if step.routed.canary() && !all_routed(o, r.canary) {
        return act(Command::Route { version: r.canary });
    }
    if step.routed.baseline() && !all_routed(o, r.baseline) {
        return act(Command::Route { version: r.baseline });
    }
    if !step.routed.baseline() && routed(o, r.baseline) {
        return take_baseline_out(r, o, step.canary);
    }
    let canary = std::iter::once((process, step.canary, step.baseline))
        .chain(step.workers.iter().map(|(worker, units)| (worker.as_str(), units.canary, units.baseline)));
    for (process, canary, baseline) in canary {
        for (version, wanted) in [(r.canary, canary), (r.baseline, baseline)] {
            let kept = o.kept(version, process);
            if !scaled(o, process) && kept > wanted {
                let anew = o.makes_anew(version, process) && is_recent(r, now);
                return if anew { replacing() } else { less(version, process, kept, wanted) };
            }
        }
    }
    Act::Settled
}

/// A process whose autoscaler is in the way and still there.
fn to_suspend(r: &Rollout, o: &Observed) -> Option<String> {
    let suspended = |process: &str| r.suspends.iter().any(|a| a.process == process);
    o.autoscaled.iter().map(|a| &a.process).find(|process| suspended(process)).cloned()
}

/// Users away from the baseline, once the canary can take them all.
fn take_baseline_out(r: &Rollout, o: &Observed, wanted: u32) -> Act {
    let serving = o.serving(r.canary, r.process());
    if serving == 0 || serving < wanted {
        return Act::Wait(format!("{serving} of {wanted} units of {} serve", r.canary));
    }
    act(Command::Unroute { version: r.baseline })
}

/// As many of the canary's units as the baseline has, of the processes that are in no step. Whoever takes the baseline out of
/// routing takes out all of its processes, and what users' requests lead to may be another process than theirs.
fn bring_up_others(r: &Rollout, o: &Observed) -> Act {
    bring_up_each(r, o, |process| !r.policy.takes_part(process))
}

/// As many of the canary's units as the baseline has, of these processes beside the one that serves.
fn bring_up_each(r: &Rollout, o: &Observed, of: impl Fn(&str) -> bool) -> Act {
    others(r, o)
        .filter(|(process, _)| of(process))
        .map(|(process, units)| bring_up(o, r.canary, process, units))
        .find(|act| *act != Act::Settled)
        .unwrap_or(Act::Settled)
}

/// The other processes that the canary has, with the units that the baseline had of them. One that the canary does not have
/// is not ours to add.
fn others<'r>(r: &'r Rollout, o: &Observed) -> impl Iterator<Item = (&'r str, u32)> {
    let has = |process: &str| o.existing(r.canary, process) > 0;
    r.others
        .iter()
        .filter(move |(process, _)| has(process))
        .map(|(process, units)| (process.as_str(), *units))
}

/// Towards the canary alone, at the size that the baseline had; the baseline's units are kept while the policy says so.
fn to_only_canary(r: &Rollout, o: &Observed, now: Time) -> Act {
    let process = r.process();
    if !o.units.iter().any(|u| u.version == r.canary) {
        return Act::Stuck(format!("{} has no units any more, so it cannot be promoted", r.canary));
    }
    // A baseline some of whose units are never taken out, because the platform got stuck with them, is replaced with them.
    let stays = r.is_in_vain(&Command::Unroute { version: r.baseline });
    // Nor is one beside which the quota leaves too little room, as where a person promotes out of turn.
    let all =
        std::iter::once((process, r.units)).chain(others(r, o)).filter(|(process, _)| !scaled(o, process));
    let lacks = all.fold(0_u32, |lacks, (process, units)| {
        lacks.saturating_add(units.saturating_sub(o.existing(r.canary, process)))
    });
    let fits = r.watch_began.is_some() || o.quota_left.is_none_or(|left| lacks <= left);
    // What an earlier rollout left goes with the baseline, lest idle versions pile up.
    let older = o.units.iter().any(|u| !r.is_ours(u.version) && u.version < r.canary);
    if r.keeps_baseline(now) && o.existing(r.baseline, process) > 0 && !stays && fits && !older {
        // Whoever is promoted out of turn may have autoscalers yet, which let nobody bring the canary to size.
        if let Some(process) = to_suspend(r, o) {
            return act(Command::SuspendAutoscaler { process });
        }
        if let act @ (Act::Do { .. } | Act::Wait(_)) = bring_up(o, r.canary, process, r.units) {
            return act;
        }
        if routed(o, r.baseline)
            && let act @ (Act::Do { .. } | Act::Wait(_)) = bring_up_each(r, o, |_| true)
        {
            return act;
        }
        if !all_routed(o, r.canary) {
            return act(Command::Route { version: r.canary });
        }
        if routed(o, r.baseline) {
            return take_baseline_out(r, o, if scaled(o, process) { 1 } else { r.units });
        }
        return Act::Settled;
    }
    if !o.replacing().is_empty() && is_recent(r, now) {
        return replacing();
    }
    // A failed try brings the baseline back with its users, where the canary had them all before.
    let had_all = r.watch_began.is_some() || r.current().is_some_and(|step| !step.routed.baseline());
    if had_all && !stays && routed(o, r.baseline) && o.serving(r.canary, process) >= r.units.max(1) {
        return act(Command::Unroute { version: r.baseline });
    }
    if o.units.iter().any(|u| u.version != r.canary || !u.base) {
        return surplus(r, o).unwrap_or_else(|| make_only(r, o, r.canary));
    }
    match to_size(r, o, r.canary, now) {
        Act::Settled => give_back(r, o, Some(r.canary), now),
        act => act,
    }
}

/// Towards the baseline alone, at its old size: first users away from the canary, then the baseline's units back,
/// then the canary's units away.
fn to_only_baseline(r: &Rollout, o: &Observed, now: Time) -> Act {
    let process = r.process();
    let existing = o.existing(r.baseline, process);
    // A newer version took over from both, or is about to: whoever brought the baseline back would take that away.
    let waits = |u: &Unit| r.kind == Kind::Beside && u.version > r.canary && o.serving(r.canary, process) > 0;
    let newer = o.units.iter().any(|u| !r.is_ours(u.version) && (u.routable || waits(u)));
    if existing == 0 && r.ending == Ending::Superseded && newer {
        return give_back(r, o, None, now);
    }
    if existing == 0 || is_half_replaced(r, o) || is_half_made(r, o) {
        // It was replaced already; the platform brings it back beside what serves and only then takes that away.
        if o.units.is_empty() {
            return Act::Stuck(format!(
                "the app has no units at all, so {} cannot be brought back",
                r.baseline
            ));
        }
        return act(Command::MakeOnly { version: r.baseline });
    }
    let wanted = if r.units == 0 { existing } else { r.units };
    if !o.replacing().is_empty() {
        return if is_recent(r, now) { replacing() } else { make_only(r, o, r.baseline) };
    }
    let canary_routed = routed(o, r.canary);
    let ready = o.ready(r.baseline, process);
    if canary_routed {
        // What is left of a baseline that made room for the canary must not drown in all users at once. If its units
        // cannot be had, too few of them are better than a version that does harm.
        let room = o.quota_left.map_or(wanted, |left| wanted.min(existing.saturating_add(left)));
        // That something is in the way for the moment does not say that they cannot be had.
        if ready.saturating_mul(2) < wanted && r.tries == 0 && r.failures <= REPEATS {
            match bring_up(o, r.baseline, process, room) {
                // Those that were just asked for: not every platform answers once they are ready.
                act @ Act::Wait(_) if is_recent(r, now) && has_added(r) => return act,
                act @ Act::Do { .. } => return act,
                _ => {}
            }
        }
        if ready == 0 {
            return Act::Stuck(format!(
                "{} has no unit that is ready, so taking {} away would leave users with nothing",
                r.baseline, r.canary
            ));
        }
        if let Some(process) = unready_apart(r, o).filter(|_| is_recent(r, now)) {
            return Act::Wait(format!("no `{process}` unit of {} is ready yet", r.baseline));
        }
    }
    // Where the platform got stuck making the baseline's units anew, those that it cannot replace are never routed.
    let route = Command::Route { version: r.baseline };
    let does = r.is_in_vain(&route) && o.serving(r.baseline, process) > 0;
    if !all_routed(o, r.baseline) && !does {
        return act(route);
    }
    // Units that the platform made before the canary was taken out, and cannot replace, it takes out no more: they go with
    // the canary.
    let others = o.units.iter().any(|u| !r.is_ours(u.version));
    let in_vain = r.is_in_vain(&Command::Unroute { version: r.canary }) && !(r.cannot_delete && others);
    if canary_routed && may_be_out(r, now) {
        return if r.failures < REPEATS {
            act(Command::Route { version: r.baseline })
        } else {
            Act::Wait(format!("whether {} is out of routing is not listed yet", r.baseline))
        };
    }
    if canary_routed && !in_vain {
        return act(Command::Unroute { version: r.canary });
    }
    // Users come first; then a version that may be marked otherwise than its units are.
    if r.half_routed.contains(&r.baseline) && r.failures < REPEATS {
        return act(Command::Route { version: r.baseline });
    }
    let up = bring_up(o, r.baseline, process, wanted);
    // Where there is no room for them, the canary's units have to go first.
    let no_room = o.quota_left.is_some_and(|left| left < wanted.saturating_sub(existing));
    if !(matches!(up, Act::Do { .. }) && (no_room || r.failures > 0)) {
        match make_do(r, o, r.baseline, up, now) {
            Act::Settled => {}
            act => return act,
        }
    }
    if r.policy.quarantine && !r.quarantined && r.ending == Ending::RolledBack {
        let reason = format!("rolled back by Uguisu: {}", r.reason).chars().take(LONGEST_REASON).collect();
        return act(Command::Quarantine { version: r.canary, reason });
    }
    if o.units.iter().any(|u| u.version == r.canary) {
        // The platform removes an autoscaler together with the version whose units it changes.
        if !o.shows_autoscalers() && is_recent(r, now) {
            return untold();
        }
        if o.autoscaled.iter().any(|a| a.version == Some(r.canary)) {
            return act(Command::MoveAutoscalers { version: r.baseline });
        }
        match (r.cannot_delete, others) {
            (false, _) => return act(Command::Delete { version: r.canary }),
            (true, false) => return make_only(r, o, r.baseline),
            // Making the baseline the only version would take somebody else's version away: out of routing is enough.
            (true, true) => {}
        }
    }
    match to_size(r, o, r.baseline, now) {
        Act::Settled => give_back(r, o, Some(r.baseline), now),
        act => act,
    }
}

/// Whether units of the baseline are what was last asked for, and given.
fn has_added(r: &Rollout) -> bool {
    r.command.as_ref().is_some_and(|issued| {
        matches!(issued.command, Command::AddUnits { version, .. } if version == r.baseline)
            && matches!(issued.answered, Some((_, Answer::Done)))
    })
}

/// Whether the platform stopped half way through replacing one version by the other: the base of one process is the
/// baseline's, and that of another, which the baseline has no unit of any more, the canary's. Whoever takes the canary away takes
/// that process from its users.
fn is_half_replaced(r: &Rollout, o: &Observed) -> bool {
    let of_canary =
        |process: &str| o.units.iter().any(|u| u.base && u.version == r.canary && u.process == process);
    is_base(o, r.baseline)
        && r.others
            .iter()
            .any(|(process, units)| *units > 0 && o.existing(r.baseline, process) == 0 && of_canary(process))
}

/// Whether others made some of the baseline's processes on the way back and not all of them, while the canary serves those.
fn is_half_made(r: &Rollout, o: &Observed) -> bool {
    let lacks = |process: &str| o.existing(r.baseline, process) == 0 && o.serving(r.canary, process) > 0;
    r.is_resized()
        && !is_base(o, r.baseline)
        && r.others.iter().any(|(process, units)| *units > 0 && lacks(process))
}

/// A process in no step that only the canary's units serve now, those of the baseline being about to: they are waited for, as
/// long as they may come by themselves.
fn unready_apart<'r>(r: &'r Rollout, o: &Observed) -> Option<&'r str> {
    let mut apart = r.others.keys().filter(|process| !r.policy.takes_part(process)).map(String::as_str);
    apart.find(|process| {
        o.ready(r.baseline, process) == 0
            && o.existing(r.baseline, process) > 0
            && o.serving(r.canary, process) > 0
    })
}

/// Whether the baseline may be out of routing though it is listed as routed: a call that failed may have taken it out all the
/// same, and the listing lags. Taking the canary out as well would leave users with nothing.
fn may_be_out(r: &Rollout, now: Time) -> bool {
    r.half_routed.contains(&r.baseline) && r.command.as_ref().is_some_and(|issued| !is_listed(r, issued, now))
}

/// Whether the platform, when it replaces units, may still come to rest by itself. Whoever toggles a version meanwhile,
/// or counts on its units, takes what is about to go for what serves.
fn is_recent(r: &Rollout, now: Time) -> bool {
    now.since(r.quiet_since()) < RESTS
}

fn replacing() -> Act {
    Act::Wait("the platform is replacing units".to_owned())
}

/// The autoscalers as they were: those that were removed made again, all of them on the version that serves.
fn give_back(r: &Rollout, o: &Observed, serves: Option<Version>, now: Time) -> Act {
    if !o.shows_autoscalers() && is_recent(r, now) {
        return untold();
    }
    if let Some(autoscaler) = r.suspends.iter().find(|a| !scaled(o, &a.process)) {
        return act(Command::RestoreAutoscaler { autoscaler: autoscaler.clone() });
    }
    // One of a process in no step follows by itself, unless the platform stopped half way and the version that it aims at is gone.
    // Where it cannot follow, or may not, nothing waits for it.
    let follows = |a: &Autoscaler, aims: Version| {
        let gone = o.units.iter().all(|u| u.version != aims);
        let has = serves.is_some_and(|version| o.existing(version, &a.process) > 0);
        gone && has && r.failures < REPEATS && !is_refused(r)
    };
    let elsewhere = |a: &Autoscaler| {
        let ours = r.policy.takes_part(&a.process);
        a.version != serves && a.version.is_some_and(|aims| ours || follows(a, aims))
    };
    match serves {
        Some(version) if o.autoscaled.iter().any(elsewhere) => act(Command::MoveAutoscalers { version }),
        _ => Act::Settled,
    }
}

fn untold() -> Act {
    Act::Wait("the platform does not tell of its autoscalers".to_owned())
}

/// Whether the platform does not let this daemon move autoscalers. A token that is not accepted may be at the next try.
fn is_refused(r: &Rollout) -> bool {
    let refused = |(_, answer): &(Time, Answer)| {
        matches!(answer, Answer::Error { kind: PlatformErrorKind::Refused, .. })
    };
    r.command.as_ref().is_some_and(|issued| {
        matches!(issued.command, Command::MoveAutoscalers { .. })
            && issued.answered.as_ref().is_some_and(refused)
    })
}

/// An autoscaler changes the units of a process: the platform refuses to let anybody else do so.
fn scaled(o: &Observed, process: &str) -> bool {
    o.autoscaled.iter().any(|a| a.process == process)
}

/// Any unit of the version is the base's, which a plain deploy would replace.
fn is_base(o: &Observed, version: Version) -> bool {
    o.units.iter().any(|u| u.base && u.version == version)
}

fn routed(o: &Observed, version: Version) -> bool {
    o.units.iter().any(|u| u.version == version && u.routable)
}

fn act(command: Command) -> Act {
    Act::Do { command, expected: None }
}

/// Every unit of the version is routed, those of processes that users do not reach among them. A half-applied call, or a
/// replacement that was taken back for some processes only, leaves some that are not. What is not ready may never be:
/// it is routed once it is.
fn all_routed(o: &Observed, version: Version) -> bool {
    routed(o, version) && o.units.iter().all(|u| u.version != version || u.routable || !u.ready)
}
