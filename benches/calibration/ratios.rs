//! The tables of ratios: one signal with the whole budget, traffic of every family.

use std::collections::BTreeMap;

use uguisu::policy::Policy;
use uguisu::simulate::{Effect, Family, Fault, Scenario, Service, Step, Tally, policies};

use super::promises::{Figure, Promises};
use super::runs::{Worst, foreseen, found, harmed, middle, percent, proven, seconds, trials};
use super::{HISTORIES, HOUR, LATE, Options, PAST};

/// Name, requests per second, the canary's share, the baseline's error ratio.
pub(super) const CONFIGS: [(char, f64, f64, f64); 6] = [
    ('A', 100.0, 0.1, 0.01),
    ('B', 100.0, 0.5, 0.01),
    ('C', 1000.0, 0.1, 0.001),
    ('D', 1000.0, 0.05, 0.001),
    ('E', 20.0, 0.05, 0.01),
    ('F', 1000.0, 0.1, 0.01),
];

/// One ratio without any margin, in these steps.
pub(super) fn policy(steps: &[Step]) -> Policy {
    policies::policy(&super::shares(steps), super::longest(steps), vec![policies::errors("errors", None)])
}

/// The configurations that are asked for, as an hour of plain traffic.
pub(super) fn configurations(options: &Options) -> Vec<(char, Scenario)> {
    let asked = CONFIGS.into_iter().filter(|(name, ..)| options.configs.contains(*name));
    asked
        .map(|(name, requests, share, base)| {
            let steps = vec![Step { share, slices: HOUR }];
            let (family, fault) = (Family::Plain, None);
            (name, Scenario { requests, base, family, fault, every: 15.0, steps, history: HOUR })
        })
        .collect()
}

/// The families that are asked for, with their names.
pub(super) fn families(options: &Options) -> Vec<(String, Family)> {
    let named = Family::ALL.into_iter().map(|family| (format!("{family:?}").to_lowercase(), family));
    named.filter(|(name, _)| name.starts_with(&options.family)).collect()
}

/// Every configuration in every family that is asked for.
fn scenarios(options: &Options) -> Vec<(String, Scenario)> {
    let families = families(options);
    let of = |(config, scenario): &(char, Scenario)| {
        let scenario = scenario.clone();
        let config = *config;
        families
            .iter()
            .map(move |(name, family)| {
                (format!("{config} {name}"), Scenario { family: *family, ..scenario.clone() })
            })
            .collect::<Vec<_>>()
    };
    configurations(options).iter().flat_map(of).collect()
}

pub(super) fn false_rollbacks(options: &Options, promises: &mut Promises) {
    println!("\n## Good canaries rolled back, % (95 % interval), {} runs\n", options.runs);
    println!("| configuration | with history | without |\n|---|---|---|");
    let mut all = [Tally::default(), Tally::default()];
    let mut worst: BTreeMap<String, [Worst; 2]> = BTreeMap::new();
    for (label, mut scenario) in scenarios(options) {
        let policy = policy(&scenario.steps);
        let family = worst.entry(format!("{:?}", scenario.family).to_lowercase()).or_default();
        let mut cells = Vec::new();
        for ((history, all), worst) in HISTORIES.into_iter().zip(&mut all).zip(family) {
            scenario.history = history;
            let tally = harmed(&trials(&policy, &Service::of(scenario.clone()), options.runs, options.seed));
            cells.push(percent(&tally));
            worst.add_share(&tally, &label);
            all.merge(&tally);
        }
        println!("| {label} | {} |", cells.join(" | "));
    }
    println!("| all | {} | {} |", percent(&all[0]), percent(&all[1]));
    for (family, worst) in worst {
        for (worst, past) in worst.into_iter().zip(PAST) {
            if let Some((figure, place)) = worst.take() {
                let promise = format!("false rollback, {family}, {past}");
                promises.at_most(&promise, figure, 1.0, " %", &place);
            }
        }
    }
}

/// How the judge's medians compare with the oracle's in some of the cells.
#[derive(Default)]
struct Against {
    /// Logarithm of the ratio and its standard error, for cells in which the oracle needs a minute or more.
    logs: Vec<(f64, f64)>,
    worst: Worst,
}

/// Cells in which the oracle is quicker than this are as long as a few looks, and say little of ratios.
const LONG: f64 = 60.0;

