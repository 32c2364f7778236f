//! What is known of an app's traffic: what the flags say, what was read, and what is assumed for want of both.

use clap::Args;
use serde::Serialize;

use super::course::UNITS;
use super::print::time;
use super::read::Known;
use super::value;
use super::wander::{RATIO, SLOWNESS, TRAFFIC, Wander};
use crate::judge::{CountPast, GAUGE_LOOKS, GAUGE_UNITS, GaugePast, Level, Look, Past, Reading, past};
use crate::policy::{Measure, Policy, Signal};
use crate::stats::{ArmCount, CountKind, MIN_EVENTS, UNKNOWN_DISPERSION};
use crate::words::{Arms, Share, Span};

/// The traffic of an app, as a person tells it.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct Flags {
    /// Requests a second, both versions together
    #[arg(long, value_name = "N", value_parser = value::above_zero, allow_negative_numbers = true)]
    pub(super) rps: Option<f64>,
    /// The baseline's share of requests that fail, as `1%`
    #[arg(long, value_name = "SHARE", value_parser = value::rate)]
    pub(super) error_rate: Option<Share>,
    /// The baseline's share of requests slower than a latency's bound; 10%, or half of the signal's limit where that is
    /// less, unless said or read otherwise
    #[arg(long, value_name = "SHARE", value_parser = value::rate)]
    pub(super) slow_rate: Option<Share>,
    /// Events a second of signals that are rates, over all units of both versions
    #[arg(long, value_name = "N", value_parser = value::above_zero, allow_negative_numbers = true)]
    pub(super) events: Option<f64>,
    /// How much noisier than independent events the counts are: variance over mean, 1 unless said or read otherwise
    #[arg(long, value_name = "N", value_parser = value::dispersion, allow_negative_numbers = true)]
    pub(super) dispersion: Option<f64>,
    /// By how much a gauge's units differ from each other, as `5%`, where no past tells it
    #[arg(long, value_name = "SHARE", value_parser = value::percentage)]
    pub(super) gauge_noise: Option<Share>,
}

impl Flags {
    /// Whether any is given.
    pub(in crate::cli) fn is_asked(&self) -> bool {
        let shares = [self.error_rate, self.slow_rate, self.gauge_noise];
        let numbers = [self.rps, self.events, self.dispersion];
        shares.iter().any(Option::is_some) || numbers.iter().any(Option::is_some)
    }

    /// What the forecasts of gauges rest on whose noise a person says.
    pub(super) fn taken_of_gauges(&self, policy: &Policy) -> Option<String> {
        let gauges = policy.signals.iter().filter(|signal| matches!(signal.measure, Measure::Gauge { .. }));
        let names: Vec<&str> = gauges.map(|signal| signal.name.as_str()).collect();
        let first = policy.look_every.as_seconds() * f64::from(GAUGE_LOOKS);
        (self.gauge_noise.is_some() && !names.is_empty() && policy.judge.kayenta().is_none()).then(|| {
            format!(
                "{}: reckoned with an hour of history. Without it nothing is judged of a gauge in the first {}, and never beside fewer than \
                 {GAUGE_UNITS} units of the baseline.",
                names.join(", "),
                time(first)
            )
        })
    }

    /// What must be said besides, before anything can be forecast of a policy's signals; nothing where they are enough.
    pub(in crate::cli) fn lacking(&self, policy: &Policy) -> Option<&'static str> {
        let any = |is: fn(&Measure) -> bool| policy.signals.iter().any(|signal| is(&signal.measure));
        let ratios = any(|measure| matches!(measure, Measure::Ratio { .. }));
        let latencies = any(|measure| matches!(measure, Measure::Latency { .. }));
        let rates = any(|measure| matches!(measure, Measure::Rate { .. }));
        let gauges = any(|measure| matches!(measure, Measure::Gauge { .. }));
        let others = self.events.is_some() && rates || self.gauge_noise.is_some() && gauges;
        match () {
            () if ratios && (self.rps.is_none() || self.error_rate.is_none()) => {
                Some("`--rps` and `--error-rate`")
            }
            () if latencies && self.rps.is_none() => Some("`--rps`"),
            () if ratios || latencies || others || policy.signals.is_empty() => None,
            () if rates && gauges => Some("`--events` or `--gauge-noise`"),
            () if rates => Some("`--events`"),
            () => Some("`--gauge-noise`, as `--gauge-noise 5%`"),
        }
    }
}

