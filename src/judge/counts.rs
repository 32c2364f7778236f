//! The evidence of a ratio (bad events among all) or a rate (events by unit-seconds).
//!
//! # Ratio
//! Harm is "more than 1 + margin times the baseline's ratio, **and** more than the floor": a ratio of 3 between two tiny
//! numbers harms nobody. Its evidence is the smaller of the two (intersection–union), and nothing at all before the
//! canary has had the policy's least number of bad events. Safety is "less than what must be proven, **or** less than the
//! floor": a weighted mean of both e-values, which are both valid for a canary that is neither.
//!
//! # Rate
//! Unit-seconds take the place of requests; there is no floor.

use serde::{Deserialize, Serialize};

use super::evidence::Terms;
use super::explain::About;
use super::limit::Limit;
use super::look::Reading;
use super::pace::Pace;
use super::refusal::{Problem, count};
use crate::policy::{Measure, Signal};
use crate::stats::special::log_add_exp;
use crate::stats::{
    Alternative, ArmCount, BetaBinomial, Onset, PairCount, Prior, RatioCs, Refusal, Tilt, UNKNOWN_DISPERSION,
    hist_phi,
};
use crate::words::Arms;

/// The interval of the effect holds at all looks at once with this error.
pub(super) const INTERVAL_ERROR: f64 = 0.05;

/// The part of a signal's e-value that is kept for the time after the baseline is gone.
const SOAK_PART: f64 = 0.1;

/// The error of the bound that stands for a baseline that is gone.
const FROZEN_ERROR: f64 = 0.001;

/// Bad events without which a rate is never called harmful.
const MIN_EVENTS: f64 = 5.0;

/// What a share of requests that never had a bad event in history weighs for the floor in the evidence of safety: much
/// where the history lies below the floor, next to nothing above it, a little where there is none.
const FLOOR_PART: [f64; 3] = [0.9, 0.01, 0.1];

/// The state of one ratio or rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Whether events are counted among requests, so that there are at most as many.
    is_ratio: bool,
    min_events: f64,
    allowed: f64,
    horizon: f64,
    harm: Tilt,
    floor: Option<Floor>,
    limit: Option<Limit>,
    /// For each thing that may have to be proven, the evidence that it is so.
    safe: Vec<(f64, Tilt)>,
    sequence: RatioCs,
    /// What follows when the baseline is gone.
    soak: Option<Soak>,
    /// Looks at the baseline before the rollout; emptied when it begins.
    history: Vec<ArmCount>,
    /// How much noisier the counts are than independent events; fixed when the rollout begins.
    phi: f64,
    /// What was counted since both arms were last seen.
    open: PairCount,
    sum: PairCount,
    pace: Pace,
    /// When the last slice was closed; at first, when the first look was taken.
    closed: Option<f64>,
}

/// A share of bad events below which nobody is harmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Floor {
    share: f64,
    /// That the canary is above it.
    above: Tilt,
    /// That the canary is below it.
    below: Tilt,
    /// What the second weighs in the evidence of safety.
    part: f64,
}

/// The canary alone, held against what was known of the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Soak {
    engine: Tilt,
    /// The most events for each request that a good canary has.
    most: f64,
}

