//! What one signal of a simulated rollout shows, whatever its kind.

use super::latency::Histograms;
use super::{Oracle, Scenario, Service, Traffic, gauges};
use crate::judge::Reading;
use crate::policy::Measure;
use crate::stats::{ArmCount, PairCount};
use crate::words::Arms;

/// One signal: first its history, then slice by slice.
pub(super) enum Stream<'a> {
    Counts(Box<Counts<'a>>),
    Latency(Box<Histograms<'a>>),
    Gauge(gauges::Run),
}

/// Bad events among requests, or by unit-seconds.
pub(super) struct Counts<'a> {
    scenario: &'a Scenario,
    traffic: Traffic<'a>,
    oracle: Option<Oracle>,
    /// The log likelihood ratio of the oracle so far.
    log_ratio: f64,
    /// How many units there are, for events by unit-seconds.
    units: Option<f64>,
    slice: usize,
    /// Unit-seconds since both arms were last seen.
    open: Arms<f64>,
}

impl<'a> Stream<'a> {
    /// What a signal that measures this shows of a service; nothing if the service has none of it.
    pub(super) fn new(service: &'a Service, measure: &Measure, seed: u64) -> Option<Self> {
        let counts = |units| {
            Self::Counts(Box::new(Counts {
                scenario: &service.counts,
                traffic: Traffic::new(&service.counts, seed),
                oracle: Oracle::new(&service.counts),
                log_ratio: 0.0,
                units,
                slice: 0,
                open: Arms { baseline: 0.0, canary: 0.0 },
            }))
        };
        match measure {
            Measure::Ratio { .. } => Some(counts(None)),
            Measure::Rate { .. } => service.units.map(|units| counts(Some(units))),
            Measure::Latency { .. } => service
                .latency
                .map(|latency| Self::Latency(Box::new(Histograms::new(&service.counts, latency, seed)))),
            Measure::Gauge { .. } => {
                service.gauge.as_ref().map(|gauge| Self::Gauge(gauges::simulate(gauge, seed)))
            }
        }
    }

    /// The baseline's readings from before the rollout, oldest first. To be asked for once, before the first slice.
    pub(super) fn history(&mut self, slices: usize) -> Vec<Reading> {
        match self {
            Self::Counts(counts) => counts.history(),
            Self::Latency(histograms) => histograms.history(),
            Self::Gauge(run) => run.history.drain(..).take(slices).map(Reading::Values).collect(),
        }
    }

    /// What the next slice shows of both arms.
    pub(super) fn slice(&mut self) -> Arms<Option<Reading>> {
        match self {
            Self::Counts(counts) => counts.slice(),
            Self::Latency(histograms) => histograms.slice(),
            Self::Gauge(run) => match run.looks.pop_front() {
                Some((canary, baseline)) => {
                    Arms { baseline: Some(Reading::Values(baseline)), canary: Some(Reading::Values(canary)) }
                }
                None => Arms { baseline: None, canary: None },
            },
        }
    }

    /// The oracle's log likelihood ratio so far; nothing where there is no oracle.
    pub(super) fn oracle(&self) -> Option<f64> {
        match self {
            Self::Counts(counts) => counts.oracle.as_ref().map(|_| counts.log_ratio),
            Self::Latency(histograms) => histograms.oracle(),
            Self::Gauge(_) => None,
        }
    }
}

impl Counts<'_> {
    fn history(&mut self) -> Vec<Reading> {
        let seconds = self.units.map(|units| units * self.scenario.every);
        let looks = self.traffic.history();
        looks.into_iter().filter_map(|look| reading(look, seconds)).collect()
    }

    fn slice(&mut self) -> Arms<Option<Reading>> {
        let share = self.scenario.share(self.slice);
        self.slice += 1;
        let counts = self.traffic.slice();
        if let Some(oracle) = &mut self.oracle {
            self.log_ratio = oracle.take(&counts);
        }
        let Some(units) = self.units else {
            return Arms { baseline: reading(counts.baseline, None), canary: reading(counts.canary, None) };
        };
        let seconds = units * self.scenario.every;
        self.open.canary += seconds * share;
        self.open.baseline += seconds * (1.0 - share);
        if counts == PairCount::default() {
            return Arms { baseline: None, canary: None };
        }
        let Arms { baseline, canary } =
            std::mem::replace(&mut self.open, Arms { baseline: 0.0, canary: 0.0 });
        Arms {
            baseline: reading(counts.baseline, Some(baseline)),
            canary: reading(counts.canary, Some(canary)),
        }
    }
}

/// Counts as a source would give them, among requests or by unit-seconds; nothing of an arm that was not seen.
fn reading(arm: ArmCount, seconds: Option<f64>) -> Option<Reading> {
    let total = seconds.unwrap_or(arm.exposure());
    arm.is_seen().then(|| Reading::Counts { events: arm.events(), total })
}
