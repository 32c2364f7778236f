//! Whether the traffic is split as the step asks for.

use serde::{Deserialize, Serialize};

use crate::stats::{ArmCount, PairCount, Refusal, ShareTest};

/// By how much the odds of a request reaching the canary may differ from the planned ones. Sticky sessions and kept connections
/// make shares wander for minutes, which no dispersion of neighbouring looks shows.
const TOLERANCE: f64 = 0.25;

/// How often a right split may be called wrong, at each step.
const ERROR: f64 = 0.01;

/// How many pairs of neighbouring looks it takes before their dispersion is believed; nothing is tested before.
const PAIRS: f64 = 8.0;

/// How many slices after a change of the plan say nothing about it. The change itself lies in the first. In the next, a
/// source that finds new units some time after they began to serve makes up for what they served meanwhile; after
/// that, slices may still end unevenly.
const UNSETTLED: u32 = 3;

/// The state of the check. It starts anew whenever the planned share changes, because what was is no evidence about the
/// new plan, and leaves out the slices in which the change settles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Split {
    planned: Option<f64>,
    /// How many slices there were under this plan, while it settles.
    settling: u32,
    /// Nothing until it has settled.
    test: Option<ShareTest>,
    seen: PairCount,
    /// The slice before, for the dispersion.
    before: Option<PairCount>,
    /// Squared differences of neighbouring shares over what independent requests would give: their sum and number.
    /// Routing is rarely independent (sticky sessions, kept connections).
    squares: f64,
    pairs: f64,
}

impl Split {
    pub(super) fn new() -> Self {
        Self {
            planned: None,
            settling: 0,
            test: None,
            seen: PairCount::default(),
            before: None,
            squares: 0.0,
            pairs: 0.0,
        }
    }

    /// Takes the requests of both arms in one slice, under a planned share.
    pub(super) fn take(&mut self, planned: Option<f64>, canary: f64, baseline: f64) -> Result<(), Refusal> {
        if planned != self.planned {
            *self = Self { planned, squares: self.squares, pairs: self.pairs, ..Self::new() };
        }
        let Some(planned) = planned.filter(|share| *share > 0.0 && *share < 1.0) else { return Ok(()) };
        let now =
            PairCount { canary: ArmCount::rate(0.0, canary)?, baseline: ArmCount::rate(0.0, baseline)? };
        if canary + baseline <= 0.0 {
            return Ok(());
        }
        match &mut self.test {
            None => {
                self.settling += 1;
                if self.settling >= UNSETTLED {
                    self.test = Some(ShareTest::new(TOLERANCE, planned)?);
                }
            }
            Some(test) => {
                // Only earlier slices decide the dispersion that this one is weighed with.
                if self.pairs >= PAIRS {
                    test.update(canary, baseline, (self.squares / self.pairs).max(1.0))?;
                }
                self.seen = self.seen.plus(now);
                self.compare(&now);
            }
        }
        self.before = Some(now);
        Ok(())
    }

    fn compare(&mut self, now: &PairCount) {
        let Some(before) = self.before else { return };
        let all = before.plus(*now);
        let share = all.share();
        let requests = |counts: &PairCount| counts.canary.exposure() + counts.baseline.exposure();
        let variance = share * (1.0 - share) * (1.0 / requests(now) + 1.0 / requests(&before));
        if variance > 0.0 {
            self.squares += (now.share() - before.share()).powi(2) / variance;
            self.pairs += 1.0;
        }
    }

    /// Whether the split contradicts the plan.
    pub(super) fn is_wrong(&self) -> bool {
        self.test.as_ref().is_some_and(|test| test.reaches(-ERROR.ln()))
    }

    /// The planned share and the one that was seen under it; nothing before any traffic.
    pub(super) fn shares(&self) -> Option<(f64, f64)> {
        let all = self.seen.canary.exposure() + self.seen.baseline.exposure();
        self.planned.filter(|_| all > 0.0).map(|planned| (planned, self.seen.share()))
    }
}
