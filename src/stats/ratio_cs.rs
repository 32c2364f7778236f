//! The confidence sequence for the rate ratio: an interval that holds at all looks at once, while the share of traffic
//! moves.
//!
//! The log likelihood of all ticks (conditional on each tick's total, as [`Tilt`](super::Tilt) does) is known at each log
//! ratio of a symmetric grid. A ratio is in the sequence while a mixture over the whole grid has not gathered
//! evidence 1/alpha against it (Robbins 1970; Howard et al. 2021, arXiv 1810.08240).
//!
//! It is a smooth function, so that it is kept as a Chebyshev series: a tick costs as many logarithms as the series has
//! nodes, a fifth of the grid's points, and the grid is worked out when somebody asks.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::count::{PairCount, Refusal, among, dispersion, share};
use super::noise::Likelihood;
use super::noise::chebyshev::{ORDER, dot, nodes, terms, through};
use super::special::log_sum_exp;

/// Points on either side of ratio 1.
const HALF: i32 = 128;
/// The largest ratio on the grid.
const LARGEST: f64 = 64.0;
/// The standard deviation of the log ratio under the mixture.
const SCALE: f64 = 1.5;

/// The grid: log ratios, the terms of a Chebyshev series there, and the mixture.
struct Points {
    eta: Vec<f64>,
    terms: Vec<[f64; ORDER]>,
    log_weight: Vec<f64>,
    /// e^η − 1 at the series' nodes.
    step: [f64; ORDER],
}

fn points() -> &'static Points {
    static POINTS: LazyLock<Points> = LazyLock::new(|| {
        let eta: Vec<f64> = (-HALF..=HALF).map(|g| LARGEST.ln() * f64::from(g) / f64::from(HALF)).collect();
        let density = eta.iter().map(|eta| -0.5 * (eta / SCALE).powi(2));
        let norm = log_sum_exp(density.clone());
        let log_weight = density.map(|d| d - norm).collect();
        let terms = eta.iter().map(|eta| terms(*eta)).collect();
        Points { eta, terms, log_weight, step: nodes().map(f64::exp_m1) }
    });
    &POINTS
}

/// An interval for a ratio, with its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end; nothing if the data do not bound it.
    pub lower: Option<f64>,
    /// The most likely value; nothing before the first event, and where it lies beyond all ratios that are told apart.
    pub estimate: Option<f64>,
    /// The upper end; nothing if the data do not bound it.
    pub upper: Option<f64>,
}

/// The confidence sequence's state: the log likelihood at all ratios from 1/64 to 64, up to a constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioCs {
    /// Of the ticks with independent errors, at the nodes of the series.
    at_nodes: Vec<f64>,
    /// Of all others, as the series' coefficients.
    series: Vec<f64>,
    /// Some event was seen.
    informed: bool,
}

impl Default for RatioCs {
    fn default() -> Self {
        Self { at_nodes: vec![0.0; ORDER], series: vec![0.0; ORDER], informed: false }
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
                // The first term, which all ratios have in common, says nothing.
                for (sum, coefficient) in self.series.iter_mut().zip(likelihood.series()).skip(1) {
                    *sum += coefficient;
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
        for ((log, eta), step) in self.at_nodes.iter_mut().zip(nodes()).zip(&points().step) {
            *log += (x * eta - k * (rho * step).ln_1p()) / phi;
        }
        Ok(())
    }

    /// The log likelihood at each point of the grid, up to a constant.
    fn log_likelihood(&self) -> Vec<f64> {
        let mut at_nodes = self.at_nodes.iter();
        let mut series = through(&std::array::from_fn(|_| at_nodes.next().copied().unwrap_or_default()));
        for (coefficient, other) in series.iter_mut().zip(&self.series) {
            *coefficient += other;
        }
        series[0] = 0.0;
        points().terms.iter().map(|terms| dot(terms, &series)).collect()
    }

    /// The (1 − `alpha`) sequence now, `alpha` between 0 and 1, snapped outwards by one point of the grid (7 % apart
    /// twice over).
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        Interval::over(&self.log_likelihood(), alpha, self.informed)
    }
}

impl Interval {
    /// Of the log likelihood at each point of the grid.
    fn over(log_likelihood: &[f64], alpha: f64, informed: bool) -> Self {
        let grid = points();
        let mixed = log_sum_exp(grid.log_weight.iter().zip(log_likelihood).map(|(w, l)| w + l));
        let bar = mixed + alpha.ln();
        let inside = |log: &f64| *log > bar;
        let last = grid.eta.len() - 1;
        let best = first_of_largest(log_likelihood);
        // Where the mixture refutes every point (a ratio far beyond the grid), what is left is the likeliest one.
        let low = log_likelihood.iter().position(inside).unwrap_or(best);
        let high = log_likelihood.iter().rposition(inside).unwrap_or(best);
        Self {
            lower: low.checked_sub(1).map(|g| grid.eta[g].exp()),
            estimate: (informed && 0 < best && best < last).then(|| grid.eta[best].exp()),
            upper: (high < last).then(|| grid.eta[high + 1].exp()),
        }
    }
}

fn first_of_largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
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

    /// The log likelihood of a tick at a point of the grid, straight from its formula.
    fn exact(x: f64, k: f64, rho: f64, eta: f64) -> f64 {
        x * eta - k * (rho * eta.exp_m1()).ln_1p()
    }

    #[test]
    fn the_series_is_the_likelihood_however_large_counts_and_ratios_are() {
        let grid = points();
        for share in [1e-6_f64, 1e-3, 0.05, 0.5, 0.97, 1.0 - 1e-6] {
            for events in [1.0_f64, 30.0, 1e4, 1e8, 1e12] {
                for times in [1.0 / 64.0, 1.0 / 8.0, 1.0, 3.0, 64.0] {
                    let case = (share, events, times);
                    let odds = times * share / (1.0 - share);
                    let x = (events * odds / (1.0 + odds)).round();
                    let mut sequence = RatioCs::default();
                    sequence.binomial(x, events, share, 1.0).unwrap();
                    sequence.binomial(0.0, 1.0, 0.5, 1.0).unwrap();
                    let of = |eta: &f64| exact(x, events, share, *eta) + exact(0.0, 1.0, 0.5, *eta);
                    let expected: Vec<f64> = grid.eta.iter().map(of).collect();
                    let got = sequence.log_likelihood();
                    let best = first_of_largest(&expected);
                    assert_eq!(first_of_largest(&got), best, "{case:?}");
                    for (got_at, expected_at) in got.iter().zip(&expected) {
                        let off = (got_at - got[best]) - (expected_at - expected[best]);
                        assert!(off.abs() <= 1e-12 * events + 1e-9, "{case:?}: {off}");
                    }
                    assert_eq!(sequence.interval(0.01), Interval::over(&expected, 0.01, true), "{case:?}");
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
