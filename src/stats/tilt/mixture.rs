//! A mixture of likelihood ratios over effects, and over the time at which the effect began.
//!
//! An engine gives each tick's log likelihood ratio of each effect; what it has gathered so far is [`Mixture::log_e`].

use serde::{Deserialize, Serialize};

use super::super::prior::{Grid, MOST_POINTS, Prior};
use super::super::special::{log_add_exp, log_sum_exp};

/// The part of a late onset's probability that is kept for the time after the horizon.
const KEPT: f64 = 0.1;

/// When the effect may have begun, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Onset {
    /// At the first tick.
    Start,
    /// At the first tick with probability `start`, else at any time within `horizon`, evenly (a finite-horizon
    /// cousin of e-detectors: Shin, Ramdas & Rinaldo 2022, arXiv 2203.03532). The last tenth of that is kept for the time from
    /// then on, without end, ever thinner: as 1/t².
    Late {
        /// Between 0 and 1, above 0.
        start: f64,
        /// In the unit of the ticks' `dt`; above 0.
        horizon: f64,
    },
}

impl Onset {
    /// The default for harm: 70 % at the start.
    #[must_use]
    pub fn within(horizon: f64) -> Self {
        Self::Late { start: 0.7, horizon }
    }

    /// The probability of an onset at this tick.
    fn mass(self, first: bool, dt: f64, used: f64) -> f64 {
        match self {
            Self::Start if first => 1.0,
            Self::Start => 0.0,
            Self::Late { start, .. } if first => start.clamp(0.0, 1.0),
            Self::Late { start, horizon } => {
                let (late, left) = (1.0 - start.clamp(0.0, 1.0), (1.0 - used).max(0.0));
                let (kept, time) = (KEPT * late, dt / horizon.max(f64::MIN_POSITIVE));
                let even = (late * time).min((left - kept).max(0.0));
                if kept <= 0.0 || late * time <= even {
                    return even;
                }
                // From then on what is left falls as 1/t, however long the ticks are.
                let (left, time) = (left - even, time - even / late);
                even + left - left / (1.0 + left / kept * time)
            }
        }
    }
}

/// What a mixture over effects and onsets remembers: for each effect, Σ π(s) LR(s..now) over onsets s. Shared by
/// the engines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Mixture {
    prior: Prior,
    onset: Onset,
    /// Nothing before the first onset.
    mass: Vec<Mass>,
    /// The most, in nats, that one tick may speak for any effect.
    #[serde(default)]
    most: Option<f64>,
    /// The onset probability spent so far.
    used: f64,
    started: bool,
    /// ln E after the last tick.
    log_e: f64,
}

impl Mixture {
    pub(in super::super) fn new(prior: Prior, onset: Onset) -> Self {
        let mass = vec![Mass::NOTHING; prior.grid().h.len()];
        Self { prior, onset, mass, most: None, used: 0.0, started: false, log_e: 0.0 }
    }

    /// One whose effects began at the start, if there are any, with other weights than its grid's: each in proportion to
    /// e^`log_weight`(h). The state need not name them: they are in what each effect is worth before the first tick.
    pub(super) fn weighted(prior: Prior, log_weight: impl Fn(f64) -> f64) -> Self {
        let grid = prior.grid();
        let norm = log_sum_exp(grid.h.iter().map(|h| log_weight(*h)));
        let weights = grid.h.iter().zip(&grid.log_weight);
        let mass = weights.map(|(h, usual)| Mass::of_log(log_weight(*h) - norm - usual)).collect();
        Self { prior, onset: Onset::Start, mass, most: None, used: 1.0, started: true, log_e: 0.0 }
    }

    /// The same where no tick speaks for an effect with more than `nats`. A likelihood ratio that is taken smaller is still of an
    /// expectation of at most 1.
    pub(in super::super) fn capped(self, nats: f64) -> Self {
        Self { most: Some(nats), ..self }
    }

    /// The same from now on.
    pub(super) fn cap(&mut self, nats: f64) {
        self.most = Some(nats);
    }

