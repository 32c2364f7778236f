//! One rollout, from where the journal has it to its end: the shell around its [`Course`].
//!
//! The loop sees, gathers, lets the course decide, writes that down, and only then acts; it may be stopped at any point
//! and begun again from the journal. A command runs beside the loop, so that the canary is watched while the platform
//! works; only one runs at a time.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::course::{Course, Heard, Seen};
use super::house::House;
use super::recall::Recalled;
use super::record::Recorder;
use super::watching::Watching;
use crate::platform::{Platform, PlatformError};
use crate::rollout::{Command, Event, Observed, Order, PlatformErrorKind, Recorded};
use crate::signal::{Gathered, Gatherer, Subject};
use crate::store::StoreError;
use crate::web::{Alert, AlertStatus, Match, match_alert};
use crate::words::{Arms, Time};

/// How long a command that runs at shutdown is waited for. Its outcome is looked up after the next start.
const LAST_ANSWER: std::time::Duration = std::time::Duration::from_secs(5);

/// Something that reaches a running rollout from outside. The sender beside it is told once that is in the journal.
#[derive(Debug)]
pub enum Message {
    /// An alert; whether it concerns the rollout is found out there.
    Alert(Box<Alert>, oneshot::Sender<()>),
    /// What a person wants; they hear what became of it.
    Order(Order, oneshot::Sender<Vec<String>>),
}

/// One running rollout.
pub(super) struct Runner<P> {
    house: Arc<House<P>>,
    watching: Arc<Watching<P>>,
    course: Course,
    gatherer: Gatherer,
    recorder: Recorder,
    inbox: mpsc::Receiver<Message>,
    /// The command that is under way.
    flight: Option<JoinHandle<Result<(), PlatformError>>>,
}

impl<P: Platform> Runner<P> {
    /// A rollout that goes on from what the journal has of it.
    ///
    /// # Errors
    /// When its policy names what cannot be gathered: the journal is damaged.
    pub(super) fn new(
        (house, watching): (Arc<House<P>>, Arc<Watching<P>>),
        recalled: Recalled,
        inbox: mpsc::Receiver<Message>,
    ) -> Result<Self, StoreError> {
        let Recalled { memory, gatherer } = recalled;
        let rollout = memory.rollout();
        let subject = Subject {
            app: rollout.app.clone(),
            versions: Arms { baseline: Some(rollout.baseline), canary: Some(rollout.canary) },
            since: memory.counts_since(gatherer.is_none()),
        };
        let source = Arc::clone(&house.source);
        let gatherer = Gatherer::restore(&rollout.policy, subject, source, gatherer.unwrap_or_default())
            .map_err(|e| StoreError::Illegal { detail: e.to_string() })?;
        let recorder = Recorder::new(rollout);
        let course = Course::new(memory);
        Ok(Self { house, watching, course, gatherer, recorder, inbox, flight: None })
    }

