//! What was counted between two samples of a unit, and how such pieces add up to a slice of time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::judge::Reading;
use crate::words::Time;

/// The most pieces that wait for the other arm. Beyond it the oldest are joined, which loses when, but not what.
const MOST: usize = 512;

/// What one or several units counted from one time to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) counted: Reading,
}

impl Piece {
    /// Whether most of it lies after `start`.
    pub(super) fn is_mostly_after(&self, start: Time) -> bool {
        self.to.since(start) >= start.since(self.from)
    }

    /// Whether most of it lies before `end`.
    fn is_mostly_before(&self, end: Time) -> bool {
        end.since(self.from) >= self.to.since(end)
    }
}

/// Pieces of one arm that no closed slice holds yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Waiting(VecDeque<Piece>);

impl Waiting {
    pub(super) fn push(&mut self, piece: Piece) {
        let same = |p: &&mut Piece| p.from == piece.from && p.to == piece.to;
        if let Some(twin) = self.0.iter_mut().rev().find(same) {
            add(&mut twin.counted, piece.counted);
            return;
        }
        self.0.push_back(piece);
        if self.0.len() > MOST
            && let (Some(first), Some(second)) = (self.0.pop_front(), self.0.front_mut())
        {
            second.from = second.from.min(first.from);
            second.to = second.to.max(first.to);
            add(&mut second.counted, first.counted);
        }
    }

    /// Takes out what lies before `end`, most of it at least: units are not sampled at the same instant, so no end
    /// suits them all.
    pub(super) fn until(&mut self, end: Time) -> Vec<Piece> {
        let (taken, left) = self.0.drain(..).partition(|piece: &Piece| piece.is_mostly_before(end));
        self.0 = left;
        taken.into()
    }

    /// When the earliest began.
    pub(super) fn start(&self) -> Option<Time> {
        self.0.iter().map(|piece| piece.from).min()
    }

    /// Forgets what began before `time`.
    pub(super) fn forget_before(&mut self, time: Time) {
        self.0.retain(|piece| piece.from >= time);
    }
}

/// Nothing, in the form that a signal of this kind gives; `layout` are the bounds of a histogram.
pub(super) fn nothing(kind: Kind, layout: &[f64]) -> Reading {
    match kind {
        Kind::Ratio | Kind::Rate => Reading::Counts { events: 0.0, total: 0.0 },
        Kind::Latency => {
            Reading::Histogram { le: layout.to_vec(), counts: vec![0.0; layout.len()], total: 0.0 }
        }
    }
}

/// Adds `more` to `sum`. Of histograms with different bounds only the common ones can be added: how many requests of
/// one took at most a bound that it does not have is not known. Without requests a histogram has no say in it.
pub(super) fn add(sum: &mut Reading, more: Reading) {
    match (sum, more) {
        (Reading::Counts { events, total }, Reading::Counts { events: e, total: t }) => {
            *events += e;
            *total += t;
        }
        (Reading::Histogram { le, counts, total }, Reading::Histogram { le: l, counts: c, total: t }) => {
            if *total <= 0.0 && (t > 0.0 || le.is_empty()) {
                (*le, *counts, *total) = (l, c, t);
            } else if t > 0.0 {
                let both = common(le.iter().zip(&*counts), l.iter().zip(&c));
                (*le, *counts) = both;
                *total += t;
            }
        }
        // A book holds one kind only.
        _ => {}
    }
}

/// The sums at the bounds that both have; both ascend.
fn common<'a>(
    left: impl Iterator<Item = (&'a f64, &'a f64)>,
    right: impl Iterator<Item = (&'a f64, &'a f64)>,
) -> (Vec<f64>, Vec<f64>) {
    let mut right = right.peekable();
    let mut sums = (Vec::new(), Vec::new());
    for (le, count) in left {
        while right.next_if(|(bound, _)| *bound < le).is_some() {}
        if let Some((_, more)) = right.next_if(|(bound, _)| *bound <= le) {
            sums.0.push(*le);
            sums.1.push(count + more);
        }
    }
    sums
}

/// Mends what scrapes tear: counters of one unit are not read at one instant, so a request can be in one and not yet in
/// another. Buckets are raised to those below them. Bad events beyond all events are cut off; says how many.
pub(super) fn mend(reading: &mut Reading, kind: Kind) -> Option<f64> {
    match reading {
        Reading::Counts { events, total } if kind == Kind::Ratio && *events > *total => {
            let beyond = *events - *total;
            *events = *total;
            Some(beyond)
        }
        Reading::Histogram { counts, total, .. } => {
            let mut highest = 0.0_f64;
            for count in counts {
                highest = highest.max(*count);
                *count = highest;
            }
            *total = total.max(highest);
            None
        }
        _ => None,
    }
}
