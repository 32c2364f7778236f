//! Counts of both arms in one slice of time, checked once so that no engine has to doubt them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest count or exposure that is believed. Above it, rounding would be visible in the evidence.
pub const MAX_COUNT: f64 = 1e13;

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
    /// A dispersion is NaN, infinite or not above 0.
    #[error("{0} is not a dispersion")]
    NotADispersion(f64),
}

/// Refuses what is not a count.
pub(super) fn count(value: f64) -> Result<f64, Refusal> {
    if (0.0..=MAX_COUNT).contains(&value) { Ok(value) } else { Err(Refusal::NotACount(value)) }
}

/// Refuses what is not a span of time.
pub(super) fn span(value: f64) -> Result<f64, Refusal> {
    if (0.0..f64::INFINITY).contains(&value) { Ok(value) } else { Err(Refusal::NotASpan(value)) }
}

/// Refuses what is not a share.
pub(super) fn share(value: f64) -> Result<f64, Refusal> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(Refusal::NotAShare(value)) }
}

/// Refuses what is not a dispersion.
pub(super) fn dispersion(value: f64) -> Result<f64, Refusal> {
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(Refusal::NotADispersion(value)) }
}

/// Refuses `events` among `total` unless both are counts and the first is no larger than the second.
pub(super) fn among(events: f64, total: f64) -> Result<(), Refusal> {
    if count(events)? > count(total)? { Err(Refusal::MoreThanAll { events, total }) } else { Ok(()) }
}

/// What one arm counted in a slice of time. Counts may be real numbers; the formulas are linear in them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ArmCount {
    /// Events: errors, requests slower than a limit.
    pub events: f64,
    /// Among how many, or in how many unit-seconds.
    pub exposure: f64,
}

/// What both arms counted in the same slice of time. An arm without exposure was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PairCount {
    /// The canary's.
    pub canary: ArmCount,
    /// The baseline's.
    pub baseline: ArmCount,
}

impl PairCount {
    /// Events among requests, in each arm.
    ///
    /// # Errors
    /// A number that is no count, or more events than requests.
    pub fn ratio(canary: ArmCount, baseline: ArmCount) -> Result<Self, Refusal> {
        among(canary.events, canary.exposure)?;
        among(baseline.events, baseline.exposure)?;
        Ok(Self { canary, baseline })
    }

    /// Events in an exposure of another kind (unit-seconds), in each arm; their number is not bounded by it.
    ///
    /// # Errors
    /// A number that is no count.
    pub fn rate(canary: ArmCount, baseline: ArmCount) -> Result<Self, Refusal> {
        for value in [canary.events, canary.exposure, baseline.events, baseline.exposure] {
            count(value)?;
        }
        Ok(Self { canary, baseline })
    }

    /// Both arms were seen. Otherwise the slice is held and added to the next one: exposures of the two arms must
    /// cover the same time.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.canary.exposure > 0.0 && self.baseline.exposure > 0.0
    }

    /// Both slices as one. Exposures are summed, never shares averaged.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        // So that both arms together are still believed.
        let most = MAX_COUNT / 2.0;
        let add = |a: ArmCount, b: ArmCount| ArmCount {
            events: (a.events + b.events).min(most),
            exposure: (a.exposure + b.exposure).min(most),
        };
        Self { canary: add(self.canary, other.canary), baseline: add(self.baseline, other.baseline) }
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
