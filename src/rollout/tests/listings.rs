//! What the platform shows late, in part, or never: each was found by `tests/simulation`.

use super::*;
use crate::policy::Autoscale;

/// A platform's failure after it may have done some of it.
fn failed() -> Answer {
    Answer::Error { kind: PlatformErrorKind::Failed, message: "it did not get ready".to_owned() }
}

impl World {
    pub(super) fn next(&self) -> Act {
        next_act(&self.rollout, &self.observed(), false, self.now)
    }

    /// Issues the next command and answers it; the platform does nothing by itself.
    pub(super) fn issue(&mut self, answer: Answer) -> Command {
        let Act::Do { command, expected } = self.next() else { panic!("{:?}", self.next()) };
        let number = self.rollout.command.as_ref().map_or(1, |c| c.number + 1);
        self.record(Event::CommandIssued { number, command: command.clone(), expected });
        self.record(Event::CommandAnswered { number, answer });
        command
    }

    fn waits(&self) -> bool {
        matches!(self.next(), Act::Wait(_))
    }
}

fn shift() -> Policy {
    let share = Share::new(0.25).unwrap();
    let Strategy::Canary(canary) = policy().strategy else { panic!("a canary") };
    let strategy = Strategy::Canary(Canary { steps: vec![share], capacity: Capacity::Shift, ..canary });
    Policy { strategy, ..policy() }
}

#[test]
fn two_replicas_of_the_api_that_lag_apart_never_take_a_unit_away_twice() {
    let mut world = World::new(shift(), 4);
    let old = world.observed();
    world.look(Inputs::default());
    assert_eq!(world.commands, ["route users to v2", "remove 1 `web` unit(s) of v1"]);
    // The other replica has seen neither: not even the routing that came before the removal is asked for again.
    assert!(matches!(next_act(&world.rollout, &old, false, world.now), Act::Wait(_)));
    let mut half = world.observed();
    let made = Unit { name: "shop-web-0".to_owned(), version: B, base: true, ..half.units[0].clone() };
    half.units = half.units.iter().cloned().chain([made]).collect();
    assert!(matches!(next_act(&world.rollout, &half, false, world.now), Act::Wait(_)));
    assert_eq!(world.next(), Act::Settled);
}

#[test]
fn a_command_that_was_refused_says_nothing_of_what_the_listing_shows_of_the_one_before() {
    let mut world = World::new(shift(), 4);
    let old = world.observed();
    world.look(Inputs::default());
    assert_eq!(world.commands.last().unwrap(), "remove 1 `web` unit(s) of v1");
    world.record(back("harm"));
    let refused = Answer::Error { kind: PlatformErrorKind::Refused, message: "401".to_owned() };
    assert_eq!(world.issue(refused), Command::Unroute { version: C });
    world.pass(Span::seconds(20));
    assert!(matches!(next_act(&world.rollout, &old, false, world.now), Act::Wait(_)));
    assert!(matches!(world.next(), Act::Do { command: Command::Unroute { .. }, .. }));
    // Late enough, it is what there is.
    world.pass(Span::seconds(10));
    assert!(!matches!(next_act(&world.rollout, &old, false, world.now), Act::Wait(_)));
}

#[test]
fn a_clock_that_was_set_over_a_restart_does_not_make_an_old_listing_a_new_one() {
    let mut world = World::new(shift(), 4);
    let old = world.observed();
    world.look(Inputs::default());
    world.pass(Span::minutes(50)).record(Event::Restarted);
    assert!(matches!(next_act(&world.rollout, &old, false, world.now), Act::Wait(_)));
    world.pass(Span::seconds(30));
    assert!(!matches!(next_act(&world.rollout, &old, false, world.now), Act::Wait(_)));
}

