//! What goes wrong, and what it leaves behind.

use super::*;

#[test]
fn units_that_never_are_ready_leave_the_raised_number() {
    let mut bench = Bench::new(1);
    bench.faults(Faults { never_ready: Switch::next(1), ..Faults::default() });
    let failure = bench.act(add(2, ":v1")).expect_err("one is never ready");
    assert!(
        failure.text.starts_with("\n---- ERROR during add units: ----\n ---> Pod \"shop-web-"),
        "{}",
        failure.text
    );
    assert_eq!(bench.units(1), (6, 5), "what was raised stays raised");
    assert!(bench.lines().contains(&"**** HEALTHCHECK TIMEOUT OF 2M0S EXCEEDED ****\n".to_owned()));
}

#[test]
fn a_failed_promotion_leaves_the_baseline_and_the_canary() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.faults(Faults { never_ready: Switch::next(1), ..Faults::default() });
    let failure = bench.act(only(":v2")).expect_err("one is never ready");
    assert!(failure.text.starts_with("\n---- ERROR during deploy: ----\n ---> Pod"), "{}", failure.text);
    assert!(bench.lines().contains(&"\n**** ROLLING BACK AFTER FAILURE ****\n".to_owned()));
    bench.wait(Span::seconds(10));
    assert_eq!(bench.app().base_version(), Some(1));
    assert_eq!(bench.units(2), (1, 1), "the canary stays");
    assert_eq!(bench.units(1), (5, 5), "the template came back, the number of units did not");
}

#[test]
fn a_conflict_leaves_half_of_it_done_and_the_same_call_again_the_rest() {
    for seed in 0..20 {
        let mut bench = Bench::new(seed);
        bench.act(deploy("toy:good")).expect("a good image");
        bench.act(add(3, ":v2")).expect("more");
        bench.faults(Faults { routable_conflict: Switch::next(1), ..Faults::default() });
        let text = bench.error(route(":v2", true));
        assert!(text.starts_with("Operation cannot be fulfilled on "), "{text}");
        assert!(bench.units(2).1 < 4);
        bench.act(route(":v2", true)).expect("the same again");
        assert_eq!(bench.units(2), (4, 4));
        assert!(bench.app().deployments.iter().all(|d| !d.paused));
    }
}

#[test]
fn a_failing_router_makes_a_promotion_look_failed_that_was_not() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.faults(Faults { router_error: Switch::next(1), ..Faults::default() });
    let text = bench.error(only(":v2"));
    assert!(text.starts_with("Put \"http://router"), "{text}");
    assert_eq!(bench.app().base_version(), Some(2));
    let event = bench.tsuru.events().last().expect("an event");
    assert_eq!((event.error.is_empty(), event.end_image.as_deref()), (false, Some("")));
}

#[test]
fn readers_lag_behind() {
    let mut bench = Bench::new(1);
    bench.faults(Faults { lags: vec![Span::seconds(3)], ..Faults::default() });
    let seen = |bench: &mut Bench| {
        let pods = bench.tsuru.look(bench.now, "shop").expect("the app").pods.expect("a list");
        let canary = || pods.iter().filter(|p| p.version == 2);
        (canary().count(), canary().filter(|p| p.routable).count())
    };
    bench.act(deploy("toy:good")).expect("a good image");
    bench.wait(Span::seconds(3));
    assert_eq!(seen(&mut bench), (1, 0));
    bench.act(add(1, ":v2")).expect("more");
    bench.wait(Span::seconds(3));
    bench.act(route(":v2", true)).expect("it is deployed");
    assert_eq!((seen(&mut bench), bench.units(2)), ((2, 0), (2, 2)));
    bench.wait(Span::seconds(2));
    assert_eq!(seen(&mut bench), (2, 0));
    bench.wait(Span::seconds(1));
    assert_eq!(seen(&mut bench), (2, 2));
    let name = bench.app().pods[0].name.clone();
    bench.tsuru.crash(bench.now, "shop", &name).expect("it runs");
    let look = bench.tsuru.look(bench.now, "shop").expect("the app");
    assert!(look.pods.expect("a list").iter().all(|p| p.phase == Phase::Ready), "also a crash is seen late");
}

