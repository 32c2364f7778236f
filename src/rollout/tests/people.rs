//! What people are asked, what they say, and what goes on meanwhile.

use super::*;
use crate::policy::{Autoscale, MultiVersion};

fn order(kind: OrderKind) -> Order {
    Order { kind, by: "ana".to_owned() }
}

impl World {
    fn hears(&mut self, kind: OrderKind) {
        let order = order(kind);
        self.look(Inputs { order: Some(&order), ..Inputs::default() });
    }
}

#[test]
fn whoever_approves_the_advice_to_roll_back_gets_the_baseline() {
    let both = MultiVersion {
        share: Share::new(0.25).unwrap(),
        lasts: Some(Span::minutes(60)),
        then: Reaction::Rollback,
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    };
    for strategy in [Strategy::MultiVersion(both), policy().strategy] {
        let harm = matches!(strategy, Strategy::Canary(_));
        let mut world = World::new(Policy { mode: Mode::Advise, strategy, ..policy() }, 3);
        world.look(Inputs::default());
        world.hears(OrderKind::Approve);
        world.look(Inputs::default());
        world.pass(Span::seconds(15)).look(Inputs::default());
        let said = Verdict { harm, ..verdict() };
        world.pass(Span::minutes(61)).look(Inputs { verdict: Some(&said), ..Inputs::default() });
        assert_eq!(world.rollout.pause, Some(PauseCause::RollbackAdvice));
        world.hears(OrderKind::Approve);
        world.pass(Span::minutes(1)).look(Inputs::default());
        world.pass(Span::minutes(1)).look(Inputs::default());
        assert_eq!((world.rollout.phase, world.count(C)), (Phase::RolledBack, 0));
    }
}

#[test]
fn harm_is_told_to_whoever_is_about_to_agree_that_it_goes_on() {
    let mut on = policy().on;
    on.fail = Reaction::Pause;
    for (policy, waits, then) in [
        (Policy { mode: Mode::Advise, ..policy() }, PauseCause::Advice, PauseCause::RollbackAdvice),
        (Policy { on, ..policy() }, PauseCause::Approval, PauseCause::Fail),
    ] {
        let mut world = World::new(policy, 3);
        world.look(Inputs::default());
        world.hears(OrderKind::Approve);
        world.look(Inputs::default());
        world.pass(Span::seconds(15)).look(Inputs::default());
        world.record(Event::Paused { cause: waits, why: "advises to go on".to_owned() });
        let harm = Verdict { harm: true, ..verdict() };
        world.look(Inputs { verdict: Some(&harm), ..Inputs::default() });
        assert_eq!(world.rollout.pause, Some(then));
        let told = world.log.len();
        world.look(Inputs { verdict: Some(&harm), ..Inputs::default() });
        assert_eq!(world.log.len(), told, "it is said once");
    }
}

#[test]
fn nothing_is_moved_while_a_person_says_to_wait() {
    let mut world = World::new(policy(), 3);
    world.record(Event::Planned {
        plan: plan::plan(&policy().strategy, &plan::Footing { units: 3, ..plan::Footing::default() })
            .unwrap(),
        units: 3,
        others: BTreeMap::new(),
        suspends: Vec::new(),
    });
    world.record(Event::StepBegan { step: 0 });
    world.hears(OrderKind::Pause);
    world.pass(Span::minutes(20)).look(Inputs::default());
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Paused, 0));
    // Its time begins when it goes on, not when it began.
    world.hears(OrderKind::Resume);
    world.look(Inputs::default());
    assert_eq!(world.commands, ["route users to v2"]);
    assert_eq!(world.rollout.phase, Phase::Step);
}

#[test]
fn what_was_advised_long_ago_is_planned_on_the_units_of_now() {
    let policy = Policy { mode: Mode::Advise, autoscale: Autoscale::Suspend, ..policy() };
    let mut world = World::new(policy, 4);
    world.autoscaled = vec![Autoscaler { process: "web".to_owned(), version: Some(B), spec: String::new() }];
    world.look(Inputs::default());
    assert_eq!(world.rollout.units, 4);
    for _ in 0..6 {
        world.add(B, true, true);
    }
    world.pass(Span::minutes(300)).hears(OrderKind::Approve);
    for _ in 0..3 {
        world.pass(Span::seconds(31)).look(Inputs::default());
    }
    assert_eq!((world.rollout.units, world.count(B), world.rollout.phase), (10, 10, Phase::Step));
}

