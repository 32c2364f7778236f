//! A Kalman filter of one series of differences under one noise model, which gathers what it says about a level and
//! a ramp.

use serde::{Deserialize, Serialize};

use super::noise::Noise;

/// The filter's state, and the information gathered since it began.
///
/// The observations are differences divided by their standard deviation relative to the fitted one, so that one
/// filter goes on while units come and go. A level of 1 then adds `regressors.level` to an observation, a ramp of 1
/// an hour `regressors.ramp`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Filter {
    /// What the AR part is expected to be, and the weights of level and ramp in that expectation.
    expected: f64,
    level_weight: f64,
    ramp_weight: f64,
    /// Variance of the AR part given the past.
    variance: f64,
    level_information: f64,
    level_score: f64,
    ramp_information: f64,
    ramp_score: f64,
    /// Information that level and ramp share.
    shared: f64,
}

/// What a level of 1, and a ramp of 1 an hour, add to an observation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regressors {
    pub level: f64,
    pub ramp: f64,
}

impl Filter {
    /// A filter in the stationary state.
    pub(super) fn stationary(noise: &Noise) -> Self {
        Self {
            expected: 0.0,
            level_weight: 0.0,
            ramp_weight: 0.0,
            variance: noise.ar,
            level_information: 0.0,
            level_score: 0.0,
            ramp_information: 0.0,
            ramp_score: 0.0,
            shared: 0.0,
        }
    }

    /// Lets the past lose correlation: by φ^g over g ticks, or by what a change of units leaves of it.
    pub(super) fn decay(&mut self, factor: f64, noise: &Noise) {
        self.expected *= factor;
        self.level_weight *= factor;
        self.ramp_weight *= factor;
        self.variance = factor * factor * self.variance + noise.ar * (1.0 - factor * factor);
    }

    /// Takes in an observation. Innovations beyond `limit` standard deviations count as if they were there.
    pub(super) fn observe(
        &mut self,
        observation: f64,
        regressors: Regressors,
        noise: &Noise,
        limit: f64,
        first: bool,
    ) {
        let total = self.variance + noise.white;
        let reach = limit * if first { (total + noise.offset).sqrt() } else { total.sqrt() };
        let innovation = (observation - self.expected).max(-reach).min(reach);
        let level = regressors.level - self.level_weight;
        let ramp = regressors.ramp - self.ramp_weight;
        let gain = self.variance / total;
        self.expected += gain * innovation;
        self.level_weight += gain * level;
        self.ramp_weight += gain * ramp;
        self.variance *= 1.0 - gain;
        self.level_information += level * level / total;
        self.level_score += level * innovation / total;
        self.ramp_information += ramp * ramp / total;
        self.ramp_score += ramp * innovation / total;
        self.shared += level * ramp / total;
    }

    /// Information and score of the level, when a persistent offset of this variance may look like one.
    pub(super) fn level(&self, offset: f64) -> (f64, f64) {
        let dilution = 1.0 + offset * self.level_information;
        (self.level_information / dilution, self.level_score / dilution)
    }

    /// Information and score of the ramp beside such an offset.
    pub(super) fn ramp(&self, offset: f64) -> (f64, f64) {
        let share = offset * self.shared / (1.0 + offset * self.level_information);
        ((self.ramp_information - share * self.shared).max(0.0), self.ramp_score - share * self.level_score)
    }

    /// Information and score of the ramp beside any level. Nothing before there are two samples.
    pub(super) fn slope(&self) -> (f64, f64) {
        let share = if self.level_information > 0.0 { self.shared / self.level_information } else { 0.0 };
        ((self.ramp_information - share * self.shared).max(0.0), self.ramp_score - share * self.level_score)
    }
}
