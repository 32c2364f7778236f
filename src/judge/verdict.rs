//! What the judge says: the outcome of each signal, and of all together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A signal's state at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Proven to be within what must be proven.
    Pass,
    /// Evidence of harm beyond this signal's part of the budget.
    Fail,
    /// Neither.
    Inconclusive,
    /// The canary is silent while the baseline speaks, or too little of a kind that the signal needs came.
    NoData,
    /// Both arms are silent.
    SourceDown,
}

/// What the judge says of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalVerdict {
    /// Its state.
    pub outcome: Outcome,
    /// Whether its failure alone rolls back.
    pub critical: bool,
    /// Whether a step may only be done when it is proven safe.
    pub gates: bool,
    /// Natural logarithm of the evidence of harm beyond the margin (an e-value).
    pub log_e_harm: f64,
    /// Natural logarithm of the evidence of being within what must be proven.
    pub log_e_safe: f64,
    /// What the evidence of harm is held against: ln(1/(alpha·weight)).
    pub harm_threshold: f64,
    /// What the evidence of safety is held against: ln(1/beta).
    pub safe_threshold: f64,
    /// The canary relative to the baseline: lower end, estimate, upper end; valid at all looks at once. An end is
    /// `None` where the data do not bound it, or where the signal has no such number.
    pub effect: [Option<f64>; 3],
    /// Events and totals so far: canary events, canary total, baseline events, baseline total; zeros where it has none.
    pub seen: [f64; 4],
    /// A sentence for a person.
    pub why: String,
    /// What would have changed it, for a person; empty where nothing sensible can be said.
    pub otherwise: String,
}

/// What the judge says of all signals together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// When, in the look's seconds.
    pub at: f64,
    /// The score from 0 to 100: `[undecided counted as failed, undecided counted as passed]`.
    pub score: [f64; 2],
    /// Natural logarithm of the combined evidence of harm.
    pub log_e_harm: f64,
    /// What it is held against: ln(1/alpha).
    pub harm_threshold: f64,
    /// Evidence of harm beyond the budget. Final: once true, it stays true for this rollout.
    pub harm: bool,
    /// The signals that the harm rests on, strongest first; empty without harm.
    pub culprits: Vec<String>,
    /// Every gating signal is proven, none is without data, and the evidence of harm is far from its threshold.
    pub safe: bool,
    /// The baseline itself violates an absolute limit as the canary does: neither blame nor promotion.
    pub both_bad: bool,
    /// Whether the traffic's split contradicts the planned share.
    pub wrong_split: bool,
    /// Some gating signal's canary is silent while its baseline speaks.
    pub no_data: bool,
    /// Some gating signal's source is silent in both arms.
    pub source_down: bool,
    /// Each signal's part.
    pub signals: BTreeMap<String, SignalVerdict>,
    /// One or two sentences for a person.
    pub why: String,
}
