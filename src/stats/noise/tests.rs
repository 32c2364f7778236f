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
