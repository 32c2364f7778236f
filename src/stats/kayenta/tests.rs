use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::clean::percentile;
use super::mann_whitney::{cles, statistic};
use super::*;
use crate::stats::vectors::{close, statistics};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/kayenta.json")).unwrap()
}

fn cases(name: &str) -> Vec<Value> {
    vectors()[name].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn limits(value: &Value) -> Limits {
    if value.is_null() {
        return Limits::NONE;
    }
    Limits { decrease: value[0].as_f64().unwrap(), increase: value[1].as_f64().unwrap() }
}

fn label(name: &Value) -> Label {
    match name.as_str().unwrap() {
        "Pass" => Label::Pass,
        "High" => Label::High,
        "Low" => Label::Low,
        "Nodata" => Label::NoData,
        "NodataFailMetric" => Label::NoDataFail,
        "Error" => Label::Error,
        other => panic!("no such label: {other}"),
    }
}

fn settings(case: &Value, precision: Precision) -> Settings {
    Settings {
        method: if case["classifier"] == "MeanInequality" {
            Method::MeanInequality
        } else {
            Method::MannWhitney
        },
        direction: match case["direction"].as_str().unwrap() {
            "increase" => Direction::Increase,
            "decrease" => Direction::Decrease,
            _ => Direction::Either,
        },
        missing: if case["nanStrategy"] == "replace" { Missing::Zero } else { Missing::Remove },
        outlier_factor: None,
        critical: case["critical"] == true,
        must_have_data: case["dataRequired"] == true,
        effect: if case["effectSizeMeasure"] == "cles" { Effect::CommonLanguage } else { Effect::MeanRatio },
        allowed: limits(&case["effectSizeThresholds"]),
        critical_at: limits(&case["criticalThresholds"]),
        tolerance: case["tolerance"].as_f64().unwrap_or(0.25),
        confidence: case["confLevel"].as_f64().unwrap_or(0.98),
        precision,
    }
}

#[test]
fn its_own_cases_get_its_labels() {
    for case in cases("classifier") {
        let (control, experiment) = (numbers(&case["control"]), numbers(&case["experiment"]));
        for precision in [Precision::Exact, Precision::Scaled] {
            let judged = judge(&control, &experiment, &settings(&case, precision));
            let (expected, name) = (&case["expected"], &case["test"]);
            if !expected["classification"].is_null() {
                assert_eq!(judged.label, label(&expected["classification"]), "{name} {precision:?}");
            }
            if let Some(critical) = expected["critical"].as_bool() {
                assert_eq!(judged.critical, critical, "{name} {precision:?}");
            }
            match &expected["deviation"] {
                Value::Null => {}
                Value::String(_) => assert_eq!(judged.deviation, None, "{name}"),
                deviation => close(judged.deviation.unwrap(), deviation.as_f64().unwrap(), 1e-12, name),
            }
        }
    }
}

#[test]
fn intervals_estimates_and_effects_agree() {
    for case in statistics()["mann_whitney"].as_array().unwrap() {
        let name = &case["name"];
        let sorted = |key: &str| clean::clean(&numbers(&case[key]), Missing::Remove, None);
        let (x, y) = (sorted("x_experiment"), sorted("y_control"));
        let at_zero = statistic(&x, &y, 0.0).unwrap();
        close(at_zero, case["wilcoxon_diff_mu0"].as_f64().unwrap(), 1e-10, name);
        close(mean_ratio(&y, &x).unwrap(), case["mean_ratio"].as_f64().unwrap(), 1e-10, name);
        close(cles(&x, &y), case["cles"].as_f64().unwrap(), 1e-10, name);
        for (confidence, key) in [(0.98, "kayenta_ci98_lo_hi_est"), (0.95, "kayenta_ci95_lo_hi_est")] {
            let quantile = normal_quantile(f64::midpoint(1.0, confidence));
            let expected = numbers(&case[key]);
            let Some(shift) = mann_whitney::shift(&x, &y, quantile, Precision::Exact) else {
                assert!(expected[0].is_nan(), "{name}");
                continue;
            };
            close(shift.lower, expected[0], 1e-10, name);
            close(shift.upper, expected[1], 1e-10, name);
            close(shift.estimate, expected[2], 1e-10, name);
        }
        for (direction, key) in [(Direction::Either, "judge_either"), (Direction::Increase, "judge_increase")]
        {
            let exact = Settings { direction, precision: Precision::Exact, ..Settings::default() };
            let judged = judge(&y, &x, &exact);
            assert_eq!(judged.label, label(&case[key][0]), "{name}");
            assert_eq!(judged.critical, case[key][2].as_bool().unwrap(), "{name}");
            match case[key][1].as_f64() {
                Some(deviation) => close(judged.deviation.unwrap(), deviation, 1e-10, name),
                None => assert_eq!(judged.deviation, None, "{name}"),
            }
        }
    }
}

/// The estimate and both ends lie where the rank statistic crosses its target, as closely as doubles can say.
#[test]
fn the_scaled_interval_is_where_the_statistic_crosses() {
    for case in statistics()["mann_whitney"].as_array().unwrap() {
        let sorted = |key: &str| clean::clean(&numbers(&case[key]), Missing::Remove, None);
        let (x, y) = (sorted("x_experiment"), sorted("y_control"));
        let quantile = normal_quantile(0.99);
        let Some(shift) = mann_whitney::shift(&x, &y, quantile, Precision::Scaled) else { continue };
        let range = (x[x.len() - 1] - y[0]) - (x[0] - y[y.len() - 1]);
        for (at, target) in [(shift.lower, quantile), (shift.estimate, 0.0), (shift.upper, -quantile)] {
            let beside = |side: f64| statistic(&x, &y, at + side * 1e-9 * range).unwrap_or(0.0) - target;
            let at_an_end = (at - (x[0] - y[y.len() - 1])).abs().min((at - (x[x.len() - 1] - y[0])).abs());
            assert!(
                at_an_end < 1e-9 * range || (beside(-1.0) >= 0.0 && beside(1.0) <= 0.0),
                "{}",
                case["name"]
            );
        }
    }
}

#[test]
fn outliers_are_the_ones_it_finds() {
    for case in cases("detectors") {
        let (data, param) = (numbers(&case["data"]), case["param"].as_f64().unwrap());
        let found = match case["detector"].as_str().unwrap() {
            "KSigma" => k_sigma_outliers(&data, param),
            _ => iqr_outliers(&data, param, false),
        };
        let expected: Vec<bool> =
            case["expected"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
        assert_eq!(found, expected, "{}", case["test"]);
    }
}

#[test]
fn missing_samples_and_outliers_are_treated_as_told() {
    for case in cases("transforms") {
        let (data, truth) = (numbers(&case["arrays"]["testData"]), numbers(&case["arrays"]["truth"]));
        let name = case["test"].as_str().unwrap();
        if name == "KSigma Outlier Removal" {
            let outliers = k_sigma_outliers(&data, 3.0);
            let kept: Vec<f64> =
                data.iter().zip(outliers).filter(|(_, outlier)| !outlier).map(|(v, _)| *v).collect();
            assert_eq!(kept, truth, "{name}");
            continue;
        }
        let missing = if name.starts_with("Replace") { Missing::Zero } else { Missing::Remove };
        let factor = name.starts_with("IQR").then_some(1.5);
        let mut sorted = truth.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(clean::clean(&data, missing, factor), sorted, "{name}");
    }
    let with_infinity = clean::clean(&[1.0, f64::INFINITY, f64::NEG_INFINITY], Missing::Remove, None);
    assert_eq!(with_infinity, [1.0]);
}

#[test]
fn scores_are_its_scores() {
    for case in cases("scorer") {
        let metrics: Vec<Scored> = case["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| Scored {
                judgement: Judgement {
                    critical: result["critical"] == true,
                    ..Judgement::plain(label(&result["label"]))
                },
                groups: serde_json::from_value(result["groups"].clone()).unwrap(),
            })
            .collect();
        let weights: BTreeMap<String, f64> = serde_json::from_value(case["groupWeights"].clone()).unwrap();
        let (summary, _) = score(&metrics, &weights);
        close(summary, case["expectedSummary"].as_f64().unwrap(), 0.0, &case["test"]);
    }
    assert!(score(&[], &BTreeMap::new()).0.abs() < f64::EPSILON);
}

#[test]
fn bands_include_their_lower_end() {
    let thresholds = Thresholds { pass: 95.0, marginal: 75.0 };
    let bands = [95.0, 94.99, 75.0, 74.99].map(|score| thresholds.band(score));
    assert_eq!(bands, [Band::Pass, Band::Marginal, Band::Marginal, Band::Fail]);
}

#[test]
fn percentiles_interpolate() {
    let sorted = [1.0, 2.0, 3.0, 4.0];
    close(percentile(&sorted, 25.0).unwrap(), 1.75, 1e-15, &"quartile");
    close(percentile(&sorted, 100.0).unwrap(), 4.0, 0.0, &"end");
    assert_eq!(percentile(&[], 50.0), None);
}

#[test]
fn a_lack_of_data_is_what_the_settings_make_of_it() {
    let check = |missing, must_have_data, critical| {
        let settings = Settings { missing, critical, must_have_data, ..Settings::default() };
        let judged = judge(&[], &[1.0], &settings);
        (judged.label, judged.critical)
    };
    assert_eq!(check(Missing::Remove, false, false), (Label::NoData, false));
    assert_eq!(check(Missing::Remove, true, false), (Label::NoDataFail, false));
    assert_eq!(check(Missing::Remove, true, true), (Label::NoData, true));
    assert_eq!(check(Missing::Zero, true, true), (Label::Pass, false));
}

/// A third more, on a metric of each size: found at every scale, where the absolute tolerance loses it.
#[test]
fn the_scale_of_a_metric_does_not_matter() {
    let control: Vec<f64> = (0..60).map(|i| 1.0 + 0.01 * f64::from(i * 37 % 60)).collect();
    let experiment: Vec<f64> = control.iter().map(|v| v * 1.3).collect();
    for scale in [1e-300, 1e-12, 1e-6, 1e-5, 1.0, 1e6, 1e300] {
        let scaled = |samples: &[f64]| samples.iter().map(|v| v * scale).collect::<Vec<_>>();
        let (control, experiment) = (scaled(&control), scaled(&experiment));
        assert_eq!(judge(&control, &experiment, &Settings::default()).label, Label::High, "{scale:e}");
    }
    let tiny = |samples: &[f64]| samples.iter().map(|v| v * 1e-5).collect::<Vec<_>>();
    let exact = Settings { precision: Precision::Exact, ..Settings::default() };
    assert_eq!(judge(&tiny(&control), &tiny(&experiment), &exact).label, Label::Pass);
}

#[test]
fn the_root_finder_needs_a_sign_change_but_survives_without() {
    let zero = brent::root(|x| Some(x * x * x - 2.0), 0.0, 3.0, 1e-12).unwrap();
    close(zero, 2.0_f64.cbrt(), 1e-11, &"cube root");
    assert!(brent::root(|x| Some(x * x + 1.0), -1.0, 2.0, 1e-12).is_some_and(f64::is_finite));
    assert_eq!(brent::root(|_| None, 0.0, 1.0, 1e-12), None);
}

fn sample() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0_f64,
        2 => Just(0.0),
        1 => Just(1.0),
        1 => any::<f64>(),
        1 => Just(f64::MAX),
        1 => Just(f64::MIN_POSITIVE),
        1 => Just(f64::NAN),
    ]
}

