//! After 100 %: the canary alone, held against the baseline as it was.
//!
//! Nothing compares side by side any more, so what hits the app, whatever its version, cannot be told from a regression.
//! Three things make up for that as far as they can:
//!
//! * What was known of the baseline, from its history and its last looks, counts with its own uncertainty ([`Reference`]).
//! * Noise is taken as wide as the baseline's past shows it on any scale of time, from looks to a good part of an hour: sums of
//!   counts that waver together are worth less.
//! * Beyond margin and noise, the level may move by [`DRIFT`] and stay there: the time of day changes, traffic grows, errors
//!   follow. Where only minutes are known of the baseline, these may have been as far off its usual level on the other side, so
//!   as much is allowed once more ([`drift`]).
//!
//! # One budget
//! A part of the signal's e-value is kept for this time from the beginning; until then it is worth 1. A weighted mean of
//! e-processes is one. The bound that stands for the baseline may be wrong; the chance of that is a part of the budget too,
//! which no evidence gets: with the weight w of a signal and p kept for this time, the bound is wrong with a chance of
//! at most alpha·w·p·[`SPENT`], and otherwise the mean has an expectation of at most 1 − w·p·[`SPENT`]. Together they
//! are within alpha.
//!
//! # Absolute limits
//! go on by themselves: what is above one is harm, unless the baseline was above it before.

use serde::{Deserialize, Serialize};

use super::evidence::Terms;
use crate::stats::special::log_add_exp;
use crate::stats::{
    Alternative, ArmCount, CountKind, Known, Onset, Prior, Reference, Refusal, Tilt, rate_interval,
};

/// By how much the level of errors, events or slow requests may have moved since the baseline was frozen, as a ratio (of odds, where
/// it is a proportion), and still be nobody's fault.
const DRIFT: f64 = 1.5;

/// By how much the level may have moved since this was known of the baseline. What was seen for long has its wandering in
/// its mean and in its dispersion. What was seen for a moment has neither: 2 minutes of errors that wander by 30 %, at 150 a
/// look, would roll back 14 % of good canaries (300 runs).
pub(super) fn drift(known: &Known) -> f64 {
    DRIFT.powf(2.0 - known.covered)
}

/// The part of a signal's e-value that is kept for the time after 100 % where a comparison comes before it: without a `watch` in
/// the policy, and with one.
const PART: [f64; 2] = [0.1, 0.2];

/// The part of that which the chance of a wrong bound has.
pub(super) const SPENT: f64 = 0.2;

/// What is decided about this time beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct After {
    /// The part of the signal's e-value.
    part: f64,
    /// How often the bound that stands for the baseline may be below the truth.
    error: f64,
    /// How often the one that safety is proven against may be above it; nothing where safety comes from the comparison.
    safe_error: Option<f64>,
    /// Over which time harm may begin, in seconds.
    horizon: f64,
}

impl After {
    /// For a signal whose evidence of harm is held against `harm_threshold` = ln(1/(alpha·weight)).
    pub(super) fn new(terms: &Terms, harm_threshold: f64) -> Self {
        let part = if terms.alone { 1.0 } else { PART[usize::from(terms.watches)] };
        Self {
            part,
            error: (-harm_threshold).exp() * part * SPENT,
            safe_error: terms.alone.then_some(terms.beta * SPENT),
            horizon: terms.watch,
        }
    }

    /// The same for one of so many proportions, which are judged together.
    #[expect(clippy::cast_precision_loss, reason = "a few bounds of a histogram")]
    pub(super) fn one_of(self, count: usize) -> Self {
        Self { error: self.error / count.max(1) as f64, ..self }
    }

    /// ln of the evidence of a comparison together with that of what follows it; nothing: not yet.
    pub(super) fn with(self, compared: f64, after: Option<f64>) -> f64 {
        let kept = (self.part * (1.0 - SPENT)).ln();
        log_add_exp((1.0 - self.part).ln() + compared, kept + after.unwrap_or(0.0))
    }

    /// The same for evidence that may not be averaged: neither may cross alone but within its part.
    pub(super) fn either(self, compared: f64, after: Option<f64>) -> f64 {
        ((1.0 - self.part).ln() + compared).max(self.part.ln() + after.unwrap_or(f64::NEG_INFINITY))
    }

    /// Whether safety is to be proven in this time, because nothing is compared before it.
    pub(super) fn proves(self) -> bool {
        self.safe_error.is_some()
    }

    /// How often the bound that stands for the baseline may be below the truth.
    pub(super) fn error(self) -> f64 {
        self.error
    }

    /// Over which time harm may begin, in seconds.
    pub(super) fn horizon(self) -> f64 {
        self.horizon
    }
}

/// What is asked of a canary that is alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) margin: f64,
    /// The rate below which nobody is harmed, and the one below which a canary is proven; 0 for none.
    pub(super) floor: f64,
    pub(super) harmless: f64,
    /// An absolute limit on the rate.
    pub(super) limit: Option<f64>,
    /// What may have to be proven, as ratios.
    pub(super) bounds: &'a [f64],
}

/// The state of one rate or proportion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frozen {
    kind: CountKind,
    after: After,
    /// Against the baseline as it was; nothing where nothing is known of it.
    against: Option<Against>,
    /// Against an absolute limit: its rate, or the baseline's where that was above.
    limit: Option<(f64, Tilt)>,
    /// What the canary had alone, and in how many looks.
    seen: ArmCount,
    looks: f64,
}