/// The share of slow requests where nobody says otherwise: where the judge looks first.
const SLOW: f64 = 0.1;

/// Seconds of history that are reckoned with.
const HISTORY: f64 = 3600.0;

/// What is known of one signal's traffic.
#[derive(Debug, Clone)]
pub(super) enum Load {
    Counts(Box<Counts>),
    Gauge(GaugePast),
    /// Nothing; what would help.
    Unknown(&'static str),
}

impl Load {
    /// The largest regression that there can be, as a ratio: more than everything cannot fail.
    pub(super) fn most(&self) -> f64 {
        match self {
            Self::Counts(counts) if counts.kind == CountKind::Ratio => 1.0 / counts.base,
            Self::Counts(_) | Self::Gauge(_) | Self::Unknown(_) => f64::INFINITY,
        }
    }
}

/// The counts of one signal.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub(super) kind: CountKind,
    /// Requests (or unit-seconds) a second, both versions together.
    pub(super) exposure: f64,
    /// Events for each of them.
    pub(super) base: f64,
    /// Variance over mean, if a person said so.
    pub(super) dispersion: Option<f64>,
    /// How its rate wanders in both versions alike, where nothing was read.
    wander: Wander,
    /// What was read.
    pub(super) past: Option<CountPast>,
    /// What a canary that serves alone is held against: what was read, or an hour as it is said or taken to be.
    pub(super) before: Option<CountPast>,
    /// That hour is not what was read.
    pub(super) assumed: bool,
}

impl Counts {
    /// Variance over mean and squared coefficient of variation at a share, with a look every so many seconds.
    pub(super) fn spread(&self, share: f64, look: f64) -> (f64, f64) {
        match (self.dispersion, self.known()) {
            (Some(dispersion), _) => (dispersion, 0.0),
            (None, Some(past)) => {
                let spread = past.spread(share, look);
                (spread.phi, spread.frailty)
            }
            (None, None) => (1.0, 0.0),
        }
    }

    /// How many times longer everything takes than with independent events.
    pub(super) fn slowdown(&self, share: f64, look: f64) -> f64 {
        let known = self.dispersion.or(self.known().map(|past| past.slowdown(share, look)));
        // So few events before the rollout leave the dispersion unknown, and the judge takes care.
        let few = self.exposure * self.base * HISTORY < MIN_EVENTS;
        let wanders = || self.wander.dispersion(self.exposure * self.base * look);
        known.unwrap_or_else(|| if few { UNKNOWN_DISPERSION } else { wanders() })
    }

    /// What was read, if it is enough to know the noise.
    pub(super) fn known(&self) -> Option<&CountPast> {
        self.past.as_ref().filter(|past| past.dispersion().is_some())
    }
}

/// What is known of each signal of a policy, in its order. What a person says counts for more than what was read.
pub(super) fn loads(policy: &Policy, flags: &Flags, known: Option<&Known>) -> Vec<Load> {
    let read = known.map_or_else(|| vec![None; policy.signals.len()], |known| past(policy, &known.looks));
    policy.signals.iter().zip(read).map(|(signal, read)| load(policy, signal, flags, read)).collect()
}

