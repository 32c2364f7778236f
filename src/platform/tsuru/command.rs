//! Each command as the call that Tsuru has for it.
//!
//! Paths carry the exact version prefix under which Tsuru registers the call, since others are unknown to it and
//! none may lead to another call. Versions are named `:vN`: Tsuru matches a name by the end of a version's image, so
//! a bare `1` would mean v1 or v11 by chance.

use reqwest::Method;
use serde_json::json;

use super::client::{Body, Change};
use super::config::Deadlines;
use crate::rollout::Command;
use crate::words::{AppName, Span, Version};

/// How often a command that may be repeated is tried when the cluster reports two writers at once.
pub(super) const TRIES: u32 = 6;

/// What to send for `command`.
pub(super) fn change(app: &AppName, command: &Command) -> Change {
    match command {
        Command::Route { version } => routable(app, *version, true),
        Command::Unroute { version } => routable(app, *version, false),
        Command::AddUnits { version, process, count } => {
            let fields = units(*version, process, *count);
            to(Method::PUT, &["1.0", "apps", &app.0, "units"], Body::Form(fields))
        }
        Command::RemoveUnits { version, process, count } => {
            let change = to(Method::DELETE, &["1.0", "apps", &app.0, "units"], Body::Nothing);
            // Tsuru does not read the body of a DELETE.
            Change { query: units(*version, process, *count), ..change }
        }
        Command::MakeOnly { version } => {
            let fields = vec![
                ("image", selector(*version)),
                ("origin", "rollback".to_owned()),
                ("override-versions", "true".to_owned()),
            ];
            to(Method::POST, &["1.0", "apps", &app.0, "deploy", "rollback"], Body::Form(fields))
        }
        Command::Delete { version } => {
            to(Method::DELETE, &["1.10", "apps", &app.0, "versions", &selector(*version)], Body::Nothing)
        }
        Command::MoveAutoscalers { version } => {
            // The only call that takes the bare number.
            let fields = vec![("version", version.0.to_string())];
            to(Method::POST, &["1.29", "apps", &app.0, "units", "autoscale", "swap"], Body::Form(fields))
        }
        Command::SuspendAutoscaler { process } => {
            // Under another prefix, or none, it would remove a unit named `autoscale`.
            let change = to(Method::DELETE, &["1.9", "apps", &app.0, "units", "autoscale"], Body::Nothing);
            Change { query: vec![("process", process.clone())], ..change }
        }
        Command::RestoreAutoscaler { autoscaler } => {
            let spec = Body::Json(serde_json::from_str(&autoscaler.spec).unwrap_or_default());
            to(Method::POST, &["1.9", "apps", &app.0, "units", "autoscale"], spec)
        }
        Command::Quarantine { version, reason } => {
            let reason = if reason.trim().is_empty() { "rolled back" } else { reason };
            let fields = vec![
                ("image", selector(*version)),
                ("disable", "true".to_owned()),
                ("reason", reason.to_owned()),
            ];
            to(Method::PUT, &["1.4", "apps", &app.0, "deploy", "rollback", "update"], Body::Form(fields))
        }
    }
}

/// The kind of the event that Tsuru records for `command`.
pub(super) fn event_kind(command: &Command) -> &'static str {
    match command {
        Command::Route { .. } | Command::Unroute { .. } => "app.update.routable",
        Command::AddUnits { .. } => "app.update.unit.add",
        Command::RemoveUnits { .. } => "app.update.unit.remove",
        Command::MakeOnly { .. } => "app.deploy",
        Command::Delete { .. } => "app.update",
        Command::MoveAutoscalers { .. } => "app.update.unit.autoscale.swap",
        Command::SuspendAutoscaler { .. } => "app.update.unit.autoscale.remove",
        Command::RestoreAutoscaler { .. } => "app.update.unit.autoscale.add",
        Command::Quarantine { .. } => "app.update.deploy.rollback",
    }
}

/// The permission that `command` takes.
pub(super) fn permission(command: &Command) -> &'static str {
    match command {
        Command::MakeOnly { .. } => "app.deploy.rollback",
        _ => event_kind(command),
    }
}

/// How long `command` may take in all.
pub(super) fn deadline(command: &Command, deadlines: &Deadlines) -> Span {
    match command {
        Command::Route { .. }
        | Command::Unroute { .. }
        | Command::MoveAutoscalers { .. }
        | Command::SuspendAutoscaler { .. }
        | Command::RestoreAutoscaler { .. }
        | Command::Quarantine { .. } => deadlines.quick,
        Command::AddUnits { .. } | Command::RemoveUnits { .. } | Command::Delete { .. } => deadlines.units,
        Command::MakeOnly { .. } => deadlines.replace,
    }
}

/// `command` as something that is being done, for errors.
pub(super) fn action(app: &AppName, command: &Command) -> String {
    let what = match command {
        Command::Route { version } => format!("routing users to {version}"),
        Command::Unroute { version } => format!("taking {version} out of routing"),
        Command::AddUnits { version, process, count } => {
            format!("adding {count} `{process}` unit(s) of {version}")
        }
        Command::RemoveUnits { version, process, count } => {
            format!("removing {count} `{process}` unit(s) of {version}")
        }
        Command::MakeOnly { version } => format!("making {version} the only version"),
        Command::Delete { version } => format!("deleting {version}"),
        Command::MoveAutoscalers { version } => format!("letting the autoscalers change {version}"),
        Command::SuspendAutoscaler { process } => format!("removing the autoscaler of `{process}`"),
        Command::RestoreAutoscaler { autoscaler } => {
            format!("restoring the autoscaler of `{}`", autoscaler.process)
        }
        Command::Quarantine { version, .. } => format!("quarantining {version}"),
    };
    format!("{what} of app `{app}`")
}

/// The name of a version that no other can be meant with: `:v2`.
pub(crate) fn selector(version: Version) -> String {
    format!(":{version}")
}

fn units(version: Version, process: &str, count: u32) -> Vec<(&'static str, String)> {
    vec![("units", count.to_string()), ("process", process.to_owned()), ("version", selector(version))]
}

/// As JSON, where a key that Tsuru cannot read is an error; in a form it would silently mean "not routable".
fn routable(app: &AppName, version: Version, is_routable: bool) -> Change {
    let body = json!({"version": selector(version), "isRoutable": is_routable});
    to(Method::POST, &["1.8", "apps", &app.0, "routable"], Body::Json(body))
}

fn to(method: Method, path: &[&str], body: Body) -> Change {
    Change { method, path: path.iter().map(|&s| s.to_owned()).collect(), query: Vec::new(), body }
}
