//! A daemon that is killed or stopped in the middle: the next one goes on as if nothing had been.

use serde_json::json;

use crate::harness::{Prometheus, SOON, Setup, Source, Stage, Story, free_port, installed, policy, until};

/// The token for alerts, by which the tests end what would go on for long.
const TOKEN: &str = "a-token-for-alerts";

/// The policy's rule for them.
const RULES: &str = "alerts:\n  - match: { alertname: Stop }\n    do: rollback\n";

/// Lets the daemon take alerts.
const HOOK: &str = "alert_token_env = 'ALERT_TOKEN'\n";

/// Nothing of what was counted is forgotten from look to look, over all restarts.
fn assert_evidence_grows(story: &Story) {
    let evidence = story.evidence();
    assert!(evidence.len() > 3, "{} looks", evidence.len());
    for pair in evidence.windows(2) {
        let grows = pair[0].iter().zip(&pair[1]).all(|(before, after)| before <= after);
        assert!(grows, "{:?} came after {:?}\n{}", pair[1], pair[0], story.sentences());
    }
}

/// Commands that name a difference: each that was decided reached the platform once, and no more had an effect than
/// were needed. One that Tsuru refused did nothing, and was decided anew.
async fn assert_sent_once(stage: &Stage, story: &Story, adds: usize, removes: usize) {
    let events = stage.events().await;
    for (command, kind, wanted) in
        [("add_units", "app.update.unit.add", adds), ("remove_units", "app.update.unit.remove", removes)]
    {
        let (sent, arrived) = (story.sent(command), events.all(kind).count());
        assert_eq!(sent, arrived, "{command}: sent and arrived\n{}", story.sentences());
        let done = events.all(kind).filter(|event| event["Error"] == "").count();
        assert_eq!(done, wanted, "{command}: done\n{}", story.sentences());
    }
}

/// Kills the daemon, and makes sure that it had not got any further by then.
fn kill_while(stage: &mut Stage, what: &str, still: impl Fn(&Story) -> bool) {
    stage.kill();
    let story = stage.story().expect("a rollout");
    assert!(still(&story), "killed too late: {what}\n{}", story.sentences());
}

