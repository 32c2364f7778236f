//! Calls that change something, as their client sees them: streams, late failures, lost answers.

use serde_json::Value;

use super::*;
use crate::demo::tsuru::faults::{Faults, Switch};

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
    bench.emulator.set_faults(Faults { outages: Span(1), outage_for: Span::minutes(5), ..Faults::default() });
    // It begins within milliseconds.
    let mut answers = 0;
    while bench.call("GET", "/1.0/apps/shop").await.status != 401 {
        answers += 1;
        assert!(answers < 1000, "the database is never away");
    }
    let health = bench.call("GET", "/healthcheck?check=all").await;
    assert!(health.status == 500 && health.body.starts_with("MongoDB: fail - "), "{}", health.body);
    assert_eq!(bench.call("GET", "/healthcheck").await.status, 200);
    assert_eq!(bench.call("GET", "/metrics").await.status, 200);
    let wrong = bench
        .request("PUT", "/emulator/faults")
        .header("Content-Type", "application/json")
        .body("{\"nope\":1}");
    assert_eq!(bench.send(wrong).await.status, 400);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_cut_in_the_middle_of_a_line_ends_there_and_the_work_goes_on() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults { truncated: Switch::next(1), ..Faults::default() });
    let request = bench.request("PUT", "/1.0/apps/shop/units").form(&[("units", "1"), ("process", "web")]);
    let mut stream = request.send().await.expect("an answer");
    let mut got = String::new();
    let broken = loop {
        match stream.chunk().await {
            Ok(Some(piece)) => got.push_str(&String::from_utf8_lossy(&piece)),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && got.starts_with("{\"Message\":") && !got.contains('\n'), "{got}");
    let ended = |core: &tsuru::Tsuru| core.events().last().is_some_and(|e| e.ended.is_some());
    assert!(bench.emulator.wait_until(Span::seconds(20), ended).await);
    assert_eq!(bench.units().len(), 5);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_sent_by_itself() {
    let bench = Bench::start().await;
    let request = bench.request("PUT", "/1.0/apps/shop/units").form(&[("units", "1"), ("process", "web")]);
    let mut stream = request.send().await.expect("an answer");
    let mut lines = 0;
    while let Some(piece) = stream.chunk().await.expect("a piece") {
        let text = String::from_utf8_lossy(&piece).into_owned();
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{text}");
        lines += 1;
    }
    assert!(lines > 5, "{lines}");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_stalls_or_arrives_in_pieces_is_whole_in_the_end() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults {
        split: Switch::chance(1.0),
        stall: Switch::next(1),
        stall_for: Span(1200),
        slow: Switch::next(1),
        slow_for: Span(10),
        ..Faults::default()
    });
    let answer = bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1"), ("process", "web")]).await;
    let lines: Vec<Value> =
        answer.body.lines().map(|l| serde_json::from_str(l).expect("a line of JSON")).collect();
    assert!(lines.iter().all(|l| l.get("Error").is_none()));
    assert_eq!(lines[0]["Message"], "---- Patching from 4 to 5 units ----\n");
    assert_eq!(lines.last().expect("a line")["Message"], "---- Updating router [ingress] ----\n");
    bench.emulator.shutdown().await;
}
