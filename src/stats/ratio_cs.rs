//! The confidence sequence for the rate ratio: an interval that holds at all looks at once, while the share of traffic
//! moves.
//!
//! For each log ratio on a symmetric grid it keeps the log likelihood of all ticks (conditional on each tick's total, as
//! [`Tilt`](super::Tilt) does). A ratio is in the sequence while a mixture over the whole grid has not gathered
//! evidence 1/alpha against it (Robbins 1970; Howard et al. 2021, arXiv 1810.08240).

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::count::{PairCount, Refusal, among, dispersion, share};
use super::noise::Likelihood;
use super::noise::chebyshev::{ORDER, dot, terms};
use super::special::log_sum_exp;

/// Points on either side of ratio 1.
const HALF: i32 = 128;
/// The largest ratio on the grid.
const LARGEST: f64 = 64.0;
/// The standard deviation of the log ratio under the mixture.
const SCALE: f64 = 1.5;

/// The grid: log ratios, what a tick needs of them, and the mixture.
struct Points {
    eta: Vec<f64>,
    /// e^η − 1.
    step: Vec<f64>,
    log_weight: Vec<f64>,
    /// The terms of a Chebyshev series.
    terms: Vec<[f64; ORDER]>,
}

fn points() -> &'static Points {
    static POINTS: LazyLock<Points> = LazyLock::new(|| {
        let eta: Vec<f64> = (-HALF..=HALF).map(|g| LARGEST.ln() * f64::from(g) / f64::from(HALF)).collect();
        let density = eta.iter().map(|eta| -0.5 * (eta / SCALE).powi(2));
        let norm = log_sum_exp(density.clone());
        let log_weight = density.map(|d| d - norm).collect();
        let step = eta.iter().map(|eta| eta.exp_m1()).collect();
        let terms = eta.iter().map(|eta| terms(*eta)).collect();
        Points { eta, step, log_weight, terms }
    });
    &POINTS
}

/// An interval for a ratio, with its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end; nothing if the data do not bound it.
    pub lower: Option<f64>,
    /// The most likely value; nothing before the first event.
    pub estimate: Option<f64>,
    /// The upper end; nothing if the data do not bound it.
    pub upper: Option<f64>,
}

/// The confidence sequence's state: the log likelihood at 257 ratios from 1/64 to 64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioCs {
    log_likelihood: Vec<f64>,
    /// Some event was seen.
    informed: bool,
}

impl Default for RatioCs {
    fn default() -> Self {
        Self { log_likelihood: vec![0.0; points().eta.len()], informed: false }
    }
}

impl RatioCs {
    /// A tick of both arms with independent errors; an open one says nothing. `phi` is the over-dispersion.
    ///
    /// # Errors
    /// A `phi` that is no dispersion, counts that are none.
    pub fn pair(&mut self, counts: &PairCount, phi: f64) -> Result<(), Refusal> {
        if counts.is_closed() {
            self.binomial(counts.canary.events(), counts.events(), counts.share(), phi)
        } else {
            Ok(())
        }
    }

    /// A closed look of both arms with its noise.
    ///
    /// # Errors
    /// None that a likelihood made from a closed look gives.
    pub fn look(&mut self, likelihood: &Likelihood) -> Result<(), Refusal> {
        match likelihood {
            Likelihood::Binomial { x, k, rho, phi } => self.binomial(*x, *k, *rho, *phi),
            Likelihood::Series(likelihood) => {
                self.informed = true;
                // What all points have in common says nothing.
                let mut series = *likelihood.series();
                series[0] = 0.0;
                for (log, terms) in self.log_likelihood.iter_mut().zip(&points().terms) {
                    *log += dot(terms, &series);
                }
                Ok(())
            }
        }
    }

    /// `x` of `k` events were the canary's, whose share of the exposure was `rho`.
    ///
    /// # Errors
    /// `x` above `k` or no counts, a `rho` that is no share, a `phi` that is no dispersion.
    pub fn binomial(&mut self, x: f64, k: f64, rho: f64, phi: f64) -> Result<(), Refusal> {
        among(x, k)?;
        let (rho, phi) = (share(rho)?, dispersion(phi)?);
        if k <= 0.0 {
            return Ok(());
        }
        self.informed = true;
        let grid = points();
        for ((log, eta), step) in self.log_likelihood.iter_mut().zip(&grid.eta).zip(&grid.step) {
            *log += (x * eta - k * (rho * step).ln_1p()) / phi;
        }
        Ok(())
    }

    /// The (1 − `alpha`) sequence now, `alpha` between 0 and 1, snapped outwards by one point of the grid (7 % apart
    /// twice over).
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        let grid = points();
        let mixed = log_sum_exp(grid.log_weight.iter().zip(&self.log_likelihood).map(|(w, l)| w + l));
        let bar = mixed + alpha.ln();
        let inside = |log: &f64| *log > bar;
        let last = grid.eta.len() - 1;
        let best = self.most_likely();
        // Where the mixture refutes every point (a ratio far beyond the grid), what is left is the likeliest one.
        let low = self.log_likelihood.iter().position(inside).unwrap_or(best);
        let high = self.log_likelihood.iter().rposition(inside).unwrap_or(best);
        Interval {
            lower: low.checked_sub(1).map(|g| grid.eta[g].exp()),
            estimate: self.informed.then(|| grid.eta[best].exp()),
            upper: (high < last).then(|| grid.eta[high + 1].exp()),
        }
    }

    /// The first point of the largest likelihood.
    fn most_likely(&self) -> usize {
        let mut best = 0;
        for (g, log) in self.log_likelihood.iter().enumerate() {
            if *log > self.log_likelihood[best] {
                best = g;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, pair, rows, statistics};

    #[test]
    fn sequences_agree_with_the_vectors() {
        for case in statistics()["ratio_cs_grid"].as_array().unwrap() {
            let mut sequence = RatioCs::default();
            for tick in rows(&case["ticks_xc_nc_xb_nb"]) {
                let counts = pair(&tick);
                sequence.pair(&counts, 1.0).unwrap();
            }
            for (alpha, name) in [(0.05, "cs95_lo_hi_mle"), (0.01, "cs99_lo_hi_mle")] {
                let got = sequence.interval(alpha);
                let expected = case[name].as_array().unwrap();
                close(got.lower.unwrap_or(0.0), expected[0].as_f64().unwrap(), 1e-10, case);
                match expected[1].as_f64() {
                    Some(upper) => close(got.upper.unwrap(), upper, 1e-10, case),
                    None => assert_eq!(got.upper, None),
                }
                // The vectors call the lowest point the estimate where nothing was seen; here there is none.
                if let Some(estimate) = got.estimate {
                    close(estimate, expected[2].as_f64().unwrap(), 1e-10, case);
                }
            }
        }
    }

    #[test]
    fn without_events_there_is_neither_estimate_nor_end() {
        let nothing = Interval { lower: None, estimate: None, upper: None };
        assert_eq!(RatioCs::default().interval(0.01), nothing);
    }

    #[test]
    fn a_ratio_beyond_the_grid_is_bounded_on_one_side_only() {
        let mut sequence = RatioCs::default();
        sequence.binomial(1e6, 1e6, 0.01, 1.0).unwrap();
        let interval = sequence.interval(0.01);
        assert!(interval.lower.unwrap() > 50.0);
        assert_eq!(interval.upper, None);
    }
}
