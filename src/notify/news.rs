//! What receivers are told.

use jiff::Timestamp;
use serde::Serialize;

use crate::policy::Mode;
use crate::rollout::{Event, PauseCause, Phase, Recorded, Rollout};
use crate::store::{NewMessage, StoreError};
use crate::words::{AppName, RolloutId, Time, Version};

/// The number of the body's shape. It grows when a field changes its meaning or goes; new fields come without it.
const VERSION: u32 = 1;

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct News {
    /// What kind of news.
    #[serde(rename = "type")]
    pub kind: NewsKind,
    /// When it happened, as RFC 3339 has it.
    pub timestamp: String,
    /// The rollout that it is about.
    pub data: Data,
}

/// What kind of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NewsKind {
    /// A rollout began.
    #[serde(rename = "rollout.started")]
    RolloutStarted,
    /// A rollout ended; `phase` says how.
    #[serde(rename = "rollout.finished")]
    RolloutFinished,
    /// A rollout waits for a person (`cause` says for what), or a person must look at it.
    #[serde(rename = "person.needed")]
    PersonNeeded,
}

/// The rollout that a message is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Data {
    /// The number of this shape: 1.
    pub version: u32,
    /// The rollout's id.
    pub rollout: RolloutId,
    /// The app.
    pub app: AppName,
    /// The version that served when it began.
    pub baseline: Version,
    /// The version that wants to replace it.
    pub canary: Version,
    /// The policy's name.
    pub policy: String,
    /// How far the policy is trusted: `observe`, `advise` or `act`.
    pub mode: Mode,
    /// Where the rollout is.
    pub phase: Phase,
    /// What was decided; nothing where it ended without a decision of ours (superseded, taken over, observed, failed).
    pub decision: Option<&'static str>,
    /// Why it waits for a person; nothing if it does not.
    pub cause: Option<PauseCause>,
    /// The signals, checks or alerts that a rollback rests on.
    pub culprits: Vec<String>,
    /// The score, undecided signals counted as failed and as passed; nothing before the first look.
    pub score: Option<[f64; 2]>,
    /// When the rollout began.
    pub started: String,
    /// When it ended; nothing while it runs.
    pub finished: Option<String>,
    /// All of it as a sentence for a person.
    pub text: String,
}

/// The messages for a rollout's receivers that tell of `events`, the first of which follows event `after`; `rollout`
/// is the state that they led to.
///
/// An id is made of the rollout's and the event's number, so that the same news has the same id, whoever makes it.
///
/// # Errors
/// When a message cannot be written as JSON.
pub fn messages(rollout: &Rollout, after: u64, events: &[Recorded]) -> Result<Vec<NewMessage>, StoreError> {
    let mut all = Vec::new();
    for (recorded, seq) in events.iter().zip(after.saturating_add(1)..) {
        let Some(news) = News::of(rollout, recorded) else { continue };
        let body = serde_json::to_string(&news)
            .map_err(|e| StoreError::Unwritable { kind: "message".to_owned(), detail: e.to_string() })?;
        let id = format!("msg_{}_{seq}", rollout.id);
        let to = |receiver: &String| NewMessage {
            id: id.clone(),
            receiver: receiver.clone(),
            at: recorded.at,
            body: body.clone(),
        };
        let mut receivers: Vec<_> = rollout.policy.notify.iter().collect();
        receivers.sort();
        receivers.dedup();
        all.extend(receivers.into_iter().map(to));
    }
    Ok(all)
}

impl News {
    /// The news in an event; nothing if nobody needs to be told of it.
    #[must_use]
    pub fn of(rollout: &Rollout, recorded: &Recorded) -> Option<Self> {
        let (app, baseline, canary) = (&rollout.app, rollout.baseline, rollout.canary);
        let about = format!("{canary} of `{app}`");
        let (kind, cause, text) = match &recorded.event {
            Event::Opened { policy, .. } => {
                let text = format!("{about} is compared with {baseline} under policy `{}`", policy.name);
                (NewsKind::RolloutStarted, None, text)
            }
            // Who paused it by hand knows.
            Event::Paused { cause: PauseCause::Operator, .. } => return None,
            Event::Paused { cause, why } => {
                (NewsKind::PersonNeeded, Some(*cause), format!("{about} waits for a person: {why}"))
            }
            Event::PersonNeeded { why } => {
                (NewsKind::PersonNeeded, None, format!("{about} needs a person: {why}"))
            }
            Event::Finished { ending, why } => {
                (NewsKind::RolloutFinished, None, format!("{about}: {ending}: {why}"))
            }
            _ => return None,
        };
        Some(Self { kind, timestamp: rfc3339(recorded.at), data: Data::of(rollout, cause, text) })
    }
}

impl Data {
    fn of(rollout: &Rollout, cause: Option<PauseCause>, text: String) -> Self {
        Self {
            version: VERSION,
            rollout: rollout.id.clone(),
            app: rollout.app.clone(),
            baseline: rollout.baseline,
            canary: rollout.canary,
            policy: rollout.policy.name.clone(),
            mode: rollout.policy.mode,
            phase: rollout.phase,
            decision: match rollout.phase {
                Phase::Pending | Phase::Step | Phase::Watching => Some("continue"),
                Phase::Paused => Some("pause"),
                Phase::Promoting | Phase::Promoted => Some("promote"),
                Phase::RollingBack | Phase::RolledBack => Some("rollback"),
                Phase::Leaving
                | Phase::Superseded
                | Phase::TakenOver
                | Phase::Observed
                | Phase::Failed
                | Phase::Kept => None,
            },
            cause,
            culprits: rollout.culprits.clone(),
            score: rollout.score,
            started: rfc3339(rollout.opened),
            finished: rollout.finished.map(rfc3339),
            text,
        }
    }
}

/// A moment as RFC 3339 has it, in UTC, to the millisecond. A moment beyond the year 9999 is its end.
pub(super) fn rfc3339(at: Time) -> String {
    let clamped = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    format!("{:.3}", Timestamp::from_millisecond(at.0).unwrap_or(clamped))
}
