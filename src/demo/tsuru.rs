//! The core of the emulated Tsuru: a deterministic state machine in virtual time, without I/O.
//!
//! Time is passed in and chance comes from a seed, so a whole rollout runs in well under a millisecond and can be
//! repeated to the bit. [`Tsuru::begin`] starts a call as a client would; [`Tsuru::advance`] lets time pass;
//! [`Tsuru::progress`] tells how a call stands; [`Tsuru::take_effects`] tells what the outside must do (start a unit's
//! server, deliver a webhook). The HTTP shell in `http` does just that with the real clock.
//!
//! What it does follows the source of Tsuru 1.23 with the Kubernetes provisioner: one lock per app, deployments of a base
//! and of versions beside it, pods that become ready in their time, calls that write lines while they work, and
//! failures that leave half of it done.

use std::collections::HashMap;

use rand::RngExt;

use crate::words::{Span, Time};

pub mod faults;
mod select;

mod act;
mod app;
mod autoscale;
mod call;
mod change;
mod deploy;
mod event;
mod monitor;
mod others;
mod plan;
mod pods;
mod timings;
mod webhook;
mod work;
mod world;

#[cfg(test)]
mod tests;

pub use act::{Act, Deploy, State};
pub use app::{App, AppSpec, Autoscale, Deployment, Key, Network, Phase, Pod, PodId, Slot, VersionRecord};
pub use call::{CallId, Failure, Progress, Standing};
pub use event::{Caller, Cancel, Event, EventId, Filter, Line, Start, go_duration, rfc3339};
pub use timings::Timings;
pub use webhook::{EventFilter, Webhook};
pub use world::{Config, Counts, Effect};

use call::Call;
use faults::{Faults, Foreign, Switch};
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

/// An app as a reader sees it.
#[derive(Debug)]
pub struct Look<'a> {
    /// The app.
    pub app: &'a App,
    /// Its pods, as they were some time ago where the install lags; nothing: they could not be listed.
    pub pods: Option<&'a [Pod]>,
    /// Its autoscalers could be read.
    pub autoscale: bool,
    /// The load of its units could be read.
    pub metrics: bool,
    /// Its quota could be read.
    pub quota: bool,
    /// The hosts that its router publishes; nothing: neither these nor its addresses in the cluster could be read.
    pub hosts: Option<Vec<String>>,
}

