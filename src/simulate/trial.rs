//! One simulated rollout, through the judge and past the oracle.

use super::stream::Stream;
use super::{Latency, Scenario, gauges};
use crate::judge::{Judge, Look};
use crate::policy::Policy;
use crate::words::{Arms, Share};

/// What became of one simulated rollout. Times are in seconds since the fault's onset, or since the start without one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trial {
    /// When the judge found harm.
    pub harm: Option<f64>,
    /// When the judge first called the canary safe, harm or not.
    pub safe: Option<f64>,
    /// When the oracle of the first signal found harm.
    pub oracle: Option<f64>,
}

/// A service that is rolled out, as signals of all kinds show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its requests and errors, and how the rollout goes.
    pub counts: Scenario,
    /// How many units it has: they are what rates are by. Nothing: it shows no rates.
    pub units: Option<f64>,
    /// How long its requests take, if it shows that.
    pub latency: Option<Latency>,
    /// What its units show as a value, if they do. It knows of the hour that a rollout has at most.
    pub gauge: Option<gauges::Scenario>,
}

impl Service {
    /// A service that shows its requests and errors alone.
    #[must_use]
    pub fn of(counts: Scenario) -> Self {
        Self { counts, units: None, latency: None, gauge: None }
    }

    /// The slice at which the first fault begins; 0 if there is none.
    fn onset(&self) -> usize {
        let counts = self.counts.fault.map(|fault| fault.onset);
        let latency = self.latency.and_then(|latency| latency.fault).map(|(_, onset)| onset);
        let gauge = self.gauge.and_then(|gauge| gauge.fault.onset());
        [counts, latency, gauge].into_iter().flatten().min().unwrap_or(0)
    }
}

/// A judge that is shown simulated rollouts under one policy.
#[derive(Debug)]
pub struct Watcher<'a> {
    policy: &'a Policy,
    threshold: f64,
}

impl<'a> Watcher<'a> {
    /// A watcher by `policy`.
    #[must_use]
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, threshold: -policy.budget.false_rollback.get().ln() }
    }

    /// Runs the rollout that follows from `seed` until harm is found, and the oracle has found it too, or it ends. Only
    /// ratio signals are shown, each with errors of its own; the others stay silent.
    #[must_use]
    pub fn run(&self, scenario: &Scenario, seed: u64) -> Trial {
        self.run_service(&Service::of(scenario.clone()), seed)
    }

    /// As [`Self::run`], with all the signals that the service shows. Each has noise of its own.
    #[must_use]
    pub fn run_service(&self, service: &Service, seed: u64) -> Trial {
        let mut looks = Looks::new(self.policy, service, seed);
        let mut judge = Judge::new(self.policy, &looks.history());
        let mut trial = Trial::default();
        while let Some(look) = looks.next_look() {
            judge.take(&look);
            let since = look.at - looks.onset;
            if trial.harm.is_none() && judge.harm() {
                trial.harm = Some(since);
            }
            if trial.safe.is_none() && judge.safe() {
                trial.safe = Some(since);
            }
            let oracle = looks.oracle();
            if trial.oracle.is_none() && oracle.is_some_and(|log_ratio| log_ratio >= self.threshold) {
                trial.oracle = Some(since);
            }
            if trial.harm.is_some() && (oracle.is_none() || trial.oracle.is_some()) {
                break;
            }
        }
        trial
    }
}

/// The looks of one simulated rollout, as sources would give them.
pub struct Looks<'a> {
    scenario: &'a Scenario,
    /// The signals that the service shows.
    streams: Vec<(&'a str, Stream<'a>)>,
    slice: usize,
    /// When the first fault begins, in seconds.
    onset: f64,
}

impl<'a> Looks<'a> {
    /// The rollout of `service` under `policy` that follows from `seed`.
    #[must_use]
    pub fn new(policy: &'a Policy, service: &'a Service, seed: u64) -> Self {
        let streams = (0_u64..).zip(&policy.signals).filter_map(|(index, signal)| {
            let stream = Stream::new(service, &signal.measure, seed ^ (index << 48))?;
            Some((signal.name.as_str(), stream))
        });
        #[expect(clippy::cast_precision_loss, reason = "slices of a rollout are few")]
        let onset = service.onset() as f64 * service.counts.every;
        Self { scenario: &service.counts, streams: streams.collect(), slice: 0, onset }
    }

    /// Looks at the baseline from before the rollout. To be asked for once, before the first look.
    pub fn history(&mut self) -> Vec<Look> {
        let slices = self.scenario.history;
        let mut histories: Vec<_> = self
            .streams
            .iter_mut()
            .map(|(name, stream)| (*name, stream.history(slices).into_iter()))
            .collect();
        (0..slices)
            .map(|slice| {
                #[expect(clippy::cast_precision_loss, reason = "slices of a history are few")]
                let at = (slice as f64 - slices as f64) * self.scenario.every;
                let signals = histories.iter_mut().map(|(name, readings)| {
                    ((*name).to_owned(), Arms { baseline: readings.next(), canary: None })
                });
                Look { at, share: None, signals: signals.collect() }
            })
            .collect()
    }

    /// The next look; nothing once the rollout is over.
    pub fn next_look(&mut self) -> Option<Look> {
        if self.slice >= self.scenario.slices() {
            return None;
        }
        let share = Share::new(self.scenario.share(self.slice));
        self.slice += 1;
        #[expect(clippy::cast_precision_loss, reason = "slices of a rollout are few")]
        let at = self.slice as f64 * self.scenario.every;
        let signals = self.streams.iter_mut().map(|(name, stream)| ((*name).to_owned(), stream.slice()));
        Some(Look { at, share, signals: signals.collect() })
    }

    /// The log likelihood ratio that the oracle of the first signal has; nothing without a fault.
    fn oracle(&self) -> Option<f64> {
        self.streams.first().and_then(|(_, stream)| stream.oracle())
    }
}
