//! Whole rollouts by Kayenta's judge.

use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::judge::tests::{counts, look};
use crate::judge::{Decision, Judge, Look, Outcome, Reading, Trial, Verdict};
use crate::policy::{KAYENTA_SAMPLES, Policy, read};

/// A policy with these signals and further keys.
pub(in crate::judge) fn rules(keys: &str, signals: &str) -> Policy {
    let text = format!(
        "policy: test\nfor: {{ apps: ['*'] }}\njudge: kayenta\n{keys}\n\
         strategy: {{ canary: {{ steps: [10%, 50%], bake: {{ at_least: 5m, at_most: 30m }} }} }}\nsignals:\n{signals}"
    );
    let reading = read("test.yaml", &text);
    reading.policy.unwrap_or_else(|| panic!("{}", reading.findings.render(false)))
}

const ERRORS: &str = "  - { name: errors, ratio: { events: e_total, total: r_total }, critical: true }\n";

/// Values about one: n looks of 15 s, the canary's `times` as large.
fn run(policy: &Policy, share: f64, n: u32, times: f64) -> (Judge, Verdict) {
    let mut judge = Judge::new(policy, &[]);
    let mut rng = StdRng::seed_from_u64(1);
    let mut verdict = judge.verdict();
    for n in 0..n {
        let mut draw = |times: f64, size: f64| {
            counts((rng.random_range(5.0..15.0_f64) * times * size).round(), 1000.0 * size)
        };
        let arms = ("errors", draw(1.0, (1.0 - share) / share), draw(times, 1.0));
        verdict = judge.look(&look(15.0 * f64::from(n), share, &[arms]));
    }
    (judge, verdict)
}

#[test]
fn nothing_is_said_before_the_first_judgement() {
    let (judge, verdict) = run(&rules("", ERRORS), 0.1, 20, 5.0);
    assert!(!judge.harm() && !judge.safe());
    assert_eq!(verdict.score, [0.0, 100.0]);
    assert_eq!(verdict.signals["errors"].why, "errors: not judged yet; 20 looks so far");
    assert_eq!(
        verdict.why,
        "nothing is judged yet; judged as Kayenta does, without a budget for false rollbacks"
    );
}

#[test]
fn a_bad_canary_fails_at_the_first_judgement_and_says_why() {
    let (judge, verdict) = run(&rules("", ERRORS), 0.1, 21, 2.0);
    assert!(judge.harm() && verdict.harm && !verdict.safe);
    assert_eq!((verdict.score, verdict.culprits.as_slice()), ([0.0, 0.0], &["errors".to_owned()][..]));
    let signal = &verdict.signals["errors"];
    assert_eq!(signal.outcome, Outcome::Fail);
    assert!(signal.why.starts_with("errors: High: 1.8 times the baseline's mean; shifted by 0.769 percentage points, between 0.422 and 1.14 in this judgement"), "{}", signal.why);
    assert!(signal.otherwise.starts_with("it would have passed if"), "{}", signal.otherwise);
    assert!(verdict.why.starts_with("harm: score 0 is below 75: errors: High: "), "{}", verdict.why);
    assert!(verdict.why.ends_with("without a budget for false rollbacks"), "{}", verdict.why);
    // Final, whatever comes.
    let mut judge = judge;
    for n in 21..200 {
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("errors", counts(10.0, 1000.0), counts(1.0, 1000.0))]));
    }
    assert_eq!(judge.verdict().signals["errors"].outcome, Outcome::Fail);
    assert!(judge.harm());
}

#[test]
fn a_good_canary_passes_each_step_by_a_judgement_of_that_step() {
    let policy = rules("", ERRORS);
    let (mut judge, verdict) = run(&policy, 0.1, 21, 1.0);
    assert!(verdict.safe && verdict.score == [100.0, 100.0], "{}", verdict.why);
    assert!(verdict.why.starts_with("score 100 is at least the 95 that passes; "), "{}", verdict.why);
    let next =
        |n: u32| look(15.0 * f64::from(n), 0.5, &[("errors", counts(10.0, 1000.0), counts(10.0, 1000.0))]);
    assert!((21..41).all(|n| !judge.look(&next(n)).safe), "the new step is not judged yet");
    assert!(judge.look(&next(41)).safe);
    let mut trial = Trial::new(&policy, &[]);
    let decisions: Vec<Decision> = (0..100).map(|n| trial.look(&next(n))).collect();
    assert_eq!(
        decisions.iter().position(|d| *d == Decision::Promote),
        Some(20),
        "at the end of the shortest bake"
    );
}

