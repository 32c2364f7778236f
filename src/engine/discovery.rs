//! Finds new rollouts: a version that was deployed beside the one that serves, of an app that a policy is for.
//!
//! The platform is asked for what was done since the last question. How far that went is kept in the journal, in the
//! same write as the rollout that it began, so that no deploy is missed over a restart and none begins two rollouts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::{debug, info, warn};

use super::house::House;
use crate::platform::{Activity, ActivityKind, App, Platform, PlatformError};
use crate::policy::{Policy, Strategy};
use crate::rollout::{Event, Kind, Observed};
use crate::words::{AppName, Span, Time, Version};

/// How far back the first question of all goes: what was deployed earlier is for people.
const FIRST: Span = Span::minutes(10);

/// How far back every question goes: a deploy is found by when it began, and may take this long.
const OVERLAP: Span = Span::minutes(60);

/// How long a canary whose units do not show up is waited for.
const SHOW_UP: Span = Span::minutes(5);

/// How long a deploy waits to be looked at: behind a rollout of the app, or because the app cannot be read.
const WAITS: Span = Span::minutes(24 * 60);

/// How long the list of apps is gone by.
const APPS_LAST: Span = Span::minutes(5);

/// The cursor's name in the journal.
const CURSOR: &str = "discovery";

/// What has been dealt with, as the journal keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Deploys that ended before this are dealt with, or are not ours to deal with.
    since: Time,
    /// Deploys since then that have been dealt with, with when they ended.
    handled: BTreeMap<String, Time>,
}

/// A deploy that begins a rollout.
#[derive(Debug)]
pub(super) struct Found {
    /// The first event.
    pub(super) opened: Event,
    /// The cursor that goes into the journal with it.
    pub(super) cursor: (String, String),
    deploy: (String, Time),
}

/// Asks the platform again and again.
pub(super) struct Discovery<P> {
    house: Arc<House<P>>,
    progress: Progress,
    apps: BTreeMap<AppName, App>,
    /// When they were read.
    read: Option<Time>,
    /// Deploys that were said once to be nobody's.
    said: BTreeSet<String>,
}

impl<P: Platform> Discovery<P> {
    /// Goes on from where the journal says.
    pub(super) async fn resume(house: Arc<House<P>>) -> Result<Self, crate::store::StoreError> {
        let now = house.clock.now();
        let kept = house.store.reader().cursor(CURSOR).await?;
        let progress = kept.and_then(|text| serde_json::from_str(&text).ok());
        let progress = progress.unwrap_or(Progress { since: now - FIRST, handled: BTreeMap::new() });
        Ok(Self { house, progress, apps: BTreeMap::new(), read: None, said: BTreeSet::new() })
    }

    /// One question; what it found. A deploy of an app whose rollout still runs waits for the next question.
    ///
    /// # Errors
    /// When the platform cannot be asked.
    pub(super) async fn ask(&mut self) -> Result<Vec<Found>, PlatformError> {
        let activity = self.house.platform.activity(None, self.progress.since - OVERLAP).await?;
        let mut found = Vec::new();
        // The earliest deploy that is still to be looked at.
        let mut waits = self.house.clock.now();
        for deploy in activity.iter().filter(|a| !a.ours && a.error.is_none()) {
            let (kind, canary, ended) = match (&deploy.kind, deploy.ended) {
                (ActivityKind::NewVersion { version: Some(version) }, Some(ended)) => {
                    (Kind::Beside, *version, ended)
                }
                (ActivityKind::Replaced { version: Some(version) }, Some(ended)) => {
                    (Kind::InPlace, *version, ended)
                }
                _ => continue,
            };
            if ended < self.progress.since || self.progress.handled.contains_key(&deploy.id) {
                continue;
            }
            if self.house.clock.now().since(ended) > WAITS {
                self.leave(deploy, ended, "it waited for a day, and could not be looked at");
                continue;
            }
            let overtaken = activity.iter().any(|a| {
                a.app == deploy.app
                    && a.started > deploy.started
                    && a.error.is_none()
                    && a.ended.is_some()
                    && replaces(a)
            });
            if overtaken {
                self.handled(deploy, ended);
            } else {
                waits = waits.min(ended);
                if self.house.running.of(&deploy.app).is_some() {
                    continue;
                }
                // What cannot be read of one app is no reason to overlook the others; it is asked again.
                let policy = self.policy_for(&deploy.app).await?;
                let opened = self.consider(deploy, kind, canary, ended, policy).await.unwrap_or_else(|error| {
                    if self.said.insert(format!("{}: {error}", deploy.id)) {
                        warn!(app = %deploy.app, deploy = deploy.id, "a new version is not looked at yet: {error}");
                    }
                    None
                });
                let Some(opened) = opened else { continue };
                let mut then = self.progress.clone();
                then.handled.insert(deploy.id.clone(), ended);
                found.push(Found { opened, cursor: cursor(&then), deploy: (deploy.id.clone(), ended) });
            }
        }
        self.forget_old(waits);
        Ok(found)
    }

