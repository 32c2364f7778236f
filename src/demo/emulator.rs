//! An emulated Tsuru that runs: started, asked and stopped from the same process, or used over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::cut;
use super::fleet::{self, Fleet, Served};
use super::http::{self, Token};
use super::install::Install;
use super::tsuru::faults::{Faults, Foreign};
use super::tsuru::{Act, AppSpec, Caller, Config, Deploy, Failure, Standing, Timings, Tsuru};
use crate::words::{Span, Version};

/// How an emulator is set up.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// Where the API listens; port 0: any free one.
    pub listen: SocketAddr,
    /// Where a second replica of the API listens, if there is one. Each has its own lag and sends its own webhooks.
    pub second: Option<SocketAddr>,
    /// What all chance follows from.
    pub seed: u64,
    /// How many times as fast as on a brisk Tsuru everything goes.
    pub speed: f64,
    /// The token of the daemon under test.
    pub daemon_token: String,
    /// The permissions that the daemon's token holds, with all that are below them; nothing: every one.
    pub daemon_permissions: Option<Vec<String>>,
    /// The token of whoever deploys.
    pub ci_token: String,
    /// Units share one address and have ports of their own, also where the system has many addresses.
    pub unit_ports: bool,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            second: None,
            seed: 1,
            speed: 1.0,
            daemon_token: "emulated-daemon-token".to_owned(),
            daemon_permissions: None,
            ci_token: "emulated-ci-token".to_owned(),
            unit_ports: false,
            faults: Faults::default(),
        }
    }
}

/// The name that events show for the daemon's token.
pub const DAEMON: &str = "uguisu";
/// The name that events show for whoever deploys.
pub const CI: &str = "ci@example.com";

/// A running emulator. Dropping it does not stop it; [`Emulator::shutdown`] does.
pub struct Emulator {
    install: Arc<Install>,
    /// Where each replica of the API listens.
    addresses: Vec<SocketAddr>,
    daemon_token: String,
    tracker: TaskTracker,
    one_host: bool,
    // Keeps the network of unit addresses for this emulator.
    _network: Option<std::net::TcpListener>,
}

