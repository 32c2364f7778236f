//! Holds the judge against its promises on simulated rollouts, and prints what came out.
//!
//! `cargo bench --bench calibration -- --help`. The traffic is that of `uguisu::simulate`; the policy is one ratio signal
//! with no margin at all (the hardest claim to keep), a floor of 0.05 %, at least five bad events, alpha 1 %, beta 5 %, a
//! look every 15 s for an hour. Times are medians in seconds from the onset, in steps of 15 s.

#![expect(clippy::print_stdout, reason = "a program that prints tables")]
#![expect(clippy::cast_precision_loss, reason = "runs and looks are few")]

#[path = "calibration/gauges.rs"]
mod gauges;

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use uguisu::policy::{Bake, Canary, Capacity, Counter, Measure, Policy, Signal, Strategy};
use uguisu::simulate::{Effect, Family, Fault, Scenario, Step, Tally, Trial, Watcher, interval};
use uguisu::words::{Share, Span};

/// Simulated rollouts through the real judge.
#[derive(Debug, Parser)]
struct Options {
    /// Which tables; all of them unless told.
    #[arg(long, value_enum, value_delimiter = ',')]
    tables: Vec<Table>,
    /// Rollouts for each share that is estimated.
    #[arg(long, default_value_t = 2000)]
    runs: usize,
    /// Rollouts for each median.
    #[arg(long, default_value_t = 200)]
    medians: usize,
    /// Only these configurations (of ABCDEF).
    #[arg(long, default_value = "ABCDEF")]
    configs: String,
    /// Only the families whose names start so.
    #[arg(long, default_value = "")]
    family: String,
    #[arg(long, default_value_t = 20_261_123)]
    seed: u64,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// How often a good canary is rolled back.
    False,
    /// How long a bad canary lives.
    Detection,
    /// How long a good canary takes to be proven, and how often a bad one is.
    Safety,
    /// A rollout in three steps.
    Steps,
    /// Gauges: good canaries, canaries at the margin, shifts, leaks, safety.
    Gauges,
    /// Looks a second on one core.
    Speed,
}

/// Name, requests per second, the canary's share, the baseline's error ratio.
const CONFIGS: [(char, f64, f64, f64); 6] = [
    ('A', 100.0, 0.1, 0.01),
    ('B', 100.0, 0.5, 0.01),
    ('C', 1000.0, 0.1, 0.001),
    ('D', 1000.0, 0.05, 0.001),
    ('E', 20.0, 0.05, 0.01),
    ('F', 1000.0, 0.1, 0.01),
];

/// Slices of an hour.
const HOUR: usize = 240;
/// The slice at which late faults begin.
const LATE: usize = 100;

fn main() {
    let options = Options::parse();
    let tables = if options.tables.is_empty() { Table::value_variants() } else { &options.tables };
    for table in tables {
        match table {
            Table::False => false_rollbacks(&options),
            Table::Detection => detection(&options),
            Table::Safety => safety(&options),
            Table::Steps => steps(&options),
            Table::Gauges => gauges::tables(&options),
            Table::Speed => speed(&options),
        }
    }
}

/// The policy of the tables: these steps, so many equal signals.
fn policy(steps: &[Step], signals: usize) -> Policy {
    let counter = |text: &str| Counter(text.to_owned());
    let signal = |number: usize| Signal {
        name: format!("errors-{number}"),
        measure: Measure::Ratio {
            events: counter("errors"),
            total: counter("requests"),
            floor: 0.0005,
            min_events: 5,
            limit: None,
        },
        margin: 0.0,
        prove_within: Some(1.5),
        weight: 1.0,
        critical: true,
        gates: true,
    };
    let longest = steps.iter().map(|step| step.slices).max().unwrap_or(0);
    let strategy = Strategy::Canary(Canary {
        steps: steps.iter().filter_map(|step| Share::new(step.share)).collect(),
        bake: Bake { at_least: Span::minutes(5), at_most: Span::seconds(15 * longest as u64) },
        approve: Vec::new(),
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    });
    Policy {
        warm_up: Span::ZERO,
        signals: (0..signals).map(signal).collect(),
        ..Policy::new("calibration", strategy)
    }
}

