//! The plan of the shipped policies, of traffic that shows nothing, and of traffic that was read.

use std::collections::BTreeMap;

use super::forecast::plan;
use super::value::{above_zero, dispersion, percentage};
use super::*;
use crate::judge::{Look, Reading};
use crate::policy::Policy;
use crate::rollout::{Observed, Unit};
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
    let plan = plan(policy, course, &loads);
    let read = known.map(|known| print::Told::of(policy, course, &loads, known));
    let mut out = Vec::new();
    let report = Report { read, plan: &plan };
    print::table(&report, flags, &mut anstream::StripStream::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
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
fn nothing_is_promised_of_a_canary_that_serves_alone() {
    let policy = rules(
        "policy: p\nfor: { apps: ['*'] }\nstrategy: { blue_green: {} }\nsignals: [{ use: http-errors, critical: true }]\n",
    );
    for known in [None, Some(&known())] {
        let plan = forecast(&policy, &flags(1e6), known);
        assert_eq!(plan.steps.len(), 1, "the step without traffic shows nothing");
        let errors = &plan.steps[0].signals[0];
        assert_eq!((errors.notices, errors.proven, errors.detection.len()), ([None; 2], None, 0));
        assert!(errors.blind[0].contains("serves alone"), "{:?}", errors.blind);
        let complaints = complaints(&policy, &flags(1e6), known).unwrap();
        assert_eq!(complaints.len(), 1, "once, and no talk of traffic");
        assert!(complaints[0].what.contains("serves alone"), "{}", complaints[0].what);
    }
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
        (1.0, Some(315.0)),
        "at the first judgement"
    );
    let text = printed(&policy, &flags, None);
    assert!(text.contains("Kayenta's judge keeps no budget") && !text.contains("At most 1%"), "{text}");
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
