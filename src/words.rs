//! The words that every part shares: names, versions, shares, times and spans.
//!
//! Types carry the meaning that a bare `String` or `f64` would lose. All are plain data: comparable, serialisable,
//! and made only through constructors that refuse what makes no sense.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of an app on the platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppName(pub String);

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a deployed version, as the platform counts them. Shown as `v7`, stored as `7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

impl Version {
    /// The version that a person writes: `7` or `v7`; nothing if it is no number above 0.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('v').unwrap_or(text);
        let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|number| is_plain && *number > 0).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// One of the two versions that a rollout compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The version that serves now.
    Baseline,
    /// The version that wants to replace it.
    Canary,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Canary => "canary",
        })
    }
}

/// One thing per arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arms<T> {
    /// What belongs to the baseline.
    pub baseline: T,
    /// What belongs to the canary.
    pub canary: T,
}

impl<T> Arms<T> {
    /// What belongs to `arm`.
    pub fn get(&self, arm: Arm) -> &T {
        match arm {
            Arm::Baseline => &self.baseline,
            Arm::Canary => &self.canary,
        }
    }

    /// What belongs to `arm`, to be changed.
    pub fn get_mut(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::Baseline => &mut self.baseline,
            Arm::Canary => &mut self.canary,
        }
    }
}

/// A share of the whole, from 0 to 1: of traffic, of requests, of probability.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Share(f64);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0.0);
    /// All of it.
    pub const ALL: Self = Self(1.0);

    /// A share, if `value` is between 0 and 1.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The share that `part` is of `whole`; nothing where the whole is nothing.
    #[must_use]
    pub fn of(part: u32, whole: u32) -> Self {
        if whole == 0 { Self::NONE } else { Self(f64::from(part.min(whole)) / f64::from(whole)) }
    }

    /// The number from 0 to 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Share {
    /// As a percentage with as many digits as it takes to tell it from its neighbours: `5%`, `9.1%`, `0.05%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        // What is not nothing is not told as nothing.
        let digits = match percent {
            _ if percent >= 10.0 => 1,
            _ if percent >= 0.005 || percent <= 0.0 => 2,
            _ => 6,
        };
        let text = format!("{percent:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text}%")
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value)
            .ok_or_else(|| serde::de::Error::custom(format!("{value} is not a share between 0 and 1")))
    }
}

/// A moment: milliseconds since the Unix epoch. The core gets it passed in; it never reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// The moment `seconds` after the epoch, to the millisecond.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float saturates at the ends of i64; both are absurd times"
    )]
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e3).round() as i64)
    }

    /// Seconds since the epoch.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits for 280,000 years")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// How long it is since `earlier`; nothing if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Span> for Time {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

/// A length of time in milliseconds. Written as Prometheus writes it: `90s`, `5m`, `1h30m`, `250ms`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(n * 1000)
    }

    /// `n` minutes.
    #[must_use]
    pub const fn minutes(n: u64) -> Self {
        Self(n * 60_000)
    }

    /// The length in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a span of 2^53 ms is 285,000 years")]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// The length as a sentence tells it: to the second, and shorter ones as they are.
    #[must_use]
    pub const fn rounded(self) -> Self {
        if self.0 < 1000 { self } else { Self((self.0 + 500) / 1000 * 1000) }
    }

    /// The length as the standard library has it.
    #[must_use]
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

/// Units of a span, longest first, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, length) in &UNITS[2..] {
            if rest >= *length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a duration; write it like `90s`, `5m`, `1h30m` or `250ms`");
        if text == "0" {
            return Ok(Self::ZERO);
        }
        let (mut rest, mut total, mut largest) = (text, 0_u64, u64::MAX);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (_, length) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
            if *length >= largest {
                return Err(format!("`{text}` is not a duration; units go from long to short, each once"));
            }
            largest = *length;
            rest = &rest[letters..];
            total = count.checked_mul(*length).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        }
        Ok(Self(total))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The identity of a rollout: a UUID of version 7, made by the shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutId(pub String);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_prometheus_reads_them() {
        for (text, ms) in
            [("0", 0), ("90s", 90_000), ("1h30m", 5_400_000), ("250ms", 250), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span(ms)), "{text}");
        }
        for text in
            ["", "5", "5 m", "m", "30m1h", "1m1m", "1.5m", "-5m", "5minutes", "99999999999999999999s", "1ü"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_prints_as_it_is_read() {
        for ms in [1, 999, 1000, 60_000, 90_061_001, 86_400_000, 31 * 86_400_000] {
            assert_eq!(Span(ms).to_string().parse(), Ok(Span(ms)));
        }
    }

    #[test]
    fn shares_print_as_percentages() {
        for (share, text) in
            [(0.05, "5%"), (1.0 / 11.0, "9.09%"), (0.0005, "0.05%"), (1.0, "100%"), (0.0, "0%")]
        {
            assert_eq!(Share::new(share).map(|s| s.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Share::new(1.01), None);
        assert_eq!(Share::new(f64::NAN), None);
    }

    #[test]
    fn time_never_runs_backwards_into_a_span() {
        assert_eq!(Time(5).since(Time(9)), Span::ZERO);
        assert_eq!(Time(i64::MAX) + Span(u64::MAX), Time(i64::MAX));
    }
}
