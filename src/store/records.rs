//! What goes into the journal and what comes out.

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::rollout::{Event, Recorded, Rollout};
use crate::words::{AppName, RolloutId, Time, Version};

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// When it was decided or seen.
    pub at: Time,
    /// Its label.
    pub kind: String,
    /// It, as JSON.
    pub body: String,
}

impl NewEvent {
    /// An event of a rollout, ready to be appended.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of(recorded: &Recorded) -> Result<Self, StoreError> {
        let kind = recorded.event.label();
        Ok(Self { at: recorded.at, kind: kind.to_owned(), body: to_json(kind, &recorded.event)? })
    }
}

/// Writes a value as JSON; `kind` names it should that fail.
pub(super) fn to_json(kind: &str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Unwritable { kind: kind.to_owned(), detail: e.to_string() })
}

/// SQLite's integers are signed; no count comes near their end.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An event as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in its rollout, from 1 without gaps.
    pub seq: u64,
    /// When it was decided or seen.
    pub at: Time,
    /// Its label.
    pub kind: String,
    /// It, as JSON.
    pub body: String,
}

impl Entry {
    /// The event itself.
    ///
    /// # Errors
    /// When the body is not an event that this program knows.
    pub fn read(&self, rollout: &RolloutId) -> Result<Recorded, StoreError> {
        let event: Event = serde_json::from_str(&self.body).map_err(|e| StoreError::Unreadable {
            rollout: rollout.clone(),
            seq: self.seq,
            detail: e.to_string(),
        })?;
        Ok(Recorded { at: self.at, event })
    }
}

/// A rollout as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutRow {
    /// Its identity.
    pub id: RolloutId,
    /// The app.
    pub app: AppName,
    /// The version that served when it began.
    pub baseline: Version,
    /// The version that wants to replace it.
    pub canary: Version,
    /// The policy's name.
    pub policy: String,
    /// The phase's label.
    pub phase: String,
    /// When it began.
    pub started: Time,
    /// When it ended; nothing while it runs.
    pub ended: Option<Time>,
    /// A sentence for a person: why it is where it is; may be empty.
    pub summary: String,
}

impl From<&Rollout> for RolloutRow {
    fn from(rollout: &Rollout) -> Self {
        Self {
            id: rollout.id.clone(),
            app: rollout.app.clone(),
            baseline: rollout.baseline,
            canary: rollout.canary,
            policy: rollout.policy.name.clone(),
            phase: rollout.phase.label().to_owned(),
            started: rollout.opened,
            ended: rollout.finished,
            summary: rollout.reason.clone(),
        }
    }
}

/// A message to be delivered to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its identity: the same at each attempt, and for each receiver of the same news.
    pub id: String,
    /// The receiver's name in the configuration.
    pub receiver: String,
    /// When what it tells of happened.
    pub at: Time,
    /// What is sent.
    pub body: String,
}

/// A message and how its delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its identity.
    pub id: String,
    /// The receiver's name.
    pub receiver: String,
    /// When what it tells of happened.
    pub at: Time,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt met; empty where nothing went wrong.
    pub last_error: String,
    /// How its delivery stands.
    pub state: MessageState,
}

/// How a message's delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum MessageState {
    /// It waits for its next attempt.
    Pending {
        /// When that is due.
        next_at: Time,
    },
    /// The receiver accepted it.
    Delivered {
        /// When.
        delivered_at: Time,
    },
    /// It will not be tried again.
    GivenUp {
        /// Since when.
        given_up_at: Time,
    },
}

/// All that one decision means, to be written at once or not at all.
#[derive(Debug, Clone, Default)]
pub struct AppendBatch {
    /// The number of the last event that the writer knows of; 0 for a new rollout.
    pub expected_seq: u64,
    /// The events that follow it, in order.
    pub events: Vec<NewEvent>,
    /// The state after the last of them, as JSON: a cache for [`load`](super::Reader::load).
    pub snapshot: Option<String>,
    /// What the sources' counters were at the last look among them, as JSON.
    pub samples: Option<String>,
    /// The rollout's line in the listing. Needed with the first event; later where it changed.
    pub index: Option<RolloutRow>,
    /// Messages that tell of these events.
    pub outbox: Vec<NewMessage>,
    /// Cursors that move with them: name and new value.
    pub cursors: Vec<(String, String)>,
}

impl AppendBatch {
    /// A batch that continues after `expected_seq` with `events`.
    ///
    /// # Errors
    /// When an event cannot be written as JSON.
    pub fn of(expected_seq: u64, events: &[Recorded]) -> Result<Self, StoreError> {
        let events = events.iter().map(NewEvent::of).collect::<Result<_, _>>()?;
        Ok(Self { expected_seq, events, ..Self::default() })
    }

    /// The same batch with the state and the listing line that the events led to.
    ///
    /// # Errors
    /// When the state cannot be written as JSON.
    #[cfg(test)]
    pub(crate) fn leading_to(mut self, rollout: &Rollout) -> Result<Self, StoreError> {
        self.index = Some(RolloutRow::from(rollout));
        self.snapshot = Some(to_json("rollout", rollout)?);
        Ok(self)
    }
}

/// What it takes to know a rollout's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// A cached state as JSON and the number of the last event in it.
    pub snapshot: Option<(u64, String)>,
    /// What the sources' counters were as JSON, and the number of the last event before which they were so.
    pub samples: Option<(u64, String)>,
    /// The events after it, or all where there is none.
    pub after: Vec<Entry>,
}
