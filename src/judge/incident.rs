//! Whether something hits both versions alike, where no limit of the policy says how much is too much.
//!
//! Side by side, what hits both cancels: while every request fails, of either version, a canary is as good as its baseline. That is
//! no reason to promote it. So promotion waits while both are far worse than the baseline was before the rollout. Nobody is
//! blamed for it, and a canary that is worse still is found as ever.

use serde::{Deserialize, Serialize};

use super::counts::alone;
use super::recent::Recent;
use crate::stats::{ArmCount, CountKind, PairCount, Spread, share_at};
use crate::words::Arms;

/// So many times the odds of the history are an incident; of a rate, so many times the rate.
const TIMES: f64 = 5.0;

/// Where nothing is known of before, more than this part of all requests is one.
const NEARLY_ALL: f64 = 0.9;

/// The state of one ratio or rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    kind: CountKind,
    /// What the baseline had before the rollout, of all.
    before: Option<f64>,
    /// Above this in both arms it is an incident; nothing: that cannot be told.
    bar: Option<f64>,
    recent: Arms<Recent>,
}

impl Incident {
    pub(super) fn new(kind: CountKind) -> Self {
        let bar = (kind == CountKind::Ratio).then_some(NEARLY_ALL);
        Self { kind, before: None, bar, recent: Arms::default() }
    }

    /// One that knows what the baseline had before. What is below `floor` harms nobody.
    pub(super) fn after(kind: CountKind, history: ArmCount, floor: f64) -> Self {
        if !history.is_seen() {
            return Self::new(kind);
        }
        let before = history.events() / history.exposure();
        // Half an event more: what was never seen may come.
        let usual = (history.events() + 0.5) / (history.exposure() + 1.0);
        let bar = match kind {
            CountKind::Ratio => share_at(usual, TIMES),
            CountKind::Rate => TIMES * usual,
        };
        Self { before: Some(before), bar: Some(bar.max(floor)), ..Self::new(kind) }
    }

    /// Takes a closed slice, which is judged by this noise.
    pub(super) fn take(&mut self, slice: &PairCount, spread: Spread) {
        let Some(bar) = self.bar else { return };
        self.recent.canary.take(slice.canary, alone(spread, bar, slice.canary));
        self.recent.baseline.take(slice.baseline, alone(spread, bar, slice.baseline));
    }

    /// Whether it lasts.
    pub(super) fn lasts(&self) -> bool {
        let is_above = |recent: Recent| self.bar.is_some_and(|bar| recent.is_above(self.kind, bar));
        is_above(self.recent.canary) && is_above(self.recent.baseline)
    }

    /// What the baseline had before the rollout, as a share of all or by time; nothing: that is not known.
    pub(super) fn before(&self) -> Option<f64> {
        self.before
    }
}
