//! An absolute limit on a proportion, beside the comparison with the baseline.
//!
//! An absolute test alone blames the canary for what hits both versions. So the limit's evidence is the smaller of two:
//! that the canary is above the limit, and that it is worse than the baseline at all. That is an e-process for "below
//! the limit, or no worse than the baseline" (intersection–union). While the baseline itself breaks the limit the
//! canary's engine is not fed; that is decided from earlier looks only, so it stays an e-process.

use serde::{Deserialize, Serialize};

use super::counts::alone;
use super::recent::Recent;
use crate::stats::{Alternative, ArmCount, CountKind, NoiseModel, Onset, PairCount, Prior, Refusal, Tilt};
use crate::words::Arms;

/// The state of one limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Limit {
    /// The largest proportion that is still well.
    share: f64,
    /// That the canary is above it.
    above: Tilt,
    /// That the canary is worse than the baseline at all.
    worse: Tilt,
    /// That the canary is below it.
    below: Tilt,
    recent: Arms<Recent>,
}

impl Limit {
    pub(super) fn new(share: f64, horizon: f64) -> Self {
        Self {
            share,
            above: Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(horizon)).capped(),
            worse: Tilt::harm(0.0, horizon),
            below: Tilt::new(Prior::Ratio, 0.0, Alternative::Less, Onset::Start),
            recent: Arms::default(),
        }
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Takes a closed slice.
    pub(super) fn take(&mut self, dt: f64, counts: &PairCount, noise: &NoiseModel) -> Result<(), Refusal> {
        let spread = noise.spread(counts.canary.exposure(), counts.baseline.exposure());
        let (events, exposure) = (counts.canary.events(), counts.canary.exposure());
        let phi = alone(spread, self.share, counts.canary);
        if self.recent.baseline.is_above() {
            self.above.wait(dt)?;
        } else {
            self.above.binomial(dt, events, exposure, self.share, phi)?;
        }
        self.below.binomial(dt, events, exposure, self.share, phi)?;
        self.worse.look(dt, &noise.likelihood(counts))?;
        for (recent, now) in
            [(&mut self.recent.canary, counts.canary), (&mut self.recent.baseline, counts.baseline)]
        {
            recent.take(CountKind::Ratio, now, Some(self.share), phi, f64::INFINITY);
        }
        Ok(())
    }

    /// Forgets what was gained by a noise that was not the one there is.
    pub(super) fn forget(&mut self) {
        [&mut self.above, &mut self.worse, &mut self.below].into_iter().for_each(Tilt::forget);
    }

    /// Takes what the canary counted after 100 %: only whether it is below is asked here then.
    pub(super) fn alone(&mut self, dt: f64, canary: ArmCount, phi: f64) -> Result<(), Refusal> {
        self.below.binomial(dt, canary.events(), canary.exposure(), self.share, phi)?;
        Ok(())
    }

    pub(super) fn log_e_harm(&self) -> f64 {
        self.above.log_e().min(self.worse.log_e())
    }

    pub(super) fn log_e_safe(&self) -> f64 {
        self.below.log_e()
    }

    /// Whether the baseline breaks the limit now.
    pub(super) fn baseline_breaks(&self) -> bool {
        self.recent.baseline.is_above()
    }

    /// Whether both arms break it now.
    pub(super) fn both_break(&self) -> bool {
        self.recent.baseline.is_above() && self.recent.canary.is_above()
    }

    /// What the baseline has now.
    pub(super) fn now(&self) -> Option<f64> {
        self.recent.baseline.rate()
    }
}
