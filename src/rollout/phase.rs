//! Where a rollout is in its life.

use serde::{Deserialize, Serialize};

use super::event::Ending;

/// Where a rollout is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The canary was found; nothing has been moved.
    Pending,
    /// The canary gets a step's share.
    Step,
    /// It stands still and waits for a person.
    Paused,
    /// The canary becomes the only version.
    Promoting,
    /// The canary has everything; the way back stays open for a while.
    Watching,
    /// What was taken away for the rollout is given back; traffic stays as it is.
    Leaving,
    /// The baseline becomes the only version that serves.
    RollingBack,
    /// The canary serves alone.
    Promoted,
    /// The baseline serves alone.
    RolledBack,
    /// A newer deploy took its place.
    Superseded,
    /// Somebody changed the app.
    TakenOver,
    /// It was only to observe.
    Observed,
    /// It could not be carried out.
    Failed,
    /// Both versions were left serving.
    Kept,
}

impl Phase {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Promoted
                | Self::RolledBack
                | Self::Superseded
                | Self::TakenOver
                | Self::Observed
                | Self::Failed
                | Self::Kept
        )
    }

    /// The word that programs read.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Step => "step",
            Self::Paused => "paused",
            Self::Promoting => "promoting",
            Self::Watching => "watching",
            Self::Leaving => "leaving",
            Self::RollingBack => "rolling_back",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
            Self::TakenOver => "taken_over",
            Self::Observed => "observed",
            Self::Failed => "failed",
            Self::Kept => "kept",
        }
    }
}

impl From<Ending> for Phase {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Promoted => Self::Promoted,
            Ending::RolledBack => Self::RolledBack,
            Ending::Superseded => Self::Superseded,
            Ending::TakenOver => Self::TakenOver,
            Ending::Observed => Self::Observed,
            Ending::Failed => Self::Failed,
            Ending::Kept => Self::Kept,
        }
    }
}
