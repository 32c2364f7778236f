//! Autoscalers: one a process, which changes the units of one deployment.
//!
//! An autoscaler is labelled with a version and aims at a deployment by name. It is made for the lowest version that is
//! routable, follows the version that it is labelled with, and falls back to the lowest when that is gone or has no units.

use super::app::{App, Autoscale, Deployment, Slot};
use super::call::Failure;
use super::work::Work;

/// The deployment that an autoscaler of a process is made for: of the lowest version that is routable, else of the lowest.
/// Without a process, a version with several deployments is a failure.
fn lowest<'a>(app: &'a App, process: &str) -> Result<&'a Deployment, Failure> {
    let versions = app.deployed_versions();
    let several = |v: &u32| app.deployments.iter().filter(|d| d.version == *v).count() > 1;
    if process.is_empty() && versions.iter().any(several) {
        return Err(Failure::internal("process error: process argument is required"));
    }
    let of_process = app.deployments.iter().filter(|d| process.is_empty() || d.key.process == process);
    of_process.min_by_key(|d| (!d.routable, d.version)).ok_or_else(|| {
        Failure::internal(
            "no routable version found for app, at least one deploy is required before configuring autoscale",
        )
    })
}

/// Makes or changes the autoscaler of a process. It aims at the lowest version again, whatever it aimed at before.
pub(super) fn set(app: &mut App, process: &str, (min, max): (u32, u32), cpu: &str) -> Result<Work, Failure> {
    let deployment = lowest(app, process)?;
    let (process, version, slot) = (deployment.key.process.clone(), deployment.version, deployment.key.slot);
    app.autoscales.retain(|a| a.process != process);
    app.autoscales.push(Autoscale { process, min, max, cpu: cpu.to_owned(), version, slot });
    Ok(Work::new(Vec::new()))
}

/// Removes the autoscaler of a process.
pub(super) fn remove(app: &mut App, process: &str) -> Result<Work, Failure> {
    let process = lowest(app, process)?.key.process.clone();
    app.autoscales.retain(|a| a.process != process);
    Ok(Work::new(Vec::new()))
}

/// Lets the autoscalers change another version's units.
pub(super) fn swap(app: &mut App, version: &str) -> Result<Work, Failure> {
    let version: u32 = version.parse().unwrap_or(0);
    if !app.deployments.iter().any(|d| d.version == version) {
        return Err(Failure::internal(
            "could not swap the autoscale, make sure the version provided is currently deployed",
        ));
    }
    if app.autoscales.is_empty() {
        return Err(Failure::internal(
            "Cannot swap the autoscale, make sure the app has an autoscale configured",
        ));
    }
    for index in 0..app.autoscales.len() {
        aim(app, index, version);
    }
    Ok(Work::new(Vec::new()))
}

/// After a process was brought up to date, its autoscaler is made anew for the version that it has.
pub(super) fn ensure(app: &mut App, process: &str) {
    if let Some(index) = app.autoscales.iter().position(|a| a.process == process) {
        aim(app, index, app.autoscales[index].version);
    }
}

/// Aims an autoscaler at a version, or at the lowest, where the version has no units.
fn aim(app: &mut App, index: usize, version: u32) {
    let process = app.autoscales[index].process.clone();
    let Ok(lowest) = lowest(app, &process) else { return };
    let wanted = app
        .deployments
        .iter()
        .find(|d| d.key.process == process && d.version == version && !d.stopped && d.replicas > 0);
    // The name of the base is taken from the lowest version's deployment, which may be another one.
    let (version, slot) = match wanted {
        Some(d) if d.key.slot != Slot::Base => (d.version, Slot::Beside(d.version)),
        Some(d) => (d.version, lowest.key.slot),
        None if lowest.key.slot != Slot::Base => (lowest.version, Slot::Beside(lowest.version)),
        None => (lowest.version, lowest.key.slot),
    };
    let autoscale = &mut app.autoscales[index];
    (autoscale.version, autoscale.slot) = (version, slot);
}

/// The replicas that each autoscaler's deployment has but should not have, by its index: out of its bounds.
pub(super) fn out_of_bounds(app: &App) -> impl Iterator<Item = (usize, u32)> {
    app.deployments.iter().enumerate().filter_map(|(index, d)| {
        let a = app.autoscales.iter().find(|a| a.process == d.key.process && a.slot == d.key.slot)?;
        // One without units is left alone.
        let bounded = d.replicas.clamp(a.min, a.max.max(a.min));
        let acts = d.gone_at.is_none() && !d.stopped && d.replicas > 0;
        (acts && bounded != d.replicas).then_some((index, bounded))
    })
}
