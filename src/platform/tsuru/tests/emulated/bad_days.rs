//! One fault at a time, each over real HTTP.

use super::*;
use crate::demo::tsuru::Deploy;

impl Bench {
    fn fault(&self, faults: Faults) {
        self.emulator.set_faults(faults);
    }

    /// Waits until what was removed is gone for good.
    async fn nothing_lingers(&self) {
        let gone = |core: &Core| core.app("shop").unwrap().deployments.iter().all(|d| d.gone_at.is_none());
        assert!(self.emulator.wait_until(Span::seconds(9), gone).await);
    }

    /// Whether Tsuru's database is there.
    async fn is_well(&self) -> bool {
        let url = format!("{}/healthcheck?check=all", self.emulator.base_url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().status() == 200
    }

    /// Forbids events of a kind, as an administrator does.
    async fn block(&self, kind: &str) {
        let body = json!({"KindName": kind, "Target": {"Type": "app", "Value": "shop"}, "Reason": "frozen"});
        let url = format!("{}/1.3/events/blocks", self.emulator.base_url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let authorization = format!("bearer {}", self.emulator.daemon_token());
        let request = client.post(url).header("Authorization", authorization).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_is_busy_and_names_its_reason() {
    let bench = Bench::start().await;
    bench.block("app.update.routable").await;
    Bench::refused(bench.execute(route(V2)).await, Busy, "frozen");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r");
    bench.execute(add(V2, 1)).await.expect("other kinds are free");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_refused_tokens_is_outlasted_up_to_a_bound() {
    let bench = Bench::start().await;
    bench.fault(Faults { unauthorized: Switch::next(2), ..Faults::default() });
    bench.execute(route(V2)).await.expect("two are outlasted");
    bench.fault(Faults { unauthorized: Switch::chance(1.0), ..Faults::default() });
    Bench::refused(bench.execute(unroute(V2)).await, Unauthorized, "401");
    assert_eq!(bench.tsuru.observe(&shop()).await.unwrap_err().kind, Unauthorized);
    bench.fault(Faults::default());
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2ru", "nothing was done");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_removed_is_in_the_way_for_a_while() {
    let bench = Bench::at(10.0).await;
    bench.execute(route(V2)).await.unwrap();
    bench.execute(Command::MakeOnly { version: V2 }).await.unwrap();
    assert_eq!(bench.units().await, "v2bru v2bru v2bru v2bru");
    Bench::refused(bench.execute(remove(V2, 1)).await, Doubled, "may still be ending");
    Bench::refused(bench.execute(Command::MakeOnly { version: V2 }).await, Doubled, "may still be ending");
    bench.nothing_lingers().await;
    bench.execute(Command::MakeOnly { version: V2 }).await.expect("twice is once");
    bench.execute(remove(V2, 1)).await.unwrap();
    assert_eq!(bench.units().await, "v2bru v2bru v2bru");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_of_what_was_just_removed_are_a_failure() {
    let bench = Bench::at(10.0).await;
    bench.execute(Command::Delete { version: V2 }).await.unwrap();
    Bench::refused(bench.execute(add(V2, 1)).await, Failed, "not found");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_only_says_in_words_that_it_failed_has_failed() {
    let bench = Bench::start().await;
    bench.fault(Faults { delete_error: Switch::next(1), ..Faults::default() });
    Bench::refused(bench.execute(Command::Delete { version: V2 }).await, Failed, "deadline exceeded");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r");
    bench.fault(Faults { delete_error: Switch::next(1), lost_answer: Switch::next(1), ..Faults::default() });
    Bench::refused(bench.execute(Command::Delete { version: V2 }).await, Failed, "could not remove all");
    bench.execute(Command::Delete { version: V2 }).await.unwrap();
    assert_eq!(bench.units().await, "v1bru v1bru v1bru");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_ends_in_the_middle_of_a_line_is_looked_up() {
    let bench = Bench::start().await;
    bench.fault(Faults { truncated: Switch::next(1), ..Faults::default() });
    bench.execute(add(V2, 1)).await.expect("its event tells that it was done");
    bench.fault(Faults { truncated: Switch::next(1), never_ready: Switch::next(1), ..Faults::default() });
    Bench::refused(bench.execute(add(V2, 1)).await, Failed, "failed health check");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2 v2r v2r");
    bench.fault(Faults { split: Switch::chance(1.0), ..Faults::default() });
    bench.execute(remove(V2, 1)).await.expect("lines in two parts are lines");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_app_info_could_not_tell_is_a_gap_and_no_failure() {
    let bench = Bench::start().await;
    let (quota_error, addresses_error) = (Switch::next(1), Switch::next(1));
    bench.fault(Faults { quota_error, addresses_error, ..Faults::default() });
    let observed = bench.tsuru.observe(&shop()).await.unwrap();
    assert_eq!((observed.units.len(), observed.quota_left), (4, None));
    assert!(observed.gaps.len() == 2 && observed.gaps[0].contains("quota"), "{:?}", observed.gaps);
    bench.execute(route(V2)).await.expect("the units are known");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_tsurus_database_is_outlasted() {
    let mut bench = Bench::start().await;
    bench.tsuru.client.again = Duration::from_millis(250);
    bench.fault(Faults { outages: Span(1), outage_for: Span::minutes(5), ..Faults::default() });
    // It begins within milliseconds; a change that meets its beginning would be refused and not tried again here.
    let mut answered = 0;
    while bench.is_well().await {
        answered += 1;
        assert!(answered < 1000, "the database is never away");
    }
    let calm = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.fault(Faults::default());
    };
    let (routed, ()) = tokio::join!(bench.execute(route(V2)), calm);
    routed.expect("the token is tried again");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2ru");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_stalls_for_too_long_is_looked_up() {
    let bench = Bench::start().await;
    let mut config = config_of(&bench.emulator, bench.emulator.daemon_token());
    config.deadlines.silence = Span(300);
    let impatient = open(config);
    let stall_for = Span::seconds(2);
    bench.fault(Faults { stall: Switch::next(1), stall_for, ..Faults::default() });
    impatient.execute(&shop(), &add(V2, 1)).await.expect("its event tells that it was done");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r v2r");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_dies_in_the_middle_leaves_a_failure_once_its_event_expired() {
    let mut bench = Bench::start().await;
    // Five minutes, fifty times as fast, until the lock of a dead event is free.
    bench.tsuru.pace.appears = Duration::from_secs(20);
    bench.tsuru.pace.longest = Duration::from_millis(200);
    bench.fault(Faults { dies: Switch::next(1), slow_ready: Span::seconds(5), ..Faults::default() });
    let result = bench.execute(add(V2, 1)).await;
    bench.fault(Faults::default());
    let error = result.unwrap_err();
    assert!(matches!(error.kind, Failed | PlatformErrorKind::Unknown), "{error}");
    let free = |core: &Core| core.app("shop").unwrap().lock.is_none();
    assert!(bench.emulator.wait_until(Span::seconds(9), free).await);
    bench.execute(route(V2)).await.unwrap();
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_named_so_that_no_other_can_be_meant() {
    let bench = Bench::start().await;
    for _ in 3..=12 {
        // Builds that fail use up numbers; one that ends well has an image that ends with its own.
        let deploy = Deploy { image: "toy:good".to_owned(), override_versions: true, ..Deploy::default() };
        bench.emulator.act("shop", Act::Deploy(deploy)).await.unwrap();
        bench.nothing_lingers().await;
    }
    bench.fault(Faults { wrong_version: Switch::chance(1.0), ..Faults::default() });
    bench.execute(Command::Quarantine { version: V2, reason: "slow".to_owned() }).await.unwrap();
    let disabled: Vec<u32> = bench.emulator.look(|core| {
        let app = core.app("shop").unwrap();
        app.versions.iter().filter(|v| v.disabled.is_some()).map(|v| v.number).collect()
    });
    assert_eq!(disabled, [2], "and not v12");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_did_nothing_is_no_success() {
    let bench = Bench::start().await;
    let scale = Act::SetAutoscale { process: "web".to_owned(), min: 2, max: 5, cpu: "700m".to_owned() };
    bench.emulator.act("shop", scale).await.unwrap();
    let stop = Act::Change { state: State::Stop, process: String::new(), version: ":v2".to_owned() };
    bench.emulator.act("shop", stop).await.unwrap();
    let swap = Command::MoveAutoscalers { version: V2 };
    Bench::refused(bench.execute(swap).await, Failed, "a version that has units");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raised_number_of_units_after_a_failure_is_taken_back() {
    let bench = Bench::start().await;
    bench.fault(Faults { never_ready: Switch::next(2), ..Faults::default() });
    Bench::refused(bench.execute(add(V2, 2)).await, Failed, "failed health check");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2 v2 v2r");
    bench.execute(remove(V2, 2)).await.expect("those that are not ready go first");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_lag_show_what_was_and_then_what_is() {
    let bench = Bench::start().await;
    bench.fault(Faults { lags: vec![Span::seconds(9)], ..Faults::default() });
    bench.execute(route(V2)).await.unwrap();
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r", "what is shown is old");
    bench.fault(Faults::default());
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2ru");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_somebody_changes_is_told_from_a_deploy() {
    let bench = Bench::start().await;
    bench.emulator.act("shop", Act::SetEnv { names: vec!["A".to_owned()] }).await.unwrap();
    let unit = bench.tsuru.observe(&shop()).await.unwrap().units[0].name.clone();
    bench.emulator.act("shop", Act::KillUnit { unit, force: true }).await.unwrap();
    let kinds = bench.kinds().await;
    let last: Vec<&ActivityKind> = kinds.iter().rev().take(2).map(|k| &k.2).collect();
    assert_eq!(last, [&ActivityKind::Restarted, &ActivityKind::Environment]);
    bench.emulator.shutdown().await;
}
