//! One app as the install has it: its versions, deployments and pods.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rand::RngExt;
use rand::rngs::StdRng;

use super::call::Call;
use super::event::{Event, EventId, Start};
use super::others::Others;
use super::world::World;
use crate::demo::toy::Behaviour;
use crate::words::{Span, Time};

/// What is told of an app when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec {
    /// Its name.
    pub name: String,
    /// The pool that it runs in.
    pub pool: String,
    /// The team that owns it.
    pub team: String,
    /// Its processes, `web` first.
    pub processes: Vec<String>,
    /// How many units it may have; nothing: no limit.
    pub quota: Option<u32>,
}

impl AppSpec {
    /// An app with one `web` process and no quota, in pool `prod`, of team `myteam`.
    #[must_use]
    pub fn web(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            pool: "prod".to_owned(),
            team: "myteam".to_owned(),
            processes: vec!["web".to_owned()],
            quota: None,
        }
    }
}

/// A version that was built, or tried to.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRecord {
    /// Its number.
    pub number: u32,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// It has an image: its build ended well, whatever became of its deploy.
    pub built: bool,
    /// It was deployed with success at least once.
    pub successful: bool,
    /// Why nobody may roll back to it; nothing: anybody may.
    pub disabled: Option<String>,
    /// The image collector is about to remove it.
    pub marked: bool,
    /// How many units its processes had when they were stopped last.
    pub past_units: Vec<(String, u32)>,
    /// The event that built it.
    pub event: EventId,
}

/// Which deployment of a process: the base, or the one made for a version beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The base deployment: `app-web`.
    Base,
    /// The deployment of a version beside it: `app-web-v2`.
    Beside(u32),
}

/// Names a deployment of an app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The process.
    pub process: String,
    /// The base or a version beside it.
    pub slot: Slot,
}

/// A set of like pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its process and slot.
    pub key: Key,
    /// The version that its template has.
    pub version: u32,
    /// How many pods are wanted.
    pub replicas: u32,
    /// Its label `is-routable`, which new pods get.
    pub routable: bool,
    /// Changes of its template are not rolled out.
    pub paused: bool,
    /// It was stopped: no pods until it is started.
    pub stopped: bool,
    /// Counts the changes of its template.
    pub revision: u32,
    /// How often it was restarted.
    pub restarts: u32,
    /// It was removed, and is gone for good at this time.
    pub gone_at: Option<Time>,
    /// The name part of the replica set of the current revision.
    pub replica_set: String,
}

/// What a pod is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for its container.
    Pending,
    /// Its container runs and is not ready.
    Starting,
    /// Its container runs and is ready.
    Ready,
    /// Its container exited and waits for its next start.
    Crashed,
}

/// Names a pod over the life of the install.
pub type PodId = u64;

/// One pod, which Tsuru calls a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its identity.
    pub id: PodId,
    /// Its name.
    pub name: String,
    /// The deployment that it belongs to.
    pub key: Key,
    /// The revision of the deployment that made it.
    pub revision: u32,
    /// The version that it runs.
    pub version: u32,
    /// Its label `is-routable`.
    pub routable: bool,
    /// What it is doing.
    pub phase: Phase,
    /// When its phase changes by itself; nothing: not by itself.
    pub due: Option<Time>,
    /// When its container started last.
    pub started: Time,
    /// When it was made.
    pub created: Time,
    /// How often its container was started again.
    pub restarts: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// It will not become ready, whatever its version does.
    pub stuck: bool,
}

impl Pod {
    /// It receives users' requests: ready and routable.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.phase == Phase::Ready && self.routable
    }

    /// The platform's word for what it is doing, and the reason.
    #[must_use]
    pub fn status(&self) -> (&'static str, &'static str) {
        match self.phase {
            Phase::Pending => ("created", ""),
            // A container that exited before is not called starting any more, until it is ready.
            Phase::Starting if self.restarts > 0 => ("error", "Error"),
            Phase::Starting => ("starting", ""),
            Phase::Ready => ("started", ""),
            Phase::Crashed => ("error", "exitCode: 1"),
        }
    }
}

