use super::*;

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

#[test]
fn scratch() {
    let r = read("rules/checkout.yaml", GOOD);
    println!("{}\n{:#?}", r.findings.render(false), r.policy);
    for (a, b) in [
        ("steps:", "stepz:"),
        ("[5%, 25%, 50%]", "[5%, 25%, 50]"),
        ("[5%, 25%, 50%]", "[5%, 50%, 25%]"),
        ("[5%, 25%, 50%]", "5%"),
        ("[5%, 25%, 50%]", "[]"),
        ("at_least: 5m", "at_least: 1h"),
        ("margin: +20%", "margin: 20"),
        ("margin: +20%", "margin:"),
        ("critical: true", "critical: yes"),
        ("critical: true", "weight: 0"),
        ("critical: true", "ratio: {events: 'http_requests_total{code=~\"5..\"'}"),
        ("critical: true", "ratio: {events: \"http_requests_total{code=~\\\"5..\\\",version=\\\"1\\\"}\"}"),
        ("use: http-errors", "use: http_error"),
        ("{{ version }}", "{{ verzion }}"),
        ("hold 5m then rollback", "rollback"),
        ("mode: act", "mode: [act]"),
        ("mode: act", "mode: act\nmode: act"),
        ("canary:", "canry:"),
        ("fail_after: 3", "fail_after: 0"),
        ("policy: checkout\n", ""),
        ("policy: checkout\n", "policy: a: b\n"),
        ("notify", "---\nnotify"),
        ("signals:", "signals"),
        ("strategy:", "strategy: blue_green\nx:"),
    ] {
        println!("=== {b}\n{}", read("rules/checkout.yaml", &GOOD.replacen(a, b, 1)).findings.render(false));
    }
    println!("{}", read("e", "").findings);
    println!("{}", read("e", "# x\n").findings);
    println!("{}", read("e", "- a\n").findings);
    println!("{}", read("e", "hello").findings);
    println!("{}", read("e", "\tx: 1").findings);
}
