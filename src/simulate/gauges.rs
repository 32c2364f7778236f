//! Simulated gauges: two arms of units with noise of several kinds, an hour of past, and a canary that is worse, or not.
//!
//! [`simulate`] makes a run from a seed, and [`cases`] are the kinds of runs that gauges are calibrated on. A tick is a slice
//! of a rollout.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, StandardNormal, StudentT};

#[cfg(test)]
mod tests;

/// Ticks in an hour: of the past, and of the rollout.
pub const HOUR: usize = 240;

/// The noise that each unit has for itself, beside a load that all share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Own {
    /// AR(1) with this coefficient a tick and 5 % standard deviation.
    Ar(f64),
    /// The same, and half of the variance white.
    ArAndWhite(f64),
    /// AR(1) with 0.5 and Student innovations with three degrees of freedom.
    HeavyTails,
    /// Bursts of about three ticks every twenty, exponentially high.
    Spikes,
    /// A garbage collector's sawtooth, each unit with its own period.
    Saw,
    /// A load that switches between 1 and 3, about twenty ticks each.
    OnOff,
    /// Four times as noisy for a fifth of the time.
    Uneven,
    /// Nearly a random walk, 10 %.
    Walk,
}

/// What is wrong with the canary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is worse by this share from this tick on.
    Step {
        /// How much worse.
        by: f64,
        /// The tick.
        from: usize,
    },
    /// It becomes worse by this share an hour.
    Leak(f64),
}

impl Fault {
    /// The tick at which it begins, if there is one.
    pub(super) fn onset(self) -> Option<usize> {
        match self {
            Self::Step { from, .. } => Some(from),
            Self::Leak(_) => Some(0),
            Self::None => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred ticks")]
    fn factor(self, tick: usize) -> f64 {
        match self {
            Self::Step { by, from } if tick >= from => 1.0 + by,
            Self::Leak(per_hour) => 1.0 + per_hour * (tick + 1) as f64 / HOUR as f64,
            Self::None | Self::Step { .. } => 1.0,
        }
    }
}

/// A kind of rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// Units of the canary at first.
    pub canary_units: usize,
    /// Units of the baseline.
    pub baseline_units: usize,
    /// Each unit's own noise.
    pub own: Own,
    /// Standard deviation of what distinguishes units for good, in logarithms.
    pub offset: f64,
    /// What is wrong with the canary.
    pub fault: Fault,
    /// Whether the canary doubles its units at a third and at two thirds of the hour.
    pub grows: bool,
}

impl Scenario {
    /// One canary unit beside four of the baseline, none of which differ for good.
    #[must_use]
    pub const fn usual(own: Own, fault: Fault) -> Self {
        Self { canary_units: 1, baseline_units: 4, own, offset: 0.0, fault, grows: false }
    }

