//! Each call, as Tsuru's source has it.

use super::*;

#[test]
fn a_new_version_gets_one_unit_that_no_user_reaches() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:errors=5%")).expect("a good image");
    assert_eq!((bench.units(1), bench.units(2)), ((4, 4), (1, 0)));
    assert!(bench.app().pods.iter().any(|p| p.name.starts_with("shop-web-v2-")));
    let services: Vec<_> = bench.app().services.iter().map(|(_, version)| *version).collect();
    assert_eq!(services, [None, Some(1), Some(2)]);
    bench.act(route(":v2", true)).expect("it is deployed");
    assert_eq!(bench.units(2), (1, 1));
}

#[test]
fn numbers_of_units_are_differences() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(add(2, ":v2")).expect("more");
    bench.act(add(2, ":v2")).expect("more again");
    assert_eq!(bench.units(2).0, 5);
    bench.act(remove(4, ":v2")).expect("fewer");
    assert_eq!(bench.units(2).0, 1);
    bench.act(remove(1, ":v2")).expect("none is a stop");
    assert_eq!(bench.units(2).0, 0);
    assert_eq!(bench.lines()[0], "---- Calling app stop internally as the number of units is zero ----\n");
    let start = Act::Change { state: State::Start, process: String::new(), version: ":v2".to_owned() };
    bench.act(start).expect("it starts again");
    assert_eq!(bench.units(2).0, 1, "as many as before the stop");
}

#[test]
fn an_override_rebuilds_the_base_with_the_sum_of_what_was_routable() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(add(2, ":v2")).expect("more");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(remove(1, ":v1")).expect("fewer");
    bench.act(only(":v2")).expect("a rollback");
    assert_eq!((bench.units(1), bench.units(2)), ((0, 0), (6, 6)));
    assert!(bench.app().pods.iter().all(|p| p.key.slot == Slot::Base));
    // What was removed lingers, and a deploy without flags is refused as long.
    assert_eq!(bench.app().deployments.len(), 2);
    bench.wait(Span::seconds(41));
    assert_eq!(bench.app().deployments.len(), 1);
    bench.act(plain_deploy("toy:good")).expect("one version is deployed");
    assert_eq!(bench.units(3), (6, 6), "a deploy without flags keeps the number of units");
}

#[test]
fn an_update_keeps_the_old_units_until_the_new_ones_are_ready() {
    let mut bench = Bench::new(1);
    let call = bench.begin(plain_deploy("toy:good"));
    let mut most = 0;
    while bench.tsuru.progress(call).expect("nobody forgot it").standing == Standing::Open {
        bench.now = bench.tsuru.next_due().expect("it goes on");
        bench.tsuru.advance(bench.now);
        let serving = bench.app().pods.iter().filter(|p| p.serves()).count();
        assert!(serving >= 4, "only {serving} serve");
        most = most.max(bench.app().pods.len());
    }
    assert_eq!(most, 8, "all new ones start at once");
    assert_eq!((bench.units(1), bench.units(2)), ((0, 0), (4, 4)));
}

#[test]
fn a_lingering_deployment_is_in_the_way() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(only(":v1")).expect("back to the first");
    assert_eq!(
        bench.error(plain_deploy("toy:good")),
        "multiple versions currently deployed, either new-version or override-old-versions must be set"
    );
    bench.act(deploy("toy:good")).expect("beside the others is always allowed");
    bench.act(only(":v3")).expect("a promotion");
    let text = bench.error(add(1, ":v3"));
    assert_eq!(
        text,
        "\n---- ERROR during add units: ----\ntoo many deployments for same version 3 and process \"web\": 2\n"
    );
}

