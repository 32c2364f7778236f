//! What can be seen in which time: forecasts before a rollout.
//!
//! Wald's expected time to a decision, ln(1/alpha) over the information per second (Wald 1945; Lorden 1971), with the
//! nats that not knowing the effect costs, fitted to the medians of simulated rollouts.

use super::count::share_at;
use super::prior::Prior;
use super::special::log_sum_exp;

/// What the mixture costs beyond an oracle that knows the effect, in nats, for an effect from the start.
pub const DETECTION_NATS: f64 = 1.3;
/// As [`DETECTION_NATS`] for an onset at an unknown time within an hour (a rule of thumb).
const LATE_NATS: f64 = 2.5;
/// What the mixture costs for evidence of safety, in nats.
pub const SAFETY_NATS: f64 = 0.7;

/// Up to this effect [`DETECTION_NATS`] is what was fitted.
const MODERATE: f64 = 3.0;

/// What the mixture costs more for an onset at an unknown time within `horizon` seconds, in nats: the longer the horizon, the
/// less of its weight lies about any time in it.
#[must_use]
pub fn late_nats(horizon: f64) -> f64 {
    (LATE_NATS + (horizon / 3600.0).ln()).max(0.0)
}

/// The traffic of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Requests per second, both arms.
    pub requests: f64,
    /// The canary's share of them, between 0 and 1, both excluded.
    pub share: f64,
    /// The baseline's ratio of events to requests, above 0.
    pub base: f64,
    /// The events' over-dispersion, 1 if independent.
    pub phi: f64,
}

impl Traffic {
    /// Seconds until a canary with `ratio` times the baseline's rate has, typically, gathered evidence 1/`alpha` against
    /// "at most `null` times". `overhead`: [`DETECTION_NATS`] and, for a late onset, [`late_nats`] more. Infinite where it
    /// never will.
    #[must_use]
    pub fn detection_seconds(&self, ratio: f64, null: f64, alpha: f64, overhead: f64) -> f64 {
        if ratio <= null { f64::INFINITY } else { self.seconds(ratio, null, (1.0 / alpha).ln() + overhead) }
    }

    /// Seconds until a canary with `ratio` times the baseline's rate has, typically, been shown to be below `bound`
    /// times, at error `beta`. Infinite where it never will.
    #[must_use]
    pub fn safety_seconds(&self, ratio: f64, bound: f64, beta: f64) -> f64 {
        if ratio >= bound {
            f64::INFINITY
        } else {
            self.seconds(ratio, bound, (1.0 / beta).ln() + SAFETY_NATS)
        }
    }

    /// What the mixture costs beyond [`DETECTION_NATS`] until it has gathered `nats`, for an effect so large that its prior expects
    /// little of it: as much as it costs more than for a moderate one where the counts come just as expected.
    #[must_use]
    pub fn large_nats(&self, ratio: f64, null: f64, nats: f64) -> f64 {
        if ratio <= MODERATE * null {
            return 0.0;
        }
        let cost = |ratio| self.mixture_cost(ratio, null, nats);
        (cost(ratio) - cost(MODERATE * null)).max(0.0)
    }

    /// The information on an effect of `ratio` that has come together when the mixture over effects has `nats`, less those.
    fn mixture_cost(&self, ratio: f64, null: f64, nats: f64) -> f64 {
        let (mine, at_null) = (share_at(self.share, ratio), share_at(self.share, null));
        let grid = Prior::Ratio.grid();
        let gains = grid.h.iter().zip(&grid.up).map(|(h, up)| mine * h - (at_null * up).ln_1p());
        let gains: Vec<f64> = gains.collect();
        let mixed = |events: f64| {
            log_sum_exp(gains.iter().zip(&grid.log_weight).map(|(gain, weight)| events * gain + weight))
        };
        let information = divergence(mine, at_null);
        // Between nothing and far more than any effect needs.
        let (mut few, mut many) = (0.0, 100.0 * nats / information);
        for _ in 0..60 {
            let events = f64::midpoint(few, many);
            if mixed(events) < nats { few = events } else { many = events }
        }
        many * information - nats
    }

    /// Seconds in which `nats` of information on the canary's part of all events come together.
    fn seconds(&self, ratio: f64, null: f64, nats: f64) -> f64 {
        let events = self.requests * self.base * (self.share * ratio + 1.0 - self.share);
        let part = |ratio| share_at(self.share, ratio);
        let seconds = self.phi * nats / (events * divergence(part(ratio), part(null)));
        if seconds.is_nan() { f64::INFINITY } else { seconds }
    }
}

/// The Kullback–Leibler divergence between two coins, in nats a throw: what tells one of `p` from one of `q`.
#[must_use]
pub fn divergence(p: f64, q: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, statistics};

    #[test]
    fn forecasts_agree_with_the_vectors() {
        for case in statistics()["planning"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let traffic =
                Traffic { requests: number("rps"), share: number("share"), base: number("p"), phi: 1.0 };
            let detect = traffic.detection_seconds(number("theta"), 1.0, 0.01, DETECTION_NATS);
            close(detect, number("detect_s"), 1e-10, case);
            close(traffic.safety_seconds(1.0, 1.5, 0.05), number("promote_s_1.5"), 1e-10, case);
        }
    }

    /// x10 costs two nats more than moderate effects, which the fitted constant does not tell: six events of a small canary find it,
    /// and 40 % more time.
    #[test]
    fn effects_of_which_little_is_expected_take_longer() {
        let traffic = Traffic { requests: 20.0, share: 0.05, base: 0.005, phi: 1.0 };
        let nats = 100.0_f64.ln();
        assert!(traffic.large_nats(2.0, 1.0, nats).abs() < 1e-12);
        let more = [5.0, 10.0, 20.0].map(|ratio| traffic.large_nats(ratio, 1.0, nats));
        assert!((0.5..0.9).contains(&more[0]) && (1.7..2.3).contains(&more[1]), "{more:?}");
        assert!((3.1..3.8).contains(&more[2]), "{more:?}");
    }

    #[test]
    fn what_cannot_be_seen_takes_for_ever() {
        let traffic = Traffic { requests: 0.0, share: 0.1, base: 0.01, phi: 1.0 };
        assert!(traffic.detection_seconds(2.0, 1.0, 0.01, DETECTION_NATS).is_infinite());
        let traffic = Traffic { requests: 100.0, ..traffic };
        assert!(traffic.detection_seconds(1.0, 1.2, 0.01, DETECTION_NATS).is_infinite());
        assert!(traffic.safety_seconds(1.5, 1.5, 0.05).is_infinite());
        let all = Traffic { share: 1.0, ..traffic };
        assert!(all.detection_seconds(2.0, 1.0, 0.01, DETECTION_NATS).is_infinite());
    }
}
