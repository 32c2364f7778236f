//! The evidence of a ratio (bad events among all) or a rate (events by unit-seconds).
//!
//! # Ratio
//! Harm is "more than 1 + margin times the baseline's ratio, **and** more than the floor": a ratio of 3 between two tiny
//! numbers harms nobody. Its evidence is the smaller of the two (intersection–union), and nothing at all before the
//! canary has had the policy's least number of bad events. Safety is "less than what must be proven, **or** less than the
//! floor": a weighted mean of both e-values, which are both valid for a canary that is neither.
//!
//! # Rate
//! Unit-seconds take the place of requests, and the floor is so many events in them.

use serde::{Deserialize, Serialize};

use super::explain::{About, Alone};
use super::frozen::{self, After, Frozen};
use super::incident::Incident;
use super::limit::Limit;
use super::look::Reading;
use super::noise::Noise;
use super::pace::Pace;
use super::refusal::{Problem, count};
use crate::stats::power::divergence;
use crate::stats::special::log_add_exp;
use crate::stats::{
    Alternative, ArmCount, CountKind, Learnt, NoiseModel, Onset, PairCount, Prior, RatioEvidence,
    RatioQuestion, Reference, Refusal, Spread, Tilt,
};
use crate::words::{Arms, Share};

/// The interval of the effect holds at all looks at once with this error.
pub(super) const INTERVAL_ERROR: f64 = 0.05;

/// The most looks of history that are kept, the newest: more than a week at one a minute.
const HISTORY: usize = 12_000;

/// What "less than the floor" weighs in the evidence of safety, decided before the rollout: much where the history lies
/// below the floor, next to nothing where it lies above, a little where there is none.
const FLOOR_PART: [f64; 3] = [0.9, 0.01, 0.1];

/// So many times less than the floor is as good as nothing: what it is worth at each request differs by a hundredth from there on.
const RAREST: f64 = 100.0;

/// A part of requests that is smaller than this is taken for this.
const LEAST_PART: f64 = 1e-9;

/// So many of the canary's clusters must be expected before their absence proves anything. Dividing evidence by the dispersion is
/// right for many clusters, and rash for few: nothing of two large ones that were to come is no proof that fewer come.
const CLUSTERS: f64 = 5.0;

/// Evidence is never divided by more than this, which leaves none.
const NO_EVIDENCE: f64 = 1e6;

/// Why a canary that is alone is held against nothing.
pub(super) const UNKNOWN: &str = "too little is known of the baseline as it was, so there is no verdict";

/// The state of one ratio or rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    kind: CountKind,
    min_events: f64,
    margin: f64,
    horizon: f64,
    /// What may have to be proven, ascending, as ratios.
    bounds: Vec<f64>,
    floor: Option<Floor>,
    limit: Option<Limit>,
    incident: Incident,
    evidence: RatioEvidence,
    /// What the baseline did so far.
    reference: Reference,
    /// What is decided about the time after 100 %, and what follows then.
    after: After,
    frozen: Option<Frozen>,
    /// Looks at the baseline before the rollout; emptied when it begins.
    history: Vec<ArmCount>,
    /// What was counted since both arms were last seen.
    open: PairCount,
    pace: Pace,
    /// By how much noise slows the evidence down at present: 1 for independent events.
    slow: f64,
    /// When the last slice was closed; at first, when the first look was taken.
    closed: Option<f64>,
}

/// A share of bad events, or a rate of events, below which nobody is harmed, as evidence of safety.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Floor {
    share: f64,
    below: Tilt,
    part: f64,
    /// Whether less is no harm either.
    is_of_harm: bool,
    /// The noise that the last slice was judged by.
    phi: f64,
}

/// What is asked of a ratio or a rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) kind: CountKind,
    pub(super) margin: f64,
    /// The share of bad events, or the rate of events, below which nobody is harmed; 0 for none.
    pub(super) floor: f64,
    /// The same below which a canary is proven safe; 0 for none.
    pub(super) harmless: f64,
    /// The canary's bad events without which there is no harm.
    pub(super) min_events: f64,
    /// An absolute limit on the share of bad events.
    pub(super) limit: Option<Share>,
    /// Over which time harm may begin, in seconds.
    pub(super) horizon: f64,
}

