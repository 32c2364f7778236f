//! The course of one rollout, without I/O: what was seen goes in, events and the next command come out.
//!
//! A [`Course`] is driven by whoever can see and act: the engine does it with the real platform, `tests/simulation` in
//! virtual time. Both follow the same rule. Each method says what happened and returns the events that follow. These
//! are written to the journal; only then is [`Course::command`] sent, and what came of it told by
//! [`Course::answered`]. A course whose events could not be written is thrown away.
//!
//! What a course must know after a restart is its [`Memory`], which follows from the journal alone. The rest (which unit
//! was asked when, what was last seen) comes again by itself.

mod memory;
mod seen;

#[cfg(test)]
mod tests;

use crate::judge::Look;
use crate::platform::PlatformError;
use crate::rollout::{
    Act, Alarm, Answer, Command, Event, IllegalEvent, Inputs, Observed, Order, Phase, PlatformErrorKind,
    Recorded, Rollout, decide, next_act,
};
use crate::signal::increments::Compare;
use crate::signal::{
    Gathered, Health, HealthBook, Probe, SmokeBook, SmokeFault, SmokeProbe, UnitLimits, UnitWatch,
};
use crate::words::{Arm, Arms, Share, Span, Time};

pub use memory::Memory;
pub use seen::Seen;

use seen::{Affair, News};

/// The time between two looks at the platform while units or traffic are on the move.
const MOVING: Span = Span::seconds(2);

/// How far back activity is asked for: a long deploy begins early and ends late.
const OVERLAP: Span = Span::minutes(60);

/// The shortest time between two rounds.
const SHORTEST: Span = Span(50);

/// What is written to the journal before anything else happens.
pub type Written = Result<Vec<Recorded>, IllegalEvent>;

/// What comes of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The sender's identity of it.
    pub fingerprint: String,
    /// When it began to fire.
    pub starts: Time,
    /// What the policy makes of it; or why it cannot be the canary's doing, in words.
    pub means: Result<Alarm, String>,
}

/// One rollout on its way.
#[derive(Debug, Clone)]
pub struct Course {
    memory: Memory,
    health: HealthBook,
    smoke: SmokeBook,
    units: UnitWatch,
    /// When the platform was last seen, and what it showed.
    saw: Option<(Time, Option<Observed>)>,
    /// When the newest thing began that was done to the app and seen, by the platform's clock.
    newest: Time,
    /// What both versions were last seen to fail alike.
    shared: Option<String>,
}

