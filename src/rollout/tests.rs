//! Whole lives of rollouts, decision by decision, against a platform that does what it is told.

use std::collections::BTreeMap;

use super::*;
use crate::judge::Verdict;
use crate::policy::{Bake, Canary, Capacity, Hold, Mode, Policy, Reaction, Strategy};
use crate::words::{AppName, RolloutId, Share, Span, Time, Version};

mod grounds;
mod listings;
mod observing;
mod others;
mod people;
mod replaced;
mod strategies;

const B: Version = Version(1);
const C: Version = Version(2);

fn policy() -> Policy {
    let share = |s| Share::new(s).unwrap();
    let strategy = Strategy::Canary(Canary {
        steps: vec![share(0.25), share(0.5)],
        bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
        approve: Vec::new(),
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    });
    Policy { warm_up: Span::ZERO, ..Policy::new("web", strategy) }
}

fn verdict() -> Verdict {
    Verdict {
        at: 0.0,
        score: [0.0, 100.0],
        log_e_harm: 0.0,
        harm_threshold: 4.6,
        harm: false,
        culprits: Vec::new(),
        safe: false,
        both_bad: false,
        wrong_split: false,
        no_data: false,
        source_down: false,
        signals: BTreeMap::new(),
        refused: Vec::new(),
        why: "because".to_owned(),
    }
}

/// A rollout, its platform and its clock.
struct World {
    rollout: Rollout,
    now: Time,
    units: Vec<Unit>,
    log: Vec<&'static str>,
    commands: Vec<String>,
    made: u32,
    autoscaled: Vec<Autoscaler>,
}

impl World {
    fn new(policy: Policy, baseline_units: u32) -> Self {
        let opened = Event::Opened {
            app: AppName("shop".to_owned()),
            baseline: B,
            canary: C,
            trigger: "t".to_owned(),
            deployed: Time(0),
            policy: Box::new(policy),
            kind: Kind::Beside,
        };
        let rollout =
            Rollout::open(RolloutId("r".to_owned()), &Recorded { at: Time(0), event: opened }).unwrap();
        let mut world = Self {
            rollout,
            now: Time(0),
            units: Vec::new(),
            log: Vec::new(),
            commands: Vec::new(),
            made: 0,
            autoscaled: Vec::new(),
        };
        for _ in 0..baseline_units {
            world.add(B, true, true);
        }
        world.add(C, false, false);
        world
    }

    fn add(&mut self, version: Version, routable: bool, base: bool) {
        self.made += 1;
        self.units.push(Unit {
            name: format!("shop-web-{}", self.made),
            process: "web".to_owned(),
            version,
            address: None,
            ready: true,
            routable,
            base,
            status: "started".to_owned(),
            restarts: 0,
            created: None,
        });
    }

    fn observed(&self) -> Observed {
        Observed {
            at: self.now,
            units: self.units.as_slice().into(),
            autoscaled: self.autoscaled.clone(),
            quota_left: None,
            gaps: vec![],
        }
    }

    fn record(&mut self, event: Event) {
        if event.label() != "command_issued" && event.label() != "command_answered" {
            self.log.push(event.label());
        }
        self.rollout.apply(&Recorded { at: self.now, event }).unwrap();
    }

    /// What is decided on what is seen.
    fn decided(&self, given: Inputs<'_>) -> Vec<Event> {
        let observed = self.observed();
        decide(&self.rollout, &Inputs { now: self.now, observed: Some(&observed), ..given })
    }

    /// One decision, and no act.
    fn decide(&mut self, given: Inputs<'_>) {
        for event in self.decided(given) {
            self.record(event);
        }
    }

    /// One decision, then every act that follows, as a platform that obeys at once.
    fn look(&mut self, given: Inputs<'_>) {
        self.decide(given);
        for _ in 0..20 {
            let Act::Do { command, expected } = next_act(&self.rollout, &self.observed(), false, self.now)
            else {
                break;
            };
            let number = self.rollout.command.as_ref().map_or(1, |c| c.number + 1);
            self.commands.push(command.to_string());
            self.record(Event::CommandIssued { number, command: command.clone(), expected });
            self.obey(&command);
            self.record(Event::CommandAnswered { number, answer: Answer::Done });
        }
    }

