//! Each strategy from its plan to both of its ends; autoscalers; the watch after the last step.

use super::*;
use crate::policy::{Autoscale, BlueGreen, MultiVersion, Rolling, SmokeCheck};

const BAKE: Bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) };

fn with(strategy: Strategy) -> Policy {
    Policy { strategy, ..policy() }
}

fn blue_green() -> Policy {
    with(Strategy::BlueGreen(BlueGreen { bake: BAKE, approve: false, process: "web".to_owned() }))
}

fn rolling() -> Policy {
    let batch = Share::new(0.25).unwrap();
    with(Strategy::Rolling(Rolling { batch, bake: BAKE, process: "web".to_owned(), native: false }))
}

fn multi_version(lasts: Option<Span>, then: Reaction) -> Policy {
    with(Strategy::MultiVersion(MultiVersion {
        share: Share::new(0.25).unwrap(),
        lasts,
        then,
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    }))
}

fn safe() -> Verdict {
    Verdict { safe: true, ..verdict() }
}

fn harm() -> Verdict {
    Verdict { harm: true, culprits: vec!["errors".to_owned()], ..verdict() }
}

impl World {
    /// Looks with this verdict every so often, until nothing is left to do.
    fn watch(&mut self, verdict: &Verdict, every: Span, most: usize) -> &mut Self {
        for _ in 0..most {
            if self.rollout.phase.is_final() {
                break;
            }
            self.pass(every).look(Inputs { verdict: Some(verdict), ..Inputs::default() });
            let served = self.units.iter().any(|u| u.ready && u.routable);
            assert!(served, "nobody serves after {:?}", self.commands);
        }
        self
    }

    fn order(&mut self, kind: OrderKind) -> &mut Self {
        let order = Order { kind, by: "ana".to_owned() };
        self.look(Inputs { order: Some(&order), ..Inputs::default() });
        self
    }

    fn is_routed(&self, version: Version) -> bool {
        self.units.iter().any(|u| u.version == version && u.routable)
    }
}

#[test]
fn blue_green_stands_ready_switches_on_then_off_and_replaces_the_base() {
    let mut world = World::new(blue_green(), 3);
    world.look(Inputs::default());
    assert_eq!((world.count(C), world.is_routed(C)), (3, false), "it stands ready before any user");
    world.watch(&safe(), Span::minutes(3), 10);
    assert_eq!(world.rollout.phase, Phase::Promoted);
    assert_eq!(
        world.commands,
        [
            "add 2 `web` unit(s) of v2",
            "route users to v2",
            "take v1 out of routing",
            "make v2 the only version"
        ]
    );
    assert_eq!((world.count(B), world.count(C)), (0, 3));
}

#[test]
fn blue_green_goes_back_by_toggles_alone() {
    let mut world = World::new(blue_green(), 3);
    world.watch(&verdict(), Span::seconds(15), 4);
    assert!(world.is_routed(C) && !world.is_routed(B), "switched");
    let before = world.commands.len();
    world.watch(&harm(), Span::seconds(15), 4);
    assert_eq!(world.rollout.phase, Phase::RolledBack);
    assert_eq!(world.commands[before..], ["route users to v1", "take v2 out of routing", "delete v2"]);
    assert_eq!((world.count(B), world.count(C)), (3, 0));
}

#[test]
fn smoke_checks_come_before_any_user() {
    let check = SmokeCheck {
        path: "/".to_owned(),
        port: None,
        status: None,
        contains: None,
        timeout: Span::seconds(5),
    };
    for wanted in [blue_green(), policy()] {
        for passes in [true, false] {
            let mut world = World::new(Policy { smoke: vec![check.clone()], ..wanted.clone() }, 3);
            for _ in 0..10 {
                world.pass(Span::seconds(5)).look(Inputs::default());
                assert!(!world.is_routed(C), "no user before the smoke checks");
            }
            let smoke = if passes {
                Smoke::Passed
            } else {
                Smoke::Failed { why: "it answers with 500".to_owned(), since: Time(0) }
            };
            for _ in 0..30 {
                world.pass(Span::seconds(5)).look(Inputs { smoke: Some(&smoke), ..Inputs::default() });
            }
            assert_eq!(world.is_routed(C), passes);
            assert_eq!(world.rollout.phase, if passes { Phase::Step } else { Phase::RolledBack });
            assert_eq!(world.rollout.culprits, if passes { vec![] } else { vec!["smoke".to_owned()] });
        }
    }
}

