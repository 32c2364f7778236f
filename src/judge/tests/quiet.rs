//! Apps that hardly ever fail, or never did: what absence proves, and what it cannot.

use rand_distr::Geometric;

use super::*;

/// A look of both arms, each with bursts of errors: so many requests, so many errors a request, so many at once.
struct Bursts {
    rng: StdRng,
    size: f64,
    /// All are of one size; else geometric in size.
    alike: bool,
}

impl Bursts {
    fn count(&mut self, total: f64, rate: f64) -> Option<Reading> {
        let mean = total * rate / self.size;
        let bursts = if mean > 0.0 { Poisson::new(mean).unwrap().sample(&mut self.rng) as u64 } else { 0 };
        let law = Geometric::new(1.0 / self.size).unwrap();
        let size = |rng: &mut StdRng| if self.alike { self.size as u64 } else { 1 + law.sample(rng) };
        let errors: u64 = (0..bursts).map(|_| size(&mut self.rng)).sum();
        counts((errors as f64).min(total), total)
    }
}

/// An hour of history, and an hour with a canary that has a tenth of 100 requests a second. What each arm's error rate is, and
/// how it ends: harm, safety, or neither.
fn ends(seed: u64, size: f64, alike: bool, history: u32, [baseline, canary]: [f64; 2]) -> (bool, bool) {
    let mut bursts = Bursts { rng: StdRng::seed_from_u64(seed), size, alike };
    let past: Vec<Look> = (0..history)
        .map(|n| {
            let at = 15.0 * (f64::from(n) - f64::from(history));
            look(at, 0.0, &[("errors", bursts.count(1500.0, baseline), None)])
        })
        .collect();
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &past);
    for n in 1..=240 {
        let arms = (bursts.count(1350.0, baseline), bursts.count(150.0, canary));
        judge.take(&look(15.0 * f64::from(n), 0.1, &[("errors", arms.0, arms.1)]));
        if judge.harm() || judge.safe() {
            return (judge.harm(), !judge.harm());
        }
    }
    (false, false)
}

/// The looks until a canary without any error is proven beside a history with so many.
fn proven_after(errors: usize) -> Option<u32> {
    let history: Vec<Look> = (0..240_u32)
        .map(|n| {
            let count = if (n as usize) < errors { 1.0 } else { 0.0 };
            look(15.0 * f64::from(n) - 3600.0, 0.0, &[("errors", counts(count, 1500.0), None)])
        })
        .collect();
    let mut judge = Judge::new(&policy(&[0.1], vec![ratio("errors")]), &history);
    (1..=1000).find(|n| {
        let arms = (counts(0.0, 1350.0), counts(0.0, 150.0));
        judge.take(&look(15.0 * f64::from(*n), 0.1, &[("errors", arms.0, arms.1)]));
        judge.safe()
    })
}

#[test]
fn a_canary_that_never_fails_is_proven_beside_an_app_that_never_failed() {
    // 150 requests a look.
    assert_eq!(proven_after(0), Some(68));
    // An error that came alone tells as little of how others would.
    assert_eq!(proven_after(1), Some(68));
}

#[test]
fn the_first_burst_that_anybody_saw_is_not_blamed_on_the_canary_that_had_it() {
    let harmed = (0..40).filter(|seed| ends(*seed, 10.0, false, 240, [2e-5, 2e-5]).0).count();
    assert!(harmed <= 1, "{harmed} of 40");
}

/// The figures of `rules/README.md`, in a few minutes of one core.
#[test]
#[ignore = "it prints what the guide says, and takes minutes"]
fn figures() {
    let runs = 400_u32;
    let share = |count: usize| 100.0 * count as f64 / f64::from(runs);
    for (size, rate) in [(10.0, 0.001), (30.0, 0.003)] {
        let proven = (0..runs).filter(|seed| ends(u64::from(*seed), size, false, 240, [0.0, rate]).1).count();
        println!(
            "never failed, the canary fails {rate} in bursts of {size}: proven in {:.1} %",
            share(proven)
        );
    }
    for alike in [false, true] {
        for history in [240, 0] {
            // One burst an hour.
            let rate = 20.0 / 360_000.0;
            let blamed =
                (0..runs).filter(|seed| ends(u64::from(*seed), 20.0, alike, history, [rate; 2]).0).count();
            println!(
                "a burst of 20 an hour, alike: {alike}, {history} looks of history: blamed in {:.2} %",
                share(blamed)
            );
        }
    }
}
