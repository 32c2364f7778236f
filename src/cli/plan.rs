//! `uguisu plan`: what a policy can see at this traffic, and how long that takes.
//!
//! Exit codes: 0, printed; 1, the policy holds errors; 2, it could not be read, or a flag makes no sense.

mod forecast;
mod print;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::words::Share;
use forecast::Load;

/// Say what a policy can see at this traffic: at each step, how bad a canary must be to be noticed, how long that takes, and
/// how long a good canary needs to be proven.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy's file.
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// Requests a second, both versions together.
    #[arg(long, value_name = "N", value_parser = above_zero)]
    rps: f64,
    /// The canary's share of traffic, as `10%`, instead of the policy's steps.
    #[arg(long, value_parser = percentage)]
    share: Option<Share>,
    /// The baseline's share of requests that fail, as `1%`.
    #[arg(long, value_name = "SHARE", value_parser = percentage)]
    error_rate: Share,
    /// The baseline's share of requests slower than a latency's bound.
    #[arg(long, value_name = "SHARE", value_parser = percentage, default_value = "10%")]
    slow_rate: Share,
    /// Events a second of signals that are rates, over all units of both versions.
    #[arg(long, value_name = "N", value_parser = above_zero)]
    events: Option<f64>,
    /// How much noisier than independent events the counts are (variance over mean).
    #[arg(long, value_name = "N", value_parser = dispersion, default_value = "1")]
    dispersion: f64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
#[must_use]
pub(super) fn run(args: &Args) -> ExitCode {
    let policy = match super::policy::one(&args.policy) {
        Ok(policy) => policy,
        Err(code) => return code,
    };
    let load = Load {
        requests: args.rps,
        errors: args.error_rate,
        slow: args.slow_rate,
        events: args.events,
        dispersion: args.dispersion,
    };
    let plan = forecast::plan(&policy, args.share, &load);
    let printed = if args.json {
        print::json(&plan, &mut io::stdout().lock())
    } else {
        print::table(&plan, &mut anstream::stdout())
    };
    match printed {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    }
}

fn percentage(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is not a percentage between 0% and 100%; write it like `10%`");
    let number: f64 =
        text.strip_suffix('%').and_then(|digits| digits.trim().parse().ok()).ok_or_else(wrong)?;
    Share::new(number / 100.0).filter(|share| *share > Share::NONE && *share < Share::ALL).ok_or_else(wrong)
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1e9);
    number.ok_or_else(|| format!("`{text}` is not a number above 0"))
}

fn dispersion(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=1e6).contains(number));
    number
        .ok_or_else(|| format!("`{text}` is not a dispersion; independent events have 1, noisier ones more"))
}

#[cfg(test)]
mod tests;
