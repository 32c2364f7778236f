//! The noise of a gauge, fitted on its history and checked by replaying the history as if each unit were a canary.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::bank::{Bank, Branch, NOTHING, Observation, Schedule};
use super::doubt::Doubt;
use super::history::History;
use super::noise::{Likelihood, Noise};
use super::past::{Past, Placebos, Ranked, level};
use super::rank::RankMap;
use super::scale::{Scale, Worse, median};

/// The least standard deviation of a unit, on the comparison's scale: 1 %.
const FLOOR: f64 = 0.01;
/// Innovations count up to this many standard deviations,
pub(super) const LIMIT: f64 = 5.0;
/// or up to this many where the tails are heavy: more than this share of the history beyond four.
const HEAVY_LIMIT: f64 = 2.5;
const HEAVY_SHARE: f64 = 0.005;
/// Nats of evidence that a replay may reach, beside the logarithm of the number of replays.
const REPLAY_NATS: f64 = 1.0;
/// By how much the variances are raised at a time, and the bound of it, when a replay exceeds that.
const INFLATION_STEP: f64 = 1.15;
const INFLATION_BOUND: f64 = 50.0;
/// Replays at most; more placebos are thinned evenly.
const MOST_REPLAYS: usize = 32;
/// Samples without which there is no fit.
const LEAST_SAMPLES: usize = 40;
/// Samples below which the strict branch, too, must allow for other noise models than the likeliest, and nats of that.
/// With 40 samples it takes false failures from up to 3 % to about 1 %, false proofs from up to 9 % to 3 %.
const CERTAIN: usize = 120;
const SHORT_ALLOWANCE: f64 = 0.5;
/// How many times larger the ranks' ratio of signal to noise must be for them to be taken.
const RANK_ADVANTAGE: f64 = 1.3;
/// The same for the strict branch given several units. Below 2, an hour of nearly random walks is taken for switches by
/// chance; the windows of a single series are more than an hour.
const STRICT_RANK_ADVANTAGE: f64 = 2.0;

/// The correlation between a tick and the next that noise may have which the history did not show.
const LASTING: f64 = 0.94;

/// What a margin means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A canary truly less than the margin worse fails with at most the budget.
    Strict,
    /// The budget covers only a canary that is not worse at all; one that is, and looks worse by at least the margin,
    /// may fail. Finds leaks and small shifts. The strict test runs beside it.
    Loose,
}

/// What a gauge is held to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaugeSettings {
    /// Which way is worse.
    pub worse: Worse,
    /// How much worse still counts as good enough: 0.1 is 10 %. Negative or not finite counts as 0.
    pub margin: f64,
    /// What the margin means.
    pub form: Form,
    /// The longest time that the test will run, in seconds.
    pub horizon_seconds: f64,
    /// The number of units that the test will begin with in each arm, as far as that is known.
    pub canary_units: u32,
    /// See `canary_units`.
    pub baseline_units: u32,
}

/// Why a history gives no fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoFit {
    /// There are too few samples.
    #[error("{have} samples of the baseline's past, and it takes {need} to know the noise")]
    TooShort {
        /// Ticks at which all units were there.
        have: usize,
        /// What it takes.
        need: usize,
    },
    /// Nothing says how much is much.
    #[error("the baseline's past is mostly zero, so nothing says how much a change is worth")]
    MostlyZero,
}

/// A fit: all that the running test needs to know of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeFit {
    pub(super) settings: GaugeSettings,
    pub(super) scale: Scale,
    pub(super) tick_seconds: f64,
    pub(super) schedule: Schedule,
    /// Variance of the difference between the arms, relative to one unit's, that the models are for.
    pub(super) share: f64,
    pub(super) strict: Branch,
    pub(super) loose: Option<Branch>,
    /// The strict branch on the values' own scale, where that is another.
    pub(super) unranked: Option<Branch>,
    /// The scores of the branches that compare ranks.
    pub(super) ranks: Option<RankMap>,
    samples: usize,
    units: usize,
    /// What the history speaks against its own noise with, in nats.
    #[serde(default)]
    pub(super) doubt: f64,
    /// The mean size of the history's values, where differences are measured by a size, and nothing is below 0.
    #[serde(default)]
    pub(super) usual: Option<f64>,
}

