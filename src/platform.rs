//! What a rollout acts on.
//!
//! A [`Platform`] can be observed and commanded. The engine is written against this trait. There is [`tsuru`]; any
//! other deployer by signed requests ([`webhook`]); and a recorder before either that only writes down what would be
//! done ([`record`]). [`Configured`] is the one that the configuration names.
//!
//! An adapter reads before it writes, knows which errors mean "not done", "done" and "nobody knows", and never
//! repeats a command that names a difference: the engine observes again and computes the difference anew.

mod configured;
pub mod effect;
pub mod guard;
pub mod record;
pub mod tsuru;
pub mod webhook;

use std::future::Future;

use serde::{Deserialize, Serialize};

pub use crate::rollout::PlatformErrorKind;
use crate::rollout::{Command, Observed};
use crate::words::{AppName, Time, Version};
pub use configured::{Configured, PlatformConfig, RecordConfig};

/// An app as a listing shows it: enough to match it with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// The pool that it runs in.
    pub pool: String,
    /// The team that owns it.
    pub team: String,
}

/// Something that somebody did to an app, as the platform recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The platform's id of it.
    pub id: String,
    /// The app.
    pub app: AppName,
    /// What was done.
    pub kind: ActivityKind,
    /// Who did it, in the platform's words.
    pub owner: String,
    /// This daemon did it (by the owner's name).
    pub ours: bool,
    /// When it began.
    pub started: Time,
    /// When it ended; nothing while it runs.
    pub ended: Option<Time>,
    /// Why it failed; nothing if it did not, or still runs.
    pub error: Option<String>,
}

/// What was done to an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ActivityKind {
    /// A version was deployed beside those that serve.
    NewVersion {
        /// Its number; nothing while it is not known (it still runs, or it failed).
        version: Option<Version>,
    },
    /// A version was deployed, or rolled back to, in place of the others.
    Replaced {
        /// Its number; nothing while it is not known.
        version: Option<Version>,
    },
    /// Routing of a version changed.
    Routed,
    /// Units were added or removed, or an autoscaler changed.
    Scaled,
    /// The app was started or restarted, or a unit killed.
    Restarted,
    /// The app, a process or a version was stopped, or a version removed.
    Stopped,
    /// The environment changed, which restarts every version.
    Environment,
    /// The app was removed.
    Removed,
    /// Anything else; the platform's name of it.
    Other {
        /// The platform's name of it.
        name: String,
    },
}

/// What a command led to.
#[derive(Debug, thiserror::Error)]
#[error("{action} failed: {message}")]
pub struct PlatformError {
    /// What was tried, as "routing users to v3 of app `shop`".
    pub action: String,
    /// What came back and what to do about it, without secrets.
    pub message: String,
    /// What it means for the one who asked.
    pub kind: PlatformErrorKind,
}

/// A platform: somewhere that apps run in versions and units.
pub trait Platform: Send + Sync + 'static {
    /// The apps that this daemon may see.
    fn apps(&self) -> impl Future<Output = Result<Vec<App>, PlatformError>> + Send;

    /// The app's units now. An observation whose units could not be listed is an error, never an empty list.
    fn observe(&self, app: &AppName) -> impl Future<Output = Result<Observed, PlatformError>> + Send;

    /// What was done since `since` (by start, with whatever still runs), oldest first, to one app or to all.
    fn activity(
        &self,
        app: Option<&AppName>,
        since: Time,
    ) -> impl Future<Output = Result<Vec<Activity>, PlatformError>> + Send;

    /// The version that the app's base deployment runs: the one that a plain deploy would replace.
    fn base(&self, app: &AppName) -> impl Future<Output = Result<Option<Version>, PlatformError>> + Send;

    /// The version that served before `version` took its place; nothing where the platform does not know.
    fn replaced(
        &self,
        app: &AppName,
        version: Version,
    ) -> impl Future<Output = Result<Option<Version>, PlatformError>> + Send {
        let _ = (app, version);
        std::future::ready(Ok(None))
    }

    /// Does one command and waits for its end.
    fn execute(
        &self,
        app: &AppName,
        command: &Command,
    ) -> impl Future<Output = Result<(), PlatformError>> + Send;

    /// Where the platform is, for the log; without secrets.
    fn describe(&self) -> String;
}
