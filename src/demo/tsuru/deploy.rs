//! Steps of deploys and rollbacks: build, choose, update each process, clean up.

use super::act::{Deploy, State};
use super::app::{self, App, Deployment, Key, Phase, Slot, VersionRecord};
use super::call::Failure;
use super::monitor::{Monitor, Relapse};
use super::select;
use super::work::{Done, Replicas, Site, Step, Update, Work, done};
use crate::demo::toy::Behaviour;

impl Work {
    /// Takes the next number, whatever comes of it, and builds.
    pub(super) fn build(&mut self, deploy: &Deploy, site: &mut Site<'_>) -> Done {
        let number = site.app.next_version;
        site.app.next_version += 1;
        let name = &site.app.spec.name;
        let section = format!("Starting container image build for app \"{name}\"");
        site.say_section(&section);
        let mut behaviour = Behaviour::of_image(&deploy.image);
        if site.world.config.faults.build_error.fires(&mut site.world.rng) {
            behaviour = Err("the registry cannot be reached".to_owned());
        }
        let record = VersionRecord {
            number,
            behaviour: behaviour.clone().unwrap_or_default(),
            built: false,
            successful: false,
            disabled: None,
            marked: false,
            past_units: Vec::new(),
            event: site.event,
        };
        site.app.versions.push(record);
        let built = if let Err(reason) = behaviour {
            Step::Fail(Failure::internal(format!("failed to build image: {reason}")))
        } else {
            self.version = number;
            Step::Built
        };
        Done::Then(vec![Step::Pause(site.world.config.timings.build), built])
    }

    /// The image is pushed: from here on the version can be rolled back to, whatever becomes of this deploy.
    pub(super) fn built(&self, site: &mut Site<'_>) -> Done {
        if let Some(version) = site.app.versions.iter_mut().find(|v| v.number == self.version) {
            version.built = true;
        }
        let image = site.app.image(&site.world.config.registry, self.version);
        site.say_action(&format!("Destination image: {image}"));
        done()
    }

    /// Finds the version to roll back to.
    pub(super) fn choose(&mut self, selector: &str, site: &mut Site<'_>) -> Done {
        let number = match select::version_by_selector(site.app, site.world, selector) {
            Ok(number) => number,
            Err(text) => return Done::Failed(Failure::internal(text)),
        };
        let refusal = site.app.version(number).and_then(|version| {
            if version.marked {
                Some("the selected version is marked to removal".to_owned())
            } else if let Some(reason) = &version.disabled {
                Some(format!("the selected version is disabled for rollback: {reason}"))
            } else {
                (!version.built).then(|| "no build image found".to_owned())
            }
        });
        self.version = number;
        refusal.map_or_else(done, |text| Done::Failed(Failure::internal(text)))
    }

    /// One update for each process, in order of their names.
    pub(super) fn update_all(&mut self, site: &mut Site<'_>) -> Done {
        let mut processes = site.app.spec.processes.clone();
        processes.sort_unstable();
        if let (false, Some(base)) = (self.preserve, site.app.base_version())
            && let Some(text) = processes.iter().find_map(|process| twins(site.app, process, base))
        {
            return Done::Failed(Failure::internal(text));
        }
        let update = |process: String| {
            Step::Update(Update {
                process,
                version: self.version,
                replicas: if self.preserve { Replicas::Exactly(1) } else { Replicas::Keep },
                preserve: self.preserve,
                sum_routable: self.sum_routable,
                undoing: false,
            })
        };
        Done::Then(processes.into_iter().map(update).collect())
    }

