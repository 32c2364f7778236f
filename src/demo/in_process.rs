//! The emulated Tsuru without HTTP, as the adapter for Tsuru understands the real one.
//!
//! Whole rollouts are simulated against the core in virtual time, thousands a second; over HTTP that would take too long.
//! So the core's apps, events and acts are translated here straight to what [`crate::platform::tsuru`] makes of Tsuru's
//! answers, and a test holds the two against each other over real HTTP. What a refusal or an error means is
//! [`crate::platform::tsuru`]'s own word.

use std::sync::Arc;

use serde_json::Value;

use super::http::{autoscales, gaps};
use super::tsuru::{Act, Deploy, Event, Look, Phase, Pod, Slot, Start};
use crate::platform::tsuru::{Detail, activity_kind, autoscaler, read_gaps, selector, version_of_image};
use crate::platform::{Activity, PlatformErrorKind};
use crate::rollout::{Command, Observed, Unit};
use crate::words::{AppName, Time, Version};

/// An app as a reader sees it, asked at `at`; `read` is [`units`], or something that remembers what that said.
///
/// # Errors
/// The units could not be listed; with what that means and the words for it.
pub fn observed(
    look: &Look<'_>,
    at: Time,
    read: impl FnOnce(&[Pod]) -> Arc<[Unit]>,
) -> Result<Observed, (PlatformErrorKind, String)> {
    // Most looks lack nothing, and a simulation takes very many.
    let mut missing = Vec::new();
    if look.pods.is_none() || !look.autoscale || !look.quota || look.hosts.is_none() {
        missing = read_gaps(&gaps(look))?;
    }
    let specs = if look.autoscale { autoscales(look.app) } else { None };
    let specs = specs.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let quota = look.app.spec.quota.filter(|_| look.quota);
    Ok(Observed {
        at,
        units: read(look.pods.unwrap_or_default()),
        autoscaled: specs.iter().filter_map(autoscaler).collect(),
        quota_left: quota.map(|quota| quota.saturating_sub(look.app.units_in_use())),
        gaps: missing,
    })
}

/// The units that these pods are.
#[must_use]
pub fn units(pods: &[Pod]) -> Arc<[Unit]> {
    pods.iter().map(unit).collect()
}

/// A unit. It follows from the pod's name, address, phase, restarts and labels.
fn unit(pod: &Pod) -> Unit {
    let (status, reason) = pod.status();
    Unit {
        name: pod.name.clone(),
        process: pod.key.process.clone(),
        version: Version(pod.version),
        // A pod gets its address with its container.
        address: (pod.phase != Phase::Pending).then(|| pod.address.to_string()),
        ready: pod.phase == Phase::Ready,
        routable: pod.routable,
        base: pod.key.slot == Slot::Base,
        status: if reason.is_empty() { status.to_owned() } else { format!("{status}: {reason}") },
        restarts: pod.restarts,
        created: Some(Time(pod.created.0 / 1000 * 1000)),
    }
}

/// An event, for a daemon that Tsuru knows as `owner`.
#[must_use]
pub fn activity(event: &Event, owner: &str) -> Activity {
    let ended = event.end_image.as_deref().filter(|_| event.ended.is_some()).and_then(version_of_image);
    let detail = match &event.start {
        Start::Deploy { new_version, rollback, image, .. } => {
            Detail::deploy(*new_version, ended.or_else(|| version_of_image(image).filter(|_| *rollback)))
        }
        Start::Form(fields) => Detail::form(fields.iter().map(|(name, _)| name.as_str())),
        Start::Unit { .. } => Detail::default(),
    };
    Activity {
        id: event.id.to_string(),
        app: AppName(event.app.clone()),
        kind: activity_kind(event.kind, &detail),
        owner: event.owner.1.clone(),
        ours: !owner.is_empty() && event.owner.1 == owner,
        started: event.started,
        ended: event.ended,
        error: Some(event.error.as_str())
            .filter(|e| event.ended.is_some() && !e.is_empty())
            .map(crate::platform::tsuru::shown),
    }
}

/// What a command asks of Tsuru.
#[must_use]
pub fn act(command: &Command) -> Act {
    match command {
        Command::Route { version } => Act::Routable { version: selector(*version), routable: true },
        Command::Unroute { version } => Act::Routable { version: selector(*version), routable: false },
        Command::AddUnits { version, process, count } => {
            Act::AddUnits { units: *count, process: process.clone(), version: selector(*version) }
        }
        Command::RemoveUnits { version, process, count } => {
            Act::RemoveUnits { units: *count, process: process.clone(), version: selector(*version) }
        }
        Command::MakeOnly { version } => Act::Rollback(Deploy {
            image: selector(*version),
            origin: "rollback".to_owned(),
            override_versions: true,
            ..Deploy::default()
        }),
        Command::Delete { version } => Act::DeleteVersion { version: selector(*version) },
        Command::MoveAutoscalers { version } => Act::SwapAutoscale { version: version.0.to_string() },
        Command::SuspendAutoscaler { process } => Act::RemoveAutoscale { process: process.clone() },
        Command::RestoreAutoscaler { autoscaler } => {
            let spec: Value = serde_json::from_str(&autoscaler.spec).unwrap_or_default();
            let number = |name| spec.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
            Act::SetAutoscale {
                process: autoscaler.process.clone(),
                min: number("minUnits").unwrap_or(0),
                max: number("maxUnits").unwrap_or(0),
                cpu: spec.get("averageCPU").and_then(Value::as_str).unwrap_or_default().to_owned(),
            }
        }
        Command::Quarantine { version, reason } => Act::UpdateRollback {
            image: selector(*version),
            disable: true,
            reason: if reason.trim().is_empty() { "rolled back".to_owned() } else { reason.clone() },
        },
    }
}
