//! Whole rollouts.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_deployed_routed_scaled_and_promoted() {
    let bench = Bench::start().await;
    let deploy = [("image", "toy:errors=5%"), ("new-version", "true")];
    let answer = bench.form("POST", "/1.0/apps/shop/deploy", &deploy).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text"));
    assert_eq!(answer.header("x-tsuru-eventid").len(), 24);
    assert!(answer.body.ends_with("\nOK\n"), "{}", answer.body);
    let base = (1, true, true, true);
    assert_eq!(bench.units(), [base, base, base, base, (2, false, true, false)]);

    let body = r#"{"version":":v2","isRoutable":true}"#;
    let request = bench
        .request("POST", "/1.8/apps/shop/routable")
        .header("Content-Type", "application/json")
        .body(body);
    let answer = bench.send(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(bench.units()[4], (2, false, true, true));

    let add = [("units", "2"), ("process", "web"), ("version", ":v2")];
    let answer = bench.form("PUT", "/1.0/apps/shop/units", &add).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-json-stream"));
    assert!(!answer.body.contains("\"Error\""), "{}", answer.body);
    let answer = bench.call("DELETE", "/1.0/apps/shop/units?units=1&process=web&version=%3Av1").await;
    assert_eq!(answer.status, 200);
    assert_eq!(bench.units().iter().filter(|u| u.0 == 2).count(), 3);
    assert_eq!(bench.units().iter().filter(|u| u.0 == 1).count(), 3);

    let promote = [("image", ":v2"), ("override-versions", "true"), ("origin", "rollback")];
    let answer = bench.form("POST", "/1.0/apps/shop/deploy/rollback", &promote).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-json-stream"));
    assert!(!answer.body.contains("\"Error\""), "{}", answer.body);
    assert_eq!(bench.units(), vec![(2, true, true, true); 6]);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_are_servers_that_count_what_users_ask() {
    let bench = Bench::start().await;
    bench.emulator.deploy("shop", "toy:errors=50%", true).await.expect("a good image");
    let body = [("version", ":v2"), ("isRoutable", "true")];
    assert_eq!(bench.form("POST", "/1.8/apps/shop/routable", &body).await.status, 200);
    bench.emulator.set_rate("shop", 5000.0);
    let served = |version| bench.emulator.stats("shop", Version(version));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while served(2).requests < 500 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    bench.emulator.set_rate("shop", 0.0);
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert!(served(2).errors * 3 > served(2).requests, "{:?}", served(2));
    assert!(served(1).errors * 20 < served(1).requests, "{:?}", served(1));
    assert!(served(1).requests > 2 * served(2).requests, "four units against one");

    let groups: serde_json::Value =
        serde_json::from_str(&bench.call("GET", "/emulator/sd").await.body).expect("JSON");
    let mut total = 0;
    for group in groups.as_array().expect("a list").iter().filter(|g| g["labels"]["version"] == "2") {
        let target = group["targets"][0].as_str().expect("an address");
        let text = bench.client.get(format!("http://{target}/metrics")).send().await.expect("a unit answers");
        let text = text.text().await.expect("a body");
        let count = text.lines().find_map(|l| l.strip_prefix("http_request_duration_seconds_count "));
        total += count.expect("a count").parse::<u64>().expect("a number");
        let health =
            bench.client.get(format!("http://{target}/healthz")).send().await.expect("a unit answers");
        assert_eq!(health.status(), 200);
    }
    assert_eq!(total, served(2).requests);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_crashes_restarts_and_one_that_never_is_ready_fails_its_deploy() {
    let bench = Bench::start().await;
    bench
        .emulator
        .deploy("shop", "toy:crash-after=200ms", true)
        .await
        .expect("it is ready before it crashes");
    let crashed = |core: &tsuru::Tsuru| {
        core.app("shop").is_some_and(|a| a.pods.iter().any(|p| p.version == 2 && p.restarts > 0))
    };
    assert!(bench.emulator.wait_until(Span::seconds(20), crashed).await);
    let failed = bench.emulator.deploy("shop", "toy:unready", true).await.expect_err("it never is ready");
    assert!(failed.contains("failed health check"), "{failed}");
    assert!(!bench.units().iter().any(|u| u.0 == 3), "what was made for it is removed");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_exits_cuts_its_connections() {
    let bench = Bench::start().await;
    let (name, address) = bench.emulator.look(|core| {
        let pod = &core.app("shop").expect("the app").pods[0];
        (pod.name.clone(), pod.address)
    });
    let mut idle = tokio::net::TcpStream::connect(address).await.expect("a unit listens");
    let url = format!("http://{address}/healthz");
    assert_eq!(bench.client.get(&url).send().await.expect("a unit answers").status(), 200);
    bench.emulator.crash("shop", &name).expect("it runs");
    // The client keeps its connection, and the unit may be back at once: it is never the old one that answers.
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut idle, &mut byte);
    let end =
        tokio::time::timeout(std::time::Duration::from_secs(10), read).await.expect("the connection ends");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_waits_for_nobody_who_hangs() {
    let bench = Bench::start().await;
    let api = bench.emulator.base_url().replace("http://", "");
    let unit = bench.emulator.look(|core| core.app("shop").expect("the app").pods[0].address);
    let _idle = tokio::net::TcpStream::connect(&api).await.expect("the API listens");
    let mut half = tokio::net::TcpStream::connect(&api).await.expect("the API listens");
    tokio::io::AsyncWriteExt::write_all(
        &mut half,
        b"PUT /1.0/apps/shop/units HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nun",
    )
    .await
    .expect("it reads");
    let _unit = tokio::net::TcpStream::connect(unit).await.expect("a unit listens");
    bench.emulator.set_faults(tsuru::faults::Faults {
        never_ready: tsuru::faults::Switch::chance(1.0),
        ..tsuru::faults::Faults::default()
    });
    let add = bench.request("PUT", "/1.0/apps/shop/units").form(&[("units", "1")]);
    let stream = add.send().await.expect("an answer");
    tokio::time::timeout(std::time::Duration::from_secs(10), bench.emulator.shutdown())
        .await
        .expect("it stops");
    assert!(stream.text().await.is_err(), "who still listened is cut off");
}
