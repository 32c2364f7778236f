//! Answers that grow while the work goes on: a line for each thing that is written, a blank one in long silences.
//!
//! The status is decided by the first byte. A call that fails before it wrote anything has its real status; one that fails
//! later has 200 and says so in its last line. The work goes on when the client goes away.

use std::collections::VecDeque;
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

    fn line(self, line: &Line) -> String {
        match self {
            Self::Json => wire::stream_message(&line.text, &rfc3339(line.at)),
            _ => line.text.clone(),
        }
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
    /// What is to be sent next.
    pieces: VecDeque<Piece>,
}

/// A piece of a body. Each thing that is written is sent by itself, as Tsuru flushes each.
enum Piece {
    Whole(String),
    /// The rest of one that is sent in two parts.
    Rest(String),
    /// The connection is cut.
    Cut,
}

/// How long it takes until the rest of a piece is sent: long enough to be a segment of its own.
const APART: Duration = Duration::from_millis(5);

impl Drop for Follower {
    /// Nobody waits any more; the call goes on all the same.
    fn drop(&mut self) {
        self.install.now().core.forget(self.call);
    }
}

/// What a follower found.
enum News {
    /// Things to send.
    More(Vec<String>),
    /// It ended, and these are to be sent last.
    End(Vec<String>, Result<(), Failure>),
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
            pieces: VecDeque::new(),
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
                    return News::More(vec![self.kind.keepalive(!self.wrote).to_owned()]);
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
        let mut texts = Vec::new();
        if let Some(event) = progress.event.and_then(|id| now.core.event(id)) {
            let lines = event.lines.get(self.taken..).unwrap_or_default();
            texts = lines.iter().map(|line| self.kind.line(line)).collect();
            self.taken = event.lines.len();
        }
        let at = rfc3339(now.at);
        drop(now);
        if !texts.is_empty() {
            self.spoke = Instant::now();
        }
        match progress.standing {
            Standing::Open => (!texts.is_empty()).then_some(News::More(texts)),
            Standing::Over(result) => {
                if self.wrote || !texts.is_empty() || result.is_ok() {
                    texts.push(self.kind.last(&result, &at));
                }
                texts.retain(|text| !text.is_empty());
                Some(News::End(texts, result))
            }
            Standing::Lost => Some(News::Cut),
        }
    }

    /// The next piece of the body; nothing at its end, an error where the connection is cut.
    async fn piece(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            match self.pieces.pop_front() {
                Some(Piece::Whole(text)) => return Some(Ok(Bytes::from(self.break_up(text)))),
                Some(Piece::Rest(text)) => {
                    tokio::time::sleep(APART).await;
                    return Some(Ok(Bytes::from(text)));
                }
                Some(Piece::Cut) => {
                    self.over = true;
                    // What was written before gets through.
                    tokio::time::sleep(APART).await;
                    return Some(Err(std::io::ErrorKind::ConnectionReset.into()));
                }
                None if self.over => return None,
                None => {}
            }
            match self.next().await {
                News::More(texts) => self.put(texts),
                News::End(texts, _) => {
                    self.over = true;
                    self.put(texts);
                }
                News::Cut => self.pieces.push_back(Piece::Cut),
            }
        }
    }

    fn put(&mut self, texts: Vec<String>) {
        self.pieces.extend(texts.into_iter().map(Piece::Whole));
    }

    /// Keeps the second half of a piece back, where it is to arrive later or never.
    fn break_up(&mut self, mut text: String) -> String {
        let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        if middle == 0 {
            return text;
        }
        let (truncated, split) = {
            let mut now = self.install.now();
            (now.core.fires(|faults| &mut faults.truncated), now.core.fires(|faults| &mut faults.split))
        };
        if truncated {
            text.truncate(middle);
            self.pieces.clear();
            self.pieces.push_back(Piece::Cut);
        } else if split {
            let rest = text.split_off(middle);
            self.pieces.push_front(Piece::Rest(rest));
        }
        text
    }
}

/// The answer to a call that was begun.
pub(super) async fn follow(install: Arc<Install>, call: CallId, kind: Kind) -> Result<Response, Failure> {
    let mut follower = Follower::new(install, call, kind);
    let first = follower.next().await;
    let event = follower.install.now().core.progress(call).and_then(|p| p.event);
    let texts = match first {
        News::More(texts) => texts,
        News::End(texts, Err(failure)) if texts.is_empty() => {
            return Ok(with_event(super::failed(&failure), kind, event));
        }
        News::End(texts, _) => {
            follower.over = true;
            texts
        }
        News::Cut => return Ok(plain(StatusCode::OK, kind.content_type(), Body::from_stream(cut()))),
    };
    if kind == Kind::Empty {
        return Ok(empty(StatusCode::OK));
    }
    follower.wrote = true;
    follower.put(texts);
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
