//! One signal's values, one of each version a look, and what Kayenta's judge says of them.
//!
//! | signal | value of a look |
//! | --- | --- |
//! | ratio | bad events over all events |
//! | rate | events over unit-seconds |
//! | latency with `over` | the share of requests slower than the bucket bound at `over`, or the next one above it |
//! | latency | a quantile, interpolated within its bucket as Prometheus' `histogram_quantile` does |
//! | gauge | the mean over units |
//!
//! A version without requests, or without units, has no value at that look.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::judge::gauge;
use crate::judge::histogram::{self, Buckets, common};
use crate::judge::look::Reading;
use crate::judge::refusal::{Problem, count};
use crate::policy::{KAYENTA_SAMPLES, Kayenta, Measure, Signal};
use crate::stats::kayenta::{Judgement, Label, Settings, judge};
use crate::words::Arms;

/// What one look gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Ratio,
    Rate,
    /// The share of requests slower than this, in seconds.
    Slower(f64),
    /// This quantile.
    Quantile(f64),
    Mean,
}

/// The values of one look; nothing where there was none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sample {
    at: f64,
    baseline: Option<f64>,
    canary: Option<f64>,
}

/// The state of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::judge) struct Series {
    value: Value,
    settings: Settings,
    groups: Vec<String>,
    muted: bool,
    /// How far back samples count, in seconds.
    lookback: Option<f64>,
    /// The newest, at most [`KAYENTA_SAMPLES`].
    samples: VecDeque<Sample>,
    /// The bounds at which histograms are read: those of the first look in which both versions had some in common.
    bounds: Vec<f64>,
    /// Both versions were seen, but their histograms have no bound in common.
    incomparable: bool,
    /// Canary events, canary total, baseline events, baseline total.
    seen: [f64; 4],
    /// What was judged last.
    judged: Option<Judged>,
    frozen: bool,
}

/// A judgement and how many values of each version it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    pub(super) values: Arms<usize>,
}

impl Series {
    /// Nothing seen yet; nothing at all of a signal that these terms do not know.
    pub(in crate::judge) fn new(signal: &Signal, terms: &Kayenta) -> Option<Self> {
        let metric = terms.signals.get(&signal.name)?;
        let value = match &signal.measure {
            Measure::Ratio { .. } => Value::Ratio,
            Measure::Rate { .. } => Value::Rate,
            Measure::Latency { over: Some(over), .. } => Value::Slower(*over),
            Measure::Latency { over: None, .. } => Value::Quantile(metric.quantile),
            Measure::Gauge { .. } => Value::Mean,
        };
        Some(Self {
            value,
            settings: metric.settings,
            groups: metric.groups.clone(),
            muted: metric.muted,
            lookback: terms.lookback.map(crate::words::Span::as_seconds),
            samples: VecDeque::new(),
            bounds: Vec::new(),
            incomparable: false,
            seen: [0.0; 4],
            judged: None,
            frozen: false,
        })
    }

    pub(in crate::judge) fn check(&self, reading: &Reading) -> Result<(), Problem> {
        match self.value {
            Value::Slower(_) | Value::Quantile(_) => histogram::check(reading),
            Value::Mean => gauge::check(reading),
            Value::Ratio | Value::Rate => {
                let Reading::Counts { events, total } = reading else {
                    return Err(Problem::Kind { needs: "`events` and `total`".to_owned() });
                };
                if count("`events`", *events)? > count("`total`", *total)? && self.value == Value::Ratio {
                    return Err(Problem::Above { events: *events, total: *total });
                }
                Ok(())
            }
        }
    }