#[test]
fn the_stream_of_an_override_is_the_platforms() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    bench.act(route(":v2", true)).expect("it is deployed");
    bench.act(remove(1, ":v1")).expect("fewer");
    bench.act(only(":v2")).expect("a rollback");
    let lines = bench.lines();
    let wanted = [
        "---- Updating units [web] [version 2] ----\n",
        "\n",
        " ---> No changes on secret \"tsuru-app-shop-web\" for process \"web\" [version 2]\n",
        "\n",
        " ---> Waiting for units to be ready [web] [version 2]\n",
    ];
    assert_eq!(lines[..wanted.len()], wanted);
    let end = [
        " ---> All units ready\n",
        "\n",
        "---- Ensuring services [web] ----\n",
        " ---> Service shop-web\n",
        " ---> Service shop-web-units\n",
        "\n",
        "---- Cleaning up resources ----\n",
        " ---> Cleaning up deployment shop-web-v2\n",
        " ---> Cleaning up secret tsuru-app-shop-web-v2\n",
        " ---> Cleaning up service shop-web-v1\n",
        "\n",
        "---- Updating router [ingress] ----\n",
    ];
    assert_eq!(lines[lines.len() - end.len()..], end);
    for count in 0..=4 {
        assert!(lines.contains(&format!(" ---> {count} of 4 new units ready\n")), "{count}: {lines:?}");
    }
}

#[test]
fn who_comes_while_another_works_waits_ten_seconds_and_is_refused() {
    let mut bench = Bench::new(1);
    let first = bench.begin(deploy("toy:ready-after=30s"));
    bench.wait(Span::seconds(1));
    let second = bench.begin(route(":v1", true));
    let failure = bench.finish(second).expect_err("the lock is held");
    assert_eq!(failure.status, 500);
    assert_eq!(
        failure.text,
        "event locked: app(shop) running \"app.deploy\" start by user uguisu at 2026-08-21T13:00:00Z"
    );
    assert_eq!(bench.now, START + Span::seconds(11));
    bench.finish(first).expect("the first goes on");
    let events: Vec<_> = bench.tsuru.events().map(|e| e.kind).collect();
    assert_eq!(events, ["app.deploy", "app.deploy"], "who was refused leaves no event");
}

#[test]
fn who_comes_shortly_before_the_end_gets_its_turn() {
    let mut bench = Bench::new(1);
    let first = bench.begin(deploy("toy:good"));
    bench.wait(Span::seconds(5));
    let second = bench.begin(route(":v2", true));
    bench.finish(second).expect("the lock is free in time");
    bench.finish(first).expect("the deploy was good");
    assert_eq!(bench.units(2), (1, 1));
}

#[test]
fn a_failed_new_version_is_removed_and_its_number_is_spent() {
    let mut bench = Bench::new(1);
    bench.error(deploy("toy:unready"));
    assert_eq!(bench.units(2), (0, 0));
    let text = bench.error(deploy("toy:sideways"));
    assert!(
        text.starts_with("\n---- ERROR during deploy: ----\nfailed to build image: the tag `sideways`"),
        "{text}"
    );
    bench.act(deploy("toy:good")).expect("a good image");
    assert_eq!(bench.units(4), (1, 0));
}

#[test]
fn refusals_are_worded_as_on_tsuru() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    let rollback = |image: &str| {
        Act::Rollback(Deploy { image: image.to_owned(), override_versions: true, ..Deploy::default() })
    };
    let cases = [
        (route("v9", true), "Invalid version: v9"),
        (add(1, ""), "more than one version deployed, you must select one"),
        (rollback(":v9"), "\n---- ERROR during deploy: ----\nInvalid version: :v9\n"),
        (
            Act::Deploy(Deploy {
                image: "toy:good".to_owned(),
                new_version: true,
                override_versions: true,
                ..Deploy::default()
            }),
            "conflicting deploy flags, new-version and override-old-versions",
        ),
        (
            Act::SwapAutoscale { version: "2".to_owned() },
            "Cannot swap the autoscale, make sure the app has an autoscale configured",
        ),
        (
            Act::SwapAutoscale { version: ":v2".to_owned() },
            "could not swap the autoscale, make sure the version provided is currently deployed",
        ),
    ];
    for (act, text) in cases {
        assert_eq!(bench.error(act), text);
    }
    bench.act(delete(":v2")).expect("it is there");
    bench.wait(Span::seconds(41));
    assert_eq!(bench.error(route(":v2", true)), "no deployment found for version 2");
    let disable = Act::UpdateRollback { image: ":v2".to_owned(), disable: true, reason: "errors".to_owned() };
    bench.act(disable).expect("it is known");
    assert_eq!(
        bench.error(rollback(":v2")),
        "\n---- ERROR during deploy: ----\nthe selected version is disabled for rollback: errors\n"
    );
}

