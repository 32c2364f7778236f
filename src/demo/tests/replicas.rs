//! Two replicas of the API, each on an address of its own.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::demo::tsuru::Act;
use crate::demo::tsuru::faults::{Faults, Switch};

async fn two(faults: Faults) -> Bench {
    let second = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    Bench::with(EmulatorConfig { second, faults, ..Bench::config() }).await
}

impl Bench {
    /// A call to the second replica.
    fn second(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.emulator.second_url().expect("a second replica"));
        let request = self.client.request(method.parse().expect("a method"), url);
        request.header("Authorization", format!("bearer {}", self.emulator.daemon_token()))
    }
}

fn route(version: &str, routable: bool) -> Act {
    Act::Routable { version: version.to_owned(), routable }
}

/// How many units a replica's answer shows as routable.
fn routable(answer: &Answer) -> usize {
    let info: Value = serde_json::from_str(&answer.body).expect("JSON");
    info["units"].as_array().expect("units").iter().filter(|u| u["Routable"] == true).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lags_behind_by_its_own_time() {
    let bench = two(Faults { lags: vec![Span::ZERO, Span::seconds(600)], ..Faults::default() }).await;
    bench.emulator.act("shop", route(":v1", false)).await.expect("it is deployed");
    for _ in 0..5 {
        assert_eq!(routable(&bench.call("GET", "/1.0/apps/shop").await), 0);
        assert_eq!(routable(&bench.send(bench.second("GET", "/1.0/apps/shop")).await), 4, "as it was");
    }
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_holds_for_both_and_events_tell_who_did_it() {
    let bench = two(Faults::default()).await;
    let slow = bench.request("POST", "/1.0/apps/shop/deploy");
    let slow = slow.form(&[("image", "toy:ready-after=1s"), ("new-version", "true")]);
    let mut stream = slow.send().await.expect("an answer");
    stream.chunk().await.expect("a piece").expect("not the end");
    let body = [("version", ":v1"), ("isRoutable", "true")];
    let refused = bench.send(bench.second("POST", "/1.8/apps/shop/routable").form(&body)).await;
    assert!(refused.body.starts_with("event locked: app(shop)"), "{}", refused.body);
    while stream.chunk().await.expect("a piece").is_some() {}
    assert_eq!(bench.send(bench.second("POST", "/1.8/apps/shop/routable").form(&body)).await.status, 200);
    let events = bench.send(bench.second("GET", "/1.1/events?limit=2")).await;
    let events: Value = serde_json::from_str(&events.body).expect("JSON");
    let did = |n: usize| (events[n]["Kind"]["Name"].clone(), events[n]["Instance"]["Name"].clone());
    assert_eq!(did(0), (json!("app.update.routable"), json!("tsurud-1")));
    assert_eq!(did(1), (json!("app.deploy"), json!("tsurud-0")));
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_one_overtake_those_of_the_other_and_come_from_both() {
    let faults = Faults { webhook_lags: vec![Span(700), Span::ZERO], ..Faults::default() };
    let bench = two(faults.clone()).await;
    let received = Arc::new(Mutex::new(Vec::<String>::new()));
    let kept = Arc::clone(&received);
    let keep = async move |body: String| kept.lock().expect("nobody panicked").push(body);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(keep)).await });
    let hook = json!({ "name": "h", "team_owner": "t", "url": url, "body": "{{.Kind.Name}}" });
    assert_eq!(bench.send(bench.request("POST", "/1.6/events/webhooks").json(&hook)).await.status, 200);
    let wait = async |count: usize| {
        for _ in 0..500 {
            let now = received.lock().expect("nobody panicked").clone();
            if now.len() >= count {
                return now;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("fewer than {count} webhooks came");
    };
    let first = bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1"), ("process", "web")]).await;
    assert_eq!(first.status, 200);
    let body = [("version", ":v1"), ("isRoutable", "true")];
    bench.send(bench.second("POST", "/1.8/apps/shop/routable").form(&body)).await;
    assert_eq!(wait(2).await, ["app.update.routable", "app.update.unit.add"], "the later one came first");
    bench.emulator.set_faults(Faults { webhook_twice: Switch::next(1), ..faults });
    bench.send(bench.second("POST", "/1.8/apps/shop/routable").form(&body)).await;
    assert_eq!(wait(4).await[2..], ["app.update.routable", "app.update.routable"]);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_crashes_leaves_its_work_half_done_and_its_lock_held() {
    let bench = two(Faults { slow_ready: Span::seconds(30), ..Faults::default() }).await;
    let add = bench.second("PUT", "/1.0/apps/shop/units").form(&[("units", "1"), ("process", "web")]);
    let mut stream = add.send().await.expect("an answer");
    stream.chunk().await.expect("a piece").expect("not the end");
    let crash = bench.request("POST", "/emulator/replicas/1/crash");
    assert_eq!(bench.send(crash).await.status, 204);
    let broken = loop {
        match stream.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the stream has no end");
    assert_eq!(bench.units().len(), 5, "the number stays raised");
    let body = [("version", ":v1"), ("isRoutable", "true")];
    let refused = bench.form("POST", "/1.8/apps/shop/routable", &body).await;
    assert!(refused.body.starts_with("event locked: "), "{}", refused.body);
    let expired = |core: &crate::demo::tsuru::Tsuru| core.app("shop").is_some_and(|app| app.lock.is_none());
    assert!(bench.emulator.wait_until(Span::seconds(20), expired).await, "the lock expires");
    assert_eq!(bench.form("POST", "/1.8/apps/shop/routable", &body).await.status, 200);
    assert_eq!(bench.call("POST", "/emulator/replicas/2/crash").await.status, 404);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_is_none_is_refused_with_what_was_meant() {
    let bench = Bench::start().await;
    let put = |body: &'static str| bench.request("PUT", "/emulator/faults").body(body);
    let answer = bench.send(put("{\"lag\": [\"1s\"]}")).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (400, "line 1: `lag` is no fault; did you mean `lags`?\n")
    );
    assert_eq!(bench.send(put("{\"lags\": [\"1s\"]}")).await.status, 204);
    assert!(bench.call("GET", "/emulator/faults").await.body.contains("\"lags\":[\"1s\"]"));
    bench.emulator.shutdown().await;
}
