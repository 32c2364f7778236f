use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attempt::{Met, Next, follow};
use super::news::rfc3339;
use super::*;
use crate::rollout::{Ending, Event, PauseCause};
use crate::store::{AppendBatch, Claim, Message, MessageState, Store, fixture};
use crate::web::Metrics;
use crate::words::{RolloutId, Span, Time};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn signer() -> Signer {
    Signer::new(&SecretString::from(SECRET)).unwrap()
}

fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Time(i64::try_from(since_epoch.as_millis()).unwrap())
}

#[test]
fn signatures_are_those_of_standard_webhooks() {
    // Computed apart from this code, with Python's hmac module.
    assert_eq!(
        signer().sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[test]
fn a_secret_that_would_sign_badly_is_refused_without_being_shown() {
    for secret in
        ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_not*base64*at*all"]
    {
        let error = Signer::new(&SecretString::from(secret)).unwrap_err();
        assert!(error.contains("whsec_"), "{error}");
        assert!(secret.len() < 7 || !error.contains(&secret[6..]), "{error}");
    }
    let long = format!("whsec_{}", STANDARD.encode([7; 65]));
    assert!(Signer::new(&SecretString::from(long)).is_err());
    assert!(!format!("{:?}", signer()).contains("MfKQ"));
}

fn receiver(name: &str, url: &str) -> ReceiverConfig {
    ReceiverConfig {
        name: name.to_owned(),
        url: url.to_owned(),
        secret_file: None,
        secret_env: Some("HOOK".to_owned()),
    }
}

fn environment(name: &str) -> Option<String> {
    (name == "HOOK").then(|| format!(" {SECRET}\n"))
}

#[test]
fn the_configuration_is_checked_and_says_what_to_write() {
    let good = "https://hooks.example.com/T0/B1/s3cr3t";
    let check = |receivers: &[ReceiverConfig], delivery: DeliveryConfig| {
        Receivers::new(receivers, delivery, environment).map(drop).map_err(|e| e.to_string())
    };
    let plain = DeliveryConfig::default;
    assert_eq!(check(&[receiver("ops", good), receiver("dev", good)], plain()), Ok(()));

    for (config, expected) in [
        (receiver("", good), "a name has"),
        (receiver("o ps", good), "a name has"),
        (receiver("ops", "hooks.example.com"), "is not an address"),
        (receiver("ops", "ftp://hooks.example.com"), "`https://`"),
        (receiver("ops", "https://me:pw@hooks.example.com"), "user or a password"),
        (receiver("ops", "https://hooks.example.com/#a"), "holds a `#`"),
        (ReceiverConfig { secret_env: None, ..receiver("ops", good) }, "set `secret_file` or `secret_env`"),
        (ReceiverConfig { secret_env: Some("NO".to_owned()), ..receiver("ops", good) }, "`NO` is not set"),
        (ReceiverConfig { secret_file: Some("/nowhere".into()), ..receiver("ops", good) }, "not both"),
        (
            ReceiverConfig {
                secret_file: Some("/nowhere".into()),
                secret_env: None,
                ..receiver("ops", good)
            },
            "the file `/nowhere` cannot be read",
        ),
    ] {
        let error = check(std::slice::from_ref(&config), plain()).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("me:pw"), "{error}");
    }
    let error = check(&[receiver("ops", good), receiver("ops", good)], plain()).unwrap_err();
    assert!(error.contains("used twice"), "{error}");
    for (delivery, setting) in [
        (DeliveryConfig { timeout: Span::ZERO, ..plain() }, "delivery.timeout"),
        (DeliveryConfig { first_retry: Span::ZERO, ..plain() }, "delivery.first_retry"),
        (DeliveryConfig { longest_retry: Span(1), ..plain() }, "delivery.longest_retry"),
        (DeliveryConfig { give_up_after: Span(1), ..plain() }, "delivery.give_up_after"),
        (DeliveryConfig { at_once: 0, ..plain() }, "delivery.at_once"),
    ] {
        assert!(check(&[], delivery).unwrap_err().contains(setting), "{setting}");
    }
    assert!(!format!("{:?}", receiver("ops", good)).contains("s3cr3t"));
}

fn claim(attempts: u32) -> Claim {
    Claim { id: "msg_r1_1".to_owned(), at: Time(0), body: "{}".to_owned(), attempts }
}

fn failed(wait: Option<Span>) -> Met {
    Met::Failed { error: "no answer in time".to_owned(), wait }
}

#[test]
fn waits_double_up_to_the_longest_and_are_spread() {
    let config = DeliveryConfig::default();
    let wait = |claim: &Claim, met| match follow(&config, claim, met, Time(1000)) {
        Next::Retry { at, .. } => at.since(Time(1000)).as_seconds(),
        other => panic!("{other:?}"),
    };
    for (attempts, whole) in
        [(1, 5.0), (2, 10.0), (3, 20.0), (4, 40.0), (8, 640.0), (9, 900.0), (u32::MAX, 900.0)]
    {
        let waited = wait(&claim(attempts), failed(None));
        assert!((0.75 * whole..=1.25 * whole).contains(&waited), "attempt {attempts}: {waited} s");
    }
    let other = Claim { id: "msg_r2_1".to_owned(), ..claim(1) };
    assert!((wait(&claim(1), failed(None)) - wait(&other, failed(None))).abs() > 1e-9);
    // A receiver may ask for more time, but not for ever.
    assert!((wait(&claim(1), failed(Some(Span::minutes(2)))) - 120.0).abs() < 1e-9);
    assert!((wait(&claim(1), failed(Some(Span(u64::MAX)))) - 900.0).abs() < 1e-9);
}

#[test]
fn a_message_is_given_up_when_it_is_old_and_was_tried_enough_or_is_declined() {
    let config = DeliveryConfig::default();
    let day = Time(24 * 3_600_000);
    let given_up = |claim: &Claim, met, now| matches!(follow(&config, claim, met, now), Next::GiveUp { .. });
    assert!(given_up(&claim(5), failed(None), day));
    assert!(!given_up(&claim(4), failed(None), day), "a daemon that was away for days tries, too");
    assert!(!given_up(&claim(99), failed(None), Time(day.0 - 1)));
    assert!(given_up(&claim(1), Met::Declined, Time(0)));
    assert_eq!(follow(&config, &claim(1), Met::Accepted, Time(0)), Next::Done);
}

#[test]
fn news_tells_who_what_and_why() {
    let (mut rollout, first) =
        fixture::opened("r1", "shop", Time(1_700_000_000_000), fixture::policy(&["ops", "dev", "ops"]));
    let told = messages(&rollout, 0, std::slice::from_ref(&first)).unwrap();
    let to: Vec<_> = told.iter().map(|m| (m.receiver.as_str(), m.id.as_str())).collect();
    assert_eq!(to, [("dev", "msg_r1_1"), ("ops", "msg_r1_1")]);

    let why = "errors: 3.1 times the baseline's".to_owned();
    let finished = |rollout: &mut _| {
        let decided = Event::RollbackDecided {
            why: why.clone(),
            culprits: vec!["errors".to_owned()],
            ending: Ending::RolledBack,
        };
        let ended = Event::Finished { ending: Ending::RolledBack, why: why.clone() };
        [
            fixture::apply(rollout, Time(1_700_000_060_000), decided),
            fixture::apply(rollout, Time(1_700_000_061_500), ended),
        ]
    };
    let events = finished(&mut rollout);
    let told = messages(&rollout, 1, &events).unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].id, "msg_r1_3");
    let body: serde_json::Value = serde_json::from_str(&told[0].body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "type": "rollout.finished",
            "timestamp": "2023-11-14T22:14:21.500Z",
            "data": {
                "version": 1, "rollout": "r1", "app": "shop", "baseline": 3, "canary": 4,
                "policy": "web", "mode": "act", "phase": "rolled_back", "decision": "rollback",
                "cause": null, "culprits": ["errors"], "score": null,
                "started": "2023-11-14T22:13:20.000Z", "finished": "2023-11-14T22:14:21.500Z",
                "text": "v4 of `shop`: rolled back: errors: 3.1 times the baseline's",
            },
        })
    );
}