#[test]
fn quota_and_autoscalers_are_in_the_way_of_units() {
    let mut bench = Bench::with(1, AppSpec { quota: Some(5), ..AppSpec::web("shop") });
    assert_eq!(
        bench.error(add(2, ":v1")),
        "\n---- ERROR during add units: ----\nQuota exceeded. Available: 1, Requested: 2.\n"
    );
    let autoscale = Act::SetAutoscale { process: "web".to_owned(), min: 2, max: 5, cpu: "700m".to_owned() };
    bench.act(autoscale).expect("an autoscaler");
    let text = "cannot add units to an app with autoscaler configured, please update autoscale settings";
    assert_eq!(bench.error(add(1, ":v1")), text);
    assert_eq!(bench.error(remove(1, ":v1")), text);
    let unnamed = Act::AddUnits { units: 1, process: String::new(), version: ":v1".to_owned() };
    bench.act(unnamed).expect("who names no process gets round it");
}

#[test]
fn a_version_is_deleted_even_if_it_is_the_base() {
    let mut bench = Bench::new(1);
    bench.act(delete(":v1")).expect("the base");
    assert_eq!(bench.app().pods.len(), 0);
    assert_eq!(
        bench.lines(),
        ["\n ---> Deleting version :v1 of app shop\n", "---- Done removing application version :v1. ----\n"]
    );
    bench.wait(Span::seconds(41));
    bench.act(delete(":v1")).expect("what goes wrong is only written");
    assert_eq!(
        bench.lines()[1],
        "Unable to destroy app in provisioner: deployments.apps \"app: shop, process: web, version: 1\" not found\n"
    );
    assert_eq!(
        bench.lines()[2],
        "---- Done removing application version :v1. Some errors occurred during removal. ----\n"
    );
}

#[test]
fn a_bare_number_may_name_another_version_that_ends_with_it() {
    let mut bench = Bench::new(3);
    for _ in 0..10 {
        bench.act(plain_deploy("toy:good")).expect("a good image");
    }
    assert_eq!(bench.app().base_version(), Some(11));
    let mut outcomes: Vec<Result<(), String>> =
        (0..20).map(|_| bench.act(route("1", true)).map_err(|failure| failure.text)).collect();
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes, [Ok(()), Err("no deployment found for version 1".to_owned())]);
    bench.act(route(":v11", true)).expect("this names one only");
}

#[test]
fn only_what_still_builds_or_waits_for_units_can_be_cancelled() {
    let mut bench = Bench::new(1);
    let call = bench.begin(deploy("toy:good"));
    bench.wait(Span::seconds(1));
    let id = bench.tsuru.progress(call).and_then(|p| p.event).expect("it has the lock");
    bench.tsuru.cancel(bench.now, id, "no", "me").expect("it builds");
    let twice = bench.tsuru.cancel(bench.now, id, "no", "me").expect_err("it was asked already");
    assert_eq!((twice.status, twice.text.as_str()), (500, "event cancel already requested"));
    let failure = bench.finish(call).expect_err("it was cancelled");
    assert!(failure.text.contains("canceled by user action"), "{}", failure.text);
    assert_eq!(bench.now, START + Span::seconds(2));

    let call = bench.begin(deploy("toy:ready-after=60s"));
    bench.wait(Span::seconds(20));
    let id = bench.tsuru.progress(call).and_then(|p| p.event).expect("it has the lock");
    let late = bench.tsuru.cancel(bench.now, id, "no", "me").expect_err("it is being provisioned");
    assert_eq!((late.status, late.text.as_str()), (400, "event is not cancelable"));
    bench.finish(call).expect("it goes on");
}

#[test]
fn a_rule_keeps_events_from_running_and_they_are_recorded() {
    let mut bench = Bench::new(1);
    let id = bench.tsuru.add_block(START, "app.deploy", "", "shop", "freeze");
    assert_eq!(
        bench.error(deploy("toy:good")),
        "error running \"app.deploy\" on app(shop): block app.deploy by all users on app(shop): freeze"
    );
    assert!(bench.tsuru.events().last().is_some_and(|e| !e.error.is_empty()));
    assert!(bench.tsuru.remove_block(id));
    bench.act(deploy("toy:good")).expect("nothing keeps it");
}

