//! What hits both versions, and a crash in what looked a little clustered.

use super::*;
use crate::stats::{ArmCount, hist_phi};
use rand_distr::Gamma;

/// Requests of a look, both versions.
const REQUESTS: f64 = 1500.0;

/// The failures of both versions in a look.
fn failures(at: u32, baseline: f64, canary: f64) -> Look {
    let arm = |share: f64, part: f64| counts(REQUESTS * share * part.min(1.0), REQUESTS * share);
    look(15.0 * f64::from(at), 0.1, &[("errors", arm(0.9, baseline), arm(0.1, canary))])
}

/// A rollout after an hour in which one request of a hundred failed, or without one.
fn rollout(history: bool) -> Judge {
    let before =
        |n: u32| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", counts(15.0, REQUESTS), None)]);
    let past: Vec<Look> = if history { (0..240).map(before).collect() } else { Vec::new() };
    Judge::new(&policy(&[0.1], vec![ratio("errors")]), &past)
}

/// A rollout of a good canary, of both of whose versions so many requests of a thousand fail.
fn of_both(history: bool, fail: f64, looks: u32) -> Judge {
    let mut judge = rollout(history);
    (0..looks).for_each(|n| judge.take(&failures(n, 0.001 * fail, 0.001 * fail)));
    judge
}

#[test]
fn nothing_is_promoted_while_both_versions_fail() {
    for (history, fail, bad) in [
        (true, 1000.0, true),
        (true, 100.0, true),
        (true, 20.0, false),
        (false, 1000.0, true),
        (false, 500.0, false),
    ] {
        let verdict = of_both(history, fail, 60).verdict();
        assert_eq!(
            (verdict.both_bad, verdict.safe, verdict.harm),
            (bad, !bad, false),
            "{history} {fail}: {}",
            verdict.why
        );
        assert!(
            verdict.signals["errors"].why.contains("both versions") == bad,
            "{}",
            verdict.signals["errors"].why
        );
    }
    let why = of_both(true, 1000.0, 60).verdict().why;
    assert!(why.contains("now (100%) than the baseline usually has (1%)"), "{why}");
}

/// What is usual is told by the rollout's own looks, too.
#[test]
fn an_outage_that_begins_later_is_one_without_a_history() {
    for onset in [5, 10, 20, 40] {
        let mut judge = of_both(false, 10.0, onset);
        for n in onset..onset + 100 {
            judge.take(&failures(n, 1.0, 1.0));
            assert!(n == onset || judge.both_bad() && !judge.safe(), "{onset} {n}");
        }
    }
}

#[test]
fn an_incident_that_is_over_holds_nothing_back() {
    let mut judge = of_both(true, 1000.0, 20);
    judge.take(&failures(20, 0.01, 0.01));
    assert!(!judge.both_bad(), "{}", judge.verdict().why);
    (21..120).for_each(|n| judge.take(&failures(n, 0.01, 0.01)));
    let verdict = judge.verdict();
    assert!(verdict.safe && !verdict.both_bad, "{}", verdict.why);
}

/// While everything fails a canary is as good as its baseline; that says nothing of the time after.
#[test]
fn an_incident_proves_nothing() {
    for history in [true, false] {
        for (looks, fails) in [(40, 0.5), (4, 0.2), (8, 0.3), (1, 1.0)] {
            let mut judge = rollout(history);
            let usual = if history { 0 } else { 10 };
            for n in 0..400 {
                let shared = if (usual..usual + looks).contains(&n) { fails } else { 0.0 };
                judge.take(&failures(n, 0.01 + shared, 0.015 + shared));
                assert!(!judge.safe(), "{history} {looks} looks of {fails}: safe at {n}");
                if judge.harm() {
                    break;
                }
            }
        }
    }
}

