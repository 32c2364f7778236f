//! What happens to an app that nobody in the room asked for: autoscalers, and other people.

use rand::RngExt;

use super::act::{Act, Deploy, State};
use super::app::{App, Slot};
use super::autoscale;
use super::call::Call;
use super::event::Caller;
use super::faults::Foreign;
use super::world::World;
use crate::words::{Span, Time};

/// When others act next.
#[derive(Debug, Default)]
pub(super) struct Others {
    autoscaler: Option<Time>,
    somebody: Option<Time>,
    /// When the autoscalers see that a number is out of their bounds.
    bounds: Option<Time>,
}

impl Others {
    /// When the next of them acts.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.autoscaler.into_iter().chain(self.somebody).chain(self.bounds).min()
    }
}

/// Draws anew when others act.
pub(super) fn schedule(app: &mut App, world: &mut World, now: Time) {
    if app.gone {
        return;
    }
    let (autoscaling, foreign) = (world.config.faults.autoscaling, world.config.faults.foreign);
    let (autoscaler, somebody) = (draw(world, now, autoscaling), draw(world, now, foreign));
    app.others = Others { autoscaler, somebody, bounds: app.others.bounds };
}

/// A random time from `now`, `mean` later on average; nothing where the mean is nothing.
fn draw(world: &mut World, now: Time, mean: Span) -> Option<Time> {
    (mean != Span::ZERO).then(|| world.later(now, mean))
}

/// Notes when the autoscalers will see a number that is out of their bounds, which somebody may have left.
pub(super) fn watch(app: &mut App, world: &World, now: Time) {
    let wrong = autoscale::out_of_bounds(app).next().is_some();
    let sees = now + world.config.timings.autoscaler;
    app.others.bounds = wrong.then(|| app.others.bounds.unwrap_or(sees));
}

/// Lets those act whose time has come.
pub(super) fn act(app: &mut App, world: &mut World, now: Time) {
    if app.others.autoscaler.is_some_and(|due| due <= now) {
        scale(app, world, now);
        app.others.autoscaler = draw(world, now, world.config.faults.autoscaling);
    }
    if app.others.bounds.is_some_and(|due| due <= now) {
        app.others.bounds = None;
        let bounded: Vec<(usize, u32)> = autoscale::out_of_bounds(app).collect();
        for (index, replicas) in bounded {
            app.deployments[index].replicas = replicas;
        }
        super::pods::converge_all(app, world, now);
    }
    if app.others.somebody.is_some_and(|due| due <= now) {
        let kinds = &world.config.faults.foreign_acts;
        let kinds: &[Foreign] = if kinds.is_empty() { &Foreign::ALL } else { kinds };
        let kind = kinds[world.rng.random_range(0..kinds.len())];
        somebody(app, world, now, kind);
        app.others.somebody = draw(world, now, world.config.faults.foreign);
    }
}

/// How many calls may wait before somebody else gives up.
const PATIENCE: usize = 100;

/// Somebody else does something, and does not wait for the answer.
pub(super) fn somebody(app: &mut App, world: &mut World, now: Time, kind: Foreign) {
    if app.calls.len() > PATIENCE {
        return;
    }
    let act = choose(app, world, kind);
    let mut call = Call::new(Caller::user("someone@example.com"), act, world, now);
    call.abandoned = true;
    app.calls.push(call);
}

/// An autoscaler wants another number of units of the version that it changes.
fn scale(app: &mut App, world: &mut World, now: Time) {
    let autoscales = app.autoscales.clone();
    for autoscale in autoscales {
        let wanted = world.rng.random_range(autoscale.min..=autoscale.max.max(autoscale.min));
        let mut own = app.deployments.iter_mut().filter(|d| {
            d.key.process == autoscale.process
                && d.key.slot == autoscale.slot
                && d.gone_at.is_none()
                && !d.stopped
                && d.replicas > 0
        });
        if let Some(deployment) = own.next() {
            deployment.replicas = wanted;
        }
    }
    super::pods::converge_all(app, world, now);
}

/// What exactly somebody else does.
fn choose(app: &App, world: &mut World, kind: Foreign) -> Act {
    let deployed = app.deployed_versions();
    let some = match deployed.as_slice() {
        [] => 1,
        versions => versions[world.rng.random_range(0..versions.len())],
    };
    let version = format!(":v{some}");
    let process = app.spec.processes.first().cloned().unwrap_or_default();
    let coin: bool = world.rng.random();
    let deploy = |new_version, override_versions| {
        Act::Deploy(Deploy {
            image: "toy:good".to_owned(),
            origin: "image".to_owned(),
            message: String::new(),
            new_version,
            override_versions,
        })
    };
    match kind {
        Foreign::Deploy => deploy(false, false),
        Foreign::NewVersion => deploy(true, false),
        Foreign::Override => deploy(false, true),
        Foreign::Env => Act::SetEnv { names: vec!["SOMETHING".to_owned()] },
        Foreign::Gc => Act::VersionGc,
        Foreign::Units if coin => Act::AddUnits { units: 1, process, version },
        Foreign::Units => Act::RemoveUnits { units: 1, process, version },
        Foreign::Route => Act::Routable { version, routable: coin },
        Foreign::Kill => {
            let unit = app.pods.iter().find(|p| (p.key.slot == Slot::Base) == coin).or(app.pods.first());
            Act::KillUnit { unit: unit.map(|p| p.name.clone()).unwrap_or_default(), force: coin }
        }
        Foreign::Restart => {
            Act::Change { state: State::Restart, process: String::new(), version: String::new() }
        }
        Foreign::Stop => Act::Change { state: State::Stop, process: String::new(), version },
        Foreign::Delete => Act::DeleteVersion { version },
        Foreign::DeleteApp => Act::DeleteApp,
    }
}
