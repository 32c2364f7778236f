//! What follows from the platform's source where one would expect something else.

use super::*;

fn change(state: State, process: &str, version: &str) -> Act {
    Act::Change { state, process: process.to_owned(), version: version.to_owned() }
}

fn two_processes() -> AppSpec {
    AppSpec { processes: vec!["web".to_owned(), "worker".to_owned()], ..AppSpec::web("shop") }
}

fn scale(min: u32, max: u32) -> Act {
    Act::SetAutoscale { process: "web".to_owned(), min, max, cpu: "700m".to_owned() }
}

#[test]
fn a_promotion_cannot_be_repeated_while_what_it_removed_lingers() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(only(":v2")).expect("a promotion");
    let text = bench.error(only(":v2"));
    assert!(text.contains("too many deployments for same version 2 and process \"web\": 2"), "{text}");
    assert_eq!(bench.units(2), (5, 5));
    bench.wait(Span::seconds(41));
    bench.act(only(":v2")).expect("it is gone");
    assert!(bench.lines().iter().any(|l| l.contains("No changes on units")));
}

#[test]
fn an_override_counts_what_still_lingers_and_was_routable() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(only(":v1")).expect("back");
    assert_eq!(bench.units(1), (5, 5), "four of v1 and the one of v2");
    bench.act(only(":v1")).expect("the same again");
    assert_eq!(bench.units(1), (6, 6), "the one of v2 lingers and is counted again");
    bench.wait(Span::seconds(41));
    bench.act(only(":v1")).expect("the same again");
    assert_eq!(bench.units(1), (6, 6));
}

#[test]
fn what_lingers_takes_changes_and_is_gone_all_the_same() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(delete(":v2")).expect("it is deployed");
    let began = bench.now;
    bench.act(route(":v2", true)).expect("its name is still known");
    let text = bench.error(add(2, ":v2"));
    assert!(text.contains("deployments.apps \"shop-web-v2\" not found"), "{text}");
    assert!(bench.now.since(began) >= Span::seconds(39), "it waited for units until the end");
    assert_eq!(bench.units(2), (0, 0));
    assert!(bench.lines().iter().any(|l| l == "---- Patching from 1 to 3 units ----\n"));
    let beside = Act::Rollback(Deploy { image: ":v2".to_owned(), new_version: true, ..Deploy::default() });
    bench.act(beside.clone()).expect("the name is free");
    bench.act(delete(":v2")).expect("it is deployed");
    let text = bench.error(beside);
    assert!(text.contains("deployments.apps \"shop-web-v2\" not found"), "{text}");
    assert_eq!(bench.units(1), (4, 4));
}

#[test]
fn a_version_whose_deploy_failed_has_an_image_and_can_be_rolled_back_to() {
    let mut bench = Bench::new(1);
    let text = bench.error(plain_deploy("toy:unready"));
    assert!(text.contains("failed health check"), "{text}");
    assert!(!bench.app().version(2).is_some_and(|v| v.successful));
    let text = bench.error(only(":v2"));
    assert!(text.contains("failed health check"), "it is tried: {text}");
    bench.error(plain_deploy("toy:nonsense"));
    let text = bench.error(only(":v3"));
    assert!(text.contains("Invalid version: :v3"), "{text}");
    assert!(bench.error(only("3")).contains("no build image found"));
}

#[test]
fn only_what_starts_or_started_counts_against_the_quota() {
    let mut bench = Bench::with(1, AppSpec { quota: Some(6), ..AppSpec::web("shop") });
    assert_eq!(bench.app().units_in_use(), 4);
    let call = bench.begin(deploy("toy:crash-after=1s"));
    bench.wait(Span(5500));
    assert_eq!((bench.units(2).0, bench.app().units_in_use()), (1, 4), "it waits for its container");
    bench.wait(Span::seconds(3));
    assert_eq!((bench.units(2).0, bench.app().units_in_use()), (1, 4), "it crashed");
    bench.finish(call).expect_err("it never is ready");
    assert!(bench.error(add(3, ":v1")).contains("Quota exceeded. Available: 2, Requested: 3."));
    bench.act(add(2, ":v1")).expect("there is room");
}

#[test]
fn a_restart_leaves_what_has_no_units_and_a_change_of_the_environment_what_has_none_at_all() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(change(State::Stop, "", ":v2")).expect("it runs");
    bench.act(Act::SetEnv { names: vec!["A".to_owned()] }).expect("it is set");
    assert_eq!((bench.units(1), bench.units(2)), ((4, 4), (0, 0)), "what is stopped stays so");
    bench.act(change(State::Stop, "", "")).expect("it runs");
    bench.act(Act::SetEnv { names: vec!["A".to_owned()] }).expect("it is set");
    assert_eq!(bench.app().pods.len(), 0);
    bench.act(change(State::Restart, "", "")).expect("asked for alone, it starts them");
    assert_eq!((bench.units(1), bench.units(2)), ((1, 1), (1, 0)));
}

#[test]
fn the_mark_of_a_restart_is_dropped_by_the_next_update_which_is_a_change() {
    let mut bench = Bench::with(1, two_processes());
    bench.act(change(State::Restart, "web", "")).expect("it runs");
    let names = |bench: &Bench, process: &str| -> Vec<String> {
        bench.app().pods.iter().filter(|p| p.key.process == process).map(|p| p.name.clone()).collect()
    };
    let (web, worker) = (names(&bench, "web"), names(&bench, "worker"));
    let text = bench.lines().concat();
    assert!(
        text.contains("No changes on units [worker] [version 1]"),
        "the other process is looked at: {text}"
    );
    bench.act(change(State::Restart, "worker", "")).expect("it runs");
    assert_ne!(names(&bench, "web"), web, "the process that was restarted before is updated again");
    assert_ne!(names(&bench, "worker"), worker);
}

