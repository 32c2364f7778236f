//! What people write by mistake, and what they are told.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

mod kayenta;

const GOOD: &str = r#"policy: checkout
for: { apps: ["checkout-*"], pools: [prod] }
mode: act
strategy:
  canary:
    steps: [5%, 25%, 50%]
    bake: { at_least: 5m, at_most: 30m }
    approve: [50%]
budget: { false_rollback: 1% }
signals:
  - use: http-errors
    margin: +20%
    critical: true
  - use: http-latency
    over: 300ms
  - name: queue-depth
    gauge: avg(queue_depth{app="{{ app }}", version="{{ version }}"})
    worse: up
    margin: +25%
health:
  - http: /healthz
    every: 5s
    fail_after: 3
on: { inconclusive: pause, no_data: hold 5m then rollback, source_down: hold 15m then pause }
notify: [slack-payments]
"#;

/// The good policy's strategy.
const CANARY: &str =
    "  canary:\n    steps: [5%, 25%, 50%]\n    bake: { at_least: 5m, at_most: 30m }\n    approve: [50%]\n";

/// Each mistake: what of the good policy is replaced, by what.
const MISTAKES: &[(&str, &str)] = &[
    // The shape of the file.
    ("steps:", "stepz:"),
    ("signals:", "colour: blue\nsignals:"),
    ("policy: checkout\n", ""),
    ("steps: [5%, 25%, 50%]", "capacity: surge"),
    ("canary:", "canry:"),
    ("    approve: [50%]", "    approve: [50%]\n  blue_green: {}"),
    ("mode: act", "mode: [act]"),
    ("[5%, 25%, 50%]", "5%"),
    ("{ false_rollback: 1% }", "1%"),
    ("mode: act", "mode: act\nmode: observe"),
    ("margin: +20%", "margin:"),
    ("policy: checkout", "policy: check: out"),
    ("mode: act", "mode act"),
    ("    steps:", "\tsteps:"),
    ("notify:", "---\nnotify:"),
    ("mode: act", "mode: *nothing"),
    ("[\"checkout-*\"]", "[*]"),
    ("[\"checkout-*\"]", "[\"checkout-*]"),
    ("[\"checkout-*\"]", "{{ apps }}"),
    ("avg(queue_depth{app=\"{{ app }}\", version=\"{{ version }}\"})", "\"queue{app=\"x\"}\""),
    ("avg(queue_depth{app=\"{{ app }}\", version=\"{{ version }}\"})", "{{ app }}"),
    ("[5%, 25%, 50%]", "[5%, 25%, 50%"),
    ("at_most: 30m }", "at_most: 30m }}"),
    ("margin: +20%", "margin: %20"),
    ("policy: checkout", "policy: @checkout"),
    ("policy: checkout", "policy:checkout"),
    ("policy: checkout", "- policy: checkout"),
    ("use: http-errors", "use:http-errors"),
    ("    margin: +20%", "   margin: +20%"),
    ("    margin: +20%", "     margin: +20%"),
    ("    margin: +20%", "\tmargin: +20%"),
    ("  - use: http-latency", " - use: http-latency"),
    ("{ at_least: 5m, at_most: 30m }", "15m"),
    // Single values.
    ("[5%, 25%, 50%]", "[5%, 25%, 50]"),
    ("[5%, 25%, 50%]", "[5 %, 0,5%, 120%]"),
    ("margin: +20%", "margin: -20%"),
    ("at_least: 5m", "at_least: 5"),
    ("at_least: 5m, at_most: 30m", "at_least: 5 minutes, at_most: 1m"),
    ("over: 300ms", "over: 0.3"),
    ("critical: true", "critical: yes"),
    ("fail_after: 3", "fail_after: 0"),
    ("fail_after: 3", "port: 70000"),
    ("critical: true", "weight: 0"),
    ("mode: act", "mode: active"),
    ("use: http-errors", "use: http_error"),
    ("http: /healthz", "http: http://localhost/healthz"),
    ("policy: checkout", "policy: check out"),
    ("inconclusive: pause", "fail: promote"),
    ("hold 5m then rollback", "rollback"),
    ("hold 5m then rollback", "hold 5m"),
    ("hold 5m then rollback", "hold 5m then promote"),
    ("hold 5m then rollback", "hold 20s then rollback"),
    // What values mean together.
    ("[5%, 25%, 50%]", "[5%, 50%, 25%]"),
    ("[5%, 25%, 50%]", "[0%, 5%, 5%, 50%, 100%]"),
    ("[5%, 25%, 50%]", "[]"),
    ("approve: [50%]", "approve: [20%]"),
    ("at_least: 5m", "at_least: 1h"),
    ("{ false_rollback: 1% }", "{ false_rollback: 50%, false_promotion: 0% }"),
    ("for: { apps: [\"checkout-*\"], pools: [prod] }", "for: {}"),
    ("every: 5s", "every: 1s\n    timeout: 3s"),
    ("use: http-latency", "use: http-errors"),
    ("    over: 300ms", "    worse: up\n    limit: 5%"),
    ("use: http-errors", "use: http-errors\n    rate: restarts_total"),
    ("use: http-errors", "name: errors"),
    ("use: http-errors", "name: errors\n    ratio: { events: errors_total }"),
    ("use: http-errors", "name: errors\n    ratio: { events: requests_total, total: requests_total }"),
    ("margin: +20%", "margin: +20%\n    prove_within: +10%"),
    ("margin: +20%", "floor: 5%\n    limit: 1%"),
    ("margin: +20%", "floor: 2/h"),
    ("use: http-errors", "name: restarts\n    rate: restarts_total\n    floor: 1%"),
    ("use: http-errors", "name: restarts\n    rate: restarts_total\n    floor: two/day"),
    // Queries.
    ("margin: +20%", "ratio: { events: 'http_requests_total{code=~\"5..\"' }"),
    ("margin: +20%", "ratio: { events: 'http_requests_total{code=~\"5(\"}' }"),
    ("margin: +20%", "ratio: { events: rate(http_requests_total[5m]) }"),
    ("margin: +20%", "ratio: { events: \"http_requests_total{code=~\\\"5..\\\",version=\\\"7\\\"}\" }"),
    ("over: 300ms", "latency: http_request_duration_seconds_bucket{le=\"0.3\"}"),
    ("{{ version }}", "{{ verzion }}"),
    (", version=\"{{ version }}\"", ""),
    ("avg(queue_depth", "avg((queue_depth"),
    // Doubtful, but possible.
    ("at_least: 5m, at_most: 30m", "at_least: 30s"),
    ("{ false_rollback: 1% }", "{ false_rollback: 0.001%, false_promotion: 20% }"),
    ("inconclusive: pause", "inconclusive: promote"),
    ("app=\"{{ app }}\", ", ""),
    ("margin: +20%", "margin: 0%"),
    ("margin: +20%", "margin: +2000%\n    prove_within: +3000%"),
    ("margin: +20%", "ratio: { events: http_errors }"),
    ("health:", "alerts: [{ do: pause }, { match: { severity: page }, do: rollback }]\nhealth:"),
    // What Tsuru cannot do, and what one strategy takes and another does not.
    ("    approve: [50%]", "    setHeaderRoute: { match: [] }"),
    ("mode: act", "mirror: 10%"),
    ("steps:", "weights:"),
    ("mode: act", "keep: 5"),
    (CANARY, "  blue_green: { steps: [50%] }\n"),
    (CANARY, "  blue_green: { approve: [50%], bake: { at_least: 1s } }\n"),
    (CANARY, "  rolling: { batch: 0% }\n"),
    (CANARY, "  rolling: { batch: 100%, native: true, bake: { at_least: 2h, at_most: 1h } }\n"),
    (CANARY, "  multi_version: {}\n"),
    (CANARY, "  multi_version: { share: 100%, for: 30s, then: pause }\n"),
    (CANARY, "  bluegreen: {}\n"),
    ("mode: act", "workers: [web, consumer, consumer]"),
    ("mode: act", "autoscale: ignore"),
    ("mode: act", "autoscale: swap\nkeep_for: 1h"),
    (CANARY, "  blue_green: {}\nautoscale: swap\n"),
    (
        "use: http-errors",
        "name: queue\n    gauge: 'q{app=\"{{ app }}\", version=\"{{ version }}\"}'\n    floor: 5%",
    ),
    (
        "use: http-errors",
        "name: free\n    gauge: 'f{app=\"{{ app }}\", version=\"{{ version }}\"}'\n    worse: down\n    floor: 50",
    ),
    ("use: http-latency", "use: http-latency\n    floor: 50"),
    ("mode: act", "smoke: [{ http: healthz, status: 99 }]"),
    ("mode: act", "watch: 90d\nkeep_for: -1h"),
];

