//! The work of a call that has the lock: steps, done one after the other, some of which take time.
//!
//! Each step either is done at once, asks to be called again (later, or when a pod moved), or fails. What follows from
//! a step is put before the rest, so a plan reads as the platform's own code does.

use std::collections::VecDeque;

use super::act::{Deploy, State};
use super::app::{App, Deployment, Key};
use super::call::Failure;
use super::event::{EventId, Line};
use super::monitor::Monitor;
use super::world::World;
use crate::words::{Span, Time};

/// One step.
#[derive(Debug)]
pub(super) enum Step {
    /// Writes to the stream and the event's log, in one go.
    Say(String),
    /// Takes time.
    Pause(Span),
    /// Takes time, until then.
    Until(Time),
    /// Takes a version number and begins to build.
    Build(Deploy),
    /// The image is pushed.
    Built,
    /// Finds the version to roll back to.
    Choose(String),
    /// The event cannot be cancelled any more.
    Seal,
    /// Brings a version to all its processes.
    UpdateAll,
    /// Brings a version to a process.
    Update(Update),
    /// Waits until a deployment has all its units.
    Monitor(Monitor),
    /// Makes the services of a process.
    Services { process: String },
    /// Marks the version as good.
    Commit,
    /// Removes what nothing uses any more.
    Cleanup { preserve: bool },
    /// Brings the router up to date; from here on failures are told without a frame.
    Router,
    /// The deploy is complete.
    Deployed,
    /// Changes the routable labels of deployments.
    Toggle { keys: Vec<Key>, routable: bool },
    /// Changes how many units a deployment wants.
    Scale { key: Key, delta: i64 },
    /// Removes the deployments of a version.
    Destroy { selector: String },
    /// Removes the app with all it has.
    DeleteApp,
    /// Takes back what the deploy did to earlier processes.
    Undo { failure: Failure },
    /// Removes a deployment that a failed deploy made.
    Remove(Key),
    /// What follows changes this version; its failure does not keep the next one from being changed.
    Version(u32),
    /// All versions are changed, or failed to be.
    Versions,
    /// Ends with a failure.
    Fail(Failure),
}

/// How many units a process is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replicas {
    /// As many as the deployment that is replaced, at least one.
    Keep,
    /// So many.
    Exactly(u32),
    /// What a change of state leaves.
    After(State),
    /// As many as there are, also where they are stopped.
    Same,
}

/// Brings a version to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) process: String,
    pub(super) version: u32,
    pub(super) replicas: Replicas,
    pub(super) preserve: bool,
    pub(super) sum_routable: bool,
    /// Its failure is not the work's failure: it takes back something that failed before.
    pub(super) undoing: bool,
}

/// What became of a step.
pub(super) enum Done {
    /// It is done; these come next.
    Then(Vec<Step>),
    /// It goes on as this step, not before the time, if there is one, unless a pod moves.
    Later(Step, Option<Time>),
    /// It failed.
    Failed(Failure),
}

/// Nothing follows.
pub(super) fn done() -> Done {
    Done::Then(Vec::new())
}

/// What a step may look at and change.
pub(super) struct Site<'a> {
    pub(super) app: &'a mut App,
    pub(super) world: &'a mut World,
    pub(super) event: EventId,
    pub(super) now: Time,
}

impl Site<'_> {
    /// Writes to the event's log, in one go.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        let line = Line { at: self.now, text: text.into() };
        if let Some(event) = self.world.event_mut(self.event) {
            event.lines.push(line);
        }
    }

    /// ` ---> text`.
    pub(super) fn say_action(&mut self, text: &str) {
        self.say(format!(" ---> {text}\n"));
    }

    /// `---- text ----`.
    pub(super) fn say_section(&mut self, text: &str) {
        self.say(format!("---- {text} ----\n"));
    }

    /// Somebody cancelled the event, and long enough ago for its work to have noticed.
    fn cancelled(&mut self) -> bool {
        let (now, delay) = (self.now, self.world.config.timings.cancel);
        let Some(event) = self.world.event_mut(self.event).filter(|e| e.cancelable) else { return false };
        let Some(cancel) = event.cancel.as_mut().filter(|c| c.at + delay <= now) else { return false };
        cancel.acknowledged = Some(now);
        true
    }
}

/// The work of a call.
#[derive(Debug)]
pub(super) struct Work {
    /// What is still to do.
    steps: VecDeque<Step>,
    /// What failures are framed with: `ERROR during deploy`.
    pub(super) frame: Option<&'static str>,
    /// The version that it is about.
    pub(super) version: u32,
    /// Other versions stay.
    pub(super) preserve: bool,
    /// The base takes over what all routable versions have.
    pub(super) sum_routable: bool,
    /// The processes that were updated, with what they had before.
    pub(super) updated: Vec<(Key, Option<Deployment>)>,
    /// The version that is being changed, where several are.
    changing: Option<u32>,
    /// The versions that could not be changed.
    failures: Vec<Failure>,
    /// When to look again, if no pod moves before.
    pub(super) wake: Option<Time>,
}

