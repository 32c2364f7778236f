//! How fast information comes in, and so how long it may still take.

use serde::{Deserialize, Serialize};

use crate::stats::PairCount;
use crate::stats::power::{SAFETY_NATS, Traffic};

/// What an earlier look still counts at the next.
const FADE: f64 = 0.9;

/// The longest wait that is worth telling: a day.
const LONGEST: f64 = 86_400.0;

/// What a request is worth against a floor, as a part of what it would be if the effect were known: the mixture costs the rest.
const WORTH: f64 = 0.8;

/// Recent traffic, fading.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    events: f64,
    canary: f64,
    baseline: f64,
    seconds: f64,
    #[serde(default)]
    looks: f64,
}

impl Pace {
    pub(super) fn note(&mut self, dt: f64, counts: &PairCount) {
        // The first slice has no beginning, so it has no length.
        if dt <= 0.0 {
            return;
        }
        self.events = FADE * self.events + counts.events();
        self.canary = FADE * self.canary + counts.canary.exposure();
        self.baseline = FADE * self.baseline + counts.baseline.exposure();
        self.seconds = FADE * self.seconds + dt;
        self.looks = FADE * self.looks + 1.0;
    }

    /// Seconds from a look to the next, lately.
    pub(super) fn look(&self) -> f64 {
        self.seconds / self.looks
    }

    /// About how many seconds until a canary as good as the baseline is proven less than `within` times as bad, if `lack`
    /// nats are missing.
    pub(super) fn until_within(&self, within: f64, lack: f64, phi: f64) -> Option<f64> {
        let all = self.canary + self.baseline;
        let traffic =
            Traffic { requests: all / self.seconds, share: self.canary / all, base: self.events / all, phi };
        sensible(traffic.safety_seconds(1.0, within, (-lack).exp()))
    }

    /// About how many seconds until `lack` nats have come, of so many for each of the canary's requests.
    pub(super) fn until_proven(&self, nats: f64, lack: f64) -> Option<f64> {
        sensible((lack + SAFETY_NATS) * self.seconds / (self.canary * nats))
    }

    /// Recent requests of the canary a second.
    pub(super) fn canary(&self) -> f64 {
        self.canary / self.seconds
    }

    /// About how many seconds until a canary with `usual` events a request is proven below `floor`; nothing where that is not less.
    pub(super) fn until_below(&self, floor: f64, usual: f64, lack: f64, phi: f64) -> Option<f64> {
        let seen = if usual > 0.0 { usual * (usual / floor).ln() } else { 0.0 };
        let nats = WORTH * (floor - usual + seen);
        let seconds = phi * (lack + SAFETY_NATS) * self.seconds / (self.canary * nats);
        sensible(seconds).filter(|_| usual < floor)
    }
}

/// What makes sense as a wait.
fn sensible(seconds: f64) -> Option<f64> {
    (0.0..=LONGEST).contains(&seconds).then_some(seconds)
}
