//! Simulated latencies: how long the requests of both arms take, as histograms, slice by slice.
//!
//! Durations are lognormal with a median of 80 ms and a deviation of 0.6 (a 99th percentile of 323 ms), counted in
//! [`BOUNDS`]. The median drifts by 5 % (0.95 a slice) in both arms together; requests are as in
//! [`Traffic`](super::Traffic).

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::StandardNormal;

use super::Scenario;
use super::traffic::{binomial, poisson, wander};
use crate::judge::Reading;
use crate::stats::special::log_ndtr;
use crate::words::Arms;

/// The buckets' bounds in seconds.
pub const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

/// The median of a good request, in seconds.
const MEDIAN: f64 = 0.08;
/// The deviation of the logarithm.
const SPREAD: f64 = 0.6;

/// What is wrong with the canary's latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Every request takes so many times as long.
    Times(f64),
    /// A share of requests takes so many times as long.
    Tail {
        /// Which share.
        share: f64,
        /// How many times.
        times: f64,
    },
}

/// The latencies of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Latency {
    /// What is wrong with the canary, and from which slice on; nothing: it is as fast as the baseline.
    pub fault: Option<(Change, usize)>,
    /// Each arm's median wavers from slice to slice by this deviation, for itself.
    pub waver: f64,
}

/// So many cells have a histogram with these bounds.
const CELLS: usize = BOUNDS.len() + 1;

/// The histograms of one simulated rollout: first its history, then slice by slice.
#[derive(Debug)]
pub(super) struct Histograms<'a> {
    scenario: &'a Scenario,
    latency: Latency,
    rng: StdRng,
    /// The autoregressions of the request rate and of the median, in standard deviations.
    rate: f64,
    level: f64,
    slice: usize,
    /// What one who knows both laws makes of the canary's requests.
    oracle: f64,
}

impl<'a> Histograms<'a> {
    pub(super) fn new(scenario: &'a Scenario, latency: Latency, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (rate, level) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
        Self { scenario, latency, rng, rate, level, slice: 0, oracle: 0.0 }
    }

    /// The baseline's slices from before the rollout. To be asked for once, before the first slice.
    pub(super) fn history(&mut self) -> Vec<Reading> {
        (0..self.scenario.history)
            .map(|_| {
                let (requests, median) = self.drift();
                let law = self.law(median, None);
                reading(self.count(requests, &law))
            })
            .collect()
    }

    /// The next slice's histograms.
    pub(super) fn slice(&mut self) -> Arms<Option<Reading>> {
        let (requests, median) = self.drift();
        let share = self.scenario.share(self.slice);
        let change = self.latency.fault.filter(|(_, onset)| self.slice >= *onset).map(|(change, _)| change);
        self.slice += 1;
        let (good, bad) = (self.law(median, None), self.law(median, change));
        let canary = self.count(requests * share, &bad);
        let baseline = self.count(requests * (1.0 - share), &good);
        let terms = canary.iter().zip(bad.iter().zip(&good));
        let told = terms.filter(|(count, _)| **count > 0.0);
        self.oracle += told.map(|(count, (bad, good))| count * (bad / good).ln()).sum::<f64>();
        Arms { baseline: Some(reading(baseline)), canary: Some(reading(canary)) }
    }

    /// The log likelihood ratio of the fault so far, for who knows the baseline's law in each slice; nothing without one.
    pub(super) fn oracle(&self) -> Option<f64> {
        self.latency.fault.map(|_| self.oracle)
    }

    /// What both arms share: expected requests, and the median of a good one.
    fn drift(&mut self) -> (f64, f64) {
        self.rate = wander(&mut self.rng, self.rate, 0.9);
        self.level = wander(&mut self.rng, self.level, 0.95);
        let requests = self.scenario.requests * self.scenario.every * (0.15 * self.rate).exp();
        (requests, MEDIAN * (0.05 * self.level).exp())
    }

    /// The probability of each cell.
    fn law(&mut self, median: f64, change: Option<Change>) -> [f64; CELLS] {
        let waver = self.latency.waver * self.rng.sample::<f64, _>(StandardNormal);
        let cells = |times: f64| {
            let median = median * times * waver.exp();
            let within = |bound: f64| log_ndtr((bound / median).ln() / SPREAD).exp();
            let mut below = 0.0;
            std::array::from_fn::<f64, CELLS, _>(|cell| {
                let next = BOUNDS.get(cell).map_or(1.0, |bound| within(*bound));
                let part = (next - below).max(0.0);
                below = next;
                part
            })
        };
        match change {
            None => cells(1.0),
            Some(Change::Times(times)) => cells(times),
            Some(Change::Tail { share, times }) => {
                let (slow, others) = (cells(times), cells(1.0));
                std::array::from_fn(|cell| share * slow[cell] + (1.0 - share) * others[cell])
            }
        }
    }

    /// One arm's requests in one slice, by cell.
    fn count(&mut self, requests: f64, law: &[f64; CELLS]) -> [f64; CELLS] {
        let mut left = poisson(&mut self.rng, requests);
        let mut rest = 1.0;
        std::array::from_fn(|cell| {
            let part = if cell + 1 == CELLS { 1.0 } else { (law[cell] / rest).clamp(0.0, 1.0) };
            let count = if rest > 0.0 { binomial(&mut self.rng, left, part) } else { 0.0 };
            rest -= law[cell];
            left -= count;
            count
        })
    }
}

/// A histogram as a source would give it.
fn reading(cells: [f64; CELLS]) -> Reading {
    let mut within = 0.0;
    let counts = BOUNDS.iter().zip(cells).map(|(_, count)| {
        within += count;
        within
    });
    Reading::Histogram { le: BOUNDS.to_vec(), counts: counts.collect(), total: cells.iter().sum() }
}
