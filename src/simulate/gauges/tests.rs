use super::*;
use crate::simulate::Tally;

const RULE: Rule = Rule { margin: 0.1, form: Form::Strict, alpha: 0.01, prove: 1.5, beta: 0.05, late: false };

/// Harm and safety over a few runs.
fn tally(scenario: &Scenario, rule: Rule, runs: u64) -> (Tally, Tally) {
    let (mut harm, mut safe) = (Tally::default(), Tally::default());
    for seed in 0..runs {
        let found = judge(scenario, &simulate(scenario, seed), rule);
        harm.add(found.harm);
        safe.add(found.safe);
    }
    (harm, safe)
}

#[test]
fn good_canaries_pass_and_are_proven() {
    for phi in [0.5, 0.9, 0.99] {
        let (harm, safe) = tally(&Scenario::usual(Own::Ar(phi), Fault::None), RULE, 10);
        assert!(harm.times.is_empty(), "{phi}: {harm:?}");
        assert!(safe.share() > 0.8 && safe.median().is_some_and(|time| time <= 60.0), "{phi}: {safe:?}");
    }
}

#[test]
fn half_as_much_again_is_found_within_a_minute_and_never_proven() {
    for phi in [0.5, 0.9] {
        let (harm, safe) = tally(&Scenario::usual(Own::Ar(phi), Fault::Step { by: 0.5, from: 0 }), RULE, 8);
        assert!(harm.median().is_some_and(|time| time <= 60.0), "{phi}: {harm:?}");
        assert!(safe.times.len() <= 1, "{phi}: {safe:?}");
    }
}

#[test]
fn a_leak_within_the_margin_is_found_by_the_loose_branch_alone() {
    let scenario = Scenario::usual(Own::Ar(0.9), Fault::Leak(0.2));
    let (loose, _) = tally(&scenario, Rule { form: Form::Loose, ..RULE }, 6);
    assert!(loose.times.len() >= 4, "{loose:?}");
    let (strict, _) = tally(&scenario, RULE, 6);
    assert!(strict.times.len() <= 2, "{strict:?}");
}

#[test]
fn bursts_do_not_hide_a_shift() {
    let shifted = |own| Scenario::usual(own, Fault::Step { by: 0.5, from: 0 });
    for own in [Own::Spikes, Own::OnOff] {
        let (harm, _) = tally(&shifted(own), RULE, 8);
        assert!(harm.times.len() >= 5, "{own:?}: {harm:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario { grows: true, ..Scenario::usual(Own::Uneven, Fault::None) };
    let [first, again] = [7, 7].map(|seed| simulate(&scenario, seed));
    assert_eq!(first.looks, again.looks);
    let units: Vec<usize> = [0, 80, 160].map(|tick: usize| first.looks[tick].0.len()).to_vec();
    assert_eq!(units, [1, 2, 4]);
}