/// The scenarios that are asked for, with their labels.
fn scenarios(options: &Options) -> Vec<(String, Scenario)> {
    let families = Family::ALL.into_iter().map(|family| (format!("{family:?}").to_lowercase(), family));
    let asked: Vec<_> = families.filter(|(name, _)| name.starts_with(&options.family)).collect();
    let configs = CONFIGS.into_iter().filter(|(name, ..)| options.configs.contains(*name));
    configs
        .flat_map(|(config, requests, share, base)| {
            asked.iter().map(move |(name, family)| {
                let steps = vec![Step { share, slices: HOUR }];
                let scenario = Scenario {
                    requests,
                    base,
                    family: *family,
                    fault: None,
                    every: 15.0,
                    steps,
                    history: HOUR,
                };
                (format!("{config} {name}"), scenario)
            })
        })
        .collect()
}

/// Runs a scenario many times.
fn trials(policy: &Policy, scenario: &Scenario, runs: usize, seed: u64) -> Vec<Trial> {
    let watcher = || Watcher::new(policy);
    on_all_cores(runs, watcher, |watcher, run| watcher.run(scenario, seed.wrapping_add(run as u64)))
}

/// Makes so many numbered runs, each core with what it `prepares` once, and returns them in order.
fn on_all_cores<P, T: Send>(
    runs: usize,
    prepare: impl Fn() -> P + Sync,
    make: impl Fn(&P, usize) -> T + Sync,
) -> Vec<T> {
    let (next, cores) = (AtomicUsize::new(0), std::thread::available_parallelism().map_or(1, NonZero::get));
    let work = || {
        let prepared = prepare();
        let mut done = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return done;
            }
            done.push((run, make(&prepared, run)));
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    all.sort_by_key(|(run, _)| *run);
    all.into_iter().map(|(_, made)| made).collect()
}

fn tally(trials: &[Trial], time: impl Fn(&Trial) -> Option<f64>) -> Tally {
    let mut tally = Tally::default();
    for trial in trials {
        tally.add(time(trial));
    }
    tally
}

/// `0.40 (0.2–0.9)`: a share of runs in percent, with its interval.
fn percent(tally: &Tally) -> String {
    let (low, high) = interval(tally.times.len(), tally.runs);
    format!("{:.2} ({:.2}–{:.2})", 100.0 * tally.share(), 100.0 * low, 100.0 * high)
}

fn seconds(time: Option<f64>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{time:.0}"))
}

fn false_rollbacks(options: &Options) {
    println!("\n## Good canaries rolled back, % (95 % interval), {} runs\n", options.runs);
    println!("| configuration | with history | without |\n|---|---|---|");
    let mut all = [Tally::default(), Tally::default()];
    for (label, mut scenario) in scenarios(options) {
        let policy = policy(&scenario.steps, 1);
        let mut cells = Vec::new();
        for (history, all) in [HOUR, 0].into_iter().zip(&mut all) {
            scenario.history = history;
            let tally = tally(&trials(&policy, &scenario, options.runs, options.seed), |trial| trial.harm);
            cells.push(percent(&tally));
            all.merge(&tally);
        }
        println!("| {label} | {} |", cells.join(" | "));
    }
    println!("| all | {} | {} |", percent(&all[0]), percent(&all[1]));
}