#[test]
fn units_that_an_autoscaler_made_before_it_could_be_removed_are_planned_with() {
    let mut world = World::new(Policy { autoscale: Autoscale::Suspend, ..policy() }, 4);
    world.autoscaled = vec![Autoscaler { process: "web".to_owned(), version: Some(B), spec: String::new() }];
    world.decide(Inputs::default());
    for _ in 0..6 {
        world.add(B, true, true);
    }
    let number = 1;
    let command = Command::SuspendAutoscaler { process: "web".to_owned() };
    world.obey(&command);
    world.record(Event::CommandIssued { number, command, expected: None });
    world.record(Event::CommandAnswered { number, answer: Answer::Done });
    for _ in 0..3 {
        world.pass(Span::seconds(31)).look(Inputs::default());
    }
    assert_eq!((world.rollout.units, world.count(B)), (10, 10), "{:?}", world.commands);
    assert!(world.commands.iter().all(|command| !command.starts_with("remove 6")), "{:?}", world.commands);
}

#[test]
fn a_platform_that_cannot_be_observed_on_the_way_back_calls_a_person_once() {
    for promotes in [true, false] {
        let mut world = in_step(policy());
        world.record(if promotes {
            Event::PromotionDecided { why: "proven".to_owned() }
        } else {
            Event::RollbackDecided { why: "harm".to_owned(), culprits: vec![], ending: Ending::RolledBack }
        });
        let before = world.log.len();
        for _ in 0..40 {
            world.pass(Span::minutes(1));
            let inputs = Inputs { now: world.now, ..Inputs::default() };
            for event in decide(&world.rollout, &inputs) {
                world.record(event);
            }
        }
        assert_eq!(world.log[before..], ["trouble_began", "person_needed"]);
        world.look(Inputs::default());
        assert_eq!(world.log.last(), Some(&"trouble_ended"));
    }
}

#[test]
fn an_order_that_cannot_begin_because_nothing_can_be_observed_calls_a_person() {
    let mut world = World::new(policy(), 0);
    world.rollout.kind = Kind::Return;
    for _ in 0..20 {
        world.pass(Span::minutes(1));
        for event in decide(&world.rollout, &Inputs { now: world.now, ..Inputs::default() }) {
            world.record(event);
        }
    }
    assert_eq!(world.log, ["trouble_began", "person_needed"]);
}

#[test]
fn an_autoscaler_that_was_taken_away_is_given_back_whatever_is_planned_later() {
    let mut world = World::new(Policy { autoscale: Autoscale::Suspend, ..policy() }, 4);
    let scaler = Autoscaler { process: "web".to_owned(), version: Some(B), spec: String::new() };
    world.autoscaled = vec![scaler.clone()];
    for scaled in [true, false] {
        if !scaled {
            world.autoscaled.clear();
        }
        let observed = world.observed();
        let planned = decide(
            &world.rollout,
            &Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() },
        );
        world.record(planned[0].clone());
    }
    assert_eq!(world.rollout.suspends, [scaler]);
}

#[test]
fn somebody_elses_lock_is_no_fault_of_the_canary() {
    let mut world = World::new(policy(), 9);
    world.decide(Inputs::default());
    // Units are missing, and could not be asked for while a build held the app.
    world.pass(Span::minutes(16));
    for busy in [true, false] {
        let observed = world.observed();
        let inputs = Inputs { now: world.now, observed: Some(&observed), busy, ..Inputs::default() };
        let labels: Vec<_> = decide(&world.rollout, &inputs).iter().map(Event::label).collect();
        assert!(!labels.contains(&"rollback_decided"), "{labels:?}");
    }
    let mut promoting = in_step(policy());
    promoting.pass(Span::minutes(1));
    promoting.record(Event::PromotionDecided { why: "proven".to_owned() });
    promoting.pass(Span::minutes(16));
    for busy in [true, false] {
        let observed = promoting.observed();
        let inputs = Inputs { now: promoting.now, observed: Some(&observed), busy, ..Inputs::default() };
        assert_eq!(decide(&promoting.rollout, &inputs), [], "nothing was asked for yet");
    }
}
