//! Whether the traffic is split as planned (a sample ratio mismatch).

use serde::{Deserialize, Serialize};

use super::count::{Refusal, count, dispersion, share, share_at};
use super::prior::Prior;
use super::special::{log_add_exp, log_sum_exp};
use super::tilt::Alternative;

/// A two-sided e-process against "the odds of the canary's share are within 1 + tolerance of the planned ones", either
/// way: the mean of two one-sided ones, each mixed over small effects ([`Prior::Share`]) that were there from the start. To
/// be made anew when the plan changes: one plan makes the evidence a function of two sums, which cost nothing to keep.
///
/// Requests are rarely routed independently (sticky sessions, kept connections); pass the dispersion of the request
/// counts as `phi` and take the result as a warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareTest {
    more: Way,
    less: Way,
    /// The canary's requests and all, each tick's divided by its dispersion.
    canary: f64,
    all: f64,
}

/// One direction in which the share may be wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Way {
    alternative: Alternative,
    /// ln(1 + q0 (e^{±h} − 1)) of each effect h, where the canary's probability is q0 at the edge of the claim.
    log_mixed: Vec<f64>,
}

impl ShareTest {
    /// A test that has seen nothing, of the canary's share that is `planned`. `tolerance` of the odds, 0.05 for 5 %.
    ///
    /// # Errors
    /// A plan that is no share.
    pub fn new(tolerance: f64, planned: f64) -> Result<Self, Refusal> {
        let planned = share(planned)?;
        let way = |alternative| Way::new(alternative, tolerance, planned);
        Ok(Self { more: way(Alternative::Greater), less: way(Alternative::Less), canary: 0.0, all: 0.0 })
    }

    /// One tick: the requests of both arms.
    ///
    /// # Errors
    /// Numbers that are no counts, a `phi` that is no dispersion.
    pub fn update(&mut self, canary: f64, baseline: f64, phi: f64) -> Result<(), Refusal> {
        let (canary, baseline, phi) = (count(canary)?, count(baseline)?, dispersion(phi)?);
        self.canary += canary / phi;
        self.all += (canary + baseline) / phi;
        Ok(())
    }

    /// ln E now.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        let weights = &Prior::Share.grid().log_weight;
        let of = |way: &Way| {
            log_sum_exp(way.log_ratios(self.canary, self.all).zip(weights).map(|(log, weight)| log + weight))
        };
        log_add_exp(of(&self.more), of(&self.less)) - std::f64::consts::LN_2
    }

    /// Whether ln E is at least so much. Weights sum to 1, so no mixture is above its largest likelihood ratio, which is usually
    /// all that need be known.
    #[must_use]
    pub fn reaches(&self, log_e: f64) -> bool {
        let may = |way: &Way| way.log_ratios(self.canary, self.all).any(|log| log >= log_e);
        (may(&self.more) || may(&self.less)) && self.log_e() >= log_e
    }
}

impl Way {
    fn new(alternative: Alternative, tolerance: f64, planned: f64) -> Self {
        let (sign, steps) = alternative.steps(Prior::Share.grid());
        let q0 = share_at(planned, (sign * tolerance.ln_1p()).exp());
        Self { alternative, log_mixed: steps.iter().map(|step| (q0 * step).ln_1p()).collect() }
    }

    /// The log likelihood ratio of each effect.
    fn log_ratios(&self, canary: f64, all: f64) -> impl Iterator<Item = f64> + Clone {
        let (sign, _) = self.alternative.steps(Prior::Share.grid());
        self.log_mixed
            .iter()
            .zip(&Prior::Share.grid().h)
            .map(move |(mixed, h)| sign * canary * h - all * mixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, rows, statistics};

    #[test]
    fn evidence_agrees_with_the_vectors() {
        for case in statistics()["srm"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let mut test = ShareTest::new(number("tol"), number("w")).unwrap();
            for (tick, expected) in rows(&case["ticks_nc_nb"]).iter().zip(numbers(&case["log_e"])) {
                test.update(tick[0], tick[1], 1.0).unwrap();
                close(test.log_e(), expected, 1e-10, case);
                assert!(test.reaches(expected - 1e-6) && !test.reaches(expected + 1e-6), "{case}");
            }
        }
    }

    #[test]
    fn what_is_no_count_is_refused_and_changes_nothing() {
        let mut test = ShareTest::new(0.05, 0.1).unwrap();
        let before = test.clone();
        for (canary, baseline) in
            [(-1.0, 5.0), (5.0, -1.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1e14, 0.0)]
        {
            assert!(test.update(canary, baseline, 1.0).is_err(), "{canary} {baseline}");
        }
        assert!(test.update(1.0, 1.0, f64::NAN).is_err());
        assert_eq!(test, before);
        assert!(ShareTest::new(0.05, 1.5).is_err());
    }
}