    /// Brings a version to a process.
    pub(super) fn update(&mut self, update: &Update, site: &mut Site<'_>) -> Done {
        site.say_section(&format!("Updating units [{}] [version {}]", update.process, update.version));
        let (key, routable) = match target(site.app, update) {
            Ok(target) => target,
            Err(text) => return Done::Failed(Failure::internal(text)),
        };
        let before = site.app.named(&key).cloned();
        let replicas = replicas(site.app, &key, update, before.as_ref());
        let secret = format!("tsuru-app-{}", site.app.deployment_name(&key));
        let what = if before.is_some() { "No changes on" } else { "Created" };
        site.say("\n");
        site.say_action(&format!(
            "{what} secret \"{secret}\" for process \"{}\" [version {}]",
            update.process, update.version
        ));
        let changed = write(site, &key, update, before.as_ref(), (replicas, routable));
        if before.is_none() {
            site.say("\n");
            site.say_action(&format!("Updated secret \"{secret}\" ownerReferences"));
        }
        let services = Step::Services { process: update.process.clone() };
        if !changed {
            site.say("\n");
            site.say_section(&format!(
                "No changes on units [{}] [version {}]",
                update.process, update.version
            ));
            return Done::Then(vec![services]);
        }
        let restored = before.clone().map(Box::new);
        let relapse = if update.undoing { Relapse::Undone(restored) } else { Relapse::Restore(restored) };
        let monitor = Monitor::new(key.clone(), update.version, relapse);
        if !update.undoing {
            self.updated.push((key, before));
        }
        Done::Then(vec![Step::Monitor(monitor), services])
    }

    /// Takes back what was done to the processes before the one that failed.
    pub(super) fn undo(&mut self, failure: Failure) -> Done {
        // The last one is the one that failed; it was taken back already.
        self.updated.pop();
        let mut steps = Vec::new();
        for (key, before) in std::mem::take(&mut self.updated) {
            match before {
                Some(before) => steps.push(Step::Update(Update {
                    process: key.process,
                    version: before.version,
                    replicas: Replicas::Exactly(before.replicas),
                    preserve: self.preserve,
                    sum_routable: false,
                    undoing: true,
                })),
                None => steps.push(Step::Remove(key)),
            }
        }
        steps.push(Step::Fail(failure));
        Done::Then(steps)
    }

    /// Removes a deployment that a failed deploy made. Where it looks like the only one of its process, the platform
    /// removes all services of the process with it.
    pub(super) fn remove(key: &Key, site: &mut Site<'_>) -> Done {
        let alone = site.app.deployments.iter().filter(|d| d.key.process == key.process).count() <= 2;
        remove_deployment(site, key);
        if let (true, Slot::Beside(_)) = (alone, key.slot) {
            site.app.services.retain(|(process, _)| *process != key.process);
        }
        done()
    }

    /// Makes the services of a process.
    pub(super) fn services(&mut self, process: &str, site: &mut Site<'_>) -> Done {
        site.say("\n");
        site.say_section(&format!("Ensuring services [{process}]"));
        let base = site.app.base_version();
        let mut versions: Vec<u32> =
            site.app.deployments.iter().filter(|d| d.key.process == process).map(|d| d.version).collect();
        versions.sort_unstable();
        versions.dedup();
        let beside = self.preserve && versions.iter().any(|v| Some(*v) != base);
        let name = format!("{}-{process}", site.app.spec.name);
        let routable = site.app.deployments.iter().any(|d| d.key.process == process && d.routable);
        let mut made = Vec::new();
        if beside {
            made.extend(versions.iter().map(|v| (format!("{name}-v{v}"), Some(*v))));
        }
        if routable {
            made.push((name.clone(), None));
        }
        for (service, version) in made {
            site.say_action(&format!("Service {service}"));
            let entry = (process.to_owned(), version);
            if !site.app.services.contains(&entry) {
                site.app.services.push(entry);
            }
        }
        if base == Some(self.version) {
            site.say_action(&format!("Service {name}-units"));
        }
        super::autoscale::ensure(site.app, process);
        done()
    }

    /// Marks the version as good.
    pub(super) fn commit(&mut self, site: &mut Site<'_>) -> Done {
        if let Some(version) = site.app.versions.iter_mut().find(|v| v.number == self.version) {
            version.successful = true;
        }
        done()
    }

