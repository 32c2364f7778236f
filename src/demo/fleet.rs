//! All units that run, and the traffic that reaches them.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::RngExt;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Poisson};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::toy::Behaviour;
use super::tsuru::{Network, PodId, Tsuru};
use super::unit::{Identity, Incident, Tally, Unit};

/// What a version of an app has served so far, over all its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Served {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
}

/// The traffic of one app.
#[derive(Debug, Default)]
struct Traffic {
    /// Requests a second.
    rate: f64,
    incident: Arc<Incident>,
    tallies: HashMap<u32, Arc<Tally>>,
    /// Requests that found no unit to serve them.
    unserved: u64,
}

/// All units that run.
#[derive(Debug)]
pub(super) struct Fleet {
    units: HashMap<PodId, (Arc<Unit>, CancellationToken)>,
    traffic: HashMap<String, Traffic>,
    clock: Clock,
    tracker: TaskTracker,
    stop: CancellationToken,
    seed: u64,
    one_host: bool,
}

impl Fleet {
    pub(super) fn new(
        clock: Clock,
        seed: u64,
        one_host: bool,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { units: HashMap::new(), traffic: HashMap::new(), clock, tracker, stop, seed, one_host }
    }

    /// A container started: its server starts. Returns where it listens, if that is not where it was to.
    pub(super) fn start(
        &mut self,
        pod: PodId,
        identity: Identity,
        behaviour: Behaviour,
        address: SocketAddr,
    ) -> Option<SocketAddr> {
        self.stop(pod);
        let traffic = self.traffic.entry(identity.app.clone()).or_default();
        let tally = traffic.tallies.entry(identity.version).or_default().clone();
        let shared = (traffic.incident.clone(), tally);
        let unit =
            Arc::new(Unit::new(identity, behaviour, (self.clock, self.seed ^ pod.rotate_left(32)), shared));
        let stop = self.stop.child_token();
        self.units.insert(pod, (unit.clone(), stop.clone()));
        let own = if self.one_host && address.port() == 0 { own_port() } else { None };
        let moved = own.as_ref().and_then(|listener| listener.local_addr().ok());
        self.tracker.spawn(unit.serve(own, moved.unwrap_or(address), stop));
        moved
    }

    /// A pod's readiness probe passed.
    pub(super) fn ready(&self, pod: PodId) {
        if let Some((unit, _)) = self.units.get(&pod) {
            unit.set_ready();
        }
    }

    /// A container is gone: its server stops.
    pub(super) fn stop(&mut self, pod: PodId) {
        if let Some((_, stop)) = self.units.remove(&pod) {
            stop.cancel();
        }
    }

    /// Sets how many requests a second an app gets.
    pub(super) fn set_rate(&mut self, app: &str, rate: f64) {
        self.traffic.entry(app.to_owned()).or_default().rate = rate.clamp(0.0, 1e6);
    }

    /// Multiplies errors and latency of all versions of an app; 1 is as usual.
    pub(super) fn set_incident(&mut self, app: &str, errors: f64, latency: f64) {
        self.traffic.entry(app.to_owned()).or_default().incident.set(errors.max(0.0), latency.max(0.0));
    }

    /// What a version has served.
    pub(super) fn served(&self, app: &str, version: u32) -> Served {
        let tally = self.traffic.get(app).and_then(|t| t.tallies.get(&version));
        tally.map_or_else(Served::default, |t| Served {
            requests: t.requests.load(Ordering::Relaxed),
            errors: t.errors.load(Ordering::Relaxed),
        })
    }

    /// The rate of an app, what each of its versions has served, and the requests that no unit could serve.
    pub(super) fn traffic(&self, app: &str) -> (f64, Vec<(u32, Served)>, u64) {
        let Some(traffic) = self.traffic.get(app) else { return (0.0, Vec::new(), 0) };
        let mut versions: Vec<u32> = traffic.tallies.keys().copied().collect();
        versions.sort_unstable();
        let served = versions.into_iter().map(|v| (v, self.served(app, v))).collect();
        (traffic.rate, served, traffic.unserved)
    }

    /// The requests of `seconds`: Poisson arrivals, each to a unit picked at random among those that serve.
    pub(super) fn load(&mut self, tsuru: &Tsuru, seconds: f64, rng: &mut StdRng) {
        for (name, traffic) in &mut self.traffic {
            let Ok(arrivals) = Poisson::new(traffic.rate * seconds) else { continue };
            let Some(app) = tsuru.app(name) else { continue };
            let serving: Vec<&Arc<Unit>> = app
                .pods
                .iter()
                .filter(|p| p.serves() && app.spec.processes.first() == Some(&p.key.process))
                .filter_map(|p| self.units.get(&p.id).map(|(unit, _)| unit))
                .collect();
            let count = whole(arrivals.sample(rng));
            if serving.is_empty() {
                traffic.unserved += count;
                continue;
            }
            for _ in 0..count {
                serving[rng.random_range(0..serving.len())].request();
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Poisson gives whole numbers from 0"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A port of its own on the one address that there is.
fn own_port() -> Option<tokio::net::TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    listener.set_nonblocking(true).ok()?;
    tokio::net::TcpListener::from_std(listener).ok()
}

/// A network of addresses that no other emulator on this machine uses, with what keeps it: a listener on its last
/// address. Nothing where the machine has only one loopback address, or units are to have `ports` of their own.
pub(super) fn reserve_network(seed: u64, ports: bool) -> (Network, Option<TcpListener>) {
    let one_host = Network { prefix: [127, 0], port: 0 };
    if ports {
        return (one_host, None);
    }
    let first = seed ^ u64::from(std::process::id());
    for n in 0..200_u64 {
        let second = u8::try_from(16 + first.wrapping_add(n) % 200).unwrap_or(16);
        let network = Network { prefix: [127, second], port: 8888 };
        match TcpListener::bind((Ipv4Addr::new(127, second, 255, 254), network.port)) {
            Ok(guard) => return (network, Some(guard)),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(_) => break,
        }
    }
    (one_host, None)
}
