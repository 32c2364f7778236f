mod properties;

use std::f64::consts::LN_2;

use serde_json::Value;

use super::past::Past;
use super::scale::Scale;
use super::*;
use crate::stats::vectors::close;

/// `tests/vectors/gauges.json`.
pub(super) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/gauges.json")).unwrap()
}

fn row(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(row).collect()
}

fn fit(case: &Value) -> GaugeFit {
    let units =
        |key: &str, default: usize| u32::try_from(case[key].as_u64().unwrap_or(default as u64)).unwrap();
    let (past, baseline_units) = if case["hist"].is_null() {
        (Past::Windows(rows(&case["series"])), 1)
    } else {
        let rows = rows(&case["hist"]);
        let count = rows.len();
        (Past::Units(rows), units("n_base", count))
    };
    let settings = GaugeSettings {
        worse: Worse::Up,
        margin: case["delta"].as_f64().unwrap(),
        form: Form::Loose,
        horizon_seconds: 3600.0,
        canary_units: units("n_canary", 1),
        baseline_units,
    };
    GaugeFit::from_past(&past, Scale::log(Worse::Up), settings, 15.0, 0).unwrap()
}

fn check_branch(branch: &bank::Branch, expected: &Value, name: &Value) {
    let at = |key: &str| expected[key].as_f64().unwrap();
    close(branch.clip, at("clip"), 1e-8, name);
    close(branch.limit, at("K"), 1e-8, name);
    close(branch.inflation, at("r"), 1e-8, name);
    close(branch.scale, at("scale"), 1e-8, name);
    let mut models = rows(&expected["models"]);
    models.dedup();
    assert_eq!(branch.models.len(), models.len(), "{name}");
    for (model, expected) in branch.models.iter().zip(models) {
        for (got, expected) in [model.phi, model.ar, model.white, model.offset].iter().zip(expected) {
            close(*got, expected, 1e-8, name);
        }
    }
}

#[test]
fn fits_agree() {
    for case in vectors()["cases"].as_array().unwrap() {
        let (fit, name) = (fit(case), &case["name"]);
        check_branch(fit.plain(), &case["fit"]["strict"], name);
        assert_eq!(fit.loose.is_some(), case["use_loose"] == 1, "{name}");
        if let Some(loose) = &fit.loose {
            check_branch(loose, &case["fit"]["loose"], name);
        }
        let loose_ranked = fit.loose.as_ref().is_some_and(|branch| branch.ranked);
        assert_eq!(loose_ranked, !case["map_knots"].is_null(), "{name}");
    }
}

/// Runs the values of a case and returns the evidence at each tick.
fn run(case: &Value, fit: GaugeFit) -> Vec<f64> {
    let mut test = GaugeTest::new(fit, &[]);
    let (canary, baseline) = (rows(&case["canary"]), rows(&case["base"]));
    let mut seen = Vec::new();
    for tick in 0..canary[0].len() {
        let at = |rows: &[Vec<f64>]| rows.iter().map(|row| row[tick].exp()).collect::<Vec<_>>();
        let time = 15.0 * f64::from(u32::try_from(tick).unwrap());
        test.look(time, &at(&canary), &at(&baseline));
        seen.push(test.evidence());
    }
    seen
}

#[test]
fn evidence_agrees() {
    for case in vectors()["cases"].as_array().unwrap() {
        let mut fit = fit(case);
        // The reference's strict branch never compares ranks.
        fit.strict = fit.plain().clone();
        let mut strict = fit.clone();
        strict.loose = None;
        let halved: Vec<f64> = row(&case["strict"]).iter().map(|log_e| log_e - LN_2).collect();
        for (fit, expected) in [(fit, row(&case["log_e"])), (strict, halved)] {
            for (tick, (got, expected)) in run(case, fit).into_iter().zip(expected).enumerate() {
                close(got, expected.max(-1e6), 1e-8, &(&case["name"], tick));
            }
        }
    }
}