fn sends(story: &Story, command: &str) -> bool {
    story.in_flight().is_some_and(|c| c["do"] == command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_is_promoted_though_the_daemon_is_killed_in_every_phase() {
    let mut stage = Stage::open(&Setup { speed: 2.0, rate: 800.0, ..Setup::default() }).await;
    stage.start().await;
    // Slow answers keep the rollout from going on at once.
    stage.set_faults(&json!({ "slow": { "chance": 1.0 }, "slow_for": "1500ms" })).await;
    stage.deploy("toy:good").await;
    let pending = |story: &Story| story.phase() == "pending";
    stage.until_story("it is pending", SOON, pending).await;
    kill_while(&mut stage, "pending", pending);
    stage.set_faults(&json!({ "slow_ready": "3s" })).await;

    stage.start().await;
    let bakes = |story: &Story| story.bakes(0);
    let looked = |story: &Story| bakes(story) && story.evidence().len() >= 2;
    stage.until_story("the canary bakes", SOON, looked).await;
    kill_while(&mut stage, "baking", bakes);

    stage.start().await;
    let moving = |story: &Story| sends(story, "add_units");
    stage.until_story("units are added", crate::harness::ROLLOUT, moving).await;
    kill_while(&mut stage, "moving", moving);

    stage.start().await;
    let promoting = |story: &Story| story.phase() == "promoting" && sends(story, "make_only");
    stage.until_story("it is promoted", crate::harness::ROLLOUT, promoting).await;
    kill_while(&mut stage, "promoting", promoting);

    stage.start().await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "promoted", "{}", story.sentences());
    assert_eq!(story.all("opened").len(), 1);
    assert_evidence_grows(&story);
    // What was added for the second step; what the new base has more than the old one had.
    assert_sent_once(&stage, &story, 1, 1).await;
    stage.assert_only(2, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_is_rolled_back_though_the_daemon_is_stopped_and_killed() {
    let mut stage = Stage::open(&Setup { speed: 2.0, ..Setup::default() }).await;
    stage.start().await;
    stage.deploy("toy:errors=4%").await;
    let looked = |story: &Story| story.bakes(0) && !story.evidence().is_empty();
    stage.until_story("the canary is looked at", SOON, looked).await;
    stage.terminate().await;

    stage.set_faults(&json!({ "slow": { "chance": 1.0 }, "slow_for": "700ms" })).await;
    stage.start().await;
    let rolling = |story: &Story| story.phase() == "rolling_back";
    stage.until_story("it is rolled back", crate::harness::ROLLOUT, rolling).await;
    kill_while(&mut stage, "rolling back", rolling);
    stage.set_faults(&json!({})).await;

    stage.start().await;
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    let decided = story.all("rollback_decided");
    assert_eq!(decided.len(), 1, "it was decided once");
    assert_eq!(decided[0]["culprits"], json!(["http-errors"]));
    assert_evidence_grows(&story);
    assert_sent_once(&stage, &story, 0, 0).await;
    stage.assert_only(1, 9).await;
    assert_eq!(stage.app().await["unserved"], 0, "users were always served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_a_long_command_is_quick_and_repeats_nothing() {
    let policy = policy("30m", RULES).replace("[10%, 50%]", "[30%]");
    let mut stage = Stage::open(&Setup { policy, more: HOOK.to_owned(), ..Setup::default() }).await;
    stage.set_env("ALERT_TOKEN", TOKEN);
    stage.start().await;
    stage.deploy("toy:good").await;
    // Longer than a daemon waits that is told to stop.
    stage.set_faults(&json!({ "slow_ready": "15s" })).await;
    let moving = |story: &Story| sends(story, "add_units");
    stage.until_story("units are added", SOON, moving).await;
    stage.terminate().await;
    assert!(stage.story().is_some_and(|story| moving(&story)), "it was stopped in the middle");

    stage.start().await;
    let story = stage.until_story("the canary bakes", SOON, |story| story.bakes(0)).await;
    assert_sent_once(&stage, &story, 1, 0).await;
    assert_eq!(stage.alert(Some(TOKEN), "Stop").await, 200);
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    assert_sent_once(&stage, &story, 1, 0).await;
    stage.assert_only(1, 9).await;
}

/// What both versions have served: canary errors, canary requests, baseline errors, baseline requests.
async fn served(stage: &Stage) -> [u64; 4] {
    let app = stage.app().await;
    let versions = app["versions"].as_array().expect("versions");
    let of = |version: u64, what: &str| {
        let version = versions.iter().find(|v| v["version"] == version);
        version.and_then(|v| v[what].as_u64()).unwrap_or(0)
    };
    [of(2, "errors"), of(2, "requests"), of(1, "errors"), of(1, "requests")]
}

/// Stops the traffic; then what the looks brought becomes what was served, to the last request, and stays so.
async fn assert_all_counted(stage: &Stage) {
    stage.set_rate(0.0).await;
    let mut last = String::new();
    let what = "each request is counted once";
    let story = until(what, SOON, async || {
        let (story, served) = (stage.story()?, served(stage).await);
        let now = format!("counted {:?} of {served:?}", story.counted());
        if now != last {
            eprintln!("{now}");
            last = now;
        }
        (story.counted() == served).then_some(story)
    })
    .await;
    let looks = story.all("looked").len();
    let more = |story: &Story| story.all("looked").len() >= looks + 3;
    let story = stage.until_story("three more looks", SOON, more).await;
    assert_eq!(story.counted(), served(stage).await, "{what}, and no more");
    // What the baseline alone had after the canary's last request waits for a slice in which both had some.
    let evidence = *story.evidence().last().expect("looks");
    let (judged, counted) = (evidence.split_at(2), story.counted());
    assert_eq!(judged.0, &counted[..2], "all that the canary had is evidence");
    let waits: Vec<u64> = counted[2..].iter().zip(judged.1).map(|(all, used)| all - used).collect();
    assert!(waits[1] < counted[3] / 20, "{waits:?} of the baseline's {counted:?} is no evidence");
}

/// Begins without traffic, so that nothing is left out as warm-up, and counts every request over two restarts.
async fn nothing_is_lost_or_counted_twice(stage: &mut Stage) {
    stage.set_env("ALERT_TOKEN", TOKEN);
    stage.start().await;
    stage.deploy("toy:good").await;
    let warm = |story: &Story| story.bakes(0) && story.all("looked").len() >= 4;
    stage.until_story("the warm-up is over", SOON, warm).await;
    for ends in ["killed", "stopped"] {
        stage.set_rate(600.0).await;
        let before = served(stage).await[1];
        let counts = |story: &Story| story.counted()[1] > before + 100;
        stage.until_story("requests are counted", SOON, counts).await;
        if ends == "killed" {
            stage.kill();
        } else {
            stage.terminate().await;
        }
        // What comes while nobody looks is not lost either.
        let unseen = served(stage).await[1];
        let came = async || (served(stage).await[1] > unseen + 200).then_some(());
        until("requests that nobody looks at", SOON, came).await;
        stage.start().await;
        assert_all_counted(stage).await;
    }
    assert_eq!(stage.alert(Some(TOKEN), "Stop").await, 200);
    let (phase, story) = stage.until_ended(2).await;
    assert_eq!(phase, "rolled_back", "{}", story.sentences());
    assert_evidence_grows(&story);
}

fn quiet(source: Source) -> Setup {
    Setup { policy: policy("30m", RULES), more: HOOK.to_owned(), rate: 0.0, source, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once_by_scraping() {
    let mut stage = Stage::open(&quiet(Source::Scrape)).await;
    nothing_is_lost_or_counted_twice(&mut stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once_by_prometheus() {
    if !installed("prometheus") {
        return;
    }
    let port = free_port();
    let mut stage = Stage::open(&quiet(Source::Prometheus(port))).await;
    let _prometheus = Prometheus::start(stage.dir(), &stage.tsuru, 9, "", port).await;
    nothing_is_lost_or_counted_twice(&mut stage).await;
}

/// Noise is learnt before it is needed. What was seen of it is dated, shown, and there after a kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_before_any_rollout_outlives_a_kill() {
    let mut stage = Stage::open(&Setup::default()).await;
    stage.start().await;
    // It is kept every ten seconds.
    let shown = until("what was seen is shown", SOON, async || {
        let (shown, code) = stage.ask(&["show", "shop"]);
        (code == 0).then_some(shown)
    })
    .await;
    assert!(shown.contains("Noise of v1"), "{shown}");
    let first = shown.lines().find(|line| line.starts_with("http-errors")).unwrap().to_owned();
    let began = first.split(" looks, ").nth(1).unwrap().split(" to ").next().unwrap().to_owned();
    stage.kill();
    let (still, _) = stage.ask(&["show", "shop"]);
    assert!(still.contains(&began), "{still}");
    stage.start().await;
    stage.deploy("toy:good").await;
    let looked = |story: &Story| story.evidence().len() >= 2;
    stage.until_story("the canary bakes", SOON, looked).await;
    let (shown, _) = stage.ask(&["show", "shop"]);
    assert!(shown.contains(&format!("looks before the rollout, {began} to")), "since {began}:\n{shown}");
}
