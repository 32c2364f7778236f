//! What all apps of an install share: settings, chance, faults, events, webhooks and the effects on the outside.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};

use super::app::{Network, PodId};
use super::event::{Cancel, Event, EventId, Start};
use super::faults::Faults;
use super::timings::Timings;
use super::webhook::Webhook;
use crate::words::{Span, Time};

/// How an install is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all chance follows from.
    pub seed: u64,
    /// How long things take, unless the faults say otherwise.
    pub timings: Timings,
    /// How many times as fast it goes where the faults say how long things take.
    pub speed: f64,
    /// What goes wrong.
    pub faults: Faults,
    /// Where pods get their addresses.
    pub network: Network,
    /// Where images are pushed to.
    pub registry: String,
    /// The version that the install says it is.
    pub version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            timings: Timings::default(),
            speed: 1.0,
            faults: Faults::default(),
            network: Network::default(),
            registry: "registry.example.com/tsuru".to_owned(),
            version: "1.23.1".to_owned(),
        }
    }
}

/// Something that happened inside and matters outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A pod's container started.
    Started {
        /// The app.
        app: String,
        /// The pod.
        pod: PodId,
        /// Where it listens.
        address: SocketAddr,
    },
    /// A pod's readiness probe passed.
    Ready {
        /// The pod.
        pod: PodId,
    },
    /// A pod's container exited, or the pod is gone.
    Stopped {
        /// The pod.
        pod: PodId,
    },
    /// An event ended, and these webhooks want to hear of it, in this order.
    Ended {
        /// The event.
        event: EventId,
        /// The names of the webhooks.
        hooks: Vec<String>,
    },
}

/// What the platform counts of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Deploys that ended, by app, status and kind.
    pub deploys: BTreeMap<(String, &'static str, &'static str), u64>,
    /// Calls that got no event, by kind and reason.
    pub rejected: BTreeMap<(&'static str, &'static str), u64>,
}

/// How many ended events are remembered.
const REMEMBERED: usize = 5000;

/// What all apps share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) config: Config,
    pub(super) rng: StdRng,
    pub(super) events: VecDeque<Event>,
    pub(super) webhooks: Vec<Webhook>,
    pub(super) blocks: Vec<super::Block>,
    pub(super) effects: Vec<Effect>,
    pub(super) calls: u64,
    pub(super) counts: Counts,
    /// How long things take where the faults say nothing of it.
    usual: Timings,
    /// When the platform's database is away next, or is away since.
    outage: Option<Time>,
    pods: u64,
    revisions: u32,
    ids: u32,
    machine: [u8; 5],
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        let mut rng = StdRng::seed_from_u64(config.seed);
        let machine = rng.random();
        let usual = config.timings.clone();
        let faults = config.faults.clone();
        let mut world = Self {
            rng,
            config,
            events: VecDeque::new(),
            webhooks: Vec::new(),
            blocks: Vec::new(),
            effects: Vec::new(),
            calls: 0,
            counts: Counts::default(),
            usual,
            outage: None,
            pods: 0,
            revisions: 0,
            ids: 0,
            machine,
        };
        world.set_faults(faults);
        world
    }

    /// Changes what goes wrong, and how long things take.
    pub(super) fn set_faults(&mut self, faults: Faults) {
        let own = faults.timings.as_ref().map(|timings| timings.clone().scaled(self.config.speed));
        self.config.timings = own.unwrap_or_else(|| self.usual.clone());
        self.config.faults = faults;
        self.outage = None;
    }

    /// Whether the platform's database is away.
    pub(super) fn is_away(&mut self, now: Time) -> bool {
        let (mean, lasts) = (self.config.faults.outages, self.config.faults.outage_for);
        if mean == Span::ZERO {
            return false;
        }
        while self.outage.is_none_or(|begins| now >= begins + lasts) {
            let from = self.outage.map_or(now, |begins| begins + lasts);
            self.outage = Some(self.later(from, mean));
        }
        self.outage.is_some_and(|begins| now >= begins)
    }

    /// A random time, `mean` after `from` on average.
    pub(super) fn later(&mut self, from: Time, mean: Span) -> Time {
        let factor: f64 = Exp1.sample(&mut self.rng);
        Time::from_seconds(from.seconds() + (mean.as_seconds() * factor).max(1e-3))
    }

    /// A new identity as `MongoDB` makes them: seconds, machine, counter.
    pub(super) fn new_id(&mut self, now: Time) -> EventId {
        let seconds = u32::try_from(now.0.div_euclid(1000)).unwrap_or(0);
        self.ids = self.ids.wrapping_add(1);
        let mut id = [0; 12];
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&self.machine);
        id[9..].copy_from_slice(&self.ids.to_be_bytes()[1..]);
        EventId(id)
    }

    /// The number of a new pod.
    pub(super) fn new_pod(&mut self) -> PodId {
        self.pods += 1;
        self.pods
    }

    /// The number of a new revision of a deployment.
    pub(super) fn new_revision(&mut self) -> u32 {
        self.revisions += 1;
        self.revisions
    }

    /// A span between two, each as likely.
    pub(super) fn between(&mut self, (least, most): (Span, Span)) -> Span {
        if least >= most { least } else { Span(self.rng.random_range(least.0..=most.0)) }
    }

    pub(super) fn record(&mut self, event: Event) {
        while self.events.len() >= REMEMBERED && self.events.front().is_some_and(|e| e.ended.is_some()) {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The event `id`, if it is still remembered.
    pub(super) fn event(&self, id: EventId) -> Option<&Event> {
        // The latest are the ones that are asked for.
        self.events.iter().rev().find(|e| e.id == id)
    }

    pub(super) fn event_mut(&mut self, id: EventId) -> Option<&mut Event> {
        self.events.iter_mut().rev().find(|e| e.id == id)
    }

    /// Counts a call that got no event.
    pub(super) fn reject(&mut self, kind: &'static str, reason: &'static str) {
        *self.counts.rejected.entry((kind, reason)).or_default() += 1;
    }

    /// Ends an event and tells the webhooks that want to know.
    pub(super) fn end(&mut self, id: EventId, now: Time, error: String) {
        let Some(event) = self.event_mut(id) else { return };
        event.ended = Some(now);
        event.cancelable = false;
        event.error = error;
        let event = event.clone();
        if let Start::Deploy { rollback, .. } = &event.start {
            let status = match (&event.cancel, event.error.is_empty()) {
                (Some(Cancel { acknowledged: Some(_), .. }), _) => "canceled",
                (_, true) => "success",
                (_, false) => "error",
            };
            let kind = if *rollback { "rollback" } else { "image" };
            *self.counts.deploys.entry((event.app.clone(), status, kind)).or_default() += 1;
        }
        let hooks: Vec<String> = self
            .webhooks
            .iter()
            .filter(|hook| hook.event_filter.wants(&event))
            .map(|hook| hook.name.clone())
            .collect();
        if !hooks.is_empty() {
            self.effects.push(Effect::Ended { event: id, hooks });
        }
    }
}