    /// Removes every deployment and service that nothing uses.
    pub(super) fn cleanup(preserve: bool, site: &mut Site<'_>) -> Done {
        site.say("\n");
        site.say_section("Cleaning up resources");
        let base = site.app.base_version();
        let keep = |d: &Deployment| preserve || (d.key.slot == Slot::Base && Some(d.version) == base);
        let surplus: Vec<Key> = site
            .app
            .deployments
            .iter()
            .filter(|d| d.gone_at.is_none() && !keep(d))
            .map(|d| d.key.clone())
            .collect();
        let used: Vec<(String, u32)> = site
            .app
            .deployments
            .iter()
            .filter(|d| keep(d))
            .map(|d| (d.key.process.clone(), d.version))
            .collect();
        for key in surplus {
            let name = site.app.deployment_name(&key);
            site.say_action(&format!("Cleaning up deployment {name}"));
            site.say_action(&format!("Cleaning up secret tsuru-app-{name}"));
            remove_deployment(site, &key);
        }
        let in_use = |(process, version): &(String, Option<u32>)| {
            used.iter().any(|(p, v)| p == process && version.is_none_or(|version| version == *v))
        };
        let stale: Vec<_> = site.app.services.iter().filter(|service| !in_use(service)).cloned().collect();
        for (process, version) in stale {
            let suffix = version.map(|v| format!("-v{v}")).unwrap_or_default();
            site.say_action(&format!("Cleaning up service {}-{process}{suffix}", site.app.spec.name));
            site.app.services.retain(|service| *service != (process.clone(), version));
        }
        done()
    }

    /// Brings the router up to date.
    pub(super) fn router(&mut self, site: &mut Site<'_>) -> Done {
        self.frame = None;
        site.say("\n");
        site.say_section("Updating router [ingress]");
        let mut steps = vec![Step::Pause(site.world.config.timings.router)];
        if site.world.config.faults.router_error.fires(&mut site.world.rng) {
            steps.push(Step::Fail(Failure::internal(
                "Put \"http://router.example.com/api/backend\": context deadline exceeded",
            )));
        }
        Done::Then(steps)
    }

    /// The deploy is complete.
    pub(super) fn deployed(&mut self, site: &mut Site<'_>) -> Done {
        site.app.deploys += 1;
        let image = site.app.image(&site.world.config.registry, self.version);
        if let Some(event) = site.world.event_mut(site.event) {
            event.end_image = Some(image);
        }
        done()
    }
}

/// Which deployment an update writes, and whether it is routable.
fn target(app: &App, update: &Update) -> Result<(Key, bool), String> {
    let key = |slot| Key { process: update.process.clone(), slot };
    if !update.preserve {
        return Ok((key(Slot::Base), true));
    }
    let of_process = || app.deployments.iter().filter(|d| d.key.process == update.process);
    let same: Vec<&Deployment> = of_process().filter(|d| d.version == update.version).collect();
    match same.as_slice() {
        [] => {}
        [one] => return Ok((one.key.clone(), one.routable)),
        several => {
            let names: Vec<String> = several.iter().map(|d| app.deployment_name(&d.key)).collect();
            return Err(format!(
                "more than one deployment for the same app version found: [{}]",
                names.join(" ")
            ));
        }
    }
    let base = app.base_version();
    if app.named(&key(Slot::Base)).is_some() || base.is_some_and(|base| base != update.version) {
        return Ok((key(Slot::Beside(update.version)), false));
    }
    Ok((key(Slot::Base), of_process().next().is_none()))
}