#[test]
fn a_change_of_the_environment_restarts_every_version() {
    let mut bench = Bench::new(1);
    bench.act(deploy("toy:good")).expect("a good image");
    let before: Vec<PodId> = bench.app().pods.iter().map(|p| p.id).collect();
    bench.act(Act::SetEnv { names: vec!["A".to_owned()] }).expect("a change");
    assert_eq!((bench.units(1), bench.units(2)), ((4, 4), (1, 0)));
    assert!(bench.app().pods.iter().all(|p| !before.contains(&p.id)));
}

#[test]
fn webhooks_hear_of_ends_that_they_want_to_hear_of() {
    let mut bench = Bench::new(1);
    let hook = |name: &str, kinds: &[&str]| Webhook {
        name: name.to_owned(),
        event_filter: EventFilter {
            kind_names: kinds.iter().map(|k| (*k).to_owned()).collect(),
            ..EventFilter::default()
        },
        ..Webhook::default()
    };
    bench.tsuru.webhooks_mut().extend([
        hook("all", &[]),
        hook("units", &["app.update"]),
        hook("other", &["app.up"]),
    ]);
    bench.tsuru.take_effects();
    bench.act(add(1, ":v1")).expect("more");
    let heard: Vec<Vec<String>> = bench
        .tsuru
        .take_effects()
        .into_iter()
        .filter_map(|effect| if let Effect::Ended { hooks, .. } = effect { Some(hooks) } else { None })
        .collect();
    assert_eq!(heard, [["all", "units"]]);
}

#[test]
fn a_deleted_app_is_gone_for_whoever_waits_and_can_be_made_anew() {
    let mut bench = Bench::new(1);
    bench.tsuru.take_effects();
    let first = bench.begin(add(1, ":v1"));
    let second = bench.begin(Act::DeleteApp);
    let third = bench.begin(route(":v1", false));
    bench.wait(Span::minutes(1));
    let over = |call| bench.tsuru.progress(call).map(|p| p.standing);
    assert_eq!((over(first), over(second)), (Some(Standing::Over(Ok(()))), Some(Standing::Over(Ok(())))));
    let gone = Failure { status: 404, text: "App shop not found.".to_owned() };
    assert_eq!(over(third), Some(Standing::Over(Err(gone))));
    assert!(bench.tsuru.app("shop").is_none() && bench.tsuru.apps().next().is_none());
    let effects = bench.tsuru.take_effects();
    assert_eq!(effects.iter().filter(|e| matches!(e, Effect::Stopped { .. })).count(), 5);
    bench
        .tsuru
        .create_app(bench.now, AppSpec::web("shop"), Some(("toy:good", 2)))
        .expect("the name is free again");
    assert_eq!(bench.units(1), (2, 2));
}

#[test]
fn more_units_than_there_is_room_for_never_are_ready() {
    let mut bench = Bench::new(1);
    let text = bench.error(add(u32::MAX, ":v1"));
    assert!(text.starts_with("\n---- ERROR during add units: ----\n"), "{text}");
    assert_eq!(bench.units(1), (500, 500));
    bench.error(add(u32::MAX, ":v1"));
    assert_eq!(bench.units(1).0, 500, "a number beyond all numbers is no stop");
}

#[test]
fn a_start_goes_back_to_what_the_last_stop_found() {
    let mut bench = Bench::new(1);
    let change = |state| Act::Change { state, process: String::new(), version: ":v1".to_owned() };
    bench.act(change(State::Stop)).expect("it runs");
    assert_eq!((bench.units(1), bench.lines()[0].as_str()), ((0, 0), "\n ---> Stopping the app \"shop\"\n"));
    bench.act(change(State::Stop)).expect("it is stopped, and that is remembered");
    bench.act(change(State::Start)).expect("it starts again");
    assert_eq!(bench.units(1), (4, 4));
    bench.act(add(2, ":v1")).expect("more");
    bench.act(change(State::Start)).expect("it runs already");
    assert_eq!(bench.units(1), (4, 4), "also what runs goes back");
}

#[test]
fn a_rollback_beside_what_runs_resets_even_the_base_to_one_unit() {
    let mut bench = Bench::new(1);
    let beside = Act::Rollback(Deploy { image: ":v1".to_owned(), new_version: true, ..Deploy::default() });
    bench.act(beside).expect("it is deployed");
    assert_eq!(bench.units(1), (1, 1));
    assert_eq!(bench.app().base_version(), Some(1));
}
