use std::sync::Mutex;

use super::super::fakes::{self, Server, observed, page, unit};
use super::super::{ScrapeConfig, SourceConfig};
use super::*;
use crate::policy::{Counter, Measure, Signal};
use crate::words::{AppName, Span, Version};

const BEGAN: Time = Time(1_700_000_000_000);

fn at(seconds: i64) -> Time {
    Time(BEGAN.0 + seconds * 1000)
}

fn signal(name: &str, measure: Measure) -> Signal {
    Signal {
        name: name.to_owned(),
        measure,
        margin: 0.2,
        prove_within: None,
        weight: 1.0,
        critical: true,
        gates: true,
    }
}

fn counter(text: &str) -> Counter {
    Counter(text.to_owned())
}

/// Errors, latency, a rate and a gauge.
fn policy() -> Policy {
    let text = "policy: shop\nfor: { apps: [shop] }\nstrategy: { canary: { steps: [10%], bake: { at_least: 1m, \
                at_most: 5m } } }\nsignals: [{ use: http-errors }]\n";
    let read = crate::policy::read("shop.yaml", text);
    let mut policy = read.policy.unwrap_or_else(|| panic!("{}", read.findings));
    policy.look_every = Span::seconds(15);
    policy.signals = vec![
        signal(
            "errors",
            Measure::Ratio {
                events: counter("http_requests_total{code=~\"5..\"}"),
                total: counter("http_requests_total"),
                floor: 0.0005,
                min_events: 5,
                limit: None,
            },
        ),
        signal("latency", Measure::Latency { histogram: counter("http_seconds"), over: None, limit: None }),
        signal("dead", Measure::Rate { events: counter("dead_letters_total"), floor: 0.0 }),
        signal(
            "memory",
            Measure::Gauge {
                query: "rss{app=\"{{ app }}\",version=\"{{ version }}\"}".to_owned(),
                worse: crate::policy::Direction::Up,
                form: crate::policy::GaugeForm::Strict,
                floor: None,
            },
        ),
    ];
    policy
}

fn subject() -> Subject {
    let versions = Arms { baseline: Some(Version(1)), canary: Some(Version(2)) };
    Subject { app: AppName("shop".to_owned()), versions, since: BEGAN }
}

fn scraper() -> Arc<Source> {
    let config = ScrapeConfig { timeout: Span::seconds(2), ..ScrapeConfig::default() };
    Arc::new(SourceConfig::Scrape(config).open().unwrap())
}

/// A unit's page of so many good and bad requests.
fn metrics(good: u32, bad: u32) -> String {
    let all = good + bad;
    format!(
        "# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\",path=\"/{{id}}\"}} {good}\n\
         http_requests_total{{code=\"500\",path=\"/{{id}}\"}} {bad}\nhttp_seconds_bucket{{le=\"0.1\"}} {good}\n\
         http_seconds_bucket{{le=\"+Inf\"}} {all}\nhttp_seconds_sum 1.5\nhttp_seconds_count {all}\n\
         dead_letters_total {bad}\nrss{{kind=\"resident\"}} {all}.5\nprocess_start_time_seconds 1600000000.25\n"
    )
}

/// Units whose pages can be changed.
struct Fleet {
    pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    units: Vec<crate::rollout::Unit>,
}

impl Fleet {
    async fn new(units: &[(&str, u32)]) -> Self {
        let pages = Arc::new(Mutex::new(BTreeMap::new()));
        let mut fleet = Self { pages: Arc::clone(&pages), units: Vec::new() };
        for (name, version) in units {
            let (pages, key) = (Arc::clone(&pages), (*name).to_owned());
            let server =
                Server::new(move |_| pages.lock().unwrap().get(&key).cloned().unwrap_or_default()).await;
            fleet.units.push(unit(name, *version, Some(server.address)));
        }
        fleet
    }

    fn shows(&self, unit: &str, good: u32, bad: u32) {
        self.answers(unit, page(&metrics(good, bad)));
    }

    fn answers(&self, unit: &str, bytes: Vec<u8>) {
        self.pages.lock().unwrap().insert(unit.to_owned(), bytes);
    }
}

fn counts(events: f64, total: f64) -> Option<Reading> {
    Reading::Counts { events, total }.into()
}

