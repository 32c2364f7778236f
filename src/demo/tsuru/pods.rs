//! The cluster beneath the install: pods go through their phases, and deployments get the pods that they want.

use std::net::SocketAddr;

use super::app::{self, App, Key, Phase, Pod};
use super::world::{Effect, World};
use crate::words::Time;

/// Moves every pod and deployment of `app` on whose time has come at `now`.
pub(super) fn live(app: &mut App, world: &mut World, now: Time) {
    app.deployments.retain(|d| d.gone_at.is_none_or(|gone| gone > now));
    for index in 0..app.pods.len() {
        if app.pods[index].due.is_some_and(|due| due <= now) {
            transition(app, world, index, now);
        }
    }
    converge_all(app, world, now);
}

/// Gives every deployment the pods that it wants.
pub(super) fn converge_all(app: &mut App, world: &mut World, now: Time) {
    for index in 0..app.deployments.len() {
        converge(app, world, index, now);
    }
}

/// Gives every deployment its pods, ready at once.
pub(super) fn seed(app: &mut App, world: &mut World, now: Time) {
    converge_all(app, world, now);
    for index in 0..app.pods.len() {
        start(app, world, index, now);
        let crash = crash_time(app, &app.pods[index]);
        let pod = &mut app.pods[index];
        pod.phase = Phase::Ready;
        pod.due = crash;
        world.effects.push(Effect::Ready { pod: pod.id });
    }
}

/// When the next pod or deployment moves by itself.
pub(super) fn next_due(app: &App) -> Option<Time> {
    let pods = app.pods.iter().filter_map(|p| p.due);
    pods.chain(app.deployments.iter().filter_map(|d| d.gone_at)).min()
}

/// The next phase of one pod.
fn transition(app: &mut App, world: &mut World, index: usize, now: Time) {
    match app.pods[index].phase {
        Phase::Pending | Phase::Crashed => start(app, world, index, now),
        Phase::Starting | Phase::Ready => {
            let crash = crash_time(app, &app.pods[index]);
            let pod = &mut app.pods[index];
            if crash.is_some_and(|crash| crash <= now) {
                crashed(pod, world, now);
            } else {
                pod.phase = Phase::Ready;
                pod.due = crash;
                world.effects.push(Effect::Ready { pod: pod.id });
            }
        }
    }
}

/// The container of a pod starts.
fn start(app: &mut App, world: &mut World, index: usize, now: Time) {
    let version = app.pods[index].version;
    let behaviour = app.version(version).map(|v| v.behaviour.clone()).unwrap_or_default();
    let usual = world.between(world.config.timings.ready);
    let delay = behaviour.ready_after.unwrap_or(usual);
    let ready = now + delay + world.config.faults.slow_ready;
    let pod = &mut app.pods[index];
    if pod.phase == Phase::Crashed {
        pod.restarts += 1;
    }
    pod.phase = Phase::Starting;
    pod.started = now;
    let never = behaviour.unready || pod.stuck;
    let crash = behaviour.crash_after.map(|after| now + after);
    pod.due = if never { crash } else { Some(crash.map_or(ready, |crash| crash.min(ready))) };
    world.effects.push(Effect::Started { app: app.spec.name.clone(), pod: pod.id, address: pod.address });
}

/// When the container of a running pod exits by itself.
fn crash_time(app: &App, pod: &Pod) -> Option<Time> {
    app.version(pod.version).and_then(|v| v.behaviour.crash_after).map(|after| pod.started + after)
}

/// The container of a pod exits.
pub(super) fn crashed(pod: &mut Pod, world: &mut World, now: Time) {
    let timings = &world.config.timings;
    pod.phase = Phase::Crashed;
    pod.due = Some(now + app::restart_delay(timings.restart, timings.restart_most, pod.restarts + 1));
    world.effects.push(Effect::Stopped { pod: pod.id });
}

/// How many pods an app can have: what the cluster has room for.
const ROOM: usize = 500;

/// Makes and removes pods until a deployment has what it wants: all of the new revision at once (surge of 100 %), and
/// the old ones go as the new ones become ready (none unavailable).
fn converge(app: &mut App, world: &mut World, index: usize, now: Time) {
    let deployment = &app.deployments[index];
    let revision = deployment.revision;
    let wanted =
        if deployment.gone_at.is_some() || deployment.stopped { 0 } else { deployment.replicas as usize };
    let (mut current, mut ready, mut old) = (0, 0, 0);
    for pod in app.pods_of(&deployment.key) {
        if pod.revision == revision {
            current += 1;
            ready += usize::from(pod.phase == Phase::Ready);
        } else {
            old += 1;
        }
    }
    let old_allowed = wanted.saturating_sub(ready.min(wanted));
    if current == wanted && old <= old_allowed {
        return;
    }
    let key = deployment.key.clone();
    for _ in current..wanted.min(current + ROOM.saturating_sub(app.pods.len())) {
        create(app, world, index, now);
    }
    for _ in wanted..current {
        remove_one(app, world, &key, &|p| p.revision == revision);
    }
    for _ in old_allowed..old {
        remove_one(app, world, &key, &|p| p.revision != revision);
    }
}

fn create(app: &mut App, world: &mut World, index: usize, now: Time) {
    let id = world.new_pod();
    let address = free_address(app, world, id);
    let deployment = &app.deployments[index];
    let suffix = app::random_name(world, 5);
    let name = format!("{}-{}-{suffix}", app.deployment_name(&deployment.key), deployment.replica_set);
    let stuck = world.config.faults.never_ready.fires(&mut world.rng);
    app.pods.push(Pod {
        id,
        name,
        key: deployment.key.clone(),
        revision: deployment.revision,
        version: deployment.version,
        routable: deployment.routable,
        phase: Phase::Pending,
        due: Some(now + world.config.timings.pending),
        started: now,
        created: now,
        restarts: 0,
        address,
        stuck,
    });
}

/// An address that no pod of this app has; another app's is as unlikely as a round of 64,000 pods.
fn free_address(app: &App, world: &World, id: u64) -> SocketAddr {
    let network = world.config.network;
    let taken = |address: &SocketAddr| app.pods.iter().any(|p| p.address == *address);
    // More candidates than there are pods, so one is free.
    let mut candidates = (0..=app.pods.len() as u64).map(|n| network.address(id + n));
    candidates.find(|address| !taken(address)).unwrap_or(network.address(id))
}

/// Removes the pod that Kubernetes would: one that is not ready before one that is, the youngest first.
fn remove_one(app: &mut App, world: &mut World, key: &Key, of: &dyn Fn(&Pod) -> bool) {
    let victim = app
        .pods
        .iter()
        .enumerate()
        .filter(|(_, p)| p.key == *key && of(p))
        .max_by_key(|(_, p)| (p.phase != Phase::Ready, p.created, p.id))
        .map(|(index, _)| index);
    if let Some(index) = victim {
        remove(app, world, index);
    }
}

/// Removes a pod; it vanishes from every list at once.
pub(super) fn remove(app: &mut App, world: &mut World, index: usize) {
    let pod = app.pods.remove(index);
    if matches!(pod.phase, Phase::Starting | Phase::Ready) {
        world.effects.push(Effect::Stopped { pod: pod.id });
    }
}
