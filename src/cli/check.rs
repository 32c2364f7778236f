//! `uguisu check`: whether policies can be used, and what they will do.
//!
//! Told the traffic, or the app to read it of, it also warns of what a policy promises and that traffic cannot show.
//!
//! Exit codes: 0, all can be used (warnings or not); 1, some hold errors; 2, some path or the app could not be read, or no
//! policy was found.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use serde_json::json;

use super::Trouble;
use super::plan::{self, Complaint, Flags, From, House, Known, Promise};
use super::print::written;
use crate::policy::{Policy, Reading, Severity, describe};
use crate::rules::{self, Loaded};

/// Check policy files, and say in words what they will do.
///
/// Exits with 0 if all can be used, 1 if some hold errors, 2 if some path cannot be read or no policy is found.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, or directories of which each `.yaml` and `.yml` file is checked
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    traffic: Flags,
    /// Print one JSON object instead of words
    #[arg(long)]
    json: bool,
    /// Print what is wrong only
    #[arg(long, short)]
    quiet: bool,
}

/// What the check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Faulty,
    Unreadable,
}

/// Runs the command.
///
/// # Errors
/// What could not be read of the app, in words.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    let mut loaded = rules::load(&args.paths);
    let mut known = None;
    if let Some(house) = args.from.open()? {
        known = hold_against_app(&house, &args.traffic, &mut loaded).await?;
    } else if args.traffic.is_asked() {
        let lacking: Vec<_> = loaded
            .readings
            .iter()
            .filter_map(|reading| args.traffic.lacking(reading.policy.as_ref()?))
            .collect();
        // Of policies whose traffic is not told, nothing is said; but something must be said.
        if let Some(lacking) = lacking.first()
            && lacking.len() == loaded.readings.len()
        {
            return Err(plan::traffic_unknown(lacking));
        }
        for reading in &mut loaded.readings {
            hold_against(reading, &args.traffic, None)?;
        }
    }
    let printed = if args.json {
        writeln!(io::stdout(), "{:#}", as_json(&loaded))
    } else {
        let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        print(&loaded, args.quiet, colours, &mut anstream::stdout(), &mut anstream::stderr())
    };
    written(printed)?;
    if let Some(known) = known.filter(|_| !args.json && !args.quiet) {
        written(write!(anstream::stdout(), "{known}"))?;
    }
    Ok(match outcome(&loaded) {
        Outcome::Good => ExitCode::SUCCESS,
        Outcome::Faulty => ExitCode::FAILURE,
        Outcome::Unreadable => ExitCode::from(2),
    })
}

/// Warns of what the policy that counts for an app promises and the app's traffic cannot show. Returns what is known of the
/// app's signals, for people.
async fn hold_against_app(
    house: &House,
    flags: &Flags,
    loaded: &mut Loaded,
) -> Result<Option<String>, Trouble> {
    // Of policies that hold errors, none counts yet.
    let Some(set) = loaded.set() else { return Ok(None) };
    let app = house.listed().await?;
    let policy = set.select(&app.name.0, &app.pool, &app.team).ok_or_else(|| {
        Trouble::new(format!(
            "none of these policies is for app `{}` (pool `{}`, team `{}`)",
            app.name, app.pool, app.team
        ))
    })?;
    let known = house.read(policy).await?;
    for reading in &mut loaded.readings {
        if reading.policy.as_ref().is_some_and(|other| other.name == policy.name) {
            hold_against(reading, flags, Some(&known))?;
        }
    }
    plan::told(policy, flags, &known).map(Some).map_err(Trouble::new)
}

/// Warns, in the policy's findings, of what it promises and this traffic cannot show.
fn hold_against(reading: &mut Reading, flags: &Flags, known: Option<&Known>) -> Result<(), Trouble> {
    let Some(policy) = &reading.policy else { return Ok(()) };
    for Complaint { about, what, help } in plan::complaints(policy, flags, known).map_err(Trouble::new)? {
        let places = &reading.places;
        let at = match about {
            Promise::Steps => places.steps(),
            Promise::Signal(name) => places.signal(&name),
            Promise::ProveWithin(name) => places.prove_within(&name),
            Promise::Limit(name) => places.limit(&name),
        };
        reading.findings.warn(at, what, help);
    }
    Ok(())
}

fn outcome(loaded: &Loaded) -> Outcome {
    if !loaded.unreadable.is_empty() || loaded.readings.is_empty() {
        Outcome::Unreadable
    } else if loaded.set().is_none() {
        Outcome::Faulty
    } else {
        Outcome::Good
    }
}

/// What policies mean goes to `out`, what is wrong with them to `err`.
fn print(
    loaded: &Loaded,
    quiet: bool,
    colours: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    for reading in &loaded.readings {
        if !reading.findings.is_empty() {
            writeln!(err, "{}", reading.findings.render(colours))?;
        }
        if let Some(policy) = reading.policy.as_ref().filter(|_| !quiet) {
            print_policy(policy, reading.findings.file(), out)?;
        }
    }
    for unreadable in &loaded.unreadable {
        writeln!(err, "error: {unreadable}")?;
    }
    for clash in &loaded.clashes {
        writeln!(err, "error: {clash}")?;
    }
    if loaded.readings.is_empty() && loaded.unreadable.is_empty() {
        writeln!(err, "error: no policy was found; a policy's file ends in `.yaml` or `.yml`")?;
    }
    for line in shadowed(loaded) {
        writeln!(err, "warning: {line}")?;
    }
    if !quiet {
        writeln!(out, "{}", summary(loaded))?;
    }
    Ok(())
}

fn print_policy(policy: &Policy, file: &str, out: &mut impl Write) -> io::Result<()> {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    writeln!(out, "{bold}{}{bold:#} {dim}{file}{dim:#}", policy.name)?;
    let parts = describe(policy);
    let width = parts.iter().map(|(heading, _)| heading.len()).max().unwrap_or(0);
    for (heading, lines) in parts {
        for (index, line) in lines.iter().enumerate() {
            let heading = if index == 0 { heading } else { "" };
            writeln!(out, "  {dim}{heading:<width$}{dim:#}  {line}")?;
        }
    }
    writeln!(out)
}

fn summary(loaded: &Loaded) -> String {
    let files = loaded.readings.len();
    let count = |severity| loaded.readings.iter().map(|r| r.findings.count(severity)).sum::<usize>();
    let errors = count(Severity::Error) + loaded.clashes.len() + loaded.unreadable.len();
    let warnings = count(Severity::Warning) + shadowed(loaded).len();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}, {}", plural(files, "file"), plural(errors, "error"), plural(warnings, "warning"))
}

fn shadowed(loaded: &Loaded) -> Vec<String> {
    let Some(set) = loaded.set() else { return Vec::new() };
    set.shadowed()
        .map(|(winner, loser)| {
            format!("policy `{}` is never used: `{}` selects the same apps", loser.name, winner.name)
        })
        .collect()
}

fn as_json(loaded: &Loaded) -> serde_json::Value {
    let files: Vec<_> = loaded
        .readings
        .iter()
        .map(|reading| {
            json!({
                "file": reading.findings.file(),
                "policy": reading.policy,
                "findings": reading.findings.iter().collect::<Vec<_>>(),
            })
        })
        .collect();
    let unreadable: Vec<_> =
        loaded.unreadable.iter().map(|u| json!({ "path": u.path, "reason": u.reason })).collect();
    json!({
        "ok": outcome(loaded) == Outcome::Good,
        "files": files,
        "unreadable": unreadable,
        "errors": loaded.clashes,
        "warnings": shadowed(loaded),
    })
}

#[cfg(test)]
mod tests;