#[test]
fn what_fails_in_between_does_not_make_what_is_done_in_vain_begin_anew() {
    let mut world = World::new(shift(), 4);
    world.look(Inputs::default());
    world.record(back("harm"));
    // All but one of the baseline's units are away, and there is no getting them back.
    let first = world.units.iter().position(|u| u.version == B).unwrap();
    let kept = world.units[first].name.clone();
    world.units.retain(|u| u.version == C || u.name == kept);
    let mut commands = Vec::new();
    for _ in 0..8 {
        world.pass(Span::seconds(31));
        let Act::Do { command, .. } = world.next() else { panic!("{:?}", world.next()) };
        let answer = if matches!(command, Command::AddUnits { .. }) { failed() } else { Answer::Done };
        commands.push(world.issue(answer));
        if matches!(commands.last(), Some(Command::Delete { .. })) {
            return;
        }
    }
    panic!("it is asked for without end: {commands:?}");
}

#[test]
fn no_unit_is_taken_from_a_replacement_that_is_stuck_while_nothing_else_serves() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.issue(failed());
    world.add(B, true, true);
    world.add(C, true, true);
    world.pass(Span::minutes(4));
    let take_back = Command::RemoveUnits { version: B, process: "web".to_owned(), count: 1 };
    assert_eq!(world.next(), Act::Do { command: take_back, expected: Some(3) });
    world.units.iter_mut().filter(|u| u.version == C && !u.base).for_each(|u| u.ready = false);
    assert!(world.waits(), "the base may be left without the one that serves");
    world.pass(Span::minutes(12)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RollingBack, "not without end");
}

#[test]
fn a_replacement_that_failed_is_not_believed_while_it_may_be_taken_back() {
    let mut world = in_step(policy());
    world.record(back("harm"));
    world.units.iter_mut().for_each(|u| (u.version, u.base) = (C, true));
    assert_eq!(world.issue(failed()), Command::MakeOnly { version: B });
    world.units.iter_mut().for_each(|u| u.version = B);
    assert!(world.waits());
}

/// A rollout whose first step was decided and not begun, with the canary in routing already.
fn decided(policy: Policy) -> World {
    let mut world = World::new(policy, 4);
    world.decide(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Step);
    world.route(C, true);
    world
}

/// A step's units, and as many new ones of the baseline beside the old, of another set, as when they are made anew.
fn made_anew(ready: bool) -> World {
    let mut world = decided(shift());
    for unit in 0..4 {
        world.add(B, true, true);
        let unit = Unit { name: format!("shop-web-new-{unit}"), ready, ..world.units.pop().unwrap() };
        world.units.push(unit);
    }
    world
}

#[test]
fn units_that_are_being_made_anew_are_not_too_many() {
    let mut world = made_anew(true);
    world.record(Event::Heeded { acts: vec!["restart".to_owned()], alerts: 0, disturbs: true });
    world.pass(Span::seconds(29));
    assert!(world.waits(), "{:?}", world.next());
    world.pass(Span::seconds(31));
    assert!(world.waits(), "{:?}", world.next());
    world.units.retain(|unit| unit.version != B || unit.name.contains("new"));
    let remove = Command::RemoveUnits { version: B, process: "web".to_owned(), count: 1 };
    assert_eq!(world.next(), Act::Do { command: remove, expected: Some(3) });
}

#[test]
fn where_new_units_are_stuck_those_that_are_ready_are_counted() {
    let mut world = made_anew(false);
    world.pass(Span::minutes(4));
    let remove = Command::RemoveUnits { version: B, process: "web".to_owned(), count: 1 };
    assert_eq!(world.next(), Act::Do { command: remove, expected: Some(3) });
    world.units.remove(0);
    assert_eq!(world.next(), Act::Settled, "3 are ready, as many as the step leaves it");
}

#[test]
fn what_others_did_a_moment_ago_may_not_be_listed_yet() {
    let mut world = decided(shift());
    let remove = Command::RemoveUnits { version: B, process: "web".to_owned(), count: 1 };
    let remove = Act::Do { command: remove, expected: Some(3) };
    assert_eq!(world.next(), remove);
    world.record(Event::Heeded { acts: vec!["env".to_owned()], alerts: 0, disturbs: true });
    assert!(world.waits());
    world.pass(Span::seconds(30));
    assert_eq!(world.next(), remove);
}