impl Course {
    /// A course that goes on from what is remembered.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        let rollout = memory.rollout();
        let versions = Arms { baseline: rollout.baseline, canary: rollout.canary };
        let health = HealthBook::new(rollout.policy.health.clone(), versions, rollout.process().to_owned());
        let process = rollout.process().to_owned();
        let smoke = SmokeBook::new(rollout.policy.smoke.clone(), rollout.canary, process);
        let units = UnitWatch::new(versions, UnitLimits::default());
        Self { newest: rollout.deployed, memory, health, smoke, units, saw: None, shared: None }
    }

    /// What would be remembered after a restart.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The rollout as it is now.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        self.memory.rollout()
    }

    /// The command that has been issued and not been answered: to be sent once, when its event is in the journal.
    #[must_use]
    pub fn command(&self) -> Option<&Command> {
        self.rollout().unanswered().map(|issued| &issued.command)
    }

    /// The start after a stop. A command without an answer: nobody knows what became of it; the platform will show. One
    /// with an answer: nobody knows how long ago that was, as the machine's clock may have been set.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn resume(&mut self, now: Time) -> Written {
        if self.rollout().command.is_none() {
            return Ok(Vec::new());
        }
        if self.command().is_none() {
            return self.write(now, vec![Event::Restarted]);
        }
        let message =
            "the daemon stopped before the answer came; the platform is read before anything else".to_owned();
        let answer = Answer::Error { kind: PlatformErrorKind::Unknown, message };
        self.take_answer(now, answer)
    }

    /// Whether what the baseline did before is still to be learnt.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.rollout().events <= 1
    }

    /// Learns what the baseline did before the rollout, oldest first.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn learn(&mut self, now: Time, looks: Vec<Look>) -> Written {
        let mut writing = Writing::new(&mut self.memory, now);
        looks.into_iter().try_for_each(|look| writing.learnt(look))?;
        Ok(writing.events)
    }

    /// Takes what a person wants. It comes before everything else, so nothing that was seen is decided with it.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn order(&mut self, now: Time, order: &Order) -> Written {
        let observed = self.saw.as_ref().and_then(|(_, observed)| observed.as_ref());
        let inputs = Inputs { now, observed, order: Some(order), ..Inputs::default() };
        let events = decide(self.memory.rollout(), &inputs);
        self.write(now, events)
    }

    /// Takes an alert that concerns the rollout. What was heard before changes nothing; its sender repeats itself.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn hear(&mut self, now: Time, heard: Heard) -> Written {
        let Heard { fingerprint, starts, means } = heard;
        if self.memory.has_heard(&fingerprint, starts) {
            return Ok(Vec::new());
        }
        let (alarm, says) = match means {
            Ok(alarm) => (Some(alarm.clone()), alarm.sentence),
            Err(why) => (None, why),
        };
        self.write(now, vec![Event::Alerted { fingerprint, starts, alarm, says }])
    }

    /// Takes that an alert, which began to fire at `starts`, is over. What was not answered yet is not answered any more.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn calm(&mut self, now: Time, fingerprint: &str, starts: Time) -> Written {
        let Some(alarm) = self.memory.waiting(fingerprint, starts) else { return Ok(Vec::new()) };
        let says = format!("alert `{}` is over before anything followed from it", alarm.name);
        self.write(now, vec![Event::AlertEnded { fingerprint: fingerprint.to_owned(), starts, says }])
    }

    /// One round: decides what follows from what was seen, and names the next command.
    ///
    /// # Errors
    /// When an event cannot happen in the rollout's state: the code is wrong. The course is to be thrown away.
    pub fn round(&mut self, now: Time, seen: Seen) -> Written {
        let News { busy, affairs } = seen.news(&self.memory);
        self.newest = seen.activity.iter().map(|activity| activity.started).fold(self.newest, Time::max);
        let Seen { observed, gathered, .. } = seen;
        let unhealthy = observed.as_ref().and_then(|observed| self.check(observed));
        let smoke = observed.as_ref().and_then(|observed| self.smoke.state(observed));
        let mut writing = Writing::new(&mut self.memory, now);
        if let Some(Ok(why)) = &unhealthy {
            writing.note_shared(&mut self.shared, why)?;
        } else if observed.is_some() {
            self.shared = None;
        }
        let unhealthy = unhealthy.and_then(Result::err);
        let verdict = match (gathered, &observed) {
            (Some((at, gathered)), Some(observed)) => writing.look(at, gathered, observed)?,
            _ => None,
        };
        // One after the other, as if each had been seen alone; only then what else was seen.
        let others_acted = writing.face(affairs, observed.as_ref())?;
        if !others_acted {
            let alarms: Vec<Alarm> = writing.memory.alarms().cloned().collect();
            let inputs = Inputs {
                now,
                observed: observed.as_ref(),
                verdict: verdict.as_ref(),
                unhealthy: unhealthy.as_deref(),
                alerts: &alarms,
                smoke: smoke.as_ref(),
                busy: busy || writing.memory.rollout().unanswered().is_some(),
                ..Inputs::default()
            };
            let events = decide(writing.memory.rollout(), &inputs);
            // What could not be answered now waits until it can.
            let calls = matches!(events.as_slice(), [Event::PersonNeeded { .. }]);
            let answers = !calls && answers_alerts(writing.memory.rollout());
            writing.record_all(events)?;
            writing.heeded.alerts += if answers { alarms.len() } else { 0 };
        }
        writing.record_heeded()?;
        if let Some(observed) = &observed {
            writing.act(observed, busy)?;
        }
        let events = writing.events;
        self.saw = Some((now, observed));
        Ok(events)
    }

    /// Takes the platform's answer to [`Self::command`].
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn answered(&mut self, now: Time, answer: &Result<(), PlatformError>) -> Written {
        if self.command().is_none() {
            return Ok(Vec::new());
        }
        let answer = match answer {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Error { kind: error.kind, message: error.to_string() },
        };
        self.take_answer(now, answer)
    }

    /// Since when the platform is to be asked for what was done to the app. What ended before was seen, or is none of
    /// this rollout's business.
    #[must_use]
    pub fn activity_since(&self) -> Time {
        self.newest - OVERLAP
    }

    /// Whether it is time for a round. If not, [`Self::probes`] may be due all the same.
    #[must_use]
    pub fn is_round_due(&self, now: Time) -> bool {
        let Some((at, Some(_))) = &self.saw else { return true };
        self.is_moving()
            || self.command().is_some()
            || (self.memory.alarms().len() > 0 && answers_alerts(self.memory.rollout()))
            || now.since(*at) >= self.rollout().policy.look_every
    }

    /// Whether it is time to gather what the policy compares.
    #[must_use]
    pub fn is_look_due(&self, now: Time) -> bool {
        let every = self.rollout().policy.look_every;
        self.watches() && self.memory.looked().is_none_or(|last| now.since(last) >= every)
    }

    /// When the last warm-up ends, or ended: what either arm counted before is not compared. Nothing before the canary
    /// serves.
    #[must_use]
    pub fn warm_up_ends(&self) -> Option<Time> {
        let Rollout { fresh, policy, .. } = self.rollout();
        fresh.map(|fresh| fresh + policy.warm_up)
    }

    /// Which arms are to be compared with each other: where the canary has all of the traffic, there is no baseline to wait
    /// for.
    #[must_use]
    pub fn compares(&self, observed: &Observed) -> Compare {
        let share = self.rollout().traffic_share(observed);
        if share == Some(Share::ALL) { Compare::Only(Arm::Canary) } else { Compare::Both }
    }

    /// The units to be asked now whether they are well, among those that are seen now, or were seen last.
    pub fn probes(&mut self, observed: Option<&Observed>, now: Time) -> Vec<Probe> {
        let last = self.saw.as_ref().and_then(|(_, observed)| observed.as_ref());
        observed.or(last).map(|observed| self.health.due(observed, now)).unwrap_or_default()
    }

    /// Takes the answer to a probe.
    pub fn probed(&mut self, probe: &Probe, answer: crate::signal::Answer) {
        self.health.record(probe, answer);
    }

    /// The smoke checks that are to be asked now, where they are wanted before users are routed to the canary.
    pub fn smoke_probes(&mut self, observed: &Observed, now: Time) -> Vec<SmokeProbe> {
        if self.rollout().wants_smoke() { self.smoke.due(observed, now) } else { Vec::new() }
    }

    /// Takes the answer to a smoke check.
    pub fn smoked(&mut self, probe: &SmokeProbe, answer: Result<(), SmokeFault>) {
        self.smoke.record(probe, answer);
    }

    /// Whether the probes alone speak against the canary, so that a round is due.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(self.health.health(), Health::Failing(_))
    }

    /// How long nothing has to be done unless something happens.
    #[must_use]
    pub fn until_next(&self, now: Time) -> Span {
        let every = self.rollout().policy.look_every;
        let quick = every.min(MOVING);
        let (last, pause) = match (&self.saw, self.memory.looked()) {
            (None, _) => return SHORTEST,
            // A platform that does not answer is not asked without a pause.
            (Some((at, None)), _) => (*at, quick),
            (Some(_), Some(looked)) if self.watches() => (looked, every),
            (Some((at, Some(_))), _) => (*at, every),
        };
        let mut next = Span(pause.0.saturating_sub(now.since(last).0));
        if let Some(due) = self.health.next_due() {
            next = next.min(due.since(now));
        }
        if self.is_moving() { next.min(quick).max(SHORTEST) } else { next.max(SHORTEST) }
    }

    /// The canary is compared in this phase.
    fn watches(&self) -> bool {
        matches!(self.rollout().phase, Phase::Pending | Phase::Step | Phase::Paused | Phase::Watching)
    }

    /// Units or traffic are on the move, or are waited for.
    fn is_moving(&self) -> bool {
        let rollout = self.rollout();
        match rollout.phase {
            Phase::Pending | Phase::Promoting | Phase::RollingBack | Phase::Leaving => true,
            Phase::Step | Phase::Paused => {
                rollout.step_began.is_some() && (rollout.step_reached.is_none() || rollout.wants_smoke())
            }
            _ => false,
        }
    }

    /// What is wrong with the canary's units: with them alone (an error), or with both versions'.
    fn check(&mut self, observed: &Observed) -> Option<Result<String, String>> {
        match (self.health.health(), self.units.observe(observed)) {
            (Health::Failing(why), _) | (_, Health::Failing(why)) => Some(Err(why)),
            (Health::Shared(why), _) | (_, Health::Shared(why)) => Some(Ok(why)),
            (Health::Good, Health::Good) => None,
        }
    }

    fn take_answer(&mut self, now: Time, answer: Answer) -> Written {
        let Some(number) = self.rollout().unanswered().map(|issued| issued.number) else {
            return Ok(Vec::new());
        };
        self.saw = None;
        self.write(now, vec![Event::CommandAnswered { number, answer }])
    }

    fn write(&mut self, now: Time, events: Vec<Event>) -> Written {
        let mut writing = Writing::new(&mut self.memory, now);
        writing.record_all(events)?;
        Ok(writing.events)
    }
}

