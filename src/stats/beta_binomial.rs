//! The two-sided e-process for a proportion with a beta mixture, in closed form, and its confidence sequence.
//!
//! With a constant share of exposure, the canary's part of all events is a proportion, so this is also the sequence for
//! a rate ratio (Robbins 1970; Howard et al. 2021, Annals of Statistics 49:1055; Lindon & Malek
//! 2022). With a share that changes, use [`RatioCs`](super::RatioCs).

use super::special::ln_beta;

/// The mixture Beta(a, b) over the proportion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBinomial {
    /// Above 0.
    pub a: f64,
    /// Above 0.
    pub b: f64,
}

impl Default for BetaBinomial {
    /// Jeffreys' prior, a = b = ½.
    fn default() -> Self {
        Self { a: 0.5, b: 0.5 }
    }
}

impl BetaBinomial {
    /// ln E against "the proportion is `q`" after `x` of `k`; 0 ≤ x ≤ k, 0 < q < 1.
    #[must_use]
    pub fn log_e(self, x: f64, k: f64, q: f64) -> f64 {
        self.log_marginal(x, k) - times_log(x, q.ln()) - times_log(k - x, (-q).ln_1p())
    }

    /// The ends of the (1 − `alpha`) confidence sequence for the proportion after `x` of `k`.
    #[must_use]
    pub fn interval(self, x: f64, k: f64, alpha: f64) -> (f64, f64) {
        if k <= 0.0 {
            return (0.0, 1.0);
        }
        let excess = self.log_marginal(x, k) - (1.0 / alpha).ln();
        // The lower end is sought in ln q, where a tiny proportion is far from another; the upper end in q.
        let outside =
            |log_q: f64, log_rest: f64| excess - times_log(x, log_q) - times_log(k - x, log_rest) > 0.0;
        let mean = x / k;
        let lower = if x <= 0.0 {
            0.0
        } else {
            let highest = mean.min(1.0 - 1e-16).ln();
            bisect(|u| outside(u, (-u.exp()).ln_1p()), 1e-300_f64.ln(), highest).exp()
        };
        let upper = if x >= k { 1.0 } else { bisect(|q| !outside(q.ln(), (-q).ln_1p()), mean, 1.0) };
        (lower, upper)
    }

    fn log_marginal(self, x: f64, k: f64) -> f64 {
        ln_beta(self.a + x, self.b + k - x) - ln_beta(self.a, self.b)
    }
}

/// n·ln, where nothing times −∞ is nothing.
fn times_log(n: f64, log: f64) -> f64 {
    if n > 0.0 { n * log } else { 0.0 }
}

/// Where `before` turns from true to false between `low` and `high`.
fn bisect(before: impl Fn(f64) -> bool, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The (1 − `alpha`) confidence sequence for the rate ratio, canary over baseline, at a constant share of exposure:
/// events and exposure of the canary, then of the baseline. The upper end may be infinite.
#[must_use]
pub fn ratio_cs_constant_share(canary: (f64, f64), baseline: (f64, f64), alpha: f64) -> (f64, f64) {
    let (low, high) = BetaBinomial::default().interval(canary.0, canary.0 + baseline.0, alpha);
    let per = baseline.1 / canary.1;
    let ratio = |q: f64| if q < 1.0 { q / (1.0 - q) * per } else { f64::INFINITY };
    (ratio(low), ratio(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, statistics};

    #[test]
    fn evidence_and_sequence_agree_with_the_vectors() {
        for case in statistics()["beta_binomial"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let engine = BetaBinomial { a: number("a"), b: number("b") };
            let (x, k) = (number("x"), number("k"));
            close(engine.log_e(x, k, number("q")), number("log_e"), 1e-10, case);
            for (alpha, name) in [(0.05, "cs95"), (0.01, "cs99")] {
                let (low, high) = engine.interval(x, k, alpha);
                let expected = numbers(&case[name]);
                close(low, expected[0], 1e-10, case);
                close(high, expected[1], 1e-10, case);
            }
        }
    }

    #[test]
    fn ratio_sequences_at_a_constant_share_agree_with_the_vectors() {
        for case in statistics()["ratio_cs_constant_share"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let (low, high) =
                ratio_cs_constant_share((number("xc"), number("nc")), (number("xb"), number("nb")), 0.05);
            let expected = case["cs95"].as_array().unwrap();
            close(low, expected[0].as_f64().unwrap(), 1e-9, case);
            match expected[1].as_f64() {
                Some(expected) => close(high, expected, 1e-9, case),
                None => assert!(high.is_infinite(), "{case} {high}"),
            }
        }
    }
}