#[test]
fn a_unit_that_is_never_ready_is_not_waited_for_to_be_routed() {
    let mut world = in_step(policy());
    world.record(back("harm"));
    let unit = world.units.iter_mut().find(|unit| unit.version == B).unwrap();
    (unit.ready, unit.routable) = (false, false);
    assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
    world.units[0].ready = true;
    world.route(C, false);
    assert_eq!(world.issue(Answer::Done), Command::Route { version: B });
}

#[test]
fn autoscalers_that_the_platform_does_not_tell_of_are_asked_for_again_before_the_end() {
    let mut world = in_step(policy());
    world.record(back("harm"));
    world.units.retain(|unit| unit.version == B);
    world.pass(Span::seconds(31));
    let gaps = vec!["unknown: whether an autoscaler changes the number of units".to_owned()];
    let dim = Observed { gaps, ..world.observed() };
    assert_eq!(world.next(), Act::Settled);
    assert!(matches!(next_act(&world.rollout, &dim, false, world.now), Act::Wait(_)));
    world.pass(Span::minutes(3));
    assert_eq!(next_act(&world.rollout, &dim, false, world.now), Act::Settled, "not without end");
}

#[test]
fn units_that_are_too_many_go_where_not_all_get_ready() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    let command = world.issue(Answer::Done);
    assert_eq!(command, Command::MakeOnly { version: C });
    world.obey(&command);
    world.units.iter_mut().skip(2).for_each(|unit| unit.ready = false);
    assert!(world.waits(), "2 of 3 are ready, of 4 that there are");
    world.pass(Span::minutes(11));
    let remove = Command::RemoveUnits { version: C, process: "web".to_owned(), count: 1 };
    assert_eq!(world.next(), Act::Do { command: remove, expected: Some(3) });
}

#[test]
fn what_failed_half_way_may_not_be_listed_yet() {
    let mut world = World::new(policy(), 6);
    world.look(Inputs::default());
    world.pass(Span::seconds(15)).look(Inputs::default());
    world.record(Event::StepBegan { step: 1 });
    let add = world.issue(failed());
    assert!(matches!(add, Command::AddUnits { count: 4, .. }), "{add}");
    world.pass(Span::seconds(29));
    assert!(world.waits(), "the units may be there, and four more would be too many");
    world.pass(Span::seconds(1));
    assert!(matches!(world.next(), Act::Do { .. }));
}

#[test]
fn what_the_platform_calls_done_and_does_not_show_is_not_asked_for_without_end() {
    let mut world = in_step(policy());
    world.record(Event::StepBegan { step: 0 });
    world.route(C, false);
    world.pass(Span::seconds(31));
    for _ in 0..2 {
        assert_eq!(world.issue(Answer::Done), Command::Route { version: C });
        world.pass(Span::seconds(31));
    }
    assert!(matches!(world.next(), Act::Stuck(why) if why.contains("does not show it: route users to v2")));
    world.pass(Span::minutes(10));
    assert_eq!(world.issue(Answer::Done), Command::Route { version: C }, "it may have recovered");
}

#[test]
fn each_try_to_replace_the_base_begins_from_its_old_size() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    for _ in 0..2 {
        assert_eq!(world.issue(failed()), Command::MakeOnly { version: C });
        // The template is restored, and the number of units is not.
        world.add(B, true, true);
        world.pass(Span::seconds(31));
        let take_back = Command::RemoveUnits { version: B, process: "web".to_owned(), count: 1 };
        assert_eq!(world.issue(Answer::Done), take_back);
        world.obey(&take_back);
    }
    assert_eq!(world.issue(failed()), Command::MakeOnly { version: C });
    world.pass(Span::seconds(31)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RollingBack, "what is taken back is no success");
}

