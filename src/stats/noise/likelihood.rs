//! The likelihood of one look, matched to its noise: made once, used by every engine.

use std::sync::LazyLock;

use super::super::count::PairCount;
use super::Spread;
use super::chebyshev::{self, ORDER, SPAN};
use super::cluster::{ClusterLaw, MANY};

/// The trapezoid rule in v for u = mode + σ sinh v, from −3.6 to 3.6: so many nodes on either side of the mode.
const STEP: f64 = 0.3;
const NODES: usize = 12;
/// Terms below this part of the largest are left out.
const SMALL: f64 = 1e-14;

/// Below this many events (counts may be real numbers) the integral's peak is too flat to be found in doubles, and nothing
/// is learnt anyway.
const LEAST_EVENTS: f64 = 1e-6;

/// The log likelihood of one closed look as a function of the log ratio η, up to a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once a look, on the stack, and passed by reference")]
pub enum Likelihood {
    /// Without frailty: the binomial, conditional on the total, divided by φ.
    Binomial {
        /// The canary's events.
        x: f64,
        /// All events.
        k: f64,
        /// The canary's share of the exposure.
        rho: f64,
        /// Variance over mean.
        phi: f64,
    },
    /// With frailty, or with clusters that are seen one by one.
    Series(SeriesLikelihood),
}

impl Likelihood {
    /// Of a closed look, under the noise that is assumed for it.
    #[must_use]
    pub fn new(look: &PairCount, spread: Spread) -> Self {
        let k = look.events();
        if spread.frailty <= 0.0 || k < LEAST_EVENTS {
            Self::Binomial { x: look.canary.events(), k, rho: look.share(), phi: spread.phi }
        } else {
            let frail = Frail {
                canary: look.canary.events() / spread.phi,
                baseline: look.baseline.events() / spread.phi,
                kappa: 1.0 / spread.frailty,
                exposure: (look.canary.exposure() / look.baseline.exposure()).ln(),
            };
            Self::Series(SeriesLikelihood::new(|eta| frail.log(eta)))
        }
    }

    /// Of a closed look whose events come in clusters by `law`, if they are neither none nor many.
    pub(super) fn of_clusters(look: &PairCount, law: ClusterLaw) -> Option<Self> {
        let likelihood = (0.5..=MANY).contains(&look.events()).then(|| law.likelihood(look))?;
        Some(Self::Series(SeriesLikelihood::new(likelihood)))
    }
}

/// A likelihood that costs an integral at each log ratio.
///
/// With clusters it is that of a [`ClusterLaw`](super::ClusterLaw). With frailty, each arm's count, divided by φ, is negative binomial with shape κ, the inverse of the frailty. The common rate λ is
/// integrated over dλ/λ, the right Haar measure, look by look, so that whatever moves both arms cancels as it does in the
/// binomial. Its limits are the conditional binomial for κ → ∞ and the F(2κ, 2κ) law of the rates' ratio for large counts.
///
/// Up to a canary share of ½ its likelihood ratios have expectation at most 1 (by enumeration, not by a theorem).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesLikelihood {
    /// The likelihood as a Chebyshev series: it is computed for each node instead of each point of each engine.
    series: [f64; ORDER],
}

impl SeriesLikelihood {
    fn new(log: impl Fn(f64) -> f64) -> Self {
        Self { series: chebyshev::fit(log) }
    }

    /// The log likelihood at each log ratio of `eta`. Beyond a ratio of 164 it is that at 164: an effect as large is then
    /// looked for as if it were no larger, which is still a likelihood ratio.
    #[must_use]
    pub fn log<const N: usize>(&self, eta: [f64; N]) -> [f64; N] {
        chebyshev::sum(&self.series, eta.map(|eta| eta.clamp(-SPAN, SPAN)))
    }

    /// The coefficients of the Chebyshev series.
    pub(in super::super) fn series(&self) -> &[f64; ORDER] {
        &self.series
    }
}

/// What the integral needs: the events of either arm over φ, κ, and the log of the ratio of exposures.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frail {
    canary: f64,
    baseline: f64,
    kappa: f64,
    exposure: f64,
}

