//! How large the effect is, and where it is going: numbers for people, which decide nothing.

use serde::{Deserialize, Serialize};

use super::bank::{Branch, LEVEL_SAMPLES, LEVEL_SCALE, Observation};
use super::filter::Filter;
use super::mixture::normal_radius;

/// A filter over the whole test whose clip follows the recent median, so that a large effect is not cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    start: i64,
    samples: u32,
    widest: f64,
    filters: Vec<Filter>,
}

/// Standard deviations above 0 at which a slope counts as one.
const CLEAR: f64 = 2.5;

impl Trend {
    pub(super) fn new(branch: &Branch) -> Self {
        let filters = branch.models.iter().map(Filter::stationary).collect();
        Self { start: 0, samples: 0, widest: 0.0, filters }
    }

    /// Takes in a difference; `typical` is the median of the recent ones.
    pub(super) fn observe(&mut self, branch: &Branch, seen: Observation, typical: f64, hours: f64) {
        let first = self.samples == 0;
        if first {
            self.start = seen.tick;
        }
        self.samples = self.samples.saturating_add(1);
        self.widest = self.widest.max(seen.spread * seen.spread);
        let centre = typical / seen.spread;
        let observation = (seen.difference / seen.spread).max(centre - branch.clip).min(centre + branch.clip);
        let regressors = seen.regressors(self.start, hours);
        let decays = seen.decays(&branch.models);
        for ((filter, model), decay) in self.filters.iter_mut().zip(&branch.models).zip(decays) {
            if !first {
                filter.decay(decay, model);
            }
            // Innovations are not limited: a jump is what is to be measured.
            filter.observe(observation, regressors, model, f64::MAX, first);
        }
    }

    /// The mean difference so far: lower end, estimate, upper end, valid at all looks at once at ln(1/alpha) =
    /// `threshold` if the noise is as fitted.
    pub(super) fn level(&self, branch: &Branch, threshold: f64) -> Option<[f64; 3]> {
        if self.samples < LEVEL_SAMPLES {
            return None;
        }
        let mut interval: Option<[f64; 3]> = None;
        for (filter, model) in self.filters.iter().zip(&branch.models) {
            let (information, score) = filter.level(model.offset * self.widest);
            let estimate = score / information;
            let radius = normal_radius(information, LEVEL_SCALE * LEVEL_SCALE, threshold);
            let [lower, first, upper] = interval.unwrap_or([estimate; 3]);
            interval = Some([lower.min(estimate - radius), first, upper.max(estimate + radius)]);
        }
        interval.filter(|ends| ends[1].is_finite())
    }

    /// The slope an hour if it is clearly above 0 under every model, beside any level: the least of the models'.
    pub(super) fn slope(&self) -> Option<f64> {
        let slope = |filter: &Filter| {
            let (information, score) = filter.slope();
            (score > CLEAR * information.sqrt()).then(|| score / information)
        };
        let slopes: Option<Vec<f64>> = self.filters.iter().map(slope).collect();
        slopes?.into_iter().reduce(f64::min).filter(|slope| slope.is_finite())
    }
}
