//! One arm's level as it was: what a canary is held against once there is no baseline beside it any more.
//!
//! A level that nothing is compared with side by side is worth less than its counts say. Clusters and frailty make it
//! less certain, and so does its own slow wandering: it is what the canary will be blamed for. All of it shows in how far
//! neighbouring stretches of the past differ, beyond what independent events would give, on each scale of time: looks,
//! pairs of looks, fours, and so on (the Allan variance: Allan, "Statistics of atomic frequency standards", Proceedings of the
//! IEEE 54, 1966; Percival and Guttorp 1994 for its use as a wavelet variance). The scale on which it is largest tells the
//! dispersion of sums over any time, which is what evidence is made of.
//!
//! ```
//! use uguisu::stats::{ArmCount, CountKind, Reference};
//!
//! let mut past = Reference::new(CountKind::Ratio);
//! (0..240).filter_map(|i| ArmCount::ratio(f64::from(10 + i % 7), 1500.0).ok()).for_each(|look| past.learn(look));
//! let known = past.known().unwrap();
//! let (low, high) = known.interval(0.001);
//! assert!(low < 13.0 / 1500.0 && 13.0 / 1500.0 < high && high < 0.01);
//! ```

use serde::{Deserialize, Serialize};

use super::beta_binomial::BetaBinomial;
use super::count::ArmCount;
use super::noise::CountKind;

/// What a look still counts at the next: about the last 250 looks decide, an hour at four a minute.
const MEMORY: f64 = 0.996;

/// Scales of time at most: the longest stretch is 512 looks.
const SCALES: usize = 10;

/// Pairs of neighbouring looks without which nothing is known.
const LEAST_LOOKS: f64 = 8.0;

/// Pairs of neighbouring stretches without which a scale says nothing.
const LEAST_PAIRS: f64 = 4.0;

/// A scale's dispersion is raised by this over the root of its pairs: about half a standard deviation of its own error.
const CAUTION: f64 = 1.0;

/// Stretches of so many looks must be known before nothing slower is feared; until then, what exceeds independent events
/// is taken to grow with the root of the length.
const LONG: f64 = 32.0;

/// Without any event nobody knows how they cluster: the dispersion is then taken for this more than 1, and for half as much
/// more after so many events, and so on.
const UNKNOWN: f64 = 9.0;
const UNKNOWN_EVENTS: f64 = 10.0;

/// Slices of a unit-second, each too short for two events: a rate is a proportion of them.
const SLICES: f64 = 1000.0;

/// What one arm did so far. Of fixed size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    kind: CountKind,
    /// Fading sums: events, exposure, looks; and exposure fading twice as fast, for the size of the sample.
    events: f64,
    exposure: f64,
    looks: f64,
    exposure_twice: f64,
    /// Sums that do not fade, for what independent events would differ by.
    all: ArmCount,
    /// By scale, each twice as long as the one before.
    scales: Vec<Scale>,
}

/// Stretches of one length.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Scale {
    last: Option<ArmCount>,
    /// The first half of a stretch of the next scale.
    half: Option<ArmCount>,
    pairs: f64,
    /// Squared differences of neighbours' rates, over the sum of their inverse exposures.
    squares: f64,
}

/// What is known of a level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Known {
    kind: CountKind,
    /// The events and the exposure that the level rests on.
    pub counts: ArmCount,
    /// Variance over what independent events would have, of sums over any time; at least 1.
    pub dispersion: f64,
    /// The exposure of a look, on average.
    pub per_look: f64,
    /// How much more the fading sums are worth than they count.
    worth: f64,
}

impl Reference {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(kind: CountKind) -> Self {
        Self {
            kind,
            events: 0.0,
            exposure: 0.0,
            looks: 0.0,
            exposure_twice: 0.0,
            all: ArmCount::default(),
            scales: vec![Scale::default(); SCALES],
        }
    }

    /// Takes in a look, later than those before. One without exposure says nothing.
    pub fn learn(&mut self, look: ArmCount) {
        if !look.is_seen() {
            return;
        }
        self.events = MEMORY * self.events + look.events();
        self.exposure = MEMORY * self.exposure + look.exposure();
        self.looks = MEMORY * self.looks + 1.0;
        self.exposure_twice = MEMORY * MEMORY * self.exposure_twice + look.exposure();
        self.all = self.all.plus(look);
        let mut stretch = look;
        for scale in &mut self.scales {
            match scale.take(stretch) {
                Some(longer) => stretch = longer,
                None => break,
            }
        }
    }

