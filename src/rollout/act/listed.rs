//! Whether what the platform lists is what is.

use super::{LAG, all_routed, routed};
use crate::rollout::event::Answer;
use crate::rollout::state::{Issued, Rollout};
use crate::rollout::traffic::{Command, Observed};
use crate::words::Time;

/// Whether the listing can be taken for what is. What it shows may be old, and each read may be answered by another
/// replica of the platform's API; one that shows the last act shows all acts before it. Whoever goes by an older one
/// takes units away that are gone, or adds those that are there.
pub(super) fn is_current(rollout: &Rollout, observed: &Observed, now: Time) -> bool {
    // Where the last command changed nothing, the act is one before it.
    let mut acts = rollout.command.iter().filter(|issued| issued.may_have_acted()).chain(&rollout.acted);
    let known = |issued: &Issued| {
        // A replacement that failed is taken back: what is listed of it is about to go.
        let goes_back = matches!(issued.command, Command::MakeOnly { .. })
            && !matches!(issued.answered, Some((_, Answer::Done)));
        let is_shown = !goes_back && shows(observed, &issued.command, issued.expected);
        is_shown || is_listed(rollout, issued, now)
    };
    let Some(last) = acts.next() else { return true };
    // Autoscalers are listed by another call, which may be answered by another replica: they tell nothing of the units. Where
    // the act before is not known either, time has to.
    known(last)
        && (tells_of_units(&last.command)
            || acts.next().map_or(rollout.acted.is_none(), known)
            || is_listed(rollout, last, now))
}

/// Whether units show that it was done.
fn tells_of_units(command: &Command) -> bool {
    !matches!(
        command,
        Command::MoveAutoscalers { .. }
            | Command::SuspendAutoscaler { .. }
            | Command::RestoreAutoscaler { .. }
            | Command::Quarantine { .. }
    )
}

/// Whether what was answered is listed by now, however late the listing is.
pub(super) fn is_listed(rollout: &Rollout, issued: &Issued, now: Time) -> bool {
    let answered = issued.answered.as_ref().map(|(at, _)| *at);
    answered.max(rollout.restarted).is_none_or(|at| now.since(at) >= LAG)
}

/// Whether the listing shows what the command was to do.
pub(super) fn shows(o: &Observed, command: &Command, expected: Option<u32>) -> bool {
    let scalers = |process: &str| o.autoscaled.iter().filter(move |a| a.process == *process).count();
    match command {
        Command::Route { version } => all_routed(o, *version),
        Command::Unroute { version } => !routed(o, *version),
        Command::AddUnits { version, process, .. } => {
            expected.is_some_and(|expected| o.existing(*version, process) >= expected)
        }
        Command::RemoveUnits { version, process, .. } => {
            expected.is_some_and(|expected| o.existing(*version, process) <= expected)
        }
        Command::MakeOnly { version } => {
            !o.units.is_empty() && o.units.iter().all(|u| u.version == *version && u.base)
        }
        Command::Delete { version } => o.units.iter().all(|u| u.version != *version),
        Command::MoveAutoscalers { version } => {
            o.autoscaled.iter().all(|a| a.version.is_none_or(|scales| scales == *version))
        }
        Command::SuspendAutoscaler { process } => scalers(process) == 0,
        Command::RestoreAutoscaler { autoscaler } => scalers(&autoscaler.process) > 0,
        Command::Quarantine { .. } => true,
    }
}
