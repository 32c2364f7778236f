//! The loop that runs rollouts: discovery, looks, acts, restart, shutdown.
//!
//! [`Engine::run`] takes up every rollout that the journal has as unfinished, asks the platform for new deploys, and
//! gives each rollout a task of its own. Alerts and orders reach a rollout through its inbox. A daemon that is
//! stopped, or killed, goes on from the journal.

mod clock;
mod discovery;
mod house;
mod record;
mod runner;
mod seen;
mod watching;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use clock::{Clock, SystemClock};
pub use house::{House, Reachable, Running};
pub use runner::Message;

use crate::judge::Judge;
use crate::platform::Platform;
use crate::rollout::{Event, Recorded, Rollout};
use crate::signal::GathererState;
use crate::store::{AppendBatch, Reader, RolloutRow, StoreError};
use crate::web::{Delivery, Errand, Part};
use crate::words::RolloutId;
use discovery::{Discovery, Found};
use runner::{Runner, Snapshot};
use watching::Watching;

/// Messages that may wait for a rollout that is busy with the platform.
const INBOX: usize = 64;

/// Runs rollouts.
pub struct Engine<P> {
    house: Arc<House<P>>,
    watching: Arc<Watching<P>>,
    tasks: TaskTracker,
}

impl<P: Platform> Engine<P> {
    /// An engine for this house.
    #[must_use]
    pub fn new(house: Arc<House<P>>) -> Self {
        Self { watching: Watching::new(Arc::clone(&house)), house, tasks: TaskTracker::new() }
    }

    /// Runs until `shutdown`, then waits for every rollout to come to rest.
    ///
    /// # Errors
    /// When the journal cannot be read at the start.
    pub async fn run(
        self,
        alerts: mpsc::Receiver<Delivery>,
        orders: mpsc::Receiver<Errand>,
        shutdown: CancellationToken,
    ) -> Result<(), StoreError> {
        let hands = [
            tokio::spawn(Self::hand_out(Arc::clone(&self.house), alerts)),
            tokio::spawn(Self::run_errands(Arc::clone(&self.house), orders)),
        ];
        for id in self.house.store.reader().unfinished().await? {
            match recall(self.house.store.reader(), &id).await {
                Ok(snapshot) => {
                    info!(rollout = %id, app = %snapshot.rollout.app, phase = snapshot.rollout.phase.label(), "goes on");
                    self.spawn(snapshot, &shutdown);
                }
                // One damaged rollout must not keep the others from running.
                Err(e) => {
                    error!(rollout = %id, "this rollout cannot be taken up again, a person must look: {e}");
                }
            }
        }
        self.tasks.spawn(Arc::clone(&self.watching).run(shutdown.clone()));
        let mut discovery = Discovery::resume(Arc::clone(&self.house)).await?;
        let mut reached = true;
        while !shutdown.is_cancelled() {
            match discovery.ask().await {
                Ok(found) => {
                    for found in found {
                        match self.open(&found, &shutdown).await {
                            Ok(()) => discovery.began(&found),
                            Err(e) => error!("a rollout could not be begun; it is tried again: {e}"),
                        }
                    }
                    if !reached {
                        info!("the platform answers again");
                    }
                    reached = true;
                    self.house.readiness.works(Part::Platform);
                }
                Err(e) => {
                    if reached {
                        warn!("{e}; trying again every {}", self.house.poll_every);
                    }
                    reached = false;
                    self.house.metrics.platform_called("activity", e.kind.label());
                    self.house.readiness.fails(Part::Platform, e);
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.house.poll_every.as_duration()) => {}
            }
        }
        discovery.keep().await;
        self.tasks.close();
        self.tasks.wait().await;
        hands.iter().for_each(tokio::task::JoinHandle::abort);
        Ok(())
    }

    /// Hands every alert to every rollout that runs, until `shutdown`: each knows best whether it is meant.
    async fn hand_out(house: Arc<House<P>>, mut alerts: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = alerts.recv().await {
            for (_, rollout) in house.running.all() {
                for alert in &delivery.alerts {
                    // A rollout that has just ended hears nothing, and that is right.
                    let _ended = rollout.inbox.send(Message::Alert(Box::new(alert.clone()))).await;
                }
            }
            delivery.taken();
        }
    }