#[test]
fn a_canary_that_cannot_be_brought_to_full_size_is_not_waited_for_without_end() {
    let mut world = in_step(Policy { keep_for: Span::minutes(5), ..policy() });
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.issue(failed());
    world.add(C, true, false);
    world.add(C, true, false);
    world.units.last_mut().unwrap().ready = false;
    world.pass(Span::minutes(14)).look(Inputs::default());
    assert!(world.waits());
    world.pass(Span::minutes(1)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RollingBack);
    assert_eq!(world.rollout.reason, "2 of 3 `web` units of v2 are ready after 15m");
}

#[test]
fn the_canary_makes_room_where_the_baseline_cannot_come_back_beside_it() {
    let mut world = World::new(shift(), 4);
    world.look(Inputs::default());
    world.record(Event::RollbackDecided {
        why: "harm".to_owned(),
        culprits: vec![],
        ending: Ending::RolledBack,
    });
    world.pass(Span::seconds(31));
    let full = |world: &World| Observed { quota_left: Some(0), ..world.observed() };
    world.route(C, false);
    let delete = Act::Do { command: Command::Delete { version: C }, expected: None };
    assert_eq!(next_act(&world.rollout, &full(&world), false, world.now), delete);
    // Without a word about the quota, the first refusal says it.
    let refused = Answer::Error { kind: PlatformErrorKind::Refused, message: "quota".to_owned() };
    assert!(matches!(world.issue(refused), Command::AddUnits { .. }));
    world.pass(Span::seconds(31));
    assert_eq!(world.next(), delete);
}

#[test]
fn a_unit_of_the_baseline_that_never_gets_ready_does_not_hold_the_way_back_up() {
    let mut world = in_step(policy());
    world.record(Event::RollbackDecided {
        why: "harm".to_owned(),
        culprits: vec![],
        ending: Ending::RolledBack,
    });
    world.units[0].ready = false;
    world.look(Inputs::default());
    assert_eq!(world.commands.last().unwrap(), "take v2 out of routing");
    assert!(world.waits());
    world.pass(Span::minutes(10)).look(Inputs::default());
    assert_eq!(world.count(C), 0);
    world.pass(Span::minutes(10)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RolledBack);
    assert_eq!(world.log[world.log.len() - 2..], ["person_needed", "finished"]);
}

#[test]
fn nothing_is_toggled_while_the_platform_replaces_units() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.issue(failed());
    // Back on its way to the baseline, with a unit of the canary left in the base because another does not get ready.
    world.add(C, true, true);
    world.add(B, true, true);
    world.units.last_mut().unwrap().ready = false;
    world.record(Event::RollbackDecided {
        why: "so".to_owned(),
        culprits: vec![],
        ending: Ending::RolledBack,
    });
    world.pass(Span::minutes(2));
    assert!(world.waits());
    world.pass(Span::minutes(1));
    let surplus = Command::RemoveUnits { version: B, process: "web".to_owned(), count: 1 };
    assert_eq!(world.issue(failed()), surplus);
    world.pass(Span::minutes(3));
    assert_eq!(world.issue(failed()), Command::MakeOnly { version: B });
    world.pass(Span::minutes(3));
    // What holds it up goes, and is made anew once it is gone.
    assert_eq!(world.issue(Answer::Done), surplus);
}

#[test]
fn a_canary_that_the_platform_has_twice_is_left_to_a_person() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.issue(failed());
    // The base was replaced, and the units beside it were not removed.
    world.units.retain(|u| u.version == C);
    world.add(C, true, true);
    for _ in 0..2 {
        world.pass(Span::seconds(31));
        assert_eq!(world.issue(failed()), Command::MakeOnly { version: C });
    }
    world.pass(Span::seconds(31));
    assert!(matches!(world.next(), Act::Stuck(why) if why.contains("in the cluster")));
    // Somebody did.
    world.units.retain(|u| u.base);
    world.look(Inputs::default());
    world.pass(Span::seconds(31)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Promoted);
}

fn back(why: &str) -> Event {
    Event::RollbackDecided { why: why.to_owned(), culprits: vec![], ending: Ending::RolledBack }
}

