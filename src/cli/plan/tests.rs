//! The plan of the shipped policies, and of traffic that shows nothing.

use super::forecast::{Load, plan};
use super::*;
use crate::policy::Policy;

fn rules(text: &str) -> Policy {
    let reading = crate::policy::read("test.yaml", text);
    reading.policy.unwrap_or_else(|| panic!("{}", reading.findings.render(false)))
}

fn load(requests: f64) -> Load {
    let share = |text: &str| percentage(text).unwrap();
    Load { requests, errors: share("1%"), slow: share("10%"), events: None, dispersion: 1.0 }
}

fn printed(policy: &str, requests: f64) -> String {
    let mut out = Vec::new();
    print::table(&plan(&rules(policy), None, &load(requests)), &mut anstream::StripStream::new(&mut out))
        .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_shipped_policy_at_a_busy_and_at_a_quiet_app() {
    insta::assert_snapshot!("busy", printed(include_str!("../../../rules/web.yaml"), 100.0));
    insta::assert_snapshot!("quiet", printed(include_str!("../../../rules/web.yaml"), 1.0));
}

#[test]
fn forecasts_are_what_the_formulas_say() {
    let policy = rules(
        "policy: p\nfor: { apps: ['*'] }\nstrategy: { canary: { steps: [10%] } }\nsignals:\n  - name: errors\n    \
         ratio: { events: 'e_total', total: 'r_total' }\n    margin: +0%\n    critical: true\n",
    );
    let plan = plan(&policy, percentage("10%").ok(), &load(100.0));
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

#[test]
fn simulated_rollouts_go_through_the_judge() {
    let policy = rules(
        "policy: p\nfor: { apps: ['*'] }\nstrategy: { canary: { steps: [50%], bake: { at_least: 1m, at_most: 10m } } }\n\
         signals:\n  - name: errors\n    ratio: { events: 'e_total', total: 'r_total' }\n    critical: true\n",
    );
    let simulated = simulate::simulate(&policy, None, &load(100.0), 4).unwrap();
    assert_eq!(simulated.found.len(), 3);
    assert!(simulated.found[2].after.is_some_and(|after| after <= 60.0), "{simulated:?}");
    assert!(simulated.false_rollback_between.1 > 0.2);
}

#[test]
fn nothing_is_forecast_of_kayentas_judge_but_it_can_be_simulated() {
    let policy = rules(
        "policy: p\nfor: { apps: ['*'] }\njudge: kayenta\nstrategy: { canary: { steps: [50%], bake: { at_least: 5m, at_most: 10m } } }\n\
         signals:\n  - name: errors\n    ratio: { events: 'e_total', total: 'r_total' }\n    critical: true\n  - use: memory\n",
    );
    let mut plan = plan(&policy, None, &load(100.0));
    assert!(plan.steps.is_empty());
    plan.simulated = simulate::simulate(&policy, None, &load(100.0), 4);
    let found = &plan.simulated.as_ref().unwrap().found[2];
    assert_eq!((found.share, found.after), (1.0, Some(315.0)), "at the first judgement");
    let mut out = Vec::new();
    print::table(&plan, &mut anstream::StripStream::new(&mut out)).unwrap();
    let text = String::from_utf8(out).unwrap();
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
}