impl Work {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self {
            steps: steps.into(),
            frame: None,
            version: 0,
            preserve: true,
            sum_routable: false,
            updated: Vec::new(),
            changing: None,
            failures: Vec::new(),
            wake: None,
        }
    }

    pub(super) fn framed(mut self, frame: &'static str) -> Self {
        self.frame = Some(frame);
        self
    }

    /// Adds steps at the end.
    pub(super) fn put_all(&mut self, steps: Vec<Step>) {
        self.steps.extend(steps);
    }

    /// Goes as far as it can now. Returns the end, if it comes to it.
    pub(super) fn advance(&mut self, site: &mut Site<'_>) -> Option<Result<(), Failure>> {
        self.wake = None;
        while let Some(step) = self.steps.pop_front() {
            if matches!(step, Step::Until(_) | Step::Monitor(_)) && site.cancelled() {
                return Some(Err(
                    self.framed_failure(Failure::internal("canceled by user action: context canceled"))
                ));
            }
            match self.take(step, site) {
                Done::Then(next) => next.into_iter().rev().for_each(|step| self.steps.push_front(step)),
                Done::Later(step, wake) => {
                    self.steps.push_front(step);
                    self.wake = wake;
                    return None;
                }
                Done::Failed(failure) => {
                    if let Some(failure) = self.put_aside(failure) {
                        return Some(Err(self.framed_failure(failure)));
                    }
                }
            }
        }
        Some(Ok(()))
    }

    /// Keeps the failure of one version for later and goes on with the next. Gives it back where there is no such.
    fn put_aside(&mut self, failure: Failure) -> Option<Failure> {
        let Some(version) = self.changing.take() else { return Some(failure) };
        self.failures
            .push(Failure::internal(format!("unable to update version v{version}: {}", failure.text)));
        while self.steps.front().is_some_and(|step| !matches!(step, Step::Version(_) | Step::Versions)) {
            self.steps.pop_front();
        }
        None
    }

    /// The end of the changes of all versions.
    fn all_changed(&mut self) -> Done {
        self.changing = None;
        match std::mem::take(&mut self.failures).as_slice() {
            [] => done(),
            [one] => Done::Failed(one.clone()),
            several => {
                let texts: Vec<String> =
                    several.iter().enumerate().map(|(n, f)| format!("error {n}: {}", f.text)).collect();
                let text = format!("multiple errors reported ({}): {}", several.len(), texts.join(" - "));
                Done::Failed(Failure::internal(text))
            }
        }
    }

    fn framed_failure(&self, failure: Failure) -> Failure {
        match self.frame {
            Some(action) => {
                Failure { text: format!("\n---- ERROR during {action}: ----\n{}\n", failure.text), ..failure }
            }
            None => failure,
        }
    }

    /// One step.
    fn take(&mut self, step: Step, site: &mut Site<'_>) -> Done {
        match step {
            Step::Say(text) => {
                site.say(text);
                done()
            }
            Step::Pause(span) => Done::Then(vec![Step::Until(site.now + span)]),
            Step::Until(time) if time <= site.now => done(),
            Step::Until(time) => Done::Later(Step::Until(time), Some(time)),
            Step::Build(deploy) => self.build(&deploy, site),
            Step::Built => self.built(site),
            Step::Choose(selector) => self.choose(&selector, site),
            Step::Seal => {
                if let Some(event) = site.world.event_mut(site.event) {
                    event.cancelable = false;
                }
                done()
            }
            Step::UpdateAll => self.update_all(site),
            Step::Update(update) => self.update(&update, site),
            Step::Monitor(monitor) => monitor.watch(site),
            Step::Services { process } => self.services(&process, site),
            Step::Commit => self.commit(site),
            Step::Cleanup { preserve } => Self::cleanup(preserve, site),
            Step::Router => self.router(site),
            Step::Deployed => self.deployed(site),
            Step::Toggle { keys, routable } => Self::toggle(&keys, routable, site),
            Step::Scale { key, delta } => self.scale(&key, delta, site),
            Step::Destroy { selector } => Self::destroy(&selector, site),
            Step::DeleteApp => Self::delete_app(site),
            Step::Undo { failure } => self.undo(failure),
            Step::Remove(key) => Self::remove(&key, site),
            Step::Version(version) => {
                self.changing = Some(version);
                self.updated.clear();
                done()
            }
            Step::Versions => self.all_changed(),
            Step::Fail(failure) => Done::Failed(failure),
        }
    }
}
