//! What the baseline did before a rollout: the noise is learnt from it.
//!
//! A Prometheus remembers, so it is asked when a rollout begins. Units that are scraped do not: the apps that the
//! policies select are watched quietly while nothing is rolled out, at the pace of their policy's looks. Their units are
//! scraped each time; the platform is asked for them only now and then. What was seen is kept in the journal, so that a
//! restart does not forget it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::house::House;
use crate::judge::Look;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::rollout::Observed;
use crate::signal::Watcher;
use crate::store::{Quiet, Reader, StoreError};
use crate::words::{AppName, Span, Time, Version};

/// How often the list of apps is read anew.
const LIST: Span = Span::minutes(1);

/// How long the platform's list of an app's units is used to find them.
const UNITS: Span = Span::minutes(1);

/// How often what was seen is kept, in looks, and the times that this is between. Where the daemon dies, it is lost since then.
const KEEP: u64 = 4;
const KEEP_BETWEEN: [Span; 2] = [Span::seconds(10), Span::minutes(1)];

/// Apps that are watched at the same time; more are not, and that is said.
const MOST_APPS: usize = 1000;

/// Apps whose units are asked at the same moment.
const AT_ONCE: usize = 8;

/// The apps that are watched.
pub(super) struct Watching<P> {
    house: Arc<House<P>>,
    apps: Mutex<BTreeMap<AppName, Watched>>,
    turns: Arc<Semaphore>,
}

/// One app that is watched.
struct Watched {
    policy: Arc<Policy>,
    watcher: Arc<Mutex<Watcher>>,
    stop: CancellationToken,
}