#[test]
fn a_base_on_its_way_back_is_no_version_that_there_is_twice() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    // The template was restored, and a unit of it does not get ready, so one of the canary stays in the base.
    world.add(C, true, true);
    world.units[0].ready = false;
    world.pass(Span::minutes(3));
    for _ in 0..3 {
        assert_eq!(world.issue(failed()), Command::MakeOnly { version: C });
        world.pass(Span::minutes(3));
    }
    assert_eq!(world.next(), Act::Do { command: Command::MakeOnly { version: C }, expected: None });
}

#[test]
fn a_version_that_is_twice_in_a_base_that_is_stuck_is_left_to_a_person() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    // Somebody's deploy got stuck in the base, and what replaced that stands beside the canary's own units.
    world.units.retain(|u| u.version == C);
    world.add(C, true, true);
    world.add(Version(3), true, true);
    let refused =
        || Answer::Error { kind: PlatformErrorKind::Doubled, message: "too many deployments".to_owned() };
    for _ in 0..3 {
        world.pass(Span::minutes(3));
        assert_eq!(world.issue(refused()), Command::MakeOnly { version: C });
    }
    world.pass(Span::minutes(3));
    assert!(matches!(world.next(), Act::Stuck(why) if why.contains("in the cluster")));
}

#[test]
fn a_rollback_takes_no_unit_away_that_alone_serves() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    // A try to make the canary the only version failed half way, its own units crash, and two of the base are all there is.
    world.units.retain(|u| u.version == B);
    world.route(B, false);
    world.units[0].ready = false;
    (0..2).for_each(|_| world.add(C, true, true));
    world.record(back("harm"));
    for _ in 0..2 {
        world.pass(Span::minutes(3));
        assert_eq!(world.issue(failed()), Command::MakeOnly { version: B });
    }
}

#[test]
fn a_unit_that_never_gets_ready_is_made_anew_where_it_holds_a_replacement_up() {
    let mut world = in_step(Policy { watch: Span::minutes(60), ..policy() });
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.look(Inputs::default());
    world.look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Watching);
    // Somebody's deploy failed, and the way back from it does not end.
    world.add(Version(3), true, true);
    world.units[0].ready = false;
    world.pass(Span::minutes(3));
    assert_eq!(world.issue(failed()), Command::MakeOnly { version: C });
    world.pass(Span::minutes(3));
    let unready = Command::RemoveUnits { version: C, process: "web".to_owned(), count: 1 };
    assert_eq!(world.issue(Answer::Done), unready);
}

#[test]
fn a_process_without_users_is_routed_with_its_version() {
    let mut world = in_step(policy());
    world.add(B, false, true);
    world.units.last_mut().unwrap().process = "worker".to_owned();
    world.record(back("harm"));
    world.pass(Span::seconds(31));
    assert_eq!(world.issue(Answer::Done), Command::Route { version: B });
}

#[test]
fn a_baseline_that_is_stuck_with_units_that_are_never_routed_does_not_keep_the_canary_its_users() {
    for canary_too in [false, true] {
        stuck_units_are_never_routed(canary_too);
    }
}

fn stuck_units_are_never_routed(canary_too: bool) {
    let mut world = in_step(policy());
    // The platform makes units anew and cannot: an old one is ready, and outside of what was routed meanwhile.
    world.add(B, false, true);
    world.units.last_mut().unwrap().name = "shop-old-1".to_owned();
    world.units[0].ready = false;
    world.record(back("harm"));
    world.pass(Span::minutes(10));
    let mut sent = Vec::new();
    for _ in 0..12 {
        if let Act::Do { command, .. } = world.next() {
            sent.push(command.to_string());
            world.issue(Answer::Done);
            let stuck = match command {
                Command::Route { .. } => true,
                Command::Unroute { .. } => canary_too,
                _ => false,
            };
            if !stuck {
                world.obey(&command);
            }
        }
        world.pass(Span::seconds(31));
    }
    let (again, out) = (["route users to v1"; 3], ["take v2 out of routing"; 3]);
    assert_eq!(sent[..4], [&again[..], &out[..1]].concat());
    assert!(!canary_too || sent[3..6] == out, "{sent:?}");
    assert!(sent.contains(&"delete v2".to_owned()), "{sent:?}");
    world.units.retain(|u| u.version == B);
    world.pass(Span::minutes(10));
    assert_eq!(world.next(), Act::Settled, "{sent:?}");
}

