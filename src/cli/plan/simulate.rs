//! Simulated rollouts through the real judge: what the policy's ratios come to at this traffic.

use serde::Serialize;

use super::forecast::Load;
use crate::policy::{Bake, Judging, Measure, Policy};
use crate::simulate::{Effect, Family, Fault, Scenario, Step, Tally, Watcher, interval};
use crate::words::Share;

/// The regressions that are simulated, as ratios to the baseline.
const REGRESSIONS: [f64; 3] = [1.5, 2.0, 5.0];

/// Looks of the baseline that are known from before: an hour at four a minute.
const HISTORY: usize = 240;

/// What became of the simulated rollouts.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Simulated {
    /// Of each kind.
    pub(super) runs: u32,
    /// The share of good canaries that were found harmful, and an interval for its truth.
    pub(super) false_rollback: f64,
    pub(super) false_rollback_between: (f64, f64),
    /// When a good canary was first proven, in seconds: the median; nothing: more than half never were.
    pub(super) proven: Option<f64>,
    pub(super) found: Vec<Found>,
}

/// What became of a regression.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) regression: f64,
    /// The share of rollouts in which it was found, and after how many seconds: the median.
    pub(super) share: f64,
    pub(super) after: Option<f64>,
}

/// Simulates `runs` rollouts of each kind: a good canary, and each regression from the start. Nothing where the policy has no
/// ratio. Every step lasts its longest bake; errors are independent; signals of other kinds stay silent, and are not asked
/// for proof.
pub(super) fn simulate(policy: &Policy, share: Option<Share>, load: &Load, runs: u32) -> Option<Simulated> {
    let is_ratio = |measure: &Measure| matches!(measure, Measure::Ratio { .. });
    policy.signals.iter().find(|signal| is_ratio(&signal.measure))?;
    let mut policy = policy.clone();
    for signal in policy.signals.iter_mut().filter(|signal| !is_ratio(&signal.measure)) {
        signal.gates = false;
        if let Judging::Kayenta(terms) = &mut policy.judge
            && let Some(metric) = terms.signals.get_mut(&signal.name)
        {
            metric.muted = true;
        }
    }
    let run = |regression: Option<f64>| {
        let scenario = scenario(&policy, share, load, regression);
        let (watcher, mut harm, mut safe) = (Watcher::new(&policy), Tally::default(), Tally::default());
        for seed in 0..u64::from(runs) {
            let trial = watcher.run(&scenario, seed);
            harm.add(trial.harm);
            safe.add(trial.safe);
        }
        (harm, safe)
    };
    let (harm, safe) = run(None);
    let found = |regression: f64| {
        let (harm, _) = run(Some(regression));
        Found { regression, share: harm.share(), after: harm.median() }
    };
    Some(Simulated {
        runs,
        false_rollback: harm.share(),
        false_rollback_between: interval(harm.times.len(), harm.runs),
        proven: safe.median(),
        found: REGRESSIONS.map(found).to_vec(),
    })
}

fn scenario(policy: &Policy, share: Option<Share>, load: &Load, regression: Option<f64>) -> Scenario {
    let Bake { at_most, .. } = policy.strategy.bake();
    let every = policy.look_every.as_seconds().max(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bake has a number of looks"
    )]
    let slices = (at_most.as_seconds() / every).ceil().clamp(1.0, 1e5) as usize;
    let shares = share.map_or_else(|| policy.strategy.shares(), |share| vec![share]);
    Scenario {
        requests: load.requests,
        base: load.errors.get(),
        family: Family::Plain,
        fault: regression.map(|times| Fault { effect: Effect::Times(times), onset: 0 }),
        every,
        steps: shares.iter().map(|share| Step { share: share.get(), slices }).collect(),
        history: HISTORY,
    }
}
