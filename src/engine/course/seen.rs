//! What was seen in one round, and what of it is news.

use std::sync::Arc;

use super::Memory;
use crate::platform::{Activity, ActivityKind, PlatformError, PlatformErrorKind};
use crate::rollout::{Foreign, Observed, Rollout};
use crate::signal::Gathered;
use crate::words::{Time, Version};

/// What was seen in one round.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The units; nothing if they could not be listed, or nobody knows what others do.
    pub observed: Option<Observed>,
    /// What was done to the app. Most of it was seen before, and is shared.
    pub activity: Vec<Arc<Activity>>,
    /// Why there is no app any more.
    pub gone: Option<String>,
    /// What the policy's signals gave, and when they were asked; nothing where no look was due.
    pub gathered: Option<(Time, Gathered)>,
}

/// What of it is to be dealt with.
pub(super) struct News {
    /// Something holds the app's lock.
    pub(super) busy: bool,
    /// What others did, oldest first, with the platform's id.
    pub(super) affairs: Vec<(String, Affair)>,
}

/// Something that somebody else did.
pub(super) enum Affair {
    /// It changes things.
    Foreign(Foreign),
    /// It is worth writing down.
    Note(String),
    /// It is not ours to mind.
    Nothing,
}

impl Seen {
    /// What the platform showed.
    #[must_use]
    pub fn of(
        rollout: &Rollout,
        observed: Result<Observed, PlatformError>,
        activity: Result<Vec<Arc<Activity>>, PlatformError>,
    ) -> Self {
        let mut seen = Self::default();
        match observed {
            Ok(observed) => seen.observed = Some(observed),
            Err(error) if error.kind == PlatformErrorKind::NotFound => {
                seen.gone = Some(format!("app `{}` does not exist any more", rollout.app));
                return seen;
            }
            Err(error) => tracing::debug!(rollout = %rollout.id, "{error}"),
        }
        match activity {
            Ok(activity) => seen.activity = activity,
            // Without it nobody knows whether somebody else is at work: nothing is observed.
            Err(error) => {
                tracing::debug!(rollout = %rollout.id, "{error}");
                seen.observed = None;
            }
        }
        seen
    }

    /// What of it has not been dealt with.
    pub(super) fn news(&self, memory: &Memory) -> News {
        if let Some(why) = &self.gone {
            let affairs = vec![(String::new(), Affair::Foreign(Foreign::Removed(why.clone())))];
            return News { busy: false, affairs };
        }
        let rollout = memory.rollout();
        let is_new = |a: &&Arc<Activity>| {
            let later = a.started > rollout.deployed;
            a.ended.is_some() && !a.ours && a.id != rollout.trigger && later && !memory.has_heeded(&a.id)
        };
        let affairs = self.activity.iter().filter(is_new).map(|a| (a.id.clone(), affair(a))).collect();
        News { busy: self.activity.iter().any(|a| a.ended.is_none()), affairs }
    }
}

fn affair(activity: &Activity) -> Affair {
    let did = |what: &str| format!("{} {what}", activity.owner);
    if matches!(activity.kind, ActivityKind::Other { .. }) {
        return Affair::Nothing;
    }
    if let Some(error) = &activity.error {
        return Affair::Note(did(&format!("tried to change the app and failed: {error}")));
    }
    let name = |version: &Option<Version>| version.map_or_else(|| "a version".to_owned(), |v| v.to_string());
    Affair::Foreign(match &activity.kind {
        ActivityKind::NewVersion { version } => {
            Foreign::NewVersion(*version, did(&format!("deployed {} beside the running ones", name(version))))
        }
        ActivityKind::Replaced { version } => {
            Foreign::Replaced(*version, did(&format!("made {} the only version", name(version))))
        }
        ActivityKind::Routed => Foreign::Changed(did("changed which versions get traffic")),
        ActivityKind::Scaled => Foreign::Resized(did("changed the number of units")),
        ActivityKind::Restarted => Foreign::Restarted(did("started, restarted or killed units")),
        ActivityKind::Stopped => Foreign::Stopped(did("stopped units or removed a version")),
        ActivityKind::Removed => Foreign::Removed(did("removed the app")),
        ActivityKind::Environment => {
            let what = "changed the environment, which restarts every version";
            Foreign::Environment(did(what))
        }
        ActivityKind::Other { .. } => return Affair::Nothing,
    })
}