#[test]
fn a_change_of_routing_that_was_half_done_is_done_the_other_way_in_full() {
    let mut world = in_step(Policy { keep_for: Span::minutes(5), ..policy() });
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    while world.rollout.command.as_ref().is_none_or(|c| c.command != Command::Unroute { version: B }) {
        let command = world.issue(failed());
        world.obey(&command);
        world.pass(Span::seconds(31));
    }
    // The platform marked the version, and none of its units.
    world.route(B, true);
    world.record(back("harm"));
    assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
    world.route(C, false);
    assert_eq!(world.issue(Answer::Done), Command::Route { version: B });
    assert_eq!(world.next(), Act::Do { command: Command::Delete { version: C }, expected: None });
}

#[test]
fn the_canary_is_not_taken_out_while_the_baseline_may_be_out_too() {
    let mut world = in_step(Policy { keep_for: Span::minutes(5), ..policy() });
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    while world.rollout.command.as_ref().is_none_or(|c| c.command != Command::Unroute { version: B }) {
        let command =
            world.issue(Answer::Error { kind: PlatformErrorKind::Busy, message: "throttled".to_owned() });
        world.obey(&command);
        world.pass(Span::seconds(31));
    }
    // The call did it, and the listing does not show it yet.
    world.route(B, true);
    world.now = world.now - Span::seconds(20);
    world.record(back("harm"));
    assert_eq!(world.issue(Answer::Done), Command::Route { version: B });
    assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
}

#[test]
fn a_version_that_cannot_be_taken_out_is_removed() {
    let mut world = in_step(policy());
    world.record(back("harm"));
    world.pass(Span::seconds(31));
    for _ in 0..3 {
        assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
        world.pass(Span::seconds(31));
    }
    assert_eq!(world.issue(Answer::Done), Command::Delete { version: C });
}

#[test]
fn an_autoscaler_is_taken_from_the_canary_before_it_goes_with_it() {
    let mut world = World::new(Policy { autoscale: Autoscale::Swap, ..policy() }, 3);
    let scaler =
        |version| Autoscaler { process: "web".to_owned(), version: Some(version), spec: String::new() };
    world.autoscaled = vec![scaler(B)];
    world.look(Inputs::default());
    world.pass(Span::seconds(15)).look(Inputs::default());
    // A failed try to promote took it along.
    world.autoscaled = vec![scaler(C)];
    world.record(back("harm"));
    world.pass(Span::seconds(31)).look(Inputs::default());
    let last = &world.commands[world.commands.len() - 3..];
    assert_eq!(last, ["take v2 out of routing", "let the autoscalers change v1", "delete v2"]);
}

#[test]
fn whoever_was_displaced_by_a_deploy_that_was_called_failed_takes_nothing_back() {
    let mut world = in_step(policy());
    world.record(back("harm"));
    world.units.clear();
    world.add(Version(3), true, true);
    world.pass(Span::seconds(59));
    let observed = world.observed();
    let inputs = Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() };
    assert_eq!(decide(&world.rollout, &inputs), []);
    world.pass(Span::seconds(31)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Superseded);
    assert!(world.rollout.reason == "harm" && world.commands.iter().all(|c| !c.contains("only")));
}

#[test]
fn a_unit_that_is_away_for_a_moment_is_missed_in_the_end() {
    let mut world = World::new(policy(), 3);
    world.units[1].ready = false;
    world.look(Inputs::default());
    assert_eq!(world.rollout.units, 3);
}
