//! What holds for any input.

use proptest::prelude::*;

use crate::stats::gauge::{
    AdvisoryTest, Form, GaugeFit, GaugeSettings, GaugeTest, History, NoFit, Taken, Worse,
};

const TICK: f64 = 15.0;

fn settings(worse: Worse, margin: f64, form: Form) -> GaugeSettings {
    GaugeSettings { worse, margin, form, horizon_seconds: 900.0, canary_units: 1, baseline_units: 3 }
}

/// A history of so many ticks, the units' values by tick.
fn history(ticks: u32, values: impl Fn(u32) -> Vec<f64>) -> History {
    let mut history = History::new(TICK);
    for tick in 0..ticks {
        history.push(f64::from(tick) * TICK, &values(tick));
    }
    history
}

/// Three units that differ by a few per cent, without randomness.
fn ordinary(tick: u32) -> Vec<f64> {
    let wave = |unit: u32| 1.0 + 0.05 * (f64::from(tick * 7 + unit * 40) * 0.37).sin();
    (0..3).map(|unit| 100.0 * wave(unit)).collect()
}

fn fitted(worse: Worse, margin: f64, form: Form) -> GaugeFit {
    GaugeFit::from_history(&history(60, ordinary), settings(worse, margin, form)).unwrap()
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 50.0..200.0_f64,
        1 => -5.0..5.0_f64,
        1 => Just(0.0),
        1 => Just(100.0),
        1 => Just(1e300),
        1 => Just(-1e300),
        1 => Just(1e-300),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => any::<f64>(),
    ]
}

fn looks() -> impl Strategy<Value = Vec<(f64, Vec<f64>, Vec<f64>)>> {
    let step =
        prop_oneof![8 => Just(15.0), 1 => Just(0.0), 1 => Just(-60.0), 1 => Just(1e6), 1 => Just(f64::NAN)];
    let units = |most| prop::collection::vec(value(), 0..most);
    prop::collection::vec((step, units(3), units(4)), 1..60).prop_map(|steps| {
        let mut at = 0.0;
        let time = |(step, canary, baseline)| {
            at += if f64::is_nan(step) { 0.0 } else { step };
            (if f64::is_nan(step) { step } else { at }, canary, baseline)
        };
        steps.into_iter().map(time).collect()
    })
}

/// Everything that a test says.
fn outputs(test: &GaugeTest) -> Vec<Option<f64>> {
    let (effect, leak) = (test.effect(0.05), test.leak(1.5));
    vec![
        Some(test.evidence()),
        Some(test.log_e_safe(0)),
        Some(test.log_e_safe(1)),
        Some(test.log_e_harm(4.6)),
        effect.lower,
        effect.estimate,
        effect.upper,
        leak.map(|leak| leak.per_hour),
        leak.map(|leak| leak.hours),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_values_make_it_panic_or_say_nan_and_a_copy_goes_on_to_the_bit(
        past in prop::collection::vec(prop::collection::vec(value(), 1..4), 0..100),
        looks in looks(),
        down in any::<bool>(),
        loose in any::<bool>(),
        cut in 0..60_usize,
    ) {
        let worse = if down { Worse::Down } else { Worse::Up };
        let form = if loose { Form::Loose } else { Form::Strict };
        let past = history(u32::try_from(past.len()).unwrap(), |tick| past[tick as usize].clone());
        let fit = GaugeFit::from_history(&past, settings(worse, 0.1, form))
            .unwrap_or_else(|_| fitted(worse, 0.1, form));
        let mut test = GaugeTest::new(fit, &[1.5, 0.0]);
        for (index, (at, canary, baseline)) in looks.into_iter().enumerate() {
            if index == cut {
                let text = serde_json::to_string(&test).unwrap();
                let copy: GaugeTest = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&copy, &test);
                test = copy;
            }
            let mut twin = test.clone();
            prop_assert_eq!(test.look(at, &canary, &baseline), twin.look(at, &canary, &baseline));
            for output in outputs(&test).into_iter().flatten() {
                prop_assert!(!output.is_nan());
            }
            prop_assert!(test.leak(1.5).is_none_or(|leak| leak.hours >= 0.0));
        }
    }

    #[test]
    fn advice_survives_any_values(looks in looks(), margin in any::<f64>()) {
        let mut test = AdvisoryTest::new(Worse::Up, margin, TICK);
        for (at, canary, baseline) in looks {
            test.look(at, &canary, &baseline);
            prop_assert!(!test.evidence().is_nan() && test.ratio().is_none_or(|ratio| !ratio.is_nan()));
        }
        let copy: AdvisoryTest = serde_json::from_str(&serde_json::to_string(&test).unwrap()).unwrap();
        prop_assert_eq!(copy, test);
    }

    #[test]
    fn equal_constants_never_fail(level in prop_oneof![1e-300..1e300_f64, 0.1..10.0_f64], loose in any::<bool>()) {
        let form = if loose { Form::Loose } else { Form::Strict };
        let past = history(50, |_| vec![level; 3]);
        let fit = GaugeFit::from_history(&past, settings(Worse::Up, 0.0, form)).unwrap();
        let mut test = GaugeTest::new(fit, &[]);
        for tick in 0..60 {
            test.look(f64::from(tick) * TICK, &[level], &[level; 3]);
        }
        prop_assert!(test.log_e_harm(0.0).is_infinite(), "{}", test.evidence());
    }

    #[test]
    fn worse_downwards_is_worse_upwards_of_the_reciprocal(shift in 0.5..2.0_f64) {
        let run = |worse, reciprocal: bool| {
            let turn = |value: f64| if reciprocal { 1.0 / value } else { value };
            let past = history(60, |tick| ordinary(tick).into_iter().map(turn).collect());
            let fit = GaugeFit::from_history(&past, settings(worse, 0.1, Form::Loose)).unwrap();
            let mut test = GaugeTest::new(fit, &[1.5]);
            for tick in 0..20 {
                let baseline: Vec<f64> = ordinary(tick).into_iter().map(turn).collect();
                test.look(f64::from(tick) * TICK, &[turn(100.0 * shift)], &baseline);
            }
            let estimate = test.effect(0.05).estimate.unwrap();
            (test.evidence(), test.log_e_safe(0), turn(estimate))
        };
        let (up, down) = (run(Worse::Up, false), run(Worse::Down, true));
        prop_assert!((up.0 - down.0).abs() < 1e-7 * up.0.abs().max(1.0), "{up:?} {down:?}");
        prop_assert!((up.1 - down.1).abs() < 1e-7 && (up.2 - down.2).abs() < 1e-7, "{up:?} {down:?}");
    }
}

