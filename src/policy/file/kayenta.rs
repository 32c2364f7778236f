//! The keys of `judge: kayenta`: for the whole policy, and for each signal.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;

use super::MOST_NAMES;
use super::choice::Choice;
use super::scalar::{Name, number};
use super::value::{Field, Given, List, Misread, Scalar};
use crate::stats::kayenta::{Direction, Effect, Missing};
use crate::words::{Share, Span};

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Judge {
    Sequential,
    Kayenta,
}

impl Choice for Judge {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("sequential", Self::Sequential, "Sequential tests, which keep the budgets however often they look."),
        ("kayenta", Self::Kayenta, "As Spinnaker's Kayenta, for those who migrate; it keeps no budget."),
    ];
}

/// How Kayenta's judge is asked. Only with `judge: kayenta`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Kayenta {
    /// From this score on, of 0 to 100, a canary passes. Default: `95`.
    #[serde(default)]
    #[schemars(extend("default" = 95))]
    pub(in crate::policy) pass: Given<Field<Score>>,
    /// Below this score it fails at once. Default: `75`.
    #[serde(default)]
    #[schemars(extend("default" = 75))]
    pub(in crate::policy) marginal: Given<Field<Score>>,
    /// What groups of signals weigh in the score. Groups that are not listed share what is left to 100%.
    #[serde(default)]
    #[schemars(extend("examples" = [{"errors": "60%", "latency": "40%"}]))]
    pub(in crate::policy) group_weights: BTreeMap<String, Field<Share>>,
    /// The time between two judgements, counted from the beginning of a step. Default: `5m`, or the shortest bake if
    /// that is shorter.
    #[serde(default)]
    #[schemars(extend("default" = "5m"))]
    pub(in crate::policy) judge_every: Given<Field<Span>>,
    /// How far back samples count. Default: to the beginning of the rollout, at most 1,440 looks.
    #[serde(default)]
    #[schemars(extend("examples" = ["1h"]))]
    pub(in crate::policy) lookback: Given<Field<Span>>,
    /// Whether intervals are found as roughly as Kayenta finds them, within 0.0001 whatever a signal's unit, so that
    /// signals below about 0.001 are misjudged. Default: `false`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::policy) exact: Given<Field<bool>>,
}

/// How Kayenta's judge treats one signal. Only with `judge: kayenta`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Metric {
    /// Which change fails. Default: the one for the worse: `increase`, or `decrease` for a gauge with `worse: down`.
    #[serde(default)]
    pub(in crate::policy) direction: Given<Field<Direction>>,
    /// What becomes of looks without a value. Default: `remove`.
    #[serde(default)]
    pub(in crate::policy) nan_strategy: Given<Field<Missing>>,
    /// What becomes of values far outside of the rest. Default: `keep`.
    #[serde(default)]
    pub(in crate::policy) outliers: Given<Field<Outliers>>,
    /// With `outliers: remove`: how many interquartile ranges outside of the quartiles is too far. Default: `3`.
    #[serde(default)]
    #[schemars(extend("default" = 3))]
    pub(in crate::policy) outlier_factor: Given<Field<Factor>>,
    /// How the size of a change is measured. Default: `mean_ratio`.
    #[serde(default)]
    pub(in crate::policy) effect_size: Given<Field<Effect>>,
    /// Increases smaller than this pass. Default: `1`, for `cles` `0.5`: none does.
    #[serde(default)]
    #[schemars(extend("examples" = [1.1]))]
    pub(in crate::policy) allowed_increase: Given<Field<Size>>,
    /// Decreases smaller than this pass. Default: `1`, for `cles` `0.5`: none does.
    #[serde(default)]
    #[schemars(extend("examples" = [0.9]))]
    pub(in crate::policy) allowed_decrease: Given<Field<Size>>,
    /// With `critical: true`: increases from this size on fail alone. Default: all that fail.
    #[serde(default)]
    #[schemars(extend("examples" = [1.5]))]
    pub(in crate::policy) critical_increase: Given<Field<Size>>,
    /// With `critical: true`: decreases from this size on fail alone. Default: all that fail.
    #[serde(default)]
    #[schemars(extend("examples" = [0.5]))]
    pub(in crate::policy) critical_decrease: Given<Field<Size>>,
    /// Whether a step may only be done when this signal has data. Default: `true`; Kayenta's own is `false`.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub(in crate::policy) must_have_data: Given<Field<bool>>,
    /// Whether it is judged and shown, but does not count. Default: `false`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::policy) muted: Given<Field<bool>>,
    /// The groups in whose scores it counts. Default: `[all]`.
    #[serde(default)]
    #[schemars(length(max = MOST_NAMES))]
    pub(in crate::policy) groups: List<Field<Name>>,
    /// For `latency` without `over`: the quantile that is compared. Default: `95%`.
    #[serde(default)]
    #[schemars(extend("default" = "95%"))]
    pub(in crate::policy) quantile: Given<Field<Share>>,
}

impl Choice for Direction {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("increase", Self::Increase, "Only an increase fails."),
        ("decrease", Self::Decrease, "Only a decrease fails."),
        ("either", Self::Either, "Any change fails. Kayenta's own default."),
    ];
}

impl Choice for Missing {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("remove", Self::Remove, "They are left out."),
        ("replace", Self::Zero, "They count as 0; a version without any value then passes."),
    ];
}

impl Choice for Effect {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("mean_ratio", Self::MeanRatio, "The canary's mean over the baseline's."),
        (
            "cles",
            Self::CommonLanguage,
            "The chance that a value of the canary is above one of the baseline (common language effect size).",
        ),
    ];
}

/// What becomes of values far outside of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Outliers {
    Keep,
    Remove,
}

impl Choice for Outliers {
    const WORDS: &'static [(&'static str, Self, &'static str)] =
        &[("keep", Self::Keep, "They count."), ("remove", Self::Remove, "They are left out.")];
}

/// A score from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::policy) struct Score(pub(in crate::policy) f64);

impl Scalar for Score {
    fn read(text: &str) -> Result<Self, Misread> {
        number(text, 0.0..=100.0, "a score").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 100 })
    }
}

/// Interquartile ranges.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Factor(pub(in crate::policy) f64);

impl Scalar for Factor {
    fn read(text: &str) -> Result<Self, Misread> {
        number(text, 0.1..=100.0, "a number").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0.1, "maximum": 100 })
    }
}

/// The size of an effect as Kayenta has it: a ratio of means, or a chance.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Size(pub(in crate::policy) f64);

impl Scalar for Size {
    fn read(text: &str) -> Result<Self, Misread> {
        if text.ends_with('%') {
            return Err(Misread::new(
                format!("`{text}` is a percentage"),
                "write the canary's part of the baseline's, as Kayenta has it: `1.1` is 10% more, `0.9` 10% less",
            ));
        }
        number(text, 0.0..=1000.0, "a number").map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1000 })
    }
}
