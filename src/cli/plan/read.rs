//! Reads an app's traffic from where the daemon would: the platform tells its version and units, the source what they
//! did. Nothing is changed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::super::{ConfigFile, Trouble};
use super::course::course;
use super::value;
use crate::engine::{Clock as _, SystemClock, kept};
use crate::judge::Look;
use crate::platform::{App, Configured, Platform as _};
use crate::policy::{Autoscale, Policy};
use crate::rollout::{Footing, Observed, Unit};
use crate::signal::{Source, Watcher};
use crate::store::Reader;
use crate::words::{AppName, Span, Time, Version};

/// Which app to read.
#[derive(Debug, Args)]
pub(in crate::cli) struct From {
    /// Read the traffic of this app, from the platform and the source of the daemon's configuration
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Watch the app's units for so long, where the source remembers nothing (`kind = "scrape"`); left out: what the daemon
    /// saw of them in the last hour counts, or 30s where it did not
    #[arg(long, value_name = "TIME", value_parser = value::watch)]
    watch: Option<Span>,
}

/// What was read of an app.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Known {
    pub(super) app: AppName,
    pub(super) version: Version,
    pub(super) observed: Observed,
    /// The source's kind.
    pub(super) source: &'static str,
    /// When it was asked.
    pub(super) at: Time,
    /// The baseline alone, oldest first.
    pub(super) looks: Vec<Look>,
    /// What went wrong.
    pub(super) notes: Vec<String>,
}

impl Known {
    /// The units of `process` that serve users.
    pub(super) fn units(&self, process: &str) -> u32 {
        self.observed.routed(self.version, process)
    }

    /// What a rollout of this app under `policy` would stand on.
    ///
    /// # Errors
    /// In words, where none would begin.
    pub(super) fn footing(&self, policy: &Policy) -> Result<Footing, String> {
        let process = policy.strategy.process();
        let has: BTreeSet<&str> = self.of_version().map(|unit| unit.process.as_str()).collect();
        let wanted = std::iter::once(process).chain(policy.workers.iter().map(String::as_str));
        if let Some(missing) = wanted.into_iter().find(|process| !has.contains(process)) {
            let has: Vec<String> = has.iter().map(|process| format!("`{process}`")).collect();
            return Err(format!(
                "policy `{}` is for process `{missing}`, and app `{}` has {}",
                policy.name,
                self.app,
                has.join(", ")
            ));
        }
        let is_scaled = self.observed.autoscaled.iter().any(|scaler| scaler.process == process);
        if is_scaled && policy.autoscale == Autoscale::Refuse {
            return Err(format!(
                "an autoscaler changes the units of process `{process}` of app `{}`, so no rollout begins; write `autoscale: \
                 suspend` or `swap`",
                self.app
            ));
        }
        let workers = policy.workers.iter().map(|worker| {
            let units = self.of_version().filter(|unit| unit.process == *worker).count();
            (worker.clone(), u32::try_from(units).unwrap_or(u32::MAX))
        });
        // The platform makes one unit of each process of a new version.
        let apart = has.iter().filter(|other| !policy.takes_part(other));
        let lacks: usize =
            apart.map(|other| self.of_version().filter(|unit| unit.process == *other).count() - 1).sum();
        Ok(Footing {
            lacks: u32::try_from(lacks).unwrap_or(u32::MAX),
            units: self.units(process),
            workers: workers.collect(),
            room: self.observed.quota_left,
            // The platform makes one unit of a new version, and then the autoscaler is in charge.
            fixed: is_scaled.then_some(1).filter(|_| policy.autoscale == Autoscale::Swap),
        })
    }

    fn of_version(&self) -> impl Iterator<Item = &Unit> {
        self.observed.units.iter().filter(|unit| unit.version == self.version)
    }
}

/// The platform and the source, opened.
pub(in crate::cli) struct House {
    platform: Configured,
    source: Arc<Source>,
    clock: SystemClock,
    app: AppName,
    watch: Option<Span>,
    /// The daemon's data directory.
    data: PathBuf,
}

/// How long units are watched where nobody says so and the daemon did not.
const WATCH: Span = Span::seconds(30);

/// The source's name where the daemon saw it.
const KEPT: &str = "what the daemon saw quietly";

/// Looks of the daemon's without which the units are watched anew.
const ENOUGH: usize = 20;

impl From {
    /// Whether an app is to be read.
    pub(in crate::cli) fn is_asked(&self) -> bool {
        self.app.is_some()
    }

