//! Whole rollouts through the judge, in virtual time.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Poisson};

use super::*;
use crate::policy::{Bake, Canary, Capacity, Counter, Measure, Signal, Strategy};
use crate::words::Span;

mod bounded;
mod frozen;
mod gauge;
mod incident;
mod latency;
pub(super) mod properties;
mod quiet;
mod rash;
mod trial;
mod words;

/// A policy with these steps and signals, a look every 15 s, and an hour for each step.
pub(super) fn policy(steps: &[f64], signals: Vec<Signal>) -> Policy {
    let strategy = Strategy::Canary(Canary {
        steps: steps.iter().filter_map(|share| Share::new(*share)).collect(),
        bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(60) },
        approve: Vec::new(),
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    });
    Policy { warm_up: Span::ZERO, signals, ..Policy::new("test", strategy) }
}

pub(super) fn signal(name: &str, measure: Measure) -> Signal {
    Signal {
        name: name.to_owned(),
        measure,
        margin: 0.1,
        prove_within: Some(1.5),
        weight: 1.0,
        critical: true,
        gates: true,
    }
}

pub(super) fn ratio(name: &str) -> Signal {
    let counter = |text: &str| Counter(text.to_owned());
    let measure = Measure::Ratio {
        events: counter("errors"),
        total: counter("requests"),
        floor: 0.0005,
        min_events: 5,
        limit: None,
    };
    signal(name, measure)
}

pub(super) fn counts(events: f64, total: f64) -> Option<Reading> {
    Some(Reading::Counts { events, total })
}

/// A latency, judged at all bounds or at one.
fn latency(over: Option<f64>) -> Signal {
    signal("latency", Measure::Latency { histogram: Counter("seconds".to_owned()), over, limit: None })
}

fn histogram(le: &[f64], counts: &[f64], total: f64) -> Option<Reading> {
    Some(Reading::Histogram { le: le.to_vec(), counts: counts.to_vec(), total })
}

pub(super) fn look(at: f64, share: f64, signals: &[(&str, Option<Reading>, Option<Reading>)]) -> Look {
    let arms = |(name, baseline, canary): &(&str, Option<Reading>, Option<Reading>)| {
        ((*name).to_owned(), Arms { baseline: baseline.clone(), canary: canary.clone() })
    };
    Look { at, share: Share::new(share), signals: signals.iter().map(arms).collect::<BTreeMap<_, _>>() }
}

/// Traffic with independent errors.
pub(super) struct Traffic {
    pub(super) rng: StdRng,
    pub(super) rps: f64,
    pub(super) share: f64,
    pub(super) rate: f64,
}

impl Traffic {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), rps: 100.0, share: 0.1, rate: 0.01 }
    }

    fn draw(&mut self, mean: f64) -> f64 {
        if mean > 0.0 { Poisson::new(mean).unwrap().sample(&mut self.rng) } else { 0.0 }
    }

    /// What one arm counts in 15 s.
    fn arm(&mut self, share: f64, times: f64) -> Option<Reading> {
        let total = self.draw(15.0 * self.rps * share);
        let events = (0..total as u64).filter(|_| self.rng.random::<f64>() < self.rate * times).count();
        counts(events as f64, total)
    }

    /// The `n`th look, with a canary that fails `times` as often.
    pub(super) fn look(&mut self, n: u32, times: f64) -> Look {
        let (baseline, canary) = (self.arm(1.0 - self.share, 1.0), self.arm(self.share, times));
        look(15.0 * f64::from(n), self.share, &[("errors", baseline, canary)])
    }

    pub(super) fn history(&mut self, looks: u32) -> Vec<Look> {
        (0..looks)
            .map(|n| {
                let baseline = self.arm(1.0, 1.0);
                look(15.0 * f64::from(n), 0.0, &[("errors", baseline, None)])
            })
            .collect()
    }
}

/// The looks until harm, or until safety, of a rollout with a ratio; nothing: not within an hour.
fn until(seed: u64, times: f64, done: impl Fn(&Judge) -> bool) -> Option<u32> {
    let mut traffic = Traffic::new(seed);
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &traffic.history(60));
    (1..=240).find(|n| {
        judge.take(&traffic.look(*n, times));
        done(&judge)
    })
}

