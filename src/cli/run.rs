//! `uguisu run`: the daemon.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{ConfigFile, Trouble};
use crate::config::Config;
use crate::engine::{Clock, Engine, House, Running, SystemClock};
use crate::notify::{Receivers, deliver};
use crate::platform::{Configured, Platform};
use crate::rules::Rules;
use crate::signal::Prober;
use crate::store::Store;
use crate::web::{Delivery, Doors, Errand, Metrics, Part, Readiness, serve};

/// How long the daemon may take to come to rest after it was told to stop.
const REST: Duration = Duration::from_secs(9);

/// Requests with alerts, and orders, that may wait for the engine.
const ALERTS: usize = 16;

/// Runs the daemon.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps the daemon from starting, in words.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    super::log::to_stderr(args.log_json);
    let config = args.config.read()?;
    let stop = CancellationToken::new();
    super::stop::on_signal(stop.clone()).map_err(Trouble::new)?;
    let daemon = Daemon::assemble(config).await?;
    daemon.run(stop).await
}

/// Everything that the daemon is made of, before it runs.
pub struct Daemon<P> {
    /// What all rollouts share.
    pub house: Arc<House<P>>,
    listener: TcpListener,
    doors: Doors,
    alerts: mpsc::Receiver<Delivery>,
    orders: mpsc::Receiver<Errand>,
    rules: Arc<Rules>,
    receivers: Receivers,
}

impl Daemon<Configured> {
    /// Puts the daemon together: whatever is wrong with its surroundings shows here.
    ///
    /// # Errors
    /// What keeps it from starting, in words.
    pub async fn assemble(config: Config) -> Result<Self, Trouble> {
        let environment = |name: &str| std::env::var(name).ok();
        let readiness = Readiness::default();
        let receivers =
            Receivers::new(&config.receiver, config.delivery, environment).map_err(Trouble::new)?;
        let alert_token = config.web.alert_token(environment).map_err(Trouble::new)?;
        let operator_token = config.web.operator_token(environment).map_err(Trouble::new)?;
        let rules = Arc::new(Rules::open(vec![config.rules.clone()]).map_err(Trouble::new)?);
        readiness.works(Part::Policies);
        let address = config.web.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| Trouble::new(format!("cannot listen at {address}: {e}; see `listen` of `[web]`")))?;
        let store = Store::open(&config.data).await.map_err(Trouble::new)?;
        readiness.works(Part::Journal);
        let latest = store.reader().latest().await.map_err(Trouble::new)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start(latest));
        let time = Arc::clone(&clock);
        let opened = config.platform.open(config.tsuru, environment, move || time.now());
        let platform = opened.map_err(Trouble::new)?;
        let metrics = Arc::new(Metrics::new());
        let (sender, alerts) = mpsc::channel(ALERTS);
        let (errands, orders) = mpsc::channel(ALERTS);
        let doors = Doors {
            readiness: readiness.clone(),
            metrics: Arc::clone(&metrics),
            alerts: sender,
            alert_token,
            orders: errands,
            operator_token,
        };
        let house = Arc::new(House {
            platform,
            store,
            source: Arc::new(config.source.open().map_err(Trouble::new)?),
            prober: Prober::new().map_err(Trouble::new)?,
            clock,
            policies: rules.subscribe(),
            metrics,
            readiness,
            alert_labels: config.alerts,
            poll_every: config.poll_every,
            running: Running::default(),
        });
        Ok(Self { house, listener, doors, alerts, orders, rules, receivers })
    }
}

impl<P: Platform> Daemon<P> {
    /// Runs until `stop`, then comes to rest.
    ///
    /// # Errors
    /// When the journal cannot be read, in words.
    pub async fn run(self, stop: CancellationToken) -> Result<ExitCode, Trouble> {
        let Self { house, listener, doors, alerts, orders, rules, receivers } = self;
        let address = listener.local_addr().map_err(Trouble::new)?;
        info!(%address, platform = house.platform.describe(), "uguisu runs");
        let clock = Arc::clone(&house.clock);
        let now = move || clock.now();
        let mut tasks = tokio::task::JoinSet::new();
        let (stop_doors, stop_post, stop_rules) = (stop.clone(), stop.clone(), stop.clone());
        let (store, metrics) = (house.store.clone(), Arc::clone(&house.metrics));
        tasks.spawn(async move {
            serve(listener, doors, stop_doors).await.map_err(|e| format!("the listener failed: {e}"))
        });
        tasks.spawn(async move {
            let delivery = deliver(receivers, store, metrics, now, stop_post).await;
            delivery.map_err(|e| format!("no webhook can be sent: {e}"))
        });
        tasks.spawn(async move {
            rules.follow(stop_rules).await;
            Ok(())
        });
        let engine = Engine::new(Arc::clone(&house)).run(alerts, orders, stop.clone());
        let rest = async {
            stop.cancelled().await;
            info!("stopping; every rollout goes on at the next start");
            tokio::time::sleep(REST).await;
        };
        let result = tokio::select! {
            result = engine => result.map_err(Trouble::new),
            () = rest => {
                error!("not everything came to rest in time; the journal has what was decided");
                Ok(())
            }
        };
        stop.cancel();
        while let Ok(Some(ended)) = tokio::time::timeout(Duration::from_secs(4), tasks.join_next()).await {
            if let Ok(Err(e)) = ended {
                error!("{e}");
            }
        }
        if let Err(e) = house.store.close().await {
            error!("{e}");
        }
        result.map(|()| ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests;