/// How many units the process is to have.
fn replicas(app: &App, key: &Key, update: &Update, before: Option<&Deployment>) -> u32 {
    if update.sum_routable {
        let sum: u32 = app
            .deployments
            .iter()
            // Those that are being removed are counted with what they had.
            .filter(|d| d.key.process == key.process && d.routable)
            .map(|d| if d.stopped { 0 } else { d.replicas })
            .fold(0, u32::saturating_add);
        if sum > 0 {
            return sum;
        }
    }
    let had = before.map_or(0, |d| if d.stopped { 0 } else { d.replicas });
    match update.replicas {
        Replicas::Keep | Replicas::After(State::Restart) => had.max(1),
        Replicas::Exactly(count) => count,
        Replicas::Same => had,
        // A start goes back to what the last stop found, also where nothing is stopped now.
        Replicas::After(State::Start) => past_units(app, update).unwrap_or(had).max(1),
        Replicas::After(State::Stop) => 0,
    }
}

/// How many units the process had when it was stopped last.
fn past_units(app: &App, update: &Update) -> Option<u32> {
    let past = &app.version(update.version)?.past_units;
    past.iter().find(|(process, _)| *process == update.process).map(|(_, units)| *units)
}

/// Writes the deployment. Returns whether that changed anything.
fn write(
    site: &mut Site<'_>,
    key: &Key,
    update: &Update,
    before: Option<&Deployment>,
    (replicas, routable): (u32, bool),
) -> bool {
    let stopped = match update.replicas {
        Replicas::After(State::Stop) => true,
        Replicas::Same => before.is_some_and(|d| d.stopped),
        _ => false,
    };
    // The label that counts restarts is only written by a restart; any other update drops it, and that is a change.
    let restarts = match update.replicas {
        Replicas::After(State::Restart) => before.map_or(0, |d| d.restarts) + 1,
        _ => 0,
    };
    let same_template = before.is_some_and(|d| {
        d.version == update.version
            && d.routable == routable
            && d.restarts == restarts
            && d.stopped == stopped
    });
    // A deployment that is the same and has all its units is left alone, also where it is paused.
    if let (Some(d), true) = (before, same_template)
        && d.replicas == replicas
        && is_complete(site.app, d)
    {
        return false;
    }
    let (revision, replica_set) = match before {
        Some(d) if same_template => (d.revision, d.replica_set.clone()),
        _ => (site.world.new_revision(), app::random_name(site.world, 9)),
    };
    let deployment = Deployment {
        key: key.clone(),
        version: update.version,
        replicas,
        routable,
        paused: false,
        stopped,
        revision,
        restarts,
        // One that is being removed takes the change, and goes all the same.
        gone_at: before.and_then(|d| d.gone_at),
        replica_set,
    };
    match site.app.deployments.iter_mut().find(|d| d.key == *key) {
        Some(existing) => *existing = deployment,
        None => site.app.deployments.push(deployment),
    }
    super::pods::converge_all(site.app, site.world, site.now);
    true
}

/// Why a version's process cannot be found: it has two deployments, one of which may be about to go.
fn twins(app: &App, process: &str, version: u32) -> Option<String> {
    let count = app.deployments.iter().filter(|d| d.key.process == process && d.version == version).count();
    (count > 1).then(|| {
        format!("too many deployments for same version {version} and process \"{process}\": {count}")
    })
}

/// All pods that a deployment wants are ready, and there are no others.
fn is_complete(app: &App, deployment: &Deployment) -> bool {
    let (mut ready, mut other) = (0, 0);
    for pod in app.pods_of(&deployment.key) {
        let good = pod.revision == deployment.revision && pod.phase == Phase::Ready;
        *(if good { &mut ready } else { &mut other }) += 1;
    }
    other == 0 && ready == if deployment.stopped { 0 } else { deployment.replicas }
}

/// Removes a deployment: its pods at once, itself after it lingered.
pub(super) fn remove_deployment(site: &mut Site<'_>, key: &Key) {
    let gone = site.now + site.world.config.timings.linger;
    if let Some(deployment) = site.app.deployment_mut(key) {
        deployment.gone_at = Some(gone);
    }
    while let Some(index) = site.app.pods.iter().position(|p| p.key == *key) {
        super::pods::remove(site.app, site.world, index);
    }
}