/// Whether alerts are answered now. While the canary is made the only version there is no way back; what fires then is
/// answered as soon as there is one.
fn answers_alerts(rollout: &Rollout) -> bool {
    rollout.phase != Phase::Promoting
}

/// What others did and how many alerts are dealt with.
#[derive(Default)]
struct Heeded {
    acts: Vec<String>,
    alerts: usize,
    disturbs: bool,
}

/// Events of one moment, each remembered as it is added.
struct Writing<'a> {
    memory: &'a mut Memory,
    now: Time,
    events: Vec<Recorded>,
    heeded: Heeded,
}

impl<'a> Writing<'a> {
    fn new(memory: &'a mut Memory, now: Time) -> Self {
        Self { memory, now, events: Vec::new(), heeded: Heeded::default() }
    }

    fn record(&mut self, event: Event) -> Result<(), IllegalEvent> {
        let recorded = Recorded { at: self.now, event };
        self.memory.take(&recorded)?;
        self.events.push(recorded);
        Ok(())
    }

    fn record_all(&mut self, events: Vec<Event>) -> Result<(), IllegalEvent> {
        events.into_iter().try_for_each(|event| self.record(event))
    }

    fn learnt(&mut self, look: Look) -> Result<(), IllegalEvent> {
        self.memory.judge_mut().learn(&look);
        self.record(Event::Learnt { look })
    }

