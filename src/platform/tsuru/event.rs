//! Tsuru's events: who did what to which app, when, and how it ended.
//!
//! The list has no custom data; a single event has. A deploy's custom data holds the whole app with its private
//! environment, so only the few keys that are needed are taken out of it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::app_info::time;
use super::failure::{Failure, shown};
use crate::platform::{Activity, ActivityKind, PlatformErrorKind};
use crate::words::{AppName, Time, Version};

/// One event as the list shows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Event {
    #[serde(rename = "UniqueID")]
    pub(super) id: String,
    start_time: String,
    #[serde(default)]
    end_time: String,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    pub(super) kind: Named,
    #[serde(default)]
    pub(super) owner: Named,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) running: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Target {
    r#type: String,
    value: String,
}

/// Something with a name: an event's kind or owner.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Named {
    pub(super) name: String,
}

/// What only a single event tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Detail {
    new_version: bool,
    version: Option<Version>,
    deletes_version: bool,
    /// The end of its log says that not all was done.
    pub(super) partly: bool,
}

impl Detail {
    /// Of a deploy or rollback: beside what runs or not, and the version that came of it.
    pub(crate) fn deploy(new_version: bool, version: Option<Version>) -> Self {
        Self { new_version, version, ..Self::default() }
    }

    /// Of any other call, by the names of its fields.
    pub(crate) fn form<'a>(mut names: impl Iterator<Item = &'a str>) -> Self {
        Self { deletes_version: names.any(|name| name == ":version"), ..Self::default() }
    }
}

/// Reads the answer to `GET /1.1/events`.
pub(super) fn read_list(json: &[u8]) -> Result<Vec<Event>, Failure> {
    let events: Option<Vec<Event>> = serde_json::from_slice(json).map_err(|e| unreadable(&e))?;
    Ok(events.unwrap_or_default())
}

/// Reads the answer to `GET /1.1/events/{id}`.
pub(super) fn read_one(json: &[u8]) -> Result<(Event, Detail), Failure> {
    let event: Event = serde_json::from_slice(json).map_err(|e| unreadable(&e))?;
    let single: Single = serde_json::from_slice(json).map_err(|e| unreadable(&e))?;
    let custom = single.custom_data.unwrap_or_default();
    let mut detail =
        Detail { partly: single.log.is_some_and(|log| log.contains(PARTLY)), ..Detail::default() };
    match custom.start {
        Some(Start::Form(fields)) => {
            detail = Detail { partly: detail.partly, ..Detail::form(fields.iter().map(|f| f.name.as_str())) };
        }
        Some(Start::Deploy { newversion, rollback, image }) => {
            let version = image.filter(|_| rollback).as_deref().and_then(version_of_image);
            detail = Detail { partly: detail.partly, ..Detail::deploy(newversion, version) };
        }
        Some(Start::Other(_)) | None => {}
    }
    if let Some(End::Deploy { image }) = custom.end {
        detail.version = version_of_image(&image).or(detail.version);
    }
    Ok((event, detail))
}

/// What a removal of a version that did not remove everything says at its end, with success.
pub(super) const PARTLY: &str = "Some errors occurred during removal";

impl Event {
    /// When it began.
    pub(super) fn started(&self) -> Time {
        time(&self.start_time).unwrap_or_default()
    }

    /// It happened to an app, rather than to a pool, a service or a user.
    pub(super) fn is_of_an_app(&self) -> bool {
        self.target.r#type == "app"
    }

    /// What its kind does not tell is in its custom data.
    pub(super) fn needs_detail(&self) -> bool {
        matches!(self.kind.name.as_str(), "app.deploy" | "app.update")
    }

    /// It deployed a version for good, in place of the others: it made what is the base now.
    pub(super) fn made_base(&self, detail: &Detail) -> Option<Version> {
        let good = !self.running && self.error.as_deref().unwrap_or_default().is_empty();
        (good && self.kind.name == "app.deploy" && !detail.new_version).then_some(detail.version).flatten()
    }

    /// As the rest of the daemon knows it. `owner` is who this daemon is.
    pub(super) fn activity(&self, detail: &Detail, owner: &str) -> Activity {
        let started = self.started();
        Activity {
            id: self.id.clone(),
            app: AppName(self.target.value.clone()),
            kind: activity_kind(&self.kind.name, detail),
            owner: self.owner.name.clone(),
            ours: !owner.is_empty() && self.owner.name == owner,
            started,
            ended: if self.running { None } else { Some(time(&self.end_time).unwrap_or(started)) },
            error: self.error.as_deref().filter(|e| !self.running && !e.is_empty()).map(shown),
        }
    }
}

/// What an event of this kind did to its app.
pub(crate) fn activity_kind(name: &str, detail: &Detail) -> ActivityKind {
    match name {
        "app.deploy" if detail.new_version => ActivityKind::NewVersion { version: detail.version },
        "app.deploy" => ActivityKind::Replaced { version: detail.version },
        "app.update.routable" => ActivityKind::Routed,
        // Removing a version removes its units; only its custom data tells it from an update of the app's settings.
        "app.update" if detail.deletes_version => ActivityKind::Stopped,
        "app.update.unit.add" | "app.update.unit.remove" => ActivityKind::Scaled,
        _ if name.starts_with("app.update.unit.autoscale") => ActivityKind::Scaled,
        "app.update.start" | "app.update.restart" | "app.update.unit.kill" => ActivityKind::Restarted,
        "app.update.stop" => ActivityKind::Stopped,
        // Binding a service sets the variables that lead to it.
        "app.update.env.set" | "app.update.env.unset" | "app.update.bind" | "app.update.unbind" => {
            ActivityKind::Environment
        }
        "app.delete" => ActivityKind::Removed,
        _ => ActivityKind::Other { name: shown(name) },
    }
}

/// The version that an image's tag names: `…/app-shop:v3`, `:v3`, `v3`.
pub(crate) fn version_of_image(image: &str) -> Option<Version> {
    let tag = image.rsplit_once(':').map_or(image, |(_, tag)| tag);
    let digits = tag.strip_prefix('v')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Version)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Single {
    #[serde(default)]
    custom_data: Option<CustomData>,
    #[serde(default)]
    log: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CustomData {
    start: Option<Start>,
    end: Option<End>,
}

/// An event's start data: the fields of a form, or the options of a deploy.
#[derive(Deserialize)]
#[serde(untagged)]
enum Start {
    /// The names alone: a field's value may be a secret.
    Form(Vec<Field>),
    Deploy {
        #[serde(default)]
        newversion: bool,
        #[serde(default)]
        rollback: bool,
        #[serde(default)]
        image: Option<String>,
    },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Field {
    name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum End {
    Deploy { image: String },
    Other(IgnoredAny),
}

/// The error says where, never what: the answer may hold secrets.
fn unreadable(error: &serde_json::Error) -> Failure {
    let message = format!(
        "Tsuru's answer about its events cannot be understood (line {}, column {})",
        error.line(),
        error.column()
    );
    Failure::new(PlatformErrorKind::Failed, message)
}

#[cfg(test)]
mod tests;
