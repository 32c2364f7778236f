//! Judges as Kayenta does, where the policy asks for it (`judge: kayenta`).
//!
//! Each look gives each signal one value of each version ([`Series`]); every `judge_every`, counted from the beginning of a
//! step, the values so far are judged by [`stats::kayenta`](crate::stats::kayenta) and make a score. A score below
//! `marginal` is harm, at once and for good. A score of `pass` or more, given in this step, is safety; what lies between
//! is neither.
//!
//! This keeps no budget: each judgement is a test of its own, whose error adds to those of the others, and values that
//! depend on their neighbours make it worse. Every verdict says so.
//!
//! # Where we differ
//!
//! * A lack of data never fails a canary. In the score's lower end it counts as in Kayenta (a score of 0 where half of
//!   the signals have none); in the upper end, which decides on harm, as passed. What a silence leads to is decided as
//!   with any other judge.
//! * What cannot be compared ([`Label::Error`]) is undecided in the same way; Kayenta leaves it out, so that it passes.
//! * At most [`KAYENTA_SAMPLES`](crate::policy::KAYENTA_SAMPLES) looks count, the newest.

mod series;
mod tell;

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::unnecessary_wraps,
    reason = "scores are compared that must be the same to the bit, and readings as looks hold them"
)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::combine::Sum;
use super::watch::Watch;
use crate::policy::Policy;
use crate::stats::kayenta::{Band, Judgement, Label, Scored, Thresholds, score};
pub(super) use series::Series;
pub(super) use tell::{signal, together};

/// All signals' judgement together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Panel {
    thresholds: Thresholds,
    /// In percent, by group.
    weights: BTreeMap<String, f64>,
    /// Seconds between judgements.
    every: f64,
    /// Seconds that a judgement may come early by, so that looks that are not quite on time do not put it off.
    slack: f64,
    /// When the step began, or the last judgement in it was.
    since: Option<f64>,
    /// The last score: what is undecided counted as failed, and as passed.
    score: Option<[f64; 2]>,
    /// Whether it was given in this step.
    fresh: bool,
}

impl Panel {
    /// A panel that has judged nothing, where the policy asks for one.
    pub(super) fn of(policy: &Policy) -> Option<Self> {
        let terms = policy.judge.kayenta()?;
        Some(Self {
            thresholds: terms.thresholds,
            weights: terms.group_weights.clone(),
            every: terms.judge_every.as_seconds(),
            slack: policy.look_every.as_seconds() / 2.0,
            since: None,
            score: None,
            fresh: false,
        })
    }

    /// A step begins. The values so far go on counting; the judgement that ends it must come from it.
    pub(super) fn enter(&mut self) {
        (self.since, self.fresh) = (None, false);
    }

    /// Judges if it is time and the look gave values: silence changes nothing. True: there is harm.
    pub(super) fn look(&mut self, at: f64, watches: &mut [Watch]) -> bool {
        let since = *self.since.get_or_insert(at);
        let mut all: Vec<_> = watches.iter_mut().filter_map(|watch| watch.evidence.series_mut()).collect();
        if at - since < self.every - self.slack || !all.iter().any(|series| series.has_news(at)) {
            return false;
        }
        for series in &mut all {
            series.judge();
        }
        let counted: Vec<Scored> = all
            .iter()
            .filter(|series| !series.is_muted())
            .filter_map(|series| {
                Some(Scored { judgement: series.judgement()?, groups: series.groups().to_vec() })
            })
            .collect();
        let with = |instead: fn(Label) -> Label| {
            let told = |scored: &Scored| Scored {
                judgement: Judgement { label: instead(scored.judgement.label), ..scored.judgement },
                groups: scored.groups.clone(),
            };
            score(&counted.iter().map(told).collect::<Vec<_>>(), &self.weights).0.clamp(0.0, 100.0)
        };
        let low = with(|label| if label == Label::Error { Label::NoDataFail } else { label });
        let high = with(|label| match label {
            Label::NoData | Label::NoDataFail | Label::Error => Label::Pass,
            label => label,
        });
        self.score = Some([low.min(high), high]);
        (self.since, self.fresh) = (Some(at), true);
        self.thresholds.band(high) == Band::Fail
    }

    /// The signals that a failure rests on: critical ones first, then in the policy's order.
    pub(super) fn culprits(watches: &[Watch]) -> Vec<String> {
        let failed = |watch: &&Watch| {
            watch.evidence.series().is_some_and(|series| !series.is_muted() && series.fails().is_some())
        };
        let is_critical = |watch: &&Watch| {
            watch.evidence.series().and_then(Series::fails).is_some_and(|judgement| judgement.critical)
        };
        let (critical, others): (Vec<&Watch>, Vec<&Watch>) =
            watches.iter().filter(failed).partition(|watch| is_critical(watch));
        critical.into_iter().chain(others).map(|watch| watch.name.clone()).collect()
    }

    /// Whether the last judgement is from this step and passes.
    pub(super) fn passes(&self) -> bool {
        let passes = |[low, _]: [f64; 2]| self.thresholds.band(low) == Band::Pass;
        self.fresh && self.score.is_some_and(passes)
    }

    /// What all signals amount to: a score, and no evidence.
    pub(super) fn sum(&self, harm: bool) -> Sum {
        Sum { log_e: 0.0, harm, jointly: false, score: self.score.unwrap_or([0.0, 100.0]) }
    }
}
