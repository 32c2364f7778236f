//! Exact expectations under the null, by enumerating all outcomes: at most 1, which is all that an e-value promises.

use statrs::function::gamma::ln_gamma;

use super::noise::{Likelihood, Spread};
use super::vectors::{close, statistics};
use super::*;

/// ln of the binomial coefficient.
fn choose(n: u32, k: u32) -> f64 {
    let log = |n: u32| ln_gamma(f64::from(n) + 1.0);
    log(n) - log(k) - log(n - k)
}

fn binomial(n: u32, x: u32, p: f64) -> f64 {
    let (x_real, rest) = (f64::from(x), f64::from(n - x));
    (choose(n, x) + x_real * p.ln() + rest * (-p).ln_1p()).exp()
}

/// P(x) ∝ C(n1, x) C(n2, k − x) odds^x: the canary's part of k errors, given binomial arms.
fn fisher(canary: u32, baseline: u32, k: u32, odds: f64) -> Vec<(u32, f64)> {
    let (least, most) = (k.saturating_sub(baseline), k.min(canary));
    let weight = |x: u32| choose(canary, x) + choose(baseline, k - x) + f64::from(x) * odds.ln();
    let whole = special::log_sum_exp((least..=most).map(weight));
    (least..=most).map(|x| (x, (weight(x) - whole).exp())).collect()
}

/// The e-value of one tick, looked at once, onset at the start.
fn one_tick(null: f64, alternative: Alternative, x: u32, k: u32, rho: f64) -> f64 {
    let mut tilt = Tilt::new(Prior::Ratio, null, alternative, Onset::Start);
    tilt.binomial(1.0, f64::from(x), f64::from(k), rho, 1.0).unwrap().exp()
}

#[test]
fn tilts_have_the_expectations_of_the_vectors() {
    let vectors = statistics();
    let checks = vectors["null_expectation_checks"].as_object().unwrap();
    let harm = |x, k, rho| one_tick(0.0, Alternative::Greater, x, k, rho);

    let boundary: f64 = (0..=12).map(|x| binomial(12, x, 0.2) * harm(x, 12, 0.2)).sum();
    close(boundary, checks["binomial k=12 rho=.2"].as_f64().unwrap(), 1e-12, &"boundary");

    let finite: f64 = fisher(20, 80, 12, 1.0).into_iter().map(|(x, p)| p * harm(x, 12, 0.2)).sum();
    close(finite, checks["hypergeometric N=100 K=12 n=20"].as_f64().unwrap(), 1e-10, &"hypergeometric");

    let q = 0.2 * 0.7 / (0.2 * 0.7 + 0.8);
    let inside: f64 = (0..=12).map(|x| binomial(12, x, q) * harm(x, 12, 0.2)).sum();
    close(inside, checks["binomial theta=.7"].as_f64().unwrap(), 1e-10, &"inside the null");

    let (name, expected) = checks.iter().find(|(name, _)| name.starts_with("fisher")).unwrap();
    let cases: [(u32, u32, u32, f64); 4] =
        [(50, 450, 30, 1.25), (150, 1350, 300, 1.5), (20, 20, 15, 1.1), (100, 100, 100, 2.0)];
    for ((canary, baseline, k, odds), expected) in cases.into_iter().zip(expected.as_array().unwrap()) {
        let rho = f64::from(canary) / f64::from(canary + baseline);
        let got: f64 = fisher(canary, baseline, k, odds)
            .into_iter()
            .map(|(x, p)| p * one_tick(odds.ln(), Alternative::Greater, x, k, rho))
            .sum();
        close(got, expected.as_f64().unwrap(), 1e-10, name);
    }
}

#[test]
fn evidence_of_safety_has_expectation_one_at_its_bound() {
    for bound in [1.2_f64, 1.5, 3.0] {
        let q = 0.1 * bound / (0.1 * bound + 0.9);
        let got: f64 =
            (0..=40).map(|x| binomial(40, x, q) * one_tick(bound.ln(), Alternative::Less, x, 40, 0.1)).sum();
        close(got, 1.0, 1e-11, &bound);
    }
}

#[test]
fn safety_keeps_it_with_the_weights_that_prove_as_good_sooner() {
    for bound in [1.05_f64, 1.5, 3.0, 100.0] {
        let q = 0.1 * bound / (0.1 * bound + 0.9);
        let e_value = |x: u32| Tilt::safety(bound).binomial(1.0, f64::from(x), 40.0, 0.1, 1.0).unwrap().exp();
        close((0..=40).map(|x| binomial(40, x, q) * e_value(x)).sum(), 1.0, 1e-11, &bound);
    }
    let proven =
        |mut tilt: Tilt| (1..100_000).find(|_| tilt.binomial(1.0, 1.5, 15.0, 0.1, 1.0).unwrap() > 3.0);
    let (now, before) = (
        proven(Tilt::safety(1.5)),
        proven(Tilt::new(Prior::Ratio, 1.5_f64.ln(), Alternative::Less, Onset::Start)),
    );
    assert!(now.unwrap() + 2 <= before.unwrap(), "{now:?} looks instead of {before:?}");
}

