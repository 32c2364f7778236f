//! The floor: a sequential test that knows what the judge has to find out.

use super::traffic::{GEOMETRIC_SIZE, UNIFORM_SIZE};
use super::{Effect, Family, Fault, Scenario};
use crate::stats::special::log_sum_exp;
use crate::stats::{Likelihood, PairCount, SeriesLikelihood, Spread};

/// Wald's one-sided sequential probability ratio test between "as good as the baseline" and the fault itself, from its
/// onset on, with the law that the errors were made by. It knows neither the base rate nor the drift: as the
/// engines do, it compares with the concurrent baseline alone (conditionally on the total for independent errors, with
/// the common rate integrated over dλ/λ for all others).
#[derive(Debug)]
pub struct Oracle {
    family: Family,
    fault: Fault,
    slice: usize,
    log_ratio: f64,
}

impl Oracle {
    /// Of a scenario with a fault; nothing for one without, or whose canary has a level of its own.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Option<Self> {
        let fault = scenario.fault?;
        matches!(fault.effect, Effect::Times(_)).then_some(Self {
            family: scenario.family,
            fault,
            slice: 0,
            log_ratio: 0.0,
        })
    }

    /// Takes the counts of the next slice, and gives the log likelihood ratio so far.
    pub fn take(&mut self, counts: &PairCount) -> f64 {
        let late = self.slice >= self.fault.onset;
        self.slice += 1;
        if let (true, true, Effect::Times(times)) = (late, counts.is_closed(), self.fault.effect) {
            self.log_ratio += log_ratio(self.family, counts, times);
        }
        self.log_ratio
    }
}

/// The log likelihood ratio of one slice.
fn log_ratio(family: Family, counts: &PairCount, times: f64) -> f64 {
    let k = counts.events();
    if k <= 0.0 {
        return 0.0;
    }
    match family {
        Family::Burst | Family::Retry => clustered(family, counts, times) - clustered(family, counts, 1.0),
        _ => {
            let frailty = family.shape().map_or(0.0, f64::recip);
            match Likelihood::new(counts, Spread { phi: 1.0, frailty }) {
                Likelihood::Binomial { x, k, rho, .. } => x * times.ln() - k * (rho * (times - 1.0)).ln_1p(),
                Likelihood::Series(likelihood) => ratio_of(&likelihood, times),
            }
        }
    }
}

fn ratio_of(likelihood: &SeriesLikelihood, times: f64) -> f64 {
    let [there, here] = likelihood.log([times.ln(), 0.0]);
    there - here
}

/// Nodes of the integral over the common rate, and how far they reach either way, in log rate.
const NODES: i32 = 31;
const REACH: f64 = 3.0;

/// ln of the probability of clustered counts, the common rate integrated over dλ/λ.
fn clustered(family: Family, counts: &PairCount, times: f64) -> f64 {
    let (canary, baseline) = (counts.canary, counts.baseline);
    let centre = (counts.events() / (canary.exposure() * times + baseline.exposure())).ln();
    let half = f64::from(NODES / 2);
    let nodes: Vec<f64> = (0..NODES)
        .map(|node| {
            let rate = (centre + REACH * (f64::from(node) - half) / half).exp();
            log_clusters(family, canary.events(), rate * times * canary.exposure())
                + log_clusters(family, baseline.events(), rate * baseline.exposure())
        })
        .collect();
    log_sum_exp(nodes.iter().copied())
}

/// ln of the probability of `x` errors in a Poisson number of clusters, `mean` errors expected (Panjer's recursion).
fn log_clusters(family: Family, x: f64, mean: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a simulated count")]
    let x = x as usize;
    // The last five terms, P(i−1) first, from P(0) = 1.
    let mut last = [1.0, 0.0, 0.0, 0.0, 0.0];
    let go_on = 1.0 - 1.0 / GEOMETRIC_SIZE;
    let clusters =
        if family == Family::Burst { mean / GEOMETRIC_SIZE } else { 2.0 * mean / (1.0 + UNIFORM_SIZE) };
    let mut log = -clusters;
    for i in 1..=x {
        #[expect(clippy::cast_precision_loss, reason = "a simulated count")]
        let step = i as f64;
        let next = if family == Family::Burst {
            ((2.0 * go_on * (step - 1.0) + clusters / GEOMETRIC_SIZE) * last[0]
                - go_on * go_on * (step - 2.0) * last[1])
                / step
        } else {
            let terms = last.iter().zip([1.0, 2.0, 3.0, 4.0, 5.0]);
            clusters / UNIFORM_SIZE * terms.map(|(p, size)| p * size).sum::<f64>() / step
        };
        last = [next, last[0], last[1], last[2], last[3]];
        let largest = last.iter().fold(0.0_f64, |a, b| a.max(*b));
        if !(1e-100..1e100).contains(&largest) {
            log += largest.ln();
            last = last.map(|p| p / largest);
        }
    }
    log + last[0].ln()
}
