//! Judges as Spinnaker's Kayenta does (its `NetflixACAJudge-v1.0`), for those who migrate from it.
//!
//! A metric is judged from two arrays of samples, *control* (our baseline) and *experiment* (our canary), `NaN` where
//! one is missing. [`judge`] cleans them, compares them by a Mann–Whitney test turned into a confidence interval of
//! the shift, and gives a [`Label`]; [`score`] turns the labels of all metrics into a number from 0 to 100.
//!
//! This is a fixed-sample test that Kayenta repeats at every interval: its error is not controlled over a rollout,
//! and autocorrelated samples make it worse. The rest of [`crate::stats`] is what we recommend.
//!
//! # Where we differ
//!
//! * Kayenta's root finder stops within an *absolute* 1e-4 of the shift, so metrics of a magnitude near or below 1e-3
//!   are judged by its rounding: the interval may even come out upside down. By default ([`Precision::Scaled`]) the
//!   tolerance follows the data, and multiplying a metric by a constant changes no label. [`Precision::Exact`] keeps
//!   the fault.
//! * Two constant arrays get random noise in Kayenta. Ours get normal scores of the same size, so that the same data
//!   always give the same label.
//! * Infinite samples count as missing. Kayenta lets them through.

mod brent;
mod clean;
mod mann_whitney;
mod score;

#[cfg(test)]
mod tests;

pub use clean::{Missing, iqr_outliers, k_sigma_outliers};
pub use mann_whitney::Shift;
pub use score::{Band, GroupScore, Scored, Thresholds, score};

use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;

/// How a metric is judged. The default is Kayenta's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How the arrays are compared.
    pub method: Method,
    /// Which change matters.
    pub direction: Direction,
    /// What becomes of missing samples.
    pub missing: Missing,
    /// Samples further than this many interquartile ranges outside the quartiles (and outside the 1st and 99th
    /// percentile) are dropped; `None` keeps all. Kayenta's usual factor is 3.
    pub outlier_factor: Option<f64>,
    /// Whether a failure of this metric alone fails the canary.
    pub critical: bool,
    /// Whether a lack of samples is a failure of this metric rather than nothing.
    pub must_have_data: bool,
    /// How the size of the effect is measured.
    pub effect: Effect,
    /// A change smaller than this passes, however significant.
    pub allowed: Limits,
    /// A change of this size fails the canary if the metric is critical.
    pub critical_at: Limits,
    /// The interval must clear this share of the estimated shift; Kayenta's judge has 0.25.
    pub tolerance: f64,
    /// Confidence of the interval, between 0 and 1; Kayenta's judge has 0.98.
    pub confidence: f64,
    /// How exactly the interval is found.
    pub precision: Precision,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::MannWhitney,
            direction: Direction::Either,
            missing: Missing::Remove,
            outlier_factor: None,
            critical: false,
            must_have_data: false,
            effect: Effect::MeanRatio,
            allowed: Limits::NONE,
            critical_at: Limits::NONE,
            tolerance: 0.25,
            confidence: 0.98,
            precision: Precision::Scaled,
        }
    }
}

/// How the arrays are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By the confidence interval of the shift. What Kayenta's judge uses.
    MannWhitney,
    /// Any difference of the means counts. Kayenta has it too, for metrics that must not change at all.
    MeanInequality,
}

/// Which change matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Only more is bad.
    Increase,
    /// Only less is bad.
    Decrease,
    /// Any change is bad.
    Either,
}

/// How the size of the effect is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Mean of the experiment over mean of the control; unknown if either is 0.
    MeanRatio,
    /// The chance that a sample of the experiment is above one of the control (common language effect size), 0 to 1.
    CommonLanguage,
}

/// Effect sizes from which on a change counts, in the units of [`Effect`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// A decrease counts at or below this.
    pub decrease: f64,
    /// An increase counts at or above this.
    pub increase: f64,
}

impl Limits {
    /// Every change counts, measured as a ratio of means.
    pub const NONE: Self = Self { decrease: 1.0, increase: 1.0 };
}

/// How exactly the interval is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Relative to the data's spread: the scale of a metric does not matter.
    Scaled,
    /// As Kayenta: within 1e-4, whatever the metric's unit.
    Exact,
}

/// What a metric's samples say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// No change that matters.
    Pass,
    /// The experiment is higher.
    High,
    /// The experiment is lower.
    Low,
    /// An array was empty.
    NoData,
    /// An array was empty, and the metric must have data.
    NoDataFail,
    /// The samples cannot be compared, as one sample an arm.
    Error,
}

/// The judgement of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What the samples say.
    pub label: Label,
    /// Whether this label fails the canary by itself.
    pub critical: bool,
    /// Mean of the experiment over mean of the control; `None` if either is 0, or nothing could be computed.
    pub deviation: Option<f64>,
    /// The shift from control to experiment with its interval, where one was computed.
    pub shift: Option<Shift>,
}

