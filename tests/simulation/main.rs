//! Whole rollouts in virtual time: the engine's own [`Course`](uguisu::engine::course::Course), the emulated Tsuru's core,
//! users' traffic, and everything that goes wrong between them, from one seed each.
//!
//! `cargo test --test simulation` runs some thousands. `UGUISU_SIMULATE=100000 cargo test --release --test simulation
//! thousands -- --nocapture` runs as many as are asked for, from seed `UGUISU_SEED` on (0 if it is not set).

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test stops at the first surprise, and counts what is small"
)]

mod daemon;
mod flight;
mod install;
mod promises;
mod scenario;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use uguisu::demo::tsuru::{Act, Caller, Deploy, Standing};
use uguisu::rollout::{Event, Kind, Recorded};
use uguisu::words::{AppName, Span, Time, Version};

use daemon::{Stop, World};
use install::{APP, Install};
use promises::Outcome;
use scenario::Scenario;

/// What went wrong in a rollout, and all that happened in it.
struct Failure {
    seed: u64,
    what: String,
    timeline: Vec<(Time, String)>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        let began = self.timeline.first().map_or(Time(0), |(at, _)| *at);
        for (at, what) in &self.timeline {
            writeln!(f, "{:>10.1}s  {what}", at.since(began).as_seconds())?;
        }
        Ok(())
    }
}

/// The rollout that follows from a seed.
fn simulate(seed: u64) -> Result<Outcome, Failure> {
    let failed = |what, timeline| Failure { seed, what, timeline };
    match run(&Scenario::of(seed), false) {
        (Ok(outcome), _) => Ok(outcome),
        // Once more, the same, and told.
        (Err(what), _) => match run(&Scenario::of(seed), true) {
            (Err(again), timeline) if again == what => Err(failed(what, timeline)),
            (other, timeline) => Err(failed(format!("{what}; the second time: {other:?}"), timeline)),
        },
    }
}

fn run(scenario: &Scenario, told: bool) -> (Result<Outcome, String>, Vec<(Time, String)>) {
    let mut install = Install::new(scenario);
    let first = open(scenario, &mut install);
    let now = install.now;
    install.tsuru.set_faults(now, scenario.faults.clone());
    let mut world = World::new(scenario, install, first, told);
    world.tell(|| format!("{scenario:?}"));
    let result = world.live().and_then(|memory| {
        world.install.advance(world.install.now + promises::AFTERWARDS);
        promises::check(&mut world, &memory)
    });
    let result = result.map_err(|stop| match stop {
        Stop::Broken(what) => what,
        Stop::Killed | Stop::Over(_) => "it ended in the middle".to_owned(),
    });
    if world.timeline.is_some() {
        let pods: Vec<String> = world
            .install
            .app()
            .into_iter()
            .flat_map(|app| &app.pods)
            .map(|pod| {
                let routed = if pod.routable { ", routed" } else { "" };
                format!("{} v{} {:?}{routed}", pod.name, pod.version, pod.phase)
            })
            .collect();
        world.tell(|| format!("-- in the end: {}", pods.join("; ")));
        let lines: Vec<_> = world
            .install
            .tsuru
            .events()
            .map(|e| {
                (
                    e.started,
                    format!(
                        "   tsuru: {} by {} until {:?} {:?} {}",
                        e.kind,
                        e.owner.1,
                        e.ended.map(|t| t.since(now).as_seconds()),
                        e.start,
                        e.error.replace('\n', " / ")
                    ),
                )
            })
            .collect();
        world.timeline.iter_mut().for_each(|timeline| {
            timeline.extend(lines.iter().cloned());
            timeline.sort_by_key(|(at, _)| *at);
        });
    }
    (result, world.timeline.unwrap_or_default())
}

/// Deploys the canary, as CI does, and says what the daemon makes of that.
fn open(scenario: &Scenario, install: &mut Install) -> Recorded {
    let [_, image] = scenario.images();
    let new_version = scenario.kind == Kind::Beside;
    let deploy = Deploy { image, origin: "image".to_owned(), new_version, ..Deploy::default() };
    let now = install.now;
    let call =
        install.tsuru.begin(now, Caller::user("ci@example.com"), APP, Act::Deploy(deploy)).expect("the app");
    let event = loop {
        let then = install.now + Span::seconds(1);
        install.advance(then);
        let progress = install.tsuru.progress(call).expect("a call");
        match progress.standing {
            Standing::Open => {}
            Standing::Over(Ok(())) => break progress.event.expect("an event"),
            other => panic!("nothing goes wrong yet: {other:?}"),
        }
    };
    install.tsuru.forget(call);
    install.dark.clear();
    let event = install.event(event).expect("an event");
    let wanted_back = scenario.kind == Kind::Return;
    let opened = Event::Opened {
        app: AppName(APP.to_owned()),
        baseline: Version(1),
        canary: Version(2),
        trigger: if wanted_back { "ana".to_owned() } else { event.id.to_string() },
        deployed: if wanted_back { install.now } else { event.started },
        policy: Box::new(scenario.policy.clone()),
        kind: scenario.kind,
    };
    Recorded { at: install.now, event: opened }
}

/// How many rollouts a usual test run has.
const USUAL: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn thousands_of_rollouts_keep_every_promise() {
    let (first, count) = (number("UGUISU_SEED").unwrap_or(0), number("UGUISU_SIMULATE").unwrap_or(USUAL));
    if count == 1 {
        // Whoever asks for one wants to read it.
        let (result, timeline) = run(&Scenario::of(first), true);
        let what = format!("{result:?}");
        println!("{}", Failure { seed: first, what, timeline });
    }
    let next = AtomicU64::new(first);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (outcomes, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match simulate(seed) {
                        Ok(outcome) => outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome),
                        Err(failure) => failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure),
                    }
                }
            });
        }
    });
    let took = began.elapsed().as_secs_f64();
    let (outcomes, mut failures) =
        (outcomes.into_inner().expect("outcomes"), failures.into_inner().expect("failures"));
    println!(
        "seeds {first}..{}: {count} rollouts in {took:.1} s, {:.2} ms of one core each",
        first + count,
        1e3 * took * cores as f64 / count as f64
    );
    tally(&outcomes);
    failures.sort_by_key(|failure| failure.seed);
    let seeds: Vec<_> = failures.iter().map(|failure| (failure.seed, failure.what.as_str())).collect();
    if let Some(failure) = failures.first() {
        println!("{failure}");
        panic!("{} rollouts broke a promise: {seeds:#?}", seeds.len());
    }
    if let Err(over) = promises::within_budget(&outcomes) {
        panic!("{over}");
    }
}

/// What the rollouts came to, together.
fn tally(outcomes: &[Outcome]) {
    let mut phases: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    for outcome in outcomes {
        let spared = if outcome.spared { "spared" } else { "faulty" };
        let quality = format!("{:?}", outcome.quality);
        let quality = quality.split('(').next().unwrap_or_default();
        let strategy = if outcome.spared { outcome.strategy } else { "any" };
        let why = match (outcome.blamed, outcome.proven) {
            (true, _) => "blamed",
            (_, true) => "proven",
            _ => "",
        };
        *phases
            .entry(format!("{spared} {strategy} {quality} {} {why}", outcome.phase.label()))
            .or_default() += 1;
    }
    for (what, count) in phases {
        println!("{count:>8}  {what}");
    }
    let sum = |of: fn(&Outcome) -> u32| outcomes.iter().map(|o| u64::from(of(o))).sum::<u64>();
    println!("{} looks, {} commands, {} kills", sum(|o| o.looks), sum(|o| o.commands), sum(|o| o.kills));
}
