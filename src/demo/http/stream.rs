//! Answers that grow while the work goes on: a line for each thing that is written, a blank one in long silences.
//!
//! The status is decided by the first byte. A call that fails before it wrote anything has its real status; one that fails
//! later has 200 and says so in its last line. The work goes on when the client goes away.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::Instant;

use super::{empty, plain, wire};
use crate::demo::install::Install;
use crate::demo::tsuru::{CallId, EventId, Failure, Line, Standing, rfc3339};

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
    /// How many lines of the event were taken.
    taken: usize,
    /// Something was sent: the status is decided.
    wrote: bool,
    over: bool,
    /// When something was sent last.
    spoke: Instant,
    /// It says nothing until then.
    silent_until: Option<Instant>,
    /// What is sent first.
    first: Option<String>,
    /// The rest of a piece that is sent in two parts.
    rest: Option<String>,
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
    /// The connection is cut.
    Cut,
}

impl Follower {
    fn new(install: Arc<Install>, call: CallId, kind: Kind) -> Self {
        let moves = install.moves();
        let stall = {
            let mut now = install.now();
            let stalls = kind != Kind::Empty && now.core.fires(|faults| &mut faults.stall);
            stalls.then(|| now.core.config().faults.stall_for.as_duration())
        };
        let spoke = Instant::now();
        let silent_until = stall.map(|stall| spoke + stall);
        Self {
            install,
            call,
            kind,
            moves,
            taken: 0,
            wrote: false,
            over: false,
            spoke,
            silent_until,
            first: None,
            rest: None,
        }
    }

    /// Waits for something to send.
    async fn next(&mut self) -> News {
        if let Some(until) = self.silent_until.take_if(|_| self.wrote) {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.install.stop.cancelled() => return News::Cut,
            }
        }
        let silence = self.install.now().core.config().timings.keepalive.as_duration();
        loop {
            if let Some(news) = self.look() {
                return news;
            }
            tokio::select! {
                _ = self.moves.changed() => {}
                () = self.install.stop.cancelled() => return News::Cut,
                () = tokio::time::sleep_until(self.spoke + silence), if self.streams() => {
                    self.spoke = Instant::now();
                    return News::More(self.kind.keepalive(!self.wrote).to_owned());
                }
            }
        }
    }

    /// There is a stream that can be kept alive: from when the call has the lock.
    fn streams(&self) -> bool {
        self.kind != Kind::Empty
            && self.install.now().core.progress(self.call).is_some_and(|progress| progress.event.is_some())
    }

    /// What there is to send now.
    fn look(&mut self) -> Option<News> {
        let now = self.install.now();
        let Some(progress) = now.core.progress(self.call) else { return Some(News::Cut) };
        let mut text = String::new();
        if let Some(event) = progress.event.and_then(|id| now.core.event(id)) {
            text = self.kind.lines(event.lines.get(self.taken..).unwrap_or_default());
            self.taken = event.lines.len();
        }
        let at = rfc3339(now.at);
        drop(now);
        if !text.is_empty() {
            self.spoke = Instant::now();
        }
        match progress.standing {
            Standing::Open => (!text.is_empty()).then_some(News::More(text)),
            Standing::Over(result) => {
                if self.wrote || !text.is_empty() || result.is_ok() {
                    text.push_str(&self.kind.last(&result, &at));
                }
                Some(News::End(text, result))
            }
            Standing::Lost => Some(News::Cut),
        }
    }

    /// The next piece of the body; nothing at its end, an error where the connection is cut.
    async fn piece(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if let Some(rest) = self.rest.take() {
            // A pause between the parts makes them segments of their own.
            tokio::time::sleep(Duration::from_millis(5)).await;
            return Some(Ok(Bytes::from(rest)));
        }
        if let Some(first) = self.first.take() {
            return Some(Ok(Bytes::from(self.split(first))));
        }
        if self.over {
            return None;
        }
        let text = match self.next().await {
            News::More(text) => text,
            News::End(text, _) => {
                self.over = true;
                text
            }
            News::Cut => {
                self.over = true;
                return Some(Err(std::io::ErrorKind::ConnectionReset.into()));
            }
        };
        Some(Ok(Bytes::from(self.split(text))))
    }

    /// Keeps the second half of a piece back, where it is to arrive in two parts.
    fn split(&mut self, mut text: String) -> String {
        let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        if middle > 0 && self.install.now().core.fires(|faults| &mut faults.split) {
            self.rest = Some(text.split_off(middle));
        }
        text
    }
}

/// The answer to a call that was begun.
pub(super) async fn follow(install: Arc<Install>, call: CallId, kind: Kind) -> Result<Response, Failure> {
    let mut follower = Follower::new(install, call, kind);
    let first = follower.next().await;
    let event = follower.install.now().core.progress(call).and_then(|p| p.event);
    let text = match first {
        News::More(text) => text,
        News::End(text, Err(failure)) if text.is_empty() => {
            return Ok(with_event(super::failed(&failure), kind, event));
        }
        News::End(text, _) => {
            follower.over = true;
            text
        }
        News::Cut => return Ok(plain(StatusCode::OK, kind.content_type(), Body::from_stream(cut()))),
    };
    if kind == Kind::Empty {
        return Ok(empty(StatusCode::OK));
    }
    follower.wrote = true;
    follower.first = Some(text);
    let body = futures_util::stream::unfold(follower, async |mut follower| {
        let piece = follower.piece().await?;
        Some((piece, follower))
    });
    Ok(with_event(plain(StatusCode::OK, kind.content_type(), Body::from_stream(body)), kind, event))
}

/// Names the event, which only deploys do: also where they failed before they wrote anything.
fn with_event(mut response: Response, kind: Kind, event: Option<EventId>) -> Response {
    if let (Kind::Text, Some(id)) = (kind, event)
        && let Ok(value) = HeaderValue::from_str(&id.to_string())
    {
        response.headers_mut().insert("x-tsuru-eventid", value);
    }
    response
}

/// A body that ends before it begins, with its connection.
fn cut() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    futures_util::stream::iter([Err(std::io::ErrorKind::ConnectionReset.into())])
}
