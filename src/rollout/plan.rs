//! The plan of a rollout: wished shares of traffic as whole units.
//!
//! A platform without traffic weights gives a version the share of users' requests that its units are of all
//! serving units. So 5 % of three units cannot be had: the plan takes the nearest share that can, and says so. Each
//! strategy comes down to steps of the same kind: so many units of each version, and who of them serves users.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{BlueGreen, Canary, Capacity, MultiVersion, Rolling, Strategy};
use crate::words::{Arms, Share};

/// Who serves users during a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routed {
    /// The baseline alone; the canary stands ready.
    Baseline,
    /// Both.
    #[default]
    Both,
    /// The canary alone; the baseline is kept warm.
    Canary,
}

impl Routed {
    /// Whether the baseline serves users.
    #[must_use]
    pub fn baseline(self) -> bool {
        self != Self::Canary
    }

    /// Whether the canary serves users.
    #[must_use]
    pub fn canary(self) -> bool {
        self != Self::Baseline
    }
}

/// One step in whole units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The share that the policy asks for. Steps that come out alike are one; this is the largest of theirs.
    pub wished: Share,
    /// The share that the units below give.
    pub share: Share,
    /// Units of the baseline while the step lasts.
    pub baseline: u32,
    /// Units of the canary while the step lasts.
    pub canary: u32,
    /// Who serves users.
    #[serde(default)]
    pub routed: Routed,
    /// Units of the processes that follow, by process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workers: BTreeMap<String, Arms<u32>>,
    /// A person must agree before the step after this one begins.
    pub approve: bool,
}

/// The steps of a rollout, with what had to be adjusted in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps, each with a larger share than the one before. None: there is nothing to move, only to watch.
    pub steps: Vec<Step>,
    /// What the units made impossible, a sentence each.
    pub adjusted: Vec<String>,
}

/// What a plan stands on: the app as it is before anything is moved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footing {
    /// Serving units of the baseline's process.
    pub units: u32,
    /// Units of the baseline's processes that follow.
    pub workers: BTreeMap<String, u32>,
    /// Units of its other processes that the canary lacks.
    pub lacks: u32,
    /// How many units the canary may have in all, the ones that it has included; nothing: no limit.
    pub room: Option<u32>,
    /// An autoscaler is in charge, so the canary's units stay as many as these.
    pub fixed: Option<u32>,
}

impl Footing {
    /// Units of a canary as large as the baseline, of all processes.
    pub(super) fn all(&self) -> u32 {
        self.workers.values().copied().fold(self.units.saturating_add(self.lacks), u32::saturating_add)
    }

    /// How many units the canary may have in all once `step` is in place, which may have taken some of the baseline's away.
    pub(super) fn room_after(&self, step: Option<&Step>) -> Option<u32> {
        let room = self.room?;
        let Some(step) = step else { return Some(room) };
        let workers = step.workers.iter().map(|(process, arms)| {
            self.workers.get(process).copied().unwrap_or(0).saturating_sub(arms.baseline)
        });
        let freed = workers.fold(self.units.saturating_sub(step.baseline), u32::saturating_add);
        Some(room.saturating_add(freed))
    }
}

/// Turns a strategy into steps of whole units.
///
/// The platform made one unit of each of the canary's processes already, so one is always possible.
///
/// # Errors
/// In words, when the strategy cannot be carried out on this app.
pub fn plan(strategy: &Strategy, footing: &Footing) -> Result<Plan, String> {
    if footing.units == 0 {
        return Err(
            "the baseline has no unit that serves, so there is nothing to compare the canary with".to_owned()
        );
    }
    let mut plan = Plan { steps: Vec::new(), adjusted: Vec::new() };
    match strategy {
        Strategy::Canary(canary) => shares(canary, footing, &mut plan),
        Strategy::BlueGreen(blue_green) => switch(blue_green, footing, &mut plan)?,
        Strategy::Rolling(rolling) => batches(rolling, footing, &mut plan)?,
        Strategy::MultiVersion(both) => coexist(both, footing, &mut plan),
    }
    Ok(plan)
}