    /// Brings every order to the rollout that it names.
    async fn run_errands(house: Arc<House<P>>, mut orders: mpsc::Receiver<Errand>) {
        while let Some(Errand { rollout, order, answer }) = orders.recv().await {
            let found = match house.running.find(&rollout) {
                Ok(found) => found,
                Err(why) => {
                    let _gone = answer.send(Err(why));
                    continue;
                }
            };
            let (sender, sentences) = oneshot::channel();
            if found.inbox.send(Message::Order(order, sender)).await.is_ok() {
                // The next order must not wait for what this one's rollout waits for.
                tokio::spawn(async move {
                    let ended = || "the rollout ended before it heard the order".to_owned();
                    let _gone = answer.send(sentences.await.map_err(|_| ended()));
                });
            }
        }
    }

    /// Writes a rollout's first event, and lets it run.
    async fn open(&self, found: &Found, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let id = RolloutId(uuid::Uuid::now_v7().to_string());
        let first = Recorded { at: self.house.clock.now(), event: found.opened.clone() };
        let snapshot = begin(id, &first)?;
        self.write_first(&snapshot, &first, found.cursor.clone()).await?;
        info!(rollout = %snapshot.rollout.id, app = %snapshot.rollout.app, "{}", first.event.sentence());
        self.spawn(snapshot, shutdown);
        Ok(())
    }

    async fn write_first(
        &self,
        snapshot: &Snapshot,
        first: &Recorded,
        cursor: (String, String),
    ) -> Result<(), StoreError> {
        let mut batch = AppendBatch::of(0, std::slice::from_ref(first))?;
        batch.index = Some(RolloutRow::from(&snapshot.rollout));
        batch.cursors.push(cursor);
        batch.outbox = crate::notify::messages(&snapshot.rollout, 0, std::slice::from_ref(first))?;
        self.house.store.append(&snapshot.rollout.id, batch).await
    }

    fn spawn(&self, snapshot: Snapshot, shutdown: &CancellationToken) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let rollout = &snapshot.rollout;
        let id = rollout.id.clone();
        let reachable = Reachable { app: rollout.app.clone(), canary: rollout.canary, inbox: sender };
        self.house.running.add(id.clone(), reachable);
        let runner = Runner::new((Arc::clone(&self.house), Arc::clone(&self.watching)), snapshot, inbox);
        let runner = match runner {
            Ok(runner) => runner,
            Err(e) => {
                self.house.running.remove(&id);
                return error!(rollout = %id, "this rollout cannot be run, a person must look: {e}");
            }
        };
        let (house, shutdown) = (Arc::clone(&self.house), shutdown.clone());
        self.tasks.spawn(async move {
            if let Err(e) = runner.run(shutdown).await {
                error!(rollout = %id, "this rollout stands still, a person must look: {e}");
            }
            house.running.remove(&id);
        });
    }
}

/// A rollout's state after its first event.
fn begin(id: RolloutId, first: &Recorded) -> Result<Snapshot, StoreError> {
    let wrong = StoreError::Illegal { detail: format!("rollout {id} does not begin with `opened`") };
    let rollout = Rollout::open(id, first).ok_or(wrong)?;
    Ok(Snapshot { judge: Judge::new(&rollout.policy, &[]), gatherer: GathererState::default(), rollout })
}

/// A rollout as the journal has it: the last state, or the fold of all events where there is none that can be read.
async fn recall(journal: &Reader, id: &RolloutId) -> Result<Snapshot, StoreError> {
    let missing = || StoreError::Illegal { detail: format!("rollout {id} has no events") };
    let loaded = journal.load(id).await?.ok_or_else(missing)?;
    let cached = loaded.snapshot.as_ref().map(|(_, body)| serde_json::from_str::<Snapshot>(body));
    let (mut snapshot, after) = match cached {
        Some(Ok(snapshot)) => (snapshot, loaded.after),
        unreadable => {
            if let Some(Err(e)) = unreadable {
                warn!(rollout = %id, "the cached state cannot be read, so all events are folded anew: {e}");
            }
            let mut all = journal.events(id, 0, u32::MAX).await?;
            if all.is_empty() {
                return Err(missing());
            }
            let first = all.remove(0).read(id)?;
            (begin(id.clone(), &first)?, all)
        }
    };
    for entry in after {
        let recorded = entry.read(id)?;
        match &recorded.event {
            Event::Learnt { look } => drop(snapshot.judge.learn(look)),
            Event::Looked { look, .. } => drop(snapshot.judge.look(look)),
            _ => {}
        }
        snapshot.rollout.apply(&recorded).map_err(|e| StoreError::Illegal { detail: e.to_string() })?;
    }
    Ok(snapshot)
}
