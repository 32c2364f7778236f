//! The running test of a gauge.

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

use super::bank::{Bank, Branch, NOTHING, Observation, WINDOW};
use super::doubt::Doubt;
use super::fit::{GaugeFit, share};
use super::history::tick_of;
use super::rank::RankMap;
use super::safety::Safety;
use super::scale::median;
use super::trend::Trend;
use crate::stats::Interval;

/// Evidence is reported no larger than this, either way.
const MOST_EVIDENCE: f64 = 1e6;
/// Looks with another number of units than before after which that number is the new one. Until then, they are gaps.
const PATIENCE: u32 = 3;

/// What a look still counts at the next, in the size that the baseline's values have lately had.
const FADE: f64 = 0.95;
/// Looks that the past counts for in that.
const PAST_LOOKS: f64 = 5.0;
/// More than so many times its usual size, or that part of it, is not followed.
const MOST_LEVEL: f64 = 20.0;

/// Who begins again has had a part of the budget before: each time a quarter of it is left, in nats.
const BEGUN_AGAIN: f64 = 2.0 * LN_2;

/// The running test of one gauge. Its state is bounded; serialised and read back, it goes on to the bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeTest {
    fit: GaugeFit,
    /// Time of the first look, from which ticks are counted.
    origin: Option<f64>,
    /// The last tick that counted.
    last: Option<i64>,
    units: Option<Units>,
    /// Looks since the number of units was what it is expected to be.
    misses: u32,
    /// The latest differences on the comparison's scale.
    recent: Vec<f64>,
    strict: Bank,
    loose: Option<Bank>,
    safety: Vec<Safety>,
    trend: Trend,
    evidence: f64,
    peak: f64,
    /// Whether that is the loose branch's.
    #[serde(default)]
    peak_is_loose: bool,
    /// What speaks against the history's noise.
    #[serde(default)]
    doubt: Doubt,
    /// How often it was raised for that.
    #[serde(default)]
    raises: u32,
    /// How many times its usual size the baseline's values have lately had, over so many looks.
    #[serde(default)]
    level: (f64, u32),
}

/// How many units each arm has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Units {
    canary: u32,
    baseline: u32,
}

impl Units {
    fn share(self) -> f64 {
        share(self.canary, self.baseline)
    }

    /// The correlation between the arms' difference before and after a change of units, of which as few as possible
    /// are others than before.
    fn kept(self, after: Self) -> f64 {
        let common = share(self.canary.max(after.canary), self.baseline.max(after.baseline));
        common / (self.share() * after.share()).sqrt()
    }
}

/// What became of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counted.
    Used,
    /// An arm was silent, or has another number of units than it had: a gap, unless that lasts.
    Held,
    /// Its time is no later than that of the last that counted.
    Ignored,
}

/// A ramp that is clearly there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// How much worse the canary becomes in an hour, relative to the baseline: 0.2 is 20 %.
    pub per_hour: f64,
    /// Hours until it is as much worse as was asked, 0 if it is already.
    pub hours: f64,
}

impl GaugeTest {
    /// A test under a fit, which also gathers evidence that the canary is less bad than each of the ratios in `prove`
    /// (1.5 is "less than 50 % worse").
    #[must_use]
    pub fn new(fit: GaugeFit, prove: &[f64]) -> Self {
        let bounds: Vec<f64> = prove.iter().map(|ratio| fit.scale.effect_of(*ratio)).collect();
        let mut test = Self {
            origin: None,
            last: None,
            units: None,
            misses: 0,
            recent: Vec::new(),
            strict: Bank::new(0.0, fit.schedule),
            loose: None,
            safety: Vec::new(),
            trend: Trend::new(fit.plain()),
            evidence: NOTHING,
            peak: NOTHING,
            peak_is_loose: false,
            doubt: Doubt::default(),
            raises: 0,
            level: (1.0, 0),
            fit,
        };
        test.begin(&bounds);
        test
    }

    /// Begins with no evidence.
    fn begin(&mut self, bounds: &[f64]) {
        let fit = &self.fit;
        // Where ranks are compared, the margin is taken off the values before.
        let shift = if fit.strict.ranked { 0.0 } else { fit.margin() };
        self.strict = Bank::new(shift, fit.schedule);
        self.loose = fit.loose.is_some().then(|| Bank::new(0.0, fit.schedule));
        self.safety = bounds.iter().map(|bound| Safety::new(*bound, &fit.strict)).collect();
        self.trend = Trend::new(fit.plain());
        (self.evidence, self.peak, self.peak_is_loose) = (NOTHING, NOTHING, false);
    }

    /// The noise is so many times as large as the history said: what was weighed by that counts no more.
    fn raise(&mut self, times: f64) {
        self.raises = self.raises.saturating_add(1);
        self.fit.raise(times);
        let bounds: Vec<f64> = self.safety.iter().map(Safety::bound).collect();
        self.begin(&bounds);
    }

