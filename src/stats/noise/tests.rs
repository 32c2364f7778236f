use serde_json::Value;

use super::*;
use crate::stats::tilt::{Alternative, Onset, Tilt};
use crate::stats::vectors::{close, noise, numbers, pair};
use crate::stats::{Prior, Refusal};

fn number(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap()
}

/// The looks of the vectors' history of that name.
fn history(vectors: &Value, name: &str) -> Vec<ArmCount> {
    let case = vectors["history"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    numbers(&case["x"])
        .into_iter()
        .zip(numbers(&case["n"]))
        .map(|(events, total)| ArmCount::ratio(events, total).unwrap())
        .collect()
}

#[test]
fn histories_teach_what_the_vectors_say() {
    let vectors = noise();
    for case in vectors["history"].as_array().unwrap() {
        let looks = history(&vectors, case["name"].as_str().unwrap());
        let model = NoiseModel::from_history(CountKind::Ratio, &looks);
        assert_eq!(model.dispersion().is_some(), case["D"].is_number(), "{case}");
        if let Some(dispersion) = model.dispersion() {
            close(dispersion, number(case, "D"), 1e-9, &case["name"]);
        }
        let [(phi, _), (frailty, _)] = model.posterior();
        close(phi, number(case, "mean_phi"), 1e-9, &case["name"]);
        close(frailty, number(case, "mean_ik"), 1e-9, &case["name"]);
        let norm = log_sum_exp(model.log_posterior.iter().copied());
        let expected = numbers(&case["log_posterior"]);
        let expected_norm = log_sum_exp(expected.iter().copied());
        for (got, expected) in model.log_posterior.iter().zip(&expected) {
            close(got - norm, expected - expected_norm, 1e-9, &case["name"]);
        }
        for expected in case["plug_in"].as_array().unwrap() {
            let spread = model.spread(number(expected, "nc"), number(expected, "nb"));
            close(spread.phi, number(expected, "phi"), 1e-9, &(&case["name"], expected));
            close(spread.frailty, number(expected, "ik"), 1e-9, &(&case["name"], expected));
        }
    }
}
