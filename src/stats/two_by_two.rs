//! Two proportions that need not be rare, as the requests above a latency bucket's edge.

use serde::{Deserialize, Serialize};

use super::count::{PairCount, Refusal, among, span};
use super::prior::Prior;
use super::tilt::{Mixture, Onset};

/// How much of the past the baseline's proportion keeps from one tick to the next.
const MEMORY: f64 = 0.98;
/// The predicted proportion stays this far from 0 and 1, so that no logarithm is of nothing.
const LEAST: f64 = 1e-12;

/// The block e-variable of Turner, Ly & Grünwald ("Generic e-variables for exact sequential k-sample tests that allow
/// for optional stopping", arXiv 2106.02693): an e-process against "in every tick the canary's proportion is at most the
/// baseline's", whatever that is and however it moves. Exact for any proportion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TwoByTwo {
    mixture: Mixture,
    /// The baseline's events and others in the past, discounted; ½ each to begin with.
    events: f64,
    others: f64,
}

impl TwoByTwo {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(onset: Onset) -> Self {
        Self { mixture: Mixture::new(Prior::Proportion, onset), events: 0.5, others: 0.5 }
    }

    /// One tick of both arms, a ratio's; `dt` in the unit of the onset's horizon. Returns ln E. An open tick only
    /// teaches the baseline's proportion.
    ///
    /// # Errors
    /// A `dt` that is no span of time, a rate's counts (more events than exposure).
    pub fn pair(&mut self, dt: f64, counts: &PairCount) -> Result<f64, Refusal> {
        let dt = span(dt)?;
        let PairCount { canary, baseline } = *counts;
        among(canary.events(), canary.exposure())?;
        among(baseline.events(), baseline.exposure())?;
        if counts.is_closed() {
            let predicted = (self.events / (self.events + self.others)).clamp(LEAST, 1.0 - LEAST);
            let share = counts.share();
            let grid = self.mixture.grid();
            // ln(p/p0) and ln((1−p)/(1−p0)) of both arms, for odds of the canary e^h times the baseline's.
            self.mixture.absorb(dt, |j| {
                let worse = predicted * (grid.up[j] + 1.0) / (1.0 + predicted * grid.up[j]);
                let shared = share * worse + (1.0 - share) * predicted;
                let (event, other) = (shared.ln(), (-shared).ln_1p());
                canary.events() * (worse.ln() - event)
                    + (canary.exposure() - canary.events()) * ((-worse).ln_1p() - other)
                    + baseline.events() * (predicted.ln() - event)
                    + (baseline.exposure() - baseline.events()) * ((-predicted).ln_1p() - other)
            });
        } else {
            self.mixture.enter(dt);
        }
        self.events = MEMORY * self.events + baseline.events();
        self.others = MEMORY * self.others + (baseline.exposure() - baseline.events());
        Ok(self.log_e())
    }

    /// ln E now: 0 before the first tick.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.mixture.log_e()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, pair, rows, statistics};

    #[test]
    fn evidence_agrees_with_the_vectors() {
        for case in statistics()["two_by_two"].as_array().unwrap() {
            let mut at_start = TwoByTwo::new(Onset::Start);
            let mut late = TwoByTwo::new(Onset::within(240.0));
            let expected = numbers(&case["log_e_pi0_1"]).into_iter().zip(numbers(&case["log_e_pi0_.7_h240"]));
            for (tick, (start, any)) in rows(&case["ticks_xc_nc_xb_nb"]).iter().zip(expected) {
                close(at_start.pair(1.0, &pair(tick)).unwrap(), start, 1e-10, case);
                close(late.pair(1.0, &pair(tick)).unwrap(), any, 1e-10, case);
            }
        }
    }

    #[test]
    fn a_baseline_without_events_for_ever_leaves_numbers() {
        let mut engine = TwoByTwo::new(Onset::Start);
        for _ in 0..50_000 {
            engine.pair(1.0, &pair(&[0.0, 10.0, 0.0, 90.0])).unwrap();
        }
        let got = engine.pair(1.0, &pair(&[10.0, 10.0, 0.0, 90.0])).unwrap();
        assert!(got.is_finite(), "{got}");
    }
}
