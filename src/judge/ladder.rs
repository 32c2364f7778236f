//! What must be proven at which step: a small share risks little, so less is asked of it.

use serde::{Deserialize, Serialize};

use crate::policy::{Policy, Signal};

/// What must be proven when the policy says nothing, by the step's share: at most 5 % of traffic "less than three
/// times as bad", and so on. The last step asks for [`LAST`] whatever its share.
const RUNGS: [(f64, f64); 2] = [(0.05, 3.0), (0.20, 2.0)];

/// What the last step, and every larger share, must prove when the policy says nothing.
const LAST: f64 = 1.5;

/// The same where the canary has all of the traffic from the first: it is held against the past, and an app's own level wanders
/// by more than [`LAST`] could be told from.
const ALONE: f64 = 2.0;

/// The steps of a policy as the judge sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ladder {
    /// Each step's share, growing.
    steps: Vec<f64>,
}

impl Ladder {
    pub(super) fn new(policy: &Policy) -> Self {
        Self { steps: policy.strategy.shares().iter().map(|share| share.get()).collect() }
    }

    /// The step that a share belongs to: the one whose own share is nearest, because whole units seldom give the exact
    /// share. Without a share, the last.
    pub(super) fn step(&self, share: Option<f64>) -> usize {
        let last = self.steps.len().saturating_sub(1);
        let Some(share) = share else { return last };
        let distance = |step: &f64| (step - share).abs();
        (0..self.steps.len())
            .min_by(|a, b| distance(&self.steps[*a]).total_cmp(&distance(&self.steps[*b])))
            .unwrap_or(last)
    }

    /// Whether `step` is the last.
    pub(super) fn is_last(&self, step: usize) -> bool {
        step + 1 >= self.steps.len()
    }

    /// What `signal` must be proven to be within at `step`, as a ratio to the baseline; never less than what is allowed.
    pub(super) fn within(&self, signal: &Signal, step: usize) -> f64 {
        let rung = signal.prove_within.unwrap_or_else(|| {
            let share = self.steps.get(step).copied();
            let rung = share.and_then(|share| RUNGS.iter().find(|(most, _)| share <= *most + 1e-9));
            match share {
                Some(share) if share >= 1.0 => ALONE,
                _ if self.is_last(step) => LAST,
                _ => rung.map_or(LAST, |(_, rung)| *rung),
            }
        });
        rung.max(1.0 + signal.margin)
    }

    /// What `signal` must be proven to be within at each step.
    pub(super) fn rungs(&self, signal: &Signal) -> Vec<f64> {
        (0..self.steps.len().max(1)).map(|step| self.within(signal, step)).collect()
    }
}

/// The longest that a rollout under `policy` may be analysed, in seconds: every step at its longest, and the watch after
/// the last.
pub(super) fn horizon(policy: &Policy) -> f64 {
    let strategy = &policy.strategy;
    let steps = u32::try_from(strategy.shares().len().max(1)).unwrap_or(u32::MAX);
    let whole = strategy.bake().at_most.as_seconds() * f64::from(steps) + after(policy);
    whole.max(policy.look_every.as_seconds()).max(1.0)
}

/// The longest that a canary under `policy` is watched after it got all traffic, in seconds; where the policy does not say, as
/// long as a step lasts.
pub(super) fn watch(policy: &Policy) -> f64 {
    let bake = policy.strategy.bake().at_most.as_seconds();
    let alone = policy.strategy.shares().first().is_some_and(|share| share.get() >= 1.0);
    let watch = after(policy) + if alone { bake } else { 0.0 };
    if watch > 0.0 { watch } else { bake.max(policy.look_every.as_seconds()).max(1.0) }
}

fn after(policy: &Policy) -> f64 {
    policy.watch.max(policy.keep_for).as_seconds()
}