impl Counts {
    /// Nothing seen yet. `rungs`: what must be proven at each step, as a ratio.
    pub(super) fn new(asked: &Asked, rungs: &[f64], after: After) -> Self {
        let Asked { kind, margin, floor, harmless, min_events, limit, horizon } = *asked;
        let below = Tilt::new(Prior::Ratio, 0.0, Alternative::Less, Onset::Start);
        let is_floor = harmless > 0.0 && (harmless < 1.0 || kind == CountKind::Rate);
        let floor = is_floor.then(|| Floor {
            share: harmless,
            below,
            part: FLOOR_PART[2],
            is_of_harm: floor > 0.0,
            phi: 1.0,
        });
        let mut bounds = rungs.to_vec();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let question = question(margin, &bounds, floor.as_ref(), horizon);
        Self {
            kind,
            min_events,
            margin,
            horizon,
            evidence: RatioEvidence::new(kind, &question, NoiseModel::new(kind)),
            bounds,
            floor,
            limit: limit.map(|share| Limit::new(share.get(), horizon)),
            incident: Incident::new(kind, harmless),
            reference: Reference::new(kind),
            after,
            frozen: None,
            history: Vec::new(),
            open: PairCount::default(),
            pace: Pace::default(),
            slow: 1.0,
            closed: None,
        }
    }

    pub(super) fn check(&self, reading: &Reading) -> Result<(), Problem> {
        let is_ratio = self.counts_requests();
        let Reading::Counts { events, total } = reading else {
            let needs = if is_ratio { "`events` and `total`" } else { "`events` and `total` (unit-seconds)" };
            return Err(Problem::Kind { needs: needs.to_owned() });
        };
        if count("`events`", *events)? > count("`total`", *total)? && is_ratio {
            return Err(Problem::Above { events: *events, total: *total });
        }
        Ok(())
    }

    pub(super) fn learn(&mut self, baseline: &Reading) {
        if let Some(look) = self.arm(Some(baseline)) {
            self.learn_count(look);
        }
    }

    pub(super) fn learn_count(&mut self, look: ArmCount) {
        if self.history.len() >= HISTORY {
            self.history.remove(0);
        }
        self.history.push(look);
    }