impl Judgement {
    fn plain(label: Label) -> Self {
        Self { label, critical: false, deviation: Some(1.0), shift: None }
    }
}

/// Judges one metric.
#[must_use]
pub fn judge(control: &[f64], experiment: &[f64], settings: &Settings) -> Judgement {
    let control = clean::clean(control, settings.missing, settings.outlier_factor);
    let experiment = clean::clean(experiment, settings.missing, settings.outlier_factor);
    if control.is_empty() || experiment.is_empty() {
        return without_data(settings);
    }
    // Both are sorted, so equal arrays are equal element by element.
    let constant = |sorted: &[f64]| sorted.first() == sorted.last();
    let (both_constant, same_start) =
        (constant(&control) && constant(&experiment), control.first() == experiment.first());
    if control == experiment || (both_constant && same_start) {
        return Judgement::plain(Label::Pass);
    }
    match settings.method {
        Method::MeanInequality => by_means(&control, &experiment, settings),
        Method::MannWhitney if both_constant => {
            by_ranks(&spread_constant(&control), &spread_constant(&experiment), settings)
        }
        Method::MannWhitney => by_ranks(&control, &experiment, settings),
    }
}

fn without_data(settings: &Settings) -> Judgement {
    match settings.missing {
        Missing::Zero => Judgement::plain(Label::Pass),
        Missing::Remove if settings.must_have_data && !settings.critical => {
            Judgement::plain(Label::NoDataFail)
        }
        Missing::Remove => Judgement { critical: settings.critical, ..Judgement::plain(Label::NoData) },
    }
}

fn by_means(control: &[f64], experiment: &[f64], settings: &Settings) -> Judgement {
    let (control_mean, experiment_mean) = (mean(control), mean(experiment));
    let label = match settings.direction {
        Direction::Increase | Direction::Either if experiment_mean > control_mean => Label::High,
        Direction::Decrease | Direction::Either if experiment_mean < control_mean => Label::Low,
        _ => Label::Pass,
    };
    let critical = settings.critical && label != Label::Pass;
    Judgement { label, critical, deviation: mean_ratio(control, experiment), shift: None }
}

fn by_ranks(control: &[f64], experiment: &[f64], settings: &Settings) -> Judgement {
    let quantile = normal_quantile(f64::midpoint(1.0, settings.confidence));
    let Some(shift) = mann_whitney::shift(experiment, control, quantile, settings.precision) else {
        return Judgement { deviation: None, ..Judgement::plain(Label::Error) };
    };
    let deviation = mean_ratio(control, experiment);
    let effect = match settings.effect {
        Effect::MeanRatio => deviation,
        Effect::CommonLanguage => Some(mann_whitney::cles(experiment, control)),
    };
    // An effect that cannot be measured counts as beyond every limit, as in Kayenta.
    let at_least = |limit: f64| effect.is_none_or(|effect| effect >= limit);
    let at_most = |limit: f64| effect.is_none_or(|effect| effect <= limit);
    let bound = settings.tolerance * shift.estimate.abs();
    let upward = matches!(settings.direction, Direction::Increase | Direction::Either);
    let downward = matches!(settings.direction, Direction::Decrease | Direction::Either);
    let (label, beyond) = if upward && shift.lower > bound && at_least(settings.allowed.increase) {
        (Label::High, at_least(settings.critical_at.increase))
    } else if downward && shift.upper < -bound && at_most(settings.allowed.decrease) {
        (Label::Low, at_most(settings.critical_at.decrease))
    } else {
        (Label::Pass, false)
    };
    Judgement { label, critical: settings.critical && beyond, deviation, shift: Some(shift) }
}

/// Mean, without overflow for large samples. 0 for none.
#[expect(clippy::cast_precision_loss, reason = "an array has far fewer than 2^53 samples")]
fn mean(samples: &[f64]) -> f64 {
    let n = samples.len().max(1) as f64;
    let sum: f64 = samples.iter().sum();
    if sum.is_finite() { sum / n } else { samples.iter().map(|sample| sample / n).sum() }
}

/// Mean of the experiment over mean of the control; `None` if either is 0.
fn mean_ratio(control: &[f64], experiment: &[f64]) -> Option<f64> {
    let (control, experiment) = (mean(control), mean(experiment));
    (control != 0.0 && experiment != 0.0).then(|| experiment / control).filter(|ratio| ratio.is_finite())
}

/// The number below which a standard normal variable falls with this probability.
fn normal_quantile(probability: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability)
}

/// A constant array spread by normal scores, a hundred-thousandth of its value in size, where Kayenta adds random
/// noise of that size.
#[expect(clippy::cast_precision_loss, reason = "an array has far fewer than 2^53 samples")]
fn spread_constant(samples: &[f64]) -> Vec<f64> {
    let n = samples.len() as f64;
    let score = |rank: usize| normal_quantile((rank as f64 + 0.5) / n);
    samples.iter().enumerate().map(|(rank, value)| value + value.abs() * 1e-5 * score(rank)).collect()
}
