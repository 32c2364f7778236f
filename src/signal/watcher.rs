//! Watches an app between rollouts, so that the noise of its signals is known when one begins.

use std::collections::VecDeque;
use std::sync::Arc;

use super::gatherer::Gatherer;
use super::meter::{Meter, MeterError};
use super::prometheus::Past;
use super::source::{Source, Subject};
use crate::judge::Look;
use crate::policy::Policy;
use crate::rollout::Observed;
use crate::words::{AppName, Arms, Span, Time, Version};

/// How far back a history reaches.
const REACH: Span = Span::minutes(60);
/// The most looks that a source is asked for.
const MOST: u32 = 720;
/// The most looks that are kept here.
const KEPT: usize = 240;
/// How long a source may take to tell a history; a rollout waits for it.
const PATIENCE: Span = Span::seconds(30);

/// The past of one app's baseline: what a source remembers, or what was seen while nothing was rolled out.
#[derive(Debug)]
pub struct Watcher {
    policy: Policy,
    app: AppName,
    source: Arc<Source>,
    meters: Vec<Meter>,
    /// What is being watched; nothing before the first time.
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    version: Version,
    gatherer: Gatherer,
    looks: VecDeque<Look>,
    /// The time of the last look that is kept elsewhere.
    kept: f64,
}

impl Watcher {
    /// A watcher that has seen nothing yet.
    ///
    /// # Errors
    /// Where a signal of the policy cannot be read; a policy that was checked has none.
    pub fn new(policy: Policy, app: AppName, source: Arc<Source>) -> Result<Self, MeterError> {
        let meters = policy.signals.iter().map(Meter::new).collect::<Result<_, _>>()?;
        Ok(Self { policy, app, source, meters, watched: None })
    }

    /// Looks at the units of `version`, to be called every [`Policy::look_every`] while nothing is rolled out. Returns
    /// what went wrong. What was seen of another version is forgotten; a source that remembers is not asked.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn watch(
        &mut self,
        version: Version,
        observed: &Observed,
        now: Time,
    ) -> Result<Vec<String>, MeterError> {
        if matches!(*self.source, Source::Prometheus(_)) {
            return Ok(Vec::new());
        }
        if self.watched.as_ref().is_none_or(|watched| watched.version != version) {
            let gatherer = Gatherer::new(&self.policy, self.subject(version, now), Arc::clone(&self.source))?;
            self.watched = Some(Watched { version, gatherer, looks: VecDeque::new(), kept: f64::MIN });
        }
        let Some(watched) = &mut self.watched else { return Ok(Vec::new()) };
        let gathered = watched.gatherer.gather(observed, now).await;
        if !gathered.signals.is_empty() {
            watched.looks.push_back(Look { at: now.seconds(), share: None, signals: gathered.signals });
        }
        if watched.looks.len() > KEPT {
            watched.looks.pop_front();
        }
        Ok(gathered.notes)
    }

    /// Goes on from looks at `version` that were kept, oldest first.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn recall(&mut self, version: Version, looks: Vec<Look>, now: Time) -> Result<(), MeterError> {
        let gatherer = Gatherer::new(&self.policy, self.subject(version, now), Arc::clone(&self.source))?;
        let kept = looks.last().map_or(f64::MIN, |look| look.at);
        self.watched = Some(Watched { version, gatherer, looks: looks.into(), kept });
        Ok(())
    }

    /// The version that is watched, and the looks that are not kept elsewhere yet, oldest first.
    #[must_use]
    pub fn unkept(&self) -> Option<(Version, Vec<Look>)> {
        let watched = self.watched.as_ref()?;
        let looks: Vec<Look> = watched.looks.iter().filter(|look| look.at > watched.kept).cloned().collect();
        (!looks.is_empty()).then_some((watched.version, looks))
    }

    /// All looks up to this time are kept elsewhere.
    pub fn keep(&mut self, until: f64) {
        if let Some(watched) = &mut self.watched {
            watched.kept = watched.kept.max(until);
        }
    }

    /// How far back looks that were kept count.
    #[must_use]
    pub fn reach(policy: &Policy) -> Span {
        REACH.max(Span(policy.look_every.0.saturating_mul(KEPT as u64)))
    }

    /// The past of `version` up to `now` as looks at the baseline alone, oldest first, and what went wrong.
    pub async fn history(&self, version: Version, now: Time) -> (Vec<Look>, Vec<String>) {
        match &*self.source {
            Source::Prometheus(prometheus) => {
                let every = self.policy.look_every.max(Span(1));
                let looks = u32::try_from(REACH.0 / every.0).unwrap_or(MOST).clamp(1, MOST);
                let past = Past { until: now, every, looks };
                let subject = self.subject(version, now);
                let asking = prometheus.history(&subject, &self.meters, past);
                tokio::time::timeout(PATIENCE.as_duration(), asking).await.unwrap_or_else(|_| {
                    (Vec::new(), vec![format!("history: Prometheus did not tell it within {PATIENCE}")])
                })
            }
            Source::Scrape(_) => {
                let watched = self.watched.iter().filter(|watched| watched.version == version);
                let looks = watched.flat_map(|watched| watched.looks.iter().cloned());
                (looks.filter(|look| look.at <= now.seconds()).collect(), Vec::new())
            }
        }
    }

    fn subject(&self, version: Version, since: Time) -> Subject {
        let versions = Arms { baseline: Some(version), canary: None };
        Subject { app: self.app.clone(), versions, since }
    }
}
