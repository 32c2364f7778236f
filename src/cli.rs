//! The commands: one file a subcommand.
//!
//! Exit codes: 0 it is as it should be; 1 it is not (a policy is wrong, a scenario did not end as it should, there is
//! no such rollout); 2 the command could not run (a wrong flag, a file that cannot be read, an address in use).

mod check;
mod demo;
mod emulate;
mod judge;
mod list;
mod log;
mod order;
mod plan;
mod policy;
mod print;
mod run;
mod schema;
mod show;
mod stop;

use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use judge::lines as judge_lines;
pub use run::Daemon;

use crate::config::Config;

/// Canary analysis for Tsuru: compares a new version with the one that serves, promotes the good ones, rolls the bad
/// ones back, and says how often it may be wrong.
#[derive(Debug, Parser)]
#[command(name = "uguisu", version, propagate_version = true, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "Exit codes: 0 it is as it should be; 1 it is not; 2 the command could not run.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole story in one process: a bad version rolled back, a good one promoted
    Demo(demo::Args),
    /// Run the daemon
    Run(run::Args),
    /// Read policies and say what is wrong with them
    Check(check::Args),
    /// Print the JSON Schema of policies
    Schema(schema::Args),
    /// Judge rollouts that others run, from JSON Lines on standard input
    Judge(judge::Args),
    /// Say what a policy can see at some traffic, and how long that takes
    Plan(plan::Args),
    /// List rollouts
    List(list::Args),
    /// Show one rollout: its timeline, its signals, the commands sent
    Show(show::Args),
    /// Let a rollout stand still until a person says otherwise
    Pause(order::Args),
    /// Let a paused rollout go on where it was
    Resume(order::Args),
    /// Agree to what a rollout waits for
    Approve(order::Args),
    /// Make the canary the only version now
    Promote(order::Args),
    /// Go back to the baseline now; of an app without a rollout, to the version that served before
    Rollback(order::RollbackArgs),
    /// End the coexistence of two versions, and leave both serving
    Keep(order::Args),
    /// Run an emulated Tsuru with a toy app, over HTTP on loopback
    Emulate(emulate::Args),
}

/// Where the daemon's configuration is.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The daemon's configuration, a TOML file
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/uguisu/uguisu.toml",
        env = "UGUISU_CONFIG"
    )]
    config: PathBuf,
}

impl ConfigFile {
    fn read(&self) -> Result<Config, Trouble> {
        Config::read(&self.config).map_err(Trouble::new)
    }
}

/// Why a command could not run, in words.
#[derive(Debug)]
pub struct Trouble(String);

impl Trouble {
    /// What went wrong.
    pub fn new(what: impl Display) -> Self {
        Self(what.to_string())
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Run(args) => block_on(run::run(args)),
        Command::Check(args) => block_on(check::run(args)),
        Command::Schema(args) => schema::run(&args),
        Command::Judge(args) => judge::run(&args),
        Command::Plan(args) => block_on(plan::run(args)),
        Command::List(args) => block_on(list::run(args)),
        Command::Show(args) => block_on(show::run(args)),
        Command::Pause(args) => block_on(order::run("pause", args)),
        Command::Resume(args) => block_on(order::run("resume", args)),
        Command::Approve(args) => block_on(order::run("approve", args)),
        Command::Promote(args) => block_on(order::run("promote", args)),
        Command::Rollback(args) => block_on(order::roll_back(args)),
        Command::Keep(args) => block_on(order::run("keep", args)),
        Command::Emulate(args) => block_on(emulate::run(args)),
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode, Trouble>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.map_err(Trouble::new).and_then(|runtime| runtime.block_on(work));
    result.unwrap_or_else(|Trouble(what)| {
        let _closed = writeln!(anstream::stderr(), "error: {what}");
        ExitCode::from(2)
    })
}
