//! How many units there are and how many are wanted: the acts that name a difference, and those that replace all.

use std::collections::{BTreeMap, BTreeSet};

use super::{Act, act, is_recent, replacing, scaled};
use crate::rollout::decide::READY_WITHIN;
use crate::rollout::event::Answer;
use crate::rollout::state::{Issued, Rollout};
use crate::rollout::traffic::{Command, Observed, PlatformErrorKind, Unit};
use crate::words::{Time, Version};

/// What a failed try to make the canary the only version leaves: the platform takes its template back and keeps the
/// number of units, which is that of both versions together. Each further try would add as many again.
pub(super) fn surplus(r: &Rollout, o: &Observed) -> Option<Act> {
    let step = r.current().filter(|_| r.failures > 0)?;
    // Before the first step's traffic was in place nothing was taken from the baseline.
    let whole = r.step == 0 && r.step_reached.is_none();
    let follow = step.workers.iter().filter(|_| !whole).map(|(process, units)| (process, units.baseline));
    let apart = r.others.iter().map(|(process, units)| (process, *units));
    let mut wanted: BTreeMap<&str, u32> = apart.chain(follow).map(|(p, units)| (p.as_str(), units)).collect();
    wanted.insert(r.process(), if whole { r.units } else { step.baseline });
    let too_many = |(process, wanted): &(&str, u32)| {
        !scaled(o, process) && *wanted > 0 && o.existing(r.baseline, process) > *wanted
    };
    let (process, wanted) = wanted.into_iter().find(too_many)?;
    // What is taken away may be of the canary, and all that users have. Whoever cannot have the canary that way gets the
    // baseline back, as long as that has a unit that is ready.
    let serves = |u: &Unit| !u.base && u.process == process && u.ready && u.routable;
    let is_mixed = process == r.process() && o.replacing().contains(process);
    if is_mixed && !o.units.iter().any(serves) && o.ready(r.baseline, process) > 0 {
        return Some(Act::Wait(format!("no unit of {} serves beside the base", r.canary)));
    }
    Some(less(r.baseline, process, o.existing(r.baseline, process), wanted))
}

/// Makes `version` the only one, after a try that failed without what held that up: a unit that never gets ready. Where
/// units are taken away, the platform begins with those that are not ready; so what there is too many of goes, and where
/// asking once more does not help, what is not ready goes too and is made anew.
pub(super) fn make_only(r: &Rollout, o: &Observed, version: Version) -> Act {
    let failed = |issued: &Issued| {
        issued.command == Command::MakeOnly { version }
            && matches!(issued.answered, Some((_, Answer::Error { kind: PlatformErrorKind::Failed, .. })))
    };
    let again = r.command.as_ref().is_some_and(failed);
    let base: BTreeSet<&str> =
        o.units.iter().filter(|u| u.base && u.version == version).map(|u| u.process.as_str()).collect();
    // Units that stand beside the base cannot be told from those that are being replaced.
    let beside =
        |process: &str| o.units.iter().any(|u| u.version == version && u.process == process && !u.base);
    for process in base.into_iter().filter(|process| !scaled(o, process) && !beside(process)) {
        let wanted =
            if process == r.process() { r.units } else { r.others.get(process).copied().unwrap_or(0) };
        let (existing, ready) = (o.existing(version, process), o.ready(version, process));
        if wanted > 0 && existing > wanted && r.failures == 0 && !r.is_resized() {
            return less(version, process, existing, wanted);
        }
        // What is taken away may be of another version that is being replaced, and all that users have.
        let serves = o.serving(version, r.process()) > 0;
        if again && serves && ready > 0 && ready < existing {
            return less(version, process, existing, ready);
        }
    }
    act(Command::MakeOnly { version })
}

/// Every process of `version` with as many units as the baseline had.
pub(super) fn to_size(r: &Rollout, o: &Observed, version: Version, now: Time) -> Act {
    let main = (r.units > 0).then_some((r.process(), r.units));
    let others = r.others.iter().map(|(process, units)| (process.as_str(), *units));
    for (process, wanted) in main.into_iter().chain(others) {
        // A process that the version does not have is not ours to add.
        if o.existing(version, process) == 0 {
            continue;
        }
        if o.makes_anew(version, process) && is_recent(r, now) {
            return replacing();
        }
        match make_do(r, o, version, bring_up(o, version, process, wanted), now) {
            // Those that are not ready go first.
            Act::Settled if !scaled(o, process) && !r.is_resized() && o.kept(version, process) > wanted => {
                return less(version, process, o.kept(version, process), wanted);
            }
            Act::Settled => {}
            act => return act,
        }
    }
    Act::Settled
}

/// Does with fewer ready units where the platform has had its time for them and nothing is left to be done about it: the
/// version serves with those that it has, and the platform goes on trying.
pub(super) fn make_do(r: &Rollout, o: &Observed, version: Version, act: Act, now: Time) -> Act {
    let over = now.since(r.quiet_since()) >= READY_WITHIN;
    match act {
        Act::Wait(_) if over && o.serving(version, r.process()) > 0 => Act::Settled,
        Act::Wait(what) if over => {
            Act::Stuck(format!("{what} after {READY_WITHIN}; no unit of {version} serves"))
        }
        act => act,
    }
}

/// Enough units of `version`, all ready. What an autoscaler changes is taken as it is.
pub(super) fn bring_up(o: &Observed, version: Version, process: &str, wanted: u32) -> Act {
    let existing = o.existing(version, process);
    let wanted = if scaled(o, process) { existing } else { wanted };
    if existing < wanted {
        let command = Command::AddUnits { version, process: process.to_owned(), count: wanted - existing };
        return Act::Do { command, expected: Some(wanted) };
    }
    let ready = o.ready(version, process);
    if ready < wanted {
        return Act::Wait(format!("{ready} of {wanted} `{process}` units of {version} are ready"));
    }
    Act::Settled
}

/// From so many units of `version` to so many.
pub(super) fn less(version: Version, process: &str, from: u32, to: u32) -> Act {
    let count = from.saturating_sub(to);
    let command = Command::RemoveUnits { version, process: process.to_owned(), count };
    Act::Do { command, expected: Some(to) }
}
