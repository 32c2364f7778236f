//! The policies that simulated rollouts are judged by.
//!
//! They ask for what is hardest to keep: no margin but a gauge's, every signal critical and as heavy as the next, a budget of
//! 1 % for a false rollback and of 5 % for a false promotion, proof of "less than 1.5 times as bad", a look every 15 s.

use crate::policy::{
    Bake, Budget, Canary, Capacity, Counter, Direction, GaugeForm, Measure, Policy, Signal, Strategy,
};
use crate::words::{Share, Span};

/// A policy with these steps, which last five minutes at least and `at_most` at most.
#[must_use]
pub fn policy(steps: &[f64], at_most: Span, signals: Vec<Signal>) -> Policy {
    let share = |value: f64| Share::new(value).unwrap_or(Share::NONE);
    let strategy = Strategy::Canary(Canary {
        steps: steps.iter().copied().map(share).collect(),
        bake: Bake { at_least: Span::minutes(5), at_most },
        approve: Vec::new(),
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    });
    let budget = Budget { false_rollback: share(0.01), false_promotion: share(0.05) };
    Policy { budget, look_every: Span::seconds(15), signals, ..Policy::new("simulated", strategy) }
}

/// The share of errors: a floor of 0.05 %, at least five errors of the canary, and perhaps an absolute limit.
#[must_use]
pub fn errors(name: &str, limit: Option<f64>) -> Signal {
    let measure = Measure::Ratio {
        events: counter("errors"),
        total: counter("requests"),
        floor: 0.0005,
        min_events: 5,
        limit: limit.and_then(Share::new),
    };
    signal(name, measure, 0.0)
}

/// Events by unit-seconds.
#[must_use]
pub fn rate(name: &str) -> Signal {
    signal(name, Measure::Rate { events: counter("events"), floor: 0.0 }, 0.0)
}

/// How long requests take, by the whole distribution.
#[must_use]
pub fn latency(name: &str) -> Signal {
    signal(name, Measure::Latency { histogram: counter("seconds"), over: None, limit: None }, 0.0)
}

/// A value of each unit with a margin of 10 %.
#[must_use]
pub fn gauge(name: &str, form: GaugeForm) -> Signal {
    signal(name, Measure::Gauge { query: "value".to_owned(), worse: Direction::Up, form, floor: None }, 0.1)
}

fn signal(name: &str, measure: Measure, margin: f64) -> Signal {
    Signal {
        name: name.to_owned(),
        measure,
        margin,
        prove_within: Some(1.5),
        weight: 1.0,
        critical: true,
        gates: true,
    }
}

fn counter(text: &str) -> Counter {
    Counter(text.to_owned())
}
