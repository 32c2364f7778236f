use std::sync::{Arc, Mutex};

use super::super::config::{PrometheusConfig, SourceConfig};
use super::super::fakes::{Asked, Server, answer, observed, unit};
use super::super::{Gathered, Gatherer, Source, Subject};
use super::*;
use crate::judge::Reading;
use crate::policy::{Counter, Direction, GaugeForm, Measure, Policy};
use crate::words::Version;

const BEGAN: i32 = 1_700_000_000;

fn at(seconds: i32) -> Time {
    Time(i64::from(BEGAN + seconds) * 1000)
}

fn config(server: &Server) -> PrometheusConfig {
    let text = format!(r#"{{"url":"http://{}/prom/","timeout":"30s"}}"#, server.address);
    serde_json::from_str(&text).unwrap()
}

fn policy(measures: Vec<(&str, Measure)>) -> Policy {
    let text = "policy: shop\nfor: { apps: [shop] }\nstrategy: { canary: { steps: [10%], bake: { at_least: 1m, \
                at_most: 5m } } }\nsignals: [{ use: http-errors }]\n";
    let mut policy = crate::policy::read("shop.yaml", text).policy.unwrap();
    let template = policy.signals.remove(0);
    policy.signals = measures
        .into_iter()
        .map(|(name, measure)| crate::policy::Signal { name: name.to_owned(), measure, ..template.clone() })
        .collect();
    policy
}

fn errors() -> (&'static str, Measure) {
    let counter = |text: &str| Counter(text.to_owned());
    let (events, total) = (counter("requests_total{code=~\"5..\"}"), counter("requests_total"));
    ("errors", Measure::Ratio { events, total, floor: 0.0, min_events: 0, limit: None })
}

fn gatherer(policy: &Policy, config: PrometheusConfig) -> Gatherer {
    let versions = Arms { baseline: Some(Version(1)), canary: Some(Version(2)) };
    let subject = Subject { app: AppName("shop".to_owned()), versions, since: at(0) };
    let source: Source = SourceConfig::Prometheus(Box::new(config)).open().unwrap();
    Gatherer::new(policy, subject, Arc::new(source)).unwrap()
}

fn form(asked: &Asked, key: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://x/?{}", asked.body)).unwrap();
    url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn json(body: &str) -> Vec<u8> {
    answer("200 OK", "application/json", body)
}

/// A series as Prometheus writes it in a matrix.
fn series(labels: &str, points: &[(f64, f64)]) -> String {
    let points: Vec<_> =
        points.iter().map(|(at, v)| format!("[{:.3},\"{v}\"]", f64::from(BEGAN) + at)).collect();
    format!("{{\"metric\":{{{labels}}},\"values\":[{}]}}", points.join(","))
}

fn matrix(series: &[String]) -> Vec<u8> {
    let result = series.join(",");
    json(&format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{result}]}}}}"))
}

const B: &str = r#""app":"shop","version":"1","instance":"10.0.0.1:8888""#;
const C: &str = r#""app":"shop","version":"2","instance":"10.0.0.2:8888""#;

/// Answers the queries of a ratio from points at which both arms had so many requests, a tenth of them bad.
fn arms(asked: &Asked, baseline: &[(f64, f64)], canary: &[(f64, f64)]) -> Vec<u8> {
    let query = form(asked, "query");
    let (unit, points) = if query.contains("version=\"1\"") { (B, baseline) } else { (C, canary) };
    if query.contains("__name__") {
        let up: Vec<_> = points.iter().map(|(at, _)| (*at, 1.0)).collect();
        return matrix(&[series(&format!("\"__name__\":\"up\",{unit}"), &up)]);
    }
    let code = |code, part: fn(f64) -> f64| {
        let points: Vec<_> = points.iter().map(|(at, v)| (*at, part(*v))).collect();
        series(&format!("\"__name__\":\"requests_total\",\"code\":\"{code}\",{unit}"), &points)
    };
    let bad = code(500, |all| all / 10.0);
    if query.contains("5..") { matrix(&[bad]) } else { matrix(&[bad, code(200, |all| all - all / 10.0)]) }
}

fn counts(events: f64, total: f64) -> Option<Reading> {
    Reading::Counts { events, total }.into()
}

