//! How an arm is just now: its recent counts, fading. What is held back by it is only blame and promotion, so it needs no guarantee.

use serde::{Deserialize, Serialize};

use crate::stats::{ArmCount, CountKind};

/// What an earlier look still counts at the next.
const FADE: f64 = 0.9;

/// How many nats the recent looks must speak for "above" before an arm is said to be above a level now.
const ABOVE: f64 = 2.0;

/// One arm's recent counts over their dispersion.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    events: f64,
    exposure: f64,
}

impl Recent {
    /// Takes a look whose variance is `phi` times what independent events have.
    pub(super) fn take(&mut self, now: ArmCount, phi: f64) {
        self.events = FADE * self.events + now.events() / phi;
        self.exposure = FADE * self.exposure + now.exposure() / phi;
    }

    /// Whether it speaks for a share or rate above `level`: its likelihood at its own against that at the level.
    pub(super) fn is_above(self, kind: CountKind, level: f64) -> bool {
        let Self { events, exposure } = self;
        if exposure <= 0.0 || events <= exposure * level {
            return false;
        }
        let own = events / exposure;
        let rest = match kind {
            CountKind::Ratio if own < 1.0 => (exposure - events) * ((1.0 - own) / (1.0 - level)).ln(),
            CountKind::Ratio => 0.0,
            CountKind::Rate => exposure * level - events,
        };
        events * (own / level).ln() + rest > ABOVE
    }
}
