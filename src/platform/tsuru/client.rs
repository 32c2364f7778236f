//! Calls to Tsuru's API: bounded in time, size and number, with the token where it belongs.
//!
//! Reads share kept-alive connections and are limited in number. A change gets a connection of its own, so that one
//! that could not be made surely did nothing, and anything that broke later is an unknown outcome.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::config::{ConfigError, TsuruConfig, authorization};
use super::failure::{self, Failure};
use super::stream::{Reader, Said};
use crate::platform::PlatformErrorKind;

/// How many reads may be under way at once.
const READS: usize = 8;

/// How often a read is tried while Tsuru refuses the token: its database may be away for a moment.
const READ_TRIES: u32 = 3;

/// The largest answer of a read, after decompression, and of a change.
const LARGEST_READ: usize = 32 << 20;
const LARGEST_STREAM: usize = 64 << 20;

/// How much of a refusal's text is read.
const LARGEST_REFUSAL: usize = 64 << 10;

const CONNECT: Duration = Duration::from_secs(10);

/// A change to be asked for.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// What a change sends along.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Nothing,
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

/// How a change ended, as far as its answer tells.
#[derive(Debug)]
pub(super) enum Ended {
    /// The answer was complete and without an error.
    Complete(Said),
    /// It was refused or reported as failed.
    Refused(Failure),
    /// The answer was lost, for this reason. The change may be under way, done or not.
    Lost(String),
}

/// The way to one Tsuru API.
pub(super) struct Client {
    base: Url,
    token: Mutex<SecretString>,
    config: TsuruConfig,
    reads: reqwest::Client,
    changes: reqwest::Client,
    under_way: Semaphore,
    /// The wait before a refused token is tried again; doubles.
    pub(super) again: Duration,
}

impl Client {
    pub(super) fn new(config: TsuruConfig) -> Result<Self, ConfigError> {
        let base = config.base()?;
        config.check_deadlines()?;
        let token = config.token(|name| std::env::var(name).ok())?;
        let reads = builder(&config, &base)?.pool_max_idle_per_host(READS);
        // A proxy that compresses would hold back the signs of life.
        let changes = builder(&config, &base)?.pool_max_idle_per_host(0).no_gzip();
        let built = |b: reqwest::ClientBuilder| b.build().map_err(|e| ConfigError::Client(causes(&e)));
        Ok(Self {
            base,
            token: Mutex::new(token),
            reads: built(reads)?,
            changes: built(changes)?,
            config,
            under_way: Semaphore::new(READS),
            again: Duration::from_millis(500),
        })
    }

    /// The API's address; it holds no secret.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Reads `path`. Nothing where Tsuru has nothing to list (204).
    pub(super) async fn read(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<Vec<u8>>, Failure> {
        let mut wait = self.again;
        for _ in 1..READ_TRIES {
            match self.read_once(path, query).await {
                Err(failure) if failure.kind == PlatformErrorKind::Unauthorized => {}
                answer => return answer,
            }
            self.reload_token().await;
            sleep(wait).await;
            wait *= 2;
        }
        self.read_once(path, query).await
    }

    async fn read_once(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<Vec<u8>>, Failure> {
        let limit = self.config.deadlines.read;
        let call = async {
            let _permit = self.under_way.acquire().await;
            let request = self.reads.get(self.url(path)).query(query);
            let mut response =
                self.authorized(request).send().await.map_err(|e| unreachable(causes(&e.without_url())))?;
            let status = response.status();
            if status.as_u16() == 204 {
                return Ok(None);
            }
            if status.as_u16() != 200 {
                let text = refusal_text(&mut response).await;
                return Err(failure::of_read(status, &self.without_token(&text)));
            }
            body(&mut response).await.map(Some)
        };
        timeout(limit.as_duration(), call)
            .await
            .unwrap_or_else(|_| Err(unreachable(format!("there was no whole answer within {limit}"))))
    }

    /// Asks for a change and follows its answer to its end, or to `deadline`.
    pub(super) async fn change(&self, change: &Change, deadline: Instant) -> Ended {
        match timeout_at(deadline, self.follow(change)).await {
            Ok(ended) => ended,
            Err(_) => Ended::Lost("it did not end in the time allowed".to_owned()),
        }
    }

    async fn follow(&self, change: &Change) -> Ended {
        let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
        let request = self.changes.request(change.method.clone(), self.url(&path)).query(&change.query);
        let request = match &change.body {
            Body::Nothing => request,
            Body::Form(fields) => request.form(fields),
            Body::Json(value) => request.json(value),
        };
        let mut response = match self.authorized(request).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                return Ended::Refused(unreachable(causes(&error.without_url())));
            }
            Err(error) => return Ended::Lost(causes(&error.without_url())),
        };
        let status = response.status();
        if !status.is_success() {
            let text = refusal_text(&mut response).await;
            let failure = failure::of_change(status, &self.without_token(&text));
            if status.as_u16() == 401 {
                self.reload_token().await;
            }
            return match failure.kind {
                PlatformErrorKind::Unknown => Ended::Lost(failure.message),
                _ => Ended::Refused(failure),
            };
        }
        if content_type(&response).contains("html") {
            return Ended::Lost("the answer is a web page, so it is not Tsuru's".to_owned());
        }
        self.follow_stream(&mut response).await
    }

