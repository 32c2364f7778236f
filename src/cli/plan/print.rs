//! The forecast for people and for programs.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::super::print::{moment, plain};
use super::Report;
use super::course::Course;
use super::forecast::{Detection, Forecast, Leaking, REGRESSIONS, Step};
use super::load::{Flags, Load};
use super::read::Known;
use super::simulate::{Ends, Simulated};
use crate::judge::{Noise, past};
use crate::policy::{Measure, Policy};
use crate::words::{AppName, Share, Time, Version};

/// The width of the plot's longest bar, in characters.
const BAR: f64 = 40.0;

/// What was read, for people and for programs. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Told<'a> {
    app: &'a AppName,
    version: Version,
    /// Units of the process that the policy moves.
    units: u32,
    /// How many more the quota allows; nothing: no limit, or it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<u32>,
    source: &'static str,
    at: Time,
    signals: Vec<ToldSignal>,
    /// What went wrong.
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct ToldSignal {
    signal: String,
    /// The times of the first and the last look that told of it; nothing where none did.
    from: Option<Time>,
    until: Option<Time>,
    looks: usize,
    /// Requests (or unit-seconds) a second, and events for each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    exposure: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<f64>,
    /// The noise as it is judged at the last step.
    noise: Option<Noise>,
    /// All of it in words.
    said: String,
}

impl<'a> Told<'a> {
    pub(in crate::cli::plan) fn of(
        policy: &Policy,
        course: &Course,
        loads: &[Load],
        known: &'a Known,
    ) -> Self {
        let pasts = past(policy, &known.looks);
        let look = policy.look_every.as_seconds();
        let share = course.steps().last().map_or(0.5, |leg| leg.share.get());
        let units = course.legs.first().map_or(1, |leg| leg.canary as usize);
        let signals = policy.signals.iter().zip(pasts).zip(loads).map(|((signal, past), load)| {
            let (mut exposure, mut base, mut noise) = (None, None, None);
            let mut trouble = None;
            match load {
                Load::Counts(counts) => {
                    (exposure, base) = (Some(counts.exposure), Some(counts.base));
                    noise = counts.known().and_then(|known| known.noise(share, look));
                }
                Load::Gauge(past) => match past.forecast(units, past.units) {
                    Ok(forecast) => noise = Some(Noise::Gauge(forecast.fit().summary())),
                    Err(why) => trouble = Some(why.to_string()),
                },
                Load::Unknown(_) => {}
            }
            let said = said(&signal.measure, load, noise.as_ref(), trouble);
            ToldSignal {
                signal: signal.name.clone(),
                from: past.as_ref().map(|past| Time::from_seconds(past.from)),
                until: past.as_ref().map(|past| Time::from_seconds(past.until)),
                looks: past.as_ref().map_or(0, |past| past.looks),
                exposure,
                base,
                noise,
                said,
            }
        });
        Self {
            app: &known.app,
            version: known.version,
            units: known.units(policy.strategy.process()),
            room: known.observed.quota_left,
            source: known.source,
            at: known.at,
            signals: signals.collect(),
            notes: &known.notes,
        }
    }
}

/// One signal's level and noise in words.
fn said(measure: &Measure, load: &Load, noise: Option<&Noise>, trouble: Option<String>) -> String {
    let noise = match (noise, trouble) {
        (Some(noise), _) => noise.to_string(),
        (None, Some(trouble)) => trouble,
        (None, None) => "too few looks to know the noise; reckoned with as independent events".to_owned(),
    };
    let level = match (measure, load) {
        (_, Load::Unknown(why)) => return (*why).to_owned(),
        (_, Load::Gauge(_)) => return noise,
        (Measure::Rate { .. }, Load::Counts(c)) => {
            format!("{} events a second on {:.1} units", rate(c.base * c.exposure), c.exposure)
        }
        (_, Load::Counts(counts)) => {
            let share = Share::new(counts.base.min(1.0)).unwrap_or(Share::ALL);
            let what = match counts.past.as_ref().and_then(|past| past.bound) {
                Some(bound) => format!("slower than {}", fine(bound)),
                None => "bad".to_owned(),
            };
            format!("{} requests a second, {share} of them {what}", rate(counts.exposure))
        }
    };
    format!("{level}; {noise}")
}

