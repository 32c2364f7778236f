//! Many simulated rollouts, and what they came to.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use uguisu::policy::Policy;
use uguisu::simulate::{Service, Tally, Trial, Watcher, interval};

use super::promises::Figure;

/// Runs a service's rollout many times.
pub(super) fn trials(policy: &Policy, service: &Service, runs: usize, seed: u64) -> Vec<Trial> {
    let watcher = || Watcher::new(policy);
    on_all_cores(runs, watcher, |watcher, run| watcher.run_service(service, seed.wrapping_add(run as u64)))
}

/// How many good canaries were rolled back.
pub(super) fn harmed(trials: &[Trial]) -> Tally {
    tally(trials, |trial| trial.harm)
}

/// When bad canaries were found. What was rolled back before the fault is a false rollback.
pub(super) fn found(trials: &[Trial]) -> Tally {
    tally(trials, |trial| trial.harm.filter(|since| *since > 0.0))
}

/// When the oracle found them.
pub(super) fn foreseen(trials: &[Trial]) -> Tally {
    tally(trials, |trial| trial.oracle)
}

/// When canaries were proven.
pub(super) fn proven(trials: &[Trial]) -> Tally {
    tally(trials, |trial| trial.safe)
}

fn tally(trials: &[Trial], time: impl Fn(&Trial) -> Option<f64>) -> Tally {
    let mut tally = Tally::default();
    for trial in trials {
        tally.add(time(trial));
    }
    tally
}

/// Makes so many numbered runs, each core with what it `prepares` once, and returns them in order.
fn on_all_cores<P, T: Send>(
    runs: usize,
    prepare: impl Fn() -> P + Sync,
    make: impl Fn(&P, usize) -> T + Sync,
) -> Vec<T> {
    let (next, cores) = (AtomicUsize::new(0), std::thread::available_parallelism().map_or(1, NonZero::get));
    let work = || {
        let prepared = prepare();
        let mut done = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return done;
            }
            done.push((run, make(&prepared, run)));
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    all.sort_by_key(|(run, _)| *run);
    all.into_iter().map(|(_, made)| made).collect()
}

/// A share of runs in percent.
pub(super) fn share(tally: &Tally) -> Figure {
    let (low, high) = interval(tally.times.len(), tally.runs);
    Figure { value: 100.0 * tally.share(), low: 100.0 * low, high: 100.0 * high }
}

/// A median in seconds; infinite where more than half never did it.
pub(super) fn middle(tally: &Tally) -> Figure {
    let [low, high] = tally.median_interval();
    let never = f64::INFINITY;
    Figure { value: tally.median().unwrap_or(never), low: low.unwrap_or(never), high: high.unwrap_or(never) }
}

/// `0.40 (0.2–0.9)`: a share of runs in percent, with its interval.
pub(super) fn percent(tally: &Tally) -> String {
    let Figure { value, low, high } = share(tally);
    format!("{value:.2} ({low:.2}–{high:.2})")
}

pub(super) fn seconds(time: Option<f64>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{time:.0}"))
}

/// The worst of several cases, with where it was.
#[derive(Debug, Default)]
pub(super) struct Worst {
    case: Option<(f64, Figure, String)>,
}

impl Worst {
    /// A case, the worse the larger `badness`.
    pub(super) fn add(&mut self, badness: f64, figure: Figure, place: &str) {
        if self.case.as_ref().is_none_or(|(worst, ..)| badness > *worst) {
            self.case = Some((badness, figure, place.to_owned()));
        }
    }

    /// A share of good canaries rolled back.
    pub(super) fn add_share(&mut self, tally: &Tally, place: &str) {
        self.add(tally.share(), share(tally), place);
    }

    /// The worst case, if there was any.
    pub(super) fn take(self) -> Option<(Figure, String)> {
        self.case.map(|(_, figure, place)| (figure, place))
    }
}
