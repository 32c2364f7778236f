//! A gauge after 100 %: the mean over the canary's units, held against the level that the baseline's mean had.
//!
//! What moves all units together, such as a load that rises, cancels no longer. So the noise is that of the baseline's mean over
//! time, fitted on the history alone: then the baseline had all of the traffic, as the canary has now. During the
//! rollout its units may have had less to do; their level counts only where it was the worse one.

use serde::{Deserialize, Serialize};

use crate::policy::Direction;
use crate::stats::gauge::{GaugeFit, GaugeSettings, GaugeTest, History};

/// By how much the level may have moved since, as a ratio, and still be nobody's fault.
pub(super) const DRIFT: f64 = 1.1;

/// What a look of the rollout still counts at the next, for the baseline's level.
const FADE: f64 = 0.95;

/// Looks of the rollout without which their level says nothing.
const LOOKS: u32 = 20;

/// The state of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    worse: Direction,
    test: GaugeTest,
    /// The baseline's mean in its history.
    before: f64,
    /// In the rollout, fading; and over how many looks.
    recent: f64,
    looks: u32,
}

impl Level {
    /// From the means of a history, whose units are so far [`apart`]; nothing where that is too short.
    pub(super) fn of(
        history: &History,
        apart: f64,
        settings: GaugeSettings,
        (worse, bounds): (Direction, &[f64]),
    ) -> Option<Self> {
        let margin = (1.0 + settings.margin.max(0.0)) * DRIFT - 1.0;
        let (fit, before) = GaugeFit::of_level(history, GaugeSettings { margin, ..settings }, apart).ok()?;
        Some(Self { worse, test: GaugeTest::new(fit, bounds), before, recent: before, looks: 0 })
    }

    /// Notes the baseline's units while they are there.
    pub(super) fn note(&mut self, baseline: &[f64]) {
        if let Some(mean) = mean(baseline) {
            let fade = if self.looks == 0 { 0.0 } else { FADE };
            self.recent = fade * self.recent + (1.0 - fade) * mean;
            self.looks = self.looks.saturating_add(1);
        }
    }

    /// Takes the canary's units.
    pub(super) fn take(&mut self, at: f64, canary: &[f64]) {
        if let Some(mean) = mean(canary) {
            self.test.look(at, &[mean], &[self.reference()]);
        }
    }

    pub(super) fn test(&self) -> &GaugeTest {
        &self.test
    }

    /// What the canary is held against.
    pub(super) fn reference(&self) -> f64 {
        match self.worse {
            _ if self.looks < LOOKS => self.before,
            Direction::Up => self.before.max(self.recent),
            Direction::Down => self.before.min(self.recent),
        }
    }
}

/// The variance of the logarithm of what the means of two sets of units differ by for good: units do, and the canary's are others
/// than the baseline's were. As much as those of the past do, as it is known of so few.
#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units and looks")]
pub(super) fn apart<'a>(past: impl Iterator<Item = &'a [f64]> + Clone) -> f64 {
    let units = past.clone().last().map_or(0, <[f64]>::len);
    let usable = |values: &&[f64]| values.len() == units && values.iter().all(|v| v.is_normal() && *v > 0.0);
    let looks: Vec<&[f64]> = past.filter(usable).collect();
    if units < 2 || looks.is_empty() {
        return 0.0;
    }
    let level = |unit: usize| looks.iter().map(|values| values[unit].ln()).sum::<f64>() / looks.len() as f64;
    let levels: Vec<f64> = (0..units).map(level).collect();
    let (n, middle) = (units as f64, levels.iter().sum::<f64>() / units as f64);
    let variance = levels.iter().map(|level| (level - middle).powi(2)).sum::<f64>() / (n - 1.0);
    // Few units tell their spread badly: the variance of what a further one differs by has as many times as wide a prediction.
    2.0 / n * variance * (n + 1.0) / (n - 1.0)
}

/// The mean of the values; nothing of none.
#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    Some(sum / values.len() as f64).filter(|mean| mean.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_differ_for_good_are_apart_and_those_that_waver_are_not() {
        let apart = |looks: &[[f64; 3]]| apart(looks.iter().map(|values| &values[..]));
        let third = 1.3_f64;
        let differ = apart(&[[1.0, third, 1.0 / third]; 50]);
        // Their variance is ln²(1.3), that of a mean of three a third of it, of two means twice that, and of so few twice as wide.
        assert!((differ - 4.0 / 3.0 * third.ln().powi(2)).abs() < 1e-12, "{differ}");
        let waver: Vec<[f64; 3]> =
            (0..51).map(|n| std::array::from_fn(|unit| if n % 3 == unit { third } else { 1.0 })).collect();
        assert!(apart(&waver) < 1e-12);
        assert!(apart(&[]).abs() < 1e-12 && apart(&[[0.0, 1.0, 2.0]]).abs() < 1e-12);
    }
}