#[test]
fn a_constant_canary_beyond_the_margin_fails_after_a_few_samples() {
    let past = history(50, |_| vec![7.0; 3]);
    let fit = GaugeFit::from_history(&past, settings(Worse::Up, 0.1, Form::Strict)).unwrap();
    let mut test = GaugeTest::new(fit, &[1.1]);
    for tick in 0..12 {
        test.look(f64::from(tick) * TICK, &[7.0 * 1.15], &[7.0; 3]);
    }
    assert!(test.log_e_harm(100.0_f64.ln()) > 0.0, "{}", test.evidence());
    assert!(test.log_e_safe(0) < 0.0);
}

#[test]
fn a_canary_that_stopped_fails_where_less_is_worse() {
    let mut test = GaugeTest::new(fitted(Worse::Down, 0.1, Form::Strict), &[]);
    for tick in 0..6 {
        test.look(f64::from(tick) * TICK, &[0.0], &ordinary(tick));
    }
    assert!(test.log_e_harm(100.0_f64.ln()) > 0.0, "{}", test.evidence());
}

#[test]
fn more_units_make_the_same_difference_more_certain() {
    let evidence = |units: usize| {
        let mut test = GaugeTest::new(fitted(Worse::Up, 0.1, Form::Strict), &[]);
        for tick in 0..10 {
            test.look(f64::from(tick) * TICK, &vec![130.0; units], &ordinary(tick));
        }
        test.evidence()
    };
    assert!(evidence(6) > evidence(1) + 1.0, "{} {}", evidence(6), evidence(1));
}

#[test]
fn the_state_stays_small_however_long_it_runs() {
    let mut test = GaugeTest::new(fitted(Worse::Up, 0.1, Form::Loose), &[1.5, 2.0, 3.0]);
    let mut length = 0;
    for tick in 0..2000_u32 {
        test.look(f64::from(tick) * TICK, &[100.0 + f64::from(tick % 13)], &ordinary(tick));
        if tick == 200 {
            length = serde_json::to_string(&test).unwrap().len();
        }
    }
    let after = serde_json::to_string(&test).unwrap().len();
    assert!(after < length + length / 20, "{length} bytes became {after}");
}

