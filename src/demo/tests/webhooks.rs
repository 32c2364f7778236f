//! Webhooks, as their receiver sees them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::demo::tsuru::faults::{Faults, Switch};

type Received = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver, and where it listens.
async fn receiver() -> (String, Received) {
    let received = Received::default();
    let kept = received.clone();
    let keep = async move |headers: HeaderMap, body: String| {
        kept.lock().expect("nobody panicked").push((headers, body));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(keep)).await });
    (url, received)
}

async fn wait_for(received: &Received, count: usize) -> Vec<(HeaderMap, String)> {
    for _ in 0..500 {
        let now = received.lock().expect("nobody panicked").clone();
        if now.len() >= count {
            return now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("fewer than {count} webhooks came");
}

impl Bench {
    async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).json(body)).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_made_changed_and_removed() {
    let bench = Bench::start().await;
    let hook = json!({ "name": "hook-1", "team_owner": "myteam", "url": "http://127.0.0.1:9/", "headers": { "A": ["b"] } });
    let answer = bench.json("POST", "/1.6/events/webhooks", &hook).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let again = bench.json("POST", "/1.6/events/webhooks", &hook).await;
    assert_eq!((again.status, again.body.as_str()), (409, "webhook already exists with the same name\n"));
    let shown = bench.call("GET", "/1.6/events/webhooks/hook-1").await;
    assert_eq!(
        shown.body,
        "{\"name\":\"hook-1\",\"description\":\"\",\"team_owner\":\"myteam\",\"event_filter\":{\"target_types\":[],\
         \"target_values\":[],\"kind_types\":[],\"kind_names\":[],\"error_only\":false,\"success_only\":false},\"url\":\
         \"http://127.0.0.1:9/\",\"proxy_url\":\"\",\"headers\":{\"A\":[\"b\"]},\"method\":\"\",\"body\":\"\",\"insecure\":\
         false}\n"
    );
    let change = json!({ "url": "http://127.0.0.1:10/", "event_filter": { "kind_names": ["app.deploy"], "kind_types": null } });
    assert_eq!(bench.json("PUT", "/1.6/events/webhooks/hook-1", &change).await.status, 200);
    let shown: Value =
        serde_json::from_str(&bench.call("GET", "/1.6/events/webhooks/hook-1").await.body).expect("JSON");
    assert_eq!(
        (&shown["headers"], &shown["team_owner"]),
        (&json!({}), &json!("")),
        "a change replaces all of it"
    );
    assert_eq!(bench.json("PUT", "/1.6/events/webhooks/none", &change).await.status, 404);
    for (wrong, text) in [
        (json!({ "url": "x" }), "webhook name must not be empty\n"),
        (json!({ "name": "ok" }), "webhook url must not be empty\n"),
    ] {
        let answer = bench.json("POST", "/1.6/events/webhooks", &wrong).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, text));
    }
    assert_eq!(
        bench.json("POST", "/1.6/events/webhooks", &json!({ "name": "Bad", "url": "x" })).await.status,
        400
    );
    assert_eq!(bench.call("DELETE", "/1.6/events/webhooks/hook-1").await.status, 200);
    assert_eq!(bench.call("DELETE", "/1.6/events/webhooks/hook-1").await.status, 404);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_event_is_told_with_or_without_a_template() {
    let bench = Bench::start().await;
    let (url, received) = receiver().await;
    let template = "{\"id\":\"{{.UniqueID.Hex}}\",\"app\":{{printf \"%q\" .Target.Value}},\"kind\":\"{{.Kind.Name}}\",\
                    \"error\":{{printf \"%q\" .Error}},\"end\":{{if .EndCustomData.Value}}{{.EndCustomData}}\
                    {{else}}null{{end}}}";
    let plain = json!({ "name": "plain", "url": url });
    let filled = json!({
        "name": "filled", "url": url, "body": template,
        "headers": { "Authorization": ["Bearer s3cret"] }, "event_filter": { "kind_names": ["app.deploy"] },
    });
    let broken = json!({ "name": "broken", "url": url, "body": "{{.Nothing}}" });
    for hook in [&plain, &filled, &broken] {
        assert_eq!(bench.json("POST", "/1.6/events/webhooks", hook).await.status, 200);
    }
    let version = bench.emulator.deploy("shop", "toy:good", true).await.expect("a good image");
    assert_eq!(version, Version(2));
    let hooks = wait_for(&received, 2).await;
    let event: Value = serde_json::from_str(&hooks[0].1).expect("JSON");
    assert_eq!((&event["Kind"]["Name"], &event["Running"]), (&json!("app.deploy"), &json!(false)));
    assert!(event.get("CustomData").is_none());
    assert_eq!(hooks[0].0["content-type"], "application/json");
    let told: Value = serde_json::from_str(&hooks[1].1).expect("JSON");
    assert_eq!(told["id"], event["UniqueID"]);
    assert_eq!(told["end"]["image"], "registry.example.com/tsuru/app-shop:v2");
    assert_eq!(hooks[1].0["authorization"], "Bearer s3cret");
    assert!(!hooks[1].0.contains_key("content-type"), "a template sets none");
    bench.form("POST", "/1.8/apps/shop/routable", &[("version", ":v2"), ("isRoutable", "true")]).await;
    assert_eq!(wait_for(&received, 3).await.len(), 3, "only the unfiltered one");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_get_lost_come_twice_and_overtake_each_other() {
    let bench = Bench::start().await;
    let (url, received) = receiver().await;
    let hook = json!({ "name": "kinds", "url": url, "body": "{{.Kind.Name}} {{.Error}}" });
    assert_eq!(bench.json("POST", "/1.6/events/webhooks", &hook).await.status, 200);
    let toggle = async |version: &str| {
        bench.form("POST", "/1.8/apps/shop/routable", &[("version", version), ("isRoutable", "true")]).await;
    };
    bench.emulator.set_faults(Faults { webhook_lost: Switch::next(1), ..Faults::default() });
    toggle(":v1").await;
    toggle(":v9").await;
    let hooks = wait_for(&received, 1).await;
    assert_eq!(hooks[0].1, "app.update.routable Invalid version: :v9");
    bench.emulator.set_faults(Faults { webhook_twice: Switch::next(1), ..Faults::default() });
    toggle(":v1").await;
    assert_eq!(wait_for(&received, 3).await[1].1, "app.update.routable ");
    bench.emulator.set_faults(Faults { webhook_late: Switch::next(1), ..Faults::default() });
    toggle(":v9").await;
    toggle(":v1").await;
    let hooks = wait_for(&received, 5).await;
    assert_eq!(
        (hooks[3].1.as_str(), hooks[4].1.as_str()),
        ("app.update.routable ", "app.update.routable Invalid version: :v9")
    );
    bench.emulator.shutdown().await;
}
