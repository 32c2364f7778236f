//! Holds the judge against its promises on simulated rollouts, and prints what came out.
//!
//! `cargo bench --bench calibration -- --help`. The traffic is that of `uguisu::simulate`, the policies those of
//! `uguisu::simulate::policies`: no margin at all (the hardest claim to keep; gauges: 10 %), a floor of 0.05 %, at least five
//! bad events, alpha 1 %, beta 5 %, a look every 15 s for an hour. Times are medians in seconds from the onset, in steps of
//! 15 s. The last table says which promises are kept.

#![expect(clippy::print_stdout, reason = "a program that prints tables")]
#![expect(clippy::cast_precision_loss, reason = "runs and looks are few")]

#[path = "calibration/gauges.rs"]
mod gauges;
#[path = "calibration/latency.rs"]
mod latency;
#[path = "calibration/mixed.rs"]
mod mixed;
#[path = "calibration/promises.rs"]
mod promises;
#[path = "calibration/ratios.rs"]
mod ratios;
#[path = "calibration/runs.rs"]
mod runs;
#[path = "calibration/speed.rs"]
mod speed;

use clap::{Parser, ValueEnum};
use promises::Promises;
use uguisu::simulate::Step;
use uguisu::words::Span;

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
    #[arg(long, default_value_t = 400)]
    medians: usize,
    /// Only these configurations (of ABCDEF).
    #[arg(long, default_value = "ABCDEF")]
    configs: String,
    /// Only the families (of gauges: the noises) whose names start so.
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
    /// A canary that crashes after ten good minutes.
    Crash,
    /// How long a good canary takes to be proven, and how often a bad one is.
    Safety,
    /// A rollout in three steps.
    Steps,
    /// Latencies: good canaries, slow ones, slow tails.
    Latency,
    /// Gauges: good canaries, canaries at the margin, shifts, leaks, safety.
    Gauges,
    /// Five signals of several kinds together.
    Mixed,
    /// Looks a second on one core.
    Speed,
}

/// Slices of an hour.
const HOUR: usize = 240;
/// The slice at which late faults begin.
const LATE: usize = 100;
/// Slices of the past, with history and without.
const HISTORIES: [usize; 2] = [HOUR, 0];
/// What those are called.
const PAST: [&str; 2] = ["with history", "without history"];

fn main() {
    let options = Options::parse();
    let tables = if options.tables.is_empty() { Table::value_variants() } else { &options.tables };
    let mut promises = Promises::default();
    for table in tables {
        let print = match table {
            Table::False => ratios::false_rollbacks,
            Table::Detection => ratios::detection,
            Table::Crash => ratios::crash,
            Table::Safety => ratios::safety,
            Table::Steps => ratios::steps,
            Table::Latency => latency::tables,
            Table::Gauges => gauges::tables,
            Table::Mixed => mixed::tables,
            Table::Speed => speed::tables,
        };
        print(&options, &mut promises);
    }
    promises.print();
}

/// The shares of steps, for a policy.
fn shares(steps: &[Step]) -> Vec<f64> {
    steps.iter().map(|step| step.share).collect()
}

/// The longest bake that these steps need.
fn longest(steps: &[Step]) -> Span {
    Span::seconds(15 * steps.iter().map(|step| step.slices).max().unwrap_or(0) as u64)
}
