//! How many looks of one ratio signal the judge takes in a second of one core.

use std::fs;
use std::time::{Duration, Instant};

use uguisu::judge::{Judge, Look};
use uguisu::policy::Policy;
use uguisu::simulate::{Family, Looks, Service};

use super::promises::{Figure, Promises};
use super::ratios::{self, policy};
use super::runs::Worst;
use super::{HISTORIES, Options};

/// Rollouts that are timed together, again and again for at least so many seconds, and how often that is done.
const ROLLOUTS: u64 = 10;
const LONG_ENOUGH: f64 = 0.05;
const REPEATS: usize = 7;

pub(super) fn tables(options: &Options, promises: &mut Promises) {
    println!("\n## Looks a second of one core, in thousands\n");
    println!("The judge alone: the traffic was made before. With history / without.\n");
    let families = ratios::families(options);
    let names: Vec<_> = families.iter().map(|(name, _)| name.as_str()).collect();
    println!("| configuration | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let (mut clean, mut noisy) = (Worst::default(), Worst::default());
    for (config, scenario) in ratios::configurations(options) {
        let policy = policy(&scenario.steps);
        let mut cells = Vec::new();
        for (name, family) in &families {
            let mut told = Vec::new();
            for history in HISTORIES {
                let mut scenario = scenario.clone();
                (scenario.family, scenario.history) = (*family, history);
                let speed = speed(&policy, &Service::of(scenario), options.seed);
                let place = format!("{config} {name}");
                match family {
                    Family::Plain if history > 0 && config != 'F' => clean.add(-speed.value, speed, &place),
                    Family::Plain if history > 0 => {}
                    _ => noisy.add(-speed.value, speed, &place),
                }
                told.push(format!("{:.0}", speed.value));
            }
            cells.push(told.join("/"));
        }
        println!("| {config} | {} |", cells.join(" | "));
    }
    if let Some((figure, place)) = clean.take() {
        let promise = "looks a second of one core, in thousands, clean traffic with history (A–E)";
        promises.at_least(promise, figure, 200.0, "", &place);
    }
    if let Some((figure, place)) = noisy.take() {
        let promise = "looks a second of one core, in thousands, noise model at work";
        promises.at_least(promise, figure, 10.0, "", &place);
    }
    whole(options, promises);
}

/// The time that this thread had of a core, where the system tells it (Linux); else the time that went by. What else the
/// machine does then slows nothing down but by caches.
struct Clock {
    begun: Instant,
    spent: Option<Duration>,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), spent: Self::spent() }
    }

    fn spent() -> Option<Duration> {
        // The system counts by ticks of some milliseconds, and up to now whenever a thread gives way.
        std::thread::yield_now();
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }

    fn seconds(&self) -> f64 {
        let spent = self.spent.zip(Self::spent()).map(|(before, now)| now.saturating_sub(before));
        spent.unwrap_or_else(|| self.begun.elapsed()).as_secs_f64()
    }
}

/// The median of several timings, in thousands of looks a second, between the slowest and the fastest.
fn speed(policy: &Policy, service: &Service, seed: u64) -> Figure {
    let rollouts: Vec<(Vec<Look>, Vec<Look>)> = (0..ROLLOUTS)
        .map(|run| {
            let mut looks = Looks::new(policy, service, seed.wrapping_add(run));
            let history = looks.history();
            (history, std::iter::from_fn(|| looks.next_look()).collect())
        })
        .collect();
    let mut timings: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let (mut taken, mut seconds) = (0, 0.0);
            while seconds < LONG_ENOUGH {
                let mut judges: Vec<_> =
                    rollouts.iter().map(|(history, _)| Judge::new(policy, history)).collect();
                let begun = Clock::start();
                for (judge, (_, looks)) in judges.iter_mut().zip(&rollouts) {
                    for look in looks {
                        judge.take(look);
                        std::hint::black_box(judge.harm());
                        taken += 1;
                    }
                }
                seconds += begun.seconds();
            }
            0.001 * f64::from(taken) / seconds
        })
        .collect();
    timings.sort_by(f64::total_cmp);
    Figure { value: timings[REPEATS / 2], low: timings[0], high: timings[REPEATS - 1] }
}

/// What two thousand rollouts of an hour take, traffic and history included.
fn whole(options: &Options, promises: &mut Promises) {
    let Some((_, scenario)) = ratios::configurations(options).into_iter().next() else { return };
    let policy = policy(&scenario.steps);
    let watcher = uguisu::simulate::Watcher::new(&policy);
    let begun = Clock::start();
    for run in 0..2000 {
        std::hint::black_box(watcher.run(&scenario, options.seed.wrapping_add(run)));
    }
    let took = begun.seconds();
    println!("\n2000 rollouts of 240 looks, with the simulation, on one core: {took:.1} s");
    let figure = Figure { value: took, low: took, high: took };
    promises.at_most("2000 rollouts of 240 looks of one ratio, clean, with history", figure, 10.0, " s", "");
}
