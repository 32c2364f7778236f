//! The vectors that the engines are held against: what an independent implementation computed.

use std::fmt::Debug;

use serde_json::Value;

use super::count::{ArmCount, PairCount};

/// `tests/vectors/statistics.json`.
pub(super) fn statistics() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/statistics.json")).unwrap()
}

/// The numbers of a JSON array.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The numbers of a JSON array of arrays.
pub(super) fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// Fails unless both agree to `tolerance`, absolute and relative together.
#[track_caller]
pub(super) fn close(got: f64, expected: f64, tolerance: f64, case: &dyn Debug) {
    let allowed = tolerance * (1.0 + expected.abs());
    assert!((got - expected).abs() <= allowed, "{got} is not {expected} to {tolerance}: {case:?}");
}

/// A tick as the vectors have it: the canary's events and requests, then the baseline's.
pub(super) fn pair(tick: &[f64]) -> PairCount {
    PairCount {
        canary: ArmCount::ratio(tick[0], tick[1]).unwrap(),
        baseline: ArmCount::ratio(tick[2], tick[3]).unwrap(),
    }
}

/// `tests/vectors/noise.json`.
pub(super) fn noise() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/noise.json")).unwrap()
}

/// The looks of the noise vectors' history of that name.
pub(super) fn history(vectors: &Value, name: &str) -> Vec<ArmCount> {
    let case = vectors["history"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    let counts = numbers(&case["x"]).into_iter().zip(numbers(&case["n"]));
    counts.map(|(events, total)| ArmCount::ratio(events, total).unwrap()).collect()
}
