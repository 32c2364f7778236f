//! What is decided of looks that others take, and why.

use super::*;
use crate::policy::{Hold, MultiVersion, Reaction};

/// A trial that is shown the same look, at each so many seconds.
fn shown(policy: &Policy, every: u32, looks: u32, arms: [Option<Reading>; 2]) -> (Trial, Vec<Decision>) {
    let mut trial = Trial::new(policy, &[]);
    let [baseline, canary] = arms;
    let decisions = (1..=looks).map(|n| {
        let at = f64::from(n * every);
        trial.look(&look(at, 0.1, &[("errors", baseline.clone(), canary.clone())]))
    });
    let decisions = decisions.collect();
    (trial, decisions)
}

fn why(trial: &Trial) -> String {
    trial.why(&trial.judge().verdict())
}

#[test]
fn the_end_of_a_bake_is_told() {
    let policy = policy(&[0.1], vec![ratio("errors")]);
    let (trial, decisions) = shown(&policy, 60, 62, [counts(9.0, 900.0), counts(1.2, 100.0)]);
    assert_eq!(decisions.last(), Some(&Decision::Pause));
    let why = why(&trial);
    assert!(
        why.starts_with("the longest bake of 1h is over, and `on.inconclusive` says pause; errors: "),
        "{why}"
    );
}

#[test]
fn silence_that_lasted_too_long_is_told() {
    let mut policy = policy(&[0.1], vec![ratio("errors")]);
    policy.on.no_data = Hold { hold: Span::minutes(5), then: Reaction::Rollback };
    let (trial, decisions) = shown(&policy, 15, 60, [counts(14.0, 1350.0), None]);
    assert!(decisions.contains(&Decision::Hold));
    assert_eq!(decisions.last(), Some(&Decision::Rollback));
    let told = why(&trial);
    assert!(
        told.starts_with("the canary has been silent for 5m and longer, and `on.no_data` says rollback; "),
        "{told}"
    );
}

/// A critical signal that a step does not wait for: nobody would know of the harm that is to roll back.
#[test]
fn a_critical_signal_that_is_silent_promotes_nothing() {
    let quiet = |critical: bool| Signal { critical, gates: false, ..ratio("quiet") };
    for critical in [true, false] {
        let policy = policy(&[0.1], vec![ratio("errors"), quiet(critical)]);
        let mut trial = Trial::new(&policy, &[]);
        let decisions: Vec<Decision> = (1..=300)
            .map(|n| {
                let arms = [
                    ("errors", counts(13.5, 1350.0), counts(1.5, 150.0)),
                    ("quiet", counts(13.5, 1350.0), None),
                ];
                trial.look(&look(15.0 * f64::from(n), 0.1, &arms))
            })
            .collect();
        let promoted = decisions.contains(&Decision::Promote);
        assert_eq!(promoted, !critical, "{critical}: {}", why(&trial));
        assert_eq!(decisions.last() == Some(&Decision::Rollback), critical);
    }
}

#[test]
fn what_hits_both_is_not_promoted_though_the_time_is_over() {
    let mut inconclusive = policy(&[0.1], vec![ratio("errors")]);
    inconclusive.on.inconclusive = Reaction::Promote;
    let mut coexistence = inconclusive.clone();
    coexistence.strategy = Strategy::MultiVersion(MultiVersion {
        share: Share::new(0.1).unwrap(),
        lasts: Some(Span::minutes(60)),
        then: Reaction::Promote,
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    });
    for policy in [inconclusive, coexistence] {
        let (trial, decisions) = shown(&policy, 60, 70, [counts(900.0, 900.0), counts(100.0, 100.0)]);
        assert!(!decisions.contains(&Decision::Promote));
        assert_eq!(decisions.last(), Some(&Decision::Pause), "{}", why(&trial));
        let (trial, decisions) = shown(&policy, 60, 70, [counts(9.0, 900.0), counts(1.2, 100.0)]);
        assert_eq!(decisions.last(), Some(&Decision::Promote), "{}", why(&trial));
    }
}

/// Somebody gave a canary all traffic that nothing had proven: to be watched then is no proof.
#[test]
fn what_got_all_traffic_unproven_is_not_promoted_by_being_watched() {
    let mut policy = policy(&[0.1], vec![ratio("errors")]);
    policy.watch = Span::minutes(10);
    let mut run = |then: Reaction| {
        policy.on.inconclusive = then;
        let mut trial = Trial::new(&policy, &[]);
        for n in 1..=60 {
            let at = 15.0 * f64::from(n);
            let (share, baseline) = if n < 3 { (0.1, counts(13.5, 1350.0)) } else { (1.0, None) };
            trial.look(&look(at, share, &[("errors", baseline, counts(1.5, 150.0))]));
        }
        trial
    };
    let paused = run(Reaction::Pause);
    assert_eq!(paused.decision(), Decision::Pause);
    let told = why(&paused);
    assert!(told.starts_with("the canary got all traffic before it was proven, "), "{told}");
    assert_eq!(run(Reaction::Promote).decision(), Decision::Promote);
}
