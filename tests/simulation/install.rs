//! The emulated Tsuru with its users, in virtual time: what it shows to whoever reads it, and what it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, Poisson};

use uguisu::demo::in_process;
use uguisu::demo::tsuru::{Act, App, AppSpec, Caller, Config, Event, EventId, Phase, Pod, PodId, Tsuru};
use uguisu::judge::{Look, Reading};
use uguisu::platform::{Activity, PlatformError, PlatformErrorKind};
use uguisu::rollout::{Observed, Unit};
use uguisu::words::{Arms, Span, Time, Version};

use crate::scenario::{API, ERRORS, Scenario};

/// The app.
pub(crate) const APP: &str = "shop";

/// Who the daemon is on the platform.
pub(crate) const DAEMON: &str = "uguisu";

/// The platform's clock when the simulation begins.
pub(crate) const START: Time = Time(1_800_000_000_000);

/// How often a read is tried while the token is refused.
const READ_TRIES: u32 = 3;

/// What one unit counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counted {
    /// When its process started.
    pub(crate) started: Time,
    pub(crate) requests: f64,
    pub(crate) errors: f64,
}

/// A time without a unit of a process that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dark {
    pub(crate) process: &'static str,
    pub(crate) at: Time,
    /// Units that were ready then, by version.
    pub(crate) ready: Vec<Version>,
    /// When a unit exited last.
    pub(crate) exited: Option<Time>,
    /// A unit that would serve exits again and again.
    pub(crate) exits: bool,
    /// Whose event held the lock, or had just ended; nothing: nobody's.
    pub(crate) by: Option<String>,
}

/// The units of a process that users reach.
struct Service {
    process: &'static str,
    pods: Vec<PodId>,
    /// When the oldest of them was made.
    oldest: Option<Time>,
    /// When one that served exited last.
    exited: Option<Time>,
}

/// The platform and its users.
pub(crate) struct Install {
    pub(crate) tsuru: Tsuru,
    pub(crate) now: Time,
    rng: StdRng,
    requests: f64,
    incident: Option<(Span, Span, f64)>,
    counted: BTreeMap<PodId, Counted>,
    /// Those of `web`, and of the others that users reach.
    services: Vec<Service>,
    /// Until when users' requests are counted.
    accrued: Time,
    /// All requests that each version served.
    pub(crate) served: BTreeMap<Version, f64>,
    /// Times at which no unit served any more.
    pub(crate) dark: Vec<Dark>,
    /// The units as they were read last: they are read very often, and seldom change.
    seen: (Vec<Pod>, Arc<[Unit]>),
    /// What is over, as the daemon reads it.
    told: BTreeMap<EventId, Arc<Activity>>,
}

