//! The daemon: the engine's own [`Course`] around a journal in memory, killed and started again.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use uguisu::demo::tsuru::faults::{Faults, Foreign};
use uguisu::engine::course::{Course, Heard, Memory, Seen};
use uguisu::judge::Reading;
use uguisu::platform::{PlatformError, PlatformErrorKind};
use uguisu::policy::{Mode, Strategy};
use uguisu::rollout::{
    Alarm, Event, IllegalEvent, Observed, Order, OrderKind, PauseCause, Phase, Recorded, Rollout, next_act,
};
use uguisu::signal::increments::{Book, Compare, Kind, Point, Role, UnitSample};
use uguisu::signal::{Answer, Gathered, SmokeFault};
use uguisu::words::{Arm, Arms, Span, Time};

use crate::flight::Flight;
use crate::install::{APP, Install, START};
use crate::promises;
use crate::scenario::{Scenario, Visit};

/// The signal's name in every policy.
const SIGNAL: &str = "errors";

/// The sender's identity of the alert.
const ALERT: &str = "slow";

/// Something that waits for the daemon.
#[derive(Debug, Clone)]
pub(crate) enum Knock {
    Order(Order),
    Alert(Heard),
    Calm(Time),
}

/// Why the daemon does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was killed.
    Killed,
    /// The rollout is over, and this is what it knew then.
    Over(Box<Memory>),
    /// A promise was broken, or the code did what it never may.
    Broken(String),
}

impl From<IllegalEvent> for Stop {
    fn from(illegal: IllegalEvent) -> Self {
        Self::Broken(illegal.to_string())
    }
}

/// What a look compared, for a timeline.
fn counted(event: &Event) -> String {
    let Event::Looked { look, .. } = event else { return String::new() };
    let total = |reading: &Option<Reading>| match reading {
        Some(Reading::Counts { total, .. }) => *total,
        _ => 0.0,
    };
    let arms = look.signals.values().next();
    arms.map(|arms| format!(" (+{} and +{})", total(&arms.baseline), total(&arms.canary))).unwrap_or_default()
}

/// The daemon, and all that is outside of it.
pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) install: Install,
    pub(crate) rng: StdRng,
    pub(crate) journal: Vec<Recorded>,
    /// Waits for the daemon, also while it is down.
    pub(crate) inbox: VecDeque<Knock>,
    visits: VecDeque<(Time, Visit)>,
    /// When the alert began to fire.
    alerted: Option<Time>,
    /// How far the daemon's clock is before the platform's, in milliseconds.
    skew: i64,
    /// What the last snapshot knows of the counters; nothing where it was lost.
    kept: Option<Book>,
    /// What it knew when it wrote last.
    wrote: Option<Memory>,
    flight: Option<Flight>,
    /// The answer to the last command, until the daemon takes it.
    landed: Option<Result<(), PlatformError>>,
    /// Since when a person is waited for, and how long they take.
    waits: Option<(Time, Span)>,
    pub(crate) kills: u32,
    pub(crate) looks: u32,
    began: Time,
    /// From when on nothing goes wrong; nothing: already.
    calm: Option<Time>,
    end: Time,
    /// What happened, for a person; only where somebody wants to read it.
    pub(crate) timeline: Option<Vec<(Time, String)>>,
}

impl<'a> World<'a> {
    /// A rollout that was opened just now by `first`.
    pub(crate) fn new(scenario: &'a Scenario, install: Install, first: Recorded, told: bool) -> Self {
        let began = install.now;
        let visits = scenario.visits.iter().map(|(after, visit)| (began + *after, *visit)).collect();
        let mut world = Self {
            scenario,
            install,
            rng: StdRng::seed_from_u64(scenario.seed ^ 0xDAE_0000),
            journal: Vec::new(),
            inbox: VecDeque::new(),
            visits,
            alerted: None,
            skew: 0,
            kept: None,
            wrote: None,
            flight: None,
            landed: None,
            waits: None,
            kills: 0,
            looks: 0,
            began,
            calm: Some(began + scenario.calm),
            end: began + Span::minutes(300),
            timeline: told.then(Vec::new),
        };
        world.append(vec![first]);
        world
    }