#[tokio::test]
async fn all_kinds_of_signals_come_from_one_scrape_of_each_unit() {
    let fleet = Fleet::new(&[("b1", 1), ("b2", 1), ("c", 2), ("other", 3)]).await;
    let mut gatherer = Gatherer::new(&policy(), subject(), scraper()).unwrap();
    let seen = observed(fleet.units.clone());
    for unit in ["b1", "b2", "c"] {
        fleet.shows(unit, 100, 10);
    }
    let first = gatherer.gather(&seen, at(0)).await;
    assert_eq!(first.notes, [] as [&str; 0]);
    assert_eq!(first.signals["errors"], Arms { baseline: counts(0.0, 0.0), canary: counts(0.0, 0.0) });
    assert_eq!(first.signals["memory"].baseline, Some(Reading::Values(vec![110.5, 110.5])));

    fleet.shows("b1", 120, 11);
    fleet.shows("b2", 130, 10);
    fleet.shows("c", 103, 12);
    let Gathered { signals, notes, .. } = gatherer.gather(&seen, at(15)).await;
    assert_eq!(notes, [] as [&str; 0]);
    assert_eq!(signals["errors"], Arms { baseline: counts(1.0, 51.0), canary: counts(2.0, 5.0) });
    assert_eq!(signals["dead"], Arms { baseline: counts(1.0, 30.0), canary: counts(2.0, 15.0) });
    let histogram = |count, total| Some(Reading::Histogram { le: vec![0.1], counts: vec![count], total });
    assert_eq!(signals["latency"], Arms { baseline: histogram(50.0, 51.0), canary: histogram(3.0, 5.0) });
    assert_eq!(signals["memory"].canary, Some(Reading::Values(vec![115.5])));
}

#[tokio::test]
async fn a_restarted_daemon_counts_no_event_twice_and_loses_none() {
    let fleet = Fleet::new(&[("b", 1), ("c", 2)]).await;
    let seen = observed(fleet.units.clone());
    let mut gatherer = Gatherer::new(&policy(), subject(), scraper()).unwrap();
    let mut sums = [0.0; 4];
    for n in 0..6_u32 {
        fleet.shows("b", 1000 + 50 * n, 100 + n);
        fleet.shows("c", 20 * n, 3 * n);
        let errors = &gatherer.gather(&seen, at(i64::from(n) * 15)).await.signals["errors"];
        for (slot, reading) in [&errors.baseline, &errors.canary].into_iter().enumerate() {
            let Some(Reading::Counts { events, total }) = reading else { panic!("{reading:?}") };
            sums[2 * slot] += events;
            sums[2 * slot + 1] += total;
        }
        let saved = serde_json::to_string(gatherer.state()).unwrap();
        let state = serde_json::from_str(&saved).unwrap();
        gatherer = Gatherer::restore(&policy(), subject(), scraper(), state).unwrap();
    }
    assert_eq!(sums.map(|sum| sum.to_string()), ["5", "255", "15", "115"]);
}

#[tokio::test]
async fn a_unit_that_does_not_answer_well_is_reported_and_waited_for() {
    let fleet = Fleet::new(&[("b", 1), ("c", 2)]).await;
    let seen = observed(fleet.units.clone());
    let mut gatherer = Gatherer::new(&policy(), subject(), scraper()).unwrap();
    fleet.shows("b", 100, 0);
    fleet.shows("c", 100, 0);
    gatherer.gather(&seen, at(0)).await;
    let whole = metrics(110, 5);
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", whole.len(), &whole[..190]);
    let html = "<!doctype html><title>Hello</title>\n";
    let huge = "# a comment that says nothing at all, again and again\n".repeat(400_000);
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        (cut.into_bytes(), "the answer broke off"),
        (fakes::answer("200 OK", "text/plain", &whole[..190]), "cut short after line"),
        (fakes::answer("200 OK", "text/html", html), "`text/html`"),
        (page(html), "line 1: this is HTML or XML"),
        (fakes::answer("500 Internal Server Error", "text/plain", "boom"), "answers with 500"),
        (page(""), "answers with nothing"),
        (page(&huge), "larger than 16 MiB"),
        (redirect.into(), "redirect"),
        (b"what?".to_vec(), "the request failed"),
        (
            page(&format!("{whole}http_requests_total{{code=\"200\",path=\"/{{id}}\"}} 7\n")),
            "stands there twice",
        ),
        (page(&whole.replace(" 5\n", " NaN\n")), "no count"),
        (
            page("http_requests_total \u{e9}\n")
                .into_iter()
                .map(|b| if b == 0xc3 { 0xff } else { b })
                .collect(),
            "UTF-8",
        ),
        (Vec::new(), "no answer within 2s"),
    ];
    for (n, (bytes, what)) in cases.into_iter().enumerate() {
        fleet.answers("c", bytes);
        let now = at(1 + i64::try_from(n).unwrap());
        let Gathered { signals, notes, failed } = gatherer.gather(&seen, now).await;
        // A value that makes no sense is the app's doing: the source answered.
        assert_eq!(failed > 0, what != "no count", "{what}");
        assert!(notes.iter().any(|note| note.contains(what) && note.contains("`c`")), "{what}: {notes:?}");
        assert_eq!(signals["errors"], Arms { baseline: counts(0.0, 0.0), canary: None }, "{what}");
    }
    fleet.answers("c", page(&whole));
    fleet.shows("b", 130, 1);
    let Gathered { signals, notes, failed } = gatherer.gather(&seen, at(40)).await;
    assert_eq!((notes, failed), (vec![], 0));
    assert_eq!(signals["errors"], Arms { baseline: counts(1.0, 31.0), canary: counts(5.0, 15.0) });
}

