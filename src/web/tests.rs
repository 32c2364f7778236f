use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use proptest::prelude::*;
use reqwest::{Client, RequestBuilder, Response};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::alertmanager::parse;
use super::alerts::Watched;
use super::*;
use crate::policy::{AlertRule, Reaction};
use crate::rollout::Phase;
use crate::words::{AppName, Span, Time, Version};

const TOKEN: &str = "correct horse";

/// What Alertmanager 0.25 sends, shortened where nothing is read.
fn payload() -> serde_json::Value {
    json!({
        "receiver": "uguisu", "status": "firing", "groupKey": "{}:{}", "externalURL": "http://am:9093",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "version": "4", "truncatedAlerts": 0,
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighErrors", "app": "shop", "severity": "page"},
                "annotations": {"summary": "5% of requests fail"},
                "startsAt": "2023-11-14T22:13:20.5Z", "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://p:9090/graph", "fingerprint": "cbcdeca9f0e4a7dc"
            },
            {
                "status": "resolved",
                "labels": {"alertname": "SlowQueue", "app": "mail"},
                "annotations": {},
                "startsAt": "2023-11-14T23:13:20+01:00", "endsAt": "2023-11-14T22:14:20Z",
                "generatorURL": "", "fingerprint": "0000000000000001"
            }
        ]
    })
}

#[test]
fn alertmanagers_payload_is_read() {
    let (alerts, truncated) = parse(payload().to_string().as_bytes()).unwrap();
    assert_eq!((alerts.len(), truncated), (2, 0));
    assert_eq!(alerts[0].name(), "HighErrors");
    assert_eq!(alerts[0].fingerprint, "cbcdeca9f0e4a7dc");
    assert_eq!((alerts[0].status, alerts[0].starts_at), (AlertStatus::Firing, Time(1_700_000_000_500)));
    assert_eq!(alerts[0].ends_at, None, "the year 1 is no end");
    assert_eq!(
        (alerts[1].starts_at, alerts[1].ends_at),
        (Time(1_700_000_000_000), Some(Time(1_700_000_060_000)))
    );
}

