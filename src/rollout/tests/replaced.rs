//! Versions that the platform has replaced, in part or for good, and what an order to bring one back comes to.

use super::*;
use crate::policy::Rolling;

fn back(ending: Ending) -> Event {
    Event::RollbackDecided { why: "harm".to_owned(), culprits: vec![], ending }
}

fn error(kind: PlatformErrorKind) -> Answer {
    Answer::Error { kind, message: "as it says".to_owned() }
}

impl World {
    fn add_of(&mut self, process: &str, version: Version, routable: bool, base: bool) {
        self.add(version, routable, base);
        self.units.last_mut().unwrap().process = process.to_owned();
    }
}

/// Tsuru replaces one process after the other; it failed at the second.
#[test]
fn a_version_that_has_the_only_units_of_a_process_is_not_taken_away() {
    let mut world = World::new(policy(), 3);
    for _ in 0..3 {
        world.add_of("api", B, true, true);
    }
    world.add_of("api", C, false, false);
    world.look(Inputs::default());
    world.pass(Span::seconds(15)).look(Inputs::default());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.units.retain(|u| u.process != "api");
    for _ in 0..3 {
        world.add_of("api", C, true, true);
    }
    world.record(back(Ending::RolledBack));
    world.pass(Span::minutes(4));
    assert_eq!(world.issue(Answer::Done), Command::MakeOnly { version: B });
}

/// The other way round: the version that is wanted back has one process of two.
#[test]
fn a_return_that_stopped_half_way_is_done_again_and_not_toggled() {
    let mut world = World::new(policy(), 0);
    world.rollout.kind = Kind::Return;
    world.units.clear();
    for process in ["web", "api"] {
        (0..2).for_each(|_| world.add_of(process, C, true, true));
    }
    world.decide(Inputs::default());
    let again = Command::MakeOnly { version: B };
    assert_eq!(world.issue(error(PlatformErrorKind::Failed)), again);
    world.units.retain(|u| u.process == "api");
    (0..2).for_each(|_| world.add_of("web", B, true, true));
    world.pass(Span::minutes(4));
    assert_eq!(world.issue(Answer::Done), again);
}

#[test]
fn a_base_that_can_neither_be_taken_out_nor_deleted_is_replaced() {
    let mut world = in_step(policy());
    world.units.iter_mut().for_each(|u| u.base = u.version == C);
    world.record(back(Ending::RolledBack));
    world.rollout.cannot_delete = true;
    world.pass(Span::minutes(4));
    for _ in 0..3 {
        assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
        world.pass(Span::seconds(31));
    }
    assert_eq!(world.issue(Answer::Done), Command::MakeOnly { version: B });
}

#[test]
fn a_process_in_no_step_is_waited_for_before_the_canary_is_taken_away() {
    let mut world = World::new(policy(), 3);
    for version in [B, C] {
        world.add_of("api", version, version == B, version == B);
    }
    world.look(Inputs::default());
    world.pass(Span::seconds(15)).look(Inputs::default());
    let api = world.units.iter().position(|u| u.process == "api").unwrap();
    world.units[api].ready = false;
    world.record(back(Ending::RolledBack));
    assert!(matches!(next_act(&world.rollout, &world.observed(), false, world.now), Act::Wait(_)));
    // It may never come, and the rest of the app's users are harmed meanwhile.
    world.pass(Span::minutes(4));
    assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
}

#[test]
fn a_baseline_that_cannot_be_taken_out_is_not_kept() {
    for keep_for in [Span::minutes(60), Span::ZERO] {
        stuck_units_stay_routed(keep_for);
    }
}

fn stuck_units_stay_routed(keep_for: Span) {
    let mut world = in_step(Policy { keep_for, ..policy() });
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    if keep_for > Span::ZERO {
        world.look(Inputs::default());
    } else {
        // A step in which the canary had all users, as in blue-green.
        world.rollout.step = 1;
        let plan = world.rollout.plan.as_mut().unwrap();
        plan.steps[1].routed = plan::Routed::Canary;
        (0..2).for_each(|_| world.add(C, true, false));
        world.pass(Span::seconds(31));
        assert_eq!(world.issue(Answer::Done), Command::Unroute { version: B });
    }
    // A restart of somebody's gets stuck with units that stay routed.
    world.route(B, true);
    for _ in 0..2 {
        world.pass(Span::seconds(31));
        assert_eq!(world.issue(Answer::Done), Command::Unroute { version: B });
    }
    world.pass(Span::seconds(31));
    assert_eq!(world.issue(Answer::Done), Command::MakeOnly { version: C });
}

