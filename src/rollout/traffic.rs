//! Traffic as the rollout sees it: what the platform was observed to have, and the commands that change it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::words::{Share, Time, Version};

/// One running instance of a process of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name, unique in the app.
    pub name: String,
    /// The process that it runs.
    pub process: String,
    /// The version that it runs.
    pub version: Version,
    /// Where it can be reached, as `host:port`; nothing while it has no address.
    pub address: Option<String>,
    /// All its containers are ready.
    pub ready: bool,
    /// It is meant to receive users' requests.
    pub routable: bool,
    /// It belongs to the base deployment, not to one made for a version beside it.
    pub base: bool,
    /// The platform's word for its state, with the reason if there is one.
    pub status: String,
    /// How often its containers were restarted.
    pub restarts: u32,
    /// When it was made.
    pub created: Option<Time>,
}

/// Something on the platform that changes the number of units of a process by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    /// The process.
    pub process: String,
    /// The one version whose units it changes; nothing where the platform does not say.
    pub version: Option<Version>,
    /// The platform's own description of it, from which it can be made again.
    pub spec: String,
}

/// What the platform showed of one app at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// When it was asked.
    pub at: Time,
    /// All units that exist. Shared: it is read every few seconds, kept by several, and seldom changes.
    pub units: Arc<[Unit]>,
    /// The autoscalers: each changes the number of units of one process.
    pub autoscaled: Vec<Autoscaler>,
    /// How many more units the quota allows; nothing: no limit.
    pub quota_left: Option<u32>,
    /// What the platform could not tell, in its words; what it concerns is missing above.
    pub gaps: Vec<String>,
}

impl Observed {
    /// How many units of `version` receive users' requests now: ready and routable.
    #[must_use]
    pub fn serving(&self, version: Version, process: &str) -> u32 {
        self.count(|u| u.version == version && u.process == process && u.ready && u.routable)
    }

    /// How many units of `version` users are routed to, ready or not: as many as it is meant to serve with.
    #[must_use]
    pub fn routed(&self, version: Version, process: &str) -> u32 {
        self.count(|u| u.version == version && u.process == process && u.routable)
    }

    /// The processes whose units the platform is replacing, or got stuck while it did: their base has units of more than
    /// one version.
    #[must_use]
    pub fn replacing(&self) -> BTreeSet<&str> {
        let other = |unit: &Unit| {
            let same = |u: &&Unit| u.base && u.process == unit.process;
            self.units.iter().filter(same).any(|u| u.version != unit.version)
        };
        self.units.iter().filter(|u| u.base && other(u)).map(|u| u.process.as_str()).collect()
    }

    /// Whether the platform has a process of `version` both as its base and beside it, as when it stopped half way through
    /// making it the base. It then refuses to change either. A base with units of several versions is still being
    /// replaced, and may be on its way back.
    #[must_use]
    pub fn has_twice(&self, version: Version) -> bool {
        let is_base = |process: &str| {
            let mut base = self.units.iter().filter(|u| u.base && u.process == process).peekable();
            base.peek().is_some() && base.all(|u| u.version == version)
        };
        self.units.iter().any(|u| !u.base && u.version == version && is_base(&u.process))
    }

    /// Whether a process of `version` has units both in its base and beside it.
    #[must_use]
    pub fn is_beside_base(&self, version: Version) -> bool {
        let in_base =
            |process: &str| self.units.iter().any(|u| u.base && u.version == version && u.process == process);
        self.units.iter().any(|u| !u.base && u.version == version && in_base(&u.process))
    }

    /// How many units of `version` are ready, routed or not.
    #[must_use]
    pub fn ready(&self, version: Version, process: &str) -> u32 {
        self.count(|u| u.version == version && u.process == process && u.ready)
    }

    /// How many units of `version` exist, ready or not.
    #[must_use]
    pub fn existing(&self, version: Version, process: &str) -> u32 {
        self.count(|u| u.version == version && u.process == process)
    }

    /// How many units of `version` the platform is to keep. Those that exist; but where it makes them anew, or got stuck in
    /// that, old and new ones exist side by side, and about as many are ready as it is to keep: it takes none away
    /// before another is ready.
    #[must_use]
    pub fn kept(&self, version: Version, process: &str) -> u32 {
        let is_anew = self.makes_anew(version, process);
        if is_anew { self.ready(version, process) } else { self.existing(version, process) }
    }

    /// Whether the platform makes the units of `version` anew, as after a change of the environment, or got stuck in that:
    /// they belong to more than one set. A unit is named after its set, and a part of its own.
    #[must_use]
    pub fn makes_anew(&self, version: Version, process: &str) -> bool {
        fn set(unit: &Unit) -> &str {
            unit.name.rsplit_once('-').map_or("", |(set, _)| set)
        }
        let (mut base, mut beside) = (None, None);
        self.units.iter().filter(|u| u.version == version && u.process == process).any(|unit| {
            let first = if unit.base { &mut base } else { &mut beside };
            *first.get_or_insert(set(unit)) != set(unit)
        })
    }

    /// Whether the platform could tell of its autoscalers.
    #[must_use]
    pub fn shows_autoscalers(&self) -> bool {
        self.gaps.iter().all(|gap| !gap.contains("autoscaler"))
    }

