//! Gauges: learnt noise, no history, averaging.

use rand_distr::{Distribution as _, StandardNormal};

use super::*;
use crate::policy::{Direction, GaugeForm};

fn memory() -> Signal {
    let measure = Measure::Gauge {
        query: "memory".to_owned(),
        worse: Direction::Up,
        form: GaugeForm::Strict,
        floor: None,
    };
    Signal { margin: 0.2, ..signal("memory", measure) }
}

/// Units about 100 MB, each with its own noise that lasts, and a common one.
struct Units {
    rng: StdRng,
    common: f64,
    own: Vec<f64>,
}

impl Units {
    fn new(seed: u64, units: usize) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), common: 0.0, own: vec![0.0; units] }
    }

    fn values(&mut self) -> Vec<f64> {
        let mut noise = |keep: f64, sd: f64, before: f64| {
            let fresh: f64 = StandardNormal.sample(&mut self.rng);
            keep * before + sd * (1.0 - keep * keep).sqrt() * fresh
        };
        self.common = noise(0.97, 0.1, self.common);
        self.own = self.own.iter().map(|own| noise(0.8, 0.05, *own)).collect();
        self.own.iter().map(|own| 1e8 * (self.common + own).exp()).collect()
    }

    fn history(&mut self, looks: u32) -> Vec<Look> {
        (0..looks)
            .map(|n| {
                let values = self.values();
                look(
                    15.0 * f64::from(n),
                    0.0,
                    &[("memory", Some(Reading::Values(values[1..].to_vec())), None)],
                )
            })
            .collect()
    }

    /// The `n`th look, with the first unit as a canary that uses `times` as much.
    fn look(&mut self, n: u32, times: f64) -> Look {
        let mut values = self.values();
        let canary = Reading::Values(vec![values.remove(0) * times]);
        look(15.0 * f64::from(n), 0.2, &[("memory", Some(Reading::Values(values)), Some(canary))])
    }
}

fn until(seed: u64, history: u32, times: f64, done: impl Fn(&Judge) -> bool) -> Option<u32> {
    let mut units = Units::new(seed, 5);
    let mut judge = Judge::new(&policy(&[0.2], vec![memory()]), &units.history(history));
    (1..=80).find(|n| {
        judge.take(&units.look(*n, times));
        done(&judge)
    })
}

#[test]
fn a_step_is_found_and_an_equal_canary_proven() {
    let found = median((0..5).map(|seed| until(seed, 120, 1.5, Judge::harm)).collect());
    assert!(found <= 8, "{found} looks");
    assert!((0..5).all(|seed| until(seed, 120, 1.0, Judge::harm).is_none()));
    let safe = median((0..5).map(|seed| until(seed, 120, 1.0, Judge::safe)).collect());
    assert!(safe <= 20, "{safe} looks");
}

/// A gauge that stood still before the rollout, and wavers in it: the noise that its past taught is not the one there is.
#[test]
fn a_past_that_is_calmer_than_the_rollout_is_not_believed() {
    let constant: Vec<Look> = (0..240)
        .map(|n| look(15.0 * f64::from(n), 0.0, &[("memory", Some(Reading::Values(vec![1e8; 4])), None)]))
        .collect();
    let blamed = |times: f64| {
        let blamed = (0..20).filter(|seed| {
            let mut units = Units::new(*seed, 8);
            let mut judge = Judge::new(&policy(&[0.5], vec![memory()]), &constant);
            (1..=120).any(|n| {
                let wild = |value: f64| 1e8 * (value / 1e8).powi(6);
                let mut values: Vec<f64> = units.values().into_iter().map(wild).collect();
                let canary = values.split_off(4).into_iter().map(|value| value * times).collect();
                let arms = [("memory", Some(Reading::Values(values)), Some(Reading::Values(canary)))];
                judge.take(&look(15.0 * f64::from(n), 0.5, &arms));
                judge.harm()
            })
        });
        blamed.count()
    };
    let (good, bad) = (blamed(1.0), blamed(3.0));
    assert!(good <= 1 && bad >= 17, "{good} and {bad} of 20");
}