    /// Takes readings that were checked.
    pub(in crate::judge) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        if self.frozen || (arms.baseline.is_none() && arms.canary.is_none()) {
            return;
        }
        self.fix_bounds(arms);
        let sample = Sample { at, baseline: self.value(arms.baseline), canary: self.value(arms.canary) };
        if self.incomparable || (sample.baseline.is_none() && sample.canary.is_none()) {
            return;
        }
        self.sum(arms);
        self.samples.push_back(sample);
        let too_old = |sample: &Sample| self.lookback.is_some_and(|back| at - sample.at > back);
        while self.samples.len() > KAYENTA_SAMPLES || self.samples.front().is_some_and(too_old) {
            self.samples.pop_front();
        }
    }

    pub(in crate::judge) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Fixes the bounds at which histograms are read, so that both versions are read alike at all looks.
    fn fix_bounds(&mut self, arms: Arms<Option<&Reading>>) {
        let reads_histograms = matches!(self.value, Value::Slower(_) | Value::Quantile(_));
        if !reads_histograms || !self.bounds.is_empty() {
            return;
        }
        let both = Arms { baseline: Buckets::new(arms.baseline), canary: Buckets::new(arms.canary) };
        if both.baseline.total() > 0.0 && both.canary.total() > 0.0 {
            let bounds = common(&both);
            self.incomparable = bounds.is_empty();
            self.bounds = match self.value {
                Value::Slower(over) => {
                    let reaches = |bound: &f64| *bound >= over * (1.0 - 1e-9);
                    bounds.iter().copied().find(reaches).or(bounds.last().copied()).into_iter().collect()
                }
                _ => bounds,
            };
        }
    }

    /// What a reading is worth.
    fn value(&self, reading: Option<&Reading>) -> Option<f64> {
        let value = match (self.value, reading?) {
            (Value::Ratio | Value::Rate, Reading::Counts { events, total }) => {
                (*total > 0.0).then(|| events / total)
            }
            (Value::Slower(_), reading @ Reading::Histogram { .. }) => {
                let slow = Buckets::new(Some(reading)).slower_than(*self.bounds.first()?)?;
                (slow.exposure() > 0.0).then(|| slow.events() / slow.exposure())
            }
            (Value::Quantile(quantile), reading @ Reading::Histogram { .. }) => {
                Buckets::new(Some(reading)).quantile(&self.bounds, quantile)
            }
            (Value::Mean, Reading::Values(values)) => mean(values),
            _ => None,
        };
        value.filter(|value| value.is_finite())
    }

    fn sum(&mut self, arms: Arms<Option<&Reading>>) {
        let counted = |reading: Option<&Reading>| match (self.value, reading) {
            (Value::Ratio | Value::Rate, Some(Reading::Counts { events, total })) => [*events, *total],
            (Value::Slower(_), Some(reading)) => {
                let bound = self.bounds.first().copied();
                let slow = bound.and_then(|bound| Buckets::new(Some(reading)).slower_than(bound));
                slow.map_or([0.0; 2], |slow| [slow.events(), slow.exposure()])
            }
            _ => [0.0; 2],
        };
        let ([canary, canary_total], [baseline, baseline_total]) =
            (counted(arms.canary), counted(arms.baseline));
        for (seen, more) in self.seen.iter_mut().zip([canary, canary_total, baseline, baseline_total]) {
            *seen += more;
        }
    }

    /// Judges the samples so far.
    pub(super) fn judge(&mut self) {
        let of = |arm: fn(&Sample) -> Option<f64>| -> Vec<f64> {
            self.samples.iter().map(|sample| arm(sample).unwrap_or(f64::NAN)).collect()
        };
        let (control, experiment) = (of(|sample| sample.baseline), of(|sample| sample.canary));
        let judgement = judge(&control, &experiment, &self.settings);
        let known = |values: &[f64]| values.iter().filter(|value| value.is_finite()).count();
        let values = Arms { baseline: known(&control), canary: known(&experiment) };
        self.judged = Some(Judged { judgement, values });
    }

    /// Whether the look at this time gave values.
    pub(super) fn has_news(&self, at: f64) -> bool {
        self.samples.back().is_some_and(|sample| sample.at >= at)
    }

    pub(super) fn is_muted(&self) -> bool {
        self.muted
    }

    pub(super) fn groups(&self) -> &[String] {
        &self.groups
    }

    pub(super) fn judgement(&self) -> Option<Judgement> {
        self.judged.map(|judged| judged.judgement)
    }

    pub(super) fn judged(&self) -> Option<Judged> {
        self.judged
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn is_incomparable(&self) -> bool {
        self.incomparable
    }

    /// How many looks are kept.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The judgement, if it is a failure.
    pub(super) fn fails(&self) -> Option<Judgement> {
        self.judgement().filter(|judgement| matches!(judgement.label, Label::High | Label::Low))
    }

    /// Whether it was judged to have changed in no way that matters.
    pub(in crate::judge) fn passes(&self) -> bool {
        self.judgement().is_some_and(|judgement| judgement.label == Label::Pass)
    }

    /// Whether it fails, or did when it was judged last.
    pub(in crate::judge) fn is_failing(&self) -> bool {
        self.fails().is_some()
    }

    /// The canary's mean over the baseline's.
    pub(in crate::judge) fn effect(&self) -> [Option<f64>; 3] {
        [None, self.judgement().and_then(|judgement| judgement.deviation), None]
    }

    pub(in crate::judge) fn seen(&self) -> [f64; 4] {
        self.seen
    }

    /// How its values are told: times what, in which unit.
    pub(super) fn scale(&self) -> (f64, &'static str) {
        match self.value {
            Value::Ratio | Value::Slower(_) => (100.0, " percentage points"),
            Value::Quantile(_) => (1000.0, " ms"),
            Value::Rate => (1.0, " a second and unit"),
            Value::Mean => (1.0, ""),
        }
    }

    /// Whether readings tell of requests.
    pub(in crate::judge) fn counts_requests(&self) -> bool {
        matches!(self.value, Value::Ratio | Value::Slower(_) | Value::Quantile(_))
    }
}

/// The mean, without overflow; nothing of nothing.
#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mean = if sum.is_finite() { sum / n } else { values.iter().map(|value| value / n).sum() };
    (n > 0.0).then_some(mean)
}
