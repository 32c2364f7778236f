//! The vectors that the engines are held against: what an independent implementation computed.

use std::fmt::Debug;

use serde_json::Value;

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

/// Fails unless both agree to `tolerance`, relative to the larger of the expected magnitude and 1.
#[track_caller]
pub(super) fn close(got: f64, expected: f64, tolerance: f64, case: &dyn Debug) {
    let allowed = tolerance * expected.abs().max(1.0);
    assert!((got - expected).abs() <= allowed, "{got} is not {expected} to {tolerance}: {case:?}");
}
