use super::*;
use crate::policy::Bake;
use crate::words::Span;

const BAKE: Bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) };

fn canary(steps: &[f64], capacity: Capacity) -> Strategy {
    Strategy::Canary(Canary {
        steps: steps.iter().filter_map(|s| Share::new(*s)).collect(),
        bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
        approve: Share::new(0.25).into_iter().collect(),
        process: "web".to_owned(),
        capacity,
    })
}

fn footing(units: u32, room: Option<u32>) -> Footing {
    Footing { units, room, ..Footing::default() }
}

fn counts(plan: &Plan) -> Vec<(u32, u32)> {
    plan.steps.iter().map(|s| (s.baseline, s.canary)).collect()
}

#[test]
fn many_units_give_the_wished_shares() {
    let plan = super::plan(&canary(&[0.05, 0.25, 0.5], Capacity::Surge), &footing(57, None)).unwrap();
    assert_eq!(counts(&plan), [(57, 3), (57, 19), (57, 57)]);
    assert_eq!(plan.adjusted, Vec::<String>::new());
    assert_eq!(plan.steps.iter().map(|s| s.approve).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn few_units_give_the_nearest_share_and_say_so() {
    let plan = super::plan(&canary(&[0.05, 0.25, 0.5], Capacity::Surge), &footing(3, None)).unwrap();
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
    let plan = super::plan(&canary(&[0.05, 0.25, 0.5], Capacity::Surge), &footing(1, None)).unwrap();
    assert_eq!(counts(&plan), [(1, 1)]);
}

#[test]
fn the_quota_bounds_the_canary() {
    let plan = super::plan(&canary(&[0.1, 0.5], Capacity::Surge), &footing(10, Some(3))).unwrap();
    assert_eq!(counts(&plan), [(10, 1), (10, 3)]);
    assert!(plan.adjusted.iter().any(|a| a.contains("quota")), "{:?}", plan.adjusted);
}

#[test]
fn units_that_made_way_leave_room_for_more_of_the_canary() {
    let shift = |room| {
        counts(&super::plan(&canary(&[0.1, 0.3, 0.5], Capacity::Shift), &footing(10, Some(room))).unwrap())
    };
    assert_eq!(shift(2), [(9, 1), (7, 3), (5, 5)]);
    assert_eq!(shift(1), [(9, 1), (8, 2), (7, 3)]);
    let workers = BTreeMap::from([("worker".to_owned(), 4)]);
    let rolls = |room| {
        let footing = Footing { workers: workers.clone(), ..footing(4, Some(room)) };
        let plan = super::plan(&rolling(0.5), &footing).ok()?;
        let worker = |step: &Step| (step.workers["worker"].baseline, step.workers["worker"].canary);
        Some(plan.steps.iter().map(|s| ((s.baseline, s.canary), worker(s))).collect::<Vec<_>>())
    };
    // The canary's first unit of each is there; two batches of two of each come before as many go.
    assert_eq!(rolls(4).unwrap(), [((2, 2), (2, 2))]);
    assert_eq!(rolls(2).unwrap(), [((3, 1), (3, 1)), ((2, 2), (2, 2)), ((1, 3), (1, 3))]);
    assert_eq!(rolls(1), None, "not even one of each");
}

#[test]
fn shifting_keeps_the_sum_until_half_is_gone() {
    let plan = super::plan(&canary(&[0.1, 0.5, 0.8], Capacity::Shift), &footing(10, None)).unwrap();
    assert_eq!(counts(&plan), [(9, 1), (5, 5), (5, 8)]);
}

#[test]
fn no_serving_unit_is_refused() {
    assert!(plan(&canary(&[0.1], Capacity::Surge), &footing(0, None)).is_err());
}

fn web() -> String {
    "web".to_owned()
}

fn share(value: f64) -> Share {
    Share::new(value).unwrap()
}

fn blue_green() -> Strategy {
    Strategy::BlueGreen(BlueGreen { bake: BAKE, approve: false, process: web() })
}

fn rolling(batch: f64) -> Strategy {
    Strategy::Rolling(Rolling { batch: share(batch), bake: BAKE, process: web(), native: false })
}

#[test]
fn blue_green_stands_ready_before_it_switches() {
    let plan = super::plan(&blue_green(), &footing(4, Some(4))).unwrap();
    assert_eq!(counts(&plan), [(4, 4), (4, 4)]);
    assert_eq!(plan.steps.iter().map(|s| s.routed).collect::<Vec<_>>(), [Routed::Baseline, Routed::Canary]);
}

#[test]
fn blue_green_over_the_quota_is_refused_with_what_is_missing() {
    let why = super::plan(&blue_green(), &footing(4, Some(3))).unwrap_err();
    assert!(why.contains("raise the quota by 1"), "{why}");
    let fixed = Footing { fixed: Some(2), ..footing(4, None) };
    assert!(super::plan(&blue_green(), &fixed).unwrap_err().contains("autoscale: suspend"));
}

#[test]
fn rolling_keeps_the_sum() {
    let batches = |batch, units, room| counts(&super::plan(&rolling(batch), &footing(units, room)).unwrap());
    assert_eq!(batches(0.25, 4, None), [(3, 1), (2, 2), (1, 3)]);
    assert_eq!(batches(0.25, 10, None), [(7, 3), (4, 6), (1, 9)]);
    assert_eq!(batches(0.5, 10, Some(2)), [(8, 2), (6, 4), (4, 6), (2, 8)]);
    assert_eq!(batches(1.0, 5, None), [(1, 4)]);
    assert_eq!(batches(0.25, 1, None), [(1, 1)]);
    assert_eq!(batches(0.25, 2, None), [(1, 1)]);
}

#[test]
fn workers_follow_the_share() {
    let workers = BTreeMap::from([("worker".to_owned(), 6)]);
    let footing = Footing { workers, ..footing(9, None) };
    let arms = |strategy: &Strategy| -> Vec<(u32, u32)> {
        let plan = super::plan(strategy, &footing).unwrap();
        plan.steps.iter().map(|s| (s.workers["worker"].baseline, s.workers["worker"].canary)).collect()
    };
    assert_eq!(arms(&canary(&[0.1, 0.5], Capacity::Surge)), [(6, 1), (6, 6)]);
    assert_eq!(arms(&canary(&[0.1, 0.5], Capacity::Shift)), [(5, 1), (3, 3)]);
    assert_eq!(arms(&blue_green()), [(6, 6), (6, 6)]);
    assert_eq!(arms(&rolling(0.5)), [(3, 3)]);
}

#[test]
fn an_autoscaler_in_charge_leaves_one_step() {
    let footing = Footing { fixed: Some(1), ..footing(9, None) };
    let plan = super::plan(&canary(&[0.1, 0.5], Capacity::Surge), &footing).unwrap();
    assert_eq!(counts(&plan), [(9, 1)]);
    assert!(plan.adjusted.iter().any(|a| a.contains("autoscaler")), "{:?}", plan.adjusted);
}
