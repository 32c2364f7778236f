//! Histograms of both arms, brought to the bounds that they have in common.

use serde::{Deserialize, Serialize};

use super::look::Reading;
use super::refusal::{Problem, count};
use crate::stats::{ArmCount, MAX_COUNT, PairCount};
use crate::words::Arms;

/// The most bounds that are compared; of more, evenly chosen ones are.
const MOST: usize = 24;

/// How a histogram's bounds may differ from one another and still be the same, relatively.
const SAME: f64 = 1e-9;

/// Cumulative counts may fall by so many requests,
const RACE: f64 = 10.0;

/// and so large a part of all. More is another kind of count, such as that of each bucket for itself.
const RACE_PART: f64 = 0.05;

/// That a reading is a histogram whose numbers make sense. Counts that fall a little from one bound to the next are none of
/// its faults: they come from scrapes that race with requests, and from increments that a source extrapolates. The most so
/// far counts then.
pub(super) fn check(reading: &Reading) -> Result<(), Problem> {
    let Reading::Histogram { le, counts, total } = reading else {
        return Err(Problem::Kind { needs: "`le`, `counts` and `total`".to_owned() });
    };
    let total = count("`total`", *total)?;
    let mut most = 0.0_f64;
    for value in counts {
        let value = count("a bucket's count", *value)?;
        if value > total {
            return Err(Problem::Above { events: value, total });
        }
        if most - value > RACE + RACE_PART * total {
            return Err(Problem::Falls { from: most, to: value });
        }
        most = most.max(value);
    }
    let ascends = le.windows(2).all(|pair| pair[0] < pair[1]);
    if le.len() != counts.len() || !ascends || !le.iter().all(|bound| bound.is_finite() && *bound >= 0.0) {
        return Err(Problem::Buckets);
    }
    Ok(())
}

/// One arm's requests by their bounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Buckets {
    le: Vec<f64>,
    /// How many took longer than each bound.
    slower: Vec<f64>,
    total: f64,
}

impl Buckets {
    /// What a reading that was checked holds; nothing of nothing.
    pub(super) fn new(reading: Option<&Reading>) -> Self {
        let Some(Reading::Histogram { le, counts, total }) = reading else { return Self::default() };
        let mut most = 0.0_f64;
        let slower = counts
            .iter()
            .map(|count| {
                most = most.max(*count);
                total - most
            })
            .collect();
        Self { le: le.clone(), slower, total: *total }
    }

    /// Adds what came later. Bounds that one of them lacks are dropped.
    pub(super) fn add(&mut self, later: Self) {
        if self.total <= 0.0 {
            *self = later;
        } else if later.total > 0.0 {
            let both = |bound: &f64| {
                let (a, b) = (self.slower_than(*bound)?, later.slower_than(*bound)?);
                Some((*bound, a.plus(b).events()))
            };
            let (le, slower) = self.le.iter().filter_map(both).unzip();
            let total = (self.total + later.total).min(MAX_COUNT / 2.0);
            *self = Self { le, slower, total };
        }
    }

    /// How many requests took longer than `bound`; nothing where it has no such bound, or no requests.
    pub(super) fn slower_than(&self, bound: f64) -> Option<ArmCount> {
        let index = self.le.iter().position(|le| is_same(*le, bound))?;
        ArmCount::ratio(self.slower[index].clamp(0.0, self.total), self.total).ok()
    }

    /// The same, none where there were no requests: nothing only where it had some and does not tell.
    fn told(&self, bound: f64) -> Option<ArmCount> {
        if self.total > 0.0 { self.slower_than(bound) } else { Some(ArmCount::default()) }
    }

    /// Whether it had requests, and does not tell how many of them took longer than `bound`.
    pub(super) fn lacks(&self, bound: f64) -> bool {
        self.told(bound).is_none()
    }

    /// Its bounds, ascending.
    pub(super) fn bounds(&self) -> Vec<f64> {
        self.le.clone()
    }

    /// A quantile, in seconds, by these ascending bounds alone, interpolated within its bucket as Prometheus'
    /// `histogram_quantile` does: the last bound where it lies above it. Nothing without requests, without bounds, or where
    /// one of the bounds is missing.
    pub(super) fn quantile(&self, bounds: &[f64], quantile: f64) -> Option<f64> {
        if self.total <= 0.0 {
            return None;
        }
        let rank = quantile * self.total;
        let mut below: Option<(f64, f64)> = None;
        let mut found = None;
        for bound in bounds {
            let within = self.total - self.slower_than(*bound)?.events();
            if found.is_none() && within >= rank {
                let (from, before) = below.unwrap_or((bound.min(0.0), 0.0));
                let part = if within > before { (rank - before) / (within - before) } else { 1.0 };
                found = Some(from + (bound - from) * part);
            }
            below = Some((*bound, within));
        }
        found.or(bounds.last().copied()).filter(|value| value.is_finite())
    }

    /// All requests.
    pub(super) fn total(&self) -> f64 {
        self.total
    }
}

/// How many requests of each arm took longer than `bound`. Where an arm had requests but has no such bound, it says nothing of
/// either: the other's would be held until the bound is back, and then compared with what another time brought.
pub(super) fn slower(arms: &Arms<Buckets>, bound: f64) -> PairCount {
    let told = arms.canary.told(bound).zip(arms.baseline.told(bound));
    told.map_or_else(PairCount::default, |(canary, baseline)| PairCount { canary, baseline })
}

/// The bounds that both arms have, at most [`MOST`] of them.
pub(super) fn common(arms: &Arms<Buckets>) -> Vec<f64> {
    let in_both = |bound: &&f64| arms.baseline.le.iter().any(|le| is_same(*le, **bound));
    let all: Vec<f64> = arms.canary.le.iter().filter(in_both).copied().collect();
    if all.len() <= MOST {
        return all;
    }
    (0..MOST).filter_map(|i| all.get(i * (all.len() - 1) / (MOST - 1)).copied()).collect()
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}
