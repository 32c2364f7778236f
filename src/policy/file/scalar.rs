//! How percentages, durations, numbers and names are written.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use schemars::{Schema, json_schema};

use super::value::{Misread, Scalar};
use crate::words::{Share, Span};

/// Reads the number before a percent sign.
fn percent(text: &str, example: &str) -> Result<f64, Misread> {
    let Some(number) = text.strip_suffix('%') else {
        if let Ok(number) = text.parse::<f64>() {
            // A part of 1 is meant as a percentage; anything else may be one already.
            let meant = format!("{}%", (number * 1e8).round() / 1e6);
            let example = if (0.0..1.0).contains(&number) && number > 0.0 { &meant } else { example };
            let message = format!("`{text}` has no unit");
            return Err(Misread::new(message, format!("write a percentage, as in `{example}`")));
        }
        let message = format!("`{text}` is not a percentage");
        return Err(Misread::new(message, format!("write it like `{example}`")));
    };
    let plain = number.strip_prefix(['+', '-']).unwrap_or(number);
    let whole_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let well_formed = plain.split('.').count() <= 2 && plain.split('.').all(whole_number);
    // The exponent, unlike a division, gives the number nearest to what is written.
    match format!("{number}e-2").parse::<f64>() {
        Ok(value) if well_formed && value.is_finite() => Ok(value),
        _ => Err(Misread::new(
            format!("`{text}` is not a percentage"),
            format!("write it like `{example}`, with a point for decimals and no space"),
        )),
    }
}

const PERCENT: &str = r"^[0-9]+(\.[0-9]+)?%$";
const CHANGE: &str = r"^\+?[0-9]+(\.[0-9]+)?%$";
const FLOOR: &str = r"^[0-9]+(\.[0-9]+)?(%|/(s|m|min|h|d)|)$";
const DURATION: &str = r"^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// A part of a whole: `5%`.
impl Scalar for Share {
    fn read(text: &str) -> Result<Self, Misread> {
        let value = percent(text, "5%")?;
        Self::new(value).filter(|_| !text.starts_with(['+', '-'])).ok_or_else(|| {
            Misread::new(
                format!("`{text}` is not a part of a whole"),
                "write a percentage from 0% to 100%, as in `5%`",
            )
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": PERCENT })
    }
}

/// How much worse than the baseline: `+20%`, as 0.2.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Change(pub(in crate::policy) f64);

impl Scalar for Change {
    fn read(text: &str) -> Result<Self, Misread> {
        let value = percent(text, "+20%")?;
        // The sign that is written, since minus nothing is no less than nothing.
        if text.starts_with('-') {
            return Err(Misread::new(
                format!("`{text}` is negative"),
                "it says how much worse than the baseline, so it is positive; for a value of which less is worse, \
                 write `worse: down`",
            ));
        }
        Ok(Self(value))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": CHANGE })
    }
}

/// What harms nobody: a part of a whole, `0.05%`, a number in a time, `2/h`, or a value, `50`.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) enum Floor {
    Share(Share),
    /// Events per second.
    Rate(f64),
    /// A gauge's value.
    Value(f64),
}

impl Scalar for Floor {
    fn read(text: &str) -> Result<Self, Misread> {
        if let Some(value) = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0) {
            return Ok(Self::Value(value));
        }
        let Some((number, time)) = text.split_once('/') else {
            return match text.strip_suffix('%') {
                Some(_) => Share::read(text).map(Self::Share),
                None => Err(Misread::new(
                    format!("`{text}` is no floor"),
                    "write a share, as `0.05%`, for a ratio; a number in a time, as `2/h`, for a rate; a plain number, as `50`, for a gauge",
                )),
            };
        };
        let seconds = match time {
            "s" => Some(1.0),
            "m" | "min" => Some(60.0),
            "h" => Some(3600.0),
            "d" => Some(86_400.0),
            _ => None,
        };
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number = number.parse::<f64>().ok().filter(|number| plain && number.is_finite());
        match number.zip(seconds) {
            Some((number, seconds)) => Ok(Self::Rate(number / seconds)),
            None => Err(Misread::new(
                format!("`{text}` is not a number of events in a time"),
                "write it like `2/h`, with `s`, `m`, `h` or `d`",
            )),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "number"], "pattern": FLOOR, "minimum": 0 })
    }
}

/// A length of time: `90s`, `5m`, `1h30m`.
impl Scalar for Span {
    fn read(text: &str) -> Result<Self, Misread> {
        if text.parse::<f64>().is_ok() {
            let whole = if text.parse::<u64>().is_ok() { text } else { "300" };
            return Err(Misread::new(
                format!("`{text}` has no unit"),
                format!("write a duration, as in `{whole}ms`, `{whole}s` or `{whole}m`"),
            ));
        }
        text.parse().map_err(|message: String| {
            let (what, help) = message.split_once("; ").unwrap_or((&message, ""));
            Misread::new(what, help)
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION, "minLength": 2 })
    }
}

impl Scalar for bool {
    fn read(text: &str) -> Result<Self, Misread> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Misread::new(format!("`{text}` is neither true nor false"), "write `true` or `false`")),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// Reads a number within bounds.
pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(
    text: &str,
    within: RangeInclusive<T>,
    what: &str,
) -> Result<T, Misread> {
    let help = || format!("write {what} from {} to {}", within.start(), within.end());
    let value = text.parse().map_err(|_| Misread::new(format!("`{text}` is not {what}"), help()))?;
    if within.contains(&value) {
        return Ok(value);
    }
    Err(Misread::new(format!("`{text}` is out of range"), help()))
}

/// A number of things.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Count(pub(in crate::policy) u32);

impl Scalar for Count {
    fn read(text: &str) -> Result<Self, Misread> {
        number(text, 1..=1_000_000, "a whole number").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 1_000_000 })
    }
}

