//! From the signals' evidence to one verdict.
//!
//! One budget is spent for the whole rollout: with weights that sum to one, the weighted mean of the signals' e-values
//! is an e-value whatever their dependence (Vovk and Wang, *E-values: calibration, combination and applications*,
//! Annals of Statistics 49, 2021), so by Ville's inequality it exceeds 1/alpha in at most alpha of the rollouts of a
//! canary that is good enough in every signal. Nothing rolls back unless that mean exceeds 1/alpha, so every further
//! condition below can only make a rollback rarer.

use super::Outcome;
use crate::stats::special::log_sum_exp;

/// The part of the budget that the critical signals have together, at least.
const CRITICAL_PART: f64 = 0.5;

/// The score below which a rollout cannot be saved by the signals that are still undecided.
pub(super) const MARGINAL: f64 = 75.0;

/// One signal's part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Its part of the budget; all parts sum to one.
    pub(super) weight: f64,
    pub(super) critical: bool,
    pub(super) gates: bool,
    /// Its evidence of harm, to be averaged.
    pub(super) log_e: f64,
    pub(super) outcome: Outcome,
}

/// What all parts amount to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sum {
    /// The natural logarithm of the weighted mean of the e-values.
    pub(super) log_e: f64,
    /// Whether that is harm.
    pub(super) harm: bool,
    /// Whether it takes several signals: no critical one shows it, and those that failed could not roll back alone.
    pub(super) jointly: bool,
    pub(super) score: [f64; 2],
}

/// Each signal's part of the budget, from the policy's weights: normalised, the critical ones together no less than half.
pub(super) fn parts(weights: &[(f64, bool)]) -> Vec<f64> {
    let usable = |weight: f64| if weight.is_finite() && weight > 0.0 { weight } else { 1.0 };
    let sum =
        |critical: bool| weights.iter().filter(|(_, c)| *c == critical).map(|(w, _)| usable(*w)).sum::<f64>();
    let (critical, others) = (sum(true), sum(false));
    let all = critical + others;
    let lift = critical > 0.0 && others > 0.0 && critical < CRITICAL_PART * all;
    let scale = |is_critical: bool| match (lift, is_critical) {
        (false, _) => 1.0 / all,
        (true, true) => CRITICAL_PART / critical,
        (true, false) => (1.0 - CRITICAL_PART) / others,
    };
    weights.iter().map(|(weight, is_critical)| usable(*weight) * scale(*is_critical)).collect()
}

/// What the parts amount to, held against `threshold` = ln(1/alpha).
///
/// Harm needs the weighted mean beyond the threshold, and one of: a critical signal beyond its own part; the mean still
/// beyond when every signal that is not critical counts for at most half of the threshold, so that it cannot roll back
/// alone; a score that the undecided signals can no longer lift to [`MARGINAL`].
pub(super) fn sum(parts: &[Part], threshold: f64) -> Sum {
    let term = |part: &Part| part.weight.ln() + part.log_e;
    let log_e = log_sum_exp(parts.iter().map(term));
    let half = threshold - std::f64::consts::LN_2;
    let capped = log_sum_exp(parts.iter().map(|p| if p.critical { term(p) } else { term(p).min(half) }));
    let score = score(parts);
    let failed = |critical: bool| parts.iter().any(|p| p.outcome == Outcome::Fail && p.critical == critical);
    let enough = failed(true) || failed(false) && score[1] < MARGINAL;
    let harm = log_e >= threshold && (capped >= threshold || enough);
    Sum { log_e, harm, jointly: harm && !enough, score }
}

/// The score from 0 to 100 as an interval: the share, by weight, of the gating signals that pass, with the undecided
/// ones counted as failed and as passed. A failed critical signal makes it 0.
fn score(parts: &[Part]) -> [f64; 2] {
    if parts.iter().any(|p| p.critical && p.outcome == Outcome::Fail) {
        return [0.0, 0.0];
    }
    // `sum` of nothing is -0, which a person would be shown.
    let weigh = |keep: &dyn Fn(&Part) -> bool| {
        parts.iter().filter(|p| keep(p)).map(|p| p.weight).fold(0.0, |sum, weight| sum + weight)
    };
    // Signals that do not gate count once they have failed.
    let counts = |p: &Part| p.gates || p.outcome == Outcome::Fail;
    let all = weigh(&counts);
    if all <= 0.0 {
        return [100.0, 100.0];
    }
    // The sum of nothing is −0; adding 0 mends that.
    let percent = |part: f64| (100.0 * (part / all)).clamp(0.0, 100.0) + 0.0;
    [
        percent(weigh(&|p| counts(p) && p.outcome == Outcome::Pass)),
        percent(weigh(&|p| counts(p) && p.outcome != Outcome::Fail)),
    ]
}
