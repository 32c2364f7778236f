use super::*;
use crate::stats::ArmCount;
use crate::stats::vectors::{close, numbers, pair, rows, statistics};

/// The vectors' engine: `horizon` null means no late onset.
fn engine(params: &serde_json::Value) -> Tilt {
    let alternative =
        if params["sign"].as_f64().unwrap() > 0.0 { Alternative::Greater } else { Alternative::Less };
    let onset = match params["horizon"].as_f64() {
        None => Onset::Start,
        Some(horizon) => Onset::Late { start: params["pi0"].as_f64().unwrap(), horizon },
    };
    Tilt::new(Prior::Ratio, params["eta0"].as_f64().unwrap(), alternative, onset)
}

#[test]
fn ratio_ticks_agree_with_the_vectors() {
    let vectors = statistics();
    let cases = vectors["tilt_ratio"].as_array().unwrap();
    assert_eq!(cases.len(), 45);
    for case in cases {
        let mut tilt = engine(&case["params"]);
        let phi = case["params"]["phi"].as_f64().unwrap();
        for (tick, expected) in rows(&case["ticks_xc_nc_xb_nb"]).iter().zip(numbers(&case["log_e"])) {
            let counts = pair(tick);
            let got = tilt.pair(1.0, &counts, phi).unwrap();
            close(got, expected, 1e-10, &(&case["seq"], &case["config"], tick));
        }
    }
}

#[test]
fn limits_agree_with_the_vectors() {
    for case in statistics()["tilt_slo"].as_array().unwrap() {
        let p0 = case["p0"].as_f64().unwrap();
        let mut harm = Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(240.0));
        let mut safe = Tilt::safety(1.0);
        let expected = numbers(&case["log_e"]).into_iter().zip(numbers(&case["log_e_promote"]));
        for (tick, (worse, better)) in rows(&case["ticks_x_n"]).iter().zip(expected) {
            close(harm.binomial(1.0, tick[0], tick[1], p0, 1.0).unwrap(), worse, 1e-10, tick);
            close(safe.binomial(1.0, tick[0], tick[1], p0, 1.0).unwrap(), better, 1e-10, tick);
        }
    }
}

#[test]
fn poisson_counts_agree_with_the_vectors() {
    for case in statistics()["tilt_poisson"].as_array().unwrap() {
        let mut up = Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(240.0));
        let mut down = Tilt::new(Prior::Ratio, 0.0, Alternative::Less, Onset::Start);
        let expected = numbers(&case["log_e_up"]).into_iter().zip(numbers(&case["log_e_down"]));
        for (tick, (more, fewer)) in rows(&case["ticks_x_lambda0"]).iter().zip(expected) {
            close(up.poisson(1.0, tick[0], tick[1], 1.0).unwrap(), more, 1e-10, tick);
            close(down.poisson(1.0, tick[0], tick[1], 1.0).unwrap(), fewer, 1e-10, tick);
        }
    }
}

#[test]
fn an_onset_long_after_the_horizon_is_still_found() {
    let horizon = 100.0;
    for onset in [50, 150, 400, 1600] {
        let mut tilt = Tilt::harm(0.1, horizon);
        let likelihood = |x: f64| {
            let look = PairCount {
                canary: ArmCount::ratio(x, 750.0).unwrap(),
                baseline: ArmCount::ratio(7.0, 750.0).unwrap(),
            };
            Likelihood::new(&look, crate::stats::Spread::NONE)
        };
        let found = (0..onset + 200).find(|n| {
            let log_e = tilt.look(1.0, &likelihood(if *n < onset { 7.0 } else { 14.0 })).unwrap();
            log_e >= 100_f64.ln()
        });
        let late = found.unwrap_or(onset + 200) - onset;
        // Six looks in the horizon; ever so slowly more.
        assert!((1..=21).contains(&late), "{late} looks after {onset}");
    }
}

#[test]
fn whole_counts_give_what_counts_a_little_off_give() {
    for (alternative, share) in
        [(Alternative::Greater, 0.1), (Alternative::Less, 0.5), (Alternative::Greater, 0.001)]
    {
        for (x, k) in [
            (0.0, 1.0),
            (2.0, 15.0),
            (15.0, 15.0),
            (40.0, 75.0),
            (3.0, 1500.0),
            (90.0, 4096.0),
            (500.0, 5000.0),
        ] {
            let (mut whole, mut off) =
                (Tilt::new(Prior::Ratio, 0.0, alternative, Onset::within(40.0)), Tilt::harm(0.0, 40.0));
            off.clone_from(&whole);
            for _ in 0..100 {
                let exact = whole.binomial(1.0, x, k, share, 1.0).unwrap();
                let nearly = off.binomial(1.0, x, k + 1e-11 * k, share, 1.0).unwrap();
                close(exact, nearly, 1e-8, &(alternative, share, x, k));
            }
        }
    }
}

#[test]
fn evidence_of_harm_takes_more_than_one_tick() {
    let at_most = 0.3 + 0.7 * MOST_OF_ONE.exp();
    for (x, k) in [(30.0, 30.0), (500.0, 1000.0), (1e6, 1e6)] {
        let mut harm = Tilt::harm(0.1, 240.0);
        let log_e = harm.binomial(1.0, x, k, 0.1, 1.0).unwrap();
        assert!(log_e <= at_most.ln() && log_e > 5.0, "{x} of {k}: {log_e}");
    }
}
