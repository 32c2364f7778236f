//! The sentences that a person reads, each made by the rollout that leads to it.

use super::*;
use crate::policy::{Direction, GaugeForm};

/// The sentence about the only signal, and what would have changed it.
fn said(judge: &Judge) -> String {
    let verdict = judge.verdict();
    let signal = verdict.signals.values().next().unwrap();
    if signal.otherwise.is_empty() {
        signal.why.clone()
    } else {
        format!("{}\n  {}", signal.why, signal.otherwise)
    }
}

fn judge(signal: Signal, history: &[Look]) -> Judge {
    Judge::new(&policy(&[0.1], vec![signal]), history)
}

/// Shows looks with so many bad events of the canary's 150 and the baseline's 1,350, from look `from` on.
fn show(judge: &mut Judge, from: u32, looks: u32, canary: impl Fn(u32) -> f64, baseline: f64) {
    for n in from..from + looks {
        judge.take(&look(
            15.0 * f64::from(n),
            0.1,
            &[("errors", counts(baseline, 1350.0), counts(canary(n), 150.0))],
        ));
    }
}

fn limited(limit: f64) -> Signal {
    let mut signal = ratio("errors");
    if let Measure::Ratio { limit: to, .. } = &mut signal.measure {
        *to = Share::new(limit);
    }
    signal
}

/// A gauge of two baseline units that wander by little, and a canary unit that is `times` as large.
fn gauge(worse: Direction, times: f64) -> Judge {
    let measure = Measure::Gauge { query: "free".to_owned(), worse, form: GaugeForm::Strict, floor: None };
    let value = |n: u32, unit: u32| 100.0 + f64::from((n * (7 + 4 * unit)) % 13) / 6.0;
    let units = |n: u32| Some(Reading::Values(vec![value(n, 0), value(n, 1)]));
    let history: Vec<Look> =
        (0..240).map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("free", units(n), None)])).collect();
    let mut judge = judge(Signal { margin: 0.25, ..signal("free", measure) }, &history);
    for n in 0..8 {
        let canary = Some(Reading::Values(vec![times * value(n, 2)]));
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("free", units(n + 3), canary)]));
    }
    judge
}

