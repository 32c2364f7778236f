//! Alerts by way of Debian's Alertmanager, and who is let in at the hook.

use crate::harness::{Alertmanager, Prometheus, SOON, Setup, Stage, Story, free_port, installed, policy};

/// The token that the daemon wants to see.
const TOKEN: &str = "a-token-for-alerts";

/// An alert that is named `Stop` ends a rollout; others are nobody's.
const RULES: &str = "alerts:\n  - match: { alertname: Stop* }\n    do: rollback\n";

/// A signal that does not see what the rule of Prometheus sees, in place of the usual one.
const TEAPOTS: &str =
    "name: teapots\n    ratio: { events: 'http_requests_total{code=\"418\"}', total: http_requests_total }";

/// A policy whose rollouts would go on for half an hour.
fn slow_policy() -> String {
    policy("30m", RULES)
}

/// A stage whose daemon takes alerts.
async fn stage(policy: String) -> Stage {
    let setup = Setup { policy, more: "alert_token_env = 'ALERT_TOKEN'\n".to_owned(), ..Setup::default() };
    let mut stage = Stage::open(&setup).await;
    stage.set_env("ALERT_TOKEN", TOKEN);
    stage.write("alert-token", TOKEN);
    stage.start().await;
    stage
}

async fn alertmanager(stage: &Stage) -> Alertmanager {
    let url = format!("http://127.0.0.1:{}/hooks/alertmanager", stage.port);
    Alertmanager::start(stage.dir(), &url, &stage.path("alert-token")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_began_in_the_rollout_ends_it_and_an_older_one_does_not() {
    if !installed("prometheus-alertmanager") {
        return;
    }
    let stage = stage(slow_policy()).await;
    let alertmanager = alertmanager(&stage).await;
    let before = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5);
    stage.deploy("toy:good").await;
    stage.until_story("the canary bakes", SOON, |story| story.bakes(0)).await;

    // An alert that fires since before the rollout is delivered again and again.
    alertmanager.fire("StopOld", before).await;
    let heard = |story: &Story| story.sentences().contains("alert `StopOld` already fired");
    let story = stage.until_story("the old alert is heard and left", SOON, heard).await;
    assert!(story.bakes(0), "{}", story.sentences());

    // One that no rule is for changes nothing either; that it arrived shows in the daemon's own count.
    alertmanager.fire("Other", jiff::Timestamp::now()).await;
    stage.until_metric("uguisu_alert_requests_total{result=\"accepted\"}", 2.0).await;

    alertmanager.fire("Stop", jiff::Timestamp::now()).await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let decided = story.last("rollback_decided").expect("it was decided");
    assert_eq!(decided["culprits"], serde_json::json!(["Stop"]));
    let why = decided["why"].as_str().expect("a sentence");
    assert!(why.contains("Stop, as seen by a test"), "{why}");
    stage.assert_only(1, 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_prometheus_ends_a_rollout_by_way_of_alertmanager() {
    if !installed("prometheus") || !installed("prometheus-alertmanager") {
        return;
    }
    let stage = stage(slow_policy().replace("use: http-errors", TEAPOTS)).await;
    let alertmanager = alertmanager(&stage).await;
    // The daemon itself sees nothing wrong: the rule is what acts.
    let rule = "groups:\n  - name: shop\n    rules:\n      - alert: StopFailing\n        expr: >-\n          \
                sum by (app, version) (rate(http_requests_total{code=~\"5..\"}[10s]))\n          \
                / sum by (app, version) (rate(http_requests_total[10s])) > 0.2\n        \
                annotations: { summary: 'a fifth of {{ $labels.version }} fails' }\n";
    stage.write("rules.yml", rule);
    let more = format!(
        "rule_files: ['{}']\nalerting:\n  alertmanagers:\n    - static_configs:\n        \
         - targets: ['127.0.0.1:{}']\n",
        stage.path("rules.yml").display(),
        alertmanager.port
    );
    let _prometheus = Prometheus::start(stage.dir(), &stage.tsuru, 9, &more, free_port()).await;
    stage.deploy("toy:errors=40%").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let decided = story.last("rollback_decided").expect("it was decided");
    assert_eq!(decided["culprits"], serde_json::json!(["StopFailing"]), "{decided}");
    assert!(decided["why"].as_str().is_some_and(|why| why.contains("a fifth of 2 fails")), "{decided}");
    stage.assert_only(1, 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_without_the_token_is_let_in() {
    let stage = stage(slow_policy()).await;
    stage.deploy("toy:good").await;
    stage.until_story("the canary bakes", SOON, |story| story.bakes(0)).await;
    for token in [None, Some("another-token"), Some("")] {
        assert_eq!(stage.alert(token, "Stop").await, 401, "{token:?}");
    }
    stage.until_metric("uguisu_alert_requests_total{result=\"unauthorized\"}", 3.0).await;
    // What they sent is nowhere: the next look changes nothing.
    let looks = |story: &Story| story.all("looked").len();
    let before = stage.story().map_or(0, |story| looks(&story));
    let story = stage.until_story("two more looks", SOON, |story| looks(story) >= before + 2).await;
    assert!(story.bakes(0), "{}", story.sentences());
    assert!(!stage.log().contains(TOKEN), "the token is in the log");
    assert_eq!(stage.alert(Some(TOKEN), "Stop").await, 200);
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
}
