//! The whole daemon before a deployer that is not Tsuru.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::notify::Signer;

const SECRET: &str = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const POLICY: &str = "policy: p\nfor: { apps: [shop] }\nstrategy:\n  canary:\n    steps: [50%]\n    bake: { at_least: 1m, at_most: 2m }\n\
                      signals:\n  - use: http-errors\n    margin: +20%\n";

/// A deployer of one app, with v1 serving and v2 just deployed beside it.
#[derive(Default)]
struct Deployer {
    routed: bool,
    traffic: Vec<Value>,
}

type Shared = Arc<Mutex<Deployer>>;

async fn answer(State(deployer): State<Shared>, headers: axum::http::HeaderMap, body: String) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let signed = Signer::new(&SECRET.into()).unwrap().sign(&header("webhook-id"), timestamp, &body);
    if header("webhook-signature") != signed {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let request: Value = serde_json::from_str(&body).unwrap();
    let mut deployer = deployer.lock().unwrap_or_else(PoisonError::into_inner);
    let unit = |version: u32, base: bool, routable: bool| {
        json!({
            "name": format!("shop-{version}"), "process": "web", "version": version, "address": null, "ready": true,
            "routable": routable, "base": base, "status": "up", "restarts": 0, "created": null,
        })
    };
    let answer = match request["type"].as_str().unwrap() {
        "apps" => json!([{"name": "shop", "pool": "p", "team": "t"}]),
        "observe" => json!({
            "at": 0, "units": [unit(1, true, true), unit(2, false, deployer.routed)], "autoscaled": [],
            "quota_left": null, "gaps": [],
        }),
        "activity" => {
            let ended = timestamp * 1000;
            json!([{
                "id": "d2", "app": "shop", "kind": {"kind": "new_version", "version": 2}, "owner": "ci",
                "ours": false, "started": ended - 5000, "ended": ended, "error": null,
            }])
        }
        _ => {
            deployer.routed = request["traffic"]["versions"]["2"]["routable"] == true;
            deployer.traffic.push(request);
            Value::Null
        }
    };
    axum::Json(answer).into_response()
}

/// Runs a daemon with this `[platform]` until something holds of what the deployer was told, and of a file.
async fn run_until(platform: &str, holds: impl Fn(&Deployer, &Path) -> bool) -> bool {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let shared = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/uguisu", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let place = |name: &str| dir.path().join(name);
    std::fs::write(place("p.yaml"), POLICY).unwrap();
    std::fs::write(place("secret"), SECRET).unwrap();
    let text = format!(
        "data = '{}'\nrules = '{}'\npoll_every = '100ms'\n[web]\nlisten = '127.0.0.1:0'\n[source]\nkind = 'scrape'\n{}",
        place("data").display(),
        place("p.yaml").display(),
        platform
            .replace("URL", &url)
            .replace("SECRET", &place("secret").display().to_string())
            .replace("FILE", &place("would.jsonl").display().to_string()),
    );
    std::fs::write(place("uguisu.toml"), text).unwrap();
    let daemon = Daemon::assemble(Config::read(&place("uguisu.toml")).unwrap()).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let mut held = false;
    for _ in 0..200 {
        held = holds(&shared.lock().unwrap_or_else(PoisonError::into_inner), &place("would.jsonl"));
        if held {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    server.abort();
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_is_carried_out_by_another_deployer() {
    let platform = "[platform]\nkind = 'webhook'\nurl = 'URL'\nsecret_file = 'SECRET'\n";
    let told = |deployer: &Deployer, _: &Path| {
        deployer.traffic.first().is_some_and(|request| {
            let wanted = json!({"base": 1, "versions": {
                "1": {"routable": true, "units": {"web": 1}}, "2": {"routable": true, "units": {"web": 1}},
            }});
            request["command"] == json!({"do": "route", "version": 2}) && request["traffic"] == wanted
        })
    };
    assert!(run_until(platform, told).await, "the deployer was told to route v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_rollout_is_written_down_and_not_carried_out() {
    let platform = "[platform]\nkind = 'record'\nfile = 'FILE'\n[platform.webhook]\nurl = 'URL'\nsecret_file = 'SECRET'\n";
    let written = |deployer: &Deployer, file: &Path| {
        assert!(deployer.traffic.is_empty(), "the deployer was told: {:?}", deployer.traffic);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().next().is_some_and(|line| line.contains(r#""says":"route users to v2""#))
    };
    assert!(run_until(platform, written).await, "the file says that v2 would be routed");
}
