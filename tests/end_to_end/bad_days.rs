//! What goes wrong around the daemon: each has a clear message or outcome.

use crate::harness::{Process, ROLLOUT, SOON, Setup, Source, Stage, Story, free_port, policy, until};

/// Starts the daemon, which ends by itself with exit code 2; gives what it said.
async fn refuses(stage: &mut Stage) -> String {
    let daemon = stage.launch();
    let status = daemon.ended(SOON).await;
    let said = daemon.output();
    assert_eq!(status.code(), Some(2), "{said}");
    said
}

fn assert_says(said: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(said.contains(words), "`{words}` is not in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_missing_is_named() {
    let mut stage = Stage::open(&Setup::default()).await;
    std::fs::remove_file(stage.path("uguisu.toml")).expect("it was there");
    let said = refuses(&mut stage).await;
    assert_says(&said, &["error: the configuration", "uguisu.toml", "No such file", "--config"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_be_read_is_named() {
    let mut stage = Stage::open(&Setup::default()).await;
    // A directory cannot be read as a file, whoever runs the test.
    std::fs::remove_file(stage.path("tsuru-token")).expect("it was there");
    std::fs::create_dir(stage.path("tsuru-token")).expect("a directory");
    let said = refuses(&mut stage).await;
    assert_says(&said, &["error: the token for Tsuru", "tsuru-token` cannot be read"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_with_a_typo_is_shown_with_its_place() {
    let setup = Setup { policy: policy("5s", "").replace("bake:", "bakee:"), ..Setup::default() };
    let mut stage = Stage::open(&setup).await;
    let said = refuses(&mut stage).await;
    let excerpt = [
        "there is no key `bakee` here",
        "policy.yaml:6:32]",
        " 6 │   canary: { steps: [10%, 50%], bakee: { at_least: 5s, at_most: 60m } }",
        "·                                ─────",
        "did you mean `bake`?",
    ];
    assert_says(&said, &excerpt);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_named() {
    let mut stage = Stage::open(&Setup::default()).await;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", stage.port)).expect("the port is free");
    let said = refuses(&mut stage).await;
    let address = format!("127.0.0.1:{}", stage.port);
    assert_says(&said, &["error: cannot listen at", &address, "in use", "`listen` of `[web]`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_leaves_the_journal_alone() {
    let mut stage = Stage::open(&Setup::default()).await;
    stage.start().await;
    let mut command = Process::uguisu();
    command.arg("run").arg("--config").arg(stage.path("uguisu.toml"));
    command.env("UGUISU__WEB__LISTEN", "127.0.0.1:0");
    let mut second = Process::start("second", stage.dir(), &mut command);
    let status = second.ended(SOON).await;
    let said = second.output();
    assert_eq!(status.code(), Some(2), "{said}");
    assert_says(&said, &["error: the data directory", "is in use by another daemon (process "]);
    stage.ready().await;
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_no_reason_to_be_ready_and_a_right_one_is_picked_up() {
    let mut stage = Stage::open(&Setup::default()).await;
    stage.write("tsuru-token", "no-such-token");
    stage.launch();
    let (status, text) = until("the refusal is known", SOON, async || {
        stage.get("/readyz").await.filter(|(_, text)| text.contains("platform: not yet: "))
    })
    .await;
    assert_eq!(status, 503, "{text}");
    assert_says(&text, &["token", "journal: ok", "policies: ok"]);
    assert!(!text.contains("no-such-token"), "{text}");
    assert_says(&stage.log(), &["WARN", "token"]);
    assert!(!stage.log().contains("no-such-token"), "{}", stage.log());

    stage.write("tsuru-token", "emulated-daemon-token");
    stage.ready().await;
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tsuru_that_is_away_at_the_start_is_waited_for() {
    let setup = Setup::default();
    let mut stage = Stage::open(&setup).await;
    let port = free_port();
    let away = format!("http://127.0.0.1:{port}");
    stage.configure(&away, &setup);
    stage.launch();
    let (status, text) = until("the daemon says what it misses", SOON, async || {
        stage.get("/readyz").await.filter(|(_, text)| text.contains("platform: not yet: "))
    })
    .await;
    assert_eq!(status, 503, "{text}");
    assert_says(&stage.log(), &["WARN", "trying again every 1s"]);

    let mut command = Process::uguisu();
    command.args(["emulate", "--app=shop", &format!("--listen=127.0.0.1:{port}")]);
    let _tsuru = Process::start("late", stage.dir(), &mut command);
    stage.ready().await;
    assert_says(&stage.log(), &["the platform answers again"]);
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_is_away_holds_and_then_pauses() {
    let on = "on:\n  source_down: hold 4s then pause\n";
    let setup =
        Setup { policy: policy("5s", on), source: Source::Prometheus(free_port()), ..Setup::default() };
    let mut stage = Stage::open(&setup).await;
    stage.start().await;
    // It is as bad as can be; but nobody has seen that.
    stage.deploy("toy:errors=50%").await;
    let paused = |story: &Story| story.phase() == "paused";
    let story = stage.until_story("it pauses", ROLLOUT, paused).await;
    let trouble = story.last("trouble_began").expect("data is missing");
    assert_eq!(trouble["trouble"], "source_down", "{trouble}");
    let pause = story.last("paused").expect("it paused");
    assert_eq!(pause["cause"], "no_data", "{pause}");
    assert!(pause["why"].as_str().is_some_and(|why| why.contains("not evidence of harm")), "{pause}");
    assert!(story.all("rollback_decided").is_empty() && story.all("promotion_decided").is_empty());
    let noted = story.all("looked").iter().any(|look| look["notes"].to_string().contains("Prometheus: "));
    assert!(noted, "the looks say why");
    stage.until_metric("uguisu_source_errors_total{source=\"prometheus\"}", 1.0).await;
    stage.terminate().await;
}