    async fn follow_stream(&self, response: &mut Response) -> Ended {
        let (mut reader, mut size) = (Reader::default(), 0_usize);
        let lost = loop {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    size = size.saturating_add(piece.len());
                    if size > LARGEST_STREAM {
                        break Some("the answer is far larger than Tsuru's ever are".to_owned());
                    }
                    reader.push(&piece);
                }
                Ok(None) => break None,
                Err(error) => break Some(format!("the answer broke off: {}", causes(&error.without_url()))),
            }
        };
        let said = reader.finish();
        match (&said.error, lost) {
            (Some(error), _) => {
                Ended::Refused(failure::of_error_text(&self.without_token(error), !said.messages.is_empty()))
            }
            (None, Some(why)) => Ended::Lost(why),
            (None, None) if said.garbled => {
                Ended::Lost("the answer has a line that cannot be read".to_owned())
            }
            (None, None) => Ended::Complete(said),
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match authorization(&token) {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Reads the token's file again, if that is where it came from: it may have been rotated.
    async fn reload_token(&self) {
        if self.config.token_file.is_none() {
            return;
        }
        let config = self.config.clone();
        match tokio::task::spawn_blocking(move || config.token(|_| None)).await {
            Ok(Ok(fresh)) => *self.token.lock().unwrap_or_else(PoisonError::into_inner) = fresh,
            Ok(Err(error)) => tracing::warn!(%error, "Tsuru refused the token, and there is no other"),
            Err(_) => {}
        }
    }

    /// The text without the token, should anything on the way echo it.
    fn without_token(&self, text: &str) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        text.replace(token.expose_secret(), "[token]")
    }
}

fn builder(config: &TsuruConfig, base: &Url) -> Result<reqwest::ClientBuilder, ConfigError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("uguisu/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(config.deadlines.silence.as_duration())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    let builder = match config.certificates()? {
        Some(certificates) => builder.tls_certs_only(certificates),
        // Without TLS there is no need for the system's certificates, which a small container may lack.
        None if base.scheme() == "http" && config.proxy.is_none() => builder.tls_certs_only([]),
        None => builder,
    };
    match &config.proxy {
        None => Ok(builder.no_proxy()),
        Some(address) => {
            let proxy = reqwest::Proxy::all(address.expose_secret()).map_err(|_| ConfigError::Proxy)?;
            Ok(builder.proxy(proxy))
        }
    }
}

fn unreachable(message: String) -> Failure {
    Failure::new(PlatformErrorKind::Unreachable, message)
}

fn content_type(response: &Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

async fn body(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if body.len() + piece.len() > LARGEST_READ => {
                let message = format!("the answer is larger than {} MiB", LARGEST_READ >> 20);
                return Err(Failure::new(PlatformErrorKind::Failed, message));
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body),
            Err(error) => {
                return Err(unreachable(format!("the answer broke off: {}", causes(&error.without_url()))));
            }
        }
    }
}

/// The beginning of a refusal's text; what is there if it breaks off.
async fn refusal_text(response: &mut Response) -> String {
    let mut text = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        text.extend_from_slice(&piece[..piece.len().min(LARGEST_REFUSAL - text.len())]);
        if text.len() == LARGEST_REFUSAL {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// An error with what caused it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    if text.contains("UnknownIssuer") {
        text.push_str("; `tsuru.ca_file` can name the certificate that signed it");
    }
    text
}
