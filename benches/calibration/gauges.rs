//! The tables of gauges: noise of every kind of `uguisu::simulate::gauges`, one gauge signal with the whole budget.

use uguisu::simulate::Tally;
use uguisu::simulate::gauges::{Fault, Found, Rule, Scenario, cases, judge, simulate};
use uguisu::stats::gauge::Form;

use super::{Options, on_all_cores, percent, seconds};

const STRICT: Rule =
    Rule { margin: 0.1, form: Form::Strict, alpha: 0.01, prove: 1.5, beta: 0.05, late: false };
const LOOSE: Rule = Rule { form: Form::Loose, ..STRICT };

pub(super) fn tables(options: &Options) {
    good(options);
    bad(options);
    safe(options);
}

fn runs(scenario: &Scenario, rule: Rule, runs: usize, seed: u64) -> Vec<Found> {
    on_all_cores(
        runs,
        || (),
        |(), run| judge(scenario, &simulate(scenario, seed.wrapping_add(run as u64)), rule),
    )
}

fn tally(found: &[Found], time: impl Fn(&Found) -> Option<f64>) -> Tally {
    let mut tally = Tally::default();
    for one in found {
        tally.add(time(one));
    }
    tally
}

fn good(options: &Options) {
    println!("\n## Gauges: rolled back though good enough, % (95 % interval), {} runs\n", options.runs);
    println!("Margin 10 %; \"at the margin\" is a canary that is exactly 10 % worse.\n");
    println!("| noise | strict | loose | strict, no past | strict, at the margin |\n|---|---|---|---|---|");
    let worse = cases(Fault::Step { by: STRICT.margin, from: 0 });
    for ((name, scenario), (_, worse)) in cases(Fault::None).into_iter().zip(worse) {
        let false_harm = |scenario: &Scenario, rule| {
            percent(&tally(&runs(scenario, rule, options.runs, options.seed), |found| found.harm))
        };
        println!(
            "| {name} | {} | {} | {} | {} |",
            false_harm(&scenario, STRICT),
            false_harm(&scenario, LOOSE),
            false_harm(&scenario, Rule { late: true, ..STRICT }),
            false_harm(&worse, STRICT),
        );
    }
}

fn bad(options: &Options) {
    println!("\n## Gauges: bad canaries found, % (median s), {} runs\n", options.medians);
    println!(
        "| noise | +50 % | +50 % late | +20 %, loose | +20 %/h, loose | +50 %/h |\n|---|---|---|---|---|---|"
    );
    let faults = [
        (Fault::Step { by: 0.5, from: 0 }, STRICT),
        (Fault::Step { by: 0.5, from: super::LATE }, STRICT),
        (Fault::Step { by: 0.2, from: 0 }, LOOSE),
        (Fault::Leak(0.2), LOOSE),
        (Fault::Leak(0.5), STRICT),
    ];
    for (index, (name, _)) in cases(Fault::None).into_iter().enumerate() {
        let cell = |(fault, rule): &(Fault, Rule)| {
            let found = runs(&cases(*fault)[index].1, *rule, options.medians, options.seed);
            // What is rolled back before the fault is a false rollback.
            let tally = tally(&found, |found| found.harm.filter(|since| *since > 0.0));
            format!("{:.0} ({})", 100.0 * tally.share(), seconds(tally.median()))
        };
        println!("| {name} | {} |", faults.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

fn safe(options: &Options) {
    println!("\n## Gauges: proven to be less than 1.5 times as bad, {} runs\n", options.medians);
    println!("| noise | good canary: % (median s) | 1.5 times as bad: % (95 % interval) |\n|---|---|---|");
    let bad = cases(Fault::Step { by: 0.5, from: 0 });
    for ((name, good), (_, bad)) in cases(Fault::None).into_iter().zip(bad) {
        let good = tally(&runs(&good, STRICT, options.medians, options.seed), |found| found.safe);
        let bad = tally(&runs(&bad, STRICT, options.medians, options.seed), |found| found.safe);
        println!("| {name} | {:.0} ({}) | {} |", 100.0 * good.share(), seconds(good.median()), percent(&bad));
    }
}
