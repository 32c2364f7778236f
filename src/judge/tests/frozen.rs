//! After 100 %: the canary alone, held against the baseline as it was.

use rand_distr::{Binomial, Geometric, LogNormal, Poisson, StandardNormal};

use super::*;
use crate::policy::{BlueGreen, Direction, GaugeForm};
use crate::simulate::{Effect, Family, Fault, Scenario, Step, Tally, Watcher, interval};
use crate::stats::special::log_add_exp;

/// Looks before 100 %, with a history of an hour.
const SIDE: u32 = 40;

/// What moves the canary once it is alone.
#[derive(Clone, Copy)]
struct Since {
    /// What is wrong with it.
    fault: f64,
    /// How the level of all moves, within the hour.
    drift: f64,
    /// At once instead of slowly.
    at_once: bool,
}

impl Since {
    const GOOD: Self = Self { fault: 1.0, drift: 1.0, at_once: false };

    /// What the canary's level is multiplied by at the `n`th look after 100 %.
    fn times(self, n: u32) -> f64 {
        let gone = if self.at_once { 1.0 } else { f64::from(n) / 240.0 };
        self.fault * self.drift.powf(gone)
    }
}

fn watched(strategy: Strategy, signal: Signal) -> Policy {
    Policy { watch: Span::minutes(60), strategy, ..policy(&[0.5], vec![signal]) }
}

fn canary() -> Strategy {
    policy(&[0.5], Vec::new()).strategy
}

fn blue_green() -> Strategy {
    let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(60) };
    Strategy::BlueGreen(BlueGreen { bake, approve: false, process: "web".to_owned() })
}

/// The looks of an hour before, of the steps, and of the hour after 100 %. `arm` makes one arm's reading from its share and level.
fn looks(
    name: &str,
    side: u32,
    since: Since,
    mut arm: impl FnMut(f64, f64) -> Option<Reading>,
) -> (Vec<Look>, Vec<Look>) {
    let at = |n: u32| 1.7e9 + 15.0 * f64::from(n);
    let history = (0..240).map(|n| look(at(n), 0.0, &[(name, arm(1.0, 1.0), None)])).collect();
    let rollout = (1..=side + 240)
        .map(|n| {
            let arms = if n <= side {
                (0.5, arm(0.5, 1.0), arm(0.5, 1.0))
            } else {
                (1.0, None, arm(1.0, since.times(n - side)))
            };
            look(at(240 + n), arms.0, &[(name, arms.1, arms.2)])
        })
        .collect();
    (history, rollout)
}

/// How many looks after 100 % harm is found.
fn found(policy: &Policy, side: u32, (history, rollout): &(Vec<Look>, Vec<Look>)) -> Option<u32> {
    let mut judge = Judge::new(policy, history);
    (1..).zip(rollout).find_map(|(n, look): (u32, _)| {
        judge.take(look);
        judge.harm().then(|| n.saturating_sub(side))
    })
}

/// Independent errors: 100 requests a second, of which 1 % fail.
fn errors(seed: u64) -> impl FnMut(f64, f64) -> Option<Reading> {
    let mut rng = StdRng::seed_from_u64(seed);
    move |share, times| {
        let total = Poisson::new(1500.0 * share).unwrap().sample(&mut rng);
        let events = Binomial::new(total as u64, (0.01 * times).min(1.0)).unwrap().sample(&mut rng);
        counts(events as f64, total)
    }
}

/// A median of 80 ms, 40 requests a second.
fn durations(seed: u64) -> impl FnMut(f64, f64) -> Option<Reading> {
    const LE: [f64; 5] = [0.05, 0.1, 0.15, 0.25, 0.5];
    let mut rng = StdRng::seed_from_u64(seed);
    move |share, times| {
        let law = LogNormal::new((0.08 * times).ln(), 0.6).unwrap();
        let took: Vec<f64> = (0..(600.0 * share) as u32).map(|_| law.sample(&mut rng)).collect();
        let counts = LE.map(|le| took.iter().filter(|took| **took <= le).count() as f64);
        Some(Reading::Histogram { le: LE.to_vec(), counts: counts.to_vec(), total: took.len() as f64 })
    }
}

