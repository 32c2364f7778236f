//! What can be seen of a canary that serves alone, held against what was known of the baseline.

use super::super::load::Load;
use super::Sight;
use crate::judge::{Ahead, Ask};
use crate::policy::{Policy, Signal};

/// Looks that are gone through at most: a day of four a minute.
const MOST_LOOKS: u32 = 5760;
/// The largest regression that is looked for.
const MOST: f64 = 50.0;

pub(super) struct AloneSight<'a> {
    ask: &'a Ask,
    ahead: Ahead,
    /// Seconds between looks.
    every: f64,
}

impl<'a> AloneSight<'a> {
    /// Nothing where too little is known of the baseline.
    pub(super) fn new(policy: &Policy, signal: &Signal, ask: &'a Ask, load: &Load) -> Option<Self> {
        let ahead = match load {
            Load::Counts(counts) => Ahead::of_counts(policy, signal, ask, counts.before.as_ref()?),
            Load::Gauge(past) => Ahead::of_gauge(policy, signal, ask, past),
            Load::Unknown(_) => None,
        };
        ahead.map(|ahead| Self { ask, ahead, every: policy.look_every.as_seconds().max(1e-3) })
    }

    /// Whether safety is to be proven while the canary serves alone.
    pub(super) fn proves(&self) -> bool {
        self.ahead.proves()
    }

    /// How much worse passes for good, as a ratio.
    pub(super) fn passes(&self) -> f64 {
        self.ahead.passes()
    }
}

impl Sight for AloneSight<'_> {
    fn detection(&self, regression: f64, late: bool) -> Option<f64> {
        // What passes is never found, however long one looks.
        if regression <= self.passes() {
            return None;
        }
        self.ahead.detection(regression, late, MOST_LOOKS).map(|looks| f64::from(looks) * self.every)
    }

    fn proof(&self, within: f64) -> Option<f64> {
        self.ahead.proof(within, MOST_LOOKS).map(|looks| f64::from(looks) * self.every)
    }

    fn most(&self) -> f64 {
        self.ahead.most().unwrap_or(MOST).max(self.ask.allowed)
    }
}
