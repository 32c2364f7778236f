//! Latencies: the whole distribution, one bound, layouts that differ.

use rand_distr::{Distribution as _, LogNormal};

use super::*;

const LE: [f64; 9] = [0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5];

/// Requests with a median of 80 ms, `times` as slow, by `le`.
fn arm(traffic: &mut Traffic, requests: f64, times: f64, le: &[f64]) -> Reading {
    let law = LogNormal::new((0.08 * times).ln(), 0.6).unwrap();
    let total = traffic.draw(requests) as usize;
    let mut counts = vec![0.0; le.len()];
    for _ in 0..total {
        let took: f64 = law.sample(&mut traffic.rng);
        for (bound, count) in le.iter().zip(&mut counts) {
            *count += f64::from(u8::from(took <= *bound));
        }
    }
    histogram(le, &counts, total as f64).unwrap()
}

/// 100 requests a second, a tenth of them the canary's.
fn looks(seed: u64, times: f64, canary_le: &[f64]) -> impl Iterator<Item = Look> {
    let mut traffic = Traffic::new(seed);
    (1..).map(move |n| {
        let baseline = arm(&mut traffic, 1350.0, 1.0, &LE);
        let canary = arm(&mut traffic, 150.0, times, canary_le);
        look(15.0 * f64::from(n), 0.1, &[("latency", Some(baseline), Some(canary))])
    })
}

fn history(seed: u64) -> Vec<Look> {
    looks(seed, 1.0, &LE).take(40).collect()
}

fn until(seed: u64, times: f64, over: Option<f64>, done: impl Fn(&Judge) -> bool) -> Option<u32> {
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(over)]), &history(seed + 1000));
    looks(seed, times, &LE).take(40).zip(1..).find_map(|(look, n)| {
        judge.take(&look);
        done(&judge).then_some(n)
    })
}

#[test]
fn slower_requests_are_found_and_equal_ones_proven() {
    let found = median((0..7).map(|seed| until(seed, 1.2, None, Judge::harm)).collect());
    assert!(found <= 4, "{found} looks");
    let found = median((0..7).map(|seed| until(seed, 1.5, Some(0.15), Judge::harm)).collect());
    assert!(found <= 3, "{found} looks");
    assert!((0..7).all(|seed| until(seed, 1.0, None, Judge::harm).is_none()));
    let safe = median((0..7).map(|seed| until(seed, 1.0, None, Judge::safe)).collect());
    assert!(safe <= 12, "{safe} looks");
}

#[test]
fn the_sentence_names_the_bound() {
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &history(1));
    looks(2, 1.5, &LE).take(10).for_each(|look| judge.take(&look));
    let verdict = judge.verdict();
    let why = verdict.why;
    // Worse is above 1: so many times as many of the baseline's are within the bound.
    let signal = &verdict.signals["latency"];
    assert_eq!(signal.bound, Some(0.075));
    assert!(
        signal.effect[0].unwrap() > 1.5 && (1.8..2.1).contains(&signal.effect[1].unwrap()),
        "{:?}",
        signal.effect
    );
    let clearest = "harm: latency: requests within 75 ms: 0.51 times the baseline's (23.4% against 45.6%), between 0.4 and 0.66; less than the 43.3%";
    assert!(why.starts_with(clearest), "{why}");
}

#[test]
fn only_common_bounds_are_compared() {
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
    looks(1, 1.5, &[0.05, 0.1, 0.3, 0.5]).take(10).for_each(|look| judge.take(&look));
    assert!(judge.harm());
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
    looks(1, 1.5, &[0.06, 0.11]).take(10).for_each(|look| judge.take(&look));
    let verdict = judge.verdict();
    assert!(!verdict.harm && !verdict.safe);
    assert_eq!(verdict.signals["latency"].outcome, Outcome::Inconclusive);
    let why = "latency: the versions' histograms have no bucket bound in common, so they cannot be compared";
    assert_eq!(verdict.signals["latency"].why, why);
}

#[test]
fn histograms_that_make_no_sense_are_refused_and_races_forgiven() {
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
    for (le, counts, total) in [
        (vec![0.2, 0.1], vec![1.0, 2.0], 3.0),
        (vec![0.1], vec![1.0, 2.0], 3.0),
        (vec![0.1], vec![4.0], 3.0),
        (vec![f64::NAN], vec![1.0], 3.0),
        (vec![0.1], vec![f64::NAN], 3.0),
        (vec![0.1], vec![-1.0], 3.0),
    ] {
        let bad = look(15.0, 0.1, &[("latency", histogram(&le, &counts, total), None)]);
        assert_eq!(judge.check(&bad).len(), 1, "{le:?} {counts:?}");
    }
    let races = histogram(&[0.1, 0.2], &[5.0, 4.0], 10.0).unwrap();
    let verdict = judge.look(&look(15.0, 0.1, &[("latency", Some(races.clone()), Some(races))]));
    assert!(verdict.refused.is_empty());
}

#[test]
fn a_smaller_bound_does_not_stand_for_the_one_that_is_asked_for() {
    let limited = Measure::Latency {
        histogram: Counter("seconds".to_owned()),
        over: Some(0.3),
        limit: Share::new(0.05),
    };
    for (le, is_compared) in [(vec![0.01, 0.05], false), (vec![0.05, 0.3], true), (vec![0.05, 0.5], true)] {
        let mut judge = Judge::new(&policy(&[0.5], vec![signal("latency", limited.clone())]), &[]);
        for n in 1..=60 {
            let slow = |under: f64| histogram(&le, &[500.0, under], 1000.0);
            judge.take(&look(15.0 * f64::from(n), 0.5, &[("latency", slow(960.0), slow(930.0))]));
        }
        let verdict = judge.verdict();
        assert_eq!(verdict.signals["latency"].outcome == Outcome::Fail, is_compared, "{}", verdict.why);
        assert_eq!(verdict.why.contains("not below the one of `over`"), !is_compared, "{}", verdict.why);
    }
}
