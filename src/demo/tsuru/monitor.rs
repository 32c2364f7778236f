//! Waiting for the units of a deployment, and what the platform writes meanwhile.

use super::app::{Deployment, Key, Phase, Pod};
use super::call::Failure;
use super::event::{go_duration, rfc3339};
use super::work::{Done, Site, Step, done};
use crate::words::Time;

/// What becomes of a deployment whose units do not become ready.
#[derive(Debug, Clone)]
pub(super) enum Relapse {
    /// It stays as it is: raised numbers are not taken back.
    Stay,
    /// It gets back what it had; nothing before it means that it is removed.
    Restore(Option<Box<Deployment>>),
    /// As `Restore`, and the work goes on: it only took back something that had failed before.
    Undone(Option<Box<Deployment>>),
}

/// Waits for a deployment.
#[derive(Debug, Clone)]
pub(super) struct Monitor {
    key: Key,
    version: u32,
    relapse: Relapse,
    told: Option<Told>,
    largest: u32,
    progress: Time,
    health: Option<Time>,
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    created: u32,
    ready: u32,
    old: u32,
}

impl Monitor {
    pub(super) fn new(key: Key, version: u32, relapse: Relapse) -> Self {
        Self { key, version, relapse, told: None, largest: 0, progress: Time(0), health: None }
    }

    /// One look at the deployment.
    pub(super) fn watch(mut self, site: &mut Site<'_>) -> Done {
        // One that is being removed gets no units, until it is not found any more.
        let Some(deployment) = site.app.named(&self.key).cloned() else {
            let name = site.app.deployment_name(&self.key);
            let failure = Failure::internal(format!("deployments.apps \"{name}\" not found"));
            return self.relapsed(site, failure);
        };
        let timings = site.world.config.timings.clone();
        if self.told.is_none() {
            site.say("\n");
            site.say_action(&format!(
                "Waiting for units to be ready [{}] [version {}]",
                self.key.process, self.version
            ));
            self.progress = site.now + timings.progress;
        }
        let wanted = if deployment.stopped { 0 } else { deployment.replicas };
        let current = |p: &&Pod| p.revision == deployment.revision;
        let count = |keep: &dyn Fn(&&Pod) -> bool| {
            u32::try_from(site.app.pods_of(&self.key).filter(|p| keep(p)).count()).unwrap_or(u32::MAX)
        };
        let seen = Told {
            created: count(&current),
            ready: count(&|p| current(p) && p.phase == Phase::Ready),
            old: count(&|p| !current(p)),
        };
        let running = count(&|p| current(p) && p.phase != Phase::Pending);
        let (created, ready, old) = (seen.created, seen.ready, seen.old);
        if self.told.is_none_or(|told| told.created != created) {
            site.say_action(&format!("{created} of {wanted} new units created"));
        }
        if self.health.is_none() && created == wanted && running == wanted {
            self.health = Some(site.now + timings.health);
            site.say_action(&format!("waiting healthcheck on {wanted} created units"));
        }
        if self.told.is_none_or(|told| told.ready != ready) {
            site.say_action(&format!("{ready} of {wanted} new units ready"));
        }
        if ready > self.largest {
            self.largest = ready;
            self.progress = site.now + timings.progress;
        }
        if old > 0 && self.told.is_none_or(|told| told.old != old) {
            site.say_action(&format!("{old} old units pending termination"));
        }
        self.told = Some(seen);
        if ready == wanted && created + old == wanted {
            site.say_action("All units ready");
            return done();
        }
        if self.health.is_some_and(|health| health <= site.now) {
            let span = go_duration(timings.health).to_uppercase();
            return self.gave_up(site, &format!("**** HEALTHCHECK TIMEOUT OF {span} EXCEEDED ****\n"));
        }
        if self.progress <= site.now {
            let span = go_duration(timings.progress).to_uppercase();
            return self
                .gave_up(site, &format!("**** DEPLOYMENT PROGRESS TIMEOUT OF {span} EXCEEDED ****\n"));
        }
        let wake = self.health.map_or(self.progress, |health| health.min(self.progress));
        Done::Later(Step::Monitor(self), Some(wake))
    }

    /// The units did not become ready in time.
    fn gave_up(self, site: &mut Site<'_>, why: &str) -> Done {
        site.say("\n");
        site.say(why);
        let failure = Failure::internal(self.crash_report(site));
        self.relapsed(site, failure)
    }

    /// What follows from a failure.
    fn relapsed(self, site: &mut Site<'_>, failure: Failure) -> Done {
        match self.relapse {
            Relapse::Stay => Done::Failed(failure),
            Relapse::Restore(before) => {
                restore(site, &self.key, before.map(|b| *b));
                Done::Then(vec![Step::Undo { failure }])
            }
            Relapse::Undone(before) => {
                restore(site, &self.key, before.map(|b| *b));
                done()
            }
        }
    }

    /// Which units are not ready and why, as the platform tells it.
    fn crash_report(&self, site: &Site<'_>) -> String {
        let mut messages = Vec::new();
        let mut logs = Vec::new();
        for pod in site.app.pods_of(&self.key).filter(|p| p.phase != Phase::Ready) {
            let name = &pod.name;
            messages.push(format!(
                " ---> Pod \"{name}\" not ready: containers with unready status: [{}]",
                site.app.deployment_name(&self.key)
            ));
            if pod.phase == Phase::Crashed {
                let times = pod.restarts;
                messages
                    .push(format!(" ---> Pod \"{name}\" has crashed {times} times: Exited with status 1"));
            } else {
                let port = pod.address.port();
                messages.push(format!(
                    " ---> Pod \"{name}\" failed health check, HTTP GET to /healthz on port {port}: Readiness probe \
                     failed: HTTP probe failed with statuscode: 503"
                ));
            }
            let at = rfc3339(site.now).replace('T', " ").replace('Z', " +0000");
            logs.push(format!("    {at} [{}][{name}]: not ready yet", self.key.process));
        }
        logs.truncate(10);
        if messages.is_empty() {
            return "Unknown error deploying application".to_owned();
        }
        format!("{}\n\n---- Last {} log messages: ----\n{}", messages.join("\n"), logs.len(), logs.join("\n"))
    }
}

/// Gives a deployment back what it had.
fn restore(site: &mut Site<'_>, key: &Key, before: Option<Deployment>) {
    let revision = site.app.deployment(key).map(|d| d.revision);
    let Some(before) = before else {
        site.say("\n**** DELETING CREATED DEPLOYMENT AFTER FAILURE ****\n");
        site.app.deployments.retain(|d| d.key != *key || d.gone_at.is_some());
        while let Some(index) = site.app.pods.iter().position(|p| p.key == *key) {
            super::pods::remove(site.app, site.world, index);
        }
        return;
    };
    let same_revision = revision == Some(before.revision);
    site.say(if same_revision {
        "\n**** UPDATING BACK AFTER FAILURE ****\n"
    } else {
        "\n**** ROLLING BACK AFTER FAILURE ****\n"
    });
    let Some(deployment) = site.app.deployment_mut(key) else {
        site.say("\n**** ERROR DURING ROLLBACK ****\n");
        return;
    };
    // The template comes back; how many units are wanted is not part of it, unless only that had changed.
    let replicas = if same_revision { before.replicas } else { deployment.replicas };
    *deployment = Deployment { replicas, ..before };
    super::pods::converge_all(site.app, site.world, site.now);
}
