//! Any deployer, by signed requests: for platforms that are not Tsuru.
//!
//! The deployer answers `POST` requests at one address. Each is signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) has it (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature`), and its JSON body has a `type`:
//!
//! | `type` | more in the request | the answer |
//! | --- | --- | --- |
//! | `apps` | | a list of [`App`] |
//! | `observe` | `app` | an [`Observed`]; `at` is replaced |
//! | `activity` | `app` (or null: all), `since` (ms since 1970) | a list of [`Activity`] |
//! | `traffic` | `app`, `command`, `traffic` | anything |
//!
//! `traffic` is the state that is wanted, in absolute numbers ([`Traffic`]), so doing it twice is doing it once;
//! `command` says in which way it differs from what was observed. Status 200 to 299 accepts it, and then the app is
//! observed until it shows what was wanted. Other answers mean what they mean in HTTP: 404 no such app, 409, 423,
//! 429 and 503 try again later, other 400s never, anything else that it failed.
//!
//! The base is the version whose units say `base`. What served before a version took its place is the `replaced` before
//! it in the activity since the beginning (`since` 0), as far as the deployer remembers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::effect::{Traffic, after};
use super::{Activity, ActivityKind, App, Platform, PlatformError, PlatformErrorKind};
use crate::notify::{Signer, read_secret};
use crate::rollout::{Command, Observed};
use crate::words::{AppName, Span, Time, Version};

/// The largest answer that is read.
const LARGEST: usize = 8 << 20;

/// How much of a refusal is shown.
const SHOWN_CHARS: usize = 300;

/// Where the deployer is and how requests to it are signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its address.
    pub url: String,
    /// The file that holds the secret, `whsec_…`.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The environment variable that holds the secret.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// How long one request may take.
    #[serde(default = "request_timeout")]
    pub timeout: Span,
    /// How long the deployer may take until the app shows what was wanted.
    #[serde(default = "settle")]
    pub settle: Span,
}

fn request_timeout() -> Span {
    Span::seconds(30)
}

fn settle() -> Span {
    Span::minutes(30)
}