    /// Takes in the units' values of both arms at a time in seconds. Values that are not finite, or not positive
    /// where ratios are compared, are missing; but a canary's zero counts where less is worse.
    pub fn look(&mut self, at: f64, canary: &[f64], baseline: &[f64]) -> Taken {
        let scale = self.fit.scale;
        let canary: Vec<f64> = canary.iter().filter_map(|value| scale.place_canary(*value)).collect();
        let baseline: Vec<f64> = baseline.iter().filter_map(|value| scale.place(*value)).collect();
        let tick = at.is_finite().then(|| tick_of(at, self.origin.unwrap_or(at), self.fit.tick_seconds));
        let Some(tick) = tick.flatten() else { return Taken::Ignored };
        let now = mean(&baseline, f64::abs);
        let (canary, baseline) = self.by_level(canary, baseline);
        let taken = self.look_placed(tick, canary, baseline);
        if taken == Taken::Used {
            self.note_level(now);
            self.origin.get_or_insert(at);
        }
        taken
    }

    /// The same by the size that the baseline's values have lately had, where a size is what differences are measured by. Earlier looks
    /// tell it. By that of the past, canaries half as bad again as the baseline of a queue that got shorter were proven in 67 %, and good
    /// ones beside one that got longer rolled back in 9 % (200 runs).
    fn by_level(&self, mut canary: Vec<f64>, mut baseline: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        if self.fit.usual.is_some() {
            canary.iter_mut().chain(&mut baseline).for_each(|value| *value /= self.level.0);
        }
        (canary, baseline)
    }

    /// The mean size of the baseline's values now. The past counts as a few looks, and what was long ago for less and less.
    fn note_level(&mut self, now: f64) {
        if let Some(usual) = self.fit.usual {
            let (level, looks) = self.level;
            let weight = (1.0 / (PAST_LOOKS + f64::from(looks))).max(1.0 - FADE);
            let level = level + weight * (now / usual - level);
            self.level = (level.clamp(1.0 / MOST_LEVEL, MOST_LEVEL), looks.saturating_add(1));
        }
    }

    /// Takes in values that are on the comparison's scale already.
    pub(super) fn look_placed(&mut self, tick: i64, canary: Vec<f64>, baseline: Vec<f64>) -> Taken {
        if self.last.is_some_and(|last| last >= tick) {
            return Taken::Ignored;
        }
        let count = |values: &[f64]| u32::try_from(values.len()).unwrap_or(u32::MAX);
        let units = Units { canary: count(&canary), baseline: count(&baseline) };
        if units.canary == 0 || units.baseline == 0 {
            return Taken::Held;
        }
        let Some(kept) = self.settle(units) else { return Taken::Held };
        if let Some(times) =
            self.doubt.take(tick, &baseline, self.fit.plain(), (self.fit.share, self.fit.doubt))
        {
            self.raise(times);
        }
        let pair = Pair { canary, baseline };
        let seen = Observation {
            tick,
            gap: self.last.map_or(0, |last| tick - last),
            difference: pair.difference(),
            spread: (units.share() / self.fit.share).sqrt(),
            kept,
        };
        self.last = Some(tick);
        self.observe(seen, &pair);
        Taken::Used
    }

    /// The correlation that a change of units leaves, 1 without one. Nothing while it is not sure that they changed.
    fn settle(&mut self, units: Units) -> Option<f64> {
        let before = *self.units.get_or_insert(units);
        if before != units {
            self.misses += 1;
            if self.misses < PATIENCE {
                return None;
            }
            self.units = Some(units);
        }
        self.misses = 0;
        Some(before.kept(units))
    }

    fn observe(&mut self, seen: Observation, pair: &Pair) {
        if self.recent.len() == WINDOW {
            self.recent.remove(0);
        }
        self.recent.push(seen.difference);
        let hours = self.fit.tick_seconds / 3600.0;
        let margin = self.fit.margin();
        let recent = &self.recent;
        let passes = |window: usize| typical(recent, window) >= margin;
        // A branch that compares ranks sees the canary with what is allowed taken off its values.
        let scored = |branch: &Branch, allowed: f64| {
            let ranks = self.fit.ranks.as_ref().filter(|_| branch.ranked);
            let difference = ranks.map_or(seen.difference, |ranks| pair.by_rank(ranks, allowed));
            Observation { difference, ..seen }
        };
        let strict = &self.fit.strict;
        let of_strict = self.strict.observe(strict, scored(strict, margin), hours, passes);
        let of_loose = self.loose.as_mut().zip(self.fit.loose.as_ref());
        let of_loose =
            of_loose.map_or(NOTHING, |(bank, loose)| bank.observe(loose, scored(loose, 0.0), hours, passes));
        // Each branch has half of the budget. A strict one that is alone leaves the other half to the fit's error.
        self.evidence = of_strict.max(of_loose) - LN_2 - BEGUN_AGAIN * f64::from(self.raises);
        if self.evidence > self.peak {
            (self.peak, self.peak_is_loose) = (self.evidence, of_loose > of_strict);
        }
        for safety in &mut self.safety {
            safety.observe(strict, scored(strict, safety.bound()));
        }
        self.trend.observe(self.fit.plain(), seen, typical(recent, WINDOW), hours);
    }

