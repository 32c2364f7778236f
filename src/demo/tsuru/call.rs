//! Calls: what somebody asks the install to do, from the wait for the app's lock to the end.

use super::act::Act;
use super::app::App;
use super::event::{Caller, Event, EventId, go_duration};
use super::plan;
use super::work::{Site, Work};
use super::world::World;
use crate::words::{Span, Time};

/// Names a call until its answer was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(super) app: usize,
    pub(super) number: u64,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status, if nothing was written before.
    pub status: u16,
    /// The text, without the newline that HTTP adds.
    pub text: String,
}

impl Failure {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// Most of Tsuru's failures have status 500.
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(500, text)
    }
}

/// How far a call is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It waits for the lock.
    Waiting { next: Time, until: Time },
    /// Its work goes on.
    Working(Box<Work>),
    /// It is over.
    Over(Result<(), Failure>),
    /// The process that did it died.
    Dead,
}

/// A call in an app's books.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) caller: Caller,
    pub(super) act: Act,
    pub(super) stage: Stage,
    /// Its event, once it has the lock.
    pub(super) event: Option<EventId>,
    /// There were too many of its kind; that is told before the lock is waited for.
    throttled: bool,
    /// Nobody waits for the answer any more.
    pub(super) abandoned: bool,
    /// When the connection is cut, if it is.
    pub(super) cut: Option<Time>,
    /// When the process that does it dies, if it does.
    pub(super) dies: Option<Time>,
}

/// What can be told about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its event, once it has the lock.
    pub event: Option<EventId>,
    /// How it stands for whoever waits for the answer.
    pub standing: Standing,
}

/// How a call stands for whoever waits for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits or works.
    Open,
    /// It ended, and this is the answer.
    Over(Result<(), Failure>),
    /// The connection is cut. The work may go on, or have been done, or never be done.
    Lost,
}

impl Call {
    /// A call that begins to wait for the lock.
    pub(super) fn new(caller: Caller, act: Act, world: &mut World, now: Time) -> Self {
        world.calls += 1;
        let wait = world.config.timings.lock_wait;
        let lost = world.config.faults.lost_answer.fires(&mut world.rng);
        let cut = lost.then(|| now + world.between((Span::ZERO, wait)));
        let dead = world.config.faults.dies.fires(&mut world.rng);
        let dies = dead.then(|| now + world.between((Span::ZERO, wait)));
        let throttled = world.config.faults.throttled.fires(&mut world.rng);
        let stage = Stage::Waiting { next: now, until: now + wait };
        Self { number: world.calls, caller, act, stage, event: None, throttled, abandoned: false, cut, dies }
    }

    /// It is over and nobody waits for it.
    pub(super) fn is_done_with(&self) -> bool {
        self.abandoned && matches!(self.stage, Stage::Over(_) | Stage::Dead)
    }

    /// What can be told about it.
    pub(super) fn progress(&self, now: Time) -> Progress {
        let standing = match &self.stage {
            Stage::Dead => Standing::Lost,
            // Whoever was to lose the answer loses it also where it came early.
            Stage::Over(_) if self.cut.is_some() => Standing::Lost,
            Stage::Over(result) => Standing::Over(result.clone()),
            _ if self.cut.is_some_and(|cut| cut <= now) => Standing::Lost,
            _ => Standing::Open,
        };
        Progress { event: self.event, standing }
    }

    /// When it goes on by itself.
    pub(super) fn due(&self, world: &World, now: Time) -> Option<Time> {
        let own = self.own_due(world);
        if matches!(self.stage, Stage::Over(_) | Stage::Dead) {
            return own;
        }
        let dies = self.dies.filter(|_| self.event.is_some());
        own.into_iter().chain(dies).chain(self.cut.filter(|cut| *cut > now)).min()
    }

    fn own_due(&self, world: &World) -> Option<Time> {
        match &self.stage {
            Stage::Waiting { next, .. } => Some(*next),
            Stage::Working(work) => {
                let event = self.event.and_then(|id| world.event(id));
                let cancel = event.filter(|e| e.cancelable).and_then(|e| e.cancel.as_ref());
                let noticed = cancel.map(|c| c.at + world.config.timings.cancel);
                work.wake.into_iter().chain(noticed).min()
            }
            Stage::Over(_) | Stage::Dead => None,
        }
    }

    /// Goes as far as it can now.
    pub(super) fn step(&mut self, app: &mut App, world: &mut World, now: Time) {
        if let Stage::Waiting { next, until } = &mut self.stage {
            if *next > now {
                return;
            }
            if self.throttled {
                let (kind, name) = (self.act.kind(), &app.spec.name);
                let text = format!("event throttled, limit for {kind} on app \"{name}\" is 1 every 1m0s");
                world.reject(kind, "throttled");
                self.stage = Stage::Over(Err(Failure::internal(text)));
                return;
            }
            expire(app, world, now);
            if let Some(holder) = app.lock.and_then(|id| world.event(id)) {
                if now >= *until {
                    let text = format!("event locked: {}", holder.describe());
                    world.reject(self.act.kind(), "locked");
                    self.stage = Stage::Over(Err(Failure::internal(text)));
                } else {
                    *next = (now + world.config.timings.lock_retry).min(*until);
                }
                return;
            }
            self.open(app, world, now);
        }
        if matches!(self.stage, Stage::Working(_)) && self.dies.is_some_and(|dies| dies <= now) {
            self.die(world, now);
        }
        if let (Stage::Working(work), Some(event)) = (&mut self.stage, self.event) {
            let ended = work.advance(&mut Site { app, world, event, now });
            if let Some(result) = ended {
                self.close(app, world, now, result);
            }
        }
    }

