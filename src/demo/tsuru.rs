//! The core of the emulated Tsuru: a deterministic state machine in virtual time, without I/O.
//!
//! Time is passed in and chance comes from a seed, so a whole rollout runs in well under a millisecond and can be
//! repeated to the bit. [`Tsuru::begin`] starts a call as a client would; [`Tsuru::advance`] lets time pass;
//! [`Tsuru::progress`] tells how a call stands; [`Tsuru::take_effects`] tells what the outside must do (start a unit's
//! server, deliver a webhook). The HTTP shell in [`http`](super::http) does just that with the real clock.
//!
//! What it does follows the source of Tsuru 1.23 with the Kubernetes provisioner: one lock per app, deployments of a base
//! and of versions beside it, pods that become ready in their time, calls that write lines while they work, and
//! failures that leave half of it done.

use std::collections::HashMap;

use crate::words::Time;

pub mod faults;
mod select;

mod app;
mod call;
mod change;
mod deploy;
mod event;
mod monitor;
mod plan;
mod pods;
mod timings;
mod webhook;
mod work;
mod world;

#[cfg(test)]
mod tests;

pub use app::{App, AppSpec, Autoscale, Deployment, Key, Network, Phase, Pod, PodId, Slot, VersionRecord};
pub use call::{Act, CallId, Deploy, Failure, Progress, State};
pub use event::{Caller, Cancel, Event, EventId, Filter, Line, Start, go_duration, rfc3339};
pub use timings::Timings;
pub use webhook::{EventFilter, Webhook};
pub use world::{Config, Effect};

use call::{Call, Stage};
use world::World;

/// A rule that keeps events from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its identity.
    pub id: EventId,
    /// The kind, or its beginning; empty: any.
    pub kind: String,
    /// The owner's name; empty: anybody.
    pub owner: String,
    /// The app; empty: any.
    pub app: String,
    /// Why.
    pub reason: String,
}

/// An emulated install.
#[derive(Debug)]
pub struct Tsuru {
    apps: Vec<App>,
    names: HashMap<String, usize>,
    world: World,
    now: Time,
    moves: u64,
}

