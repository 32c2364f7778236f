//! The baseline's past as a source of placebos: differences that it has although nothing was wrong.

use super::bank::Branch;
use super::noise::{NO_OFFSET, OFFSET};
use super::rank::RankMap;

/// Nats by which a plausible noise model of the loose branch may be less likely than the best, given several units.
const ALLOWANCE: f64 = 1.5;
/// Placebo rows of a single series without which there is neither a loose branch nor ranks.
const LEAST_PLACEBOS: usize = 3;
/// Ticks of several units that are used at most: the latest.
const MOST_TICKS: usize = 1440;
/// Windows of a single series that are used at most.
const MOST_WINDOWS: usize = 8;
/// The least scale of a rank score.
const LEAST_SCALE: f64 = 0.3;

/// A baseline's past on the comparison's scale, `NaN` where a value is missing.
pub(super) enum Past {
    /// One row for each of at least two units.
    Units(Vec<Vec<f64>>),
    /// Windows of equal length of a single series, the newest first.
    Windows(Vec<Vec<f64>>),
    /// A single series, which is compared with its own level.
    Level(Vec<Vec<f64>>),
}

impl Past {
    /// The past of one series, for a test against its own level.
    pub(super) fn of_level(series: &[f64]) -> Self {
        Self::Level(vec![latest(series, MOST_TICKS)])
    }

    /// The past of these units, for a test over so many ticks.
    pub(super) fn of(rows: Vec<Vec<f64>>, ticks: usize) -> Self {
        match <[Vec<f64>; 1]>::try_from(rows) {
            Ok([single]) => Self::Windows(windows(&single, ticks)),
            Err(units) => Self::Units(units.iter().map(|row| latest(row, MOST_TICKS)).collect()),
        }
    }

    pub(super) fn rows(&self) -> &[Vec<f64>] {
        let (Self::Units(rows) | Self::Windows(rows) | Self::Level(rows)) = self;
        rows
    }

    fn mapped(&self, map: impl Fn(f64) -> f64) -> Self {
        let rows = self.rows().iter().map(|row| row.iter().map(|value| map(*value)).collect()).collect();
        match self {
            Self::Units(_) => Self::Units(rows),
            Self::Windows(_) => Self::Windows(rows),
            Self::Level(_) => Self::Level(rows),
        }
    }

    /// Values that ranks are taken among: those of the baseline that a placebo canary is held against.
    fn reference(&self) -> impl Iterator<Item = f64> {
        let skipped = match self {
            Self::Units(_) | Self::Level(_) => 0,
            Self::Windows(_) => 1,
        };
        self.rows().iter().skip(skipped).flatten().copied().filter(|value| !value.is_nan())
    }
}

/// Differences that the history has although nothing was wrong.
pub(super) struct Placebos {
    /// Differences with the variance of one unit.
    pub(super) deviations: Vec<Vec<f64>>,
    /// Differences with the variance that the rollout's will have: each unit as if it were the canary.
    pub(super) canaries: Vec<Vec<f64>>,
    /// The share of the degrees of freedom that is left.
    pub(super) weight: f64,
    /// Nats by which a plausible model may be less likely than the best.
    pub(super) allowance: f64,
    pub(super) offsets: &'static [f64],
    /// Whether there are enough of them for the loose branch and for ranks.
    pub(super) enough: bool,
}

impl Placebos {
    #[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
    pub(super) fn of(past: &Past, factor: f64) -> Self {
        match past {
            Past::Units(rows) => {
                let units = rows.len() as f64;
                let centred = centred(rows);
                let times = |by: f64| {
                    let scaled = |row: &Vec<f64>| row.iter().map(|value| value * by).collect();
                    centred.iter().map(scaled).collect::<Vec<Vec<f64>>>()
                };
                let left_out = 1.0 + 1.0 / (units - 1.0);
                Self {
                    deviations: times((units / (units - 1.0)).sqrt()),
                    canaries: times(units / (units - 1.0) * (factor / left_out).sqrt()),
                    weight: (units - 1.0) / units,
                    allowance: ALLOWANCE,
                    offsets: &OFFSET,
                    enough: true,
                }
            }
            Past::Windows(rows) => {
                let difference =
                    |pair: &[Vec<f64>]| pair[0].iter().zip(&pair[1]).map(|(a, b)| a - b).collect();
                let deviations: Vec<Vec<f64>> = rows.windows(2).map(difference).collect();
                Self {
                    canaries: deviations.clone(),
                    weight: 1.0,
                    allowance: 0.0,
                    offsets: &NO_OFFSET,
                    enough: deviations.len() >= LEAST_PLACEBOS,
                    deviations,
                }
            }
            Past::Level(rows) => {
                let from_level = |row: &Vec<f64>| {
                    let level = level(row);
                    row.iter().map(|value| value - level).collect()
                };
                let deviations: Vec<Vec<f64>> = rows.iter().map(from_level).collect();
                Self {
                    canaries: deviations.clone(),
                    deviations,
                    weight: 1.0,
                    allowance: ALLOWANCE,
                    offsets: &NO_OFFSET,
                    enough: false,
                }
            }
        }
    }

    /// Ticks with a difference.
    pub(super) fn samples(&self) -> usize {
        let per_row = |row: &Vec<f64>| row.iter().filter(|value| !value.is_nan()).count();
        self.deviations.iter().map(per_row).max().unwrap_or(0)
    }
}

/// The mean of what is there of a series.
#[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
pub(super) fn level(series: &[f64]) -> f64 {
    let known = || series.iter().filter(|value| !value.is_nan());
    known().sum::<f64>() / known().count() as f64
}

/// Each column minus its mean; `NaN` where one of it is missing.
#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
fn centred(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let length = rows.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
    let means: Vec<f64> = (0..length).map(mean).collect();
    rows.iter().map(|row| row.iter().zip(&means).map(|(value, mean)| value - mean).collect()).collect()
}

/// The past by rank.
pub(super) struct Ranked {
    pub(super) map: RankMap,
    pub(super) placebos: Placebos,
    /// A shift on the values' own scale, and what it is on average in ranks.
    pub(super) step: f64,
    pub(super) shift: f64,
}

impl Ranked {
    pub(super) fn of(past: &Past, factor: f64, step: f64) -> Self {
        let map = RankMap::of(past.reference());
        let (sum, count) = past.reference().fold((0.0, 0.0_f64), |(sum, count), value| {
            (sum + map.score(value + step) - map.score(value), count + 1.0)
        });
        let placebos = Placebos::of(&past.mapped(|value| map.score(value)), factor);
        Self { map, placebos, step, shift: sum / count.max(1.0) }
    }

    pub(super) fn scale(&self) -> f64 {
        (self.shift / self.step).max(LEAST_SCALE)
    }

    /// Whether ranks tell the shift so many times better. It is the history alone that says so.
    pub(super) fn is_better(&self, plain: &Branch, by_rank: &Branch, times: f64) -> bool {
        let deviation =
            |branch: &Branch| branch.models.first().map_or(f64::INFINITY, |model| model.level_sd());
        self.shift / deviation(by_rank) > times * self.step.min(plain.clip) / deviation(plain)
    }
}

/// Stretches of a single series, the newest first, each as long as the test if there are at least two of them.
fn windows(series: &[f64], ticks: usize) -> Vec<Vec<f64>> {
    let length = ticks.min(series.len() / 2).max(1);
    series.rchunks_exact(length).take(MOST_WINDOWS).map(<[f64]>::to_vec).collect()
}

fn latest(row: &[f64], most: usize) -> Vec<f64> {
    row[row.len().saturating_sub(most)..].to_vec()
}
