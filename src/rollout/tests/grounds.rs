//! What nothing may be built on: sizes that are about to change, what the platform does not tell, what it did not take up.

use super::*;
use crate::policy::BlueGreen;

fn blue_green() -> Policy {
    let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) };
    let strategy = Strategy::BlueGreen(BlueGreen { bake, approve: false, process: "web".to_owned() });
    Policy { strategy, ..policy() }
}

/// What is decided so long after the beginning, on what is seen.
fn decided(world: &World, observed: &Observed, busy: bool, after: Span) -> Vec<&'static str> {
    let inputs = Inputs { now: Time(0) + after, observed: Some(observed), busy, ..Inputs::default() };
    decide(&world.rollout, &inputs).iter().map(Event::label).collect()
}

#[test]
fn no_plan_is_made_while_the_platform_makes_units_anew() {
    let world = World::new(policy(), 4);
    let soon = Span::seconds(15);
    let still = world.observed();
    assert_eq!(decided(&world, &still, false, soon), ["planned", "step_began"]);
    assert!(decided(&world, &still, true, soon).is_empty(), "something else is under way");
    let mut surge = still.clone();
    let new = |u: &Unit| Unit { name: format!("shop-web-new-{}", u.name), ..u.clone() };
    let made: Vec<_> = surge.units.iter().filter(|u| u.version == B).map(new).collect();
    surge.units = surge.units.iter().cloned().chain(made).collect();
    assert!(decided(&world, &surge, false, soon).is_empty(), "eight units, four of which are about to go");
    assert_eq!(decided(&world, &surge, false, Span::minutes(11)), ["finished"]);
}

#[test]
fn what_the_platform_does_not_tell_is_waited_for_and_not_taken_for_none() {
    for gap in [
        "unknown: whether an autoscaler changes the number of units",
        "unknown: how many units the quota leaves",
    ] {
        let world = World::new(policy(), 4);
        let untold = Observed { gaps: vec![gap.to_owned()], ..world.observed() };
        assert!(decided(&world, &untold, false, Span::seconds(15)).is_empty(), "{gap}");
        assert_eq!(decided(&world, &untold, false, Span::minutes(11)), ["finished"], "{gap}");
        let observing = World::new(Policy { mode: Mode::Observe, ..policy() }, 4);
        let untold = Observed { gaps: vec![gap.to_owned()], ..observing.observed() };
        assert!(
            !decided(&observing, &untold, false, Span::seconds(15)).is_empty(),
            "who only looks moves nothing"
        );
    }
}

#[test]
fn the_units_that_somebody_wants_back_are_not_counted_twice_while_they_are_made_anew() {
    let mut world = World::new(policy(), 0);
    world.rollout.kind = Kind::Return;
    world.units.clear();
    for _ in 0..3 {
        world.add(C, true, true);
    }
    for n in 0..3 {
        world.add(C, true, true);
        let unit = world.units.last_mut().unwrap();
        (unit.name, unit.ready) = (format!("shop-new-{n}"), false);
    }
    world.look(Inputs::default());
    assert_eq!(world.rollout.units, 3);
}

fn answered(world: &mut World, kind: PlatformErrorKind) -> Command {
    let Act::Do { command, expected } = next_act(&world.rollout, &world.observed(), false, world.now) else {
        panic!("nothing to do")
    };
    let number = world.rollout.command.as_ref().map_or(1, |c| c.number + 1);
    world.record(Event::CommandIssued { number, command: command.clone(), expected });
    let message = "as it says".to_owned();
    world.record(Event::CommandAnswered { number, answer: Answer::Error { kind, message } });
    command
}

