//! How an arm is just now: whether it is above a level, and what it has. What is held back by it is only blame and promotion, so
//! it needs no guarantee.

use serde::{Deserialize, Serialize};

use crate::stats::{ArmCount, CountKind, share_at};

/// What an earlier look still counts at the next in what an arm has now.
const FADE: f64 = 0.7;

/// How many nats must speak for "above" before an arm is said to be above a level now.
const ABOVE: f64 = 2.0;

/// No more are kept, however clear it was: so that what is over is soon said to be.
const MOST: f64 = 6.0;

/// So many times a level, or that part of it, is told from it: "above" is twice as much, "below" half.
const APART: f64 = 2.0;

/// One arm's recent looks.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    /// The cumulated nats for "twice the level" against "half of it", never below 0 (Page 1954).
    nats: f64,
    /// Events and exposure, fading.
    events: f64,
    exposure: f64,
}

impl Recent {
    /// Takes a look whose variance is `phi` times what independent events have, and holds it against `level`, a share or a rate, if
    /// there is one yet. It counts for no more than `most` nats.
    pub(super) fn take(&mut self, kind: CountKind, now: ArmCount, level: Option<f64>, phi: f64, most: f64) {
        self.events = FADE * self.events + now.events();
        self.exposure = FADE * self.exposure + now.exposure();
        let nats = level.map_or(0.0, |level| nats(kind, now, level) / phi.max(1.0));
        self.nats = (self.nats + nats.min(most)).clamp(0.0, MOST);
    }

    /// Whether it is above the level that it was held against.
    pub(super) fn is_above(self) -> bool {
        self.nats >= ABOVE
    }

    /// Whether anything speaks for its being above.
    pub(super) fn may_be_above(self) -> bool {
        self.nats > 0.0
    }

    /// What it has now: events for each of its exposure; nothing before any.
    pub(super) fn rate(self) -> Option<f64> {
        (self.exposure > 0.0).then(|| self.events / self.exposure)
    }

    /// Less than what it has now by a standard deviation, where events have `phi` times the variance of independent ones.
    pub(super) fn at_least(self, phi: f64) -> f64 {
        if self.exposure > 0.0 {
            (self.events - (phi * self.events).sqrt()).max(0.0) / self.exposure
        } else {
            0.0
        }
    }
}

/// What a look says for "twice the level" against "half of it".
fn nats(kind: CountKind, now: ArmCount, level: f64) -> f64 {
    let (events, exposure) = (now.events(), now.exposure());
    match kind {
        CountKind::Ratio => {
            let (high, low) = (share_at(level, APART), share_at(level, 1.0 / APART));
            let good = if high < 1.0 { (exposure - events) * ((1.0 - high) / (1.0 - low)).ln() } else { 0.0 };
            events * (high / low).ln() + good
        }
        CountKind::Rate => 2.0 * APART.ln() * events - exposure * level * (APART - 1.0 / APART),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(level: f64, looks: &[(f64, f64)]) -> Recent {
        let mut recent = Recent::default();
        for (events, total) in looks {
            recent.take(CountKind::Ratio, ArmCount::ratio(*events, *total).unwrap(), Some(level), 1.0, 1.2);
        }
        recent
    }

    #[test]
    fn what_is_over_is_soon_said_to_be() {
        let (outage, well) = ([(135.0, 135.0); 100], (1.0, 135.0));
        assert!(recent(0.05, &outage).is_above());
        assert!(!recent(0.05, &[&outage[..], &[well]].concat()).is_above());
        // Few requests take longer, but not for ever.
        let few = [&[(10.0, 10.0); 100][..], &[(0.0, 10.0); 8]].concat();
        assert!(recent(0.05, &few[..100]).is_above() && !recent(0.05, &few).is_above());
        assert!(!recent(0.05, &[well, (135.0, 135.0), well]).is_above(), "one burst is none that lasts");
        assert!(recent(0.05, &outage[..2]).is_above());
    }

    #[test]
    fn what_is_a_little_above_is_found_and_what_is_below_is_not() {
        assert!(recent(0.05, &[(9.0, 135.0); 60]).is_above());
        assert!(!recent(0.05, &[(5.0, 135.0); 60]).is_above());
        assert!(!recent(0.05, &[]).is_above());
    }
}
