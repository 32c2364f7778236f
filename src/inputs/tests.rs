//! Every kind of bad input, through `uguisu judge` and by both judges: what becomes of it is stated here.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::looks;
use crate::cli::judge_lines;
use crate::policy::Policy;

/// What comes, how often, and what is said of it in the end.
struct Case {
    name: &'static str,
    signal: &'static str,
    /// The baseline's readings and the canary's, by the number of the look.
    arms: [fn(i32) -> Value; 2],
    /// Looks at the baseline alone, before the rollout.
    history: i32,
    /// The outcome by each judge, and a part of its reason.
    sequential: [&'static str; 2],
    kayenta: [&'static str; 2],
}

fn counts(events: f64, total: f64) -> Value {
    json!({ "events": events, "total": total })
}

fn histogram(le: &[f64], counts: &[f64]) -> Value {
    json!({ "le": le, "counts": counts, "total": 100 })
}

/// A value that wobbles by a twentieth, without chance.
fn wobbling(n: i32, level: f64) -> Value {
    json!([level * (1.0 + 0.05 * (f64::from(n) * 2.399).sin())])
}

const NO_HISTORY: &str = "no verdict, since the noise is not known: 0 samples of the baseline's past";
const NO_BOUNDS: &str = "no bucket bound in common, so they cannot be compared";
const NO_BOUND_OVER: &str =
    "no bucket bound in common that is not below the one of `over`, so they cannot be compared";

const CASES: &[Case] = &[
    Case {
        name: "nothing from either arm",
        signal: "errors",
        arms: [|_| Value::Null, |_| Value::Null],
        history: 0,
        sequential: ["source_down", "both versions have been silent for 20 minutes"],
        kayenta: ["source_down", "both versions have been silent for 20 minutes"],
    },
    Case {
        name: "no requests of either arm",
        signal: "errors",
        arms: [|_| counts(0.0, 0.0), |_| counts(0.0, 0.0)],
        history: 0,
        sequential: ["inconclusive", "before both versions had requests"],
        kayenta: ["inconclusive", "not judged yet; 0 looks so far"],
    },
    Case {
        name: "no requests of the canary",
        signal: "errors",
        arms: [|_| counts(10.0, 1000.0), |_| counts(0.0, 0.0)],
        history: 0,
        sequential: ["no_data", "the canary answers but tells of no requests"],
        kayenta: ["no_data", "the canary answers but tells of no requests"],
    },
    Case {
        name: "no requests of the baseline",
        signal: "errors",
        arms: [|_| counts(0.0, 0.0), |_| counts(10.0, 1000.0)],
        history: 0,
        sequential: ["source_down", "the baseline answers but tells of no requests"],
        kayenta: ["source_down", "the baseline answers but tells of no requests"],
    },
    Case {
        name: "the same in every look",
        signal: "errors",
        arms: [|_| counts(10.0, 1000.0), |_| counts(10.0, 1000.0)],
        history: 0,
        sequential: ["pass", "1.0 times the baseline's, between"],
        kayenta: ["pass", "Pass: 1 times the baseline's mean"],
    },
    Case {
        name: "twice as many in every look, without any spread",
        signal: "errors",
        arms: [|_| counts(10.0, 1000.0), |_| counts(20.0, 1000.0)],
        history: 0,
        sequential: ["fail", "2.0 times the baseline's, between"],
        kayenta: ["fail", "High: 2 times the baseline's mean"],
    },
    Case {
        name: "never an error",
        signal: "errors",
        arms: [|_| counts(0.0, 1000.0), |_| counts(0.0, 1000.0)],
        history: 0,
        sequential: ["pass", "errors: none of 80,000 requests failed; so few harm nobody"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "nothing but errors",
        signal: "errors",
        arms: [|_| counts(1000.0, 1000.0), |_| counts(1000.0, 1000.0)],
        history: 0,
        sequential: ["inconclusive", "the baseline itself breaks the limit of 2%"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "as many requests as are believed",
        signal: "errors",
        arms: [|_| counts(1e10, 1e12), |_| counts(1e10, 1e12)],
        history: 0,
        sequential: ["pass", "1.0 times the baseline's, between"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "twice as many of as many as are believed",
        signal: "errors",
        arms: [|_| counts(1e10, 1e12), |_| counts(2e10, 1e12)],
        history: 0,
        sequential: ["fail", "2.0 times the baseline's, between"],
        kayenta: ["fail", "High: 2 times the baseline's mean"],
    },
    Case {
        name: "events in no time",
        signal: "deliveries",
        arms: [|_| counts(5.0, 0.0), |_| counts(5.0, 0.0)],
        history: 0,
        sequential: ["inconclusive", "before both versions were seen together"],
        kayenta: ["inconclusive", "not judged yet; 0 looks so far"],
    },
    Case {
        name: "bucket layouts that have one bound in common",
        signal: "latency",
        arms: [|_| histogram(&[0.1, 0.5], &[60.0, 90.0]), |_| histogram(&[0.25, 0.5], &[70.0, 90.0])],
        history: 0,
        sequential: ["pass", "requests slower than 500 ms: 1.0 times the baseline's"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "bucket layouts that have none in common",
        signal: "latency",
        arms: [|_| histogram(&[0.1], &[60.0]), |_| histogram(&[0.25], &[70.0])],
        history: 0,
        sequential: ["inconclusive", NO_BOUNDS],
        kayenta: ["inconclusive", NO_BOUNDS],
    },
    Case {
        name: "no buckets",
        signal: "slow",
        arms: [|_| histogram(&[], &[]), |_| histogram(&[], &[])],
        history: 0,
        sequential: ["inconclusive", NO_BOUND_OVER],
        kayenta: ["inconclusive", NO_BOUNDS],
    },
    Case {
        name: "counts that fall from one bound to the next, since the scrape raced with requests",
        signal: "latency",
        arms: [|_| histogram(&[0.1, 0.5], &[90.0, 84.0]), |_| histogram(&[0.1, 0.5], &[90.0, 84.0])],
        history: 0,
        sequential: ["pass", "requests slower than 100 ms: 1.0 times the baseline's"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "no units of either arm",
        signal: "memory",
        arms: [|_| json!([]), |_| json!([])],
        history: 0,
        sequential: ["source_down", "the source is at fault, not the canary"],
        kayenta: ["source_down", "the source is at fault, not the canary"],
    },
    Case {
        name: "no units of the canary",
        signal: "memory",
        arms: [|_| json!([1.0]), |_| json!([])],
        history: 0,
        sequential: ["no_data", "silence shows neither harm nor safety"],
        kayenta: ["no_data", "silence shows neither harm nor safety"],
    },
    Case {
        name: "one unit of each arm without a past",
        signal: "memory",
        arms: [|n| wobbling(n, 2.0), |n| wobbling(7 * n, 1.0)],
        history: 0,
        sequential: ["inconclusive", NO_HISTORY],
        kayenta: ["fail", "Low: 0.5 times the baseline's mean"],
    },
    Case {
        name: "one unit of each arm with a past",
        signal: "memory",
        arms: [|n| wobbling(n, 2.0), |n| wobbling(7 * n, 1.0)],
        history: 240,
        sequential: ["fail", "less than the 0.83 allowed"],
        kayenta: ["fail", "Low: 0.5 times the baseline's mean"],
    },
    Case {
        name: "a gauge that never moves, nor did in its past",
        signal: "memory",
        arms: [|_| json!([3.0]), |_| json!([3.0])],
        history: 240,
        sequential: ["pass", "1.0 times the baseline's"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "nothing but zeros",
        signal: "memory",
        arms: [|_| json!([0.0, 0.0]), |_| json!([0.0])],
        history: 240,
        sequential: ["inconclusive", "no verdict"],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "values that may be negative",
        signal: "memory",
        arms: [|n| wobbling(n, -2.0), |n| wobbling(7 * n, -2.0)],
        history: 240,
        sequential: [
            "pass",
            "some values are not above 0, so differences are measured by their usual size, 2",
        ],
        kayenta: ["pass", "Pass"],
    },
    Case {
        name: "values beyond whose difference there are no numbers",
        signal: "memory",
        arms: [|_| json!([1.7e308, 1.7e308]), |_| json!([-1.7e308])],
        history: 240,
        sequential: ["fail", "less than the 0.83 allowed"],
        kayenta: ["fail", "Low: -1 times the baseline's mean"],
    },
];

/// The lines of a rollout of 80 looks.
fn lines(case: &Case) -> String {
    let [baseline, canary] = case.arms;
    let history: Vec<Value> = (-case.history..0)
        .map(|n| json!({ "at": 15 * n, "signals": { case.signal: { "baseline": baseline(n) } } }))
        .collect();
    let line = |n: i32| {
        let arms = json!({ "baseline": baseline(n), "canary": canary(n) });
        let mut line =
            json!({ "rollout": "r", "at": 15 * n, "share": 0.5, "signals": { case.signal: arms } });
        if n == 0 {
            line["history"] = json!(history);
        }
        format!("{line}\n")
    };
    (0..80).map(line).collect()
}

/// The last answer, and what was refused.
fn last(policy: &Policy, input: &str) -> (Value, String) {
    let (out, errors) = judge_lines(policy, input.as_bytes()).unwrap();
    let out = String::from_utf8(out).unwrap();
    let last = out.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
    (last, String::from_utf8(errors).unwrap())
}

#[test]
fn every_kind_of_bad_input_has_its_outcome() {
    let mut wrong = String::new();
    for case in CASES {
        let input = lines(case);
        super::lines::check(input.as_bytes()).unwrap();
        for (policy, [outcome, why]) in
            [(looks::sequential().unwrap(), case.sequential), (looks::kayenta(false).unwrap(), case.kayenta)]
        {
            let (last, errors) = last(policy, &input);
            let told = &last["signals"][case.signal];
            let is_told = told["why"].as_str().is_some_and(|text| text.contains(why));
            if told["outcome"] != outcome || !is_told || !errors.is_empty() {
                writeln!(wrong, "{}, {}: {told} {errors}", case.name, policy.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line_and_changes_nothing() {
    let good = |n: i32| {
        format!(
            r#"{{"rollout":"r","at":{},"signals":{{"errors":{{"baseline":{{"events":1,"total":90}},"canary":{{"events":2,"total":90}}}}}}}}"#,
            15 * n
        )
    };
    let errors =
        |canary: &str| format!(r#"{{"rollout":"r","at":20,"signals":{{"errors":{{"canary":{canary}}}}}}}"#);
    let latency =
        |canary: &str| format!(r#"{{"rollout":"r","at":20,"signals":{{"latency":{{"canary":{canary}}}}}}}"#);
    let memory =
        |canary: &str| format!(r#"{{"rollout":"r","at":20,"signals":{{"memory":{{"canary":{canary}}}}}}}"#);
    let cases = [
        (errors(r#"{"events":NaN,"total":9}"#), "NaN and Infinity are no JSON, column"),
        (errors(r#"{"events":1e999,"total":9}"#), "number out of range, column"),
        (errors(r#"{"events":-1,"total":9}"#), "`events` is -1; it must be finite, not negative"),
        (errors(r#"{"events":1,"total":1000000000001}"#), "`total` is 1000000000001; it must be"),
        (errors(r#"{"events":10,"total":9}"#), "10 events of only 9 in all"),
        (errors("[1]"), "the signal needs `events` and `total`"),
        (errors(r#"{"events":1}"#), "`total` is missing, column"),
        (
            latency(r#"{"le":[0.5,0.1],"counts":[1,2],"total":9}"#),
            "bounds must be finite, not negative, and ascend",
        ),
        (
            latency(r#"{"le":[0.1,0.1],"counts":[1,2],"total":9}"#),
            "bounds must be finite, not negative, and ascend",
        ),
        (latency(r#"{"le":[0.1],"counts":[1,2],"total":9}"#), "with one count for each"),
        (latency(r#"{"le":[-0.1],"counts":[1],"total":9}"#), "not negative"),
        (
            latency(r#"{"le":[0.1,0.5],"counts":[90,30],"total":120}"#),
            "90 requests within one bound, and only 30 within a larger one",
        ),
        (r#"{"rollout":"r","at":20,"share":"10%"}"#.to_owned(), "write a part of 1, as 0.1 for 10%"),
        (r#"{"rollout":"","at":20}"#.to_owned(), "`rollout` is empty"),
        ("[]".to_owned(), "a look is an object"),
        (
            r#"{"rollout":"x","at":20,"history":[{"at":5,"signals":{}},{"at":4,"signals":{}}]}"#.to_owned(),
            "oldest first and end before the look, and 4 s comes after 5 s",
        ),
        (
            r#"{"rollout":"x","at":20,"history":[{"at":20,"signals":{}}]}"#.to_owned(),
            "oldest first and end before the look, and 20 s comes after 20 s",
        ),
        (latency(r#"{"le":[0.1],"counts":[10],"total":9}"#), "10 events of only 9 in all"),
        (latency(r#"{"le":[0.1],"counts":[-1],"total":9}"#), "a bucket's count is -1"),
        (memory("[1e999]"), "number out of range, column"),
        (memory("{}"), "`total` is missing, column"),
        (
            r#"{"rollout":"r","at":15}"#.to_owned(),
            "the look at 15 s is not later than the one before, at 15 s",
        ),
        (r#"{"rollout":"r","at":-15}"#.to_owned(), "the look at -15 s is not later than the one before"),
    ];
    for policy in [looks::sequential().unwrap(), looks::kayenta(false).unwrap()] {
        let clean = last(policy, &format!("{}\n{}\n", good(1), good(2)));
        for (bad, why) in &cases {
            let (told, errors) = last(policy, &format!("{}\n{bad}\n{}\n", good(1), good(2)));
            assert!(errors.starts_with("line 2: refused: ") && errors.contains(why), "{bad}: {errors}");
            assert_eq!(told, clean.0, "{bad}");
        }
    }
}
