//! What others do at the wrong moment, and what several things at once come to.

use super::*;
use crate::policy::{Autoscale, BlueGreen, Rolling};

fn rolling_back() -> World {
    let mut world = in_step(policy());
    world.record(Event::RollbackDecided {
        why: "ana said so".to_owned(),
        culprits: Vec::new(),
        ending: Ending::RolledBack,
    });
    world.pass(Span::minutes(1));
    world
}

fn process(world: &mut World, process: &str, version: Version, count: u32) {
    for _ in 0..count {
        world.add(version, version == B, version == B);
        world.units.last_mut().unwrap().process = process.to_owned();
    }
}

fn safe() -> Verdict {
    Verdict { safe: true, ..verdict() }
}

#[test]
fn units_that_others_add_or_restart_stop_no_way_back() {
    let mut world = rolling_back();
    let resized = Foreign::Resized("bob changed the number of units".to_owned());
    world.decide(Inputs { foreign: Some(&resized), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.log.last()), (Phase::RollingBack, Some(&"resized")));
    (0..4).for_each(|_| world.add(B, true, true));
    for _ in 0..4 {
        world.pass(Span::minutes(1)).look(Inputs::default());
    }
    assert_eq!((world.rollout.phase, world.count(C)), (Phase::RolledBack, 0));
    assert_eq!(world.count(B), 7, "what others added is theirs to take away");

    // In a step it is taken over, as before.
    let mut world = in_step(policy());
    world.look(Inputs { foreign: Some(&resized), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::TakenOver);
}

#[test]
fn whoever_routes_by_hand_on_the_way_back_takes_over_and_a_person_is_told() {
    let mut world = rolling_back();
    let routed = Foreign::Changed("bob changed which versions get traffic".to_owned());
    world.look(Inputs { foreign: Some(&routed), ..Inputs::default() });
    assert_eq!(world.log[world.log.len() - 2..], ["person_needed", "finished"]);
    assert_eq!(world.rollout.phase, Phase::TakenOver);
}

#[test]
fn what_only_pauses_hides_nothing_that_rolls_back() {
    let mut on = policy().on;
    on.fail = Reaction::Pause;
    let alarm = Alarm {
        name: "Slow".to_owned(),
        action: Reaction::Rollback,
        sentence: "alert `Slow` fires".to_owned(),
    };
    let harm = Verdict { harm: true, ..verdict() };
    for paused in [false, true] {
        let mut world = in_step(Policy { on, ..policy() });
        if paused {
            world.look(Inputs { unhealthy: Some("2 units of v2 exit"), ..Inputs::default() });
            assert_eq!(world.rollout.pause, Some(PauseCause::Fail));
        }
        world.look(Inputs {
            unhealthy: Some("2 units of v2 exit"),
            verdict: Some(&harm),
            alerts: std::slice::from_ref(&alarm),
            ..Inputs::default()
        });
        assert!(matches!(world.rollout.phase, Phase::RollingBack | Phase::RolledBack), "{paused}");
        assert_eq!(world.rollout.culprits, ["Slow"]);
    }
}

#[test]
fn what_is_advised_is_advised_whatever_it_waits_for() {
    let mut on = policy().on;
    on.fail = Reaction::Pause;
    let mut world = in_step(Policy { on, ..policy() });
    world.rollout.policy.mode = Mode::Advise;
    world.look(Inputs { unhealthy: Some("2 units of v2 exit"), ..Inputs::default() });
    assert_eq!(world.rollout.pause, Some(PauseCause::Fail));
    let alarm = Alarm {
        name: "Slow".to_owned(),
        action: Reaction::Rollback,
        sentence: "alert `Slow` fires".to_owned(),
    };
    for _ in 0..2 {
        let before = world.log.len();
        world.look(Inputs { alerts: std::slice::from_ref(&alarm), ..Inputs::default() });
        let said =
            usize::from(world.rollout.pause == Some(PauseCause::RollbackAdvice) && before == world.log.len());
        assert_eq!(world.log.len() + said, before + 1, "it is said once");
        assert_eq!(world.rollout.pause, Some(PauseCause::RollbackAdvice));
    }
}

#[test]
fn a_newer_version_beside_what_the_platform_moved_by_itself_takes_nothing_back() {
    let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) };
    let native = Rolling { batch: Share::ALL, bake, process: "web".to_owned(), native: true };
    let mut world = World::new(Policy { strategy: Strategy::Rolling(native), ..policy() }, 0);
    world.rollout.kind = Kind::InPlace;
    world.units.clear();
    (0..3).for_each(|_| world.add(C, true, true));
    world.add(Version(3), false, false);
    let newer = Foreign::NewVersion(Some(Version(3)), "ci deployed v3 beside the running ones".to_owned());
    world.look(Inputs { foreign: Some(&newer), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Superseded, 0));

    // Nor is the baseline brought back over it where it has no unit left.
    let mut world = in_step(policy());
    world.record(Event::RollbackDecided {
        why: "ci deployed v3".to_owned(),
        culprits: Vec::new(),
        ending: Ending::Superseded,
    });
    world.units.retain(|u| u.version == C);
    world.add(Version(3), false, false);
    world.commands.clear();
    world.pass(Span::minutes(2)).look(Inputs::default());
    assert!(world.commands.is_empty(), "{:?}", world.commands);
}