/// What the fit found, for a person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseSummary {
    /// Units that it was fitted on.
    pub units: usize,
    /// Samples of each.
    pub samples: usize,
    /// Standard deviation of one unit around the others, in logarithms (0.05 is about 5 %).
    pub deviation: f64,
    /// Standard deviation of what distinguishes units for good, likewise.
    pub offset: f64,
    /// Correlation between a tick and the next.
    pub correlation: f64,
    /// The share of the variance around the others that is gone at the next tick.
    pub white: f64,
    /// How much the variance was raised because the history was wilder than the model; 1 is not at all.
    pub inflation: f64,
    /// Whether ranks are compared because the history is bursty or switches.
    pub by_ranks: bool,
}

impl GaugeFit {
    /// Fits the noise.
    ///
    /// Several units are compared with each other; with a single one, the latest stretch of its past is compared with
    /// the stretches before.
    ///
    /// # Errors
    /// Says what the history lacks. Without a fit, a gauge can only advise.
    pub fn from_history(history: &History, settings: GaugeSettings) -> Result<Self, NoFit> {
        let rows = history.rows();
        let scale = Scale::fitting(rows.iter().flatten().copied(), settings.worse);
        let Some(scale) = scale else {
            let have = rows.iter().flatten().filter(|value| value.is_finite()).count();
            return Err(if have < LEAST_SAMPLES { too_short(have) } else { NoFit::MostlyZero });
        };
        let usual = scale.usual(rows.iter().flatten().copied());
        let place =
            |row: &Vec<f64>| row.iter().map(|value| scale.place(*value).unwrap_or(f64::NAN)).collect();
        let rows: Vec<Vec<f64>> = rows.iter().map(place).collect();
        let ticks = horizon_ticks(settings.horizon_seconds, history.tick_seconds());
        let past = Past::of(rows, ticks as usize);
        let fit = Self::from_past(&past, scale, settings, history.tick_seconds(), CERTAIN)?;
        Ok(Self { usual, ..fit })
    }

    /// Fits how one series, such as the mean over all units, moves about its own level: for a canary that has no baseline
    /// beside it. Also gives that level. The test is then to be shown one value for each arm, the baseline's being the
    /// level; that it is estimated counts as an offset. What moves all units together does not cancel, so it is
    /// part of this noise. `apart`: the variance of what the two arms' units differ by for good, in logarithms, which no series shows.
    ///
    /// # Errors
    /// Says what the history lacks.
    pub fn of_level(history: &History, settings: GaugeSettings, apart: f64) -> Result<(Self, f64), NoFit> {
        let rows = history.rows();
        let series = rows.first().map_or(&[][..], Vec::as_slice);
        let known = || series.iter().copied().filter(|value| value.is_finite());
        if known().count() < LEAST_SAMPLES {
            return Err(too_short(known().count()));
        }
        let scale = Scale::fitting(known(), settings.worse).ok_or(NoFit::MostlyZero)?;
        let placed: Vec<f64> = series.iter().map(|value| scale.place(*value).unwrap_or(f64::NAN)).collect();
        let past = Past::of_level(&placed);
        let settings = GaugeSettings { canary_units: 1, baseline_units: 1, form: Form::Strict, ..settings };
        let mut fit = Self::from_past(&past, scale, settings, history.tick_seconds(), CERTAIN)?;
        let samples = fit.samples;
        for branch in std::iter::once(&mut fit.strict).chain(&mut fit.unranked) {
            // On a scale of ranks as many of its units as a logarithm has.
            let apart = apart * branch.scale.powi(2);
            for model in &mut branch.models {
                model.offset += model.mean_variance(samples) + apart;
            }
        }
        let level = past.rows().first().map_or(f64::NAN, |row| scale.value(level(row)));
        if level.is_finite() { Ok((fit, level)) } else { Err(NoFit::MostlyZero) }
    }

