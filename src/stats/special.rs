//! Special functions in log space, and how logarithms are written down.
//!
//! Everything that the engines multiply, they add as logarithms; −∞ is the logarithm of nothing and is allowed, NaN is
//! not. The sums here shift by the maximum, so neither overflow nor underflow loses anything that matters.

use statrs::function::erf::erfc;

/// ln(√(2π)).
pub const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_7;

/// Below this difference of logarithms, the smaller of two terms cannot change the larger (e^−40 < 2^−57).
const NEGLIGIBLE: f64 = -40.0;

/// ln(e^a + e^b).
#[must_use]
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let difference = low - high;
    // Both −∞ give NaN here; the comparison is false for it, and for a negligible term.
    if difference > NEGLIGIBLE { high + difference.exp().ln_1p() } else { high }
}

/// ln(Σ e^v); −∞ for no terms.
#[must_use]
pub fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if high.is_infinite() {
        return high;
    }
    let sum: f64 = values
        .map(|v| v - high)
        .map(|difference| if difference > NEGLIGIBLE { difference.exp() } else { 0.0 })
        .sum();
    high + sum.ln()
}

/// Each base to the power of `n`, by squaring: a few multiplications of all at once, where logarithms would be as many as
/// there are bases. The relative error is about n·2^−53.
#[must_use]
pub fn powers<const N: usize>(mut bases: [f64; N], mut n: u32) -> [f64; N] {
    let mut powers = [1.0; N];
    loop {
        if n % 2 == 1 {
            powers.iter_mut().zip(&bases).for_each(|(power, base)| *power *= base);
        }
        n /= 2;
        if n == 0 {
            return powers;
        }
        for base in &mut bases {
            *base *= *base;
        }
    }
}

/// The logarithm of the standard normal distribution function, exact far into both tails.
///
/// A floor under the distribution function instead (1e−300, say) turns very good canaries into very bad ones.
#[must_use]
pub fn log_ndtr(z: f64) -> f64 {
    if z > 5.0 {
        (-0.5 * erfc(z / std::f64::consts::SQRT_2)).ln_1p()
    } else if z > -30.0 {
        (0.5 * erfc(-z / std::f64::consts::SQRT_2)).ln()
    } else {
        // Mills' ratio, asymptotic series (Abramowitz & Stegun 26.2.12): the next term is below 2e−14.
        let q = 1.0 / (z * z);
        let series = 1.0 - q * (1.0 - 3.0 * q * (1.0 - 5.0 * q * (1.0 - 7.0 * q * (1.0 - 9.0 * q))));
        -0.5 * z * z - (-z).ln() - LN_SQRT_2PI + series.ln()
    }
}

/// ln B(a, b) for positive a and b, without the cancellation of three log-gammas when an argument is large.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if large < 10.0 {
        return statrs::function::beta::ln_beta(small, large);
    }
    // ln Γ(z) = (z − ½) ln z − z + ln √2π + δ(z), and the large terms are subtracted before they are formed
    // (Didonato & Morris, ACM TOMS 708, 1992).
    let sum = a + b;
    if small < 10.0 {
        let ratio = (large - 0.5) * (-small / sum).ln_1p() - small * sum.ln() + small;
        statrs::function::gamma::ln_gamma(small) + ratio + stirling_rest(large) - stirling_rest(sum)
    } else {
        LN_SQRT_2PI - 0.5 * large.ln()
            + (small - 0.5) * (small / sum).ln()
            + large * (-small / sum).ln_1p()
            + stirling_rest(small)
            + stirling_rest(large)
            - stirling_rest(sum)
    }
}

/// δ(z) = ln Γ(z) − (z − ½) ln z + z − ln √2π for z ≥ 10, to 1e−16.
fn stirling_rest(z: f64) -> f64 {
    let q = 1.0 / (z * z);
    (1.0 / 12.0
        - q * (1.0 / 360.0
            - q * (1.0 / 1260.0
                - q * (1.0 / 1680.0 - q * (1.0 / 1188.0 - q * (691.0 / 360_360.0 - q * (1.0 / 156.0)))))))
        / z
}

/// Logarithms in a serialised state: JSON has no infinities, so −∞ is written as null. Use with `#[serde(with)]`.
pub mod log_values {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes each value, −∞ as null.
    ///
    /// # Errors
    /// Whatever the serializer says.
    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|v| v.is_finite().then_some(*v)))
    }

    /// Reads each value, null as −∞.
    ///
    /// # Errors
    /// Whatever the deserializer says.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|v| v.unwrap_or(f64::NEG_INFINITY)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, statistics};

    fn pairs(name: &str) -> Vec<Vec<f64>> {
        serde_json::from_value(statistics()["special"][name].clone()).unwrap()
    }

    #[test]
    fn the_log_normal_distribution_function_agrees_far_into_the_tails() {
        for case in pairs("log_ndtr") {
            close(log_ndtr(case[0]), case[1], 1e-10, &case);
        }
        // The two branches meet, at both joints.
        close(log_ndtr(-30.0 + 1e-12), log_ndtr(-30.0 - 1e-12), 1e-12, &"-30");
        close(log_ndtr(5.0 + 1e-12), log_ndtr(5.0 - 1e-12), 1e-6, &"5");
    }

    #[test]
    fn the_log_beta_function_agrees_and_loses_nothing_at_large_arguments() {
        for case in pairs("betaln") {
            close(ln_beta(case[0], case[1]), case[2], 1e-10, &case);
            close(ln_beta(case[1], case[0]), case[2], 1e-10, &case);
        }
        // B(a+1, b) = B(a, b)·a/(a+b): the step is visible beside 1e12.
        for (a, b) in [(3.0, 1e12), (5e11, 5e11), (9.9, 10.1), (12.0, 40.0)] {
            let step = ln_beta(a + 1.0, b) - ln_beta(a, b);
            assert!(
                (step - (a / (a + b)).ln()).abs() < 1e-3_f64.min(1e-15 * (a + b)).max(1e-12),
                "{a} {b} {step}"
            );
        }
    }

    #[test]
    fn powers_are_those_of_logarithms() {
        let bases = [0.02_f64, 0.9, 1.0, 1.0 + 1e-9, 3.7];
        for n in [0, 1, 2, 3, 15, 64, 75, 1000] {
            for (base, power) in bases.into_iter().zip(powers(bases, n)) {
                let log = f64::from(n) * base.ln();
                if log.abs() < 700.0 {
                    close(power.ln(), log, 1e-13, &(base, n));
                }
            }
        }
    }

    #[test]
    fn sums_in_log_space_survive_the_extremes() {
        let nothing = f64::NEG_INFINITY;
        assert!(log_add_exp(nothing, nothing).is_infinite());
        close(log_add_exp(nothing, 3.0), 3.0, 0.0, &"−∞");
        close(log_add_exp(1e300, -1e300), 1e300, 0.0, &"huge");
        close(log_sum_exp([1000.0, 1000.0].into_iter()), 1000.0 + 2.0_f64.ln(), 1e-15, &"shifted");
        assert!(log_sum_exp(std::iter::empty()).is_infinite());
        assert!(log_sum_exp([nothing, nothing].into_iter()).is_infinite());
    }
}
