//! One simulated rollout, through the judge and past the oracle.

use std::collections::BTreeMap;

use super::{Oracle, Scenario, Traffic};
use crate::judge::{Judge, Look, Reading};
use crate::policy::{Measure, Policy};
use crate::stats::{ArmCount, PairCount};
use crate::words::{Arms, Share};

/// What became of one simulated rollout. Times are in seconds since the fault's onset, or since the start without one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trial {
    /// When the judge found harm.
    pub harm: Option<f64>,
    /// When the judge first called the canary safe, harm or not.
    pub safe: Option<f64>,
    /// When the oracle found harm.
    pub oracle: Option<f64>,
}

/// A judge that is shown simulated rollouts: one ratio signal after another of a policy, all with the same traffic.
#[derive(Debug)]
pub struct Watcher<'a> {
    policy: &'a Policy,
    /// The names of its ratio signals.
    signals: Vec<&'a str>,
    threshold: f64,
}

impl<'a> Watcher<'a> {
    /// A watcher by `policy`. Only its ratio signals are simulated, the others stay silent.
    #[must_use]
    pub fn new(policy: &'a Policy) -> Self {
        let is_ratio = |measure: &Measure| matches!(measure, Measure::Ratio { .. });
        let ratios = policy.signals.iter().filter(|signal| is_ratio(&signal.measure));
        Self {
            policy,
            signals: ratios.map(|signal| signal.name.as_str()).collect(),
            threshold: -policy.budget.false_rollback.get().ln(),
        }
    }

    /// Runs the rollout that follows from `seed` until harm is found, and the oracle has found it too, or it ends. Each
    /// signal has errors of its own.
    #[must_use]
    pub fn run(&self, scenario: &Scenario, seed: u64) -> Trial {
        let mut traffic: Vec<_> =
            (0_u64..).zip(&self.signals).map(|(i, _)| Traffic::new(scenario, seed ^ (i << 48))).collect();
        let mut judge = Judge::new(self.policy, &self.history(&mut traffic, scenario));
        let mut oracle = Oracle::new(scenario);
        let onset = scenario.fault.map_or(0, |fault| fault.onset);
        let mut trial = Trial::default();
        for slice in 0..scenario.slices() {
            let counts: Vec<_> = traffic.iter_mut().map(Traffic::slice).collect();
            #[expect(clippy::cast_precision_loss, reason = "slices of a rollout are few")]
            let end = |slice: usize| (slice + 1) as f64 * scenario.every;
            #[expect(clippy::cast_precision_loss, reason = "slices of a rollout are few")]
            let since = end(slice) - onset as f64 * scenario.every;
            judge.take(&self.look(end(slice), Share::new(scenario.share(slice)), &counts));
            if trial.harm.is_none() && judge.harm() {
                trial.harm = Some(since);
            }
            if trial.safe.is_none() && judge.safe() {
                trial.safe = Some(since);
            }
            if let (Some(oracle), Some(counts), None) = (&mut oracle, counts.first(), trial.oracle)
                && oracle.take(counts) >= self.threshold
            {
                trial.oracle = Some(since);
            }
            if trial.harm.is_some() && (oracle.is_none() || trial.oracle.is_some()) {
                break;
            }
        }
        trial
    }

    /// The baseline's looks from before the rollout.
    fn history(&self, traffic: &mut [Traffic<'_>], scenario: &Scenario) -> Vec<Look> {
        let histories: Vec<Vec<ArmCount>> = traffic.iter_mut().map(Traffic::history).collect();
        (0..scenario.history)
            .map(|slice| {
                let of = |history: &Vec<ArmCount>| PairCount {
                    baseline: history.get(slice).copied().unwrap_or_default(),
                    canary: ArmCount::default(),
                };
                #[expect(clippy::cast_precision_loss, reason = "slices of a history are few")]
                let at = slice as f64 * scenario.every - scenario.every * scenario.history as f64;
                self.look(at, None, &histories.iter().map(of).collect::<Vec<_>>())
            })
            .collect()
    }

    /// A look as a source would give it.
    fn look(&self, at: f64, share: Option<Share>, counts: &[PairCount]) -> Look {
        let reading = |arm: ArmCount| {
            arm.is_seen().then(|| Reading::Counts { events: arm.events(), total: arm.exposure() })
        };
        let signals: BTreeMap<_, _> = self
            .signals
            .iter()
            .zip(counts)
            .map(|(name, counts)| {
                let arms = Arms { baseline: reading(counts.baseline), canary: reading(counts.canary) };
                ((*name).to_owned(), arms)
            })
            .collect();
        Look { at, share, signals }
    }
}