/// Four units of 100 MB, each with noise of its own.
fn megabytes(seed: u64) -> impl FnMut(f64, f64) -> Option<Reading> {
    let mut rng = StdRng::seed_from_u64(seed);
    move |_, times| {
        let mut unit = || {
            let noise: f64 = StandardNormal.sample(&mut rng);
            100.0 * times * (0.05 * noise).exp()
        };
        Some(Reading::Values(vec![unit(), unit(), unit(), unit()]))
    }
}

fn memory() -> Signal {
    let measure = Measure::Gauge {
        query: "memory".to_owned(),
        worse: Direction::Up,
        form: GaugeForm::Strict,
        floor: None,
    };
    Signal { margin: 0.2, ..signal("memory", measure) }
}

#[test]
fn what_drifts_as_far_as_is_said_is_nobodys_fault() {
    for at_once in [false, true] {
        let since = Since { drift: 1.5, at_once, ..Since::GOOD };
        for strategy in [canary(), blue_green()] {
            let side = if matches!(strategy, Strategy::Canary(_)) { SIDE } else { 0 };
            let policy = watched(strategy, Signal { margin: 0.0, ..ratio("errors") });
            for seed in 0..12 {
                let found = found(&policy, side, &looks("errors", side, since, errors(seed)));
                assert_eq!(found, None, "seed {seed}");
            }
        }
        let since = Since { drift: 1.1, at_once, ..Since::GOOD };
        for seed in 0..3 {
            let slow = looks("latency", SIDE, since, durations(seed));
            assert_eq!(found(&watched(canary(), latency(None)), SIDE, &slow), None, "latency, seed {seed}");
        }
        let large = looks("memory", SIDE, since, megabytes(1));
        assert_eq!(found(&watched(canary(), memory()), SIDE, &large), None, "memory");
    }
}

/// Users that ask nothing any more after everything went to the canary: a router that lost it, or a page that calls nothing.
#[test]
fn a_canary_alone_that_nobody_asks_any_more_has_no_data() {
    for (strategy, side) in [(canary(), SIDE), (blue_green(), 0)] {
        let policy = watched(strategy, ratio("errors"));
        let (history, mut rollout) = looks("errors", side, Since::GOOD, errors(1));
        let gone = side as usize + 8;
        for look in rollout.iter_mut().skip(gone) {
            look.signals.get_mut("errors").unwrap().canary = counts(0.0, 0.0);
        }
        let mut judge = Judge::new(&policy, &history);
        let silent: Vec<bool> = rollout.iter().map(|look| judge.look(look).no_data).collect();
        assert!(!silent[..gone + 4].contains(&true), "a minute without requests may be chance");
        assert!(silent[gone + 5..].iter().all(|silent| *silent), "after more than a minute it is not");
        let verdict = judge.verdict();
        let signal = &verdict.signals["errors"];
        assert_eq!((signal.outcome, verdict.harm, verdict.safe), (Outcome::NoData, false, false));
        assert!(signal.why.contains("serves alone and answers, but tells of no requests"), "{}", signal.why);
        // One that comes back is heard.
        let at = rollout.last().unwrap().at + 15.0;
        judge.take(&look(at, 1.0, &[("errors", None, counts(1.0, 100.0))]));
        assert!(!judge.no_data());
        // It goes on to the bit from what is written down.
        let again: Judge = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
        assert_eq!(again, judge);
    }
}

/// An app that had hardly any users before may have none now.
#[test]
fn a_quiet_app_is_not_missed() {
    let policy = watched(blue_green(), ratio("errors"));
    let quiet = |total: f64| counts(0.0, total);
    let history: Vec<Look> = (0..240)
        .map(|n| {
            look(
                1.7e9 + 15.0 * f64::from(n),
                0.0,
                &[("errors", quiet(f64::from(u8::from(n % 40 == 0))), None)],
            )
        })
        .collect();
    let mut judge = Judge::new(&policy, &history);
    for n in 240..480 {
        judge.take(&look(1.7e9 + 15.0 * f64::from(n), 1.0, &[("errors", None, quiet(0.0))]));
        assert!(!judge.no_data(), "look {n}");
    }
}

