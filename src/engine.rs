//! The loop that runs rollouts: discovery, looks, acts, restart, shutdown.
//!
//! [`Engine::run`] takes up every rollout that the journal has as unfinished, asks the platform for new deploys, and
//! gives each rollout a task of its own. Alerts and orders reach a rollout through its inbox. A daemon that is
//! stopped, or killed, goes on from the journal.

mod clock;
pub mod course;
mod discovery;
mod give_back;
mod house;
mod recall;
mod record;
mod runner;
mod watching;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use clock::{Clock, SystemClock};
pub use house::{House, Reachable, Running};
pub use runner::Message;

use crate::platform::Platform;
use crate::rollout::{Event, OrderKind, Recorded};
use crate::store::{AppendBatch, RolloutRow, StoreError};
use crate::web::{Delivery, Errand, Part};
use crate::words::{AppName, RolloutId, Version};
use discovery::Discovery;
use recall::Recalled;
use runner::Runner;
use watching::Watching;
pub use watching::kept;

/// Messages that may wait for a rollout that is busy with the platform.
const INBOX: usize = 64;

/// Runs rollouts. A clone is another hand of the same engine.
pub struct Engine<P> {
    house: Arc<House<P>>,
    watching: Arc<Watching<P>>,
    tasks: TaskTracker,
}

impl<P> Clone for Engine<P> {
    fn clone(&self) -> Self {
        let (house, watching) = (Arc::clone(&self.house), Arc::clone(&self.watching));
        Self { house, watching, tasks: self.tasks.clone() }
    }
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
            tokio::spawn(self.clone().run_errands(orders, shutdown.clone())),
        ];
        for id in self.house.store.reader().unfinished().await? {
            match Recalled::read(self.house.store.reader(), &id).await {
                Ok(recalled) => {
                    let rollout = recalled.memory.rollout();
                    info!(rollout = %id, app = %rollout.app, phase = rollout.phase.label(), "goes on");
                    self.spawn(recalled, &shutdown);
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
                        match self.open(&found.opened, Some(&found.cursor), &shutdown).await {
                            Ok(_) => discovery.began(&found),
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

    /// Hands every alert to every rollout that runs: each knows best whether it is meant.
    async fn hand_out(house: Arc<House<P>>, mut alerts: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = alerts.recv().await {
            let (mut all, mut answers) = (true, Vec::new());
            for (id, rollout) in house.running.all() {
                for alert in &delivery.alerts {
                    // A rollout that does not get to its messages must not keep alerts from the others.
                    let (taken, answer) = oneshot::channel();
                    let sent = rollout.inbox.try_send(Message::Alert(Box::new(alert.clone()), taken));
                    if matches!(sent, Err(mpsc::error::TrySendError::Full(_))) {
                        warn!(rollout = %id, alert = alert.name(), "this rollout is too busy to hear of an alert");
                        all = false;
                    } else if sent.is_ok() {
                        answers.push(answer);
                    }
                }
            }
            // What is not in the journal of all is sent again by Alertmanager; who heard it already knows it.
            tokio::spawn(async move {
                for answer in answers {
                    all &= answer.await.is_ok();
                }
                if all {
                    delivery.taken();
                }
            });
        }
    }

    /// Brings every order to the rollout that it names.
    async fn run_errands(self, mut orders: mpsc::Receiver<Errand>, shutdown: CancellationToken) {
        while let Some(Errand { rollout, order, to, answer }) = orders.recv().await {
            let found = match (self.house.running.find(&rollout), to) {
                (Ok(found), Some(to)) if found.baseline != to => {
                    let why = format!(
                        "a rollout of `{}` runs, and its way back is {}; roll that back first",
                        found.app, found.baseline
                    );
                    let _gone = answer.send(Err(why));
                    continue;
                }
                (Ok(found), _) => found,
                // Nothing runs: the app itself is meant.
                (Err(why), _) if order.kind == OrderKind::Rollback => {
                    let begun = self.give_back(AppName(rollout), to, &order.by, &shutdown).await;
                    let _gone = answer.send(begun.map_err(|other| format!("{why}; {other}")));
                    continue;
                }
                (Err(why), _) => {
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

    /// Begins a rollout that only brings an earlier version of an app back. Gives what is to be told, or why it cannot be.
    async fn give_back(
        &self,
        app: AppName,
        to: Option<Version>,
        by: &str,
        shutdown: &CancellationToken,
    ) -> Result<Vec<String>, String> {
        let opened = give_back::opened(&self.house, app, to, by).await?;
        let id = self.open(&opened, None, shutdown).await.map_err(|e| e.to_string())?;
        Ok(vec![opened.sentence(), format!("see `uguisu show {id}`")])
    }

    /// Writes a rollout's first event, and lets it run. `cursor` goes into the journal with it.
    async fn open(
        &self,
        opened: &Event,
        cursor: Option<&(String, String)>,
        shutdown: &CancellationToken,
    ) -> Result<RolloutId, StoreError> {
        let id = RolloutId(uuid::Uuid::now_v7().to_string());
        let first = Recorded { at: self.house.clock.now(), event: opened.clone() };
        let recalled = Recalled::begin(id, &first)?;
        let rollout = recalled.memory.rollout();
        let mut batch = AppendBatch::of(0, std::slice::from_ref(&first))?;
        batch.index = Some(RolloutRow::from(rollout));
        batch.cursors.extend(cursor.cloned());
        batch.outbox = crate::notify::messages(rollout, 0, std::slice::from_ref(&first))?;
        self.house.store.append(&rollout.id, batch).await?;
        info!(rollout = %rollout.id, app = %rollout.app, "{}", first.event.sentence());
        let id = rollout.id.clone();
        self.spawn(recalled, shutdown);
        Ok(id)
    }

    fn spawn(&self, recalled: Recalled, shutdown: &CancellationToken) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let rollout = recalled.memory.rollout();
        let id = rollout.id.clone();
        let (baseline, canary) = (rollout.baseline, rollout.canary);
        let reachable = Reachable { app: rollout.app.clone(), baseline, canary, inbox: sender };
        self.house.running.add(id.clone(), reachable);
        self.house.metrics.moved(None, rollout.phase);
        let runner = Runner::new((Arc::clone(&self.house), Arc::clone(&self.watching)), recalled, inbox);
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
