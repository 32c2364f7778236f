//! Whether a rollout's looks are noisier than those before it were.
//!
//! A history tells the noise of its own time. Where events begin to come in clusters afterwards, or rates to waver, or where there was
//! so little traffic that nobody could see it, evidence that is weighed by the history's noise is worth nothing: of good canaries
//! whose errors came in pairs after an hour in which they came singly, 25 % were rolled back. So neighbouring looks of the
//! baseline go on being compared, by a cumulated sum for each of some multiples of the noise (Page 1954), and once one is clear
//! the history is no longer believed.

use serde::{Deserialize, Serialize};

use super::super::count::ArmCount;
use super::super::dispersion::cumulate;
use super::CountKind;

/// So many times as noisy is what is looked for.
const TIMES: [f64; 3] = [2.0, 4.0, 8.0];

/// A difference counts for no more than this, as a squared normal: a level that jumps once and back is no noise, and two jumps are not
/// enough.
const MOST: f64 = 7.0;

/// So many nats refute a history. Of hours of independent events 5 % get there by chance (Monte Carlo, 3 to 135 events a look).
const ENOUGH: f64 = 7.0;

/// The cumulated sums, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Doubt {
    nats: [f64; TIMES.len()],
}

impl Doubt {
    /// Takes two neighbouring looks of the baseline, whose events are taken to have `phi` times the variance of independent ones. Says
    /// whether that is refuted.
    pub(super) fn take(&mut self, kind: CountKind, before: ArmCount, now: ArmCount, phi: f64) -> bool {
        let variance = kind.variance((before.events() + now.events()) / (before.exposure() + now.exposure()));
        if !variance.is_normal() || variance < 0.0 || !phi.is_normal() {
            return false;
        }
        let step = now.events() / now.exposure() - before.events() / before.exposure();
        let square = step * step / (variance * (1.0 / now.exposure() + 1.0 / before.exposure()));
        cumulate(&mut self.nats, &TIMES, (square / phi).min(MOST)).0 >= ENOUGH
    }
}
