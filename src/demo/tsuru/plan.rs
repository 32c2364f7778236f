//! From what somebody asks for to the steps that do it, with the checks that come before anything is written.

use super::act::{Act, Deploy, State};
use super::app::{App, Deployment, Key, Pod, Slot, VersionRecord};
use super::autoscale;
use super::call::Failure;
use super::change::{deployment_for_version, updates};
use super::select::{deployed_version, names_none, version_by_selector};
use super::work::{Replicas, Step, Work};
use super::world::World;
use crate::words::{Span, Time};

/// The work that an act takes.
///
/// # Errors
/// It is refused before anything was done.
pub(super) fn plan(app: &mut App, world: &mut World, act: &Act, now: Time) -> Result<Work, Failure> {
    match act {
        Act::Routable { version, routable } => plan_routable(app, world, version, *routable),
        Act::AddUnits { units, process, version } => {
            plan_units(app, world, (i64::from(*units), process, version))
        }
        Act::RemoveUnits { units, process, version } => {
            plan_units(app, world, (-i64::from(*units), process, version))
        }
        Act::Deploy(deploy) => plan_deploy(app, deploy, Step::Build(deploy.clone())),
        Act::Rollback(deploy) => plan_deploy(app, deploy, Step::Choose(deploy.image.clone())),
        Act::DeleteVersion { version } => Ok(Work::new(vec![Step::Destroy { selector: version.clone() }])),
        Act::UpdateRollback { image, disable, reason } => {
            let number = version_by_selector(app, world, image).map_err(|text| Failure::new(400, text))?;
            if let Some(version) = app.versions.iter_mut().find(|v| v.number == number) {
                version.disabled = disable.then(|| reason.clone());
            }
            Ok(Work::new(Vec::new()))
        }
        Act::Change { state, process, version } => plan_change(app, world, *state, (process, version)),
        Act::KillUnit { unit, .. } => {
            let index = app.pods.iter().position(|p| p.name == *unit);
            let none = || Failure::internal(format!("Unable to find pod: pods \"{unit}\" not found"));
            let index = index.ok_or_else(none)?;
            super::pods::remove(app, world, index);
            super::pods::converge_all(app, world, now);
            Ok(Work::new(Vec::new()))
        }
        Act::SetAutoscale { process, min, max, cpu } => autoscale::set(app, process, (*min, *max), cpu),
        Act::RemoveAutoscale { process } => autoscale::remove(app, process),
        Act::SwapAutoscale { version } => autoscale::swap(app, version),
        Act::SetEnv { names } => {
            let said = Step::Say(format!("---- Setting {} new environment variables ----\n", names.len()));
            let mut steps = vec![said];
            if !app.pods.is_empty() {
                let versions = versions_to_change(app, State::Restart, "");
                steps.extend(change_versions(app, &versions, "", State::Restart));
            }
            Ok(Work::new(steps).framed("restart"))
        }
        Act::DeleteApp => Ok(Work::new(vec![Step::DeleteApp])),
        Act::VersionGc => Ok(Work::new(vec![Step::Pause(Span(world.config.timings.build.0 / 2))])),
    }
}

fn plan_routable(app: &App, world: &mut World, version: &str, routable: bool) -> Result<Work, Failure> {
    if app.versions.is_empty() {
        return Err(Failure::internal("no versions available for app"));
    }
    let number = version_by_selector(app, world, version).map_err(|text| Failure::new(400, text))?;
    let keys: Vec<Key> =
        app.deployments.iter().filter(|d| d.version == number).map(|d| d.key.clone()).collect();
    if keys.is_empty() {
        return Err(Failure::internal(format!("no deployment found for version {number}")));
    }
    let pause = Step::Pause(world.config.timings.toggle);
    Ok(Work::new(vec![pause, Step::Toggle { keys, routable }]))
}

fn plan_units(
    app: &App,
    world: &mut World,
    (delta, process, version): (i64, &str, &str),
) -> Result<Work, Failure> {
    if app.autoscales.iter().any(|a| a.process == process) {
        return Err(Failure::internal(
            "cannot add units to an app with autoscaler configured, please update autoscale settings",
        ));
    }
    let version = deployed_version(app, world, version).map_err(Failure::internal)?;
    let frame = if delta > 0 { "add units" } else { "remove units" };
    let mut work = Work::new(Vec::new()).framed(frame);
    work.version = version;
    let steps = units_steps(app, (delta, process, version)).unwrap_or_else(|text| {
        // From here on the platform frames what it says.
        vec![Step::Fail(Failure::internal(text))]
    });
    work.put_all(steps);
    Ok(work)
}

