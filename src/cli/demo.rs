//! `uguisu demo`: the whole story in one process.
//!
//! An emulated Tsuru runs the app `shop` with nine units and its users; the daemon runs beside it, as `uguisu run`
//! would, over real HTTP on loopback. Nothing is left behind.

mod scenario;
mod teller;
mod way;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::run::Daemon;
use super::{Trouble, log, stop};
use crate::config::Config;
use crate::demo::tsuru::AppSpec;
use crate::demo::{Emulator, EmulatorConfig};
use crate::engine::House;
use crate::notify::DeliveryConfig;
use crate::platform::tsuru::TsuruConfig;
use crate::platform::{Configured, PlatformConfig};
use crate::rollout::{Phase, Recorded, Rollout};
use crate::signal::{ScrapeConfig, SourceConfig};
use crate::store::Filter;
use crate::web::{AlertLabels, WebConfig};
use crate::words::{AppName, RolloutId, Span, Version};
use scenario::Scenario;
use teller::Teller;
use way::Way;

/// The demo's app.
const APP: &str = "shop";

/// Its units: with one more for the canary, the canary's share is 10 %.
const UNITS: u32 = 9;

/// How long a scenario may take before something must be wrong.
const LONGEST: Duration = Duration::from_mins(4);

/// Show the whole story in one process
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the new version takes over
    #[arg(long, value_enum, default_value_t)]
    strategy: Way,
    /// What happens; without it, `errors` and then `good`
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// Print one JSON object a line; the last one of a scenario has its `phase`
    #[arg(long)]
    json: bool,
    /// What all chance follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the demo to its end.
///
/// # Errors
/// What keeps it from starting, in words.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    log::to_stderr_from("error", false);
    let stop = CancellationToken::new();
    stop::on_signal(stop.clone()).map_err(Trouble::new)?;
    let place = Place::make(args.strategy)?;
    let stage = Stage::set(&args, &place, stop.clone()).await?;
    let mut right = true;
    let scenarios = args.scenario.map_or_else(|| vec![Scenario::Errors, Scenario::Good], |one| vec![one]);
    if !args.json {
        say(&format!(
            "An emulated Tsuru at {} runs `{APP}` with {UNITS} units. Uguisu watches it under this policy:\n\n{}",
            stage.emulator.base_url(),
            args.strategy.policy().lines().skip(1).flat_map(|line| ["    ", line, "\n"]).collect::<String>()
        ))?;
    }
    let first = scenarios.iter().filter_map(|scenario| args.strategy.watches_first(*scenario)).max();
    if let Some(first) = first {
        if !args.json {
            say(&format!(
                "Before anything is deployed, it watches the version that serves for {} s.",
                first.as_secs()
            ))?;
        }
        tokio::select! {
            () = tokio::time::sleep(first) => {}
            () = stop.cancelled() => {}
        }
    }
    for scenario in scenarios {
        tokio::select! {
            told = tokio::time::timeout(LONGEST, stage.play(args.strategy, scenario, args.json)) => match told {
                Ok(told) => right &= told?,
                Err(_) => return Err(Trouble::new(format!("`{}` did not end in {LONGEST:?}", scenario.label()))),
            },
            () = stop.cancelled() => {
                right = false;
                break;
            }
        }
    }
    stage.strike(stop).await?;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> Result<(), Trouble> {
    use std::io::Write as _;
    writeln!(anstream::stdout(), "{text}").map_err(Trouble::new)
}

/// A directory of the demo's own, gone at its end.
struct Place(PathBuf);