    /// The process that does it dies: what it did stays, and its event gives no sign of life any more.
    pub(super) fn die(&mut self, world: &mut World, now: Time) {
        if matches!(self.stage, Stage::Over(_) | Stage::Dead) {
            return;
        }
        if let Some(event) = self.event.and_then(|id| world.event_mut(id)) {
            event.stalled = Some(now);
        }
        self.stage = Stage::Dead;
    }

    /// The lock is free: the event begins, unless something keeps it from running.
    fn open(&mut self, app: &mut App, world: &mut World, now: Time) {
        if app.gone {
            let text = format!("App {} not found.", app.spec.name);
            self.stage = Stage::Over(Err(Failure::new(404, text)));
            return;
        }
        let id = world.new_id(now);
        world.record(self.new_event(id, app, now));
        self.event = Some(id);
        if let Some(text) = blocked(world, app, &self.act, &self.caller) {
            world.reject(self.act.kind(), "blocked");
            self.close(app, world, now, Err(Failure::internal(text)));
            return;
        }
        app.lock = Some(id);
        match plan::plan(app, world, &self.act, now) {
            Ok(work) => self.stage = Stage::Working(Box::new(work)),
            Err(failure) => self.close(app, world, now, Err(failure)),
        }
    }

    /// The event ends and the lock is free.
    fn close(&mut self, app: &mut App, world: &mut World, now: Time, result: Result<(), Failure>) {
        if let Some(id) = self.event {
            if app.lock == Some(id) {
                app.lock = None;
            }
            let error = result.as_ref().err().map(|f| f.text.clone()).unwrap_or_default();
            world.end(id, now, error);
        }
        self.stage = Stage::Over(result);
    }

    fn new_event(&self, id: EventId, app: &App, now: Time) -> Event {
        let internal = matches!(self.act, Act::VersionGc);
        // Who deploys is recorded as a user, even with a team token.
        let owner = match (&self.act, self.caller.token) {
            (Act::VersionGc, _) => "internal",
            (Act::Deploy(_), _) | (_, false) => "user",
            (_, true) => "token",
        };
        Event {
            id,
            app: app.spec.name.clone(),
            pool: app.spec.pool.clone(),
            team: app.spec.team.clone(),
            kind: self.act.kind(),
            internal,
            owner: (owner, self.caller.name.clone()),
            address: self.caller.address.clone(),
            replica: self.caller.replica,
            started: now,
            ended: None,
            stalled: None,
            error: String::new(),
            cancelable: self.act.cancelable(),
            cancel: None,
            lines: Vec::new(),
            start: self.act.start(&app.spec.name, &self.caller.name),
            end_image: matches!(self.act, Act::Deploy(_) | Act::Rollback(_)).then(String::new),
        }
    }
}

/// Takes the lock from an event that gave no sign of life for too long.
pub(super) fn expire(app: &mut App, world: &mut World, now: Time) {
    let Some(id) = app.lock else { return };
    let stalled = world.event(id).and_then(|e| e.stalled);
    let Some(silence) = stalled.map(|since| now.since(since)).filter(|s| *s > world.config.timings.expiry)
    else {
        return;
    };
    world.end(id, now, format!("event expired, no update for {}", go_duration(silence)));
    app.lock = None;
}

/// When the lock of a dead event is free again.
pub(super) fn expiry(app: &App, world: &World) -> Option<Time> {
    let stalled = app.lock.and_then(|id| world.event(id)).and_then(|event| event.stalled);
    stalled.map(|since| since + world.config.timings.expiry + Span(1))
}

/// The rule that keeps an event from running, as the refusal says it.
fn blocked(world: &World, app: &App, act: &Act, caller: &Caller) -> Option<String> {
    let (kind, name) = (act.kind(), &app.spec.name);
    let rule = world.blocks.iter().find(|b| {
        kind.starts_with(&b.kind)
            && (b.owner.is_empty() || b.owner == caller.name)
            && (b.app.is_empty() || b.app == *name)
    })?;
    let what = if rule.kind.is_empty() { "all actions" } else { &rule.kind };
    let who = if rule.owner.is_empty() { "all users" } else { &rule.owner };
    let target = if rule.app.is_empty() { "all targets".to_owned() } else { format!("app({})", rule.app) };
    Some(format!(
        "error running \"{kind}\" on app({name}): block {what} by {who} on {target}: {}",
        rule.reason
    ))
}