/// The baseline as it was, and the evidence against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Against {
    known: Known,
    /// The largest rate of a good canary.
    most: f64,
    harm: Tilt,
    /// For each bound the rate that is to be refuted, and the evidence.
    safe: Vec<(f64, Tilt)>,
}

impl Frozen {
    /// Against a baseline that did this.
    pub(super) fn new(kind: CountKind, reference: &Reference, asked: &Asked<'_>, after: After) -> Self {
        let engine = |alternative, onset| Tilt::new(Prior::Ratio, 0.0, alternative, onset);
        let above = || engine(Alternative::Greater, Onset::within(after.horizon)).capped();
        let known = reference.known();
        let highest = known.map(|known| known.interval(after.error).1);
        let against = known.zip(highest).map(|(known, highest)| Against {
            known,
            most: times(kind, highest, (1.0 + asked.margin) * drift(&known)).max(asked.floor),
            harm: above(),
            safe: after.safe_error.map_or_else(Vec::new, |error| {
                // Of a short past nobody knows how the level wanders.
                let lowest = known.interval(error).0 / DRIFT.powf(1.0 - known.covered);
                let least = |bound: &f64| times(kind, lowest, *bound).max(asked.harmless);
                let prove = |bound| (least(bound), engine(Alternative::Less, Onset::Start));
                asked.bounds.iter().map(prove).collect()
            }),
        });
        let limit = asked.limit.map(|limit| (limit.max(highest.unwrap_or(0.0)), above()));
        Self { kind, after, against, limit, seen: ArmCount::default(), looks: 0.0 }
    }

    /// Takes what the canary counted in the `dt` since the last look. `phi`: its dispersion against the limit, and whether that is
    /// told.
    pub(super) fn take(&mut self, dt: f64, canary: ArmCount, phi: f64, is_told: bool) -> Result<(), Refusal> {
        let kind = self.kind;
        if let Some(Against { known, most, harm, safe }) = &mut self.against {
            let phi = known.dispersion_of(canary.exposure());
            harm.hold(dt, kind, canary, *most, phi)?;
            for (least, tilt) in safe {
                tilt.hold(dt, kind, canary, *least, phi)?;
            }
        }
        if let Some((limit, tilt)) = &mut self.limit {
            tilt.cap(is_told);
            tilt.hold(dt, kind, canary, *limit, phi)?;
        }
        self.seen = self.seen.plus(canary);
        self.looks += 1.0;
        Ok(())
    }

    /// ln of the evidence of harm since then: the mean of what there is.
    pub(super) fn log_e(&self) -> f64 {
        let against = self.against.as_ref().map(|against| against.harm.log_e());
        let limit = self.limit.as_ref().map(|(_, tilt)| tilt.log_e());
        match (against, limit) {
            (Some(against), Some(limit)) => log_add_exp(against, limit) - std::f64::consts::LN_2,
            (one, other) => one.or(other).unwrap_or(0.0),
        }
    }

    /// ln of the evidence of being less bad than the bound of this index; nothing where that comes from the comparison.
    pub(super) fn log_e_safe(&self, index: usize) -> Option<f64> {
        let proves = self.after.proves().then_some(self.against.as_ref());
        proves.map(|against| {
            let tilt = against.and_then(|against| against.safe.get(index));
            tilt.map_or(0.0, |(_, tilt)| tilt.log_e() + (-SPENT).ln_1p())
        })
    }

    /// The rate that safety refutes for the bound of this index.
    pub(super) fn refutes(&self, index: usize) -> Option<f64> {
        self.against.as_ref()?.safe.get(index).map(|(least, _)| *least)
    }

    /// What the canary had alone.
    pub(super) fn seen(&self) -> ArmCount {
        self.seen
    }

    /// The largest rate that passes for good; nothing where nothing is known.
    pub(super) fn most(&self) -> Option<f64> {
        let against = self.against.as_ref().map(|against| against.most);
        let limit = self.limit.as_ref().map(|(limit, _)| *limit);
        against.into_iter().chain(limit).min_by(f64::total_cmp)
    }

    /// What is known of the baseline.
    pub(super) fn known(&self) -> Option<&Known> {
        self.against.as_ref().map(|against| &against.known)
    }

    /// The canary relative to the baseline as it was: lower end, estimate, upper end, wrong at any look with a chance of at
    /// most `error`.
    pub(super) fn effect(&self, error: f64) -> [Option<f64>; 3] {
        let Some(known) = self.known().filter(|_| self.seen.is_seen()) else { return [None; 3] };
        let phi = known.dispersion_of(self.seen.exposure() / self.looks);
        let (low, high) =
            rate_interval(self.kind, self.seen.events() / phi, self.seen.exposure() / phi, 0.5 * error);
        let (least, most) = known.interval(0.5 * error);
        let ratio =
            |canary: f64, baseline: f64| Some(canary / baseline).filter(|r| r.is_finite() && *r > 0.0);
        let rate = self.seen.events() / self.seen.exposure();
        [ratio(low, most), ratio(rate, known.rate()), ratio(high, least)]
    }
}

/// A rate that is so many times as large: its odds, where it is a proportion.
fn times(kind: CountKind, rate: f64, times: f64) -> f64 {
    match kind {
        CountKind::Ratio => rate * times / (1.0 + rate * (times - 1.0)),
        CountKind::Rate => rate * times,
    }
}
