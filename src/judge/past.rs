//! What looks at a baseline alone say of each signal before anything is judged by them: its level and its noise.
//!
//! A forecast rests on it, and a person who wants to know what was learnt.

use super::counts::slowdown;
use super::evidence::{Evidence, Terms};
use super::frozen::After;
use super::gauge::Asked;
use super::histogram::Buckets;
use super::latency::bound_of;
use super::level::{apart, mean};
use super::look::{Look, Reading};
use super::noise::Noise;
use crate::policy::{Measure, Policy, Signal};
use crate::stats::gauge::{GaugeFit, GaugeForecast, GaugeSettings, History, NoFit};
use crate::stats::{ArmCount, CountKind, NoiseModel, PairCount, Reference, Spread};

/// Looks that are further apart than so many times their usual distance have a pause between them.
const PAUSE: f64 = 4.0;

/// What a history says of one signal.
#[derive(Debug, Clone)]
pub struct Past {
    /// The times of the first and the last look that told of it, in the looks' seconds.
    pub from: f64,
    /// See `from`.
    pub until: f64,
    /// How many looks told of it.
    pub looks: usize,
    /// Its level and its noise.
    pub level: Level,
}

/// The level of a signal, and its noise.
#[derive(Debug, Clone)]
pub enum Level {
    /// Events among requests, events by unit-seconds, or requests slower than a bound.
    Counts(Box<CountPast>),
    /// A value of each unit.
    Gauge(GaugePast),
}

/// Past counts.
#[derive(Debug, Clone)]
pub struct CountPast {
    /// Events for each unit of exposure.
    pub base: f64,
    /// Exposure (requests, or unit-seconds) for each second.
    pub exposure: f64,
    /// Where requests slower than a bound are counted: that bound, in seconds.
    pub bound: Option<f64>,
    /// The share of requests slower than each bound of a histogram; empty for other signals.
    pub slower: Vec<(f64, f64)>,
    noise: NoiseModel,
    reference: Reference,
}

/// A gauge's past.
#[derive(Debug, Clone)]
pub struct GaugePast {
    asked: Asked,
    history: History,
    /// When, and the mean over the units then.
    means: Vec<(f64, f64)>,
    /// How far its units are from each other for good.
    apart: f64,
    /// The units that the last look told of.
    pub units: usize,
}

/// What `history`, looks at the baseline alone, oldest first, says of each signal of a policy, in its order. Nothing where no
/// look tells of it, or makes sense of it.
#[must_use]
pub fn past(policy: &Policy, history: &[Look]) -> Vec<Option<Past>> {
    let terms = Terms::of(policy);
    policy.signals.iter().map(|signal| of(signal, &terms, history)).collect()
}

fn of(signal: &Signal, terms: &Terms, history: &[Look]) -> Option<Past> {
    let evidence = Evidence::new(signal, &[], terms, After::new(terms, 0.0));
    let readings: Vec<(f64, &Reading)> = history
        .iter()
        .filter_map(|look| Some((look.at, look.signals.get(&signal.name)?.baseline.as_ref()?)))
        .filter(|(at, reading)| at.is_finite() && evidence.check(reading).is_ok())
        .collect();
    let (from, until) = (readings.first()?.0, readings.last()?.0);
    let every = terms.look_every;
    let level = match &signal.measure {
        Measure::Ratio { .. } => {
            Level::Counts(Box::new(CountPast::of(CountKind::Ratio, &readings, None, every)?))
        }
        Measure::Rate { .. } => {
            Level::Counts(Box::new(CountPast::of(CountKind::Rate, &readings, None, every)?))
        }
        Measure::Latency { over, .. } => {
            Level::Counts(Box::new(CountPast::of_latency(&readings, *over, every)?))
        }
        Measure::Gauge { worse, form, floor, .. } => {
            let asked = Asked {
                margin: signal.margin,
                worse: *worse,
                form: *form,
                floor: *floor,
                horizon: terms.horizon,
                look_every: terms.look_every,
            };
            Level::Gauge(GaugePast::of(asked, &readings)?)
        }
    };
    Some(Past { from, until, looks: readings.len(), level })
}

impl CountPast {
    /// Of looks alone, each with its time, oldest first; nothing where they say nothing.
    #[must_use]
    pub fn of_looks(kind: CountKind, looks: &[(f64, ArmCount)], every: f64) -> Option<Self> {
        let reading = |look: &ArmCount| Reading::Counts { events: look.events(), total: look.exposure() };
        let readings: Vec<(f64, Reading)> = looks.iter().map(|(at, look)| (*at, reading(look))).collect();
        Self::of(kind, &readings.iter().map(|(at, reading)| (*at, reading)).collect::<Vec<_>>(), None, every)
    }