#[test]
fn a_person_is_called_unless_a_person_paused_it() {
    let (mut rollout, _) = fixture::opened("r1", "shop", Time(0), fixture::policy(&["ops"]));
    let pause = |cause| Event::Paused { cause, why: "because".to_owned() };
    let asked = fixture::apply(&mut rollout, Time(1), pause(PauseCause::Inconclusive));
    let by_hand = fixture::apply(&mut rollout, Time(2), pause(PauseCause::Operator));
    let needed = fixture::apply(&mut rollout, Time(3), Event::PersonNeeded { why: "look".to_owned() });
    let noted = fixture::apply(&mut rollout, Time(4), Event::Noted { what: "nothing".to_owned() });
    let told = messages(&rollout, 1, &[asked, by_hand, needed, noted]).unwrap();
    assert_eq!(told.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["msg_r1_2", "msg_r1_4"]);
    assert!(told[0].body.contains(r#""type":"person.needed""#) && told[0].body.contains("inconclusive"));
}

#[test]
fn absurd_times_are_written_too() {
    for at in [i64::MIN, i64::MAX, -1] {
        assert!(rfc3339(Time(at)).ends_with('Z'), "{at}");
    }
}

/// What a fake receiver got: headers and body.
type Got = (HeaderMap, String);

/// A receiver on loopback that says what `answer` says, and passes on what it gets.
fn fake(
    listener: TcpListener,
    answer: impl Fn(&HeaderMap) -> Response + Clone + Send + Sync + 'static,
) -> mpsc::UnboundedReceiver<Got> {
    let (sender, got) = mpsc::unbounded_channel();
    let handler = move |request: Request| {
        let (answer, sender) = (answer.clone(), sender.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let response = answer(&head.headers);
            sender.send((head.headers, String::from_utf8(body.to_vec()).unwrap())).ok();
            response
        }
    };
    tokio::spawn(axum::serve(listener, Router::new().fallback(handler)).into_future());
    got
}

fn status(code: u16) -> Response {
    Response::builder().status(StatusCode::from_u16(code).unwrap()).body("why not".into()).unwrap()
}

async fn loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Everything takes milliseconds instead of minutes.
fn fast() -> DeliveryConfig {
    DeliveryConfig {
        timeout: Span::seconds(5),
        first_retry: Span(10),
        longest_retry: Span(50),
        give_up_after: Span::minutes(5),
        at_once: 2,
    }
}

/// A daemon's delivery, running.
struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(
        store: &Store,
        receivers: &[ReceiverConfig],
        delivery: DeliveryConfig,
        metrics: &Arc<Metrics>,
    ) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let receivers = Receivers::new(receivers, delivery, environment).unwrap();
        let stop = CancellationToken::new();
        let (store, metrics, stopped) = (store.clone(), Arc::clone(metrics), stop.clone());
        let task =
            tokio::spawn(async move { deliver(receivers, store, metrics, now, stopped).await.unwrap() });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Opens rollout `id` with a message to each of `receivers`.
async fn open(store: &Store, id: &str, receivers: &[&str]) {
    let (rollout, first) = fixture::opened(id, "shop", now(), fixture::policy(receivers));
    let events = [first];
    let outbox = messages(&rollout, 0, &events).unwrap();
    let batch = AppendBatch { outbox, ..AppendBatch::of(0, &events).unwrap().leading_to(&rollout).unwrap() };
    store.append(&rollout.id, batch).await.unwrap();
}

/// Waits until `check` holds, for a minute at most.
async fn until(mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..6000 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that");
}

/// The messages of rollout `id`.
async fn told(store: &Store, id: &str) -> Vec<Message> {
    store.reader().messages(&RolloutId(id.to_owned())).await.unwrap()
}

/// Waits until no message of rollout `id` is pending, and says how each ended: receiver, and whether it was delivered.
async fn settled(store: &Store, id: &str) -> Vec<(String, bool)> {
    let pending = |m: &Message| matches!(m.state, MessageState::Pending { .. });
    until(async || !told(store, id).await.iter().any(pending)).await;
    let delivered = |m: &Message| matches!(m.state, MessageState::Delivered { .. });
    told(store, id).await.iter().map(|m| (m.receiver.clone(), delivered(m))).collect()
}

async fn journal() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    (directory, store)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_all_once_each_with_signatures_that_verify() {
    let (_directory, store) = journal().await;
    let metrics = Arc::new(Metrics::new());
    let (listener, address) = loopback().await;
    drop(listener);
    let receivers = [receiver("ops", &format!("http://{address}/hook"))];

    // Down, over a restart of the daemon.
    let daemon = Running::start(&store, &receivers, fast(), &metrics);
    for id in ["r1", "r2", "r3"] {
        open(&store, id, &["ops"]).await;
    }
    until(async || told(&store, "r3").await[0].attempts >= 3).await;
    daemon.stop().await;
    open(&store, "r4", &["ops"]).await;

    // Up again; the daemon, too. The first request of each message is refused.
    let seen = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let refuse_first = move |headers: &HeaderMap| {
        let new = seen.lock().unwrap().insert(header(headers, "webhook-id").to_owned());
        status(if new { 503 } else { 204 })
    };
    let mut got = fake(TcpListener::bind(address).await.unwrap(), refuse_first);
    let daemon = Running::start(&store, &receivers, fast(), &metrics);
    for id in ["r1", "r2", "r3", "r4"] {
        assert_eq!(settled(&store, id).await, [("ops".to_owned(), true)]);
    }
    daemon.stop().await;

    let mut ids = Vec::new();
    while let Ok((headers, body)) = got.try_recv() {
        let (id, timestamp) = (header(&headers, "webhook-id"), header(&headers, "webhook-timestamp"));
        let signature = signer().sign(id, timestamp.parse().unwrap(), &body);
        assert_eq!(header(&headers, "webhook-signature"), signature);
        assert_eq!(header(&headers, "content-type"), "application/json");
        let age = now().0 / 1000 - timestamp.parse::<i64>().unwrap();
        assert!((0..60).contains(&age), "signed {age} s ago");
        ids.push(id.to_owned());
    }
    ids.sort();
    // Each was refused once and accepted once.
    assert_eq!(ids, ["r1", "r1", "r2", "r2", "r3", "r3", "r4", "r4"].map(|r| format!("msg_{r}_1")));
    let text = metrics.text().unwrap();
    assert!(text.contains("uguisu_messages_delivered_total{receiver=\"ops\"} 4"), "{text}");
}

#[tokio::test]
async fn a_slow_receiver_holds_up_nobody_else() {
    let (_directory, store) = journal().await;
    let metrics = Arc::new(Metrics::new());
    // It takes connections, as the system does for it, and never answers.
    let (_silent, silent) = loopback().await;
    let (listener, quick) = loopback().await;
    let _got = fake(listener, |_| status(200));
    let receivers =
        [receiver("slow", &format!("http://{silent}/")), receiver("quick", &format!("http://{quick}/"))];
    let delivery = DeliveryConfig { timeout: Span::minutes(5), ..fast() };
    let daemon = Running::start(&store, &receivers, delivery, &metrics);
    for id in ["r1", "r2", "r3", "r4", "r5"] {
        open(&store, id, &["slow", "quick"]).await;
    }
    let all = ["r1", "r2", "r3", "r4", "r5"];
    let to = async |receiver: &str| {
        let mut messages = Vec::new();
        for id in all {
            messages.extend(told(&store, id).await.into_iter().filter(|m| m.receiver == receiver));
        }
        messages
    };
    let delivered = |m: &Message| matches!(m.state, MessageState::Delivered { .. });
    until(async || to("quick").await.iter().all(delivered)).await;
    // The slow one gets no more at a time than it may: the others are not even tried.
    let tried = async || to("slow").await.iter().map(|m| m.attempts).sum::<u32>();
    until(async || tried().await >= 2).await;
    assert_eq!(tried().await, 2);
    daemon.stop().await;
}

#[tokio::test]
async fn redirects_are_refused_and_said() {
    let (_directory, store) = journal().await;
    let (listener, address) = loopback().await;
    let elsewhere = |_: &HeaderMap| {
        Response::builder().status(308).header("location", "http://127.0.0.1:1/").body("".into()).unwrap()
    };
    let got = fake(listener, elsewhere);
    let receivers = [receiver("ops", &format!("http://{address}/"))];
    let daemon = Running::start(&store, &receivers, fast(), &Arc::new(Metrics::new()));
    open(&store, "r1", &["ops"]).await;
    until(async || got.len() >= 2).await;
    daemon.stop().await;
    let message = told(&store, "r1").await.remove(0);
    assert!(message.last_error.contains("308") && message.last_error.contains("not followed"), "{message:?}");
}

#[tokio::test]
async fn what_cannot_be_delivered_is_given_up_visibly() {
    let (_directory, store) = journal().await;
    let metrics = Arc::new(Metrics::new());
    let (listener, gone) = loopback().await;
    let _got = fake(listener, |_| status(410));
    let (listener, broken) = loopback().await;
    let mut tries = fake(listener, |_| status(500));
    let (listener, closed) = loopback().await;
    drop(listener);
    let receivers = [
        receiver("gone", &format!("http://{gone}/")),
        receiver("broken", &format!("http://{broken}/")),
        receiver("closed", &format!("http://{closed}/T0/s3cr3t?key=s3cr3t")),
    ];
    open(&store, "r1", &["gone", "broken", "closed", "stranger"]).await;
    let delivery = DeliveryConfig { give_up_after: Span(50), ..fast() };
    let daemon = Running::start(&store, &receivers, delivery, &metrics);
    let ended = settled(&store, "r1").await;
    daemon.stop().await;

    assert!(ended.iter().all(|(_, delivered)| !delivered), "{ended:?}");
    let messages = told(&store, "r1").await;
    let told: Vec<_> = messages.iter().map(|m| (m.receiver.as_str(), m.last_error.as_str())).collect();
    assert_eq!(told[0], ("broken", "the receiver answered 500 Internal Server Error: why not"));
    assert_eq!(told[1].0, "closed");
    assert!(told[1].1.contains("refused") && !told[1].1.contains("s3cr3t"), "{told:?}");
    assert_eq!(told[2], ("gone", "the receiver wants no more messages (410 Gone)"));
    assert_eq!(told[3], ("stranger", "the receiver is not configured"));
    assert!(std::iter::from_fn(|| tries.try_recv().ok()).count() >= 5);
    let text = metrics.text().unwrap();
    for receiver in ["gone", "broken", "closed", "stranger"] {
        let line = format!("uguisu_messages_given_up_total{{receiver=\"{receiver}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
}