/// A canary that is alone from the first look was never compared: the noise that its limit is held against is the history's, or
/// that of its own looks. Taken for independent, 20 % of good ones were rolled back, 35 % without a history (300 runs).
#[test]
fn a_limit_alone_reckons_with_clusters() {
    let clustered = |seed: u64| {
        let mut rng = StdRng::seed_from_u64(seed);
        move |_: f64, level: f64| {
            let clusters: f64 = Poisson::new(0.012 * 1500.0 / 8.0 * level).unwrap().sample(&mut rng);
            let mut left = clusters;
            let mut events = clusters;
            while left >= 1.0 {
                let more = Geometric::new(1.0 / 8.0).unwrap().sample(&mut rng);
                events += f64::from(u32::try_from(more).unwrap());
                left -= 1.0;
            }
            counts(events.min(1500.0), 1500.0)
        }
    };
    let mut signal = ratio("errors");
    if let Measure::Ratio { limit, .. } = &mut signal.measure {
        *limit = Share::new(0.02);
    }
    let policy = watched(blue_green(), signal);
    for known in [true, false] {
        let blamed = |since: Since, runs: u64| {
            let blamed = (0..runs).filter(|seed| {
                let (history, rollout) = looks("errors", 0, since, clustered(*seed));
                let history = if known { history } else { Vec::new() };
                found(&policy, 0, &(history, rollout)).is_some()
            });
            blamed.count()
        };
        let good = blamed(Since::GOOD, 60);
        assert!(good <= 1, "{good} of 60, history: {known}");
        assert!(blamed(Since { fault: 10.0, ..Since::GOOD }, 10) >= 9, "history: {known}");
    }
}

/// What `uguisu plan` says of a canary alone is what half of them come to.
#[test]
fn what_is_forecast_of_a_canary_alone_is_what_is_found() {
    let policy = watched(blue_green(), Signal { critical: true, ..ratio("errors") });
    let ask = &asks(&policy)[0];
    let middle = |mut looks: Vec<u32>| {
        looks.sort_unstable();
        f64::from(looks[looks.len() / 2])
    };
    for fault in [3.0, 2.5] {
        let since = Since { fault, ..Since::GOOD };
        let (mut all_found, mut all_said) = (Vec::new(), Vec::new());
        for seed in 0..9 {
            let looks = looks("errors", 0, since, errors(seed));
            all_found.push(found(&policy, 0, &looks).unwrap_or(u32::MAX));
            let Some(Past { level: Level::Counts(past), .. }) = past(&policy, &looks.0).remove(0) else {
                panic!("an hour is enough")
            };
            let ahead = Ahead::of_counts(&policy, &policy.signals[0], ask, &past).unwrap();
            let said = ahead.detection(fault, false, 1000).unwrap();
            assert!(ahead.detection(ahead.passes() * 0.99, false, 1000).is_none());
            assert!(ahead.detection(fault, true, 1000) >= Some(said));
            all_said.push(said);
        }
        let (found, said) = (middle(all_found), middle(all_said));
        assert!((found / 1.5 - 1.0..=found * 1.5 + 1.0).contains(&said), "x{fault}: {said}, found {found}");
    }
}

#[test]
fn a_regression_after_it_is_found() {
    let times = |fault: f64| Since { fault, ..Since::GOOD };
    for strategy in [canary(), blue_green()] {
        let side = if matches!(strategy, Strategy::Canary(_)) { SIDE } else { 0 };
        let policy = |signal| watched(strategy.clone(), signal);
        let within = |name: &str, found: Option<u32>, most: u32| {
            assert!(found.is_some_and(|found| (1..=most).contains(&found)), "{name}: {found:?}");
        };
        let after = |signal, looks: (Vec<Look>, Vec<Look>)| found(&policy(signal), side, &looks);
        within("x5", after(ratio("errors"), looks("errors", side, times(5.0), errors(1))), 2);
        within("crash", after(ratio("errors"), looks("errors", side, times(50.0), errors(2))), 2);
        within("+50 %", after(latency(None), looks("latency", side, times(1.5), durations(3))), 3);
        within("step", after(memory(), looks("memory", side, times(1.5), megabytes(4))), 8);
    }
}

#[test]
fn noise_of_every_kind_is_within_the_budget() {
    let policy = watched(canary(), ratio("errors"));
    for family in [Family::Frailty, Family::Burst] {
        let harmed = (0..6).filter(|seed| simulated(&policy, family, 100.0, 0.01, None, *seed).is_some());
        assert_eq!(harmed.count(), 0, "{family:?}");
        let worse = simulated(&policy, family, 100.0, 0.01, Some(5.0), 1);
        assert!(worse.is_some_and(|at| (0.0..=900.0).contains(&at)), "{family:?}: {worse:?}");
    }
}

