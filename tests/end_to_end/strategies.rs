//! Each strategy's two ends: the new version serves alone, or the old one does; and what people order meanwhile.

use crate::harness::{SOON, Setup, Stage, Story, policy, policy_of, until};

/// Lets the daemon take orders.
const ORDERS: &str = "operator_token_env = 'OPERATOR_TOKEN'\n";

/// A stage whose daemon takes orders, started.
async fn started(policy: String) -> Stage {
    let mut stage = Stage::open(&Setup { policy, more: ORDERS.to_owned(), ..Setup::default() }).await;
    stage.set_env("OPERATOR_TOKEN", "a-token-for-orders");
    stage.start().await;
    stage
}

/// How many units there are of a version that users reach.
fn served(app: &serde_json::Value, version: u32) -> usize {
    let units = app["units"].as_array().expect("units");
    units.iter().filter(|u| u["version"] == version && u["ready"] == true && u["routable"] == true).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_replaces_the_units_in_batches() {
    let rolling = "rolling: { batch: 34%, bake: { at_least: 4s, at_most: 60m } }";
    let mut stage = started(policy_of(rolling, "")).await;
    stage.deploy("toy:errors=8%").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    stage.assert_only(1, 9).await;

    stage.deploy("toy:good").await;
    let (phase, story) = stage.until_ended(3).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    let shares: Vec<f64> = story
        .all("step_reached")
        .iter()
        .map(|e| (e["share"].as_f64().expect("a share") * 9.0).round())
        .collect();
    assert_eq!(shares, [3.0, 6.0], "three units at a time\n{}", story.sentences());
    stage.assert_only(3, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_serve_until_a_person_ends_it() {
    let both = policy_of("multi_version: { share: 25% }", "");
    let mut stage = started(both).await;
    stage.deploy("toy:good").await;
    stage.until_story("both serve", SOON, |story| story.bakes(0) && story.evidence().len() > 5).await;
    let app = stage.app().await;
    assert_eq!((served(&app, 1), served(&app, 2)), (9, 3), "{app:#}");
    let (taken, text) = stage.order(&["keep", "shop"]);
    assert!(taken, "{text}");
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "kept", "{}", story.sentences());
    let app = stage.app().await;
    assert_eq!((served(&app, 1), served(&app, 2)), (9, 3), "{app:#}");
    // What was kept can be taken back later.
    let (taken, text) = stage.order(&["rollback", "shop", "--to", "v1"]);
    assert!(taken, "{text}");
    until("v1 serves alone", SOON, async || (served(&stage.app().await, 2) == 0).then_some(())).await;
    let ended = |story: &Story| story.has_ended() && story.phase() == "rolled_back";
    stage.until_story("the way back is over", SOON, ended).await;
    // As many units as users were served by.
    stage.assert_only(1, 12).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_beside_another_is_taken_back_when_it_does_harm() {
    let mut stage = started(policy_of("multi_version: { share: 25%, for: 30d, then: promote }", "")).await;
    stage.deploy("toy:errors=10%").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    stage.assert_only(1, 9).await;

    stage.deploy("toy:good").await;
    stage.until_story("both serve", SOON, |story| story.canary() == 3 && story.bakes(0)).await;
    let (taken, text) = stage.order(&["promote", "shop"]);
    assert!(taken, "{text}");
    let (phase, story) = stage.until_ended(3).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    stage.assert_only(3, 9).await;
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_gets_the_version_before_back_though_its_rollout_is_over() {
    let mut stage = started(policy("2s", "")).await;
    let (taken, text) = stage.order(&["rollback", "shop"]);
    assert!(!taken && text.contains("nothing is known to have served before v1"), "{text}");
    stage.deploy("toy:good").await;
    let (taken, _) = stage.order(&["promote", "shop"]);
    if !taken {
        stage.until_story("it runs", SOON, |story| story.canary() == 2).await;
        let (taken, text) = stage.order(&["promote", "shop"]);
        assert!(taken, "{text}");
    }
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    stage.assert_only(2, 9).await;

    let (taken, text) = stage.order(&["rollback", "shop"]);
    assert!(taken, "{text}");
    let back = |story: &Story| story.has_ended() && story.phase() == "rolled_back";
    let story = stage.until_story("v1 is back", SOON, back).await;
    assert_eq!(story.canary(), 2, "what is left is v2\n{}", story.sentences());
    stage.assert_only(1, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    let (taken, text) = stage.order(&["rollback", "shop", "--to", "v1"]);
    assert!(!taken && text.contains("serves already"), "{text}");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_its_smoke_checks_never_meets_a_user() {
    let smoke = policy_of(
        "canary: { steps: [10%], bake: { at_least: 2s, at_most: 60m } }",
        "smoke:\n  - http: /no-such-page\n",
    );
    let mut stage = started(smoke).await;
    stage.deploy("toy:good").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let decided = story.last("rollback_decided").expect("it was decided");
    assert!(decided["why"].as_str().is_some_and(|why| why.contains("/no-such-page")), "{decided}");
    assert_eq!(story.sent("route"), 0, "no user was sent there\n{}", story.sentences());
    stage.assert_only(1, 9).await;
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_is_given_back_though_the_daemon_was_killed() {
    let mut stage = started(policy("4s", "autoscale: suspend\n")).await;
    stage.autoscale(9, 20).await;
    let before = stage.autoscalers().await;
    assert_eq!(before.len(), 1);
    stage.deploy("toy:errors=10%").await;
    stage.until_story("its autoscaler is away", SOON, |story| story.bakes(0)).await;
    assert_eq!(stage.autoscalers().await, Vec::<serde_json::Value>::new());
    stage.kill();
    stage.start().await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let after = stage.autoscalers().await;
    for part in ["process", "minUnits", "maxUnits", "averageCPU"] {
        assert_eq!(after.first().map(|a| &a[part]), Some(&before[0][part]), "{part}");
    }
    stage.assert_only(1, 9).await;
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_that_may_not_be_touched_keeps_a_rollout_from_beginning() {
    let mut stage = started(policy("4s", "")).await;
    stage.autoscale(9, 20).await;
    stage.deploy("toy:good").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "failed", "{}", story.sentences());
    let why = story.last("finished").expect("an end")["why"].to_string();
    assert!(why.contains("autoscale"), "{why}");
    assert_eq!(story.sent("add_units") + story.sent("route"), 0, "{}", story.sentences());
    assert_eq!(stage.autoscalers().await.len(), 1);
    stage.terminate().await;
}
