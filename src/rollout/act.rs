//! The next act: the difference between the traffic that a rollout wants and the traffic that was observed.
//!
//! Pure and without memory of its own: called with the same state and observation it says the same, so an act that
//! was done already is not done again, whoever did it. The order of acts keeps users served: more before less, route
//! before unroute, and never away from the last version that can serve.

use super::event::Answer;
use super::state::{Phase, Rollout};
use super::traffic::{Command, Observed, PlatformErrorKind};
use crate::policy::Mode;
use crate::words::{Span, Time, Version};

/// How long the platform's listing may lag behind an act that it reported as done.
const LAG: Span = Span::seconds(30);

/// The longest wait before a failed command is tried again.
const BACKOFF_MOST: Span = Span::seconds(30);

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
    let act = match rollout.phase {
        Phase::Step | Phase::Paused => to_step(rollout, observed),
        Phase::Promoting => to_only_canary(rollout, observed),
        Phase::RollingBack => to_only_baseline(rollout, observed),
        _ => Act::Settled,
    };
    match act {
        Act::Do { command, expected } => patient(rollout, command, expected, now),
        act => act,
    }
}

/// Holds a command back while the listing may still lag behind the one before, or the one before has just failed.
fn patient(rollout: &Rollout, command: Command, expected: Option<u32>, now: Time) -> Act {
    if let Some(issued) = &rollout.command
        && let Some((answered, answer)) = &issued.answered
    {
        let since = now.since(*answered);
        match answer {
            Answer::Done if issued.command.concerns_same(&command) && since < LAG => {
                return Act::Wait("the platform's listing does not show the last act yet".to_owned());
            }
            Answer::Error { kind, .. } => {
                let wait = backoff(rollout.failures, *kind);
                if since < wait {
                    return Act::Wait(format!(
                        "the last command failed; trying again in {}",
                        Span(wait.0 - since.0)
                    ));
                }
            }
            Answer::Done => {}
        }
    }
    Act::Do { command, expected }
}

/// How long to wait after the `failures`th failure in a row.
fn backoff(failures: u32, kind: PlatformErrorKind) -> Span {
    let first = match kind {
        // The answer was lost: give the platform's own bookkeeping and listing time to show what happened.
        PlatformErrorKind::Unknown => 10_000,
        // Something else holds the app, or what was removed is still ending: that takes a while.
        PlatformErrorKind::Busy => 4000,
        _ => 1000,
    };
    Span((first << failures.saturating_sub(1).min(5)).min(BACKOFF_MOST.0))
}

/// Towards the units of the current step: canary up, routed, then baseline down.
fn to_step(r: &Rollout, o: &Observed) -> Act {
    // Once the step's traffic was in place, the platform keeps the units; a unit that is missing for a moment is being
    // replaced by it, and a difference computed then would add one too many.
    let (Some(step), Some(_), None) = (r.current(), r.step_began, r.step_reached) else {
        return Act::Settled;
    };
    let process = r.process();
    if let act @ (Act::Do { .. } | Act::Wait(_)) = bring_up(o, r.canary, process, step.canary) {
        return act;
    }
    if !all_routed(o, r.canary, process) {
        return act(Command::Route { version: r.canary });
    }
    if o.existing(r.canary, process) > step.canary {
        return remove(o, r.canary, process, step.canary);
    }
    if o.existing(r.baseline, process) > step.baseline {
        return remove(o, r.baseline, process, step.baseline);
    }
    Act::Settled
}

/// Towards the canary alone, at the size that the baseline had.
fn to_only_canary(r: &Rollout, o: &Observed) -> Act {
    let process = r.process();
    if !o.units.iter().any(|u| u.version == r.canary) {
        return Act::Stuck(format!("{} has no units any more, so it cannot be promoted", r.canary));
    }
    if o.units.iter().any(|u| u.version != r.canary || !u.base) {
        return act(Command::MakeOnly { version: r.canary });
    }
    resize(o, r.canary, process, r.units)
}

