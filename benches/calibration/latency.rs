//! The tables of latencies: one latency signal with the whole budget, all bucket bounds at once.

use uguisu::simulate::latency::{Change, Latency};
use uguisu::simulate::{Family, Scenario, Service, Step, policies};

use super::promises::Promises;
use super::runs::{Worst, foreseen, found, harmed, middle, percent, proven, seconds, trials};
use super::{HISTORIES, HOUR, LATE, Options, PAST};

/// Requests per second and the canary's share.
const TRAFFIC: [(f64, f64); 3] = [(100.0, 0.1), (1000.0, 0.05), (20.0, 0.05)];

pub(super) fn tables(options: &Options, promises: &mut Promises) {
    good(options, promises);
    bad(options, promises);
}

fn service(requests: f64, share: f64, history: usize, latency: Latency) -> Service {
    let counts = Scenario {
        requests,
        base: 0.01,
        family: Family::Plain,
        fault: None,
        every: 15.0,
        steps: vec![Step { share, slices: HOUR }],
        history,
    };
    Service { latency: Some(latency), ..Service::of(counts) }
}

fn policy(service: &Service) -> uguisu::policy::Policy {
    let steps = &service.counts.steps;
    policies::policy(&super::shares(steps), super::longest(steps), vec![policies::latency("latency")])
}

/// How much each arm's median wavers for itself.
const WAVER: f64 = 0.05;

fn good(options: &Options, promises: &mut Promises) {
    println!("\n## Latency: good canaries rolled back, % (95 % interval), {} runs\n", options.runs);
    println!("\"Wavering\": each arm's median moves by 5 % from slice to slice, for itself.\n");
    println!(
        "| traffic | with history | without | wavering, with history | wavering, without |\n|---|---|---|---|---|"
    );
    let mut worst: [Worst; 4] = Default::default();
    for (requests, share) in TRAFFIC {
        let traffic = format!("{requests} rps, {:.0} %", 100.0 * share);
        let mut cells = Vec::new();
        for (waver, pair) in [0.0, WAVER].into_iter().zip(worst.chunks_mut(2)) {
            for (history, worst) in HISTORIES.into_iter().zip(pair) {
                let service = service(requests, share, history, Latency { fault: None, waver });
                let tally = harmed(&trials(&policy(&service), &service, options.runs, options.seed));
                worst.add_share(&tally, &traffic);
                cells.push(percent(&tally));
            }
        }
        println!("| {traffic} | {} |", cells.join(" | "));
    }
    for (index, worst) in worst.into_iter().enumerate() {
        let (noise, past) = (["latency", "wavering latency"][index / 2], PAST[index % 2]);
        if let Some((figure, place)) = worst.take() {
            promises.at_most(&format!("false rollback, {noise}, {past}"), figure, 1.0, " %", &place);
        }
    }
}

/// The slower canary that a promise is about.
const PROMISED: (Change, usize) = (Change::Times(1.2), 0);

fn bad(options: &Options, promises: &mut Promises) {
    println!("\n## Latency: slow canaries, median time in seconds, {} runs\n", options.medians);
    println!(
        "Judge with history / without / oracle. The oracle knows both laws and the baseline's drift; it needs no baseline."
    );
    println!(
        "\n| traffic | x1.1 | x1.2 | x1.5 | 3 % x4 | 1 % x4 | x1.2 late | proven |\n|---|---|---|---|---|---|---|---|"
    );
    let faults = [
        (Change::Times(1.1), 0),
        PROMISED,
        (Change::Times(1.5), 0),
        (Change::Tail { share: 0.03, times: 4.0 }, 0),
        (Change::Tail { share: 0.01, times: 4.0 }, 0),
        (Change::Times(1.2), LATE),
    ];
    for (requests, share) in TRAFFIC {
        let mut cells = Vec::new();
        for fault in faults {
            let run = |history| {
                let service = service(requests, share, history, Latency { fault: Some(fault), waver: 0.0 });
                trials(&policy(&service), &service, options.medians, options.seed)
            };
            let [past, none] = HISTORIES.map(run);
            let tallies = [found(&past), found(&none), foreseen(&past)];
            cells.push(tallies.each_ref().map(|tally| seconds(tally.median())).join("/"));
            if fault == PROMISED && (requests, share) == TRAFFIC[0] {
                let promise = "latency x1.2 at 100 rps, 10 %, with history: median until found";
                promises.at_most(promise, middle(&tallies[0]), 60.0, " s", "");
            }
        }
        let service = service(requests, share, HOUR, Latency::default());
        let proven = proven(&trials(&policy(&service), &service, options.medians, options.seed));
        cells.push(seconds(proven.median()));
        println!("| {requests} rps, {:.0} % | {} |", 100.0 * share, cells.join(" | "));
    }
}
