//! What must not be said rashly: proof on what was not compared, on clusters that have not come yet, harm in words that deny it.

use super::*;

/// Looks of half an hour.
const LOOKS: u32 = 120;

/// A baseline a tenth of whose requests take more than 250 ms, and a canary with these bounds and counts.
fn slow(n: u32, share: f64, le: &[f64], canary: &[f64]) -> Look {
    let baseline = histogram(&[0.1, 0.25, 0.5], &[900.0, 1215.0, 1330.0], 1350.0);
    look(15.0 * f64::from(n), share, &[("latency", baseline, histogram(le, canary, 150.0))])
}

#[test]
fn a_histogram_that_loses_what_is_compared_proves_nothing_and_says_so() {
    let same = |n: u32, share: f64| slow(n, share, &[0.1, 0.25, 0.5], &[100.0, 135.0, 148.0]);
    let mut judge = Judge::new(&policy(&[0.1, 0.5], vec![latency(None)]), &[]);
    for n in 0..40 {
        judge.take(&same(n, 0.1));
    }
    assert!(judge.safe());
    // From the next step on the canary has other bounds, and no request of its is quick.
    for n in 40..LOOKS {
        judge.take(&slow(n, 0.5, &[0.2, 0.4, 2.0], &[0.0, 0.0, 0.0]));
        assert!(!judge.safe(), "at look {n}");
    }
    let why = judge.verdict().why;
    assert!(why.contains("has lost the bucket bound that is compared, so nothing is proven"), "{why}");
    for n in LOOKS..LOOKS + 20 {
        judge.take(&same(n, 0.5));
    }
    assert!(judge.safe(), "{}", judge.verdict().why);
}

#[test]
fn the_absence_of_a_few_large_clusters_is_no_proof() {
    // Thirty errors at once in every third look of the baseline: a variance of 20 times the mean.
    let clusters = |n: u32| if n.is_multiple_of(3) { 30.0 } else { 0.0 };
    let history: Vec<Look> = (0..240)
        .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", counts(clusters(n), 1350.0), None)]))
        .collect();
    for history in [history, Vec::new()] {
        let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &history);
        let expected = |n: u32| f64::from(n) * 10.0 / 9.0 / 20.0;
        let proven = (1..600).find(|n| {
            judge.take(&look(
                15.0 * f64::from(*n),
                0.1,
                &[("errors", counts(clusters(*n), 1350.0), counts(0.0, 150.0))],
            ));
            judge.safe()
        });
        let proven = proven.unwrap_or(600);
        assert!(
            expected(proven) >= 3.0,
            "proven after {proven} looks, in which {} were to come",
            expected(proven)
        );
    }
}

#[test]
fn harm_that_no_signal_shows_alone_is_told_of_all() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors"), ratio("timeouts")]), &[]);
    let at = |n: u32| {
        let arms = |name| (name, counts(14.0, 1350.0), counts(4.0, 150.0));
        look(15.0 * f64::from(n), 0.1, &[arms("errors"), arms("timeouts")])
    };
    let found = (0..LOOKS).find(|n| judge.look(&at(*n)).harm);
    let verdict = judge.verdict();
    assert!(found.is_some());
    assert_eq!(verdict.culprits, ["errors", "timeouts"]);
    let start = "harm: no signal shows it alone, but together they do: errors, between ";
    assert!(verdict.why.starts_with(start), "{}", verdict.why);
    assert!(
        verdict.why.ends_with("; chance of saying this of a good canary under 1 in 100"),
        "{}",
        verdict.why
    );
}

#[test]
fn a_latency_tells_the_odds_that_its_margin_is_of() {
    for (canary, text) in [
        // Four fifths are slower than 100 ms, of the canary 84 %.
        ([24.0, 135.0, 148.0], "requests within 100 ms: "),
        ([100.0, 110.0, 148.0], "requests slower than 250 ms: "),
    ] {
        let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
        let at = |n: u32| {
            let first = if text.contains("within") { 270.0 } else { 900.0 };
            let baseline = histogram(&[0.1, 0.25, 0.5], &[first, 1215.0, 1330.0], 1350.0);
            let canary = histogram(&[0.1, 0.25, 0.5], &canary, 150.0);
            look(15.0 * f64::from(n), 0.1, &[("latency", baseline, canary)])
        };
        let found = (0..2 * LOOKS).find(|n| judge.look(&at(*n)).harm);
        assert!(found.is_some(), "{text}");
        let why = judge.verdict().signals["latency"].why.clone();
        assert!(why.contains(text) && why.contains("% that +10% on the odds allow; "), "{why}");
    }
    // It was slow for a while, long ago: on the whole it is not.
    let mut judge = Judge::new(&policy(&[0.5], vec![latency(None)]), &[]);
    for n in 0..4 * LOOKS {
        let quick = if n < 4 * LOOKS - 14 { 137.0 } else { 120.0 };
        judge.take(&slow(n, 0.5, &[0.1, 0.25, 0.5], &[100.0, quick, 148.0]));
    }
    let why = judge.verdict().signals["latency"].why.clone();
    assert!(why.contains("latency: on the whole requests slower than 250 ms: 0.9"), "{why}");
    assert!(why.contains("; for some of the time more than the 10.9% that"), "{why}");
}

