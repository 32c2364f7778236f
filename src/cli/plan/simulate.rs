//! Simulated rollouts through the real judge, with all of a policy's signals: what it comes to at this traffic.
//!
//! Each rollout takes the policy's steps as the daemon would: a step is left when the judge calls the canary safe and the
//! shortest bake is over, and at the longest bake what the policy says happens. A bad canary is worse in one signal from its
//! first request on.

mod traffic;

use std::num::NonZero;

use serde::Serialize;

use super::course::Course;
use super::load::{Load, assumed};
use crate::judge::{Decision, Trial, asks};
use crate::policy::{Bake, Judging, Measure, Policy, Reaction, Strategy};
use crate::simulate::{Tally, interval, median};
use crate::stats::gauge::NoiseSummary;
use traffic::{Fault, Traffic};

/// The regressions that are simulated, as ratios to the baseline.
const REGRESSIONS: [f64; 6] = [1.2, 1.5, 2.0, 5.0, 10.0, 50.0];
/// Up to here always; more where so many rollouts end without a rollback.
const ALWAYS: f64 = 5.0;
/// The share of rollouts from which on a regression is seen well enough.
const SEEN: f64 = 0.5;

/// By how much a gauge's units differ where nobody says it.
const GAUGE_NOISE: f64 = 0.05;

/// What became of the simulated rollouts.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Simulated {
    /// Of each kind.
    pub(super) runs: u32,
    /// What had to be assumed, in sentences.
    pub(super) assumed: Vec<String>,
    /// How the rollouts of canaries as good as their baselines ended.
    pub(super) good: AllEnds,
    /// An interval for the share of them that is rolled back, at 95 %.
    pub(super) false_rollback_between: [f64; 2],
    pub(super) bad: Vec<Bad>,
}

/// How the rollouts of canaries that are worse in one signal ended.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bad {
    pub(super) signal: String,
    pub(super) regression: f64,
    #[serde(flatten)]
    pub(super) ends: AllEnds,
}

/// How rollouts ended.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct AllEnds {
    pub(super) rolled_back: Ends,
    pub(super) promoted: Ends,
    /// Paused, for a person to decide.
    pub(super) left: Ends,
}

/// One way to end.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ends {
    /// The share of rollouts that ended so.
    pub(super) share: f64,
    /// After how many seconds, the median of those; nothing where none did.
    pub(super) after: Option<f64>,
}

/// How one rollout ended, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    RolledBack(f64),
    Promoted(f64),
    Left(f64),
}

/// Simulates `runs` rollouts of each kind: good canaries, and each regression in each signal of which the traffic is known.
pub(super) fn simulate(policy: &Policy, course: &Course, loads: &[Load], runs: u32) -> Simulated {
    let (mut policy, mut loads, mut said) = (policy.clone(), loads.to_vec(), Vec::new());
    for (index, load) in loads.iter_mut().enumerate() {
        let Load::Unknown(why) = *load else { continue };
        let past = match policy.signals[index].measure {
            Measure::Gauge { .. } => assumed(&policy, &policy.signals[index], GAUGE_NOISE),
            _ => None,
        };
        let signal = &mut policy.signals[index];
        if let Some(past) = past {
            *load = Load::Gauge(past);
            said.push(format!(
                "{}: its units are taken to differ by {:.0}%; {why}",
                signal.name,
                100.0 * GAUGE_NOISE
            ));
        } else {
            signal.gates = false;
            if let Judging::Kayenta(terms) = &mut policy.judge
                && let Some(metric) = terms.signals.get_mut(&signal.name)
            {
                metric.muted = true;
            }
            said.push(format!("{}: stays silent; {why}", signal.name));
        }
    }
    let first = course.legs.first().map_or(1, |leg| leg.canary as usize);
    let noise = |load: &Load| match load {
        Load::Gauge(past) => Some(past.forecast(first, past.units).ok()?.fit().summary()),
        Load::Counts(_) | Load::Unknown(_) => None,
    };
    let noises = loads.iter().map(noise).collect();
    let stage = Stage { policy: &policy, course, loads: &loads, noises };
    let good = stage.ends(None, runs);
    let mut bad = Vec::new();
    let asks = asks(&policy);
    for (index, signal) in policy.signals.iter().enumerate() {
        if matches!(loads[index], Load::Unknown(_)) {
            continue;
        }
        for regression in REGRESSIONS {
            // What is seen well enough needs no worse one; and more than everything cannot fail.
            let is_seen = bad
                .last()
                .is_some_and(|bad: &Bad| bad.signal == signal.name && bad.ends.rolled_back.share >= SEEN);
            // What never rolls back by itself does not do so where it is worse either.
            let is_seen = is_seen || !asks[index].alone;
            if regression > ALWAYS && (is_seen || loads[index].most() < regression) {
                break;
            }
            let ends = stage.ends(Some(Fault { signal: index, regression }), runs);
            bad.push(Bad { signal: signal.name.clone(), regression, ends: summed(&ends) });
        }
    }
    let rolled_back = good.iter().filter(|end| matches!(end, End::RolledBack(_))).count();
    let (low, high) = interval(rolled_back, good.len());
    Simulated { runs, assumed: said, good: summed(&good), false_rollback_between: [low, high], bad }
}

