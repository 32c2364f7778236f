//! Faults as somebody writes them: TOML or JSON, where a slip is named and what was probably meant with it.

use serde_json::Value;

use super::{Faults, Switch};
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
    /// What is wrong with the text, in words: a key that is none with the one that it resembles, a value that does not fit.
    pub fn parse(text: &str, format: Format) -> Result<Self, String> {
        let value: Value = match format {
            Format::Json => serde_json::from_str(text).map_err(|e| e.to_string())?,
            Format::Toml => config::Config::builder()
                .add_source(config::File::from_str(text, config::FileFormat::Toml))
                .build()
                .and_then(config::Config::try_deserialize)
                .map_err(|e| e.to_string())?,
        };
        let Value::Object(fields) = &value else { return Err("it is no object of faults".to_owned()) };
        let known = Self::names();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for (name, value) in fields {
            known_key(name, &known).map_err(|hint| format!("`{name}` is no fault{hint}"))?;
            if let Some(switch) = value.as_object() {
                for key in switch.keys() {
                    known_key(key, &["chance", "times"])
                        .map_err(|hint| format!("`{name}` is a switch and has no `{key}`{hint}"))?;
                }
            }
            // Alone, so that what does not fit is told with its name.
            let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
            serde_json::from_value::<Self>(alone).map_err(|e| format!("`{name}`: {e}"))?;
        }
        let faults: Self = serde_json::from_value(value).map_err(|e| e.to_string())?;
        faults.check()?;
        Ok(faults)
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

    /// Says what can never be as it is written.
    fn check(&self) -> Result<(), String> {
        let fields = serde_json::to_value(self).unwrap_or_default();
        for (name, value) in fields.as_object().into_iter().flatten() {
            let Ok(Switch { chance, .. }) = serde_json::from_value(value.clone()) else { continue };
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!("`{name}`: a chance goes from 0 to 1, and {chance} does not"));
            }
        }
        Ok(())
    }
}

/// A key that is known; else what was probably meant.
fn known_key(key: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&key) {
        return Ok(());
    }
    Err(match nearest(key, known) {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => format!("; there are {}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tsuru::faults::Foreign;
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
    fn a_slip_is_named_with_what_was_meant() {
        wrong("lag = ['1s']", "`lag` is no fault; did you mean `lags`?");
        wrong("lost_anwser = { times = 1 }", "did you mean `lost_answer`?");
        wrong("weather = 'bad'", "`weather` is no fault; there are ");
        wrong("dies = { time = 1 }", "`dies` is a switch and has no `time`; did you mean `times`?");
        wrong("dies = { chance = 1.5 }", "`dies`: a chance goes from 0 to 1, and 1.5 does not");
        wrong("slow_for = 'soon'", "`slow_for`: ");
        wrong("foreign_acts = ['dance']", "`foreign_acts`: ");
        wrong("lags = 3", "`lags`: ");
        wrong("lags = [", "");
        assert!(Faults::parse("[]", Format::Json).unwrap_err().contains("no object"));
    }

    #[test]
    fn the_example_is_good_and_tells_of_every_fault() {
        let example = include_str!("../../../../deploy/faults.toml");
        let faults = Faults::parse(example, Format::Toml).unwrap();
        assert_ne!(faults, Faults::default());
        let everything: String = example
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let on = Faults::parse(&everything, Format::Toml).unwrap().on();
        let untold: Vec<String> = Faults::names().into_iter().filter(|name| !on.contains(name)).collect();
        assert!(untold.is_empty(), "the example does not tell of {untold:?}");
    }
}
