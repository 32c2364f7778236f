//! Events: the record of everything that was done to an app, and the lock that it held meanwhile.

use std::fmt;

use crate::words::{Span, Time};

/// The identity of an event: 12 bytes that sort by time, written as 24 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 12]);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl EventId {
    /// Reads 24 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 24 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 12];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        // `from_str_radix` takes a sign, an id has none.
        text.bytes().all(|b| b.is_ascii_hexdigit()).then_some(Self(bytes))
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the user or the id of the token.
    pub name: String,
    /// It is a team token; else a user.
    pub token: bool,
    /// Where the call came from.
    pub address: String,
    /// Which replica of the API takes the call, from 0.
    pub replica: usize,
}

impl Caller {
    /// A team token, calling from this machine.
    #[must_use]
    pub fn token(name: &str) -> Self {
        Self { token: true, ..Self::user(name) }
    }

    /// A user, calling from this machine.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { name: name.to_owned(), token: false, address: "127.0.0.1".to_owned(), replica: 0 }
    }

    /// The platform itself.
    #[must_use]
    pub fn internal() -> Self {
        Self { name: String::new(), token: false, address: String::new(), replica: 0 }
    }
}

/// What an event was told at its start, apart from its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The fields of the request.
    Form(Vec<(String, String)>),
    /// One unit was to be killed.
    Unit {
        /// Its name.
        unit: String,
        /// Without grace.
        force: bool,
    },
    /// A deploy or rollback.
    Deploy {
        /// The image that was asked for.
        image: String,
        /// Where it came from: `image`, `rollback`, `app-deploy` …
        origin: String,
        /// What the deployer said about it.
        message: String,
        /// It is a rollback.
        rollback: bool,
        /// Beside what runs.
        new_version: bool,
        /// In place of all that runs.
        override_versions: bool,
        /// Who asked.
        user: String,
    },
}

/// A wish to cancel an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Who wished it.
    pub owner: String,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
    /// When the event's work noticed.
    pub acknowledged: Option<Time>,
}

/// A line of an event's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Time,
    /// What was written in one go, its newline included.
    pub text: String,
}

/// Something that somebody did to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identity.
    pub id: EventId,
    /// The app.
    pub app: String,
    /// The pool of the app.
    pub pool: String,
    /// The team of the app.
    pub team: String,
    /// What was done, as `app.deploy`.
    pub kind: &'static str,
    /// The platform did it by itself.
    pub internal: bool,
    /// Who did it: the type and the name.
    pub owner: (&'static str, String),
    /// Where the call came from.
    pub address: String,
    /// Which replica of the API did it, from 0.
    pub replica: usize,
    /// When it began.
    pub started: Time,
    /// When it ended; nothing while it runs.
    pub ended: Option<Time>,
    /// When it gave its last sign of life, if it gives none any more.
    pub stalled: Option<Time>,
    /// Why it failed; empty if it did not, or still runs.
    pub error: String,
    /// It can be cancelled now.
    pub cancelable: bool,
    /// A wish to cancel it.
    pub cancel: Option<Cancel>,
    /// What it wrote.
    pub lines: Vec<Line>,
    /// What it was told at its start.
    pub start: Start,
    /// The image that a deploy ended with; empty if it failed.
    pub end_image: Option<String>,
}

impl Event {
    /// How it is named in refusals: `app(shop) running "app.deploy" start by user me at …`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "app({}) running \"{}\" start by {} {} at {}",
            self.app,
            self.kind,
            self.owner.0,
            self.owner.1,
            rfc3339(self.started)
        )
    }
}

/// A time as Go's `time.RFC3339Nano` writes it in UTC.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// A span as Go's `time.Duration` writes it: `2m0s`, `1.5s`, `100ms`.
#[must_use]
pub fn go_duration(span: Span) -> String {
    if span.0 == 0 {
        return "0s".to_owned();
    }
    if span.0 < 1000 {
        return format!("{}ms", span.0);
    }
    let (hours, minutes, ms) = (span.0 / 3_600_000, span.0 / 60_000 % 60, span.0 % 60_000);
    let fraction = if ms.is_multiple_of(1000) {
        String::new()
    } else {
        format!(".{:03}", ms % 1000).trim_end_matches('0').to_owned()
    };
    let seconds = format!("{}{fraction}s", ms / 1000);
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// Which events somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The type of the target; only `app` has any.
    pub target_type: Option<String>,
    /// The app.
    pub target: Option<String>,
    /// One of these kinds; empty: any.
    pub kinds: Vec<String>,
    /// `permission` or `internal`.
    pub kind_type: Option<String>,
    /// `user`, `token`, `app` or `internal`.
    pub owner_type: Option<String>,
    /// The owner's name.
    pub owner: Option<String>,
    /// Started at or after.
    pub since: Option<Time>,
    /// Started at or before.
    pub until: Option<Time>,
    /// Running or not.
    pub running: Option<bool>,
    /// Failed only.
    pub errors: bool,
    /// How many to leave out first.
    pub skip: usize,
    /// How many at most; nothing: 100.
    pub limit: Option<usize>,
    /// Oldest first; else newest first.
    pub ascending: bool,
}

impl Filter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let is = |wanted: &Option<String>, have: &str| wanted.as_ref().is_none_or(|w| w == have);
        is(&self.target_type, "app")
            && is(&self.target, &event.app)
            && (self.kinds.is_empty() || self.kinds.iter().any(|k| k == event.kind))
            && is(&self.kind_type, if event.internal { "internal" } else { "permission" })
            && is(&self.owner_type, event.owner.0)
            && is(&self.owner, &event.owner.1)
            && self.since.is_none_or(|since| event.started >= since)
            && self.until.is_none_or(|until| event.started <= until)
            && self.running.is_none_or(|running| running == event.ended.is_none())
            && (!self.errors || !event.error.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_24_hexadecimal_digits() {
        let text = "66c4f1d2a1b2c3d4e5f60718";
        assert_eq!(EventId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        for wrong in
            ["", "webhooks", "66c4f1d2a1b2c3d4e5f6071", "+6c4f1d2a1b2c3d4e5f60718", "ü6c4f1d2a1b2c3d4e5f6071"]
        {
            assert_eq!(EventId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_and_spans_are_written_as_go_writes_them() {
        assert_eq!(rfc3339(Time(1_787_317_200_123)), "2026-08-21T13:00:00.123Z");
        assert_eq!(rfc3339(Time(1_787_317_200_120)), "2026-08-21T13:00:00.12Z");
        assert_eq!(rfc3339(Time(1_787_317_200_000)), "2026-08-21T13:00:00Z");
        for (ms, text) in [
            (0, "0s"),
            (100, "100ms"),
            (1500, "1.5s"),
            (120_000, "2m0s"),
            (3_600_000, "1h0m0s"),
            (61_020, "1m1.02s"),
        ] {
            assert_eq!(go_duration(Span(ms)), text);
        }
    }
}