#[test]
fn every_process_is_at_its_size_before_a_kept_baseline_is_taken_out() {
    let kept = Policy { keep_for: Span::minutes(60), watch: Span::minutes(60), ..policy() };
    for workers in [vec![], vec!["api".to_owned()]] {
        let mut world = World::new(Policy { workers, ..kept.clone() }, 4);
        process(&mut world, "api", B, 4);
        process(&mut world, "api", C, 1);
        for _ in 0..12 {
            world.pass(Span::minutes(3)).look(Inputs { verdict: Some(&safe()), ..Inputs::default() });
            let api = world.units.iter().filter(|u| u.process == "api" && u.routable).count();
            assert!(api >= 4, "{api} of 4 serve after {:?}", world.commands);
        }
        assert_eq!(world.rollout.phase, Phase::Watching, "{:?}", world.commands);
        assert!(world.units.iter().any(|u| u.version == B), "it is kept");
    }
}

#[test]
fn what_an_earlier_rollout_left_goes_instead_of_being_joined_by_another() {
    let kept = Policy { keep_for: Span::minutes(60), watch: Span::minutes(60), ..policy() };
    let mut world = in_step(kept);
    world.rollout.baseline = Version(1);
    for _ in 0..3 {
        world.add(Version(0), false, false);
    }
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.pass(Span::minutes(1)).look(Inputs::default());
    assert!(world.commands.iter().any(|c| c == "make v2 the only version"), "{:?}", world.commands);
    assert_eq!((world.count(B), world.count(Version(0))), (0, 0));
}

#[test]
fn a_pause_does_not_make_anybody_forget_what_is_advised() {
    let newer = Foreign::NewVersion(Some(Version(3)), "ci deployed v3 beside the running ones".to_owned());
    let mut world = in_step(policy());
    world.rollout.policy.mode = Mode::Advise;
    world.look(Inputs { foreign: Some(&newer), ..Inputs::default() });
    for kind in [OrderKind::Pause, OrderKind::Promote, OrderKind::Resume] {
        let order = Order { kind, by: "ana".to_owned() };
        world.look(Inputs { order: Some(&order), ..Inputs::default() });
        assert_eq!(world.rollout.pause, Some(PauseCause::SupersededAdvice), "{kind:?}");
    }
}

#[test]
fn a_worker_that_an_autoscaler_keeps_is_not_waited_for() {
    let policy = Policy { workers: vec!["worker".to_owned()], autoscale: Autoscale::Swap, ..policy() };
    let mut world = World::new(policy, 3);
    process(&mut world, "worker", B, 4);
    process(&mut world, "worker", C, 1);
    world.autoscaled =
        vec![Autoscaler { process: "worker".to_owned(), version: Some(B), spec: String::new() }];
    world.look(Inputs::default());
    process(&mut world, "worker", B, 2);
    for _ in 0..3 {
        world.pass(Span::minutes(3)).look(Inputs { verdict: Some(&safe()), ..Inputs::default() });
    }
    assert!(world.rollout.step > 0 || world.rollout.phase != Phase::Step, "{:?}", world.log);
    assert_eq!(world.rollout.pause, None);
}