#[test]
fn a_missing_unit_is_a_gap_and_a_lasting_change_is_taken_as_one() {
    let mut test = GaugeTest::new(fitted(Worse::Up, 0.1, Form::Strict), &[]);
    let three = [100.0, 101.0, 99.0];
    assert_eq!(test.look(0.0, &[100.0], &three), Taken::Used);
    assert_eq!(test.look(15.0, &[100.0], &[100.0, f64::NAN, 99.0]), Taken::Held);
    assert_eq!(test.look(30.0, &[100.0], &three), Taken::Used);
    assert_eq!(test.look(30.0, &[100.0], &three), Taken::Ignored, "the same tick twice");
    assert_eq!(test.look(0.0, &[100.0], &three), Taken::Ignored, "the clock goes back");
    assert_eq!(test.look(45.0, &[], &three), Taken::Held);
    assert_eq!(test.look(f64::NAN, &[100.0], &three), Taken::Ignored);
    let more = [100.0, 102.0];
    assert_eq!(test.look(60.0, &more, &three), Taken::Held);
    assert_eq!(test.look(75.0, &more, &three), Taken::Held);
    assert_eq!(test.look(90.0, &more, &three), Taken::Used);
    assert_eq!(test.look(105.0, &more, &three), Taken::Used);
}

#[test]
fn looks_that_jitter_are_all_used() {
    let mut test = GaugeTest::new(fitted(Worse::Up, 0.1, Form::Strict), &[]);
    for tick in 0..30_u32 {
        let jitter = [0.0, 6.0, -5.0, 3.0][(tick % 4) as usize];
        let at = 1_700_000_007.5 + f64::from(tick) * TICK + jitter;
        assert_eq!(test.look(at, &[100.0], &ordinary(tick)), Taken::Used, "{tick}");
    }
}

#[test]
fn a_history_that_says_nothing_gives_no_fit() {
    let fit = |ticks, values: &dyn Fn(u32) -> Vec<f64>| {
        GaugeFit::from_history(&history(ticks, values), settings(Worse::Up, 0.1, Form::Strict)).map(|_| ())
    };
    assert_eq!(fit(100, &|_| vec![0.0; 3]), Err(NoFit::MostlyZero));
    assert_eq!(fit(39, &ordinary), Err(NoFit::TooShort { have: 39, need: 40 }));
    assert_eq!(fit(0, &ordinary), Err(NoFit::TooShort { have: 0, need: 40 }));
    assert_eq!(fit(79, &|tick| vec![ordinary(tick)[0]]), Err(NoFit::TooShort { have: 39, need: 40 }));
    assert_eq!(fit(80, &|tick| vec![ordinary(tick)[0]]), Ok(()));
    assert_eq!(fit(100, &|_| vec![f64::NAN; 2]), Err(NoFit::TooShort { have: 0, need: 40 }));
    // Values around 0 are compared by differences.
    assert_eq!(fit(100, &|tick| vec![f64::from(tick % 7) - 3.0, 2.0]), Ok(()));
}

#[test]
fn what_was_proven_safe_and_how_large_the_effect_is_are_said() {
    let mut test = GaugeTest::new(fitted(Worse::Up, 0.1, Form::Strict), &[1.5]);
    for tick in 0..40 {
        test.look(f64::from(tick) * TICK, &[102.0], &ordinary(tick));
    }
    assert!(test.log_e_safe(0) > 20.0_f64.ln(), "{}", test.log_e_safe(0));
    let effect = test.effect(0.05);
    let [lower, estimate, upper] = [effect.lower, effect.estimate, effect.upper].map(Option::unwrap);
    assert!(lower < 1.02 && (estimate - 1.02).abs() < 0.01 && 1.02 < upper && upper < 1.2, "{effect:?}");
    assert!(test.log_e_safe(7).abs() < f64::EPSILON);
}

#[test]
fn a_leak_is_forecast_and_a_level_is_not() {
    let grown = |per_tick: f64, level: f64| {
        let mut test = GaugeTest::new(fitted(Worse::Up, 0.1, Form::Strict), &[]);
        for tick in 0..60 {
            let canary = 100.0 * level * (f64::from(tick) * per_tick).exp();
            test.look(f64::from(tick) * TICK, &[canary], &ordinary(tick));
        }
        test.leak(2.0)
    };
    assert_eq!(grown(0.0, 1.3), None);
    let leak = grown(0.01, 1.0).unwrap();
    let per_hour = (240.0_f64 * 0.01).exp_m1();
    assert!((leak.per_hour / per_hour - 1.0).abs() < 0.3, "{leak:?} {per_hour}");
    assert!(leak.hours < 0.5, "{leak:?}");
}

#[test]
fn what_a_fit_found_can_be_said() {
    let summary = fitted(Worse::Up, 0.1, Form::Strict).summary();
    assert_eq!((summary.units, summary.samples), (3, 60));
    assert!(summary.deviation > 0.02 && summary.deviation < 0.1, "{summary:?}");
    assert!(summary.inflation >= 1.0 && !summary.by_ranks);
}
