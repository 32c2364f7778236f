//! What the judge asks of each signal, known before anything was seen.

use super::combine;
use super::evidence::Terms;
use super::ladder::Ladder;
use crate::policy::Policy;

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
}

/// What is asked of each signal of a policy, in its order.
#[must_use]
pub fn asks(policy: &Policy) -> Vec<Ask> {
    let ladder = Ladder::new(policy);
    let weights: Vec<_> = policy.signals.iter().map(|signal| (signal.weight, signal.critical)).collect();
    let terms = Terms::of(policy);
    policy
        .signals
        .iter()
        .zip(combine::parts(&weights))
        .map(|(signal, weight)| Ask {
            weight,
            harm_threshold: -(terms.alpha * weight).ln(),
            safe_threshold: -terms.beta.ln(),
            allowed: 1.0 + signal.margin,
            within: ladder.rungs(signal),
        })
        .collect()
}
