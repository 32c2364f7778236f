//! The traffic of one simulated rollout, with all its signals.
//!
//! Traffic, error ratios and latencies drift in both versions alike (standard deviation 15 %, 30 % and 5 %, most of it there still at
//! the next look), as those of a service do; what each version has for itself is the noise that was read, said or assumed: clusters
//! of events, a rate that wavers, units that differ.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, Gamma, Geometric, Poisson, StandardNormal};

use super::super::course::{Course, Leg};
use super::super::load::{Counts, Load, usual};
use super::super::wander::{RATIO, SHARED, SLOWNESS, STEEP, TRAFFIC, drift};
use crate::judge::{Look, Reading};
use crate::policy::{Direction, Measure, Policy};
use crate::signal::Watcher;
use crate::stats::CountKind;
use crate::stats::gauge::NoiseSummary;
use crate::words::{Arms, Share, Span};

/// What is wrong with a canary: it is so many times worse in one signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// Which, in the policy's order.
    pub(super) signal: usize,
    /// How many times.
    pub(super) regression: f64,
}

/// Bounds of a histogram where none was read, in seconds; the middle one is where the slow requests begin.
const BOUNDS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const SLOW: f64 = 0.25;

pub(super) struct Traffic<'a> {
    policy: &'a Policy,
    loads: &'a [Load],
    fault: Option<Fault>,
    every: f64,
    random: StdRng,
    /// Shared drift of the requests and of the ratios, in standard deviations.
    requests: f64,
    ratio: f64,
    gauges: Vec<Option<Gauge>>,
    /// Units of the baseline before the rollout.
    baseline: usize,
}

/// A gauge's units.
struct Gauge {
    noise: NoiseSummary,
    shared: f64,
    units: Arms<Vec<Unit>>,
}

/// What one unit has for itself, in standard deviations.
struct Unit {
    offset: f64,
    lasting: f64,
}