fn median(mut values: Vec<Option<u32>>) -> u32 {
    values.sort_by_key(|value| value.unwrap_or(u32::MAX));
    values[values.len() / 2].unwrap_or(u32::MAX)
}

#[test]
fn a_good_canary_is_seldom_called_harmful_and_mostly_proven() {
    let harmed = (0..12).filter(|seed| until(*seed, 1.0, Judge::harm).is_some()).count();
    assert!(harmed <= 1, "{harmed} of 12");
    let safe = median((0..7).map(|seed| until(seed, 1.0, Judge::safe)).collect());
    assert!(safe <= 28, "{safe} looks");
}

#[test]
fn a_bad_canary_is_found_and_never_called_safe_at_the_margin() {
    let found = median((0..7).map(|seed| until(seed, 5.0, Judge::harm)).collect());
    assert!(found <= 2, "{found} looks");
    let safe = (0..8).filter(|seed| until(*seed, 1.5, Judge::safe).is_some()).count();
    assert!(safe <= 2, "{safe} of 8");
}

#[test]
fn harm_explains_itself() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    let mut verdict = judge.look(&look(15.0, 0.1, &[("errors", counts(14.0, 1350.0), counts(2.0, 150.0))]));
    assert_eq!(verdict.signals["errors"].outcome, Outcome::Inconclusive);
    for n in 2..20 {
        verdict = judge.look(&look(
            15.0 * f64::from(n),
            0.1,
            &[("errors", counts(14.0, 1350.0), counts(8.0, 150.0))],
        ));
    }
    assert!(verdict.harm && !verdict.safe);
    assert_eq!(verdict.culprits, ["errors"]);
    assert_eq!(verdict.score, [0.0, 0.0]);
    assert_eq!(
        verdict.why,
        "harm: errors: 5.1 times the baseline's, between 3.2 and 7.7; more than the 1.1 allowed; chance of saying this of a good canary under 1 in 1,000,000"
    );
    assert_eq!(
        verdict.signals["errors"].otherwise,
        "at the baseline's rate about 30 failures would have been seen instead of 146; up to about 33 are within what is allowed, and somewhat more cannot be told from that"
    );
}

#[test]
fn doubt_and_safety_explain_themselves() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    let at = |n: u32| look(15.0 * f64::from(n), 0.1, &[("errors", counts(14.0, 1350.0), counts(1.0, 150.0))]);
    let verdict = judge.look(&look(0.0, 0.1, &[("errors", counts(0.0, 1350.0), counts(0.0, 150.0))]));
    assert_eq!(
        verdict.why,
        "errors: neither harm nor safety shown yet: how many times the baseline's cannot be told after none of 150 requests failed; nor that it has less than 0.05%, which would do; how long it still needs cannot be said"
    );
    for n in 1..6 {
        judge.take(&at(n));
    }
    assert_eq!(
        judge.verdict().why,
        "errors: neither harm nor safety shown yet: between 0.02 and 4.2 times the baseline's after 5 of 900 requests failed; needs about 21 more minutes at this traffic"
    );
    for n in 6..60 {
        judge.take(&at(n));
    }
    let verdict = judge.verdict();
    assert!(verdict.safe);
    assert_eq!(verdict.score, [100.0, 100.0]);
    assert_eq!(
        verdict.signals["errors"].why,
        "errors: 0.63 times the baseline's, between 0.38 and 1.0; less than 1.5 times is proven, as this step asks; chance of saying this of a worse canary under 1 in 1,000,000"
    );
}

