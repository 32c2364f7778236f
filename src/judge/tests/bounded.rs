//! That no one look decides, and that what is known of the noise before a look decides how the look counts.

use rand_distr::{Beta, Geometric};

use super::*;
use crate::policy::{MultiVersion, Reaction};
use crate::stats::{ArmCount, CountKind, NoiseModel, PairCount};

/// Single errors in one request of a hundred, and four bursts of thirty an hour that fall to either version by its share.
#[test]
fn a_rare_burst_beside_single_errors_rolls_no_good_canary_back() {
    let harmed = (0..40).filter(|seed| {
        let mut traffic = Traffic::new(1000 + seed);
        let size = Geometric::new(1.0 / 30.0).unwrap();
        let mut arm = |share: f64| {
            let Some(Reading::Counts { events, total }) = traffic.arm(share, 1.0) else { unreachable!() };
            let bursts = traffic.draw(4.0 / 240.0 * share) as u32;
            let more: u64 = (0..bursts).map(|_| 1 + size.sample(&mut traffic.rng)).sum();
            counts((events + more as f64).min(total), total)
        };
        let history: Vec<Look> = (0..240)
            .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", arm(1.0), None)]))
            .collect();
        let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &history);
        for n in 0..240 {
            let (baseline, canary) = (arm(0.9), arm(0.1));
            judge.take(&look(15.0 * f64::from(n), 0.1, &[("errors", baseline, canary)]));
        }
        judge.harm()
    });
    // Five with looks that count for as much as they may.
    let harmed = harmed.count();
    assert!(harmed <= 1, "{harmed} of 40");
}

/// Errors in clusters of thirty, of an app without history, three quarters of whose requests are the canary's.
#[test]
fn a_first_cluster_rolls_no_good_canary_back() {
    let harmed = (0..60).filter(|seed| {
        let mut traffic = Traffic::new(5000 + seed);
        let size = Geometric::new(1.0 / 30.0).unwrap();
        let mut arm = |share: f64| {
            let clusters = traffic.draw(0.5 * share) as u32;
            let events: u64 = (0..clusters).map(|_| 1 + size.sample(&mut traffic.rng)).sum();
            counts(events as f64, 1500.0 * share)
        };
        let mut judge = Judge::new(&policy(&[0.75], vec![ratio("errors")]), &[]);
        for n in 0..20 {
            let (baseline, canary) = (arm(0.25), arm(0.75));
            judge.take(&look(15.0 * f64::from(n), 0.75, &[("errors", baseline, canary)]));
        }
        judge.harm()
    });
    // Three where a look counts for twice as much.
    let harmed = harmed.count();
    assert!(harmed == 0, "{harmed} of 60");
}

/// The part of slow requests wavers by half from look to look, in either version for itself.
#[test]
fn latencies_that_waver_wildly_roll_no_good_canary_back() {
    let harmed = (0..12).filter(|seed| {
        let mut rng = StdRng::seed_from_u64(*seed);
        let slow = Beta::new(2.0, 2.0).unwrap();
        let mut arm = |total: f64| {
            let slow: f64 = slow.sample(&mut rng);
            let quick = |tail: f64| (total * (1.0 - slow * tail)).round();
            histogram(&[0.1, 0.25, 0.5], &[quick(1.0), quick(0.2), quick(0.04)], total)
        };
        let history: Vec<Look> = (0..240)
            .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("latency", arm(1500.0), None)]))
            .collect();
        let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &history);
        for n in 0..240 {
            let (baseline, canary) = (arm(1350.0), arm(150.0));
            judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", baseline, canary)]));
        }
        judge.harm()
    });
    let harmed = harmed.count();
    assert!(harmed == 0, "{harmed} of 12");
}

/// Few of its requests while much failed in both versions, and many of them later: all together they look good.
#[test]
fn looks_of_different_shares_are_not_summed_up_before_they_prove_anything() {
    let mut judge = Judge::new(&policy(&[0.05, 0.5], vec![ratio("errors")]), &[]);
    for n in 0..60 {
        let (share, level) = if n < 10 { (0.05, 0.03) } else { (0.5, 0.01) };
        let arm = |share: f64, times: f64| counts((1500.0 * share * level * times).round(), 1500.0 * share);
        judge.take(&look(15.0 * f64::from(n), share, &[("errors", arm(1.0 - share, 1.0), arm(share, 1.6))]));
        assert!(!judge.safe(), "at look {n}: {}", judge.verdict().why);
    }
}

#[test]
fn a_short_history_counts_towards_the_looks_that_tell_the_noise() {
    let arm = |n: u32| ArmCount::ratio(f64::from(10 + n % 7), 1000.0).unwrap();
    let history: Vec<ArmCount> = (0..12).map(arm).collect();
    let mut noise = NoiseModel::from_history(CountKind::Ratio, &history);
    let needs = noise.looks_until_bounded();
    assert_eq!(needs, 9);
    for n in 0..needs {
        assert!(!noise.is_bounded(), "after {n}");
        noise.learn(&PairCount { canary: arm(n), baseline: arm(n) });
    }
    assert!(noise.is_bounded() && noise.looks_until_bounded() == 0);
}