#[test]
fn whoever_promotes_out_of_turn_gets_the_size_that_the_app_has_by_then() {
    for keep_for in [Span::ZERO, Span::minutes(60)] {
        let policy = Policy { autoscale: Autoscale::Suspend, keep_for, watch: keep_for, ..policy() };
        let mut world = World::new(policy, 4);
        world.autoscaled =
            vec![Autoscaler { process: "web".to_owned(), version: Some(B), spec: String::new() }];
        world.decide(Inputs::default());
        for _ in 0..6 {
            world.add(B, true, true);
        }
        let order = Order { kind: OrderKind::Promote, by: "ana".to_owned() };
        world.decide(Inputs { order: Some(&order), ..Inputs::default() });
        for _ in 0..12 {
            world.pass(Span::minutes(1)).decide(Inputs::default());
            if let Act::Do { .. } = world.next() {
                let command = world.issue(Answer::Done);
                world.obey(&command);
            }
            let serving = world.units.iter().filter(|u| u.routable).count();
            assert!(serving >= 10, "{serving} of 10 serve: {:?}", world.rollout.command);
        }
        assert!(world.count(C) >= 10, "{:?}", world.commands);
    }
}

#[test]
fn workers_that_grew_before_their_autoscaler_was_removed_are_counted_again() {
    let policy = Policy { workers: vec!["worker".to_owned()], autoscale: Autoscale::Suspend, ..policy() };
    let mut world = World::new(policy, 3);
    process(&mut world, "worker", B, 2);
    process(&mut world, "worker", C, 1);
    world.autoscaled =
        vec![Autoscaler { process: "worker".to_owned(), version: Some(B), spec: String::new() }];
    world.decide(Inputs::default());
    process(&mut world, "worker", B, 8);
    let (number, command) = (1, Command::SuspendAutoscaler { process: "worker".to_owned() });
    world.obey(&command);
    world.record(Event::CommandIssued { number, command, expected: None });
    world.record(Event::CommandAnswered { number, answer: Answer::Done });
    for _ in 0..3 {
        world.pass(Span::seconds(31)).look(Inputs::default());
    }
    assert_eq!(world.rollout.others["worker"], 10);
    let removed = |command: &String| command.starts_with("remove") && command.contains("of v1");
    assert!(!world.commands.iter().any(|c| removed(c) && c.contains("`worker`")), "{:?}", world.commands);
}

#[test]
fn units_that_were_just_asked_for_are_waited_for_before_the_canary_is_taken_out() {
    let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) };
    let green = BlueGreen { bake, approve: false, process: "web".to_owned() };
    let mut world = World::new(Policy { strategy: Strategy::BlueGreen(green), ..policy() }, 1);
    world.look(Inputs::default());
    world.rollout.units = 8;
    world.route(C, true);
    world.record(Event::RollbackDecided {
        why: "harm".to_owned(),
        culprits: Vec::new(),
        ending: Ending::RolledBack,
    });
    world.pass(Span::minutes(1));
    let added = world.issue(Answer::Done);
    assert_eq!(added, Command::AddUnits { version: B, process: "web".to_owned(), count: 7 });
    world.obey(&added);
    world.units.iter_mut().filter(|u| u.version == B).skip(1).for_each(|u| u.ready = false);
    world.pass(Span::seconds(31));
    assert!(matches!(world.next(), Act::Wait(_)), "one of eight would take all users");
    world.pass(Span::minutes(4));
    assert_eq!(
        world.next(),
        Act::Do { command: Command::Unroute { version: C }, expected: None },
        "but not for ever"
    );
}

#[test]
fn an_app_that_others_stop_on_the_way_back_is_theirs() {
    let mut world = rolling_back();
    let resized = Foreign::Resized("bob changed the number of units".to_owned());
    world.decide(Inputs { foreign: Some(&resized), ..Inputs::default() });
    world.units.clear();
    world.decide(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RollingBack, "listings lag");
    world.pass(Span::minutes(2)).decide(Inputs::default());
    assert_eq!(world.log[world.log.len() - 2..], ["person_needed", "finished"]);
    assert_eq!(world.rollout.phase, Phase::TakenOver);
}

#[test]
fn a_version_is_not_deleted_while_nobody_tells_whether_an_autoscaler_would_go_with_it() {
    let mut world = rolling_back();
    world.route(C, false);
    let told = world.observed();
    let gap = "unknown: whether an autoscaler changes the number of units".to_owned();
    let untold = Observed { gaps: vec![gap], ..told.clone() };
    assert!(matches!(next_act(&world.rollout, &untold, false, world.now), Act::Wait(_)));
    let deletes = Act::Do { command: Command::Delete { version: C }, expected: None };
    assert_eq!(next_act(&world.rollout, &told, false, world.now), deletes);
    world.pass(Span::minutes(5));
    assert_eq!(next_act(&world.rollout, &untold, false, world.now), deletes, "but not for ever");
}

