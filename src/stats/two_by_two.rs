//! Two proportions that need not be rare, as the requests above a latency bucket's edge.

use serde::{Deserialize, Serialize};

use super::count::{PairCount, Refusal, among, dispersion, span};
use super::prior::Prior;
use super::tilt::{MOST_OF_ONE, Mixture, Onset};

/// How much of the past the baseline's proportion keeps from one tick to the next.
const MEMORY: f64 = 0.98;
/// The predicted proportion stays this far from 0 and 1, so that no logarithm is of nothing.
const LEAST: f64 = 1e-12;

/// The block e-variable of Turner, Ly & Grünwald ("Generic e-variables for exact sequential k-sample tests that allow
/// for optional stopping", arXiv 2106.02693): an e-process against "in every tick the odds of the canary's proportion
/// are at most 1 + margin times those of the baseline's", whatever that is and however it moves. Exact for any proportion.
///
/// Each alternative is held against the nearest pair of proportions of the claim, in Kullback–Leibler divergence. For odds
/// ratios of at least 1 the claim is a convex set, so by the optimality of that nearest pair the product of the two arms'
/// mean likelihood ratios is at most 1 everywhere in it (their theorem for convex nulls).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TwoByTwo {
    mixture: Mixture,
    /// The largest odds ratio of the claim; at least 1.
    allowed: f64,
    /// The baseline's events and others in the past, discounted; ½ each to begin with.
    events: f64,
    others: f64,
}

impl TwoByTwo {
    /// An engine that has seen nothing. `margin` of the odds, at least 0: 0.1 for +10 %.
    #[must_use]
    pub fn new(margin: f64, onset: Onset) -> Self {
        let allowed = 1.0 + margin.max(0.0);
        Self { mixture: Mixture::new(Prior::Proportion, onset), allowed, events: 0.5, others: 0.5 }
    }

    /// The same where one tick counts for [`MOST_OF_ONE`] nats at most, as evidence of harm does.
    #[must_use]
    pub fn capped(self) -> Self {
        Self { mixture: self.mixture.capped(MOST_OF_ONE), ..self }
    }

    /// The baseline's proportion that is expected of the next tick; ½ before the first.
    #[must_use]
    pub fn predicted(&self) -> f64 {
        (self.events / (self.events + self.others)).clamp(LEAST, 1.0 - LEAST)
    }

    /// One tick of both arms, a ratio's; `dt` in the unit of the onset's horizon, `phi` the counts' over-dispersion.
    /// Returns ln E. An open tick only teaches the baseline's proportion.
    ///
    /// # Errors
    /// A `dt` that is no span of time, a `phi` that is no dispersion, a rate's counts (more events than exposure).
    pub fn pair(&mut self, dt: f64, counts: &PairCount, phi: f64) -> Result<f64, Refusal> {
        let (dt, phi) = (span(dt)?, dispersion(phi)?);
        let PairCount { canary, baseline } = *counts;
        among(canary.events(), canary.exposure())?;
        among(baseline.events(), baseline.exposure())?;
        if counts.is_closed() {
            let predicted = self.predicted();
            let (share, allowed) = (counts.share(), self.allowed);
            let grid = self.mixture.grid();
            // ln(p/q) and ln((1−p)/(1−q)) of both arms, for odds of the canary e^h times the largest that the claim allows.
            self.mixture.absorb(dt, |j| {
                let odds = allowed * (grid.up[j] + 1.0);
                let worse = predicted * odds / (1.0 + predicted * (odds - 1.0));
                let nearest = nearest(share * worse + (1.0 - share) * predicted, share, allowed);
                let at_most = nearest * allowed / (1.0 + nearest * (allowed - 1.0));
                let log = canary.events() * (worse / at_most).ln()
                    + (canary.exposure() - canary.events()) * ((-worse).ln_1p() - (-at_most).ln_1p())
                    + baseline.events() * (predicted / nearest).ln()
                    + (baseline.exposure() - baseline.events()) * ((-predicted).ln_1p() - (-nearest).ln_1p());
                log / phi
            });
        } else {
            self.mixture.enter(dt);
        }
        self.events = MEMORY * self.events + baseline.events();
        self.others = MEMORY * self.others + (baseline.exposure() - baseline.events());
        Ok(self.log_e())
    }

