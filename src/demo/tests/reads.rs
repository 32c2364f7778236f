//! What calls that read answer, to the byte.

use serde_json::Value;

use super::*;
use crate::demo::tsuru::faults::{Faults, Switch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_info_has_tsurus_keys_in_tsurus_order() {
    let bench = Bench::start().await;
    let answer = bench.call("GET", "/1.0/apps/shop").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let start = "{\"name\":\"shop\",\"platform\":\"python\",\"teams\":[\"myteam\"],\"plan\":{\"name\":\"c1m1\",\"memory\":\
                 1073741824,\"cpumilli\":1000},\"cname\":[],\"owner\":\"me@example.com\",\"pool\":\"prod\",\"description\":\
                 \"\",\"deploys\":1,\"teamowner\":\"myteam\",\"tags\":[],\"metadata\":{\"labels\":[],\"annotations\":[]},\
                 \"units\":[{\"ID\":\"shop-web-";
    assert!(answer.body.starts_with(start), "{}", answer.body);
    assert!(answer.body.ends_with("\"quota\":{\"limit\":-1,\"inuse\":4}}\n"), "{}", answer.body);
    let info: Value = serde_json::from_str(&answer.body).expect("JSON");
    let unit = &answer.body[answer.body.find("\"units\":[").expect("units")..];
    let keys: Vec<&str> = [
        "ID",
        "Name",
        "AppName",
        "ProcessName",
        "Type",
        "InternalIP",
        "Status",
        "StatusReason",
        "Address",
        "Addresses",
        "Version",
        "Routable",
        "Restarts",
        "CreatedAt",
        "Ready",
        "HostAddr",
        "HostPort",
        "IP",
    ]
    .to_vec();
    let places: Vec<usize> = keys.iter().map(|k| unit.find(&format!("\"{k}\":")).expect("the key")).collect();
    assert!(places.is_sorted(), "{keys:?} at {places:?}");
    assert_eq!(info["units"][0].as_object().map(serde_json::Map::len), Some(keys.len()));
    let unit = &info["units"][0];
    assert_eq!(
        (&unit["Status"], &unit["Ready"], &unit["Version"]),
        (&"started".into(), &true.into(), &1.into())
    );
    if !bench.emulator.units_have_ports() {
        assert_eq!((&unit["Address"], &unit["HostPort"]), (&Value::Null, &"".into()));
        let health = format!("http://{}:8888/healthz", unit["InternalIP"].as_str().expect("an address"));
        assert_eq!(bench.client.get(health).send().await.expect("a unit answers").status(), 200);
    }
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_info_with_gaps_is_200_and_says_what_is_missing() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults {
        units_error: Switch::next(1),
        metrics_error: Switch::next(1),
        ..Faults::default()
    });
    let answer = bench.call("GET", "/1.0/apps/shop").await;
    let info: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &info["units"]), (200, &Value::Array(Vec::new())));
    let error = info["error"].as_str().expect("a text");
    assert!(
        error.starts_with("unable to list app units: ") && error.contains("\nunable to get units metrics: ")
    );
    bench.emulator.set_faults(Faults {
        quota_error: Switch::next(1),
        addresses_error: Switch::next(1),
        ..Faults::default()
    });
    let info: Value = serde_json::from_str(&bench.call("GET", "/1.0/apps/shop").await.body).expect("JSON");
    assert_eq!(info["units"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        (&info["quota"], &info["internalAddresses"], &info["ip"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let error = info["error"].as_str().expect("a text");
    let whats: Vec<&str> = error.lines().filter_map(|line| line.split(": ").next()).collect();
    let wanted = ["app addresses", "app quota", "app cluster internal addresses"]
        .map(|what| format!("unable to get {what}"));
    assert_eq!(whats, wanted);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_without_anything_are_204() {
    let bench = Bench::start().await;
    for path in
        ["/1.0/apps?name=none", "/1.0/deploys?app=none", "/1.1/events?kindname=none", "/1.6/events/webhooks"]
    {
        let answer = bench.call("GET", path).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
    }
    let answer = bench.call("GET", "/1.9/apps/shop/units/autoscale").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "null\n"));
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploys_are_listed_newest_first() {
    let bench = Bench::start().await;
    bench.emulator.deploy("shop", "toy:good", true).await.expect("a good image");
    bench.emulator.deploy("shop", "toy:nonsense", true).await.expect_err("a tag that means nothing");
    let list: Value =
        serde_json::from_str(&bench.call("GET", "/1.0/deploys?app=shop").await.body).expect("JSON");
    let seen: Vec<(u64, bool, bool)> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| (d["Version"].as_u64().expect("a number"), d["Error"] == "", d["CanRollback"] == true))
        .collect();
    assert_eq!(seen, [(0, false, false), (2, true, true), (1, true, true)]);
    assert_eq!(list[1]["Image"], "registry.example.com/tsuru/app-shop:v2");
    assert!(list[1]["Duration"].as_i64().is_some_and(|ns| ns >= 1_000_000));
    let one = bench.call("GET", &format!("/1.0/deploys/{}", list[1]["ID"].as_str().expect("an id"))).await;
    let one: Value = serde_json::from_str(&one.body).expect("JSON");
    assert_eq!(one["CanRollback"], false);
    assert!(
        one["Log"].as_str().is_some_and(|log| log.contains("---- Updating units [web] [version 2] ----"))
    );
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_filtered_and_only_one_alone_has_its_data() {
    let bench = Bench::start().await;
    bench.emulator.deploy("shop", "toy:good", true).await.expect("a good image");
    assert_eq!(
        bench
            .form("POST", "/1.8/apps/shop/routable", &[("version", ":v2"), ("isRoutable", "true")])
            .await
            .status,
        200
    );
    let list = async |query: &str| -> Vec<Value> {
        let answer = bench.call("GET", &format!("/1.1/events?{query}")).await;
        if answer.status == 204 { Vec::new() } else { serde_json::from_str(&answer.body).expect("a list") }
    };
    let all = list("target.type=app&target.value=shop").await;
    assert_eq!(all.len(), 3);
    assert_eq!(all[0]["Kind"]["Name"], "app.update.routable", "the newest first");
    assert_eq!(all[0]["Owner"], serde_json::json!({ "Type": "token", "Name": "uguisu" }));
    assert!(all.iter().all(|e| e.get("CustomData").is_none() && e["Running"] == false));
    assert_eq!(list("kindname=app.deploy&KINDNAME=app.update").await.len(), 2);
    assert_eq!(list("ownername=uguisu&ownertype=token").await.len(), 1);
    assert_eq!(list("running=true").await.len(), 0);
    assert_eq!(list("limit=1&skip=1").await[0]["UniqueID"], all[1]["UniqueID"]);
    let since = all[1]["StartTime"].as_str().expect("a time").replace(':', "%3A");
    assert_eq!(list(&format!("since={since}")).await.len(), 2);
    assert_eq!(bench.call("GET", "/1.1/events?since=yesterday").await.status, 400);
    let nil =
        bench.send(bench.request("GET", "/1.1/events").header("Content-Type", "application/json")).await;
    assert_eq!(nil.status, 500);

    let info =
        bench.call("GET", &format!("/1.1/events/{}", all[1]["UniqueID"].as_str().expect("an id"))).await;
    let info: Value = serde_json::from_str(&info.body).expect("JSON");
    assert_eq!(info["CustomData"]["End"]["image"], "registry.example.com/tsuru/app-shop:v2");
    assert_eq!(info["CustomData"]["Start"]["newversion"], true);
    assert_eq!(info["CustomData"]["Start"]["app"]["env"]["DATABASE_PASSWORD"]["public"], false);
    assert_eq!(info["StartCustomData"]["Kind"], 3);
    assert_eq!(info["EndTime"].as_str().map(|t| t.ends_with('Z')), Some(true));
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_one_address_units_tell_their_ports() {
    let bench = Bench::with(EmulatorConfig { unit_ports: true, ..Bench::config() }).await;
    let info: Value = serde_json::from_str(&bench.call("GET", "/1.0/apps/shop").await.body).expect("JSON");
    let mut ports = Vec::new();
    for unit in info["units"].as_array().expect("a list") {
        let text = |key: &str| unit[key].as_str().expect("a text").to_owned();
        assert_eq!((text("InternalIP"), text("HostAddr")), ("127.0.0.1".to_owned(), "127.0.0.1".to_owned()));
        assert_eq!(unit["Address"]["Host"], format!("127.0.0.1:{}", text("HostPort")));
        let health = format!("http://127.0.0.1:{}/healthz", text("HostPort"));
        assert_eq!(bench.client.get(health).send().await.expect("a unit answers").status(), 200);
        ports.push(text("HostPort"));
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_publishes_versions_mixes_their_hosts() {
    let bench = Bench::start().await;
    bench.emulator.deploy("shop", "toy:good", true).await.expect("a good image");
    bench.emulator.set_faults(Faults { router_prefixes: true, ..Faults::default() });
    let mut first = Vec::new();
    for _ in 0..30 {
        let info: Value =
            serde_json::from_str(&bench.call("GET", "/1.0/apps/shop").await.body).expect("JSON");
        let hosts = info["routers"][0]["addresses"].as_array().expect("a list").len();
        assert_eq!((hosts, &info["ip"]), (3, &info["routers"][0]["addresses"][0]));
        first.push(info["ip"].as_str().expect("a host").to_owned());
    }
    first.sort_unstable();
    first.dedup();
    assert_eq!(first, ["shop.example.com", "v1.version.shop.example.com", "v2.version.shop.example.com"]);
    bench.emulator.shutdown().await;
}