#[test]
fn a_newer_version_takes_nothing_back_once_the_canary_is_the_only_one() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.pass(Span::minutes(1));
    let came = Foreign::NewVersion(Some(Version(3)), "v3 was deployed".to_owned());
    let decided =
        |world: &World| decide(&world.rollout, &Inputs { foreign: Some(&came), ..Inputs::default() });
    assert_eq!(decided(&world)[0].label(), "rollback_decided", "the baseline still serves");
    assert_eq!(world.issue(Answer::Done), Command::MakeOnly { version: C });
    let after = decided(&world);
    assert!(matches!(&after[..], [Event::Finished { ending: Ending::Promoted, .. }]), "{after:?}");
    // The base has the units of both, and is on its way back to size.
    world.obey(&Command::MakeOnly { version: C });
    world.pass(Span::minutes(1));
    let Command::RemoveUnits { version: C, .. } = world.issue(error(PlatformErrorKind::Unknown)) else {
        panic!("there are units too many")
    };
    let after = decided(&world);
    assert!(matches!(&after[..], [Event::Finished { ending: Ending::Promoted, .. }]), "{after:?}");
}

#[test]
fn a_newer_version_leaves_the_one_that_has_all_users_where_nobody_knows_how_it_got_there() {
    // The daemon was started again while the canary was made the only version.
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.pass(Span::minutes(1));
    assert_eq!(world.issue(error(PlatformErrorKind::Unknown)), Command::MakeOnly { version: C });
    world.obey(&Command::MakeOnly { version: C });
    world.add(Version(3), false, false);
    let came = Foreign::NewVersion(Some(Version(3)), "v3 was deployed".to_owned());
    let observed = world.observed();
    let decided = decide(
        &world.rollout,
        &Inputs { observed: Some(&observed), foreign: Some(&came), ..Inputs::default() },
    );
    assert!(matches!(&decided[..], [Event::Finished { ending: Ending::Promoted, .. }]), "{decided:?}");
}

#[test]
fn whoever_leaves_an_app_to_others_begins_no_way_back_for_a_newer_version() {
    let mut world = in_step(policy());
    world.record(Event::LeaveDecided { ending: Ending::Superseded, why: "v3 was deployed".to_owned() });
    let came = Foreign::NewVersion(Some(Version(4)), "v4 was deployed".to_owned());
    let decided = decide(&world.rollout, &Inputs { foreign: Some(&came), ..Inputs::default() });
    assert!(matches!(&decided[..], [Event::Noted { .. }]), "{decided:?}");
    // And where one was begun before, it does not take a newer version away.
    let mut world = in_step(policy());
    world.record(back(Ending::Superseded));
    world.units.retain(|u| u.version != B);
    world.add(Version(3), true, true);
    world.pass(Span::minutes(4));
    assert_eq!(next_act(&world.rollout, &world.observed(), false, world.now), Act::Settled);
}

#[test]
fn whoever_only_advises_takes_nothing_back_for_a_newer_version_unasked() {
    let mut world = World::new(Policy { mode: Mode::Advise, ..policy() }, 3);
    world.look(Inputs::default());
    let came = Foreign::NewVersion(Some(Version(3)), "v3 was deployed".to_owned());
    let decided =
        |world: &World| decide(&world.rollout, &Inputs { foreign: Some(&came), ..Inputs::default() });
    assert!(matches!(&decided(&world)[..], [Event::Finished { ending: Ending::Superseded, .. }]));
    world.record(Event::Approved { by: "ana".to_owned(), step: 0 });
    for _ in 0..2 {
        world.pass(Span::seconds(15)).look(Inputs::default());
    }
    let later = decided(&world);
    let [paused @ Event::Paused { cause: PauseCause::SupersededAdvice, .. }] = &later[..] else {
        panic!("{later:?}")
    };
    world.record(paused.clone());
    // Promoting it would take the newer version away, and taking it back is no verdict on it.
    let says = |world: &World, kind| {
        let order = Order { kind, by: "ana".to_owned() };
        decide(&world.rollout, &Inputs { order: Some(&order), ..Inputs::default() })
    };
    for kind in [OrderKind::Promote, OrderKind::Resume] {
        assert!(matches!(&says(&world, kind)[..], [Event::Noted { .. }]));
    }
    let approved = says(&world, OrderKind::Approve);
    assert!(
        matches!(&approved[..], [Event::RollbackDecided { ending: Ending::Superseded, .. }]),
        "{approved:?}"
    );
}