fn load(policy: &Policy, signal: &Signal, flags: &Flags, read: Option<Past>) -> Load {
    let (counts, gauge) = match read.map(|past| past.level) {
        Some(Level::Counts(counts)) => (Some(*counts), None),
        Some(Level::Gauge(gauge)) => (None, Some(gauge)),
        None => (None, None),
    };
    let wander = if matches!(signal.measure, Measure::Latency { .. }) { SLOWNESS } else { RATIO };
    let of = |kind, exposure: Option<f64>, base: Option<f64>, without: &'static str| {
        let exposure = exposure.or(counts.as_ref().map(|past| past.exposure)).filter(|n| *n > 0.0);
        let base = base.or(counts.as_ref().map(|past| past.base));
        match (exposure, base) {
            (Some(exposure), Some(base)) => {
                let said = Said { kind, exposure, base, dispersion: flags.dispersion, wander };
                Load::Counts(Box::new(said.with(counts.as_ref(), policy.look_every)))
            }
            _ => Load::Unknown(without),
        }
    };
    match &signal.measure {
        Measure::Ratio { .. } => of(
            CountKind::Ratio,
            flags.rps,
            flags.error_rate.map(Share::get),
            "its source told nothing; `--rps` and `--error-rate` say it",
        ),
        Measure::Latency { limit, .. } => {
            // A baseline beyond its own limit would be no app of this policy's.
            let usual = limit.map_or(SLOW, |limit| SLOW.min(limit.get() / 2.0));
            let slow = flags.slow_rate.map(Share::get).or(counts.is_none().then_some(usual));
            of(CountKind::Ratio, flags.rps, slow, "its source told nothing; `--rps` and `--slow-rate` say it")
        }
        // Events a second of all units are as many for each second of one unit that is all of them.
        Measure::Rate { .. } => match flags.events {
            Some(events) => of(CountKind::Rate, Some(1.0), Some(events), ""),
            None => of(
                CountKind::Rate,
                None,
                None,
                "how often its events happen is not known; `--events` says it",
            ),
        },
        Measure::Gauge { .. } => match (gauge, flags.gauge_noise) {
            (Some(past), None) => Load::Gauge(past),
            (_, Some(noise)) => {
                assumed(policy, signal, noise.get()).map_or(Load::Unknown(GAUGE), Load::Gauge)
            }
            (None, None) => Load::Unknown(GAUGE),
        },
    }
}

/// Counts as a person says them, or as they were read.
#[derive(Clone, Copy)]
struct Said {
    kind: CountKind,
    exposure: f64,
    base: f64,
    dispersion: Option<f64>,
    wander: Wander,
}

impl Said {
    /// Together with what was read.
    fn with(self, read: Option<&CountPast>, every: Span) -> Counts {
        let Self { kind, exposure, base, dispersion, wander } = self;
        // The noise of the past is asked for at the traffic that a person says.
        let at = |past: &CountPast, slower: Option<&CountPast>| {
            let mut past = past.clone();
            (past.exposure, past.base) = (exposure, base);
            if let Some(read) = slower {
                past.slower.clone_from(&read.slower);
            }
            past
        };
        let past = read.map(|past| at(past, None));
        #[expect(clippy::float_cmp, reason = "what nobody changed is the same to the bit")]
        let is_read =
            |read: &&CountPast| dispersion.is_none() && read.exposure == exposure && read.base == base;
        let unchanged = read.filter(is_read);
        let before = if let Some(read) = unchanged {
            Some(read.clone())
        } else {
            // What was read has its wandering in its dispersion.
            let read_wander = read.and_then(CountPast::wander);
            self.hour(dispersion.or(read_wander).unwrap_or(1.0), read_wander.is_some(), every)
                .map(|hour| at(&hour, read))
        };
        Counts { kind, exposure, base, dispersion, wander, past, before, assumed: unchanged.is_none() }
    }

