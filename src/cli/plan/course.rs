//! The steps of a policy as they will be: with the shares that an app's whole units can give.

use crate::policy::{Bake, Canary, Capacity, Policy, Strategy};
use crate::rollout::{self, Footing};
use crate::words::{Share, Span};

/// Units of the baseline where nobody said how many there are: gauges depend on it.
pub(super) const UNITS: u32 = 4;

/// A policy's steps for one app.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// The steps in which the canary serves users, and the watch after them.
    pub(super) legs: Vec<Leg>,
    /// How long each step lasts.
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
    /// It is no step but the watch after the last one.
    pub(super) is_watch: bool,
    pub(super) bake: Bake,
    /// What of it is left out, because the canary is new.
    pub(super) warm_up: Span,
}

impl Leg {
    /// Whether there is no baseline beside the canary.
    pub(super) fn is_alone(&self) -> bool {
        self.share >= Share::ALL
    }
}

impl Course {
    /// The steps alone.
    pub(super) fn steps(&self) -> &[Leg] {
        let steps = self.legs.iter().position(|leg| leg.is_watch).unwrap_or(self.legs.len());
        self.legs.get(..steps).unwrap_or(&[])
    }
}

/// The steps of `policy` for an app that stands so, or `share` alone. Nothing: nobody knows how it stands.
///
/// # Errors
/// In words, where the app cannot be moved so.
pub(super) fn course(
    policy: &Policy,
    share: Option<Share>,
    known: Option<&Footing>,
) -> Result<Course, String> {
    let bake = policy.strategy.bake();
    let asked = policy.strategy.shares();
    let strategy = judged(policy, share).strategy;
    let unknown = Footing { units: UNITS, ..Footing::default() };
    let plan = rollout::plan(&strategy, known.unwrap_or(&unknown))?;
    let index = |of: Share| match share {
        // What the last step asks for is what a canary needs in the end.
        Some(_) => asked.len().saturating_sub(1),
        None => nearest(&asked, of),
    };
    let steps = || plan.steps.iter().filter(|step| step.routed.canary());
    let mut legs: Vec<Leg> = match known {
        Some(_) if steps().next().is_some() => steps()
            .map(|step| Leg {
                share: step.share,
                index: index(step.share),
                canary: step.canary,
                baseline: step.baseline,
                is_watch: false,
                bake,
                warm_up: Span::ZERO,
            })
            .collect(),
        // Nobody knows the units, so every share can be had; or the platform moves them, whatever they are.
        _ => strategy
            .shares()
            .into_iter()
            .map(|share| {
                let step = steps().find(|step| step.wished >= share).or(steps().next_back());
                let (canary, baseline) = step.map_or((1, UNITS), |step| (step.canary, step.baseline));
                let index = index(share);
                Leg { share, index, canary, baseline, is_watch: false, bake, warm_up: Span::ZERO }
            })
            .collect(),
    };
    if let Some(first) = legs.first_mut() {
        first.warm_up = policy.warm_up;
    }
    let after = policy.watch.max(policy.keep_for);
    // Where the canary is alone from the first, the watch goes on with what was begun.
    let last = legs.last().copied().filter(|leg| share.is_none() && after > Span::ZERO && !leg.is_alone());
    legs.extend(last.map(|leg| Leg {
        share: Share::ALL,
        canary: leg.canary + leg.baseline,
        baseline: 0,
        is_watch: true,
        bake: Bake { at_least: after, at_most: after },
        warm_up: Span::ZERO,
        ..leg
    }));
    let mut adjusted = if known.is_some() { plan.adjusted } else { Vec::new() };
    if known.is_some_and(|footing| footing.room == Some(0)) {
        adjusted.push(
            "the quota has no room for the canary's first unit, so its deploy will be refused".to_owned(),
        );
    }
    Ok(Course { legs, bake, adjusted })
}

/// The policy whose only step is `share`, where one is given.
pub(super) fn judged(policy: &Policy, share: Option<Share>) -> Policy {
    let strategy = share.map_or_else(|| policy.strategy.clone(), |share| side_by_side(policy, share));
    Policy { strategy, ..policy.clone() }
}

/// One step in which both versions serve.
fn side_by_side(policy: &Policy, share: Share) -> Strategy {
    let capacity = match &policy.strategy {
        Strategy::Canary(canary) => canary.capacity,
        Strategy::MultiVersion(both) => both.capacity,
        Strategy::Rolling(_) => Capacity::Shift,
        Strategy::BlueGreen(_) => Capacity::Surge,
    };
    Strategy::Canary(Canary {
        steps: vec![share],
        bake: policy.strategy.bake(),
        approve: Vec::new(),
        process: policy.strategy.process().to_owned(),
        capacity,
    })
}

/// The step whose share is nearest, as the judge finds it.
fn nearest(steps: &[Share], share: Share) -> usize {
    let distance = |step: &Share| (step.get() - share.get()).abs();
    (0..steps.len()).min_by(|a, b| distance(&steps[*a]).total_cmp(&distance(&steps[*b]))).unwrap_or_default()
}
