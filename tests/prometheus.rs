//! Against a real Prometheus: what units count is what a gatherer gives, each event once, over a restart of a unit, a
//! unit that is new and one that goes, and a Prometheus that was away.
//!
//! Needs Debian's `prometheus` on the path. Without it the tests are passed over with a word, unless
//! `UGUISU_TEST_ALL` is set.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it passed over"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::get;
use uguisu::judge::Reading;
use uguisu::policy::{Counter, Measure, Policy};
use uguisu::rollout::{Observed, Unit};
use uguisu::signal::{Gatherer, SourceConfig, Subject, Watcher};
use uguisu::words::{AppName, Arms, Span, Time, Version};

/// What a unit's page tells.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    good: u32,
    bad: u32,
    started: f64,
}

/// A unit that shows what it is told to.
struct Page {
    address: SocketAddr,
    version: u32,
    counters: Arc<Mutex<Option<Counters>>>,
}

impl Page {
    async fn new(version: u32) -> Self {
        let counters = Arc::new(Mutex::new(None));
        let shown = Arc::clone(&counters);
        let page = move || async move {
            let Some(Counters { good, bad, started }) = *shown.lock().unwrap() else {
                return (axum::http::StatusCode::SERVICE_UNAVAILABLE, String::new());
            };
            let all = good + bad;
            let mut text = format!(
                "process_start_time_seconds {started}\nhttp_requests_total{{code=\"200\",path=\"/{{id}}\"}} {good}\n\
                 http_seconds_bucket{{le=\"0.5\"}} {good}\nhttp_seconds_bucket{{le=\"+Inf\"}} {all}\n\
                 http_seconds_sum 1\nhttp_seconds_count {all}\n"
            );
            if bad > 0 {
                writeln!(text, "http_requests_total{{code=\"500\",path=\"/{{id}}\"}} {bad}").unwrap();
            }
            (axum::http::StatusCode::OK, text)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/metrics", get(page));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, version, counters }
    }

    fn shows(&self, good: u32, bad: u32, started: f64) {
        *self.counters.lock().unwrap() = Some(Counters { good, bad, started });
    }

    fn goes(&self) {
        *self.counters.lock().unwrap() = None;
    }

    fn unit(&self, created: Option<Time>) -> Unit {
        Unit {
            name: format!("unit-{}", self.address.port()),
            process: "web".to_owned(),
            version: Version(self.version),
            address: Some(self.address.to_string()),
            ready: true,
            routable: true,
            base: self.version == 1,
            status: "started".to_owned(),
            restarts: 0,
            created,
        }
    }
}

/// A running Prometheus; it ends with its guard.
struct Prometheus {
    process: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    fn start(dir: &Path, pages: &[&Page], port: u16) -> Option<Self> {
        let mut groups = String::new();
        for Page { address, version, .. } in pages {
            writeln!(groups, "      - targets: ['{address}']").unwrap();
            writeln!(groups, "        labels: {{ app: shop, version: '{version}' }}").unwrap();
        }
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 900ms }}\nscrape_configs:\n  - job_name: units\n    \
             static_configs:\n{groups}"
        );
        std::fs::write(dir.join("prometheus.yml"), config).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => Some(Self { process, port }),
            Err(error) => {
                assert!(std::env::var_os("UGUISU_TEST_ALL").is_none(), "no Prometheus: {error}");
                println!("PASSED OVER: there is no `prometheus` to test against ({error})");
                None
            }
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Time(i64::try_from(since.as_millis()).unwrap())
}

fn policy() -> Policy {
    let text = "policy: shop\nfor: { apps: [shop] }\nstrategy: { canary: { steps: [10%], bake: { at_least: 1m, \
                at_most: 5m } } }\nsignals: [{ use: http-errors }]\n";
    let mut policy = uguisu::policy::read("shop.yaml", text).policy.unwrap();
    let template = policy.signals.remove(0);
    let counter = |text: &str| Counter(text.to_owned());
    let events = counter("http_requests_total{code=~\"5..\"}");
    let total = counter("http_requests_total");
    let errors = Measure::Ratio { events, total, floor: 0.0, min_events: 0, limit: None };
    let latency = Measure::Latency { histogram: counter("http_seconds"), over: None, limit: None };
    policy.signals = [("errors", errors), ("latency", latency)]
        .into_iter()
        .map(|(name, measure)| uguisu::policy::Signal { name: name.to_owned(), measure, ..template.clone() })
        .collect();
    policy.look_every = Span::seconds(1);
    policy
}