/// A TCP port.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Port(pub(in crate::policy) u16);

impl Scalar for Port {
    fn read(text: &str) -> Result<Self, Misread> {
        number(text, 1..=u16::MAX, "a port").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }
}

/// A signal's part of the budget, relative to the others.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Weight(pub(in crate::policy) f64);

impl Scalar for Weight {
    fn read(text: &str) -> Result<Self, Misread> {
        number(text, 0.01..=100.0, "a number").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0.01, "maximum": 100 })
    }
}

/// The longest name.
const LONGEST_NAME: usize = 63;

/// A name that is shown and logged, and used in labels and addresses.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Name(pub(in crate::policy) String);

impl Scalar for Name {
    fn read(text: &str) -> Result<Self, Misread> {
        let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= LONGEST_NAME;
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(Misread::new(
            format!("`{text}` is not a name"),
            format!(
                "use up to {LONGEST_NAME} letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
            ),
        ))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
    }
}

/// Any text that is not empty.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Text(pub(in crate::policy) String);

impl Scalar for Text {
    fn read(text: &str) -> Result<Self, Misread> {
        if text.trim().is_empty() {
            return Err(Misread::new("this is empty", "write a value, or leave the key out"));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// A path of a URL.
#[derive(Debug, Clone)]
pub(in crate::policy) struct UrlPath(pub(in crate::policy) String);

impl Scalar for UrlPath {
    fn read(text: &str) -> Result<Self, Misread> {
        if text.contains("://") {
            return Err(Misread::new(
                "this is a whole address",
                "write the path alone, as in `/healthz`; each unit's address is known",
            ));
        }
        let plain = text.chars().all(|c| c.is_ascii_graphic());
        if text.starts_with('/') && !text.starts_with("//") && plain && !text.contains('#') {
            return Ok(Self(text.to_owned()));
        }
        Err(Misread::new(format!("`{text}` is not a path"), "begin it with one slash, as in `/healthz`"))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^/([^/#\\s][^#\\s]*)?$" })
    }
}

/// A status of HTTP.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Status(pub(in crate::policy) u16);

impl Scalar for Status {
    fn read(text: &str) -> Result<Self, Misread> {
        number(text, 100..=599, "a status of HTTP").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 100, "maximum": 599 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::file::choice::HoldThen;

    fn share(text: &str) -> Option<f64> {
        Share::read(text).ok().map(Share::get)
    }

    #[test]
    fn a_percentage_is_the_number_nearest_to_what_is_written() {
        for (text, value) in
            [("0%", 0.0), ("0.05%", 0.0005), ("5%", 0.05), ("33.3%", 0.333), ("100%", 1.0), ("007%", 0.07)]
        {
            assert_eq!(share(text), Some(value), "{text}");
        }
        assert_eq!(Change::read("+120.5%").map(|change| change.0).ok(), Some(1.205));
    }

    #[test]
    fn what_is_not_quite_a_percentage_is_refused() {
        for text in [
            "", "%", "5", "0.05", "5 %", "5%%", "+5%", "-5%", "-0%", "101%", ".5%", "5.%", "1.2.3%", "1e1%",
            "nan%", "inf%", "0x5%", "٥%",
        ] {
            assert_eq!(share(text), None, "{text}");
        }
        for text in ["++5%", "+-5%", "-5%", "-0.1%", "-0%", "+%", "1e999%"] {
            assert!(Change::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_keep_to_their_bounds() {
        assert!(["1", "1000000"].iter().all(|text| Count::read(text).is_ok()));
        assert!(
            ["0", "1000001", "-1", "1.5", "1e3", "", "4294967296"]
                .iter()
                .all(|text| Count::read(text).is_err())
        );
        assert!(["0.01", "100", "1e0"].iter().all(|text| Weight::read(text).is_ok()));
        assert!(["0", "-1", "nan", "inf", ".nan", "101", ""].iter().all(|text| Weight::read(text).is_err()));
        assert!(["0", "65536"].iter().all(|text| Port::read(text).is_err()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_read_is_what_editors_accept(
            text in prop_oneof![
                "[-+]{0,2}[0-9]{0,3}[.]?[0-9]{0,2}%?",
                "([0-9]{1,2}(y|w|d|h|m|s|ms)?){0,3}",
                "[A-Za-z0-9._ -]{0,70}",
                "/?[a-z/?#é =]{0,6}",
                "(hold )?[0-9]{1,2}[ms]?( then)? (rollback|pause|promote)?",
            ],
        ) {
            agrees::<Share>(&text)?;
            agrees::<Change>(&text)?;
            agrees::<Span>(&text)?;
            agrees::<Name>(&text)?;
            agrees::<Text>(&text)?;
            agrees::<UrlPath>(&text)?;
            agrees::<HoldThen>(&text)?;
        }
    }

    fn agrees<T: Scalar>(text: &str) -> Result<(), TestCaseError> {
        let schema = T::schema();
        let pattern = schema.get("pattern").and_then(|p| p.as_str()).unwrap_or("");
        let shortest = schema.get("minLength").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let accepted =
            regex::Regex::new(pattern).expect("a pattern").is_match(text) && text.len() as u64 >= shortest;
        prop_assert!(accepted || T::read(text).is_err(), "{} reads {text:?}", std::any::type_name::<T>());
        Ok(())
    }

    #[test]
    fn a_path_begins_with_one_slash() {
        assert!(["/", "/healthz", "/a/b?c=d"].iter().all(|text| UrlPath::read(text).is_ok()));
        for text in ["", "healthz", "//host/x", "http://x/", "/a b", "/a#b", "/é", "/a\nb"] {
            assert!(UrlPath::read(text).is_err(), "{text}");
        }
    }
}