#[tokio::test]
async fn points_that_were_seen_before_are_not_counted_again() {
    let points = Arc::new(Mutex::new((vec![(-30.0, 80.0), (-15.0, 90.0), (0.0, 100.0)], vec![(-1.0, 10.0)])));
    let shown = Arc::clone(&points);
    let server = Server::new(move |asked| {
        let (baseline, canary) = shown.lock().unwrap().clone();
        arms(asked, &baseline, &canary)
    })
    .await;
    let mut gatherer = gatherer(&policy(vec![errors()]), config(&server));
    let seen = observed(vec![]);
    let first = gatherer.gather(&seen, at(1)).await;
    assert_eq!(first.notes, [] as [&str; 0]);
    assert_eq!(first.signals["errors"], Arms { baseline: counts(0.0, 0.0), canary: counts(0.0, 0.0) });
    let same = gatherer.gather(&seen, at(2)).await;
    assert_eq!(same.signals.len(), 0, "nothing new");
    {
        let mut points = points.lock().unwrap();
        points.0.extend([(15.0, 150.0), (30.0, 200.0)]);
        points.1.extend([(14.0, 20.0), (29.0, 30.0)]);
    }
    let next = gatherer.gather(&seen, at(31)).await;
    assert_eq!(next.notes, [] as [&str; 0]);
    assert_eq!(next.signals["errors"], Arms { baseline: counts(10.0, 100.0), canary: counts(2.0, 20.0) });
}

#[tokio::test]
async fn a_unit_that_was_made_in_the_rollout_counts_from_zero_where_its_label_is_known() {
    let server = Server::new(|asked| {
        if form(asked, "time").ends_with("09.000") {
            return arms(asked, &[(5.0, 1000.0)], &[]);
        }
        arms(asked, &[(5.0, 1000.0), (20.0, 1100.0)], &[(6.0, 30.0), (21.0, 40.0)])
    })
    .await;
    let address = |text: &str| Some(text.parse().unwrap());
    let mut units = vec![unit("b", 1, address("10.0.0.1:8888")), unit("c", 2, address("10.0.0.2:8888"))];
    for (created, given) in
        [(Some(at(2)), counts(4.0, 40.0)), (Some(at(-1)), counts(0.0, 0.0)), (None, counts(0.0, 0.0))]
    {
        units[1].created = created;
        let mut gatherer = gatherer(&policy(vec![errors()]), config(&server));
        gatherer.gather(&observed(units.clone()), at(9)).await;
        let next = gatherer.gather(&observed(units.clone()), at(22)).await;
        assert_eq!(next.signals["errors"].canary, given, "{created:?}");
    }
}

#[tokio::test]
async fn what_is_asked_is_what_was_configured() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let server = Server::new(move |asked| {
        let line = format!("{} {} {}", asked.path, form(asked, "query"), form(asked, "time"));
        log.lock().unwrap().push((line, asked.head.clone()));
        matrix(&[])
    })
    .await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "s3cret\n").unwrap();
    let mut config = config(&server);
    config.bearer_token_file = Some(token.path().to_owned());
    config.labels.app = "tsuru_app".to_owned();
    config.matchers.insert("cluster".to_owned(), "a\"b".to_owned());
    config.headers.insert("X-Scope-OrgID".to_owned(), "tenant".to_owned());
    let gauge = Measure::Gauge {
        query: "avg(depth{v=\"{{ version }}\"})".to_owned(),
        worse: Direction::Up,
        form: GaugeForm::Strict,
        floor: None,
    };
    let mut gatherer = gatherer(&policy(vec![errors(), ("depth", gauge)]), config);
    gatherer.gather(&observed(vec![]), Time(1_700_000_000_250)).await;
    let (lines, heads): (Vec<_>, Vec<_>) = asked.lock().unwrap().drain(..).unzip();
    assert_eq!(lines.len(), 8);
    assert_eq!(
        lines[0],
        "/prom/api/v1/query {__name__=~\"up|process_start_time_seconds\",tsuru_app=\"shop\",version=\"1\",\
         cluster=\"a\\\"b\"}[1m30s] 1700000000.250"
    );
    let wanted = "/prom/api/v1/query requests_total{code=~\"5..\",tsuru_app=\"shop\",version=\"2\",cluster=\"a\\\"b\"}\
                  [1m30s] 1700000000.250";
    assert!(lines.iter().any(|line| line == wanted), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("avg(depth{v=\"2\"})")));
    assert!(heads.iter().all(|head| head.contains("authorization: bearer s3cret")), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains("x-scope-orgid: tenant")));
    std::fs::write(token.path(), "fresh").unwrap();
    gatherer.gather(&observed(vec![]), at(9)).await;
    assert!(
        asked.lock().unwrap()[0].1.contains("authorization: bearer fresh"),
        "a token that was replaced is used"
    );
}