#[test]
fn an_approval_stands_between_ready_and_switched() {
    let bake = BAKE;
    let strategy = Strategy::BlueGreen(BlueGreen { bake, approve: true, process: "web".to_owned() });
    let mut world = World::new(with(strategy), 2);
    world.watch(&safe(), Span::minutes(1), 10);
    assert_eq!((world.rollout.pause, world.is_routed(C)), (Some(PauseCause::Approval), false));
    world.order(OrderKind::Approve).watch(&safe(), Span::minutes(3), 10);
    assert_eq!(world.rollout.phase, Phase::Promoted);
}

#[test]
fn rolling_keeps_the_sum_and_brings_a_shrunken_baseline_back_before_it_gets_all_users() {
    let mut world = World::new(rolling(), 4);
    world.watch(&safe(), Span::seconds(90), 12);
    assert_eq!((world.count(B), world.count(C)), (1, 3), "the third batch: {:?}", world.commands);
    let before = world.commands.len();
    world.watch(&harm(), Span::seconds(15), 6);
    assert_eq!(world.rollout.phase, Phase::RolledBack);
    assert_eq!(
        world.commands[before..],
        ["add 3 `web` unit(s) of v1", "take v2 out of routing", "delete v2"]
    );
    assert_eq!((world.count(B), world.count(C)), (4, 0));

    let mut world = World::new(rolling(), 4);
    world.watch(&safe(), Span::minutes(3), 30);
    assert_eq!((world.rollout.phase, world.count(B), world.count(C)), (Phase::Promoted, 0, 4));
}

#[test]
fn two_versions_coexist_until_the_time_or_a_person_ends_it() {
    let hour = Some(Span::minutes(60));
    for (then, phase, counts) in [
        (Reaction::Ignore, Phase::Kept, (3, 1)),
        (Reaction::Promote, Phase::Promoted, (0, 3)),
        (Reaction::Rollback, Phase::RolledBack, (3, 0)),
    ] {
        let mut world = World::new(multi_version(hour, then), 3);
        world.watch(&safe(), Span::minutes(10), 6);
        assert_eq!(world.rollout.phase, Phase::Step, "it is not promoted for being safe");
        world.watch(&safe(), Span::minutes(10), 6);
        assert_eq!((world.rollout.phase, (world.count(B), world.count(C))), (phase, counts));
    }
    for (order, phase) in [
        (OrderKind::Keep, Phase::Kept),
        (OrderKind::Promote, Phase::Promoted),
        (OrderKind::Rollback, Phase::RolledBack),
    ] {
        let mut world = World::new(multi_version(None, Reaction::Ignore), 3);
        world.watch(&safe(), Span::minutes(60), 100);
        assert_eq!(world.rollout.phase, Phase::Step, "watched without end");
        world.order(order).watch(&safe(), Span::minutes(1), 6);
        assert_eq!(world.rollout.phase, phase);
    }
    let mut world = World::new(multi_version(None, Reaction::Ignore), 3);
    world.watch(&verdict(), Span::minutes(1), 3).watch(&harm(), Span::minutes(1), 3);
    assert_eq!(world.rollout.phase, Phase::RolledBack);
}

#[test]
fn two_versions_are_kept_once_what_is_under_way_is_answered() {
    let mut world = World::new(multi_version(None, Reaction::Ignore), 3);
    world.watch(&safe(), Span::minutes(1), 3);
    let number = world.rollout.command.as_ref().unwrap().number + 1;
    let command = Command::Route { version: B };
    world.record(Event::CommandIssued { number, command, expected: None });
    world.order(OrderKind::Keep);
    assert_eq!(world.rollout.phase, Phase::Leaving);
    world.record(Event::CommandAnswered { number, answer: Answer::Done });
    world.watch(&safe(), Span::minutes(1), 1);
    assert_eq!(world.rollout.phase, Phase::Kept);
}

#[test]
fn the_way_back_stays_open_after_everything_is_moved() {
    let watched = Policy { watch: Span::minutes(60), ..policy() };
    let mut world = in_step(watched.clone());
    world.watch(&safe(), Span::minutes(3), 10);
    assert_eq!((world.rollout.phase, world.count(B)), (Phase::Watching, 0));
    world.watch(&harm(), Span::seconds(15), 4);
    assert_eq!((world.rollout.phase, world.count(B), world.count(C)), (Phase::RolledBack, 3, 0));

    let mut world = in_step(watched);
    world.watch(&verdict(), Span::minutes(3), 1).watch(&safe(), Span::minutes(3), 40);
    assert_eq!(world.rollout.phase, Phase::Promoted, "{}", world.rollout.reason);
}