    /// Opens the platform and the source; nothing where no app is asked for.
    pub(in crate::cli) fn open(&self) -> Result<Option<House>, Trouble> {
        let Some(app) = &self.app else { return Ok(None) };
        let config = self.config.read()?;
        let clock = SystemClock::start(Time(0));
        let time = clock.clone();
        let environment = |name: &str| std::env::var(name).ok();
        let opened = config.platform.open(config.tsuru, environment, move || time.now());
        Ok(Some(House {
            platform: opened.map_err(Trouble::new)?,
            source: Arc::new(config.source.open().map_err(Trouble::new)?),
            clock,
            app: AppName(app.clone()),
            watch: self.watch,
            data: config.data,
        }))
    }
}

impl House {
    /// The app as the platform lists it, by which a policy is chosen.
    pub(in crate::cli) async fn listed(&self) -> Result<App, Trouble> {
        let apps = self.platform.apps().await.map_err(Trouble::new)?;
        apps.into_iter()
            .find(|app| app.name == self.app)
            .ok_or_else(|| Trouble::new(format!("{} lists no app `{}`", self.platform.describe(), self.app)))
    }

    /// Reads what `policy` watches of the app.
    pub(in crate::cli) async fn read(&self, policy: &Policy) -> Result<Known, Trouble> {
        let observed = self.platform.observe(&self.app).await.map_err(Trouble::new)?;
        let version = observed.alone().ok_or_else(|| {
            let versions: std::collections::BTreeSet<_> = observed
                .units
                .iter()
                .filter(|unit| unit.routable)
                .map(|unit| unit.version.to_string())
                .collect();
            Trouble::new(match versions.len() {
                0 => format!("no unit of app `{}` serves, so there is no traffic to read", self.app),
                _ => format!(
                    "{} of app `{}` serve at once; a plan is made for an app at rest",
                    versions.into_iter().collect::<Vec<_>>().join(" and "),
                    self.app
                ),
            })
        })?;
        let (app, source) = (self.app.clone(), self.source.label());
        let at = self.clock.now();
        let mut known = Known { app, version, observed, source, at, looks: Vec::new(), notes: Vec::new() };
        // Nobody waits for a watch to hear that the app cannot be moved so.
        let footing = known.footing(policy).map_err(Trouble::new)?;
        course(policy, None, Some(&footing)).map_err(Trouble::new)?;
        let remembers = self.source.remembers();
        if !remembers && let Some(looks) = self.kept(policy, version).await {
            return Ok(Known { source: KEPT, at: self.clock.now(), looks, ..known });
        }
        let mut watcher =
            Watcher::new(policy.clone(), self.app.clone(), Arc::clone(&self.source)).map_err(Trouble::new)?;
        if !remembers {
            self.watch(&mut watcher, policy, version, &known.observed, &mut known.notes).await?;
        }
        known.at = self.clock.now();
        let (looks, more) = watcher.history(version, known.at).await;
        known.looks = looks;
        known.notes.extend(more);
        known.notes.dedup();
        Ok(known)
    }

    /// What the daemon saw of the version while nothing was rolled out; nothing where that is little, or the units are to be
    /// watched now. Without a journal there is no daemon.
    async fn kept(&self, policy: &Policy, version: Version) -> Option<Vec<Look>> {
        if self.watch.is_some() {
            return None;
        }
        let reader = Reader::open(&self.data).await.ok()?;
        let (of, looks) = kept(&reader, &self.app, policy, self.clock.now()).await.ok()??;
        (of == version && looks.len() >= ENOUGH).then_some(looks)
    }

    /// Scrapes the units a few times, at the policy's pace or, where that is too slow, three times in all.
    async fn watch(
        &self,
        watcher: &mut Watcher,
        policy: &Policy,
        version: Version,
        observed: &Observed,
        notes: &mut Vec<String>,
    ) -> Result<(), Trouble> {
        let watch = self.watch.unwrap_or(WATCH);
        let every = Span(policy.look_every.0.min(watch.0 / 2).max(1));
        let units = observed.units.iter().filter(|unit| unit.version == version).count();
        anstream::eprintln!(
            "watching {units} unit{} of {} {version} for {watch}, a scrape every {every}",
            if units == 1 { "" } else { "s" },
            self.app
        );
        let began = self.clock.now();
        for look in 0..=watch.0 / every.0 {
            // From the beginning, so that no scrape is lost to how long those before it took.
            let next = began + Span(look * every.0);
            tokio::time::sleep(next.since(self.clock.now()).as_duration()).await;
            notes.extend(watcher.watch(version, observed, self.clock.now()).await.map_err(Trouble::new)?);
        }
        Ok(())
    }
}
