//! What is done to samples before they are compared: missing ones, outliers.

use serde::{Deserialize, Serialize};

/// What becomes of missing samples (`NaN` or infinite).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They are dropped.
    Remove,
    /// They count as 0.
    Zero,
}

/// The finite samples in ascending order, missing ones treated as told, outliers dropped.
pub(super) fn clean(samples: &[f64], missing: Missing, outlier_factor: Option<f64>) -> Vec<f64> {
    let mut kept: Vec<f64> = match missing {
        Missing::Remove => samples.iter().copied().filter(|sample| sample.is_finite()).collect(),
        Missing::Zero => {
            samples.iter().map(|sample| if sample.is_finite() { *sample } else { 0.0 }).collect()
        }
    };
    if let Some(factor) = outlier_factor {
        let outliers = iqr_outliers(&kept, factor, true);
        let mut outlier = outliers.iter();
        kept.retain(|_| outlier.next() != Some(&true));
    }
    kept.sort_by(f64::total_cmp);
    kept
}

/// Which samples lie more than `factor` interquartile ranges outside the quartiles. With `reduce_sensitivity`, which
/// Kayenta's judge uses, samples within the 1st and 99th percentile are never outliers.
#[must_use]
pub fn iqr_outliers(samples: &[f64], factor: f64, reduce_sensitivity: bool) -> Vec<bool> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |percent: f64| percentile(&sorted, percent);
    let (Some(first), Some(third), Some(lowest), Some(highest)) = (at(25.0), at(75.0), at(1.0), at(99.0))
    else {
        return Vec::new();
    };
    let reach = factor * (third - first);
    let (mut low, mut high) = (first - reach, third + reach);
    if reduce_sensitivity {
        (low, high) = (low.min(lowest), high.max(highest));
    }
    samples.iter().map(|sample| *sample < low || *sample > high).collect()
}

/// Which samples lie more than `k` standard deviations (of the samples themselves) from the mean.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "an array has far fewer than 2^53 samples")]
pub fn k_sigma_outliers(samples: &[f64], k: f64) -> Vec<bool> {
    let mean = super::mean(samples);
    let variance =
        samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
    let reach = k * variance.sqrt();
    samples.iter().map(|sample| (sample - mean).abs() > reach).collect()
}

/// A percentile (0 to 100) of ascending samples, interpolated linearly between the two nearest (Hyndman and Fan 1996,
/// type 7). `None` without samples.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position between 0 and the length of an array"
)]
pub(super) fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = last as f64 * percent.clamp(0.0, 100.0) / 100.0;
    let below = position.floor();
    let low = *sorted.get(below as usize)?;
    let high = sorted.get(below as usize + 1).copied().unwrap_or(low);
    Some(low + (position - below) * (high - low))
}
