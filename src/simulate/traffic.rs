//! Traffic: requests and errors of both arms, slice by slice.
//!
//! Requests are Poisson about a rate that follows a slow sine of ±20 % and a first-order autoregression (0.9 a slice,
//! standard deviation 15 %). The error ratio drifts (0.95 a slice, 30 %) in both arms together. How errors come about is
//! the [`Family`]'s.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, Gamma, Geometric, Poisson, StandardNormal};

use crate::stats::{ArmCount, PairCount};

/// How errors come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Independently.
    Plain,
    /// Independently; for five minutes both arms fail twenty times as often.
    Incident,
    /// Independently; for ten minutes there is five times the traffic.
    Spike,
    /// Independently; a fifth of each arm's scrapes is lost, and the next one carries the counts.
    Missing,
    /// Each arm's error ratio wavers from slice to slice by a gamma law of mean 1, shape 4 (coefficient of variation
    /// 50 %).
    Frailty,
    /// As [`Family::Frailty`] with shape 3.
    NegBin,
    /// In independent clusters of geometric size, four on average.
    Burst,
    /// In independent clusters of one to five, all as likely.
    Retry,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Plain,
        Self::Incident,
        Self::Spike,
        Self::Missing,
        Self::Frailty,
        Self::NegBin,
        Self::Burst,
        Self::Retry,
    ];

    /// The gamma shape of an arm's frailty, if it has one.
    pub(super) fn shape(self) -> Option<f64> {
        match self {
            Self::Frailty => Some(4.0),
            Self::NegBin => Some(3.0),
            _ => None,
        }
    }

    /// The mean size of a cluster of errors.
    fn cluster(self) -> f64 {
        match self {
            Self::Burst => GEOMETRIC_SIZE,
            Self::Retry => f64::midpoint(1.0, UNIFORM_SIZE),
            _ => 1.0,
        }
    }
}

/// The mean size of a burst.
pub(super) const GEOMETRIC_SIZE: f64 = 4.0;
/// The largest number of retries, first try included.
pub(super) const UNIFORM_SIZE: f64 = 5.0;

/// What a bad canary does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// Its error ratio is so many times the baseline's.
    Times(f64),
    /// Its error ratio is this.
    Level(f64),
}

/// A bad canary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What it does.
    pub effect: Effect,
    /// From which slice on, counted from 0.
    pub onset: usize,
}

/// A step of a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The canary's share of requests.
    pub share: f64,
    /// How many slices it lasts.
    pub slices: usize,
}

/// A rollout to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Requests per second, both arms.
    pub requests: f64,
    /// The baseline's error ratio.
    pub base: f64,
    /// How errors come about.
    pub family: Family,
    /// What is wrong with the canary; nothing: it is as good as the baseline.
    pub fault: Option<Fault>,
    /// The length of a slice in seconds.
    pub every: f64,
    /// The rollout's steps.
    pub steps: Vec<Step>,
    /// So many slices of the baseline alone are known from before.
    pub history: usize,
}

impl Scenario {
    /// The canary's share in `slice`; that of the last step after it.
    #[must_use]
    pub fn share(&self, slice: usize) -> f64 {
        let mut end = 0;
        for step in &self.steps {
            end += step.slices;
            if slice < end {
                return step.share;
            }
        }
        self.steps.last().map_or(0.0, |step| step.share)
    }

    /// How many slices the rollout has.
    #[must_use]
    pub fn slices(&self) -> usize {
        self.steps.iter().map(|step| step.slices).sum()
    }
}

/// The traffic of one simulated rollout: first its [history](Traffic::history), then slice by slice.
#[derive(Debug)]
pub struct Traffic<'a> {
    scenario: &'a Scenario,
    rng: StdRng,
    /// The autoregressions of the request rate and of the error ratio, in standard deviations.
    rate: f64,
    ratio: f64,
    /// Where the sine begins.
    phase: f64,
    slice: usize,
    /// Counts whose scrape was lost.
    lost: PairCount,
}

/// The incident and the spike begin here, in seconds.
const EVENT: f64 = 1200.0;
/// The sine's period in seconds.
const PERIOD: f64 = 3600.0;

