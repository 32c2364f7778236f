//! A command on its way to the platform and back: what the adapter for Tsuru does, in virtual time.

use uguisu::demo::in_process::act;
use uguisu::demo::tsuru::{CallId, EventId, Standing};
use uguisu::platform::{PlatformError, PlatformErrorKind, guard, tsuru};
use uguisu::rollout::Command;
use uguisu::words::{Span, Time};

use crate::install::{APP, Install};

/// How often a command that may be repeated is tried when two writers meet in the cluster.
const TRIES: u32 = 6;

/// How long the event of a lost call may take to appear.
const APPEARS: Span = Span::seconds(25);

/// What a removal of a version that did not remove everything says.
const PARTLY: &str = "Some errors occurred during removal";

/// Where a command is.
#[derive(Debug)]
enum Stage {
    /// It is about to be asked for.
    Ready,
    /// The platform works on it.
    Asked(CallId),
    /// The answer was lost; its event is looked for.
    Lost { until: Time },
}

/// One command.
#[derive(Debug)]
pub(crate) struct Flight {
    command: Command,
    stage: Stage,
    /// When it goes on, unless the platform answers before.
    pub(crate) wake: Time,
    /// How long it waits before the next time.
    wait: Span,
    tries: u32,
    deadline: Time,
    /// The newest event of its kind before it.
    before: Option<EventId>,
}

type Answer = Result<(), PlatformError>;

impl Flight {
    /// Sets out at `now`.
    pub(crate) fn new(command: Command, now: Time) -> Self {
        let deadline = match command {
            Command::AddUnits { .. } | Command::RemoveUnits { .. } | Command::Delete { .. } => {
                Span::minutes(30)
            }
            Command::MakeOnly { .. } => Span::minutes(90),
            _ => Span::minutes(2),
        };
        Self {
            command,
            stage: Stage::Ready,
            wake: now,
            wait: FIRST,
            tries: 0,
            deadline: now + deadline,
            before: None,
        }
    }

    /// The daemon that sent it is gone; the platform goes on with it.
    pub(crate) fn abandon(self, install: &mut Install) {
        if let Stage::Asked(call) = self.stage {
            install.tsuru.forget(call);
        }
    }

    /// Goes as far as it can now. Returns the answer, if there is one.
    pub(crate) fn step(&mut self, install: &mut Install) -> Option<Answer> {
        match self.stage {
            Stage::Ready | Stage::Lost { .. } if self.wake > install.now => None,
            Stage::Ready => self.ask(install),
            Stage::Asked(call) => self.listen(install, call),
            Stage::Lost { until } => self.find(install, until),
        }
    }

    fn ask(&mut self, install: &mut Install) -> Option<Answer> {
        self.tries += 1;
        if let Err(error) = self.check(install) {
            return Some(Err(error));
        }
        self.before = install.newest(kind(&self.command)).map(|event| event.id);
        if let Some(failure) = install.tsuru.door(install.now) {
            let (kind, message) = tsuru::refusal(failure.status, &failure.text);
            // A gateway says nothing of what became of it.
            return if kind == PlatformErrorKind::Unknown {
                self.lose(install)
            } else {
                Some(self.error(kind, message))
            };
        }
        let (now, holder) = (install.now, install.holder());
        let Some(call) = install.tsuru.begin(now, Install::daemon(), APP, act(&self.command)) else {
            return Some(self.error(PlatformErrorKind::NotFound, "App shop not found.".to_owned()));
        };
        let by = holder.or_else(|| Some(crate::install::DAEMON.to_owned()));
        install.settle(by.as_deref());
        self.stage = Stage::Asked(call);
        self.wake = self.deadline;
        self.listen(install, call)
    }

    /// What is never done, whoever asks.
    fn check(&self, install: &mut Install) -> Result<(), PlatformError> {
        if !guard::concerns(&self.command) {
            return Ok(());
        }
        let observed = install.observe(install.now)?;
        let base = install.app().and_then(uguisu::demo::tsuru::App::base_version).map(uguisu::words::Version);
        guard::check(&observed, base, &self.command).map_err(|why| PlatformError {
            action: self.command.to_string(),
            message: why,
            kind: PlatformErrorKind::Refused,
        })
    }

    fn listen(&mut self, install: &mut Install, call: CallId) -> Option<Answer> {
        let progress = install.tsuru.progress(call);
        let (standing, event) = progress.map_or((Standing::Lost, None), |p| (p.standing, p.event));
        match standing {
            Standing::Open if install.now < self.deadline => None,
            Standing::Open | Standing::Lost => {
                install.tsuru.forget(call);
                self.lose(install)
            }
            Standing::Over(result) => {
                install.tsuru.forget(call);
                let event = event.and_then(|id| install.event(id));
                let begun = event.is_some_and(|event| !event.lines.is_empty());
                let partly =
                    event.is_some_and(|event| event.lines.iter().any(|line| line.text.contains(PARTLY)));
                match result {
                    Ok(()) if partly => {
                        Some(self.error(PlatformErrorKind::Failed, "not all was removed".to_owned()))
                    }
                    Ok(()) => Some(Ok(())),
                    Err(failure) => {
                        let again = failure.text.contains("the object has been modified");
                        if again && self.command.is_idempotent() && self.tries < TRIES {
                            self.pause(install.now, Stage::Ready);
                            return None;
                        }
                        let (kind, message) = if begun {
                            tsuru::report(&failure.text)
                        } else {
                            tsuru::refusal(failure.status, &failure.text)
                        };
                        Some(self.error(kind, message))
                    }
                }
            }
        }
    }

    fn lose(&mut self, install: &Install) -> Option<Answer> {
        self.wait = FIRST;
        self.stage = Stage::Lost { until: install.now + APPEARS };
        self.wake = install.now;
        None
    }

    /// Looks for the event of a call whose answer was lost.
    fn find(&mut self, install: &mut Install, until: Time) -> Option<Answer> {
        let asked = install.door("looking for the event").is_ok();
        let event =
            install.newest(kind(&self.command)).filter(|event| asked && Some(event.id) != self.before);
        let mut given_up = until;
        if let Some(event) = event {
            if event.ended.is_some() {
                if !event.error.is_empty() {
                    let (kind, message) = tsuru::report(&event.error);
                    return Some(self.error(kind, message));
                }
                let partly = event.lines.iter().any(|line| line.text.contains(PARTLY));
                let failed = || self.error(PlatformErrorKind::Failed, "not all was removed".to_owned());
                return Some(if partly { failed() } else { Ok(()) });
            }
            given_up = self.deadline;
        }
        if install.now + self.wait > given_up {
            return Some(self.error(PlatformErrorKind::Unknown, "the answer was lost".to_owned()));
        }
        self.pause(install.now, Stage::Lost { until });
        None
    }

    fn pause(&mut self, now: Time, then: Stage) {
        self.stage = then;
        self.wake = now + self.wait;
        self.wait = Span((self.wait.0 * 2).min(LONGEST.0));
    }

    fn error(&self, kind: PlatformErrorKind, message: String) -> Answer {
        Err(PlatformError { action: self.command.to_string(), message, kind })
    }
}

/// The first wait between two tries, and the longest.
const FIRST: Span = Span(500);
const LONGEST: Span = Span::seconds(5);

/// The kind of the event that a command leaves.
fn kind(command: &Command) -> &'static str {
    act(command).kind()
}
