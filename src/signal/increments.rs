//! Raw counter samples become increments, each event counted at most once.
//!
//! The judge's promise stands on this: increments of both arms cover the same slices of wall time, no event is in two
//! slices, and nothing that happened before a rollout is taken for something that happened in it.
//!
//! A [`Book`] belongs to one signal of one rollout. It takes [`UnitSample`]s, which are what one unit's counters were at
//! one time, and keeps the last value of each series as its anchor. [`Book::close`] ends a slice as soon as both arms
//! have been seen up to a common time, and gives what was counted in it. It reads no clock and does no I/O; it is a
//! value that can be written down and read back, so a restarted daemon goes on where it stopped.
//!
//! # What an increment is
//!
//! * Of a series that was seen before: the difference. If it fell, its value: it began again at zero.
//! * Of a series that is new on a unit that was seen before: its value. Apps make a series at its first event.
//! * Of a unit that was restarted since: the values of all its series. A restart shows by a new process start time.
//!   Where units do not tell their start, it shows by a counter that fell, if what fell or vanished with it outweighs
//!   what went on; a unit that only makes one label anew has not been restarted.
//! * Of a unit that is new: nothing, its counters may be older than the rollout; but if it is known to have been made
//!   since the rollout began, its values.
//! * Of a unit that returns after a slice was closed without it: nothing, as if it were new. It was then stale: no sample
//!   for three times its usual interval, and at least a minute.
//!
//! # What a slice is
//!
//! It ends at the earliest of the last samples of all units that are there and not stale, so one unit that did not
//! answer delays it and loses nothing. An arm that has no such unit delays it until it has one. What one arm counted
//! before the other arm was there at all has nothing to be compared with and is left out.

mod sample;
mod slice;
mod unit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::Reading;
use crate::words::{Arm, Arms, Span, Time};
pub use sample::{Point, Role, UnitSample, series_id};
use slice::{Piece, Waiting};
use unit::{Anchors, CLOCKS, Unit};

/// How far ahead of the clock a sample may be.
const AHEAD: Span = Span::minutes(5);
/// Platforms tell when a unit was made to the second, rounded down.
const GRAIN: Span = Span::seconds(1);
/// The largest value that a double still tells from its neighbours.
const LARGEST: f64 = 9_007_199_254_740_992.0;
/// The most units that a book remembers.
const MOST_UNITS: usize = 10_000;

/// What a book's readings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bad events among all events.
    Ratio,
    /// Events in unit-seconds.
    Rate,
    /// A histogram.
    Latency,
}

/// Which arms a slice needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Both.
    #[default]
    Both,
    /// This one alone: a baseline outside of rollouts, a canary that has all traffic.
    Only(Arm),
}

/// What a slice gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// Each arm's increments since the slice before. While a slice is open: nothing counted, for an arm that was
    /// heard; none for one that was not.
    pub readings: Arms<Option<Reading>>,
    /// What was mended, for a person.
    pub notes: Vec<String>,
}

/// The samples of one signal of one rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Book {
    kind: Kind,
    compare: Compare,
    /// When the rollout began: units made since then count from zero.
    since: Time,
    /// The time between two samples of a unit that has not shown its own yet.
    interval: Span,
    /// What began before this is left out.
    left_out_until: Option<Time>,
    units: Arms<BTreeMap<String, Unit>>,
    waiting: Arms<Waiting>,
    /// The end of the last closed slice.
    closed: Option<Time>,
    /// All arms that are needed were in it, and none has been without units since.
    met: bool,
    /// Which arms gave a sample since the last look.
    heard: Arms<bool>,
    /// Whether any unit has ever shown a series of what is counted.
    shown: bool,
    /// The bounds of the last histogram of each arm.
    layout: Arms<Vec<f64>>,
}

impl Book {
    /// An empty book. `since` is when the rollout began, `interval` how often units will be sampled.
    #[must_use]
    pub fn new(kind: Kind, compare: Compare, since: Time, interval: Span) -> Self {
        Self {
            kind,
            compare,
            since,
            interval,
            left_out_until: None,
            units: Arms::default(),
            waiting: Arms::default(),
            closed: None,
            met: false,
            heard: Arms::default(),
            shown: false,
            layout: Arms::default(),
        }
    }

    /// Which arms slices need from now on.
    pub fn compare(&mut self, compare: Compare) {
        self.compare = compare;
    }

    /// Leaves out what both arms counted before `until`, except what closed slices hold.
    pub fn leave_out(&mut self, until: Time) {
        self.left_out_until = self.left_out_until.max(Some(until));
        self.waiting.baseline.forget_before(until);
        self.waiting.canary.forget_before(until);
    }

