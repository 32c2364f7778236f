use super::*;
use crate::stats::vectors::{close, history, noise, pair};

/// The question and the evidence asked for in a stream of the vectors: harm, or safety below a bound.
fn asked(engine: &serde_json::Value) -> (RatioQuestion, bool) {
    let ratio = engine["eta0"].as_f64().unwrap().exp();
    let harm = engine["sign"].as_f64().unwrap() > 0.0;
    let (margin, bound) = if harm { (ratio - 1.0, 2.0) } else { (0.0, ratio) };
    (RatioQuestion { margin, bounds: vec![bound], floor: None, horizon: 240.0 }, harm)
}

#[test]
fn streams_agree_with_the_vectors() {
    let vectors = noise();
    let streams = vectors["stream"].as_array().unwrap();
    assert_eq!(streams.len(), 17);
    for stream in streams {
        let model = match stream["history"].as_str() {
            Some(name) => NoiseModel::from_history(CountKind::Ratio, &history(&vectors, name)),
            None => NoiseModel::new(CountKind::Ratio),
        };
        let (question, harm) = asked(&stream["engine"]);
        let mut evidence = RatioEvidence::new(CountKind::Ratio, &question, model);
        for (t, look) in stream["looks"].as_array().unwrap().iter().enumerate() {
            let number = |name: &str| look[name].as_f64().unwrap();
            let counts = pair(&[number("xc"), number("nc"), number("xb"), number("nb")]);
            evidence.look(1.0, &counts).unwrap();
            let case = (&stream["name"], t);
            let got = if harm { evidence.log_e_harm() } else { evidence.log_e_safety().next().unwrap() };
            close(got, number("log_e"), 1e-9, &case);
            if let (Some(phi), Some(spread)) = (look["phi"].as_f64(), evidence.spread()) {
                // At millions of events the vectors' log-gammas cancel to 1e-8; their evidence does not show it.
                close(spread.phi, phi, 1e-8, &case);
                close(spread.frailty, number("ik"), 1e-8, &case);
            }
        }
    }
}
