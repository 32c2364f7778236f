//! Faults as somebody writes them: TOML or JSON, where a slip is told with its line and what was probably meant.

use super::Faults;
use crate::policy::nearest;

/// How a text of faults is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the example `deploy/faults.toml`.
    Toml,
    /// As `GET /emulator/faults` shows them.
    Json,
}

impl Format {
    /// By the end of a file's name: JSON where it is `.json`, else TOML.
    #[must_use]
    pub fn of(file: &std::path::Path) -> Self {
        let json = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Toml }
    }
}

impl Faults {
    /// Reads faults; whatever is left out is off.
    ///
    /// # Errors
    /// What is wrong with the text, in words and with its line: a key that is none with the one that it resembles, a value
    /// that does not fit.
    pub fn parse(text: &str, format: Format) -> Result<Self, String> {
        match format {
            // Serde would take a list for a struct as well.
            Format::Json if !text.trim_start().starts_with('{') => {
                Err("line 1: it is no object of faults".to_owned())
            }
            Format::Json => serde_json::from_str(text).map_err(|error| {
                let message = error.to_string();
                // The place is told first here.
                let message = message.split(" at line ").next().unwrap_or_default();
                explain(text, error.line(), message)
            }),
            Format::Toml => toml::from_str(text).map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                let before = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
                explain(text, before + 1, error.message())
            }),
        }
    }

    /// The names of all faults.
    #[must_use]
    pub fn names() -> Vec<String> {
        let all = serde_json::to_value(Self::default()).unwrap_or_default();
        all.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    }

    /// The names of those that are on.
    #[must_use]
    pub fn on(&self) -> Vec<String> {
        let as_fields = |faults: &Self| serde_json::to_value(faults).unwrap_or_default();
        let (mine, none) = (as_fields(self), as_fields(&Self::default()));
        let fields = mine.as_object().into_iter().flatten();
        fields
            .filter(|(name, value)| none.get(name.as_str()) != Some(*value))
            .map(|(n, _)| n.clone())
            .collect()
    }
}

