//! What happens in a rollout, one fact at a time: the vocabulary of the journal.
//!
//! A rollout's state is the fold of its events. The enum is closed and its JSON is stored for ever, so a variant is
//! only ever added, and a field only with a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decide::Alarm;
use super::plan::{Plan, Routed, Step};
use super::traffic::{Autoscaler, Command, PlatformErrorKind};
use crate::judge::{Look, Verdict};
use crate::policy::Policy;
use crate::words::{AppName, Share, Span, Time, Version};

/// One fact in the life of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A new version was found beside the one that serves.
    Opened {
        /// The app.
        app: AppName,
        /// The version that serves.
        baseline: Version,
        /// The version that wants to replace it.
        canary: Version,
        /// The platform's id of the deploy that began it.
        trigger: String,
        /// When that deploy began, by the platform's clock.
        deployed: Time,
        /// The policy as it was at this time; later changes to the file do not touch this rollout.
        policy: Box<Policy>,
        /// What kind of deploy or order began it.
        #[serde(default)]
        kind: Kind,
    },
    /// The shares of the policy became whole units.
    Planned {
        /// The steps.
        plan: Plan,
        /// Serving units of the baseline before anything was moved.
        units: u32,
        /// Units of the baseline's other processes, likewise.
        #[serde(default)]
        others: BTreeMap<String, u32>,
        /// The autoscalers that will be removed for the rollout, as they are: they must be made again at its end.
        #[serde(default)]
        suspends: Vec<Autoscaler>,
    },
    /// The canary answered every smoke check at its own address.
    Smoked,
    /// A step began: its traffic is now wanted.
    StepBegan {
        /// Which, from 0.
        step: usize,
    },
    /// The step's traffic was seen in place; its bake begins.
    StepReached {
        /// Which, from 0.
        step: usize,
        /// The canary's share of serving units, as observed.
        share: Share,
    },
    /// What the baseline gave before the canary served: the noise is learnt from it.
    Learnt {
        /// What came.
        look: Look,
    },
    /// One evaluation: what came and what the judge says of it.
    Looked {
        /// What came.
        look: Look,
        /// What the judge says.
        verdict: Box<Verdict>,
        /// What went wrong while it was gathered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// Data is missing: the clock of the bake stands still.
    TroubleBegan {
        /// Which kind.
        trouble: Trouble,
        /// In words.
        why: String,
    },
    /// Data is back.
    TroubleEnded {
        /// How long it was missing.
        after: Span,
    },
    /// It stopped and waits for a person.
    Paused {
        /// Why, as a word.
        cause: PauseCause,
        /// Why, as a sentence.
        why: String,
    },
    /// It goes on.
    Resumed {
        /// By whom.
        by: String,
    },
    /// A person agreed to what it waits for.
    Approved {
        /// Who.
        by: String,
        /// The step that they agreed to leave, from 0.
        step: usize,
    },
    /// It goes back to the baseline.
    RollbackDecided {
        /// Why, as a sentence.
        why: String,
        /// The signals, checks or alerts that it rests on.
        culprits: Vec<String>,
        /// How it ends once it is back.
        ending: Ending,
    },
    /// The canary becomes the only version.
    PromotionDecided {
        /// Why, as a sentence.
        why: String,
    },
    /// The canary has everything, and the rollback stays armed for a while.
    WatchBegan,
    /// A person ended the watch before its time.
    WatchEnded {
        /// By whom.
        by: String,
    },
    /// Every unit was restarted by somebody's change: what the current step has baked counts no more.
    BakeRestarted {
        /// Why.
        why: String,
    },
    /// It ends without moving any more traffic, once what was taken away for it is given back.
    LeaveDecided {
        /// How it ends.
        ending: Ending,
        /// Why.
        why: String,
    },
    /// A command is about to be sent.
    CommandIssued {
        /// The number of the command in this rollout, from 1.
        number: u32,
        /// The command.
        command: Command,
        /// For commands that name a difference: how many units are expected afterwards.
        expected: Option<u32>,
    },
    /// The platform answered a command, or its answer was lost.
    CommandAnswered {
        /// The number of the command.
        number: u32,
        /// What came back.
        answer: Answer,
    },
    /// The platform was read and shows what was wanted, or cannot be brought there: the end.
    Finished {
        /// How.
        ending: Ending,
        /// Why, as a sentence.
        why: String,
    },
    /// What is wanted cannot be done safely: a person must look. Nothing else changes.
    PersonNeeded {
        /// Why.
        why: String,
    },
    /// The daemon was started again: how long it was away, nobody knows, as clocks are set. What was answered before may
    /// have been answered just now.
    Restarted,
    /// Others changed the number of units on the way back, which goes on: what they made is theirs to take away.
    Resized {
        /// What they did.
        what: String,
    },
    /// Something worth knowing that changes nothing.
    Noted {
        /// What.
        what: String,
    },
    /// An alert that concerns this rollout was heard. What follows from it is decided next.
    Alerted {
        /// The sender's identity of it.
        fingerprint: String,
        /// When it began to fire.
        starts: Time,
        /// What the policy makes of it; nothing: it cannot be the canary's doing.
        alarm: Option<Alarm>,
        /// In words.
        says: String,
    },
    /// An alert that was heard is over before anything followed from it.
    AlertEnded {
        /// The sender's identity of it.
        fingerprint: String,
        /// When it had begun to fire.
        starts: Time,
        /// In words.
        says: String,
    },
    /// What has been dealt with, and is no news after a restart.
    Heeded {
        /// What others did, by the platform's ids.
        acts: Vec<String>,
        /// How many of the alerts that were heard, the oldest first.
        alerts: usize,
        /// Whether any of those acts, or the try at it, may have made units go or come.
        #[serde(default)]
        disturbs: bool,
    },
}

