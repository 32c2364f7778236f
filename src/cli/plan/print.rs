//! The forecast for people and for programs.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{Cell, CellAlignment, Table, presets};

use super::forecast::{Detection, Forecast, Plan, Step, worse};
use super::simulate::{Found, Simulated};
use crate::words::Share;

/// The width of the plot's longest bar, in characters.
const BAR: f64 = 40.0;

/// One JSON object.
pub(super) fn json(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, plan)?;
    writeln!(out)
}

/// A table for each step, what cannot be seen, and a plot of the last step.
pub(super) fn table(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    writeln!(
        out,
        "{bold}{}{bold:#} at {} requests a second, {} of them failing",
        plan.policy, plan.traffic.requests, plan.traffic.errors
    )?;
    match plan.unknown {
        Some(why) => writeln!(out, "{dim}{why}.{dim:#}")?,
        None => writeln!(
            out,
            "{dim}At most {} of good canaries are rolled back, at most {} of bad ones promoted. Times are typical.{dim:#}",
            plan.false_rollback, plan.false_promotion
        )?,
    }
    for step in &plan.steps {
        writeln!(
            out,
            "\n{bold}{} of traffic{bold:#}, {} to {}",
            step.share,
            time(plan.bake[0]),
            time(plan.bake[1])
        )?;
        writeln!(out, "{}", grid(step))?;
        for signal in &step.signals {
            for blind in &signal.blind {
                writeln!(out, "{dim}  {}: {blind}{dim:#}", signal.signal)?;
            }
        }
    }
    if let Some(step) = plan.steps.last() {
        plot(step, out)?;
    }
    if let Some(simulated) = &plan.simulated {
        simulation(simulated, out)?;
    }
    Ok(())
}

fn simulation(simulated: &Simulated, out: &mut impl Write) -> io::Result<()> {
    let bold = Style::new().bold();
    let percent = |share: f64| Share::new(share).map_or_else(String::new, |share| share.to_string());
    let (low, high) = simulated.false_rollback_between;
    writeln!(out, "\n{bold}{} simulated rollouts of each kind{bold:#}", simulated.runs)?;
    writeln!(
        out,
        "  good: {} rolled back (the truth is between {} and {}), proven after {}",
        percent(simulated.false_rollback),
        percent(low),
        percent(high),
        simulated.proven.map_or_else(|| "no time that most of them reached".to_owned(), time)
    )?;
    for Found { regression, share, after } in &simulated.found {
        let after = after.map_or_else(String::new, |after| format!(", half of all within {}", time(after)));
        writeln!(out, "  x{regression}: {} rolled back{after}", percent(*share))?;
    }
    Ok(())
}

fn grid(step: &Step) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["signal", "allowed", "notices", "x1.5", "x2", "x5", "proven within"]);
    for signal in &step.signals {
        let after = |regression: f64| {
            let found = signal.detection.iter().find(|d| (d.regression - regression).abs() < 1e-9);
            right(found.and_then(|d| d.from_start))
        };
        let notices = match signal.notices {
            [Some(shortest), Some(longest)] => format!("{}, later {}", worse(shortest), worse(longest)),
            [None, Some(longest)] => format!("later {}", worse(longest)),
            _ => "–".to_owned(),
        };
        let proven = match (signal.gates, signal.proven) {
            (false, _) => "not asked".to_owned(),
            (true, Some(seconds)) => format!("{} in {}", worse(signal.within), time(seconds)),
            (true, None) => format!("{}: –", worse(signal.within)),
        };
        table.add_row([
            Cell::new(if signal.critical {
                format!("{} (critical)", signal.signal)
            } else {
                signal.signal.clone()
            }),
            Cell::new(worse(signal.allowed)),
            Cell::new(notices),
            after(1.5),
            after(2.0),
            after(5.0),
            Cell::new(proven),
        ]);
    }
    table
}

fn right(seconds: Option<f64>) -> Cell {
    Cell::new(seconds.map_or_else(|| "–".to_owned(), time)).set_alignment(CellAlignment::Right)
}

/// How long regressions live, as bars on a logarithmic scale: from one look to the longest.
fn plot(step: &Step, out: &mut impl Write) -> io::Result<()> {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let seen = |signal: &&Forecast| signal.detection.iter().any(|d| d.from_start.is_some());
    for signal in step.signals.iter().filter(seen) {
        writeln!(out, "\n{bold}{}{bold:#}: how long a regression lives at {}", signal.signal, step.share)?;
        let times = || signal.detection.iter().filter_map(|d| d.from_start);
        let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
        for Detection { regression, from_start, late } in &signal.detection {
            let Some(seconds) = from_start else {
                writeln!(out, "  {:>4} {dim}not seen{dim:#}", format!("x{regression}"))?;
                continue;
            };
            let part = if most > least { (seconds / least).ln() / (most / least).ln() } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 40")]
            let bar = "█".repeat((1.0 + part * (BAR - 1.0)).round() as usize);
            let late = late
                .map_or_else(String::new, |late| format!("{dim}, if it begins later {}{dim:#}", time(late)));
            writeln!(out, "  {:>4} {bar} {}{late}", format!("x{regression}"), time(*seconds))?;
        }
    }
    Ok(())
}

/// Seconds as people say them: `45 s`, `6 min`, `2.5 h`.
pub(super) fn time(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else if seconds < 120.0 * 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds < 48.0 * 3600.0 {
        format!("{:.1} h", seconds / 3600.0)
    } else {
        format!("{:.0} days", seconds / 86_400.0)
    }
}
