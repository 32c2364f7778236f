//! Steps that change what is already deployed: routing, numbers of units, removal of a version.

use rand::RngExt;

use super::act::State;
use super::app::{App, Deployment, Key};
use super::call::Failure;
use super::deploy::remove_deployment;
use super::monitor::{Monitor, Relapse};
use super::select;
use super::work::{Done, Replicas, Site, Step, Update, Work, done};

impl Work {
    /// Changes the routable labels of deployments and their pods, in place.
    pub(super) fn toggle(keys: &[Key], routable: bool, site: &mut Site<'_>) -> Done {
        for key in keys {
            if site.world.config.faults.routable_conflict.fires(&mut site.world.rng) {
                return Done::Failed(half_toggled(key, routable, site));
            }
            if let Some(deployment) = site.app.deployment_mut(key) {
                deployment.routable = routable;
                deployment.paused = false;
                let revision = deployment.revision;
                let pods = site.app.pods.iter_mut().filter(|p| p.key == *key && p.revision == revision);
                pods.for_each(|p| p.routable = routable);
            }
        }
        if site.world.config.faults.routable_late_error.fires(&mut site.world.rng) {
            return Done::Failed(Failure::internal("process error: process argument is required"));
        }
        done()
    }

    /// Changes how many units a deployment wants, and waits for them.
    pub(super) fn scale(&mut self, key: &Key, delta: i64, site: &mut Site<'_>) -> Done {
        let Some(deployment) = site.app.named(key).cloned() else {
            return Done::Then(self.scale_undeployed(site.app, key, delta));
        };
        let had = if deployment.stopped { 0 } else { deployment.replicas };
        let wanted = (i64::from(had) + delta).min(i64::from(i32::MAX));
        let Some(wanted) = u32::try_from(wanted).ok().filter(|wanted| *wanted > 0) else {
            site.say_section("Calling app stop internally as the number of units is zero");
            let process = key.process.clone();
            let mut steps = updates(site.app, deployment.version, &process, Replicas::After(State::Stop));
            steps.insert(0, Step::Version(deployment.version));
            steps.push(Step::Versions);
            return Done::Then(steps);
        };
        site.say_section(&format!("Patching from {had} to {wanted} units"));
        if let Some(deployment) = site.app.deployments.iter_mut().find(|d| d.key == *key) {
            deployment.replicas = wanted;
            deployment.stopped = false;
        }
        super::pods::converge_all(site.app, site.world, site.now);
        Done::Then(vec![Step::Monitor(Monitor::new(key.clone(), deployment.version, Relapse::Stay))])
    }

    /// A version without a deployment gets one with so many units.
    fn scale_undeployed(&self, app: &App, key: &Key, delta: i64) -> Vec<Step> {
        if delta < 0 {
            return vec![Step::Fail(Failure::internal("cannot have less than 0 units"))];
        }
        let count = Replicas::Exactly(u32::try_from(delta).unwrap_or(u32::MAX));
        updates(app, self.version, &key.process, count)
    }

    /// Removes the app with all it has.
    pub(super) fn delete_app(site: &mut Site<'_>) -> Done {
        let name = site.app.spec.name.clone();
        site.say_section(&format!("Removing application \"{name}\"..."));
        while !site.app.pods.is_empty() {
            super::pods::remove(site.app, site.world, 0);
        }
        site.app.deployments.clear();
        site.app.services.clear();
        site.app.autoscales.clear();
        site.app.gone = true;
        site.say_section("Done removing application.");
        done()
    }

    /// Removes the deployments of a version, also where it is the base. What goes wrong is only written.
    pub(super) fn destroy(selector: &str, site: &mut Site<'_>) -> Done {
        let name = site.app.spec.name.clone();
        site.say(format!("\n ---> Deleting version {selector} of app {name}\n"));
        let mut problems = "";
        let mut outcome = done();
        match select::version_by_selector(site.app, site.world, selector) {
            Err(text) => outcome = Done::Failed(Failure::internal(text)),
            Ok(version) => {
                if let Err(text) = destroy_version(version, site) {
                    site.say(format!("Unable to destroy app in provisioner: {text}\n"));
                    problems = " Some errors occurred during removal.";
                }
            }
        }
        site.say_section(&format!("Done removing application version {selector}.{problems}"));
        outcome
    }
}

/// The updates of a change of one process of a version, or of all where it is empty. The platform brings every process of
/// the version up to date on that occasion, those that are not meant as they are.
pub(super) fn updates(app: &App, version: u32, process: &str, replicas: Replicas) -> Vec<Step> {
    let mut processes: Vec<&String> = app.spec.processes.iter().collect();
    processes.sort_unstable();
    let update = |name: &String| {
        Step::Update(Update {
            process: name.clone(),
            version,
            replicas: if process.is_empty() || name == process { replicas } else { Replicas::Same },
            preserve: true,
            sum_routable: false,
            undoing: false,
        })
    };
    processes.into_iter().map(update).collect()
}

/// Removes every deployment of a version, or none where one process lacks its own.
fn destroy_version(version: u32, site: &mut Site<'_>) -> Result<(), String> {
    if site.world.config.faults.delete_error.fires(&mut site.world.rng) {
        return Err(
            "Delete \"https://cluster.example.com/apis/apps/v1\": context deadline exceeded".to_owned()
        );
    }
    let mut keys = Vec::new();
    for process in &site.app.spec.processes {
        keys.push(deployment_for_version(&site.app.deployments, &site.app.spec.name, process, version)?);
    }
    for key in keys {
        remove_deployment(site, &key);
    }
    site.app.services.retain(|(_, service)| *service != Some(version));
    site.app.autoscales.retain(|a| a.version != version);
    Ok(())
}

/// The deployment of a version's process; lingering ones are in the way.
pub(super) fn deployment_for_version(
    deployments: &[Deployment],
    app: &str,
    process: &str,
    version: u32,
) -> Result<Key, String> {
    let found: Vec<&Deployment> =
        deployments.iter().filter(|d| d.key.process == process && d.version == version).collect();
    match found.as_slice() {
        [] => {
            Err(format!("deployments.apps \"app: {app}, process: {process}, version: {version}\" not found"))
        }
        [one] => Ok(one.key.clone()),
        several => Err(format!(
            "too many deployments for same version {version} and process \"{process}\": {}",
            several.len()
        )),
    }
}

/// A conflict in the middle of a routable call: the deployment is paused and labelled, and a chance part of its pods.
fn half_toggled(key: &Key, routable: bool, site: &mut Site<'_>) -> Failure {
    let kind = ["deployments.apps", "replicasets.apps", "pods"][site.world.rng.random_range(0..3)];
    let mut name = site.app.deployment_name(key);
    if kind != "deployments.apps"
        && let Some(deployment) = site.app.deployment_mut(key)
    {
        deployment.paused = true;
        deployment.routable = routable;
        name = format!("{name}-{}", deployment.replica_set);
    }
    if kind == "pods" {
        let count = site.app.pods_of(key).count();
        let labelled = site.world.rng.random_range(0..=count.saturating_sub(1));
        let mut pods = site.app.pods.iter_mut().filter(|p| p.key == *key);
        pods.by_ref().take(labelled).for_each(|p| p.routable = routable);
        if let Some(pod) = pods.next() {
            name.clone_from(&pod.name);
        }
    }
    Failure::internal(format!(
        "Operation cannot be fulfilled on {kind} \"{name}\": the object has been modified; please apply your changes \
         to the latest version and try again"
    ))
}