/// Where rollouts are simulated.
struct Stage<'a> {
    policy: &'a Policy,
    course: &'a Course,
    loads: &'a [Load],
    /// Each gauge's own noise.
    noises: Vec<Option<NoiseSummary>>,
}

impl Stage<'_> {
    /// How `runs` rollouts end, on all cores. The same ones whenever they are asked for.
    fn ends(&self, fault: Option<Fault>, runs: u32) -> Vec<End> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let of = |thread: usize| {
            (0..u64::from(runs))
                .skip(thread)
                .step_by(threads)
                .map(|seed| self.run(seed, fault))
                .collect::<Vec<_>>()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || of(thread))).collect();
            // A thread that panicked has nothing to tell; its rollouts are missed in the sums.
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }

    fn run(&self, seed: u64, fault: Option<Fault>) -> End {
        let mut traffic = Traffic::new(self.policy, self.course, self.loads, &self.noises, (seed, fault));
        let mut trial = Trial::new(self.policy, &traffic.history());
        let Bake { at_least, at_most } = self.course.bake;
        let steps = self.course.steps();
        let every = self.policy.look_every.as_seconds().max(1.0);
        let mut now = 0.0;
        for (index, leg) in steps.iter().enumerate() {
            let began = now;
            loop {
                now += every;
                let look = traffic.look(now, leg);
                // The daemon leaves out what a new version does first.
                if now - began <= leg.warm_up.as_seconds() {
                    continue;
                }
                match trial.look(&look) {
                    Decision::Rollback => return End::RolledBack(now),
                    Decision::Promote => return End::Promoted(now),
                    Decision::Pause => return End::Left(now),
                    Decision::Continue | Decision::Hold => {}
                }
                let baked = now - began;
                let is_over = baked >= at_most.as_seconds();
                let goes_on = self.policy.on.inconclusive == Reaction::Promote && !trial.judge().both_bad();
                if !self.policy.strategy.coexists()
                    && ((baked >= at_least.as_seconds() && trial.judge().safe()) || (is_over && goes_on))
                {
                    break;
                }
                if let (Strategy::MultiVersion(both), true) = (&self.policy.strategy, is_over) {
                    return match both.then {
                        Reaction::Promote => End::Promoted(now),
                        Reaction::Rollback => End::RolledBack(now),
                        Reaction::Ignore | Reaction::Pause => End::Left(now),
                    };
                }
                // Silence and faults of both versions hold a step beyond its longest bake; here there are none.
                if is_over {
                    return End::Left(now);
                }
            }
            if index + 1 == steps.len() {
                return End::Promoted(now);
            }
        }
        End::Left(now)
    }
}

fn summed(ends: &[End]) -> AllEnds {
    let of = |time: fn(&End) -> Option<f64>| {
        let times: Vec<f64> = ends.iter().filter_map(time).collect();
        let mut tally = Tally::default();
        for end in ends {
            tally.add(time(end));
        }
        Ends { share: if ends.is_empty() { 0.0 } else { tally.share() }, after: median(&times, times.len()) }
    };
    AllEnds {
        rolled_back: of(|end| if let End::RolledBack(at) = end { Some(*at) } else { None }),
        promoted: of(|end| if let End::Promoted(at) = end { Some(*at) } else { None }),
        left: of(|end| if let End::Left(at) = end { Some(*at) } else { None }),
    }
}
