//! The running test of one branch: components that start one after another, so that harm is found whenever it begins.

use serde::{Deserialize, Serialize};

use super::filter::{Filter, Regressors};
use super::mixture::half_normal;
use super::noise::Noise;

/// Half-normal scale of a level, in logarithms (or in units of the score, times its [`Branch::scale`]).
pub(super) const LEVEL_SCALE: f64 = 0.3;
/// The same of a ramp, an hour.
pub(super) const RAMP_SCALE: f64 = 0.5;
/// Prior weight of the component that starts with the test; the later ones share the rest.
const FIRST: f64 = 0.8;
/// Prior weight of a level; ramps have the rest.
const LEVEL: f64 = 0.8;
/// Samples without which a component says nothing about a level.
pub(super) const LEVEL_SAMPLES: u32 = 3;
/// The same for a ramp.
const RAMP_SAMPLES: u32 = 8;
/// How many of the last differences the median of which must be an effect before a level counts.
const LEVEL_WINDOW: usize = 40;
/// The same for a ramp.
const RAMP_WINDOW: usize = 20;
/// Differences to be kept for those medians.
pub(super) const WINDOW: usize = LEVEL_WINDOW;
/// Evidence before any component may speak.
pub(super) const NOTHING: f64 = -1e300;

/// One fitted branch: noise models that are all plausible, and how observations are clipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Branch {
    pub models: Vec<Noise>,
    /// Observations count no further than this from what they are held against.
    pub clip: f64,
    /// Innovations count no further than this many standard deviations.
    pub limit: f64,
    /// The score's units in one logarithm; 1 where the score is one.
    pub scale: f64,
    /// Whether its score is the rank in the history.
    pub ranked: bool,
    /// How much the variances were raised because the history was wilder than the model.
    pub inflation: f64,
}

impl Branch {
    /// The same with all variances multiplied, and the clip with their root.
    pub(super) fn inflated(&self, factor: f64) -> Self {
        Self {
            models: self.models.iter().map(|model| model.inflated(factor)).collect(),
            clip: self.clip * factor.sqrt(),
            inflation: self.inflation * factor,
            ..*self
        }
    }
}

/// When components start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// Samples between two starts.
    every: u32,
    /// Components after the first.
    later: u32,
}

/// Samples between two starts, at least.
const EVERY: u32 = 10;
/// Components, at most. Longer tests start them less often, so that their state stays small.
const MOST: u32 = 64;

impl Schedule {
    /// For a test of so many ticks.
    pub(super) fn over(ticks: u32) -> Self {
        let every = EVERY.max(ticks.div_ceil(MOST));
        Self { every, later: ticks.div_ceil(every).saturating_sub(1).max(1) }
    }

    /// Ticks that the schedule is for.
    pub(super) fn ticks(self) -> usize {
        (self.every * (self.later + 1)) as usize
    }

    fn log_prior(self, component: usize) -> f64 {
        if component == 0 { FIRST.ln() } else { ((1.0 - FIRST) / f64::from(self.later)).ln() }
    }
}

/// One difference between the arms, as a branch sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    /// The tick.
    pub tick: i64,
    /// Ticks since the last observation.
    pub gap: i64,
    /// The difference of scores.
    pub difference: f64,
    /// Its standard deviation relative to the fitted one, which changes with the number of units.
    pub spread: f64,
    /// The correlation that a change of units since the last observation has left; 1 without a change.
    pub kept: f64,
}

impl Observation {
    pub(super) fn units_changed(&self) -> bool {
        self.kept < 1.0
    }

    /// What is left of each model's past after the gap.
    pub(super) fn decays(&self, models: &[Noise]) -> Vec<f64> {
        models.iter().map(|model| power(model.phi, self.gap) * self.kept).collect()
    }

    /// What a level of 1, and a ramp of 1 an hour since `start`, add to it.
    #[expect(clippy::cast_precision_loss, reason = "a test is far shorter than 2^53 ticks")]
    pub(super) fn regressors(&self, start: i64, hours: f64) -> Regressors {
        let time = (self.tick - start + 1) as f64 * hours;
        Regressors { level: 1.0 / self.spread, ramp: time / self.spread }
    }
}

/// `phi` to the power of a number of ticks.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 ticks any correlation is gone")]
fn power(phi: f64, ticks: i64) -> f64 {
    if ticks == 1 { phi } else { phi.powf(ticks as f64) }
}

