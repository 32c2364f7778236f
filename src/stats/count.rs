//! Counts of both arms in one slice of time, checked once so that no engine has to doubt them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest count or exposure of one arm that is believed. Above it, rounding would be visible in the evidence.
pub const MAX_COUNT: f64 = 1e13;
/// An exposure below this is none.
const LEAST_EXPOSURE: f64 = 1e-6;

/// Why a tick was refused. The engine that refused it is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Refusal {
    /// A count or an exposure is NaN, infinite, negative or above [`MAX_COUNT`].
    #[error("{0} is not a count between 0 and 1e13")]
    NotACount(f64),
    /// More events than there were requests.
    #[error("{events} events among {total}: more than there can be")]
    MoreThanAll {
        /// The events.
        events: f64,
        /// Everything among which they were counted.
        total: f64,
    },
    /// The time since the last tick is NaN, infinite or negative.
    #[error("{0} s since the last tick: time only goes forwards")]
    NotASpan(f64),
    /// A share is NaN, or not between 0 and 1.
    #[error("{0} is not a share between 0 and 1")]
    NotAShare(f64),
    /// A dispersion is NaN, or not between a thousandth and 1e15.
    #[error("{0} is not a dispersion between 0.001 and 1e15")]
    NotADispersion(f64),
}

/// Refuses what is not a count of one arm, or of both together.
pub(super) fn count(value: f64) -> Result<f64, Refusal> {
    if (0.0..=2.0 * MAX_COUNT).contains(&value) { Ok(value) } else { Err(Refusal::NotACount(value)) }
}

/// Refuses what is not a span of time.
pub(super) fn span(value: f64) -> Result<f64, Refusal> {
    if (0.0..f64::INFINITY).contains(&value) { Ok(value) } else { Err(Refusal::NotASpan(value)) }
}

/// Refuses what is not a share.
pub(super) fn share(value: f64) -> Result<f64, Refusal> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(Refusal::NotAShare(value)) }
}

/// The share whose odds are so many times those of `share`: the canary's part of all events, if `share` of the exposure is its own and
/// its rate so many times the baseline's.
#[must_use]
pub fn share_at(share: f64, times: f64) -> f64 {
    let odds = share * times;
    odds / (odds + (1.0 - share))
}

/// Refuses what is not a dispersion.
pub(super) fn dispersion(value: f64) -> Result<f64, Refusal> {
    if (1e-3..=1e15).contains(&value) { Ok(value) } else { Err(Refusal::NotADispersion(value)) }
}

/// Refuses `events` among `total` unless both are counts and the first is no larger than the second.
pub(super) fn among(events: f64, total: f64) -> Result<(), Refusal> {
    if count(events)? > count(total)? { Err(Refusal::MoreThanAll { events, total }) } else { Ok(()) }
}

/// What one arm counted in a slice of time; made only from numbers that make sense. Counts may be real numbers, the
/// formulas are linear in them. The default is an arm that was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ArmCount {
    events: f64,
    exposure: f64,
}

impl ArmCount {
    /// `events` among `total` requests.
    ///
    /// # Errors
    /// A number that is no count, or more events than requests.
    pub fn ratio(events: f64, total: f64) -> Result<Self, Refusal> {
        among(events, total)?;
        Self::rate(events, total)
    }

    /// `events` in an `exposure` that does not bound them, such as unit-seconds.
    ///
    /// # Errors
    /// A number that is no count.
    pub fn rate(events: f64, exposure: f64) -> Result<Self, Refusal> {
        let of_one = |value| if value > MAX_COUNT { Err(Refusal::NotACount(value)) } else { count(value) };
        Ok(Self { events: of_one(events)?, exposure: of_one(exposure)? })
    }

    /// The events: errors, requests slower than a limit.
    #[must_use]
    pub fn events(self) -> f64 {
        self.events
    }

    /// Among how many, or in how many unit-seconds.
    #[must_use]
    pub fn exposure(self) -> f64 {
        self.exposure
    }

    /// Whether the arm was seen at all.
    #[must_use]
    pub fn is_seen(self) -> bool {
        self.exposure >= LEAST_EXPOSURE
    }

    /// Both slices as one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        // So that both arms together are still believed.
        let most = MAX_COUNT / 2.0;
        Self {
            events: (self.events + other.events).min(most),
            exposure: (self.exposure + other.exposure).min(most),
        }
    }
}

/// What both arms counted in the same slice of time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PairCount {
    /// The canary's.
    pub canary: ArmCount,
    /// The baseline's.
    pub baseline: ArmCount,
}

impl PairCount {
    /// Both arms were seen. Otherwise the slice is held and added to the next one: exposures of the two arms must
    /// cover the same time.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.canary.is_seen() && self.baseline.is_seen()
    }

    /// Both slices as one. Exposures are summed, never shares averaged.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { canary: self.canary.plus(other.canary), baseline: self.baseline.plus(other.baseline) }
    }

    /// The events of both arms.
    #[must_use]
    pub fn events(&self) -> f64 {
        self.canary.events + self.baseline.events
    }

    /// The canary's share of the exposure; of a closed slice between 0 and 1, both excluded.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.canary.exposure / (self.canary.exposure + self.baseline.exposure)
    }
}