/// How many earlier lists of pods are kept for readers that lag.
const MOST_PAST: usize = 1000;

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

    /// Changes what goes wrong.
    pub fn set_faults(&mut self, now: Time, faults: Faults) {
        self.advance(now);
        self.world.set_faults(faults);
        for index in 0..self.apps.len() {
            others::schedule(&mut self.apps[index], &mut self.world, now);
            self.refresh(index, now);
        }
    }

    /// What meets a request at the door, before the platform sees it: a failure to answer with, or nothing.
    pub fn door(&mut self, now: Time) -> Option<Failure> {
        let away = self.world.is_away(now);
        let World { config, rng, .. } = &mut self.world;
        if config.faults.gateway.fires(rng) {
            return Some(Failure::new(502, "bad gateway"));
        }
        let refused = away || config.faults.unauthorized.fires(rng);
        refused.then(|| Failure::new(401, "You must provide a valid Authorization header"))
    }

    /// Whether the platform's database is away, so that no token is accepted.
    pub fn is_away(&mut self, now: Time) -> bool {
        self.world.is_away(now)
    }

    /// Whether a switch of the shell fires: of streams, webhooks and slow answers.
    pub(in crate::demo) fn fires(&mut self, switch: impl FnOnce(&mut Faults) -> &mut Switch) -> bool {
        let World { config, rng, .. } = &mut self.world;
        switch(&mut config.faults).fires(rng)
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
        let last = self.apps.len() - 1;
        others::schedule(&mut self.apps[last], &mut self.world, now);
        self.refresh(last, now);
        Ok(())
    }

    /// All apps that exist, in the order in which they were made.
    pub fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.iter().filter(|app| !app.gone)
    }

    /// The app `name`.
    #[must_use]
    pub fn app(&self, name: &str) -> Option<&App> {
        self.names.get(name).and_then(|index| self.apps.get(*index))
    }

    /// The app `name` as a reader sees it. Nothing: there is no such app.
    pub fn look(&mut self, now: Time, name: &str) -> Option<Look<'_>> {
        self.look_from(now, name, None)
    }

    /// The app `name` as a reader of one replica of the API sees it, or of any.
    pub fn look_from(&mut self, now: Time, name: &str, replica: Option<usize>) -> Option<Look<'_>> {
        self.advance(now);
        let World { config, rng, .. } = &mut self.world;
        let app = self.names.get(name).and_then(|index| self.apps.get(*index))?;
        let faults = &mut config.faults;
        let lag = match (faults.lags.as_slice(), replica) {
            ([], _) => Span::ZERO,
            (lags, Some(replica)) => lags.get(replica).copied().unwrap_or_default(),
            (lags, None) => lags[rng.random_range(0..lags.len())],
        };
        let units = !faults.units_error.fires(rng);
        let autoscale = !faults.autoscale_error.fires(rng);
        let metrics = !faults.metrics_error.fires(rng);
        let quota = !faults.quota_error.fires(rng);
        let addressed = !faults.addresses_error.fires(rng);
        let prefixes = faults.router_prefixes;
        let hosts = addressed.then(|| if prefixes { app.router_hosts(rng) } else { vec![app.router_host()] });
        let pods = units.then(|| app.pods_at(now - lag));
        Some(Look { app, pods, autoscale, metrics, quota, hosts })
    }

    /// Begins a call. It waits for the app's lock, does its work, and can be asked for with [`Tsuru::progress`] until
    /// [`Tsuru::forget`]. Nothing: there is no such app.
    pub fn begin(&mut self, now: Time, caller: Caller, app: &str, act: Act) -> Option<CallId> {
        self.advance(now);
        let index = *self.names.get(app)?;
        let call = Call::new(caller, act, &mut self.world, now);
        let number = call.number;
        self.apps[index].calls.push(call);
        self.step(index, now);
        Some(CallId { app: index, number })
    }

    /// How a call stands.
    #[must_use]
    pub fn progress(&self, call: CallId) -> Option<Progress> {
        let found = self.apps.get(call.app)?.calls.iter().find(|c| c.number == call.number)?;
        Some(found.progress(self.now))
    }

    /// Nobody will ask for the call any more. It goes on all the same.
    pub fn forget(&mut self, call: CallId) {
        if let Some(app) = self.apps.get_mut(call.app) {
            app.calls.iter_mut().filter(|c| c.number == call.number).for_each(|c| c.abandoned = true);
            app.calls.retain(|c| !c.is_done_with());
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
    #[must_use]
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
        let before = self.snapshot(index);
        let pod = self.apps[index].pods.iter_mut().find(running).ok_or_else(none)?;
        pods::crashed(pod, &mut self.world, now);
        self.remember(index, before, now);
        self.step(index, now);
        Ok(())
    }

    /// A replica of the API dies and is started anew: what it worked on stays half done, and its events hold their locks
    /// until they expire.
    pub fn crash_replica(&mut self, now: Time, replica: usize) {
        self.advance(now);
        for index in 0..self.apps.len() {
            let calls = self.apps[index].calls.iter_mut();
            calls.filter(|c| c.caller.replica == replica).for_each(|c| c.die(&mut self.world, now));
            self.step(index, now);
        }
    }

    /// Somebody else does something to an app. Returns whether there is such an app.
    pub fn somebody(&mut self, now: Time, app: &str, kind: Foreign) -> bool {
        self.advance(now);
        let Some(index) = self.names.get(app).copied() else { return false };
        others::somebody(&mut self.apps[index], &mut self.world, now, kind);
        self.step(index, now);
        true
    }

    /// What the platform counts of itself.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.world.counts
    }

    /// Marks a version as about to be removed by the collector of images, or takes the mark off. Returns whether there is
    /// such a version.
    pub fn mark(&mut self, app: &str, version: u32, marked: bool) -> bool {
        let found = self.names.get(app).and_then(|index| self.apps.get_mut(*index));
        let record = found.and_then(|app| app.versions.iter_mut().find(|v| v.number == version));
        record.map(|record| record.marked = marked).is_some()
    }

    /// A pod listens somewhere else than where it was to.
    pub(in crate::demo) fn moved(&mut self, pod: PodId, address: std::net::SocketAddr) {
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
        let before = self.snapshot(index);
        let app = &mut self.apps[index];
        pods::live(app, &mut self.world, now);
        others::act(app, &mut self.world, now);
        call::expire(app, &mut self.world, now);
        let mut calls = std::mem::take(&mut app.calls);
        for call in &mut calls {
            call.step(app, &mut self.world, now);
        }
        calls.retain(|c| !c.is_done_with());
        app.calls = calls;
        others::watch(app, &self.world, now);
        if app.gone && self.names.get(&app.spec.name) == Some(&index) {
            app.others = others::Others::default();
            self.names.remove(&app.spec.name);
        }
        self.remember(index, before, now);
        self.refresh(index, now);
    }

    /// The pods as they are, where a reader may still see them later.
    fn snapshot(&self, index: usize) -> Option<Vec<Pod>> {
        (!self.world.config.faults.lags.is_empty()).then(|| self.apps[index].pods.clone())
    }

    /// Keeps the pods as they were until now, if they are not so any more.
    fn remember(&mut self, index: usize, before: Option<Vec<Pod>>, now: Time) {
        let app = &mut self.apps[index];
        if let Some(before) = before.filter(|before| *before != app.pods) {
            app.past.push((now, before));
            let surplus = app.past.len().saturating_sub(MOST_PAST);
            app.past.drain(..surplus);
        }
    }

    /// Works out when the app moves by itself next, and drops what no reader can see any more.
    fn refresh(&mut self, index: usize, now: Time) {
        let app = &mut self.apps[index];
        let oldest = now - self.world.config.faults.lags.iter().copied().max().unwrap_or_default();
        app.past.retain(|(until, _)| *until > oldest);
        let calls = app.calls.iter().filter_map(|call| call.due(&self.world, now));
        let expiry = call::expiry(app, &self.world);
        let others = app.others.next_due();
        app.due = pods::next_due(app).into_iter().chain(calls).chain(expiry).chain(others).min();
    }
}