impl Place {
    fn make(way: Way) -> Result<Self, Trouble> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("uguisu-demo-{}", uuid::Uuid::now_v7()));
        let wrong = |e: std::io::Error| Trouble::new(format!("cannot make `{}`: {e}", path.display()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(wrong)?;
        let place = Self(path.clone());
        std::fs::create_dir(place.0.join("rules")).map_err(wrong)?;
        std::fs::write(place.0.join("rules/demo.yaml"), way.policy()).map_err(wrong)?;
        Ok(place)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// The emulator and the daemon, running.
struct Stage {
    emulator: Emulator,
    house: Arc<House<Configured>>,
    daemon: tokio::task::JoinHandle<Result<ExitCode, Trouble>>,
}

impl Stage {
    async fn set(args: &Args, place: &Place, stop: CancellationToken) -> Result<Self, Trouble> {
        let config = EmulatorConfig { seed: args.seed, speed: 2.0, ..EmulatorConfig::default() };
        let emulator = Emulator::start(config).await.map_err(Trouble::new)?;
        emulator.create_app(AppSpec::web(APP), Some(("toy:good", UNITS))).map_err(Trouble::new)?;
        let token = place.path().join("token");
        std::fs::write(&token, emulator.daemon_token()).map_err(Trouble::new)?;
        let config = Config {
            data: place.path().join("data"),
            rules: place.path().join("rules"),
            poll_every: Span::seconds(1),
            platform: PlatformConfig::Tsuru,
            tsuru: Some(TsuruConfig { token_file: Some(token), ..TsuruConfig::new(emulator.base_url()) }),
            source: SourceConfig::Scrape(ScrapeConfig::default()),
            web: WebConfig {
                listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
                ..WebConfig::default()
            },
            alerts: AlertLabels::default(),
            receiver: Vec::new(),
            delivery: DeliveryConfig::default(),
        };
        let daemon = Daemon::assemble(config).await?;
        let house = Arc::clone(&daemon.house);
        let daemon = tokio::spawn(daemon.run(stop));
        Ok(Self { emulator, house, daemon })
    }

    /// Plays one scenario to its end, and says whether it ended as it should.
    async fn play(&self, way: Way, scenario: Scenario, json: bool) -> Result<bool, Trouble> {
        self.emulator.set_rate(APP, scenario.rate());
        let mut teller = Teller::new(json, way, scenario, self.house.clock.now());
        let out = &mut anstream::stdout();
        teller.introduce(out).map_err(Trouble::new)?;
        let canary = self.emulator.deploy(APP, scenario.image(), true).await.map_err(Trouble::new)?;
        let id = self.find(canary).await?;
        let mut rollout: Option<Rollout> = None;
        let mut hit = None;
        loop {
            let seen = rollout.as_ref().map_or(0, |r| r.events);
            for entry in self.house.store.reader().events(&id, seen, 1000).await.map_err(Trouble::new)? {
                let recorded = entry.read(&id).map_err(Trouble::new)?;
                fold(&mut rollout, &id, &recorded)?;
                teller.tell(&recorded, out).map_err(Trouble::new)?;
            }
            if let Some(rollout) = &rollout
                && (rollout.phase.is_final() || rollout.phase == Phase::Paused)
            {
                return teller.conclude(rollout, self.emulator.stats(APP, canary), out).map_err(Trouble::new);
            }
            self.strike_incident(scenario, &teller, &mut hit);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lets the scenario's incident begin and end.
    fn strike_incident(&self, scenario: Scenario, teller: &Teller, hit: &mut Option<bool>) {
        let (Some(incident), Some(first)) = (scenario.incident(), teller.first_traffic) else { return };
        let since = self.house.clock.now().since(first);
        let now = since >= incident.after && since.0 < incident.after.0 + incident.lasts.0;
        if *hit != Some(now) {
            *hit = Some(now);
            self.emulator.incident(APP, if now { incident.errors } else { 1.0 }, 1.0);
        }
    }

    async fn find(&self, canary: Version) -> Result<RolloutId, Trouble> {
        let filter = Filter { app: Some(AppName(APP.to_owned())), ..Filter::default() };
        loop {
            let rows = self.house.store.reader().list(&filter, 5).await.map_err(Trouble::new)?;
            if let Some(row) = rows.into_iter().find(|row| row.canary == canary) {
                return Ok(row.id);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn strike(self, stop: CancellationToken) -> Result<(), Trouble> {
        stop.cancel();
        let ended = self.daemon.await.map_err(Trouble::new)?;
        self.emulator.shutdown().await;
        ended.map(drop)
    }
}

fn fold(rollout: &mut Option<Rollout>, id: &RolloutId, recorded: &Recorded) -> Result<(), Trouble> {
    if let Some(rollout) = rollout {
        return rollout.apply(recorded).map_err(Trouble::new);
    }
    *rollout = Rollout::open(id.clone(), recorded);
    Ok(())
}
