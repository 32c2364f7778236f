use super::*;
use crate::policy::GaugeForm;
use crate::simulate::{self, Family, Service, Step, Tally, Watcher, policies};
use crate::stats::gauge::{Form, GaugeFit, GaugeSettings, GaugeTest, History, Worse};
use crate::words::Span;

/// Seconds in a tick.
const TICK: f64 = 15.0;

/// Harm and safety over a few runs.
fn tally(gauge: Scenario, form: GaugeForm, runs: u64) -> (Tally, Tally) {
    let policy = policies::policy(&[0.2], Span::minutes(60), vec![policies::gauge("gauge", form)]);
    let counts = simulate::Scenario {
        requests: 100.0,
        base: 0.01,
        family: Family::Plain,
        fault: None,
        every: TICK,
        steps: vec![Step { share: 0.2, slices: HOUR }],
        history: HOUR,
    };
    let service = Service { gauge: Some(gauge), ..Service::of(counts) };
    let (mut harm, mut safe) = (Tally::default(), Tally::default());
    for seed in 0..runs {
        let trial = Watcher::new(&policy).run_service(&service, seed);
        harm.add(trial.harm);
        safe.add(trial.safe);
    }
    (harm, safe)
}

#[test]
fn good_canaries_pass_and_are_proven() {
    for phi in [0.5, 0.9, 0.99] {
        let (harm, safe) = tally(Scenario::usual(Own::Ar(phi), Fault::None), GaugeForm::Strict, 10);
        assert!(harm.times.is_empty(), "{phi}: {harm:?}");
        assert!(safe.share() > 0.8 && safe.median().is_some_and(|time| time <= 60.0), "{phi}: {safe:?}");
    }
}

#[test]
fn half_as_much_again_is_found_within_a_minute_and_never_proven() {
    for phi in [0.5, 0.9] {
        let worse = Scenario::usual(Own::Ar(phi), Fault::Step { by: 0.5, from: 0 });
        let (harm, safe) = tally(worse, GaugeForm::Strict, 8);
        assert!(harm.median().is_some_and(|time| time <= 60.0), "{phi}: {harm:?}");
        assert!(safe.times.len() <= 1, "{phi}: {safe:?}");
    }
}

#[test]
fn a_leak_within_the_margin_is_found_by_the_loose_branch_alone() {
    let scenario = Scenario::usual(Own::Ar(0.9), Fault::Leak(0.2));
    let (loose, _) = tally(scenario, GaugeForm::Loose, 6);
    assert!(loose.times.len() >= 4, "{loose:?}");
    let (strict, _) = tally(scenario, GaugeForm::Strict, 6);
    assert!(strict.times.len() <= 2, "{strict:?}");
}

#[test]
fn bursts_do_not_hide_a_shift() {
    let shifted = |own| Scenario::usual(own, Fault::Step { by: 0.5, from: 0 });
    for own in [Own::Spikes, Own::OnOff] {
        let (harm, _) = tally(shifted(own), GaugeForm::Strict, 8);
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

/// With ranks, a margin of 10 % and a canary 10 % worse are the same as no margin and one that is not worse.
#[test]
fn a_margin_is_taken_off_before_ranks_are_compared() {
    let run = simulate(&Scenario::usual(Own::OnOff, Fault::None), 3);
    let said = |margin: f64, prove: f64, times: f64| {
        let settings = GaugeSettings {
            worse: Worse::Up,
            margin,
            form: Form::Strict,
            horizon_seconds: 3600.0,
            canary_units: 1,
            baseline_units: 4,
        };
        let mut history = History::new(TICK);
        let mut at = 0.0;
        for values in &run.history {
            history.push(at, values);
            at += TICK;
        }
        let fit = GaugeFit::from_history(&history, settings).unwrap();
        assert!(fit.summary().by_ranks);
        let mut test = GaugeTest::new(fit, &[prove]);
        at = 0.0;
        for (canary, baseline) in run.looks.iter().take(60) {
            let canary: Vec<f64> = canary.iter().map(|value| value * times).collect();
            test.look(at, &canary, baseline);
            at += TICK;
        }
        (test.evidence(), test.log_e_safe(0))
    };
    let (plain, shifted) = (said(0.0, 1.2, 2.0), said(0.1, 1.2 * 1.1, 2.0 * 1.1));
    assert!(plain.0 > -10.0 && (plain.0 - shifted.0).abs() < 1e-6, "{plain:?} {shifted:?}");
    assert!((plain.1 - shifted.1).abs() < 1e-6, "{plain:?} {shifted:?}");
}
