//! A course is held against its journal after every step, and told what a platform in the test shows.

use std::sync::Arc;

use super::*;
use crate::platform::effect::after;
use crate::platform::{Activity, ActivityKind, PlatformErrorKind};
use crate::policy::{Mode, Policy, Reaction};
use crate::rollout::{Ending, OrderKind, PauseCause, Unit};
use crate::store::fixture;
use crate::words::{AppName, RolloutId, Version};

const BASELINE: Version = Version(3);
const CANARY: Version = Version(4);

/// A course, the journal that it wrote, and the app that it is about.
struct Bench {
    course: Course,
    journal: Vec<Recorded>,
    app: Observed,
    activity: Vec<Arc<Activity>>,
    now: Time,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let now = Time(1_000_000_000);
        let (rollout, first) = fixture::opened("r", "shop", now, policy);
        let memory = Memory::begin(rollout.id, &first).unwrap();
        let unit = |n: u32, version, base| Unit {
            name: format!("shop-{n}"),
            process: "web".to_owned(),
            version,
            address: None,
            ready: true,
            routable: base,
            base,
            status: "started".to_owned(),
            restarts: 0,
            created: None,
        };
        let units = [unit(1, BASELINE, true), unit(2, BASELINE, true), unit(3, CANARY, false)];
        let app = Observed {
            at: now,
            units: units.into(),
            autoscaled: Vec::new(),
            quota_left: None,
            gaps: Vec::new(),
        };
        Self { course: Course::new(memory), journal: vec![first], app, activity: Vec::new(), now }
    }

    /// What the journal alone says.
    fn recalled(&self) -> Memory {
        let mut memory = Memory::begin(RolloutId("r".to_owned()), &self.journal[0]).unwrap();
        for recorded in &self.journal[1..] {
            memory.replay(recorded).unwrap();
        }
        memory
    }

    fn write(&mut self, written: Written) -> Vec<&'static str> {
        let events = written.unwrap();
        let labels = events.iter().map(|recorded| recorded.event.label()).collect();
        self.journal.extend(events);
        assert_eq!(self.recalled(), *self.course.memory(), "the journal says something else: {labels:?}");
        labels
    }

    /// The daemon is killed, and another goes on.
    fn restart(&mut self) -> Vec<&'static str> {
        self.course = Course::new(self.recalled());
        let resumed = self.course.resume(self.now);
        self.write(resumed)
    }

    fn seen(&self) -> Seen {
        let observed = Observed { at: self.now, ..self.app.clone() };
        Seen { observed: Some(observed), activity: self.activity.clone(), ..Seen::default() }
    }

    /// A round with a look at signals that gave nothing. Commands are done at once.
    fn round(&mut self) -> Vec<&'static str> {
        let seen = Seen { gathered: Some((self.now, Gathered::default())), ..self.seen() };
        let written = self.course.round(self.now, seen);
        let labels = self.write(written);
        if let Some(command) = self.course.command().cloned() {
            self.app = after(&self.app, &command);
            let answered = self.course.answered(self.now, &Ok(()));
            self.write(answered);
        }
        labels
    }

    fn pass(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    fn order(&mut self, kind: OrderKind) -> Vec<&'static str> {
        let order = Order { kind, by: "ana".to_owned() };
        let written = self.course.order(self.now, &order);
        self.write(written)
    }

    /// Somebody else does something now.
    fn somebody(&mut self, id: &str, kind: ActivityKind) {
        self.activity.push(Arc::new(Activity {
            id: id.to_owned(),
            app: AppName("shop".to_owned()),
            kind,
            owner: "bob".to_owned(),
            ours: false,
            started: self.now,
            ended: Some(self.now),
            error: None,
        }));
    }

    fn hear(&mut self, action: Reaction) -> Vec<&'static str> {
        let alarm = Alarm { name: "Slow".to_owned(), action, sentence: "it is slow".to_owned() };
        let heard = Heard { fingerprint: "f".to_owned(), starts: self.now, means: Ok(alarm) };
        let written = self.course.hear(self.now, heard);
        self.write(written)
    }

    fn phase(&self) -> Phase {
        self.course.rollout().phase
    }
}