    /// The canary's units at a tick of the rollout.
    fn units_at(&self, tick: usize) -> usize {
        if self.grows { self.canary_units << (3 * tick / HOUR).min(2) } else { self.canary_units }
    }
}

/// One simulated rollout with its past.
#[derive(Debug, Clone)]
pub struct Run {
    /// An hour of the baseline: per tick, its units.
    pub history: Vec<Vec<f64>>,
    /// Per tick of the rollout: the canary's units, the baseline's units.
    pub looks: VecDeque<(Vec<f64>, Vec<f64>)>,
}

/// Simulates one rollout.
#[must_use]
pub fn simulate(scenario: &Scenario, seed: u64) -> Run {
    let mut random = StdRng::seed_from_u64(seed);
    let most = scenario.units_at(HOUR - 1);
    let ticks = 2 * HOUR;
    let shared = ar(0.97, 0.1, ticks, &mut random);
    let units: Vec<Vec<f64>> = (0..most + scenario.baseline_units)
        .map(|_| {
            let offset = scenario.offset * normal(&mut random);
            own_noise(scenario.own, ticks, &mut random).into_iter().map(|value| value + offset).collect()
        })
        .collect();
    let (canary, baseline) = units.split_at(most);
    let value = |unit: &Vec<f64>, tick: usize| 100.0 * (shared[tick] + unit[tick]).exp();
    let all =
        |units: &[Vec<f64>], tick: usize| units.iter().map(|unit| value(unit, tick)).collect::<Vec<_>>();
    let history = (0..HOUR).map(|tick| all(baseline, tick)).collect();
    let looks = (0..HOUR).map(|tick| {
        let now = &canary[..scenario.units_at(tick)];
        let mut canary = all(now, HOUR + tick);
        for value in &mut canary {
            *value *= scenario.fault.factor(tick);
        }
        (canary, all(baseline, HOUR + tick))
    });
    Run { history, looks: looks.collect() }
}

/// The kinds of runs that the test is calibrated on: noise of every kind with this fault, alone, with units that differ
/// for good, with one or many units, and with a canary that grows.
#[must_use]
pub fn cases(fault: Fault) -> Vec<(&'static str, Scenario)> {
    let usual = |own| Scenario::usual(own, fault);
    let calm = Own::Ar(0.8);
    vec![
        ("AR 0", usual(Own::Ar(0.0))),
        ("AR 0.5", usual(Own::Ar(0.5))),
        ("AR 0.9", usual(Own::Ar(0.9))),
        ("AR 0.99", usual(Own::Ar(0.99))),
        ("AR 0.9 and white", usual(Own::ArAndWhite(0.9))),
        ("heavy tails", usual(Own::HeavyTails)),
        ("spikes", usual(Own::Spikes)),
        ("sawtooth", usual(Own::Saw)),
        ("on and off", usual(Own::OnOff)),
        ("uneven", usual(Own::Uneven)),
        ("random walk", usual(Own::Walk)),
        ("offsets 5 %", Scenario { offset: 0.05, ..usual(calm) }),
        ("offsets 10 %", Scenario { offset: 0.1, ..usual(calm) }),
        ("1 + 1 units", Scenario { baseline_units: 1, ..usual(calm) }),
        ("3 + 9 units", Scenario { canary_units: 3, baseline_units: 9, ..usual(calm) }),
        ("growing", Scenario { grows: true, ..usual(calm) }),
        ("growing, offsets 5 %", Scenario { grows: true, offset: 0.05, ..usual(calm) }),
    ]
}

fn normal(random: &mut StdRng) -> f64 {
    StandardNormal.sample(random)
}

/// A stationary AR(1) series.
fn ar(phi: f64, deviation: f64, ticks: usize, random: &mut StdRng) -> Vec<f64> {
    let innovation = deviation * (1.0 - phi * phi).sqrt();
    let mut value = deviation * normal(random);
    let mut next = || {
        let now = value;
        value = phi * value + innovation * normal(random);
        now
    };
    (0..ticks).map(|_| next()).collect()
}

fn own_noise(own: Own, ticks: usize, random: &mut StdRng) -> Vec<f64> {
    match own {
        Own::Ar(phi) => ar(phi, 0.05, ticks, random),
        Own::ArAndWhite(phi) => {
            let half = 0.05 * std::f64::consts::FRAC_1_SQRT_2;
            ar(phi, half, ticks, random).into_iter().map(|value| value + half * normal(random)).collect()
        }
        Own::HeavyTails => heavy_tails(ticks, random),
        Own::Spikes => spikes(ticks, random),
        Own::Saw => saw(ticks, random),
        Own::OnOff => on_off(ticks, random),
        Own::Uneven => uneven(ticks, random),
        Own::Walk => ar(0.998, 0.1, ticks, random),
    }
}

fn heavy_tails(ticks: usize, random: &mut StdRng) -> Vec<f64> {
    let Ok(student) = StudentT::new(3.0) else { return Vec::new() };
    // A t with three degrees of freedom has variance 3.
    let innovation = 0.05 * (0.75_f64 / 3.0).sqrt();
    let mut value = 0.05 * normal(random);
    let mut next = || {
        value = 0.5 * value + innovation * student.sample(random);
        value
    };
    (0..ticks).map(|_| next()).collect()
}

fn spikes(ticks: usize, random: &mut StdRng) -> Vec<f64> {
    let (mut left, mut height) = (0_u32, 0.0);
    let mut base = ar(0.8, 0.05, ticks, random);
    for value in &mut base {
        if left == 0 && random.random_bool(1.0 / 20.0) {
            left = 3;
            height = Exp1.sample(random);
        }
        if left > 0 {
            left -= 1;
            *value += height;
        }
    }
    base
}

fn saw(ticks: usize, random: &mut StdRng) -> Vec<f64> {
    let period = random.random_range(30.0..80.0_f64);
    let (height, mut phase) = (random.random_range(0.5..1.0_f64), random.random_range(0.0..1.0_f64));
    let mut base = ar(0.8, 0.02, ticks, random);
    for value in &mut base {
        *value += (1.0 + height * phase).ln();
        phase = (phase + 1.0 / period).fract();
    }
    base
}

fn on_off(ticks: usize, random: &mut StdRng) -> Vec<f64> {
    let mut on = random.random_bool(0.5);
    let mut base = ar(0.8, 0.05, ticks, random);
    for value in &mut base {
        on ^= random.random_bool(1.0 / 20.0);
        *value += if on { 3.0_f64.ln() } else { 0.0 };
    }
    base
}

fn uneven(ticks: usize, random: &mut StdRng) -> Vec<f64> {
    let mut wild = random.random_bool(0.2);
    let mut base = ar(0.8, 0.05, ticks, random);
    for value in &mut base {
        let switches = random.random_bool(if wild { 1.0 / 20.0 } else { 1.0 / 80.0 });
        wild ^= switches;
        *value *= if wild { 4.0 } else { 1.0 };
    }
    base
}