impl Tsuru {
    /// An install without apps.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { apps: Vec::new(), names: HashMap::new(), world: World::new(config), now: Time(0), moves: 0 }
    }

    /// How it is set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.world.config
    }

    /// What goes wrong, to be changed.
    pub fn faults_mut(&mut self) -> &mut faults::Faults {
        &mut self.world.config.faults
    }

    /// Makes an app. Where an image is given, version 1 of it runs with `units` ready units of each process, as after a
    /// deploy that ended at `now`.
    ///
    /// # Errors
    /// The name is taken, or the image means nothing.
    pub fn create_app(&mut self, now: Time, spec: AppSpec, first: Option<(&str, u32)>) -> Result<(), String> {
        if self.names.contains_key(&spec.name) {
            return Err(format!("there already is an app named `{}`", spec.name));
        }
        self.advance(now);
        let name = spec.name.clone();
        let mut app = App::new(spec);
        if let Some((image, units)) = first {
            app::seed(&mut app, &mut self.world, now, image, units)?;
        }
        self.names.insert(name, self.apps.len());
        self.apps.push(app);
        self.moves += 1;
        self.refresh(self.apps.len() - 1, now);
        Ok(())
    }

    /// All apps, in the order in which they were made.
    pub fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.iter()
    }

    /// The app `name`.
    #[must_use]
    pub fn app(&self, name: &str) -> Option<&App> {
        self.names.get(name).and_then(|index| self.apps.get(*index))
    }

    /// The pods of an app as a reader sees them: as they were some time ago, where the install lags.
    #[must_use]
    pub fn seen_pods<'a>(&self, app: &'a App, now: Time) -> &'a [Pod] {
        let then = now - self.world.config.faults.lag;
        let newer = app.past.iter().find(|(until, _)| *until > then);
        newer.map_or(&app.pods, |(_, pods)| pods)
    }

    /// Begins a call. It waits for the app's lock, does its work, and can be asked for with [`Tsuru::progress`] until
    /// [`Tsuru::forget`]. Nothing: there is no such app.
    pub fn begin(&mut self, now: Time, caller: Caller, app: &str, act: Act) -> Option<CallId> {
        self.advance(now);
        let index = *self.names.get(app)?;
        self.world.calls += 1;
        let number = self.world.calls;
        let until = now + self.world.config.timings.lock_wait;
        let stage = Stage::Waiting { next: now, until };
        self.apps[index].calls.push(Call { number, caller, act, stage, event: None, abandoned: false });
        self.step(index, now);
        Some(CallId { app: index, number })
    }

    /// How a call stands.
    #[must_use]
    pub fn progress(&self, call: CallId) -> Option<Progress> {
        let found = self.apps.get(call.app)?.calls.iter().find(|c| c.number == call.number)?;
        let over = if let Stage::Over(result) = &found.stage { Some(result.clone()) } else { None };
        Some(Progress { event: found.event, over })
    }

    /// Nobody will ask for the call any more. It goes on all the same.
    pub fn forget(&mut self, call: CallId) {
        if let Some(app) = self.apps.get_mut(call.app) {
            app.calls.iter_mut().filter(|c| c.number == call.number).for_each(|c| c.abandoned = true);
            app.calls.retain(|c| !(c.abandoned && matches!(c.stage, Stage::Over(_))));
        }
    }

    /// Lets time pass until `now`; everything due by then happens, in order.
    pub fn advance(&mut self, now: Time) {
        while let Some((due, index)) = self.earliest().filter(|(due, _)| *due <= now) {
            self.step(index, due.max(self.now));
        }
        self.now = self.now.max(now);
    }

    /// When something happens by itself next.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.earliest().map(|(due, _)| due)
    }

    /// How many moves it has made: as long as this stays, nothing has changed.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// What happened and matters outside, since it was last asked.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.world.effects)
    }

    /// The event `id`.
    #[must_use]
    pub fn event(&self, id: EventId) -> Option<&Event> {
        self.world.event(id)
    }

    /// All events, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.world.events.iter()
    }

    /// Events that a filter wants, in its order, at most 100.
    #[must_use]
    pub fn list_events(&self, filter: &Filter) -> Vec<&Event> {
        let limit = filter.limit.unwrap_or(100).clamp(1, 100);
        let wanted = self.world.events.iter().filter(|e| filter.wants(e));
        if filter.ascending {
            wanted.skip(filter.skip).take(limit).collect()
        } else {
            wanted.rev().skip(filter.skip).take(limit).collect()
        }
    }

    /// The rules that keep events from running.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.world.blocks
    }

    /// Adds a rule that keeps events from running, and gives it an identity.
    pub fn add_block(&mut self, now: Time, kind: &str, owner: &str, app: &str, reason: &str) -> EventId {
        let id = self.world.new_id(now);
        let own = str::to_owned;
        self.world.blocks.push(Block {
            id,
            kind: own(kind),
            owner: own(owner),
            app: own(app),
            reason: own(reason),
        });
        id
    }

    /// Removes such a rule. Returns whether there was one.
    pub fn remove_block(&mut self, id: EventId) -> bool {
        let before = self.world.blocks.len();
        self.world.blocks.retain(|b| b.id != id);
        self.world.blocks.len() < before
    }

    /// The webhooks.
    pub fn webhooks_mut(&mut self) -> &mut Vec<Webhook> {
        &mut self.world.webhooks
    }

    /// The webhooks.
    #[must_use]
    pub fn webhooks(&self) -> &[Webhook] {
        &self.world.webhooks
    }

    /// The exit of a unit's container.
    ///
    /// # Errors
    /// There is no such running unit.
    pub fn crash(&mut self, now: Time, app: &str, unit: &str) -> Result<(), String> {
        self.advance(now);
        let none = || format!("app `{app}` has no running unit `{unit}`");
        let index = *self.names.get(app).ok_or_else(none)?;
        let running = |p: &&mut Pod| p.name == unit && matches!(p.phase, Phase::Starting | Phase::Ready);
        let pod = self.apps[index].pods.iter_mut().find(running).ok_or_else(none)?;
        pods::crashed(pod, &mut self.world, now);
        self.step(index, now);
        Ok(())
    }

    /// A pod listens somewhere else than where it was to.
    pub fn moved(&mut self, pod: PodId, address: std::net::SocketAddr) {
        self.apps
            .iter_mut()
            .flat_map(|a| &mut a.pods)
            .filter(|p| p.id == pod)
            .for_each(|p| p.address = address);
    }

    /// Somebody wishes to cancel an event.
    ///
    /// # Errors
    /// It cannot be cancelled (status 400), or somebody wished it before (500).
    pub fn cancel(&mut self, now: Time, id: EventId, reason: &str, owner: &str) -> Result<(), Failure> {
        self.advance(now);
        let Some(event) = self.world.event_mut(id) else { return Err(Failure::new(404, "event not found")) };
        if !event.cancelable || event.ended.is_some() {
            return Err(Failure::new(400, "event is not cancelable"));
        }
        if event.cancel.is_some() {
            return Err(Failure::internal("event cancel already requested"));
        }
        event.cancel =
            Some(Cancel { owner: owner.to_owned(), at: now, reason: reason.to_owned(), acknowledged: None });
        let app = event.app.clone();
        if let Some(index) = self.names.get(&app) {
            self.refresh(*index, now);
        }
        Ok(())
    }

    fn earliest(&self) -> Option<(Time, usize)> {
        self.apps.iter().enumerate().filter_map(|(index, app)| app.due.map(|due| (due, index))).min()
    }

    /// Everything that is due in one app at one time.
    fn step(&mut self, index: usize, now: Time) {
        self.now = self.now.max(now);
        self.moves += 1;
        let app = &mut self.apps[index];
        let before = (self.world.config.faults.lag.0 > 0).then(|| app.pods.clone());
        pods::live(app, &mut self.world, now);
        let mut calls = std::mem::take(&mut app.calls);
        for call in &mut calls {
            call.step(app, &mut self.world, now);
        }
        calls.retain(|c| !(c.abandoned && matches!(c.stage, Stage::Over(_))));
        app.calls = calls;
        if let Some(before) = before.filter(|before| *before != app.pods) {
            app.past.push((now, before));
        }
        self.refresh(index, now);
    }

    /// Works out when the app moves by itself next, and drops what no reader can see any more.
    fn refresh(&mut self, index: usize, now: Time) {
        let app = &mut self.apps[index];
        let oldest = now - self.world.config.faults.lag;
        app.past.retain(|(until, _)| *until > oldest);
        let calls = app.calls.iter().filter_map(|call| call.due(&self.world));
        app.due = pods::next_due(app).into_iter().chain(calls).min();
    }
}