#[test]
fn sentences() {
    let mut text = String::new();
    let mut tell = |about: &str, said: String| text.extend(["# ", about, "\n", &said, "\n\n"]);

    let mut late = judge(ratio("errors"), &[]);
    show(&mut late, 1, 60, |n| f64::from(n % 2) + 1.0, 14.0);
    show(&mut late, 61, 8, |_| 6.0, 14.0);
    tell("a ratio that became bad after a quarter of an hour", said(&late));

    let mut beyond = judge(Signal { margin: 1.0, prove_within: Some(2.5), ..limited(0.02) }, &[]);
    show(&mut beyond, 1, 120, |n| 3.0 + f64::from(n % 4), 20.0);
    tell("a limit that is broken sooner than the comparison shows it", said(&beyond));

    let mut both = judge(limited(0.02), &[]);
    show(&mut both, 1, 20, |_| 9.0, 80.0);
    tell("a limit that both versions break", said(&both));

    let rare = |n: u32| counts(f64::from(u8::from(n.is_multiple_of(11))), 1500.0);
    let before: Vec<Look> =
        (0..240).map(|n| look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", rare(n), None)])).collect();
    let mut floor = judge(ratio("errors"), &before);
    show(&mut floor, 1, 100, |_| 0.0, 0.0);
    tell("no errors at all, long enough", said(&floor));

    let mut narrow = judge(ratio("errors"), &[]);
    let passes = |judge: &Judge| judge.verdict().signals["errors"].outcome == Outcome::Pass;
    let first = (1..200).find(|n| {
        show(&mut narrow, *n, 1, |n| f64::from(n % 2) + 1.0, 14.0);
        passes(&narrow)
    });
    assert!(first.is_some());
    tell("proven just now, by the ratio", said(&narrow));

    let mut alone = judge(ratio("errors"), &[]);
    show(&mut alone, 1, 60, |n| f64::from(n % 2) + 1.0, 14.0);
    alone.freeze_baseline();
    for n in 61..64 {
        alone.take(&look(15.0 * f64::from(n), 1.0, &[("errors", None, counts(18.0, 1500.0))]));
    }
    tell("proven, and now alone", said(&alone));
    for n in 64..72 {
        alone.take(&look(15.0 * f64::from(n), 1.0, &[("errors", None, counts(60.0, 1500.0))]));
    }
    tell("bad since it serves alone", said(&alone));

    let mut later = judge(ratio("errors"), &[]);
    show(&mut later, 1, 60, |n| f64::from(n % 2) + 1.0, 14.0);
    later.freeze_baseline();
    for n in 61..200 {
        let failures = if n < 180 { 15.0 } else { 60.0 };
        later.take(&look(15.0 * f64::from(n), 1.0, &[("errors", None, counts(failures, 1500.0))]));
    }
    tell("bad a good while after it began to serve alone", said(&later));

    let mut undecided = judge(ratio("errors"), &[]);
    show(&mut undecided, 1, 4, |_| 2.0, 14.0);
    undecided.freeze_baseline();
    undecided.take(&look(75.0, 1.0, &[("errors", None, counts(18.0, 1500.0))]));
    tell("not proven when it began to serve alone", said(&undecided));

    let counter = Counter("restarts".to_owned());
    let mut restarting = judge(signal("restarts", Measure::Rate { events: counter, floor: 0.0 }), &[]);
    for n in 1..20 {
        restarting.take(&look(
            15.0 * f64::from(n),
            0.5,
            &[("restarts", counts(1.0, 60.0), counts(9.0, 60.0))],
        ));
    }
    tell("a rate", said(&restarting));
    let before: Vec<Look> = (0..240)
        .map(|n| {
            look(
                15.0 * f64::from(n) - 3600.0,
                0.0,
                &[("restarts", counts(1.0 + f64::from(n % 2), 60.0), None)],
            )
        })
        .collect();
    let counter = Counter("restarts".to_owned());
    let mut lonely = judge(signal("restarts", Measure::Rate { events: counter, floor: 0.0 }), &before);
    lonely.freeze_baseline();
    for n in 1..8 {
        lonely.take(&look(15.0 * f64::from(n), 1.0, &[("restarts", None, counts(20.0, 60.0))]));
    }
    tell("a rate that became bad once the canary was alone", said(&lonely));

    tell("a gauge that must not fall, and fell", said(&gauge(Direction::Down, 0.4)));
    tell("a gauge that must not fall, and did not", said(&gauge(Direction::Down, 1.0)));
    tell("a gauge that must not rise, and rose", said(&gauge(Direction::Up, 2.0)));

    let mut silent = judge(ratio("errors"), &[]);
    show(&mut silent, 1, 2, |_| 1.0, 14.0);
    silent.take(&look(1800.0, 0.1, &[("errors", counts(14.0, 1350.0), None)]));
    tell("a canary that has long been silent", said(&silent));

    let nothing = Judge::new(&policy(&[0.1], Vec::new()), &[]).look(&look(15.0, 0.1, &[]));
    tell("a policy without signals", nothing.why);

    let watched = Signal { gates: false, ..ratio("errors") };
    let nothing = judge(watched, &[]).look(&look(15.0, 0.1, &[]));
    tell("a policy whose signals gate nothing", nothing.why);

    let mut far = judge(ratio("errors"), &[]);
    show(&mut far, 1, 8, |_| 120.0, 5.0);
    tell("a canary far beyond what is told apart", said(&far));
    insta::assert_snapshot!(text);
}

#[test]
fn sentences_about_what_never_happens() {
    let mut text = String::new();
    let mut tell = |about: &str, said: String| text.extend(["# ", about, "\n", &said, "\n\n"]);

    let never = |name: &str, total: f64| -> Vec<Look> {
        let looks = (0..240).map(|n| 15.0 * f64::from(n) - 3600.0);
        looks.map(|at| look(at, 0.0, &[(name, counts(0.0, total), None)])).collect()
    };
    let mut perfect = judge(ratio("errors"), &never("errors", 1500.0));
    show(&mut perfect, 1, 68, |_| 0.0, 0.0);
    tell("a ratio of an app that never fails", said(&perfect));
    for floor in [0.0, 2.0 / 3600.0] {
        let measure = Measure::Rate { events: Counter("restarts".to_owned()), floor };
        let mut calm = judge(signal("restarts", measure), &never("restarts", 120.0));
        for n in 1..200 {
            calm.take(&look(15.0 * f64::from(n), 0.5, &[("restarts", counts(0.0, 60.0), counts(0.0, 60.0))]));
        }
        tell("a rate of what never happens, with and without a floor", said(&calm));
    }
    insta::assert_snapshot!(text);
}
