use proptest::prelude::*;

use super::*;
use crate::stats::vectors::close;

/// The same mixture with nothing but logarithms.
fn by_logarithms(onset: Onset, ticks: &[(bool, f64)]) -> Vec<f64> {
    let grid = Prior::Ratio.grid();
    let (mut log_mass, mut used) = (vec![f64::NEG_INFINITY; grid.h.len()], 0.0);
    let mut told = Vec::new();
    for (tick, (speaks, size)) in ticks.iter().enumerate() {
        let mass = onset.mass(tick == 0, 1.0, used);
        used += mass;
        for (log, h) in log_mass.iter_mut().zip(&grid.h) {
            *log = log_add_exp(*log, mass.ln()) + if *speaks { size * h } else { 0.0 };
        }
        let mixed = log_sum_exp(grid.log_weight.iter().zip(&log_mass).map(|(w, a)| w + a));
        let rest: f64 = 1.0 - used;
        let now = if rest > 1e-15 { log_add_exp(mixed, rest.ln()) } else { mixed };
        told.push(if *speaks { now } else { told.last().copied().unwrap_or(0.0) });
    }
    told
}

proptest! {
    #[test]
    fn it_is_what_logarithms_alone_give_however_far_it_swings(
        ticks in prop::collection::vec((prop::bool::weighted(0.8), prop_oneof![-3.0..3.0, -100.0..100.0, -1e4..1e4]), 1..60),
        late in any::<bool>(),
    ) {
        let onset = if late { Onset::within(40.0) } else { Onset::Start };
        let mut mixture = Mixture::new(Prior::Ratio, onset);
        for ((speaks, size), expected) in ticks.iter().zip(by_logarithms(onset, &ticks)) {
            if *speaks {
                mixture.absorb(1.0, |j| size * Prior::Ratio.grid().h[j]);
            } else {
                mixture.enter(1.0);
            }
            close(mixture.log_e(), expected, 1e-11, &(speaks, size));
            let text = serde_json::to_string(&mixture).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Mixture>(&text).unwrap(), &mixture);
        }
    }
}

#[test]
fn all_probabilities_of_an_onset_are_one_together() {
    let mut mixture = Mixture::new(Prior::Ratio, Onset::within(100.0));
    for _ in 0..100_000 {
        mixture.enter(1.0);
    }
    assert!(mixture.used < 1.0 && mixture.used > 0.999, "{}", mixture.used);
}

#[test]
fn what_is_forgotten_was_gained_and_no_loss() {
    for onset in [Onset::Start, Onset::within(100.0)] {
        let mut mixture = Mixture::new(Prior::Ratio, onset);
        for _ in 0..5 {
            mixture.absorb(1.0, |j| if j % 2 == 0 { 3.0 } else { -3.0 });
        }
        assert!(mixture.log_e() > 5.0);
        mixture.forget();
        assert!(mixture.log_e().abs() < 1e-9, "{}", mixture.log_e());
        mixture.absorb(1.0, |_| -2.0);
        let lost = mixture.log_e();
        assert!(lost < 0.0);
        mixture.forget();
        assert!(mixture.log_e() >= lost && mixture.log_e() <= lost, "{} {lost}", mixture.log_e());
    }
}
