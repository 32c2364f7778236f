//! Properties that hold for any input.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Anything that a broken source may send.
fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-1.0),
        Just(0.0),
        Just(1e-300),
        Just(1e12),
        Just(1e13),
        0.0..1e4,
    ]
}

/// A count that may be of any size, real or whole.
fn count() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), (0_u32..50).prop_map(f64::from), 0.0..1e4, 0.0..1e12, Just(1e13)]
}

/// An arm's events among its requests.
fn arm() -> impl Strategy<Value = ArmCount> {
    (count(), 0.0..=1.0).prop_map(|(total, part)| ArmCount::ratio(total * part, total).unwrap())
}

fn look() -> impl Strategy<Value = PairCount> {
    (arm(), arm()).prop_map(|(canary, baseline)| PairCount { canary, baseline })
}

/// A look as a busy service gives it.
fn usual_look() -> impl Strategy<Value = PairCount> {
    (0_u32..12, 100_u32..200, 0_u32..40, 900_u32..1500).prop_map(|(x, n, y, m)| PairCount {
        canary: ArmCount::ratio(f64::from(x), f64::from(n)).unwrap(),
        baseline: ArmCount::ratio(f64::from(y), f64::from(m)).unwrap(),
    })
}

/// All engines of one signal.
#[derive(Debug, Clone, PartialEq)]
struct Engines {
    evidence: RatioEvidence,
    two_by_two: TwoByTwo,
    share: ShareTest,
    limit: Tilt,
}

impl Engines {
    fn new(noise: NoiseModel) -> Self {
        let question =
            RatioQuestion { margin: 0.1, bounds: vec![1.5, 3.0], floor: Some(0.0005), horizon: 3600.0 };
        Self {
            evidence: RatioEvidence::new(CountKind::Ratio, &question, noise),
            two_by_two: TwoByTwo::new(0.0, Onset::within(3600.0)),
            share: ShareTest::new(0.05, 0.1).unwrap(),
            limit: Tilt::harm(0.0, 3600.0),
        }
    }

    fn look(&mut self, dt: f64, look: &PairCount) {
        let (canary, baseline) = (look.canary, look.baseline);
        self.evidence.look(dt, look).unwrap();
        self.two_by_two.pair(dt, look, 1.0).unwrap();
        self.limit.binomial(dt, canary.events(), canary.exposure(), 0.01, 1.0).unwrap();
        self.share.update(canary.exposure(), baseline.exposure(), 1.0).unwrap();
    }

    fn numbers(&self) -> Vec<f64> {
        let interval = self.evidence.interval(0.05);
        let spread = self.evidence.spread().unwrap_or(Spread::NONE);
        let ends = [interval.lower, interval.estimate, interval.upper].into_iter().flatten();
        let logs =
            [self.evidence.log_e_harm(), self.two_by_two.log_e(), self.share.log_e(), self.limit.log_e()];
        let noise = [spread.phi, spread.frailty];
        logs.into_iter().chain(noise).chain(self.evidence.log_e_safety()).chain(ends).collect()
    }

    fn again(&self) -> Self {
        Self {
            evidence: again(&self.evidence),
            two_by_two: again(&self.two_by_two),
            share: again(&self.share),
            limit: again(&self.limit),
        }
    }
}