    /// Natural logarithm of the evidence of harm at the last look that counted, for people: −1e6 says that no
    /// component sees an effect of the margin's size. It may fall again; what counts is [`Self::log_e_harm`].
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.evidence.clamp(-MOST_EVIDENCE, MOST_EVIDENCE)
    }

    /// Natural logarithm of the e-value of harm that may be averaged with others: `threshold` once the evidence has
    /// reached it at any look, −∞ before.
    ///
    /// The evidence is a maximum over components that were each started from what they saw first, so its expectation
    /// is not bounded; only the chance that it ever crosses is, by the union bound. The all-or-nothing e-value with the
    /// weight w of this signal, 1/(alpha·w) on crossing ln(1/(alpha·w)) and 0 before, has an expectation of at most 1
    /// under the null, and is as strong as any that the bound allows. The threshold must not change during a test.
    #[must_use]
    pub fn log_e_harm(&self, threshold: f64) -> f64 {
        if self.peak >= threshold { threshold } else { f64::NEG_INFINITY }
    }

    /// Whether the largest evidence of harm so far speaks against "no worse at all", which only the loose form asks, rather than
    /// against the margin.
    #[must_use]
    pub fn peak_is_loose(&self) -> bool {
        self.peak_is_loose
    }

    /// Natural logarithm of the e-value that the canary is less bad than the ratio at this index of `prove`; 0 for an
    /// index that there is not.
    #[must_use]
    pub fn log_e_safe(&self, index: usize) -> f64 {
        let again = BEGUN_AGAIN * f64::from(self.raises);
        let evidence = self.safety.get(index).map_or(0.0, |safety| safety.evidence() - again);
        evidence.clamp(-MOST_EVIDENCE, MOST_EVIDENCE)
    }

    /// The canary's value relative to the baseline's, on average over the test, with an interval that holds at all
    /// looks at once with probability 1 − `alpha` if the noise is as fitted.
    #[must_use]
    pub fn effect(&self, alpha: f64) -> Interval {
        let level = self.trend.level(self.fit.plain(), -alpha.clamp(1e-12, 1.0).ln());
        let ratio = |end: usize| {
            level
                .map(|ends| self.fit.scale.ratio(ends[end]))
                .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        };
        let (low, high) = if self.fit.scale.is_reversed() { (2, 0) } else { (0, 2) };
        Interval { lower: ratio(low), estimate: ratio(1), upper: ratio(high) }
    }

    /// The ramp, if there clearly is one, and when it will make the canary worse than the baseline by the factor
    /// `ratio` (1.5 is 50 % worse).
    #[must_use]
    pub fn leak(&self, ratio: f64) -> Option<Leak> {
        let slope = self.trend.slope()?;
        let left = self.fit.scale.effect_of(ratio) - typical(&self.recent, WINDOW);
        let hours = (left / slope).max(0.0);
        let per_hour = self.fit.scale.worse_by(slope);
        (hours.is_finite() && per_hour.is_finite()).then_some(Leak { per_hour, hours })
    }

    /// What the test rests on.
    #[must_use]
    pub fn fit(&self) -> &GaugeFit {
        &self.fit
    }
}

/// The units' values at a tick, on the comparison's scale.
struct Pair {
    canary: Vec<f64>,
    baseline: Vec<f64>,
}

impl Pair {
    fn difference(&self) -> f64 {
        mean(&self.canary, |value| value) - mean(&self.baseline, |value| value)
    }

    fn by_rank(&self, ranks: &RankMap, allowed: f64) -> f64 {
        mean(&self.canary, |value| ranks.score(value - allowed))
            - mean(&self.baseline, |value| ranks.score(value))
    }
}

/// The median of the latest differences.
fn typical(recent: &[f64], window: usize) -> f64 {
    let mut latest = recent[recent.len().saturating_sub(window)..].to_vec();
    median(&mut latest).unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
pub(super) fn mean(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    values.iter().map(|value| of(*value)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_units_leaves_the_correlation_of_those_that_stay() {
        let before = Units { canary: 1, baseline: 4 };
        let after = Units { canary: 2, baseline: 4 };
        let kept = before.kept(after);
        assert!((kept - 0.75 / (1.25_f64 * 0.75).sqrt()).abs() < 1e-12, "{kept}");
        assert!((after.kept(before) - kept).abs() < 1e-12);
        assert!((before.kept(before) - 1.0).abs() < 1e-12);
    }
}