fn detection(options: &Options) {
    println!("\n## Bad canaries: median time, {} runs\n", options.medians);
    println!("Judge with history / without / oracle (judge ÷ oracle).\n");
    println!("| configuration | x1.5 | x2 | x3 | x5 | x3 late |\n|---|---|---|---|---|---|");
    let mut logs: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::new());
    for (label, mut scenario) in scenarios(options) {
        let policy = policy(&scenario.steps, 1);
        let mut cells = Vec::new();
        for (times, onset) in [(1.5, 0), (2.0, 0), (3.0, 0), (5.0, 0), (3.0, LATE)] {
            scenario.fault = Some(Fault { effect: Effect::Times(times), onset });
            let mut medians = [None; 2];
            let mut oracle = None;
            for (history, median) in [HOUR, 0].into_iter().zip(&mut medians) {
                scenario.history = history;
                let trials = trials(&policy, &scenario, options.medians, options.seed);
                // What is rolled back before the fault is a false rollback.
                *median = tally(&trials, |trial| trial.harm.filter(|since| *since > 0.0)).median();
                oracle = tally(&trials, |trial| trial.oracle).median();
            }
            let by = |median: Option<f64>| median.zip(oracle).map(|(judge, oracle)| judge / oracle);
            if oracle.is_some_and(|oracle| oracle >= 60.0) {
                for (which, median) in medians.into_iter().enumerate() {
                    let late = usize::from(onset > 0);
                    logs[2 * late + which].extend(by(median.or(Some(3600.0))).map(f64::ln));
                }
            }
            let ratio = |median| by(median).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}"));
            cells.push(format!(
                "{}/{}/{} ({}, {})",
                seconds(medians[0]),
                seconds(medians[1]),
                seconds(oracle),
                ratio(medians[0]),
                ratio(medians[1]),
            ));
        }
        println!("| {label} | {} |", cells.join(" | "));
    }
    for (name, logs) in
        ["from the start", "from the start, no history", "late", "late, no history"].iter().zip(&logs)
    {
        let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        println!(
            "\n{name}: {mean:.2} times the oracle (geometric mean of {} cells of 60 s and more)",
            logs.len()
        );
    }
}

fn safety(options: &Options) {
    println!("\n## Proven to be less than 1.5 times as bad, {} runs\n", options.medians);
    println!(
        "| configuration | good canary: % | median s | 1.5 times as bad: % (95 % interval) |\n|---|---|---|---|"
    );
    for (label, mut scenario) in scenarios(options) {
        let policy = policy(&scenario.steps, 1);
        let good = tally(&trials(&policy, &scenario, options.medians, options.seed), |trial| trial.safe);
        scenario.fault = Some(Fault { effect: Effect::Times(1.5), onset: 0 });
        let bad = tally(&trials(&policy, &scenario, options.medians, options.seed), |trial| trial.safe);
        println!(
            "| {label} | {:.1} | {} | {} |",
            100.0 * good.share(),
            seconds(good.median()),
            percent(&bad)
        );
    }
}

fn steps(options: &Options) {
    println!("\n## Steps of 5, 20 and 50 %: five minutes, five minutes, fifty\n");
    println!("| traffic | fault | rolled back % (95 % interval) | median s |\n|---|---|---|---|");
    let steps: Vec<_> =
        [(0.05, 20), (0.2, 20), (0.5, 200)].map(|(share, slices)| Step { share, slices }).into();
    let policy = policy(&steps, 1);
    for (requests, base) in [(100.0, 0.01), (1000.0, 0.001)] {
        for (name, effect, onset) in [
            ("none", None, 0),
            ("x2", Some(2.0), 0),
            ("x5", Some(5.0), 0),
            ("x2 in step 2", Some(2.0), 20),
            ("x2 in step 3", Some(2.0), 40),
        ] {
            let fault = effect.map(|times| Fault { effect: Effect::Times(times), onset });
            let scenario = Scenario {
                requests,
                base,
                family: Family::Plain,
                fault,
                every: 15.0,
                steps: steps.clone(),
                history: HOUR,
            };
            let runs = if fault.is_some() { options.medians } else { options.runs };
            let tally = tally(&trials(&policy, &scenario, runs, options.seed), |trial| trial.harm);
            println!(
                "| {requests} rps, {base} | {name} | {} | {} |",
                percent(&tally),
                seconds(tally.median())
            );
        }
    }
}

/// On one core, with the simulation of the traffic itself.
fn speed(options: &Options) {
    println!("\n## Looks a second on one core, simulation included\n");
    println!("| configuration | with history | without |\n|---|---|---|");
    for (label, mut scenario) in scenarios(options) {
        let policy = policy(&scenario.steps, 1);
        let watcher = Watcher::new(&policy);
        let mut cells = Vec::new();
        for history in [HOUR, 0] {
            scenario.history = history;
            let (begun, runs) = (Instant::now(), 50);
            for run in 0..runs {
                std::hint::black_box(watcher.run(&scenario, options.seed.wrapping_add(run)));
            }
            let looks = (runs * scenario.slices() as u64) as f64;
            cells.push(format!("{:.0}", looks / begun.elapsed().as_secs_f64()));
        }
        println!("| {label} | {} |", cells.join(" | "));
    }
}