/// What is wrong on a line, in the reader's words where serde's are about fields and variants.
fn explain(text: &str, line: usize, message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let what = if message.starts_with("unknown field") {
        match known.first() {
            Some(&"chance") => "no part of a switch",
            Some(&"lock_wait") => "no timing",
            _ => "no fault",
        }
    } else if message.starts_with("unknown variant") {
        "nothing that somebody does"
    } else {
        let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
        let message = message.replace('\n', ", ");
        return format!("line {line}, `{written}`: {message}");
    };
    let hint = match nearest(wrong, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    format!("line {line}: `{wrong}` is {what}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tsuru::Timings;
    use crate::demo::tsuru::faults::{Foreign, Switch};
    use crate::words::Span;

    #[track_caller]
    fn wrong(text: &str, says: &str) {
        let error = Faults::parse(text, Format::Toml).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }

    #[test]
    fn faults_are_read_from_toml_and_from_json() {
        let toml = "lags = ['0s', '3s']\nforeign = '30s'\nforeign_acts = ['env', 'new_version']\nrouter_prefixes = true\n\
                    [lost_answer]\nchance = 0.1\n[routable_conflict]\ntimes = 1\n";
        let faults = Faults::parse(toml, Format::Toml).unwrap();
        assert_eq!(faults.lags, [Span::ZERO, Span::seconds(3)]);
        assert_eq!((faults.lost_answer, faults.routable_conflict), (Switch::chance(0.1), Switch::next(1)));
        assert_eq!(faults.foreign_acts, [Foreign::Env, Foreign::NewVersion]);
        let json = serde_json::to_string(&faults).unwrap();
        assert_eq!(Faults::parse(&json, Format::Json), Ok(faults.clone()));
        assert_eq!(faults.on().len(), 6, "{:?}", faults.on());
        assert_eq!(Faults::parse("", Format::Toml), Ok(Faults::default()));
    }

    #[test]
    fn a_slip_is_told_with_its_line_and_what_was_meant() {
        wrong("lag = ['1s']", "line 1: `lag` is no fault; did you mean `lags`?");
        wrong(
            "# ü\nsplit = {}\nlost_anwser = { times = 1 }",
            "line 3: `lost_anwser` is no fault; did you mean `lost_answer`?",
        );
        wrong("weather = 'bad'", "line 1: `weather` is no fault; there are unauthorized, ");
        wrong("\ndies = { time = 1 }", "line 2: `time` is no part of a switch; did you mean `times`?");
        wrong("[dies]\ntime = 1", "line 2: `time` is no part of a switch; did you mean `times`?");
        wrong("[timings]\nlingers = '1s'", "line 2: `lingers` is no timing; did you mean `linger`?");
        wrong(
            "foreign_acts = ['env', 'reroute']",
            "line 1: `reroute` is nothing that somebody does; did you mean `route`?",
        );
        wrong(
            "dies = { chance = 1.5 }",
            "line 1, `dies = { chance = 1.5 }`: a chance goes from 0 to 1, and 1.5 does not",
        );
        wrong("dies = { chance = nan }", "a chance goes from 0 to 1, and NaN does not");
        wrong("split = {}\nslow_for = 'soon'", "line 2, `slow_for = 'soon'`: ");
        wrong("lags = 3", "line 1, `lags = 3`: ");
        wrong("split = {}\nlags = [", "line 2, `lags = [`: ");
        wrong("split = {}\nsplit = {}", "line 2, `split = {}`: ");
    }

    #[test]
    fn a_slip_in_json_is_told_as_well() {
        for (text, says) in [
            ("{\"lag\": []}", "line 1: `lag` is no fault; did you mean `lags`?"),
            (
                "{\n \"dies\":\n  {\"time\": 1}}",
                "line 3: `time` is no part of a switch; did you mean `times`?",
            ),
            (
                "{\"dies\": {\"chance\": 2}}",
                "line 1, `{\"dies\": {\"chance\": 2}}`: a chance goes from 0 to 1",
            ),
            ("[]", "line 1: it is no object"),
            ("", "line 1: it is no object"),
            ("{\n\"lags\": [", "line 2, `\"lags\": [`: EOF while parsing"),
        ] {
            let error = Faults::parse(text, Format::Json).unwrap_err();
            assert!(error.starts_with(says), "{text}: {error}");
            assert!(!error.contains(" at line "), "the place is told once: {error}");
        }
    }

    #[test]
    fn timings_that_are_left_out_are_as_usual() {
        let faults = Faults::parse("[timings]\nlinger = '2m'\nready = ['1s', '9s']\n", Format::Toml).unwrap();
        let wanted = Timings {
            linger: Span::minutes(2),
            ready: (Span::seconds(1), Span::seconds(9)),
            ..Timings::default()
        };
        assert_eq!(faults.timings, Some(wanted));
    }

    #[test]
    fn the_example_is_good_and_tells_of_every_fault() {
        let example = include_str!("../../../../deploy/faults.toml");
        let faults = Faults::parse(example, Format::Toml).unwrap();
        assert_ne!(faults, Faults::default());
        let everything: String = example
            .lines()
            .map(|line| {
                let out = line.strip_prefix("# ");
                out.filter(|out| out.contains(" = ") || out.starts_with('[')).unwrap_or(line)
            })
            .fold(String::new(), |text, line| text + line + "\n");
        let everything = Faults::parse(&everything, Format::Toml).unwrap();
        assert_eq!(everything.timings, Some(Timings::default()), "the example shows the usual timings");
        let on = everything.on();
        let untold: Vec<String> = Faults::names().into_iter().filter(|name| !on.contains(name)).collect();
        assert!(untold.is_empty(), "the example does not tell of {untold:?}");
    }
}
