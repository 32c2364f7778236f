use proptest::prelude::*;

use super::*;
use crate::policy::selector::SeriesSelector;

const SCRAPED: Time = Time(1_700_000_000_123);

fn all(body: &str) -> Result<Vec<Sample>, ExpositionError> {
    read(body, Format::Text, SCRAPED, |_, _| true)
}

/// The only sample of a body that is one line.
fn one(line: &str) -> Sample {
    let mut samples = all(&format!("{line}\n")).unwrap();
    assert_eq!(samples.len(), 1, "{line}");
    samples.remove(0)
}

fn problem(body: &str) -> String {
    all(body).unwrap_err().to_string()
}

#[test]
fn label_values_arrive_as_the_app_meant_them() {
    for (written, meant) in [
        (r"/users/{id}", "/users/{id}"),
        (r"/a?b=c", "/a?b=c"),
        (r"x,y", "x,y"),
        (r#"q\"q\\n\n"#, "q\"q\\n\n"),
        (r#"\"x\""#, "\"x\""),
        (r"\d", r"\d"),
        (" spaces\tand tabs ", " spaces\tand tabs "),
        ("größe, 漢字 = 🙂", "größe, 漢字 = 🙂"),
        ("\u{F0000}\u{F002C}\u{F00FF}\u{F0100}\u{02D0}", "\u{F0000}\u{F002C}\u{F00FF}\u{F0100}\u{02D0}"),
        ("nul\0", "nul\0"),
    ] {
        let sample = one(&format!("m{{a=\"{written}\",b=\"z\"}} 1"));
        assert_eq!(sample.label("a"), Some(meant), "{written}");
        assert_eq!(sample.label("b"), Some("z"), "{written}");
    }
}

#[test]
fn series_that_differ_in_a_comma_stay_two() {
    let samples = all("h{a=\"x,y\"} 1\nh{a=\"x,z\"} 2\n").unwrap();
    assert_eq!(samples.iter().map(|s| s.label("a")).collect::<Vec<_>>(), [Some("x,y"), Some("x,z")]);
}

#[test]
fn names_of_all_kinds_arrive() {
    for (line, name) in [
        ("job:rate:sum5m 1", "job:rate:sum5m"),
        ("m{} 1", "m"),
        ("m {a=\"1\"} 1", "m"),
        ("m { a = \"1\" , } 1", "m"),
        ("\t m\t1 ", "m"),
        (r#"{"http.requests","service.name"="x"} 1"#, "http.requests"),
        (r#"{a="1","größe \"x\""} 1"#, "größe \"x\""),
        ("m 1\r", "m"),
    ] {
        let sample = one(line);
        assert_eq!((sample.name.as_str(), sample.value.to_bits()), (name, 1_f64.to_bits()), "{line}");
    }
    assert_eq!(one(r#"{"http.requests","service.name"="x"} 3"#).label("service.name"), Some("x"));
    assert_eq!(one("m{a=\"\"} 1").labels, []);
}

#[test]
fn values_and_times_arrive() {
    for (text, value) in [("1e3", 1e3), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY), ("-0.5", -0.5)]
    {
        assert_eq!(one(&format!("m {text}")).value.to_bits(), f64::to_bits(value), "{text}");
    }
    assert!(one("m NaN").value.is_nan());
    assert_eq!(one("m 1").at, SCRAPED);
    assert_eq!(one("m 1 1543182234000").at, Time(1_543_182_234_000));
    assert_eq!(one("m{a=\"b\"} 1 -5").at, Time(-5));
    let open = |text: &str| read(text, Format::OpenMetrics, SCRAPED, |_, _| true).unwrap()[0].at;
    assert_eq!(open("m 1 1543182234\n# EOF\n"), Time(1_543_182_234_000));
    assert_eq!(open("m 1 1543182234.125\n# EOF"), Time(1_543_182_234_125));
}

#[test]
fn exemplars_types_units_and_comments_are_passed_over() {
    let body = "# TYPE foo counter\n# UNIT foo seconds\n# HELP foo bar {\" \\\n#\nfoo_total{code=\"500\"} 3 1.5 # \
                {trace_id=\"a } b\"} 0.67 1.2\nfoo_created 12\n# EOF\n";
    let samples = read(body, Format::OpenMetrics, SCRAPED, |name, _| name == "foo_total").unwrap();
    assert_eq!(samples.len(), 1);
    assert_eq!((samples[0].value.to_bits(), samples[0].at), (3_f64.to_bits(), Time(1500)));
}

#[test]
fn only_what_a_selector_wants_is_kept() {
    let errors = SeriesSelector::parse(r#"http_requests_total{code=~"5..",route!="/a,{b}"}"#).unwrap();
    let body = "http_requests_total{code=\"500\",route=\"/x\"} 1\nhttp_requests_total{code=\"200\"} 2\n\
                http_requests_total{code=\"503\"} 3\nhttp_requests_total{code=\"500\",route=\"/a,{b}\"} 4\nother 5\n";
    let kept = read(body, Format::Text, SCRAPED, |name, label| errors.matches(name, label)).unwrap();
    assert_eq!(kept.iter().map(|s| s.value.to_string()).collect::<Vec<_>>(), ["1", "3"]);
}

#[test]
fn a_wrong_line_refuses_the_whole_body_and_is_named() {
    for (line, what) in [
        ("<html>", "HTML"),
        ("9a 1", "digit"),
        ("métrique 1", "must be followed"),
        ("m", "must be followed"),
        ("m ", "must be followed"),
        ("m{a=\"b\"}", "not a number"),
        ("m{a=\"b\" 1", "do not end"),
        ("m{a=\"b} 1", "does not end"),
        ("m{a=b} 1", "double quotes"),
        ("m{a} 1", "followed by `=`"),
        ("m{\"x\"} 1", "followed by `=`"),
        ("m{a=\"1\",a=\"2\"} 1", "twice"),
        ("m{9a=\"1\"} 1", "digit"),
        ("{a=\"1\"} 1", "names no metric"),
        ("m 1,5", "not a number"),
        ("m 12abc", "not a number"),
        ("m 0x1p3", "not a number"),
        ("m 1_000", "not a number"),
        ("m 1 2 3", "more than"),
        ("m 1 soon", "not a time"),
        ("m 1 NaN", "not a time"),
        ("m 1 1.5", "whole number"),
        ("Internal Server Error", "not a number"),
        ("{\"error\":\"no\"}", "do not end"),
    ] {
        let message = problem(&format!("good 1\n{line}\n"));
        assert!(message.starts_with("line 2: ") && message.contains(what), "{line}: {message}");
        // Whether it is wanted or not.
        let body = format!("good 1\n{line}\n");
        assert_eq!(read(&body, Format::Text, SCRAPED, |_, _| false).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_body_that_is_cut_empty_or_goes_on_is_refused() {
    assert_eq!(all(""), Err(ExpositionError::Empty));
    assert_eq!(all("a 1\nb 2"), Err(ExpositionError::CutShort { lines: 2 }));
    let open = |text| read(text, Format::OpenMetrics, SCRAPED, |_, _| true);
    assert_eq!(open("a 1\nb 2\n"), Err(ExpositionError::CutShort { lines: 2 }));
    assert!(open("# EOF\na 1\n").unwrap_err().to_string().contains("more after"));
    assert!(open("a 1\n# EOF\n").is_ok());
    assert!(all("# EOF\na 1\n").is_ok(), "an ordinary comment in the text format");
}

#[test]
fn a_gigantic_line_is_refused() {
    let long = "x".repeat(70_000);
    assert!(problem(&format!("m{{a=\"{long}\"}} 1\n")).contains("64 KiB"));
    let many: String = (0..200).flat_map(|i| [format!("l{i}"), "=\"x\",".to_owned()]).collect();
    assert!(problem(&format!("m{{{many}}} 1\n")).contains("128 labels"));
}

#[test]
fn content_types() {
    for (header, format) in [
        (None, Format::Text),
        (Some("text/plain; version=0.0.4; charset=utf-8"), Format::Text),
        (Some("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics),
        (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
    ] {
        assert_eq!(Format::of(header), Ok(format), "{header:?}");
    }
    for header in ["text/html; charset=utf-8", "application/json", "application/vnd.google.protobuf"] {
        let message = Format::of(Some(header)).unwrap_err().to_string();
        assert!(message.contains(header.split(';').next().unwrap()), "{message}");
    }
}

/// A series in the subset that `prometheus-parse` reads rightly on its own.
fn plain_series() -> impl Strategy<Value = (String, f64, Option<i64>)> {
    let label = ("[a-z]{1,5}[0-9]", "[a-zA-Z0-9_./-]{1,8}");
    (
        "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
        proptest::collection::btree_map(label.0, label.1, 0..4),
        any::<f64>().prop_filter("NaN is not equal to itself", |v| !v.is_nan()),
        proptest::option::of(0_i64..4_000_000_000_000),
    )
        .prop_map(|(name, labels, value, time)| {
            let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
            let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let time_text = time.map_or(String::new(), |t| format!(" {t}"));
            (format!("{name}{braces} {value:?}{time_text}\n"), value, time)
        })
}

proptest! {
    #[test]
    fn plain_lines_are_read_as_prometheus_parse_reads_them(
        series in proptest::collection::vec(plain_series(), 1..8)
    ) {
        let body: String = series.iter().map(|(line, ..)| line.as_str()).collect();
        let lines = body.lines().map(|line| Ok(line.to_owned()));
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let theirs: Vec<_> = prometheus_parse::Scrape::parse_at(lines, at.into())
            .unwrap().samples.iter().map(revealed).collect();
        prop_assert_eq!(all(&body).unwrap(), theirs);
    }

    #[test]
    fn any_label_value_survives(value in any::<String>(), name in "[a-z:.é ]{1,9}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let sample = one(&format!("{{\"{name}\",l=\"{escaped}\"}} 7"));
        prop_assert_eq!(&sample.name, &name);
        prop_assert_eq!(sample.label("l").unwrap_or_default(), value);
    }

    #[test]
    fn arbitrary_text_never_panics(body in any::<String>(), open in any::<bool>()) {
        let format = if open { Format::OpenMetrics } else { Format::Text };
        let _ = read(&body, format, SCRAPED, |_, _| true);
    }

    #[test]
    fn text_that_is_nearly_an_exposition_never_panics(
        lines in proptest::collection::vec("[a-c{}\",=\\\\ #<0-9.\t\u{F0000}\u{2D0}-]{0,24}", 0..6)
    ) {
        let body = lines.join("\n") + "\n";
        if let Ok(samples) = all(&body) {
            let written = lines.iter().map(|l| l.trim()).filter(|l| !l.is_empty() && !l.starts_with('#'));
            prop_assert_eq!(samples.len(), written.count(), "nothing is dropped in silence");
        }
    }
}