#[test]
fn two_replicas_lag_differently() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.faults(Faults { lags: vec![Span::ZERO, Span::minutes(1)], ..Faults::default() });
    bench.act(route(":v2", true)).expect("it is deployed");
    let mut seen: Vec<bool> = (0..40)
        .map(|_| {
            let look = bench.tsuru.look(bench.now, "shop").expect("the app");
            look.pods.expect("a list").iter().any(|p| p.version == 2 && p.routable)
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [false, true]);
}

#[test]
fn app_info_can_have_gaps() {
    let mut bench = Bench::new(1);
    bench.faults(Faults { units_error: Switch::next(1), ..Faults::default() });
    assert!(bench.tsuru.look(bench.now, "shop").expect("the app").pods.is_none());
    assert!(bench.tsuru.look(bench.now, "shop").expect("the app").pods.is_some());
}

#[test]
fn while_the_database_is_away_nobody_has_a_valid_token() {
    let course = |seed| {
        let mut bench = Bench::new(seed);
        let (outages, outage_for) = (Span::minutes(2), Span::seconds(5));
        bench.faults(Faults { outages, outage_for, ..Faults::default() });
        let mut refused = Vec::new();
        for tick in 0..36_000_u32 {
            bench.wait(Span(100));
            refused.extend(bench.tsuru.door(bench.now).map(|failure| (tick, failure.status)));
        }
        refused
    };
    let refused = course(1);
    assert!(refused.iter().all(|(_, status)| *status == 401));
    let begins: Vec<usize> =
        (0..refused.len()).filter(|i| *i == 0 || refused[i - 1].0 + 1 < refused[*i].0).collect();
    assert!((15..60).contains(&begins.len()), "about thirty in an hour: {}", begins.len());
    assert!(
        begins.windows(2).all(|w| (50..=51).contains(&(w[1] - w[0])) || w[1] - w[0] > 99),
        "each lasts 5 s"
    );
    assert_eq!(refused, course(1));
    assert_ne!(refused, course(2));
}

#[test]
fn how_long_things_take_can_be_changed_and_changed_back() {
    let mut bench = Bench::new(1);
    bench.tsuru.world.config.speed = 10.0;
    let timings = Timings { build: Span::minutes(10), linger: Span::ZERO, ..Timings::default() };
    bench.faults(Faults { timings: Some(timings), ..Faults::default() });
    let build = bench.begin(deploy("toy:good"));
    bench.wait(Span(59_999));
    assert_eq!(bench.units(2).0, 0, "ten times as fast, a build of ten minutes takes one");
    bench.wait(Span(1));
    assert_eq!(bench.units(2).0, 1);
    bench.finish(build).expect("a good image");
    bench.act(delete(":v2")).expect("it is there");
    bench.wait(Span(2));
    assert_eq!(bench.app().deployed_versions(), [1], "nothing lingers");
    bench.faults(Faults::default());
    assert_eq!(bench.tsuru.config().timings, Timings::default());
}

#[test]
fn an_answer_can_get_lost_while_the_work_goes_on() {
    let mut bench = Bench::new(1);
    bench.faults(Faults { lost_answer: Switch::next(1), ..Faults::default() });
    let call = bench.begin(deploy("toy:good"));
    bench.wait(Span::minutes(1));
    assert_eq!(bench.tsuru.progress(call).expect("nobody forgot it").standing, Standing::Lost);
    assert_eq!(bench.units(2), (1, 0), "it was done all the same");
    assert!(bench.tsuru.events().last().is_some_and(|e| e.ended.is_some() && e.error.is_empty()));
}

