//! One rollout, from where the journal has it to its end.
//!
//! The loop gathers, judges, decides, records, and then acts; what it does follows from the state, so it may be
//! stopped at any point and begun again from the journal. A command runs beside the loop, so that the canary is
//! watched while the platform works; only one runs at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::house::House;
use super::record::Recorder;
use super::seen::{Seen, see};
use super::watching::Watching;
use crate::judge::{Judge, Look, Verdict};
use crate::platform::{Platform, PlatformError};
use crate::rollout::{
    Act, Alarm, Answer, Command, Event, Inputs, Observed, Order, Phase, PlatformErrorKind, Rollout, decide,
    next_act,
};
use crate::signal::{Gatherer, GathererState, Health, HealthBook, Subject, UnitLimits, UnitWatch};
use crate::store::StoreError;
use crate::web::{Alert, Match, match_alert};
use crate::words::{Arms, Span, Time};

/// The time between two looks at the platform while units or traffic are on the move.
const MOVING: Span = Span::seconds(2);

/// How long a command that runs at shutdown is waited for. Its outcome is looked up after the next start.
const LAST_ANSWER: std::time::Duration = std::time::Duration::from_secs(5);

/// Something that reaches a running rollout from outside.
#[derive(Debug)]
pub enum Message {
    /// An alert; whether it concerns the rollout is found out there.
    Alert(Box<Alert>),
    /// What a person wants, and where they hear what became of it.
    Order(Order, oneshot::Sender<Vec<String>>),
}

/// What a rollout needs besides its events to go on as if it had never stopped.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// The fold of its events.
    pub(super) rollout: Rollout,
    /// The evidence.
    pub(super) judge: Judge,
    /// The last samples of every counter.
    pub(super) gatherer: GathererState,
}

/// One running rollout.
pub(super) struct Runner<P> {
    house: Arc<House<P>>,
    watching: Arc<Watching<P>>,
    rollout: Rollout,
    judge: Judge,
    gatherer: Gatherer,
    health: HealthBook,
    units: UnitWatch,
    inbox: mpsc::Receiver<Message>,
    flight: Option<JoinHandle<Result<(), PlatformError>>>,
    /// What others did that has been dealt with.
    known: BTreeSet<String>,
    alarms: Vec<Alarm>,
    /// Alerts that were heard, by fingerprint and beginning: Alertmanager repeats itself.
    heard: BTreeSet<(String, Time)>,
    /// What a person was last told that they are needed for.
    called: Option<String>,
    looked: Option<Time>,
    /// When the platform was last asked, and what it showed.
    saw: Option<(Time, Option<Observed>)>,
    /// What both versions were last seen to fail alike.
    shared: Option<String>,
}

impl<P: Platform> Runner<P> {
    /// A rollout that goes on from a snapshot.
    ///
    /// # Errors
    /// When its policy names what cannot be gathered: the journal is damaged.
    pub(super) fn new(
        (house, watching): (Arc<House<P>>, Arc<Watching<P>>),
        snapshot: Snapshot,
        inbox: mpsc::Receiver<Message>,
    ) -> Result<Self, StoreError> {
        let Snapshot { rollout, judge, gatherer } = snapshot;
        let versions = Arms { baseline: rollout.baseline, canary: rollout.canary };
        let subject = Subject {
            app: rollout.app.clone(),
            versions: Arms { baseline: Some(rollout.baseline), canary: Some(rollout.canary) },
            since: rollout.deployed,
        };
        let gatherer = Gatherer::restore(&rollout.policy, subject, Arc::clone(&house.source), gatherer)
            .map_err(|e| StoreError::Illegal { detail: e.to_string() })?;
        let health = HealthBook::new(rollout.policy.health.clone(), versions, rollout.process().to_owned());
        Ok(Self {
            house,
            watching,
            judge,
            gatherer,
            health,
            units: UnitWatch::new(versions, UnitLimits::default()),
            inbox,
            flight: None,
            known: BTreeSet::new(),
            alarms: Vec::new(),
            heard: BTreeSet::new(),
            called: None,
            looked: None,
            saw: None,
            shared: None,
            rollout,
        })
    }

