//! The single values of a policy file: how each is written, read and described to editors.
//!
//! A value that is misread does not end the reading: a [`Field`] keeps what was wrong, so that all faults of a file
//! are reported at once.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range, RangeInclusive};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::policy::nearest::nearest;
use crate::policy::{Capacity, Direction, GaugeForm, Mode, Reaction};
use crate::words::{Share, Span};

/// Why a value was not understood.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Misread {
    /// What is wrong.
    pub(in crate::policy) message: String,
    /// What to write instead.
    pub(in crate::policy) help: String,
}

impl Misread {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// A value that is written as a YAML scalar.
pub(in crate::policy) trait Scalar: Sized {
    /// Reads the value from its text.
    fn read(text: &str) -> Result<Self, Misread>;

    /// What editors are told of it.
    fn schema() -> Schema;
}

/// A value of the file, read or misread, and where it stands.
#[derive(Debug)]
pub(in crate::policy) struct Field<T> {
    /// The value, or why there is none.
    pub(in crate::policy) value: Result<T, Misread>,
    /// The text as YAML understood it.
    pub(in crate::policy) text: String,
    /// The bytes of the file where it stands, quotes included.
    pub(in crate::policy) at: Range<usize>,
}

impl<'de, T: Scalar> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        let at = bytes(&spanned.defined);
        Ok(Self { value: T::read(&spanned.value), text: spanned.value, at })
    }
}

/// A list, and where it stands.
pub(in crate::policy) type List<T> = At<Vec<T>>;

/// A list or mapping, and where it stands.
#[derive(Debug, Default)]
pub(in crate::policy) struct At<T> {
    /// What stands there.
    pub(in crate::policy) value: T,
    /// The bytes of the file where it stands.
    pub(in crate::policy) at: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, at: bytes(&spanned.defined) })
    }
}

/// Both are written as what they hold.
macro_rules! transparent_schema {
    ($($name:ident),+) => {$(
        impl<T: JsonSchema> JsonSchema for $name<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )+};
}

transparent_schema!(At, Given);

/// The bytes that a location means. Of text that was read from a string, the library knows them.
fn bytes(location: &serde_saphyr::Location) -> Range<usize> {
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let start = number(location.span().byte_offset());
    start..start.saturating_add(number(location.span().byte_len()))
}

/// A key's value, where the key is given. Unlike an `Option` it does not take an empty value for an absent key.
#[derive(Debug)]
pub(in crate::policy) struct Given<T>(Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Given<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

impl<T: Scalar> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

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

/// A value that is one of a few words.
pub(in crate::policy) trait Choice: Copy + 'static {
    /// The words with their meanings; the first is the default.
    const WORDS: &'static [(&'static str, Self, &'static str)];
}

impl<T: Choice> Scalar for T {
    fn read(text: &str) -> Result<Self, Misread> {
        if let Some((_, value, _)) = T::WORDS.iter().find(|(word, ..)| *word == text) {
            return Ok(*value);
        }
        let words: Vec<&str> = T::WORDS.iter().map(|(word, ..)| *word).collect();
        let help = match nearest(text, &words) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write {}", either(&words)),
        };
        Err(Misread::new(format!("`{text}` is not possible here"), help))
    }

    fn schema() -> Schema {
        let choices: Vec<_> = T::WORDS
            .iter()
            .map(|(word, _, meaning)| serde_json::json!({ "const": word, "description": meaning }))
            .collect();
        json_schema!({ "oneOf": choices })
    }
}

/// Words as a person lists them: `` `a`, `b` or `c` ``.
pub(in crate::policy) fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

impl Choice for Mode {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("act", Self::Act, "Move traffic, promote and roll back."),
        ("advise", Self::Advise, "Ask a person before every act that moves traffic."),
        ("observe", Self::Observe, "Judge, write down and notify; touch nothing."),
    ];
}

impl Choice for Capacity {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("surge", Self::Surge, "The baseline keeps all its units; canary units come on top."),
        ("shift", Self::Shift, "The sum stays about what it was: the baseline shrinks, never below half."),
    ];
}

impl Choice for Direction {
    const WORDS: &'static [(&'static str, Self, &'static str)] =
        &[("up", Self::Up, "More is worse."), ("down", Self::Down, "Less is worse.")];
}

impl Choice for GaugeForm {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        (
            "strict",
            Self::Strict,
            "A canary truly less than the margin worse is rolled back within the budget.",
        ),
        (
            "loose",
            Self::Loose,
            "Finds leaks and small shifts; the budget covers a canary that is not worse at all.",
        ),
    ];
}

/// Declares the sets of reactions that the outcomes allow.
macro_rules! reactions {
    ($($(#[$doc:meta])* $name:ident: $($word:literal $reaction:ident $meaning:literal),+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(in crate::policy) struct $name(pub(in crate::policy) Reaction);

        impl Choice for $name {
            const WORDS: &'static [(&'static str, Self, &'static str)] =
                &[$(($word, Self(Reaction::$reaction), $meaning)),+];
        }

        impl From<$name> for Reaction {
            fn from(reaction: $name) -> Self {
                reaction.0
            }
        }
    )+};
}

reactions! {
    /// What may follow where going on is out of the question.
    Stop:
        "rollback" Rollback "Go back to the baseline.",
        "pause" Pause "Stop here and ask a person.";
    /// What may follow where nothing was shown.
    Undecided:
        "pause" Pause "Stop here and ask a person.",
        "rollback" Rollback "Go back to the baseline.",
        "promote" Promote "Go on as if it had been shown to be good.";
    /// What may follow from a split of the traffic that was not asked for.
    Split:
        "ignore" Ignore "Report it, and go on.",
        "pause" Pause "Stop here and ask a person.";
    /// What may follow from an alert.
    Alarm:
        "rollback" Rollback "Go back to the baseline.",
        "pause" Pause "Stop here and ask a person.",
        "ignore" Ignore "Report it, and go on.";
}

/// Wait, then do: `hold 5m then rollback`.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct HoldThen {
    pub(in crate::policy) hold: Span,
    pub(in crate::policy) then: Stop,
}

impl Scalar for HoldThen {
    fn read(text: &str) -> Result<Self, Misread> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["hold", hold, "then", then] => Ok(Self { hold: Span::read(hold)?, then: Stop::read(then)? }),
            ["hold", hold] => Err(Misread::new(
                "it is not said what follows the hold",
                format!("write `hold {hold} then pause` or `hold {hold} then rollback`"),
            )),
            [then] if Stop::read(then).is_ok() => Err(Misread::new(
                "it is not said how long to hold before",
                format!("one lost sample is no silence: write `hold 5m then {then}`"),
            )),
            _ => Err(Misread::new(
                format!("`{text}` is not understood"),
                "write it like `hold 5m then rollback` or `hold 5m then pause`",
            )),
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^hold +[0-9][0-9a-z]* +then +(rollback|pause)$",
            "examples": ["hold 5m then rollback", "hold 15m then pause"],
        })
    }
}
