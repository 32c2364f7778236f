//! What was done to apps, from Tsuru's events.
//!
//! The daemon asks every few seconds for what was done in the last hour, of all apps. So what has ended is
//! remembered, and Tsuru is asked only for what began since the newest known event, and for what still runs. Tsuru
//! lists events by their start; one that was seen running and is in neither list is asked for by its id, so that
//! its end is not missed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::client::Client;
use super::event::{self, Detail, Event};
use super::failure::Failure;
use crate::platform::{Activity, PlatformErrorKind};
use crate::words::{AppName, Span, Time, Version};

/// Events asked for at once; a page with long logs that is too large is asked for in smaller ones.
const PAGES: [usize; 3] = [50, 5, 1];

/// The most events that one call goes through.
const MOST: usize = 5000;

/// How far before the newest known event Tsuru is asked again: its servers' clocks may differ so much.
const OVERLAP: Span = Span::minutes(2);

/// How long before the asked time events are remembered, for one who asks for an earlier time.
const KEPT: Span = Span::minutes(60);

/// Of how many apps events are remembered; all are forgotten beyond it.
const APPS: usize = 10_000;

/// How many deploys are looked at for the one that made the base.
const DEPLOYS: usize = 30;

/// What is remembered between calls, by the app that was asked for; nothing: all apps.
#[derive(Default)]
pub(super) struct History {
    memories: Mutex<HashMap<Option<AppName>, Memory>>,
}

/// Every event that ended or began since `from`, as far as they are known.
#[derive(Clone)]
struct Memory {
    from: Time,
    events: BTreeMap<String, Activity>,
}

impl History {
    /// What was done since `since` (began or ended then, or still runs), oldest first. It is `now`.
    pub(super) async fn activity(
        &self,
        client: &Client,
        app: Option<&AppName>,
        since: Time,
        now: Time,
        owner: &str,
    ) -> Result<Vec<Activity>, Failure> {
        let known = self.recall(app, since);
        let newest = known.events.values().map(|a| a.started).max().unwrap_or(since);
        // An event that claims to be of the future must not hide those that come before it.
        let ask_since = rfc3339(since.max(newest.min(now) - OVERLAP));
        let mut listed = BTreeMap::new();
        for filter in [("since", ask_since.as_str()), ("running", "true")] {
            let events = list(client, app, &[filter], MOST).await?;
            listed.extend(
                events.into_iter().filter(Event::is_of_an_app).map(|event| (event.id.clone(), event)),
            );
        }
        let mut fresh = Vec::new();
        for event in listed.values() {
            match known.events.get(&event.id) {
                Some(known) if known.ended.is_some() => {}
                _ => fresh.push(event.activity(&detail(client, event).await?, owner)),
            }
        }
        for open in known.events.values().filter(|a| a.ended.is_none() && !listed.contains_key(&a.id)) {
            // An event that is gone without an end has no place among those that still run.
            let (event, detail) = one(client, &open.id).await?.unzip();
            let now = event.zip(detail).map(|(event, detail)| event.activity(&detail, owner));
            fresh.push(now.unwrap_or_else(|| Activity { ended: Some(open.started), ..open.clone() }));
        }
        Ok(self.remember(app, since, known, fresh))
    }

    /// What is known of `app` since `since`.
    fn recall(&self, app: Option<&AppName>, since: Time) -> Memory {
        let memories = self.memories();
        let known = memories.get(&app.cloned()).filter(|memory| memory.from <= since);
        known.cloned().unwrap_or(Memory { from: since, events: BTreeMap::new() })
    }

    /// Adds what is new to what is known, and gives what concerns the time since `since`.
    fn remember(
        &self,
        app: Option<&AppName>,
        since: Time,
        mut known: Memory,
        fresh: Vec<Activity>,
    ) -> Vec<Activity> {
        known.events.extend(fresh.into_iter().map(|a| (a.id.clone(), a)));
        known.from = known.from.max(since - KEPT);
        known.events.retain(|_, a| concerns(a, known.from));
        let mut found: Vec<Activity> =
            known.events.values().filter(|a| concerns(a, since)).cloned().collect();
        found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        let mut memories = self.memories();
        if memories.len() >= APPS && !memories.contains_key(&app.cloned()) {
            memories.clear();
        }
        memories.insert(app.cloned(), known);
        found
    }

    fn memories(&self) -> MutexGuard<'_, HashMap<Option<AppName>, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the newest deploy that succeeded in place of the others.
    pub(super) async fn base(client: &Client, app: &AppName) -> Result<Option<Version>, Failure> {
        for event in list(client, Some(app), &[("kindname", "app.deploy")], DEPLOYS).await? {
            let detail = detail(client, &event).await?;
            if let Some(version) = event.made_base(&detail) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// The version of the newest deploy in place of the others that came before the one of `version`.
    pub(super) async fn before(
        client: &Client,
        app: &AppName,
        version: Version,
    ) -> Result<Option<Version>, Failure> {
        let mut seen = false;
        for event in list(client, Some(app), &[("kindname", "app.deploy")], DEPLOYS).await? {
            let detail = detail(client, &event).await?;
            match event.made_base(&detail) {
                Some(made) if made == version => seen = true,
                Some(made) if seen => return Ok(Some(made)),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// It began or ended since `since`, or still runs.
fn concerns(activity: &Activity, since: Time) -> bool {
    activity.started >= since || activity.ended.is_none_or(|ended| ended >= since)
}

/// What only the single event tells, where its kind needs it.
async fn detail(client: &Client, event: &Event) -> Result<Detail, Failure> {
    if !event.needs_detail() {
        return Ok(Detail::default());
    }
    Ok(one(client, &event.id).await?.map(|(_, detail)| detail).unwrap_or_default())
}

/// The events that `filter` selects, newest first, `most` at most.
async fn list(
    client: &Client,
    app: Option<&AppName>,
    filter: &[(&str, &str)],
    most: usize,
) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    let mut sizes = PAGES.into_iter();
    let mut size = sizes.next().unwrap_or(1).min(most);
    loop {
        let (limit, skip) = (size.to_string(), events.len().to_string());
        let mut query =
            vec![("target.type", "app"), ("sort", "-starttime"), ("limit", &limit), ("skip", &skip)];
        query.extend(app.map(|app| ("target.value", app.0.as_str())));
        query.extend(filter);
        let page = match client.read(&["1.1", "events"], &query).await {
            Ok(None) => return Ok(events),
            Ok(Some(body)) => event::read_list(&body)?,
            Err(failure) if failure.kind == PlatformErrorKind::Failed => match sizes.next() {
                Some(smaller) => {
                    size = smaller;
                    continue;
                }
                None => return Err(failure),
            },
            Err(failure) => return Err(failure),
        };
        let last = page.len() < size;
        events.extend(page);
        if last {
            return Ok(events);
        }
        if events.len() >= most {
            tracing::warn!(most, "Tsuru lists more events than are read at once; the oldest are left out");
            return Ok(events);
        }
    }
}

/// One event with its details; nothing if it is gone.
async fn one(client: &Client, id: &str) -> Result<Option<(Event, Detail)>, Failure> {
    match client.read(&["1.1", "events", id], &[]).await {
        Ok(Some(body)) => event::read_one(&body).map(Some),
        Ok(None) => Ok(None),
        Err(failure) if failure.message.contains("event not found") => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn rfc3339(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0.max(0)).unwrap_or(jiff::Timestamp::MAX).to_string()
}