#[test]
fn a_limit_that_is_all_that_lacks_is_told() {
    let mut limited = ratio("errors");
    if let Measure::Ratio { limit, .. } = &mut limited.measure {
        *limit = Share::new(0.02);
    }
    let mut judge = Judge::new(&policy(&[0.5], vec![limited]), &[]);
    for n in 0..LOOKS {
        let arm = || counts(15.0, 770.0);
        judge.take(&look(15.0 * f64::from(n), 0.5, &[("errors", arm(), arm())]));
    }
    let verdict = judge.verdict();
    let why = &verdict.signals["errors"].why;
    assert!(why.contains("; whether it stays below the limit of 2% is not shown yet; "), "{why}");
    let [events, total, ..] = verdict.signals["errors"].seen;
    assert!(events / total < 0.02);
    assert!(verdict.signals["errors"].wait.is_none_or(|wait| wait > 3600.0), "{why}");
}

#[test]
fn suspicion_that_holds_a_step_back_is_told() {
    let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &[]);
    // Proven to be less than 1.5 times as bad, and about to be shown to be more than 1.1 times so.
    for n in 0..LOOKS {
        let arm = |events: f64| counts(events, 7500.0);
        let verdict = judge.look(&look(15.0 * f64::from(n), 0.5, &[("errors", arm(75.0), arm(96.0))]));
        if verdict.signals["errors"].outcome == Outcome::Pass && !verdict.safe && !verdict.harm {
            assert!(verdict.why.contains("still it speaks against the canary"), "{}", verdict.why);
            return;
        }
    }
    panic!("{}", judge.verdict().why);
}

#[test]
fn a_share_that_wanders_is_no_wrong_split() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    let mut rng = StdRng::seed_from_u64(3);
    let mut wander = 0.0;
    for n in 0..240 {
        wander = 0.98 * wander + 0.07 * (rng.random::<f64>() - 0.5);
        let canary = 1500.0 * 0.1 * (1.0 + wander);
        let baseline = 1500.0 - canary;
        judge.take(&look(
            15.0 * f64::from(n),
            0.1,
            &[("errors", counts(0.0, baseline), counts(0.0, canary))],
        ));
        assert!(!judge.wrong_split(), "at look {n}");
    }
}

/// An app's hour with two incidents, then a rollout without any, and a canary as good as the baseline.
#[test]
fn an_incident_before_the_rollout_is_not_taken_for_clusters() {
    let mut harmed = 0;
    for seed in 0..20 {
        let mut traffic = Traffic { share: 0.05, ..Traffic::new(seed) };
        let history: Vec<Look> = (0..240_u32)
            .map(|n| {
                let times = if (100..108).contains(&n) || (180..188).contains(&n) { 10.0 } else { 1.0 };
                look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", traffic.arm(1.0, times), None)])
            })
            .collect();
        let mut judge = Judge::new(&policy(&[0.05], vec![ratio("errors")]), &history);
        harmed += usize::from((1..=LOOKS).any(|n| {
            judge.take(&traffic.look(n, 1.0));
            judge.harm()
        }));
    }
    assert!(harmed <= 1, "{harmed} of 20");
}

#[test]
fn a_few_errors_that_came_one_by_one_do_not_tell_that_no_burst_will_come() {
    let history = |errors: u32| -> Vec<Look> {
        let count = |n: u32| f64::from(n.is_multiple_of(60) && n < 60 * errors);
        (0..240)
            .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", counts(count(n), 1500.0), None)]))
            .collect()
    };
    for errors in 0..=4 {
        let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &history(errors));
        for n in 1..LOOKS {
            let burst = if n == 10 { 20.0 } else { 0.0 };
            let arms = (counts(0.0, 750.0), counts(burst, 750.0));
            judge.take(&look(15.0 * f64::from(n), 0.5, &[("errors", arms.0, arms.1)]));
            assert!(!judge.harm(), "{errors} errors before: {}", judge.verdict().why);
        }
    }
}

#[test]
fn what_a_lost_bound_left_out_is_not_compared_with_another_time() {
    let le = [0.1, 0.25, 0.5];
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
    for n in 0..LOOKS {
        // An incident of both versions, in the very look in which the canary has its bounds back.
        let counts = if n == 64 { [50.0, 75.0, 148.0] } else { [100.0, 135.0, 148.0] };
        let canary = if (60..64).contains(&n) {
            histogram(&[0.2, 0.4], &[120.0, 140.0], 150.0)
        } else {
            histogram(&le, &counts, 150.0)
        };
        let baseline = histogram(&le, &counts.map(|count| 9.0 * count), 1350.0);
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", baseline, canary)]));
        assert!(!judge.harm(), "at look {n}: {}", judge.verdict().why);
    }
    assert!(judge.safe());
}

