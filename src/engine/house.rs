//! What all rollouts share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::runner::Message;
use crate::policy::PolicySet;
use crate::signal::{Prober, Source};
use crate::store::Store;
use crate::web::{AlertLabels, Metrics, Readiness};
use crate::words::{AppName, RolloutId, Span, Version};

/// What all rollouts share: the platform, the journal, the sources, the clock.
pub struct House<P> {
    /// Where traffic is.
    pub platform: P,
    /// The journal.
    pub store: Store,
    /// Where samples come from.
    pub source: Arc<Source>,
    /// Asks units whether they are well.
    pub prober: Prober,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The policies that hold now.
    pub policies: watch::Receiver<Arc<PolicySet>>,
    /// What the daemon counts of itself.
    pub metrics: Arc<Metrics>,
    /// What the daemon says of its readiness.
    pub readiness: Readiness,
    /// The labels by which alerts name apps and versions.
    pub alert_labels: AlertLabels,
    /// The time between two questions to the platform for new deploys.
    pub poll_every: Span,
    /// The rollouts that run in this process.
    pub running: Running,
}

/// The rollouts that run in this process, with the way to reach each.
#[derive(Debug, Default)]
pub struct Running {
    /// A plain lock: held for a lookup, never across an await.
    rollouts: Mutex<BTreeMap<RolloutId, Reachable>>,
}

/// A running rollout as others reach it.
#[derive(Debug, Clone)]
pub struct Reachable {
    /// Its app.
    pub app: AppName,
    /// Its baseline.
    pub baseline: Version,
    /// Its canary.
    pub canary: Version,
    /// Where messages for it go.
    pub inbox: mpsc::Sender<Message>,
}

impl Running {
    /// The rollout of an app that runs; nothing if none does.
    #[must_use]
    pub fn of(&self, app: &AppName) -> Option<(RolloutId, Reachable)> {
        let rollouts = self.rollouts.lock().unwrap_or_else(PoisonError::into_inner);
        rollouts.iter().find(|(_, r)| r.app == *app).map(|(id, r)| (id.clone(), r.clone()))
    }

    /// All rollouts that run.
    #[must_use]
    pub fn all(&self) -> Vec<(RolloutId, Reachable)> {
        let rollouts = self.rollouts.lock().unwrap_or_else(PoisonError::into_inner);
        rollouts.iter().map(|(id, r)| (id.clone(), r.clone())).collect()
    }

    /// The rollout that runs and is named by its id, a beginning of it that fits no other, or its app.
    ///
    /// # Errors
    /// In words, where none or several fit.
    pub fn find(&self, name: &str) -> Result<Reachable, String> {
        let mut fitting: Vec<_> = self
            .all()
            .into_iter()
            .filter(|(id, r)| r.app.0 == name || (!name.is_empty() && id.0.starts_with(name)))
            .collect();
        match (fitting.pop(), fitting.len()) {
            (Some((_, rollout)), 0) => Ok(rollout),
            (None, _) => Err(format!(
                "no rollout that runs has the id or the app `{name}`; see `uguisu list --unfinished`"
            )),
            (Some(_), _) => {
                Err(format!("several rollouts run whose id begins with `{name}`; give more of it"))
            }
        }
    }

    pub(super) fn add(&self, id: RolloutId, reachable: Reachable) {
        self.rollouts.lock().unwrap_or_else(PoisonError::into_inner).insert(id, reachable);
    }

    pub(super) fn remove(&self, id: &RolloutId) {
        self.rollouts.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