/// What began a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A version was deployed beside the one that serves.
    #[default]
    Beside,
    /// A version was deployed in place of the one that served: the platform has moved everything by itself.
    InPlace,
    /// A person or an alert wants an earlier version back. It is the baseline; the canary is what serves.
    Return,
}

/// What a command led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It was done.
    Done,
    /// It was not, or nobody knows.
    Error {
        /// What it means.
        kind: PlatformErrorKind,
        /// What came back.
        message: String,
    },
}

/// What kind of data is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The canary is silent while the baseline speaks.
    NoData,
    /// Both arms are silent.
    SourceDown,
    /// The platform cannot be observed.
    PlatformDown,
}

/// Why a rollout waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// A person said so: nothing moves until a person says otherwise.
    Operator,
    /// The policy wants a person's agreement before the next step.
    Approval,
    /// The policy's mode is `advise`: the next act waits for agreement.
    Advice,
    /// The policy's mode is `advise`: the way back waits for agreement.
    RollbackAdvice,
    /// The policy's mode is `advise`, and a newer version was deployed: to take the canary back for it waits for agreement.
    SupersededAdvice,
    /// Neither harm nor safety was shown in the longest bake.
    Inconclusive,
    /// Data was missing for longer than the policy allows.
    NoData,
    /// Evidence of harm, a failed check or an alert, and the policy says to pause.
    Fail,
    /// The platform refuses what is wanted.
    Platform,
    /// The traffic is not split as planned.
    WrongSplit,
}

/// How a rollout ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The canary serves alone.
    Promoted,
    /// The baseline serves alone.
    RolledBack,
    /// A newer deploy took its place.
    Superseded,
    /// Somebody changed the app; they know better.
    TakenOver,
    /// It was only to observe; the reason says what it would have done.
    Observed,
    /// It could not be carried out.
    Failed,
    /// Both versions were left serving.
    Kept,
}