#[test]
fn a_good_policy_is_read_without_a_word() {
    let reading = read("checkout.yaml", GOOD);
    assert_eq!(reading.findings.to_string(), "");
    insta::assert_debug_snapshot!(reading.policy);
}

#[test]
fn mistakes_are_explained() {
    let mut told = String::new();
    for (good, mistake) in MISTAKES {
        assert!(GOOD.contains(good), "{good}");
        let reading = read("checkout.yaml", &GOOD.replacen(good, mistake, 1));
        assert!(!reading.findings.is_empty(), "{mistake}");
        assert_eq!(reading.policy.is_none(), reading.findings.has_errors(), "{mistake}");
        writeln!(told, "{}", reading.findings.render(false)).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn all_faults_of_values_are_told_at_once() {
    let text = GOOD
        .replace("5%, 25%, 50%", "5, 25%, 10%")
        .replace("policy: checkout", "policy: check out")
        .replace("use: http-latency", "use: latency\n    weight: big")
        .replace("margin: +25%", "margin: a lot")
        .replace("fail_after: 3", "fail_after: three");
    let lines: Vec<usize> = read("x", &text).findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [1, 6, 6, 14, 15, 20, 24]);
}

#[test]
fn all_keys_that_there_are_not_are_told_at_once() {
    let text = GOOD
        .replace("for: { apps:", "for: { app:")
        .replace("mode: act\n", "mirror:\n  share: 5%\n")
        .replace("at_most: 30m", "at_mos: [30m, '}']")
        .replace("critical: true", "critcal: true")
        .replace("notify:", "notfy:");
    let told: Vec<String> =
        read("x", &text).findings.iter().map(|f| format!("{}: {}", f.line, f.message)).collect();
    assert_eq!(
        told,
        [
            "2: there is no key `app` here",
            "3: there is no key `mirror` here",
            "8: there is no key `at_mos` here",
            "14: there is no key `critcal` here",
            "26: there is no key `notfy` here",
        ]
    );
}

#[test]
fn what_is_told_to_be_written_can_be_read() {
    let head =
        "policy: p\nfor: { apps: [a] }\nstrategy: { canary: { steps: [5%] } }\nsignals: [{ use: memory }]\n";
    let told = |text: &str| {
        read("x", text).findings.iter().map(|f| f.help.clone().unwrap_or_default()).collect::<String>()
    };
    for (wrong, line) in [
        ("for: shop", "for:"),
        ("for: { apps: shop }", "apps:"),
        ("for: { pools: prod }", "pools:"),
        ("for: { teams: payments }", "teams:"),
        ("strategy: { canary: 5% }", "canary:"),
        ("strategy: { canary: { steps: 5% } }", "steps:"),
        ("strategy: { canary: { steps: [5%], bake: 15m } }", "bake:"),
        ("strategy: { blue_green: { bake: 15m } }", "bake:"),
        ("signals: http-errors", "signals:"),
        ("signals:\n  http-errors: {}", "signals:"),
        ("signals:\n  - http-errors", "signals:"),
        ("signals: [{ use: http-errors, ratio: errors }]", "ratio:"),
        ("health: /healthz", "health:"),
        ("health:\n  http: /healthz", "health:"),
        ("smoke: [/healthz]", "smoke:"),
        ("alerts: rollback", "alerts:"),
        ("alerts: [{ match: page, do: pause }]", "match:"),
        ("on: rollback", "on:"),
        ("budget: 1%", "budget:"),
        ("workers: consumer", "workers:"),
        ("notify: oncall", "notify:"),
        ("kayenta: 95", "kayenta:"),
    ] {
        let key = wrong.split(':').next().unwrap();
        let mut text: String = head
            .lines()
            .filter(|line| !line.starts_with(key))
            .fold(String::new(), |text, line| text + line + "\n");
        text += wrong;
        let help = told(&text);
        let example =
            help.split('`').find(|part| part.starts_with(line)).unwrap_or_else(|| panic!("{wrong}: {help}"));
        let right = match line {
            "apps:" | "pools:" | "teams:" => format!("for: {{ {example} }}"),
            "canary:" => format!("strategy: {{ {example} }}"),
            "steps:" => format!("strategy: {{ canary: {{ {example} }} }}"),
            "bake:" => format!("strategy: {{ blue_green: {{ {example} }} }}"),
            "ratio:" => format!("signals: [{{ name: e, {example} }}]"),
            "match:" => format!("alerts: [{{ {example}, do: pause }}]"),
            "kayenta:" => format!("judge: kayenta\n{example}"),
            _ => example.to_owned(),
        };
        let text = text.replace(wrong, &right);
        let findings = read("x", &text).findings;
        assert!(!findings.has_errors(), "{text}\n{findings}");
    }
}

#[test]
fn the_policies_of_the_guide_are_good() {
    let guide = include_str!("../../../rules/README.md");
    let blocks: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        assert_eq!(read("README.md", block).findings.to_string(), "");
    }
}

