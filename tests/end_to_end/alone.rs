//! A version that serves alone, held against what was known of the one before: blue-green, plain deploys, and the watch after
//! the last step.

use crate::harness::{SOON, Setup, Stage, policy_of};

/// A stage whose daemon has watched the baseline for a while.
async fn watched(policy: String) -> Stage {
    let mut stage = Stage::open(&Setup { policy, ..Setup::default() }).await;
    stage.start().await;
    stage.until_watched(40).await;
    stage
}

const BLUE_GREEN: &str = "blue_green: { bake: { at_least: 6s, at_most: 60m } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blue_goes_back_on_at_once_when_green_does_harm() {
    let mut stage = watched(policy_of(BLUE_GREEN, "smoke:\n  - http: /healthz\n")).await;
    stage.deploy("toy:errors=10%").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let decided = story.last("rollback_decided").expect("it was decided");
    assert_eq!(decided["culprits"], serde_json::json!(["http-errors"]), "{decided}");
    let answered = story.all("smoked").len();
    assert_eq!(answered, 1, "asked before any user was\n{}", story.sentences());
    let added = story.all("command_issued").iter().filter(|e| e["command"]["do"] == "add_units").count();
    let of_blue = story.all("command_issued").iter().filter(|e| e["command"]["version"] == 1).count();
    assert!(added >= 1, "{}", story.sentences());
    // Off, and on again: blue never lost a unit, so none had to be brought back.
    assert_eq!(of_blue, 2, "{}", story.sentences());
    stage.assert_only(1, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn green_takes_over_when_it_is_good() {
    // In a short time little is proven of what serves alone; the policy says what follows then.
    let short = BLUE_GREEN.replace("60m", "20s");
    let mut stage = watched(policy_of(&short, "on: { inconclusive: promote }\n")).await;
    stage.deploy("toy:good").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    stage.assert_only(2, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_deploy_is_watched_and_taken_back() {
    let native = "rolling: { native: true, bake: { at_least: 5s, at_most: 20s } }";
    let mut stage = watched(policy_of(native, "")).await;
    stage.deploy_in_place("toy:errors=10%").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    stage.assert_only(1, 9).await;

    stage.deploy_in_place("toy:good").await;
    let (phase, story) = stage.until_ended(3).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    stage.assert_only(3, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_after_the_last_step_is_taken_back_too() {
    let canary = "canary: { steps: [50%], bake: { at_least: 6s, at_most: 60m } }";
    let mut stage = watched(policy_of(canary, "watch: 1h\n")).await;
    stage.deploy("toy:good").await;
    stage.until_story("it is watched", SOON, |story| story.phase() == "watching").await;
    stage.assert_only(2, 9).await;
    stage.incident(15.0).await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    stage.incident(1.0).await;
    stage.assert_only(1, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
    stage.terminate().await;
}
