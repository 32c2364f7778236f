//! `uguisu pause|resume|approve|promote|rollback ROLLOUT`: what a person tells a running daemon.

use std::process::ExitCode;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{ConfigFile, Trouble};

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

/// Sends the order `name`, and prints what became of it. Exits with 1 where the daemon refuses.
///
/// # Errors
/// When the daemon cannot be told, in words.
pub(super) async fn run(name: &str, args: Args) -> Result<ExitCode, Trouble> {
    let config = args.config.read()?;
    let token = config.web.operator_token(|name| std::env::var(name).ok()).map_err(Trouble::new)?;
    let token = token
        .ok_or_else(|| Trouble::new("the daemon takes no orders: set `operator_token_file` of `[web]`"))?;
    let mut url = reqwest::Url::parse(&format!("http://{}", config.web.listen)).map_err(Trouble::new)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(["rollouts", &args.rollout, name]);
    }
    url.query_pairs_mut().append_pair("by", &args.by);
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