impl Counts {
    pub(super) fn new(signal: &Signal, rungs: &[f64], terms: &Terms) -> Self {
        let horizon = terms.horizon;
        let (is_ratio, floor, min_events, limit) = match &signal.measure {
            Measure::Ratio { floor, min_events, limit, .. } => (true, *floor, f64::from(*min_events), *limit),
            _ => (false, 0.0, MIN_EVENTS, None),
        };
        let mut bounds = rungs.to_vec();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Self {
            is_ratio,
            min_events,
            allowed: 1.0 + signal.margin,
            horizon,
            harm: Tilt::harm(signal.margin, horizon),
            floor: (floor > 0.0 && floor < 1.0).then(|| Floor {
                share: floor,
                above: Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(horizon)),
                below: Tilt::new(Prior::Ratio, 0.0, Alternative::Less, Onset::Start),
                part: FLOOR_PART[2],
            }),
            limit: limit.map(|share| Limit::new(share.get(), horizon)),
            safe: bounds.into_iter().map(|bound| (bound, Tilt::safety(bound))).collect(),
            sequence: RatioCs::default(),
            soak: None,
            history: Vec::new(),
            phi: UNKNOWN_DISPERSION,
            open: PairCount::default(),
            sum: PairCount::default(),
            pace: Pace::default(),
            closed: None,
        }
    }

    pub(super) fn check(&self, reading: &Reading) -> Result<(), Problem> {
        let Reading::Counts { events, total } = reading else {
            let needs =
                if self.is_ratio { "`events` and `total`" } else { "`events` and `total` (unit-seconds)" };
            return Err(Problem::Kind { needs: needs.to_owned() });
        };
        if count("`events`", *events)? > count("`total`", *total)? && self.is_ratio {
            return Err(Problem::Above { events: *events, total: *total });
        }
        Ok(())
    }

    pub(super) fn learn(&mut self, baseline: &Reading) {
        self.history.push(arm(Some(baseline)));
    }

    pub(super) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        let begun = *self.closed.get_or_insert(at);
        if !self.history.is_empty() {
            self.begin();
        }
        self.open = self.open.plus(PairCount { canary: arm(arms.canary), baseline: arm(arms.baseline) });
        let dt = at - begun;
        let taken = match &mut self.soak {
            Some(soak) => {
                let alone = std::mem::take(&mut self.open).canary;
                self.sum.canary = self.sum.plus(PairCount { canary: alone, ..PairCount::default() }).canary;
                self.closed = Some(at);
                soak.take(dt, alone, self.is_ratio, self.phi)
            }
            None if self.open.is_closed() => {
                let counts = std::mem::take(&mut self.open);
                self.closed = Some(at);
                self.close(dt, &counts)
            }
            None => Ok(()),
        };
        // Readings were checked and time moves on, so there is nothing left for an engine to refuse.
        debug_assert!(taken.is_ok(), "{taken:?}");
    }

    /// The rollout begins: what the history says of the noise is fixed.
    fn begin(&mut self) {
        let history = std::mem::take(&mut self.history);
        self.phi = hist_phi(&history);
        let (events, exposure) =
            history.iter().fold((0.0, 0.0), |(x, n), look| (x + look.events, n + look.exposure));
        if let Some(floor) = &mut self.floor
            && exposure > 0.0
        {
            floor.part = FLOOR_PART[usize::from(events > floor.share * exposure)];
        }
    }

    /// Scores a slice in which both arms were seen.
    fn close(&mut self, dt: f64, counts: &PairCount) -> Result<(), Refusal> {
        let phi = self.phi;
        self.sum = self.sum.plus(*counts);
        self.pace.note(dt, counts);
        self.harm.pair(dt, counts, phi)?;
        for (_, engine) in &mut self.safe {
            engine.pair(dt, counts, phi)?;
        }
        self.sequence.pair(counts, phi)?;
        if let Some(floor) = &mut self.floor {
            let ArmCount { events, exposure } = counts.canary;
            floor.above.binomial(dt, events, exposure, floor.share, phi)?;
            floor.below.binomial(dt, events, exposure, floor.share, phi)?;
        }
        if let Some(limit) = &mut self.limit {
            limit.take(dt, counts, phi)?;
        }
        Ok(())
    }

    pub(super) fn freeze_baseline(&mut self) {
        let ArmCount { events, exposure } = self.sum.baseline;
        if self.soak.is_some() || exposure <= 0.0 {
            return;
        }
        let (x, n) = (events / self.phi, exposure / self.phi);
        let upper = if self.is_ratio {
            BetaBinomial::default().interval(x, n, FROZEN_ERROR).1
        } else {
            // A rate is a proportion of many small slices of time, each too short for two events.
            SLICES * BetaBinomial::default().interval(x.min(n * SLICES), n * SLICES, FROZEN_ERROR).1
        };
        let engine = Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(self.horizon));
        self.soak = Some(Soak { engine, most: upper * self.allowed });
    }

    /// See the module.
    pub(super) fn log_e_harm(&self) -> f64 {
        let ratio =
            self.floor.as_ref().map_or(self.harm.log_e(), |floor| self.harm.log_e().min(floor.above.log_e()));
        let compared = match &self.limit {
            Some(limit) => log_add_exp(ratio, limit.log_e_harm()) - std::f64::consts::LN_2,
            None => ratio,
        };
        let alone = self.soak.as_ref().map_or(0.0, |soak| soak.engine.log_e());
        let log_e = log_add_exp((1.0 - SOAK_PART).ln() + compared, SOAK_PART.ln() + alone);
        if self.sum.canary.events < self.min_events { log_e.min(0.0) } else { log_e }
    }

    pub(super) fn log_e_safe(&self, within: f64) -> f64 {
        let proven =
            self.safe.iter().find(|(bound, _)| *bound >= within).map_or(0.0, |(_, engine)| engine.log_e());
        let relative = match &self.floor {
            Some(Floor { below, part, .. }) => {
                log_add_exp((1.0 - part).ln() + proven, part.ln() + below.log_e())
            }
            None => proven,
        };
        self.limit.as_ref().map_or(relative, |limit| relative.min(limit.log_e_safe()))
    }

    pub(super) fn counts_requests(&self) -> bool {
        self.is_ratio
    }

    pub(super) fn effect(&self) -> [Option<f64>; 3] {
        let interval = self.sequence.interval(INTERVAL_ERROR);
        [interval.lower, interval.estimate, interval.upper]
    }

    pub(super) fn seen(&self) -> [f64; 4] {
        let PairCount { canary, baseline } = self.sum;
        [canary.events, canary.exposure, baseline.events, baseline.exposure]
    }

    pub(super) fn wait(&self, within: f64, threshold: f64) -> Option<f64> {
        let lack = threshold - self.log_e_safe(within);
        if lack <= 0.0 {
            return Some(0.0);
        }
        let by_ratio = self.pace.until_within(within, lack, self.phi);
        let by_floor = self.floor.as_ref().filter(|_| self.sum.events() <= 0.0).and_then(|floor| {
            self.pace.until_below(floor.share, threshold - floor.part.ln() - floor.below.log_e(), self.phi)
        });
        match (by_ratio, by_floor) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn limit(&self) -> Option<(f64, bool)> {
        self.limit.as_ref().map(|limit| (limit.share(), limit.baseline_breaks()))
    }

    pub(super) fn both_bad(&self) -> bool {
        self.limit.as_ref().is_some_and(Limit::both_break)
    }

    pub(super) fn about(&self) -> About {
        if self.is_ratio { About::Failures } else { About::Events }
    }
}

/// Slices of a unit-second, each too short for two events.
const SLICES: f64 = 1000.0;

impl Soak {
    fn take(&mut self, dt: f64, canary: ArmCount, is_ratio: bool, phi: f64) -> Result<(), Refusal> {
        if is_ratio {
            self.engine.binomial(dt, canary.events, canary.exposure, self.most.min(1.0), phi)?;
        } else {
            self.engine.poisson(dt, canary.events, canary.exposure * self.most, phi)?;
        }
        Ok(())
    }
}

/// What a reading that was checked counts; nothing of nothing.
fn arm(reading: Option<&Reading>) -> ArmCount {
    match reading {
        Some(Reading::Counts { events, total }) => ArmCount { events: *events, exposure: *total },
        _ => ArmCount::default(),
    }
}
