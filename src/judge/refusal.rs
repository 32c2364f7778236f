//! Why something that the judge was shown was not used.
//!
//! A refusal changes nothing: the evidence is what it was before, and the refused arm counts as silent at that look.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::Arm;

/// What was refused, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The signal and the arm whose reading was refused; nothing: the whole look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<(String, Arm)>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a look or a reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The look's time is no number of seconds that a time can be.
    Time,
    /// The look is not later than the one before.
    NotLater {
        /// When this look was, in seconds.
        at: f64,
        /// When the one before was, in seconds.
        before: f64,
    },
    /// The policy has no signal of this name.
    Unknown,
    /// Another kind of reading than the signal's.
    Kind {
        /// What the signal needs, in words.
        needs: String,
    },
    /// A number is not finite, or negative where it counts something, or larger than can be counted.
    Number {
        /// What it is, in words.
        what: String,
        /// The number, as text: JSON has no word for what is not finite.
        value: String,
    },
    /// A value that is not finite.
    NotFinite {
        /// The value, as text.
        value: String,
    },
    /// More bad events than events.
    Above {
        /// Bad events.
        events: f64,
        /// All events.
        total: f64,
    },
    /// Counts of a histogram that are not cumulative.
    Falls {
        /// Requests within one bound.
        from: f64,
        /// Requests within a larger one.
        to: f64,
    },
    /// Bounds that do not ascend, or another number of counts than of bounds.
    Buckets,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reading {
            Some((signal, arm)) => write!(f, "`{signal}`, {arm}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => f.write_str("the look's time is not between -1e11 and 1e11 seconds (is it in milliseconds?)"),
            Self::NotLater { at, before } => {
                write!(f, "the look at {at} s is not later than the one before, at {before} s")
            }
            Self::Unknown => f.write_str("the policy has no signal of this name"),
            Self::Kind { needs } => write!(f, "the signal needs {needs}"),
            Self::Number { what, value } => {
                write!(f, "{what} is {value}; it must be finite, not negative and at most {MOST:e}")
            }
            Self::NotFinite { value } => write!(f, "a value is {value}; it must be finite"),
            Self::Above { events, total } => write!(f, "{events} events of only {total} in all"),
            Self::Falls { from, to } => write!(
                f,
                "{from} requests within one bound, and only {to} within a larger one; `counts` are cumulative, as Prometheus has them"
            ),
            Self::Buckets => f.write_str(
                "the histogram's bounds must be finite, not negative, and ascend, with one count for each, and no count above the total",
            ),
        }
    }
}

/// The largest count that one reading may hold; the engines still believe ten times as much.
pub(super) const MOST: f64 = crate::stats::MAX_COUNT / 10.0;

/// That `value` counts something.
pub(super) fn count(what: &str, value: f64) -> Result<f64, Problem> {
    if (0.0..=MOST).contains(&value) {
        Ok(value)
    } else {
        let value = if value.abs() < 1e15 { value.to_string() } else { format!("{value:e}") };
        Err(Problem::Number { what: what.to_owned(), value })
    }
}
