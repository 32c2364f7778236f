//! A rollout's state: the fold of its events.

mod asked;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::{Answer, Ending, Event, Kind, PauseCause, Recorded, Trouble};
use super::phase::Phase;
use super::plan::Plan;
use super::traffic::{Autoscaler, Command, PlatformErrorKind};
use crate::policy::Policy;
use crate::words::{AppName, RolloutId, Span, Time, Version};

/// How often a command is given again that the platform answers as done and does not show.
pub(super) const REPEATS: u32 = 2;

/// How often a removal may stop half way before another way is taken.
const DELETE_TRIES: u32 = 4;

/// The last command that was issued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issued {
    /// Its number.
    pub number: u32,
    /// The command.
    pub command: Command,
    /// For commands that name a difference: how many units are expected afterwards.
    pub expected: Option<u32>,
    /// When.
    pub at: Time,
    /// When it was answered, and how; nothing while it runs, or when the daemon died before the answer.
    pub answered: Option<(Time, Answer)>,
}

impl Issued {
    /// Whether the platform did it, or may have done it in a way that its listing does not show at once. What was not done
    /// in full may still have been done in part, and where the platform goes back by itself, what it shows of that may be
    /// over. Toggles are an exception: they are safe to repeat, and urgent.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        match (&self.command, &self.answered) {
            (_, None) | (Command::Quarantine { .. }, _) => false,
            (_, Some((_, Answer::Done))) => true,
            (command, Some((_, Answer::Error { kind, .. }))) => {
                command.moves_units()
                    && matches!(kind, PlatformErrorKind::Failed | PlatformErrorKind::Unknown)
            }
        }
    }
}

/// One attempt to move one app from its baseline to a canary under one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that one event states and that outlives phases"
)]
pub struct Rollout {
    /// Its identity.
    pub id: RolloutId,
    /// The app.
    pub app: AppName,
    /// The version that served when it began.
    pub baseline: Version,
    /// The version that wants to replace it.
    pub canary: Version,
    /// What began it.
    #[serde(default)]
    pub kind: Kind,
    /// The platform's id of the deploy that began it.
    pub trigger: String,
    /// When that deploy began, by the platform's clock: what others did later is foreign, and units that were made
    /// later are new.
    pub deployed: Time,
    /// The policy as it was then.
    pub policy: Policy,
    /// When it was opened.
    pub opened: Time,
    /// Where it is.
    pub phase: Phase,
    /// Since when; nothing before it has left the first phase.
    #[serde(default)]
    pub entered: Option<Time>,
    /// The steps in whole units; nothing while pending.
    pub plan: Option<Plan>,
    /// Serving units of the baseline before anything was moved.
    pub units: u32,
    /// Units of the baseline's other processes, likewise.
    #[serde(default)]
    pub others: BTreeMap<String, u32>,
    /// The autoscalers that are removed for the rollout, to be made again at its end.
    #[serde(default)]
    pub suspends: Vec<Autoscaler>,
    /// The canary answered every smoke check.
    #[serde(default)]
    pub smoked: bool,
    /// The current step, from 0.
    pub step: usize,
    /// When the current step's traffic was first wanted.
    pub step_began: Option<Time>,
    /// When the current step's traffic was first seen in place.
    pub step_reached: Option<Time>,
    /// When the canary first served users.
    pub first_traffic: Option<Time>,
    /// Since when the canary's units that serve are new ones, which need a warm-up; nothing before it serves.
    #[serde(default)]
    pub fresh: Option<Time>,
    /// When the watch after the last step began.
    #[serde(default)]
    pub watch_began: Option<Time>,
    /// A person ended the watch.
    #[serde(default)]
    pub watch_ended: bool,
    /// What data is missing, since when.
    pub trouble: Option<(Trouble, Time)>,
    /// How long data was missing in this step: it does not count towards any bake.
    pub held: Span,
    /// The steps that a person agreed to leave.
    pub approved: BTreeSet<usize>,
    /// Why it waits for a person.
    pub pause: Option<PauseCause>,
    /// A person agreed that it begins.
    #[serde(default)]
    pub agreed: bool,
    /// Why it was decided to promote or to roll back.
    pub reason: String,
    /// What that rests on.
    pub culprits: Vec<String>,
    /// How it ends once the baseline serves alone again.
    pub ending: Ending,
    /// The last command.
    pub command: Option<Issued>,
    /// The last command before it that the platform did, or may have done.
    #[serde(default)]
    pub acted: Option<Issued>,
    /// When the daemon was last started again.
    #[serde(default)]
    pub restarted: Option<Time>,
    /// When it was last heard that others may have made units go or come.
    #[serde(default)]
    pub disturbed: Option<Time>,
    /// When others last changed the number of units on the way back.
    #[serde(default)]
    pub resized: Option<Time>,
    /// What was last answered as done, and how many times it was issued again all the same. The toggles of several
    /// versions are remembered side by side: whoever gives up one for another comes back to it otherwise, without end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<(Command, u32)>,
    /// Commands that failed in a row.
    pub failures: u32,
    /// Those of them that the platform took up: of the others nothing was done.
    #[serde(default)]
    pub tries: u32,
    /// A person was called because commands kept failing.
    #[serde(default)]
    pub called: bool,
    /// Versions whose last change of routing was not answered as done: the platform may have marked the version and not
    /// its units, which nothing shows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub half_routed: BTreeSet<Version>,
    /// The platform does not let this daemon delete a version.
    pub cannot_delete: bool,
    /// The canary was quarantined, or the platform does not let this daemon do so.
    #[serde(default)]
    pub quarantined: bool,
    /// The last score.
    pub score: Option<[f64; 2]>,
    /// When it ended.
    pub finished: Option<Time>,
    /// How many events it has had.
    pub events: u64,
}