#[test]
fn a_file_without_a_policy_is_told_so() {
    for text in ["", "\n", "# nothing\n"] {
        let findings = read("x", text).findings;
        assert!(findings.to_string().contains("the file holds no policy"), "{text:?}: {findings}");
    }
    for text in ["hello", "- policy: x", "5", "true", "---\n", "null"] {
        let findings = read("x", text).findings;
        assert!(findings.to_string().contains("a mapping, as in"), "{text:?}: {findings}");
    }
}

#[test]
fn a_strategy_that_is_a_word_is_told_where_it_stands() {
    let head = "policy: p\nfor: { apps: [a] }\n";
    for (strategy, place, help) in [
        ("strategy: blue_green # all at once\nwatch: 1h\n", "3:11", "`strategy: { blue_green: {} }`"),
        ("strategy: canary\n", "3:11", "canary: { steps: [5%, 25%, 50%] }"),
    ] {
        let findings = read("x", &format!("{head}{strategy}")).findings;
        assert!(findings.to_string().starts_with(&format!("x:{place}: ")), "{findings}");
        assert!(
            findings.render(false).replace("\n        ", " ").contains(help),
            "{}",
            findings.render(false)
        );
    }
    // What is of the right shape is not blamed.
    let findings = read("x", &format!("{head}strategy: {{ blue_green: }}\nbudget: 5%\n")).findings;
    assert!(!findings.to_string().contains("is a key under"), "{findings}");
}