/// A queue with zeros that got shorter for everybody: half as much again is half as much again of what there is.
#[test]
fn what_is_mostly_small_is_measured_by_what_there_is() {
    let mut signal = memory();
    signal.margin = 0.2;
    let proven = (0..20).filter(|seed| {
        let mut rng = StdRng::seed_from_u64(*seed);
        let mut queue = |mean: f64, units: usize| {
            let law = rand_distr::Poisson::new(mean).unwrap();
            Reading::Values((0..units).map(|_| law.sample(&mut rng)).collect())
        };
        let history: Vec<Look> = (0..240)
            .map(|n| look(15.0 * f64::from(n), 0.0, &[("memory", Some(queue(1.5, 9)), None)]))
            .collect();
        let mut judge = Judge::new(&policy(&[0.25], vec![signal.clone()]), &history);
        (1..=120).any(|n| {
            let arms = [("memory", Some(queue(0.6, 9)), Some(queue(0.9, 3)))];
            judge.take(&look(15.0 * f64::from(240 + n), 0.25, &arms));
            judge.safe()
        })
    });
    let proven = proven.count();
    assert!(proven <= 2, "{proven} of 20");
}

#[test]
fn without_history_a_gauge_waits_for_the_baselines_units() {
    let mut units = Units::new(1, 5);
    let mut judge = Judge::new(&policy(&[0.2], vec![memory()]), &[]);
    for n in 1..=79 {
        judge.take(&units.look(n, 3.0));
    }
    let verdict = judge.verdict();
    assert!(!verdict.harm && !verdict.safe);
    let why = &verdict.signals["memory"].why;
    assert!(why.starts_with("memory: no verdict, since the noise is not known: 0 samples"), "{why}");
    let found = (80..=120).find(|n| judge.look(&units.look(*n, 3.0)).harm);
    assert!(found.is_some_and(|n| n <= 90), "{found:?}");
}

#[test]
fn its_evidence_is_not_averaged_before_it_crosses() {
    let mut units = Units::new(1, 5);
    let mut judge = Judge::new(&policy(&[0.2], vec![memory()]), &units.history(120));
    let mut looks = (1..=20).map(|n| judge.look(&units.look(n, 1.5))).skip_while(|verdict| !verdict.harm);
    let verdict = looks.next().unwrap();
    assert_eq!(verdict.log_e_harm, verdict.harm_threshold);
    assert_eq!(verdict.culprits, ["memory"]);
}

#[test]
fn units_that_give_no_values_are_silent() {
    let mut judge = Judge::new(&policy(&[0.2], vec![memory()]), &[]);
    let some = Some(Reading::Values(vec![1.0]));
    for n in 0..6 {
        judge.take(&look(
            15.0 * f64::from(n),
            0.2,
            &[("memory", some.clone(), Some(Reading::Values(Vec::new())))],
        ));
    }
    assert!(judge.verdict().no_data);
}

/// A queue that is nearly always empty, held in three units of the baseline and one of the canary.
fn queue(
    floor: Option<f64>,
    canary: impl Fn(u32) -> f64,
    done: impl Fn(&Verdict) -> bool,
) -> (Option<u32>, Verdict) {
    let Measure::Gauge { query, worse, form, .. } = memory().measure else { unreachable!() };
    let measure = Measure::Gauge { query, worse, form, floor };
    let signal = Signal { measure, gates: true, ..memory() };
    let waiting =
        |n: u32| Some(Reading::Values(vec![0.0, f64::from(u8::from(n.is_multiple_of(7))) * 3.0, 0.0]));
    let at = |n: u32| 15.0 * f64::from(n);
    let history: Vec<Look> = (0..240).map(|n| look(at(n), 0.0, &[("memory", waiting(n), None)])).collect();
    let mut judge = Judge::new(&policy(&[0.2], vec![signal]), &history);
    let found = (1..=120).find(|n| {
        let canary = Some(Reading::Values(vec![canary(*n)]));
        done(&judge.look(&look(at(240 + n), 0.2, &[("memory", waiting(*n), canary)])))
    });
    (found, judge.verdict())
}

