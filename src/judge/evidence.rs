//! What a signal's readings amount to, by its kind.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::explain::About;
use super::look::Reading;
use super::refusal::Problem;
use crate::policy::{Measure, Signal};
use crate::words::Arms;

/// What every signal of a rollout is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    /// The budget for a false rollback.
    pub(super) alpha: f64,
    /// The budget for a false promotion.
    pub(super) beta: f64,
    /// Seconds of silence that still mean nothing.
    pub(super) patience: f64,
    /// The longest that the rollout may be analysed, in seconds.
    pub(super) horizon: f64,
    /// Seconds between looks.
    pub(super) look_every: f64,
}

/// The evidence of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Evidence {
    /// Bad events among all, or events by unit-seconds.
    Counts(Box<Counts>),
}

impl Evidence {
    pub(super) fn new(signal: &Signal, rungs: &[f64], terms: &Terms) -> Self {
        match &signal.measure {
            Measure::Ratio { .. } | Measure::Rate { .. } => {
                Self::Counts(Box::new(Counts::new(signal, rungs, terms)))
            }
            Measure::Latency { .. } | Measure::Gauge { .. } => {
                Self::Counts(Box::new(Counts::new(signal, rungs, terms)))
            }
        }
    }

    /// That a reading is of the right kind and holds numbers that make sense.
    pub(super) fn check(&self, reading: &Reading) -> Result<(), Problem> {
        match self {
            Self::Counts(counts) => counts.check(reading),
        }
    }

    /// Learns the noise from a look at the baseline before the rollout.
    pub(super) fn learn(&mut self, baseline: &Reading) {
        match self {
            Self::Counts(counts) => counts.learn(baseline),
        }
    }

    /// Takes readings that were checked.
    pub(super) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        match self {
            Self::Counts(counts) => counts.take(at, arms),
        }
    }

    /// The baseline goes away on purpose; what is known of it becomes a limit for the canary.
    pub(super) fn freeze_baseline(&mut self) {
        match self {
            Self::Counts(counts) => counts.freeze_baseline(),
        }
    }

    /// ln of the evidence of harm beyond the margin.
    pub(super) fn log_e_harm(&self) -> f64 {
        match self {
            Self::Counts(counts) => counts.log_e_harm(),
        }
    }

    /// ln of the evidence of being less than `within` times the baseline.
    pub(super) fn log_e_safe(&self, within: f64) -> f64 {
        match self {
            Self::Counts(counts) => counts.log_e_safe(within),
        }
    }

    /// Whether the evidence of harm is an e-value that may be averaged with others, rather than a bound that only its
    /// crossing gives a meaning.
    pub(super) fn can_be_averaged(&self) -> bool {
        match self {
            Self::Counts(_) => true,
        }
    }

    /// Whether readings tell of requests.
    pub(super) fn counts_requests(&self) -> bool {
        match self {
            Self::Counts(counts) => counts.counts_requests(),
        }
    }

    /// The canary relative to the baseline: lower end, estimate, upper end.
    pub(super) fn effect(&self) -> [Option<f64>; 3] {
        match self {
            Self::Counts(counts) => counts.effect(),
        }
    }

    /// Canary events, canary total, baseline events, baseline total.
    pub(super) fn seen(&self) -> [f64; 4] {
        match self {
            Self::Counts(counts) => counts.seen(),
        }
    }

    /// About how many seconds a healthy canary still needs to be proven less than `within` times the baseline.
    pub(super) fn wait(&self, within: f64, threshold: f64) -> Option<f64> {
        match self {
            Self::Counts(counts) => counts.wait(within, threshold),
        }
    }

    /// The absolute limit, and whether the baseline itself breaks it now.
    pub(super) fn limit(&self) -> Option<(f64, bool)> {
        match self {
            Self::Counts(counts) => counts.limit(),
        }
    }

    /// Whether both arms break the absolute limit now.
    pub(super) fn both_bad(&self) -> bool {
        match self {
            Self::Counts(counts) => counts.both_bad(),
        }
    }

    /// What the numbers are about.
    pub(super) fn about(&self) -> About {
        match self {
            Self::Counts(counts) => counts.about(),
        }
    }
}
