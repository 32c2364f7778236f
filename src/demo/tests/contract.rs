//! Each endpoint's status, headers and body, to the byte.

use serde_json::Value;

use super::*;
use crate::demo::tsuru::faults::{Faults, Switch};

/// Method, path, form, status and body.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], u16, &'static str);

const PLAIN: &str = "text/plain; charset=utf-8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_tsurus_status_and_text() {
    let bench = Bench::start().await;
    let cases: &[Case] = &[
        ("GET", "/1.0/apps/none", &[], 404, "App none not found.\n"),
        ("POST", "/1.0/apps/none/deploy", &[("image", "toy:good")], 404, "App not found\n"),
        (
            "PUT",
            "/1.0/apps/shop/units",
            &[("process", "web")],
            400,
            "You must provide the number of units.\n",
        ),
        (
            "PUT",
            "/1.0/apps/shop/units",
            &[("units", "0")],
            400,
            "Invalid number of units: the number must be an integer greater than 0.\n",
        ),
        (
            "DELETE",
            "/1.0/apps/shop/units?units=-1",
            &[],
            400,
            "Invalid number of units: the number must be an integer greater than 0.\n",
        ),
        (
            "POST",
            "/1.8/apps/shop/routable",
            &[("version", "v9"), ("isRoutable", "true")],
            400,
            "Invalid version: v9\n",
        ),
        ("POST", "/1.0/apps/shop/deploy/rollback", &[], 400, "you cannot rollback without an image name\n"),
        (
            "POST",
            "/1.0/apps/shop/deploy/rollback",
            &[("image", ":v1"), ("origin", "moon")],
            400,
            "Invalid deployment origin\n",
        ),
        (
            "POST",
            "/1.0/apps/shop/deploy/rollback",
            &[("image", "v9"), ("override-versions", "true")],
            500,
            "\n---- ERROR during deploy: ----\nInvalid version: v9\n\n",
        ),
        (
            "POST",
            "/1.0/apps/shop/deploy",
            &[],
            400,
            "You must provide at least one of: \"archive-url\", \"dockerfile\", \"image\" or \"file\"\n",
        ),
        (
            "POST",
            "/1.0/apps/shop/deploy",
            &[("image", "toy:good"), ("new-version", "true"), ("override-versions", "true")],
            500,
            "conflicting deploy flags, new-version and override-old-versions\n",
        ),
        (
            "PUT",
            "/1.4/apps/shop/deploy/rollback/update",
            &[("image", "v9"), ("disable", "true"), ("reason", "x")],
            400,
            "Invalid version: v9\n",
        ),
        (
            "PUT",
            "/1.4/apps/shop/deploy/rollback/update",
            &[("image", "v1"), ("disable", "true")],
            400,
            "Reason cannot be empty while disabling a image rollback\n",
        ),
        ("GET", "/1.1/events/webhooks", &[], 400, "uuid parameter is not ObjectId: webhooks\n"),
        ("GET", "/events/webhooks", &[], 400, "uuid parameter is not ObjectId: webhooks\n"),
        ("GET", "/1.1/events/66c4f1d2a1b2c3d4e5f60718", &[], 404, "event not found\n"),
        ("GET", "/1.0/deploys/66c4f1d2a1b2c3d4e5f60718", &[], 404, "Deploy not found.\n"),
        ("GET", "/1.0/deploys/x", &[], 500, "id parameter is not ObjectId: x\n"),
        ("POST", "/1.0/swap", &[], 412, "swapping is deprecated\n"),
        ("DELETE", "/apps/shop/units/autoscale", &[], 404, "unit \"autoscale\" not found\n"),
        (
            "POST",
            "/1.29/apps/shop/units/autoscale/swap",
            &[("version", "7")],
            500,
            "could not swap the autoscale, make sure the version provided is currently deployed\n",
        ),
    ];
    for (method, path, form, status, body) in cases {
        let answer = bench.form(method, path, form).await;
        assert_eq!((answer.status, answer.body.as_str()), (*status, *body), "{method} {path} {form:?}");
        assert_eq!(answer.header("content-type"), PLAIN, "{method} {path}");
        assert_eq!(answer.header("supported-tsuru"), "1.0.1", "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
    }
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_with_a_wrong_version_or_method_is_not_found() {
    let bench = Bench::start().await;
    for (method, path) in [
        ("GET", "/1.4/apps/shop"),
        ("GET", "/1.0/apps/shop/"),
        ("PATCH", "/1.0/apps/shop"),
        ("POST", "/1.0/apps/shop/routable"),
        ("GET", "/1.0/nothing"),
    ] {
        let answer = bench.call(method, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{method} {path}");
        assert_eq!(answer.header("supported-tsuru"), "", "{method} {path}");
    }
    assert_eq!(
        bench.call("GET", "/apps/shop").await.status,
        200,
        "a path without a version is served as well"
    );
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_valid_token_learns_nothing() {
    let bench = Bench::start().await;
    for path in ["/1.0/apps/shop", "/1.0/apps/none", "/1.1/events"] {
        for token in ["", "bearer wrong", "bearer a b"] {
            let url = format!("{}{path}", bench.emulator.base_url());
            let answer = bench.send(bench.client.get(url).header("Authorization", token)).await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.body, "You must provide a valid Authorization header\n");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tsuru\" scope=\"tsuru\"");
        }
    }
    let answer = bench.send(bench.client.get(format!("{}/healthcheck", bench.emulator.base_url()))).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "WORKING"));
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_may_only_what_it_was_given() {
    let config = EmulatorConfig {
        daemon_permissions: Some(vec!["app.read".to_owned(), "app.update.unit".to_owned()]),
        ..Bench::config()
    };
    let bench = Bench::with(config).await;
    assert_eq!(bench.call("GET", "/1.0/apps/shop").await.status, 200);
    assert_eq!(bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1")]).await.status, 200);
    let answer = bench.form("POST", "/1.8/apps/shop/routable", &[("version", ":v1")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "You don't have permission to do this action\n"));
    let answer = bench.form("POST", "/1.0/apps/shop/deploy", &[("image", "toy:good")]).await;
    let text = "User does not have permission to do this action in this app\n";
    assert_eq!((answer.status, answer.body.as_str()), (403, text));
    bench.emulator.shutdown().await;
}

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
async fn a_running_deploy_has_the_smallest_duration_and_holds_the_lock() {
    let bench = Bench::start().await;
    let slow = bench
        .request("POST", "/1.0/apps/shop/deploy")
        .form(&[("image", "toy:ready-after=1500ms"), ("new-version", "true")]);
    let mut stream = slow.send().await.expect("an answer");
    let first = stream.chunk().await.expect("a piece").expect("not the end");
    assert_eq!(&first[..], b"---- Starting container image build for app \"shop\" ----\n");
    let deploys = bench.call("GET", "/1.0/deploys?app=shop&limit=1").await.body;
    assert!(deploys.contains("\"Duration\":-9223372036854775808"), "{deploys}");
    let events: Value =
        serde_json::from_str(&bench.call("GET", "/1.1/events?running=true").await.body).expect("JSON");
    assert_eq!(events[0]["EndTime"], "0001-01-01T00:00:00Z");
    assert_eq!(events[0]["Lock"]["Value"], "shop");
    let refused =
        bench.form("POST", "/1.8/apps/shop/routable", &[("version", ":v1"), ("isRoutable", "true")]).await;
    assert_eq!(refused.status, 500);
    let text = "event locked: app(shop) running \"app.deploy\" start by user uguisu at ";
    assert!(refused.body.starts_with(text), "{}", refused.body);
    let mut rest = String::new();
    while let Some(piece) = stream.chunk().await.expect("a piece") {
        rest.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(rest.contains("please wait...\n"), "kept alive in the silence: {rest}");
    assert!(rest.ends_with("\nOK\n"), "{rest}");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_failure_is_200_and_its_last_line_says_so() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults { router_error: Switch::next(2), ..Faults::default() });
    let answer = bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1"), ("process", "web")]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-json-stream"));
    let lines: Vec<Value> = answer
        .body
        .lines()
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_str(l).expect("a line of JSON"))
        .collect();
    assert_eq!(lines[0]["Message"], "---- Patching from 4 to 5 units ----\n");
    let last = lines.last().expect("a line");
    assert_eq!(last["Message"], "");
    assert!(last["Error"].as_str().is_some_and(|e| e.starts_with("Put \"http://router")));
    assert!(answer.body.contains(" ---\\u003e "), "escaped as Go does");
    assert_eq!(bench.units().len(), 5, "it was done all the same");
    let text = bench.form("POST", "/1.0/apps/shop/deploy", &[("image", "toy:good")]).await;
    assert_eq!(text.status, 200);
    assert!(text.body.ends_with("context deadline exceeded\n") && !text.body.contains("OK"), "{}", text.body);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_is_routable_takes_the_version_out() {
    let bench = Bench::start().await;
    let json = async |body: &'static str| {
        let request =
            bench.request("POST", "/1.8/apps/shop/routable").header("Content-Type", "application/json");
        bench.send(request.body(body)).await
    };
    assert_eq!(json("{\"version\":\":v1\"}").await.status, 200);
    assert!(bench.units().iter().all(|u| !u.3));
    assert_eq!(json("{\"Version\":\":v1\",\"ISROUTABLE\":true}").await.status, 200);
    assert!(bench.units().iter().all(|u| u.3));
    let wrong = json("{\"version\":1}").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(
        wrong.body,
        "unable to parse as json: \"{\\\"version\\\":1}\" - json: cannot unmarshal number into Go struct field \
         setRoutableRequest.version of type string\n"
    );
    assert_eq!(json("{").await.status, 400);
    let answer =
        bench.form("POST", "/1.8/apps/shop/routable", &[("version", ":v1"), ("is_routable", "true")]).await;
    assert_eq!(answer.status, 200);
    assert!(bench.units().iter().all(|u| !u.3), "a misspelt field is no field");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_breaks_the_stream_and_the_work_goes_on() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults { lost_answer: Switch::chance(1.0), ..Faults::default() });
    let request = bench.request("PUT", "/1.0/apps/shop/units").form(&[("units", "1"), ("process", "web")]);
    let answer = match request.send().await {
        Ok(response) => response.text().await,
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "{answer:?}");
    let done = |core: &tsuru::Tsuru| {
        core.events().last().is_some_and(|e| e.kind == "app.update.unit.add" && e.ended.is_some())
    };
    assert!(bench.emulator.wait_until(Span::seconds(20), done).await);
    assert_eq!(bench.units().len(), 5);
    let route =
        bench.request("POST", "/1.8/apps/shop/routable").form(&[("version", ":v1"), ("isRoutable", "true")]);
    let answer = match route.send().await {
        Ok(response) => response.text().await,
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "{answer:?}");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_the_door_touch_nothing() {
    let bench = Bench::start().await;
    let body = r#"{"unauthorized":{"times":2},"split":{"chance":1.0}}"#;
    let put = bench.request("PUT", "/emulator/faults").header("Content-Type", "application/json").body(body);
    assert_eq!(bench.send(put).await.status, 204);
    assert_eq!(bench.call("GET", "/1.0/apps/shop").await.status, 401);
    assert_eq!(bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1")]).await.status, 401);
    assert_eq!(bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1")]).await.status, 200);
    assert_eq!(bench.units().len(), 5);
    bench.emulator.set_faults(Faults { gateway: Switch::next(1), ..Faults::default() });
    let answer = bench.call("GET", "/1.0/apps/shop").await;
    assert_eq!((answer.status, answer.header("supported-tsuru")), (502, ""));
    let wrong = bench
        .request("PUT", "/emulator/faults")
        .header("Content-Type", "application/json")
        .body("{\"nope\":1}");
    assert_eq!(bench.send(wrong).await.status, 422);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_cancelled_while_it_may_be() {
    let bench = Bench::start().await;
    let request = bench.request("PUT", "/1.0/apps/shop/units").form(&[("units", "1"), ("process", "web")]);
    bench.emulator.set_faults(Faults { never_ready: Switch::next(1), ..Faults::default() });
    let mut stream = request.send().await.expect("an answer");
    let events: Value =
        serde_json::from_str(&bench.call("GET", "/1.1/events?running=true").await.body).expect("JSON");
    let path = format!("/1.1/events/{}/cancel", events[0]["UniqueID"].as_str().expect("an id"));
    let answer = bench.form("POST", &path, &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (400, "reason is mandatory\n"));
    let answer = bench.form("POST", &path, &[("reason", "enough")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let mut last = String::new();
    while let Some(piece) = stream.chunk().await.expect("a piece") {
        last.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(last.contains("canceled by user action"), "{last}");
    let answer = bench.form("POST", &path, &[("reason", "enough")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (400, "event is not cancelable\n"));
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
async fn the_platform_counts_itself_and_others_act_on_demand() {
    let bench = Bench::start().await;
    let deed = bench
        .request("POST", "/emulator/apps/shop/somebody")
        .json(&serde_json::json!({ "does": "new_version" }));
    assert_eq!(bench.send(deed).await.status, 202);
    let deployed = |core: &tsuru::Tsuru| core.app("shop").is_some_and(|app| app.deploys == 2);
    assert!(bench.emulator.wait_until(Span::seconds(20), deployed).await);
    let metrics = bench.send(bench.client.get(format!("{}/metrics", bench.emulator.base_url()))).await.body;
    let line =
        "tsuru_app_deploys_total{app=\"shop\",status=\"success\",kind=\"image\",platform=\"python\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    let mark =
        bench.request("PUT", "/emulator/apps/shop/versions/2").json(&serde_json::json!({ "marked": true }));
    assert_eq!(bench.send(mark).await.status, 204);
    let form = [("image", ":v2"), ("override-versions", "true")];
    let answer = bench.form("POST", "/1.0/apps/shop/deploy/rollback", &form).await;
    let text = "\n---- ERROR during deploy: ----\nthe selected version is marked to removal\n\n";
    assert_eq!((answer.status, answer.body.as_str()), (500, text));
    bench.emulator.shutdown().await;
}
