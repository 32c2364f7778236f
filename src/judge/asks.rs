//! What the judge asks of each signal, known before anything was seen.

use super::Outcome;
use super::combine::{self, Part};
use super::evidence::Terms;
use super::ladder::Ladder;
use crate::policy::{Policy, Signal};

/// What is asked of one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Its part of the budget; all parts sum to one.
    pub weight: f64,
    /// ln(1/(alpha·weight)): what the evidence of harm is held against.
    pub harm_threshold: f64,
    /// ln(1/beta): what the evidence of safety is held against.
    pub safe_threshold: f64,
    /// How much worse still counts as good enough, as a ratio.
    pub allowed: f64,
    /// What must be proven at each step, as a ratio.
    pub within: Vec<f64>,
    /// Over which time harm may begin, in seconds.
    pub horizon: f64,
    /// Whether its failure rolls back though no other signal shows harm.
    pub alone: bool,
}

/// What is asked of each signal of a policy, in its order.
#[must_use]
pub fn asks(policy: &Policy) -> Vec<Ask> {
    let ladder = Ladder::new(policy);
    let weights: Vec<_> = policy.signals.iter().map(|signal| (signal.weight, signal.critical)).collect();
    let terms = Terms::of(policy);
    let parts = combine::parts(&weights);
    let alone = |failed: usize| {
        let part = |(index, (signal, weight)): (usize, (&Signal, &f64))| Part {
            weight: *weight,
            critical: signal.critical,
            gates: signal.gates,
            log_e: if index == failed { -(terms.alpha * weight).ln() } else { f64::NEG_INFINITY },
            outcome: if index == failed { Outcome::Fail } else { Outcome::Pass },
        };
        let parts: Vec<Part> = policy.signals.iter().zip(&parts).enumerate().map(part).collect();
        // Rounding may leave the sum of what is just enough just short of it.
        combine::sum(&parts, -terms.alpha.ln() - 1e-9).harm
    };
    policy
        .signals
        .iter()
        .zip(&parts)
        .enumerate()
        .map(|(index, (signal, weight))| Ask {
            weight: *weight,
            harm_threshold: -(terms.alpha * weight).ln(),
            safe_threshold: -terms.beta.ln(),
            allowed: 1.0 + signal.margin,
            within: ladder.rungs(signal),
            horizon: terms.horizon,
            alone: alone(index),
        })
        .collect()
}
