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
            filter.observe(distance, regressors, model, branch.limit, first);
            let (information, score) = filter.level(model.offset * self.widest);
            evidence = evidence.min(half_normal(information, score, (LEVEL_SCALE * branch.scale).powi(2)));
        }
        if self.samples >= LEVEL_SAMPLES && evidence.is_finite() {
            self.evidence = evidence;
        }
    }
}
