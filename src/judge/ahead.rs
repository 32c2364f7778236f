//! What will be seen of a canary that serves alone, before there is one: the judge's own test of that time, shown a canary
//! that does in every look just what its rate lets one expect. That is the middle of what real canaries give, whose chance is
//! as often in their favour as against them.

use super::Ask;
use super::counts::alone;
use super::evidence::{MIN_EVENTS, Terms, harmless};
use super::frozen::{After, Asked, Frozen};
use super::level::Level;
use super::past::{CountPast, GaugePast};
use crate::policy::{Measure, Policy, Signal};
use crate::stats::gauge::GaugeSettings;
use crate::stats::{ArmCount, CountKind};
use crate::words::Share;

/// Looks of a good canary before a regression that begins later.
const LATE: u32 = 100;

/// What a canary alone is held against, as it is known beforehand.
#[derive(Debug, Clone)]
pub struct Ahead {
    test: Test,
    after: After,
    /// The margin, as a ratio.
    allowed: f64,
    harm_threshold: f64,
    safe_threshold: f64,
    /// What may have to be proven, ascending, as ratios.
    bounds: Vec<f64>,
    /// Seconds between looks.
    every: f64,
}

#[derive(Debug, Clone)]
enum Test {
    Counts(Box<Counts>),
    /// A level, and the means that its past goes through again.
    Gauge(Box<Level>, Vec<f64>),
}

#[derive(Debug, Clone)]
struct Counts {
    frozen: Frozen,
    kind: CountKind,
    /// What the canary has in a look.
    exposure: f64,
    /// Its events for each of that, if it is as good as the baseline.
    base: f64,
    min_events: f64,
    /// Its dispersion against the limit.
    phi: f64,
    /// ln of how many bounds of a histogram share the evidence.
    shared: f64,
    /// Its events so far.
    seen: f64,
}

impl Ahead {
    /// Of counts; nothing where too little is known of the baseline.
    #[must_use]
    pub fn of_counts(policy: &Policy, signal: &Signal, ask: &Ask, past: &CountPast) -> Option<Self> {
        let (kind, floor, limit, min_events) = match &signal.measure {
            Measure::Ratio { floor, min_events, limit, .. } => {
                (CountKind::Ratio, *floor, *limit, f64::from(*min_events))
            }
            // Without a bound of its own a latency is judged at all of them, and limits need one.
            Measure::Latency { over, limit, .. } => {
                (CountKind::Ratio, 0.0, limit.filter(|_| over.is_some()), MIN_EVENTS)
            }
            Measure::Rate { floor, .. } => (CountKind::Rate, *floor, None, MIN_EVENTS),
            Measure::Gauge { .. } => return None,
        };
        let together = match &signal.measure {
            Measure::Latency { over: None, .. } => past.slower.len().max(1),
            _ => 1,
        };
        let (after, bounds) = begin(policy, ask);
        let limit = limit.map(Share::get);
        let harmless = harmless(&signal.measure);
        let asked = Asked { margin: signal.margin, floor, harmless, limit, bounds: &bounds };
        let frozen = Frozen::new(kind, past.reference(), &asked, after.one_of(together));
        frozen.most()?;
        let every = policy.look_every.as_seconds().max(1e-3);
        let exposure = past.exposure * every;
        let look = ArmCount::rate(0.0, exposure).ok()?;
        let spread = past.spread(0.5, every);
        let counts = Counts {
            frozen,
            kind,
            exposure,
            base: past.base,
            min_events,
            phi: limit.map_or(1.0, |limit| alone(spread, limit, look)),
            #[expect(clippy::cast_precision_loss, reason = "a histogram has a few bounds")]
            shared: (together as f64).ln(),
            seen: 0.0,
        };
        Some(Self::of(Test::Counts(Box::new(counts)), after, ask, bounds, every))
    }

    /// Of a gauge; nothing where too little is known of the baseline.
    #[must_use]
    pub fn of_gauge(policy: &Policy, signal: &Signal, ask: &Ask, past: &GaugePast) -> Option<Self> {
        let Measure::Gauge { worse, .. } = &signal.measure else { return None };
        let (after, bounds) = begin(policy, ask);
        let (history, means, apart, settings) = past.level();
        let settings = GaugeSettings { horizon_seconds: after.horizon(), ..settings };
        let level = Box::new(Level::of(&history, apart, settings, (*worse, &bounds))?);
        let every = policy.look_every.as_seconds().max(1e-3);
        (!means.is_empty()).then(|| Self::of(Test::Gauge(level, means), after, ask, bounds, every))
    }

