//! What was done to apps, from Tsuru's events.
//!
//! Tsuru lists events by their start only. One that began before the asked time and ended after it would never be
//! seen to end, so those that were seen running are remembered and asked for again. Details of events that ended
//! never change, so they are read once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::client::Client;
use super::event::{self, Detail, Event};
use super::failure::Failure;
use crate::platform::{Activity, PlatformErrorKind};
use crate::words::{AppName, Span, Time, Version};

/// Events asked for at once; a page with long logs that is too large is asked for in smaller ones.
const PAGES: [usize; 3] = [50, 5, 1];

/// The most events that one call goes through.
const MOST: usize = 5000;

/// How many details are remembered.
const REMEMBERED: usize = 2000;

/// How many deploys are looked at for the one that made the base.
const DEPLOYS: usize = 30;

/// What is remembered between calls.
#[derive(Default)]
pub(super) struct History {
    details: Mutex<Details>,
    /// Events that were seen running, until they ended before what is asked for.
    open: Mutex<HashMap<String, Activity>>,
}

#[derive(Default)]
struct Details {
    by_id: HashMap<String, Detail>,
    oldest_first: VecDeque<String>,
}

impl History {
    /// What was done since `since`, with what still runs, oldest first.
    pub(super) async fn activity(
        &self,
        client: &Client,
        app: Option<&AppName>,
        since: Time,
        owner: &str,
    ) -> Result<Vec<Activity>, Failure> {
        let since_text = rfc3339(since);
        let mut events = BTreeMap::new();
        for filter in [("since", since_text.as_str()), ("running", "true")] {
            for event in list(client, app, &[filter], MOST).await? {
                events.insert(event.id.clone(), event);
            }
        }
        let mut found = BTreeMap::new();
        for (id, event) in events.into_iter().filter(|(_, event)| event.is_of_an_app()) {
            let detail = self.detail(client, &event).await?;
            found.insert(id, event.activity(&detail, owner));
        }
        for activity in self.still_open(app, since, &found) {
            let (id, old) = (activity.id.clone(), activity);
            let activity =
                if old.ended.is_none() { self.again(client, &id, owner).await? } else { Some(old) };
            if let Some(activity) = activity {
                found.insert(id, activity);
            } else {
                self.open_events().remove(&id);
            }
        }
        let mut found: Vec<Activity> = found.into_values().collect();
        found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        self.remember(&found);
        Ok(found)
    }

    /// The version of the newest deploy that succeeded in place of the others.
    pub(super) async fn base(&self, client: &Client, app: &AppName) -> Result<Option<Version>, Failure> {
        for event in list(client, Some(app), &[("kindname", "app.deploy")], DEPLOYS).await? {
            let detail = self.detail(client, &event).await?;
            if let Some(version) = event.made_base(&detail) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    async fn detail(&self, client: &Client, event: &Event) -> Result<Detail, Failure> {
        if !event.needs_detail() {
            return Ok(Detail::default());
        }
        let known = self.details.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(&event.id).cloned();
        if let Some(detail) = known {
            return Ok(detail);
        }
        let Some((fresh, detail)) = one(client, &event.id).await? else { return Ok(Detail::default()) };
        if !event.running && !fresh.running {
            self.details.lock().unwrap_or_else(PoisonError::into_inner).keep(&event.id, &detail);
        }
        Ok(detail)
    }

    async fn again(&self, client: &Client, id: &str, owner: &str) -> Result<Option<Activity>, Failure> {
        Ok(one(client, id).await?.map(|(event, detail)| event.activity(&detail, owner)))
    }

    /// Events that were seen running before, are not among `found`, and did not end before `since`.
    fn still_open(
        &self,
        app: Option<&AppName>,
        since: Time,
        found: &BTreeMap<String, Activity>,
    ) -> Vec<Activity> {
        let mut open = self.open_events();
        // Others may ask for an earlier time, so an end is remembered for a while.
        open.retain(|_, a| a.ended.is_none_or(|ended| ended + Span::minutes(60) >= since));
        open.values()
            .filter(|a| app.is_none_or(|app| a.app == *app) && !found.contains_key(&a.id))
            .filter(|a| a.ended.is_none_or(|ended| ended >= since))
            .cloned()
            .collect()
    }

    fn remember(&self, found: &[Activity]) {
        let mut open = self.open_events();
        for activity in found {
            if activity.ended.is_none() || open.contains_key(&activity.id) {
                open.insert(activity.id.clone(), activity.clone());
            }
        }
    }

    fn open_events(&self) -> std::sync::MutexGuard<'_, HashMap<String, Activity>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Details {
    fn keep(&mut self, id: &str, detail: &Detail) {
        if self.by_id.insert(id.to_owned(), detail.clone()).is_none() {
            self.oldest_first.push_back(id.to_owned());
        }
        while self.oldest_first.len() > REMEMBERED {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }
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