#[test]
fn between_the_thresholds_nothing_is_decided() {
    let signals = "  - { name: a, ratio: { events: e_total, total: r_total } }\n\
                   \x20 - { name: b, ratio: { events: e_total, total: r_total } }\n\
                   \x20 - { name: c, ratio: { events: e_total, total: r_total }, kayenta: { groups: [other] } }\n";
    let run = |keys: &str, bad: &[&str]| {
        let mut trial = Trial::new(&rules(keys, signals), &[]);
        let mut decision = Decision::Continue;
        for n in 0..130 {
            let canary =
                |name: &str| counts(if bad.contains(&name) { 30.0 } else { 10.0 } + f64::from(n % 3), 1000.0);
            let arms =
                ["a", "b", "c"].map(|name| (name, counts(10.0 + f64::from(n % 3), 1000.0), canary(name)));
            decision = trial.look(&look(15.0 * f64::from(n), 0.5, &arms));
        }
        (decision, trial.judge().verdict())
    };
    let (decision, verdict) = run("", &["a"]);
    assert_eq!((decision, verdict.score), (Decision::Pause, [75.0, 75.0]), "{}", verdict.why);
    assert!(verdict.why.starts_with("score 75: neither below 75, which fails, nor 95, which passes"));
    let (decision, verdict) = run("kayenta: { group_weights: { other: 40% } }", &["a"]);
    assert_eq!((decision, verdict.score), (Decision::Rollback, [70.0, 70.0]), "{}", verdict.why);
    let (decision, verdict) =
        run("kayenta: { pass: 70, marginal: 60, group_weights: { other: 40% } }", &["a"]);
    assert_eq!((decision, verdict.score), (Decision::Promote, [70.0, 70.0]), "{}", verdict.why);
}

#[test]
fn a_lack_of_data_never_fails_a_canary() {
    let check = |signals: &str, canary: Option<Reading>| {
        let mut judge = Judge::new(&rules("", signals), &[]);
        for n in 0..60 {
            let silent = ("errors", counts(10.0, 1000.0), canary.clone());
            let other = ("other", counts(f64::from(n % 3), 100.0), counts(f64::from(n % 2), 100.0));
            judge.take(&look(15.0 * f64::from(n), 0.5, &[silent, other]));
        }
        judge.verdict()
    };
    let other = "  - { name: other, ratio: { events: e_total, total: r_total } }\n";
    let silent = check(&format!("{ERRORS}{other}"), None);
    assert!(silent.no_data && !silent.harm && !silent.safe, "{}", silent.why);
    assert_eq!(silent.score, [0.0, 100.0]);
    assert_eq!(silent.signals["errors"].outcome, Outcome::NoData);
    // As Kayenta: half of the signals without data make a score of 0, a third of them do not count.
    let may_be_silent = ERRORS.replace("critical: true", "kayenta: { must_have_data: false }");
    let half = check(&format!("{may_be_silent}{other}"), None);
    assert!(!half.no_data && !half.harm && !half.safe, "{}", half.why);
    let third = check(&format!("{may_be_silent}{other}{}", other.replace("name: other", "name: more")), None);
    assert!(!third.safe, "two of three are silent");
    let replaced =
        ERRORS.replace("critical: true", "kayenta: { nan_strategy: replace, must_have_data: false }");
    assert!(check(&format!("{replaced}{other}"), None).safe, "zeros are no increase");
}

#[test]
fn a_muted_signal_is_judged_and_does_not_count() {
    let muted = ERRORS.replace("critical: true", "kayenta: { muted: true }");
    let other = "  - { name: other, ratio: { events: e_total, total: r_total } }\n";
    let mut judge = Judge::new(&rules("", &format!("{muted}{other}")), &[]);
    for n in 0..40 {
        let readings = [
            ("errors", counts(10.0, 1000.0), counts(90.0 + f64::from(n % 2), 1000.0)),
            ("other", counts(f64::from(n % 3), 100.0), counts(f64::from(n % 3), 100.0)),
        ];
        judge.take(&look(15.0 * f64::from(n), 0.1, &readings));
    }
    let verdict = judge.verdict();
    assert!(verdict.safe && verdict.score == [100.0, 100.0]);
    let signal = &verdict.signals["errors"];
    assert!(signal.outcome == Outcome::Fail && !signal.gates);
    assert!(signal.why.ends_with("muted, so it does not count"), "{}", signal.why);
}

