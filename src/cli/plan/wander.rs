//! How an app's traffic wanders in both versions alike, where nothing tells it: as that of a service does. What is held against the
//! past feels it. What is compared side by side does so only by the noise: what neighbouring looks of the baseline differ by for it
//! may as well be each version's own, and is taken for that.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::StandardNormal;

use crate::stats::above_deadband;

/// A stationary first-order autoregression in logarithms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wander {
    /// What of it is still there at the next look.
    memory: f64,
    /// Its standard deviation.
    pub(super) deviation: f64,
}

/// Of the requests.
pub(super) const TRAFFIC: Wander = Wander { memory: 0.9, deviation: 0.15 };
/// Of the ratios.
pub(super) const RATIO: Wander = Wander { memory: 0.95, deviation: 0.3 };
/// Of the odds of a request being slow: latencies by 5 %.
pub(super) const SLOWNESS: Wander = Wander { memory: RATIO.memory, deviation: 0.05 * STEEP };
/// How steeply requests get fewer with their duration where no histogram was read: odds by the power of the duration.
pub(super) const STEEP: f64 = 2.2;
/// Of the value that all units of a gauge share.
pub(super) const SHARED: Wander = Wander { memory: 0.97, deviation: 0.1 };

impl Wander {
    /// The next state, in standard deviations.
    pub(super) fn next(self, state: f64, random: &mut StdRng) -> f64 {
        drift(state, self.memory, random)
    }

    /// The dispersion that is measured of so many independent events a look where their rate wanders, by the mean squared difference
    /// of neighbouring looks.
    pub(super) fn dispersion(self, events: f64) -> f64 {
        above_deadband(1.0 + events * self.deviation.powi(2) * (1.0 - self.memory))
    }

    /// Factors of so many looks, the same ones whenever they are asked for: 1 in the mean, and just as wide as they are on average.
    #[expect(clippy::cast_precision_loss, reason = "an hour of looks")]
    pub(super) fn typical(self, looks: usize) -> Vec<f64> {
        let mut random = StdRng::seed_from_u64(2);
        let mut state = random.sample(StandardNormal);
        let states: Vec<f64> = (0..looks)
            .map(|_| {
                state = self.next(state, &mut random);
                state
            })
            .collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let centre = mean(&states);
        let width =
            mean(&states.iter().map(|state| (state - centre).powi(2)).collect::<Vec<_>>()).sqrt().max(1e-9);
        let factors: Vec<f64> =
            states.iter().map(|state| (self.deviation * (state - centre) / width).exp()).collect();
        let level = mean(&factors);
        factors.iter().map(|factor| factor / level).collect()
    }
}

/// The next state of a stationary first-order autoregression, in standard deviations.
pub(super) fn drift(state: f64, memory: f64, random: &mut StdRng) -> f64 {
    memory * state + (1.0 - memory * memory).sqrt() * random.sample::<f64, _>(StandardNormal)
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution as _, Poisson};

    use super::*;
    use crate::stats::{ArmCount, hist_phi};

    #[test]
    fn a_rate_that_wanders_is_measured_to_have_the_dispersion_that_is_said() {
        let mut random = StdRng::seed_from_u64(3);
        let (mut state, events, requests) = (0.0, 150.0, 15_000.0);
        let mut look = || {
            state = RATIO.next(state, &mut random);
            let events = Poisson::new(events * (RATIO.deviation * state).exp()).unwrap().sample(&mut random);
            ArmCount::ratio(events, requests).unwrap()
        };
        let looks: Vec<ArmCount> = (0..20_000).map(|_| look()).collect();
        let (measured, said) = (hist_phi(&looks), RATIO.dispersion(events));
        assert!(said > 1.6 && (measured / said - 1.0).abs() < 0.1, "{measured} {said}");
        assert!((RATIO.dispersion(10.0) - 1.0).abs() < 1e-12, "within the deadband");
    }

    #[test]
    fn typical_factors_are_one_in_the_mean_and_as_wide_as_is_said() {
        for wander in [TRAFFIC, RATIO, SHARED] {
            let factors = wander.typical(240);
            let mean = factors.iter().sum::<f64>() / 240.0;
            let square = factors.iter().map(|factor| factor.ln().powi(2)).sum::<f64>() / 240.0;
            assert!(
                (mean - 1.0).abs() < 1e-12 && (square.sqrt() / wander.deviation - 1.0).abs() < 0.05,
                "{mean} {square}"
            );
            let steps =
                factors.windows(2).filter(|pair| (pair[1] / pair[0]).ln().abs() > wander.deviation).count();
            assert!(steps < 40, "it wanders rather than jumps: {steps}");
        }
    }
}