    fn obey(&mut self, command: &Command) {
        match command {
            Command::Route { version } => self.route(*version, true),
            Command::Unroute { version } => self.route(*version, false),
            Command::AddUnits { version, process, count } => {
                let like = self.units.iter().find(|u| u.version == *version).cloned();
                let (routable, base) = like.map_or((false, false), |u| (u.routable, u.base));
                for _ in 0..*count {
                    self.add(*version, routable, base);
                    self.units.last_mut().unwrap().process.clone_from(process);
                }
            }
            Command::RemoveUnits { version, process, count } => {
                let mut left = *count;
                self.units.retain(|u| {
                    let gone = left > 0 && u.version == *version && u.process == *process;
                    left -= u32::from(gone);
                    !gone
                });
            }
            Command::MakeOnly { version } => {
                let routed: Vec<_> = self.units.drain(..).filter(|u| u.routable).collect();
                for unit in routed {
                    self.add(*version, true, true);
                    self.units.last_mut().unwrap().process = unit.process;
                }
            }
            Command::Delete { version } => self.units.retain(|u| u.version != *version),
            Command::MoveAutoscalers { version } => {
                self.autoscaled.iter_mut().for_each(|a| a.version = Some(*version));
            }
            Command::SuspendAutoscaler { process } => self.autoscaled.retain(|a| a.process != *process),
            Command::RestoreAutoscaler { autoscaler } => {
                // The platform chooses the lowest version that serves.
                let version = self.units.iter().filter(|u| u.routable).map(|u| u.version).min();
                self.autoscaled.push(Autoscaler { version, ..autoscaler.clone() });
            }
            Command::Quarantine { .. } => {}
        }
    }

    fn route(&mut self, version: Version, routable: bool) {
        self.units.iter_mut().filter(|u| u.version == version).for_each(|u| u.routable = routable);
    }

    fn pass(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    fn count(&self, version: Version) -> usize {
        self.units.iter().filter(|u| u.version == version).count()
    }
}

/// A world whose first step is in place.
fn in_step(policy: Policy) -> World {
    let mut world = World::new(policy, 3);
    world.look(Inputs::default());
    world.pass(Span::seconds(15)).look(Inputs::default());
    assert_eq!(world.log, ["planned", "step_began", "step_reached"]);
    world
}

#[test]
fn a_proven_canary_goes_through_the_steps_and_is_promoted_at_the_old_size() {
    let mut world = in_step(policy());
    assert_eq!(world.commands, ["route users to v2"]);
    let safe = Verdict { safe: true, ..verdict() };
    world.pass(Span::minutes(4)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!(world.rollout.step, 0, "the shortest bake is not over");
    world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!((world.rollout.step, world.count(C)), (1, 3));
    world.pass(Span::seconds(15)).look(Inputs::default());
    world.pass(Span::minutes(5)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Promoting);
    world.pass(Span::minutes(1)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Promoted);
    assert_eq!((world.count(B), world.count(C)), (0, 3));
    assert_eq!(
        world.commands,
        [
            "route users to v2",
            "add 2 `web` unit(s) of v2",
            "make v2 the only version",
            "remove 3 `web` unit(s) of v2",
        ]
    );
}

#[test]
fn without_proof_it_bakes_on_and_then_asks_a_person() {
    let mut world = in_step(policy());
    world.pass(Span::minutes(29)).look(Inputs { verdict: Some(&verdict()), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Step);
    world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&verdict()), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.rollout.pause), (Phase::Paused, Some(PauseCause::Inconclusive)));
}