    /// Runs until the rollout ends or the daemon stops.
    ///
    /// # Errors
    /// When the journal cannot be continued: another writer has it, or it holds what cannot be.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let resumed = self.course.resume(self.now())?;
        self.record(resumed).await?;
        self.learn_history().await?;
        while !self.course.rollout().phase.is_final() {
            self.cycle().await?;
            if self.course.rollout().phase.is_final() {
                break;
            }
            let pause = self.course.until_next(self.now());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.leave().await,
                answer = landed(&mut self.flight) => self.answered(answer).await?,
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message).await?,
                    None => return self.leave().await,
                },
                () = tokio::time::sleep(pause.as_duration()) => {}
            }
        }
        let rollout = self.course.rollout();
        info!(rollout = %rollout.id, app = %rollout.app, phase = rollout.phase.label(), "rollout ended");
        Ok(())
    }

    fn now(&self) -> Time {
        self.house.clock.now()
    }

    /// One round: see, look, decide, record, act. Between two rounds the platform is left alone, and units are asked
    /// where they were last seen.
    async fn cycle(&mut self) -> Result<(), StoreError> {
        if !self.course.is_round_due(self.now()) {
            self.probe(None).await;
            if !self.course.is_failing() {
                return Ok(());
            }
        }
        let mut seen = self.see().await;
        if let Some(observed) = &seen.observed {
            self.probe(Some(observed)).await;
            self.smoke(observed).await;
            if self.course.is_look_due(self.now()) {
                seen.gathered = Some(self.gather(observed).await);
            }
        }
        let events = self.course.round(self.now(), seen)?;
        self.record(events).await?;
        self.send();
        Ok(())
    }

    async fn see(&self) -> Seen {
        let rollout = self.course.rollout();
        let (platform, since) = (&self.house.platform, self.course.activity_since());
        let (observed, activity) =
            tokio::join!(platform.observe(&rollout.app), platform.activity(Some(&rollout.app), since));
        let activity = activity.map(|activity| activity.into_iter().map(Arc::new).collect());
        Seen::of(rollout, observed, activity)
    }

    async fn gather(&mut self, observed: &Observed) -> (Time, Gathered) {
        let at = self.now();
        if let Some(end) = self.course.warm_up_ends() {
            self.gatherer.leave_out(end);
        }
        self.gatherer.compare(self.course.compares(observed));
        let gathered = self.gatherer.gather(observed, at).await;
        self.house.metrics.looked(self.now().since(at));
        if gathered.failed > 0 {
            self.house.metrics.source_failed(self.house.source.label(), gathered.failed);
        }
        (at, gathered)
    }

    async fn probe(&mut self, observed: Option<&Observed>) {
        let probes = self.course.probes(observed, self.house.clock.now());
        for (probe, answer) in self.house.prober.ask(probes).await {
            self.course.probed(&probe, answer);
        }
    }

    async fn smoke(&mut self, observed: &Observed) {
        let probes = self.course.smoke_probes(observed, self.house.clock.now());
        for (probe, answer) in self.house.prober.smoke(probes).await {
            self.course.smoked(&probe, answer);
        }
    }

    /// Sends the command that was issued and is in the journal by now.
    fn send(&mut self) {
        let Some(command) = self.course.command().filter(|_| self.flight.is_none()) else { return };
        let (house, app) = (Arc::clone(&self.house), self.course.rollout().app.clone());
        info!(rollout = %self.course.rollout().id, %app, "{command}");
        let command: Command = command.clone();
        self.flight = Some(tokio::spawn(async move { house.platform.execute(&app, &command).await }));
    }

    async fn answered(&mut self, answer: Result<(), PlatformError>) -> Result<(), StoreError> {
        let result = answer.as_ref().err().map_or("done", |e| e.kind.label());
        self.house.metrics.platform_called("execute", result);
        if let Err(error) = &answer {
            warn!(rollout = %self.course.rollout().id, "{error}");
        }
        let events = self.course.answered(self.now(), &answer)?;
        self.record(events).await
    }

    /// What the baseline did before: learnt once, when the rollout begins.
    async fn learn_history(&mut self) -> Result<(), StoreError> {
        if !self.course.is_new() {
            return Ok(());
        }
        let rollout = self.course.rollout();
        let looks = self.watching.history(&rollout.policy, &rollout.app, rollout.baseline).await;
        let events = self.course.learn(self.now(), looks)?;
        self.record(events).await
    }

    /// The daemon stops: the answer of a running command is waited for a little, then left to the next start.
    async fn leave(mut self) -> Result<(), StoreError> {
        if self.flight.is_some()
            && let Ok(answer) = tokio::time::timeout(LAST_ANSWER, landed(&mut self.flight)).await
        {
            self.answered(answer).await?;
        }
        Ok(())
    }

    /// What reached the rollout from outside is in the journal before whoever sent it is told. They may have gone.
    async fn take(&mut self, message: Message) -> Result<(), StoreError> {
        match message {
            Message::Order(order, answer) => {
                let events = self.course.order(self.now(), &order)?;
                let sentences = events.iter().map(|recorded: &Recorded| recorded.event.sentence()).collect();
                self.record(events).await?;
                let _gone = answer.send(sentences);
            }
            Message::Alert(alert, taken) => {
                self.hear(&alert).await?;
                let _gone = taken.send(());
            }
        }
        Ok(())
    }

    /// An alert that was sent to the daemon: is it about this canary, and what does the policy make of it?
    async fn hear(&mut self, alert: &Alert) -> Result<(), StoreError> {
        if alert.status == AlertStatus::Resolved {
            let events = self.course.calm(self.now(), &alert.fingerprint, alert.starts_at)?;
            return self.record(events).await;
        }
        let means = match match_alert(alert, self.course.rollout(), &self.house.alert_labels) {
            Match::Unrelated => return Ok(()),
            Match::Raised(alarm) => Ok(alarm),
            Match::Ignored(why) => Err(why),
        };
        let heard = Heard { fingerprint: alert.fingerprint.clone(), starts: alert.starts_at, means };
        let events = self.course.hear(self.now(), heard)?;
        self.record(events).await
    }

    async fn record(&mut self, events: Vec<Recorded>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        if let Some(Event::PersonNeeded { why }) = events.last().map(|recorded| &recorded.event) {
            warn!(rollout = %self.course.rollout().id, "{why}");
        }
        let (memory, gatherer) = (self.course.memory(), self.gatherer.state());
        self.recorder.record(&self.house, events, memory, gatherer).await
    }
}

/// Waits for the running command; for ever where none runs.
async fn landed(flight: &mut Option<JoinHandle<Result<(), PlatformError>>>) -> Result<(), PlatformError> {
    let Some(handle) = flight.as_mut() else { return std::future::pending().await };
    let answer = handle.await;
    *flight = None;
    answer.unwrap_or_else(|e| {
        Err(PlatformError {
            action: "a command".to_owned(),
            message: format!("it ended without an answer: {e}"),
            kind: PlatformErrorKind::Unknown,
        })
    })
}
