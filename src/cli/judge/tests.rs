//! Lines in, lines out.

use std::fmt::Write as _;
use std::io::BufReader;

use serde_json::Value;

use super::*;

const POLICY: &str = "
policy: test
for: { apps: ['*'] }
strategy: { canary: { steps: [10%], bake: { at_least: 5m, at_most: 60m } } }
signals:
  - name: errors
    ratio: { events: 'errors_total', total: 'requests_total' }
    margin: +10%
    prove_within: +50%
    critical: true
";

fn rules() -> Policy {
    let reading = crate::policy::read("test.yaml", POLICY);
    reading.policy.unwrap_or_else(|| panic!("{}", reading.findings.render(false)))
}

/// What is printed and what is refused.
fn run(only_final: bool, input: &str) -> (Vec<Value>, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let wanted = Output { only_final, explain: true };
    judge(&rules(), wanted, BufReader::new(input.as_bytes()), &mut output, &mut errors).unwrap();
    let lines = String::from_utf8(output).unwrap();
    (
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        String::from_utf8(errors).unwrap(),
    )
}

fn line(rollout: &str, at: u32, bad: u32) -> String {
    format!(
        r#"{{"rollout":"{rollout}","at":{at},"share":0.1,"signals":{{"errors":{{"baseline":{{"events":14,"total":1350}},"canary":{{"events":{bad},"total":150}}}}}}}}"#
    )
}

/// A rollout of 60 looks.
fn rollout(name: &str, bad: impl Fn(u32) -> u32) -> Vec<String> {
    (1..=60).map(|n| line(name, 15 * n, bad(n))).collect()
}

#[test]
fn a_bad_canary_is_rolled_back_and_a_good_one_promoted_each_in_its_own_time() {
    let mut input = String::new();
    for (good, bad) in rollout("good", |n| 1 + n % 2).iter().zip(rollout("bad", |_| 8)) {
        writeln!(input, "{good}\n{bad}").unwrap();
    }
    let (lines, errors) = run(false, &input);
    assert_eq!((lines.len(), errors.as_str()), (120, ""));
    let of = |name: &str| lines.iter().filter(|line| line["rollout"] == name).cloned().collect::<Vec<_>>();
    for (name, decision) in [("good", "promote"), ("bad", "rollback")] {
        let of = of(name);
        let decided = of.iter().position(|line| line["decision"] == decision).unwrap();
        assert!(of[..decided].iter().all(|line| line["decision"] == "continue"));
        assert!(of[decided..].iter().all(|line| line["decision"] == decision), "final");
        assert_eq!(of[59]["decided"], of[decided]["at"]);
    }
    let (last, _) = run(true, &input);
    assert_eq!(last.len(), 2);
    assert_eq!((&last[0]["rollout"], &last[0]["decision"]), (&"good".into(), &"promote".into()));
    assert!(last[1]["at"].as_f64().unwrap() < 120.0);
    assert!(last[1]["signals"]["errors"]["why"].as_str().unwrap().contains("times the baseline's"));
}

#[test]
fn interleaving_changes_nothing() {
    let (one, other) = (rollout("a", |n| n % 4), rollout("b", |n| 3 - n % 4));
    let apart = [one.join("\n"), other.join("\n")].join("\n");
    let mixed: Vec<_> = one.iter().zip(&other).flat_map(|(a, b)| [b.clone(), a.clone()]).collect();
    let sorted = |input: &str| {
        let mut lines: Vec<_> = run(false, input).0.iter().map(Value::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&apart), sorted(&mixed.join("\n")));
}

