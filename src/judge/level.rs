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
    /// From the means of a history; nothing where that is too short.
    pub(super) fn of(
        history: &History,
        settings: GaugeSettings,
        worse: Direction,
        bounds: &[f64],
    ) -> Option<Self> {
        let margin = (1.0 + settings.margin.max(0.0)) * DRIFT - 1.0;
        let (fit, before) = GaugeFit::of_level(history, GaugeSettings { margin, ..settings }).ok()?;
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

/// The mean of the values; nothing of none.
#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    Some(sum / values.len() as f64).filter(|mean| mean.is_finite())
}
