//! The time after the baseline is gone: the canary alone, held against what was known of the baseline.
//!
//! The comparison is weaker than with a baseline beside it, because what hits both versions is no longer told apart; so
//! it stands for the last watch only. A part of the signal's e-value is kept for it from the beginning: a weighted mean
//! of two e-processes is one, and the second has the value 1 until it starts.

use serde::{Deserialize, Serialize};

use crate::stats::special::log_add_exp;
use crate::stats::{Alternative, ArmCount, BetaBinomial, CountKind, MAX_COUNT, Onset, Prior, Refusal, Tilt};

/// The part of a signal's e-value that is kept.
const PART: f64 = 0.1;

/// How often the bound that stands for the baseline may be below the truth.
const ERROR: f64 = 0.001;

/// Slices of a unit-second, each too short for two events: a rate is a proportion of them.
const SLICES: f64 = 1000.0;

/// The state of one soak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Soak {
    kind: CountKind,
    engine: Tilt,
    /// The most events for each unit of exposure that a good canary has.
    most: f64,
    phi: f64,
    seen: ArmCount,
}

impl Soak {
    /// Against a baseline that had these counts, with so much dispersion, and a canary that may have `allowed` times its
    /// rate. The bound is the upper end of the baseline's confidence sequence.
    pub(super) fn new(kind: CountKind, baseline: ArmCount, allowed: f64, phi: f64, horizon: f64) -> Self {
        let (events, exposure) = (baseline.events() / phi, baseline.exposure() / phi);
        let upper = match kind {
            CountKind::Ratio => BetaBinomial::default().interval(events, exposure, ERROR).1,
            CountKind::Rate => {
                let slices = exposure * SLICES;
                SLICES * BetaBinomial::default().interval(events.min(slices), slices, ERROR).1
            }
        };
        let engine = Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(horizon));
        Self { kind, engine, most: upper * allowed, phi, seen: ArmCount::default() }
    }

    pub(super) fn take(&mut self, dt: f64, canary: ArmCount) -> Result<(), Refusal> {
        let (events, exposure) = (canary.events(), canary.exposure());
        let mean = exposure * self.most;
        match self.kind {
            CountKind::Ratio => self.engine.binomial(dt, events, exposure, self.most.min(1.0), self.phi)?,
            CountKind::Rate if mean <= MAX_COUNT => self.engine.poisson(dt, events, mean, self.phi)?,
            // More than can be counted is expected: nothing to learn.
            CountKind::Rate => self.engine.wait(dt)?,
        };
        self.seen = self.seen.plus(canary);
        Ok(())
    }

    /// ln of the evidence that the canary alone has more than a good one.
    pub(super) fn log_e(&self) -> f64 {
        self.engine.log_e()
    }

    /// The most events for each unit of exposure that a good canary has.
    pub(super) fn most(&self) -> f64 {
        self.most
    }

    /// What the canary had alone.
    pub(super) fn seen(&self) -> ArmCount {
        self.seen
    }
}

/// The evidence of a comparison together with what follows it.
pub(super) fn with(compared: f64, soak: Option<&Soak>) -> f64 {
    let alone = soak.map_or(0.0, Soak::log_e);
    log_add_exp((1.0 - PART).ln() + compared, PART.ln() + alone)
}
