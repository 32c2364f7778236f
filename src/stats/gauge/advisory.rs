//! A gauge without a past.

use serde::{Deserialize, Serialize};

use super::history::tick_of;
use super::mixture::student;
use super::scale::{Scale, Worse};

/// Samples whose mean counts as one, so that autocorrelation matters less.
const BATCH: u32 = 12;

/// The running test of a gauge of whose noise nothing is known: a t-mixture e-process on means of twelve samples.
///
/// It believes that those means are independent, which autocorrelated gauges are not: with a correlation of 0.9
/// between ticks it is wrong in about 4 of 100 good canaries, with 0.99 in 32. So what it says is advice. It must
/// not roll back by itself, and its e-value must not enter a weighted mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdvisoryTest {
    scale: Scale,
    margin: f64,
    tick_seconds: f64,
    origin: Option<f64>,
    last: Option<i64>,
    /// Samples of the batch that is being filled, and their sum.
    filling: (u32, f64),
    batches: f64,
    sum: f64,
    squares: f64,
}

impl AdvisoryTest {
    /// A test of "the canary is worse by more than `margin`" on looks that are `tick_seconds` apart. Only positive
    /// values count.
    #[must_use]
    pub fn new(worse: Worse, margin: f64, tick_seconds: f64) -> Self {
        let scale = Scale::log(worse);
        let margin = if margin.is_finite() { margin.max(0.0) } else { 0.0 };
        Self {
            scale,
            margin: scale.effect_of(1.0 + margin),
            tick_seconds,
            origin: None,
            last: None,
            filling: (0, 0.0),
            batches: 0.0,
            sum: 0.0,
            squares: 0.0,
        }
    }

    /// Takes in the units' values of both arms at a time in seconds, and says whether they counted.
    pub fn look(&mut self, at: f64, canary: &[f64], baseline: &[f64]) -> bool {
        let (Some(canary), Some(baseline)) = (self.mean(canary), self.mean(baseline)) else { return false };
        let Some(tick) = tick_of(at, self.origin.unwrap_or(at), self.tick_seconds) else { return false };
        if self.last.is_some_and(|last| last >= tick) {
            return false;
        }
        self.origin.get_or_insert(at);
        self.last = Some(tick);
        self.filling.0 += 1;
        self.filling.1 += canary - baseline - self.margin;
        if self.filling.0 == BATCH {
            let mean = self.filling.1 / f64::from(BATCH);
            self.filling = (0, 0.0);
            self.batches += 1.0;
            self.sum += mean;
            self.squares += mean * mean;
        }
        true
    }

    /// Natural logarithm of the evidence that the canary is worse by more than the margin.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        student(self.batches, self.sum, self.squares)
    }

    /// The canary's value relative to the baseline's, on average over the full batches; nothing before the first.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (self.batches > 0.0).then(|| self.scale.ratio(self.sum / self.batches + self.margin))
    }

    #[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
    fn mean(&self, values: &[f64]) -> Option<f64> {
        let placed: Vec<f64> = values.iter().filter_map(|value| self.scale.place(*value)).collect();
        (!placed.is_empty()).then(|| placed.iter().sum::<f64>() / placed.len() as f64)
    }
}