fn in_step(policy: Policy) -> Bench {
    let observes = policy.mode == Mode::Observe;
    let mut bench = Bench::new(policy);
    bench.round();
    if observes {
        // What is only observed is moved by somebody else.
        bench.app = after(&bench.app, &Command::Route { version: CANARY });
    }
    bench.pass(Span::seconds(15)).round();
    assert_eq!((bench.phase(), bench.course.rollout().step_reached), (Phase::Step, Some(bench.now)));
    bench
}

#[test]
fn a_round_is_written_at_once_with_the_command_that_follows() {
    let mut bench = Bench::new(fixture::policy(&[]));
    assert_eq!(bench.round(), ["learnt", "planned", "step_began", "command_issued"]);
    assert_eq!(bench.pass(Span::seconds(15)).round(), ["learnt", "step_reached"]);
    assert_eq!(bench.pass(Span::seconds(15)).round(), ["looked"]);
}

#[test]
fn what_others_did_while_a_person_said_something_is_not_forgotten() {
    let mut bench = in_step(fixture::policy(&[]));
    bench.pass(Span::seconds(5)).somebody("e2", ActivityKind::Routed);
    assert_eq!(bench.order(OrderKind::Pause), ["paused"]);
    bench.restart();
    assert_eq!(bench.round(), ["looked", "finished", "heeded"]);
    assert_eq!(bench.phase(), Phase::TakenOver);
}

#[test]
fn each_thing_that_others_did_is_dealt_with_in_its_turn_and_once() {
    let mut bench = in_step(Policy { mode: Mode::Observe, ..fixture::policy(&[]) });
    bench.pass(Span::seconds(15)).somebody("e2", ActivityKind::Routed);
    bench.somebody("e3", ActivityKind::Environment);
    let labels = bench.round();
    assert_eq!(labels, ["looked", "noted", "bake_restarted", "heeded"]);
    bench.restart();
    assert_eq!(bench.pass(Span::seconds(15)).round(), ["looked"], "what was dealt with is no news");
    bench.somebody("e4", ActivityKind::NewVersion { version: Some(Version(6)) });
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::Superseded);
}

#[test]
fn only_what_may_move_units_makes_the_listing_doubtful() {
    let mut bench = in_step(fixture::policy(&[]));
    bench.somebody("run", ActivityKind::Other { name: "app.run".to_owned() });
    assert!(bench.round().contains(&"heeded"));
    assert_eq!(bench.course.rollout().disturbed, None);
    bench.somebody("env", ActivityKind::Environment);
    assert!(bench.round().contains(&"bake_restarted"));
    assert_eq!(bench.course.rollout().disturbed, Some(bench.now));
}

#[test]
fn a_kill_right_after_the_first_traffic_leaves_the_warm_up_out_all_the_same() {
    let mut bench = in_step(Policy { warm_up: Span::minutes(2), ..fixture::policy(&[]) });
    let end = Some(bench.now + Span::minutes(2));
    assert_eq!(bench.course.warm_up_ends(), end);
    bench.restart();
    assert_eq!(bench.course.warm_up_ends(), end);
}

#[test]
fn an_alert_is_in_the_journal_before_it_is_dealt_with_and_is_dealt_with_once() {
    let mut bench = in_step(fixture::policy(&[]));
    assert_eq!(bench.pass(Span::seconds(5)).hear(Reaction::Pause), ["alerted"]);
    bench.restart();
    assert_eq!(bench.hear(Reaction::Pause), [""; 0], "its sender repeats itself");
    assert!(bench.course.is_round_due(bench.now));
    assert_eq!(bench.round(), ["looked", "paused", "heeded"]);
    assert_eq!(bench.course.rollout().pause, Some(PauseCause::Fail));
    bench.order(OrderKind::Resume);
    bench.restart();
    assert_eq!(bench.hear(Reaction::Pause), [""; 0]);
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::Step);
}

