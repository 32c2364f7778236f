//! The loop that runs rollouts: discovery, looks, acts, restart, shutdown.
//!
//! [`Engine::run`] takes up every rollout that the journal has as unfinished, asks the platform for new deploys, and
//! gives each rollout a task of its own. Alerts and orders reach a rollout through its inbox. A daemon that is
//! stopped, or killed, goes on from the journal.

mod clock;
pub mod course;
mod discovery;
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
use crate::rollout::Recorded;
use crate::store::{AppendBatch, RolloutRow, StoreError};
use crate::web::{Delivery, Errand, Part};
use crate::words::RolloutId;
use discovery::{Discovery, Found};
use recall::Recalled;
use runner::Runner;
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
        let recalled = Recalled::begin(id, &first)?;
        let rollout = recalled.memory.rollout();
        let mut batch = AppendBatch::of(0, std::slice::from_ref(&first))?;
        batch.index = Some(RolloutRow::from(rollout));
        batch.cursors.push(found.cursor.clone());
        batch.outbox = crate::notify::messages(rollout, 0, std::slice::from_ref(&first))?;
        self.house.store.append(&rollout.id, batch).await?;
        info!(rollout = %rollout.id, app = %rollout.app, "{}", first.event.sentence());
        self.spawn(recalled, shutdown);
        Ok(())
    }

    fn spawn(&self, recalled: Recalled, shutdown: &CancellationToken) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let rollout = recalled.memory.rollout();
        let id = rollout.id.clone();
        let reachable = Reachable { app: rollout.app.clone(), canary: rollout.canary, inbox: sender };
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