#[test]
fn a_process_that_dies_leaves_the_lock_until_it_expires() {
    let mut bench = Bench::new(1);
    bench.faults(Faults { dies: Switch::next(1), ..Faults::default() });
    let call = bench.begin(deploy("toy:ready-after=60s"));
    bench.wait(Span::seconds(30));
    assert_eq!(bench.tsuru.progress(call).expect("nobody forgot it").standing, Standing::Lost);
    assert!(bench.error(route(":v1", true)).starts_with("event locked: app(shop) running \"app.deploy\""));
    bench.wait(Span::minutes(5));
    let event = bench.tsuru.events().last().expect("an event");
    assert!(event.error.starts_with("event expired, no update for 5m0."), "{}", event.error);
    bench.act(route(":v1", true)).expect("the lock is free");
}

#[test]
fn autoscalers_and_other_people_act_by_themselves() {
    let mut bench = Bench::new(1);
    let autoscale = Act::SetAutoscale { process: "web".to_owned(), min: 2, max: 9, cpu: "700m".to_owned() };
    bench.act(autoscale).expect("an autoscaler");
    bench.faults(Faults { autoscaling: Span::seconds(30), ..Faults::default() });
    let mut counts = Vec::new();
    for _ in 0..20 {
        bench.wait(Span::minutes(1));
        counts.push(bench.units(1).0);
    }
    counts.sort_unstable();
    counts.dedup();
    assert!(counts.len() > 3 && counts.iter().all(|c| (2..=9).contains(c)), "{counts:?}");
    bench.faults(Faults { foreign: Span::seconds(30), ..Faults::default() });
    bench.wait(Span::minutes(60));
    let mut kinds: Vec<&str> =
        bench.tsuru.events().filter(|e| e.owner.1 == "someone@example.com").map(|e| e.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() > 5, "{kinds:?}");
}

#[test]
fn all_processes_of_a_version_start_at_once() {
    let spec = AppSpec { processes: vec!["web".to_owned(), "worker".to_owned()], ..AppSpec::web("shop") };
    let mut bench = Bench::with(1, spec);
    bench.act(deploy("toy:good")).expect("a good image");
    let mut processes: Vec<&str> =
        bench.app().pods.iter().filter(|p| p.version == 2).map(|p| p.key.process.as_str()).collect();
    processes.sort_unstable();
    assert_eq!(processes, ["web", "worker"]);
    let unnamed = Act::AddUnits { units: 1, process: String::new(), version: ":v2".to_owned() };
    assert_eq!(
        bench.error(unnamed),
        "\n---- ERROR during add units: ----\nprocess error: no process name specified and more than one declared in \
         Procfile\n"
    );
    // The second process fails: the first is taken back as well.
    bench.faults(Faults { never_ready: Switch::default(), ..Faults::default() });
    bench.act(only(":v1")).expect("back to one version");
    bench.wait(Span::seconds(41));
    bench.error(plain_deploy("toy:unready"));
    bench.wait(Span::seconds(60));
    assert_eq!(bench.app().deployed_versions(), [1]);
    assert_eq!(bench.units(1), (8, 8), "what was never routable does not count into the sum");
}

#[test]
fn faults_that_are_off_change_nothing() {
    assert_eq!(Faults::default(), serde_json::from_str("{}").expect("all are optional"));
    assert!(serde_json::from_str::<Faults>("{\"lagg\":\"1s\"}").is_err());
}

#[test]
fn a_crowd_gives_up_when_it_waits_for_too_long() {
    let mut bench = Bench::new(1);
    let act = bench.begin(deploy("toy:unready"));
    bench.faults(Faults { foreign: Span(1), ..Faults::default() });
    bench.wait(Span::seconds(5));
    assert!(bench.app().calls.len() <= 102, "{}", bench.app().calls.len());
    bench.faults(Faults::default());
    bench.finish(act).expect_err("it never is ready");
}