#[test]
fn the_wait_counts_the_looks_that_tell_the_noise() {
    let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &[]);
    for n in 0..12 {
        let arm = counts(f64::from(30 + n % 5), 3000.0);
        judge.take(&look(15.0 * f64::from(n), 0.5, &[("errors", arm.clone(), arm)]));
    }
    let wait = judge.verdict().signals["errors"].wait;
    assert!(wait.is_some_and(|wait| (130.0..150.0).contains(&wait)), "{wait:?}: nine looks are needed");
}

#[test]
fn a_lost_bound_of_safety_does_not_hide_harm_at_others() {
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(None)]), &[]);
    let baseline = || histogram(&[0.1, 0.25, 0.5], &[675.0, 1215.0, 1330.0], 1350.0);
    for n in 0..60 {
        let canary = match n {
            0..2 => histogram(&[0.1, 0.25, 0.5], &[3.0, 6.0, 6.0], 6.0),
            _ => histogram(&[0.1, 0.5], &[1.0, 6.0], 6.0),
        };
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", baseline(), canary)]));
    }
    assert!(judge.harm(), "{}", judge.verdict().why);
}

#[test]
fn a_bound_that_most_requests_pass_is_said_to_prove_nothing() {
    let mut judge = Judge::new(&policy(&[0.1], vec![latency(Some(0.5))]), &[]);
    for n in 0..60 {
        let arm = |total: f64| histogram(&[0.5, 1.0], &[0.3 * total, total], total);
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("latency", arm(1350.0), arm(150.0))]));
    }
    let why = judge.verdict().why;
    let told =
        "70% of the baseline's requests take longer than 500 ms, so no canary could have 1.5 times as many";
    assert!(!judge.safe() && why.contains(told), "{why}");
}

#[test]
fn nothing_that_answers_for_a_canary_alone_is_the_sources_fault() {
    let mut traffic = Traffic::new(3);
    let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &traffic.history(60));
    traffic.share = 1.0;
    for n in 60..120 {
        let look = if n < 90 {
            traffic.look(n, 1.0)
        } else {
            look(15.0 * f64::from(n), 1.0, &[("errors", None, None)])
        };
        judge.take(&look);
    }
    let verdict = judge.verdict();
    assert!(verdict.source_down && !verdict.no_data && !verdict.harm);
    assert!(verdict.why.contains("nothing has answered for it for"), "{}", verdict.why);
}

/// Both versions are meant to serve for half an hour: nothing is promoted by proof, and then what the policy says is done.
#[test]
fn what_serves_side_by_side_ends_as_the_policy_says() {
    let both = |then| {
        let lasts = Some(Span::minutes(30));
        let (process, capacity) = ("web".to_owned(), Capacity::Surge);
        Strategy::MultiVersion(MultiVersion {
            share: Share::new(0.1).unwrap(),
            lasts,
            then,
            process,
            capacity,
        })
    };
    for (then, end) in [
        (Reaction::Ignore, Decision::Continue),
        (Reaction::Rollback, Decision::Rollback),
        (Reaction::Promote, Decision::Promote),
    ] {
        let mut traffic = Traffic::new(9);
        let history = traffic.history(240);
        let policy = Policy { strategy: both(then), ..policy(&[0.1], vec![ratio("errors")]) };
        let mut trial = Trial::new(&policy, &history);
        let decisions: Vec<Decision> = (240..400).map(|n| trial.look(&traffic.look(n, 1.0))).collect();
        assert!(trial.judge().safe(), "it is proven");
        assert!(decisions[..120].iter().all(|decision| *decision == Decision::Continue));
        assert!(decisions[121..].iter().all(|decision| *decision == end), "{then:?}: {:?}", decisions[121]);
    }
}

/// One request in ten thousand fails, and below five no one is harmed: that proves it, long before the comparison would.
#[test]
fn the_wait_is_told_by_the_way_that_ends_it_first() {
    let quiet = |n: u32, share: f64, every: u32| counts(f64::from(u8::from(n % every == 3)), 1500.0 * share);
    let history: Vec<Look> = (0..240)
        .map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", quiet(n, 1.0, 7), None)]))
        .collect();
    let mut judge = Judge::new(&policy(&[0.25], vec![ratio("errors")]), &history);
    let mut told = Vec::new();
    let proven = (0..400).find(|n| {
        let (baseline, canary) = (quiet(*n, 0.75, 9), quiet(*n, 0.25, 28));
        let look = look(15.0 * f64::from(*n), 0.25, &[("errors", baseline, canary)]);
        judge.take(&look);
        told.push(judge.verdict().signals["errors"].wait);
        judge.safe()
    });
    let proven = proven.expect("it is below the floor");
    for (n, wait) in (0_u32..).zip(&told).skip(20) {
        let left = 15.0 * f64::from(proven - n);
        assert!(wait.is_some_and(|wait| wait <= 3.0 * left + 300.0), "at look {n}: {wait:?}, it took {left}");
    }
}
