//! Normal scores: values of a gauge that is bursty, switches or has several modes, replaced by where they stand in
//! its history.

use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;

/// A monotone map from scaled values to normal scores, linear between the values that the history had and constant
/// outside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RankMap {
    /// Ascending and distinct.
    values: Vec<f64>,
    scores: Vec<f64>,
}

/// Knots that are kept, at most; a history of more distinct values is thinned evenly by rank.
const MOST_KNOTS: usize = 512;

impl RankMap {
    /// The map of a history, `NaN` left out. A value's score is the normal quantile of its mean rank.
    #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
    pub(super) fn of(history: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = history.filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let (mut values, mut scores, mut before) = (Vec::new(), Vec::new(), 0);
        #[expect(clippy::float_cmp, reason = "ties are values that are the very same")]
        for ties in sorted.chunk_by(|a, b| a == b) {
            let middle = f64::midpoint(before as f64, (before + ties.len()) as f64 + 1.0);
            values.push(ties[0]);
            scores.push(quantile(middle / (sorted.len() as f64 + 1.0)));
            before += ties.len();
        }
        if values.len() > MOST_KNOTS {
            let last = values.len() - 1;
            let kept = |knot: usize| knot * last / (MOST_KNOTS - 1);
            values = (0..MOST_KNOTS).map(|knot| values[kept(knot)]).collect();
            scores = (0..MOST_KNOTS).map(|knot| scores[kept(knot)]).collect();
        }
        Self { values, scores }
    }

    /// The score of a value; `NaN` stays `NaN`.
    pub(super) fn score(&self, value: f64) -> f64 {
        let (Some(lowest), Some(highest)) = (self.scores.first(), self.scores.last()) else {
            return f64::NAN;
        };
        let above = self.values.partition_point(|knot| *knot <= value);
        if value.is_nan() {
            f64::NAN
        } else if above == 0 {
            *lowest
        } else if above == self.values.len() {
            *highest
        } else {
            let (left, right) = (self.values[above - 1], self.values[above]);
            let (low, high) = (self.scores[above - 1], self.scores[above]);
            low + (high - low) / (right - left) * (value - left)
        }
    }
}

/// The number below which a standard normal variable falls with this probability.
fn quantile(probability: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability)
}