#[test]
fn kept_units_make_the_way_back_instant_and_go_when_their_time_is_over() {
    let kept = Policy { watch: Span::minutes(60), keep_for: Span::minutes(30), ..policy() };
    let mut world = in_step(kept.clone());
    world.watch(&safe(), Span::minutes(3), 7);
    assert_eq!(world.rollout.phase, Phase::Watching, "{:?}", world.commands);
    assert_eq!((world.count(B), world.is_routed(B), world.count(C)), (3, false, 3));
    let before = world.commands.len();
    let mut back =
        World { rollout: world.rollout.clone(), units: world.units.clone(), ..World::new(kept, 1) };
    back.now = world.now;
    back.watch(&harm(), Span::seconds(15), 4);
    assert_eq!(back.commands, ["route users to v1", "take v2 out of routing", "delete v2"]);
    world.watch(&verdict(), Span::minutes(3), 12);
    assert_eq!(
        (world.rollout.phase, world.count(B)),
        (Phase::Watching, 0),
        "kept no longer than it was said"
    );
    world.watch(&verdict(), Span::minutes(3), 20);
    assert_eq!(world.rollout.phase, Phase::Promoted);
    assert_eq!(world.commands[before..], ["make v2 the only version"]);
}

#[test]
fn a_person_ends_the_watch_and_others_end_it_as_promoted() {
    let watched = Policy { watch: Span::minutes(60), ..policy() };
    let mut world = in_step(watched.clone());
    world.watch(&safe(), Span::minutes(3), 10).order(OrderKind::Promote).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Promoted);
    for foreign in [
        Foreign::NewVersion(Some(Version(3)), "ci deployed v3".to_owned()),
        Foreign::Changed("bob changed the number of units".to_owned()),
    ] {
        let mut world = in_step(watched.clone());
        world.watch(&safe(), Span::minutes(3), 10);
        world.look(Inputs { foreign: Some(&foreign), ..Inputs::default() });
        assert_eq!(world.rollout.phase, Phase::Promoted);
    }
}

#[test]
fn a_change_of_the_environment_begins_the_bake_anew() {
    let mut world = in_step(policy());
    world.watch(&safe(), Span::minutes(4), 1);
    let env = Foreign::Environment("bob changed the environment".to_owned());
    world.look(Inputs { foreign: Some(&env), ..Inputs::default() });
    assert_eq!(world.rollout.baked(world.now), Span::ZERO);
    assert_eq!(world.rollout.fresh, Some(world.now));
    world.watch(&safe(), Span::minutes(4), 1);
    assert_eq!(world.rollout.step, 0);
    world.watch(&safe(), Span::minutes(1), 1);
    assert_eq!(world.rollout.step, 1);
}

#[test]
fn a_native_rolling_update_is_watched_and_taken_back() {
    let strategy =
        Strategy::Rolling(Rolling { batch: Share::ALL, bake: BAKE, process: "web".to_owned(), native: true });
    for (verdict, phase, left) in [(safe(), Phase::Promoted, C), (harm(), Phase::RolledBack, B)] {
        let mut world = World::new(with(strategy.clone()), 0);
        world.rollout.kind = Kind::InPlace;
        world.units.clear();
        (0..3).for_each(|_| world.add(C, true, true));
        world.watch(&verdict, Span::minutes(5), 10);
        assert_eq!((world.rollout.phase, world.count(left)), (phase, 3));
    }
}

#[test]
fn an_earlier_version_is_given_back_by_the_safest_route() {
    // It still runs without users: toggles. It is gone: the platform brings it back beside what serves.
    for still_runs in [true, false] {
        let mut world = World::new(policy(), 0);
        world.rollout.kind = Kind::Return;
        world.units.clear();
        (0..3).for_each(|_| world.add(C, true, false));
        if still_runs {
            (0..3).for_each(|_| world.add(B, false, true));
        }
        world.watch(&verdict(), Span::seconds(15), 6);
        assert_eq!((world.rollout.phase, world.count(B), world.count(C)), (Phase::RolledBack, 3, 0));
        let route: &[&str] = if still_runs {
            &["route users to v1", "take v2 out of routing", "delete v2"]
        } else {
            &["make v1 the only version"]
        };
        assert_eq!(world.commands, route);
    }
}

fn autoscaler() -> Autoscaler {
    Autoscaler { process: "web".to_owned(), version: Some(B), spec: "{\"maxUnits\":9}".to_owned() }
}