    fn of(test: Test, after: After, ask: &Ask, bounds: Vec<f64>, every: f64) -> Self {
        let Ask { allowed, harm_threshold, safe_threshold, .. } = *ask;
        Self { test, after, allowed, harm_threshold, safe_threshold, bounds, every }
    }

    /// Whether safety is to be proven in this time.
    #[must_use]
    pub fn proves(&self) -> bool {
        self.after.proves()
    }

    /// Looks after the onset until, typically, a canary so many times as bad is found, from the first on or later; nothing if
    /// that takes more than `most`, or is never.
    #[must_use]
    pub fn detection(&self, ratio: f64, late: bool, most: u32) -> Option<u32> {
        let onset = if late { LATE } else { 0 };
        let looks = self.until(ratio, onset, most, |ahead| ahead.log_e_harm() >= ahead.harm_threshold)?;
        looks.checked_sub(onset).filter(|looks| *looks > 0)
    }

    /// Looks until, typically, a canary as good as the baseline is proven to be less than `within` times as bad.
    #[must_use]
    pub fn proof(&self, within: f64, most: u32) -> Option<u32> {
        let index = self.bounds.iter().position(|bound| *bound >= within * (1.0 - 1e-12))?;
        self.until(1.0, 0, most, |ahead| ahead.log_e_safe(index) >= ahead.safe_threshold)
    }

    /// How much worse than the baseline as it is known passes for good, as a ratio: the margin, what the level may drift by, and
    /// what is not known of it.
    #[must_use]
    pub fn passes(&self) -> f64 {
        match &self.test {
            Test::Counts(counts) => counts.frozen.most().map_or(f64::INFINITY, |most| most / counts.base),
            Test::Gauge(..) => self.allowed * super::level::DRIFT,
        }
    }

    /// How many times as bad there is at all.
    #[must_use]
    pub fn most(&self) -> Option<f64> {
        match &self.test {
            Test::Counts(counts) if counts.kind == CountKind::Ratio => Some(1.0 / counts.base),
            _ => None,
        }
    }

    fn until(&self, ratio: f64, onset: u32, most: u32, done: impl Fn(&Self) -> bool) -> Option<u32> {
        let mut ahead = self.clone();
        for look in 0..onset.saturating_add(most) {
            ahead.take(look, if look < onset { 1.0 } else { ratio })?;
            if look >= onset && done(&ahead) {
                return Some(look + 1);
            }
        }
        None
    }

    fn take(&mut self, look: u32, ratio: f64) -> Option<()> {
        match &mut self.test {
            Test::Counts(counts) => counts.take(self.every, ratio),
            Test::Gauge(level, means) => {
                let mean = means.get(look as usize % means.len())?;
                level.take(f64::from(look) * self.every, &[mean * ratio]);
                Some(())
            }
        }
    }

    fn log_e_harm(&self) -> f64 {
        match &self.test {
            Test::Counts(counts) if counts.seen < counts.min_events => f64::NEG_INFINITY,
            Test::Counts(counts) => {
                self.after.with(f64::NEG_INFINITY, Some(counts.frozen.log_e() - counts.shared))
            }
            Test::Gauge(level, _) => self.after.either(f64::NEG_INFINITY, Some(level.test().evidence())),
        }
    }

    fn log_e_safe(&self, index: usize) -> f64 {
        match &self.test {
            Test::Counts(counts) => counts.frozen.log_e_safe(index).unwrap_or(f64::NEG_INFINITY),
            Test::Gauge(level, _) => level.test().log_e_safe(index),
        }
    }
}

impl Counts {
    fn take(&mut self, dt: f64, ratio: f64) -> Option<()> {
        let rate = self.base * ratio;
        let events = match self.kind {
            CountKind::Ratio => rate.min(1.0),
            CountKind::Rate => rate,
        } * self.exposure;
        let look = match self.kind {
            CountKind::Ratio => ArmCount::ratio(events, self.exposure),
            CountKind::Rate => ArmCount::rate(events, self.exposure),
        };
        self.seen += events;
        self.frozen.take(dt, look.ok()?, self.phi, true).ok()
    }
}

/// What is decided about the time after 100 %, and what may have to be proven in it.
fn begin(policy: &Policy, ask: &Ask) -> (After, Vec<f64>) {
    let mut bounds = ask.within.clone();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    (After::new(&Terms::of(policy), ask.harm_threshold), bounds)
}
