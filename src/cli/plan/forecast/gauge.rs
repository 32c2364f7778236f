//! What can be seen of a gauge whose past is known.

use super::super::course::{Course, Leg};
use super::Sight;
use crate::judge::{Ask, GaugePast};
use crate::policy::Policy;
use crate::stats::gauge::{Course as Canary, GaugeForecast, NoFit, Worsening};

/// Looks before a regression that begins later.
const LATE: u32 = 100;
/// The largest regression that is looked for.
const MOST: f64 = 50.0;
/// Looks that are gone through at most: a day of four a minute.
const MOST_LOOKS: u32 = 5760;

pub(super) struct GaugeSight<'a> {
    ask: &'a Ask,
    forecast: GaugeForecast,
    canary_units: u32,
    /// Seconds between looks.
    every: f64,
    /// Looks of a whole rollout: the test is made for no more.
    looks: u32,
}

impl<'a> GaugeSight<'a> {
    pub(super) fn new(
        policy: &Policy,
        ask: &'a Ask,
        past: &GaugePast,
        course: &Course,
        leg: &Leg,
    ) -> Result<Self, NoFit> {
        let every = policy.look_every.as_seconds().max(1e-3);
        #[expect(clippy::cast_precision_loss, reason = "a policy has few steps")]
        let whole = course.bake.at_most.as_seconds() * course.steps().len() as f64 / every;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
        let looks = whole.ceil().clamp(1.0, f64::from(MOST_LOOKS)) as u32;
        // The noise is fitted when the rollout begins, with the units of its first step.
        let first = course.legs.first().unwrap_or(leg);
        let forecast = past.forecast(first.canary as usize, past.units)?;
        Ok(Self { ask, forecast, canary_units: leg.canary, every, looks })
    }

    fn canary(&self, worse: Worsening, onset: u32) -> Canary {
        Canary { canary_units: self.canary_units, worse, onset, most: self.looks.saturating_sub(onset) }
    }

    /// How long a canary lives that gets worse by this part of the baseline's level an hour from its beginning on; nothing where
    /// the whole rollout does not see it.
    pub(super) fn leak(&self, an_hour: f64) -> Option<f64> {
        let canary = self.canary(Worsening::Leak(an_hour), 0);
        let looks = self.forecast.detection(&canary, self.ask.harm_threshold)?;
        Some(f64::from(looks) * self.every)
    }
}

impl Sight for GaugeSight<'_> {
    fn detection(&self, regression: f64, late: bool) -> Option<f64> {
        let onset = if late { LATE } else { 0 };
        let looks = self
            .forecast
            .detection(&self.canary(Worsening::Step(regression), onset), self.ask.harm_threshold)?;
        Some(f64::from(looks) * self.every)
    }

    fn proof(&self, within: f64) -> Option<f64> {
        let looks =
            self.forecast.proof(&self.canary(Worsening::Step(1.0), 0), within, self.ask.safe_threshold)?;
        Some(f64::from(looks) * self.every)
    }

    fn most(&self) -> f64 {
        MOST.max(self.ask.allowed)
    }
}
