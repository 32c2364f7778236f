//! From an emulated Tsuru's units by scraping: what users asked and what went wrong is what a gatherer gives, to the
//! last request, while a canary is deployed, routed and grows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uguisu::demo::tsuru::AppSpec;
use uguisu::demo::{Emulator, EmulatorConfig, Served};
use uguisu::judge::Reading;
use uguisu::platform::Platform as _;
use uguisu::platform::tsuru::{Tsuru, TsuruConfig};
use uguisu::policy::Policy;
use uguisu::rollout::Command;
use uguisu::signal::{Gatherer, SourceConfig, Subject};
use uguisu::words::{AppName, Arms, Time, Version};

const OLD: Version = Version(1);
const NEW: Version = Version(2);

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Time(i64::try_from(since.as_millis()).unwrap())
}

fn policy() -> Policy {
    let text = "policy: shop\nfor: { apps: [shop] }\nlook_every: 1s\nstrategy: { canary: { steps: [10%], bake: { \
                at_least: 1m, at_most: 5m } } }\nsignals: [{ use: http-errors }, { use: http-latency }]\n";
    let read = uguisu::policy::read("shop.yaml", text);
    read.policy.unwrap_or_else(|| panic!("{}", read.findings))
}

/// A rollout that is watched, and what it gave so far: by arm, errors and requests.
struct Watched {
    emulator: Emulator,
    tsuru: Tsuru,
    gatherer: Gatherer,
    sums: [[f64; 2]; 2],
    /// What had been served before.
    before: Served,
}

impl Watched {
    async fn gather(&mut self) {
        let observed = self.tsuru.observe(&app()).await.unwrap();
        let gathered = self.gatherer.gather(&observed, now()).await;
        // A unit that was just removed may still be listed.
        let expected = |note: &String| note.contains("cannot connect") || note.contains("the request failed");
        assert!(gathered.notes.iter().all(expected), "{:?}", gathered.notes);
        let Some(errors) = gathered.signals.get("http-errors") else { return };
        for (sums, reading) in self.sums.iter_mut().zip([&errors.baseline, &errors.canary]) {
            if let Some(Reading::Counts { events, total }) = reading {
                sums[0] += events;
                sums[1] += total;
            }
        }
    }

    /// What both versions served since the beginning.
    fn truth(&self) -> [[u64; 2]; 2] {
        let (old, new) = (self.emulator.stats("shop", OLD), self.emulator.stats("shop", NEW));
        let Served { requests, errors } = self.before;
        [[old.errors - errors, old.requests - requests], [new.errors, new.requests]]
    }

    /// Lets users ask until the canary has served so many more requests, then be quiet and gathers what is left.
    async fn busy(&mut self, canary_requests: u64) {
        let until = self.truth()[1][1] + canary_requests;
        self.emulator.set_rate("shop", 600.0);
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.gather().await;
            if self.truth()[1][1] >= until {
                break;
            }
        }
        self.emulator.set_rate("shop", 0.0);
        for _ in 0..100 {
            self.gather().await;
            let truth = self.truth();
            let same = |(sum, count): (&f64, &u64)| sum.to_string() == count.to_string();
            if self.sums.iter().flatten().zip(truth.iter().flatten()).all(same) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("given {:?}, served {:?}", self.sums, self.truth());
    }
}

fn app() -> AppName {
    AppName("shop".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_given_once() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let emulator =
        Emulator::start(EmulatorConfig { speed: 50.0, seed: 17, ..Default::default() }).await.unwrap();
    if emulator.units_have_ports() {
        println!(
            "PASSED OVER: this system has one loopback address only, so units cannot be reached as on Tsuru"
        );
        return emulator.shutdown().await;
    }
    emulator.create_app(AppSpec::web("shop"), Some(("toy:good", 3))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, emulator.daemon_token()).unwrap();
    let config = TsuruConfig { token_file: Some(token), ..TsuruConfig::new(emulator.base_url()) };
    let tsuru = Tsuru::new(config, now).unwrap();
    // What was before the rollout is not its concern.
    emulator.set_rate("shop", 600.0);
    while emulator.stats("shop", OLD).requests < 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    emulator.set_rate("shop", 0.0);
    tokio::time::sleep(Duration::from_millis(100)).await;

    let before = emulator.stats("shop", OLD);
    let versions = Arms { baseline: Some(OLD), canary: Some(NEW) };
    let subject = Subject { app: app(), versions, since: now() };
    let scrape: SourceConfig = serde_json::from_str(r#"{"kind":"scrape"}"#).unwrap();
    let gatherer = Gatherer::new(&policy(), subject, Arc::new(scrape.open().unwrap())).unwrap();
    let mut watched = Watched { emulator, tsuru, gatherer, sums: [[0.0; 2]; 2], before };
    watched.gather().await;
    watched.emulator.deploy("shop", "toy:errors=30%", true).await.unwrap();
    watched.tsuru.execute(&app(), &Command::Route { version: NEW }).await.unwrap();
    // From here on both are there; what the baseline did before has nothing to be compared with.
    watched.gather().await;
    watched.busy(50).await;
    assert!(watched.truth()[1][0] > 0, "the canary errs");

    // The canary grows by units that serve from their first second on, and the baseline shrinks.
    let (process, count) = ("web".to_owned(), 1);
    watched.emulator.set_rate("shop", 300.0);
    let add = Command::AddUnits { version: NEW, process: process.clone(), count };
    watched.tsuru.execute(&app(), &add).await.unwrap();
    watched.busy(100).await;
    let remove = Command::RemoveUnits { version: OLD, process, count };
    watched.tsuru.execute(&app(), &remove).await.unwrap();
    watched.busy(100).await;
    watched.emulator.shutdown().await;
}