/// Written down and read back.
fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_wild_is_taken_or_leaves_a_trace(numbers in prop::array::uniform5(wild())) {
        let [dt, x, k, rho, phi] = numbers;
        let fresh = Engines::new(NoiseModel::new(CountKind::Ratio));
        let mut tilt = fresh.limit.clone();
        for alternative in [Alternative::Greater, Alternative::Less] {
            tilt = Tilt::new(Prior::Ratio, 0.1, alternative, Onset::within(10.0));
            for poisson in [false, true] {
                let before = tilt.clone();
                let taken =
                    if poisson { tilt.poisson(dt, x, k, phi) } else { tilt.binomial(dt, x, k, rho, phi) };
                prop_assert!(taken.map_or(tilt == before, f64::is_finite), "{taken:?}");
            }
        }
        if let Ok(mut share) = ShareTest::new(0.05, rho) {
            let before = share.clone();
            let taken = share.update(x, k, phi);
            prop_assert!(if taken.is_ok() { share.log_e().is_finite() } else { share == before }, "{taken:?}");
        }
        let mut sequence = RatioCs::default();
        if sequence.binomial(x, k, rho, phi).is_err() {
            prop_assert_eq!(&sequence, &RatioCs::default());
        }
        prop_assert!(sequence.interval(0.05).estimate.is_none_or(f64::is_finite));
        prop_assert!(again(&tilt) == tilt);
        if let Ok(arm) = ArmCount::ratio(x, k) {
            prop_assert!(arm.events() <= arm.exposure() && arm.exposure() <= MAX_COUNT);
        }
    }

    #[test]
    fn any_counts_leave_numbers(
        history in prop::collection::vec(arm(), 0..30),
        looks in prop::collection::vec((0.0..1e6, look()), 1..40),
    ) {
        let mut engines = Engines::new(NoiseModel::from_history(CountKind::Ratio, &history));
        for (dt, look) in &looks {
            engines.look(*dt, look);
            for number in engines.numbers() {
                prop_assert!(number.is_finite(), "{number} in {:?}", engines.numbers());
            }
        }
    }

    #[test]
    fn any_rates_leave_numbers(
        looks in prop::collection::vec(prop::array::uniform4(count()), 1..40),
    ) {
        let question = RatioQuestion { margin: 0.1, bounds: vec![1.5], floor: Some(0.01), horizon: 3600.0 };
        let noise = NoiseModel::new(CountKind::Rate);
        let mut evidence = RatioEvidence::new(CountKind::Rate, &question, noise);
        for [x, n, y, m] in looks {
            let look = PairCount { canary: ArmCount::rate(x, n).unwrap(), baseline: ArmCount::rate(y, m).unwrap() };
            evidence.look(15.0, &look).unwrap();
            prop_assert!(evidence.log_e_harm().is_finite());
            prop_assert!(evidence.log_e_safety().all(f64::is_finite));
        }
    }

    #[test]
    fn a_state_read_back_goes_on_to_the_bit(
        history in prop::collection::vec(arm(), 0..30),
        before in prop::collection::vec(usual_look(), 0..25),
        after in prop::collection::vec(usual_look(), 1..10),
    ) {
        let mut engines = Engines::new(NoiseModel::from_history(CountKind::Ratio, &history));
        for look in &before {
            engines.look(15.0, look);
        }
        let mut copy = engines.again();
        for look in &after {
            engines.look(15.0, look);
            copy.look(15.0, look);
        }
        let bits = |engines: &Engines| engines.numbers().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(&engines), bits(&copy));
        prop_assert!(engines == copy);
    }

    #[test]
    fn more_events_in_the_canary_are_never_less_evidence_of_harm(
        before in prop::collection::vec(usual_look(), 0..25),
        look in usual_look(),
        more in 1_u32..20,
    ) {
        let mut engines = Engines::new(NoiseModel::new(CountKind::Ratio));
        for look in &before {
            engines.look(15.0, look);
        }
        let worse = PairCount {
            canary: ArmCount::ratio(look.canary.events() + f64::from(more), look.canary.exposure()).unwrap(),
            ..look
        };
        let mut other = engines.clone();
        engines.look(15.0, &look);
        other.look(15.0, &worse);
        prop_assert!(other.evidence.log_e_harm() >= engines.evidence.log_e_harm() - 1e-9);
        for (worse, better) in other.evidence.log_e_safety().zip(engines.evidence.log_e_safety()) {
            prop_assert!(worse <= better + 1e-9);
        }
        prop_assert!(other.two_by_two.log_e() >= engines.two_by_two.log_e() - 1e-9);
        prop_assert!(other.limit.log_e() >= engines.limit.log_e() - 1e-9);
    }

    #[test]
    fn an_arm_that_was_not_seen_is_summed_into_the_next_look(looks in prop::collection::vec(usual_look(), 1..6)) {
        let mut held = Engines::new(NoiseModel::new(CountKind::Ratio)).evidence;
        let mut summed = held.clone();
        let mut all = PairCount::default();
        for (i, look) in looks.iter().enumerate() {
            let canary = if i + 1 == looks.len() { look.canary } else { ArmCount::default() };
            let part = PairCount { canary, ..*look };
            all = all.plus(part);
            held.look(0.0, &part).unwrap();
        }
        summed.look(0.0, &all).unwrap();
        prop_assert!((held.log_e_harm() - summed.log_e_harm()).abs() < 1e-12);
        prop_assert_eq!(held.seen(), summed.seen());
        prop_assert!(!held.open().is_closed());
    }
}