#[tokio::test]
async fn a_server_that_errs_is_told_with_what_it_said() {
    let huge = format!("{{\"status\":\"success\",\"data\":{{\"x\":\"{}\"}}}}", "x".repeat(33 << 20));
    let refused =
        r#"{"status":"error","errorType":"bad_data","error":"1:10: parse error: unclosed left parenthesis"}"#;
    let partial = r#"{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}"#;
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#;
    let value = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"one"]]}]}}"#;
    let cases = [
        (answer("400 Bad Request", "application/json", refused), "(bad_data): 1:10: parse error"),
        (
            answer("200 OK", "text/html", "<html>login</html>"),
            "a web page; is this the address of a Prometheus?",
        ),
        (
            answer("503 Service Unavailable", "text/plain", "starting up\n"),
            "503 Service Unavailable and what",
        ),
        (
            answer("401 Unauthorized", "text/plain", "who are you"),
            "refuses the credentials (401 Unauthorized)",
        ),
        (answer("200 OK", "application/json", ""), "and nothing else"),
        (
            json("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"resu"),
            "what Prometheus would not say",
        ),
        (json(partial), "partial"),
        (json(scalar), "with a scalar, not with series"),
        (json(value), "`one` stands where a value should be"),
        (json(&huge), "larger than 32 MiB"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"status\":\"succ".to_vec(),
            "the answer broke off",
        ),
        (Vec::new(), "no answer within 1s"),
    ];
    for (bytes, what) in cases {
        let silent = bytes.is_empty();
        let server = Server::new(move |_| bytes.clone()).await;
        let mut config = config(&server);
        if silent {
            config.timeout = serde_json::from_str(r#""1s""#).unwrap();
        }
        let mut gatherer = gatherer(&policy(vec![errors()]), config);
        let Gathered { signals, notes, failed } = gatherer.gather(&observed(vec![]), at(0)).await;
        assert_eq!((signals.len(), failed), (0, 1));
        assert!(
            notes.len() == 1 && notes[0].starts_with("Prometheus: ") && notes[0].contains(what),
            "{what}: {notes:?}"
        );
    }
    let mut lost = config(&Server::new(|_| Vec::new()).await);
    lost.url = "http://127.0.0.1:1".to_owned();
    let notes = gatherer(&policy(vec![errors()]), lost).gather(&observed(vec![]), at(0)).await.notes;
    assert!(notes[0].starts_with("Prometheus: cannot connect: "), "{notes:?}");
}

#[tokio::test]
async fn a_query_that_fails_leaves_its_signal_alone() {
    let server = Server::new(|asked| {
        let query = form(asked, "query");
        if query.contains("5..") && query.contains("version=\"2\"") {
            return answer("422 Unprocessable Entity", "application/json", r#"{"status":"error","errorType":"execution","error":"too many samples"}"#);
        }
        if query.contains("avg") {
            let one = r#"{"metric":{"pod":"x"},"value":[1700000000.5,"2.5"]},{"metric":{"pod":"y"},"value":[1700000000.5,"NaN"]}"#;
            return json(&format!("{{\"status\":\"success\",\"warnings\":[\"slow\"],\"data\":{{\"resultType\":\"vector\",\"result\":[{one}]}}}}"));
        }
        arms(asked, &[(0.0, 10.0)], &[(0.0, 10.0)])
    })
    .await;
    let gauge = Measure::Gauge {
        query: "avg by (pod) (depth{v=\"{{ version }}\"})".to_owned(),
        worse: Direction::Up,
        form: GaugeForm::Strict,
        floor: None,
    };
    let mut gatherer = gatherer(&policy(vec![errors(), ("depth", gauge)]), config(&server));
    let before = gatherer.state().clone();
    let Gathered { signals, notes, failed } = gatherer.gather(&observed(vec![]), at(1)).await;
    assert_eq!(failed, 1);
    assert_eq!(notes, ["signal `errors`: Prometheus: it refuses the query (execution): too many samples"]);
    let values = || Some(Reading::Values(vec![2.5]));
    assert_eq!(signals["depth"], Arms { baseline: values(), canary: values() });
    assert_eq!(*gatherer.state(), before, "what one arm gave is not taken without the other");
}

#[test]
fn more_is_asked_for_after_a_pause() {
    let mut book = Book::new(
        super::super::increments::Kind::Ratio,
        super::super::increments::Compare::Both,
        at(0),
        Span::seconds(15),
    );
    let sample = UnitSample {
        unit: "b".to_owned(),
        arm: Arm::Baseline,
        at: at(0),
        born: None,
        started: None,
        points: vec![],
    };
    book.take(&sample, at(0)).unwrap();
    let books = BTreeMap::from([("errors".to_owned(), book)]);
    let subject = Subject { app: AppName("a".to_owned()), versions: Arms::default(), since: at(0) };
    let seen = observed(vec![]);
    let after = |seconds| {
        range(&Ask { subject: &subject, meters: &[], books: &books, observed: &seen, now: at(seconds) })
    };
    assert_eq!(
        [after(15), after(600), after(90_000)],
        [Span::seconds(90), Span::minutes(11), Span::minutes(60)]
    );
}

#[tokio::test]
async fn the_past_is_read_in_looks_of_even_length() {
    // A point every 10 seconds for an hour, with 3 requests each, and a gauge.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let server = Server::new(move |asked| {
        let query = form(asked, "query");
        log.lock().unwrap().push(format!("{} {query}", asked.path));
        let points = |from: i32, to: i32| -> Vec<(f64, f64)> {
            (from..=to)
                .filter(|at| at % 10 == 0)
                .map(|at| (f64::from(at), f64::from(50_000 + at * 10)))
                .collect()
        };
        if asked.path.ends_with("query_range") {
            return matrix(&[
                series("\"pod\":\"x\"", &points(-3585, 0)),
                series("\"pod\":\"y\"", &[(0.0, f64::NAN)]),
            ]);
        }
        let end: f64 = form(asked, "time").parse().unwrap();
        let end = (0..=6).map(|chunk| -600 * chunk).find(|at| f64::from(BEGAN + at) <= end).unwrap();
        assert!(query.ends_with("[10m]"), "{query}");
        arms(asked, &points(end - 600, end), &[])
    })
    .await;
    let gauge = Measure::Gauge {
        query: "max(depth{v=\"{{ version }}\"})".to_owned(),
        worse: Direction::Up,
        form: GaugeForm::Strict,
        floor: None,
    };
    let mut policy = policy(vec![errors(), ("depth", gauge)]);
    policy.look_every = Span::seconds(30);
    let source = Arc::new(SourceConfig::Prometheus(Box::new(config(&server))).open().unwrap());
    let watcher = super::super::Watcher::new(policy, AppName("shop".to_owned()), source).unwrap();
    let (looks, notes) = watcher.history(Version(1), at(0)).await;
    assert_eq!(notes, [] as [&str; 0]);
    assert!(asked.lock().unwrap().iter().all(|line| !line.contains("version=\"2\"")));
    let ats: Vec<f64> = looks.iter().map(|look| look.at).collect();
    assert!(ats.windows(2).all(|pair| (pair[1] - pair[0] - 30.0).abs() < 1e-9), "{ats:?}");
    assert_eq!(looks.len(), 120);
    assert!(
        looks[1..]
            .iter()
            .all(|look| look.signals["errors"] == Arms { baseline: counts(30.0, 300.0), canary: None })
    );
    assert_eq!(looks[119].signals["depth"].baseline, Some(Reading::Values(vec![50_000.0])));
}

#[tokio::test]
async fn a_past_that_cannot_be_told_is_said_to_be_so() {
    let server = Server::new(|_| answer("500 Internal Server Error", "text/plain", "boom")).await;
    let source = Arc::new(SourceConfig::Prometheus(Box::new(config(&server))).open().unwrap());
    let watcher =
        super::super::Watcher::new(policy(vec![errors()]), AppName("shop".to_owned()), source).unwrap();
    let (looks, notes) = watcher.history(Version(1), at(0)).await;
    assert_eq!(looks, []);
    assert!(notes[0].starts_with("history of signal `errors`: Prometheus: it answers with 500"), "{notes:?}");
}