#[test]
fn a_change_beyond_what_a_number_can_hold_is_still_one() {
    let spread = |size: f64| (0..40).map(|n| size * (1.0 - f64::from(n) / 1e3)).collect::<Vec<_>>();
    let settings = Settings { direction: Direction::Either, ..Settings::default() };
    let judged = judge(&spread(1.7e308), &spread(-1.7e308), &settings);
    assert_eq!((judged.label, judged.shift.unwrap().estimate), (Label::Low, f64::MIN));
}

proptest! {
    #[test]
    fn any_samples_get_a_label_and_no_nan(
        control in prop::collection::vec(sample(), 0..30),
        experiment in prop::collection::vec(sample(), 0..30),
        exact in any::<bool>(),
        outliers in any::<bool>(),
    ) {
        let settings = Settings {
            precision: if exact { Precision::Exact } else { Precision::Scaled },
            outlier_factor: outliers.then_some(3.0),
            ..Settings::default()
        };
        let judged = judge(&control, &experiment, &settings);
        prop_assert!(judged.deviation.is_none_or(f64::is_finite));
        if let Some(shift) = judged.shift {
            prop_assert!([shift.lower, shift.estimate, shift.upper].into_iter().all(f64::is_finite));
            if !exact {
                prop_assert!(shift.lower <= shift.upper);
            }
        }
    }

    #[test]
    fn the_order_of_samples_does_not_matter(mut control in prop::collection::vec(-5.0..5.0_f64, 2..20),
                                            experiment in prop::collection::vec(-5.0..5.0_f64, 2..20)) {
        let before = judge(&control, &experiment, &Settings::default());
        control.reverse();
        prop_assert_eq!(before, judge(&control, &experiment, &Settings::default()));
    }
}
