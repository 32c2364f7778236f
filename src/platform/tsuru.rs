//! Tsuru over its HTTP API.
//!
//! [`Tsuru`] is made from a [`TsuruConfig`] and used through [`Platform`]. It follows Tsuru's API as its server
//! behaves, not only as it is documented: refusals are told apart by their text, partial answers are recognised, and
//! a change whose answer was lost is looked up among the events that Tsuru records.

mod app_info;
mod client;
mod command;
mod config;
mod effect;
mod event;
mod failure;
mod history;
mod outcome;
mod stream;

use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

pub use config::{ConfigError, Deadlines, TsuruConfig};

// For who has an emulated Tsuru in the same process.
pub(crate) use app_info::{autoscaler, read_gaps};
pub(crate) use command::selector;
pub(crate) use event::{Detail, activity_kind, version_of_image};
pub(crate) use failure::shown;

use self::client::{Client, Ended};
use self::failure::Failure;
use self::history::History;
use super::{Activity, App, Platform, PlatformError, PlatformErrorKind, guard};
use crate::rollout::{Autoscaler, Command, Observed};
use crate::words::{AppName, Time, Version};

/// How often it is looked whether something that Tsuru accepted shows.
const CONFIRMATIONS: usize = 4;

/// The domain of the e-mail that Tsuru makes up for a team token.
const TOKEN_DOMAIN: &str = "@tsuru-team-token";

/// One Tsuru API, as this daemon may use it.
pub struct Tsuru {
    client: Client,
    config: TsuruConfig,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
    owner: OnceCell<String>,
    history: History,
    pace: Pace,
}

/// How patiently it waits between two looks at the same thing.
#[derive(Debug, Clone)]
struct Pace {
    /// The first wait; each next is twice as long.
    first: Duration,
    /// The longest wait.
    longest: Duration,
    /// How long an event may take to appear: Tsuru waits up to 10 s for the app's lock before it records one.
    appears: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(5),
            appears: Duration::from_secs(25),
        }
    }
}

impl Pace {
    /// The waits, one after the other, without end.
    fn waits(&self) -> impl Iterator<Item = Duration> {
        let longest = self.longest;
        std::iter::successors(Some(self.first), move |wait| Some((*wait * 2).min(longest)))
    }
}

impl std::fmt::Debug for Tsuru {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tsuru").field("url", &self.client.base().as_str()).finish_non_exhaustive()
    }
}

impl Tsuru {
    /// A way to the API that `config` names. Nothing is sent yet. `clock` tells the time of observations.
    ///
    /// A rustls provider must have been installed.
    ///
    /// # Errors
    /// When the address, the token, the certificates or the proxy cannot be used.
    pub fn new(
        config: TsuruConfig,
        clock: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            client: Client::new(config.clone())?,
            owner: OnceCell::new_with(config.owner.clone().filter(|owner| !owner.trim().is_empty())),
            config,
            clock: Box::new(clock),
            history: History::default(),
            pace: Pace::default(),
        })
    }

    /// Who this daemon is in Tsuru's records: as configured, or asked once.
    async fn owner(&self) -> Result<&str, Failure> {
        let ask = async || {
            let refused = |failure: Failure| Failure {
                message: format!("{}; set `tsuru.owner` to the token's id", failure.message),
                ..failure
            };
            let body = self.client.read(&["1.0", "users", "info"], &[]).await.map_err(refused)?;
            let found: serde_json::Value =
                serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
            match found.get("Email").and_then(|email| email.as_str()) {
                Some(email) if !email.is_empty() => {
                    Ok(email.strip_suffix(TOKEN_DOMAIN).unwrap_or(email).to_owned())
                }
                _ => Err(refused(Failure::new(
                    PlatformErrorKind::Failed,
                    "Tsuru does not say whose the token is",
                ))),
            }
        };
        self.owner.get_or_try_init(ask).await.map(String::as_str)
    }

    async fn read_app(&self, app: &AppName) -> Result<Observed, Failure> {
        let at = (self.clock)();
        let body = self.client.read(&["1.0", "apps", &app.0], &[]).await?;
        app_info::read(&body.unwrap_or_default(), at, self.config.unit_port)
    }

    /// The base by the units' names, or by the deploys where they do not tell: none runs, or one replaces another.
    async fn read_base(&self, app: &AppName, observed: &Observed) -> Result<Option<Version>, Failure> {
        let mut versions = observed.units.iter().filter(|u| u.base).map(|u| u.version);
        match versions.next() {
            Some(first) if versions.all(|v| v == first) => Ok(Some(first)),
            _ => History::base(&self.client, app).await,
        }
    }

    async fn guard(&self, app: &AppName, command: &Command) -> Result<(), Failure> {
        if !guard::concerns(command) {
            return Ok(());
        }
        let observed = self.read_app(app).await?;
        let base = match command {
            Command::Delete { .. } => self.read_base(app, &observed).await?,
            _ => None,
        };
        guard::check(&observed, base, command).map_err(|why| Failure::new(PlatformErrorKind::Refused, why))
    }

    /// Does the command once, and finds out how it ended.
    async fn attempt(&self, app: &AppName, command: &Command, deadline: Instant) -> Result<(), Failure> {
        let kind = command::event_kind(command);
        let owner = self.owner().await?;
        let before = outcome::newest(&self.client, app, kind, owner).await?;
        // Last, so that as little time as can be lies between the look and the change.
        self.guard(app, command).await?;
        match self.client.change(&command::change(app, command), deadline).await {
            Ended::Complete(said) => match said.messages.iter().find(|m| m.contains(event::PARTLY)) {
                Some(_) => Err(outcome::partly(&said.messages)),
                None => Ok(()),
            },
            Ended::Refused(failure) => Err(failure.naming(command::permission(command))),
            Ended::Lost(why) => {
                tracing::warn!(%app, %command, why, "the answer was lost; looking for the event");
                let lost = outcome::Lost { app, kind, owner, before, why };
                outcome::find(&self.client, &self.pace, &lost, deadline).await
            }
        }
    }

    async fn run(&self, app: &AppName, command: &Command) -> Result<(), Failure> {
        let allowed = command::deadline(command, &self.config.deadlines);
        let deadline = Instant::now() + allowed.as_duration();
        let mut waits = self.pace.waits().take(command::TRIES as usize - 1);
        loop {
            let failure = match self.attempt(app, command, deadline).await {
                Ok(()) => return self.confirm(app, command).await,
                Err(failure) if command.is_idempotent() && failure::is_conflict(&failure.message) => failure,
                Err(failure) => return self.unless_in_place(app, command, failure).await,
            };
            // A conflict leaves the version's Deployment paused and half of its pods changed, until a repeat succeeds.
            match waits.next() {
                Some(wait) if Instant::now() + wait < deadline => sleep(wait).await,
                _ => return Err(failure),
            }
        }
    }

    /// A failure, unless what was wanted is there all the same.
    async fn unless_in_place(
        &self,
        app: &AppName,
        command: &Command,
        failure: Failure,
    ) -> Result<(), Failure> {
        let may_have_been_done =
            matches!(failure.kind, PlatformErrorKind::Failed | PlatformErrorKind::Unknown);
        if may_have_been_done
            && let Ok(observed) = self.read_app(app).await
            && effect::in_place(&observed, command)
        {
            tracing::warn!(%app, %command, "reported as failed, but it was done: {}", failure.message);
            return Ok(());
        }
        Err(failure)
    }

    /// A success, unless it is one that Tsuru reports also where it did nothing.
    async fn confirm(&self, app: &AppName, command: &Command) -> Result<(), Failure> {
        let Command::MoveAutoscalers { version } = command else { return Ok(()) };
        for wait in self.pace.waits().take(CONFIRMATIONS) {
            let aims_elsewhere = |a: &Autoscaler| a.version.is_some_and(|changed| changed != *version);
            if !self.read_app(app).await?.autoscaled.iter().any(aims_elsewhere) {
                return Ok(());
            }
            sleep(wait).await;
        }
        let message = format!(
            "Tsuru accepted it, but not every autoscaler changes {version}; it only moves them to a version that has units \
             of their process"
        );
        Err(Failure::new(PlatformErrorKind::Failed, message))
    }
}

