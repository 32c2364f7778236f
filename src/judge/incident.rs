//! Whether something hits both versions alike, and what a look that falls into it is worth.
//!
//! Side by side, what hits both cancels: while every request fails, of either version, a canary is as good as its baseline. That is
//! no reason to promote it:
//!
//! * Promotion waits while both are far worse than the baseline usually is, where no limit of the policy says how much is too much.
//!   Nobody is blamed for it, and a canary that is worse still is found, if not as soon.
//! * What is counted while both are far worse than usual proves nothing of how the canary is in other times. A look is left out of the
//!   evidence of safety where earlier looks speak for it of the canary, and the baseline's events are too many. Of all the ways to
//!   split a look's events between the arms that leaves out those that speak most for the canary, so what is left is evidence no
//!   stronger than before: an e-process. Two looks tell an incident from a burst. What the first one has too many of counts for no
//!   more than what is usual ([`Amid::excess`]), by the sum of both arms, which says nothing of whose it is.
//! * Each arm's rate wavers in proportion to itself, so a dispersion that was measured in quiet times is too small in an
//!   incident: it grows with the baseline's rate ([`Amid::growth`]), which earlier looks tell.

use serde::{Deserialize, Serialize};

use super::recent::Recent;
use crate::stats::{Amid, ArmCount, CountKind, PairCount, share_at};
use crate::words::Arms;

/// So many times the usual odds are an incident; of a rate, so many times the rate.
const TIMES: f64 = 5.0;

/// While nothing is known of what is usual, more than this part of all requests is one.
const NEARLY_ALL: f64 = 0.9;

/// Looks of the rollout that tell what is usual, where no history does.
const ENOUGH: u32 = 5;

/// A baseline with fewer times its usual rate has what it usually has.
const GROWN: f64 = 2.0;

/// No look speaks for an incident with more nats: one burst is none that lasts.
const MOST_OF_ONE: f64 = 1.2;

/// More than so many times as noisy as in quiet times nothing is taken to be.
const MOST_GROWN: f64 = 30.0;

/// The state of one ratio or rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    kind: CountKind,
    /// What is below this harms nobody.
    floor: f64,
    /// What the baseline had before the rollout; else, in those looks of the rollout that fell into no incident.
    usual: ArmCount,
    /// How many looks of the rollout that are; nothing: it is a history.
    looks: Option<u32>,
    recent: Arms<Recent>,
    /// Whether the last look fell into one, so that it proves nothing.
    is_amid: bool,
}

impl Incident {
    pub(super) fn new(kind: CountKind, floor: f64) -> Self {
        Self {
            kind,
            floor,
            usual: ArmCount::default(),
            looks: Some(0),
            recent: Arms::default(),
            is_amid: false,
        }
    }

    /// One that knows what the baseline had before.
    pub(super) fn after(kind: CountKind, history: ArmCount, floor: f64) -> Self {
        let looks = if history.is_seen() { None } else { Some(0) };
        Self { usual: history, looks, ..Self::new(kind, floor) }
    }

    /// The usual rate, with half an event more: what was never seen may come. Nothing while too little is known.
    fn rate(&self) -> Option<f64> {
        let is_known = self.looks.is_none_or(|looks| looks >= ENOUGH);
        is_known.then(|| (self.usual.events() + 0.5) / (self.usual.exposure() + 1.0))
    }

    /// Above this it is an incident; nothing: that cannot be told.
    fn bar(&self) -> Option<f64> {
        match (self.rate(), self.kind) {
            (Some(usual), CountKind::Ratio) => Some(share_at(usual, TIMES).max(self.floor)),
            (Some(usual), CountKind::Rate) => Some((TIMES * usual).max(self.floor)),
            (None, CountKind::Ratio) => Some(NEARLY_ALL),
            (None, CountKind::Rate) => None,
        }
    }

    /// Takes a closed slice whose events have `phi` times the variance of independent ones in quiet times, and `noisy` times in all
    /// that was seen, as it is known before. Says what it is worth.
    pub(super) fn take(&mut self, slice: &PairCount, phi: f64, noisy: f64) -> Amid {
        let (bar, usual) = (self.bar(), self.rate().filter(|_| self.looks.is_none()));
        let now = self.recent.baseline.at_least(phi);
        let growth = usual.map_or(1.0, |usual| now / usual);
        let excess = self.rate().map_or(1.0, |usual| {
            let expected = usual * (slice.canary.exposure() + slice.baseline.exposure());
            slice.events() / (GROWN * expected + 2.0 * (noisy * expected).sqrt() + 1.0)
        });
        let is_hit = self.recent.canary.may_be_above();
        self.recent.canary.take(self.kind, slice.canary, bar, phi, MOST_OF_ONE);
        self.recent.baseline.take(self.kind, slice.baseline, bar, phi, MOST_OF_ONE);
        let is_unusual = self.recent.baseline.is_above();
        if let (false, Some(looks)) = (is_unusual, &mut self.looks) {
            self.usual = self.usual.plus(slice.baseline);
            *looks = looks.saturating_add(1);
        }
        self.is_amid = is_unusual && is_hit;
        let growth = if growth > GROWN { growth.min(MOST_GROWN) } else { 1.0 };
        Amid { growth, excess: excess.max(1.0), proves: !self.is_amid }
    }

    /// Whether the last look proves nothing.
    pub(super) fn is_amid(&self) -> bool {
        self.is_amid
    }

    /// Whether it lasts, in both arms.
    pub(super) fn lasts(&self) -> bool {
        self.recent.canary.is_above() && self.recent.baseline.is_above()
    }

    /// What the baseline has now, and what it usually has, as a share of all or by time; nothing: that is not known.
    pub(super) fn levels(&self) -> (Option<f64>, Option<f64>) {
        let usual = self.usual.is_seen().then(|| self.usual.events() / self.usual.exposure());
        (self.recent.baseline.rate(), usual.filter(|_| self.rate().is_some()))
    }
}
