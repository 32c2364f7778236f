//! What can be seen of counts: ratios, rates, and requests slower than a bound.

use std::f64::consts::LN_2;

use super::super::course::Leg;
use super::super::load::Counts;
use super::super::print::{time, worse};
use super::{LONGEST, Sight, WITHIN};
use crate::judge::{Ask, harmless};
use crate::policy::{Measure, Policy, Signal, rate_floor};
use crate::stats::MOST_OF_ONE;
use crate::stats::power::{DETECTION_NATS, SAFETY_NATS, Traffic, divergence, late_nats};
use crate::words::Share;

/// The part of the evidence of safety that "less than the floor" has where the past lies below it, as an hour of it is reckoned
/// with.
const FLOOR_PART: f64 = 0.9;
/// What not knowing how far below it lies costs, in nats: the past tells about how far. In simulated rollouts 0.3 to 0.5.
const FLOOR_NATS: f64 = 0.5;
/// Bad events without which rates and latencies are never called harmful.
const MIN_EVENTS: u32 = 5;
/// The largest regression of a rate that is looked for.
const MOST: f64 = 1e3;
/// Requests that a step must have seen before a canary is proven in it.
const STEP_REQUESTS: f64 = 50.0;

pub(super) struct CountSight<'a> {
    ask: &'a Ask,
    traffic: Traffic,
    is_rate: bool,
    floor: f64,
    /// Below which a canary is proven, whatever the baseline has.
    harmless: f64,
    min_events: u32,
    limit: Option<f64>,
    /// Seconds from a look to the next.
    every: f64,
}

impl<'a> CountSight<'a> {
    pub(super) fn new(policy: &Policy, signal: &Signal, ask: &'a Ask, counts: &Counts, leg: &Leg) -> Self {
        let (floor, min_events, limit) = match &signal.measure {
            Measure::Ratio { floor, min_events, limit, .. } => (*floor, *min_events, *limit),
            Measure::Latency { limit, .. } => (0.0, MIN_EVENTS, *limit),
            Measure::Rate { floor, .. } => (*floor, MIN_EVENTS, None),
            Measure::Gauge { .. } => (0.0, MIN_EVENTS, None),
        };
        let share = leg.share.get();
        let phi = counts.slowdown(share, policy.look_every.as_seconds());
        Self {
            ask,
            traffic: Traffic { requests: counts.exposure, share, base: counts.base, phi },
            is_rate: matches!(signal.measure, Measure::Rate { .. }),
            floor,
            harmless: harmless(&signal.measure),
            min_events,
            limit: limit.map(Share::get),
            every: policy.look_every.as_seconds(),
        }
    }

    pub(super) fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// What the floor hides, where that is more than the margin allows.
    pub(super) fn hidden(&self) -> Option<String> {
        let hidden = self.harmless / self.traffic.base;
        if self.floor < self.harmless {
            let few = Share::new(self.harmless).unwrap_or(Share::NONE);
            return (hidden > self.ask.allowed)
                .then(|| format!("up to {} so few requests are slow ({few}) that it is promoted unless harm is found first", worse(hidden)));
        }
        let floor = if self.is_rate {
            rate_floor(self.floor)
        } else {
            Share::new(self.floor).unwrap_or(Share::NONE).to_string()
        };
        (hidden > self.ask.allowed).then(|| {
            format!("up to {} it stays below the floor of {floor}, which harms nobody", worse(hidden))
        })
    }

    /// What would let a good canary be proven in `longest` seconds.
    pub(super) fn help(&self, within: f64, longest: f64) -> String {
        if let Some(limit) = self.limit.filter(|limit| self.traffic.base >= *limit) {
            let limit = Share::new(limit).unwrap_or(Share::ALL);
            return format!(
                "; the baseline itself is beyond the limit of {limit}, so no canary is ever proven"
            );
        }
        let in_time = |share: f64, within: f64| {
            let traffic = Traffic { share, ..self.traffic };
            self.proof_at(&traffic, within).is_some_and(|proven| proven <= longest)
        };
        let share = (1..=50)
            .map(|percent| f64::from(percent) / 100.0)
            .find(|share| *share > self.traffic.share && in_time(*share, within));
        let bound = WITHIN.into_iter().find(|bound| *bound > within && in_time(self.traffic.share, *bound));
        match (share, bound) {
            (Some(share), Some(bound)) => {
                format!("; a share of {:.0}%, or `prove_within: {}`, would do", share * 100.0, worse(bound))
            }
            (Some(share), None) => format!("; a share of {:.0}% would do", share * 100.0),
            (None, Some(bound)) => format!("; `prove_within: {}` would do", worse(bound)),
            (None, None) => match self.proof_at(&self.traffic, within).filter(|proven| *proven <= LONGEST) {
                Some(proven) => format!("; a bake of {} would do", time(proven)),
                None => "; there is too little traffic to prove it".to_owned(),
            },
        }
    }