fn units_steps(app: &App, (delta, process, version): (i64, &str, u32)) -> Result<Vec<Step>, String> {
    if let (Some(quota), true) = (app.spec.quota, delta > 0) {
        let left = i64::from(quota) - i64::from(app.units_in_use());
        if delta > left {
            // Where more is in use than allowed, the platform's number without a sign turns over.
            let left = left.cast_unsigned();
            return Err(format!("Quota exceeded. Available: {left}, Requested: {delta}."));
        }
    }
    let processes = &app.spec.processes;
    let process = match (process, processes.as_slice()) {
        ("", [one]) => one,
        ("", _) => {
            return Err(
                "process error: no process name specified and more than one declared in Procfile".to_owned()
            );
        }
        (name, _) => processes.iter().find(|p| *p == name).ok_or_else(|| {
            format!("process error: no command declared in Procfile for process \"{name}\"")
        })?,
    };
    let key = if app.deployments.iter().any(|d| d.key.process == *process && d.version == version) {
        deployment_for_version(&app.deployments, &app.spec.name, process, version)?
    } else {
        Key { process: process.clone(), slot: Slot::Beside(version) }
    };
    Ok(vec![Step::Scale { key, delta }, Step::Cleanup { preserve: true }, Step::Router])
}

fn plan_deploy(app: &App, deploy: &Deploy, first: Step) -> Result<Work, Failure> {
    if deploy.new_version && deploy.override_versions {
        return Err(Failure::internal("conflicting deploy flags, new-version and override-old-versions"));
    }
    if !deploy.new_version && !deploy.override_versions && app.deployed_versions().len() > 1 {
        return Err(Failure::internal(
            "multiple versions currently deployed, either new-version or override-old-versions must be set",
        ));
    }
    let mut work = Work::new(vec![
        first,
        Step::Seal,
        Step::UpdateAll,
        Step::Commit,
        Step::Cleanup { preserve: deploy.new_version },
        Step::Router,
        Step::Deployed,
    ])
    .framed("deploy");
    work.preserve = deploy.new_version;
    work.sum_routable = deploy.override_versions;
    Ok(work)
}

fn plan_change(
    app: &mut App,
    world: &mut World,
    state: State,
    (process, version): (&str, &str),
) -> Result<Work, Failure> {
    let versions = if names_none(version) {
        versions_to_change(app, state, process)
    } else {
        vec![version_by_selector(app, world, version).map_err(Failure::internal)?]
    };
    if state == State::Stop {
        remember_units(&mut app.versions, &app.pods, (&versions, process));
    }
    let of = if process.is_empty() {
        format!("app \"{}\"", app.spec.name)
    } else {
        format!("process \"{process}\"")
    };
    let mut steps = vec![Step::Say(match state {
        State::Stop => format!("\n ---> Stopping the {of}\n"),
        State::Start => format!("\n ---> Starting the {of}\n"),
        State::Restart if process.is_empty() => format!("---- Restarting the {of} ----\n"),
        State::Restart => format!("---- Restarting {of} ----\n"),
    })];
    steps.extend(change_versions(app, &versions, process, state));
    match state {
        State::Stop => return Ok(Work::new(steps)),
        State::Start | State::Restart => steps.push(Step::Router),
    }
    Ok(Work::new(steps).framed(if state == State::Start { "start" } else { "restart" }))
}

/// The versions that a change of state concerns that names none: all that are deployed; for a restart, those that have
/// units, as long as any has.
fn versions_to_change(app: &App, state: State, process: &str) -> Vec<u32> {
    let of_process = |d: &&Deployment| process.is_empty() || d.key.process == process;
    let mut versions: Vec<u32> = app.deployments.iter().filter(of_process).map(|d| d.version).collect();
    versions.sort_unstable();
    versions.dedup();
    if state == State::Restart {
        versions.retain(|v| app.pods.iter().any(|p| p.version == *v));
    }
    if versions.is_empty() { app.deployed_versions() } else { versions }
}

/// The steps that change the state of versions, one after the other, whatever becomes of each.
fn change_versions(app: &App, versions: &[u32], process: &str, state: State) -> Vec<Step> {
    let mut steps = Vec::new();
    for version in versions {
        steps.push(Step::Version(*version));
        steps.extend(updates(app, *version, process, Replicas::After(state)));
        steps.push(Step::Cleanup { preserve: true });
    }
    steps.push(Step::Versions);
    steps
}

/// Notes how many units are about to be stopped; a later start goes back to that.
fn remember_units(records: &mut [VersionRecord], pods: &[Pod], (versions, process): (&[u32], &str)) {
    for record in records.iter_mut().filter(|r| versions.contains(&r.number)) {
        let mut counts: Vec<(String, u32)> = Vec::new();
        let stopped =
            |p: &&Pod| p.version == record.number && (process.is_empty() || p.key.process == process);
        for pod in pods.iter().filter(stopped) {
            match counts.iter_mut().find(|(name, _)| *name == pod.key.process) {
                Some((_, units)) => *units += 1,
                None => counts.push((pod.key.process.clone(), 1)),
            }
        }
        // What has no units now keeps what was noted before.
        record.past_units.retain(|(name, _)| counts.iter().all(|(counted, _)| counted != name));
        record.past_units.extend(counts);
    }
}
