//! Whether the traffic is split as planned (a sample ratio mismatch).

use serde::{Deserialize, Serialize};

use super::count::{Refusal, count};
use super::prior::Prior;
use super::special::log_add_exp;
use super::tilt::{Alternative, Onset, Tilt};

/// A two-sided e-process against "the odds of the canary's share are within 1 + tolerance of the planned ones", either
/// way: the mean of two one-sided ones. To be made anew when the plan changes.
///
/// Requests are rarely routed independently (sticky sessions, kept connections); pass the dispersion of the request
/// counts as `phi` and take the result as a warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareTest {
    more: Tilt,
    less: Tilt,
}

impl ShareTest {
    /// A test that has seen nothing. `tolerance` of the odds, 0.05 for 5 %.
    #[must_use]
    pub fn new(tolerance: f64) -> Self {
        let edge = tolerance.ln_1p();
        Self {
            more: Tilt::new(Prior::Share, edge, Alternative::Greater, Onset::Start),
            less: Tilt::new(Prior::Share, -edge, Alternative::Less, Onset::Start),
        }
    }

    /// One tick: the requests of both arms where the canary's planned share is `planned`. Returns ln E.
    ///
    /// # Errors
    /// Numbers that are no counts, a plan that is no share, a `phi` that is no dispersion.
    pub fn update(&mut self, canary: f64, baseline: f64, planned: f64, phi: f64) -> Result<f64, Refusal> {
        let all = count(canary)? + count(baseline)?;
        self.more.binomial(0.0, canary, all, planned, phi)?;
        self.less.binomial(0.0, canary, all, planned, phi)?;
        Ok(self.log_e())
    }

    /// ln E now.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        log_add_exp(self.more.log_e(), self.less.log_e()) - std::f64::consts::LN_2
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
            let mut test = ShareTest::new(number("tol"));
            for (tick, expected) in rows(&case["ticks_nc_nb"]).iter().zip(numbers(&case["log_e"])) {
                close(test.update(tick[0], tick[1], number("w"), 1.0).unwrap(), expected, 1e-10, case);
            }
        }
    }

    #[test]
    fn what_is_no_count_is_refused_and_changes_nothing() {
        let mut test = ShareTest::new(0.05);
        let before = test.clone();
        for (canary, baseline) in
            [(-1.0, 5.0), (5.0, -1.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1e14, 0.0)]
        {
            assert!(test.update(canary, baseline, 0.1, 1.0).is_err(), "{canary} {baseline}");
        }
        assert!(test.update(1.0, 1.0, 1.5, 1.0).is_err());
        assert!(test.update(1.0, 1.0, 0.5, f64::NAN).is_err());
        assert_eq!(test, before);
    }
}