    pub(super) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        let (canary, baseline) = (self.arm(arms.canary), self.arm(arms.baseline));
        self.count(
            at,
            PairCount { canary: canary.unwrap_or_default(), baseline: baseline.unwrap_or_default() },
        );
    }

    /// Takes what both arms counted since the look before; an arm that was not seen counts nothing.
    pub(super) fn count(&mut self, at: f64, now: PairCount) {
        let since = *self.closed.get_or_insert(at);
        if !self.history.is_empty() {
            self.begin();
        }
        self.open = self.open.plus(now);
        if self.open.is_closed() || (self.frozen.is_some() && self.open.canary.is_seen()) {
            let slice = std::mem::take(&mut self.open);
            self.closed = Some(at);
            let taken = self.close(at - since, &slice);
            // Readings were checked and time moves on, so there is nothing left for an engine to refuse.
            debug_assert!(taken.is_ok(), "{taken:?}");
        }
    }

    /// The rollout begins: what the history says of the noise and of the floor is taken in.
    fn begin(&mut self) {
        let history = std::mem::take(&mut self.history);
        let all = history.iter().fold(ArmCount::default(), |all, look| all.plus(*look));
        if let Some(floor) = &mut self.floor
            && all.is_seen()
        {
            floor.part = FLOOR_PART[usize::from(all.events() > floor.share * all.exposure())];
            // What was so rare that it was hardly seen is taken for half an event more.
            let times = floor.share * all.exposure() / (all.events() + 0.5);
            floor.below = Tilt::below(times.min(RAREST));
        }
        self.incident = Incident::after(self.kind, all, self.harmless().unwrap_or(0.0));
        for look in &history {
            self.reference.learn(*look);
        }
        let question = question(self.margin, &self.bounds, self.floor.as_ref(), self.horizon);
        self.evidence =
            RatioEvidence::new(self.kind, &question, NoiseModel::from_history(self.kind, &history));
    }

    /// Scores a slice in which both arms were seen, or the canary alone once there is no baseline.
    fn close(&mut self, dt: f64, slice: &PairCount) -> Result<(), Refusal> {
        let canary = slice.canary;
        if let Some(frozen) = &mut self.frozen {
            let noise = self.evidence.noise();
            let is_told = noise.looks_until_bounded() == 0;
            // Nothing was compared with what was alone from the first look: by what the history says, or else its own looks.
            let compared = self.evidence.spread();
            let spread = compared
                .unwrap_or_else(|| noise.spread(0.5 * canary.exposure(), 0.5 * canary.exposure()).wary());
            let phi = self.limit.as_ref().map_or(1.0, |limit| alone(spread, limit.share(), canary));
            if let Some(limit) = &mut self.limit {
                limit.alone(dt, canary, if is_told { phi } else { NO_EVIDENCE })?;
            }
            if !is_told {
                self.evidence.learn_alone(canary);
            }
            return frozen.take(dt, canary, phi, is_told);
        }
        // As it was in quiet times: what an incident teaches would hide the next one.
        let model = self.evidence.noise();
        let now = self.evidence.spread().map(|spread| spread.phi);
        let in_all = model.dispersion().or(now).unwrap_or(1.0);
        let quiet = if model.has_history() { now.map_or(in_all, |now| in_all.min(now)) } else { 1.0 };
        let amid = self.incident.take(slice, quiet, in_all);
        if amid.proves {
            self.pace.note(dt, slice);
        }
        // Before the evidence, which teaches the noise what this slice was like.
        if let Some(limit) = &mut self.limit {
            limit.take(dt, slice, self.evidence.noise())?;
        }
        let never = self.evidence.shown().events() <= 0.0;
        let assumed = self.evidence.noise().assumed_dispersion().filter(|_| never);
        let learnt = self.evidence.look_amid(dt, slice, amid)?;
        let spread = self.evidence.spread().unwrap_or(Spread::NONE);
        if let Some(floor) = &mut self.floor {
            let noise = alone(spread, floor.share, canary);
            let phi = assumed.map_or(noise, |assumed| assumed.min(noise));
            floor.phi = phi;
            if amid.proves {
                floor.below.hold(dt, self.kind, canary, floor.share, phi * amid.excess)?;
            }
        }
        if learnt == Learnt::HistoryRefuted {
            self.floor.iter_mut().for_each(|floor| floor.below.forget());
            self.limit.iter_mut().for_each(Limit::forget);
        }
        self.slow = slowdown(spread, slice);
        self.reference.learn(slice.baseline);
        Ok(())
    }

    pub(super) fn freeze_baseline(&mut self) {
        if !self.history.is_empty() {
            self.begin();
        }
        let asked = frozen::Asked {
            margin: self.margin,
            floor: self.floor.as_ref().filter(|floor| floor.is_of_harm).map_or(0.0, |floor| floor.share),
            harmless: self.floor.as_ref().map_or(0.0, |floor| floor.share),
            limit: self.limit.as_ref().map(Limit::share),
            bounds: &self.bounds,
        };
        self.frozen = Some(Frozen::new(self.kind, &self.reference, &asked, self.after));
    }

    /// See the module.
    pub(super) fn log_e_harm(&self) -> f64 {
        let ratio = self.evidence.log_e_harm();
        let compared = match &self.limit {
            Some(limit) => log_add_exp(ratio, limit.log_e_harm()) - std::f64::consts::LN_2,
            None => ratio,
        };
        let log_e = self.after.with(compared, self.frozen.as_ref().map(Frozen::log_e));
        if self.seen()[0] < self.min_events { log_e.min(0.0) } else { log_e }
    }

    pub(super) fn log_e_safe(&self, within: f64) -> f64 {
        if let Some(alone) = self.safe_alone(within) {
            return self.limit.as_ref().map_or(alone, |limit| alone.min(limit.log_e_safe()));
        }
        let relative = match self.safe_parts(within) {
            (by_ratio, Some(by_floor)) => log_add_exp(by_ratio, by_floor),
            (by_ratio, None) => by_ratio,
        };
        self.limit.as_ref().map_or(relative, |limit| relative.min(limit.log_e_safe()))
    }

    /// ln of what the evidence of safety is the sum of: that the canary is below `within` times the baseline, and that it is
    /// below the floor, if there is one.
    fn safe_parts(&self, within: f64) -> (f64, Option<f64>) {
        let mut bounds = self.bounds.iter().zip(self.evidence.log_e_safety());
        let proven = bounds.find(|(bound, _)| **bound >= within).map_or(0.0, |(_, log_e)| log_e);
        let proven = if self.clusters() < CLUSTERS { proven.min(0.0) } else { proven };
        match &self.floor {
            Some(Floor { below, part, .. }) => ((1.0 - part).ln() + proven, Some(part.ln() + below.log_e())),
            None => (proven, None),
        }
    }

    /// How many clusters of events were to be expected of a canary as good as the baseline: events, where they come singly.
    fn clusters(&self) -> f64 {
        let PairCount { canary, baseline } = *self.evidence.weighed();
        let measured = self.evidence.noise().dispersion().unwrap_or(1.0);
        let phi = self.evidence.spread().map_or(1.0, |spread| spread.phi).max(measured).max(1.0);
        if baseline.is_seen() {
            canary.exposure() * baseline.events() / baseline.exposure() / phi
        } else {
            0.0
        }
    }

    /// Whether the canary is called safe for what it has at all, rather than beside the baseline.
    pub(super) fn below_floor(&self, within: f64) -> bool {
        if let Some(frozen) = &self.frozen
            && self.safe_alone(within).is_some()
        {
            return self
                .floor
                .as_ref()
                .is_some_and(|floor| frozen.refutes(self.index(within)) == Some(floor.share));
        }
        let (by_ratio, by_floor) = self.safe_parts(within);
        by_floor.is_some_and(|by_floor| by_floor > by_ratio)
    }

    /// The share or rate of the floor, if there is one.
    pub(super) fn harmless(&self) -> Option<f64> {
        self.floor.as_ref().map(|floor| floor.share)
    }

    pub(super) fn min_events(&self) -> f64 {
        self.min_events
    }

    pub(super) fn needs_floor(&self) -> bool {
        let PairCount { canary, baseline } = *self.evidence.seen();
        self.floor.is_none()
            && canary.is_seen()
            && baseline.is_seen()
            && canary.plus(baseline).events() <= 0.0
    }

    /// The evidence of safety after 100 %, where it has to come from there.
    fn safe_alone(&self, within: f64) -> Option<f64> {
        self.frozen.as_ref().and_then(|frozen| frozen.log_e_safe(self.index(within)))
    }

    /// The bound that is proven where this one is asked for.
    fn index(&self, within: f64) -> usize {
        self.bounds.iter().position(|bound| *bound >= within).unwrap_or(self.bounds.len())
    }

    /// What the canary is held against after 100 %; nothing before.
    pub(super) fn frozen(&self) -> Option<&Frozen> {
        self.frozen.as_ref()
    }

    pub(super) fn counts_requests(&self) -> bool {
        self.kind == CountKind::Ratio
    }

    pub(super) fn effect(&self) -> [Option<f64>; 3] {
        if let Some(frozen) = &self.frozen {
            return frozen.effect(INTERVAL_ERROR);
        }
        let interval = self.evidence.interval(INTERVAL_ERROR);
        [interval.lower, interval.estimate, interval.upper]
    }

    pub(super) fn seen(&self) -> [f64; 4] {
        let PairCount { canary, baseline } = *self.evidence.seen();
        let alone = self.frozen.as_ref().map_or_else(ArmCount::default, Frozen::seen);
        let canary = canary.plus(alone);
        [canary.events(), canary.exposure(), baseline.events(), baseline.exposure()]
    }

    /// The canary's part of it that may show that it is safe.
    pub(super) fn shown(&self) -> [f64; 2] {
        let canary = self.evidence.shown().canary;
        [canary.events(), canary.exposure()]
    }

    pub(super) fn wait(&self, within: f64, threshold: f64) -> Option<f64> {
        if self.frozen.is_some() || self.incident.is_amid() {
            return None;
        }
        if self.log_e_safe(within) >= threshold {
            return Some(0.0);
        }
        let relative = self.pace_of_comparison(within, threshold)?;
        match &self.limit {
            Some(limit) => self.pace_of_limit(limit, threshold).map(|by_limit| by_limit.max(relative)),
            None => Some(relative),
        }
    }

    /// About how many seconds until a canary as good as the baseline is proven to be, whatever the limit says.
    fn pace_of_comparison(&self, within: f64, threshold: f64) -> Option<f64> {
        let (by_ratio, by_floor) = self.safe_parts(within);
        let lack = threshold - by_floor.map_or(by_ratio, |by_floor| log_add_exp(by_ratio, by_floor));
        if lack <= 0.0 {
            return Some(0.0);
        }
        let clusters = self.clusters();
        let by_ratio = self.pace.until_within(within, lack, self.slow).map(|seconds| {
            let missing = (CLUSTERS - clusters).max(0.0) / clusters;
            let until = missing * self.evidence.weighed().canary.exposure() / self.pace.canary();
            let bounded = f64::from(self.evidence.noise().looks_until_bounded()) * self.pace.look();
            [until, bounded].into_iter().filter(|wait| wait.is_finite()).fold(seconds, f64::max)
        });
        let by_floor = self.floor.as_ref().and_then(|floor| {
            let PairCount { canary, baseline } = self.evidence.seen();
            let usual = (canary.events() + baseline.events()) / (canary.exposure() + baseline.exposure());
            let lack = threshold - floor.part.ln() - floor.below.log_e();
            self.pace.until_below(floor.share, usual, lack, floor.phi)
        });
        by_ratio.into_iter().chain(by_floor).min_by(f64::total_cmp)
    }

    /// About how many seconds until the canary, as it is so far, is proven below the limit; nothing where it is not below.
    fn pace_of_limit(&self, limit: &Limit, threshold: f64) -> Option<f64> {
        let canary = self.evidence.seen().canary;
        let spread = self.evidence.spread().unwrap_or(Spread::NONE);
        let lack = (threshold - limit.log_e_safe()).max(0.0);
        let p = canary.events() / canary.exposure();
        let nats = if p < limit.share() { divergence(p, limit.share()) } else { 0.0 };
        self.pace.until_proven(nats / alone(spread, limit.share(), ArmCount::default()), lack)
    }

    /// The limit, where all that is still to be proven is that the canary is below it.
    pub(super) fn lacks_limit(&self, within: f64, threshold: f64) -> Option<f64> {
        let limit =
            self.limit.as_ref().filter(|limit| self.frozen.is_none() && limit.log_e_safe() < threshold)?;
        (self.pace_of_comparison(within, threshold) == Some(0.0)).then(|| limit.share())
    }

    pub(super) fn limit(&self) -> Option<(f64, bool)> {
        let breaks = |limit: &Limit| self.frozen.is_none() && limit.baseline_breaks();
        self.limit.as_ref().map(|limit| (limit.share(), breaks(limit)))
    }

    /// What the baseline has now, where that breaks the limit.
    pub(super) fn limit_broken(&self) -> Option<f64> {
        self.limit.as_ref().filter(|limit| self.frozen.is_none() && limit.baseline_breaks())?.now()
    }

    pub(super) fn both_bad(&self) -> bool {
        self.frozen.is_none() && self.limit.as_ref().is_some_and(Limit::both_break)
    }

    /// What hits both arms now; nothing: nothing does.
    pub(super) fn incident(&self) -> Option<&Incident> {
        Some(&self.incident).filter(|incident| self.frozen.is_none() && incident.lasts())
    }

    /// Whether that keeps from promotion: no limit says how much is too much.
    pub(super) fn holds(&self) -> bool {
        self.limit.is_none() && self.incident().is_some()
    }

    /// The floor of harm, where all that is still to be shown is that the canary is above it.
    pub(super) fn kept_by_floor(&self, threshold: f64) -> Option<f64> {
        let floor = self.floor.as_ref().filter(|floor| floor.is_of_harm)?.share;
        let (ratio, above) = self.evidence.log_e_harm_parts();
        (ratio >= threshold && above.is_some_and(|above| above < threshold)).then_some(floor)
    }

    /// What the canary had since it serves alone; nothing while it does not.
    pub(super) fn alone(&self) -> Option<Alone> {
        let frozen = self.frozen.as_ref()?;
        let seen = [frozen.seen().events(), frozen.seen().exposure()];
        let blamed = frozen.log_e() > self.evidence.log_e_harm();
        let (proves, wrong) = (self.after.proves(), self.after.error());
        Some(Alone { most: frozen.most()?, seen, blamed, proves, wrong, bound: None })
    }

    /// Why there can be no evidence; nothing: there can.
    pub(super) fn blind(&self) -> Option<&'static str> {
        self.frozen.as_ref().filter(|frozen| frozen.most().is_none()).map(|_| UNKNOWN)
    }

    /// The noise that the last slice was judged by; nothing before the first.
    pub(super) fn noise(&self) -> Option<Noise> {
        let Spread { phi, frailty } = self.evidence.spread()?;
        let learnt = self.evidence.noise();
        let (dispersion, before) = (learnt.dispersion(), learnt.has_history());
        Some(Noise::Counts { phi, frailty, dispersion, before, slower: self.slow })
    }

    pub(super) fn about(&self) -> About {
        match self.kind {
            CountKind::Ratio => About::Failures,
            CountKind::Rate => About::Events,
        }
    }

    /// What a reading that was checked counts.
    fn arm(&self, reading: Option<&Reading>) -> Option<ArmCount> {
        let Some(Reading::Counts { events, total }) = reading else { return None };
        match self.kind {
            CountKind::Ratio => ArmCount::ratio(*events, *total).ok(),
            CountKind::Rate => ArmCount::rate(*events, *total).ok(),
        }
    }
}