#[test]
fn a_lost_bound_is_lost_though_a_look_brings_no_requests() {
    let mut judge = Judge::new(&policy(&[0.1, 0.5], vec![latency(None)]), &[]);
    for n in 0..LOOKS {
        let look = match n {
            0..40 => slow(n, 0.1, &[0.1, 0.25, 0.5], &[100.0, 135.0, 148.0]),
            _ if n.is_multiple_of(2) => {
                let mut look = slow(n, 0.5, &[0.2, 2.0], &[0.0, 0.0]);
                look.signals.get_mut("latency").unwrap().canary = histogram(&[0.2, 2.0], &[0.0, 0.0], 0.0);
                look
            }
            _ => slow(n, 0.5, &[0.2, 2.0], &[0.0, 0.0]),
        };
        judge.take(&look);
        assert!(n < 42 || !judge.safe(), "at look {n}: {}", judge.verdict().why);
    }
}

#[test]
fn looks_without_requests_choose_no_bound() {
    let mut judge = Judge::new(
        &policy(&[0.1], vec![latency(None)]),
        &[look(-15.0, 0.0, &[("latency", histogram(&[0.005, 0.25, 0.5], &[0.0; 3], 0.0), None)])],
    );
    for n in 0..LOOKS {
        // Hardly a request takes less than 5 ms. A tenth of the baseline's take more than 250 ms, and a fifth of the canary's.
        let baseline = histogram(&[0.005, 0.25, 0.5], &[40.0, 1215.0, 1330.0], 1350.0);
        let canary = histogram(&[0.005, 0.25, 0.5], &[4.0, 120.0, 148.0], 150.0);
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", baseline, canary)]));
        assert!(!judge.safe(), "at look {n}: {}", judge.verdict().why);
    }
    assert!(judge.harm());
}

#[test]
fn one_request_chooses_no_bound_where_the_history_has_others() {
    let history = look(-15.0, 0.0, &[("latency", histogram(&[0.1, 1.0], &[900.0, 990.0], 1000.0), None)]);
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[history]);
    let le = [0.005, 0.25, 0.5];
    for n in 0..LOOKS {
        let (baseline, canary) = match n {
            0 => (histogram(&le, &[1.0; 3], 1.0), histogram(&le, &[1.0; 3], 1.0)),
            _ => {
                (histogram(&le, &[40.0, 1215.0, 1330.0], 1350.0), histogram(&le, &[4.0, 135.0, 148.0], 150.0))
            }
        };
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", baseline, canary)]));
    }
    assert!(judge.safe(), "{}", judge.verdict().why);
}

#[test]
fn what_lies_beyond_the_last_bound_is_told_to_be_unseen_and_proves_nothing() {
    let end = "; 98% of the baseline's requests take longer than the last bucket bound, 500 ms, and how much longer is not seen";
    let other = "no canary could have 1.5 times as many, so less is never proven";
    for (le, quick, told) in [([0.1, 0.5], [0.0, 27.0], end), ([0.1, 0.25], [13.0, 40.0], other)] {
        let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
        for n in 0..LOOKS {
            let baseline = histogram(&le, &quick, 1350.0);
            let canary = histogram(&le, &quick.map(|count| (count / 9.0).floor()), 150.0);
            judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", baseline, canary)]));
            assert!(!judge.safe(), "at look {n}: {}", judge.verdict().why);
        }
        let why = judge.verdict().signals["latency"].why.clone();
        assert!(why.contains(told), "{why}");
    }
}

#[test]
fn only_signals_that_the_mean_is_of_are_named() {
    let gauge = || {
        let measure = Measure::Gauge {
            query: "m".to_owned(),
            worse: crate::policy::Direction::Up,
            form: crate::policy::GaugeForm::Strict,
            floor: None,
        };
        Signal { critical: false, gates: false, margin: 0.2, ..signal("a-gauge", measure) }
    };
    let signals = vec![ratio("errors"), ratio("timeouts"), ratio("zeros"), gauge()];
    let wobble = |n: u32, unit: u32| 100.0 + f64::from((n * 7 + unit * 3) % 11);
    let values = |n: u32, units: std::ops::Range<u32>, times: f64| {
        Some(Reading::Values(units.map(|unit| times * wobble(n, unit)).collect()))
    };
    let history: Vec<Look> = (0..240)
        .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("a-gauge", values(n, 0..4, 1.0), None)]))
        .collect();
    let mut judge = Judge::new(&policy(&[0.1], signals), &history);
    let at = |n: u32| {
        let arms = |name, events| (name, counts(14.0, 1350.0), counts(events, 150.0));
        let gauge = ("a-gauge", values(n, 0..4, 1.0), values(n, 4..5, 1.3));
        look(
            15.0 * f64::from(n),
            0.1,
            &[arms("errors", 4.0), arms("timeouts", 4.0), arms("zeros", 1.0), gauge],
        )
    };
    assert!((0..2 * LOOKS).any(|n| judge.look(&at(n)).harm));
    assert!(!judge.verdict().culprits.contains(&"zeros".to_owned()), "{:?}", judge.verdict().culprits);
}
