//! The steps of a policy as they will be: with the shares that an app's whole units can give.

use crate::policy::{Bake, Canary, Policy, Strategy};
use crate::rollout;
use crate::words::Share;

/// Units of the baseline where nobody said how many there are: gauges depend on it.
pub(super) const UNITS: u32 = 4;

/// A policy's steps for one app.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) legs: Vec<Leg>,
    pub(super) bake: Bake,
    /// What whole units make impossible, in sentences.
    pub(super) adjusted: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    /// The canary's share of traffic.
    pub(super) share: Share,
    /// The policy's step whose terms hold, from 0.
    pub(super) index: usize,
    /// Units of each arm.
    pub(super) canary: u32,
    /// See `canary`.
    pub(super) baseline: u32,
}

/// The shares and the bake of a policy's steps: the one place where a plan depends on the strategy.
fn canary(policy: &Policy) -> &Canary {
    let Strategy::Canary(canary) = &policy.strategy;
    canary
}

/// The steps of `policy` for an app with so many units of the baseline, or `share` alone.
///
/// # Errors
/// In words, where the app has no unit.
pub(super) fn course(policy: &Policy, share: Option<Share>, units: Option<u32>) -> Result<Course, String> {
    let canary = canary(policy);
    let steps = match share {
        Some(share) => vec![share],
        None => canary.steps.clone(),
    };
    let wished = Canary { steps: steps.clone(), approve: Vec::new(), ..canary.clone() };
    let plan = rollout::plan(&wished, units.unwrap_or(UNITS), None)?;
    let index = |share: Share| match steps.len() {
        // What the last step asks for is what a canary needs in the end.
        1 => canary.steps.len().saturating_sub(1),
        _ => nearest(&canary.steps, share),
    };
    let legs = match units {
        Some(_) => plan
            .steps
            .iter()
            .map(|step| Leg {
                share: step.share,
                index: index(step.share),
                canary: step.canary,
                baseline: step.baseline,
            })
            .collect(),
        // Nobody knows the units, so every share can be had.
        None => steps
            .iter()
            .map(|share| {
                let step = plan.steps.iter().find(|step| step.wished >= *share).or(plan.steps.last());
                let (canary, baseline) = step.map_or((1, UNITS), |step| (step.canary, step.baseline));
                Leg { share: *share, index: index(*share), canary, baseline }
            })
            .collect(),
    };
    let adjusted = if units.is_some() { plan.adjusted } else { Vec::new() };
    Ok(Course { legs, bake: canary.bake, adjusted })
}

/// The step whose share is nearest, as the judge finds it.
fn nearest(steps: &[Share], share: Share) -> usize {
    let distance = |step: &Share| (step.get() - share.get()).abs();
    (0..steps.len()).min_by(|a, b| distance(&steps[*a]).total_cmp(&distance(&steps[*b]))).unwrap_or_default()
}
