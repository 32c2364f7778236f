//! Answers that grow while the work goes on: a line for each thing that is written, a blank one in long silences.
//!
//! The status is decided by the first byte. A call that fails before it wrote anything has its real status; one that fails
//! later has 200 and says so in its last line. The work goes on when the client goes away.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::Instant;

use super::{empty, plain, wire};
use crate::demo::install::Install;
use crate::demo::tsuru::{CallId, Failure, Line, rfc3339};

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A status and nothing else.
    Empty,
    /// A line of JSON for each thing that is written.
    Json,
    /// What is written, as it is.
    Text,
}

impl Kind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Empty => "text/plain; charset=utf-8",
            Self::Json => "application/x-json-stream",
            Self::Text => "text",
        }
    }

    fn lines(self, lines: &[Line]) -> String {
        lines
            .iter()
            .map(|line| match self {
                Self::Json => wire::stream_message(&line.text, &rfc3339(line.at)),
                _ => line.text.clone(),
            })
            .collect()
    }

    /// What is sent in a long silence.
    fn keepalive(self, first: bool) -> &'static str {
        match (self, first) {
            (Self::Text, _) => "please wait...\n",
            (_, true) => "\n\n",
            (_, false) => "\n",
        }
    }

    /// The end of a stream.
    fn last(self, result: &Result<(), Failure>, at: &str) -> String {
        match (self, result) {
            (Self::Json, Err(failure)) => wire::stream_error(&failure.text, at),
            (Self::Text, Err(failure)) => format!("{}\n", failure.text),
            (Self::Text, Ok(())) => "\nOK\n".to_owned(),
            (_, _) => String::new(),
        }
    }
}

/// Follows a call from outside.
struct Follower {
    install: Arc<Install>,
    call: CallId,
    kind: Kind,
    moves: tokio::sync::watch::Receiver<u64>,
    sent: usize,
    wrote: bool,
    over: bool,
    spoke: Instant,
}

impl Drop for Follower {
    /// Nobody waits any more; the call goes on all the same.
    fn drop(&mut self) {
        self.install.now().core.forget(self.call);
    }
}

/// What a follower found.
enum News {
    /// Something to send.
    More(String),
    /// It ended, and this is to be sent last.
    End(String, Result<(), Failure>),
}

impl Follower {
    /// Waits for something to send.
    async fn next(&mut self) -> News {
        let silence = self.install.now().core.config().timings.keepalive.as_duration();
        loop {
            if let Some(news) = self.look() {
                return news;
            }
            tokio::select! {
                _ = self.moves.changed() => {}
                () = self.install.stop.cancelled() => {
                    return News::End(String::new(), Ok(()));
                }
                () = tokio::time::sleep_until(self.spoke + silence), if self.kind != Kind::Empty && self.working() => {
                    self.spoke = Instant::now();
                    let first = !self.wrote;
                    self.wrote = true;
                    return News::More(self.kind.keepalive(first).to_owned());
                }
            }
        }
    }

    /// It has the lock: only then the stream exists.
    fn working(&self) -> bool {
        self.install.now().core.progress(self.call).is_some_and(|p| p.event.is_some())
    }

    fn look(&mut self) -> Option<News> {
        let now = self.install.now();
        let progress = now.core.progress(self.call);
        let Some(progress) = progress else { return Some(News::End(String::new(), Ok(()))) };
        let mut text = String::new();
        if let Some(event) = progress.event.and_then(|id| now.core.event(id)) {
            text = self.kind.lines(event.lines.get(self.sent..).unwrap_or_default());
            self.sent = event.lines.len();
        }
        let at = rfc3339(now.at);
        drop(now);
        if !text.is_empty() {
            self.spoke = Instant::now();
        }
        if let Some(result) = progress.over {
            if self.wrote || !text.is_empty() || result.is_ok() {
                text.push_str(&self.kind.last(&result, &at));
            }
            return Some(News::End(text, result));
        }
        (!text.is_empty()).then_some(News::More(text))
    }
}

/// The answer to a call that was begun.
pub(super) async fn follow(install: Arc<Install>, call: CallId, kind: Kind) -> Result<Response, Failure> {
    let moves = install.moves();
    let mut follower =
        Follower { install, call, kind, moves, sent: 0, wrote: false, over: false, spoke: Instant::now() };
    let first = follower.next().await;
    let event = follower.install.now().core.progress(call).and_then(|p| p.event);
    let text = match first {
        News::More(text) => text,
        News::End(text, Err(failure)) if text.is_empty() => return Err(failure),
        News::End(text, _) => {
            follower.over = true;
            text
        }
    };
    if kind == Kind::Empty {
        return Ok(empty(StatusCode::OK));
    }
    follower.wrote = true;
    let body = futures_util::stream::unfold((Some(text), follower), grow);
    let mut response = plain(StatusCode::OK, kind.content_type(), Body::from_stream(body));
    if let (Kind::Text, Some(id)) = (kind, event)
        && let Ok(value) = HeaderValue::from_str(&id.to_string())
    {
        response.headers_mut().insert("x-tsuru-eventid", value);
    }
    Ok(response)
}

type Grown = (Result<Bytes, Infallible>, (Option<String>, Follower));

async fn grow((first, mut follower): (Option<String>, Follower)) -> Option<Grown> {
    if let Some(text) = first {
        return Some((Ok(Bytes::from(text)), (None, follower)));
    }
    if follower.over {
        return None;
    }
    let text = match follower.next().await {
        News::More(text) => text,
        News::End(text, _) => {
            follower.over = true;
            text
        }
    };
    Some((Ok(Bytes::from(text)), (None, follower)))
}