impl<'a> Traffic<'a> {
    /// The rollout that follows from a seed. `noises`: each gauge's own, in the policy's order.
    pub(super) fn new(
        policy: &'a Policy,
        course: &Course,
        loads: &'a [Load],
        noises: &[Option<NoiseSummary>],
        (seed, fault): (u64, Option<Fault>),
    ) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let most = |units: fn(&Leg) -> u32| course.steps().iter().map(units).max().unwrap_or(1) as usize;
        let (canary, baseline) = (most(|leg| leg.canary), most(|leg| leg.baseline));
        let mut units = |count: usize| -> Vec<Unit> {
            (0..count).map(|_| Unit { offset: normal(&mut random), lasting: normal(&mut random) }).collect()
        };
        let mut gauge = |noise: NoiseSummary| {
            let units = Arms { baseline: units(baseline), canary: units(canary) };
            Gauge { noise, shared: 0.0, units }
        };
        let gauges = noises.iter().map(|noise| noise.map(&mut gauge)).collect();
        let (requests, ratio) = (normal(&mut random), normal(&mut random));
        let every = policy.look_every.as_seconds().max(1.0);
        let baseline = course.steps().first().map_or(1, |leg| leg.baseline as usize);
        Self { policy, loads, fault, every, random, requests, ratio, gauges, baseline }
    }

    /// The baseline alone, before the rollout.
    pub(super) fn history(&mut self) -> Vec<Look> {
        let leg = Leg {
            share: Share::NONE,
            index: 0,
            canary: 0,
            baseline: u32::try_from(self.baseline).unwrap_or(u32::MAX),
            is_watch: false,
            bake: self.policy.strategy.bake(),
            warm_up: Span::ZERO,
        };
        // As many as the daemon would ask for.
        let looks = Watcher::looks(self.policy.look_every);
        (0..looks)
            .map(|look| {
                let at = self.every * (f64::from(look) - f64::from(looks));
                Look { share: None, ..self.look(at, &leg) }
            })
            .collect()
    }

    /// The next look, at a step.
    pub(super) fn look(&mut self, at: f64, leg: &Leg) -> Look {
        self.requests = TRAFFIC.next(self.requests, &mut self.random);
        self.ratio = RATIO.next(self.ratio, &mut self.random);
        let mut signals = std::collections::BTreeMap::new();
        for (index, signal) in self.policy.signals.iter().enumerate() {
            let regression =
                self.fault.filter(|fault| fault.signal == index).map_or(1.0, |fault| fault.regression);
            let arms = match (&self.loads[index], &signal.measure) {
                (Load::Counts(counts), Measure::Latency { over, .. }) => {
                    let bounds = bounds(counts, *over);
                    self.arms(leg, |traffic, part, worse| {
                        traffic.histogram(counts, &bounds, part, leg, if worse { regression } else { 1.0 })
                    })
                }
                (Load::Counts(counts), _) => self.arms(leg, |traffic, part, worse| {
                    traffic.counts(counts, part, leg, if worse { regression } else { 1.0 })
                }),
                (Load::Gauge(_), Measure::Gauge { worse, .. }) => self.values(index, leg, *worse, regression),
                _ => continue,
            };
            signals.insert(signal.name.clone(), arms);
        }
        Look { at, share: Some(leg.share), signals }
    }

    fn arms(
        &mut self,
        leg: &Leg,
        mut reading: impl FnMut(&mut Self, f64, bool) -> Reading,
    ) -> Arms<Option<Reading>> {
        let share = leg.share.get();
        let canary = (share > 0.0).then(|| reading(self, share, true));
        Arms { baseline: Some(reading(self, 1.0 - share, false)), canary }
    }

    /// The counts of the arm that has this part of the traffic.
    fn counts(&mut self, counts: &Counts, part: f64, leg: &Leg, regression: f64) -> Reading {
        let (clusters, frailty) = self.noise(counts, leg);
        let (exposure, most) = match counts.kind {
            CountKind::Ratio => {
                let requests = self.requests(counts, part);
                (requests, requests)
            }
            CountKind::Rate => (counts.exposure * self.every * part, f64::INFINITY),
        };
        let ratio = counts.base * regression * (RATIO.deviation * self.ratio).exp() * self.wavering(frailty);
        let mean = (exposure * ratio).min(most);
        let events = if clusters > 1.0 {
            self.clusters(mean, f64::midpoint(clusters, 1.0)).min(most)
        } else if counts.kind == CountKind::Ratio {
            binomial(&mut self.random, exposure, ratio.min(1.0))
        } else {
            poisson(&mut self.random, mean)
        };
        Reading::Counts { events, total: exposure }
    }

    /// The histogram of the arm that has this part of the traffic. Clusters of slow requests are of equal size.
    fn histogram(
        &mut self,
        counts: &Counts,
        bounds: &[(f64, f64)],
        part: f64,
        leg: &Leg,
        regression: f64,
    ) -> Reading {
        let (clusters, frailty) = self.noise(counts, leg);
        let slower = regression * (SLOWNESS.deviation * self.ratio).exp() * self.wavering(frailty);
        let total = (self.requests(counts, part) / clusters).round();
        let (mut left, mut before) = (total, 1.0);
        let mut le = Vec::with_capacity(bounds.len());
        let mut cumulative = Vec::with_capacity(bounds.len());
        for (bound, share) in bounds {
            // The odds of being slower move as a whole, so that the shares stay in order.
            let odds = share / (1.0 - share).max(1e-12) * slower;
            let share = (odds / (1.0 + odds)).min(before);
            left = binomial(&mut self.random, left, if before > 0.0 { share / before } else { 0.0 });
            before = share;
            le.push(*bound);
            cumulative.push(clusters * (total - left));
        }
        Reading::Histogram { le, counts: cumulative, total: clusters * total }
    }

    /// Each unit's value in both arms.
    fn values(
        &mut self,
        index: usize,
        leg: &Leg,
        worse: Direction,
        regression: f64,
    ) -> Arms<Option<Reading>> {
        let Some(gauge) = self.gauges.get_mut(index).and_then(Option::as_mut) else { return Arms::default() };
        gauge.shared = SHARED.next(gauge.shared, &mut self.random);
        let NoiseSummary { deviation, offset, correlation, white, .. } = gauge.noise;
        let lasting = (1.0 - white).max(0.0);
        let memory = if lasting > 0.0 { (correlation / lasting).min(0.999) } else { 0.0 };
        let level = usual(&self.policy.signals[index].measure).ln() + SHARED.deviation * gauge.shared;
        let factor = if worse == Direction::Up { regression } else { 1.0 / regression };
        let mut arm = |units: &mut Vec<Unit>, serving: u32, factor: f64| {
            let mut values = Vec::with_capacity(units.len());
            for unit in units.iter_mut() {
                unit.lasting = drift(unit.lasting, memory, &mut self.random);
                let own = offset * unit.offset
                    + deviation * (lasting.sqrt() * unit.lasting + white.sqrt() * normal(&mut self.random));
                values.push((level + own).exp() * factor);
            }
            values.truncate(serving as usize);
            (!values.is_empty()).then_some(Reading::Values(values))
        };
        let baseline = arm(&mut gauge.units.baseline, leg.baseline, 1.0);
        let canary = arm(&mut gauge.units.canary, leg.canary, factor);
        Arms { baseline, canary }
    }

    fn requests(&mut self, counts: &Counts, part: f64) -> f64 {
        poisson(
            &mut self.random,
            counts.exposure * self.every * part * (TRAFFIC.deviation * self.requests).exp(),
        )
    }

    /// Variance over mean and squared coefficient of variation, as they are judged at a step.
    fn noise(&self, counts: &Counts, leg: &Leg) -> (f64, f64) {
        let share = if leg.share > Share::NONE { leg.share.get() } else { 0.5 };
        counts.spread(share, self.every)
    }

    /// By how much an arm's rate wavers at this look.
    fn wavering(&mut self, frailty: f64) -> f64 {
        let gamma = (frailty > 0.0).then(|| Gamma::new(1.0 / frailty, frailty).ok()).flatten();
        gamma.map_or(1.0, |gamma| gamma.sample(&mut self.random))
    }

    /// Events in clusters of geometric size, `mean` events expected.
    fn clusters(&mut self, mean: f64, size: f64) -> f64 {
        let mut left = poisson(&mut self.random, mean / size);
        let Ok(geometric) = Geometric::new((1.0 / size).clamp(1e-6, 1.0)) else { return 0.0 };
        let mut events = 0.0;
        while left >= 1.0 {
            #[expect(clippy::cast_precision_loss, reason = "a cluster has few events")]
            let more = geometric.sample(&mut self.random) as f64;
            events += 1.0 + more;
            left -= 1.0;
        }
        events
    }
}

/// The share of requests slower than each bound, as it was read or, without that, as it usually is.
fn bounds(counts: &Counts, over: Option<f64>) -> Vec<(f64, f64)> {
    if let Some(past) = counts.past.as_ref().filter(|past| !past.slower.is_empty()) {
        return past.slower.clone();
    }
    let slow = over.unwrap_or(SLOW);
    let odds = counts.base / (1.0 - counts.base).max(1e-9);
    BOUNDS
        .iter()
        .map(|bound| {
            let bound = bound / SLOW * slow;
            let odds = odds * (slow / bound).powf(STEEP);
            (bound, odds / (1.0 + odds))
        })
        .collect()
}

fn normal(random: &mut StdRng) -> f64 {
    random.sample(StandardNormal)
}

/// A Poisson number; nothing of nothing.
fn poisson(random: &mut StdRng, mean: f64) -> f64 {
    Poisson::new(mean).map_or(0.0, |law| law.sample(random))
}

/// A binomial number; nothing of nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "requests are whole numbers far below 2^53"
)]
fn binomial(random: &mut StdRng, n: f64, p: f64) -> f64 {
    Binomial::new(n as u64, p.clamp(0.0, 1.0)).map_or(0.0, |law| law.sample(random) as f64)
}
