//! What the judge says: the outcome of each signal, and of all together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Noise, Refusal};

/// A signal's state at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Proven to be within what must be proven.
    Pass,
    /// Evidence of harm beyond this signal's part of the budget. Final: it stays so for this rollout. With Kayenta's judge,
    /// a change that matters; not final before it is harm.
    Fail,
    /// Neither.
    Inconclusive,
    /// The canary is silent while the baseline speaks.
    NoData,
    /// Both arms are silent, or the baseline is, so that there is nothing to compare with.
    SourceDown,
}

/// What exposures are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalUnit {
    /// Requests.
    Requests,
    /// Seconds that a unit was there.
    UnitSeconds,
}

impl std::fmt::Display for TotalUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::UnitSeconds => "unit-seconds",
        })
    }
}

/// The baseline as it was when the canary got all traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrozenBaseline {
    /// When it was last seen with traffic, in the looks' seconds.
    pub until: f64,
    /// How many requests, or unit-seconds, its level rests on; nothing for gauges.
    pub total: Option<f64>,
    /// What `total` counts, for a person.
    pub unit: TotalUnit,
    /// By how much, as a ratio, the level may have moved since then and still be nobody's fault.
    pub drift: f64,
}

/// What the judge says of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalVerdict {
    /// Its state.
    pub outcome: Outcome,
    /// Both arms are bad alike now: promotion waits.
    #[serde(default)]
    pub both_bad: bool,
    /// Whether its failure alone rolls back.
    pub critical: bool,
    /// Whether a step may only be done when it is proven safe.
    pub gates: bool,
    /// Natural logarithm of the evidence of harm beyond the margin (an e-value).
    pub log_e_harm: f64,
    /// Natural logarithm of the evidence of being within what must be proven.
    pub log_e_safe: f64,
    /// What the evidence of harm is held against: ln(1/(alpha·weight)). 0 with Kayenta's judge, which keeps no evidence.
    pub harm_threshold: f64,
    /// What the evidence of safety is held against: ln(1/beta).
    pub safe_threshold: f64,
    /// The canary relative to the baseline: lower end, estimate, upper end; valid at all looks at once. An end is
    /// `None` where the data do not bound it, or where the signal has no such number.
    pub effect: [Option<f64>; 3],
    /// Of a latency: the bound, in seconds, that the effect is told at. Where a failure was found at all bounds, it is the one at
    /// which that is clearest; else the one at which safety is proven. Nothing before it is fixed, and for other signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// How much worse than the baseline still counts as good enough, as a ratio: 1.1 is 10 % worse.
    pub allowed: f64,
    /// What must be proven now, as a ratio: 1.5 is less than 50 % worse.
    pub within: f64,
    /// Events and totals so far: canary events, canary total, baseline events, baseline total; zeros where it has none.
    pub seen: [f64; 4],
    /// About how many more seconds a healthy canary needs at this traffic until it is proven safe; nothing where that
    /// cannot be said.
    pub wait: Option<f64>,
    /// After 100 %: what the canary is held against. Nothing before, and where nothing is known of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenBaseline>,
    /// The noise that it is judged by; nothing while nothing is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// A sentence for a person.
    pub why: String,
    /// What would have changed it, for a person; empty where nothing sensible can be said.
    pub otherwise: String,
}

/// What the judge says of all signals together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a finding of its own; they may hold in any combination"
)]
pub struct Verdict {
    /// When, in the look's seconds.
    pub at: f64,
    /// The score from 0 to 100: `[undecided counted as failed, undecided counted as passed]`.
    pub score: [f64; 2],
    /// Natural logarithm of the combined evidence of harm: the weighted mean of the signals' e-values.
    pub log_e_harm: f64,
    /// What it is held against: ln(1/alpha). 0 with Kayenta's judge, which keeps no evidence.
    pub harm_threshold: f64,
    /// Evidence of harm beyond the budget; with Kayenta's judge, a score below `marginal`. Final: once true, it stays true for
    /// this rollout.
    pub harm: bool,
    /// The signals that the harm rests on, strongest first; empty without harm.
    pub culprits: Vec<String>,
    /// Every gating signal is proven, none that gates or is critical is without data, and the evidence of harm is far from its threshold.
    pub safe: bool,
    /// The baseline itself violates an absolute limit as the canary does, or, where a gating signal has none, both are far worse than
    /// the baseline usually is: no promotion, and no blame but for being worse still.
    pub both_bad: bool,
    /// Whether the traffic's split contradicts the planned share.
    pub wrong_split: bool,
    /// Some gating or critical signal's canary is silent while its baseline speaks.
    pub no_data: bool,
    /// Some gating or critical signal's source is silent in both arms, or in the baseline.
    pub source_down: bool,
    /// Each signal's part.
    pub signals: BTreeMap<String, SignalVerdict>,
    /// What of this look was not used, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
    /// One or two sentences for a person.
    pub why: String,
}