/// What hits both versions is no reason to promote, whatever follows from the end of the longest bake.
#[test]
fn an_incident_keeps_a_step_from_being_done_by_time() {
    let mut policy = policy();
    policy.on.inconclusive = Reaction::Promote;
    let mut world = in_step(policy);
    let bad = Verdict { both_bad: true, ..verdict() };
    world.pass(Span::minutes(40)).look(Inputs { verdict: Some(&bad), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.rollout.pause), (Phase::Paused, Some(PauseCause::Inconclusive)));
}

#[test]
fn harm_takes_users_away_first_and_removes_the_canary() {
    let mut world = in_step(policy());
    let harm = Verdict { harm: true, culprits: vec!["errors".to_owned()], safe: true, ..verdict() };
    world.pass(Span::seconds(15)).look(Inputs { verdict: Some(&harm), ..Inputs::default() });
    world.pass(Span::seconds(15)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::RolledBack);
    assert_eq!(world.commands[1..], ["take v2 out of routing", "delete v2"]);
    assert_eq!((world.count(B), world.count(C)), (3, 0));
}

#[test]
fn a_sick_baseline_keeps_the_canary_serving_and_calls_a_person() {
    let mut world = in_step(policy());
    world.units.iter_mut().filter(|u| u.version == B).for_each(|u| u.ready = false);
    world
        .pass(Span::seconds(15))
        .look(Inputs { unhealthy: Some("the canary fails its check"), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::RollingBack);
    assert!(matches!(next_act(&world.rollout, &world.observed(), false, world.now), Act::Stuck(_)));
    assert_eq!(world.commands.len(), 1, "nothing was taken away: {:?}", world.commands);
}

#[test]
fn missing_data_holds_and_then_does_what_the_policy_says() {
    let mut world = in_step(policy());
    let silent = Verdict { no_data: true, safe: true, ..verdict() };
    world.pass(Span::minutes(5)).look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Step);
    assert_eq!(world.rollout.trouble.map(|t| t.0), Some(Trouble::NoData));
    world.pass(Span::minutes(4)).look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Step, "held for less than the policy allows");
    world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::RollingBack);
}