/// A rollout with the errors and the wandering of `family`; when harm was found, in seconds since 100 %.
fn simulated(
    policy: &Policy,
    family: Family,
    rps: f64,
    base: f64,
    times: Option<f64>,
    seed: u64,
) -> Option<f64> {
    let alone = policy.strategy.shares()[0] >= Share::ALL;
    let side = if alone { 0 } else { SIDE as usize };
    let scenario = Scenario {
        requests: rps,
        base,
        family,
        fault: times.map(|times| Fault { effect: Effect::Times(times), onset: side }),
        every: 15.0,
        steps: vec![Step { share: 0.5, slices: side }, Step { share: 1.0, slices: 240 }],
        history: 240,
    };
    let harm = Watcher::new(policy).run(&scenario, seed).harm?;
    Some(if times.is_some() { harm } else { harm - 15.0 * side as f64 })
}

#[test]
fn a_moment_of_wandering_errors_is_not_taken_for_their_level() {
    let policy = watched(blue_green(), ratio("errors"));
    let harmed = |times: Option<f64>| {
        let scenario = Scenario {
            requests: 1000.0,
            base: 0.01,
            family: Family::Plain,
            fault: times.map(|times| Fault { effect: Effect::Times(times), onset: 0 }),
            every: 15.0,
            steps: vec![Step { share: 1.0, slices: 240 }],
            history: 8,
        };
        (0..40).filter(|seed| Watcher::new(&policy).run(&scenario, *seed).harm.is_some()).count()
    };
    let good = harmed(None);
    assert!(good <= 1, "{good} of 40 good canaries");
    assert_eq!(harmed(Some(5.0)), 40);
}

#[test]
fn limits_go_on_but_what_was_above_before_is_not_blamed_for_it() {
    let mut limited = Signal { margin: 9.0, ..ratio("errors") };
    if let Measure::Ratio { limit, .. } = &mut limited.measure {
        *limit = Share::new(0.02);
    }
    let policy = watched(canary(), limited);
    let over = looks("errors", SIDE, Since { fault: 3.0, ..Since::GOOD }, errors(1));
    assert!(found(&policy, SIDE, &over).is_some_and(|looks| looks <= 10));
    let mut three = errors(2);
    let always = looks("errors", SIDE, Since::GOOD, |share, times| three(share, 3.0 * times));
    assert_eq!(found(&policy, SIDE, &always), None);
}

#[test]
fn blue_green_is_proven_by_what_was_known_of_the_baseline() {
    let policy = watched(blue_green(), ratio("errors"));
    let proven = |times: f64| {
        let (history, rollout) = looks("errors", 0, Since { fault: times, ..Since::GOOD }, errors(3));
        let mut judge = Judge::new(&policy, &history);
        let safe = (1..=120).zip(&rollout).find(|(_, look)| {
            judge.take(look);
            judge.safe()
        });
        (safe.map(|(n, _)| n), judge)
    };
    let (good, judge) = proven(1.0);
    assert!(good.is_some_and(|n| n <= 60), "{good:?}");
    let why = &judge.verdict().signals["errors"].why;
    assert!(
        why.contains("less than 1.5 times is proven") && why.contains("baseline as it was until"),
        "{why}"
    );
    let (bad, judge) = proven(1.6);
    assert_eq!(bad, None);
    assert!(!judge.harm(), "neither proven nor beyond what may drift");
}

#[test]
fn a_baseline_kept_warm_is_none() {
    let policy = watched(blue_green(), ratio("errors"));
    let (history, rollout) = looks("errors", 0, Since::GOOD, errors(4));
    let (mut gone, mut warm) = (Judge::new(&policy, &history), Judge::new(&policy, &history));
    for look in &rollout[..20] {
        let mut idle = look.clone();
        idle.signals.values_mut().for_each(|arms| arms.baseline = counts(0.0, 0.0));
        let (gone, warm) = (gone.look(look), warm.look(&idle));
        assert_eq!(gone, warm);
        assert!(!gone.source_down && gone.signals["errors"].frozen.is_some());
    }
}