/// An autoscaler of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscale {
    /// The process whose units it changes.
    pub process: String,
    /// The fewest units.
    pub min: u32,
    /// The most units.
    pub max: u32,
    /// The processor load that it aims at, as `700m`.
    pub cpu: String,
    /// The version that it is labelled with.
    pub version: u32,
    /// The deployment of the process whose units it changes.
    pub slot: Slot,
}

/// An app.
#[derive(Debug)]
pub struct App {
    /// What was told when it was made.
    pub spec: AppSpec,
    /// All versions, by number.
    pub versions: Vec<VersionRecord>,
    /// The number that the next build gets.
    pub next_version: u32,
    /// Its deployments, lingering ones included.
    pub deployments: Vec<Deployment>,
    /// Its pods that still exist.
    pub pods: Vec<Pod>,
    /// Its autoscalers.
    pub autoscales: Vec<Autoscale>,
    /// The services that exist, by process: of the app (without a version) and of versions, which may be stale.
    pub services: Vec<(String, Option<u32>)>,
    /// How many deploys ended well.
    pub deploys: u32,
    /// It was removed.
    pub gone: bool,
    /// The event that holds the lock.
    pub lock: Option<EventId>,
    /// When something happens by itself next.
    pub(super) due: Option<Time>,
    /// Calls that are not over, and those whose answer nobody took yet.
    pub(super) calls: Vec<Call>,
    /// What others will do to it.
    pub(super) others: Others,
    /// Earlier lists of pods, for readers that lag: from when it held, and the list.
    pub(super) past: Vec<(Time, Vec<Pod>)>,
}

impl App {
    pub(super) fn new(spec: AppSpec) -> Self {
        Self {
            spec,
            versions: Vec::new(),
            next_version: 1,
            deployments: Vec::new(),
            pods: Vec::new(),
            autoscales: Vec::new(),
            services: Vec::new(),
            deploys: 0,
            gone: false,
            lock: None,
            due: None,
            calls: Vec::new(),
            others: Others::default(),
            past: Vec::new(),
        }
    }

    /// The deployment of `key` that is not being removed.
    #[must_use]
    pub fn deployment(&self, key: &Key) -> Option<&Deployment> {
        self.deployments.iter().find(|d| d.key == *key && d.gone_at.is_none())
    }

    pub(super) fn deployment_mut(&mut self, key: &Key) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|d| d.key == *key && d.gone_at.is_none())
    }

    /// The record of version `number`.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&VersionRecord> {
        self.versions.iter().find(|v| v.number == number)
    }

    /// The versions that have a deployment, lingering ones included, ascending.
    #[must_use]
    pub fn deployed_versions(&self) -> Vec<u32> {
        let mut versions: Vec<u32> = self.deployments.iter().map(|d| d.version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// The deployment of `key`, also where it is being removed: its name is taken until it is gone.
    pub(super) fn named(&self, key: &Key) -> Option<&Deployment> {
        self.deployments.iter().find(|d| d.key == *key)
    }

    /// The version that the base deployments have; the newest, where they differ. One that is being removed still counts.
    #[must_use]
    pub fn base_version(&self) -> Option<u32> {
        self.deployments.iter().filter(|d| d.key.slot == Slot::Base).map(|d| d.version).max()
    }

    /// How many units count against the quota: those that are started or starting. What waits for its container or crashes
    /// does not count.
    #[must_use]
    pub fn units_in_use(&self) -> u32 {
        let counted = self.pods.iter().filter(|p| matches!(p.status().0, "starting" | "started")).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// The pods of a deployment.
    pub fn pods_of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |p| p.key == *key)
    }

    /// The Kubernetes name of a deployment: `app-process`, or `app-process-vN` for a version beside the base.
    #[must_use]
    pub fn deployment_name(&self, key: &Key) -> String {
        let base = format!("{}-{}", self.spec.name, key.process);
        match key.slot {
            Slot::Base => base,
            Slot::Beside(version) => format!("{base}-v{version}"),
        }
    }

    /// The pods as they were at a time.
    pub(super) fn pods_at(&self, then: Time) -> &[Pod] {
        self.past.iter().find(|(until, _)| *until > then).map_or(&self.pods, |(_, pods)| pods)
    }

    /// The host that users reach it by.
    #[must_use]
    pub fn router_host(&self) -> String {
        format!("{}.example.com", self.spec.name)
    }

    /// All hosts of a router that publishes versions as well, in random order.
    pub(super) fn router_hosts(&self, rng: &mut StdRng) -> Vec<String> {
        let host = self.router_host();
        let versions = self.services.iter().filter_map(|(process, v)| v.filter(|_| process == "web"));
        let mut hosts: Vec<String> = versions.map(|v| format!("v{v}.version.{host}")).collect();
        hosts.push(host);
        for last in (1..hosts.len()).rev() {
            hosts.swap(last, rng.random_range(0..=last));
        }
        hosts
    }

    /// The full name of the image of a version.
    #[must_use]
    pub fn image(&self, registry: &str, version: u32) -> String {
        format!("{registry}/app-{}:v{version}", self.spec.name)
    }
}

