//! What hits both versions, and a crash in what looked a little clustered.

use super::*;
use crate::stats::{ArmCount, hist_phi};

/// Rollouts of a good canary beside a baseline of which so many requests of a thousand fail, after an hour in which ten did.
fn of_both(history: bool, fail: f64, looks: u32) -> Judge {
    let arm = |share: f64, part: f64| counts((1500.0 * share * part).round(), 1500.0 * share);
    let before = |n: u32| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", arm(1.0, 0.01), None)]);
    let past: Vec<Look> = if history { (0..240).map(before).collect() } else { Vec::new() };
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &past);
    for n in 0..looks {
        let failing = 0.001 * fail;
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("errors", arm(0.9, failing), arm(0.1, failing))]));
    }
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
    let before = &of_both(true, 1000.0, 60).verdict().signals["errors"].why;
    assert!(before.contains("than the baseline had before the rollout (1%)"), "{before}");
}

#[test]
fn an_incident_that_is_over_holds_nothing_back() {
    let mut judge = of_both(true, 1000.0, 20);
    for n in 20..120 {
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("errors", counts(13.0, 1350.0), counts(1.0, 150.0))]));
    }
    let verdict = judge.verdict();
    assert!(verdict.safe && !verdict.both_bad, "{}", verdict.why);
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
