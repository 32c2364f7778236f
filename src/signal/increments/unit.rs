//! What a book knows of a unit: the last values of its series, and what became of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::slice;
use super::{Kind, Point, Role, UnitSample};
use crate::judge::Reading;
use crate::words::{Span, Time};

/// A unit that was silent for this long, or three of its intervals if that is longer, is stale.
const STALE: Span = Span::minutes(1);
/// Start times nearer than this are the same start: some processes compute theirs anew each time.
const SAME_START: Span = Span::seconds(2);
/// How much earlier than the last sample a restart after it may seem, clocks being what they are.
pub(super) const CLOCKS: Span = Span::seconds(30);
/// The most vanished series of a unit that a book remembers.
const MOST_VANISHED: usize = 50_000;

/// What a book knows of a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Unit {
    /// When it was last sampled.
    pub(super) last: Time,
    /// The shortest time between two of its samples.
    pub(super) interval: Option<Span>,
    /// When its process started, as far as it told.
    pub(super) started: Option<Time>,
    /// It is not there any more.
    pub(super) gone: bool,
    /// What its series were; nothing: a slice was closed without it, its next sample is its anchor.
    pub(super) anchors: Option<Anchors>,
}

/// The last values of a unit's series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Anchors {
    /// Of those that were there at the last sample.
    present: BTreeMap<u64, f64>,
    /// Of those that were not, but before.
    vanished: BTreeMap<u64, f64>,
}

impl Unit {
    pub(super) fn is_stale(&self, newest: Time, usual: Span) -> bool {
        let interval = self.interval.unwrap_or(usual);
        newest.since(self.last) > STALE.max(Span(interval.0.saturating_mul(3)))
    }

    /// Whether its process began again since its last sample.
    pub(super) fn is_restarted(&self, anchors: &Anchors, sample: &UnitSample) -> bool {
        if let (Some(before), Some(now)) = (self.started, sample.started) {
            if now <= before + SAME_START {
                return false;
            }
            if now + CLOCKS >= self.last {
                return true;
            }
            // The start moved, but to a time at which the unit was already seen at work: a clock was set. The counters
            // themselves must tell.
        }
        let now: BTreeMap<u64, f64> = sample.points.iter().map(|p| (p.key(), p.value)).collect();
        let (mut fell, mut lost, mut kept) = (false, 0.0, 0.0);
        for (key, before) in &anchors.present {
            match now.get(key) {
                Some(value) if value >= before => kept += before,
                value => {
                    fell |= value.is_some();
                    lost += before;
                }
            }
        }
        fell && kept <= lost
    }
}

impl Anchors {
    /// The values of `sample`.
    pub(super) fn at(sample: &UnitSample) -> Self {
        let present = sample.points.iter().map(|p| (p.key(), p.value)).collect();
        Self { present, vanished: BTreeMap::new() }
    }

    /// Replaces the values by those of `sample`, keeping those of series that it lacks.
    pub(super) fn move_to(&mut self, sample: &UnitSample) {
        let before = std::mem::replace(self, Self::at(sample));
        self.vanished = before.vanished;
        self.vanished.extend(before.present);
        self.vanished.retain(|key, _| !self.present.contains_key(key));
    }

    /// Whether more series have vanished than can be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.vanished.len() > MOST_VANISHED
    }

    fn get(&self, point: &Point) -> Option<f64> {
        let key = point.key();
        self.present.get(&key).or_else(|| self.vanished.get(&key)).copied()
    }

    /// What was counted up to `sample`, held against these values.
    pub(super) fn count(&self, kind: Kind, sample: &UnitSample, from: Time) -> Reading {
        if kind == Kind::Latency {
            return self.count_histograms(&sample.points);
        }
        let sum = |wanted: Role| -> f64 {
            let points = sample.points.iter().filter(|p| p.role == wanted);
            points.map(|p| increment(self.get(p), p.value)).sum()
        };
        let total = match kind {
            Kind::Rate => sample.at.since(from).as_seconds(),
            Kind::Ratio | Kind::Latency => sum(Role::Total),
        };
        Reading::Counts { events: sum(Role::Events), total }
    }

    fn count_histograms(&self, points: &[Point]) -> Reading {
        let mut histograms: BTreeMap<u64, Vec<(f64, &Point)>> = BTreeMap::new();
        for point in points {
            if let Role::Bucket(le) = point.role {
                histograms.entry(point.series).or_default().push((le, point));
            }
        }
        let mut sum = slice::nothing(Kind::Latency, &[]);
        for buckets in histograms.values_mut() {
            buckets.sort_by(|(left, _), (right, _)| left.total_cmp(right));
            if let Some(counted) = self.count_histogram(buckets) {
                slice::add(&mut sum, counted);
            }
        }
        sum
    }

    /// One histogram; nothing if it lacks the bucket that holds all. If any bucket fell, all began again at zero.
    fn count_histogram(&self, buckets: &[(f64, &Point)]) -> Option<Reading> {
        let (all, bounds) = buckets.split_last().filter(|(all, _)| all.0 == f64::INFINITY)?;
        let known = self.get(all.1).is_some();
        let fell = buckets.iter().any(|(_, p)| self.get(p).is_some_and(|before| p.value < before));
        let count = |p: &Point| if known && !fell { self.get(p).map(|b| p.value - b) } else { Some(p.value) };
        let counts = bounds.iter().filter_map(|(le, p)| Some((*le, count(p)?)));
        let (le, counts) = counts.unzip();
        Some(Reading::Histogram { le, counts, total: count(all.1)? })
    }
}

/// What a series counted, given what it was before; a series that fell began again at zero.
fn increment(before: Option<f64>, now: f64) -> f64 {
    match before {
        Some(before) if now >= before => now - before,
        _ => now,
    }
}
