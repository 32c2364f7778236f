//! The tables of gauges: noise of every kind of `uguisu::simulate::gauges`, one gauge signal with the whole budget.

use uguisu::policy::{GaugeForm, Policy};
use uguisu::simulate::gauges::{self, Fault, Scenario};
use uguisu::simulate::{self, Family, Service, Step, Tally, Trial, policies};

use super::promises::Promises;
use super::runs::{Worst, found, harmed, middle, percent, proven, seconds, share, trials};
use super::{HOUR, LATE, Options};

/// The margin of the policies.
const MARGIN: f64 = 0.1;

/// The cases that the promises are about: noise that is stationary, up to AR(1) with 0.99.
const CALM: [&str; 5] = ["AR 0", "AR 0.5", "AR 0.9", "AR 0.99", "AR 0.9 and white"];

pub(super) fn tables(options: &Options, promises: &mut Promises) {
    good(options, promises);
    bad(options, promises);
    safe(options, promises);
}

/// The cases that are asked for.
fn cases(fault: Fault, options: &Options) -> Vec<(&'static str, Scenario)> {
    let asked = |(name, _): &(&str, _)| name.starts_with(&options.family);
    gauges::cases(fault).into_iter().filter(asked).collect()
}

fn runs(gauge: Scenario, form: GaugeForm, history: usize, runs: usize, seed: u64) -> Vec<Trial> {
    let steps = vec![Step { share: 0.2, slices: HOUR }];
    let policy: Policy =
        policies::policy(&[0.2], super::longest(&steps), vec![policies::gauge("gauge", form)]);
    let counts = simulate::Scenario {
        requests: 100.0,
        base: 0.01,
        family: Family::Plain,
        fault: None,
        every: 15.0,
        steps,
        history,
    };
    trials(&policy, &Service { gauge: Some(gauge), ..Service::of(counts) }, runs, seed)
}

fn good(options: &Options, promises: &mut Promises) {
    println!("\n## Gauges: rolled back though good enough, % (95 % interval), {} runs\n", options.runs);
    println!("Margin 10 %; \"at the margin\" is a canary that is exactly 10 % worse.\n");
    println!("| noise | strict | loose | strict, no past | strict, at the margin |\n|---|---|---|---|---|");
    let at_margin = cases(Fault::Step { by: MARGIN, from: 0 }, options);
    let mut worst: [Worst; 4] = Default::default();
    for ((name, scenario), (_, at_margin)) in cases(Fault::None, options).into_iter().zip(at_margin) {
        let kinds = [
            (scenario, GaugeForm::Strict, HOUR),
            (scenario, GaugeForm::Loose, HOUR),
            (scenario, GaugeForm::Strict, 0),
            (at_margin, GaugeForm::Strict, HOUR),
        ];
        let mut cells = Vec::new();
        for ((scenario, form, history), worst) in kinds.into_iter().zip(&mut worst) {
            let tally = harmed(&runs(scenario, form, history, options.runs, options.seed));
            worst.add_share(&tally, name);
            cells.push(percent(&tally));
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    let kinds = ["strict", "loose", "strict, without history", "strict, a canary exactly at the margin"];
    for (worst, kind) in worst.into_iter().zip(kinds) {
        if let Some((figure, place)) = worst.take() {
            promises.at_most(&format!("false rollback, gauge, {kind}"), figure, 1.0, " %", &place);
        }
    }
}

fn bad(options: &Options, promises: &mut Promises) {
    println!("\n## Gauges: bad canaries found, % (median s), {} runs\n", options.medians);
    println!(
        "| noise | +50 % | +50 % late | +20 %, loose | +20 %/h, loose | +50 %/h |\n|---|---|---|---|---|---|"
    );
    let faults = [
        (Fault::Step { by: 0.5, from: 0 }, GaugeForm::Strict),
        (Fault::Step { by: 0.5, from: LATE }, GaugeForm::Strict),
        (Fault::Step { by: 0.2, from: 0 }, GaugeForm::Loose),
        (Fault::Leak(0.2), GaugeForm::Loose),
        (Fault::Leak(0.5), GaugeForm::Strict),
    ];
    let (mut step, mut leak) = (Worst::default(), Worst::default());
    for (index, (name, _)) in cases(Fault::None, options).into_iter().enumerate() {
        let tallies: Vec<Tally> = faults
            .iter()
            .map(|(fault, form)| {
                found(&runs(cases(*fault, options)[index].1, *form, HOUR, options.medians, options.seed))
            })
            .collect();
        let cell = |tally: &Tally| format!("{:.0} ({})", 100.0 * tally.share(), seconds(tally.median()));
        println!("| {name} | {} |", tallies.iter().map(cell).collect::<Vec<_>>().join(" | "));
        if CALM.contains(&name) {
            let time = middle(&tallies[0]);
            step.add(time.value, time, name);
        }
        if name == "AR 0.5" || name == "AR 0.9" {
            leak.add(-tallies[3].share(), share(&tallies[3]), name);
        }
    }
    if let Some((figure, place)) = step.take() {
        let promise = "gauge +50 %, noise up to AR 0.99: median until found";
        promises.at_most(promise, figure, 60.0, " s", &place);
    }
    if let Some((figure, place)) = leak.take() {
        let promise = "gauge leak of +20 %/h, loose, noise up to AR 0.9: found within the hour";
        promises.at_least(promise, figure, 70.0, " %", &place);
    }
}

fn safe(options: &Options, promises: &mut Promises) {
    println!("\n## Gauges: proven to be less than 1.5 times as bad, {} runs\n", options.medians);
    println!("| noise | good canary: % (median s) | 1.5 times as bad: % (95 % interval) |\n|---|---|---|");
    let bad = cases(Fault::Step { by: 0.5, from: 0 }, options);
    let mut worst = Worst::default();
    for ((name, good), (_, bad)) in cases(Fault::None, options).into_iter().zip(bad) {
        let run =
            |scenario, runs_: usize| proven(&runs(scenario, GaugeForm::Strict, HOUR, runs_, options.seed));
        let (good, bad) = (run(good, options.medians), run(bad, options.runs));
        worst.add_share(&bad, name);
        println!("| {name} | {:.0} ({}) | {} |", 100.0 * good.share(), seconds(good.median()), percent(&bad));
    }
    if let Some((figure, place)) = worst.take() {
        promises.at_most("false promotion of a gauge at the margin", figure, 5.0, " %", &place);
    }
}