impl Emulator {
    /// Starts an emulator without apps.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(config: EmulatorConfig) -> std::io::Result<Self> {
        let mut listeners = Vec::new();
        for address in std::iter::once(config.listen).chain(config.second) {
            listeners.push(TcpListener::bind(address).await?);
        }
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let (network, guard) = fleet::reserve_network(config.seed, config.unit_ports);
        let one_host = guard.is_none();
        let core = Tsuru::new(Config {
            seed: config.seed,
            timings: Timings::default().scaled(config.speed),
            speed: config.speed,
            faults: config.faults,
            network,
            ..Config::default()
        });
        let (clock, tracker, stop) = (Clock::start(), TaskTracker::new(), CancellationToken::new());
        let fleet = Fleet::new(clock, config.seed, one_host, tracker.clone(), stop.clone());
        let daemon = Token {
            secret: config.daemon_token.clone(),
            name: DAEMON.to_owned(),
            team: true,
            permissions: config.daemon_permissions,
        };
        let ci = Token { secret: config.ci_token, name: CI.to_owned(), team: false, permissions: None };
        let tokens = vec![daemon, ci];
        let (install, queues) = Install::new((core, fleet), clock, (tokens, addresses.len()), stop.clone());
        tracker.spawn(install.clone().drive());
        tracker.spawn(install.clone().load(config.seed));
        for (replica, (listener, deliveries)) in listeners.into_iter().zip(queues).enumerate() {
            tracker.spawn(http::deliver(install.clone(), replica, deliveries));
            let router = http::router(install.clone(), replica);
            tracker.spawn(cut::serve(listener, router, stop.clone()));
        }
        tracker.close();
        Ok(Self { install, addresses, daemon_token: config.daemon_token, tracker, one_host, _network: guard })
    }

    /// Where the API is: `http://127.0.0.1:8080`.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.url(0).unwrap_or_default()
    }

    /// Where a second replica of the API is, if there is one.
    #[must_use]
    pub fn second_url(&self) -> Option<String> {
        self.url(1)
    }

    fn url(&self, replica: usize) -> Option<String> {
        self.addresses.get(replica).map(|address| format!("http://{address}"))
    }

    /// A replica of the API, from 0, dies and is started anew.
    pub fn crash_replica(&self, replica: usize) {
        if replica < self.addresses.len() {
            self.install.now().crash(replica);
        }
    }

    /// The token of the daemon under test.
    #[must_use]
    pub fn daemon_token(&self) -> &str {
        &self.daemon_token
    }

    /// Units have ports of their own, because the system has one loopback address only, or because it was asked for.
    /// App info then tells a unit's port in its `HostPort`, which is empty otherwise.
    #[must_use]
    pub fn units_have_ports(&self) -> bool {
        self.one_host
    }

    /// Makes an app. Where an image is given, version 1 of it runs with so many ready units of each process.
    ///
    /// # Errors
    /// The name is taken, or the image means nothing.
    pub fn create_app(&self, spec: AppSpec, first: Option<(&str, u32)>) -> Result<(), String> {
        let mut now = self.install.now();
        let at = now.at;
        now.core.create_app(at, spec, first)
    }

    /// Deploys an image as CI would, and waits for the end. Returns the version.
    ///
    /// # Errors
    /// What Tsuru says.
    pub async fn deploy(&self, app: &str, image: &str, new_version: bool) -> Result<Version, String> {
        let deploy =
            Deploy { image: image.to_owned(), origin: "image".to_owned(), new_version, ..Deploy::default() };
        self.act(app, Act::Deploy(deploy)).await.map_err(|failure| failure.text)?;
        let now = self.install.now();
        let newest = now.core.app(app).and_then(|a| a.versions.iter().map(|v| v.number).max());
        newest.map(Version).ok_or_else(|| format!("app `{app}` is gone"))
    }

    /// Does something to an app as CI would, and waits for the end.
    ///
    /// # Errors
    /// What Tsuru says.
    pub async fn act(&self, app: &str, act: Act) -> Result<(), Failure> {
        let gone = || Failure { status: 404, text: format!("App {app} not found.") };
        let mut moves = self.install.moves();
        let call = {
            let mut now = self.install.now();
            let at = now.at;
            now.core.begin(at, Caller::user(CI), app, act).ok_or_else(gone)?
        };
        loop {
            let progress = self.install.now().core.progress(call).ok_or_else(gone)?;
            let result = match progress.standing {
                Standing::Open => None,
                Standing::Over(result) => Some(result),
                Standing::Lost => Some(Err(Failure { status: 502, text: "the answer was lost".to_owned() })),
            };
            if let Some(result) = result {
                self.install.now().core.forget(call);
                return result;
            }
            tokio::select! {
                _ = moves.changed() => {}
                () = self.install.stop.cancelled() => return Err(gone()),
            }
        }
    }

    /// Sets how many requests a second an app gets.
    pub fn set_rate(&self, app: &str, rate: f64) {
        self.install.now().fleet.set_rate(app, rate);
    }

    /// Multiplies errors and latency of all versions of an app alike; 1 is as usual.
    pub fn incident(&self, app: &str, errors: f64, latency: f64) {
        self.install.now().fleet.set_incident(app, errors, latency);
    }

    /// What a version has served so far.
    #[must_use]
    pub fn stats(&self, app: &str, version: Version) -> Served {
        self.install.now().fleet.served(app, version.0)
    }

    /// Looks at the core: apps, pods, events.
    pub fn look<T>(&self, at: impl FnOnce(&Tsuru) -> T) -> T {
        at(&self.install.now().core)
    }

    /// Lets a unit's container exit.
    ///
    /// # Errors
    /// There is no such running unit.
    pub fn crash(&self, app: &str, unit: &str) -> Result<(), String> {
        let mut now = self.install.now();
        let at = now.at;
        now.core.crash(at, app, unit)
    }

    /// Somebody else does something to an app.
    pub fn somebody(&self, app: &str, does: Foreign) {
        let mut now = self.install.now();
        let at = now.at;
        now.core.somebody(at, app, does);
    }

    /// Changes what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        let mut now = self.install.now();
        let at = now.at;
        now.core.set_faults(at, faults);
    }

    /// Waits until something holds, at most so long. Returns whether it came to hold.
    pub async fn wait_until(&self, most: Span, holds: impl Fn(&Tsuru) -> bool) -> bool {
        let mut moves = self.install.moves();
        let deadline = Instant::now() + most.as_duration();
        loop {
            if self.look(&holds) {
                return true;
            }
            tokio::select! {
                _ = moves.changed() => {}
                () = tokio::time::sleep_until(deadline) => return self.look(&holds),
            }
        }
    }

    /// Stops everything and waits until it stopped.
    pub async fn shutdown(self) {
        self.install.stop.cancel();
        self.tracker.wait().await;
    }
}