    /// Tells which units exist. One that does not is not waited for. If none does, the source names units otherwise
    /// than the platform, and nothing follows from that.
    pub fn mark_gone(&mut self, exists: impl Fn(Arm, &str) -> bool) {
        let arms = [Arm::Baseline, Arm::Canary];
        let any = arms.iter().any(|arm| self.units.get(*arm).keys().any(|name| exists(*arm, name)));
        for arm in arms {
            for (name, unit) in self.units.get_mut(arm) {
                unit.gone = any && !exists(arm, name);
            }
        }
    }

    /// Whether any unit of either arm has ever shown a series of what is counted.
    #[must_use]
    pub fn has_shown(&self) -> bool {
        self.shown
    }

    /// When the earliest of the units that are waited for was last sampled; nothing without such units.
    #[must_use]
    pub fn oldest(&self) -> Option<Time> {
        self.live(Arm::Baseline).chain(self.live(Arm::Canary)).min()
    }

    /// Takes one unit's samples of several times, in their order. Of a unit that is new only the last values are
    /// anchors: series may differ in when they were first sampled, but none counts from zero for that.
    ///
    /// # Errors
    /// As [`Self::take`], with the first sample that makes no sense.
    pub fn take_series(&mut self, samples: Vec<UnitSample>, now: Time) -> Result<(), String> {
        let is_anchored = |first: &UnitSample| {
            self.units.get(first.arm).get(&first.unit).is_some_and(|unit| unit.anchors.is_some())
        };
        if samples.first().is_some_and(is_anchored) {
            return samples.iter().try_for_each(|sample| self.take(sample, now));
        }
        samples.into_iter().reduce(UnitSample::followed_by).map_or(Ok(()), |sample| self.take(&sample, now))
    }

    /// Takes one sample. One that is not later than the unit's last is passed over.
    ///
    /// # Errors
    /// With a sentence for a person, where a sample makes no sense. It then changes nothing.
    pub fn take(&mut self, sample: &UnitSample, now: Time) -> Result<(), String> {
        self.check(sample, now)?;
        let arm = sample.arm;
        if self.units.get(arm).get(&sample.unit).is_some_and(|unit| sample.at <= unit.last) {
            return Ok(());
        }
        *self.heard.get_mut(arm) = true;
        self.shown |= sample.points.iter().any(|p| p.role != Role::Events || self.kind == Kind::Rate);
        let from = self.anchor(sample);
        let units = self.units.get_mut(arm);
        let Some(unit) = units.get_mut(&sample.unit) else { return Ok(()) };
        let Some(anchors) = &mut unit.anchors else {
            unit.anchors = Some(Anchors::at(sample));
            return Ok(());
        };
        let counted = anchors.count(self.kind, sample, from);
        anchors.move_to(sample);
        if anchors.is_full() {
            unit.anchors = Some(Anchors::at(sample));
            return Err(format!("unit `{}` has too many series that come and go", sample.unit));
        }
        let compared = self.compare == Compare::Both || self.compare == Compare::Only(arm);
        if compared && self.left_out_until.is_none_or(|until| from >= until) {
            self.waiting.get_mut(arm).push(Piece { from, to: sample.at, counted });
        }
        Ok(())
    }

    fn check(&self, sample: &UnitSample, now: Time) -> Result<(), String> {
        let unit = &sample.unit;
        if sample.at > now + AHEAD {
            let ahead = sample.at.since(now);
            return Err(format!("a sample of unit `{unit}` is {ahead} ahead of this machine's clock"));
        }
        if let Some(point) = sample.points.iter().find(|p| !(0.0..=LARGEST).contains(&p.value)) {
            let value = point.value;
            return Err(format!("a counter of unit `{unit}` is {value}, which is no count"));
        }
        let units = self.units.get(sample.arm);
        if units.len() >= MOST_UNITS && !units.contains_key(unit) {
            return Err(format!("unit `{unit}` is one too many: {MOST_UNITS} were seen in this rollout"));
        }
        Ok(())
    }