fn source(port: u16) -> Arc<uguisu::signal::Source> {
    let config = format!(r#"{{"kind":"prometheus","url":"http://127.0.0.1:{port}"}}"#);
    let config: SourceConfig = serde_json::from_str(&config).unwrap();
    Arc::new(config.open().unwrap())
}

fn observed(units: Vec<Unit>) -> Observed {
    Observed { at: now(), units: units.into(), autoscaled: vec![], quota_left: None, gaps: vec![] }
}

/// Sums of what was given: by arm, errors, requests, requests within half a second, requests by histogram.
#[derive(Debug, Default)]
struct Sums([[f64; 4]; 2]);

impl Sums {
    fn add(&mut self, signals: &BTreeMap<String, Arms<Option<Reading>>>) {
        for reading in signals.values() {
            for (sums, reading) in self.0.iter_mut().zip([&reading.baseline, &reading.canary]) {
                match reading {
                    Some(Reading::Counts { events, total }) => {
                        sums[0] += events;
                        sums[1] += total;
                    }
                    Some(Reading::Histogram { counts, total, .. }) => {
                        sums[2] += counts.first().unwrap_or(&0.0);
                        sums[3] += total;
                    }
                    _ => {}
                }
            }
        }
    }

    fn is(&self, wanted: [[u32; 4]; 2]) -> bool {
        self.0
            .iter()
            .flatten()
            .zip(wanted.iter().flatten())
            .all(|(sum, wanted)| (sum - f64::from(*wanted)).abs() < 1e-9)
    }
}

/// Gathers until the sums are what they should be. Says what they were if that does not come.
async fn gather_until(gatherer: &mut Gatherer, units: &[Unit], sums: &mut Sums, wanted: [[u32; 4]; 2]) {
    let mut notes = Vec::new();
    for _ in 0..120 {
        let look = gatherer.gather(&observed(units.to_vec()), now()).await;
        sums.add(&look.signals);
        notes.extend(look.notes);
        if sums.is(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("given: {sums:?}, wanted: {wanted:?}; {notes:#?}");
}

#[tokio::test]
async fn what_units_count_is_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let (old, young, canary) = (Page::new(1).await, Page::new(1).await, Page::new(2).await);
    let long_ago = 1_600_000_000.5;
    old.shows(9000, 900, long_ago);
    let port = free_port();
    let Some(prometheus) = Prometheus::start(dir.path(), &[&old, &young, &canary], port) else { return };
    let began = now();
    let subject = Subject {
        app: AppName("shop".to_owned()),
        versions: Arms { baseline: Some(Version(1)), canary: Some(Version(2)) },
        since: began,
    };
    let mut gatherer = Gatherer::new(&policy(), subject.clone(), source(port)).unwrap();
    let mut units = vec![old.unit(None)];
    let mut sums = Sums::default();
    // Until the baseline is anchored there is nothing to count from.
    let mut anchored = false;
    for _ in 0..120 {
        let look = gatherer.gather(&observed(units.clone()), now()).await;
        anchored |= look.signals.get("errors").is_some_and(|arms| arms.baseline.is_some());
        if anchored {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(anchored, "Prometheus never showed the baseline");

    // A canary that was made just now errs at once; its errors count though it was never seen before.
    let started = now().seconds();
    canary.shows(20, 5, started);
    units.push(canary.unit(Some(now())));
    gather_until(&mut gatherer, &units, &mut sums, [[0, 0, 0, 0], [5, 25, 20, 25]]).await;
    // Ordinary work, in both.
    old.shows(9100, 903, long_ago);
    canary.shows(50, 6, started);
    gather_until(&mut gatherer, &units, &mut sums, [[3, 103, 100, 103], [6, 56, 50, 56]]).await;

    // The canary restarts and passes what it was; a baseline unit of unknown age joins; the daemon restarts.
    let started = now().seconds().max(started + 2.5);
    canary.shows(60, 8, started);
    young.shows(70_000, 7000, long_ago);
    units.push(young.unit(None));
    let saved = serde_json::to_string(gatherer.state()).unwrap();
    let state = serde_json::from_str(&saved).unwrap();
    gatherer = Gatherer::restore(&policy(), subject, source(port), state).unwrap();
    gather_until(&mut gatherer, &units, &mut sums, [[3, 103, 100, 103], [14, 124, 110, 124]]).await;

    // Prometheus is away for a while; nothing is lost.
    drop(prometheus);
    let lost = gatherer.gather(&observed(units.clone()), now()).await;
    assert!(lost.signals.is_empty() && lost.notes[0].starts_with("Prometheus: "), "{lost:?}");
    old.shows(9200, 903, long_ago);
    canary.shows(61, 8, started);
    let again = Prometheus::start(dir.path(), &[&old, &young, &canary], port).unwrap();
    gather_until(&mut gatherer, &units, &mut sums, [[3, 203, 200, 203], [14, 125, 111, 125]]).await;

    // A unit that goes takes nothing with it.
    old.shows(9300, 910, long_ago);
    canary.shows(62, 8, started);
    gather_until(&mut gatherer, &units, &mut sums, [[10, 310, 300, 310], [14, 126, 112, 126]]).await;
    old.goes();
    units.remove(0);
    canary.shows(63, 8, started);
    gather_until(&mut gatherer, &units, &mut sums, [[10, 310, 300, 310], [14, 127, 113, 127]]).await;

    // The past of the baseline, as a later rollout asks for it, holds the same.
    let watcher = Watcher::new(policy(), AppName("shop".to_owned()), source(again.port)).unwrap();
    let (looks, notes) = watcher.history(Version(1), now()).await;
    assert_eq!(notes, [] as [&str; 0]);
    let mut past = Sums::default();
    for look in &looks {
        past.add(&look.signals);
    }
    assert!(past.is([[10, 310, 300, 310], [0; 4]]), "{past:?}");
    assert!(looks.is_sorted_by(|one, next| one.at < next.at));
}