    fn of(kind: CountKind, readings: &[(f64, &Reading)], bound: Option<f64>, every: f64) -> Option<Self> {
        let count = |reading: &Reading| match (reading, bound) {
            (Reading::Counts { events, total }, _) if kind == CountKind::Ratio => {
                ArmCount::ratio(*events, *total).ok()
            }
            (Reading::Counts { events, total }, _) => ArmCount::rate(*events, *total).ok(),
            (reading, Some(bound)) => Buckets::new(Some(reading)).slower_than(bound),
            _ => None,
        };
        let looks: Vec<ArmCount> = readings.iter().filter_map(|(_, reading)| count(reading)).collect();
        let sum = |all: ArmCount, look: ArmCount| all.plus(look);
        let all = looks.iter().copied().fold(ArmCount::default(), sum);
        // What the first look tells of, or the first one after a pause, began nobody knows when. It may tell of nothing yet.
        let (mut exposure, mut seconds) = (0.0, 0.0);
        for ((before, _), (at, reading)) in readings.iter().zip(readings.iter().skip(1)) {
            if at - before <= PAUSE * every {
                exposure += count(reading).map_or(0.0, ArmCount::exposure);
                seconds += at - before;
            }
        }
        let mut reference = Reference::new(kind);
        for look in &looks {
            reference.learn(*look);
        }
        (all.is_seen() && seconds > 0.0).then(|| Self {
            // Half an event stands for none, which nothing could be compared with.
            base: all.events().max(0.5) / all.exposure(),
            exposure: exposure / seconds,
            bound,
            slower: Vec::new(),
            noise: NoiseModel::from_history(kind, &looks),
            reference,
        })
    }

    fn of_latency(readings: &[(f64, &Reading)], over: Option<f64>, every: f64) -> Option<Self> {
        let mut all = Buckets::default();
        for (_, reading) in readings {
            all.add(Buckets::new(Some(reading)));
        }
        let bound = bound_of(&all.bounds(), over, |bound| all.slower_than(bound))?;
        let share = |bound: f64| all.slower_than(bound).map(|arm| (bound, arm.events() / arm.exposure()));
        let slower = all.bounds().into_iter().filter_map(share).collect();
        Some(Self { slower, ..Self::of(CountKind::Ratio, readings, Some(bound), every)? })
    }

    /// The noise by which a look of this length, in seconds, is judged at a share of the traffic.
    #[must_use]
    pub fn spread(&self, share: f64, look: f64) -> Spread {
        let all = self.exposure * look;
        self.noise.spread(all * share, all * (1.0 - share))
    }

    /// How many times longer than with independent events everything takes at a share of the traffic, with a look every so
    /// many seconds.
    #[must_use]
    pub fn slowdown(&self, share: f64, look: f64) -> f64 {
        let all = self.exposure * look;
        let arm = |part: f64| ArmCount::rate(all * part * self.base, all * part).unwrap_or_default();
        let slice = PairCount { canary: arm(share), baseline: arm(1.0 - share) };
        if slice.is_closed() { slowdown(self.spread(share, look), &slice) } else { 1.0 }
    }

    /// The noise at a share, as it is told; nothing if the history is too short to measure it.
    #[must_use]
    pub fn noise(&self, share: f64, look: f64) -> Option<Noise> {
        let dispersion = Some(self.dispersion()?);
        let Spread { phi, frailty } = self.spread(share, look);
        Some(Noise::Counts { phi, frailty, dispersion, before: true, slower: self.slowdown(share, look) })
    }

    /// What a canary that serves alone is held against.
    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The dispersion of sums over any time, which is what counts for a canary that serves alone; nothing before a few looks.
    #[must_use]
    pub fn wander(&self) -> Option<f64> {
        self.reference.known().map(|known| known.dispersion)
    }

    /// The measured dispersion; nothing if the history is too short to measure it.
    #[must_use]
    pub fn dispersion(&self) -> Option<f64> {
        self.noise.dispersion()
    }
}

impl GaugePast {
    fn of(asked: Asked, readings: &[(f64, &Reading)]) -> Option<Self> {
        let mut history = History::new(asked.look_every);
        let (mut units, mut means, mut all) = (0, Vec::new(), Vec::new());
        for (at, reading) in readings {
            let values = asked.values(Some(reading));
            if !values.is_empty() {
                history.push(*at, &values);
                units = values.len();
                means.extend(mean(&values).map(|mean| (*at, mean)));
                all.push(values);
            }
        }
        let apart = apart(all.iter().map(AsRef::as_ref));
        (units > 0).then_some(Self { asked, history, means, apart, units })
    }

    /// The past of the mean over all units, which a canary that serves alone is held against.
    pub(super) fn level(&self) -> (History, Vec<f64>, f64, GaugeSettings) {
        let mut history = History::new(self.asked.look_every);
        for (at, mean) in &self.means {
            history.push(*at, &[*mean]);
        }
        let means = self.means.iter().map(|(_, mean)| *mean).collect();
        (history, means, self.apart, self.asked.settings(1, 1))
    }

    /// A forecast for arms of so many units.
    ///
    /// # Errors
    /// With what the past lacks.
    pub fn forecast(&self, canary_units: usize, baseline_units: usize) -> Result<GaugeForecast, NoFit> {
        let settings = self.asked.settings(canary_units, baseline_units);
        Ok(GaugeForecast::new(GaugeFit::from_history(&self.history, settings)?, &self.history))
    }
}