    /// Fits the noise of values that are on the comparison's scale already. From `certain` samples on, the strict
    /// branch takes the likeliest noise model for the true one.
    pub(super) fn from_past(
        past: &Past,
        scale: Scale,
        settings: GaugeSettings,
        tick_seconds: f64,
        certain: usize,
    ) -> Result<Self, NoFit> {
        let schedule = Schedule::over(horizon_ticks(settings.horizon_seconds, tick_seconds));
        let (share, factor) = match past {
            Past::Units(_) => {
                let share = share(settings.canary_units, settings.baseline_units);
                (share, share)
            }
            // Two windows of one series differ already as two units do that are alone in their arms; a level is no series that
            // is noisy itself.
            Past::Windows(_) | Past::Level(_) => (share(1, 1), 1.0),
        };
        let placebos = Placebos::of(past, factor);
        let samples = placebos.samples();
        if samples < LEAST_SAMPLES {
            return Err(too_short(samples));
        }
        let fitter = Fitter { schedule, hours: tick_seconds / 3600.0, factor };
        let ranked = Ranked::of(past, factor, scale.effect_of(1.3));
        let choose = |allowance: f64, advantage: f64| {
            let plain = fitter.branch(&placebos, allowance, None);
            if !placebos.enough {
                return (plain, None);
            }
            let by_rank = fitter.branch(&ranked.placebos, allowance, Some(ranked.scale()));
            if ranked.is_better(&plain, &by_rank, advantage) { (by_rank, Some(plain)) } else { (plain, None) }
        };
        let strict_allowance = match past {
            // A slow wandering is easily taken for none, and nothing cancels it.
            Past::Level(_) => placebos.allowance,
            _ if samples < certain => SHORT_ALLOWANCE.min(placebos.allowance),
            _ => 0.0,
        };
        let advantage = match past {
            Past::Units(_) => STRICT_RANK_ADVANTAGE,
            Past::Windows(_) | Past::Level(_) => RANK_ADVANTAGE,
        };
        let (strict, unranked) = choose(strict_allowance, advantage);
        let loose = (settings.form == Form::Loose && placebos.enough)
            .then(|| choose(placebos.allowance, RANK_ADVANTAGE).0);
        let ranks_used = strict.ranked || loose.as_ref().is_some_and(|branch| branch.ranked);
        let ranks = ranks_used.then_some(ranked.map);
        let (units, doubt) = match past {
            Past::Units(rows) => {
                (rows.len(), Doubt::of_history(rows, unranked.as_ref().unwrap_or(&strict), share))
            }
            Past::Windows(_) | Past::Level(_) => (1, 0.0),
        };
        Ok(Self {
            settings,
            scale,
            tick_seconds,
            schedule,
            share,
            strict,
            loose,
            unranked,
            ranks,
            samples,
            units,
            doubt,
            usual: None,
        })
    }

    /// The margin on the comparison's scale.
    pub(super) fn margin(&self) -> f64 {
        let margin = self.settings.margin;
        self.scale.effect_of(1.0 + if margin.is_finite() { margin.max(0.0) } else { 0.0 })
    }

    /// What differences are measured by where the baseline's past has values that are not above 0, and no ratio would mean
    /// anything: the median size of a value. Nothing where ratios are compared.
    #[must_use]
    pub fn usual_size(&self) -> Option<f64> {
        self.scale.unit()
    }

    /// The strict branch on the values' own scale.
    pub(super) fn plain(&self) -> &Branch {
        self.unranked.as_ref().unwrap_or(&self.strict)
    }

    /// Raises all variances: the history was calmer than what came. How long the noise lasts that it did not see is not known, either, so
    /// that it may last counts as well.
    pub(super) fn raise(&mut self, times: f64) {
        let others = self.loose.iter_mut().chain(&mut self.unranked);
        for branch in std::iter::once(&mut self.strict).chain(others) {
            *branch = branch.inflated(times);
            let lasts = |model: &Noise| model.phi >= LASTING;
            if let Some(model) = branch.models.first().filter(|_| !branch.models.iter().any(lasts)) {
                branch.models.push(Noise { phi: LASTING, ar: model.ar + model.white, white: 0.0, ..*model });
            }
        }
    }

    /// Whether any branch compares ranks.
    pub(super) fn compares_ranks(&self) -> bool {
        self.ranks.is_some()
    }

    /// What it found, for a person.
    #[must_use]
    pub fn summary(&self) -> NoiseSummary {
        let best = self.plain().models.first().copied().unwrap_or(Noise::NONE);
        let of_one = |variance: f64| (variance / self.share).sqrt();
        let stationary = best.ar + best.white;
        NoiseSummary {
            units: self.units,
            samples: self.samples,
            deviation: of_one(stationary),
            offset: of_one(best.offset),
            correlation: if stationary > 0.0 { best.phi * best.ar / stationary } else { 0.0 },
            white: if stationary > 0.0 { best.white / stationary } else { 0.0 },
            inflation: self.plain().inflation,
            by_ranks: self.compares_ranks(),
        }
    }
}

/// What the fits of all branches share.
struct Fitter {
    schedule: Schedule,
    hours: f64,
    /// The variance of the difference between the arms relative to that of a deviation.
    factor: f64,
}