#[tokio::test]
async fn a_unit_that_is_not_there_yet_is_no_news() {
    let fleet = Fleet::new(&[("b", 1)]).await;
    fleet.shows("b", 1, 0);
    let mut starting = unit("c", 2, None);
    starting.ready = false;
    let mut units = fleet.units.clone();
    units.push(starting);
    let mut gatherer = Gatherer::new(&policy(), subject(), scraper()).unwrap();
    let Gathered { signals, notes, .. } = gatherer.gather(&observed(units), at(0)).await;
    assert_eq!(notes, [] as [&str; 0]);
    assert_eq!(signals["errors"], Arms { baseline: counts(0.0, 0.0), canary: None });
}

#[tokio::test]
async fn a_misnamed_metric_is_no_silence_that_means_something() {
    let fleet = Fleet::new(&[("b", 1), ("c", 2)]).await;
    for unit in ["b", "c"] {
        fleet.answers(unit, page("http_request_total 5\nrss 1\nrss{a=\"b\"} 2\n"));
    }
    let mut gatherer = Gatherer::new(&policy(), subject(), scraper()).unwrap();
    let Gathered { signals, notes, .. } = gatherer.gather(&observed(fleet.units.clone()), at(0)).await;
    assert_eq!(signals, BTreeMap::new());
    assert!(notes.contains(&"signal `errors`: no unit shows a series of `http_requests_total`".to_owned()));
    assert!(notes.contains(&"signal `latency`: no unit shows a series of `http_seconds_bucket`".to_owned()));
    assert!(notes.iter().any(|note| note.contains("several series match `rss`")), "{notes:?}");
}

#[test]
fn gathering_can_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let mut gatherer = Gatherer::new(&policy(), subject(), scraper()).unwrap();
    let seen = observed(Vec::new());
    is_send(&gatherer.gather(&seen, at(0)));
}

#[test]
fn a_selector_that_cannot_be_read_is_named() {
    let mut policy = policy();
    policy.signals = vec![signal("rates", Measure::Rate { events: counter("rate(x[5m])"), floor: 0.0 })];
    let error = Gatherer::new(&policy, subject(), scraper()).unwrap_err();
    assert!(error.to_string().starts_with("signal `rates`: "), "{error}");
}

#[tokio::test]
async fn watching_between_rollouts_keeps_a_bounded_past_of_one_version() {
    let fleet = Fleet::new(&[("b", 1), ("new", 2)]).await;
    let seen = observed(fleet.units.clone());
    let mut watcher = super::super::Watcher::new(policy(), AppName("shop".to_owned()), scraper()).unwrap();
    for n in 0..250_u32 {
        fleet.shows("b", 100 + n, n);
        let notes = watcher.watch(Version(1), &seen, at(i64::from(n) * 15)).await.unwrap();
        assert_eq!(notes, [] as [&str; 0]);
    }
    let (looks, _) = watcher.history(Version(1), at(4000)).await;
    assert_eq!(looks.len(), 240);
    assert!(
        looks.iter().all(|look| look.signals["errors"] == Arms { baseline: counts(1.0, 2.0), canary: None })
    );
    assert_eq!(watcher.history(Version(1), at(1500)).await.0.len(), 91, "not what was seen since");
    assert_eq!(watcher.history(Version(2), at(4000)).await.0, []);
    let (version, unkept) = watcher.unkept().unwrap();
    assert_eq!((version, unkept.len()), (Version(1), 240));
    watcher.forget(unkept[237].at);
    assert_eq!(
        watcher.history(Version(1), at(4000)).await.0,
        looks[238..],
        "what is kept elsewhere is not told twice"
    );
    watcher.forget(unkept[239].at);
    assert_eq!(watcher.unkept(), None);
    fleet.shows("new", 1, 0);
    watcher.watch(Version(2), &seen, at(5000)).await.unwrap();
    assert_eq!(watcher.history(Version(1), at(5000)).await.0, []);
}