#[test]
fn steps_of_other_systems_are_told_what_there_is_instead() {
    for steps in [
        "[{ setWeight: 5 }, { pause: {} }]",
        "\n      - { header: x-canary, share: 5% }",
        "\n      - setWeight: 5",
    ] {
        let text = format!("policy: p\nfor: {{ apps: [a] }}\nstrategy:\n  canary:\n    steps: {steps}\n");
        let findings = read("x", &text).findings.render(false);
        assert!(findings.contains("a step is a share alone") && findings.contains("cookie"), "{findings}");
    }
}

#[test]
fn a_byte_order_mark_and_foreign_newlines_do_not_shift_the_caret() {
    let text = format!("\u{feff}{}", GOOD.replace("margin: +20%", "margin: ü20").replace('\n', "\r\n"));
    assert!(read("x", &text).findings.to_string().starts_with("x:12:13: `ü20` is not a percentage"));
}

#[test]
fn hostile_files_are_bounded() {
    let bomb: String = std::iter::once("a: &a0 [x]\n".to_owned())
        .chain((1..40).map(|n| format!("b{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(9))))
        .collect();
    let hostile = [
        bomb,
        format!("policy: {}", "[".repeat(100_000)),
        format!("policy: {}", "{a: ".repeat(100_000)),
        "- ".repeat(100_000),
        format!("policy: \"{}\"", "x".repeat(10_000_000)),
        format!("policy: {}", "x".repeat(200_000)),
        GOOD.replace("[5%, 25%, 50%]", &format!("[{}5%]", "5%, ".repeat(30_000))),
        GOOD.replace("[5%, 25%, 50%]", &format!("[{}5%]", "5%, ".repeat(15_000))),
        GOOD.replace("checkout-*", &"*".repeat(100_000)),
        GOOD.replace("avg(", &"(".repeat(100_000)),
        "a: 1\n".repeat(50_000),
        "? ".repeat(50_000),
        "<<: ".repeat(50_000),
    ];
    for text in hostile {
        let reading = read("x", &text);
        assert!(reading.policy.is_none() || text.contains("**"), "{}", &text[..60]);
        assert!(reading.findings.iter().count() < 100, "{}", &text[..60]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        let reading = read("x", &text);
        prop_assert_eq!(reading.policy.is_none(), reading.findings.has_errors());
        prop_assert_eq!(reading.findings.render(true).is_empty(), reading.findings.is_empty());
    }

    #[test]
    fn any_damage_to_a_policy_is_answered(
        at in 0..GOOD.len(),
        removed in 0..30_usize,
        added in prop_oneof![".{0,12}", "[\\[\\]{}:,&*!|>'\"%@`#\\n\\t -]{0,6}"],
    ) {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + removed).min(GOOD.len()), &added);
        let reading = read("x", &text);
        prop_assert_eq!(reading.policy.is_none(), reading.findings.has_errors());
        for finding in reading.findings.iter() {
            prop_assert!(finding.line >= 1 && finding.column >= 1 && !finding.message.is_empty());
        }
        prop_assert_eq!(reading.findings.render(false).is_empty(), reading.findings.is_empty());
    }
}
