//! The likelihood of one look, matched to its noise: made once, used by every engine.

use super::super::count::PairCount;
use super::Spread;

/// The trapezoid rule in v for u = mode + σ sinh v: 25 nodes from −3.6 to 3.6.
const STEP: f64 = 0.3;
const NODES: usize = 25;

/// The log likelihood of one closed look as a function of the log ratio η, up to a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// With frailty.
    Frailty(FrailtyLikelihood),
}

impl Likelihood {
    /// Of a closed look, under the noise that is assumed for it.
    #[must_use]
    pub fn new(look: &PairCount, spread: Spread) -> Self {
        let k = look.events();
        if spread.frailty <= 0.0 || k <= 0.0 {
            Self::Binomial { x: look.canary.events(), k, rho: look.share(), phi: spread.phi }
        } else {
            Self::Frailty(FrailtyLikelihood {
                canary: look.canary.events() / spread.phi,
                baseline: look.baseline.events() / spread.phi,
                kappa: 1.0 / spread.frailty,
                exposure: (look.canary.exposure() / look.baseline.exposure()).ln(),
            })
        }
    }
}

/// Each arm's count, divided by φ, is negative binomial with shape κ, the inverse of the frailty. The common rate λ is
/// integrated over dλ/λ, the right Haar measure, look by look, so that whatever moves both arms cancels as it does in the
/// binomial. Its limits are the conditional binomial for κ → ∞ and the F(2κ, 2κ) law of the rates' ratio for large counts.
///
/// Up to a canary share of ½ its likelihood ratios have expectation at most 1 (by enumeration, not by a theorem).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrailtyLikelihood {
    canary: f64,
    baseline: f64,
    kappa: f64,
    /// The log of the ratio of exposures.
    exposure: f64,
}

impl FrailtyLikelihood {
    /// The log likelihood at log ratio `eta`: ln of
    /// ∫ `e^{yc (u+a)} (1 + e^{u+a})^−(yc+κ) · e^{yb u} (1 + e^u)^−(yb+κ)` du, where a is `eta` plus the log of the
    /// exposures' ratio. In closed form it is yc·a + ln B(k, 2κ) + ln ₂F₁(yc+κ, k; k+2κ; 1−e^a), with k = yc + yb.
    ///
    /// The integrand is log-concave. A trapezoid rule about its mode, scaled by its curvature there, has an error of
    /// about 1e−7; all engines use the same rule.
    #[must_use]
    pub fn log(&self, eta: f64) -> f64 {
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
        let sum: f64 = nodes()
            .iter()
            .map(|(sinh, log_cosh)| {
                let step = sigma * sinh;
                // Where this overflows the integrand is 0, and so is what comes out.
                let rise = step.exp() - 1.0;
                let fall =
                    canary * (1.0 + at_canary * rise).ln() + baseline * (1.0 + at_baseline * rise).ln();
                (events * step - fall + log_cosh).exp()
            })
            .sum();
        peak + (sum * sigma * STEP).ln()
    }
}

/// sinh v and ln cosh v of each node.
fn nodes() -> &'static [(f64, f64); NODES] {
    static TABLE: std::sync::LazyLock<[(f64, f64); NODES]> = std::sync::LazyLock::new(|| {
        let mut v = -3.6;
        std::array::from_fn(|_| {
            let node = (f64::sinh(v), f64::cosh(v).ln());
            v += STEP;
            node
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
            let likelihood = FrailtyLikelihood { canary, baseline, kappa: number("kappa"), exposure: 0.0 };
            // The vectors leave the factor e^{yc a} out.
            close(likelihood.log(a) - canary * a, number("rule"), 1e-9, case);
        }
    }
}