/// The letters that Kubernetes makes random names of.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A random name part, as Kubernetes gives them to replica sets and pods.
pub(super) fn random_name(world: &mut World, length: usize) -> String {
    (0..length).map(|_| char::from(LETTERS[world.rng.random_range(0..LETTERS.len())])).collect()
}

/// Where pods get their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The first two octets of all addresses; loopback.
    pub prefix: [u8; 2],
    /// The port that every pod listens on.
    pub port: u16,
}

impl Network {
    /// The address of the pod that was made as number `n`. Numbers come round after 64,000.
    pub(super) fn address(self, n: u64) -> SocketAddr {
        // The last octet stays clear of 0 and 255, which some systems take for the network and broadcast.
        let third = u8::try_from(n / 250 % 256).unwrap_or(0);
        let fourth = u8::try_from(n % 250 + 2).unwrap_or(2);
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(self.prefix[0], self.prefix[1], third, fourth)), self.port)
    }
}

impl Default for Network {
    /// `127.80.0.0/16`, port 8888 as on Tsuru.
    fn default() -> Self {
        Self { prefix: [127, 80], port: 8888 }
    }
}

/// The delay before a container that crashed for the `n`th time starts again.
pub(super) fn restart_delay(first: Span, most: Span, crashes: u32) -> Span {
    Span(first.0.saturating_mul(1 << crashes.saturating_sub(1).min(16)).min(most.0))
}

/// Puts version 1 with `units` ready units of each process into a new app, as after a deploy that just ended.
pub(super) fn seed(
    app: &mut App,
    world: &mut World,
    now: Time,
    image: &str,
    units: u32,
) -> Result<(), String> {
    let behaviour = Behaviour::of_image(image)?;
    let id = world.new_id(now);
    let start = Start::Deploy {
        image: image.to_owned(),
        origin: "image".to_owned(),
        message: String::new(),
        rollback: false,
        new_version: false,
        override_versions: false,
        user: "admin".to_owned(),
    };
    app.next_version = 2;
    app.deploys = 1;
    app.versions.push(VersionRecord {
        number: 1,
        behaviour,
        built: true,
        successful: true,
        disabled: None,
        marked: false,
        past_units: Vec::new(),
        event: id,
    });
    for process in app.spec.processes.clone() {
        app.services.push((process.clone(), None));
        app.deployments.push(Deployment {
            key: Key { process, slot: Slot::Base },
            version: 1,
            replicas: units,
            routable: true,
            paused: false,
            stopped: false,
            revision: world.new_revision(),
            restarts: 0,
            gone_at: None,
            replica_set: random_name(world, 9),
        });
    }
    super::pods::seed(app, world, now);
    let end_image = Some(app.image(&world.config.registry, 1));
    world.record(Event {
        id,
        app: app.spec.name.clone(),
        pool: app.spec.pool.clone(),
        team: app.spec.team.clone(),
        kind: "app.deploy",
        internal: false,
        owner: ("user", "admin".to_owned()),
        address: "127.0.0.1".to_owned(),
        replica: 0,
        started: now,
        ended: Some(now),
        stalled: None,
        error: String::new(),
        cancelable: false,
        cancel: None,
        lines: Vec::new(),
        start,
        end_image,
    });
    Ok(())
}
