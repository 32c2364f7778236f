//! How much noisier a ratio is than independent errors would make it.

use super::count::ArmCount;

/// The dispersion to assume where the history is too short to measure it.
pub const UNKNOWN_DISPERSION: f64 = 1.5;
/// Below this, measured dispersion counts as none.
pub(super) const DEADBAND: f64 = 1.2;
/// So many pairs of neighbouring looks it takes to measure the dispersion.
pub(super) const MIN_PAIRS: u32 = 20;
/// So many events it takes besides: fewer that came one by one say little of whether others will come in clusters.
pub const MIN_EVENTS: f64 = 20.0;

/// The over-dispersion of one arm's event ratio over its past looks, oldest first: the mean squared difference of
/// neighbouring ratios over what independent events would give. 1 within the deadband;
/// [`UNKNOWN_DISPERSION`] with fewer than 20 pairs. Differences of neighbours leave slow movement out of it.
#[must_use]
pub fn hist_phi(looks: &[ArmCount]) -> f64 {
    measured(looks, |p| p * (1.0 - p)).map_or(UNKNOWN_DISPERSION, |measured| measured.dispersion)
}

/// A dispersion that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// See [`hist_phi`].
    pub(super) dispersion: f64,
    /// Its standard error: of clusters that now and then are very large, few looks tell little. 0 within the deadband.
    pub(super) error: f64,
}

/// As [`hist_phi`], where an independent event's variance at ratio p is `variance`; nothing if the history is too short.
pub(super) fn measured(looks: &[ArmCount], variance: impl Fn(f64) -> f64) -> Option<Measured> {
    let events: f64 = looks.iter().map(|l| l.events()).sum();
    let exposure: f64 = looks.iter().map(|l| l.exposure()).sum();
    let p = events / exposure.max(1.0);
    let (mut sum, mut squares, mut pairs) = (0.0, 0.0, 0_u32);
    for pair in looks.windows(2) {
        let (before, now) = (pair[0], pair[1]);
        if !before.is_seen() || !now.is_seen() {
            continue;
        }
        let variance = variance(p) * (1.0 / now.exposure() + 1.0 / before.exposure());
        if variance > 0.0 {
            let step =
                (now.events() / now.exposure() - before.events() / before.exposure()).powi(2) / variance;
            sum += step;
            squares += step * step;
            pairs += 1;
        }
    }
    (pairs >= MIN_PAIRS).then(|| {
        let pairs = f64::from(pairs);
        let dispersion = above_deadband(sum / pairs);
        let error = ((squares / pairs - (sum / pairs).powi(2)).max(0.0) / pairs).sqrt();
        Measured { dispersion, error: if dispersion > 1.0 && error.is_finite() { error } else { 0.0 } }
    })
}

/// Whether so many events tell that this is their dispersion: that they came in clusters, few tell as well.
pub(super) fn is_told(events: f64, dispersion: f64) -> bool {
    events >= MIN_EVENTS || above_deadband(dispersion) > 1.0
}

/// Adds to cumulated sums (Page 1954) what a squared normal says for its variance being so many `times` as large as it is taken to be:
/// a sum in nats for each, none below 0. Gives the largest, and for which it is.
pub(super) fn cumulate<const N: usize>(nats: &mut [f64; N], times: &[f64; N], square: f64) -> (f64, f64) {
    let mut largest = (0.0, 1.0);
    for (nats, times) in nats.iter_mut().zip(times) {
        *nats = (*nats + 0.5 * (square * (1.0 - 1.0 / times) - times.ln())).max(0.0);
        if *nats >= largest.0 {
            largest = (*nats, *times);
        }
    }
    largest
}

/// A dispersion as it is judged by: 1 for what lies within the deadband of 1.2, or is no number.
#[must_use]
pub fn above_deadband(phi: f64) -> f64 {
    if phi >= DEADBAND && phi.is_finite() { phi } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, statistics};

    #[test]
    fn dispersion_agrees_with_the_vectors() {
        for case in statistics()["hist_phi"].as_array().unwrap() {
            let looks: Vec<ArmCount> = numbers(&case["x"])
                .into_iter()
                .zip(numbers(&case["n"]))
                .map(|(events, exposure)| ArmCount::ratio(events, exposure).unwrap())
                .collect();
            close(hist_phi(&looks), case["phi"].as_f64().unwrap(), 1e-10, &looks);
        }
    }
}