#[test]
fn below_all_of_the_traffic_nothing_is_frozen() {
    let (history, rollout) = looks("errors", SIDE, Since::GOOD, errors(5));
    let mut judge = Judge::new(&policy(&[0.5], vec![ratio("errors")]), &history);
    for look in &rollout[..SIDE as usize] {
        assert_eq!(judge.look(look).signals["errors"].frozen, None);
    }
    assert!(judge.look(&rollout[SIDE as usize]).signals["errors"].frozen.is_some());
}

#[test]
fn sentences_say_until_when_and_how_large_the_baseline_was() {
    let (history, rollout) = looks("errors", SIDE, Since { fault: 5.0, ..Since::GOOD }, errors(6));
    let mut judge = Judge::new(&watched(canary(), ratio("errors")), &history);
    rollout[..SIDE as usize + 3].iter().for_each(|look| judge.take(look));
    let verdict = judge.verdict();
    assert!(verdict.harm);
    let frozen = verdict.signals["errors"].frozen.unwrap();
    assert_eq!((frozen.until, frozen.drift), (1.7e9 + 15.0 * 280.0, 1.5));
    let why = &verdict.signals["errors"].why;
    let said = "held against the baseline as it was until 23:23 UTC on 14 November, ";
    assert!(why.contains(said) && why.contains(" requests; up to 1.5 times that"), "{why}");
}

#[test]
fn where_nothing_is_known_that_is_said_and_nobody_is_blamed() {
    for signal in [
        ratio("x"),
        Signal { name: "x".to_owned(), ..latency(None) },
        Signal { name: "x".to_owned(), ..memory() },
    ] {
        let mut judge = Judge::new(&watched(blue_green(), signal.clone()), &[]);
        let mut arm: Box<dyn FnMut(f64, f64) -> Option<Reading>> = match signal.measure {
            Measure::Latency { .. } => Box::new(durations(7)),
            Measure::Gauge { .. } => Box::new(megabytes(7)),
            _ => Box::new(errors(7)),
        };
        for n in 0..50 {
            judge.take(&look(15.0 * f64::from(n), 1.0, &[("x", None, arm(1.0, 90.0))]));
        }
        let verdict = judge.verdict();
        assert!(!verdict.harm && !verdict.safe);
        assert_eq!(verdict.why, "x: too little is known of the baseline as it was, so there is no verdict");
    }
}

#[test]
fn the_time_before_and_after_share_one_budget() {
    for strategy in [canary(), blue_green()] {
        for watch in [0, 60] {
            let policy = Policy {
                watch: Span::minutes(watch),
                strategy: strategy.clone(),
                ..policy(&[0.5], vec![ratio("errors")])
            };
            let terms = Terms::of(&policy);
            let weight: f64 = 0.3;
            let threshold = -(terms.alpha * weight).ln();
            let after = super::super::frozen::After::new(&terms, threshold);
            // What e-values that are worth 1 are worth together, and what the bound that stands for the baseline spends.
            let spent = (after.error() / (terms.alpha * weight)).ln();
            let whole = log_add_exp(after.with(0.0, Some(0.0)), spent);
            assert!(whole.abs() < 1e-12, "{whole}");
            let crossing = |compared, after_it| after.either(compared, after_it) >= threshold;
            let (high, low) = (threshold - 0.01, f64::NEG_INFINITY);
            assert!(!crossing(high, Some(low)) && !crossing(low, Some(high)));
        }
    }
}

#[test]
fn a_rollout_that_is_watched_is_over_after_the_watch() {
    let policy = watched(canary(), ratio("errors"));
    let run = |since: Since, all_at: u32| {
        let (history, rollout) = looks("errors", all_at, since, errors(8));
        let mut trial = Trial::new(&policy, &history);
        let decisions: Vec<_> = rollout.iter().map(|look| (trial.look(look), trial.is_over())).collect();
        (decisions, rollout.len())
    };
    let (good, looks) = run(Since::GOOD, 60);
    let first = good.iter().position(|(decision, _)| *decision == Decision::Promote).unwrap();
    assert!(first < 60 && good[first..60].iter().all(|both| *both == (Decision::Promote, false)));
    assert!(good[60..looks - 1].iter().all(|both| *both == (Decision::Continue, false)));
    let (bad, looks) = run(Since { fault: 5.0, ..Since::GOOD }, 60);
    assert_eq!(bad[looks - 1], (Decision::Rollback, true));
}

