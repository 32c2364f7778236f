//! What holds whatever is asked, in any order, with anything going wrong.

use proptest::prelude::*;

use super::*;

/// Something that happens: a call of somebody, or time.
#[derive(Debug, Clone)]
enum Happening {
    Call(Act),
    Pass(u64),
    Crash(usize),
}

fn selector() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        6 => (1_u32..5).prop_map(|v| format!(":v{v}")),
        1 => (1_u32..5).prop_map(|v| v.to_string()),
        1 => Just(String::new()),
    ]
}

fn image() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("toy:good"),
        1 => Just("toy:unready"),
        1 => Just("toy:crash-after=7s"),
        1 => Just("toy:crash-after=1s"),
        1 => Just("toy:nonsense"),
    ]
}

fn process() -> impl Strategy<Value = String> + Clone {
    prop_oneof![4 => Just("web".to_owned()), 1 => Just(String::new()), 1 => Just("worker".to_owned())]
}

fn act() -> impl Strategy<Value = Act> {
    let flags = (any::<bool>(), any::<bool>());
    let units = (1_u32..4, process(), selector());
    let states = prop_oneof![Just(State::Stop), Just(State::Start), Just(State::Restart)];
    prop_oneof![
        4 => (image(), flags).prop_map(|(image, (new_version, override_versions))| Act::Deploy(Deploy {
            image: image.to_owned(), new_version, override_versions, ..Deploy::default()
        })),
        3 => (selector(), flags).prop_map(|(image, (new_version, override_versions))| Act::Rollback(Deploy {
            image, new_version, override_versions, ..Deploy::default()
        })),
        4 => (selector(), any::<bool>()).prop_map(|(version, routable)| Act::Routable { version, routable }),
        3 => units.clone().prop_map(|(units, process, version)| Act::AddUnits { units, process, version }),
        3 => units.prop_map(|(units, process, version)| Act::RemoveUnits { units, process, version }),
        1 => selector().prop_map(|version| Act::DeleteVersion { version }),
        1 => (states, process(), selector())
            .prop_map(|(state, process, version)| Act::Change { state, process, version }),
        1 => Just(Act::VersionGc),
        1 => Just(Act::SetEnv { names: vec!["A".to_owned()] }),
        1 => process().prop_map(|process| Act::SetAutoscale { process, min: 1, max: 5, cpu: String::new() }),
        1 => process().prop_map(|process| Act::RemoveAutoscale { process }),
        1 => (1_u32..5).prop_map(|v| Act::SwapAutoscale { version: v.to_string() }),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => act().prop_map(Happening::Call),
        4 => (0_u64..20_000).prop_map(Happening::Pass),
        1 => (0_usize..8).prop_map(Happening::Crash),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    let rare = || (0.0..0.3_f64).prop_map(Switch::chance);
    let mean = || prop_oneof![1 => Just(Span::ZERO), 1 => (5_u64..200).prop_map(Span::seconds)];
    let calls = (rare(), rare(), rare(), rare(), rare(), rare(), rare());
    let lags = prop::collection::vec((0_u64..5000).prop_map(Span), 0..3);
    (lags, calls, (rare(), rare(), rare()), (mean(), mean())).prop_map(|(lags, calls, rest, means)| Faults {
        lags,
        throttled: calls.0,
        lost_answer: calls.1,
        dies: calls.2,
        wrong_version: calls.3,
        routable_conflict: calls.4,
        routable_late_error: calls.5,
        router_error: calls.6,
        build_error: rest.0,
        delete_error: rest.1,
        never_ready: rest.2,
        autoscaling: means.0,
        foreign: means.1,
        ..Faults::default()
    })
}

/// What holds at any time.
fn check(bench: &Bench) {
    let app = bench.app();
    let running: Vec<EventId> = bench.tsuru.events().filter(|e| e.ended.is_none()).map(|e| e.id).collect();
    assert!(running.len() <= 1, "one event runs at a time: {running:?}");
    assert_eq!(app.lock, running.first().copied(), "the event that runs holds the lock");
    for pod in &app.pods {
        let owner = app.deployment(&pod.key);
        assert!(owner.is_some_and(|d| !d.stopped), "{} belongs to no deployment that runs", pod.name);
        assert_eq!(
            app.pods.iter().filter(|p| p.address == pod.address).count(),
            1,
            "{} shares its address",
            pod.name
        );
        assert!(pod.due.is_none_or(|due| due > bench.now), "{} is late", pod.name);
    }
    for deployment in app.deployments.iter().filter(|d| d.gone_at.is_none()) {
        let current = app.pods_of(&deployment.key).filter(|p| p.revision == deployment.revision).count();
        let wanted = if deployment.stopped { 0 } else { deployment.replicas as usize };
        assert_eq!(current, wanted, "{}", app.deployment_name(&deployment.key));
        let all = app.pods_of(&deployment.key).count();
        assert!(all <= wanted * 2, "at most twice as many during an update");
        let twins = app.deployments.iter().filter(|d| d.key == deployment.key && d.gone_at.is_none()).count();
        assert_eq!(twins, 1, "two deployments have one name");
    }
    let bases: Vec<u32> =
        app.deployments.iter().filter(|d| d.key.slot == Slot::Base).map(|d| d.version).collect();
    assert!(bases.iter().all(|v| app.version(*v).is_some()));
}

fn play(seed: u64, faults: Faults, happenings: &[Happening]) -> Bench {
    let spec = AppSpec { processes: vec!["web".to_owned(), "worker".to_owned()], ..AppSpec::web("shop") };
    let mut bench = Bench::with(seed, spec);
    bench.faults(faults);
    let mut calls = Vec::new();
    for happening in happenings {
        match happening {
            Happening::Call(act) => calls.push(bench.begin(act.clone())),
            Happening::Pass(ms) => bench.wait(Span(*ms)),
            Happening::Crash(index) => {
                if let Some(name) = bench.app().pods.get(*index).map(|p| p.name.clone()) {
                    // A unit that does not run cannot crash.
                    let _ = bench.tsuru.crash(bench.now, "shop", &name);
                }
            }
        }
        check(&bench);
    }
    // Every call ends by itself, an hour of virtual time at the most, once others keep out of it.
    bench.faults(Faults {
        autoscaling: Span::ZERO,
        foreign: Span::ZERO,
        ..bench.tsuru.config().faults.clone()
    });
    bench.wait(Span::minutes(60));
    check(&bench);
    for call in calls {
        let progress = bench.tsuru.progress(call).expect("nobody forgot it");
        assert!(progress.standing != Standing::Open, "a call never ends");
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_install_stays_in_order(
        seed in any::<u64>(),
        faults in faults(),
        happenings in prop::collection::vec(happening(), 0..30),
    ) {
        play(seed, faults, &happenings);
    }

    #[test]
    fn the_same_seed_gives_the_same_course(
        seed in any::<u64>(),
        faults in faults(),
        happenings in prop::collection::vec(happening(), 0..20),
    ) {
        let [one, two] = [(); 2].map(|()| format!("{:?}", play(seed, faults.clone(), &happenings).tsuru));
        // The order of a hash map's keys is the only thing that may differ, and there is one app.
        prop_assert_eq!(one, two);
    }

    #[test]
    fn what_is_added_is_the_difference(seed in any::<u64>(), changes in prop::collection::vec(-3_i64..4, 1..12)) {
        let mut bench = Bench::new(seed);
        let mut wanted = 4_i64;
        for change in changes.into_iter().filter(|c| *c != 0) {
            let units = u32::try_from(change.unsigned_abs()).expect("small");
            bench.act(if change > 0 { add(units, ":v1") } else { remove(units, ":v1") }).expect("it is deployed");
            wanted = (wanted + change).max(0);
            prop_assert_eq!(bench.units(1).0, usize::try_from(wanted).expect("not negative"));
        }
    }
}
