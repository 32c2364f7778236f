//! Evidence that a canary is less bad than a given ratio: what a promotion rests on.

use serde::{Deserialize, Serialize};

use super::bank::{Branch, LEVEL_SAMPLES, LEVEL_SCALE, Observation};
use super::filter::Filter;
use super::mixture::half_normal;

/// The running test of "the canary is at least `bound` worse", with the same noise as the test of harm, but with a
/// single component: evidence that it was not so during the whole time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Safety {
    /// The difference that is to be excluded, on the comparison's scale.
    bound: f64,
    samples: u32,
    widest: f64,
    filters: Vec<Filter>,
    evidence: f64,
}

impl Safety {
    pub(super) fn new(bound: f64, branch: &Branch) -> Self {
        let filters = branch.models.iter().map(Filter::stationary).collect();
        Self { bound, samples: 0, widest: 0.0, filters, evidence: 0.0 }
    }

    /// Natural logarithm of the evidence; 0 before there are enough samples.
    pub(super) fn evidence(&self) -> f64 {
        self.evidence
    }

    /// The difference that is to be excluded, on the comparison's scale.
    pub(super) fn bound(&self) -> f64 {
        self.bound
    }

    /// Takes in an observation. Where ranks are compared, the bound has been taken off the canary's values before.
    pub(super) fn observe(&mut self, branch: &Branch, seen: Observation) {
        let held = if branch.ranked { 0.0 } else { self.bound / seen.spread };
        let distance = (held - seen.difference / seen.spread).max(-branch.clip - held).min(branch.clip);
        // The ramp is not looked at; its regressor may be anything.
        let regressors = seen.regressors(seen.tick, 0.0);
        let first = self.samples == 0;
        self.samples = self.samples.saturating_add(1);
        self.widest = self.widest.max(seen.spread * seen.spread);
        let mut evidence = f64::INFINITY;
        let decays = seen.decays(&branch.models);
        for ((filter, model), decay) in self.filters.iter_mut().zip(&branch.models).zip(decays) {
            if !first {
                filter.decay(decay, model);
            }
            filter.observe(distance, regressors, model, branch.limit);
            let (information, score) = filter.level(model.offset * self.widest);
            evidence = evidence.min(half_normal(information, score, (LEVEL_SCALE * branch.scale).powi(2)));
        }
        if self.samples >= LEVEL_SAMPLES && evidence.is_finite() {
            self.evidence = evidence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::gauge::noise::Noise;
    use crate::stats::vectors::close;

    /// White noise: each sample adds 1/variance of information, and a canary far below counts as if it were at the clip.
    #[test]
    fn evidence_is_that_of_the_clipped_distance() {
        let noise = Noise { ar: 0.01, ..Noise::NONE };
        let branch = Branch {
            models: vec![noise],
            clip: 0.2,
            limit: 100.0,
            scale: 1.0,
            ranked: false,
            inflation: 1.0,
        };
        let mut safety = Safety::new(0.4, &branch);
        for tick in 0..5_i64 {
            let gap = i64::from(tick > 0);
            safety.observe(&branch, Observation { tick, gap, difference: -3.0, spread: 1.0, kept: 1.0 });
        }
        close(safety.evidence(), half_normal(500.0, 500.0 * 0.2, 0.09), 1e-12, &"clipped");
        // Beyond the bound, the distance is negative and counts in full up to the clip beyond the bound.
        let mut harmful = Safety::new(0.4, &branch);
        for tick in 0..5_i64 {
            let gap = i64::from(tick > 0);
            harmful.observe(&branch, Observation { tick, gap, difference: 9.0, spread: 1.0, kept: 1.0 });
        }
        close(harmful.evidence(), half_normal(500.0, -500.0 * 0.6, 0.09), 1e-12, &"harmful");
    }
}
