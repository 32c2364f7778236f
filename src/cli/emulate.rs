//! `uguisu emulate`: an emulated Tsuru to try things on.

use std::net::SocketAddr;
use std::path::PathBuf;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::Trouble;
use crate::demo::tsuru::AppSpec;
use crate::demo::tsuru::faults::{Faults, Format};
use crate::demo::{Emulator, EmulatorConfig};

/// All faults, as the example tells of them.
const FAULTS: &str = concat!(
    "An example of a file of faults, with all there are:\n\n",
    include_str!("../../deploy/faults.toml")
);

/// Runs an emulated Tsuru until it is interrupted.
///
/// It speaks the API of a Tsuru with the Kubernetes provisioner. Its units are real servers on loopback addresses of
/// their own; the tag of an image says how a version behaves: `toy:good`, `toy:errors=5%,latency=+30%`, `toy:leak`,
/// `toy:crash-after=20s`, `toy:unready`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = FAULTS)]
pub(super) struct Args {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where a second replica of the API listens, with its own lag and its own webhooks
    #[arg(long, value_name = "ADDR")]
    pub second: Option<SocketAddr>,
    /// What all chance follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many times as fast as usual deploys, locks and units go
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// What goes wrong: a file in TOML, as deploy/faults.toml, or in JSON, as `GET /emulator/faults` shows it; --help lists
    /// all faults
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// The token of the daemon
    #[arg(long, value_name = "TOKEN", default_value = "emulated-daemon-token")]
    pub daemon_token: String,
    /// A permission of the daemon's token, as `app.read`; may be repeated; left out: every one
    #[arg(long, value_name = "PERMISSION")]
    pub daemon_may: Vec<String>,
    /// The token of whoever deploys
    #[arg(long, value_name = "TOKEN", default_value = "emulated-ci-token")]
    pub ci_token: String,
    /// Give units ports of their own on one address, as where the system has only one loopback address
    #[arg(long)]
    pub unit_ports: bool,
    /// Begin with an app of this name, running `toy:good`
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// How many units the app begins with
    #[arg(long, value_name = "N", default_value_t = 4, requires = "app")]
    pub units: u32,
    /// How many requests a second the app gets
    #[arg(long, value_name = "RATE", default_value_t = 50.0, requires = "app")]
    pub rate: f64,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.01..=1000.0).contains(&speed) { Ok(speed) } else { Err("it goes from 0.01 to 1000".to_owned()) }
}

/// Runs the emulator until it is told to stop.
///
/// # Errors
/// The faults cannot be read, the address cannot be listened on, or the app cannot be made.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    let stop = CancellationToken::new();
    super::stop::on_signal(stop.clone()).map_err(Trouble::new)?;
    let faults = match &args.faults {
        Some(path) => read_faults(path)?,
        None => Faults::default(),
    };
    let config = EmulatorConfig {
        listen: args.listen,
        second: args.second,
        seed: args.seed,
        speed: args.speed,
        daemon_token: args.daemon_token.clone(),
        daemon_permissions: Some(args.daemon_may.clone()).filter(|may| !may.is_empty()),
        ci_token: args.ci_token.clone(),
        unit_ports: args.unit_ports,
        faults,
    };
    let on = config.faults.on();
    let emulator = Emulator::start(config).await.map_err(|e| {
        let second = args.second.map_or(String::new(), |second| format!(" and {second}"));
        Trouble::new(format!(
            "cannot listen on {}{second}: {e}; choose another with --listen or --second",
            args.listen
        ))
    })?;
    if let Some(app) = &args.app {
        let made = emulator.create_app(AppSpec::web(app), Some(("toy:good", args.units)));
        made.map_err(|reason| Trouble::new(format!("cannot make the app: {reason}")))?;
        emulator.set_rate(app, args.rate);
    }
    anstream::println!("tsuru      {}", emulator.base_url());
    if let Some(second) = emulator.second_url() {
        anstream::println!("second     {second}");
    }
    anstream::println!("daemon     Authorization: bearer {}", args.daemon_token);
    anstream::println!("deployer   Authorization: bearer {}", args.ci_token);
    anstream::println!("discovery  {}/emulator/sd", emulator.base_url());
    if !on.is_empty() {
        anstream::println!("faults     {}", on.join(", "));
    }
    if emulator.units_have_ports() {
        anstream::println!("units      on ports of their own: this system has only one loopback address");
    }
    stop.cancelled().await;
    emulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn read_faults(path: &std::path::Path) -> Result<Faults, Trouble> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|e| Trouble::new(format!("cannot read {shown}: {e}")))?;
    Faults::parse(&text, Format::of(path)).map_err(|e| Trouble::new(format!("{shown} cannot be used: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_file_of_faults_is_told_with_its_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faults.toml");
        let example = include_str!("../../deploy/faults.toml");
        std::fs::write(&path, example.replace("lags = ", "lag = ")).unwrap();
        let line = example.lines().position(|line| line.starts_with("lags = ")).unwrap() + 1;
        let said =
            format!("faults.toml cannot be used: line {line}: `lag` is no fault; did you mean `lags`?");
        let error = read_faults(&path).unwrap_err().0;
        assert!(error.ends_with(&said), "{error}");
        assert!(
            include_str!("../../deploy/README.md").contains(&said),
            "deploy/README.md shows it otherwise"
        );
        std::fs::write(&path, example).unwrap();
        assert_ne!(read_faults(&path).unwrap(), Faults::default());
        let error = read_faults(&dir.path().join("none.toml")).unwrap_err().0;
        assert!(error.starts_with("cannot read ") && error.contains("none.toml"), "{error}");
    }
}