#[test]
fn the_failure_of_one_version_does_not_keep_the_next_from_a_restart() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.faults(Faults { never_ready: Switch::next(1), ..Faults::default() });
    let before: Vec<String> =
        bench.app().pods.iter().filter(|p| p.version == 2).map(|p| p.name.clone()).collect();
    let text = bench.error(change(State::Restart, "", ""));
    let expected = "\n---- ERROR during restart: ----\nunable to update version v1: ";
    assert!(text.starts_with(expected), "{text}");
    assert!(!bench.app().pods.iter().any(|p| before.contains(&p.name)), "v2 was restarted");
}

#[test]
fn a_paused_deployment_that_is_complete_is_left_alone() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(only(":v1")).expect("back to the first");
    bench.wait(Span::seconds(41));
    let key = Key { process: "web".to_owned(), slot: Slot::Base };
    for seed in 0..20 {
        bench.faults(Faults { routable_conflict: Switch::next(1), ..Faults::default() });
        bench.act(route(":v1", true)).expect_err("a conflict");
        if bench.app().deployment(&key).is_some_and(|d| d.paused) {
            bench.act(only(":v1")).expect("the same as it is");
            assert!(bench.lines().iter().any(|l| l.contains("No changes on units")), "{seed}");
            assert!(bench.app().deployment(&key).is_some_and(|d| d.paused), "{seed}");
            return;
        }
    }
    panic!("no conflict left it paused");
}

#[test]
fn an_autoscaler_follows_the_base_and_keeps_what_it_aims_at_within_its_bounds() {
    let mut bench = Bench::new(1);
    bench.act(scale(2, 6)).expect("a process");
    bench.act(deploy("toy:good")).expect("a good image");
    let aims = |bench: &Bench| {
        let a = &bench.app().autoscales[0];
        (a.version, a.slot)
    };
    assert_eq!(aims(&bench), (1, Slot::Base));
    bench.act(Act::SwapAutoscale { version: "2".to_owned() }).expect("it is deployed");
    assert_eq!(aims(&bench), (2, Slot::Beside(2)));
    assert_eq!(bench.units(2).0, 1);
    bench.wait(Span::seconds(30));
    assert_eq!(bench.units(2).0, 2, "never fewer than its least");
    bench.act(scale(2, 6)).expect("a process");
    assert_eq!(aims(&bench), (1, Slot::Base), "made anew, it aims at the lowest version that is routable");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(only(":v2")).expect("a promotion");
    assert_eq!(aims(&bench), (2, Slot::Base), "what it aimed at is gone");
}

#[test]
fn a_swap_to_a_version_without_units_aims_at_the_lowest_and_says_nothing() {
    let mut bench = Bench::new(1);
    bench.act(scale(2, 6)).expect("a process");
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(change(State::Stop, "", ":v2")).expect("it runs");
    bench.act(Act::SwapAutoscale { version: "2".to_owned() }).expect("no word");
    assert_eq!(bench.app().autoscales[0].version, 1);
    // Back to the base while only the version beside it is routable: labelled so, and aimed at the other one.
    bench.act(change(State::Start, "", ":v2")).expect("it was stopped");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(route(":v1", false)).expect("nothing keeps it from that");
    bench.act(Act::SwapAutoscale { version: "1".to_owned() }).expect("it is deployed");
    let autoscale = &bench.app().autoscales[0];
    assert_eq!((autoscale.version, autoscale.slot), (1, Slot::Beside(2)));
}

#[test]
fn the_autoscaler_of_a_process_that_is_not_there_is_a_failure() {
    let mut bench = Bench::with(1, two_processes());
    let none = Act::RemoveAutoscale { process: String::new() };
    assert_eq!(bench.error(none), "process error: process argument is required");
    let text = bench.error(Act::RemoveAutoscale { process: "moon".to_owned() });
    assert!(text.starts_with("no routable version found"), "{text}");
}

#[test]
fn too_many_of_a_kind_are_refused_before_the_lock_is_waited_for() {
    let mut bench = Bench::new(1);
    let held = bench.begin(deploy("toy:good"));
    let began = bench.now;
    bench.faults(Faults { throttled: Switch::next(1), ..Faults::default() });
    assert!(
        bench.error(route(":v1", true)).starts_with("event throttled, limit for app.update.routable on app")
    );
    assert_eq!(bench.now, began);
    bench.finish(held).expect("a good image");
}

#[test]
fn a_unit_that_is_not_there_cannot_be_killed() {
    let mut bench = Bench::new(1);
    let text = bench.error(Act::KillUnit { unit: "moon".to_owned(), force: true });
    assert_eq!(text, "Unable to find pod: pods \"moon\" not found");
}

#[test]
fn a_unit_that_crashed_is_in_error_until_it_is_ready_again() {
    let mut bench = Bench::new(1);
    let name = bench.app().pods[0].name.clone();
    bench.tsuru.crash(bench.now, "shop", &name).expect("it runs");
    assert_eq!(bench.app().pods[0].status(), ("error", "exitCode: 1"));
    bench.wait(Span::seconds(10));
    assert_eq!(bench.app().pods[0].status(), ("error", "Error"), "its container runs and is not ready");
    bench.wait(Span::seconds(5));
    assert_eq!(bench.app().pods[0].status(), ("started", ""));
}
