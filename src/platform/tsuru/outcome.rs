//! How a change ended whose answer was lost.
//!
//! Tsuru works on when its client is gone, and records every change as an event. So the event is looked for among
//! this daemon's own of that kind, and waited for while it runs. The newest event before the change was sent tells
//! the new one apart, without trusting anybody's clock.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep};

use super::Pace;
use super::client::Client;
use super::event::{self, Event};
use super::failure::{self, Failure, shown};
use crate::platform::PlatformErrorKind;
use crate::words::AppName;

/// A change whose answer was lost.
pub(super) struct Lost<'a> {
    pub(super) app: &'a AppName,
    /// The kind of its event.
    pub(super) kind: &'a str,
    /// Who this daemon is.
    pub(super) owner: &'a str,
    /// The id of the newest such event before.
    pub(super) before: Option<String>,
    /// How the answer was lost.
    pub(super) why: String,
}

/// The id of this daemon's newest event of `kind` on `app`.
pub(super) async fn newest(
    client: &Client,
    app: &AppName,
    kind: &str,
    owner: &str,
) -> Result<Option<String>, Failure> {
    Ok(own_event(client, app, kind, owner).await?.map(|event| event.id))
}

async fn own_event(
    client: &Client,
    app: &AppName,
    kind: &str,
    owner: &str,
) -> Result<Option<Event>, Failure> {
    let query = [
        ("target.type", "app"),
        ("target.value", &app.0),
        ("kindname", kind),
        ("ownername", owner),
        ("sort", "-starttime"),
        ("limit", "1"),
    ];
    let body = client.read(&["1.1", "events"], &query).await?;
    let events = body.map_or(Ok(Vec::new()), |body| event::read_list(&body))?;
    Ok(events.into_iter().next())
}

/// Looks for the event of the lost change until it has ended, is not to be found, or `deadline` is over.
pub(super) async fn find(
    client: &Client,
    pace: &Pace,
    lost: &Lost<'_>,
    deadline: Instant,
) -> Result<(), Failure> {
    // Even a change that used up all its time is looked for: it may have ended just now.
    let patience = Instant::now() + pace.appears;
    let mut waits = pace.waits();
    loop {
        let (given_up, seen) = match own_event(client, lost.app, lost.kind, lost.owner).await {
            Ok(Some(event)) if Some(&event.id) != lost.before.as_ref() => {
                if !event.running {
                    return ended(client, &event).await;
                }
                (deadline, "Tsuru is still working on it")
            }
            Ok(_) => (patience, "Tsuru has no event of it"),
            Err(_) => (patience, "Tsuru could not be asked what became of it"),
        };
        let wait = waits.next().unwrap_or(pace.longest);
        if Instant::now() + wait > given_up {
            return Err(Failure::new(
                PlatformErrorKind::Unknown,
                format!("the answer was lost ({}), and {seen}", lost.why),
            ));
        }
        sleep(wait).await;
    }
}

/// How the change ended, by its event.
async fn ended(client: &Client, event: &Event) -> Result<(), Failure> {
    if let Some(error) = event.error.as_deref().filter(|error| !error.is_empty()) {
        return Err(failure::of_error_text(error, true));
    }
    // Only the removal of a version ends well without having done all.
    if event.kind.name == "app.update"
        && let Some(body) = client.read(&["1.1", "events", &event.id], &[]).await?
        && event::read_one(&body)?.1.partly
    {
        return Err(partly(&VecDeque::new()));
    }
    Ok(())
}

/// A removal that did not remove everything, though Tsuru calls it a success.
pub(super) fn partly(messages: &VecDeque<String>) -> Failure {
    let reason = messages.iter().find(|m| m.contains("Unable to"));
    let reason = reason.map_or(String::new(), |reason| format!(": `{}`", shown(reason)));
    Failure::new(PlatformErrorKind::Failed, format!("Tsuru could not remove all of it{reason}"))
}
