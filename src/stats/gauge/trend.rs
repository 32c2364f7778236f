//! How large the effect is, and where it is going: numbers for people, which decide nothing.

use serde::{Deserialize, Serialize};

use super::bank::{Branch, LEVEL_SAMPLES, LEVEL_SCALE, Observation, RAMP_SCALE};
use super::filter::Filter;
use super::mixture::normal_radius;

/// Filters whose clip follows the recent median, so that a large effect is not cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    samples: u32,
    widest: f64,
    /// One for each model, over the whole test.
    whole: Vec<Filter>,
    /// The same since the units last changed, as other units have other offsets, which looks like a slope.
    since: Vec<Filter>,
    start: i64,
}

/// A slope counts as one where a sequence that is wrong at any look with this probability excludes 0. With 2.5 standard deviations
/// at each look instead, a good canary of four had at some look "a ramp", of up to 10^15 % an hour where few looks were
/// extrapolated.
const ERROR: f64 = 0.01;

impl Trend {
    pub(super) fn new(branch: &Branch) -> Self {
        let whole: Vec<Filter> = branch.models.iter().map(Filter::stationary).collect();
        Self { samples: 0, widest: 0.0, since: whole.clone(), whole, start: 0 }
    }

    /// Takes in a difference; `typical` is the median of the recent ones.
    pub(super) fn observe(&mut self, branch: &Branch, seen: Observation, typical: f64, hours: f64) {
        let first = self.samples == 0;
        self.samples = self.samples.saturating_add(1);
        self.widest = self.widest.max(seen.spread * seen.spread);
        let centre = typical / seen.spread;
        let observation = (seen.difference / seen.spread).max(centre - branch.clip).min(centre + branch.clip);
        let fresh = first || seen.units_changed();
        if fresh {
            self.start = seen.tick;
            self.since = branch.models.iter().map(Filter::stationary).collect();
        }
        let regressors = seen.regressors(self.start, hours);
        let decays = seen.decays(&branch.models);
        for (index, (model, decay)) in branch.models.iter().zip(decays).enumerate() {
            for (filters, starts) in [(&mut self.whole, first), (&mut self.since, fresh)] {
                let Some(filter) = filters.get_mut(index) else { continue };
                if !starts {
                    filter.decay(decay, model);
                }
                // Innovations are not limited: a jump is what is to be measured.
                filter.observe(observation, regressors, model, f64::MAX);
            }
        }
    }

    /// The mean difference so far: lower end, estimate, upper end, valid at all looks at once at ln(1/alpha) =
    /// `threshold` if the noise is as fitted.
    pub(super) fn level(&self, branch: &Branch, threshold: f64) -> Option<[f64; 3]> {
        if self.samples < LEVEL_SAMPLES {
            return None;
        }
        let mut interval: Option<[f64; 3]> = None;
        for (filter, model) in self.whole.iter().zip(&branch.models) {
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
            let radius = normal_radius(information, RAMP_SCALE * RAMP_SCALE, -ERROR.ln());
            (score / information > radius).then(|| score / information)
        };
        let slopes: Option<Vec<f64>> = self.since.iter().map(slope).collect();
        slopes?.into_iter().reduce(f64::min).filter(|slope| slope.is_finite())
    }
}
