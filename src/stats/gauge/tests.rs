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

/// A drift that is there before and after the units changed is a ramp, or other units: a component that saw the change
/// says nothing of ramps, so the evidence is less than without one.
#[test]
fn a_change_of_units_is_not_taken_for_a_ramp() {
    let noise = noise::Noise { phi: 0.5, ar: 0.002, white: 0.0, offset: 0.002 };
    let branch = bank::Branch {
        models: vec![noise],
        clip: 1.0,
        limit: 5.0,
        scale: 1.0,
        ranked: false,
        inflation: 1.0,
    };
    let run = |kept: f64| {
        // A single component, so that none starts after the change.
        let mut bank = bank::Bank::new(0.0, bank::Schedule::over(64 * 100));
        let mut evidence = 0.0;
        for tick in 0..40_i64 {
            let (difference, changes) = if tick < 20 { (0.0, false) } else { (0.15, tick == 20) };
            let seen = bank::Observation {
                tick,
                gap: i64::from(tick > 0),
                difference,
                spread: 1.0,
                kept: if changes { kept } else { 1.0 },
            };
            evidence = bank.observe(&branch, seen, 15.0 / 3600.0, |_| true);
        }
        evidence
    };
    assert!(run(1.0) > 4.6 && run(0.9999) < 2.0, "{} {}", run(1.0), run(0.9999));
}