#[test]
fn time_without_data_does_not_bake() {
    let mut world = in_step(policy());
    let (silent, safe) = (Verdict { source_down: true, ..verdict() }, Verdict { safe: true, ..verdict() });
    world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    world.pass(Span::minutes(10)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!((world.rollout.step, world.rollout.baked(world.now)), (0, Span::minutes(1)));
    world.pass(Span::minutes(4)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!(world.rollout.step, 1);
}

#[test]
fn a_source_that_lost_both_versions_never_blames_the_canary() {
    let mut world = in_step(policy());
    let silent = Verdict { source_down: true, ..verdict() };
    for _ in 0..16 {
        world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    }
    assert_eq!((world.rollout.phase, world.rollout.pause), (Phase::Paused, Some(PauseCause::NoData)));
}

#[test]
fn an_approval_is_asked_for_once() {
    let mut wanted = policy();
    let Strategy::Canary(canary) = &mut wanted.strategy else { unreachable!() };
    canary.approve = vec![canary.steps[0]];
    let mut world = in_step(wanted);
    let safe = Verdict { safe: true, ..verdict() };
    world.pass(Span::minutes(5)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!(world.rollout.pause, Some(PauseCause::Approval));
    world.pass(Span::minutes(60)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Paused, "nobody agreed");
    let order = Order { kind: OrderKind::Approve, by: "ana".to_owned() };
    world.look(Inputs { order: Some(&order), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.rollout.step), (Phase::Step, 1));
}

#[test]
fn a_paused_canary_that_does_harm_is_still_rolled_back_unless_a_person_paused_it() {
    let harm = Verdict { harm: true, ..verdict() };
    for (by_person, phase) in [(false, Phase::RollingBack), (true, Phase::Paused)] {
        let mut world = in_step(policy());
        if by_person {
            let order = Order { kind: OrderKind::Pause, by: "ana".to_owned() };
            world.look(Inputs { order: Some(&order), ..Inputs::default() });
        } else {
            world.pass(Span::minutes(31)).look(Inputs { verdict: Some(&verdict()), ..Inputs::default() });
        }
        assert_eq!(world.rollout.phase, Phase::Paused);
        world.pass(Span::seconds(15)).look(Inputs { verdict: Some(&harm), ..Inputs::default() });
        assert_eq!(world.rollout.phase, phase);
    }
}

#[test]
fn what_others_do_ends_it_without_a_fight() {
    for (foreign, phase) in [
        (Foreign::Changed("bob unrouted v2".to_owned()), Phase::TakenOver),
        (Foreign::Replaced(Some(Version(3)), "ci deployed v3".to_owned()), Phase::Superseded),
        (Foreign::Replaced(Some(C), "bob promoted v2".to_owned()), Phase::TakenOver),
        (Foreign::Removed("the app is gone".to_owned()), Phase::TakenOver),
    ] {
        let mut world = in_step(policy());
        world.look(Inputs { foreign: Some(&foreign), ..Inputs::default() });
        assert_eq!((world.rollout.phase, world.commands.len()), (phase, 1), "{foreign:?}");
    }
}

#[test]
fn a_newer_version_beside_ours_withdraws_ours_and_leaves_the_newer_one_alone() {
    let mut world = in_step(policy());
    world.add(Version(3), false, false);
    let foreign = Foreign::NewVersion(Some(Version(3)), "ci deployed v3".to_owned());
    world.look(Inputs { foreign: Some(&foreign), ..Inputs::default() });
    world.look(Inputs::default());
    assert_eq!((world.rollout.phase, world.count(C), world.count(Version(3))), (Phase::Superseded, 0, 1));
}

#[test]
fn a_canary_that_never_gets_ready_is_withdrawn() {
    let mut world = World::new(policy(), 3);
    world.units.iter_mut().filter(|u| u.version == C).for_each(|u| u.ready = false);
    world.pass(Span::minutes(9)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Pending);
    world.pass(Span::minutes(1)).look(Inputs::default());
    world.look(Inputs::default());
    assert_eq!((world.rollout.phase, world.count(C)), (Phase::RolledBack, 0));
    assert_eq!(world.commands, ["delete v2"], "it never was routed");
}

#[test]
fn observing_touches_nothing_and_says_what_it_would_have_done() {
    let mut world = World::new(Policy { mode: Mode::Observe, ..policy() }, 3);
    world.look(Inputs::default());
    world.route(C, true);
    world.look(Inputs::default());
    let harm = Verdict { harm: true, ..verdict() };
    world.look(Inputs { verdict: Some(&harm), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Observed, 0));
    assert!(world.rollout.reason.contains("would have rolled back v2"), "{}", world.rollout.reason);
}

#[test]
fn advising_asks_before_every_act() {
    let mut world = World::new(Policy { mode: Mode::Advise, ..policy() }, 3);
    world.look(Inputs::default());
    assert_eq!((world.rollout.pause, world.commands.len()), (Some(PauseCause::Advice), 0));
    let approve = Order { kind: OrderKind::Approve, by: "ana".to_owned() };
    world.look(Inputs { order: Some(&approve), ..Inputs::default() });
    world.look(Inputs::default());
    world.look(Inputs::default());
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Step, 1));
    let safe = Verdict { safe: true, ..verdict() };
    world.pass(Span::minutes(6)).look(Inputs { verdict: Some(&safe), ..Inputs::default() });
    assert_eq!(world.rollout.pause, Some(PauseCause::Advice));
    world.look(Inputs { order: Some(&approve), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.rollout.step), (Phase::Step, 1));
}

#[test]
fn alerts_do_what_the_policy_makes_of_them() {
    for (action, phase) in [
        (Reaction::Rollback, Phase::RollingBack),
        (Reaction::Pause, Phase::Paused),
        (Reaction::Ignore, Phase::Step),
    ] {
        let mut world = in_step(policy());
        let alarm =
            [Alarm { name: "HighErrors".to_owned(), action, sentence: "HighErrors fires".to_owned() }];
        world.look(Inputs { alerts: &alarm, ..Inputs::default() });
        assert_eq!(world.rollout.phase, phase);
    }
}

#[test]
fn a_lagging_listing_is_not_taken_for_an_undone_act() {
    let mut world = in_step(policy());
    world.rollout.step_reached = None;
    world.route(C, false);
    assert!(matches!(next_act(&world.rollout, &world.observed(), false, world.now), Act::Wait(_)));
    world.pass(Span::seconds(31));
    let again = next_act(&world.rollout, &world.observed(), false, world.now);
    assert_eq!(again, Act::Do { command: Command::Route { version: C }, expected: None });
}

#[test]
fn nothing_is_sent_while_something_holds_the_app_or_an_answer_is_missing() {
    let mut world = World::new(policy(), 3);
    let observed = world.observed();
    for event in decide(&world.rollout, &Inputs { observed: Some(&observed), ..Inputs::default() }) {
        world.record(event);
    }
    assert!(matches!(next_act(&world.rollout, &observed, true, world.now), Act::Wait(_)));
    world.record(Event::CommandIssued { number: 1, command: Command::Route { version: C }, expected: None });
    assert!(matches!(next_act(&world.rollout, &observed, false, world.now), Act::Wait(_)));
}

#[test]
fn a_promotion_that_the_platform_cannot_do_goes_back() {
    let mut world = in_step(policy());
    world.record(Event::PromotionDecided { why: "proven".to_owned() });
    for number in 2..=4 {
        let Act::Do { command, expected } = next_act(&world.rollout, &world.observed(), false, world.now)
        else {
            panic!("waits too long")
        };
        assert_eq!(command, Command::MakeOnly { version: C });
        world.record(Event::CommandIssued { number, command, expected });
        let answer = Answer::Error { kind: PlatformErrorKind::Failed, message: "not ready".to_owned() };
        world.record(Event::CommandAnswered { number, answer });
        let soon = next_act(&world.rollout, &world.observed(), false, world.now);
        assert!(matches!(soon, Act::Wait(_)), "{soon:?}");
        world.pass(Span::seconds(31));
    }
    let observed = world.observed();
    let events =
        decide(&world.rollout, &Inputs { now: world.now, observed: Some(&observed), ..Inputs::default() });
    assert_eq!(events.iter().map(Event::label).collect::<Vec<_>>(), ["rollback_decided"]);
}

#[test]
fn a_daemon_that_may_not_delete_makes_the_baseline_the_only_version() {
    let mut world = in_step(policy());
    world.rollout.cannot_delete = true;
    world.look(Inputs { unhealthy: Some("sick"), ..Inputs::default() });
    world.look(Inputs::default());
    assert_eq!(world.commands[1..], ["take v2 out of routing", "make v1 the only version"]);
    assert_eq!(world.rollout.phase, Phase::RolledBack);
}

#[test]
fn impossible_events_are_refused() {
    let mut world = in_step(policy());
    let wrong = [
        Event::CommandAnswered { number: 9, answer: Answer::Done },
        Event::StepBegan { step: 7 },
        Event::Resumed { by: "ana".to_owned() },
    ];
    for event in wrong {
        let before = world.rollout.clone();
        assert!(world.rollout.apply(&Recorded { at: world.now, event }).is_err());
        assert_eq!(world.rollout, before, "a refused event changes nothing");
    }
}

#[test]
fn a_hold_of_the_policy_is_used_for_each_kind_of_missing_data() {
    let mut wanted = policy();
    wanted.on.source_down = Hold { hold: Span::minutes(2), then: Reaction::Rollback };
    let mut world = in_step(wanted);
    let silent = Verdict { source_down: true, ..verdict() };
    world.look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    world.pass(Span::minutes(2)).look(Inputs { verdict: Some(&silent), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::RollingBack);
    assert!(world.rollout.reason.contains("not evidence of harm"), "{}", world.rollout.reason);
}
