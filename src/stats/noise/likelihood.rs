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
    /// The log likelihood at log ratio `eta`.
    #[must_use]
    pub fn log(&self, eta: f64) -> f64 {
        log_haar(self.canary, self.baseline, self.kappa, self.exposure + eta) + self.canary * eta
    }
}

/// ln of ∫ e^{k u} (1 + e^{u+a})^−(yc+κ) (1 + e^u)^−(yb+κ) du with k = yc + yb > 0, which is
/// ln B(k, 2κ) + ln ₂F₁(yc+κ, k; k+2κ; 1−e^a).
///
/// The integrand is log-concave, so a trapezoid rule about its mode with σ from its curvature there needs few nodes.
fn log_haar(canary: f64, baseline: f64, kappa: f64, a: f64) -> f64 {
    let (k, m, q, c) = (canary + baseline, canary + kappa, baseline + kappa, a.exp());
    // The mode e^u: m·sig(u+a) + q·sig(u) = k, a quadratic; the root is taken where nothing cancels.
    let (square, linear) = (2.0 * kappa * c, m * c + q - k * (1.0 + c));
    let root = (linear * linear + 4.0 * square * k).sqrt();
    let mode = if linear > 0.0 { 2.0 * k / (linear + root) } else { (root - linear) / (2.0 * square) };
    let curvature = |z: f64| z / ((1.0 + z) * (1.0 + z));
    let sigma = (m * curvature(c * mode) + q * curvature(mode)).sqrt().recip();
    let centre = mode.ln();
    // Where e^u overflows, the true integrand is 0 and so is what is computed.
    let integrand = |u: f64, e: f64| k * u - m * (1.0 + c * e).ln() - q * (1.0 + e).ln();
    let peak = integrand(centre, mode);
    let nodes = nodes();
    let sum: f64 = nodes
        .iter()
        .map(|(sinh, log_cosh)| {
            let step = sigma * sinh;
            (integrand(centre + step, mode * step.exp()) - peak + log_cosh).exp()
        })
        .sum();
    peak + (sum * sigma * STEP).ln()
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
            let got = log_haar(number("yc"), number("yb"), number("kappa"), number("la"));
            close(got, number("rule"), 1e-9, case);
        }
    }
}