impl Fitter {
    /// Fits one branch, and raises its variances until no replay of the history looks like harm.
    #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
    /// `rank_scale` is the scale of a rank score, if the placebos are ranks.
    fn branch(&self, placebos: &Placebos, allowance: f64, rank_scale: Option<f64>) -> Branch {
        let known = placebos.deviations.iter().flatten().filter(|value| !value.is_nan());
        let mut sizes: Vec<f64> = known.map(|value| value.abs()).collect();
        let typical = (1.4826 * median(&mut sizes).unwrap_or(0.0)).max(FLOOR);
        let far = sizes.iter().filter(|size| **size > 4.0 * typical).count() as f64;
        let limit = if far / sizes.len().max(1) as f64 > HEAVY_SHARE { HEAVY_LIMIT } else { LIMIT };
        let reach = limit * typical;
        let clipped = |row: &Vec<f64>| row.iter().map(|value| clip(*value, reach)).collect::<Vec<f64>>();
        let series: Vec<Vec<f64>> = placebos.deviations.iter().map(clipped).collect();
        let models = if sizes.iter().all(|size| *size <= 1e-12) {
            // The likelihood of a constant says nothing; the floor does.
            vec![Noise { ar: FLOOR * FLOOR * self.factor, ..Noise::NONE }]
        } else {
            let likelihood = Likelihood::of(&series, placebos.weight, placebos.offsets);
            likelihood.models(allowance, self.factor, FLOOR)
        };
        let offset = models.first().map_or(0.0, |model| model.offset);
        let branch = Branch {
            models: distinct(models),
            clip: (reach * self.factor.sqrt()).max(LIMIT * offset.sqrt()),
            limit,
            scale: rank_scale.unwrap_or(1.0),
            ranked: rank_scale.is_some(),
            inflation: 1.0,
        };
        self.replayed(&branch, &placebos.canaries)
    }

    /// The branch with its variances raised by the least factor at which no placebo canary looks like harm.
    #[expect(clippy::cast_precision_loss, reason = "a history has few rows")]
    fn replayed(&self, branch: &Branch, canaries: &[Vec<f64>]) -> Branch {
        let length = self.schedule.ticks();
        let blocks: Vec<&[f64]> = canaries.iter().flat_map(|row| row.chunks(length)).collect();
        let step = blocks.len().div_ceil(MOST_REPLAYS).max(1);
        let blocks: Vec<&[f64]> = blocks.into_iter().step_by(step).collect();
        let bearable = REPLAY_NATS + (blocks.len() as f64).ln();
        let mut factor = 1.0;
        loop {
            let raised = branch.inflated(factor);
            let looks_harmful = |block: &&[f64]| {
                [1.0, -1.0].iter().any(|sign| self.highest(&raised, block, *sign, bearable) > bearable)
            };
            if factor >= INFLATION_BOUND || !blocks.iter().any(looks_harmful) {
                return raised;
            }
            factor *= INFLATION_STEP;
        }
    }

    /// The most evidence that a run over this block sees, or the first beyond what is bearable.
    fn highest(&self, branch: &Branch, block: &[f64], sign: f64, bearable: f64) -> f64 {
        let mut bank = Bank::new(0.0, self.schedule);
        let (mut highest, mut last) = (NOTHING, None);
        for (tick, value) in (0_i64..).zip(block) {
            if value.is_nan() {
                continue;
            }
            let gap = last.map_or(0, |last| tick - last);
            last = Some(tick);
            let seen = Observation { tick, gap, difference: sign * value, spread: 1.0, kept: 1.0 };
            highest = highest.max(bank.observe(branch, seen, self.hours, |_| true));
            if highest > bearable {
                break;
            }
        }
        highest
    }
}

fn clip(value: f64, reach: f64) -> f64 {
    if value.is_nan() { value } else { value.clamp(-reach, reach) }
}

fn distinct(models: Vec<Noise>) -> Vec<Noise> {
    let mut kept: Vec<Noise> = Vec::new();
    for model in models {
        if !kept.contains(&model) {
            kept.push(model);
        }
    }
    kept
}

/// The variance of the difference between the means of both arms, relative to one unit's.
pub(super) fn share(canary_units: u32, baseline_units: u32) -> f64 {
    1.0 / f64::from(canary_units.max(1)) + 1.0 / f64::from(baseline_units.max(1))
}

/// Ticks of a test of this length, at least one and at most a week of four a minute.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before; NaN becomes 0")]
fn horizon_ticks(horizon_seconds: f64, tick_seconds: f64) -> u32 {
    ((horizon_seconds / tick_seconds).ceil().clamp(1.0, 40_320.0) as u32).max(1)
}

fn too_short(have: usize) -> NoFit {
    NoFit::TooShort { have, need: LEAST_SAMPLES }
}
