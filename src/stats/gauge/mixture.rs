//! Mixtures over the size of an effect, in closed form.

use std::f64::consts::LN_2;

use statrs::function::beta::beta_reg;

use crate::stats::special::log_ndtr;

/// ln 2∫₀^∞ N(m; 0, `variance`) exp(m·`score` − m²·`information`/2) dm: the likelihood ratio of "the level is above 0"
/// to "it is 0", averaged over levels that are half-normal with this variance.
///
/// `information` and `score` are A and B of a Gaussian log likelihood m·B − m²·A/2. The result is monotone in the
/// score, so it is evidence against every level at or below 0 (Robbins 1970; Howard et al. 2021).
pub(super) fn half_normal(information: f64, score: f64, variance: f64) -> f64 {
    let widening = 1.0 + variance * information;
    LN_2 - 0.5 * widening.ln()
        + score * score * variance / (2.0 * widening)
        + log_ndtr(score * (variance / widening).sqrt())
}

/// Half the width of a two-sided confidence sequence for a level of which `information` has been gathered: what
/// ln E ≥ `threshold` excludes when the level is mixed over a normal distribution with this variance (Robbins 1970).
/// Infinite without information.
pub(super) fn normal_radius(information: f64, variance: f64, threshold: f64) -> f64 {
    let widening = 1.0 + variance * information;
    (widening * (widening.ln() + 2.0 * threshold) / variance).sqrt() / information
}

/// Evidence, as a logarithm, that the mean of `n` independent normal values is above 0, whatever their variance, from
/// their sum and sum of squares: the right-Haar mixture over the scale, half-normal over the standardised mean (Lai
/// 1976; Wang and Ramdas 2023). 0 for fewer than two values or only zeros.
pub(super) fn student(n: f64, sum: f64, squares: f64) -> f64 {
    if n < 2.0 || squares <= 0.0 {
        return 0.0;
    }
    let shrink = 1.0 / (1.0 + n);
    // The share of the squares that the mean explains, kept below 1 where all values are equal.
    let explained = (shrink * sum * sum / squares).min(1.0 - 1e-15);
    let two_sided = -0.5 * n.ln_1p() - 0.5 * n * (-explained).ln_1p();
    let t_squared = n * explained / (1.0 - explained);
    let tail = 0.5 * beta_reg(n / 2.0, 0.5, n / (n + t_squared));
    let below = if sum > 0.0 { 1.0 - tail } else { tail };
    // Where the tail is too small for a double, the product of a huge and a tiny number is unknown, but small: a mean
    // below 0 is never evidence of one above.
    if below > 0.0 { two_sided + LN_2 + below.ln() } else { UNKNOWN }
}

/// A logarithm of evidence that is surely below the true one.
const UNKNOWN: f64 = -745.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, rows, statistics};

    #[test]
    fn the_half_normal_mixture_agrees() {
        let gauges = super::super::tests::vectors();
        for case in rows(&gauges["scalars"]["half_normal_mix_A_B_tau2"]) {
            close(half_normal(case[0], case[1], case[2]), case[3], 1e-10, &case);
        }
        for case in statistics()["half_normal_mix"].as_array().unwrap() {
            let at = |key: &str| case[key].as_f64().unwrap();
            close(half_normal(at("A"), at("B"), at("tau2")), at("log_e"), 1e-10, case);
        }
    }

    #[test]
    fn the_student_mixture_agrees() {
        for case in statistics()["t_mixture"].as_array().unwrap() {
            let at = |key: &str| case[key].as_f64().unwrap();
            if (at("tau2") - 1.0).abs() < 1e-12 {
                close(student(at("n"), at("S"), at("Q")), at("log_e_positive"), 1e-8, case);
            }
        }
    }

    /// A floor under the distribution function would make this canary, far below, look far above.
    #[test]
    fn a_mean_far_below_is_no_evidence_of_one_above() {
        assert!(student(5000.0, -5000.0, 5000.1) < 0.0);
        assert!(student(50.0, -50.0, 50.0) < 0.0);
        assert!(half_normal(1e6, -1e6, 0.09) < 0.0);
    }

    /// The radius is where the two-sided mixture ½·ln... reaches the threshold.
    #[test]
    fn the_radius_is_where_the_mixture_reaches_the_threshold() {
        let (information, variance, threshold) = (400.0_f64, 0.09, 3.0);
        let score = normal_radius(information, variance, threshold) * information;
        let widening = 1.0 + variance * information;
        let log_e = -0.5 * widening.ln() + score * score * variance / (2.0 * widening);
        close(log_e, threshold, 1e-12, &"radius");
    }
}
