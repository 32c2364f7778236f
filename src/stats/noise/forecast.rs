//! One arm's level, discounted, and how well each noise would have forecast its next count.

use serde::{Deserialize, Serialize};

use super::super::count::ArmCount;
use super::law::{laws, log_negative_binomial};
use super::{DRIFT, JUMP, JUMP_FRAILTY};

/// What a look keeps of the past, fast and slow.
const FAST: f64 = 0.6;
const SLOW: f64 = 0.98;
/// The slow level weighs as much as so many events.
const WEIGHT: f64 = 4.0;

/// Discounted sums of one arm's counts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Forecast {
    events: f64,
    exposure: f64,
    /// Exposure and its square, discounted twice: what the forecast's own error is made of.
    exposure_twice: f64,
    square_twice: f64,
    slow_events: f64,
    slow_exposure: f64,
    seen: bool,
}

impl Forecast {
    /// The rate of the fast level, of at least half an event; nothing before the first look.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.exposure > 0.0).then(|| self.events.max(0.5) / self.exposure)
    }

    /// Adds to the posterior how well each pair forecast this look, then takes the look in.
    pub(super) fn learn(&mut self, log_posterior: &mut [f64], look: ArmCount) {
        if self.seen && look.is_seen() {
            self.score(log_posterior, look);
        }
        self.take(look);
    }

    /// Takes a look in where nobody asks for the posterior.
    pub(super) fn take(&mut self, look: ArmCount) {
        if !look.is_seen() {
            return;
        }
        let (x, n) = (look.events(), look.exposure());
        self.events = FAST * self.events + x;
        self.exposure = FAST * self.exposure + n;
        self.exposure_twice = FAST * FAST * self.exposure_twice + n;
        self.square_twice = FAST * FAST * self.square_twice + n * n;
        self.slow_events = SLOW * self.slow_events + x;
        self.slow_exposure = SLOW * self.slow_exposure + n;
        self.seen = true;
    }

    fn score(&self, log_posterior: &mut [f64], look: ArmCount) {
        let slow = if self.slow_events >= 0.5 {
            self.slow_events / self.slow_exposure
        } else if self.slow_events > 0.0 {
            (self.slow_events + 0.5) / (2.0 * self.slow_exposure)
        } else {
            0.5 / self.slow_exposure
        };
        let prior = WEIGHT / slow;
        let rate = (self.events + WEIGHT) / (self.exposure + prior);
        let fast = self.exposure / (self.exposure + prior);
        let mean = rate * look.exposure();
        // The forecast's relative squared error, per unit of φ and of f.
        let square = self.exposure * self.exposure;
        let per_phi = fast * fast * self.exposure_twice / (rate * square);
        let per_frailty = fast * fast * self.square_twice / square;
        let jump = log_negative_binomial(look.events(), mean, JUMP_FRAILTY);
        let laws =
            laws(look.events(), mean, |phi, frailty| frailty + phi * per_phi + frailty * per_frailty + DRIFT);
        for (log, law) in log_posterior.iter_mut().zip(laws) {
            *log += law.log_mixed(JUMP, jump);
        }
    }
}