/// An app that never fails is proven by its floor; one look in which both fail tells nothing of it.
#[test]
fn a_blip_of_both_leaves_a_canary_that_never_fails_to_be_proven() {
    let look_of = |n: u32, share: f64| failures(n, share, share);
    let before = |n: u32| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", counts(0.0, REQUESTS), None)]);
    let past: Vec<Look> = (0..240).map(before).collect();
    let proven = |blip: Option<u32>| {
        let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &past);
        (0..240).find(|n| {
            judge.take(&look_of(*n, if blip == Some(*n) { 0.2 } else { 0.0 }));
            judge.safe()
        })
    };
    let (without, with) = (proven(None).unwrap(), proven(Some(10)).unwrap());
    assert!((without..without + 8).contains(&with), "{without} {with}");
}

/// A burst of one version alone is no incident, and is not held against it that nobody saw any before.
#[test]
fn bursts_are_no_incident() {
    let mut proven = 0;
    for seed in 0..6 {
        let mut traffic = Traffic::new(seed);
        let mut arm = || {
            let burst = if traffic.rng.random::<f64>() < 0.1 { 60.0 } else { 0.0 };
            counts(traffic.draw(1.0) + burst, 500.0)
        };
        let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &[]);
        let passes = (0..240).any(|n| {
            judge.take(&look(15.0 * f64::from(n), 0.5, &[("errors", arm(), arm())]));
            assert!(!judge.both_bad() && !judge.harm(), "{seed} {n}");
            judge.safe()
        });
        proven += u32::from(passes);
    }
    assert!(proven >= 3, "{proven} of 6");
}

/// Only the baseline fails: a canary that repairs it is proven as ever.
#[test]
fn a_canary_that_repairs_what_the_baseline_suffers_from_is_proven() {
    let mut judge = rollout(true);
    let found = (0..240).find(|n| {
        judge.take(&failures(*n, 0.2, 0.005));
        judge.safe()
    });
    assert!(found.is_some_and(|look| look < 40), "{found:?}");
}

/// Each arm's rate wavers in proportion to itself, so quiet times show little of it.
#[test]
fn what_wavers_wavers_more_in_an_incident() {
    let mut rolled_back = 0;
    for seed in 0..200 {
        let mut traffic = Traffic::new(seed);
        let mut errors = |share: f64| {
            let rate = share * Gamma::new(25.0, 0.04).unwrap().sample(&mut traffic.rng);
            counts(traffic.draw(rate * 750.0).min(750.0), 750.0)
        };
        let before: Vec<Look> = (0..240_u32)
            .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", errors(0.01), None)]))
            .collect();
        let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &before);
        for n in 0..80_u32 {
            let share = if (20..40).contains(&n) { 0.3 } else { 0.01 };
            judge.take(&look(15.0 * f64::from(n), 0.5, &[("errors", errors(share), errors(share))]));
        }
        rolled_back += u32::from(judge.harm());
    }
    assert!(rolled_back <= 4, "{rolled_back} of 200");
}

/// Of an hour of independent errors one in thirty has a dispersion that looks like clusters.
#[test]
fn a_crash_is_no_cluster() {
    let mut clustered = 0;
    for seed in 0..800 {
        let mut traffic = Traffic::new(seed);
        let mut arm = |share: f64, times: f64| {
            let total = 1500.0 * share;
            (traffic.draw(0.01 * times * total).min(total), total)
        };
        let history: Vec<(f64, f64)> = (0..240).map(|_| arm(1.0, 1.0)).collect();
        let looks: Vec<ArmCount> =
            history.iter().filter_map(|(events, total)| ArmCount::ratio(*events, *total).ok()).collect();
        if hist_phi(&looks) <= 1.0 {
            continue;
        }
        clustered += 1;
        let before = (0_u32..).zip(history).map(|(n, (events, total))| {
            look(15.0 * f64::from(n), 0.0, &[("errors", counts(events, total), None)])
        });
        let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &before.collect::<Vec<_>>());
        let found = (1..=50).find(|n| {
            let [(events, total), (bad, all)] = [arm(0.9, 1.0), arm(0.1, if *n > 40 { 50.0 } else { 1.0 })];
            let arms = [("errors", counts(events, total), counts(bad, all))];
            judge.take(&look(15.0 * f64::from(240 + n), 0.1, &arms));
            judge.harm()
        });
        assert!(found.is_some_and(|look| look <= 42), "{seed}: {found:?}");
    }
    assert!(clustered > 15, "{clustered}");
}