/// Towards the baseline alone, at its old size: first users away from the canary, then the baseline's units back,
/// then the canary's units away.
fn to_only_baseline(r: &Rollout, o: &Observed) -> Act {
    let process = r.process();
    if o.existing(r.baseline, process) == 0 {
        // It was replaced already; the platform brings it back beside what serves and only then takes that away.
        return act(Command::MakeOnly { version: r.baseline });
    }
    let healthy = o.units.iter().any(|u| u.version == r.baseline && u.process == process && u.ready);
    let canary_routed = o.units.iter().any(|u| u.version == r.canary && u.routable);
    if !healthy && canary_routed {
        return Act::Stuck(format!(
            "{} has no unit that is ready, so taking {} away would leave users with nothing",
            r.baseline, r.canary
        ));
    }
    if !all_routed(o, r.baseline, process) {
        return act(Command::Route { version: r.baseline });
    }
    if canary_routed {
        return act(Command::Unroute { version: r.canary });
    }
    let wanted = if r.units == 0 { o.existing(r.baseline, process) } else { r.units };
    if let act @ (Act::Do { .. } | Act::Wait(_)) = bring_up(o, r.baseline, process, wanted) {
        return act;
    }
    if o.units.iter().any(|u| u.version == r.canary) {
        let others = o.units.iter().any(|u| u.version != r.canary && u.version != r.baseline);
        match (r.cannot_delete, others) {
            (false, _) => return act(Command::Delete { version: r.canary }),
            (true, false) => return act(Command::MakeOnly { version: r.baseline }),
            // Making the baseline the only version would take somebody else's version away: out of routing is enough.
            (true, true) => {}
        }
    }
    if r.units > 0 { resize(o, r.baseline, process, r.units) } else { Act::Settled }
}

fn act(command: Command) -> Act {
    Act::Do { command, expected: None }
}

/// Enough units of `version`, all ready.
fn bring_up(o: &Observed, version: Version, process: &str, wanted: u32) -> Act {
    let existing = o.existing(version, process);
    if existing < wanted {
        let command = Command::AddUnits { version, process: process.to_owned(), count: wanted - existing };
        return Act::Do { command, expected: Some(wanted) };
    }
    let ready = o.units.iter().filter(|u| u.version == version && u.process == process && u.ready).count();
    if ready < wanted as usize {
        return Act::Wait(format!("{ready} of {wanted} units of {version} are ready"));
    }
    Act::Settled
}

fn remove(o: &Observed, version: Version, process: &str, wanted: u32) -> Act {
    let count = o.existing(version, process).saturating_sub(wanted);
    Act::Do {
        command: Command::RemoveUnits { version, process: process.to_owned(), count },
        expected: Some(wanted),
    }
}

fn resize(o: &Observed, version: Version, process: &str, wanted: u32) -> Act {
    match bring_up(o, version, process, wanted) {
        Act::Settled if o.existing(version, process) > wanted => remove(o, version, process, wanted),
        act => act,
    }
}

/// Every unit of the version's process is routed. A half-applied call leaves some that are not.
fn all_routed(o: &Observed, version: Version, process: &str) -> bool {
    let mut units = o.units.iter().filter(|u| u.version == version && u.process == process).peekable();
    units.peek().is_some() && units.all(|u| u.routable)
}

impl Command {
    /// Both act on the same version in the same way, so the second may be an echo of a lagging listing.
    fn concerns_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route { version: a }, Self::Route { version: b })
            | (Self::Unroute { version: a }, Self::Unroute { version: b })
            | (Self::MakeOnly { version: a }, Self::MakeOnly { version: b })
            | (Self::Delete { version: a }, Self::Delete { version: b })
            | (Self::AddUnits { version: a, .. }, Self::AddUnits { version: b, .. })
            | (Self::RemoveUnits { version: a, .. }, Self::RemoveUnits { version: b, .. }) => a == b,
            _ => false,
        }
    }
}
