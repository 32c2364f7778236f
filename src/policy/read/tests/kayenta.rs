//! `judge: kayenta`: what it means, and what people are told who mix it up with the other judge.

use std::fmt::Write;

use super::read;
use crate::policy::describe;

const GOOD: &str = r#"policy: checkout
for: { apps: ["checkout-*"] }
judge: kayenta
kayenta:
  pass: 90
  marginal: 70
  group_weights: { errors: 60%, latency: 40% }
  judge_every: 10m
  lookback: 2h
strategy:
  canary:
    steps: [25%, 50%]
    bake: { at_least: 10m, at_most: 1h }
signals:
  - use: http-errors
    critical: true
    kayenta: { allowed_increase: 1.1, critical_increase: 1.5, groups: [errors] }
  - use: http-latency
    kayenta: { quantile: 99%, outliers: remove, groups: [latency] }
  - name: queue-depth
    gauge: queue_depth{app="{{ app }}", version="{{ version }}"}
    worse: down
    kayenta: { must_have_data: false, nan_strategy: replace, groups: [latency] }
  - use: memory
    kayenta: { direction: either, effect_size: cles, allowed_decrease: 0.3, muted: true }
"#;

const MISTAKES: &[(&str, &str)] = &[
    ("judge: kayenta", "judge: kayentta"),
    ("judge: kayenta\n", ""),
    ("  pass: 90", "  pass: 110"),
    ("  pass: 90", "  pass: 60"),
    ("errors: 60%", "errors: 70%"),
    ("errors: 60%, latency: 40%", "errors: 60%, latency: 30%"),
    ("errors: 60%", "error: 60%"),
    ("errors: 60%", "errors: 60"),
    ("groups: [errors]", "groups: [other]"),
    (", latency: 40%", ", latency: 30%, errors2: 10%"),
    ("  canary:\n    steps: [25%, 50%]", "  blue_green:"),
    ("  canary:\n    steps: [25%, 50%]", "  rolling:\n    native: true"),
    ("signals:", "watch: 1h\nsignals:"),
    ("judge_every: 10m", "judge_every: 2h"),
    ("judge_every: 10m", "judge_every: 5s"),
    ("lookback: 2h", "lookback: 1m"),
    ("judge: kayenta", "judge: kayenta\nbudget: { false_rollback: 1% }"),
    (
        "    critical: true",
        "    critical: true\n    margin: +20%\n    gates: true\n    weight: 2\n    limit: 2%",
    ),
    ("    critical: true\n", ""),
    ("critical_increase: 1.5", "critical_decrease: 0.5"),
    ("allowed_increase: 1.1", "allowed_increase: +10%"),
    ("allowed_increase: 1.1", "allowed_increase: 0.9"),
    ("allowed_increase: 1.1", "direction: decreese"),
    ("allowed_increase: 1.1", "nanStrategy: remove"),
    ("outliers: remove", "outlier_factor: 2"),
    ("    worse: down\n    kayenta: {", "    worse: down\n    kayenta: { quantile: 50%,"),
    ("allowed_decrease: 0.3", "allowed_decrease: 0.7"),
];

#[test]
fn a_good_policy_is_read_and_told_in_words() {
    let reading = read("checkout.yaml", GOOD);
    assert_eq!(reading.findings.to_string(), "");
    let policy = reading.policy.unwrap();
    let lines = |wanted: [&str; 3]| -> String {
        let parts = describe(&policy).into_iter().filter(|(heading, _)| wanted.contains(heading));
        parts.fold(String::new(), |text, (heading, lines)| {
            format!("{text}{heading}\n  {}\n", lines.join("\n  "))
        })
    };
    insta::assert_snapshot!(lines(["compares", "judges", "may be wrong"]));
    insta::assert_debug_snapshot!(policy.judge);
    assert_eq!(
        policy.signals.iter().map(|signal| signal.gates).collect::<Vec<_>>(),
        [true, true, false, false]
    );
}

#[test]
fn defaults_are_kayentas_but_for_what_gets_worse() {
    let text = "policy: p\nfor: { apps: [a] }\njudge: kayenta\nstrategy: { canary: { steps: [5%] } }\nsignals: [{ use: http-errors }]\n";
    insta::assert_debug_snapshot!(read("p.yaml", text).policy.unwrap().judge);
}

#[test]
fn mistakes_are_explained() {
    let mut told = String::new();
    for (good, mistake) in MISTAKES {
        assert!(GOOD.contains(good), "{good}");
        let reading = read("checkout.yaml", &GOOD.replacen(good, mistake, 1));
        assert!(!reading.findings.is_empty(), "{mistake}");
        writeln!(told, "{}", reading.findings.render(false)).unwrap();
    }
    let silent = GOOD.replace("muted: true", "").replace("groups", "muted: true, groups");
    let all = silent.replace("allowed_decrease: 0.3, ", "allowed_decrease: 0.3, muted: true");
    writeln!(told, "{}", read("checkout.yaml", &all).findings.render(false)).unwrap();
    let nothing = GOOD.split("signals:").next().unwrap();
    writeln!(told, "{}", read("checkout.yaml", nothing).findings.render(false)).unwrap();
    insta::assert_snapshot!(told);
}