#[test]
fn a_baseline_that_others_made_in_part_is_made_whole_before_the_canary_goes() {
    let mut world = World::new(policy(), 0);
    world.rollout.kind = Kind::Return;
    world.units.clear();
    (0..3).for_each(|_| world.add(C, true, true));
    process(&mut world, "api", C, 3);
    world.units.iter_mut().for_each(|u| (u.routable, u.base) = (true, true));
    world.decide(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RollingBack);
    let resized = Foreign::Resized("bob changed the number of units".to_owned());
    world.decide(Inputs { foreign: Some(&resized), ..Inputs::default() });
    world.add(B, false, false);
    world.pass(Span::minutes(1));
    assert_eq!(world.next(), Act::Do { command: Command::MakeOnly { version: B }, expected: None });
}

#[test]
fn an_autoscaler_that_aims_at_a_version_that_is_gone_is_moved_whoever_takes_part() {
    let mut world = rolling_back();
    world.units.retain(|u| u.version == B);
    process(&mut world, "worker", B, 2);
    world.autoscaled =
        vec![Autoscaler { process: "worker".to_owned(), version: Some(C), spec: String::new() }];
    let moves = Act::Do { command: Command::MoveAutoscalers { version: B }, expected: None };
    assert_eq!(world.next(), moves);
    // One refused token is tried again.
    world.issue(Answer::Error { kind: PlatformErrorKind::Unauthorized, message: "a bad token".to_owned() });
    world.pass(Span::minutes(1));
    assert_eq!(world.next(), moves);
    // Whoever may not, leaves it.
    let message = "no permission".to_owned();
    world.issue(Answer::Error { kind: PlatformErrorKind::Refused, message });
    world.pass(Span::minutes(1));
    assert_eq!(world.next(), Act::Settled);
}

#[test]
fn whoever_stops_the_canary_on_the_way_back_does_not_end_it() {
    let stopped = Foreign::Stopped("bob stopped units or removed a version".to_owned());
    let restarted = Foreign::Restarted("bob started, restarted or killed units".to_owned());
    for (foreign, label) in [(&stopped, "resized"), (&restarted, "noted")] {
        let mut world = rolling_back();
        world.route(B, false);
        world.units.retain(|u| u.version == B);
        world.decide(Inputs { foreign: Some(foreign), ..Inputs::default() });
        assert_eq!(world.log.last(), Some(&label));
        for _ in 0..3 {
            world.pass(Span::minutes(1)).look(Inputs::default());
        }
        assert_eq!(world.rollout.phase, Phase::RolledBack);
        assert!(world.units.iter().all(|u| u.routable));
    }
    let mut world = rolling_back();
    world.units.retain(|u| u.version == C);
    world.decide(Inputs { foreign: Some(&stopped), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::TakenOver);
}

#[test]
fn an_autoscaler_that_cannot_follow_holds_no_end_up() {
    // The version that serves has no `worker` at all.
    let mut world = rolling_back();
    world.units.retain(|u| u.version == B);
    world.autoscaled =
        vec![Autoscaler { process: "worker".to_owned(), version: Some(C), spec: String::new() }];
    assert_eq!(world.next(), Act::Settled);
    // It has, and the platform fails to move it.
    process(&mut world, "worker", B, 2);
    for _ in 0..2 {
        let message = "no".to_owned();
        world.issue(Answer::Error { kind: PlatformErrorKind::Failed, message });
        world.pass(Span::minutes(1));
    }
    assert_eq!(world.next(), Act::Settled);
}

#[test]
fn users_are_left_to_units_only_once_it_is_listed_what_others_did_to_them() {
    let mut world = rolling_back();
    let restarted = Foreign::Restarted("bob started, restarted or killed units".to_owned());
    world.decide(Inputs { foreign: Some(&restarted), ..Inputs::default() });
    world.record(Event::Heeded { acts: vec!["kill".to_owned()], alerts: 0, disturbs: true });
    // The listing still shows the units that were killed.
    assert!(matches!(world.next(), Act::Wait(_)));
    world.pass(Span::seconds(31));
    assert_eq!(world.next(), Act::Do { command: Command::Unroute { version: C }, expected: None });
}