    /// An hour of it, with this variance over what independent events have; it wanders as services do unless it `stands`. The same
    /// one whenever it is asked for.
    fn hour(self, dispersion: f64, stands: bool, every: Span) -> Option<CountPast> {
        use rand::{RngExt as _, SeedableRng as _};
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        let every = every.max(Span(1)).as_seconds();
        let wandering = |wander: Wander| {
            if stands { vec![1.0; ASSUMED as usize] } else { wander.typical(ASSUMED as usize) }
        };
        let (requests, ratios) = (wandering(TRAFFIC), wandering(self.wander));
        let mut look = |number: u32| {
            let exposure = self.exposure
                * every
                * match self.kind {
                    CountKind::Ratio => requests.get(number as usize)?,
                    CountKind::Rate => &1.0,
                };
            let base = self.base * ratios.get(number as usize)?;
            let clusters = rand_distr::Poisson::new(exposure * base / dispersion).ok()?;
            let events = dispersion * random.sample::<f64, _>(clusters);
            let count = match self.kind {
                CountKind::Ratio => ArmCount::ratio(events.min(exposure), exposure),
                CountKind::Rate => ArmCount::rate(events, exposure),
            };
            Some((f64::from(number) * every, count.ok()?))
        };
        let looks: Vec<(f64, ArmCount)> = (0..ASSUMED).filter_map(&mut look).collect();
        CountPast::of_looks(self.kind, &looks, every)
    }
}

/// What a gauge without a past needs.
const GAUGE: &str = "a gauge's noise is learnt from its past; `--app` reads it, `--gauge-noise` says it";

/// Looks of the past that is assumed: an hour at four a minute.
const ASSUMED: u32 = 240;
/// What of a difference is still there at the next look, where nobody says otherwise.
const STAYS: f64 = 0.8;

/// What a gauge that nothing is known of usually shows: well more than what harms nobody.
pub(super) fn usual(measure: &Measure) -> f64 {
    match measure {
        Measure::Gauge { floor: Some(floor), .. } => 10.0 * floor,
        _ => 100.0,
    }
}

/// A gauge's past whose units differ by so much.
pub(super) fn assumed(policy: &Policy, signal: &Signal, deviation: f64) -> Option<GaugePast> {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let mut next = || random.sample::<f64, _>(rand_distr::StandardNormal);
    let mut units: Vec<f64> = (0..UNITS).map(|_| deviation * next()).collect();
    let every = policy.look_every.max(Span(1)).as_seconds();
    let looks: Vec<Look> = (0..ASSUMED)
        .map(|look| {
            for unit in &mut units {
                *unit = STAYS * *unit + deviation * (1.0 - STAYS * STAYS).sqrt() * next();
            }
            let values =
                Reading::Values(units.iter().map(|unit| usual(&signal.measure) * unit.exp()).collect());
            let arms = Arms { baseline: Some(values), canary: None };
            let signals = std::iter::once((signal.name.clone(), arms)).collect();
            Look { at: f64::from(look) * every, share: None, signals }
        })
        .collect();
    let alone = Policy { signals: vec![signal.clone()], ..policy.clone() };
    match past(&alone, &looks).pop()??.level {
        Level::Gauge(past) => Some(past),
        Level::Counts(_) => None,
    }
}

/// A signal's traffic for programs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    /// Requests (or unit-seconds) a second, both versions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exposure: Option<f64>,
    /// Events for each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<f64>,
    /// The bound beyond which requests are counted, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bound: Option<f64>,
    /// So many times longer than with independent events everything takes at this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slower: Option<f64>,
}

impl Told {
    pub(super) fn of(load: &Load, share: f64, look: f64) -> Self {
        match load {
            Load::Counts(counts) => Self {
                exposure: Some(counts.exposure),
                base: Some(counts.base),
                bound: counts.past.as_ref().and_then(|past| past.bound),
                slower: Some(counts.slowdown(share, look)),
            },
            Load::Gauge(_) | Load::Unknown(_) => {
                Self { exposure: None, base: None, bound: None, slower: None }
            }
        }
    }
}