impl<P: Platform> Watching<P> {
    pub(super) fn new(house: Arc<House<P>>) -> Arc<Self> {
        Arc::new(Self { house, apps: Mutex::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// What `baseline` did before now, oldest first; nothing where nobody knows.
    pub(super) async fn history(&self, policy: &Policy, app: &AppName, baseline: Version) -> Vec<Look> {
        let now = self.house.clock.now();
        let known = self.apps.lock().await.get(app).map(|known| Arc::clone(&known.watcher));
        let (looks, notes) = match known {
            Some(watcher) => watcher.lock().await.history(baseline, now).await,
            None => match Watcher::new(policy.clone(), app.clone(), Arc::clone(&self.house.source)) {
                Ok(watcher) => watcher.history(baseline, now).await,
                Err(error) => (Vec::new(), vec![error.to_string()]),
            },
        };
        let (looks, more) = self.with_kept(looks, policy, app, baseline, now).await;
        for note in notes.into_iter().chain(more) {
            warn!(%app, "the noise of {baseline} is not known beforehand: {note}");
        }
        looks
    }

    /// These looks, after those that are kept in the journal. What is kept in this very moment may be among both.
    async fn with_kept(
        &self,
        looks: Vec<Look>,
        policy: &Policy,
        app: &AppName,
        baseline: Version,
        now: Time,
    ) -> (Vec<Look>, Option<String>) {
        if self.house.source.remembers() {
            return (looks, None);
        }
        let begin = looks.first().map_or(f64::INFINITY, |look| look.at);
        match kept(self.house.store.reader(), app, policy, now).await {
            Ok(Some((version, before))) if version == baseline => {
                (before.into_iter().filter(|look| look.at < begin).chain(looks).collect(), None)
            }
            Ok(_) => (looks, None),
            Err(error) => (looks, Some(error.to_string())),
        }
    }

    /// Keeps the list of watched apps current, until `stop`. A source that remembers needs no watching.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        if self.house.source.remembers() {
            return;
        }
        let tasks = TaskTracker::new();
        let mut policies = self.house.policies.clone();
        while !stop.is_cancelled() {
            if let Err(error) = self.list(&tasks, &stop).await {
                debug!("the apps to watch could not be listed: {error}");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LIST.as_duration()) => {}
                // Where nobody can change the policies any more, the time is all there is to wait for.
                changed = policies.changed() => if changed.is_err() { stop.cancelled().await },
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Begins to watch the apps that a policy selects, and ceases where none does any more.
    async fn list(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), crate::platform::PlatformError> {
        let policies = self.house.policies.borrow().clone();
        let listed = self.house.platform.apps().await?;
        let mut selected: BTreeMap<AppName, Arc<Policy>> = BTreeMap::new();
        for app in listed {
            if let Some(policy) = policies.select(&app.name.0, &app.pool, &app.team) {
                selected.insert(app.name, Arc::clone(policy));
            }
        }
        if selected.len() > MOST_APPS {
            warn!(
                "{} apps are selected by policies; the noise of {MOST_APPS} is watched beforehand",
                selected.len()
            );
        }
        let mut apps = self.apps.lock().await;
        apps.retain(|app, known| {
            let keep = selected
                .get(app)
                .is_some_and(|policy| Arc::ptr_eq(policy, &known.policy) || *policy == known.policy);
            if !keep {
                known.stop.cancel();
            }
            keep
        });
        for (app, policy) in selected.into_iter().take(MOST_APPS) {
            if apps.contains_key(&app) {
                continue;
            }
            let Ok(watcher) =
                Watcher::new(Policy::clone(&policy), app.clone(), Arc::clone(&self.house.source))
            else {
                continue;
            };
            let (watcher, own) = (Arc::new(Mutex::new(watcher)), stop.child_token());
            tasks.spawn(Arc::clone(self).watch(
                app.clone(),
                Arc::clone(&policy),
                Arc::clone(&watcher),
                own.clone(),
            ));
            apps.insert(app, Watched { policy, watcher, stop: own });
        }
        Ok(())
    }

    /// Keeps what was seen since the last time.
    async fn keep(&self, app: &AppName, policy: &Policy, watcher: &Mutex<Watcher>) {
        let Some((version, looks)) = watcher.lock().await.unkept() else { return };
        let until = looks.last().map_or(f64::MIN, |look| look.at);
        let as_json =
            |look: &Look| serde_json::to_string(look).ok().map(|body| (Time::from_seconds(look.at), body));
        let Ok(policy_json) = serde_json::to_string(policy) else { return };
        let quiet = Quiet { version, policy: policy_json, looks: looks.iter().filter_map(as_json).collect() };
        let since = Time(self.house.clock.now().0.saturating_sub_unsigned(Watcher::reach(policy).0));
        match self.house.store.keep_quiet(app, quiet, since).await {
            Ok(()) => watcher.lock().await.forget(until),
            Err(error) => warn!(%app, "what was seen of it is not kept: {error}"),
        }
    }

    /// Watches one app while nothing is rolled out.
    async fn watch(
        self: Arc<Self>,
        app: AppName,
        policy: Arc<Policy>,
        watcher: Arc<Mutex<Watcher>>,
        stop: CancellationToken,
    ) {
        let mut seen: Option<(Time, Observed)> = None;
        let mut last_kept = self.house.clock.now();
        let [least, most] = KEEP_BETWEEN;
        let keep_every = Span(policy.look_every.0.saturating_mul(KEEP)).clamp(least, most);
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.keep(&app, &policy, &watcher).await,
                () = tokio::time::sleep(policy.look_every.as_duration()) => {}
            }
            if self.house.clock.now().since(last_kept) >= keep_every {
                self.keep(&app, &policy, &watcher).await;
                last_kept = self.house.clock.now();
            }
            if self.house.running.of(&app).is_some() {
                if seen.take().is_some() {
                    self.keep(&app, &policy, &watcher).await;
                    watcher.lock().await.cease();
                }
                continue;
            }
            let Ok(_turn) = self.turns.acquire().await else { return };
            let now = self.house.clock.now();
            if seen.as_ref().is_none_or(|(at, _)| now.since(*at) >= UNITS) {
                seen = self.house.platform.observe(&app).await.ok().map(|observed| (now, observed));
            }
            let Some((_, observed)) = &seen else { continue };
            let Some(version) = observed.alone() else { continue };
            match watcher.lock().await.watch(version, observed, now).await {
                Ok(notes) => {
                    self.house.metrics.looked_quietly();
                    for note in &notes {
                        debug!(%app, "{note}");
                    }
                }
                Err(error) => debug!(%app, "{error}"),
            }
        }
    }
}

/// What is kept of an app under a policy that watches the same, within the reach of a history: the version, and the looks at
/// it, oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub async fn kept(
    reader: &Reader,
    app: &AppName,
    policy: &Policy,
    now: Time,
) -> Result<Option<(Version, Vec<Look>)>, StoreError> {
    let Some(quiet) = reader.quiet(app).await? else { return Ok(None) };
    let is_same = serde_json::from_str::<Policy>(&quiet.policy)
        .is_ok_and(|before| before.signals == policy.signals && before.look_every == policy.look_every);
    let since = now.seconds() - Watcher::reach(policy).as_seconds();
    let looks = quiet.looks.iter().filter_map(|(_, body)| serde_json::from_str::<Look>(body).ok());
    let looks: Vec<Look> = looks.filter(|look| since <= look.at && look.at <= now.seconds()).collect();
    Ok((is_same && !looks.is_empty()).then_some((quiet.version, looks)))
}