impl<'a> Traffic<'a> {
    /// The traffic of `scenario` that follows from `seed`.
    #[must_use]
    pub fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let phase = rng.random::<f64>() * std::f64::consts::TAU;
        let (rate, ratio) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
        Self { scenario, rng, rate, ratio, phase, slice: 0, lost: PairCount::default() }
    }

    /// The baseline's slices from before the rollout, with all the traffic. To be asked for once, before the first slice.
    pub fn history(&mut self) -> Vec<ArmCount> {
        (0..self.scenario.history)
            .map(|t| {
                let (requests, ratio) = self.drift(t);
                self.arm(requests, ratio, 1.0)
            })
            .collect()
    }

    /// The next slice's counts: nothing where a scrape was lost, whose counts then come with the next.
    pub fn slice(&mut self) -> PairCount {
        let scenario = self.scenario;
        let (mut requests, mut ratio) = self.drift(scenario.history + self.slice);
        #[expect(clippy::cast_precision_loss, reason = "slices of a rollout are few")]
        let at = self.slice as f64 * scenario.every;
        let since = at - EVENT;
        match scenario.family {
            Family::Incident if (0.0..300.0).contains(&since) => ratio = (20.0 * ratio).min(0.9),
            Family::Spike if (0.0..600.0).contains(&since) => requests *= 5.0,
            _ => {}
        }
        let share = scenario.share(self.slice);
        let effect = scenario.fault.filter(|fault| self.slice >= fault.onset).map(|fault| fault.effect);
        let counts = match effect {
            Some(Effect::Level(level)) => PairCount {
                canary: self.arm(requests * share, level, 1.0),
                baseline: self.arm(requests * (1.0 - share), ratio, 1.0),
            },
            effect => {
                let times = if let Some(Effect::Times(times)) = effect { times } else { 1.0 };
                PairCount {
                    canary: self.arm(requests * share, ratio, times),
                    baseline: self.arm(requests * (1.0 - share), ratio, 1.0),
                }
            }
        };
        self.slice += 1;
        let all = self.lost.plus(counts);
        let lose = |rng: &mut StdRng| scenario.family == Family::Missing && rng.random_bool(0.2);
        // Both arms must have been scraped for the slice to close.
        if lose(&mut self.rng) | lose(&mut self.rng) {
            self.lost = all;
            PairCount::default()
        } else {
            self.lost = PairCount::default();
            all
        }
    }

    /// What both arms share in slice `t` since the history began: expected requests, and the error ratio.
    fn drift(&mut self, t: usize) -> (f64, f64) {
        self.rate = wander(&mut self.rng, self.rate, 0.9);
        self.ratio = wander(&mut self.rng, self.ratio, 0.95);
        let scenario = self.scenario;
        #[expect(clippy::cast_precision_loss, reason = "slices of a rollout are few")]
        let at = t as f64 * scenario.every;
        let sine = 1.0 + 0.2 * (self.phase + std::f64::consts::TAU * at / PERIOD).sin();
        let requests = scenario.requests * scenario.every * sine * (0.15 * self.rate).exp();
        (requests, (scenario.base * (0.3 * self.ratio).exp()).min(0.9))
    }

    /// One arm's counts in one slice.
    fn arm(&mut self, requests: f64, ratio: f64, times: f64) -> ArmCount {
        let family = self.scenario.family;
        let requests = poisson(&mut self.rng, requests);
        let frailty = family.shape().and_then(|shape| Gamma::new(shape, 1.0 / shape).ok());
        let wavering = frailty.map_or(1.0, |gamma| gamma.sample(&mut self.rng));
        let ratio = (ratio * times * wavering).min(1.0);
        let errors = if family.cluster() > 1.0 {
            self.clusters(requests * ratio / family.cluster()).min(requests)
        } else {
            binomial(&mut self.rng, requests, ratio)
        };
        // Made from counts that fit by construction.
        ArmCount::ratio(errors, requests).unwrap_or_default()
    }

    /// Errors in clusters, `mean` clusters expected.
    fn clusters(&mut self, mean: f64) -> f64 {
        let mut left = poisson(&mut self.rng, mean);
        let geometric = Geometric::new(1.0 / GEOMETRIC_SIZE).ok();
        let mut errors = 0.0;
        while left >= 1.0 {
            errors += match (self.scenario.family, geometric) {
                #[expect(clippy::cast_precision_loss, reason = "a cluster has few errors")]
                (Family::Burst, Some(geometric)) => 1.0 + geometric.sample(&mut self.rng) as f64,
                _ => (UNIFORM_SIZE * self.rng.random::<f64>()).floor() + 1.0,
            };
            left -= 1.0;
        }
        errors
    }
}

/// The next value of a first-order autoregression with variance 1 that keeps `memory` of its last.
pub(super) fn wander(rng: &mut StdRng, last: f64, memory: f64) -> f64 {
    memory * last + (1.0 - memory * memory).sqrt() * rng.sample::<f64, _>(StandardNormal)
}

/// A Poisson number; nothing of nothing.
pub(super) fn poisson(rng: &mut StdRng, mean: f64) -> f64 {
    Poisson::new(mean).map_or(0.0, |law| law.sample(rng))
}

/// A binomial number; nothing of nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "requests are whole numbers far below 2^53"
)]
pub(super) fn binomial(rng: &mut StdRng, n: f64, p: f64) -> f64 {
    Binomial::new(n as u64, p).map_or(0.0, |law| law.sample(rng) as f64)
}