#[test]
fn what_is_mostly_zero_is_judged_by_a_floor() {
    let (found, verdict) = queue(None, |_| 500.0, |verdict| verdict.harm);
    assert_eq!(found, None);
    let why = &verdict.signals["memory"].why;
    assert!(
        why.contains("mostly zero, so nothing says how much a change is worth; a `floor` would tell"),
        "{why}"
    );

    let (found, verdict) = queue(Some(10.0), |_| 500.0, |verdict| verdict.harm);
    assert!(found.is_some_and(|looks| looks <= 8), "{found:?}");
    let why = &verdict.signals["memory"].why;
    assert!(why.ends_with("; up to 10 counts as that much"), "{why}");

    // Many times as much as the baseline has, and harmless all the same.
    let busy = |n: u32| f64::from(n % 10);
    assert_eq!(queue(Some(10.0), busy, |verdict| verdict.harm).0, None);
    let (proven, _) = queue(Some(10.0), busy, |verdict| verdict.safe);
    assert!(proven.is_some_and(|looks| looks <= 30), "{proven:?}");
}

#[test]
fn a_unit_below_zero_counts_where_less_is_worse() {
    let measure = Measure::Gauge {
        query: "credit".to_owned(),
        worse: Direction::Down,
        form: GaugeForm::Strict,
        floor: None,
    };
    let signals = vec![Signal { margin: 0.2, ..signal("memory", measure) }];
    let mut units = Units::new(3, 4);
    let mut judge = Judge::new(&policy(&[0.2], signals), &units.history(240));
    for n in 240..360 {
        let values = units.values();
        let canary = Reading::Values(vec![values[0], -5.0 * values[0]]);
        let baseline = Reading::Values(values[1..].to_vec());
        judge.take(&look(15.0 * f64::from(n), 0.2, &[("memory", Some(baseline), Some(canary))]));
        assert!(!judge.safe(), "at look {n}: {}", judge.verdict().why);
    }
    assert!(judge.harm(), "{}", judge.verdict().why);
}

/// The chance that a good canary is said to get worse by the hour, and a canary that does.
#[test]
fn a_ramp_is_told_where_there_is_one() {
    let told = |seed: u64, hourly: f64| {
        let mut units = Units::new(seed, 5);
        let mut judge = Judge::new(&policy(&[0.2], vec![memory()]), &units.history(240));
        (1..=240).any(|n| {
            judge.take(&units.look(n, 1.0 + hourly * f64::from(n) / 240.0));
            judge.verdict().signals["memory"].why.contains("it gets worse by")
        })
    };
    let wrong = (0..40).filter(|seed| told(*seed, 0.0)).count();
    assert!(wrong <= 1, "{wrong} of 40");
    let right = (0..10).filter(|seed| told(*seed, 1.0)).count();
    assert!(right >= 9, "{right} of 10");
}

#[test]
fn a_verdict_of_the_loose_form_says_that_it_is_one() {
    let mut loose = memory();
    if let Measure::Gauge { form, .. } = &mut loose.measure {
        *form = GaugeForm::Loose;
    }
    let mut said = 0;
    for seed in 0..20 {
        let mut units = Units::new(seed, 5);
        let mut judge = Judge::new(&policy(&[0.2], vec![loose.clone()]), &units.history(240));
        for n in 1..=240 {
            judge.take(&units.look(n, 1.15));
        }
        let memory = &judge.verdict().signals["memory"];
        if memory.outcome == Outcome::Fail {
            said += 1;
            assert!(memory.why.contains("`form: loose` does not allow"), "{}", memory.why);
            assert!(memory.otherwise.contains("no worse than the baseline"), "{}", memory.otherwise);
        }
    }
    assert!(said > 5, "{said}");
}

#[test]
fn too_few_units_are_told_at_the_first_look() {
    let two = |n: u32| {
        let values = |values: &[f64]| Some(Reading::Values(values.to_vec()));
        look(15.0 * f64::from(n), 0.3, &[("memory", values(&[1e8, 1.1e8]), values(&[1e8]))])
    };
    let mut judge = Judge::new(&policy(&[0.3], vec![memory()]), &[]);
    judge.take(&two(1));
    let why = &judge.verdict().signals["memory"].why;
    assert!(why.contains("fewer than 3 units of the baseline do not tell it either"), "{why}");
}
