//! The Mann–Whitney test as a confidence interval of the shift between two arrays (Hodges and Lehmann 1963), by its
//! normal approximation with corrections for continuity and ties. What R's `wilcox.test(conf.int = TRUE)` does for
//! large samples.

use serde::{Deserialize, Serialize};

use super::Precision;
use super::brent::root;

/// How far the first array is shifted against the second; all finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Lower end of the interval.
    pub lower: f64,
    /// The Hodges–Lehmann estimate: the shift that makes the rank sum what it is on average.
    pub estimate: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// The shift of `x` against `y` and its interval, both arrays ascending and finite. `quantile` is that of the normal
/// distribution for one side of the interval. `None` where all samples tie (no spread to measure by).
pub(super) fn shift(x: &[f64], y: &[f64], quantile: f64, precision: Precision) -> Option<Shift> {
    // Powers of two scale without rounding; the largest sample ends below 1/4, so that no difference overflows.
    let largest = x.iter().chain(y).fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let scale = match precision {
        Precision::Scaled if largest > 0.0 => power_of_two_above(largest) * 4.0,
        _ => 1.0,
    };
    let scaled = |samples: &[f64]| samples.iter().map(|sample| sample / scale).collect::<Vec<_>>();
    let (x, y) = (scaled(x), scaled(y));
    let least = x.first()? - y.last()?;
    let most = x.last()? - y.first()?;
    let tolerance = match precision {
        Precision::Scaled => 1e-12 * (most - least),
        Precision::Exact => 1e-4,
    };
    let excess = |quantile: f64| {
        let (x, y) = (&x, &y);
        move |shift: f64| Some(statistic(x, y, shift)? - quantile)
    };
    let end = |quantile: f64| {
        let f = excess(quantile);
        if f(least)? <= 0.0 {
            Some(least)
        } else if f(most)? >= 0.0 {
            Some(most)
        } else {
            root(f, least, most, tolerance)
        }
    };
    let (lower, upper) = (end(quantile)?, end(-quantile)?);
    let estimate = root(excess(0.0), least, most, tolerance)?;
    // A difference beyond what a number can hold is still a difference.
    let unscaled = |value: f64| (value * scale).clamp(f64::MIN, f64::MAX);
    Some(Shift { lower: unscaled(lower), estimate: unscaled(estimate), upper: unscaled(upper) })
}

/// The standardised rank sum of `x` shifted down by `shift`, against `y`; both ascending. `None` where all samples
/// tie, or an array is empty.
#[expect(clippy::cast_precision_loss, reason = "an array has far fewer than 2^53 samples")]
pub(super) fn statistic(x: &[f64], y: &[f64], shift: f64) -> Option<f64> {
    let (m, n) = (x.len() as f64, y.len() as f64);
    let (rank_sum, ties) = rank(x, y, shift);
    let deviation = rank_sum - m * (m + 1.0) / 2.0 - m * n / 2.0;
    let continuity = if deviation == 0.0 { 0.0 } else { 0.5_f64.copysign(deviation) };
    let variance = m * n / 12.0 * (m + n + 1.0 - ties / ((m + n) * (m + n - 1.0)));
    (variance > 0.0 && !deviation.is_nan()).then(|| (deviation - continuity) / variance.sqrt())
}

/// The chance that a sample of `x` is above one of `y`, ties counting half (common language effect size, `McGraw`
/// and Wong 1992); both ascending.
#[expect(clippy::cast_precision_loss, reason = "an array has far fewer than 2^53 samples")]
pub(super) fn cles(x: &[f64], y: &[f64]) -> f64 {
    let (m, n) = (x.len() as f64, y.len() as f64);
    (2.0 * rank(x, y, 0.0).0 - m * (m + 1.0)) / (2.0 * m * n)
}

/// The sum of the ranks of `x` shifted down among both arrays, ties sharing their mean rank, and the sum of `t³ - t`
/// over groups of `t` ties. A merge of two ascending arrays.
#[expect(clippy::cast_precision_loss, reason = "an array has far fewer than 2^53 samples")]
fn rank(x: &[f64], y: &[f64], shift: f64) -> (f64, f64) {
    let shifted = |index: usize| x.get(index).map(|value| value - shift);
    let (mut next_x, mut next_y, mut rank_sum, mut ties) = (0, 0, 0.0, 0.0);
    loop {
        let value = match (shifted(next_x), y.get(next_y).copied()) {
            (Some(in_x), Some(in_y)) => in_x.min(in_y),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return (rank_sum, ties),
        };
        let (start_x, start_y) = (next_x, next_y);
        while shifted(next_x).is_some_and(|in_x| in_x <= value) {
            next_x += 1;
        }
        while y.get(next_y).is_some_and(|in_y| *in_y <= value) {
            next_y += 1;
        }
        if (start_x, start_y) == (next_x, next_y) {
            // Only a NaN is not at most itself.
            return (f64::NAN, 0.0);
        }
        let (from_x, from_y) = ((next_x - start_x) as f64, (next_y - start_y) as f64);
        let (before, size) = ((start_x + start_y) as f64, from_x + from_y);
        rank_sum += from_x * f64::midpoint(before + 1.0, before + size);
        ties += size * size * size - size;
    }
}

/// The smallest power of two above a positive number.
fn power_of_two_above(value: f64) -> f64 {
    let power = value.log2().floor().clamp(-1000.0, 1000.0) + 1.0;
    power.exp2()
}
