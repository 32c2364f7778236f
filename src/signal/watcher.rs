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
/// The looks that a source is asked for: fewer do not tell how noisy a signal is, however far apart they are, and more are not
/// needed.
const LEAST: u32 = 30;
const MOST: u32 = 720;
/// The most looks that are kept, here or elsewhere.
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
    /// What is not kept elsewhere yet.
    looks: VecDeque<Look>,
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
        if self.source.remembers() {
            return Ok(Vec::new());
        }
        if self.watched.as_ref().is_none_or(|watched| watched.version != version) {
            let gatherer = Gatherer::new(&self.policy, self.subject(version, now), Arc::clone(&self.source))?;
            self.watched = Some(Watched { version, gatherer, looks: VecDeque::new() });
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

    /// The version that is watched, and the looks that are not kept elsewhere yet, oldest first.
    #[must_use]
    pub fn unkept(&self) -> Option<(Version, Vec<Look>)> {
        let watched = self.watched.as_ref()?;
        let looks: Vec<Look> = watched.looks.iter().cloned().collect();
        (!looks.is_empty()).then_some((watched.version, looks))
    }

    /// All looks up to this time are kept elsewhere, so they are forgotten here: an hour of looks at hundreds of apps would
    /// fill the memory.
    pub fn forget(&mut self, until: f64) {
        if let Some(watched) = &mut self.watched {
            watched.looks.retain(|look| look.at > until);
        }
    }

    /// Forgets all that was seen, until the next look. A rollout has its own.
    pub fn cease(&mut self) {
        self.watched = None;
    }

    /// How many looks, so far apart, a source is asked for: an hour's, and more where these are few.
    #[must_use]
    pub fn looks(every: Span) -> u32 {
        u32::try_from(REACH.0 / every.0.max(1)).unwrap_or(MOST).clamp(LEAST, MOST)
    }

    /// How far back looks that were kept count.
    #[must_use]
    pub fn reach(policy: &Policy) -> Span {
        REACH.max(Span(policy.look_every.0.saturating_mul(KEPT as u64)))
    }

    /// The past of `version` up to `now` as looks at the baseline alone, oldest first, and what went wrong; of units that are
    /// scraped, what is not kept elsewhere yet.
    pub async fn history(&self, version: Version, now: Time) -> (Vec<Look>, Vec<String>) {
        match &*self.source {
            Source::Prometheus(prometheus) => {
                let every = self.policy.look_every.max(Span(1));
                let looks = Self::looks(every);
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
