//! The running install: the core behind one lock, driven by the real clock, with its units and webhooks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::fleet::Fleet;
use super::http::Token;
use super::tsuru::{Effect, Event, PodId, Tsuru, Webhook};
use super::unit::Identity;
use crate::words::Time;

/// How often the load generator sends what has come up.
const LOAD_EVERY: Duration = Duration::from_millis(20);

/// A webhook to be called for an event that ended.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) hook: Webhook,
    pub(super) event: Event,
    /// How often the replica that is to send it had crashed when it was queued.
    pub(super) crashes: usize,
}

/// What all tasks of the emulator share.
pub(super) struct Install {
    // One lock for the core and what follows it, so that nobody sees a pod without its unit. Never held across an await.
    inner: Mutex<Inner>,
    pub(super) clock: Clock,
    pub(super) tokens: Vec<Token>,
    pub(super) stop: CancellationToken,
    /// Something was asked of the core: the time of its next move may be another.
    changed: Notify,
    /// How many moves the core has made, so that streams know when to look.
    moved: watch::Sender<u64>,
    /// The webhooks that each replica of the API is to send.
    hooks: Vec<mpsc::Sender<Delivery>>,
}

/// What the lock guards.
pub(super) struct Inner {
    pub(super) core: Tsuru,
    pub(super) fleet: Fleet,
    /// How often each replica of the API crashed.
    pub(super) crashes: Vec<usize>,
}

/// The install, locked at a time. When it is dropped, whatever happened takes effect.
pub(super) struct Now<'a> {
    guard: MutexGuard<'a, Inner>,
    install: &'a Install,
    /// The time.
    pub(super) at: Time,
}

impl std::ops::Deref for Now<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.guard
    }
}

impl std::ops::DerefMut for Now<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.guard
    }
}

impl Now<'_> {
    /// A replica of the API dies and is started anew.
    pub(super) fn crash(&mut self, replica: usize) {
        let at = self.at;
        self.crashes[replica] += 1;
        self.core.crash_replica(at, replica);
    }
}

impl Drop for Now<'_> {
    fn drop(&mut self) {
        self.guard.settle(&self.install.hooks);
        if self.install.tell(self.guard.core.moves()) {
            self.install.changed.notify_one();
        }
    }
}

impl Install {
    pub(super) fn new(
        (core, fleet): (Tsuru, Fleet),
        clock: Clock,
        (tokens, replicas): (Vec<Token>, usize),
        stop: CancellationToken,
    ) -> (Arc<Self>, Vec<mpsc::Receiver<Delivery>>) {
        // As on Tsuru, at most so many events wait for their webhooks.
        let (hooks, deliveries) = (0..replicas.max(1)).map(|_| mpsc::channel(1000)).unzip();
        let crashes = vec![0; replicas.max(1)];
        let install = Self {
            inner: Mutex::new(Inner { core, fleet, crashes }),
            clock,
            tokens,
            stop,
            changed: Notify::new(),
            moved: watch::Sender::new(0),
            hooks,
        };
        (Arc::new(install), deliveries)
    }

    /// The install as it is now, everything due having happened.
    pub(super) fn now(&self) -> Now<'_> {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.clock.now();
        guard.core.advance(at);
        Now { guard, install: self, at }
    }

    /// How many replicas the API has.
    pub(super) fn replicas(&self) -> usize {
        self.hooks.len()
    }

    /// Tells when the core moved.
    pub(super) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Tells whoever waits that the core has made `moves` moves. Returns whether that is news.
    fn tell(&self, moves: u64) -> bool {
        self.moved.send_if_modified(|told| {
            let news = *told != moves;
            *told = moves;
            news
        })
    }

    /// Moves the core when its time has come, until the emulator stops.
    pub(super) async fn drive(self: Arc<Self>) {
        loop {
            let due = {
                let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                let at = self.clock.now();
                guard.core.advance(at);
                guard.settle(&self.hooks);
                self.tell(guard.core.moves());
                guard.core.next_due()
            };
            let next = due.map(|due| self.clock.instant(due));
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(next.unwrap_or_else(tokio::time::Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Sends the users' requests, until the emulator stops.
    pub(super) async fn load(self: Arc<Self>, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x10ad);
        let mut ticks = tokio::time::interval(LOAD_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = self.clock.now();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = self.clock.now();
            let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let Inner { core, fleet, .. } = &mut *guard;
            // What a sleeping machine missed is missed.
            fleet.load(core, now.since(last).as_seconds().min(1.0), &mut rng);
            last = now;
        }
    }
}

impl Inner {
    /// Lets what happened in the core take effect outside.
    fn settle(&mut self, hooks: &[mpsc::Sender<Delivery>]) {
        let effects = self.core.take_effects();
        for effect in effects {
            match effect {
                Effect::Started { app, pod, address } => self.start(&app, pod, address),
                Effect::Ready { pod } => self.fleet.ready(pod),
                Effect::Stopped { pod } => self.fleet.stop(pod),
                Effect::Ended { event, hooks: names } => self.queue(event, &names, hooks),
            }
        }
    }

    fn start(&mut self, app: &str, pod: PodId, address: std::net::SocketAddr) {
        let Some(found) = self.core.app(app) else { return };
        let Some(pod) = found.pods.iter().find(|p| p.id == pod) else { return };
        let behaviour = found.version(pod.version).map(|v| v.behaviour.clone()).unwrap_or_default();
        let identity = Identity { app: app.to_owned(), version: pod.version };
        let id = pod.id;
        if let Some(moved) = self.fleet.start(id, identity, behaviour, address) {
            self.core.moved(id, moved);
        }
    }

    /// The replica that did it sends the webhooks of an event; where they come twice, the other one does so as well.
    fn queue(&mut self, event: super::tsuru::EventId, names: &[String], hooks: &[mpsc::Sender<Delivery>]) {
        let Some(event) = self.core.event(event).cloned() else { return };
        let wanted: Vec<Webhook> =
            self.core.webhooks().iter().filter(|hook| names.contains(&hook.name)).cloned().collect();
        for hook in wanted {
            let mut senders = vec![event.replica % hooks.len()];
            if self.core.fires(|faults| &mut faults.webhook_twice) {
                senders.push((event.replica + 1) % hooks.len());
            }
            for sender in senders {
                let crashes = self.crashes[sender];
                let delivery = Delivery { hook: hook.clone(), event: event.clone(), crashes };
                if hooks[sender].try_send(delivery).is_err() {
                    tracing::warn!(webhook = hook.name, "too many webhooks wait; one is dropped");
                }
            }
        }
    }
}
