use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::*;
use crate::stats::vectors::{close, history, noise, numbers, pair};
use crate::stats::{Alternative, Onset, Prior, Tilt};

fn number(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap()
}

#[test]
fn histories_teach_what_the_vectors_say() {
    let vectors = noise();
    for case in vectors["history"].as_array().unwrap() {
        let looks = history(&vectors, case["name"].as_str().unwrap());
        let mut model = NoiseModel::from_history(CountKind::Ratio, &looks);
        assert_eq!(model.dispersion().is_some(), case["D"].is_number(), "{case}");
        if let Some(dispersion) = model.dispersion() {
            close(dispersion, number(case, "D"), 1e-9, &case["name"]);
        }
        if model.is_clean() {
            // Nothing asks for the posterior then, so it was not taught.
            for look in &looks {
                model.baseline.learn(&mut model.log_posterior, *look);
            }
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

#[test]
fn looks_without_events_leave_a_dispersion_to_assume_until_there_is_one_to_measure() {
    let looks = |events: f64, count: usize| -> Vec<_> {
        let event = |t: usize| if t == count / 2 { events } else { 0.0 };
        (0..count).filter_map(|t| ArmCount::ratio(event(t), 1500.0).ok()).collect()
    };
    let of = |history: &[ArmCount]| NoiseModel::from_history(CountKind::Ratio, history).assumed_dispersion();
    assert_eq!(of(&looks(0.0, 240)), Some(UNKNOWN_DISPERSION));
    assert_eq!(of(&looks(0.0, 20)), None, "19 pairs");
    assert_eq!(of(&looks(10.0, 240)), None, "a burst is measured");
    // A few errors that came one by one do not tell that others will.
    let single: Vec<_> =
        (0..240).filter_map(|t| ArmCount::ratio(f64::from(t % 60 == 7), 1500.0).ok()).collect();
    assert_eq!(of(&single), Some(UNKNOWN_DISPERSION));
    let many: Vec<_> =
        (0..240).filter_map(|t| ArmCount::ratio(f64::from(t % 10 == 7), 1500.0).ok()).collect();
    assert_eq!(
        (of(&many), NoiseModel::from_history(CountKind::Ratio, &many).dispersion()),
        (None, Some(1.0))
    );
    // Where the rollout's own looks are all that is known, with the care for a measurement of so few.
    let mut model = NoiseModel::new(CountKind::Ratio);
    let look = |events: f64| PairCount {
        canary: ArmCount::ratio(0.0, 150.0).unwrap(),
        baseline: ArmCount::ratio(events, 1350.0).unwrap(),
    };
    for count in 0..240 {
        assert_eq!(model.assumed_dispersion().is_some(), count > 20, "{count}");
        model.learn(&look(0.0));
    }
    let assumed = model.assumed_dispersion().unwrap();
    assert!(assumed > UNKNOWN_DISPERSION && assumed < 1.8, "{assumed}");
    model.learn(&look(30.0));
    assert_eq!(model.assumed_dispersion(), Some(assumed), "an incident tells nothing of other times");
}

/// Both arms' rates waver by 8.7 % for themselves, at 5,000 events a look: the drift that the model forgives hides a part of it.
#[test]
fn what_drift_hides_of_frailty_is_reckoned_with() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let looks: Vec<_> = (0..240)
        .filter_map(|_| {
            let wavering = (0.087 * rng.sample::<f64, _>(rand_distr::StandardNormal)).exp();
            ArmCount::ratio((5000.0 * wavering).round(), 15_000.0).ok()
        })
        .collect();
    let spread = NoiseModel::from_history(CountKind::Ratio, &looks).spread(750.0, 14_250.0);
    assert!(spread.frailty > 0.0 && spread.frailty < 0.087_f64.powi(2), "{spread:?}");
    assert!(spread.wary().frailty >= 0.087_f64.powi(2), "{spread:?}");
    assert_eq!(Spread::NONE.wary(), Spread::NONE);
}

#[test]
fn safety_is_judged_by_the_whole_noise() {
    let looks: Vec<_> = (0..240)
        .filter_map(|t| ArmCount::ratio([3.0, 40.0, 9.0, 16.0, 1.0, 28.0, 12.0][t % 7], 1500.0).ok())
        .collect();
    let model = NoiseModel::from_history(CountKind::Ratio, &looks);
    let look = PairCount {
        canary: ArmCount::ratio(1.0, 150.0).unwrap(),
        baseline: ArmCount::ratio(14.0, 1350.0).unwrap(),
    };
    let spread = model.spread(150.0, 1350.0);
    assert!(spread.frailty > 0.1, "{spread:?}");
    let rate = model.baseline.rate().unwrap();
    let Likelihood::Binomial { x, k, rho, phi } = model.likelihood_of_safety(&look, spread, 1.5) else {
        panic!("safety must know neither clusters nor frailty");
    };
    close(x, 1.0, 1e-12, &look);
    close(k, 15.0, 1e-12, &look);
    close(rho, 0.1, 1e-12, &look);
    let error = 1.0 / (1.5 * rate * 150.0) + 1.0 / (rate * 1350.0);
    close(phi * error, spread.phi * error + 2.0 * spread.frailty, 1e-9, &spread);
    // A canary for which more events are expected is told apart by frailty alone: there each event says less.
    let Likelihood::Binomial { phi: at_three, .. } = model.likelihood_of_safety(&look, spread, 3.0) else {
        panic!("safety must know neither clusters nor frailty");
    };
    assert!(at_three > phi, "{at_three} {phi}");
}

#[test]
fn likelihoods_agree_with_the_vectors() {
    for case in noise()["look_llr"].as_array().unwrap() {
        let counts = pair(&["xc", "nc", "xb", "nb"].map(|name| number(case, name)));
        let spread = Spread { phi: number(case, "phi"), frailty: number(case, "ik") };
        let likelihood = Likelihood::new(&counts, spread);
        let (null, sign) = (number(case, "eta0"), number(case, "sign"));
        for (h, expected) in numbers(&case["h"]).into_iter().zip(numbers(&case["l"])) {
            let eta = null + sign * h;
            let got = match &likelihood {
                Likelihood::Series(likelihood) => {
                    let [there, at_null] = likelihood.log([eta, null]);
                    there - at_null
                }
                Likelihood::Binomial { x, k, rho, phi } => {
                    let mixed = |eta: f64| (rho * eta.exp_m1()).ln_1p();
                    (x * sign * h - k * (mixed(eta) - mixed(null))) / phi
                }
            };
            close(got, expected, 1e-9, &(case, h));
        }
    }
}

/// The engine of a stream of the vectors.
fn engine(params: &Value) -> Tilt {
    let null = number(params, "eta0");
    if number(params, "sign") > 0.0 {
        Tilt::new(Prior::Ratio, null, Alternative::Greater, Onset::within(number(params, "horizon")))
    } else {
        Tilt::new(Prior::Ratio, null, Alternative::Less, Onset::Start)
    }
}

#[test]
fn streams_agree_with_the_vectors() {
    let vectors = noise();
    let streams = vectors["stream"].as_array().unwrap();
    assert_eq!(streams.len(), 17);
    for stream in streams {
        let mut model = match stream["history"].as_str() {
            Some(name) => NoiseModel::from_history(CountKind::Ratio, &history(&vectors, name)),
            None => NoiseModel::new(CountKind::Ratio),
        };
        let mut tilt = engine(&stream["engine"]);
        let mut open = PairCount::default();
        for (t, look) in stream["looks"].as_array().unwrap().iter().enumerate() {
            let case = (&stream["name"], t);
            open = open.plus(pair(&["xc", "nc", "xb", "nb"].map(|name| number(look, name))));
            if open.is_closed() {
                let counts = std::mem::take(&mut open);
                let spread = model.spread(counts.canary.exposure(), counts.baseline.exposure());
                // At millions of events the vectors' log-gammas cancel to 1e-8; their evidence does not show it.
                if !model.has_history() && model.dispersion().is_some() {
                    // The vectors take a dispersion that was measured in the rollout as smaller than we do.
                    assert!(spread.phi >= number(look, "phi") - 1e-8, "{case:?}");
                    break;
                }
                close(spread.phi, number(look, "phi"), 1e-8, &case);
                close(spread.frailty, number(look, "ik"), 1e-8, &case);
                // The vectors know no clusters that are seen one by one.
                tilt.look(1.0, &Likelihood::new(&counts, spread)).unwrap();
                model.learn(&counts);
            } else {
                tilt.wait(1.0).unwrap();
            }
            close(tilt.log_e(), number(look, "log_e"), 1e-9, &case);
        }
    }
}

/// Looks of a baseline whose errors come in clusters of `size`, `events` of them a look.
fn clustered(seed: u64, size: f64, events: f64, looks: usize) -> Vec<ArmCount> {
    use rand_distr::{Distribution as _, Poisson};

    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let law = Poisson::new(events / size).unwrap();
    (0..looks).map(|_| ArmCount::ratio(size * law.sample(&mut random), 1500.0).unwrap()).collect()
}

/// The look at which a history is refuted; nothing: none.
fn refuted(history: &[ArmCount], looks: &[ArmCount]) -> Option<usize> {
    let mut model = NoiseModel::from_history(CountKind::Ratio, history);
    let canary = ArmCount::ratio(1.0, 150.0).unwrap();
    let found = looks
        .iter()
        .position(|look| model.learn(&PairCount { canary, baseline: *look }) == Learnt::HistoryRefuted);
    assert_eq!(found.is_some(), !model.has_history());
    found
}

#[test]
fn a_history_that_is_calmer_than_the_rollout_is_refuted_and_one_like_it_is_not() {
    let (mut late, mut wrong) = (0, 0);
    for seed in 0..100 {
        let calm = clustered(seed, 1.0, 15.0, 240);
        let pairs = clustered(1000 + seed, 3.0, 15.0, 240);
        late += i32::from(refuted(&calm, &pairs).is_none_or(|look| look > 60));
        wrong += i32::from(refuted(&calm, &clustered(2000 + seed, 1.0, 15.0, 240)).is_some());
        wrong += i32::from(refuted(&pairs, &clustered(3000 + seed, 3.0, 15.0, 240)).is_some());
    }
    assert!(late <= 5 && wrong <= 25, "{late} of 100, {wrong} of 200");
    // A level that jumps once and back is no noise.
    let mut jump = clustered(1, 1.0, 15.0, 180);
    jump[100..140].iter_mut().for_each(|look| *look = ArmCount::ratio(300.0, 1500.0).unwrap());
    assert_eq!(refuted(&clustered(2, 1.0, 15.0, 240), &jump), None);
}

#[test]
fn what_hits_both_versions_says_nothing_against_a_history() {
    let calm = clustered(1, 1.0, 15.0, 240);
    let ramp = [45.0, 120.0, 240.0, 375.0, 495.0, 375.0, 240.0, 120.0, 45.0];
    let run = |is_usual: bool| {
        let mut model = NoiseModel::from_history(CountKind::Ratio, &calm);
        let canary = ArmCount::ratio(1.0, 150.0).unwrap();
        ramp.iter().any(|events| {
            let look = PairCount { canary, baseline: ArmCount::ratio(*events, 1500.0).unwrap() };
            model.learn_in(&look, is_usual) == Learnt::HistoryRefuted
        })
    };
    assert!(run(true) && !run(false));
}

#[test]
fn what_few_events_a_look_cannot_show_is_reckoned_with_where_there_are_many() {
    let night = clustered(1, 1.0, 0.75, 240);
    let mut model = NoiseModel::from_history(CountKind::Ratio, &night);
    let at = |model: &NoiseModel, times: f64| model.spread(150.0 * times, 1350.0 * times).phi;
    assert!((at(&model, 1.9) - 1.0).abs() < 1e-12, "{}", at(&model, 1.9));
    assert!(at(&model, 5.0) > 1.3 && at(&model, 100.0) > 10.0, "{} {}", at(&model, 5.0), at(&model, 100.0));
    // Until the rollout itself has shown that there is none.
    for look in 0..60 {
        let arm = |exposure: f64| {
            ArmCount::ratio((exposure * (0.001 + 1e-5 * f64::from(look % 3))).round(), exposure).unwrap()
        };
        model.learn(&PairCount { canary: arm(15_000.0), baseline: arm(135_000.0) });
    }
    assert!(at(&model, 100.0) < 2.0, "{}", at(&model, 100.0));
}