#[test]
fn an_autoscaler_is_refused_or_suspended_and_given_back_whatever_the_end() {
    let mut world = World::new(policy(), 3);
    world.autoscaled = vec![autoscaler()];
    world.look(Inputs::default());
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Failed, 0));
    assert!(world.rollout.reason.contains("autoscale: suspend"), "{}", world.rollout.reason);

    let suspends = Policy { autoscale: Autoscale::Suspend, ..policy() };
    let taken = Foreign::Changed("bob unrouted v2".to_owned());
    for (verdict, foreign, phase) in [
        (safe(), None, Phase::Promoted),
        (harm(), None, Phase::RolledBack),
        (verdict(), Some(&taken), Phase::TakenOver),
    ] {
        let mut world = World::new(suspends.clone(), 3);
        world.autoscaled = vec![autoscaler()];
        world.look(Inputs::default());
        assert_eq!(world.commands[0], "remove the autoscaler of `web`");
        assert!(world.autoscaled.is_empty());
        world.watch(&verdict, Span::minutes(3), 2);
        if foreign.is_some() {
            world.look(Inputs { foreign, ..Inputs::default() });
        }
        world.watch(&verdict, Span::minutes(3), 20);
        assert_eq!((world.rollout.phase, world.autoscaled.len()), (phase, 1), "{:?}", world.commands);
        let serves = if phase == Phase::Promoted { C } else { B };
        assert!(phase == Phase::TakenOver || world.autoscaled[0].version == Some(serves));
    }
}

#[test]
fn an_autoscaler_that_stays_is_moved_to_the_version_that_serves() {
    let mut world = World::new(Policy { autoscale: Autoscale::Swap, ..policy() }, 3);
    world.autoscaled = vec![autoscaler()];
    world.watch(&safe(), Span::minutes(3), 20);
    assert_eq!(world.rollout.phase, Phase::Promoted);
    assert_eq!(
        world.commands,
        ["route users to v2", "make v2 the only version", "let the autoscalers change v2"]
    );
}

#[test]
fn workers_follow_and_get_their_old_size_back() {
    let mut world = World::new(Policy { workers: vec!["worker".to_owned()], ..policy() }, 3);
    for (version, count) in [(B, 4), (C, 1)] {
        for _ in 0..count {
            world.add(version, version == B, version == B);
            world.units.last_mut().unwrap().process = "worker".to_owned();
        }
    }
    world.watch(&safe(), Span::minutes(3), 20);
    assert_eq!(world.rollout.phase, Phase::Promoted);
    let count = |process: &str| world.units.iter().filter(|u| u.process == process).count();
    assert_eq!((count("web"), count("worker")), (3, 4), "{:?}", world.commands);
}

#[test]
fn a_process_that_the_app_does_not_have_is_said_before_anything_is_touched() {
    let mut world = World::new(Policy { workers: vec!["mailer".to_owned()], ..policy() }, 3);
    world.look(Inputs::default());
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Failed, 0));
    assert!(world.rollout.reason.contains("`mailer`, and app `shop` has `web`"), "{}", world.rollout.reason);
}

#[test]
fn units_of_a_step_that_never_get_ready_end_it() {
    let mut world = World::new(rolling(), 4);
    world.look(Inputs::default());
    world.rollout.step_reached = None;
    for _ in 0..70 {
        world.units.iter_mut().filter(|u| u.version == C).for_each(|u| u.ready = false);
        world.pass(Span::seconds(15)).look(Inputs::default());
    }
    assert_eq!(world.rollout.phase, Phase::RolledBack, "{:?}", world.log);
    assert_eq!(world.rollout.culprits, ["ready"]);
}

#[test]
fn a_quarantine_marks_the_version_once() {
    let mut world = in_step(Policy { quarantine: true, ..policy() });
    world.watch(&harm(), Span::seconds(15), 4);
    assert_eq!(world.commands[1..], ["take v2 out of routing", "quarantine v2", "delete v2"]);
}

#[test]
fn a_way_back_that_keeps_failing_calls_a_person_once_and_is_tried_on() {
    let mut world = in_step(policy());
    world.record(Event::RollbackDecided {
        why: "harm".to_owned(),
        culprits: vec![],
        ending: Ending::RolledBack,
    });
    for number in 2..12 {
        world.pass(Span::seconds(31));
        let observed = world.observed();
        let inputs = Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() };
        for event in decide(&world.rollout, &inputs) {
            world.record(event);
        }
        let Act::Do { command, expected } = next_act(&world.rollout, &world.observed(), false, world.now)
        else {
            panic!("it is given up")
        };
        world.record(Event::CommandIssued { number, command, expected });
        let answer = Answer::Error { kind: PlatformErrorKind::Failed, message: "no".to_owned() };
        world.record(Event::CommandAnswered { number, answer });
    }
    assert_eq!(world.log.iter().filter(|label| **label == "person_needed").count(), 1);
}