    /// What is known by now; nothing before a few looks.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        let looks = self.scales.first().map_or(0.0, |scale| scale.pairs);
        let counts = ArmCount::rate(self.events, self.exposure).ok().filter(|_| looks >= LEAST_LOOKS)?;
        Some(Known {
            kind: self.kind,
            counts,
            dispersion: self.dispersion(),
            per_look: self.exposure / self.looks,
            worth: self.exposure / self.exposure_twice,
        })
    }

    fn dispersion(&self) -> f64 {
        let least = 1.0 + UNKNOWN / (1.0 + self.all.events() / UNKNOWN_EVENTS);
        let variance = self.kind.variance(self.all.events() / self.all.exposure());
        if variance <= 0.0 {
            return least;
        }
        let (mut most, mut longest, mut length) = (least, 1.0_f64, 1.0_f64);
        for scale in self.scales.iter().take_while(|scale| scale.pairs >= LEAST_PAIRS) {
            let caution = 1.0 + CAUTION / scale.pairs.sqrt();
            most = most.max(scale.squares / scale.pairs / variance * caution);
            longest = length;
            length *= 2.0;
        }
        1.0 + (most - 1.0) * (LONG / longest).max(1.0).sqrt()
    }
}

impl Scale {
    /// Takes in a stretch, and gives one of twice its length where it ends one.
    fn take(&mut self, stretch: ArmCount) -> Option<ArmCount> {
        if let Some(last) = self.last {
            let rate = |stretch: ArmCount| stretch.events() / stretch.exposure();
            let inverse = 1.0 / stretch.exposure() + 1.0 / last.exposure();
            self.squares += (rate(stretch) - rate(last)).powi(2) / inverse;
            self.pairs += 1.0;
        }
        self.last = Some(stretch);
        match self.half.take() {
            Some(half) => Some(half.plus(stretch)),
            None => {
                self.half = Some(stretch);
                None
            }
        }
    }
}

impl Known {
    /// The events by exposure.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.counts.events() / self.counts.exposure()
    }

    /// Between what the level lies, each end wrong with a chance of at most `error`: Chernoff's bound, with counts divided by
    /// their dispersion.
    #[must_use]
    pub fn interval(&self, error: f64) -> (f64, f64) {
        let worth = self.worth / self.dispersion;
        let (events, exposure) = (self.counts.events() * worth, self.counts.exposure() * worth);
        let nats = -error.clamp(1e-300, 1.0).ln();
        match self.kind {
            CountKind::Ratio => chernoff(events, exposure, nats),
            CountKind::Rate => {
                let (low, high) = chernoff(events, exposure * SLICES, nats);
                (low * SLICES, high * SLICES)
            }
        }
    }

    /// The dispersion of a count with this exposure in a look. What wanders grows with the count, what clusters does not;
    /// which of them it is does not matter up to the exposure that it was measured at.
    #[must_use]
    pub fn dispersion_of(&self, exposure: f64) -> f64 {
        let larger = (exposure / self.per_look).max(1.0);
        (1.0 + (self.dispersion - 1.0) * larger).min(1e15)
    }
}

/// The proportions on either side of `events` among `exposure` that are so many nats away from it (Chernoff 1952;
/// Hoeffding 1963, theorem 1).
fn chernoff(events: f64, exposure: f64, nats: f64) -> (f64, f64) {
    let (seen, rest) = (events.min(exposure), (exposure - events).max(0.0));
    let part =
        |count: f64, share: f64| if count > 0.0 { count * (count / exposure / share).ln() } else { 0.0 };
    let is_near = |share: f64| part(seen, share) + part(rest, 1.0 - share) < nats;
    let (mut low, mut high) = ((0.0, seen / exposure), (seen / exposure, 1.0));
    for _ in 0..100 {
        let middle = f64::midpoint(low.0, low.1);
        if is_near(middle) {
            low.1 = middle
        } else {
            low.0 = middle
        }
        let middle = f64::midpoint(high.0, high.1);
        if is_near(middle) { high.0 = middle } else { high.1 = middle }
    }
    (low.0, high.1)
}

/// The ends of the confidence sequence for a rate, each wrong with probability `error`.
#[must_use]
pub fn rate_interval(kind: CountKind, events: f64, exposure: f64, error: f64) -> (f64, f64) {
    let ends =
        |events: f64, exposure: f64| BetaBinomial::default().interval(events.min(exposure), exposure, error);
    match kind {
        CountKind::Ratio => ends(events, exposure),
        CountKind::Rate => {
            let (low, high) = ends(events, exposure * SLICES);
            (low * SLICES, high * SLICES)
        }
    }
}