    /// What both versions fail alike is said once.
    fn note_shared(&mut self, shared: &mut Option<String>, why: &str) -> Result<(), IllegalEvent> {
        if shared.is_none() {
            *shared = Some(why.to_owned());
            self.record(Event::Noted { what: why.to_owned() })?;
        }
        Ok(())
    }

    /// Judges what was gathered. Before the canary serves, what comes is the baseline's history.
    fn look(
        &mut self,
        at: Time,
        gathered: Gathered,
        observed: &Observed,
    ) -> Result<Option<crate::judge::Verdict>, IllegalEvent> {
        let Gathered { signals, notes, .. } = gathered;
        let rollout = self.memory.rollout();
        let share = rollout.traffic_share(observed);
        let look = Look { at: at.seconds(), share, signals };
        if rollout.first_traffic.is_none() {
            self.learnt(look)?;
            self.record_all(notes.into_iter().map(|what| Event::Noted { what }).collect())?;
            return Ok(None);
        }
        let verdict = self.memory.judge_mut().look(&look);
        self.record(Event::Looked { look, verdict: Box::new(verdict.clone()), notes })?;
        Ok(Some(verdict))
    }

    /// Decides what follows from what others did. Says whether that was anything.
    fn face(
        &mut self,
        affairs: Vec<(String, Affair)>,
        observed: Option<&Observed>,
    ) -> Result<bool, IllegalEvent> {
        let mut acted = false;
        for (id, affair) in affairs {
            self.heeded.disturbs |= !matches!(affair, Affair::Nothing);
            match affair {
                Affair::Foreign(foreign) => {
                    acted = true;
                    let inputs =
                        Inputs { now: self.now, observed, foreign: Some(&foreign), ..Inputs::default() };
                    let events = decide(self.memory.rollout(), &inputs);
                    self.record_all(events)?;
                }
                Affair::Note(what) => self.record(Event::Noted { what })?,
                Affair::Nothing => {}
            }
            self.heeded.acts.extend((!id.is_empty()).then_some(id));
        }
        Ok(acted)
    }

    fn record_heeded(&mut self) -> Result<(), IllegalEvent> {
        let Heeded { acts, alerts, disturbs } = std::mem::take(&mut self.heeded);
        if acts.is_empty() && alerts == 0 {
            return Ok(());
        }
        self.record(Event::Heeded { acts, alerts, disturbs })
    }

    /// The next command, or the call for a person.
    fn act(&mut self, observed: &Observed, busy: bool) -> Result<(), IllegalEvent> {
        match next_act(self.memory.rollout(), observed, busy, self.now) {
            Act::Do { command, expected } => {
                let number = self.memory.rollout().command.as_ref().map_or(1, |c| c.number + 1);
                self.record(Event::CommandIssued { number, command, expected })
            }
            Act::Stuck(why) if self.memory.called() != Some(&why) => self.record(Event::PersonNeeded { why }),
            Act::Stuck(_) | Act::Wait(_) | Act::Settled => Ok(()),
        }
    }
}