fn shares(canary: &Canary, footing: &Footing, plan: &mut Plan) {
    for wished in &canary.steps {
        let approve = canary.approve.contains(wished);
        let now = Footing { room: footing.room_after(plan.steps.last()), ..footing.clone() };
        let step = side_by_side(*wished, canary.capacity, approve, &now, plan);
        push(plan, step);
    }
}

fn coexist(both: &MultiVersion, footing: &Footing, plan: &mut Plan) {
    let step = side_by_side(both.share, both.capacity, false, footing, plan);
    push(plan, step);
}

/// A step in which both serve, the canary with the share that comes nearest to the wished one.
fn side_by_side(
    wished: Share,
    capacity: Capacity,
    approve: bool,
    footing: &Footing,
    plan: &mut Plan,
) -> Step {
    let (mut baseline, wanted) = nearest(capacity, wished, footing.units);
    let mut workers: BTreeMap<String, Arms<u32>> = footing
        .workers
        .iter()
        .map(|(process, units)| {
            let (baseline, canary) = nearest(capacity, wished, *units);
            (process.clone(), Arms { baseline, canary })
        })
        .collect();
    let mut canary = wanted;
    if let Some(fixed) = footing.fixed {
        (baseline, canary) = (footing.units, fixed.max(1));
        workers.clear();
        if canary != wanted {
            plan.adjusted.push(format!(
                "{wished} would take {wanted} canary units, and the autoscaler that is in charge leaves it {canary}"
            ));
        }
    } else if let Some(room) = footing.room {
        // Each process that follows has a unit already; users' requests come first in what is left.
        let others = u32::try_from(workers.len()).unwrap_or(u32::MAX);
        let most = room.saturating_sub(others).max(1);
        if canary > most {
            (baseline, canary) = (kept(capacity, footing.units, most), most);
            plan.adjusted.push(format!(
                "{wished} would take {wanted} canary units, and the quota leaves room for {most}"
            ));
        }
        let mut left = room.saturating_sub(canary);
        for (process, arms) in &mut workers {
            let most = left.max(1);
            if arms.canary > most {
                let units = footing.workers.get(process).copied().unwrap_or(0);
                (arms.baseline, arms.canary) = (kept(capacity, units, most), most);
            }
            left = left.saturating_sub(arms.canary);
        }
    }
    Step {
        wished,
        share: Share::of(canary, baseline.saturating_add(canary)),
        baseline,
        canary,
        routed: Routed::Both,
        workers,
        approve,
    }
}

/// A full set of units beside the old one, then every user at once.
fn switch(blue_green: &BlueGreen, footing: &Footing, plan: &mut Plan) -> Result<(), String> {
    let all = footing.all();
    if let Some(room) = footing.room.filter(|room| *room < all) {
        return Err(format!(
            "blue-green needs room for {all} units of the canary beside the baseline's, and the quota leaves room for {room}; \
             raise the quota by {}, or use `canary` or `rolling`",
            all - room
        ));
    }
    if let Some(fixed) = footing.fixed.filter(|fixed| *fixed < footing.units) {
        return Err(format!(
            "blue-green needs {} units that stand ready, and the autoscaler that is in charge gives the canary {fixed}; \
             write `autoscale: suspend`",
            footing.units
        ));
    }
    let canary = footing.fixed.unwrap_or(footing.units).max(footing.units);
    let workers: BTreeMap<_, _> = footing
        .workers
        .iter()
        .map(|(process, units)| (process.clone(), Arms { baseline: *units, canary: *units }))
        .collect();
    let step = |share: Share, routed: Routed, approve: bool| Step {
        wished: share,
        share,
        baseline: footing.units,
        canary,
        routed,
        workers: workers.clone(),
        approve,
    };
    plan.steps.push(step(Share::NONE, Routed::Baseline, blue_green.approve));
    plan.steps.push(step(Share::ALL, Routed::Canary, false));
    Ok(())
}

