//! Values that are one of a few words, and what may follow from an outcome.

use schemars::{Schema, json_schema};

use super::value::{Misread, Scalar};
use crate::policy::nearest::nearest;
use crate::policy::{Autoscale, Capacity, Direction, GaugeForm, Mode, Reaction};
use crate::words::Span;

/// A value that is one of a few words.
pub(in crate::policy) trait Choice: Copy + 'static {
    /// The words with their meanings; the first is the default.
    const WORDS: &'static [(&'static str, Self, &'static str)];
}

impl<T: Choice> Scalar for T {
    fn read(text: &str) -> Result<Self, Misread> {
        if let Some((_, value, _)) = T::WORDS.iter().find(|(word, ..)| *word == text) {
            return Ok(*value);
        }
        let words: Vec<&str> = T::WORDS.iter().map(|(word, ..)| *word).collect();
        let help = match nearest(text, &words) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write {}", either(&words)),
        };
        Err(Misread::new(format!("`{text}` is not possible here"), help))
    }

    fn schema() -> Schema {
        let choices: Vec<_> = T::WORDS
            .iter()
            .map(|(word, _, meaning)| serde_json::json!({ "const": word, "description": meaning }))
            .collect();
        json_schema!({ "oneOf": choices })
    }
}

/// Words as a person lists them: `` `a`, `b` or `c` ``.
pub(in crate::policy) fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

impl Choice for Mode {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("act", Self::Act, "Move traffic, promote and roll back."),
        ("advise", Self::Advise, "Ask a person before every act that moves traffic."),
        ("observe", Self::Observe, "Judge, write down and notify; touch nothing."),
    ];
}

impl Choice for Capacity {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("surge", Self::Surge, "The baseline keeps all its units; canary units come on top."),
        ("shift", Self::Shift, "The sum stays about what it was: the baseline shrinks, never below half."),
    ];
}

impl Choice for Autoscale {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("refuse", Self::Refuse, "No rollout begins where there is an autoscaler."),
        (
            "suspend",
            Self::Suspend,
            "Autoscalers are removed for the rollout and made again at its end, whatever the end.",
        ),
        (
            "swap",
            Self::Swap,
            "Autoscalers stay in charge and are moved to the version that serves in the end; the canary keeps the units that the platform gives it.",
        ),
    ];
}

impl Choice for Direction {
    const WORDS: &'static [(&'static str, Self, &'static str)] =
        &[("up", Self::Up, "More is worse."), ("down", Self::Down, "Less is worse.")];
}

impl Choice for GaugeForm {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        (
            "strict",
            Self::Strict,
            "A canary truly less than the margin worse is rolled back within the budget.",
        ),
        (
            "loose",
            Self::Loose,
            "Finds leaks and small shifts; the budget covers a canary that is not worse at all.",
        ),
    ];
}

/// Declares the sets of reactions that the outcomes allow.
macro_rules! reactions {
    ($($(#[$doc:meta])* $name:ident: $($word:literal $reaction:ident $meaning:literal),+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(in crate::policy) struct $name(pub(in crate::policy) Reaction);

        impl Choice for $name {
            const WORDS: &'static [(&'static str, Self, &'static str)] =
                &[$(($word, Self(Reaction::$reaction), $meaning)),+];
        }

        impl From<$name> for Reaction {
            fn from(reaction: $name) -> Self {
                reaction.0
            }
        }
    )+};
}

reactions! {
    /// What may follow where going on is out of the question.
    Stop:
        "rollback" Rollback "Go back to the baseline.",
        "pause" Pause "Stop here and ask a person.";
    /// What may follow where nothing was shown.
    Undecided:
        "pause" Pause "Stop here and ask a person.",
        "rollback" Rollback "Go back to the baseline.",
        "promote" Promote "Go on as if it had been shown to be good.";
    /// What may follow from a split of the traffic that was not asked for.
    Split:
        "ignore" Ignore "Report it, and go on.",
        "pause" Pause "Stop here and ask a person.";
    /// What may follow when two versions have served side by side for long enough.
    End:
        "keep" Ignore "Leave both serving, unwatched.",
        "promote" Promote "Make the canary the only version.",
        "rollback" Rollback "Go back to the baseline.";
    /// What may follow from an alert.
    Alarm:
        "rollback" Rollback "Go back to the baseline.",
        "pause" Pause "Stop here and ask a person.",
        "ignore" Ignore "Report it, and go on.";
}

/// Wait, then do: `hold 5m then rollback`.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct HoldThen {
    pub(in crate::policy) hold: Span,
    pub(in crate::policy) then: Stop,
}

impl Scalar for HoldThen {
    fn read(text: &str) -> Result<Self, Misread> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["hold", hold, "then", then] => Ok(Self { hold: Span::read(hold)?, then: Stop::read(then)? }),
            ["hold", hold] => Err(Misread::new(
                "it is not said what follows the hold",
                format!("write `hold {hold} then pause` or `hold {hold} then rollback`"),
            )),
            [then] if Stop::read(then).is_ok() => Err(Misread::new(
                "it is not said how long to hold before",
                format!("one lost sample is no silence: write `hold 5m then {then}`"),
            )),
            _ => Err(Misread::new(
                format!("`{text}` is not understood"),
                "write it like `hold 5m then rollback` or `hold 5m then pause`",
            )),
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^hold +[0-9][0-9a-z]* +then +(rollback|pause)$",
            "examples": ["hold 5m then rollback", "hold 15m then pause"],
        })
    }
}
