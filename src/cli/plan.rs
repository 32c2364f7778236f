//! `uguisu plan`: what a policy can see at this traffic, and how long that takes.
//!
//! The traffic is what flags say, or what is read of an app where the daemon would read it.
//!
//! Exit codes: 0, printed; 1, the policy holds errors; 2, it or the app could not be read, or a flag makes no sense.

mod course;
mod forecast;
mod load;
mod print;
mod read;
mod simulate;
mod value;
mod wander;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::Trouble;
use super::print::written;
use crate::policy::{Policy, Strategy};
use crate::words::Share;
use course::{Course, course};
use forecast::{Broken, Plan, Step, complaint};
use load::{Load, loads};

pub(super) use load::Flags;
pub(super) use read::{From, House, Known};

/// Say what a policy can see at this traffic: at each step, how bad a canary must be to be noticed, how long that takes, and
/// how long a good canary needs to be proven.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policy's file
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    traffic: Flags,
    /// The canary's share of traffic, as `10%`, instead of the policy's steps
    #[arg(long, value_parser = value::share)]
    share: Option<Share>,
    /// Also run this many simulated rollouts of each kind through the judge, good ones and bad ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    simulate: Option<u32>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  uguisu plan rules/web.yaml --rps 100 --error-rate 1%
  uguisu plan rules/web.yaml --app shop --config uguisu.toml
  uguisu plan rules/web.yaml --app shop --rps 5            what was read of `shop`, but at night
  uguisu plan rules/web.yaml --rps 100 --error-rate 1% --simulate 1000";

/// What is wrong where neither the flags nor an app tell a policy's traffic.
pub(super) fn traffic_unknown(lacking: &str) -> Trouble {
    Trouble::new(format!("the traffic is not known; say it with {lacking}, or have it read with `--app`"))
}

/// All that is printed.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<print::Told<'a>>,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// Runs the command.
///
/// # Errors
/// What could not be read, in words.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    let policy = match super::policy::one(&args.policy) {
        Ok(policy) => policy,
        Err(code) => return Ok(code),
    };
    if !args.from.is_asked()
        && let Some(lacking) = args.traffic.lacking(&policy)
    {
        return Err(traffic_unknown(lacking));
    }
    if args.share.is_some() && matches!(policy.strategy, Strategy::BlueGreen(_)) {
        return Err(Trouble::new(
            "`--share` is of no use here: a blue-green canary serves nobody, and then everybody; leave it out",
        ));
    }
    let known = match args.from.open()? {
        Some(house) => Some(house.read(&policy).await?),
        None => None,
    };
    let course = way(&policy, args.share, known.as_ref()).map_err(Trouble::new)?;
    let loads = loads(&policy, &args.traffic, known.as_ref());
    let mut plan = planned(&policy, &course, &args.traffic, &loads);
    // The judge asks of a step what the policy's steps ask: of one share alone, what is asked in the end.
    let judged = course::judged(&policy, args.share);
    plan.simulated = args.simulate.map(|runs| simulate::simulate(&judged, &course, &loads, runs));
    let read = known.as_ref().map(|known| print::Told::of(&policy, &course, &loads, known));
    let report = Report { read, plan: &plan };
    written(if args.json {
        print::json(&report, &mut std::io::stdout().lock())
    } else {
        print::table(&report, &args.traffic, &mut anstream::stdout())
    })
}

/// The forecast, with what it rests on.
fn planned(policy: &Policy, course: &Course, flags: &Flags, loads: &[Load]) -> Plan {
    let mut plan = forecast::plan(policy, course, loads);
    plan.notes.extend(flags.taken_of_gauges(policy));
    plan
}

fn way(policy: &Policy, share: Option<Share>, known: Option<&Known>) -> Result<Course, String> {
    let footing = known.map(|known| known.footing(policy)).transpose()?;
    course(policy, share, footing.as_ref())
}

/// What is known of an app's signals under a policy, with its dates, in lines.
///
/// # Errors
/// In words, where no plan can be made.
pub(super) fn told(policy: &Policy, flags: &Flags, known: &Known) -> Result<String, String> {
    let course = way(policy, None, Some(known))?;
    let mut lines = Vec::new();
    let told = print::Told::of(policy, &course, &loads(policy, flags, Some(known)), known);
    // Writing to memory does not fail.
    told.print(&mut anstream::StripStream::new(&mut lines)).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&lines).into_owned())
}

/// What a policy promises and its traffic cannot show.
pub(super) struct Complaint {
    /// What of the policy promises it.
    pub(super) about: Promise,
    pub(super) what: String,
    /// What would help; may be empty.
    pub(super) help: String,
}

/// A part of a policy that promises something.
pub(super) enum Promise {
    Steps,
    Signal(String),
    ProveWithin(String),
    Limit(String),
}

/// What a policy promises and this traffic cannot show: by signal, at the first step that cannot. Signals of whose
/// traffic nothing is known are passed over.
///
/// # Errors
/// In words, where no plan can be made.
pub(super) fn complaints(
    policy: &Policy,
    flags: &Flags,
    known: Option<&Known>,
) -> Result<Vec<Complaint>, String> {
    let course = way(policy, None, known)?;
    let plan = forecast::plan(policy, &course, &loads(policy, flags, known));
    let adjusted = course.adjusted.iter().map(|what| Complaint {
        about: Promise::Steps,
        what: what.clone(),
        help: String::new(),
    });
    let mut complaints: Vec<Complaint> = adjusted.collect();
    for signal in &policy.signals {
        let forecasts = || {
            let at = |step: &Step| {
                Some((step.share, step.signals.iter().find(|s| s.signal == signal.name)?.clone()))
            };
            plan.steps.iter().filter(|step| !step.watch).filter_map(at)
        };
        let unproven = forecasts().find(|(_, forecast)| forecast.broken.iter().any(Broken::is_unproven));
        // Of the last step most can be seen; what it cannot show, none can.
        let last = forecasts().next_back();
        for (share, forecast, is_unproven) in
            last.map(|(s, f)| (s, f, false)).into_iter().chain(unproven.map(|(s, f)| (s, f, true)))
        {
            // What some step sees is seen.
            let is_unseen = |broken: &Broken| *broken == Broken::Unseen;
            let is_seen_before = forecasts().any(|(_, forecast)| !forecast.broken.iter().any(is_unseen));
            let counts = |broken: &&Broken| {
                broken.is_unproven() == is_unproven && !(is_unseen(broken) && is_seen_before)
            };
            for broken in forecast.broken.iter().filter(counts) {
                complaints.push(complaint(broken, &forecast, share, plan.bake[1]));
            }
        }
    }
    Ok(complaints)
}

#[cfg(test)]
mod tests;