impl Told<'_> {
    /// What was read of each signal, a line each, with its dates.
    pub(in crate::cli) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
        let units = if self.units == 1 { "1 unit".to_owned() } else { format!("{} units", self.units) };
        let room =
            self.room.map_or_else(String::new, |room| format!(" (the quota leaves room for {room} more)"));
        writeln!(
            out,
            "app {bold}{}{bold:#}, {} on {units}{room}, read from {} at {} UTC",
            self.app,
            self.version,
            self.source,
            moment(self.at)
        )?;
        for signal in &self.signals {
            let window = match (signal.from, signal.until) {
                (Some(from), Some(until)) => {
                    format!(" {dim}({} looks, {} to {}){dim:#}", signal.looks, moment(from), moment(until))
                }
                _ => String::new(),
            };
            writeln!(out, "  {}: {}{window}", signal.signal, plain(&signal.said))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "  note: {}", plain(note)))
    }
}

/// One JSON object.
pub(super) fn json(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

/// What was read, a table for each step, what cannot be seen, and a plot of the last step.
pub(super) fn table(report: &Report<'_>, flags: &Flags, out: &mut impl Write) -> io::Result<()> {
    let plan = report.plan;
    head(report, flags, out)?;
    let dim = Style::new().dimmed();
    if let Some(why) = plan.unknown {
        writeln!(out, "{dim}{why}.{dim:#}")?;
    }
    if let Some(error) = plan.false_rollback {
        let promoted = plan.false_promotion.map_or_else(String::new, |error| {
            format!(
                ", at most {error} of those as bad as the last column says promoted; milder ones may pass"
            )
        });
        writeln!(
            out,
            "{dim}At most {error} of good canaries are rolled back{promoted}. Times are typical: half of the rollouts take longer.{dim:#}"
        )?;
    }
    if plan.warm_up > 0.0 && plan.unknown.is_none() {
        writeln!(
            out,
            "{dim}They count from the end of the warm-up, {}, which is left out.{dim:#}",
            time(plan.warm_up)
        )?;
    }
    if let Some(ends) = &plan.ends {
        writeln!(out, "{dim}{ends}{dim:#}")?;
    }
    for adjusted in &plan.adjusted {
        writeln!(out, "{dim}{adjusted}{dim:#}")?;
    }
    for step in &plan.steps {
        one_step(step, out)?;
    }
    if !plan.notes.is_empty() {
        writeln!(out)?;
    }
    for note in &plan.notes {
        writeln!(out, "{dim}{note}{dim:#}")?;
    }
    if let Some(step) = plan.steps.iter().rfind(|step| !step.watch) {
        plot(step, out)?;
    }
    if let Some(simulated) = &plan.simulated {
        simulation(simulated, out)?;
    }
    Ok(())
}

fn head(report: &Report<'_>, flags: &Flags, out: &mut impl Write) -> io::Result<()> {
    let bold = Style::new().bold();
    let policy = &report.plan.policy;
    let said = [
        flags.rps.map(|n| format!("{n} requests a second")),
        flags.error_rate.map(|share| format!("{share} of them failing")),
        flags.slow_rate.map(|share| format!("{share} of them slow")),
        flags.events.map(|n| format!("{n} events a second")),
        flags.dispersion.map(|n| format!("{n} times the variance of independent events")),
        flags.gauge_noise.map(|share| format!("units that differ by {share}")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    let Some(told) = &report.read else {
        return writeln!(out, "{bold}{policy}{bold:#} at {}", said.join(", "));
    };
    write!(out, "{bold}{policy}{bold:#} for ")?;
    told.print(out)?;
    if !said.is_empty() {
        writeln!(out, "  in place of what was read: {}", said.join(", "))?;
    }
    Ok(())
}

fn one_step(step: &Step, out: &mut impl Write) -> io::Result<()> {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let [least, most] = step.bake.map(time);
    let lasts = if least == most { format!("for {most}") } else { format!("{least} to {most}") };
    let what = match (step.watch, step.alone) {
        (true, _) => "watch after 100%".to_owned(),
        (false, true) => format!("{} of traffic, alone", step.share),
        (false, false) => format!("{} of traffic", step.share),
    };
    writeln!(out, "\n{bold}{what}{bold:#}, {lasts}")?;
    for line in grid(step).lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    let unseen = |signal: &Forecast| Some(format!("{} below {}", signal.signal, worse(signal.notices[1]?)));
    let unseen: Vec<String> = step.signals.iter().filter_map(unseen).collect();
    if !unseen.is_empty() {
        writeln!(out, "{dim}  not seen in {most}: {}{dim:#}", unseen.join(", "))?;
    }
    for note in &step.notes {
        writeln!(out, "{dim}  {note}{dim:#}")?;
    }
    for signal in step.signals.iter().filter(|signal| !signal.leaks.is_empty()) {
        writeln!(
            out,
            "{dim}  {}, worse by so much more each hour: {}{dim:#}",
            signal.signal,
            leaks(&signal.leaks)
        )?;
    }
    for signal in &step.signals {
        for blind in &signal.blind {
            writeln!(out, "{dim}  {}: {blind}{dim:#}", signal.signal)?;
        }
    }
    Ok(())
}

/// Which leaks are seen, and when: `+20% not seen, +50% seen in 41 min`.
fn leaks(leaks: &[Leaking]) -> String {
    let told = leaks.iter().map(|leak| match leak.from_start {
        Some(seconds) => format!("{} seen in {}", worse(1.0 + leak.an_hour), time(seconds)),
        None => format!("{} not seen", worse(1.0 + leak.an_hour)),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// How simulated traffic moves; the table above reckons with it by the noise that it is measured as.
const WANDERS: &str = "as in real traffic, requests wander by 15%, error ratios by 30% and latencies by 5%, in both versions alike; times \
                       count from the very beginning";

fn simulation(simulated: &Simulated, out: &mut impl Write) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}{} simulated rollouts of each kind{bold:#}", simulated.runs)?;
    writeln!(out, "  {WANDERS}")?;
    for assumed in &simulated.assumed {
        writeln!(out, "  {assumed}")?;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["canary", "rolled back", "promoted", "left to a person"]);
    let good = std::iter::once(("as good".to_owned(), &simulated.good));
    let bad = simulated.bad.iter().map(|bad| (format!("{} x{}", bad.signal, bad.regression), &bad.ends));
    for (canary, ends) in good.chain(bad) {
        table.add_row([canary, ended(ends.rolled_back), ended(ends.promoted), ended(ends.left)]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    let [low, high] = simulated.false_rollback_between.map(percent);
    writeln!(out, "  a good canary is rolled back in {low} to {high} of rollouts (95 % interval)")
}

fn ended(ends: Ends) -> String {
    match ends.after {
        Some(after) if ends.share > 0.0 => format!("{}, after {}", percent(ends.share), time(after)),
        _ => percent(ends.share),
    }
}

fn percent(share: f64) -> String {
    Share::new(share).map_or_else(String::new, |share| share.to_string())
}

fn grid(step: &Step) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let is_fixed = step.bake[0] >= step.bake[1];
    table.set_header(["signal", "allowed", "notices", "x1.5", "x2", "x5", "proven within"]);
    for signal in &step.signals {
        let after = |regression: f64| right(signal.at(regression).and_then(|d| d.from_start));
        let notices = match signal.notices {
            [Some(all), Some(_)] if is_fixed => worse(all),
            [Some(shortest), Some(longest)] => format!("{}, later {}", worse(shortest), worse(longest)),
            [None, Some(longest)] => format!("later {}", worse(longest)),
            _ => "–".to_owned(),
        };
        let allowed = match signal.passes {
            Some(passes) => format!("{}, alone {}", worse(signal.allowed), worse(passes)),
            None => worse(signal.allowed),
        };
        let proven = match (signal.asked, signal.proven) {
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
            Cell::new(allowed),
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
        for regression in REGRESSIONS {
            let named = format!("x{regression}");
            let Some(Detection { from_start, late, .. }) = signal.at(regression) else {
                writeln!(out, "  {named:>4} {dim}cannot be: that is more than all requests{dim:#}")?;
                continue;
            };
            let Some(seconds) = from_start else {
                writeln!(out, "  {named:>4} {dim}not seen{dim:#}")?;
                continue;
            };
            let part = if most > least { (seconds / least).ln() / (most / least).ln() } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 40")]
            let bar = "█".repeat((1.0 + part * (BAR - 1.0)).round() as usize);
            let late = late
                .map_or_else(String::new, |late| format!("{dim}, if it begins later {}{dim:#}", time(late)));
            writeln!(out, "  {named:>4} {bar} {}{late}", time(*seconds))?;
        }
    }
    Ok(())
}

/// Ratios from here on are told as so many times.
const MANY_TIMES: f64 = 50.0;

/// A ratio as policies write it: `+50%`; a large one as so many times, in three digits: `x3,330`.
pub(super) fn worse(ratio: f64) -> String {
    if ratio >= MANY_TIMES {
        let size = 10_f64.powf((ratio.log10() - 2.0).floor().max(0.0));
        return format!("x{}", crate::judge::grouped((ratio / size).round() * size));
    }
    format!("+{:.0}%", 100.0 * (ratio - 1.0))
}

/// A number of something a second.
fn rate(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A bound of a histogram: `250 ms`, `1.5 s`.
fn fine(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds} s") }
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