#[test]
fn silence_is_told_apart_and_changes_no_evidence() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    judge.take(&look(0.0, 0.1, &[("errors", counts(14.0, 1350.0), counts(1.0, 150.0))]));
    let before = judge.verdict();
    let mut alone = judge.clone();
    for n in 1..=5 {
        alone.take(&look(15.0 * f64::from(n), 0.1, &[("errors", counts(14.0, 1350.0), None)]));
        judge.take(&look(15.0 * f64::from(n), 0.1, &[]));
    }
    let (canary, both) = (alone.verdict(), judge.verdict());
    assert_eq!(canary.signals["errors"].outcome, Outcome::NoData);
    assert!(canary.no_data && !canary.source_down && !canary.safe);
    assert_eq!(both.signals["errors"].outcome, Outcome::SourceDown);
    assert!(both.source_down && !both.no_data && !both.safe);
    for verdict in [&canary, &both] {
        assert_eq!(verdict.signals["errors"].log_e_harm, before.signals["errors"].log_e_harm);
        assert_eq!(verdict.signals["errors"].log_e_safe, before.signals["errors"].log_e_safe);
    }
    assert_eq!(
        canary.why,
        "errors: the canary has been silent for 75 s while the baseline speaks; silence shows neither harm nor safety"
    );
    assert_eq!(
        both.why,
        "errors: both versions have been silent for 75 s; the source is at fault, not the canary"
    );
}

#[test]
fn a_canary_without_requests_is_silent_once_some_were_due() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    judge.take(&look(0.0, 0.1, &[("errors", counts(0.0, 50.0), counts(0.0, 0.0))]));
    assert!(!judge.verdict().no_data, "5 expected of a quiet app may well be missing");
    judge.take(&look(15.0, 0.1, &[("errors", counts(0.0, 50.0), counts(0.0, 0.0))]));
    let verdict = judge.verdict();
    assert!(verdict.no_data && verdict.why.contains("answers but tells of no requests"), "{}", verdict.why);
    judge.take(&look(30.0, 0.1, &[("errors", counts(0.0, 50.0), counts(0.0, 1.0))]));
    assert!(!judge.verdict().no_data);
}

#[test]
fn one_lost_answer_of_the_canary_is_not_its_silence() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    let heard = |n: u32| counts(f64::from(n), 150.0 * f64::from(n));
    judge.take(&look(0.0, 0.1, &[("errors", counts(14.0, 1350.0), heard(1))]));
    for n in 1..=4 {
        let at = 15.0 * f64::from(n);
        judge.take(&look(at, 0.1, &[("errors", counts(14.0, 1350.0), None)]));
        assert!(
            !judge.verdict().no_data,
            "150 requests were due at {at} s, and may be told of at the next look"
        );
    }
    judge.take(&look(75.0, 0.1, &[("errors", counts(14.0, 1350.0), heard(5))]));
    assert!(!judge.verdict().no_data);
}

#[test]
fn nobody_is_proven_beside_a_baseline_without_requests() {
    let mut judge = Judge::new(&policy(&[0.1, 0.5], vec![ratio("errors")]), &[]);
    for n in 0..30 {
        judge.take(&look(
            15.0 * f64::from(n),
            0.1,
            &[("errors", counts(135.0, 13_500.0), counts(15.0, 1500.0))],
        ));
    }
    assert!(judge.verdict().safe);
    for n in 30..60 {
        let lost = [("errors", counts(0.0, 0.0), counts(1500.0, 1500.0))];
        let verdict = judge.look(&look(15.0 * f64::from(n), if n < 40 { 0.1 } else { 0.5 }, &lost));
        assert!(!verdict.safe, "look {n}: all of the canary's requests fail, and nothing is compared");
        assert_eq!(verdict.source_down, n > 34, "look {n}: {}", verdict.why);
    }
    let why = judge.verdict().why;
    assert!(why.starts_with("errors: the baseline answers but tells of no requests"), "{why}");
    judge.take(&look(900.0, 0.5, &[("errors", counts(7.0, 750.0), counts(8.0, 750.0))]));
    assert!(!judge.verdict().source_down, "it has requests again");
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &[]);
    judge.take(&look(15.0, 0.1, &[("errors", counts(14.0, 1350.0), counts(1.0, 150.0))]));
    let before = judge.verdict();
    let values = Some(Reading::Values(vec![1.0]));
    for (canary, text) in [
        (counts(3.0, 2.0), "`errors`, canary: 3 events of only 2 in all"),
        (
            counts(-1.0, 2.0),
            "`errors`, canary: `events` is -1; it must be finite, not negative and at most 1e12",
        ),
        (
            counts(f64::NAN, 2.0),
            "`errors`, canary: `events` is NaN; it must be finite, not negative and at most 1e12",
        ),
        (
            counts(1.0, f64::INFINITY),
            "`errors`, canary: `total` is inf; it must be finite, not negative and at most 1e12",
        ),
        (values, "`errors`, canary: the signal needs `events` and `total`"),
    ] {
        let mut judge = judge.clone();
        let verdict = judge.look(&look(30.0, 0.1, &[("errors", None, canary)]));
        assert_eq!(verdict.refused.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
        assert_eq!(verdict.log_e_harm, before.log_e_harm);
    }
    for at in [15.0, 14.0, f64::NAN, f64::INFINITY] {
        let mut judge = judge.clone();
        let verdict = judge.look(&look(at, 0.1, &[("errors", counts(0.0, 9.0), counts(9.0, 9.0))]));
        assert_eq!(verdict.refused.len(), 1);
        assert_eq!(verdict.signals, before.signals);
    }
    let verdict = judge.look(&look(30.0, 0.1, &[("typo", None, None)]));
    assert_eq!(verdict.refused[0].problem, Problem::Unknown);
}

