//! The plan of the shipped policies, of traffic that shows nothing, and of traffic that was read.

use std::collections::BTreeMap;

use super::forecast::{Forecast, plan};
use super::value::{above_zero, dispersion, percentage};
use super::*;
use crate::judge::{Look, Reading};
use crate::policy::Policy;
use crate::rollout::{Autoscaler, Observed, Unit};
use crate::words::{AppName, Arms, Time, Version};

fn rules(text: &str) -> Policy {
    let reading = crate::policy::read("test.yaml", text);
    reading.policy.unwrap_or_else(|| panic!("{}", reading.findings.render(false)))
}

fn flags(requests: f64) -> Flags {
    Flags { rps: Some(requests), error_rate: percentage("1%").ok(), ..Flags::default() }
}

fn forecast(policy: &Policy, flags: &Flags, known: Option<&Known>) -> Plan {
    let course = way(policy, None, known).unwrap();
    plan(policy, &course, &loads(policy, flags, known))
}

fn printed(policy: &Policy, flags: &Flags, known: Option<&Known>) -> String {
    report(policy, &way(policy, None, known).unwrap(), flags, known)
}

fn report(policy: &Policy, course: &Course, flags: &Flags, known: Option<&Known>) -> String {
    let loads = loads(policy, flags, known);
    let plan = planned(policy, course, flags, &loads);
    let read = known.map(|known| print::Told::of(policy, course, &loads, known));
    let mut out = Vec::new();
    let report = Report { read, plan: &plan };
    print::table(&report, flags, &mut anstream::StripStream::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn one_share_alone_is_simulated_by_what_is_asked_in_the_end() {
    let web = rules(WEB);
    let share = Share::new(0.1);
    let first = crate::judge::asks(&course::judged(&web, share));
    let last = crate::judge::asks(&web);
    for (only, all) in first.iter().zip(&last) {
        assert_eq!((only.within.len(), only.within.last()), (1, all.within.last()));
    }
}

#[test]
fn a_limit_is_not_taken_for_broken_already_unless_somebody_says_so() {
    let checkout = rules(include_str!("../../../rules/checkout.yaml"));
    let text = printed(&checkout, &flags(100.0), None);
    assert!(!text.contains("too little traffic") && !text.contains("beyond the limit"), "{text}");
    let slow = Flags { slow_rate: percentage("6%").ok(), ..flags(100.0) };
    let text = printed(&checkout, &slow, None);
    assert!(
        text.contains("http-latency: a good canary is not proven within")
            && !text.contains("too little traffic"),
        "{text}"
    );
    assert!(
        text.contains("the baseline itself is beyond the limit of 5%, so no canary is ever proven"),
        "{text}"
    );
}

const WEB: &str = include_str!("../../../rules/web.yaml");

/// An hour of an app with three units: 20 requests a second, two in a hundred of which fail, in clusters; a tenth of them
/// slower than 250 ms; and memory that differs by some percent.
fn known() -> Known {
    let mut seed = 7_u64;
    let mut uniform = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(seed >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    let mut memory = [0.0_f64; 3];
    let looks = (0..240)
        .map(|look| {
            let clusters = f64::from((0..20).map(|_| u8::from(uniform() < 0.1)).sum::<u8>());
            let slow = (20.0 + 20.0 * uniform()).round();
            for unit in &mut memory {
                *unit = 0.8 * *unit + 0.1 * (uniform() - 0.5);
            }
            let values = memory.iter().map(|unit| 2e8 * unit.exp()).collect();
            let readings = [
                ("http-errors", Reading::Counts { events: 3.0 * clusters, total: 300.0 }),
                (
                    "http-latency",
                    Reading::Histogram {
                        le: vec![0.1, 0.25, 0.5],
                        counts: vec![150.0, 300.0 - slow, 298.0],
                        total: 300.0,
                    },
                ),
                ("memory", Reading::Values(values)),
            ];
            let signals: BTreeMap<_, _> = readings
                .into_iter()
                .map(|(name, reading)| (name.to_owned(), Arms { baseline: Some(reading), canary: None }))
                .collect();
            Look { at: 1_700_000_000.0 + 15.0 * f64::from(look), share: None, signals }
        })
        .collect();
    let unit = |number: u32| Unit {
        name: format!("shop-{number}"),
        process: "web".to_owned(),
        version: Version(3),
        address: None,
        ready: true,
        routable: true,
        base: true,
        status: "started".to_owned(),
        restarts: 0,
        created: None,
    };
    let at = Time(1_700_003_600_000);
    let observed = Observed {
        at,
        units: (0..3).map(unit).collect(),
        autoscaled: Vec::new(),
        quota_left: None,
        gaps: Vec::new(),
    };
    Known {
        app: AppName("shop".to_owned()),
        version: Version(3),
        observed,
        source: "prometheus",
        at,
        looks,
        notes: vec!["history of signal `x`: Prometheus: it went away".to_owned()],
    }
}

#[test]
fn the_shipped_policy_at_a_busy_and_at_a_quiet_app() {
    insta::assert_snapshot!("busy", printed(&rules(WEB), &flags(100.0), None));
    insta::assert_snapshot!("quiet", printed(&rules(WEB), &flags(1.0), None));
}

#[test]
fn what_was_read_is_told_with_its_date_and_forecast_from() {
    insta::assert_snapshot!("read", printed(&rules(WEB), &Flags::default(), Some(&known())));
    let plan = forecast(&rules(WEB), &Flags::default(), Some(&known()));
    let first = &plan.steps[0];
    assert!((first.share.get() - 0.25).abs() < 1e-9, "three units give no 5%: {}", first.share);
    assert!(first.signals[2].detection[2].from_start.is_some(), "the gauge's past is known");
    assert!(first.signals[0].traffic.slower.is_some_and(|slower| slower > 2.0), "errors come in clusters");
}

#[test]
fn what_a_person_says_counts_for_more_than_what_was_read() {
    let flags = Flags { rps: Some(2.0), dispersion: Some(1.0), ..Flags::default() };
    let plan = forecast(&rules(WEB), &flags, Some(&known()));
    let errors = &plan.steps[0].signals[0];
    assert_eq!((errors.traffic.exposure, errors.traffic.slower), (Some(2.0), Some(1.0)));
    assert!(errors.traffic.base.is_some_and(|base| (base - 0.02).abs() < 0.005), "the rest was read");
}

#[test]
fn forecasts_are_what_the_formulas_say() {
    let policy = rules(
        "policy: p\nfor: { apps: ['*'] }\nstrategy: { canary: { steps: [10%] } }\nsignals:\n  - name: errors\n    \
         ratio: { events: 'e_total', total: 'r_total' }\n    margin: +0%\n    critical: true\n",
    );
    let plan = forecast(&policy, &flags(100.0), None);
    let errors = &plan.steps[0].signals[0];
    // 175 s and 448 s by the formulas of the vectors, at the next look.
    let twice =
        errors.detection.iter().find(|d| (d.regression - 2.0).abs() < 1e-9).and_then(|d| d.from_start);
    assert_eq!(twice, Some(180.0));
    assert_eq!(errors.proven, Some(450.0));
    assert!(errors.notices[1] < errors.notices[0]);
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["steps"][0]["signals"][0]["proven"], 450.0);
}

/// Kinds that the shipped policy does not have, and one signal whose failure alone does nothing.
const MIXED: &str = "policy: p\nfor: { apps: ['*'] }\nstrategy: { canary: { steps: [50%], bake: { at_least: 1m, at_most: \
                     10m } } }\nsignals:\n  - name: errors\n    ratio: { events: 'e_total', total: 'r_total' }\n    \
                     critical: true\n    limit: 3%\n  - name: restarts\n    rate: restarts_total\n    critical: true\n  - { use: \
                     http-latency, over: 300ms, critical: true }\n  - { use: memory }\n";

#[test]
fn simulated_rollouts_go_through_the_judge_with_every_kind_of_signal() {
    let policy = rules(MIXED);
    let flags = Flags { events: Some(2.0), ..flags(100.0) };
    let course = way(&policy, None, None).unwrap();
    let simulated = simulate::simulate(&policy, &course, &loads(&policy, &flags, None), 6);
    assert_eq!(simulated.assumed.len(), 1, "{:?}", simulated.assumed);
    assert!(simulated.good.promoted.share > 0.5, "{simulated:?}");
    assert!(simulated.false_rollback_between[1] > 0.2, "six runs say little");
    let bad = |signal: &str| {
        simulated.bad.iter().find(|bad| bad.signal == signal && bad.regression > 4.0).unwrap().ends
    };
    for signal in ["errors", "restarts", "http-latency"] {
        let ends = bad(signal);
        assert!(ends.rolled_back.share > 0.9 && ends.rolled_back.after <= Some(120.0), "{signal}: {ends:?}");
    }
    let memory = bad("memory");
    assert!(memory.rolled_back.share < 0.1, "alone it does not roll back: {memory:?}");
    let said = forecast(&policy, &flags, None);
    assert_eq!(said.steps[0].signals.iter().map(|s| s.alone).collect::<Vec<_>>(), [true, true, true, false]);
}

#[test]
fn more_noise_takes_longer_in_simulations_too() {
    let policy = rules(MIXED);
    let promoted = |dispersion: f64| {
        let flags = Flags { events: Some(2.0), dispersion: Some(dispersion), ..flags(100.0) };
        let course = way(&policy, None, None).unwrap();
        let simulated = simulate::simulate(&policy, &course, &loads(&policy, &flags, None), 3);
        simulated.good.promoted.after.unwrap_or(f64::INFINITY)
    };
    assert!(promoted(6.0) > promoted(1.0));
}

/// A canary with all of the traffic has no baseline beside it, whatever the formulas of a comparison make of that.
#[test]
fn a_canary_alone_is_held_against_what_was_known_and_that_shows_less() {
    let policy = rules(ALONE);
    let of = |known: Option<&Known>, flags: &Flags| {
        let plan = forecast(&policy, flags, known);
        assert_eq!(plan.steps.len(), 1, "the step without traffic shows nothing");
        assert!(plan.steps[0].alone && !plan.steps[0].watch);
        (plan.steps[0].signals[0].clone(), plan.steps[0].notes.join("\n"))
    };
    let after = |errors: &Forecast, times: f64| {
        errors.detection.iter().find(|d| (d.regression - times).abs() < 1e-9).and_then(|d| d.from_start)
    };
    let (said, notes) = of(None, &flags(100.0));
    // What the level may drift and wander by is never found, however long one looks; what is beyond it is, the sooner the worse.
    assert!(said.passes.is_some_and(|passes| (2.0..2.5).contains(&passes)), "{:?}", said.passes);
    assert_eq!((after(&said, 1.5), after(&said, 2.0)), (None, None));
    assert!(after(&said, 3.0) > after(&said, 5.0));
    assert!(after(&said, 5.0).is_some() && said.proven.is_some_and(|seconds| seconds < 1800.0));
    assert!(notes.contains("without history nothing is held against it"), "{notes}");
    // Errors that come in clusters tell less of where the level is.
    let noisy = Flags { dispersion: Some(6.0), ..flags(100.0) };
    let (noisy, _) = of(None, &noisy);
    assert!(noisy.passes > said.passes && after(&noisy, 3.0) > after(&said, 3.0));
    // What was read is what it rests on; of two looks nothing is known, and that is said.
    let read = known();
    let (hour, notes) = of(Some(&read), &Flags::default());
    assert!(
        hour.passes.is_some_and(|passes| passes > 1.65) && !notes.contains("reckoned with"),
        "{:?} {notes}",
        hour.passes
    );
    let short = Known { looks: read.looks[..2].to_vec(), ..read };
    let (short, _) = of(Some(&short), &Flags::default());
    assert!(short.blind[0].contains("too little is known"), "{:?}", short.blind);
    assert_eq!((short.notices, short.proven), ([None; 2], None));
}

/// As many units at once, and errors alone.
const ALONE: &str = "policy: p\nfor: { apps: ['*'] }\nstrategy: { blue_green: {} }\nsignals: [{ use: http-errors, critical: true }]\n";

#[test]
fn what_is_not_known_of_the_baseline_is_complained_of() {
    let known = known();
    let short = Known { looks: known.looks[..2].to_vec(), ..known };
    let complaints = complaints(&rules(ALONE), &Flags::default(), Some(&short)).unwrap();
    assert_eq!(complaints.len(), 1, "once, and no talk of traffic");
    assert!(complaints[0].what.contains("too little is known"), "{}", complaints[0].what);
}

#[test]
fn the_watch_after_the_last_step_is_forecast_and_asks_for_no_proof() {
    let web = WEB.replace("signals:", "watch: 1h\nsignals:");
    let plan = forecast(&rules(&web), &flags(100.0), None);
    let watch = plan.steps.last().unwrap();
    assert!(watch.watch && watch.alone && plan.steps.len() == 4);
    let errors = &watch.signals[0];
    assert_eq!((errors.asked, errors.proven), (false, None));
    assert!(errors.notices[0].is_some_and(|notices| notices > 1.65), "{:?}", errors.notices);
    let text = printed(&rules(&web), &flags(100.0), None);
    assert!(text.contains("watch after 100%, for 60 min"), "{text}");
    assert!(complaints(&rules(&web), &flags(100.0), None).unwrap().is_empty(), "a watch promises nothing");
}

#[test]
fn of_two_versions_that_go_on_side_by_side_nothing_is_said_to_be_proven() {
    let search = include_str!("../../../rules/search.yaml");
    let text = printed(&rules(search), &flags(100.0), None);
    assert!(text.contains("Nothing is promoted by proof here: both versions serve for 14d"), "{text}");
    assert!(text.contains("20% of traffic, for 14 days"), "{text}");
    assert!(!text.contains("% in ") && !text.contains("bad ones promoted"), "{text}");
    let quiet = complaints(&rules(search), &flags(0.01), None).unwrap();
    assert!(quiet.iter().all(|complaint| !complaint.what.contains("proven")), "nothing has to be");
    let short = rules(&search.replace("14d, then: keep", "10m, then: promote"));
    let course = way(&short, None, None).unwrap();
    let ends = simulate::simulate(&short, &course, &loads(&short, &flags(100.0), None), 3).good;
    assert_eq!((ends.promoted.share, ends.promoted.after), (1.0, Some(600.0)), "when its time is over");
}

#[test]
fn a_plan_for_an_app_stands_on_its_process_its_quota_and_its_autoscalers() {
    let mut known = known();
    let worker =
        Unit { process: "worker".to_owned(), name: "w".to_owned(), ..known.observed.units[0].clone() };
    known.observed.units = known.observed.units.iter().cloned().chain([worker]).collect();
    known.observed.quota_left = Some(1);
    let text = printed(&rules(WEB), &Flags::default(), Some(&known));
    assert!(text.contains("v3 on 3 units (the quota leaves room for 1 more)"), "{text}");
    assert!(text.contains("50% would take 3 canary units, and the quota leaves room for 1"), "{text}");
    let green = rules(ALONE);
    let why = way(&green, None, Some(&known)).unwrap_err();
    assert!(why.contains("raise the quota by 2"), "{why}");
    let other = rules(&ALONE.replace("blue_green: {}", "blue_green: { process: api }"));
    let why = way(&other, None, Some(&known)).unwrap_err();
    assert!(why.contains("process `api`") && why.contains("`web`, `worker`"), "{why}");
    known.observed.quota_left = Some(0);
    let full = way(&rules(WEB), None, Some(&known)).unwrap();
    assert!(full.adjusted.iter().any(|what| what.contains("no room for the canary's first unit")));
    known.observed.autoscaled =
        vec![Autoscaler { process: "web".to_owned(), version: None, spec: String::new() }];
    let why = way(&rules(WEB), None, Some(&known)).unwrap_err();
    assert!(why.contains("autoscaler"), "{why}");
}

/// A histogram has no bounds before anything was counted in it, and that time was no time without requests.
#[test]
fn traffic_is_reckoned_over_all_the_time_that_was_watched() {
    let mut known = known();
    let empty = Reading::Histogram { le: Vec::new(), counts: Vec::new(), total: 0.0 };
    let first = Arms { baseline: Some(empty), canary: None };
    known.looks.truncate(5);
    known.looks[0].signals.insert("http-latency".to_owned(), first);
    let plan = forecast(&rules(WEB), &Flags::default(), Some(&known));
    let latency = plan.steps[0].signals[1].traffic.exposure;
    assert!(latency.is_some_and(|exposure| (exposure - 20.0).abs() < 1e-9), "{latency:?}");
}

#[test]
fn nothing_is_forecast_of_kayentas_judge_but_it_can_be_simulated() {
    let policy = rules(
        "policy: p\nfor: { apps: ['*'] }\njudge: kayenta\nstrategy: { canary: { steps: [50%], bake: { at_least: 5m, at_most: 10m } } }\n\
         signals:\n  - name: errors\n    ratio: { events: 'e_total', total: 'r_total' }\n    critical: true\n  - use: memory\n",
    );
    let flags = flags(100.0);
    assert!(forecast(&policy, &flags, None).steps.is_empty());
    let course = way(&policy, None, None).unwrap();
    let simulated = simulate::simulate(&policy, &course, &loads(&policy, &flags, None), 4);
    let found = simulated.bad.iter().find(|bad| bad.signal == "errors" && bad.regression > 4.0).unwrap().ends;
    assert_eq!(
        (found.rolled_back.share, found.rolled_back.after),
        (1.0, Some(375.0)),
        "at the first judgement"
    );
    let text = printed(&policy, &flags, None);
    assert!(text.contains("Kayenta's judge keeps no budget") && !text.contains("At most 1%"), "{text}");
}

#[test]
fn what_must_be_said_of_the_traffic_depends_on_the_signals() {
    let with = |signals: &str| {
        rules(&format!(
            "policy: p\nfor: {{ apps: [a] }}\nstrategy: {{ canary: {{ steps: [10%] }} }}\nsignals: [{signals}]\n"
        ))
    };
    let none = Flags::default();
    let noise = Flags { gauge_noise: percentage("5%").ok(), ..Flags::default() };
    let memory = with("{ use: memory }");
    assert_eq!(none.lacking(&memory), Some("`--gauge-noise`, as `--gauge-noise 5%`"));
    assert_eq!(noise.lacking(&memory), None);
    let rate = with("{ name: restarts, rate: restarts_total }, { use: memory }");
    assert_eq!(none.lacking(&rate), Some("`--events` or `--gauge-noise`"));
    assert_eq!(noise.lacking(&rate), None);
    let latency = with("{ use: http-latency }");
    assert_eq!(none.lacking(&latency), Some("`--rps`"));
    let errors = with("{ use: http-errors }, { use: memory }");
    let rps = Flags { rps: Some(100.0), ..Flags::default() };
    assert_eq!(rps.lacking(&errors), Some("`--rps` and `--error-rate`"));
    assert_eq!((rps.lacking(&latency), flags(100.0).lacking(&errors)), (None, None));
    assert!(noise.taken_of_gauges(&memory).is_some_and(|note| note.contains("in the first 20 min")));
    assert_eq!(none.taken_of_gauges(&memory), None);
}

/// What one of the steps sees is seen: the last one of a rolling update has little of the baseline left to compare with.
#[test]
fn what_a_middle_step_shows_is_not_called_unseen() {
    let rolling = "policy: p\nfor: { apps: [a] }\nstrategy: { rolling: { batch: 30%, bake: { at_least: 5m, at_most: 20m } } }\n\
                   signals: [{ use: http-errors, prove_within: +900% }]\n";
    let of = |rps: f64| {
        let flags = Flags { rps: Some(rps), error_rate: percentage("0.1%").ok(), ..Flags::default() };
        let complaints = complaints(&rules(rolling), &flags, None).unwrap();
        complaints.iter().any(|complaint| complaint.what.contains("not even a canary"))
    };
    assert!(!of(20.0));
    assert!(of(0.2), "here no step shows it");
}

/// What is left out of the first step proves nothing there, in the table as in the simulation.
#[test]
fn a_warm_up_is_no_part_of_a_bake() {
    let with = |warm_up: &str| {
        let text = format!(
            "policy: p\nfor: {{ apps: [a] }}\nwarm_up: {warm_up}\n\
             strategy: {{ canary: {{ steps: [10%], bake: {{ at_least: 50m, at_most: 60m }} }} }}\n\
             signals: [{{ use: http-errors, critical: true }}]\n"
        );
        let policy = rules(&text);
        let course = way(&policy, None, None).unwrap();
        let loads = loads(&policy, &flags(40.0), None);
        let plan = plan(&policy, &course, &loads);
        let good = simulate::simulate(&policy, &course, &loads, 8).good;
        let unproven = plan.steps[0].signals[0].broken.iter().any(forecast::Broken::is_unproven);
        (plan.warm_up, unproven, good.promoted.share > 0.5)
    };
    assert_eq!(with("0s"), (0.0, false, true));
    assert_eq!(with("50m"), (3000.0, true, false));
}

#[test]
fn where_nearly_all_fails_already_nothing_can_be_worse() {
    let web = rules(WEB);
    let failing = |share| Flags { error_rate: percentage(share).ok(), ..flags(100.0) };
    let text = printed(&web, &failing("99%"), None);
    assert!(text.contains("http-errors: so much of the baseline's fails that no canary can be"), "{text}");
    let text = printed(&web, &failing("20%"), None);
    let bars = text.split("http-errors: how long").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let impossible = bars.lines().filter(|line| line.contains("cannot be")).map(str::trim_start);
    let named: Vec<&str> = impossible.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(named, ["x5", "x10"], "{text}");
}

#[test]
fn flags_that_make_no_sense_are_told() {
    for text in ["10", "0%", "100%", "-5%", "x%", "", "NaN%", "1e400%"] {
        assert!(percentage(text).is_err(), "{text}");
    }
    for text in ["0", "-1", "inf", "NaN", "x"] {
        assert!(above_zero(text).is_err() && dispersion(text).is_err(), "{text}");
    }
    for text in ["1s", "2d", "30", "x"] {
        assert!(value::watch(text).is_err(), "{text}");
    }
}

/// What stands in the guide is what the command prints.
#[test]
fn the_guide_shows_what_is_printed() {
    let guide = include_str!("../../../rules/README.md");
    let shown = |command: &str| -> &str {
        let after = guide.split_once(&format!("$ {command}\n")).unwrap_or_else(|| panic!("no `{command}`")).1;
        after.split_once("```").unwrap().0.trim_end()
    };
    let web = printed(&rules(WEB), &flags(100.0), None);
    assert_eq!(shown("uguisu plan rules/web.yaml --rps 100 --error-rate 1%"), web.trim_end());
    let flags = Flags {
        rps: Some(20.0),
        error_rate: percentage("0.5%").ok(),
        slow_rate: percentage("2%").ok(),
        gauge_noise: percentage("10%").ok(),
        ..Flags::default()
    };
    let policy = rules(include_str!("../../../rules/checkout.yaml"));
    let course = course(&policy, percentage("25%").ok(), None).unwrap();
    let checkout = report(&policy, &course, &flags, None);
    let command = "uguisu plan rules/checkout.yaml --share 25% --rps 20 --error-rate 0.5% --slow-rate 2% --gauge-noise 10%";
    assert_eq!(shown(command), checkout.trim_end());
}
