//! What a policy says of who judges: our own statistics, or Kayenta's, for those who migrate from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::kayenta::{Settings, Thresholds};
use crate::words::Span;

/// The most samples of each version that are kept for a judgement, the newest: six hours at four a minute, a day at one.
pub const KAYENTA_SAMPLES: usize = 1440;

/// Who judges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judging {
    /// Sequential tests within the policy's budgets.
    #[default]
    Sequential,
    /// Kayenta's judge, which keeps no budget.
    Kayenta(Box<Kayenta>),
}

impl Judging {
    /// Kayenta's terms, where it judges.
    #[must_use]
    pub fn kayenta(&self) -> Option<&Kayenta> {
        match self {
            Self::Sequential => None,
            Self::Kayenta(kayenta) => Some(kayenta),
        }
    }
}

/// The terms of a judgement as Kayenta's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kayenta {
    /// From which score on a canary passes, and below which it fails.
    pub thresholds: Thresholds,
    /// What groups of signals weigh in the score, in percent; groups that are not listed share what is left to 100.
    pub group_weights: BTreeMap<String, f64>,
    /// The time between two judgements, counted from the beginning of a step.
    pub judge_every: Span,
    /// How far back samples count; nothing: to the beginning of the rollout.
    pub lookback: Option<Span>,
    /// How each signal is judged, by its name.
    pub signals: BTreeMap<String, Metric>,
}

/// How one signal is judged as Kayenta judges a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Kayenta's own settings.
    pub settings: Settings,
    /// The groups in whose scores it counts; never empty.
    pub groups: Vec<String>,
    /// Whether it is judged and shown, but does not count.
    pub muted: bool,
    /// Of a latency without `over`: which quantile is compared, above 0 and below 1.
    pub quantile: f64,
}
