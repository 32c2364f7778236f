//! A Kalman filter of one series of differences under one noise model, which gathers what it says about a level and
//! a ramp.

use serde::{Deserialize, Serialize};

use super::fit::LIMIT;
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

/// What is foreseen of an observation beside the AR part.
struct Foreseen {
    /// What a level of 1 adds to what is not foreseen.
    level: f64,
    /// What the offset is expected to add, and the variance of what is not known of it.
    offset: f64,
    uncertain: f64,
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

    /// Takes in an observation. What lies further from what is expected than `limit` standard deviations of the noise, and
    /// [`LIMIT`] of what is not known yet of the offset, counts as if it were there. A few units do not tell whether offsets
    /// have heavy tails, and samples do not at all.
    ///
    /// The offset must be part of what is expected: a canary five times as large from the first would else be cut to
    /// a few standard deviations of the noise at every tick, and look like a small offset.
    pub(super) fn observe(&mut self, observation: f64, regressors: Regressors, noise: &Noise, limit: f64) {
        let total = self.variance + noise.white;
        let Foreseen { level, offset: expected, uncertain } = self.foresee(regressors, noise);
        let reach = (limit * total.sqrt()).hypot(LIMIT * uncertain.sqrt());
        let innovation = expected + (observation - self.expected - expected).max(-reach).min(reach);
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

    fn foresee(&self, regressors: Regressors, noise: &Noise) -> Foreseen {
        let level = regressors.level - self.level_weight;
        let offset = noise.offset / (regressors.level * regressors.level);
        let seen = 1.0 + offset * self.level_information;
        Foreseen {
            level,
            offset: level * offset * self.level_score / seen,
            uncertain: level * level * offset / seen,
        }
    }

    /// What an observation differs from what is expected by, squared and over its variance: 1 in the mean if the noise is this.
    pub(super) fn surprise(&self, observation: f64, regressors: Regressors, noise: &Noise) -> f64 {
        let Foreseen { offset, uncertain, .. } = self.foresee(regressors, noise);
        (observation - self.expected - offset).powi(2) / (self.variance + noise.white + uncertain)
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