/// An event that cannot happen in the state that it met: the journal is damaged, or the code is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rollout {rollout} cannot take `{event}` in phase `{phase}` (event {number})")]
pub struct IllegalEvent {
    /// The rollout.
    pub rollout: RolloutId,
    /// The event's label.
    pub event: &'static str,
    /// The phase that it met.
    pub phase: &'static str,
    /// How many events the rollout had had.
    pub number: u64,
}

impl Rollout {
    /// The state after the first event; nothing if that is not `Opened`.
    #[must_use]
    pub fn open(id: RolloutId, first: &Recorded) -> Option<Self> {
        let Event::Opened { app, baseline, canary, trigger, deployed, policy, kind } = &first.event else {
            return None;
        };
        Some(Self {
            id,
            app: app.clone(),
            baseline: *baseline,
            canary: *canary,
            kind: *kind,
            trigger: trigger.clone(),
            deployed: *deployed,
            policy: Policy::clone(policy),
            opened: first.at,
            phase: Phase::Pending,
            entered: None,
            plan: None,
            units: 0,
            others: BTreeMap::new(),
            suspends: Vec::new(),
            smoked: false,
            step: 0,
            step_began: None,
            step_reached: None,
            first_traffic: None,
            fresh: None,
            watch_began: None,
            watch_ended: false,
            trouble: None,
            held: Span::ZERO,
            approved: BTreeSet::new(),
            pause: None,
            reason: String::new(),
            culprits: Vec::new(),
            ending: Ending::RolledBack,
            command: None,
            acted: None,
            done: Vec::new(),
            agreed: false,
            restarted: None,
            disturbed: None,
            resized: None,
            failures: 0,
            tries: 0,
            called: false,
            half_routed: BTreeSet::new(),
            cannot_delete: false,
            quarantined: false,
            score: None,
            finished: None,
            events: 1,
        })
    }

