//! `uguisu pause|resume|approve|promote|rollback|keep ROLLOUT`: what a person tells a running daemon.

use std::process::ExitCode;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{ConfigFile, Trouble};
use crate::words::Version;

/// Longer than the daemon takes to give up waiting for a rollout.
const PATIENCE: Duration = Duration::from_secs(70);

/// What is told, to which rollout.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rollout: its id, a beginning of it that fits no other, or its app.
    rollout: String,
    /// Who says so, for the journal.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "an operator")]
    by: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// What is told of a rollback.
#[derive(Debug, clap::Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    order: Args,
    /// Where no rollout of the app runs: the version that is wanted back, as `v7`. Without it, the one that served before
    #[arg(long, value_name = "VERSION", value_parser = version)]
    to: Option<Version>,
}

fn version(text: &str) -> Result<Version, String> {
    Version::read(text).ok_or_else(|| format!("`{text}` is not a version; write its number, as in `v7`"))
}

/// Sends the order to roll back.
///
/// # Errors
/// As [`run`].
pub(super) async fn roll_back(args: RollbackArgs) -> Result<ExitCode, Trouble> {
    send("rollback", args.order, args.to).await
}

/// Sends the order `name`, and prints what became of it. Exits with 1 where the daemon refuses.
///
/// # Errors
/// When the daemon cannot be told, in words.
pub(super) async fn run(name: &str, args: Args) -> Result<ExitCode, Trouble> {
    send(name, args, None).await
}

async fn send(name: &str, args: Args, to: Option<Version>) -> Result<ExitCode, Trouble> {
    let config = args.config.read()?;
    let token = config.web.operator_token(|name| std::env::var(name).ok()).map_err(Trouble::new)?;
    let token = token
        .ok_or_else(|| Trouble::new("the daemon takes no orders: set `operator_token_file` of `[web]`"))?;
    let mut url = reqwest::Url::parse(&format!("http://{}", config.web.listen)).map_err(Trouble::new)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(["rollouts", &args.rollout, name]);
    }
    url.query_pairs_mut().append_pair("by", &args.by);
    if let Some(to) = to {
        url.query_pairs_mut().append_pair("to", &to.0.to_string());
    }
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(Trouble::new)?;
    let response = client.post(url).bearer_auth(token.expose_secret()).send().await;
    let response = response.map_err(|e| {
        Trouble::new(format!("no daemon answers at {}: {}", config.web.listen, e.without_url()))
    })?;
    let accepted = response.status().is_success();
    let text = response.text().await.map_err(Trouble::new)?;
    if accepted {
        anstream::print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::eprint!("error: {text}");
    Ok(ExitCode::FAILURE)
}
