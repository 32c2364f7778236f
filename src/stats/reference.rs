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
const LEAST_LOOKS: f64 = 3.0;

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

/// Slices of a unit-second, each too short for two events: a rate is a proportion of them. Where there is more than one event
/// in a unit-second, as many times more slices.
const SLICES: f64 = 1000.0;

fn slices(events: f64, exposure: f64) -> f64 {
    let rate = events / exposure.max(f64::MIN_POSITIVE);
    if rate.is_finite() { SLICES * rate.max(1.0) } else { SLICES }
}

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
    /// How much of the time in which a level wanders is covered: 1 where neighbouring stretches of eight minutes, with a look
    /// every 15 s, could be compared, and the less the shorter the longest stretches are.
    #[serde(default = "all_covered")]
    pub covered: f64,
}

/// What was known before this was told apart.
fn all_covered() -> f64 {
    1.0
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
            covered: self.covered(),
        })
    }

    fn dispersion(&self) -> f64 {
        let least = 1.0 + UNKNOWN / (1.0 + self.all.events() / UNKNOWN_EVENTS);
        let variance = self.kind.variance(self.all.events() / self.all.exposure());
        if variance <= 0.0 {
            return least;
        }
        let caution = |scale: &Scale| 1.0 + CAUTION / scale.pairs.sqrt();
        let dispersions = self.told().map(|scale| scale.squares / scale.pairs / variance * caution(scale));
        let most = dispersions.fold(least, f64::max);
        1.0 + (most - 1.0) / self.covered().sqrt()
    }

    /// The scales of which enough is known.
    fn told(&self) -> impl Iterator<Item = &Scale> {
        self.scales.iter().take_while(|scale| scale.pairs >= LEAST_PAIRS)
    }

    /// How long the longest stretches of which enough is known are, as a part of [`LONG`]; at most 1.
    fn covered(&self) -> f64 {
        let longest = self.told().skip(1).fold(1.0, |length, _| 2.0 * length);
        (longest / LONG).min(1.0)
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
        let half = self.half.take();
        if half.is_none() {
            self.half = Some(stretch);
        }
        half.map(|half| half.plus(stretch))
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
                let slices = slices(events, exposure);
                let (low, high) = chernoff(events, exposure * slices, nats);
                (low * slices, high * slices)
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
        let (lower, upper) = (f64::midpoint(low.0, low.1), f64::midpoint(high.0, high.1));
        let end = if is_near(lower) { &mut low.1 } else { &mut low.0 };
        *end = lower;
        let end = if is_near(upper) { &mut high.0 } else { &mut high.1 };
        *end = upper;
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
            let slices = slices(events, exposure);
            let (low, high) = ends(events, exposure * slices);
            (low * slices, high * slices)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::distribution::{Binomial, Discrete as _};

    use super::*;

    fn of(looks: impl IntoIterator<Item = (f64, f64)>) -> Reference {
        let mut reference = Reference::new(CountKind::Ratio);
        looks.into_iter().for_each(|(x, n)| reference.learn(ArmCount::ratio(x, n).unwrap()));
        reference
    }

    #[test]
    fn either_end_is_wrong_no_more_often_than_said() {
        for (n, p) in [(40_u32, 0.02), (200, 0.1), (60, 0.5)] {
            let law = Binomial::new(p, u64::from(n)).unwrap();
            let (mut below, mut above) = (0.0, 0.0);
            for x in 0..=n {
                let (low, high) = chernoff(f64::from(x), f64::from(n), -0.02_f64.ln());
                below += if high < p { law.pmf(u64::from(x)) } else { 0.0 };
                above += if low > p { law.pmf(u64::from(x)) } else { 0.0 };
            }
            assert!(below <= 0.02 && above <= 0.02, "{n} {p}: {below} {above}");
        }
    }

    #[test]
    fn what_wavers_slowly_is_dispersed_though_neighbours_agree() {
        let steady = of((0..256).map(|i| (f64::from(100 + (i * 7) % 21 - 10), 10_000.0)));
        let slow = of((0..256).map(|i| (100.0 + 60.0 * (f64::from(i) / 20.0).sin(), 10_000.0)));
        let (steady, slow) = (steady.known().unwrap(), slow.known().unwrap());
        assert!(steady.dispersion < 3.0, "{}", steady.dispersion);
        // Stretches of 32 looks differ by up to the whole swing: dozens of times what independent events would.
        assert!(slow.dispersion > 100.0, "{}", slow.dispersion);
        assert!(slow.interval(0.01).1 > steady.interval(0.01).1);
    }

    #[test]
    fn without_events_it_is_unknown_how_they_cluster() {
        let known = of((0..64).map(|_| (0.0, 1000.0))).known().unwrap();
        assert!((known.dispersion - 10.0).abs() < 1e-9, "{}", known.dispersion);
        assert!(of((0..3).map(|_| (1.0, 10.0))).known().is_none());
        assert!(of((0..100).map(|_| (0.0, 0.0))).known().is_none(), "looks without exposure say nothing");
    }

    #[test]
    fn the_longer_the_past_the_more_of_its_wandering_is_covered() {
        let covered =
            |looks: u32| of((0..looks).map(|i| (f64::from(i % 7), 1000.0))).known().unwrap().covered;
        for (looks, stretch) in [(4_u32, 1.0), (8, 1.0), (40, 8.0), (159, 16.0), (160, 32.0), (1000, 32.0)] {
            let part = covered(looks);
            assert!((part - stretch / 32.0).abs() < 1e-12, "{looks} looks: {part}");
        }
    }

    #[test]
    fn the_level_follows_the_last_hour() {
        let known = of((0..1000).map(|i| (if i < 600 { 10.0 } else { 40.0 }, 1000.0))).known().unwrap();
        assert!((0.03..0.04).contains(&known.rate()), "{}", known.rate());
    }

    proptest! {
        #[test]
        fn any_past_gives_numbers_that_make_sense(
            looks in proptest::collection::vec((0.0..1e12_f64, 0.0..=1.0_f64), 0..200), error in 1e-12..0.5_f64
        ) {
            let reference = of(looks.iter().map(|(n, p)| (n * p, *n)));
            let again: Reference = serde_json::from_str(&serde_json::to_string(&reference).unwrap()).unwrap();
            prop_assert_eq!(&again, &reference);
            if let Some(known) = reference.known() {
                let (low, high) = known.interval(error);
                prop_assert!((0.0..=known.rate() + 1e-12).contains(&low), "{low}");
                prop_assert!((known.rate() - 1e-12..=1.0).contains(&high), "{high}");
                prop_assert!(known.dispersion >= 1.0 && known.dispersion.is_finite());
                prop_assert!(known.dispersion_of(known.per_look * 7.0) >= known.dispersion_of(known.per_look));
                let (wider, widest) = known.interval(error / 2.0);
                prop_assert!(wider <= low && widest >= high);
            }
        }
    }
}