    /// The rollout that a deploy begins; nothing if it begins none, or not yet.
    async fn consider(
        &mut self,
        deploy: &Activity,
        kind: Kind,
        canary: Version,
        ended: Time,
        policy: Option<Policy>,
    ) -> Result<Option<Event>, PlatformError> {
        let Some(policy) = policy else {
            self.leave(deploy, ended, "no policy is for it");
            return Ok(None);
        };
        let native = matches!(&policy.strategy, Strategy::Rolling(rolling) if rolling.native);
        match (kind, native) {
            (Kind::InPlace, true) => return self.in_place(deploy, canary, ended, policy).await,
            // What was deployed in place of everything is nobody's to roll out.
            (Kind::InPlace, false) => {
                self.handled(deploy, ended);
                return Ok(None);
            }
            (_, true) => {
                let why = format!("policy `{}` watches plain deploys, and this is one beside", policy.name);
                self.leave(deploy, ended, &why);
                return Ok(None);
            }
            (_, false) => {}
        }
        let observed = self.house.platform.observe(&deploy.app).await?;
        let waited = self.house.clock.now().since(ended);
        if !observed.units.iter().any(|u| u.version == canary) {
            if waited > SHOW_UP {
                self.leave(deploy, ended, "it has no units");
            }
            return Ok(None);
        }
        match baseline(&observed, canary) {
            Ok(baseline) => Ok(Some(Event::Opened {
                app: deploy.app.clone(),
                baseline,
                canary,
                trigger: deploy.id.clone(),
                deployed: deploy.started,
                policy: Box::new(policy),
                kind,
            })),
            Err(why) if waited > SHOW_UP => {
                self.leave(deploy, ended, &why);
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// A version that the platform rolled out by itself, and that is watched now.
    async fn in_place(
        &mut self,
        deploy: &Activity,
        canary: Version,
        ended: Time,
        policy: Policy,
    ) -> Result<Option<Event>, PlatformError> {
        match self.house.platform.replaced(&deploy.app, canary).await? {
            // Who went back to an earlier version did so for a reason.
            Some(baseline) if baseline < canary => Ok(Some(Event::Opened {
                app: deploy.app.clone(),
                baseline,
                canary,
                trigger: deploy.id.clone(),
                deployed: deploy.started,
                policy: Box::new(policy),
                kind: Kind::InPlace,
            })),
            Some(baseline) => {
                self.leave(deploy, ended, &format!("{canary} is older than {baseline}: somebody went back"));
                Ok(None)
            }
            None => {
                self.leave(deploy, ended, "no earlier version is known, so there is no way back");
                Ok(None)
            }
        }
    }

    async fn policy_for(&mut self, app: &AppName) -> Result<Option<Policy>, PlatformError> {
        // Apps move to other pools and teams.
        let now = self.house.clock.now();
        let old = self.read.is_none_or(|read| now.since(read) >= APPS_LAST || read > now);
        if old || !self.apps.contains_key(app) {
            self.read = Some(now);
            let apps = self.house.platform.apps().await?;
            self.apps = apps.into_iter().map(|a| (a.name.clone(), a)).collect();
        }
        let policies = self.house.policies.borrow().clone();
        let Some(app) = self.apps.get(app) else { return Ok(None) };
        Ok(policies.select(&app.name.0, &app.pool, &app.team).map(|policy| Policy::clone(policy)))
    }

    /// A deploy that begins no rollout.
    fn leave(&mut self, deploy: &Activity, ended: Time, why: &str) {
        if self.said.insert(deploy.id.clone()) {
            info!(app = %deploy.app, deploy = deploy.id, "a new version is not watched: {why}");
        }
        self.handled(deploy, ended);
    }

    fn handled(&mut self, deploy: &Activity, ended: Time) {
        self.progress.handled.insert(deploy.id.clone(), ended);
    }

    /// Moves the beginning on, so that what is kept stays small, but not beyond what `waits`.
    fn forget_old(&mut self, waits: Time) {
        let since = self.progress.since.max(waits.min(self.house.clock.now() - OVERLAP - FIRST));
        self.progress.since = since;
        self.progress.handled.retain(|_, ended| *ended >= since);
        if self.said.len() > 10_000 {
            self.said.clear();
        }
    }

    /// The rollout of a found deploy is in the journal.
    pub(super) fn began(&mut self, found: &Found) {
        let (deploy, ended) = found.deploy.clone();
        self.progress.handled.insert(deploy, ended);
    }

    /// Keeps how far it got, without a rollout.
    pub(super) async fn keep(&self) {
        let (name, value) = cursor(&self.progress);
        if let Err(error) = self.house.store.set_cursor(&name, &value).await {
            warn!("how far discovery got was not kept; some deploys may be looked at twice: {error}");
        } else {
            debug!("kept how far discovery got");
        }
    }
}

fn cursor(progress: &Progress) -> (String, String) {
    (CURSOR.to_owned(), serde_json::to_string(progress).unwrap_or_default())
}

/// Whether this took the place of every version that was deployed before it.
fn replaces(activity: &Activity) -> bool {
    matches!(activity.kind, ActivityKind::Replaced { .. } | ActivityKind::Removed)
}

/// The one version beside the canary that serves users.
fn baseline(observed: &Observed, canary: Version) -> Result<Version, String> {
    let serving: BTreeSet<Version> =
        observed.units.iter().filter(|u| u.routable && u.version != canary).map(|u| u.version).collect();
    let mut serving = serving.into_iter();
    match (serving.next(), serving.next()) {
        (Some(baseline), None) => Ok(baseline),
        (None, _) => Err("no other version serves, so there is nothing to compare it with".to_owned()),
        (Some(a), Some(b)) => {
            Err(format!("{a} and {b} both serve already; which one it should replace is not clear"))
        }
    }
}