fn histogram(le: &[f64], counts: &[f64], total: f64) -> Option<Reading> {
    Some(Reading::Histogram { le: le.to_vec(), counts: counts.to_vec(), total })
}

#[test]
fn every_kind_of_signal_gives_the_value_that_is_documented() {
    let signals = "  - { name: latency, latency: h, kayenta: { quantile: 50% } }\n\
                   \x20 - { name: slow, latency: h, over: 300ms }\n\
                   \x20 - { name: rate, rate: d_total }\n\
                   \x20 - { name: memory, gauge: 'm{app=\"{{ app }}\",version=\"{{ version }}\"}' }\n";
    let mut judge = Judge::new(&rules("", signals), &[]);
    let le = [0.1, 0.25, 0.5];
    for n in 0..21 {
        let few = f64::from(n % 3);
        let latency = |fast: f64| histogram(&le, &[fast, 80.0, 90.0], 100.0);
        let readings = [
            ("latency", latency(60.0 + few), latency(40.0 + few)),
            ("slow", latency(60.0 + few), histogram(&le, &[40.0, 50.0, 70.0 + few], 100.0)),
            ("rate", counts(10.0 + few, 15.0), counts(20.0 + few, 15.0)),
            ("memory", Some(Reading::Values(vec![1.0, 3.0 + few])), Some(Reading::Values(vec![4.0 + few]))),
        ];
        judge.take(&look(15.0 * f64::from(n), 0.5, &readings));
    }
    let verdict = judge.verdict();
    let ratio = |name: &str| verdict.signals[name].effect[1].unwrap();
    // Medians by interpolation: 0.1·50/61 on average, and 0.1 + 0.15·(50 − 41)/(80 − 41).
    let median = [60.0, 61.0, 62.0].map(|fast: f64| 0.1 * 50.0 / fast).iter().sum::<f64>();
    let slower =
        [40.0, 41.0, 42.0].map(|fast: f64| 0.1 + 0.15 * (50.0 - fast) / (80.0 - fast)).iter().sum::<f64>();
    assert!((ratio("latency") - slower / median).abs() < 1e-12, "{}", ratio("latency"));
    // Slower than the bound at 0.5, which is the next one above.
    assert!((ratio("slow") - 29.0 / 10.0).abs() < 1e-12, "{}", ratio("slow"));
    assert!((ratio("rate") - 21.0 / 11.0).abs() < 1e-12);
    assert!((ratio("memory") - 5.0 / 2.5).abs() < 1e-12);
    assert!(verdict.harm);
}

#[test]
fn histograms_without_a_common_bound_are_told() {
    let mut judge = Judge::new(&rules("", "  - { name: latency, latency: h }\n"), &[]);
    for n in 0..40 {
        let readings = [("latency", histogram(&[0.1], &[5.0], 9.0), histogram(&[0.2], &[5.0], 9.0))];
        judge.take(&look(15.0 * f64::from(n), 0.5, &readings));
    }
    let verdict = judge.verdict();
    assert!(!verdict.harm && !verdict.safe);
    assert!(verdict.signals["latency"].why.contains("no bucket bound in common"));
}

#[test]
fn the_scale_fault_is_kept_only_where_it_is_asked_for() {
    let tiny = |exact: bool| {
        let keys = if exact { "kayenta: { exact: true }" } else { "" };
        let mut judge = Judge::new(&rules(keys, ERRORS), &[]);
        for n in 0..61 {
            let value = f64::from(n * 37 % 60);
            let readings = [("errors", counts(100.0 + value, 1e8), counts(160.0 + value, 1e8))];
            judge.take(&look(15.0 * f64::from(n), 0.5, &readings));
        }
        judge.harm()
    };
    assert_eq!((tiny(false), tiny(true)), (true, false));
}

