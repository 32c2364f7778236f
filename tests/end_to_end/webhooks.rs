//! Webhooks out: a receiver that is away for a while gets everything once, signed as Standard Webhooks has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::harness::{SOON, Setup, Stage, Story, free_port, policy, until};

/// The key that signatures are made with.
const KEY: &[u8] = b"thirty-two bytes of a test's key";

/// The token for alerts.
const TOKEN: &str = "a-token-for-alerts";

/// A message as it arrived.
#[derive(Debug, Clone)]
struct Received {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    accepted: bool,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Checks the signature by the text of the standard alone.
    fn verify(&self) {
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key");
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let signature = self.header("webhook-signature");
        let encoded = signature.strip_prefix("v1,").expect("a signature of the first version");
        let bytes = STANDARD.decode(encoded).expect("Base64");
        mac.verify_slice(&bytes).expect("the signature is good");
        let sent: i64 = timestamp.parse().expect("seconds");
        let age = jiff::Timestamp::now().as_second() - sent;
        assert!((-5..300).contains(&age), "the signature is of this attempt, {age} s ago");
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A receiver that refuses the first `refuses` requests.
async fn receive(port: u16, refuses: usize) -> Arc<Mutex<Vec<Received>>> {
    let all = Arc::new(Mutex::new(Vec::<Received>::new()));
    let kept = Arc::clone(&all);
    let take = move |headers: HeaderMap, body: Bytes| {
        let mut all = kept.lock().expect("nobody panicked");
        let accepted = all.len() >= refuses;
        let text = |v: &axum::http::HeaderValue| v.to_str().unwrap_or("").to_owned();
        let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        all.push(Received { headers, body: body.to_vec(), accepted });
        std::future::ready(if accepted { StatusCode::NO_CONTENT } else { StatusCode::BAD_GATEWAY })
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    let app = Router::new().route("/hooks/uguisu", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_away_gets_everything_once() {
    let port = free_port();
    let more = format!(
        "alert_token_env = 'ALERT_TOKEN'\n[[receiver]]\nname = 'ops'\nurl = 'http://127.0.0.1:{port}/hooks/uguisu'\n\
         secret_env = 'HOOK_SECRET'\n[delivery]\nfirst_retry = '500ms'\nlongest_retry = '1s'\n"
    );
    let rules = "alerts:\n  - match: { alertname: Look }\n    do: pause\n  - match: { alertname: Stop }\n    \
                 do: rollback\nnotify: [ops]\n";
    let setup = Setup { policy: policy("30m", rules), more, ..Setup::default() };
    let mut stage = Stage::open(&setup).await;
    stage.set_env("ALERT_TOKEN", TOKEN);
    stage.set_env("HOOK_SECRET", &format!("whsec_{}", STANDARD.encode(KEY)));
    stage.start().await;

    // All of a rollout happens while nobody listens: a beginning, a call for a person, an end.
    stage.deploy("toy:good").await;
    stage.until_story("the canary bakes", SOON, |story| story.bakes(0)).await;
    assert_eq!(stage.alert(Some(TOKEN), "Look").await, 200);
    stage.until_story("it waits for a person", SOON, |story| story.phase() == "paused").await;
    assert_eq!(stage.alert(Some(TOKEN), "Stop").await, 200);
    let (phase, _) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back");
    let tried = |story: &Story| {
        let messages = story.messages();
        messages.len() == 3 && messages.iter().all(|m| m["attempts"].as_u64() > Some(0) && is(m, "pending"))
    };
    let story = stage.until_story("all three were tried in vain", SOON, tried).await;
    let refused = story.messages()[0]["last_error"].as_str().expect("an error").to_owned();
    assert!(!refused.is_empty() && !refused.contains("/hooks/uguisu"), "the path may be secret: {refused}");

    // They outlive the daemon, too.
    stage.kill();
    stage.start().await;
    let received = receive(port, 2).await;
    let delivered = |story: &Story| story.messages().iter().all(|m| is(m, "delivered"));
    let story = stage.until_story("all are delivered", SOON, delivered).await;

    let received = received.lock().expect("nobody panicked").clone();
    received.iter().for_each(Received::verify);
    let accepted: Vec<&Received> = received.iter().filter(|r| r.accepted).collect();
    let mut ids: Vec<&str> = accepted.iter().map(|r| r.header("webhook-id")).collect();
    ids.sort_unstable();
    let mut wanted: Vec<&str> = story.messages().iter().filter_map(|m| m["id"].as_str()).collect();
    wanted.sort_unstable();
    assert_eq!(ids, wanted, "each once");
    let mut kinds: Vec<String> = accepted.iter().map(|r| r.json()["type"].to_string()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["\"person.needed\"", "\"rollout.finished\"", "\"rollout.started\""]);
    for message in accepted {
        let body = message.json();
        assert_eq!(message.header("content-type"), "application/json");
        assert_eq!((&body["data"]["app"], &body["data"]["rollout"]), (&"shop".into(), &story.id().into()));
        if body["type"] == "rollout.finished" {
            assert_eq!(
                (&body["data"]["phase"], &body["data"]["culprits"][0]),
                (&"rolled_back".into(), &"Stop".into())
            );
        }
    }
    // And nothing comes after it: a clean end would send what is left.
    stage.terminate().await;
    until("the daemon's last word", SOON, async || stage.log().contains("stopping").then_some(())).await;
}

/// Whether a message's delivery stands so.
fn is(message: &Value, state: &str) -> bool {
    message["state"]["state"] == state
}