    /// Runs until the rollout ends or the daemon stops.
    ///
    /// # Errors
    /// When the journal cannot be continued: another writer has it, or it holds what cannot be.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), StoreError> {
        self.find_lost_answer().await?;
        self.learn_history().await?;
        let mut order = None;
        while !self.rollout.phase.is_final() {
            self.cycle(order.take()).await?;
            if self.rollout.phase.is_final() {
                break;
            }
            let pause = self.until_next();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.leave().await,
                answer = landed(&mut self.flight) => self.answered(answer).await?,
                message = self.inbox.recv() => match message {
                    Some(Message::Alert(alert)) => self.hear(&alert).await?,
                    Some(Message::Order(given, answer)) => order = Some((given, answer)),
                    None => return self.leave().await,
                },
                () = tokio::time::sleep(pause.as_duration()) => {}
            }
        }
        info!(rollout = %self.rollout.id, app = %self.rollout.app, phase = self.rollout.phase.label(), "rollout ended");
        Ok(())
    }

    /// One round: see, look, decide, record, act.
    async fn cycle(
        &mut self,
        order: Option<(Order, oneshot::Sender<Vec<String>>)>,
    ) -> Result<(), StoreError> {
        let (order, answer) = order.unzip();
        if order.is_none() && self.alarms.is_empty() && self.only_health_is_due().await? {
            return Ok(());
        }
        let mut seen = see(&self.house.platform, &self.rollout, &mut self.known).await;
        self.saw = Some((self.house.clock.now(), seen.observed.clone()));
        self.note(std::mem::take(&mut seen.notes)).await?;
        let unhealthy = match &seen.observed {
            Some(observed) => self.check_health(observed).await?,
            None => None,
        };
        let verdict = self.look_if_due(&seen).await?;
        let now = self.house.clock.now();
        // An order comes first; what fires meanwhile is for the next round.
        let alarms = if order.is_none() { std::mem::take(&mut self.alarms) } else { Vec::new() };
        let inputs = Inputs {
            now,
            observed: seen.observed.as_ref(),
            verdict: verdict.as_ref(),
            unhealthy: unhealthy.as_deref(),
            alerts: &alarms,
            foreign: seen.foreign.as_ref(),
            order: order.as_ref(),
            busy: seen.busy || self.flight.is_some(),
        };
        let events = decide(&self.rollout, &inputs);
        let routed_first = events.iter().any(|e| matches!(e, Event::StepReached { .. }))
            && self.rollout.first_traffic.is_none();
        let sentences = events.iter().map(Event::sentence).collect();
        self.record(events).await?;
        if let Some(answer) = answer {
            // Who asked may have gone; the journal has the answer as well.
            let _gone = answer.send(sentences);
        }
        if routed_first {
            self.gatherer.leave_out(now + self.rollout.policy.warm_up);
        }
        self.act(&seen, now).await
    }

    /// Gathers and judges, if it is time. Before the canary serves, what comes is the baseline's history.
    async fn look_if_due(&mut self, seen: &Seen) -> Result<Option<Verdict>, StoreError> {
        let now = self.house.clock.now();
        let due = self.looked.is_none_or(|last| now.since(last) >= self.rollout.policy.look_every);
        let watching = matches!(self.rollout.phase, Phase::Pending | Phase::Step | Phase::Paused);
        let (true, true, Some(observed)) = (due, watching, &seen.observed) else { return Ok(None) };
        self.looked = Some(now);
        let gathered = self.gatherer.gather(observed, now).await;
        self.house.metrics.looked(self.house.clock.now().since(now));
        if gathered.failed > 0 {
            self.house.metrics.source_failed(self.house.source.label(), gathered.failed);
        }
        let process = self.rollout.process();
        let share = self.rollout.step_reached.map(|_| observed.share(self.rollout.canary, process));
        let look = Look { at: now.seconds(), share, signals: gathered.signals };
        if self.rollout.first_traffic.is_none() {
            self.judge.learn(&look);
            let event = Event::Learnt { look };
            let notes = gathered.notes.into_iter().map(|what| Event::Noted { what });
            self.record(std::iter::once(event).chain(notes).collect()).await?;
            return Ok(None);
        }
        let verdict = self.judge.look(&look);
        let event = Event::Looked { look, verdict: Box::new(verdict.clone()), notes: gathered.notes };
        self.record(vec![event]).await?;
        Ok(Some(verdict))
    }

    /// Between two looks the platform is left alone: units are asked where they were last seen. Says whether that was
    /// all there is to do now.
    async fn only_health_is_due(&mut self) -> Result<bool, StoreError> {
        let now = self.house.clock.now();
        let Some((at, Some(observed))) = self.saw.clone() else { return Ok(false) };
        if self.is_moving() || self.flight.is_some() || now.since(at) >= self.rollout.policy.look_every {
            return Ok(false);
        }
        Ok(self.check_health(&observed).await?.is_none())
    }

    /// Asks the units that are due, and says what is wrong with the canary alone.
    async fn check_health(&mut self, observed: &Observed) -> Result<Option<String>, StoreError> {
        let probes = self.health.due(observed, self.house.clock.now());
        for (probe, answer) in self.house.prober.ask(probes).await {
            self.health.record(&probe, answer);
        }
        match (self.health.health(), self.units.observe(observed)) {
            (Health::Failing(why), _) | (_, Health::Failing(why)) => Ok(Some(why)),
            (Health::Shared(why), _) | (_, Health::Shared(why)) => {
                if self.shared.is_none() {
                    self.shared = Some(why.clone());
                    self.note(vec![why]).await?;
                }
                Ok(None)
            }
            (Health::Good, Health::Good) => {
                self.shared = None;
                Ok(None)
            }
        }
    }

    /// Sends the next command, after it is in the journal.
    async fn act(&mut self, seen: &Seen, now: Time) -> Result<(), StoreError> {
        let Some(observed) = seen.observed.as_ref().filter(|_| self.flight.is_none()) else { return Ok(()) };
        match next_act(&self.rollout, observed, seen.busy, now) {
            Act::Do { command, expected } => self.issue(command, expected).await,
            Act::Stuck(why) => {
                if self.called.as_ref() != Some(&why) {
                    self.called = Some(why.clone());
                    warn!(rollout = %self.rollout.id, "{why}");
                    self.record(vec![Event::PersonNeeded { why }]).await?;
                }
                Ok(())
            }
            Act::Wait(_) | Act::Settled => Ok(()),
        }
    }

    async fn issue(&mut self, command: Command, expected: Option<u32>) -> Result<(), StoreError> {
        let number = self.rollout.command.as_ref().map_or(1, |c| c.number + 1);
        info!(rollout = %self.rollout.id, app = %self.rollout.app, number, "{command}");
        self.record(vec![Event::CommandIssued { number, command: command.clone(), expected }]).await?;
        let (house, app) = (Arc::clone(&self.house), self.rollout.app.clone());
        self.flight = Some(tokio::spawn(async move { house.platform.execute(&app, &command).await }));
        Ok(())
    }

    async fn answered(&mut self, answer: Result<(), PlatformError>) -> Result<(), StoreError> {
        let Some(number) = self.rollout.unanswered().map(|c| c.number) else { return Ok(()) };
        self.saw = None;
        let result = answer.as_ref().err().map_or("done", |e| e.kind.label());
        self.house.metrics.platform_called("execute", result);
        let answer = match answer {
            Ok(()) => Answer::Done,
            Err(error) => {
                warn!(rollout = %self.rollout.id, number, "{error}");
                Answer::Error { kind: error.kind, message: error.to_string() }
            }
        };
        self.record(vec![Event::CommandAnswered { number, answer }]).await
    }

    /// A command without an answer: the daemon stopped while it ran. What became of it shows in the platform.
    async fn find_lost_answer(&mut self) -> Result<(), StoreError> {
        let Some(number) = self.rollout.unanswered().map(|c| c.number) else { return Ok(()) };
        let message =
            "the daemon stopped before the answer came; the platform is read before anything else".to_owned();
        let answer = Answer::Error { kind: PlatformErrorKind::Unknown, message };
        self.record(vec![Event::CommandAnswered { number, answer }]).await
    }

    /// What the baseline did before: learnt once, when the rollout begins.
    async fn learn_history(&mut self) -> Result<(), StoreError> {
        if self.rollout.events > 1 {
            return Ok(());
        }
        let Rollout { policy, app, baseline, .. } = &self.rollout;
        let looks = self.watching.history(policy, app, *baseline).await;
        for look in &looks {
            self.judge.learn(look);
        }
        self.record(looks.into_iter().map(|look| Event::Learnt { look }).collect()).await
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

    /// An alert that was sent to the daemon: is it about this canary, and what does the policy make of it?
    async fn hear(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let heard = match_alert(alert, &self.rollout, &self.house.alert_labels);
        if heard == Match::Unrelated || !self.heard.insert((alert.fingerprint.clone(), alert.starts_at)) {
            return Ok(());
        }
        match heard {
            Match::Unrelated => {}
            Match::Raised(alarm) => self.alarms.push(alarm),
            Match::Ignored(why) => self.note(vec![why]).await?,
        }
        Ok(())
    }

    async fn note(&mut self, notes: Vec<String>) -> Result<(), StoreError> {
        self.record(notes.into_iter().map(|what| Event::Noted { what }).collect()).await
    }

    async fn record(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let state = self.gatherer.state().clone();
        Recorder::new(&self.house).record(&mut self.rollout, events, &self.judge, state).await
    }

    /// Units or traffic are on the move, or are waited for.
    fn is_moving(&self) -> bool {
        match self.rollout.phase {
            Phase::Pending | Phase::Promoting | Phase::RollingBack => true,
            Phase::Step | Phase::Paused => {
                self.rollout.step_began.is_some() && self.rollout.step_reached.is_none()
            }
            _ => false,
        }
    }

    /// How long nothing has to be done unless something happens.
    fn until_next(&self) -> Span {
        let now = self.house.clock.now();
        let every = self.rollout.policy.look_every;
        let left = |last: Option<Time>, every: Span| {
            last.map_or(Span::ZERO, |at| Span(every.0.saturating_sub(now.since(at).0)))
        };
        let mut next = left(self.looked, every);
        if let Some(due) = self.health.next_due() {
            next = next.min(due.since(now));
        }
        let moving = self.is_moving();
        let floor = Span(50);
        if moving { next.min(MOVING).min(every).max(floor) } else { next.max(floor) }
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