impl Install {
    /// An app with its baseline, and nothing that goes wrong.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut tsuru = Tsuru::new(Config { seed: scenario.seed, ..Config::default() });
        let mut spec = AppSpec { quota: scenario.quota, ..AppSpec::web(APP) };
        spec.processes.extend(scenario.beside.iter().map(|process| (*process).to_owned()));
        let [baseline, _] = scenario.images();
        tsuru.create_app(START, spec, Some((&baseline, scenario.units))).expect("a good image");
        if let Some(process) = scenario.scaled {
            let scale = Act::SetAutoscale {
                process: process.to_owned(),
                min: 1,
                max: scenario.units.max(2),
                cpu: "700m".to_owned(),
            };
            let call = tsuru.begin(START, Caller::user("ops@example.com"), APP, scale).expect("the app");
            tsuru.forget(call);
        }
        let mut install = Self {
            tsuru,
            now: START,
            rng: StdRng::seed_from_u64(scenario.seed ^ 0x00C0_FFEE),
            requests: scenario.requests,
            incident: scenario.incident,
            counted: BTreeMap::new(),
            services: std::iter::once("web")
                .chain(scenario.beside.iter().copied().filter(|process| *process == API))
                .map(|process| Service { process, pods: Vec::new(), oldest: None, exited: None })
                .collect(),
            accrued: START,
            served: BTreeMap::new(),
            dark: Vec::new(),
            seen: (Vec::new(), [].into()),
            told: BTreeMap::new(),
        };
        install.settle(None);
        install
    }

    /// The app; nothing once it is deleted.
    pub(crate) fn app(&self) -> Option<&App> {
        self.tsuru.app(APP).filter(|app| !app.gone)
    }

    /// The units of a process.
    fn pods(&self, process: &str) -> impl Iterator<Item = &Pod> {
        let pods = self.app().map(|app| app.pods.as_slice()).unwrap_or_default();
        pods.iter().filter(move |p| p.key.process == process)
    }

    /// Its units that serve users now.
    fn servers(&self, process: &str) -> impl Iterator<Item = &Pod> {
        self.pods(process).filter(|p| p.serves())
    }

    /// Goes to `then`, one change after the other.
    pub(crate) fn advance(&mut self, then: Time) {
        while let Some(due) = self.tsuru.next_due().filter(|due| *due <= then) {
            let due = due.max(self.now);
            self.to(due);
        }
        self.to(then);
    }

    fn to(&mut self, then: Time) {
        let lock = self.lock();
        self.now = self.now.max(then);
        self.tsuru.advance(self.now);
        let _outside = self.tsuru.take_effects();
        let event = lock.or_else(|| self.lock()).and_then(|id| self.tsuru.event(id));
        let by = event.map(|event| event.owner.1.clone());
        self.settle(by.as_deref());
    }

    fn lock(&self) -> Option<EventId> {
        self.app()?.lock
    }

    /// Who holds the app's lock.
    pub(crate) fn holder(&self) -> Option<String> {
        let event = self.lock().and_then(|id| self.tsuru.event(id))?;
        Some(event.owner.1.clone())
    }

    /// Takes note of who serves from now on.
    pub(crate) fn settle(&mut self, by: Option<&str>) {
        for number in 0..self.services.len() {
            let Service { process, pods, .. } = &self.services[number];
            if !self.servers(process).map(|p| p.id).eq(pods.iter().copied()) {
                self.change(number, by);
            }
        }
    }

    /// Other units serve than until now.
    fn change(&mut self, number: usize, by: Option<&str>) {
        self.accrue();
        let Service { process, pods, oldest, exited } = &self.services[number];
        let (process, mut exited) = (*process, *exited);
        let crashed = self.pods(process).any(|p| pods.contains(&p.id) && p.phase == Phase::Crashed);
        if crashed {
            exited = Some(self.now);
        }
        let servers: Vec<PodId> = self.servers(process).map(|p| p.id).collect();
        let dark = servers.is_empty().then(|| {
            // What a try made that failed, the platform takes back by itself.
            let nobody = crashed || self.app().is_none() || self.is_taken_back(*oldest);
            let ready = self.pods(process).filter(|p| p.phase == Phase::Ready);
            let ready = ready.map(|p| Version(p.version)).collect();
            let exits = self.pods(process).any(|p| p.routable && p.restarts > 0);
            Dark {
                exits,
                process,
                at: self.now,
                ready,
                exited,
                by: by.filter(|_| !nobody).map(str::to_owned),
            }
        });
        self.dark.extend(dark);
        let oldest = self.servers(process).map(|p| p.created).min();
        self.services[number] = Service { process, pods: servers, oldest, exited };
    }

    /// The units that served until now, the oldest of them made at `oldest`, were all made since the daemon's last act
    /// began.
    fn is_taken_back(&self, oldest: Option<Time>) -> bool {
        let began = self.tsuru.events().filter(|e| e.owner.1 == DAEMON).map(|e| e.started).max();
        began.is_some_and(|began| oldest.is_some_and(|oldest| oldest >= began))
    }

    /// Lets users' requests reach the units that served until now.
    fn accrue(&mut self) {
        let span = self.now.since(self.accrued);
        let since = self.accrued.since(START);
        self.accrued = self.now;
        let Some(app) = self.tsuru.app(APP) else { return };
        let serving = self.services.first().map(|web| web.pods.as_slice()).unwrap_or_default();
        if serving.is_empty() || span == Span::ZERO {
            return;
        }
        let each = self.requests * span.as_seconds() / serving.len() as f64;
        let worse = match self.incident {
            Some((from, to, times)) if (from..to).contains(&since) => times,
            _ => 1.0,
        };
        for id in serving {
            // One that is gone by now answered until it went; nobody asks it any more what it counted.
            let Some(pod) = app.pods.iter().find(|p| p.id == *id) else { continue };
            let ratio = app.version(pod.version).and_then(|v| v.behaviour.errors).unwrap_or(ERRORS) * worse;
            let requests = Poisson::new(each).map_or(0.0, |law| law.sample(&mut self.rng));
            let errors =
                Binomial::new(requests as u64, ratio.min(0.9)).map_or(0, |law| law.sample(&mut self.rng));
            let counted = self.counted.entry(*id).or_default();
            if counted.started != pod.started {
                *counted = Counted { started: pod.started, ..Counted::default() };
            }
            counted.requests += requests;
            counted.errors += errors as f64;
            *self.served.entry(Version(pod.version)).or_default() += requests;
        }
    }

    /// What the unit of this name has counted; nothing where it does not answer.
    pub(crate) fn scrape(&mut self, unit: &str) -> Option<Counted> {
        self.accrue();
        let app = self.tsuru.app(APP)?;
        let pod =
            app.pods.iter().find(|p| p.name == unit && matches!(p.phase, Phase::Starting | Phase::Ready))?;
        let counted = self.counted.get(&pod.id).filter(|counted| counted.started == pod.started);
        Some(counted.copied().unwrap_or(Counted { started: pod.started, ..Counted::default() }))
    }

    /// The app's units as a reader sees them.
    pub(crate) fn observe(&mut self, at: Time) -> Result<Observed, PlatformError> {
        const READING: &str = "reading the units";
        self.door(READING)?;
        let now = self.now;
        let Some(look) = self.tsuru.look(now, APP).filter(|look| !look.app.gone) else {
            return Err(error(READING, PlatformErrorKind::NotFound, "App shop not found."));
        };
        let (was, units) = &mut self.seen;
        let read = |pods: &[Pod]| {
            if was != pods {
                (*was, *units) = (pods.to_vec(), in_process::units(pods));
            }
            Arc::clone(units)
        };
        in_process::observed(&look, at, read).map_err(|(kind, message)| error(READING, kind, &message))
    }

    /// What was done to the app since `since`: began or ended then, or still runs.
    pub(crate) fn activity(&mut self, since: Time) -> Result<Vec<Arc<Activity>>, PlatformError> {
        self.door("reading the events")?;
        let concerns = |e: &&Event| e.started >= since || e.ended.is_none_or(|ended| ended >= since);
        let told = &mut self.told;
        let mut tell = |event: &Event| {
            if event.ended.is_none() {
                return Arc::new(in_process::activity(event, DAEMON));
            }
            // What is over does not change any more, and is read very often.
            let over = told.entry(event.id);
            Arc::clone(over.or_insert_with(|| Arc::new(in_process::activity(event, DAEMON))))
        };
        Ok(self.tsuru.events().filter(concerns).map(&mut tell).collect())
    }

    /// The newest event of this kind that is ours.
    pub(crate) fn newest(&self, kind: &str) -> Option<&Event> {
        self.tsuru.events().rev().find(|e| e.kind == kind && e.owner.1 == DAEMON)
    }

    /// The event `id`.
    pub(crate) fn event(&self, id: EventId) -> Option<&Event> {
        self.tsuru.event(id)
    }

    /// What a read meets at the door.
    pub(crate) fn door(&mut self, action: &str) -> Result<(), PlatformError> {
        for _ in 0..READ_TRIES {
            match self.tsuru.door(self.now) {
                None => return Ok(()),
                Some(failure) if failure.status == 401 => {}
                Some(_) => return Err(error(action, PlatformErrorKind::Unreachable, "the answer was 502")),
            }
        }
        Err(error(action, PlatformErrorKind::Unauthorized, "Tsuru did not accept the token (401)"))
    }

    /// The daemon's own identity.
    pub(crate) fn daemon() -> Caller {
        Caller::token(DAEMON)
    }

    /// What the baseline did before: some looks, at the usual pace.
    pub(crate) fn history(&mut self, looks: u32) -> Vec<Look> {
        let every = 15.0;
        let began = self.now.seconds() - every * f64::from(looks);
        (0..looks)
            .map(|number| {
                let total = Poisson::new(self.requests * every).map_or(0.0, |law| law.sample(&mut self.rng));
                let events =
                    Binomial::new(total as u64, ERRORS).map_or(0, |law| law.sample(&mut self.rng)) as f64;
                let arms = Arms { baseline: Some(Reading::Counts { events, total }), canary: None };
                let signals = [("errors".to_owned(), arms)].into();
                Look { at: began + every * f64::from(number), share: None, signals }
            })
            .collect()
    }

    /// A random unit's container exits.
    pub(crate) fn exit(&mut self) {
        let running = |p: &&Pod| matches!(p.phase, Phase::Starting | Phase::Ready);
        let pods = self.app().map(|app| app.pods.as_slice()).unwrap_or_default();
        let running: Vec<String> = pods.iter().filter(running).map(|p| p.name.clone()).collect();
        if running.is_empty() {
            return;
        }
        let unit = &running[self.rng.random_range(0..running.len())];
        let _gone = self.tsuru.crash(self.now, APP, unit);
        self.settle(Some("the unit itself"));
    }
}

fn error(action: &str, kind: PlatformErrorKind, message: &str) -> PlatformError {
    PlatformError { action: action.to_owned(), message: message.to_owned(), kind }
}