impl Platform for Tsuru {
    async fn apps(&self) -> Result<Vec<App>, PlatformError> {
        let body = self.client.read(&["1.0", "apps"], &[("simplified", "true")]).await;
        let apps = body.and_then(|body| body.map_or(Ok(Vec::new()), |body| app_info::read_list(&body)));
        apps.map_err(|failure| failure.of("listing the apps"))
    }

    async fn observe(&self, app: &AppName) -> Result<Observed, PlatformError> {
        self.read_app(app).await.map_err(|failure| failure.of(&format!("reading the units of app `{app}`")))
    }

    async fn activity(&self, app: Option<&AppName>, since: Time) -> Result<Vec<Activity>, PlatformError> {
        let now = (self.clock)();
        let found = async { self.history.activity(&self.client, app, since, now, self.owner().await?).await };
        found.await.map_err(|failure| match app {
            Some(app) => failure.of(&format!("reading the events of app `{app}`")),
            None => failure.of("reading the events of all apps"),
        })
    }

    async fn base(&self, app: &AppName) -> Result<Option<Version>, PlatformError> {
        let found = async { self.read_base(app, &self.read_app(app).await?).await };
        found.await.map_err(|failure| failure.of(&format!("finding the base version of app `{app}`")))
    }

    async fn replaced(&self, app: &AppName, version: Version) -> Result<Option<Version>, PlatformError> {
        let found = History::before(&self.client, app, version).await;
        found.map_err(|failure| failure.of(&format!("finding what served before {version} of app `{app}`")))
    }

    async fn execute(&self, app: &AppName, command: &Command) -> Result<(), PlatformError> {
        self.run(app, command).await.map_err(|failure| failure.of(&command::action(app, command)))
    }

    fn describe(&self) -> String {
        format!("Tsuru at {}", self.client.base())
    }
}

/// Reads bytes as each of Tsuru's answers: they are understood, or refused in words, and a stream is the same in any
/// pieces. Gives what they tell of an app's units.
///
/// # Errors
/// What of that is not true.
pub(crate) fn check_answers(bytes: &[u8]) -> Result<Option<Observed>, String> {
    let observed = app_info::read(bytes, Time(0), 8888);
    let refusals = [
        observed.as_ref().err().cloned(),
        app_info::read_list(bytes).err(),
        event::read_one(bytes).map(|(event, detail)| event.activity(&detail, "uguisu")).err(),
        event::read_list(bytes).err(),
    ];
    if refusals.iter().flatten().any(|failure| failure.message.is_empty()) {
        return Err("an answer is refused without a word".to_owned());
    }
    let said = |length: usize| {
        let mut reader = stream::Reader::default();
        bytes.chunks(length).for_each(|piece| reader.push(piece));
        reader.finish()
    };
    let whole = said(bytes.len().max(1));
    if whole != said(7) {
        return Err(format!("another stream in pieces than as a whole: {whole:?}"));
    }
    Ok(observed.ok())
}

#[cfg(test)]
mod tests;