#[test]
fn an_old_version_that_stands_ready_is_toggled_though_the_new_one_has_a_process_more() {
    let mut world = World::new(policy(), 2);
    world.rollout.kind = Kind::Return;
    world.route(B, false);
    world.route(C, true);
    world.add(C, true, false);
    world.add_of("api", C, true, false);
    world.decide(Inputs::default());
    assert_eq!(world.issue(Answer::Done), Command::Route { version: B });
}

#[test]
fn whoever_is_promoted_out_of_turn_where_the_quota_is_tight_keeps_no_baseline() {
    let mut world = in_step(Policy { keep_for: Span::minutes(60), ..policy() });
    world.record(Event::PromotionDecided { why: "ana said so".to_owned() });
    world.pass(Span::minutes(1));
    let with = |left: u32| Observed { quota_left: Some(left), ..world.observed() };
    let next = |left| next_act(&world.rollout, &with(left), false, world.now);
    let bring = Command::AddUnits { version: C, process: "web".to_owned(), count: 2 };
    assert_eq!(next(2), Act::Do { command: bring, expected: Some(3) });
    assert_eq!(next(1), Act::Do { command: Command::MakeOnly { version: C }, expected: None });
}

#[test]
fn a_promotion_out_of_turn_takes_autoscalers_out_of_the_way_first() {
    let keep =
        Policy { keep_for: Span::minutes(60), autoscale: crate::policy::Autoscale::Suspend, ..policy() };
    let mut world = World::new(keep, 4);
    world.autoscaled = vec![Autoscaler { process: "web".to_owned(), version: Some(B), spec: String::new() }];
    world.decide(Inputs::default());
    world.record(Event::PromotionDecided { why: "ana said so".to_owned() });
    let suspend = Command::SuspendAutoscaler { process: "web".to_owned() };
    assert_eq!(world.issue(Answer::Done), suspend);
    world.obey(&suspend);
    let bring = Command::AddUnits { version: C, process: "web".to_owned(), count: 3 };
    assert_eq!(world.issue(Answer::Done), bring);
}

#[test]
fn a_watch_lasts_as_long_as_it_sees_something() {
    let mut world = in_step(Policy { watch: Span::minutes(30), ..policy() });
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    world.look(Inputs::default());
    world.pass(Span::minutes(1)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Watching);
    let began = world.now;
    world.pass(Span::minutes(5));
    let trouble = crate::rollout::Trouble::SourceDown;
    world.record(Event::TroubleBegan { trouble, why: "nothing comes".to_owned() });
    world.pass(Span::minutes(40));
    assert!(!world.rollout.is_watched(world.now), "five minutes were seen");
    world.record(Event::TroubleEnded { after: Span::minutes(40) });
    assert!(!world.rollout.is_watched(began + Span::minutes(69)));
    assert!(world.rollout.is_watched(began + Span::minutes(70)));
    world.record(Event::Paused { cause: PauseCause::Operator, why: "ana said so".to_owned() });
    world.pass(Span::minutes(40));
    world.record(Event::Resumed { by: "ana".to_owned() });
    assert!(!world.rollout.is_watched(world.now + Span::minutes(29)), "it begins anew");
}

