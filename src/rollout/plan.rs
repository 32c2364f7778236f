//! The plan of a canary rollout: wished shares of traffic as whole units.
//!
//! A platform without traffic weights gives a version the share of users' requests that its units are of all
//! serving units. So 5 % of three units cannot be had: the plan takes the nearest share that can, and says so.

use serde::{Deserialize, Serialize};

use crate::policy::{Canary, Capacity};
use crate::words::Share;

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
    /// A person must agree before the step after this one begins.
    pub approve: bool,
}

/// The steps of a rollout, with what had to be adjusted in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps, each with a larger share than the one before.
    pub steps: Vec<Step>,
    /// What the units made impossible, a sentence each.
    pub adjusted: Vec<String>,
}

/// Turns the wished shares into whole units, for an app with `units` serving units of the baseline.
///
/// `room` is how many units may exist beside the baseline's (a quota); nothing: no limit. The platform made one unit
/// of the canary already, so one is always possible.
///
/// # Errors
/// In words, when no step is possible: the app has no serving unit.
pub fn plan(canary: &Canary, units: u32, room: Option<u32>) -> Result<Plan, String> {
    if units == 0 {
        return Err(
            "the baseline has no unit that serves, so there is nothing to compare the canary with".to_owned()
        );
    }
    let most = room.map_or(u32::MAX, |room| room.max(1));
    let mut plan = Plan { steps: Vec::new(), adjusted: Vec::new() };
    for wished in &canary.steps {
        let (baseline, wanted) = nearest(canary.capacity, *wished, units);
        let count = wanted.min(most);
        if count < wanted {
            plan.adjusted.push(format!(
                "{wished} would take {wanted} canary units, and the quota leaves room for {count}"
            ));
        }
        let baseline = if count < wanted { units } else { baseline };
        let step = Step {
            wished: *wished,
            share: Share::of(count, baseline.saturating_add(count)),
            baseline,
            canary: count,
            approve: canary.approve.contains(wished),
        };
        push(&mut plan, step);
    }
    Ok(plan)
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
            (units.saturating_sub(canary).max(units.div_ceil(2)), canary)
        }
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
mod tests {
    use super::*;
    use crate::policy::Bake;
    use crate::words::Span;

    fn canary(steps: &[f64], capacity: Capacity) -> Canary {
        Canary {
            steps: steps.iter().filter_map(|s| Share::new(*s)).collect(),
            bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
            approve: Share::new(0.25).into_iter().collect(),
            process: "web".to_owned(),
            capacity,
        }
    }

    fn counts(plan: &Plan) -> Vec<(u32, u32)> {
        plan.steps.iter().map(|s| (s.baseline, s.canary)).collect()
    }

    #[test]
    fn many_units_give_the_wished_shares() {
        let plan = plan(&canary(&[0.05, 0.25, 0.5], Capacity::Surge), 57, None).unwrap();
        assert_eq!(counts(&plan), [(57, 3), (57, 19), (57, 57)]);
        assert_eq!(plan.adjusted, Vec::<String>::new());
        assert_eq!(plan.steps.iter().map(|s| s.approve).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn few_units_give_the_nearest_share_and_say_so() {
        let plan = plan(&canary(&[0.05, 0.25, 0.5], Capacity::Surge), 3, None).unwrap();
        assert_eq!(counts(&plan), [(3, 1), (3, 3)]);
        assert_eq!(
            plan.adjusted,
            [
                "5% cannot be had with whole units; the nearest: 1 of 4 units are the canary's (25%)",
                "5% and 25% come out alike, so they are one step: 1 of 4 units are the canary's (25%)",
            ]
        );
        assert!(plan.steps[0].approve, "the approval after 25% is kept");
    }

    #[test]
    fn one_unit_leaves_one_step() {
        let plan = plan(&canary(&[0.05, 0.25, 0.5], Capacity::Surge), 1, None).unwrap();
        assert_eq!(counts(&plan), [(1, 1)]);
    }

    #[test]
    fn the_quota_bounds_the_canary() {
        let plan = plan(&canary(&[0.1, 0.5], Capacity::Surge), 10, Some(3)).unwrap();
        assert_eq!(counts(&plan), [(10, 1), (10, 3)]);
        assert!(plan.adjusted.iter().any(|a| a.contains("quota")), "{:?}", plan.adjusted);
    }

    #[test]
    fn shifting_keeps_the_sum_until_half_is_gone() {
        let plan = plan(&canary(&[0.1, 0.5, 0.8], Capacity::Shift), 10, None).unwrap();
        assert_eq!(counts(&plan), [(9, 1), (5, 5), (5, 8)]);
    }

    #[test]
    fn no_serving_unit_is_refused() {
        assert!(super::plan(&canary(&[0.1], Capacity::Surge), 0, None).is_err());
    }
}