#[test]
fn a_share_that_changes_at_every_look_needs_no_reset() {
    let (first, second): ((u32, f64), (u32, f64)) = ((9, 0.05), (12, 0.5));
    for margin in [0.0, 0.25_f64] {
        let q = |rho: f64| rho * (1.0 + margin) / (rho * (1.0 + margin) + 1.0 - rho);
        let whole = Tilt::new(Prior::Ratio, margin.ln_1p(), Alternative::Greater, Onset::within(100.0));
        let expectation = |engine: &Tilt| {
            let mut expectation = 0.0;
            for x in 0..=first.0 {
                for y in 0..=second.0 {
                    let mut tilt = engine.clone();
                    tilt.binomial(1.0, f64::from(x), f64::from(first.0), first.1, 1.0).unwrap();
                    let log_e = tilt.binomial(1.0, f64::from(y), f64::from(second.0), second.1, 1.0).unwrap();
                    expectation +=
                        binomial(first.0, x, q(first.1)) * binomial(second.0, y, q(second.1)) * log_e.exp();
                }
            }
            expectation
        };
        close(expectation(&whole), 1.0, 1e-11, &margin);
        // What one tick may count for at most is taken off.
        let capped = expectation(&whole.capped());
        assert!(capped < 1.0 && capped > 0.99, "{capped}");
    }
}

#[test]
fn the_confidence_sequence_is_an_e_process_at_every_ratio() {
    for ratio in [0.3, 1.0, 2.7] {
        let mut missed = 0.0;
        for x in 0..=60 {
            let mut sequence = RatioCs::default();
            sequence.binomial(f64::from(x), 60.0, 0.3, 1.0).unwrap();
            let interval = sequence.interval(0.05);
            let inside = interval.lower.is_none_or(|low| low <= ratio)
                && interval.upper.is_none_or(|high| high >= ratio);
            if !inside {
                missed += binomial(60, x, 0.3 * ratio / (0.3 * ratio + 0.7));
            }
        }
        assert!(missed <= 0.05, "{ratio}: {missed}");
    }
}

#[test]
fn the_share_test_has_expectation_at_most_one_within_its_tolerance() {
    for odds in [0.96, 1.0, 1.04] {
        let q = 0.2 * odds / (0.2 * odds + 0.8);
        let got: f64 = (0..=80)
            .map(|x| {
                let mut test = ShareTest::new(0.05, 0.2).unwrap();
                test.update(f64::from(x), f64::from(80 - x), 1.0).unwrap();
                binomial(80, x, q) * test.log_e().exp()
            })
            .sum();
        assert!(got <= 1.0, "{odds}: {got}");
    }
}

#[test]
fn two_by_two_has_expectation_at_most_one_whatever_the_proportion() {
    for p in [0.02, 0.3, 0.9] {
        let mut expectation = 0.0;
        for first in 0..=6 {
            for (canary, baseline) in (0..=5).flat_map(|x| (0..=9).map(move |y| (x, y))) {
                let pair = |x: u32, n: u32, y: u32, m: u32| PairCount {
                    canary: ArmCount::ratio(f64::from(x), f64::from(n)).unwrap(),
                    baseline: ArmCount::ratio(f64::from(y), f64::from(m)).unwrap(),
                };
                let mut engine = TwoByTwo::new(0.0, Onset::Start);
                engine.pair(1.0, &pair(0, 0, first, 6), 1.0).unwrap();
                let log_e = engine.pair(1.0, &pair(canary, 5, baseline, 9), 1.0).unwrap();
                let chance = binomial(6, first, p) * binomial(5, canary, p) * binomial(9, baseline, p);
                expectation += chance * log_e.exp();
            }
        }
        assert!(expectation <= 1.0 + 1e-12, "{p}: {expectation}");
    }
}

/// The negative binomial with mean `mean` and shape `kappa`.
fn negative_binomial(x: u32, mean: f64, kappa: f64) -> f64 {
    let x = f64::from(x);
    let log = ln_gamma(x + kappa) - ln_gamma(kappa) - ln_gamma(x + 1.0) - kappa * (mean / kappa).ln_1p()
        + x * (mean / (mean + kappa)).ln();
    log.exp()
}

/// The expectation of one look's likelihood ratio for `ratio` against 1, when both arms are frail by `kappa` and the
/// canary has `share` of `mean` events.
fn frail_expectation(kappa: f64, share: f64, mean: f64, ratio: f64) -> f64 {
    // All counts but the last millionth.
    let law = |mean: f64| {
        let (mut counts, mut left) = (Vec::new(), 1.0);
        for x in 0.. {
            if left < 1e-6 {
                break;
            }
            let chance = negative_binomial(x, mean, kappa);
            counts.push((x, chance));
            left -= chance;
        }
        counts
    };
    let (canary, baseline) = (law(mean * share), law(mean * (1.0 - share)));
    let mut expectation = 0.0;
    for (x, p) in &canary {
        for (y, q) in &baseline {
            let look = PairCount {
                canary: ArmCount::ratio(f64::from(*x), 1e6 * share).unwrap(),
                baseline: ArmCount::ratio(f64::from(*y), 1e6 * (1.0 - share)).unwrap(),
            };
            let ratio = match Likelihood::new(&look, Spread { phi: 1.0, frailty: 1.0 / kappa }) {
                Likelihood::Series(likelihood) => {
                    let [worse, same] = likelihood.log([ratio.ln(), 0.0]);
                    (worse - same).exp()
                }
                Likelihood::Binomial { .. } => 1.0,
            };
            expectation += p * q * ratio;
        }
    }
    expectation
}

#[test]
fn frail_likelihood_ratios_have_expectation_at_most_one_up_to_half_the_traffic() {
    for kappa in [1.5, 4.0] {
        for share in [0.1, 0.5] {
            for mean in [0.5, 6.0] {
                for ratio in [1.2, 5.0] {
                    let got = frail_expectation(kappa, share, mean, ratio);
                    assert!(got <= 1.0 + 1e-6, "κ {kappa}, share {share}, mean {mean}, ratio {ratio}: {got}");
                }
            }
        }
    }
    // Above it they have more, which is why the noise model does not use them there.
    assert!(frail_expectation(4.0, 0.8, 6.0, 5.0) > 1.01);
}
