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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, statistics};

    #[test]
    fn means_agree_with_the_vectors() {
        for case in statistics()["combine"].as_array().unwrap() {
            let logs = numbers(&case["log_e"]);
            let expected = case["log_e_mean"].as_f64().unwrap();
            close(weighted_mean(&logs, &numbers(&case["weights"])), expected, 1e-12, case);
        }
    }

    #[test]
    fn nothing_is_evidence_of_nothing() {
        assert!(weighted_mean(&[], &[]).is_infinite());
    }
}