    /// The daemon's clock.
    pub(crate) fn clock(&self) -> Time {
        Time(self.install.now.0 + self.skew)
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = self.install.now;
        if let Some(timeline) = &mut self.timeline {
            timeline.push((now, what()));
        }
    }

    fn append(&mut self, events: Vec<Recorded>) {
        for recorded in events {
            if !matches!(recorded.event, Event::Learnt { .. }) {
                self.tell(|| {
                    let counted = counted(&recorded.event);
                    format!("{}: {}{counted}", recorded.event.label(), recorded.event.sentence())
                });
            }
            self.journal.push(recorded);
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.calm.is_some() && self.rng.random_bool(probability.min(1.0))
    }

    /// A point at which a kill makes a difference.
    fn may_die(&mut self) -> Result<(), Stop> {
        if self.chance(self.scenario.trouble.kill) { Err(Stop::Killed) } else { Ok(()) }
    }

    /// Lets the world go on until `then`; visitors come, and the command under way goes on. Stops when the command is
    /// answered or somebody knocks, if the daemon `listens`.
    fn pass(&mut self, then: Time, listens: bool) {
        loop {
            let mut next = then;
            let visit = self.visits.front().map(|(at, _)| *at);
            let flight = self.flight.as_ref().map(|flight| flight.wake);
            for due in [visit, flight, self.install.tsuru.next_due(), self.calm].into_iter().flatten() {
                next = next.min(due);
            }
            self.install.advance(next.max(self.install.now));
            if self.calm.is_some_and(|calm| calm <= self.install.now) {
                self.calm = None;
                let now = self.install.now;
                self.install.tsuru.set_faults(now, Faults::default());
            }
            while self.visits.front().is_some_and(|(at, _)| *at <= self.install.now) {
                let Some((_, visit)) = self.visits.pop_front() else { break };
                self.visit(visit);
            }
            if let Some(answer) = self.flight.as_mut().and_then(|flight| flight.step(&mut self.install)) {
                (self.flight, self.landed) = (None, Some(answer));
            }
            let heard = self.landed.is_some() || !self.inbox.is_empty();
            if self.install.now >= then || (listens && heard) {
                return;
            }
        }
    }

    pub(crate) fn visit(&mut self, visit: Visit) {
        self.tell(|| format!("-- {visit:?}"));
        match visit {
            Visit::Order(kind) => {
                let order = Order { kind, by: "ana".to_owned() };
                self.inbox.push_back(Knock::Order(order));
            }
            Visit::Alert(reaction) => {
                let starts = self.clock();
                self.alerted = Some(starts);
                let alarm = |action| Alarm {
                    name: "Slow".to_owned(),
                    action,
                    sentence: "alert `Slow` fires".to_owned(),
                };
                let means = reaction.map(alarm).ok_or_else(|| "alert `Slow` fires for v1".to_owned());
                let fingerprint = ALERT.to_owned();
                self.inbox.push_back(Knock::Alert(Heard { fingerprint, starts, means }));
            }
            Visit::Calm => {
                let knock = self.alerted.map(Knock::Calm);
                self.inbox.extend(knock);
            }
            Visit::Somebody(what) => {
                let now = self.install.now;
                self.install.tsuru.somebody(now, APP, what);
                let holder = self.install.holder();
                self.install.settle(holder.as_deref());
            }
            Visit::Exit => self.install.exit(),
        }
    }

    /// Lives until the rollout is over. Returns what is known then.
    pub(crate) fn live(&mut self) -> Result<Memory, Stop> {
        loop {
            let memory = promises::recall(&self.journal, self.scenario.seed)?;
            if self.wrote.as_ref().is_some_and(|wrote| *wrote != memory) {
                return Err(Stop::Broken(
                    "the journal replays to another state than the one that wrote it".to_owned(),
                ));
            }
            match self.run(memory) {
                Stop::Over(memory) => {
                    promises::tells(&self.journal, &memory, self.scenario.seed)?;
                    return Ok(*memory);
                }
                Stop::Killed => self.restart(),
                broken @ Stop::Broken(_) => return Err(broken),
            }
        }
    }

    /// The time after a kill.
    fn restart(&mut self) {
        self.kills += 1;
        self.landed = None;
        if let Some(flight) = self.flight.take() {
            flight.abandon(&mut self.install);
        }
        if self.chance(self.scenario.trouble.forget) {
            self.kept = None;
        }
        self.tell(|| "-- the daemon was killed".to_owned());
        let long = self.rng.random_bool(0.2);
        let down = if long { self.rng.random_range(0..600_000) } else { self.rng.random_range(100..20_000) };
        self.pass(self.install.now + Span(down), false);
        if self.chance(self.scenario.trouble.clock) {
            self.skew = self.rng.random_range(-3_000_000..3_000_000);
        }
        // As `SystemClock` starts: never before the last thing in the journal.
        let last = self.journal.last().map_or(START, |recorded| recorded.at);
        self.skew = self.skew.max(last.0 - self.install.now.0);
        self.tell(|| "-- the daemon is started again".to_owned());
    }

    fn run(&mut self, memory: Memory) -> Stop {
        let since = memory.counts_since(self.kept.is_none() && memory.rollout().events > 1);
        let every = memory.rollout().policy.look_every;
        let new = || Book::new(Kind::Ratio, Compare::Both, since, every);
        let mut book = self.kept.clone().unwrap_or_else(new);
        let mut course = Course::new(memory);
        if let Err(stop) = self.start(&mut course, &book) {
            return stop;
        }
        loop {
            if let Err(stop) = self.turn(&mut course, &mut book) {
                return stop;
            }
            if course.rollout().phase.is_final() {
                return Stop::Over(Box::new(course.memory().clone()));
            }
            if self.install.now > self.end && promises::needs_hands(self, &course) {
                return Stop::Over(Box::new(course.memory().clone()));
            }
            if self.install.now > self.end {
                let seen = self.see(&course);
                let act = seen.observed.map(|o| next_act(course.rollout(), &o, false, self.clock()));
                return Stop::Broken(format!("it does not come to an end; the next act would be {act:?}"));
            }
        }
    }

    fn start(&mut self, course: &mut Course, book: &Book) -> Result<(), Stop> {
        let resumed = course.resume(self.clock())?;
        self.write(course, book, resumed)?;
        if course.is_new() {
            let learnt = course.learn(self.clock(), self.install.history(self.scenario.history))?;
            self.write(course, book, learnt)?;
        }
        Ok(())
    }

    /// A round, and what comes until the next.
    fn turn(&mut self, course: &mut Course, book: &mut Book) -> Result<(), Stop> {
        self.cycle(course, book)?;
        promises::hold(self, course)?;
        if course.rollout().phase.is_final() {
            return Ok(());
        }
        self.call_person(course);
        self.pass(self.install.now + course.until_next(self.clock()), true);
        if let Some(answer) = self.landed.take() {
            self.may_die()?;
            let answered = course.answered(self.clock(), &answer)?;
            self.write(course, book, answered)?;
        } else if let Some(knock) = self.inbox.front().cloned() {
            let written = match knock {
                Knock::Order(order) => {
                    let before = course.rollout().clone();
                    let written = course.order(self.clock(), &order)?;
                    promises::answered(&before, order.kind, &written)?;
                    written
                }
                Knock::Alert(heard) => course.hear(self.clock(), heard)?,
                Knock::Calm(starts) => course.calm(self.clock(), ALERT, starts)?,
            };
            // Whoever knocked is told once it is written, and comes again if the daemon dies before.
            self.write(course, book, written)?;
            self.inbox.pop_front();
        }
        Ok(())
    }

    /// Somebody who is waited for comes in the end, and does one thing or another.
    fn call_person(&mut self, course: &Course) {
        let Rollout { phase, pause, policy, step_reached, called, .. } = course.rollout();
        let since = self.journal.iter().rev().map(|recorded| &recorded.event).find(|event| {
            !matches!(
                event,
                Event::TroubleBegan { .. }
                    | Event::TroubleEnded { .. }
                    | Event::Noted { .. }
                    | Event::Restarted
            )
        });
        let stuck = *called || matches!(since, Some(Event::PersonNeeded { .. }));
        // Who only observes moves nothing, and waits for ever where nobody else does.
        let stuck = stuck || (policy.mode == Mode::Observe && step_reached.is_none());
        // Two versions side by side without an end are ended by somebody.
        let endless = matches!(&policy.strategy, Strategy::MultiVersion(both) if both.lasts.is_none());
        let endless = endless && *phase == Phase::Step && step_reached.is_some();
        let waits = *phase == Phase::Paused || stuck || endless;
        let Some((since, patience)) = self.waits.filter(|_| waits) else {
            let patience = Span(self.rng.random_range(10_000..600_000));
            self.waits = waits.then_some((self.install.now, patience));
            return;
        };
        if self.install.now.since(since) < patience {
            return;
        }
        self.waits = None;
        if stuck {
            return self.visit(Visit::Somebody(Foreign::Override));
        }
        let answers: &[OrderKind] = match pause {
            Some(
                PauseCause::Approval
                | PauseCause::Advice
                | PauseCause::RollbackAdvice
                | PauseCause::SupersededAdvice,
            ) => &[OrderKind::Approve, OrderKind::Approve, OrderKind::Approve, OrderKind::Rollback],
            _ => &[OrderKind::Resume, OrderKind::Promote, OrderKind::Rollback, OrderKind::Keep],
        };
        let answer = answers[self.rng.random_range(0..answers.len())];
        self.visit(Visit::Order(answer));
    }

    /// One round, as the engine's runner makes it.
    fn cycle(&mut self, course: &mut Course, book: &mut Book) -> Result<(), Stop> {
        if !course.is_round_due(self.clock()) {
            self.probe(course, None);
            if !course.is_failing() {
                return Ok(());
            }
        }
        let mut seen = self.see(course);
        if let Some(observed) = &seen.observed {
            self.probe(course, Some(observed));
            self.smoke(course, observed);
            if course.is_look_due(self.clock()) {
                let at = self.clock();
                if let Some(end) = course.warm_up_ends() {
                    book.leave_out(end);
                }
                book.compare(course.compares(observed));
                seen.gathered = Some((at, self.gather(course, book, observed, at)));
                self.looks += 1;
            }
        }
        let shown = self.timeline.as_ref().and_then(|_| seen.observed.clone());
        let events = course.round(self.clock(), seen)?;
        if let Some(shown) = shown.filter(|_| !events.is_empty()) {
            self.tell(|| format!("   seen: {}", units(&shown)));
        }
        self.write(course, book, events)?;
        if self.flight.is_none()
            && self.landed.is_none()
            && let Some(command) = course.command()
        {
            let mut flight = Flight::new(command.clone(), self.install.now);
            let answer = flight.step(&mut self.install);
            // Sent, and killed before there can be an answer.
            self.flight = Some(flight);
            self.may_die()?;
            if answer.is_some() {
                (self.flight, self.landed) = (None, answer);
            }
        }
        Ok(())
    }

    /// Reads the platform, which takes a while.
    fn see(&mut self, course: &Course) -> Seen {
        let trouble = self.scenario.trouble;
        let slow = self.chance(trouble.slow);
        let took = if slow { self.rng.random_range(1000..20_000) } else { self.rng.random_range(5..200) };
        self.pass(self.install.now + Span(took), false);
        let blind = || PlatformError {
            action: "reading".to_owned(),
            message: "no answer".to_owned(),
            kind: PlatformErrorKind::Unreachable,
        };
        let (at, since) = (self.clock(), course.activity_since());
        let observed = if self.chance(trouble.blind) { Err(blind()) } else { self.install.observe(at) };
        let activity = if self.chance(trouble.blind) { Err(blind()) } else { self.install.activity(since) };
        Seen::of(course.rollout(), observed, activity)
    }

    /// Writes events to the journal. The daemon may be killed before and after.
    fn write(&mut self, course: &Course, book: &Book, events: Vec<Recorded>) -> Result<(), Stop> {
        if events.is_empty() {
            return Ok(());
        }
        self.may_die()?;
        self.append(events);
        // Whoever is never killed is never started again.
        if self.scenario.trouble.kill > 0.0 {
            self.kept = Some(book.clone());
            self.wrote = Some(course.memory().clone());
        }
        if course.rollout().events != self.journal.len() as u64 {
            return Err(Stop::Broken("the journal does not have as many events as the rollout".to_owned()));
        }
        self.may_die()
    }

    fn probe(&mut self, course: &mut Course, observed: Option<&Observed>) {
        for probe in course.probes(observed, self.clock()) {
            let answers = self.install.scrape(&probe.unit).is_some();
            let answer = if answers { Answer::Good } else { Answer::Unreachable("refused".to_owned()) };
            course.probed(&probe, answer);
        }
    }

    fn smoke(&mut self, course: &mut Course, observed: &Observed) {
        for probe in course.smoke_probes(observed, self.clock()) {
            let answers = self.install.scrape(&probe.unit).is_some();
            let answer = match (answers, self.scenario.smokes) {
                (false, _) => Err(SmokeFault::Unreachable("refused".to_owned())),
                (true, true) => Err(SmokeFault::Status(500)),
                (true, false) => Ok(()),
            };
            course.smoked(&probe, answer);
        }
    }

    /// Asks every unit for its counters, as the scraping source does, and closes the slice.
    fn gather(&mut self, course: &Course, book: &mut Book, observed: &Observed, at: Time) -> Gathered {
        let rollout = course.rollout();
        let since = self.install.now.since(self.began);
        let silent: Vec<_> =
            self.scenario.outages.iter().filter(|o| (o.from..o.to).contains(&since)).collect();
        let arm_of = |version| match version {
            v if v == rollout.baseline => Some(Arm::Baseline),
            v if v == rollout.canary => Some(Arm::Canary),
            _ => None,
        };
        let mut notes = Vec::new();
        for unit in observed.units.iter() {
            let Some(arm) =
                arm_of(unit.version).filter(|arm| silent.iter().all(|o| o.arm.is_some_and(|a| a != *arm)))
            else {
                continue;
            };
            if unit.process != "web" || unit.address.is_none() {
                continue;
            }
            let Some(counted) = self.install.scrape(&unit.name) else { continue };
            let point = |role, value| Point { role, series: 1, value };
            let sample = UnitSample {
                unit: unit.name.clone(),
                arm,
                at,
                born: unit.created,
                started: Some(counted.started),
                points: vec![point(Role::Events, counted.errors), point(Role::Total, counted.requests)],
            };
            notes.extend(book.take_series(vec![sample], at).err());
        }
        book.mark_gone(|arm, name| {
            observed.units.iter().any(|u| u.name == name && arm_of(u.version) == Some(arm))
        });
        let closed = book.close();
        notes.extend(closed.notes);
        let mut gathered = Gathered { notes, ..Gathered::default() };
        if book.has_shown() && closed.readings != Arms::default() {
            gathered.signals.insert(SIGNAL.to_owned(), closed.readings);
        }
        gathered
    }
}

/// Units as a person reads them.
fn units(observed: &Observed) -> String {
    let mut groups: std::collections::BTreeMap<String, [u32; 3]> = std::collections::BTreeMap::new();
    for unit in observed.units.iter() {
        let slot = if unit.base { "" } else { " beside" };
        let [all, ready, routed] =
            groups.entry(format!("`{}` of {}{slot}", unit.process, unit.version)).or_default();
        (*all, *ready, *routed) =
            (*all + 1, *ready + u32::from(unit.ready), *routed + u32::from(unit.routable));
    }
    let text = |(name, [all, ready, routed]): (&String, &[u32; 3])| {
        format!("{all} {name} ({ready} ready, {routed} routed)")
    };
    groups.iter().map(text).collect::<Vec<_>>().join(", ")
}
