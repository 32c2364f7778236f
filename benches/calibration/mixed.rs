//! The tables of a whole policy: five signals of several kinds, each with a fifth of the budget.

use uguisu::policy::{GaugeForm, Policy};
use uguisu::simulate::gauges::{self, Own};
use uguisu::simulate::latency::{Change, Latency};
use uguisu::simulate::{Effect, Family, Fault, Scenario, Service, policies};

use super::promises::Promises;
use super::runs::{Worst, found, harmed, percent, seconds, trials};
use super::{HISTORIES, Options, PAST, ratios};

/// Errors, errors with an absolute limit, a latency, a gauge, a rate: all critical.
fn policy(scenario: &Scenario) -> Policy {
    let signals = vec![
        policies::errors("errors", None),
        policies::errors("timeouts", Some(0.05)),
        policies::latency("latency"),
        policies::gauge("memory", GaugeForm::Strict),
        policies::rate("restarts"),
    ];
    policies::policy(&super::shares(&scenario.steps), super::longest(&scenario.steps), signals)
}

/// What the gauge and the latency do is as noisy as their own tables allow; errors follow the family.
fn service(counts: Scenario, latency: Option<(Change, usize)>, gauge: gauges::Fault) -> Service {
    Service {
        counts,
        units: Some(10.0),
        latency: Some(Latency { fault: latency, waver: 0.05 }),
        gauge: Some(gauges::Scenario::usual(Own::Ar(0.9), gauge)),
    }
}

pub(super) fn tables(options: &Options, promises: &mut Promises) {
    good(options, promises);
    bad(options);
}

fn good(options: &Options, promises: &mut Promises) {
    println!("\n## Five signals: good canaries rolled back, % (95 % interval), {} runs\n", options.runs);
    println!("| configuration | with history | without |\n|---|---|---|");
    let mut worst: [Worst; 2] = Default::default();
    for (config, scenario) in ratios::configurations(options).into_iter().filter(|(c, _)| "AB".contains(*c)) {
        for (name, family) in ratios::families(options) {
            let label = format!("{config} {name}");
            let mut cells = Vec::new();
            for (history, worst) in HISTORIES.into_iter().zip(&mut worst) {
                let counts = Scenario { family, history, ..scenario.clone() };
                let policy = policy(&counts);
                let service = service(counts, None, gauges::Fault::None);
                let tally = harmed(&trials(&policy, &service, options.runs, options.seed));
                worst.add_share(&tally, &label);
                cells.push(percent(&tally));
            }
            println!("| {label} | {} |", cells.join(" | "));
        }
    }
    for (worst, past) in worst.into_iter().zip(PAST) {
        if let Some((figure, place)) = worst.take() {
            let promise = format!("false rollback, five signals of mixed kinds, {past}");
            promises.at_most(&promise, figure, 1.0, " %", &place);
        }
    }
}

fn bad(options: &Options) {
    println!(
        "\n## Five signals, configuration A, plain: bad canaries, % (median s), {} runs\n",
        options.medians
    );
    println!("Errors are worse in both ratios and in the rate.\n");
    println!("| fault | with history | without |\n|---|---|---|");
    let Some((_, scenario)) = ratios::configurations(options).into_iter().next() else { return };
    let scenario = Scenario { family: Family::Plain, ..scenario };
    let errors = |times| Some(Fault { effect: Effect::Times(times), onset: 0 });
    let none = gauges::Fault::None;
    let half = gauges::Fault::Step { by: 0.5, from: 0 };
    for (name, errors, latency, gauge) in [
        ("errors x2", errors(2.0), None, none),
        ("errors x5", errors(5.0), None, none),
        ("latency x1.2", None, Some((Change::Times(1.2), 0)), none),
        ("gauge +50 %", None, None, half),
    ] {
        let cells = HISTORIES.map(|history| {
            let counts = Scenario { fault: errors, history, ..scenario.clone() };
            let policy = policy(&counts);
            let service = service(counts, latency, gauge);
            let tally = found(&trials(&policy, &service, options.medians, options.seed));
            format!("{:.0} ({})", 100.0 * tally.share(), seconds(tally.median()))
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}