/// How often a good canary is rolled back after 100 %, and how soon a bad one:
/// `cargo test --release --lib judge::tests::frozen::figures -- --ignored --nocapture`
#[test]
#[ignore = "takes a minute of one core with optimizations, many without"]
fn figures() {
    type Arm = Box<dyn FnMut(f64, f64) -> Option<Reading>>;
    const RUNS: u64 = 2000;
    let tell = |name: &str, is_good: bool, tally: &Tally| {
        let (low, high) = interval(tally.times.len(), tally.runs);
        let share = 100.0 * tally.share();
        let (low, high) = (100.0 * low, 100.0 * high);
        println!("{name}: {share:.2} % ({low:.2} to {high:.2}), median {:?} s", tally.median());
        let kept = if is_good { share <= 1.0 } else { share > 50.0 };
        assert!(kept, "{name}: {share} % rolled back");
    };
    let policy = watched(canary(), Signal { margin: 0.0, ..ratio("errors") });
    for family in [Family::Plain, Family::Frailty, Family::Burst, Family::Retry] {
        for (times, runs) in [(None, RUNS), (Some(5.0), RUNS / 10)] {
            let mut tally = Tally::default();
            (0..runs).for_each(|seed| tally.add(simulated(&policy, family, 100.0, 0.01, times, seed)));
            let name = format!("{family:?}, wandering, canary x{}", times.unwrap_or(1.0));
            tell(&name, times.is_none(), &tally);
        }
    }
    let tally = |name: &str, signal: &Signal, side, since: Since, runs, arm: &dyn Fn(u64) -> Arm| {
        let policy = watched(canary(), signal.clone());
        let mut tally = Tally::default();
        for seed in 0..runs {
            let all = looks(&signal.name, side, since, arm(seed));
            tally.add(found(&policy, side, &all).map(|looks| 15.0 * f64::from(looks)));
        }
        tell(name, since.fault <= 1.0, &tally);
    };
    let (drift, jump) =
        (Since { drift: 1.5, ..Since::GOOD }, Since { drift: 1.5, at_once: true, ..Since::GOOD });
    let strict = Signal { margin: 0.0, ..ratio("errors") };
    let independent: &dyn Fn(u64) -> Arm = &|seed| Box::new(errors(seed));
    tally("independent errors, slow drift x1.5", &strict, SIDE, drift, RUNS, independent);
    tally("independent errors, drift x1.5 at once", &strict, SIDE, jump, RUNS, independent);
    for fault in [2.0, 5.0, 50.0] {
        let since = Since { fault, ..Since::GOOD };
        tally(&format!("independent errors, canary x{fault}"), &strict, SIDE, since, 200, independent);
    }
    let slow: &dyn Fn(u64) -> Arm = &|seed| Box::new(durations(seed));
    tally("latency, drift +10 %", &latency(None), SIDE, Since { drift: 1.1, ..Since::GOOD }, RUNS, slow);
    tally("latency, canary +50 %", &latency(None), SIDE, Since { fault: 1.5, ..Since::GOOD }, 200, slow);
    let large: &dyn Fn(u64) -> Arm = &|seed| Box::new(megabytes(seed));
    tally("gauge, drift +10 %", &memory(), SIDE, Since { drift: 1.1, ..Since::GOOD }, 200, large);
    tally("gauge, canary +50 %", &memory(), SIDE, Since { fault: 1.5, ..Since::GOOD }, 200, large);
}

/// Slices too short for two events have to be that short.
#[test]
fn a_rate_of_thousands_a_second_is_held_against_what_it_was() {
    let counter = Counter("ticks".to_owned());
    let measure = Measure::Rate { events: counter, floor: 0.0 };
    let at = |n: f64| 15.0 * n;
    let history: Vec<Look> = (0..240)
        .map(|n| {
            look(
                at(f64::from(n)) - 3600.0,
                0.0,
                &[("ticks", counts(75_000.0 + f64::from(n % 7), 15.0), None)],
            )
        })
        .collect();
    for (ticks, harm) in [(75_000.0, false), (750_000.0, true)] {
        let mut judge = Judge::new(&policy(&[0.5], vec![signal("ticks", measure.clone())]), &history);
        judge.freeze_baseline();
        for n in 1..40_u32 {
            judge.take(&look(at(f64::from(n)), 1.0, &[("ticks", None, counts(ticks, 15.0))]));
        }
        assert_eq!(judge.harm(), harm, "{}", judge.verdict().why);
    }
}