/// The noise of one arm against a known proportion: its variance over what independent events would have.
pub(super) fn alone(spread: Spread, share: f64, arm: ArmCount) -> f64 {
    spread.phi + spread.frailty * share * arm.exposure()
}

fn question(margin: f64, bounds: &[f64], floor: Option<&Floor>, horizon: f64) -> RatioQuestion {
    let floor = floor.filter(|floor| floor.is_of_harm).map(|floor| floor.share);
    RatioQuestion { margin, bounds: bounds.to_vec(), floor, horizon }
}

/// The noise of a comparison: the squared error of its log ratio over what independent events would have. Frailty adds
/// the same to that error however many events there are.
pub(super) fn slowdown(spread: Spread, slice: &PairCount) -> f64 {
    slowdown_at(slice.events() / (slice.canary.exposure() + slice.baseline.exposure()), spread, slice)
}

/// The same where this rate is expected.
fn slowdown_at(rate: f64, spread: Spread, slice: &PairCount) -> f64 {
    let (canary, baseline) = (slice.canary.exposure(), slice.baseline.exposure());
    spread.phi + 2.0 * spread.frailty * rate * (canary * baseline / (canary + baseline))
}

/// The same for the log ratio of odds, which a proportion p that wavers moves by 1/(1 − p) times as much, while the squared
/// error of independent events is only 1/(1 − p) times as large. So frailty slows it down that much more: twice at a latency's
/// median, forty times at a bound that 2.5 % of requests are within. A measured dispersion is one of proportions already.
///
/// `expected` is the proportion as it is known before the slice. That of the slice itself is high where chance makes evidence
/// small, and would hold back what speaks for the canary only: proportions that waver by a quarter were then rolled back in 3 %
/// of good canaries, by a half in 89 % (400 runs).
pub(super) fn slowdown_of_odds(spread: Spread, expected: f64, slice: &PairCount) -> f64 {
    if spread.frailty <= 0.0 {
        return spread.phi;
    }
    let expected = expected.min(1.0);
    let beyond = (slowdown_at(expected, spread, slice) - 1.0).max(0.0);
    (1.0 + beyond / (1.0 - expected).max(LEAST_PART)).min(NO_EVIDENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of log odds ln(p/(1 − p)): independent events have a squared error of 1/(n p (1 − p)), a p that wavers by `frailty`
    /// (squared, of itself) one of frailty/(1 − p)².
    #[test]
    fn a_proportion_that_wavers_disperses_its_odds_by_more() {
        let spread = Spread { phi: 1.0, frailty: 0.005 };
        for p in [0.001, 0.35, 0.97] {
            let arm = |n: f64| ArmCount::ratio(p * n, n).unwrap();
            let slice = PairCount { canary: arm(750.0), baseline: arm(14_250.0) };
            let independent = (1.0 / 750.0 + 1.0 / 14_250.0) / (p * (1.0 - p));
            let wavering = 2.0 * spread.frailty / (1.0_f64 - p).powi(2);
            let got = slowdown_of_odds(spread, p, &slice);
            assert!((got * independent / (independent + wavering) - 1.0).abs() < 1e-9, "{p}: {got}");
            let measured = Spread { phi: 7.0, frailty: 0.0 };
            assert!(
                (slowdown_of_odds(measured, p, &slice) - 7.0).abs() < 1e-12,
                "a dispersion is one of odds, too"
            );
        }
    }
}