impl Against {
    /// `times` is how many times the oracle's median, plus a look, is allowed; `watched` how long both looked, in seconds.
    fn add(&mut self, judge: &Tally, oracle: &Tally, times: f64, watched: f64, place: &str) {
        let Some(limit) = oracle.median() else { return };
        let (own, other) = (middle(judge), middle(oracle));
        let most = times * limit + 15.0;
        let told = format!("{place}, {:.0} s of {most:.0} s", own.value);
        let Figure { value, low, high } = own;
        let part = Figure { value: value / most, low: low / most, high: high / most };
        self.worst.add(part.value, part, &told);
        if limit >= LONG {
            let seen = |time: f64| time.min(watched);
            let error = |figure: Figure| (seen(figure.high) / seen(figure.low)).ln() / 3.92;
            self.logs.push(((seen(own.value) / limit).ln(), error(own).hypot(error(other))));
        }
    }

    /// The geometric mean of the ratios. Its interval takes judge and oracle for independent, which makes it too wide.
    fn mean(&self) -> Figure {
        let cells = self.logs.len() as f64;
        let mean = self.logs.iter().map(|(log, _)| log).sum::<f64>() / cells;
        let error = self.logs.iter().map(|(_, error)| error * error).sum::<f64>().sqrt() / cells;
        Figure { value: mean.exp(), low: (mean - 1.96 * error).exp(), high: (mean + 1.96 * error).exp() }
    }
}

/// What the oracle's median may be exceeded by, from the start and late.
const ALLOWED: [f64; 2] = [1.35, 2.3];