    /// Takes one event.
    ///
    /// # Errors
    /// When the event cannot happen in this state.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), IllegalEvent> {
        if !self.accepts(&recorded.event) {
            return Err(IllegalEvent {
                rollout: self.id.clone(),
                event: recorded.event.label(),
                phase: self.phase.label(),
                number: self.events,
            });
        }
        self.events += 1;
        self.take(recorded.at, &recorded.event);
        Ok(())
    }

    fn accepts(&self, event: &Event) -> bool {
        let active = !self.phase.is_final();
        match event {
            Event::Opened { .. } => false,
            Event::Restarted
            | Event::Noted { .. }
            | Event::Alerted { .. }
            | Event::AlertEnded { .. }
            | Event::Heeded { .. } => true,
            Event::CommandAnswered { number, .. } => self.unanswered().is_some_and(|c| c.number == *number),
            Event::CommandIssued { number, .. } => {
                active
                    && self.unanswered().is_none()
                    && *number == self.command.as_ref().map_or(0, |c| c.number) + 1
            }
            Event::StepBegan { step } | Event::StepReached { step, .. } | Event::Approved { step, .. } => {
                active && self.plan.as_ref().is_some_and(|p| *step < p.steps.len())
            }
            Event::Planned { plan, .. } => {
                let begins = self.phase == Phase::Step && self.step == 0 && self.step_reached.is_none();
                let sizes = self.phase == Phase::Promoting && self.plan.as_ref() == Some(plan);
                (self.phase == Phase::Pending || begins || sizes)
                    && (!plan.steps.is_empty() || self.kind != Kind::Beside)
            }
            Event::PromotionDecided { .. } => matches!(self.phase, Phase::Step | Phase::Paused),
            Event::WatchBegan => matches!(self.phase, Phase::Pending | Phase::Promoting),
            Event::WatchEnded { .. } => self.watch_began.is_some() && active,
            Event::Resumed { .. } => self.phase == Phase::Paused,
            _ => active,
        }
    }

    fn take(&mut self, at: Time, event: &Event) {
        match event {
            Event::Opened { .. }
            | Event::Learnt { .. }
            | Event::Noted { .. }
            | Event::Alerted { .. }
            | Event::AlertEnded { .. } => {}
            Event::Heeded { disturbs, .. } => {
                if *disturbs {
                    self.disturbed = Some(at);
                }
            }
            Event::Resized { .. } => self.resized = Some(at),
            Event::Restarted => self.restarted = Some(at),
            Event::PersonNeeded { .. } => self.called = true,
            Event::Planned { plan, units, others, suspends } => {
                self.plan = Some(plan.clone());
                self.units = *units;
                self.others.clone_from(others);
                // What is planned anew does not show what was taken away for the plan before.
                let before = std::mem::replace(&mut self.suspends, suspends.clone());
                let missing = |a: &Autoscaler| suspends.iter().all(|there| there.process != a.process);
                self.suspends.extend(before.into_iter().filter(missing));
            }
            Event::Smoked => self.smoked = true,
            Event::StepBegan { step } => {
                self.enter(at, Phase::Step);
                self.step = *step;
                (self.step_began, self.step_reached, self.held) = (Some(at), None, Span::ZERO);
            }
            Event::StepReached { .. } => {
                self.step_reached = Some(at);
                if self.current().is_some_and(|step| step.routed.canary()) && self.first_traffic.is_none() {
                    (self.first_traffic, self.fresh) = (Some(at), Some(at));
                }
            }
            Event::WatchBegan => {
                self.enter(at, Phase::Watching);
                (self.watch_began, self.fresh, self.held) = (Some(at), Some(at), Span::ZERO);
                self.first_traffic.get_or_insert(at);
                self.trouble = None;
            }
            Event::WatchEnded { .. } => {
                self.enter(at, Phase::Watching);
                self.watch_ended = true;
            }
            Event::BakeRestarted { .. } => self.begin_bake_anew(at),
            Event::LeaveDecided { ending, why } => {
                self.enter(at, Phase::Leaving);
                self.ending = *ending;
                self.reason.clone_from(why);
            }
            Event::Looked { verdict, .. } => self.score = Some(verdict.score),
            Event::TroubleBegan { trouble, .. } => self.trouble = Some((*trouble, at)),
            Event::TroubleEnded { .. } => {
                self.end_trouble(at);
                self.called = false;
            }
            Event::Paused { cause, .. } => {
                self.phase = Phase::Paused;
                self.pause = Some(*cause);
            }
            Event::Resumed { .. } => self.resume(at),
            Event::Approved { step, .. } => {
                // What is approved before the first step is to begin, on a plan of then.
                if self.step_began.is_some() {
                    self.approved.insert(*step);
                } else {
                    self.agreed = true;
                }
                if self.pause == Some(PauseCause::Approval) || self.pause == Some(PauseCause::Advice) {
                    self.enter(at, if self.step_began.is_some() { Phase::Step } else { Phase::Pending });
                }
            }
            Event::RollbackDecided { why, culprits, ending } => {
                self.enter(at, Phase::RollingBack);
                self.reason.clone_from(why);
                self.culprits.clone_from(culprits);
                self.ending = *ending;
            }
            Event::PromotionDecided { why } => {
                self.enter(at, Phase::Promoting);
                self.reason.clone_from(why);
            }
            Event::CommandIssued { number, command, expected } => {
                self.issue(Issued {
                    number: *number,
                    command: command.clone(),
                    expected: *expected,
                    at,
                    answered: None,
                });
            }
            Event::CommandAnswered { answer, .. } => self.answered(at, answer),
            Event::Finished { ending, why } => {
                self.enter(at, Phase::from(*ending));
                self.ending = *ending;
                self.finished = Some(at);
                if self.reason.is_empty() {
                    self.reason.clone_from(why);
                }
            }
        }
    }

    fn issue(&mut self, issued: Issued) {
        // What failed in between has changed nothing, and a try that failed is none that was in vain.
        let failed = |last: &Issued| {
            last.command == issued.command && !matches!(last.answered, Some((_, Answer::Done)))
        };
        let done = self.done.iter_mut().find(|(done, _)| *done == issued.command);
        if let Some((_, repeats)) = done.filter(|_| !self.command.as_ref().is_some_and(failed)) {
            *repeats = repeats.saturating_add(1);
        }
        // Toggled again: what the listing is to show of it is open.
        let toggled = issued.command.toggled();
        if toggled.is_some() && self.acted.as_ref().is_some_and(|acted| acted.command.toggled() == toggled) {
            self.acted = None;
        }
        if let Some(last) = self.command.replace(issued)
            && last.may_have_acted()
        {
            self.acted = Some(last);
        }
    }

    fn resume(&mut self, at: Time) {
        self.entered = Some(at);
        self.phase = match (self.watch_began, self.step_began) {
            (Some(_), _) => Phase::Watching,
            (None, Some(_)) => Phase::Step,
            (None, None) => Phase::Pending,
        };
        // A person's word starts the bake or the watch anew; what is known of the canary stays known.
        self.watch_began = self.watch_began.map(|_| at);
        if self.step_reached.is_some() {
            self.step_reached = Some(at);
        } else {
            self.step_began = self.step_began.map(|_| at);
        }
        self.trouble = self.trouble.map(|(trouble, _)| (trouble, at));
        (self.pause, self.held) = (None, Span::ZERO);
        self.begin_to_count();
    }

    fn begin_bake_anew(&mut self, at: Time) {
        if self.step_reached.is_some() {
            self.step_reached = Some(at);
        }
        self.watch_began = self.watch_began.map(|_| at);
        self.fresh = self.fresh.map(|_| at);
        self.held = Span::ZERO;
        self.trouble = self.trouble.map(|(trouble, _)| (trouble, at));
    }

    fn enter(&mut self, at: Time, phase: Phase) {
        if self.phase != phase {
            self.done.clear();
        }
        self.phase = phase;
        self.entered = Some(at);
        self.pause = None;
        self.begin_to_count();
        self.called = false;
    }

    /// Of what failed until now nothing is counted any more.
    fn begin_to_count(&mut self) {
        (self.failures, self.tries) = (0, 0);
    }

    fn end_trouble(&mut self, at: Time) {
        if let Some((_, since)) = self.trouble.take()
            && let Some(began) = self.watch_began.or(self.step_reached)
        {
            self.held = Span(self.held.0.saturating_add(at.since(since.max(began)).0));
        }
    }

    fn answered(&mut self, at: Time, answer: &Answer) {
        let Some(issued) = &mut self.command else { return };
        issued.answered = Some((at, answer.clone()));
        if *answer == Answer::Done && self.done.iter().all(|(done, _)| *done != issued.command) {
            let toggled = issued.command.toggled();
            let other =
                |done: &Command| done.toggled().is_some_and(|version| toggled.is_some_and(|t| t != version));
            self.done.retain(|(done, _)| other(done));
            self.done.push((issued.command.clone(), 0));
        }
        if let Command::Route { version } | Command::Unroute { version } = issued.command {
            // A command is tried several times: what the last try was refused for says nothing of those before it.
            match answer {
                Answer::Done => self.half_routed.remove(&version),
                Answer::Error { .. } => self.half_routed.insert(version),
            };
        }
        match answer {
            Answer::Done => {
                self.quarantined |= matches!(issued.command, Command::Quarantine { .. });
                // Taking back what a failed try has left is not yet a success.
                let takes_back = matches!(issued.command, Command::RemoveUnits { .. });
                if !(takes_back && self.phase == Phase::Promoting) {
                    self.begin_to_count();
                    self.called = false;
                }
            }
            Answer::Error { kind, .. } => {
                self.failures = self.failures.saturating_add(1);
                self.tries = self.tries.saturating_add(u32::from(!kind.is_untouched()));
                let refused = *kind == PlatformErrorKind::Refused;
                // What stopped a removal half way once, such as a process without units, stops each further one.
                let in_vain = *kind == PlatformErrorKind::Failed && self.tries >= DELETE_TRIES;
                let given_up = match issued.command {
                    Command::Delete { .. } if refused || in_vain => Some(&mut self.cannot_delete),
                    // Marking a version is not worth holding a rollback up.
                    Command::Quarantine { .. } if refused || self.failures >= 3 => {
                        Some(&mut self.quarantined)
                    }
                    _ => None,
                };
                if let Some(given_up) = given_up {
                    *given_up = true;
                    self.begin_to_count();
                }
            }
        }
    }
}
