//! What `tsuru event list` shows of a rollout is what `deploy/README.md` says.

use crate::harness::{Setup, Stage, policy_of};

/// So many errors that a few looks show it.
const BAD: &str = "toy:errors=20%";

/// What the daemon did that came to pass, oldest first: the kinds of Tsuru's events, without `app.` and `update.`.
async fn done(stage: &Stage, since: usize) -> Vec<String> {
    let events = stage.events().await;
    let ours = events.0.iter().rev().filter(|e| e["Owner"]["Name"] == "uguisu" && e["Error"] == "");
    let kinds = ours.map(|e| e["Kind"]["Name"].as_str().expect("a kind").replacen("app.", "", 1));
    kinds.map(|kind| kind.replacen("update.", "", 1)).skip(since).collect()
}

/// Lets a bad version be rolled back and a good one be promoted, four units each, and compares what Tsuru recorded.
async fn compare(strategy: &str, rolled_back: &[&str], promoted: &[&str]) {
    // Of a version that serves alone little is proven in a short time.
    let policy = policy_of(strategy, "on: { inconclusive: promote }\n");
    let mut stage = Stage::open(&Setup { policy, units: 4, ..Setup::default() }).await;
    stage.start().await;
    stage.until_watched(30).await;
    let mut before = 0;
    for (count, image, ending, wanted) in
        [(2, BAD, "rolled_back", rolled_back), (3, "toy:good", "promoted", promoted)]
    {
        stage.deploy(image).await;
        let (phase, story) = stage.until_ended(count).await;
        assert_eq!(phase, ending, "{}", story.sentences());
        let recorded = done(&stage, before).await;
        assert_eq!(recorded, wanted, "{strategy}, {ending}\n{}", story.sentences());
        before += recorded.len();
    }
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_on_top_leaves_its_records() {
    compare(
        "canary: { steps: [20%, 50%], bake: { at_least: 4s, at_most: 60m } }",
        &["routable", "routable", "update"],
        &["routable", "unit.add", "deploy", "unit.remove"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_in_place_leaves_its_records() {
    compare(
        "canary: { steps: [25%, 50%], capacity: shift, bake: { at_least: 4s, at_most: 60m } }",
        &["routable", "unit.remove", "routable", "unit.add", "update"],
        &["routable", "unit.remove", "unit.add", "unit.remove", "deploy"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_leaves_its_records() {
    compare(
        "blue_green: { bake: { at_least: 4s, at_most: 20s } }",
        &["unit.add", "routable", "routable", "routable", "routable", "update"],
        &["unit.add", "routable", "routable", "deploy"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_leave_their_records() {
    compare(
        "rolling: { batch: 50%, bake: { at_least: 4s, at_most: 60m } }",
        &["unit.add", "routable", "unit.remove", "routable", "unit.add", "update"],
        &["unit.add", "routable", "unit.remove", "deploy"],
    )
    .await;
}