/// Batch by batch, the sum staying what it was, until the next batch would leave the baseline nothing. The largest batch that
/// the quota has room for before the baseline's units make way.
fn batches(rolling: &Rolling, footing: &Footing, plan: &mut Plan) -> Result<(), String> {
    if rolling.native {
        return Ok(());
    }
    let wished = rounded(f64::from(footing.units) * rolling.batch.get()).max(1);
    let fits = |steps: &[Step]| {
        let befores = std::iter::once(None).chain(steps.iter().map(Some));
        befores
            .zip(steps)
            .all(|(before, step)| footing.room_after(before).is_none_or(|room| step.of_canary() <= room))
    };
    let found =
        (1..=wished).rev().map(|batch| (batch, in_batches(batch, footing))).find(|(_, steps)| fits(steps));
    let Some((batch, steps)) = found else {
        let room = footing.room.unwrap_or(0);
        return Err(format!(
            "a rolling update brings each batch up before it takes as many units of the baseline away, and the quota leaves room \
             for {room} units of the canary, which is too few; raise it"
        ));
    };
    if batch < wished {
        plan.adjusted
            .push(format!("a batch of {wished} units is more than the quota leaves room for: {batch}"));
    }
    if footing.units == 1 {
        plan.adjusted.push("the app has one unit, so the canary's comes on top of it".to_owned());
    }
    plan.steps = steps;
    Ok(())
}

fn in_batches(batch: u32, footing: &Footing) -> Vec<Step> {
    let of = |units: u32, share: Share| {
        let canary = rounded(f64::from(units) * share.get()).clamp(1, units.max(1));
        Arms { baseline: units.saturating_sub(canary).max(1).min(units), canary }
    };
    let step = |baseline: u32, canary: u32| {
        let share = Share::of(canary, baseline.saturating_add(canary));
        Step {
            wished: share,
            share,
            baseline,
            canary,
            routed: Routed::Both,
            workers: footing.workers.iter().map(|(p, units)| (p.clone(), of(*units, share))).collect(),
            approve: false,
        }
    };
    if footing.units == 1 {
        return vec![step(1, 1)];
    }
    let canary = (1..).map(|number: u32| batch.saturating_mul(number));
    let steps: Vec<Step> = canary
        .take_while(|canary| *canary < footing.units)
        .map(|canary| step(footing.units.saturating_sub(canary), canary))
        .collect();
    if steps.is_empty() {
        // One batch of everything: as many as leave the baseline one unit.
        return vec![step(1, footing.units.saturating_sub(1).max(1))];
    }
    steps
}

impl Step {
    /// Units of the canary in all.
    fn of_canary(&self) -> u32 {
        self.workers.values().map(|arms| arms.canary).fold(self.canary, u32::saturating_add)
    }
}

/// Adds a step, or makes it one with the step before if their units are the same.
fn push(plan: &mut Plan, step: Step) {
    let text =
        |s: &Step| format!("{} of {} units are the canary's ({})", s.canary, s.canary + s.baseline, s.share);
    match plan.steps.last_mut() {
        Some(last) if last.canary >= step.canary && last.baseline <= step.baseline => {
            plan.adjusted.push(format!(
                "{} and {} come out alike, so they are one step: {}",
                last.wished,
                step.wished,
                text(last)
            ));
            last.wished = step.wished;
            last.approve |= step.approve;
        }
        _ => {
            if (step.share.get() - step.wished.get()).abs() > 0.1 * step.wished.get() {
                plan.adjusted.push(format!(
                    "{} cannot be had with whole units; the nearest: {}",
                    step.wished,
                    text(&step)
                ));
            }
            plan.steps.push(step);
        }
    }
}

/// The units of baseline and canary that come nearest to `share`, for `units` units of the baseline at the start.
fn nearest(capacity: Capacity, share: Share, units: u32) -> (u32, u32) {
    let whole = f64::from(units);
    match capacity {
        Capacity::Surge => {
            // c / (units + c) = share, and never more canary units than would double the app many times over.
            let odds = share.get() / (1.0 - share.get()).max(0.01);
            (units, rounded(whole * odds).max(1))
        }
        Capacity::Shift => {
            let canary = rounded(whole * share.get()).max(1);
            (kept(capacity, units, canary), canary)
        }
    }
}

/// The units that are left to a baseline of `units` beside so many of the canary.
fn kept(capacity: Capacity, units: u32, canary: u32) -> u32 {
    match capacity {
        Capacity::Surge => units,
        Capacity::Shift => units.saturating_sub(canary).max(units.div_ceil(2)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of units, never negative; a float saturates"
)]
fn rounded(count: f64) -> u32 {
    count.round() as u32
}

#[cfg(test)]
mod tests;