#[test]
fn memory_is_bounded_and_a_lookback_forgets() {
    let series = |policy: &Policy, looks: u32| {
        let mut judge = Judge::new(policy, &[]);
        for n in 0..looks {
            judge.take(&look(f64::from(n), 0.1, &[("errors", counts(1.0, 9.0), counts(1.0, 9.0))]));
        }
        judge.watches[0].evidence.series().unwrap().len()
    };
    assert_eq!(series(&rules("look_every: 1s", ERRORS), 2000), KAYENTA_SAMPLES);
    assert_eq!(series(&rules("look_every: 1s\nkayenta: { lookback: 1m }", ERRORS), 200), 61);
}

/// How often a good canary fails in an hour, with values that keep part of the one before.
fn false_failures(keep: f64, every: &str) -> f64 {
    let policy = rules(
        &format!("kayenta: {{ judge_every: {every} }}"),
        "  - { name: memory, gauge: 'm{app=\"{{ app }}\",version=\"{{ version }}\"}', critical: true }\n",
    );
    let failed = (0..60).filter(|seed| {
        let (mut rng, mut judge) = (StdRng::seed_from_u64(*seed), Judge::new(&policy, &[]));
        let mut levels = [0.0_f64; 2];
        (0..=120).any(|n| {
            let values = levels.each_mut().map(|level| {
                *level = keep * *level + rng.random_range(-1.0..1.0);
                Some(Reading::Values(vec![(0.3 * *level).exp()]))
            });
            let [baseline, canary] = values;
            judge.look(&look(15.0 * f64::from(n), 0.5, &[("memory", baseline, canary)])).harm
        })
    });
    f64::from(u32::try_from(failed.count()).unwrap()) / 60.0
}

#[test]
fn it_is_wrong_as_often_as_the_guide_warns() {
    assert!(false_failures(0.0, "5m") < 0.1);
    let often = false_failures(0.8, "1m");
    assert!(often > 0.2, "{often}: judging dependent values often is what the guide warns of");
}

fn looks() -> impl proptest::strategy::Strategy<Value = Vec<Look>> {
    crate::judge::tests::properties::looks()
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_looks_give_a_sound_verdict_that_goes_on_to_the_bit(
        looks in looks(),
        cut in any::<usize>(),
        every in prop_oneof![Just("15s"), Just("1m")],
        exact in any::<bool>(),
        freeze in any::<bool>(),
    ) {
        let policy = mixed(every, exact);
        let mut judge = Judge::new(&policy, &looks);
        let mut harm = false;
        let cut = cut % (looks.len() + 1);
        for (index, look) in looks.iter().enumerate() {
            if index == cut {
                if freeze {
                    judge.freeze_baseline();
                }
                let again: Judge = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
                prop_assert_eq!(&again, &judge);
                judge = again;
            }
            let verdict = judge.look(look);
            prop_assert!(crate::judge::tests::properties::is_sound(&verdict), "{verdict:?}");
            prop_assert!(verdict.harm || !harm);
            prop_assert!(!verdict.harm || verdict.signals.values().any(|s| s.outcome == Outcome::Fail));
            prop_assert_eq!((verdict.harm, verdict.safe), (judge.harm(), judge.safe()));
            harm = verdict.harm;
        }
        let before = judge.verdict();
        let verdict = judge.look(&Look { at: before.at + 1000.0, share: None, signals: [].into() });
        prop_assert!(verdict.harm == before.harm && !verdict.safe);
    }
}

/// Every kind of signal by the names of the other properties, and most settings.
fn mixed(every: &str, exact: bool) -> Policy {
    let signals = "  - { name: errors, ratio: { events: e_total, total: r_total }, critical: true }\n\
                   \x20 - { name: deliveries, rate: d_total, kayenta: { direction: either, groups: [a, b] } }\n\
                   \x20 - { name: latency, latency: h, kayenta: { effect_size: cles, allowed_increase: 0.6 } }\n\
                   \x20 - { name: slow, latency: h, over: 300ms, kayenta: { outliers: remove, outlier_factor: 1.5 } }\n\
                   \x20 - { name: memory, gauge: 'm{app=\"{{ app }}\",version=\"{{ version }}\"}', worse: down, kayenta: { nan_strategy: replace } }\n";
    rules(
        &format!("kayenta: {{ judge_every: {every}, exact: {exact}, group_weights: {{ a: 50% }} }}"),
        signals,
    )
}