#[test]
fn an_alert_that_comes_while_there_is_no_way_back_is_answered_when_there_is() {
    let mut bench = in_step(Policy { watch: Span::minutes(30), ..fixture::policy(&[]) });
    bench.order(OrderKind::Promote);
    bench.pass(Span::seconds(5)).round();
    assert_eq!(bench.phase(), Phase::Promoting);
    bench.hear(Reaction::Rollback);
    bench.pass(Span::seconds(5)).round();
    assert_eq!(bench.phase(), Phase::Promoting);
    bench.restart();
    let only = Command::MakeOnly { version: CANARY };
    bench.app = after(&bench.app, &only);
    while matches!(bench.phase(), Phase::Promoting | Phase::Watching) {
        bench.pass(Span::seconds(31)).round();
        assert!(bench.now < Time(1_000_000_000) + Span::minutes(10), "it was never heard");
    }
    assert_eq!(bench.course.rollout().reason, "it is slow");
}

#[test]
fn an_alert_that_is_over_before_there_is_a_way_back_takes_nothing_back() {
    let mut bench = in_step(Policy { watch: Span::minutes(30), ..fixture::policy(&[]) });
    bench.order(OrderKind::Promote);
    bench.pass(Span::seconds(5)).round();
    let starts = bench.now;
    bench.hear(Reaction::Rollback);
    bench.pass(Span::seconds(5)).round();
    bench.restart();
    let calm = |bench: &mut Bench, fingerprint: &str, starts: Time| {
        let written = bench.course.calm(bench.now, fingerprint, starts);
        bench.write(written)
    };
    assert_eq!(calm(&mut bench, "another", starts), [""; 0]);
    assert_eq!(calm(&mut bench, "f", starts - Span::seconds(1)), [""; 0], "an earlier one");
    assert_eq!(calm(&mut bench, "f", starts), ["alert_ended"]);
    assert_eq!(calm(&mut bench, "f", starts), [""; 0]);
    bench.app = after(&bench.app, &Command::MakeOnly { version: CANARY });
    for _ in 0..6 {
        bench.pass(Span::seconds(31)).round();
    }
    assert_eq!(bench.phase(), Phase::Watching);
}

#[test]
fn an_alert_that_still_fires_after_a_persons_pause_counts_when_it_is_told_again() {
    let mut bench = in_step(fixture::policy(&[]));
    bench.order(OrderKind::Pause);
    let starts = bench.now;
    assert_eq!(bench.hear(Reaction::Rollback), ["alerted"]);
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::Paused, "a person said to wait");
    bench.pass(Span::minutes(5)).order(OrderKind::Resume);
    bench.restart();
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::Step);
    let now = bench.now;
    let alarm =
        Alarm { name: "Slow".to_owned(), action: Reaction::Rollback, sentence: "it is slow".to_owned() };
    let heard = Heard { fingerprint: "f".to_owned(), starts, means: Ok(alarm) };
    let written = bench.course.hear(now, heard);
    assert_eq!(bench.write(written), ["alerted"]);
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::RollingBack);
}

#[test]
fn an_alert_that_came_while_the_daemon_itself_waited_counts_when_it_is_told_again() {
    let mut bench = in_step(fixture::policy(&[]));
    let starts = bench.now;
    let alert = |bench: &mut Bench, fingerprint: &str| {
        let action = Reaction::Pause;
        let alarm =
            Alarm { name: fingerprint.to_owned(), action, sentence: format!("`{fingerprint}` fires") };
        let heard = Heard { fingerprint: fingerprint.to_owned(), starts, means: Ok(alarm) };
        let written = bench.course.hear(bench.now, heard);
        bench.write(written)
    };
    alert(&mut bench, "first");
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.course.rollout().pause, Some(PauseCause::Fail));
    alert(&mut bench, "second");
    bench.pass(Span::seconds(15)).round();
    bench.order(OrderKind::Resume);
    bench.restart();
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::Step);
    assert_eq!(alert(&mut bench, "second"), ["alerted"]);
    bench.pass(Span::seconds(15)).round();
    assert_eq!(bench.phase(), Phase::Paused);
}

