//! What the judge is given: one look at both arms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::{Arms, Share};

/// One evaluation of a rollout: what each signal's source gave since the look before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When, in seconds; only differences matter.
    pub at: f64,
    /// The canary's planned share of traffic at this time. Nothing: not known, or not to be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// What each signal gave. A signal that is left out gave nothing new; its silence is timed by the judge.
    #[serde(default)]
    pub signals: BTreeMap<String, Arms<Option<Reading>>>,
}

/// What one arm gave for one signal: increments of counters since the last closed slice of time, or values now.
///
/// Both arms' increments cover the same slice of wall time and each event is in exactly one reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reading {
    /// A histogram's increments: `counts[i]` requests took at most `le[i]` seconds (cumulative), `total` in all.
    Histogram {
        /// Upper bounds in seconds, ascending, without +Inf.
        le: Vec<f64>,
        /// Cumulative counts, one for each bound.
        counts: Vec<f64>,
        /// All requests.
        total: f64,
    },
    /// Bad events among all events (a ratio), or events and the unit-seconds in which they happened (a rate).
    Counts {
        /// Bad events.
        events: f64,
        /// All events, or unit-seconds.
        total: f64,
    },
    /// A gauge: one value per unit.
    Values(Vec<f64>),
}