impl Event {
    /// The event's name as it is stored.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Planned { .. } => "planned",
            Self::Smoked => "smoked",
            Self::StepBegan { .. } => "step_began",
            Self::StepReached { .. } => "step_reached",
            Self::Learnt { .. } => "learnt",
            Self::Looked { .. } => "looked",
            Self::TroubleBegan { .. } => "trouble_began",
            Self::TroubleEnded { .. } => "trouble_ended",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Approved { .. } => "approved",
            Self::RollbackDecided { .. } => "rollback_decided",
            Self::PromotionDecided { .. } => "promotion_decided",
            Self::WatchBegan => "watch_began",
            Self::WatchEnded { .. } => "watch_ended",
            Self::BakeRestarted { .. } => "bake_restarted",
            Self::LeaveDecided { .. } => "leave_decided",
            Self::CommandIssued { .. } => "command_issued",
            Self::CommandAnswered { .. } => "command_answered",
            Self::Finished { .. } => "finished",
            Self::PersonNeeded { .. } => "person_needed",
            Self::Restarted => "restarted",
            Self::Resized { .. } => "resized",
            Self::Noted { .. } => "noted",
            Self::Alerted { .. } => "alerted",
            Self::AlertEnded { .. } => "alert_ended",
            Self::Heeded { .. } => "heeded",
        }
    }

    /// The event as a sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Opened { app, baseline, canary, policy, kind, .. } => {
                let name = &policy.name;
                match kind {
                    Kind::Beside => {
                        format!("{canary} of `{app}` was deployed beside {baseline}; policy `{name}`")
                    }
                    Kind::InPlace => {
                        format!("{canary} of `{app}` was deployed in place of {baseline}; policy `{name}`")
                    }
                    Kind::Return => format!("{baseline} of `{app}` is wanted back in place of {canary}"),
                }
            }
            Self::Planned { plan, units, suspends, .. } => planned(plan, *units, suspends),
            Self::Smoked => "the canary answers every smoke check at its own address".to_owned(),
            Self::StepBegan { step } => format!("step {} begins", step + 1),
            Self::StepReached { step, share } if share.get() <= 0.0 => {
                format!("step {}: the canary's units are ready, and no user is sent to them yet", step + 1)
            }
            Self::StepReached { step, share } => {
                format!("step {}: the canary serves {share} of the units", step + 1)
            }
            Self::Learnt { .. } => "watched the baseline to learn how noisy it is".to_owned(),
            Self::Looked { verdict, .. } => verdict.why.clone(),
            Self::TroubleBegan { why, .. } => format!("holds: {why}"),
            Self::TroubleEnded { after } => format!("data is back after {}", after.rounded()),
            Self::Paused { why, .. } => format!("paused: {why}"),
            Self::Resumed { by } => format!("resumed by {by}"),
            Self::Approved { by, step } => format!("{by} approved leaving step {}", step + 1),
            Self::RollbackDecided { why, .. } => format!("roll back: {why}"),
            Self::PromotionDecided { why } => format!("promote: {why}"),
            Self::WatchBegan => {
                "the canary has everything; it is watched on, and the way back stays open".to_owned()
            }
            Self::WatchEnded { by } => format!("{by} ended the watch"),
            Self::BakeRestarted { why } => format!("{why}; the bake begins anew"),
            Self::LeaveDecided { ending, why } => format!("{ending}, once everything is given back: {why}"),
            Self::CommandIssued { number, command, .. } => format!("command {number}: {command}"),
            Self::CommandAnswered { number, answer: Answer::Done } => format!("command {number}: done"),
            Self::CommandAnswered { number, answer: Answer::Error { message, .. } } => {
                format!("command {number}: {message}")
            }
            Self::Finished { ending, why } => format!("{ending}: {why}"),
            Self::PersonNeeded { why } => format!("a person is needed: {why}"),
            Self::Restarted => "the daemon was started again".to_owned(),
            Self::Resized { what } => format!("{what}; the way back goes on"),
            Self::Noted { what } => what.clone(),
            Self::Alerted { says, .. } | Self::AlertEnded { says, .. } => says.clone(),
            Self::Heeded { .. } => "dealt with what others did and what was heard".to_owned(),
        }
    }
}

fn planned(plan: &Plan, units: u32, suspends: &[Autoscaler]) -> String {
    let step = |s: &Step| match s.routed {
        Routed::Baseline => format!("{} units stand ready", s.canary),
        Routed::Both => format!("{} ({} of {})", s.share, s.canary, s.canary.saturating_add(s.baseline)),
        Routed::Canary => format!("{} with {} units kept warm", s.share, s.baseline),
    };
    let steps: Vec<String> = plan.steps.iter().map(step).collect();
    let serving = if units == 1 { "1 serving unit".to_owned() } else { format!("{units} serving units") };
    let mut text = format!("{serving}; steps {}", steps.join(", "));
    if plan.steps.is_empty() {
        text = format!("{serving}; nothing to move");
    }
    let suspended =
        suspends.iter().map(|a| format!("the autoscaler of `{}` is removed until the end", a.process));
    for part in suspended.chain(plan.adjusted.iter().cloned()) {
        text.push_str("; ");
        text.push_str(&part);
    }
    text
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back",
            Self::Superseded => "superseded",
            Self::TakenOver => "taken over",
            Self::Observed => "observed",
            Self::Failed => "failed",
            Self::Kept => "both versions kept",
        })
    }
}

/// An event with its time, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When it was decided or seen.
    pub at: Time,
    /// What.
    pub event: Event,
}
