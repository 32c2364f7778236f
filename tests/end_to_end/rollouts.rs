//! The main job: a bad version is rolled back, a good one promoted, with either source of samples.

use crate::harness::{Prometheus, Setup, Source, Stage, free_port, installed};

/// Both stories, one after the other.
async fn bad_is_rolled_back_and_good_promoted(stage: &mut Stage) {
    stage.start().await;
    stage.deploy("toy:errors=6%").await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let decided = story.last("rollback_decided").expect("it was decided");
    assert_eq!(decided["culprits"], serde_json::json!(["http-errors"]), "{decided}");
    let share = story.all("step_reached")[0]["share"].as_f64().expect("a share");
    assert!((share - 0.1).abs() < 1e-9, "one of ten units is a tenth, not {share}");
    stage.assert_only(1, 9).await;

    stage.deploy("toy:good").await;
    let (phase, story) = stage.until_ended(3).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    let [.., canary, _, baseline] = *story.evidence().last().expect("it was looked at");
    assert!(canary > 100 && baseline > 100, "it rests on {canary} and {baseline} requests");
    stage.assert_only(3, 9).await;
    let app = stage.app().await;
    assert_eq!(app["unserved"], 0, "users were always served");
    stage.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_scraping_units() {
    let mut stage = Stage::open(&Setup::default()).await;
    bad_is_rolled_back_and_good_promoted(&mut stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_asking_prometheus() {
    if !installed("prometheus") {
        return;
    }
    let port = free_port();
    let setup = Setup { source: Source::Prometheus(port), ..Setup::default() };
    let mut stage = Stage::open(&setup).await;
    let _prometheus = Prometheus::start(stage.dir(), &stage.tsuru, 9, "", port).await;
    bad_is_rolled_back_and_good_promoted(&mut stage).await;
}
