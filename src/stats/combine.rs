//! Several e-values, one budget.

use super::special::log_sum_exp;

/// ln of the weighted mean of e-values, from their logarithms. Weights are positive and need not sum to 1. A weighted mean
/// of e-values is an e-value under any dependence (Vovk & Wang, "E-values: calibration, combination and
/// applications", Annals of Statistics 2021). −∞ without any.
#[must_use]
pub fn weighted_mean(logs: &[f64], weights: &[f64]) -> f64 {
    let whole: f64 = weights.iter().sum();
    log_sum_exp(logs.iter().zip(weights).map(|(log, weight)| log + (weight / whole).ln()))
}

/// The indices of the e-values that e-BH rejects at false discovery rate `alpha`, ascending (Wang & Ramdas, "False
/// discovery rate control with e-values", JRSS-B 2022, arXiv 2009.02824). Takes logarithms.
#[must_use]
pub fn e_bh(logs: &[f64], alpha: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logs.len()).collect();
    order.sort_by(|a, b| logs[*b].total_cmp(&logs[*a]));
    #[expect(clippy::cast_precision_loss, reason = "a policy has fewer than 2^52 signals")]
    let enough = |rank: usize| (logs.len() as f64 / (rank as f64 * alpha)).ln();
    let rejected = (1..=logs.len()).rev().find(|rank| logs[order[rank - 1]] >= enough(*rank)).unwrap_or(0);
    order.truncate(rejected);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, statistics};

    #[test]
    fn means_and_rejections_agree_with_the_vectors() {
        for case in statistics()["combine"].as_array().unwrap() {
            let logs = numbers(&case["log_e"]);
            let expected = case["log_e_mean"].as_f64().unwrap();
            close(weighted_mean(&logs, &numbers(&case["weights"])), expected, 1e-12, case);
            for (alpha, name) in [(0.05, "e_bh_.05"), (0.01, "e_bh_.01")] {
                let expected: Vec<usize> = serde_json::from_value(case[name].clone()).unwrap();
                assert_eq!(e_bh(&logs, alpha), expected, "{case}");
            }
        }
    }

    #[test]
    fn nothing_is_evidence_of_nothing() {
        assert!(weighted_mean(&[], &[]).is_infinite());
        assert!(e_bh(&[], 0.05).is_empty());
    }
}