    /// Forgets what was gained, as [`super::Tilt::forget`] does.
    pub fn forget(&mut self) {
        self.mixture.forget();
    }

    /// ln E now: 0 before the first tick.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.mixture.log_e()
    }
}

/// The baseline's proportion in the claim's nearest pair: the one that has the same mean of both arms, `mean`, and odds
/// of the canary `allowed` times the baseline's. The odds solve a quadratic.
fn nearest(mean: f64, share: f64, allowed: f64) -> f64 {
    if allowed <= 1.0 {
        return mean;
    }
    let square = (1.0 - mean) * allowed;
    let linear = 1.0 - share + share * allowed - mean * (1.0 + allowed);
    let root = (linear * linear + 4.0 * square * mean).sqrt();
    // Where nothing cancels.
    let odds = if linear > 0.0 { 2.0 * mean / (linear + root) } else { (root - linear) / (2.0 * square) };
    odds / (1.0 + odds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, pair, rows, statistics};

    #[test]
    fn evidence_agrees_with_the_vectors() {
        for case in statistics()["two_by_two"].as_array().unwrap() {
            let mut at_start = TwoByTwo::new(0.0, Onset::Start);
            let mut late = TwoByTwo::new(0.0, Onset::within(240.0));
            let expected = numbers(&case["log_e_pi0_1"]).into_iter().zip(numbers(&case["log_e_pi0_.7_h240"]));
            for (tick, (start, any)) in rows(&case["ticks_xc_nc_xb_nb"]).iter().zip(expected) {
                close(at_start.pair(1.0, &pair(tick), 1.0).unwrap(), start, 1e-10, case);
                close(late.pair(1.0, &pair(tick), 1.0).unwrap(), any, 1e-10, case);
            }
        }
    }

    #[test]
    fn a_baseline_without_events_for_ever_leaves_numbers() {
        let mut engine = TwoByTwo::new(0.0, Onset::Start);
        for _ in 0..50_000 {
            engine.pair(1.0, &pair(&[0.0, 10.0, 0.0, 90.0]), 1.0).unwrap();
        }
        let got = engine.pair(1.0, &pair(&[10.0, 10.0, 0.0, 90.0]), 1.0).unwrap();
        assert!(got.is_finite(), "{got}");
    }

    #[test]
    fn with_a_margin_it_expects_at_most_one_anywhere_in_the_claim() {
        let choose = |n: u32, k: u32| (0..k).map(|i| f64::from(n - i) / f64::from(i + 1)).product::<f64>();
        let law = |n: u32, k: u32, p: f64| {
            choose(n, k) * p.powi(k.cast_signed()) * (1.0 - p).powi((n - k).cast_signed())
        };
        for margin in [0.0, 0.1, 1.0] {
            let mut largest = 0.0_f64;
            for step in 1..40 {
                let baseline = f64::from(step) / 40.0;
                let odds = (1.0 + margin) * baseline / (1.0 - baseline);
                for canary in [odds / (1.0 + odds), 0.5 * odds / (1.0 + odds)] {
                    let mut expectation = 0.0;
                    for (xc, xb) in (0..=5).flat_map(|xc| (0..=12).map(move |xb| (xc, xb))) {
                        let mut engine = TwoByTwo::new(margin, Onset::Start);
                        let log_e =
                            engine.pair(1.0, &pair(&[f64::from(xc), 5.0, f64::from(xb), 12.0]), 1.0).unwrap();
                        expectation += law(5, xc, canary) * law(12, xb, baseline) * log_e.exp();
                    }
                    assert!(expectation <= 1.0 + 1e-12, "{margin} {baseline} {canary}: {expectation}");
                    largest = largest.max(expectation);
                }
            }
            assert!(largest > 0.9, "{margin}: {largest}, so it would be idle");
        }
    }
}