/// A deployer that is driven by signed requests.
pub struct Webhook {
    url: Url,
    signer: Signer,
    client: reqwest::Client,
    timeout: Duration,
    settle: Duration,
    /// The time between two looks at whether the app shows what was wanted.
    look_every: Duration,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Request<'a> {
    Apps,
    Observe { app: &'a AppName },
    Activity { app: Option<&'a AppName>, since: Time },
    Traffic { app: &'a AppName, command: &'a Command, traffic: &'a Traffic },
}

impl Webhook {
    /// A way to the deployer that `config` names. Nothing is sent yet. `clock` tells the time; secrets in variables
    /// are read through `environment`.
    ///
    /// # Errors
    /// A sentence, when the address or the secret cannot be used.
    pub fn new(
        config: &WebhookConfig,
        environment: impl Fn(&str) -> Option<String>,
        clock: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let url = Url::parse(config.url.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or("`url` is not an address such as `https://deployer.example.com/uguisu`")?;
        let secret =
            read_secret("secret", config.secret_file.as_deref(), config.secret_env.as_deref(), environment);
        let client = reqwest::Client::builder()
            .user_agent(concat!("uguisu/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        Ok(Self {
            signer: Signer::new(&secret?)?,
            client: client.build().map_err(|e| format!("the HTTP client for the deployer: {e}"))?,
            url,
            timeout: config.timeout.as_duration(),
            settle: config.settle.as_duration(),
            look_every: Duration::from_secs(2),
            clock: Box::new(clock),
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        action: &str,
        request: &Request<'_>,
    ) -> Result<T, PlatformError> {
        let answer = self.send(request).await.map_err(|(kind, message)| error(action, kind, message))?;
        serde_json::from_slice(&answer).map_err(|e| {
            error(
                action,
                PlatformErrorKind::Failed,
                format!("the deployer's answer cannot be understood: {e}"),
            )
        })
    }

    async fn send(&self, request: &Request<'_>) -> Result<Vec<u8>, (PlatformErrorKind, String)> {
        let lost = |text: String| (PlatformErrorKind::Unknown, text);
        let call = async {
            let body = serde_json::to_string(request).map_err(|e| lost(e.to_string()))?;
            let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
            let timestamp = (self.clock)().0.div_euclid(1000);
            let signature = self.signer.sign(&id, timestamp, &body);
            let request = self.client.post(self.url.clone()).header("content-type", "application/json");
            let request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
            let sent = request.header("webhook-signature", signature).body(body).send().await;
            let mut response = sent.map_err(|e| {
                let unreached = e.is_connect();
                let text = e.without_url().to_string();
                if unreached { (PlatformErrorKind::Unreachable, text) } else { lost(text) }
            })?;
            let mut answer = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|e| lost(e.without_url().to_string()))? {
                if answer.len() + piece.len() > LARGEST {
                    return Err((PlatformErrorKind::Failed, "the deployer's answer is too large".to_owned()));
                }
                answer.extend_from_slice(&piece);
            }
            if response.status().is_success() { Ok(answer) } else { Err(refusal(response.status(), &answer)) }
        };
        timeout(self.timeout, call)
            .await
            .unwrap_or_else(|_| Err(lost("there was no answer in time".to_owned())))
    }

    async fn read(&self, action: &str, app: &AppName) -> Result<Observed, PlatformError> {
        let at = (self.clock)();
        let observed: Observed = self.ask(action, &Request::Observe { app }).await?;
        Ok(Observed { at, ..observed })
    }

    /// Waits until the app shows the wanted traffic.
    async fn settled(&self, action: &str, app: &AppName, change: &Change) -> Result<(), PlatformError> {
        let deadline = Instant::now() + self.settle;
        loop {
            let seen = self.read(action, app).await;
            if seen.as_ref().is_ok_and(|seen| change.is_shown(seen)) {
                return Ok(());
            }
            if Instant::now() + self.look_every > deadline {
                let seen = seen.err().map_or("it shows other traffic".to_owned(), |e| e.message);
                let message = format!("the deployer accepted it, but the app does not show it: {seen}");
                return Err(error(action, PlatformErrorKind::Unknown, message));
            }
            sleep(self.look_every).await;
        }
    }
}

/// What a command changes of an app's traffic.
struct Change {
    from: Traffic,
    to: Traffic,
}

impl Change {
    /// The app shows what was to change, the numbers of autoscaled units apart. What others change meanwhile is no part of it.
    fn is_shown(&self, observed: &Observed) -> bool {
        let fixed = |traffic: &Traffic| -> BTreeMap<_, _> {
            let mut versions = traffic.versions.clone();
            for version in versions.values_mut() {
                version.units.retain(|process, _| observed.autoscaled.iter().all(|a| a.process != *process));
            }
            versions
        };
        let seen = Traffic::of(observed);
        let (from, to, now) = (fixed(&self.from), fixed(&self.to), fixed(&seen));
        let changes = from.keys().chain(to.keys()).filter(|version| from.get(version) != to.get(version));
        let base = self.from.base == self.to.base || seen.base == self.to.base;
        base && changes.into_iter().all(|version| to.get(version) == now.get(version))
    }
}

fn refusal(status: StatusCode, answer: &[u8]) -> (PlatformErrorKind, String) {
    let kind = match status.as_u16() {
        404 => PlatformErrorKind::NotFound,
        409 | 423 | 429 | 503 => PlatformErrorKind::Busy,
        401 => PlatformErrorKind::Unauthorized,
        300..=499 => PlatformErrorKind::Refused,
        _ => PlatformErrorKind::Failed,
    };
    let text = String::from_utf8_lossy(answer);
    let text: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
    let quoted = if text.is_empty() { String::new() } else { format!(": `{text}`") };
    (kind, format!("the deployer answered {status}{quoted}"))
}

fn error(action: &str, kind: PlatformErrorKind, message: String) -> PlatformError {
    PlatformError { action: action.to_owned(), message, kind }
}

impl Platform for Webhook {
    async fn apps(&self) -> Result<Vec<App>, PlatformError> {
        self.ask("listing the apps", &Request::Apps).await
    }

    async fn observe(&self, app: &AppName) -> Result<Observed, PlatformError> {
        self.read(&format!("reading the units of app `{app}`"), app).await
    }

    async fn activity(&self, app: Option<&AppName>, since: Time) -> Result<Vec<Activity>, PlatformError> {
        let mut found: Vec<Activity> =
            self.ask("reading what was done to apps", &Request::Activity { app, since }).await?;
        found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok(found)
    }

    async fn base(&self, app: &AppName) -> Result<Option<Version>, PlatformError> {
        Ok(Traffic::of(&self.observe(app).await?).base)
    }

    async fn replaced(&self, app: &AppName, version: Version) -> Result<Option<Version>, PlatformError> {
        let done = self.activity(Some(app), Time(0)).await?;
        let mut made = done.iter().rev().filter(|a| a.ended.is_some() && a.error.is_none());
        let in_place = |a: &Activity| match a.kind {
            ActivityKind::Replaced { version } => version,
            _ => None,
        };
        let _ = made.by_ref().find(|a| in_place(a) == Some(version));
        Ok(made.filter_map(in_place).find(|earlier| *earlier != version))
    }

    async fn execute(&self, app: &AppName, command: &Command) -> Result<(), PlatformError> {
        let action = format!("asking the deployer of app `{app}` to {command}");
        let before = self.read(&action, app).await?;
        super::guard::check(&before, None, command)
            .map_err(|why| error(&action, PlatformErrorKind::Refused, why))?;
        let wanted = Traffic::of(&after(&before, command));
        let sent = self.send(&Request::Traffic { app, command, traffic: &wanted }).await;
        match sent {
            Err((kind, message)) if kind != PlatformErrorKind::Unknown => Err(error(&action, kind, message)),
            // The wanted state is absolute, so a lost answer is no different from a slow one.
            _ => self.settled(&action, app, &Change { from: Traffic::of(&before), to: wanted }).await,
        }
    }

    fn describe(&self) -> String {
        format!("the deployer at {}", self.url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests;
