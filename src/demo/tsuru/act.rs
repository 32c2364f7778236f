//! What can be asked of the install, and what events are told of it.

use super::event::Start;

/// What somebody asks for. Version selectors are as the caller wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Let a version receive users' requests, or take it out.
    Routable {
        /// The selector.
        version: String,
        /// Whether it shall.
        routable: bool,
    },
    /// Add units.
    AddUnits {
        /// How many more.
        units: u32,
        /// The process; empty: the only one.
        process: String,
        /// The selector; empty: the only one deployed.
        version: String,
    },
    /// Remove units.
    RemoveUnits {
        /// How many fewer.
        units: u32,
        /// The process; empty: the only one.
        process: String,
        /// The selector; empty: the only one deployed.
        version: String,
    },
    /// Build an image and run it.
    Deploy(Deploy),
    /// Run a version that was built earlier.
    Rollback(Deploy),
    /// Remove a version's deployments.
    DeleteVersion {
        /// The selector.
        version: String,
    },
    /// Mark a version so that nobody rolls back to it, or take the mark off.
    UpdateRollback {
        /// The selector.
        image: String,
        /// Whether to mark.
        disable: bool,
        /// Why.
        reason: String,
    },
    /// Stop, start or restart.
    Change {
        /// Which of them.
        state: State,
        /// The process; empty: all.
        process: String,
        /// The selector; empty: all.
        version: String,
    },
    /// Remove one unit; a new one takes its place.
    KillUnit {
        /// Its name.
        unit: String,
        /// Without grace.
        force: bool,
    },
    /// Make or change the autoscaler of a process.
    SetAutoscale {
        /// The process; empty: the only one.
        process: String,
        /// The fewest units.
        min: u32,
        /// The most units.
        max: u32,
        /// The processor load that it aims at.
        cpu: String,
    },
    /// Remove the autoscaler of a process.
    RemoveAutoscale {
        /// The process.
        process: String,
    },
    /// Let the autoscalers change another version's units.
    SwapAutoscale {
        /// The number of the version.
        version: String,
    },
    /// Change the environment, which restarts every version.
    SetEnv {
        /// The names that change.
        names: Vec<String>,
    },
    /// Remove the app.
    DeleteApp,
    /// The collector of old images holds the lock for a while.
    VersionGc,
}

/// What a deploy or rollback is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deploy {
    /// The image to build from, or the selector of the version to roll back to.
    pub image: String,
    /// Where it came from.
    pub origin: String,
    /// What the deployer says about it.
    pub message: String,
    /// Beside what runs.
    pub new_version: bool,
    /// In place of all that runs.
    pub override_versions: bool,
}

/// What becomes of the units of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// None run.
    Stop,
    /// As many run as before the stop.
    Start,
    /// New ones take their place.
    Restart,
}

impl Act {
    /// The kind of its event.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Routable { .. } => "app.update.routable",
            Self::AddUnits { .. } => "app.update.unit.add",
            Self::RemoveUnits { .. } => "app.update.unit.remove",
            Self::Deploy(_) | Self::Rollback(_) => "app.deploy",
            Self::DeleteVersion { .. } => "app.update",
            Self::UpdateRollback { .. } => "app.update.deploy.rollback",
            Self::Change { state: State::Stop, .. } => "app.update.stop",
            Self::Change { state: State::Start, .. } => "app.update.start",
            Self::Change { state: State::Restart, .. } => "app.update.restart",
            Self::KillUnit { .. } => "app.update.unit.kill",
            Self::SetAutoscale { .. } => "app.update.unit.autoscale.add",
            Self::RemoveAutoscale { .. } => "app.update.unit.autoscale.remove",
            Self::SwapAutoscale { .. } => "app.update.unit.autoscale.swap",
            Self::SetEnv { .. } => "app.update.env.set",
            Self::DeleteApp => "app.delete",
            Self::VersionGc => "version gc",
        }
    }

    /// Whether its event can be cancelled while it runs (a deploy only until its image is built).
    #[must_use]
    pub fn cancelable(&self) -> bool {
        matches!(
            self,
            Self::AddUnits { .. }
                | Self::RemoveUnits { .. }
                | Self::Deploy(_)
                | Self::Rollback(_)
                | Self::DeleteVersion { .. }
                | Self::Change { .. }
                | Self::SetEnv { .. }
        )
    }
}

impl Act {
    /// What its event is told at its start.
    pub(super) fn start(&self, app: &str, user: &str) -> Start {
        // The parameters of the path are among the fields; a field that was not sent is not.
        let form = |fields: &[(&str, &str)]| {
            let path = [(":app", app)];
            let sent = fields.iter().chain(&path).filter(|(_, value)| !value.is_empty());
            Start::Form(sent.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        match self {
            Self::Routable { version, routable } => {
                form(&[("version", version), ("isRoutable", &routable.to_string())])
            }
            Self::AddUnits { units, process, version } | Self::RemoveUnits { units, process, version } => {
                form(&[("units", &units.to_string()), ("process", process), ("version", version)])
            }
            Self::Deploy(deploy) => deploy.start(false, user),
            Self::Rollback(deploy) => deploy.start(true, user),
            Self::DeleteVersion { version } => form(&[(":version", version)]),
            Self::UpdateRollback { image, disable, reason } => {
                form(&[("image", image), ("disable", &disable.to_string()), ("reason", reason)])
            }
            Self::Change { process, version, .. } => form(&[("process", process), ("version", version)]),
            Self::KillUnit { unit, force } => Start::Unit { unit: unit.clone(), force: *force },
            Self::SetAutoscale { process, min, max, cpu } => form(&[
                ("process", process),
                ("minUnits", &min.to_string()),
                ("maxUnits", &max.to_string()),
                ("averageCPU", cpu),
            ]),
            Self::RemoveAutoscale { process } => form(&[("process", process)]),
            Self::SwapAutoscale { version } => form(&[("version", version)]),
            Self::SetEnv { names } => {
                let value = |n: usize| (format!("Envs.{n}.Value"), "*****".to_owned());
                let name = |(n, name): (usize, &String)| [(format!("Envs.{n}.Name"), name.clone()), value(n)];
                Start::Form(names.iter().enumerate().flat_map(name).collect())
            }
            Self::DeleteApp => form(&[]),
            Self::VersionGc => Start::Form(Vec::new()),
        }
    }
}

impl Deploy {
    fn start(&self, rollback: bool, user: &str) -> Start {
        Start::Deploy {
            image: self.image.clone(),
            origin: self.origin.clone(),
            message: self.message.clone(),
            rollback,
            new_version: self.new_version,
            override_versions: self.override_versions,
            user: user.to_owned(),
        }
    }
}