    pub(in super::super) fn grid(&self) -> &'static Grid {
        self.prior.grid()
    }

    /// One tick: the onset of this moment enters, then each effect's log likelihood ratio is added.
    pub(in super::super) fn absorb(&mut self, dt: f64, log_ratio: impl Fn(usize) -> f64) {
        self.enter(dt);
        let (points, most) = (self.grid().h.len(), self.most.unwrap_or(f64::INFINITY));
        for (j, mass) in self.mass.iter_mut().take(points).enumerate() {
            *mass = mass.times_exp(log_ratio(j).min(most));
        }
        self.mix();
    }

    /// The same with the likelihood ratios themselves, whose logarithms are below [`MOST`] either way.
    pub(super) fn multiply(&mut self, dt: f64, ratios: &[f64; MOST_POINTS]) {
        self.enter(dt);
        let most = self.most.map_or(f64::INFINITY, f64::exp);
        for (mass, ratio) in self.mass.iter_mut().zip(ratios) {
            *mass = mass.times(ratio.min(most));
        }
        self.mix();
    }

    /// A tick that says nothing: only the onset of this moment enters, which keeps its schedule in time. The evidence
    /// stays: what enters was counted as yet to come.
    pub(in super::super) fn enter(&mut self, dt: f64) {
        let onset = self.onset.mass(!self.started, dt, self.used);
        self.started = true;
        if onset > 0.0 {
            for mass in &mut self.mass {
                *mass = mass.plus(onset);
            }
            self.used = (self.used + onset).min(1.0);
        }
    }

    /// ln E: 0 before the first tick, never NaN.
    pub(in super::super) fn log_e(&self) -> f64 {
        self.log_e
    }

    /// Where there is more than at first, takes all effects that may have begun for less, until it is as much as at first.
    pub(in super::super) fn forget(&mut self) {
        if self.log_e <= 0.0 {
            return;
        }
        // All that is beyond what is kept for onsets to come.
        let rest = (1.0 - self.used).clamp(0.0, 1.0);
        let gained = self.log_e + (-(rest.ln() - self.log_e).exp()).ln_1p();
        let keeps = self.used.max(f64::MIN_POSITIVE).ln() - gained;
        for mass in &mut self.mass {
            *mass = mass.times_exp(keeps);
        }
        self.mix();
    }

    fn mix(&mut self) {
        let grid = self.prior.grid();
        let rest = 1.0 - self.used;
        let mut sum = if rest > 1e-15 { rest } else { 0.0 };
        let mut beyond = f64::NEG_INFINITY;
        for (mass, (weight, log_weight)) in self.mass.iter().zip(grid.weight.iter().zip(&grid.log_weight)) {
            match mass {
                Mass::Plain(mass) => sum += weight * mass,
                Mass::Log { log } => beyond = log_add_exp(beyond, log_weight + log),
            }
        }
        self.log_e = log_add_exp(sum.ln(), beyond);
    }
}

/// The largest logarithm, either way, of what is kept as it is: e^300 is 1e130, and the product of two such numbers is still
/// far from a double's ends.
pub(super) const MOST: f64 = 300.0;
const LARGEST: f64 = 1e130;

/// A number that is not negative, however large or small: as it is where a double holds it with room to spare, which takes
/// no logarithm to add to it and to sum it, else its logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Mass {
    Plain(f64),
    Log { log: f64 },
}

impl Mass {
    const NOTHING: Self = Self::Plain(0.0);

    fn of_log(log: f64) -> Self {
        if log.abs() < MOST { Self::Plain(log.exp()) } else { Self::Log { log } }
    }

    fn times_exp(self, log: f64) -> Self {
        match self {
            Self::Plain(mass) if mass <= 0.0 => self,
            Self::Plain(_) if log.abs() < MOST => self.times(log.exp()),
            Self::Plain(mass) => Self::of_log(mass.ln() + log),
            Self::Log { log: before } => Self::of_log(before + log),
        }
    }

    /// So many times as much, between e^−[`MOST`] and e^[`MOST`].
    fn times(self, ratio: f64) -> Self {
        match self {
            Self::Plain(mass) => {
                let mass = mass * ratio;
                if (1.0 / LARGEST..LARGEST).contains(&mass) || mass <= 0.0 {
                    Self::Plain(mass)
                } else {
                    Self::Log { log: mass.ln() }
                }
            }
            Self::Log { log } => Self::of_log(log + ratio.ln()),
        }
    }

    /// With some more, which is above 0 and at most 1.
    fn plus(self, more: f64) -> Self {
        match self {
            Self::Plain(mass) => Self::Plain(mass + more),
            Self::Log { log } => Self::of_log(log_add_exp(log, more.ln())),
        }
    }
}

#[cfg(test)]
mod tests;