#[test]
fn one_answer_that_something_is_in_the_way_does_not_leave_users_with_what_is_left() {
    let rolling = Rolling {
        batch: Share::new(0.9).unwrap(),
        bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
        process: "web".to_owned(),
        native: false,
    };
    let mut world = World::new(Policy { strategy: Strategy::Rolling(rolling), ..policy() }, 10);
    for _ in 0..3 {
        world.pass(Span::seconds(15)).look(Inputs::default());
    }
    assert_eq!((world.count(B), world.count(C)), (1, 9));
    world.record(back(Ending::RolledBack));
    let bring = Command::AddUnits { version: B, process: "web".to_owned(), count: 9 };
    for kind in [PlatformErrorKind::Busy, PlatformErrorKind::Unauthorized] {
        world.pass(Span::minutes(1));
        assert_eq!(world.issue(error(kind)), bring);
    }
    // What is refused cannot be had: too few units are better than a version that does harm.
    world.pass(Span::minutes(1));
    assert_eq!(world.issue(error(PlatformErrorKind::Refused)), bring);
    world.pass(Span::minutes(1));
    assert_eq!(world.issue(Answer::Done), Command::Unroute { version: C });
}

#[test]
fn a_version_that_the_platform_refuses_to_bring_back_is_not_asked_for_without_end() {
    let mut world = World::new(policy(), 0);
    world.rollout.kind = Kind::Return;
    world.units.iter_mut().for_each(|u| (u.routable, u.base) = (true, true));
    world.decide(Inputs::default());
    assert_eq!(world.issue(error(PlatformErrorKind::Refused)), Command::MakeOnly { version: B });
    let observed = world.observed();
    let inputs = Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() };
    let decided = decide(&world.rollout, &inputs);
    let [Event::Finished { ending: Ending::Failed, why }] = &decided[..] else { panic!("{decided:?}") };
    assert_eq!(why, "v1 is not brought back: as it says");
}

#[test]
fn a_native_update_is_not_given_up_for_an_old_listing_and_is_for_a_process_that_is_not_there() {
    let native = |process: &str| {
        let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) };
        let rolling = Rolling { batch: Share::ALL, bake, process: process.to_owned(), native: true };
        let mut world = World::new(Policy { strategy: Strategy::Rolling(rolling), ..policy() }, 0);
        world.rollout.kind = Kind::InPlace;
        world.units.iter_mut().for_each(|u| (u.routable, u.base) = (true, true));
        world
    };
    let mut world = native("web");
    world.add(B, true, true);
    world.pass(Span::seconds(3)).look(Inputs::default());
    assert_eq!(world.log, [""; 0]);
    world.units.retain(|u| u.version == C);
    world.pass(Span::seconds(3)).look(Inputs::default());
    assert_eq!(world.log, ["planned", "watch_began"]);
    let mut other = native("http");
    other.look(Inputs::default());
    assert!(other.rollout.reason.contains("process `http`"), "{}", other.rollout.reason);
}

#[test]
fn what_would_leave_users_with_too_few_units_is_refused_before_anything_is_touched() {
    let keep = Policy { keep_for: Span::minutes(60), ..policy() };
    // A process in no step, whose units only its autoscaler changes, would be left with the canary's one.
    let mut world = World::new(keep.clone(), 3);
    for (version, count) in [(B, 10), (C, 1)] {
        (0..count).for_each(|_| world.add_of("api", version, version == B, version == B));
    }
    world.autoscaled = vec![Autoscaler { process: "api".to_owned(), version: Some(B), spec: String::new() }];
    world.look(Inputs::default());
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Failed, 0));
    assert!(world.rollout.reason.contains("process `api`"), "{}", world.rollout.reason);
    // The old version's units are to be kept beside as many of the new.
    let world = World::new(keep, 10);
    let beginning = |world: &World, left: u32| {
        let observed = Observed { quota_left: Some(left), ..world.observed() };
        let inputs = Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() };
        decide(&world.rollout, &inputs)[0].label()
    };
    assert_eq!((beginning(&world, 8), beginning(&world, 9)), ("finished", "planned"));
    // A baseline that made way is kept as small as it is then.
    let rolling = Rolling {
        batch: Share::new(0.25).unwrap(),
        bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
        process: "web".to_owned(),
        native: false,
    };
    let keeps = Policy { keep_for: Span::minutes(60), strategy: Strategy::Rolling(rolling), ..policy() };
    assert_eq!(beginning(&World::new(keeps, 10), 2), "planned");
}
