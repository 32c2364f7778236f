//! What holds for any looks at all.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::Config;

use super::{Judge, Look, Outcome, Reading, Verdict, look, policy, ratio, signal};
use crate::policy::{Counter, Direction, GaugeForm, Measure, Policy};
use crate::words::Share;

/// Numbers as they come, with the awkward ones among them.
fn number() -> impl Strategy<Value = f64> {
    let awkward =
        vec![-1.0, 1e12, 1e13, 1e14, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    prop_oneof![6 => (0_u32..40).prop_map(f64::from), 2 => 0.0..2000.0, 1 => select(awkward)]
}

fn reading() -> impl Strategy<Value = Reading> {
    let histogram = (vec(number(), 0..4), vec(number(), 0..4), number());
    prop_oneof![
        4 => (number(), number()).prop_map(|(events, total)| Reading::Counts { events, total }),
        1 => (0_u32..20, 20_u32..200).prop_map(|(x, n)| Reading::Counts { events: x.into(), total: n.into() }),
        1 => histogram.prop_map(|(le, counts, total)| Reading::Histogram { le, counts, total }),
        2 => (vec((0_u32..5, 0_u32..9), 0..5), 0_u32..9).prop_map(|(buckets, rest)| sound(&buckets, rest)),
        1 => vec(number(), 0..4).prop_map(Reading::Values),
        1 => vec(0.5..2.0_f64, 1..4).prop_map(Reading::Values),
    ]
}

/// A histogram that makes sense, with bounds that are not always the same.
fn sound(buckets: &[(u32, u32)], rest: u32) -> Reading {
    let (mut le, mut counts, mut last, mut all) = (Vec::new(), Vec::new(), 0, 0);
    for (step, requests) in buckets {
        (last, all) = (last + step + 1, all + requests);
        le.push(f64::from(last) / 10.0);
        counts.push(f64::from(all));
    }
    Reading::Histogram { le, counts, total: f64::from(all + rest) }
}

/// A look some time after the one before; rarely not after it.
pub(in crate::judge) fn looks() -> impl Strategy<Value = Vec<Look>> {
    let name = select(vec!["errors", "deliveries", "latency", "slow", "memory", "typo"]);
    let step = prop_oneof![8 => Just(15.0), 1 => Just(-5.0), 1 => Just(400.0), 1 => Just(f64::NAN)];
    let signals = vec((name, option::of(reading()), option::of(reading())), 0..3);
    vec((step, option::of(0.0..=1.0_f64), signals), 0..25).prop_map(|drawn| {
        let mut at = 0.0;
        drawn
            .into_iter()
            .map(|(step, share, signals)| {
                let when = at + step;
                at = if when.is_finite() { when } else { at };
                Look { at: when, share: share.and_then(Share::new), ..look(0.0, 0.0, &signals) }
            })
            .collect()
    })
}

fn rules() -> Policy {
    let mut limited = ratio("errors");
    if let Measure::Ratio { limit, .. } = &mut limited.measure {
        *limit = Share::new(0.02);
    }
    let rate = signal("deliveries", Measure::Rate { events: Counter("deliveries".to_owned()), floor: 0.0 });
    let latency =
        |over: Option<f64>, limit| Measure::Latency { histogram: Counter("h".to_owned()), over, limit };
    let whole = signal("latency", latency(None, None));
    let slow = signal("slow", latency(Some(0.3), Share::new(0.2)));
    let gauge =
        Measure::Gauge { query: "m".to_owned(), worse: Direction::Down, form: GaugeForm::Loose, floor: None };
    policy(&[0.05, 0.5], vec![limited, rate, whole, slow, signal("memory", gauge)])
}

/// Every number of a verdict, and its bounds.
pub(in crate::judge) fn is_sound(verdict: &Verdict) -> bool {
    let signals = verdict.signals.values().flat_map(|s| {
        let told = s.effect.iter().flatten().copied().chain(s.wait);
        told.chain(s.seen).chain([s.log_e_harm, s.log_e_safe, s.harm_threshold, s.safe_threshold, s.within])
    });
    let [low, high] = verdict.score;
    signals.chain([verdict.at, verdict.log_e_harm, verdict.harm_threshold]).all(f64::is_finite)
        && (0.0..=high).contains(&low)
        && high <= 100.0
        && !(verdict.harm && verdict.safe)
        && !verdict.why.is_empty()
        && verdict.signals.values().all(|signal| !signal.why.contains("NaN") && !signal.why.contains("inf"))
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_looks_give_a_sound_verdict_and_harm_stays(looks in looks(), history in looks()) {
        let mut judge = Judge::new(&rules(), &history);
        let mut harm = false;
        for look in &looks {
            let verdict = judge.look(look);
            prop_assert!(is_sound(&verdict), "{verdict:?}");
            prop_assert!(verdict.harm || !harm);
            prop_assert_eq!((verdict.harm, verdict.safe), (judge.harm(), judge.safe()));
            harm = verdict.harm;
        }
    }

    #[test]
    fn a_judge_read_back_goes_on_to_the_bit(looks in looks(), history in looks(), cut in any::<usize>(), freeze in any::<bool>()) {
        let mut judge = Judge::new(&rules(), &history);
        let (before, after) = looks.split_at(cut % (looks.len() + 1));
        for look in before {
            judge.take(look);
        }
        if freeze {
            judge.freeze_baseline();
        }
        let mut again: Judge = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
        prop_assert_eq!(&again, &judge);
        for look in after {
            let (one, other) = (judge.look(look), again.look(look));
            prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
        }
    }

    #[test]
    fn without_data_there_is_neither_safety_nor_new_harm(looks in looks(), gap in 100.0..1e6_f64) {
        let mut judge = Judge::new(&rules(), &[]);
        for look in &looks {
            judge.take(look);
        }
        let before = judge.verdict();
        let verdict = judge.look(&Look { at: before.at + gap, share: None, signals: [].into() });
        prop_assert_eq!(verdict.harm, before.harm);
        prop_assert_eq!(verdict.log_e_harm, before.log_e_harm);
        prop_assert!(!verdict.safe);
        if !looks.is_empty() {
            prop_assert!(verdict.signals.values().all(|s| matches!(s.outcome, Outcome::SourceDown | Outcome::Fail | Outcome::Inconclusive)));
        }
    }
}