/// Components that started at some tick and have seen only what came since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Component {
    start: i64,
    samples: u32,
    /// The largest squared spread it has seen.
    widest: f64,
    /// Whether the units changed while it ran. Other units have other offsets, which looks like a ramp.
    changed: bool,
    /// One for each model.
    filters: Vec<Filter>,
}

/// The running test of one branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bank {
    /// The difference up to which there is no harm, in the score's units.
    shift: f64,
    schedule: Schedule,
    samples: u32,
    components: Vec<Component>,
}

impl Bank {
    pub(super) fn new(shift: f64, schedule: Schedule) -> Self {
        Self { shift, schedule, samples: 0, components: Vec::new() }
    }

    /// Takes in an observation and returns the evidence of harm: the largest over the components whose effect
    /// `passes` (called with the number of latest differences whose median counts). A tick is `hours` long.
    pub(super) fn observe(
        &mut self,
        branch: &Branch,
        seen: Observation,
        hours: f64,
        mut passes: impl FnMut(usize) -> bool,
    ) -> f64 {
        self.open(branch, seen.tick);
        let held = self.shift / seen.spread;
        let observation = (seen.difference / seen.spread - held).max(-branch.clip - held).min(branch.clip);
        let decays = seen.decays(&branch.models);
        let mut evidence = NOTHING;
        for (index, component) in self.components.iter_mut().enumerate() {
            let regressors = seen.regressors(component.start, hours);
            component.changed |= seen.units_changed() && component.samples > 0;
            component.observe(observation, seen.spread, regressors, branch, &decays);
            if component.samples < LEVEL_SAMPLES {
                continue;
            }
            let (level, ramp) = component.evidence(branch);
            let prior = self.schedule.log_prior(index);
            let window = |most: usize| most.min(component.samples as usize);
            let level = level + prior + LEVEL.ln();
            if level > evidence && passes(window(LEVEL_WINDOW)) {
                evidence = level;
            }
            let ramp = ramp + prior + (1.0 - LEVEL).ln();
            if component.sees_ramps() && ramp > evidence && passes(window(RAMP_WINDOW)) {
                evidence = ramp;
            }
        }
        evidence
    }

    /// Opens a component if it is time. The prior has been shared out among as many as the schedule has.
    fn open(&mut self, branch: &Branch, tick: i64) {
        let due = self.samples.is_multiple_of(self.schedule.every);
        self.samples = self.samples.saturating_add(1);
        if due && self.components.len() <= self.schedule.later as usize {
            let filters = branch.models.iter().map(Filter::stationary).collect();
            self.components.push(Component { start: tick, samples: 0, widest: 0.0, changed: false, filters });
        }
    }
}

impl Component {
    /// Takes in what is left of an observation after shift and clip.
    fn observe(
        &mut self,
        observation: f64,
        spread: f64,
        regressors: Regressors,
        branch: &Branch,
        decays: &[f64],
    ) {
        let first = self.samples == 0;
        self.samples = self.samples.saturating_add(1);
        self.widest = self.widest.max(spread * spread);
        for ((filter, model), decay) in self.filters.iter_mut().zip(&branch.models).zip(decays) {
            if !first {
                filter.decay(*decay, model);
            }
            filter.observe(observation, regressors, model, branch.limit);
        }
    }

    fn sees_ramps(&self) -> bool {
        self.samples >= RAMP_SAMPLES && !self.changed
    }

    /// Evidence of a level and of a ramp: the least over the models, so that it holds whichever of them is true.
    fn evidence(&self, branch: &Branch) -> (f64, f64) {
        let (mut level, mut ramp) = (f64::INFINITY, f64::INFINITY);
        let level_variance = (LEVEL_SCALE * branch.scale).powi(2);
        let ramp_variance = (RAMP_SCALE * branch.scale).powi(2);
        for (filter, model) in self.filters.iter().zip(&branch.models) {
            let offset = model.offset * self.widest;
            let (information, score) = filter.level(offset);
            level = level.min(half_normal(information, score, level_variance));
            if self.sees_ramps() {
                let (information, score) = filter.ramp(offset);
                ramp = ramp.min(half_normal(information, score, ramp_variance));
            }
        }
        (level, ramp)
    }
}
