use proptest::prelude::*;

use super::*;

#[test]
fn a_query_is_filled_in_and_escaped() {
    let query =
        GaugeQuery::parse("avg(q{a=\"{{app}}\", v=~\"x{{ version }}\", r='{{ arm }}'}) * 1e3 # {").unwrap();
    assert_eq!(
        query.fill(&AppName("a\"} or {b=\"\\".to_owned()), Version(7), Arm::Canary),
        "avg(q{a=\"a\\\"} or {b=\\\"\\\\\", v=~\"x7\", r='canary'}) * 1e3 # {"
    );
    assert!(query.names_app());
    assert!(query.on_unit().is_none());
}

#[test]
fn on_a_units_own_page_only_the_fixed_matchers_count() {
    let query = GaugeQuery::parse("m{app=\"{{ app }}\",pool=\"p\",version=\"v{{ version }}\"}").unwrap();
    assert_eq!(query.on_unit().map(|s| s.to_string()).as_deref(), Some("m{pool=\"p\"}"));
}

#[test]
fn a_faulty_query_is_pointed_at() {
    for (text, place, message) in [
        ("m{v=\"{{ versoin }}\"}", "{{ versoin }}", "no `versoin`"),
        ("m{v=\"{{ version \"}", "{{", "never closed"),
        ("m{v={{ version }}}", "{{ version }}", "between quotes"),
        ("m", "m", "same for both"),
        ("m{app=\"{{ app }}\"}", "m{app=\"{{ app }}\"}", "same for both"),
        ("sum(m{v=\"{{ arm }}\"}", "(", "unclosed left parenthesis"),
        ("m{v=\"{{ arm }}\"}[5m]", "m{v=\"{{ arm }}\"}[5m]", "range"),
        ("\"{{ arm }}\"", "\"{{ arm }}\"", "a string"),
        ("summ(m{v=\"{{ arm }}\"})", "summ(m{v=\"{{ arm }}\"})", "not PromQL"),
        ("rate(m{v=\"{{ arm }}\"}[1e300])", "1e300", "too large"),
        ("m{v=\"{{ arm }}\"} offset 1e+25", "1e+25", "too large"),
        ("m{v=\"{{ arm }}\"} offset inf", "inf", "too large"),
        ("m{v=\"{{ arm }}\\é\"}", "\\é", "escape"),
    ] {
        let error = GaugeQuery::parse(text).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(&text[error.span.clone()], place, "{text}: {error}");
    }
    let deep = format!("{}m{{v=\"{{{{ arm }}}}\"}}{}", "(".repeat(100), ")".repeat(100));
    assert!(GaugeQuery::parse(&deep).is_err_and(|e| e.message.contains("deeply")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_answered(
        parts in proptest::collection::vec(prop_oneof![
            Just("m"), Just("{"), Just("}"), Just("("), Just(")"), Just("[5m]"), Just("["), Just("]"), Just("1e"),
            Just("-"), Just("9"), Just("0x"), Just("inf"), Just(" offset "), Just(" @ "), Just("\""), Just("\\"),
            Just("é"), Just("{{ arm }}"), Just("\"{{ arm }}\""), Just("a="), Just("=~"), Just("rate"), Just("sum"),
            Just(" by "), Just(","), Just("99999999999999999"), Just("y"), Just("e9"), Just("x"), Just(":"), Just("'"),
            Just(" or "), Just("{a=\"{{ version }}\"}"), Just("start()"), Just("7e18"), Just("#"), Just("\n"), Just("."),
        ], 0..14),
    ) {
        let text = parts.concat();
        match GaugeQuery::parse(&text) {
            Err(error) => prop_assert!(text.get(error.span).is_some()),
            Ok(query) => prop_assert!(GaugeQuery::parse(&text).is_ok() && !query.parts.is_empty()),
        }
    }
}