#[test]
fn a_freeze_of_all_deploys_costs_no_canary_its_promotion_and_calls_a_person() {
    for (kind, phase) in [
        (PlatformErrorKind::Busy, Phase::Promoting),
        (PlatformErrorKind::Unauthorized, Phase::Promoting),
        (PlatformErrorKind::Unreachable, Phase::Promoting),
        (PlatformErrorKind::Failed, Phase::RollingBack),
    ] {
        let mut world = in_step(policy());
        world.record(Event::PromotionDecided { why: "proven".to_owned() });
        let mut called = 0;
        for _ in 0..8 {
            if world.rollout.phase != Phase::Promoting {
                break;
            }
            answered(&mut world, kind);
            world.pass(Span::minutes(3));
            let observed = world.observed();
            let inputs = Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() };
            for event in decide(&world.rollout, &inputs) {
                called += usize::from(event.label() == "person_needed");
                world.record(event);
            }
        }
        assert_eq!(world.rollout.phase, phase, "{kind:?}");
        assert_eq!(called, usize::from(kind != PlatformErrorKind::Failed), "{kind:?}");
    }
}

#[test]
fn a_removal_that_always_stops_half_way_is_done_another_way() {
    let mut world = in_step(policy());
    world.record(Event::RollbackDecided {
        why: "harm".to_owned(),
        culprits: Vec::new(),
        ending: Ending::RolledBack,
    });
    world.route(C, false);
    world.pass(Span::minutes(1));
    for _ in 0..4 {
        assert_eq!(answered(&mut world, PlatformErrorKind::Failed), Command::Delete { version: C });
        world.pass(Span::minutes(2));
    }
    world.look(Inputs::default());
    assert_eq!(world.commands.last().unwrap(), "make v1 the only version");
    assert_eq!((world.count(B), world.count(C)), (3, 0));
}

#[test]
fn blue_green_brings_every_process_up_before_the_baseline_is_taken_out() {
    let mut world = World::new(blue_green(), 3);
    for (version, units) in [(B, 4), (C, 1)] {
        for _ in 0..units {
            world.add(version, version == B, version == B);
            world.units.last_mut().unwrap().process = "api".to_owned();
        }
    }
    let crashed = world.units.len() - 1;
    world.units[crashed].ready = false;
    let safe = Verdict { safe: true, ..verdict() };
    for _ in 0..5 {
        world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    }
    assert!(
        world.units.iter().any(|u| u.version == B && u.routable),
        "nobody of the canary's `api` is ready"
    );
    world.units[crashed].ready = true;
    for _ in 0..10 {
        world.pass(Span::minutes(3)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
        let api = world.units.iter().filter(|u| u.process == "api" && u.routable && u.ready).count();
        assert!(api >= 4, "{api} of 4 serve after {:?}", world.commands);
    }
    assert_eq!(world.rollout.phase, Phase::Promoted, "{:?}", world.commands);
    let count = |process: &str| world.units.iter().filter(|u| u.process == process).count();
    assert_eq!((count("web"), count("api")), (3, 4));
    let api = Footing { units: 3, lacks: 3, room: Some(5), ..Footing::default() };
    assert!(
        plan(&blue_green().strategy, &api).unwrap_err().contains("6 units"),
        "the quota has to hold them all"
    );
}

#[test]
fn an_autoscaler_that_is_listed_tells_nothing_of_units_that_are_not() {
    let mut world = in_step(Policy { autoscale: crate::policy::Autoscale::Suspend, ..policy() });
    let scaler = Autoscaler { process: "web".to_owned(), version: None, spec: String::new() };
    world.rollout.suspends = vec![scaler.clone()];
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.pass(Span::minutes(1));
    let only = world.issue(Answer::Done);
    world.obey(&only);
    let old = world.observed();
    let less = world.issue(Answer::Done);
    world.obey(&less);
    assert_eq!(less, Command::RemoveUnits { version: C, process: "web".to_owned(), count: 1 });
    let restore = world.issue(Answer::Done);
    assert_eq!(restore, Command::RestoreAutoscaler { autoscaler: scaler.clone() });
    world.obey(&restore);
    // Another replica of the API answers: it lags, and lists autoscalers as they are.
    let old = Observed { autoscaled: vec![scaler], ..old };
    assert!(matches!(next_act(&world.rollout, &old, false, world.now), Act::Wait(_)));
    assert_eq!(world.next(), Act::Settled);
}