    /// Sees to it that the unit is in the book with the anchors that this sample is to be held against. Returns the
    /// time from which it counts.
    fn anchor(&mut self, sample: &UnitSample) -> Time {
        let units = self.units.get_mut(sample.arm);
        if let Some(unit) = units.get_mut(&sample.unit) {
            let from = unit.last;
            if unit.anchors.as_ref().is_some_and(|anchors| unit.is_restarted(anchors, sample)) {
                unit.anchors = Some(Anchors::default());
            }
            let interval = sample.at.since(from);
            unit.interval = Some(unit.interval.map_or(interval, |shortest| shortest.min(interval)));
            unit.last = sample.at;
            unit.started = sample.started.or(unit.started);
            return from;
        }
        // Counters are as old as the process, which may be younger than the unit.
        let born = sample.born.max(sample.started).filter(|born| *born + GRAIN > self.since);
        let from = born.filter(|born| *born <= sample.at + CLOCKS).map(|born| born.min(sample.at));
        units.insert(
            sample.unit.clone(),
            Unit {
                last: sample.at,
                interval: None,
                started: sample.started,
                gone: false,
                anchors: from.map(|_| Anchors::default()),
            },
        );
        from.unwrap_or(sample.at)
    }

    /// Ends the slice if it can be ended, and gives what both arms counted in it.
    pub fn close(&mut self) -> Closed {
        let heard = std::mem::take(&mut self.heard);
        self.met &= self.arms().all(|arm| self.live(arm).next().is_some());
        let end = self.end().filter(|end| self.closed.is_none_or(|closed| *end > closed));
        let Some(end) = end else { return self.open(heard) };
        self.closed = Some(end);
        self.drop_stale(end);
        let start = self.start(end);
        let taken =
            Arms { baseline: self.waiting.baseline.until(end), canary: self.waiting.canary.until(end) };
        self.met |= self.arms().all(|arm| !taken.get(arm).is_empty());
        let mut notes = Vec::new();
        let mut readings = Arms::default();
        for arm in self.arms() {
            let mut sum = slice::nothing(self.kind, self.layout.get(arm));
            for piece in
                taken.get(arm).iter().filter(|piece| start.is_none_or(|start| piece.is_mostly_after(start)))
            {
                slice::add(&mut sum, piece.counted.clone());
            }
            if let Some(beyond) = slice::mend(&mut sum, self.kind) {
                notes.push(format!(
                    "the {arm} counted {beyond} more bad events than events; they are left out"
                ));
            }
            if let Reading::Histogram { le, .. } = &sum {
                self.layout.get_mut(arm).clone_from(le);
            }
            *readings.get_mut(arm) = Some(sum);
        }
        Closed { readings, notes }
    }

    /// What is said while the slice stays open.
    fn open(&self, heard: Arms<bool>) -> Closed {
        let mut readings = Arms::default();
        for arm in self.arms().filter(|arm| *heard.get(*arm)) {
            *readings.get_mut(arm) = Some(slice::nothing(self.kind, self.layout.get(arm)));
        }
        Closed { readings, notes: Vec::new() }
    }

    /// When all arms were there, where they were not at the end of the slice before.
    fn start(&self, end: Time) -> Option<Time> {
        // An arm that has counted nothing yet is there from now on.
        let start_of = |arm| self.waiting.get(arm).start().unwrap_or(end);
        if self.met { None } else { self.arms().map(start_of).max() }
    }

    /// The arms that slices need.
    fn arms(&self) -> impl Iterator<Item = Arm> + use<> {
        let compare = self.compare;
        [Arm::Baseline, Arm::Canary]
            .into_iter()
            .filter(move |arm| compare == Compare::Both || compare == Compare::Only(*arm))
    }

    /// The time up to which every arm that is needed has been seen; nothing if one was never seen.
    fn end(&self) -> Option<Time> {
        let mut end = Time(i64::MAX);
        for arm in self.arms() {
            let last = || self.units.get(arm).values().map(|unit| unit.last).max();
            end = end.min(self.live(arm).min().or_else(last)?);
        }
        Some(end)
    }

    /// The last samples of the units of an arm that are waited for.
    fn live(&self, arm: Arm) -> impl Iterator<Item = Time> {
        let (newest, usual) = (self.newest(), self.interval);
        let is_live =
            move |unit: &&Unit| unit.anchors.is_some() && !unit.gone && !unit.is_stale(newest, usual);
        self.units.get(arm).values().filter(is_live).map(|unit| unit.last)
    }

    /// The newest sample of all: what "now" is to the source.
    fn newest(&self) -> Time {
        let units = self.units.baseline.values().chain(self.units.canary.values());
        units.map(|unit| unit.last).max().unwrap_or_default()
    }

    /// Forgets the anchors of units that a slice up to `end` is closed without.
    fn drop_stale(&mut self, end: Time) {
        let (newest, usual) = (self.newest(), self.interval);
        for unit in self.units.baseline.values_mut().chain(self.units.canary.values_mut()) {
            if unit.last < end && unit.is_stale(newest, usual) {
                unit.anchors = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