#[test]
fn a_wrong_split_is_seen_and_forgotten_with_its_plan() {
    let mut judge = Judge::new(&policy(&[0.1, 0.5], vec![ratio("errors")]), &[]);
    for n in 0..20 {
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("errors", counts(14.0, 1425.0), counts(1.0, 75.0))]));
    }
    let verdict = judge.verdict();
    assert!(verdict.wrong_split);
    assert!(verdict.why.ends_with("; the canary gets 5% of the traffic instead of 10%"), "{}", verdict.why);
    judge.take(&look(400.0, 0.5, &[("errors", counts(7.0, 750.0), counts(7.0, 750.0))]));
    assert!(!judge.verdict().wrong_split);
}

#[test]
fn what_a_source_makes_up_for_after_a_change_is_no_wrong_split() {
    let mut judge = Judge::new(&policy(&[0.1, 0.5], vec![ratio("errors")]), &[]);
    let uneven = [(900.0, 100.0), (600.0, 150.0), (340.0, 560.0), (350.0, 250.0)];
    let even = std::iter::repeat_n((300.0, 300.0), 20);
    for ((baseline, canary), n) in uneven.into_iter().chain(even).zip(0..) {
        let share = if n == 0 { 0.1 } else { 0.5 };
        judge.take(&look(f64::from(n), share, &[("errors", counts(0.0, baseline), counts(0.0, canary))]));
        assert!(!judge.verdict().wrong_split, "at look {n}");
    }
}

#[test]
fn the_score_begins_at_nothing_and_not_below() {
    let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &[]);
    let [low, high] = judge.look(&look(0.0, 0.5, &[("errors", counts(0.0, 9.0), counts(0.0, 9.0))])).score;
    assert_eq!((format!("{low:.0}"), format!("{high:.0}")), ("0".to_owned(), "100".to_owned()));
}

#[test]
fn a_limit_blames_nobody_while_the_baseline_breaks_it_too() {
    let mut limited = ratio("errors");
    if let Measure::Ratio { limit, .. } = &mut limited.measure {
        *limit = Share::new(0.02);
    }
    limited.margin = 1.0;
    limited.prove_within = None;
    let run = |baseline: f64, canary: f64| {
        let mut judge = Judge::new(&policy(&[0.5], vec![limited.clone()]), &[]);
        for n in 0..100 {
            let arms = [("errors", counts(baseline, 1000.0), counts(canary, 1000.0))];
            judge.take(&look(15.0 * f64::from(n), 0.5, &arms));
        }
        judge.verdict()
    };
    let above = run(16.0, 27.0);
    assert!(above.harm && !above.both_bad, "within the margin, but above the limit: {}", above.why);
    let both = run(60.0, 65.0);
    assert!(both.both_bad && !both.harm && !both.safe, "{}", both.why);
    let below = run(8.0, 8.0);
    assert!(below.safe, "{}", below.why);
}