pub(super) fn detection(options: &Options, promises: &mut Promises) {
    println!("\n## Bad canaries: median time in seconds, {} runs\n", options.medians);
    println!(
        "Judge with history / without / oracle (judge ÷ oracle). x1.5 in clean traffic is watched for two hours.\n"
    );
    println!("| configuration | x1.5 | x2 | x3 | x5 | x2 late | x3 late |\n|---|---|---|---|---|---|---|");
    let mut against: BTreeMap<(String, usize, usize), Against> = BTreeMap::new();
    for (label, mut scenario) in scenarios(options) {
        let family = format!("{:?}", scenario.family).to_lowercase();
        let mut cells = Vec::new();
        for (times, onset) in [(1.5, 0), (2.0, 0), (3.0, 0), (5.0, 0), (2.0, LATE), (3.0, LATE)] {
            scenario.fault = Some(Fault { effect: Effect::Times(times), onset });
            // In clean traffic what is allowed is a part of what the oracle needs, which may be most of an hour.
            let slices = if scenario.family == Family::Plain && times < 2.0 { 2 * HOUR } else { HOUR };
            scenario.steps.iter_mut().for_each(|step| step.slices = slices);
            let policy = policy(&scenario.steps);
            let watched = slices as f64 * scenario.every;
            let late = usize::from(onset > 0);
            let (mut medians, mut oracle) = ([None; 2], None);
            for (which, history) in HISTORIES.into_iter().enumerate() {
                scenario.history = history;
                let trials = trials(&policy, &Service::of(scenario.clone()), options.medians, options.seed);
                let (judge, floor) = (found(&trials), foreseen(&trials));
                let place = format!("{label} x{times}");
                let cell = against.entry((family.clone(), late, which)).or_default();
                cell.add(&judge, &floor, ALLOWED[late], watched, &place);
                (medians[which], oracle) = (judge.median(), floor.median());
            }
            let ratio = |median: Option<f64>| {
                let ratio = median.zip(oracle).map(|(judge, oracle)| judge / oracle);
                ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}"))
            };
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
    println!("\nTimes the oracle, geometric mean over the cells in which it needs {LONG} s and more:\n");
    println!("| family | onset | with history | without | cells |\n|---|---|---|---|---|");
    for family in families(options) {
        for (late, onset) in ["start", "late"].into_iter().enumerate() {
            let cells = [0, 1].map(|which| against.get(&(family.0.clone(), late, which)));
            let told = cells.map(|cell| {
                let Figure { value, low, high } = cell.map_or(NO_FIGURE, Against::mean);
                format!("{value:.2} ({low:.2}–{high:.2})")
            });
            let count = cells[0].map_or(0, |cell| cell.logs.len());
            println!("| {} | {onset} | {} | {count} |", family.0, told.join(" | "));
        }
    }
    promise_detection(against, promises);
}

const NO_FIGURE: Figure = Figure { value: f64::NAN, low: f64::NAN, high: f64::NAN };

fn promise_detection(against: BTreeMap<(String, usize, usize), Against>, promises: &mut Promises) {
    for ((family, late, which), cells) in against {
        let onset = ["start", "late"][late];
        let past = PAST[which];
        match (family.as_str(), late, which) {
            ("plain", _, 0) => {
                let allowed = ALLOWED[late];
                let promise = format!(
                    "clean traffic, onset {onset}, {past}: median as a part of {allowed} × the oracle's + one look"
                );
                if let Some((figure, place)) = cells.worst.take() {
                    promises.at_most(&promise, figure, 1.0, "", &place);
                }
            }
            ("frailty" | "negbin", 0, _) if !cells.logs.is_empty() => {
                let promise = format!("{family}, onset {onset}, {past}: times the oracle, geometric mean");
                promises.at_most(&promise, cells.mean(), [1.5, 1.8][which], "", "");
            }
            _ => {}
        }
    }
}

pub(super) fn crash(options: &Options, promises: &mut Promises) {
    println!(
        "\n## Half of all requests fail after ten good minutes: median looks, {} runs\n",
        options.medians
    );
    println!("| configuration | with history | without |\n|---|---|---|");
    let mut worst: [Worst; 2] = Default::default();
    for (label, mut scenario) in configurations(options) {
        let policy = policy(&scenario.steps);
        scenario.fault = Some(Fault { effect: Effect::Level(0.5), onset: 40 });
        let mut cells = Vec::new();
        for (history, worst) in HISTORIES.into_iter().zip(&mut worst) {
            scenario.history = history;
            let tally =
                found(&trials(&policy, &Service::of(scenario.clone()), options.medians, options.seed));
            let Figure { value, low, high } = middle(&tally);
            let looks = Figure { value: value / 15.0, low: low / 15.0, high: high / 15.0 };
            cells.push(format!("{:.0}", looks.value));
            worst.add(looks.value, looks, &label.to_string());
        }
        println!("| {label} | {} |", cells.join(" | "));
    }
    for (worst, past) in worst.into_iter().zip(PAST) {
        if let Some((figure, place)) = worst.take() {
            let promise = format!("crash after ten good minutes, {past}: median looks");
            promises.at_most(&promise, figure, 2.0, "", &place);
        }
    }
}

pub(super) fn safety(options: &Options, promises: &mut Promises) {
    println!("\n## Proven to be less than 1.5 times as bad, {} and {} runs\n", options.medians, options.runs);
    println!(
        "| configuration | good canary: % | median s | 1.5 times as bad: % (95 % interval) |\n|---|---|---|---|"
    );
    let mut worst = Worst::default();
    for (label, mut scenario) in scenarios(options) {
        let policy = policy(&scenario.steps);
        let run = |scenario: &Scenario, runs| {
            proven(&trials(&policy, &Service::of(scenario.clone()), runs, options.seed))
        };
        let good = run(&scenario, options.medians);
        scenario.fault = Some(Fault { effect: Effect::Times(1.5), onset: 0 });
        let bad = run(&scenario, options.runs);
        worst.add_share(&bad, &label);
        println!(
            "| {label} | {:.1} | {} | {} |",
            100.0 * good.share(),
            seconds(good.median()),
            percent(&bad)
        );
        if label == "A plain" {
            let promise = "healthy canary proven under 1.5 times, configuration A: median";
            promises.at_most(promise, middle(&good), 420.0, " s", "");
        }
    }
    if let Some((figure, place)) = worst.take() {
        promises.at_most("false promotion at the margin", figure, 5.0, " %", &place);
    }
}

pub(super) fn steps(options: &Options, promises: &mut Promises) {
    println!("\n## Steps of 5, 20 and 50 %: five minutes, five minutes, fifty\n");
    println!("| traffic | fault | rolled back % (95 % interval) | median s |\n|---|---|---|---|");
    let steps: Vec<_> =
        [(0.05, 20), (0.2, 20), (0.5, 200)].map(|(share, slices)| Step { share, slices }).into();
    let policy = policy(&steps);
    let mut worst = Worst::default();
    for (requests, base, family) in [
        (100.0, 0.01, Family::Plain),
        (1000.0, 0.001, Family::Plain),
        (100.0, 0.01, Family::Burst),
        (100.0, 0.01, Family::Frailty),
    ] {
        for (name, effect, onset) in [
            ("none", None, 0),
            ("x2", Some(2.0), 0),
            ("x5", Some(5.0), 0),
            ("x2 in step 2", Some(2.0), 20),
            ("x2 in step 3", Some(2.0), 40),
        ] {
            let fault = effect.map(|times| Fault { effect: Effect::Times(times), onset });
            let counts =
                Scenario { requests, base, family, fault, every: 15.0, steps: steps.clone(), history: HOUR };
            let runs = if fault.is_some() { options.medians } else { options.runs };
            let tally = found(&trials(&policy, &Service::of(counts), runs, options.seed));
            let traffic = format!("{requests} rps, {base}, {}", format!("{family:?}").to_lowercase());
            println!("| {traffic} | {name} | {} | {} |", percent(&tally), seconds(tally.median()));
            if fault.is_none() {
                worst.add_share(&tally, &traffic);
            }
        }
    }
    if let Some((figure, place)) = worst.take() {
        promises.at_most("false rollback over three steps, with history", figure, 1.0, " %", &place);
    }
}