impl Frail {
    /// The log likelihood at log ratio `eta`: ln of
    /// ∫ `e^{yc (u+a)} (1 + e^{u+a})^−(yc+κ) · e^{yb u} (1 + e^u)^−(yb+κ)` du, where a is `eta` plus the log of the
    /// exposures' ratio. In closed form it is yc·a + ln B(k, 2κ) + ln ₂F₁(yc+κ, k; k+2κ; 1−e^a), with k = yc + yb.
    ///
    /// The integrand is log-concave. A trapezoid rule about its mode, scaled by its curvature there, has an error of
    /// about 1e−7.
    fn log(&self, eta: f64) -> f64 {
        let (events, kappa) = (self.canary + self.baseline, self.kappa);
        let (canary, baseline) = (self.canary + kappa, self.baseline + kappa);
        let ratio = (self.exposure + eta).exp();
        // The odds e^u at the mode solve a quadratic; its positive root is taken where nothing cancels.
        let square = 2.0 * kappa * ratio;
        let linear = canary * ratio + baseline - events * (1.0 + ratio);
        let root = (linear * linear + 4.0 * square * events).sqrt();
        let odds_baseline =
            if linear > 0.0 { 2.0 * events / (linear + root) } else { (root - linear) / (2.0 * square) };
        let odds_canary = ratio * odds_baseline;
        let (at_canary, at_baseline) =
            (odds_canary / (1.0 + odds_canary), odds_baseline / (1.0 + odds_baseline));
        let curvature =
            canary * at_canary / (1.0 + odds_canary) + baseline * at_baseline / (1.0 + odds_baseline);
        let sigma = curvature.sqrt().recip();
        // Each term is of the size of its own count: differences between ratios keep their digits.
        let peak = -self.canary * odds_canary.recip().ln_1p()
            - kappa * odds_canary.ln_1p()
            - self.baseline * odds_baseline.recip().ln_1p()
            - kappa * odds_baseline.ln_1p();
        let term = |sinh: f64, log_cosh: f64| {
            let step = sigma * sinh;
            // Where this overflows the integrand is 0, and so is what comes out.
            let rise = step.exp() - 1.0;
            let fall = canary * (1.0 + at_canary * rise).ln() + baseline * (1.0 + at_baseline * rise).ln();
            (events * step - fall + log_cosh).exp()
        };
        // The term at the mode is 1. On either side they fall for good once they are small.
        let side = |sign: f64| -> f64 {
            let terms = nodes().iter().map(|(sinh, log_cosh)| term(sign * sinh, *log_cosh));
            terms.take_while(|term| *term > SMALL).sum()
        };
        peak + ((1.0 + side(1.0) + side(-1.0)) * sigma * STEP).ln()
    }
}

/// sinh v and ln cosh v of each node right of the mode.
fn nodes() -> &'static [(f64, f64); NODES] {
    static TABLE: LazyLock<[(f64, f64); NODES]> = LazyLock::new(|| {
        let mut v = 0.0;
        std::array::from_fn(|_| {
            v += STEP;
            (f64::sinh(v), f64::cosh(v).ln())
        })
    });
    &TABLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, noise};

    #[test]
    fn the_integral_agrees_with_the_vectors() {
        for case in noise()["log_haar"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let (canary, baseline, a) = (number("yc"), number("yb"), number("la"));
            let likelihood = Frail { canary, baseline, kappa: number("kappa"), exposure: 0.0 };
            // The vectors leave the factor e^{yc a} out.
            close(likelihood.log(a) - canary * a, number("rule"), 1e-9, case);
        }
    }

    #[test]
    fn the_series_gives_the_integral() {
        for (canary, baseline, exposure) in
            [(0.0, 1.0, -2.2), (3.0, 14.0, -2.2), (900.0, 9000.0, -2.2), (1e6, 2e5, 0.0), (0.0, 5e4, -13.0)]
        {
            for kappa in [0.8, 4.0, 20.0, 100.0, 500.0] {
                let exact = Frail { canary, baseline, kappa, exposure };
                let series = SeriesLikelihood::new(|eta| exact.log(eta));
                let size = exact.log(SPAN).abs().max(exact.log(-SPAN).abs());
                for eta in [-5.0, -3.7, -1.0, -0.1, 0.0, 0.2, 1.1, 2.9, 4.3, 5.05] {
                    let [got] = series.log([eta]);
                    let case = (eta, canary, baseline, exposure, kappa);
                    close((got - exact.log(eta)) / size.max(1.0), 0.0, 1e-11, &case);
                }
            }
        }
    }
}
