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
        if text.parse::<f64>().is_ok() {
            let message = format!("`{text}` has no unit");
            return Err(Misread::new(message, format!("write a percentage, as in `{example}`")));
        }
        let message = format!("`{text}` is not a percentage");
        return Err(Misread::new(message, format!("write it like `{example}`")));
    };
    let plain = number.trim_start_matches(['+', '-']);
    let digits = plain.chars().all(|c| c.is_ascii_digit() || c == '.') && number.len() - plain.len() <= 1;
    match number.parse::<f64>() {
        Ok(value) if digits && value.is_finite() => Ok(value / 100.0),
        _ => Err(Misread::new(
            format!("`{text}` is not a percentage"),
            format!("write it like `{example}`, with a point for decimals and no space"),
        )),
    }
}

const PERCENT: &str = r"^[0-9]+(\.[0-9]+)?%$";
const CHANGE: &str = r"^\+?[0-9]+(\.[0-9]+)?%$";
const DURATION: &str = r"^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// A part of a whole: `5%`.
impl Scalar for Share {
    fn read(text: &str) -> Result<Self, Misread> {
        let value = percent(text, "5%")?;
        Self::new(value).ok_or_else(|| {
            Misread::new(
                format!("`{text}` is not between 0% and 100%"),
                "write a part of the whole, as in `5%`",
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
        if value < 0.0 {
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

/// A length of time: `90s`, `5m`, `1h30m`.
impl Scalar for Span {
    fn read(text: &str) -> Result<Self, Misread> {
        text.parse().map_err(|message: String| {
            if text.parse::<f64>().is_ok() {
                let whole = if text.parse::<u64>().is_ok() { text } else { "300" };
                Misread::new(
                    format!("`{text}` has no unit"),
                    format!("write a duration, as in `{whole}ms`, `{whole}s` or `{whole}m`"),
                )
            } else {
                let (what, help) = message.split_once("; ").unwrap_or((&message, ""));
                Misread::new(what, help)
            }
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
fn number<T: FromStr + PartialOrd + fmt::Display>(
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