#[test]
fn an_alert_waits_while_what_others_did_is_dealt_with() {
    let mut bench = in_step(Policy { mode: Mode::Observe, ..fixture::policy(&[]) });
    bench.hear(Reaction::Rollback);
    bench.pass(Span::seconds(15)).somebody("e2", ActivityKind::Routed);
    bench.round();
    assert_eq!(bench.phase(), Phase::Step);
    bench.round();
    assert_eq!(bench.phase(), Phase::Observed);
}

#[test]
fn a_command_without_an_answer_is_not_sent_again_before_the_platform_was_read() {
    let mut bench = Bench::new(fixture::policy(&[]));
    let seen = bench.seen();
    let written = bench.course.round(bench.now, seen);
    bench.write(written);
    assert_eq!(bench.course.command(), Some(&Command::Route { version: CANARY }));
    assert_eq!(bench.restart(), ["command_answered"]);
    assert_eq!(bench.course.command(), None);
    bench.app = after(&bench.app, &Command::Route { version: CANARY });
    assert!(bench.course.is_round_due(bench.now));
    assert_eq!(bench.pass(Span::seconds(2)).round(), ["learnt", "step_reached"], "it was done already");
}

#[test]
fn a_platform_that_does_not_answer_is_asked_again_after_a_pause() {
    let mut bench = in_step(fixture::policy(&[]));
    bench.pass(Span::minutes(10));
    let error = |kind| PlatformError { action: "reading".to_owned(), message: String::new(), kind };
    let unreachable = || error(PlatformErrorKind::Unreachable);
    let seen = Seen::of(bench.course.rollout(), Err(unreachable()), Err(unreachable()));
    let written = bench.course.round(bench.now, seen);
    assert_eq!(bench.write(written), ["trouble_began"]);
    assert_eq!(bench.course.until_next(bench.now), MOVING);
    let silent = Seen::of(bench.course.rollout(), Ok(bench.app.clone()), Err(unreachable()));
    assert_eq!(silent.observed, None, "nobody knows what others do");
    let gone = Seen::of(bench.course.rollout(), Err(error(PlatformErrorKind::NotFound)), Ok(Vec::new()));
    let written = bench.course.round(bench.now, gone);
    assert_eq!(bench.write(written), ["finished"]);
}

#[test]
fn between_two_looks_nothing_is_due_unless_something_happens() {
    let mut bench = in_step(fixture::policy(&[]));
    let every = bench.course.rollout().policy.look_every;
    assert_eq!(bench.course.until_next(bench.now), every);
    bench.pass(Span::seconds(5));
    assert!(!bench.course.is_round_due(bench.now));
    assert_eq!(bench.course.until_next(bench.now), Span(every.0 - 5000));
    bench.hear(Reaction::Pause);
    assert!(bench.course.is_round_due(bench.now));
}

#[test]
fn no_unit_counts_from_its_birth_where_nobody_knows_what_was_counted() {
    let mut bench = Bench::new(fixture::policy(&[]));
    let began = bench.course.rollout().deployed;
    assert_eq!(bench.course.memory().counts_since(true), began, "nothing was counted yet");
    bench.round();
    assert_eq!(bench.course.memory().counts_since(false), began);
    // The clocks of this machine and of the one that makes units may be minutes apart.
    assert!(bench.course.memory().counts_since(true) > bench.now + Span::minutes(60 * 24));
}

#[test]
fn a_person_is_called_again_for_what_they_were_called_for_before_something_else_was_done() {
    let mut memory = Bench::new(fixture::policy(&[])).course.memory().clone();
    let number = |memory: &Memory| memory.rollout().events;
    let called = Event::PersonNeeded { why: "stuck".to_owned() };
    for over in [
        Event::Heeded { acts: vec!["1".to_owned()], alerts: 0, disturbs: true },
        Event::RollbackDecided { why: "harm".to_owned(), culprits: vec![], ending: Ending::RolledBack },
    ] {
        for event in [called.clone(), over] {
            let at = Time(1_000_000_000 + i64::try_from(number(&memory)).unwrap());
            memory.replay(&Recorded { at, event }).unwrap();
            assert_eq!(memory.called().is_some(), memory.rollout().events.is_multiple_of(2));
        }
    }
}
