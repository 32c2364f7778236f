//! All the evidence about one ratio or rate: harm, safety and the interval, judged by one noise model.

use serde::{Deserialize, Serialize};

use super::count::{ArmCount, PairCount, Refusal, span};
use super::noise::{CountKind, Learnt, NoiseModel, Spread};
use super::prior::Prior;
use super::ratio_cs::{Interval, RatioCs};
use super::tilt::{Alternative, Onset, Tilt};

/// What is asked of a ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioQuestion {
    /// How much worse than the baseline is still good enough for not being rolled back: 0.1 for +10 %.
    pub margin: f64,
    /// What the canary's ratio must be shown to be below, as multiples of the baseline's; each above 1. Several where
    /// steps ask for more and more.
    pub bounds: Vec<f64>,
    /// Harm needs the canary's own ratio to be above this, too; nothing for no such floor.
    pub floor: Option<f64>,
    /// Over which time harm may begin, in the unit of the looks' `dt`.
    pub horizon: f64,
}

/// What is known of the time that a look falls into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amid {
    /// How many times as many events the baseline has as when its noise was measured; at least 1. A rate that wavers does so in
    /// proportion to itself, so what dispersion there is grows with it.
    pub growth: f64,
    /// How many times as many events as are to be expected the look has, of both arms; at least 1. Safety takes it for no more than
    /// what is expected.
    pub excess: f64,
    /// Whether the look may show that the canary is safe. To be decided from earlier looks, and from whether the baseline has too
    /// many events in this one.
    pub proves: bool,
}

impl Amid {
    /// Nothing unusual.
    pub const USUAL: Self = Self { growth: 1.0, excess: 1.0, proves: true };
}

/// The evidence about one ratio or rate since the rollout began. Of bounded size; shares may change at every look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioEvidence {
    kind: CountKind,
    noise: NoiseModel,
    harm: Tilt,
    floor: Option<Floor>,
    safety: Vec<Tilt>,
    interval: RatioCs,
    /// What came since the last look that both arms were seen in.
    open: PairCount,
    /// The looks that safety has not been shown yet: they wait until it is known how noisy counts are at worst. That takes
    /// some twenty looks at most. Each is kept for itself, with its [`Amid::excess`]: shares and levels may move meanwhile, and sums
    /// would mix them up.
    waiting: Vec<(PairCount, f64)>,
    /// All that was judged.
    seen: PairCount,
    /// What of it may show that the canary is safe, and is no more than was to be expected.
    shown: PairCount,
    /// What may show it, of which no look has more events than are to be expected.
    weighed: PairCount,
    spread: Option<Spread>,
}

/// Evidence against "the canary's own ratio is at most the floor".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Floor {
    ratio: f64,
    tilt: Tilt,
}

impl RatioEvidence {
    /// No evidence yet, and what is known of the noise beforehand.
    #[must_use]
    pub fn new(kind: CountKind, question: &RatioQuestion, noise: NoiseModel) -> Self {
        let above = |ratio: f64| {
            let tilt =
                Tilt::new(Prior::Ratio, 0.0, Alternative::Greater, Onset::within(question.horizon)).capped();
            Floor { ratio, tilt }
        };
        Self {
            kind,
            noise,
            harm: Tilt::harm(question.margin, question.horizon),
            floor: question.floor.map(above),
            safety: question.bounds.iter().map(|bound| Tilt::safety(*bound)).collect(),
            interval: RatioCs::default(),
            open: PairCount::default(),
            waiting: Vec::new(),
            seen: PairCount::default(),
            shown: PairCount::default(),
            weighed: PairCount::default(),
            spread: None,
        }
    }

    /// What both arms counted in the `dt` since the last look. An arm that was not seen is an empty count: the slice is
    /// then held and judged with the next.
    ///
    /// # Errors
    /// A `dt` that is no span of time. Nothing has changed then.
    pub fn look(&mut self, dt: f64, counts: &PairCount) -> Result<(), Refusal> {
        self.look_amid(dt, counts, Amid::USUAL).map(|_| ())
    }

