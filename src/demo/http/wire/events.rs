//! Events as the API shows them.

use serde::Serialize;
use serde_json::{Value, json};

use super::bson;
use crate::demo::tsuru::{Event, Start, rfc3339};
use crate::words::Time;

/// Go's zero time.
const ZERO: &str = "0001-01-01T00:00:00Z";

fn or_zero(time: Option<Time>) -> String {
    time.map_or_else(|| ZERO.to_owned(), rfc3339)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    r#type: &'static str,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    r#type: &'static str,
    value: String,
}

fn target(event: &Event) -> Target {
    Target { r#type: "app", value: event.app.clone() }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogEntry {
    date: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CancelInfo {
    owner: String,
    start_time: String,
    ack_time: String,
    reason: String,
    asked: bool,
    canceled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    ctx_type: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Allowed {
    scheme: &'static str,
    contexts: Option<Vec<Context>>,
}

fn allowed(scheme: &'static str, event: &Event) -> Allowed {
    let context = |ctx_type, value: &str| Context { ctx_type, value: value.to_owned() };
    let contexts =
        vec![context("team", &event.team), context("app", &event.app), context("pool", &event.pool)];
    Allowed { scheme, contexts: Some(contexts) }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    name: String,
    port: &'static str,
    #[serde(rename = "TLSPort")]
    tls_port: &'static str,
    addresses: [String; 1],
    last_update: String,
}

/// An event, as lists and webhooks show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::demo::http) struct EventData {
    #[serde(rename = "UniqueID")]
    unique_id: String,
    lock: Option<Target>,
    start_time: String,
    end_time: String,
    expire_at: &'static str,
    target: Target,
    extra_targets: Option<[(); 0]>,
    kind: Named,
    owner: Named,
    #[serde(rename = "SourceIP")]
    source_ip: String,
    lock_update_time: String,
    error: String,
    log: String,
    structured_log: Option<Vec<LogEntry>>,
    cancel_info: CancelInfo,
    cancelable: bool,
    running: bool,
    allowed: Allowed,
    allowed_cancel: Allowed,
    instance: Instance,
}

/// An event, as lists and webhooks show it.
pub(in crate::demo::http) fn event(event: &Event) -> EventData {
    let running = event.ended.is_none();
    // What is written is stored when the event ends.
    let structured_log = (!running && !event.lines.is_empty()).then(|| {
        event.lines.iter().map(|l| LogEntry { date: rfc3339(l.at), message: l.text.clone() }).collect()
    });
    let log = if running { String::new() } else { legacy_log(event) };
    let cancelable_kind = event.cancelable || event.cancel.is_some();
    EventData {
        unique_id: event.id.to_string(),
        lock: running.then(|| target(event)),
        start_time: rfc3339(event.started),
        end_time: or_zero(event.ended),
        expire_at: ZERO,
        target: target(event),
        extra_targets: None,
        kind: Named {
            r#type: if event.internal { "internal" } else { "permission" },
            name: event.kind.to_owned(),
        },
        owner: Named { r#type: event.owner.0, name: event.owner.1.clone() },
        source_ip: event.address.clone(),
        lock_update_time: rfc3339(event.stalled.or(event.ended).unwrap_or(event.started)),
        error: event.error.clone(),
        log,
        structured_log,
        cancel_info: cancel_info(event),
        cancelable: event.cancelable,
        running,
        allowed: allowed("app.read.events", event),
        allowed_cancel: if cancelable_kind {
            allowed("app.update.events", event)
        } else {
            Allowed { scheme: "", contexts: None }
        },
        instance: Instance {
            name: format!("tsurud-{}", event.replica),
            port: "8080",
            tls_port: "",
            addresses: [format!("10.0.0.{}", event.replica.saturating_add(9))],
            last_update: rfc3339(event.started),
        },
    }
}

/// The log as one text: each line with its date before it.
fn legacy_log(event: &Event) -> String {
    event.lines.iter().flat_map(|l| [log_date(l.at), ": ".to_owned(), l.text.clone()]).collect()
}

fn log_date(time: Time) -> String {
    let text = rfc3339(Time(time.0 / 1000 * 1000));
    text.replace('T', " ").replace('Z', " +0000")
}

fn cancel_info(event: &Event) -> CancelInfo {
    let cancel = event.cancel.as_ref();
    CancelInfo {
        owner: cancel.map(|c| c.owner.clone()).unwrap_or_default(),
        start_time: or_zero(cancel.map(|c| c.at)),
        ack_time: or_zero(cancel.and_then(|c| c.acknowledged)),
        reason: cancel.map(|c| c.reason.clone()).unwrap_or_default(),
        asked: cancel.is_some(),
        canceled: cancel.is_some_and(|c| c.acknowledged.is_some()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    kind: u8,
    data: Option<String>,
}

fn raw(value: Option<&Value>) -> Raw {
    Raw { kind: value.map_or(0, bson::kind), data: value.map(bson::base64_document) }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CustomData {
    start: Option<Value>,
    end: Option<Value>,
    other: Option<Value>,
}

/// An event with its custom data, as it is shown alone.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventInfo {
    #[serde(flatten)]
    event: EventData,
    start_custom_data: Raw,
    end_custom_data: Raw,
    other_custom_data: Raw,
    custom_data: CustomData,
}

/// An event with its custom data. As on Tsuru, the data of a deploy's start holds the whole app, private environment
/// included.
pub(in crate::demo::http) fn event_info(shown: &Event) -> impl Serialize + use<> {
    let start = start_data(shown);
    // The image is told also where the deploy failed; it is empty then.
    let end =
        shown.end_image.as_ref().filter(|_| shown.ended.is_some()).map(|image| json!({ "image": image }));
    EventInfo {
        event: event(shown),
        start_custom_data: raw(Some(&start)),
        end_custom_data: raw(end.as_ref()),
        other_custom_data: raw(None),
        custom_data: CustomData { start: Some(start), end, other: None },
    }
}

/// What the event was told at its start.
fn start_data(event: &Event) -> Value {
    match &event.start {
        Start::Form(fields) => {
            fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        }
        Start::Unit { unit, force } => json!([{ "unit": unit, "force": force }]),
        Start::Deploy { image, origin, message, rollback, new_version, override_versions, user } => json!({
            "app": {
                "name": event.app,
                "pool": event.pool,
                "teamowner": event.team,
                "env": { "DATABASE_PASSWORD": {
                    "name": "DATABASE_PASSWORD", "value": "emulated-secret", "public": false,
                }},
            },
            "commit": "",
            "buildtag": "",
            "archiveurl": "",
            "dockerfile": "",
            "filesize": 0,
            "user": user,
            "image": image,
            "origin": origin,
            "kind": if *rollback { "rollback" } else { "image" },
            "message": message,
            "rollback": rollback,
            "build": false,
            "newversion": new_version,
            "overrideversions": override_versions,
        }),
    }
}