    /// The share of users' requests that `version` can be expected to get: its serving units among all serving ones.
    #[must_use]
    pub fn share(&self, version: Version, process: &str) -> Share {
        Share::of(
            self.serving(version, process),
            self.count(|u| u.process == process && u.ready && u.routable),
        )
    }

    /// The version that serves users alone; nothing while several do, or none.
    #[must_use]
    pub fn alone(&self) -> Option<Version> {
        let mut serving = self.units.iter().filter(|u| u.routable).map(|u| u.version);
        let first = serving.next()?;
        serving.all(|version| version == first).then_some(first)
    }

    fn count(&self, keep: impl Fn(&Unit) -> bool) -> u32 {
        u32::try_from(self.units.iter().filter(|u| keep(u)).count()).unwrap_or(u32::MAX)
    }
}

/// One change to an app's traffic or units.
///
/// Commands that name a difference (`AddUnits`, `RemoveUnits`) are not idempotent: after an unknown outcome the
/// platform is observed anew and the difference computed anew; they are never repeated blindly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Command {
    /// Let the version receive users' requests.
    Route {
        /// The version.
        version: Version,
    },
    /// Take the version out of routing.
    Unroute {
        /// The version.
        version: Version,
    },
    /// Add units of a version's process.
    AddUnits {
        /// The version.
        version: Version,
        /// The process.
        process: String,
        /// How many more; above 0.
        count: u32,
    },
    /// Remove units of a version's process.
    RemoveUnits {
        /// The version.
        version: Version,
        /// The process.
        process: String,
        /// How many fewer; above 0.
        count: u32,
    },
    /// Make the version the only one: the base is rebuilt with it and all others are removed.
    MakeOnly {
        /// The version.
        version: Version,
    },
    /// Remove a version that runs beside the base.
    Delete {
        /// The version.
        version: Version,
    },
    /// Let the app's autoscalers change the units of this version, and of no other.
    MoveAutoscalers {
        /// The version.
        version: Version,
    },
    /// Remove the autoscaler of a process; its units stay as many as they are.
    SuspendAutoscaler {
        /// The process.
        process: String,
    },
    /// Make an autoscaler again that was removed. The platform chooses the version whose units it changes.
    RestoreAutoscaler {
        /// As it was observed.
        autoscaler: Autoscaler,
    },
    /// Mark a version so that nobody rolls back to it.
    Quarantine {
        /// The version.
        version: Version,
        /// Why.
        reason: String,
    },
}

impl Command {
    /// Whether doing it twice is the same as doing it once.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        !matches!(self, Self::AddUnits { .. } | Self::RemoveUnits { .. })
    }

    /// Whether it changes how many units there are, or which.
    #[must_use]
    pub fn moves_units(&self) -> bool {
        matches!(self, Self::AddUnits { .. } | Self::RemoveUnits { .. } | Self::MakeOnly { .. })
    }

    /// The version whose routing it changes.
    #[must_use]
    pub fn toggled(&self) -> Option<Version> {
        match self {
            Self::Route { version } | Self::Unroute { version } => Some(*version),
            _ => None,
        }
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Route { version } => write!(f, "route users to {version}"),
            Self::Unroute { version } => write!(f, "take {version} out of routing"),
            Self::AddUnits { version, process, count } => {
                write!(f, "add {count} `{process}` unit(s) of {version}")
            }
            Self::RemoveUnits { version, process, count } => {
                write!(f, "remove {count} `{process}` unit(s) of {version}")
            }
            Self::MakeOnly { version } => write!(f, "make {version} the only version"),
            Self::Delete { version } => write!(f, "delete {version}"),
            Self::MoveAutoscalers { version } => write!(f, "let the autoscalers change {version}"),
            Self::SuspendAutoscaler { process } => write!(f, "remove the autoscaler of `{process}`"),
            Self::RestoreAutoscaler { autoscaler } => {
                write!(f, "restore the autoscaler of `{}`", autoscaler.process)
            }
            Self::Quarantine { version, .. } => write!(f, "quarantine {version}"),
        }
    }
}

/// What a failure means for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformErrorKind {
    /// Nothing was done; the app is locked, throttled or blocked by something else. Try again later.
    Busy,
    /// Nothing was done; the platform has a process of the version more than once, as what it removed takes a while to end.
    /// Try again later; if that does not help, a person must.
    Doubled,
    /// Nothing was done and nothing will be: the request can never succeed as it is.
    Refused,
    /// Nothing was done: the token was not accepted. May pass (the platform's database may be away), with a bound.
    Unauthorized,
    /// The app does not exist, or not any more.
    NotFound,
    /// Nothing was done: the platform could not be reached.
    Unreachable,
    /// It was tried and reported as failed; part of it may have been done. Observe before anything else.
    Failed,
    /// The answer was lost; the platform may still be working on it. Observe before anything else.
    Unknown,
}

impl PlatformErrorKind {
    /// Whether nothing was done, and may be done once what was in the way has passed.
    #[must_use]
    pub fn is_untouched(self) -> bool {
        matches!(self, Self::Busy | Self::Doubled | Self::Unauthorized | Self::Unreachable)
    }

    /// The word that programs read.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Doubled => "doubled",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