    fn proof_at(&self, traffic: &Traffic, within: f64) -> Option<f64> {
        let nats = self.ask.safe_threshold;
        let relative = traffic.safety_seconds(1.0, within, (-nats).exp());
        // "Less than the floor" proves it, too; its part of the evidence depends on what the past says.
        let by_floor = (traffic.base < self.harmless)
            .then(|| self.below(traffic, self.harmless, nats - FLOOR_PART.ln() + FLOOR_NATS));
        let compared = by_floor.map_or(relative, |by_floor| by_floor.min(relative));
        let by_limit = self.limit.map_or(0.0, |limit| self.below(traffic, limit, nats + SAFETY_NATS));
        let step = STEP_REQUESTS / (traffic.requests * traffic.share);
        let seconds = compared.max(by_limit).max(if self.is_rate { 0.0 } else { step });
        seconds.is_finite().then_some(seconds)
    }

    /// Seconds until the evidence that the canary is worse than so many times the baseline has so many nats.
    fn above(&self, regression: f64, null: f64, nats: f64, late: bool) -> f64 {
        let overhead = self.overhead(late) + self.traffic.large_nats(regression, null, nats);
        self.traffic.detection_seconds(regression, null, (-nats).exp(), overhead)
    }

    /// Seconds until the evidence that the canary's own ratio is above `bound` has so many nats.
    fn over(&self, regression: f64, bound: f64, nats: f64, late: bool) -> f64 {
        let rate = self.traffic.base * regression;
        if rate <= bound {
            return f64::INFINITY;
        }
        let seen = self.traffic.requests * self.traffic.share * self.apart(rate, bound);
        self.traffic.phi * (nats + self.overhead(late)) / seen
    }

    /// Seconds until the canary's own ratio, as good as the baseline's, is shown to be below `bound` with so many nats.
    fn below(&self, traffic: &Traffic, bound: f64, nats: f64) -> f64 {
        if traffic.base >= bound {
            return f64::INFINITY;
        }
        let seen = traffic.requests * traffic.share * self.apart(traffic.base, bound);
        traffic.phi * nats / seen
    }

    /// What tells one ratio or rate from another, in nats a request or unit-second.
    fn apart(&self, p: f64, q: f64) -> f64 {
        if !self.is_rate {
            return divergence(p, q);
        }
        let events = if p > 0.0 { p * (p / q).ln() } else { 0.0 };
        events - p + q
    }

    /// Seconds until the comparison shows harm: worse than allowed, and above the floor.
    fn compared(&self, regression: f64, nats: f64, late: bool) -> f64 {
        let worse = self.above(regression, self.ask.allowed, nats, late);
        if self.floor > 0.0 { worse.max(self.over(regression, self.floor, nats, late)) } else { worse }
    }

    /// What not knowing the effect costs, in nats.
    fn overhead(&self, late: bool) -> f64 {
        DETECTION_NATS + if late { late_nats(self.ask.horizon) } else { 0.0 }
    }

    /// Seconds until the limit shows harm: above it, and worse than the baseline at all.
    fn beyond_limit(&self, regression: f64, limit: f64, nats: f64, late: bool) -> f64 {
        if self.traffic.base >= limit {
            return f64::INFINITY;
        }
        self.over(regression, limit, nats, late).max(self.above(regression, 1.0, nats, late))
    }
}

impl Sight for CountSight<'_> {
    fn detection(&self, regression: f64, late: bool) -> Option<f64> {
        let rate = self.traffic.base * regression;
        if rate <= self.floor || (!self.is_rate && rate > 1.0) {
            return None;
        }
        let nats = self.ask.harm_threshold;
        let seconds = match self.limit {
            None => self.compared(regression, nats, late),
            // Half of the evidence is the limit's, half the comparison's.
            Some(limit) => self.compared(regression, nats + LN_2, late).min(self.beyond_limit(
                regression,
                limit,
                nats + LN_2,
                late,
            )),
        };
        let counted = f64::from(self.min_events) / (self.traffic.requests * self.traffic.share * rate);
        // No look counts for more than so much.
        let looks = ((nats + self.overhead(late)) / MOST_OF_ONE).ceil();
        let seconds = seconds.max(counted).max((looks - 0.5) * self.every);
        seconds.is_finite().then_some(seconds)
    }

    fn proof(&self, within: f64) -> Option<f64> {
        self.proof_at(&self.traffic, within)
    }

    fn most(&self) -> f64 {
        if self.is_rate { MOST } else { (1.0 / self.traffic.base * (1.0 - 1e-9)).max(self.ask.allowed) }
    }
}
