//! What the platform shows of a rollout's app: its units, what runs, and what others did.

use std::collections::BTreeSet;

use tracing::debug;

use crate::platform::{Activity, ActivityKind, Platform, PlatformErrorKind};
use crate::rollout::{Foreign, Observed, Rollout};
use crate::words::Span;

/// How far back of the rollout's beginning activity is asked for: a long deploy begins early and ends late.
const OVERLAP: Span = Span::minutes(60);

/// What the platform showed in one round.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The units, if they could be listed.
    pub(super) observed: Option<Observed>,
    /// Something holds the app's lock.
    pub(super) busy: bool,
    /// What somebody else did that changes things.
    pub(super) foreign: Option<Foreign>,
    /// What else is worth writing down, once.
    pub(super) notes: Vec<String>,
}

/// Asks the platform. `known` keeps what others did that has been dealt with.
pub(super) async fn see<P: Platform>(platform: &P, rollout: &Rollout, known: &mut BTreeSet<String>) -> Seen {
    let mut seen = Seen::default();
    let since = rollout.deployed - OVERLAP;
    let (observed, activity) =
        tokio::join!(platform.observe(&rollout.app), platform.activity(Some(&rollout.app), since));
    match observed {
        Ok(observed) => seen.observed = Some(observed),
        Err(error) if error.kind == PlatformErrorKind::NotFound => {
            seen.foreign = Some(Foreign::Removed(format!("app `{}` does not exist any more", rollout.app)));
            return seen;
        }
        Err(error) => debug!(rollout = %rollout.id, "{error}"),
    }
    match activity {
        Ok(list) => list.iter().for_each(|activity| consider(activity, rollout, known, &mut seen)),
        // Without it nobody knows whether somebody else is at work: nothing is observed.
        Err(error) => {
            debug!(rollout = %rollout.id, "{error}");
            seen.observed = None;
        }
    }
    seen
}

fn consider(activity: &Activity, rollout: &Rollout, known: &mut BTreeSet<String>, seen: &mut Seen) {
    if activity.ended.is_none() {
        seen.busy = true;
        return;
    }
    let later = activity.started > rollout.deployed;
    if activity.ours || activity.id == rollout.trigger || !later || !known.insert(activity.id.clone()) {
        return;
    }
    let did = |what: &str| format!("{} {what}", activity.owner);
    if let Some(error) = &activity.error {
        seen.notes.push(did(&format!("tried to change the app and failed: {error}")));
        return;
    }
    let name = |version: &Option<_>| {
        version.map_or_else(|| "a version".to_owned(), |v: crate::words::Version| v.to_string())
    };
    match &activity.kind {
        ActivityKind::NewVersion { version } => {
            let why = did(&format!("deployed {} beside the running ones", name(version)));
            seen.foreign = Some(Foreign::NewVersion(*version, why));
        }
        ActivityKind::Replaced { version } => {
            let why = did(&format!("made {} the only version", name(version)));
            seen.foreign = Some(Foreign::Replaced(*version, why));
        }
        ActivityKind::Routed => {
            seen.foreign = Some(Foreign::Changed(did("changed which versions get traffic")));
        }
        ActivityKind::Scaled => seen.foreign = Some(Foreign::Changed(did("changed the number of units"))),
        ActivityKind::Restarted => {
            seen.foreign = Some(Foreign::Changed(did("started, stopped or restarted units")));
        }
        ActivityKind::Removed => seen.foreign = Some(Foreign::Removed(did("removed the app"))),
        ActivityKind::Environment => {
            seen.notes.push(did("changed the environment, which restarts every version"));
        }
        ActivityKind::Other { name } => debug!(rollout = %rollout.id, event = name, "not ours to mind"),
    }
}