#[test]
fn what_is_no_payload_is_refused_with_the_reason() {
    let changed = |path: &str, value: serde_json::Value| {
        let mut payload = payload();
        *payload.pointer_mut(path).unwrap() = value;
        payload.to_string()
    };
    for (body, expected) in [
        (String::new(), "EOF while parsing"),
        ("{}".to_owned(), "missing field `version`"),
        ("[1]".to_owned(), "not Alertmanager's webhook payload"),
        (r#"{"version":"4","alerts":[{"#.to_owned(), "EOF while parsing"),
        (changed("/version", json!("3")), "version `3`"),
        (changed("/version", json!("x".repeat(9999))), "version `xxxxxxxxxxxxxxxxxxxx`"),
        (changed("/alerts", json!(null)), "invalid type: null"),
        (changed("/alerts/0/status", json!("burning")), "unknown variant `burning`"),
        (changed("/alerts/0/startsAt", json!("yesterday")), "line 1 column"),
        (changed("/alerts/0/labels", json!({"app": 7})), "invalid type: integer"),
        (changed("/truncatedAlerts", json!(-1)), "invalid value: integer `-1`"),
    ] {
        let error = parse(body.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.len() < 300, "{error}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _any = parse(&bytes);
    }

    #[test]
    fn no_damage_to_a_payload_makes_the_parser_panic(at in 0_usize..900, byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = payload().to_string().into_bytes();
        let at = at.min(bytes.len() - 1);
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        if let Ok((alerts, _)) = parse(&bytes) {
            for alert in alerts {
                let _any = watched(&[rule(&[], Reaction::Pause)]).meets(&alert, &AlertLabels::default());
            }
        }
    }
}

fn rule(matches: &[(&str, &str)], action: Reaction) -> AlertRule {
    let owned = |&(label, pattern): &(&str, &str)| (label.to_owned(), pattern.to_owned());
    AlertRule { matches: matches.iter().map(owned).collect(), action }
}

/// A rollout of `shop` to v4 that began at 1,000 s.
fn watched(rules: &[AlertRule]) -> Watched<'_> {
    static APP: std::sync::LazyLock<AppName> = std::sync::LazyLock::new(|| AppName("shop".to_owned()));
    Watched { app: &APP, canary: Version(4), began: Time(1_000_000), rules }
}

/// An alert called `Errors` that began to fire at 2,000 s, with more labels.
fn alert(labels: &[(&str, &str)]) -> Alert {
    let all = [("alertname", "Errors")].iter().chain(labels);
    Alert {
        fingerprint: "f".to_owned(),
        status: AlertStatus::Firing,
        labels: all.map(|&(label, value)| (label.to_owned(), value.to_owned())).collect(),
        annotations: BTreeMap::from([("summary".to_owned(), "it\nburns".to_owned())]),
        starts_at: Time(2_000_000),
        ends_at: None,
    }
}

#[test]
fn an_alert_does_what_the_first_rule_that_fits_says() {
    let rules = [
        rule(&[("alertname", "Slow*")], Reaction::Ignore),
        rule(&[("alertname", "Err*"), ("severity", "page")], Reaction::Rollback),
        rule(&[("alertname", "*")], Reaction::Pause),
    ];
    let action =
        |labels: &[(&str, &str)]| match watched(&rules).meets(&alert(labels), &AlertLabels::default()) {
            Match::Raised(alarm) => {
                assert_eq!(
                    (alarm.name.as_str(), alarm.sentence.as_str()),
                    ("Errors", "alert `Errors` fires: it burns")
                );
                Some(alarm.action)
            }
            _ => None,
        };
    assert_eq!(action(&[("app", "shop"), ("severity", "page")]), Some(Reaction::Rollback));
    assert_eq!(action(&[("app", "shop"), ("severity", "info")]), Some(Reaction::Pause));
    assert_eq!(action(&[("app", "shop")]), Some(Reaction::Pause));
    assert_eq!(action(&[("app", "kube-state"), ("tsuru_io_app_name", "shop")]), Some(Reaction::Pause));
    assert_eq!(action(&[("app", "shop"), ("version", "4")]), Some(Reaction::Pause));
    assert_eq!(action(&[("app", "shop"), ("tsuru_io_app_version", "v4")]), Some(Reaction::Pause));
    // No number of a version: it says nothing.
    assert_eq!(action(&[("app", "shop"), ("version", "1.2.3")]), Some(Reaction::Pause));
    assert_eq!(action(&[("app", "shop"), ("version", "99999999999")]), Some(Reaction::Pause));
}

#[test]
fn an_alert_about_something_else_means_nothing() {
    let any = [rule(&[], Reaction::Rollback)];
    let names = AlertLabels::default();
    for labels in [&[("app", "shop-2")][..], &[("application", "shop")], &[]] {
        assert_eq!(watched(&any).meets(&alert(labels), &names), Match::Unrelated, "{labels:?}");
    }
    let ours = alert(&[("app", "shop")]);
    assert_eq!(watched(&[]).meets(&ours, &names), Match::Unrelated);
    let resolved = Alert { status: AlertStatus::Resolved, ends_at: Some(Time(3_000_000)), ..ours };
    assert_eq!(watched(&any).meets(&resolved, &names), Match::Unrelated);
}

#[test]
fn an_alert_that_cannot_be_the_canarys_doing_is_ignored_with_a_note() {
    let any = [rule(&[], Reaction::Rollback)];
    let note = |alert: &Alert| match watched(&any).meets(alert, &AlertLabels::default()) {
        Match::Ignored(note) => note,
        other => panic!("{other:?}"),
    };
    let before = Alert { starts_at: Time(700_000), ..alert(&[("app", "shop")]) };
    assert_eq!(note(&before), "alert `Errors` already fired 5m before the rollout began");
    let other = alert(&[("app", "shop"), ("version", "v3")]);
    assert_eq!(note(&other), "alert `Errors` fires for v3, not for the canary v4");
}

/// The doors on loopback, with an engine that takes what comes, or does not.
struct House {
    address: String,
    client: Client,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    alerts: mpsc::Receiver<Delivery>,
    orders: mpsc::Receiver<Errand>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl House {
    async fn open(token: Option<&str>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (sender, alerts) = mpsc::channel(1);
        let (errands, orders) = mpsc::channel(1);
        let doors = Doors {
            readiness: Readiness::default(),
            metrics: Arc::new(Metrics::new()),
            alerts: sender,
            alert_token: token.map(|t| SecretString::from(t.to_owned())),
            orders: errands,
            operator_token: token.map(|t| SecretString::from(format!("{t} of operators"))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let (readiness, metrics) = (doors.readiness.clone(), Arc::clone(&doors.metrics));
        let serving = serve(listener, doors, stop.clone());
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, client: Client::new(), readiness, metrics, alerts, orders, stop, task }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        answer(self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()).await
    }

    fn hook(&self) -> RequestBuilder {
        self.client
            .post(format!("http://{}/hooks/alertmanager", self.address))
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
    }

    async fn knock(&self, request: RequestBuilder) -> (StatusCode, String) {
        answer(request.send().await.unwrap()).await
    }
}

async fn answer(response: Response) -> (StatusCode, String) {
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn alerts_are_accepted_once_the_engine_has_them() {
    let mut house = House::open(Some(TOKEN)).await;
    let request = house.hook().body(payload().to_string()).send();
    let engine = async {
        let delivery = house.alerts.recv().await.unwrap();
        assert_eq!((delivery.alerts.len(), delivery.truncated), (2, 0));
        delivery.taken();
    };
    let (response, ()) = tokio::join!(request, engine);
    assert_eq!(answer(response.unwrap()).await, (StatusCode::OK, "2 alert(s) accepted\n".to_owned()));
    let text = house.metrics.text().unwrap();
    assert!(text.contains("uguisu_alert_requests_total{result=\"accepted\"} 1"), "{text}");
}

#[tokio::test]
async fn alerts_that_nobody_took_are_to_be_sent_again() {
    let mut house = House::open(Some(TOKEN)).await;
    let request = house.hook().body(payload().to_string()).send();
    let engine = async { drop(house.alerts.recv().await.unwrap()) };
    let (response, ()) = tokio::join!(request, engine);
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "5");

    // One waits for the engine; there is no place for another.
    let first = tokio::spawn(house.hook().body(payload().to_string()).send());
    while house.alerts.is_empty() {
        tokio::task::yield_now().await;
    }
    let (status, text) = house.knock(house.hook().body(payload().to_string())).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("too many alerts are waiting"), "{text}");
    house.alerts.recv().await.unwrap().taken();
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn who_does_not_show_the_token_is_not_let_in() {
    let house = House::open(Some(TOKEN)).await;
    let url = format!("http://{}/hooks/alertmanager", house.address);
    let body = payload().to_string();
    for shown in
        [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Bearer wrong"), Some("Basic correct horse")]
    {
        let mut request =
            house.client.post(&url).header("content-type", "application/json").body(body.clone());
        if let Some(shown) = shown {
            request = request.header("authorization", shown);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{shown:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let text = response.text().await.unwrap();
        assert!(text.contains("Authorization: Bearer") && !text.contains(TOKEN), "{text}");
    }
    assert!(house.alerts.is_empty());

    let closed = House::open(None).await;
    let (status, text) = closed.knock(closed.hook().body(body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("no token is configured"), "{text}");
}

#[tokio::test]
async fn bodies_that_are_wrong_are_refused_with_the_reason() {
    let house = House::open(Some(TOKEN)).await;
    let (status, text) = house.knock(house.hook().body("{}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("missing field `version`"), "{text}");

    let form = house.hook().header("content-type", "text/plain").body("{}");
    let plain = form.build().map(|mut r| {
        r.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        r
    });
    assert_eq!(
        house.client.execute(plain.unwrap()).await.unwrap().status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );

    let (status, text) = house.knock(house.hook().body(" ".repeat((1 << 20) + 1))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text.contains("1 MiB"), "{text}");
    assert!(house.alerts.is_empty());

    let (status, _) = house.get("/hooks/alertmanager").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

/// Sends raw bytes and gives the first line of the answer.
async fn raw(house: &House, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&house.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("").to_owned()
}

#[tokio::test]
async fn bodies_without_a_length_and_cut_bodies_are_bounded_too() {
    let house = House::open(Some(TOKEN)).await;
    let head = format!(
        "POST /hooks/alertmanager HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = format!("{head}transfer-encoding: chunked\r\n\r\n{}1\r\n \r\n", chunk.repeat(16));
    assert_eq!(raw(&house, endless.as_bytes()).await, "HTTP/1.1 413 Payload Too Large");
    let cut = format!("{head}content-length: 500\r\n\r\n{{\"version\":");
    let line = raw(&house, cut.as_bytes()).await;
    // hyper may close a connection that was cut instead of answering it.
    assert!(line.is_empty() || line.contains("400"), "{line}");
    assert!(house.alerts.is_empty());
    assert_eq!(house.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn readiness_waits_for_all_parts_and_says_what_is_missing() {
    let house = House::open(None).await;
    assert_eq!(house.get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    let (status, text) = house.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "journal: not yet\npolicies: not yet\nplatform: not yet\n");

    house.readiness.works(Part::Journal);
    house.readiness.works(Part::Policies);
    house.readiness.fails(Part::Platform, "the token was not accepted");
    let (status, text) = house.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("platform: not yet: the token was not accepted"), "{text}");

    house.readiness.works(Part::Platform);
    assert_eq!(house.get("/readyz").await.0, StatusCode::OK);
    house.readiness.fails(Part::Platform, "no route");
    let (status, text) = house.get("/readyz").await;
    assert_eq!(status, StatusCode::OK, "a platform that is away for a while is no reason to restart");
    assert!(text.contains("platform: ok before, now: no route"), "{text}");
}

#[tokio::test]
async fn metrics_are_shown() {
    let house = House::open(None).await;
    house.metrics.moved(None, Phase::Pending);
    house.metrics.moved(None, Phase::Pending);
    house.metrics.moved(Some(Phase::Pending), Phase::Step);
    house.metrics.moved(Some(Phase::Step), Phase::Promoted);
    house.metrics.moved(Some(Phase::Promoted), Phase::Promoted);
    house.metrics.looked(Span(30));
    house.metrics.looked_quietly();
    house.metrics.decided("continue");
    house.metrics.platform_called("observe", "unreachable");
    house.metrics.source_failed("prometheus", 1);
    let (status, text) = house.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        concat!("uguisu_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "uguisu_rollouts{phase=\"pending\"} 1",
        "uguisu_rollouts{phase=\"step\"} 0",
        "uguisu_rollouts_finished_total{phase=\"promoted\"} 1",
        "uguisu_rollouts_finished_total{phase=\"rolled_back\"} 0",
        "uguisu_look_duration_seconds_bucket{le=\"0.05\"} 1",
        "uguisu_quiet_looks_total 1",
        "uguisu_decisions_total{decision=\"continue\"} 1",
        "uguisu_platform_calls_total{call=\"observe\",result=\"unreachable\"} 1",
        "uguisu_source_errors_total{source=\"prometheus\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
    }
    #[cfg(target_os = "linux")]
    assert!(text.lines().any(|l| l.starts_with("process_resident_memory_bytes ")), "{text}");
}

#[tokio::test]
async fn the_doors_close_when_told_even_while_somebody_dawdles() {
    let house = House::open(Some(TOKEN)).await;
    // A request that never ends.
    let mut dawdler = TcpStream::connect(&house.address).await.unwrap();
    dawdler.write_all(b"POST /hooks/alertmanager HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    assert_eq!(house.get("/healthz").await.0, StatusCode::OK);
    house.stop.cancel();
    house.task.await.unwrap();
}

#[test]
fn a_token_is_read_or_its_absence_explained() {
    let config = WebConfig { alert_token_env: Some("T".to_owned()), ..WebConfig::default() };
    assert!(config.alert_token(|_| Some("x".to_owned())).unwrap().is_some());
    let error = config.alert_token(|_| None).unwrap_err().to_string();
    assert_eq!(error, "a token of `[web]`: the environment variable `T` is not set");
    assert!(WebConfig::default().alert_token(|_| None).unwrap().is_none());
}

#[tokio::test]
async fn orders_need_their_own_token_and_a_name_that_is_known() {
    let house = House::open(Some(TOKEN)).await;
    let order = |house: &House, path: &str, token: &str| {
        house.client.post(format!("http://{}/rollouts/shop/{path}", house.address)).bearer_auth(token)
    };
    let (status, _) = house.knock(order(&house, "approve", TOKEN)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the token for alerts is no token for orders");
    let (status, text) = house.knock(order(&house, "launch", "correct horse of operators")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("`launch`") && text.contains("`rollback`"), "{text}");
    let closed = House::open(None).await;
    let (status, text) = closed.knock(order(&closed, "approve", TOKEN)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
}

#[tokio::test]
async fn an_order_is_answered_with_what_became_of_it() {
    let mut house = House::open(Some(TOKEN)).await;
    let url = format!("http://{}/rollouts/0198/approve?by=ana%0A", house.address);
    let request = tokio::spawn(house.client.post(url).bearer_auth("correct horse of operators").send());
    let errand = house.orders.recv().await.unwrap();
    assert_eq!((errand.rollout.as_str(), errand.order.by.as_str()), ("0198", "ana"));
    errand
        .answer
        .send(Ok(vec!["ana approved leaving step 1".to_owned(), "step 2 begins".to_owned()]))
        .unwrap();
    let (status, text) = answer(request.await.unwrap().unwrap()).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "ana approved leaving step 1\nstep 2 begins\n"));
}