#[test]
fn a_signal_that_is_not_critical_does_not_roll_back_alone() {
    let mut signals = vec![ratio("errors"), ratio("a"), ratio("b"), ratio("c"), ratio("d")];
    signals[1..].iter_mut().for_each(|signal| signal.critical = false);
    let run = |bad: &[&str]| {
        let mut judge = Judge::new(&policy(&[0.5], signals.clone()), &[]);
        for n in 0..40 {
            let readings: Vec<_> = signals
                .iter()
                .map(|s| {
                    (
                        s.name.as_str(),
                        counts(10.0, 1000.0),
                        counts(if bad.contains(&s.name.as_str()) { 100.0 } else { 10.0 }, 1000.0),
                    )
                })
                .collect();
            judge.take(&look(15.0 * f64::from(n), 0.5, &readings));
        }
        judge.verdict()
    };
    let one = run(&["a"]);
    assert!(!one.harm && one.signals["a"].outcome == Outcome::Fail && !one.safe);
    assert!(one.log_e_harm >= one.harm_threshold);
    assert_eq!(one.score, [87.5, 87.5]);
    assert_eq!(run(&["a", "b"]).culprits, ["a", "b"]);
    assert_eq!(run(&["errors"]).culprits, ["errors"]);
}

/// Where it takes several, all of them are named, and what each could not do alone.
#[test]
fn what_rolls_back_together_is_named_together() {
    let mut signals = vec![ratio("errors"), ratio("a"), ratio("b"), ratio("c"), ratio("d")];
    signals[1].critical = false;
    let mut judge = Judge::new(&policy(&[0.5], signals.clone()), &[]);
    let mut verdict = judge.verdict();
    for n in 0..240 {
        let bad = |name: &str| match name {
            "a" => 100.0,
            "b" => 17.0,
            _ => 10.0,
        };
        let arms = |name: &str| (counts(10.0, 1000.0), counts(bad(name), 1000.0));
        let readings: Vec<_> = signals
            .iter()
            .map(|signal| {
                let (baseline, canary) = arms(&signal.name);
                (signal.name.as_str(), baseline, canary)
            })
            .collect();
        verdict = judge.look(&look(15.0 * f64::from(n), 0.5, &readings));
        if verdict.harm {
            break;
        }
    }
    assert_eq!(verdict.culprits, ["a", "b"], "{}", verdict.why);
    assert_eq!(verdict.signals["b"].outcome, Outcome::Inconclusive);
    assert!(
        verdict.why.starts_with("harm: a: ")
            && verdict.why.contains(
                "; alone it does not roll back, but with what speaks against the canary besides: b, "
            ),
        "{}",
        verdict.why
    );
}

#[test]
fn the_budget_is_shared_and_the_critical_have_half_of_it() {
    assert_eq!(combine::parts(&[(1.0, true), (1.0, true)]), [0.5, 0.5]);
    assert_eq!(combine::parts(&[(1.0, true), (9.0, false)]), [0.5, 0.5]);
    assert_eq!(combine::parts(&[(1.0, false), (3.0, false)]), [0.25, 0.75]);
    assert_eq!(combine::parts(&[(f64::NAN, true), (-1.0, true)]), [0.5, 0.5]);
}

#[test]
fn steps_ask_for_more_as_the_share_grows() {
    let mut signal = ratio("errors");
    signal.prove_within = None;
    let ladder = Ladder::new(&policy(&[0.05, 0.2, 0.5, 0.8], vec![]));
    let within: Vec<_> = (0..4).map(|step| ladder.within(&signal, step)).collect();
    assert_eq!(within, [3.0, 2.0, 1.5, 1.5]);
    assert_eq!(Ladder::new(&policy(&[0.05], vec![])).within(&signal, 0), 1.5, "the last step asks for all");
    assert_eq!(ladder.step(Some(0.0909)), 0);
    assert_eq!(ladder.step(Some(0.33)), 1);
    assert_eq!(ladder.step(None), 3);
}