    /// As [`Self::look`], in a time that may be unusual.
    ///
    /// # Errors
    /// See there.
    pub fn look_amid(&mut self, dt: f64, counts: &PairCount, amid: Amid) -> Result<Learnt, Refusal> {
        let dt = span(dt)?;
        self.open = self.open.plus(*counts);
        if !self.open.is_closed() {
            for tilt in self.tilts() {
                tilt.wait(dt)?;
            }
            return Ok(Learnt::AsBefore);
        }
        let look = std::mem::take(&mut self.open);
        self.seen = self.seen.plus(look);
        let spread = self.noise.spread(look.canary.exposure(), look.baseline.exposure()).wary();
        let spread = spread.grown(amid.growth);
        self.spread = Some(spread);
        let likelihood = self.noise.likelihood_with(&look, spread);
        self.harm.cap(self.noise.looks_until_bounded() == 0);
        self.harm.look(dt, &likelihood)?;
        if !amid.proves {
            // What is counted in such a time says nothing of others.
        } else if self.noise.is_bounded() {
            for (look, excess) in std::mem::take(&mut self.waiting) {
                let spread = self.noise.spread(look.canary.exposure(), look.baseline.exposure()).wary();
                self.show_safety(dt, &look, spread, excess)?;
            }
            self.show_safety(dt, &look, spread, amid.excess)?;
        } else {
            self.waiting.push((look, amid.excess));
        }
        if amid.proves {
            let less = |arm: ArmCount| ArmCount::rate(arm.events() / amid.excess, arm.exposure());
            self.weighed =
                self.weighed.plus(PairCount { canary: less(look.canary)?, baseline: less(look.baseline)? });
            if amid.excess <= 1.0 {
                self.shown = self.shown.plus(look);
            }
        }
        self.interval.look(&likelihood)?;
        if let Some(floor) = &mut self.floor {
            floor.look(dt, self.kind, &look, spread)?;
        }
        let is_usual = amid.proves && amid.growth <= 1.0 && amid.excess <= 1.0;
        let learnt = self.noise.learn_in(&look, is_usual);
        if learnt == Learnt::HistoryRefuted {
            // What it was weighed by was not the noise that there is.
            self.tilts().for_each(Tilt::forget);
            self.interval = RatioCs::default();
        }
        Ok(learnt)
    }

    /// Learns the noise of a canary that has been alone from the first look; nothing is compared.
    pub fn learn_alone(&mut self, canary: ArmCount) {
        self.noise.learn_alone(canary);
    }

    fn show_safety(&mut self, dt: f64, look: &PairCount, spread: Spread, excess: f64) -> Result<(), Refusal> {
        let spread = Spread { phi: spread.phi * excess, ..spread };
        for tilt in &mut self.safety {
            let careful = self.noise.likelihood_of_safety(look, spread, tilt.null().exp());
            tilt.look(dt, &careful)?;
        }
        Ok(())
    }

    /// ln E against "the canary's ratio is at most 1 + margin times the baseline's, or at most the floor".
    #[must_use]
    pub fn log_e_harm(&self) -> f64 {
        let ratio = self.harm.log_e();
        // The smaller of two e-processes is one against either claim.
        self.floor.as_ref().map_or(ratio, |floor| ratio.min(floor.tilt.log_e()))
    }

    /// ln E against "the canary's ratio is at least the bound's multiple of the baseline's", for each bound in the order
    /// of the question.
    pub fn log_e_safety(&self) -> impl ExactSizeIterator<Item = f64> {
        self.safety.iter().map(Tilt::log_e)
    }

    /// ln E against "the canary's ratio is at most 1 + margin times the baseline's", and against "it is at most the floor".
    #[must_use]
    pub fn log_e_harm_parts(&self) -> (f64, Option<f64>) {
        (self.harm.log_e(), self.floor.as_ref().map(|floor| floor.tilt.log_e()))
    }

    /// The (1 − `alpha`) confidence sequence for the ratio of the canary's ratio to the baseline's.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        self.interval.interval(alpha)
    }

    /// All that was judged so far.
    #[must_use]
    pub fn seen(&self) -> &PairCount {
        &self.seen
    }

    /// What of it may show that the canary is safe, and is no more than was to be expected.
    #[must_use]
    pub fn shown(&self) -> &PairCount {
        &self.shown
    }

    /// What may show it, of which no look has more events than are to be expected.
    #[must_use]
    pub fn weighed(&self) -> &PairCount {
        &self.weighed
    }

    /// What waits for the other arm.
    #[must_use]
    pub fn open(&self) -> &PairCount {
        &self.open
    }

    /// What is known of the noise.
    #[must_use]
    pub fn noise(&self) -> &NoiseModel {
        &self.noise
    }

    /// The noise by which the last look was judged; nothing before the first.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        self.spread
    }

    fn tilts(&mut self) -> impl Iterator<Item = &mut Tilt> {
        let floor = self.floor.iter_mut().map(|floor| &mut floor.tilt);
        std::iter::once(&mut self.harm).chain(&mut self.safety).chain(floor)
    }
}

impl Floor {
    fn look(&mut self, dt: f64, kind: CountKind, look: &PairCount, spread: Spread) -> Result<(), Refusal> {
        let phi = spread.over(self.ratio * look.canary.exposure());
        self.tilt.hold(dt, kind, look.canary, self.ratio, phi)?;
        Ok(())
    }
}