#[test]
fn bad_lines_are_refused_with_their_number_and_nothing_else_stops() {
    let bad = [
        "nonsense",
        r#"{"rollout":"r","at":1e999}"#,
        r#"{"rollout":"r","at":30,"typo":1}"#,
        r#"{"rollout":"r","at":30,"share":1.5}"#,
        r#"{"rollout":"r","at":15}"#,
        r#"{"rollout":"r","at":30,"history":[{"at":1}]}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"events":5,"total":3}}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"events":-5,"total":3}}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"events":5}}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":[1,2]}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":null},"errors":{"baseline":null,"canary":null}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"events":1,"events":2,"total":3}}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"base":{"events":1,"total":3},"canary":null}}}"#,
        r#"{"rollout":"r","at":30,"history":[{"at":0,"signals":{"errors":{"events":1,"total":3}}}]}"#,
        r#"{"rollout":"r","at":1764252000000}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"events":NaN,"total":3}}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"events":1,"total":-Infinity}}}}"#,
        r#"{"rollout":"r","at":30,"signals":{"errors":{"baseline":null,"canary":{"le":[1,"+Inf"],"counts":[1,2],"total":3}}}}"#,
    ];
    let input = format!("{}\n\n{}\n{}\n", line("r", 15, 1), bad.join("\n"), line("r", 30, 1));
    let (lines, errors) = run(false, &input);
    assert_eq!(lines.len(), 2);
    let clean = run(false, &format!("{}\n{}", line("r", 15, 1), line("r", 30, 1))).0;
    assert_eq!(lines, clean);
    insta::assert_snapshot!(errors);
}

#[test]
fn a_mark_of_the_byte_order_is_passed_over() {
    let (lines, errors) = run(false, &format!("\u{feff}{}\n", line("r", 15, 1)));
    assert_eq!((lines.len(), errors.as_str()), (1, ""));
}

#[test]
fn unknown_signals_and_bad_history_are_left_out() {
    let input = r#"{"rollout":"r","at":15,"signals":{"new":{"canary":[1]}},"history":[{"at":0,"signals":{"errors":{"baseline":{"events":2,"total":1}}}}]}"#;
    let (lines, errors) = run(false, input);
    assert_eq!(lines.len(), 1);
    insta::assert_snapshot!(errors);
}

#[test]
fn a_history_of_the_wrong_version_is_told() {
    let history = |arms: &str| {
        format!(r#"{{"rollout":"r","at":15,"history":[{{"at":0,"signals":{{"errors":{{{arms}}}}}}}]}}"#)
    };
    let (baseline, canary) = (r#""baseline":{"events":1,"total":9}"#, r#""canary":{"events":1,"total":9}"#);
    assert_eq!(run(false, &history(baseline)).1, "");
    assert!(run(false, &history(canary)).1.starts_with("line 1: the history has only a canary"));
    let both = format!("{baseline},{canary}");
    assert_eq!(
        run(false, &history(&both)).1,
        "line 1: the history has a canary; only its baseline is used\n"
    );
}

#[test]
fn where_every_line_is_refused_that_is_no_success() {
    let rules = rules();
    let judged = |input: &str| {
        judge(&rules, Output::default(), BufReader::new(input.as_bytes()), Vec::new(), Vec::new())
    };
    assert!(judged("").unwrap());
    assert!(!judged("nonsense\n").unwrap());
    assert!(judged(&format!("nonsense\n{}", line("r", 15, 1))).unwrap());
}

/// What stands in the guide is what the command prints.
#[test]
fn the_guide_shows_what_is_printed() {
    let guide = include_str!("../../../rules/README.md");
    let between = |start: &str, end: &str| guide.split_once(start).unwrap().1.split_once(end).unwrap().0;
    let policy = between("with this `errors.yaml`:\n\n```yaml\n", "```");
    let policy = crate::policy::read("errors.yaml", policy).policy.unwrap();
    let (before, after) = between(">   echo '", "'\n").split_once("'$at'").unwrap();
    let looks: Vec<String> = (1..=60).map(|look| format!("{before}{}{after}", 15 * look)).collect();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let wanted = Output { only_final: true, explain: false };
    judge(&policy, wanted, BufReader::new(looks.join("\n").as_bytes()), &mut output, &mut errors).unwrap();
    assert_eq!(String::from_utf8(errors).unwrap(), "");
    let shown = between("uguisu judge errors.yaml --final\n", "```");
    assert_eq!(String::from_utf8(output).unwrap(), shown);
}
