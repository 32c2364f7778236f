//! What a unit's counters were at one time.

use std::collections::BTreeSet;

use crate::words::{Arm, Time};

/// What a series counts in its signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// The events: bad ones of a ratio, all of a rate.
    Events,
    /// All events of a ratio.
    Total,
    /// Requests of a histogram that took at most so many seconds; infinity: all.
    Bucket(f64),
}

/// One series' value in a sample of a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// What it counts.
    pub role: Role,
    /// The series, by [`series_id`] of its labels; those that name app, version, unit and bound left out.
    pub series: u64,
    /// Its value.
    pub value: f64,
}

/// What one unit's counters were at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitSample {
    /// The unit.
    pub unit: String,
    /// The arm that it belongs to.
    pub arm: Arm,
    /// When.
    pub at: Time,
    /// When the unit was made, if that is known.
    pub born: Option<Time>,
    /// When its process started, if it tells.
    pub started: Option<Time>,
    /// All series that the signal needs; one that is missing was not there.
    pub points: Vec<Point>,
}

/// A number that stands for a series: FNV-1a of its labels, which must be sorted by name.
#[must_use]
pub fn series_id<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    labels.into_iter().fold(FNV_START, |hash, (name, value)| {
        // 0xFF is in no UTF-8 text, so no two label sets are the same bytes.
        let bytes = name.bytes().chain([0xFF]).chain(value.bytes()).chain([0xFF]);
        fnv(hash, bytes)
    })
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl UnitSample {
    /// The last value of each series of this sample and a later one.
    pub(super) fn followed_by(self, mut later: Self) -> Self {
        let keys: BTreeSet<u64> = later.points.iter().map(Point::key).collect();
        later.points.extend(self.points.into_iter().filter(|point| !keys.contains(&point.key())));
        later.started = later.started.or(self.started);
        later
    }
}

impl Point {
    /// A number for its role and series, which are one series' of a unit.
    pub(in crate::signal) fn key(&self) -> u64 {
        let (tag, bound) = match self.role {
            Role::Events => (0, 0),
            Role::Total => (1, 0),
            Role::Bucket(le) => (2, le.to_bits()),
        };
        fnv(fnv(self.series, [tag].into_iter()), bound.to_le_bytes().into_iter())
    }
}
