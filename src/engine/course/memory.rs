//! What a course remembers: the fold of the journal's events, and nothing else.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::judge::Judge;
use crate::rollout::{Alarm, Event, IllegalEvent, Phase, Recorded, Rollout};
use crate::words::{RolloutId, Time};

/// What a rollout needs to go on as if it had never stopped, besides its sources' state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    rollout: Rollout,
    judge: Judge,
    /// What others did that has been dealt with, by the platform's ids.
    heeded: BTreeSet<String>,
    /// Alerts that were heard, by fingerprint and beginning: their sender repeats itself.
    heard: BTreeSet<(String, Time)>,
    /// Alerts that were heard and not dealt with yet, oldest first, each with its sender's identity of it and its beginning.
    alarms: Vec<(String, Time, Alarm)>,
    /// Alerts came while it waited for a person, who had to see to them.
    #[serde(default)]
    left: bool,
    /// What a person was last told that they are needed for.
    called: Option<String>,
    /// The time of the last look.
    looked: Option<Time>,
    /// The number of its event.
    look: u64,
}

impl Memory {
    /// What is known after a rollout's first event; nothing if that is not `Opened`.
    #[must_use]
    pub fn begin(id: RolloutId, first: &Recorded) -> Option<Self> {
        let rollout = Rollout::open(id, first)?;
        Some(Self {
            judge: Judge::new(&rollout.policy, &[]),
            rollout,
            heeded: BTreeSet::new(),
            heard: BTreeSet::new(),
            alarms: Vec::new(),
            left: false,
            called: None,
            looked: None,
            look: 0,
        })
    }

    /// Takes the next event of the journal, and lets the judge see what it saw then.
    ///
    /// # Errors
    /// When it cannot have happened in this state: the journal is damaged.
    pub fn replay(&mut self, recorded: &Recorded) -> Result<(), IllegalEvent> {
        self.take(recorded)?;
        match &recorded.event {
            Event::Learnt { look } => drop(self.judge.learn(look)),
            Event::Looked { look, .. } => self.judge.take(look),
            _ => {}
        }
        Ok(())
    }

    /// The rollout.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// The judge.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// The time of the last look.
    #[must_use]
    pub fn looked(&self) -> Option<Time> {
        self.looked
    }

    /// The number of the last look's event; 0 before the first. What the sources' counters were by then or later is
    /// what the next look is held against.
    #[must_use]
    pub fn look(&self) -> u64 {
        self.look
    }

    /// From when on units that are made count from zero: the beginning of the rollout. Where nobody knows what was counted
    /// since (`lost`), never: the last look's time is by this machine's clock, and when a unit was made by another's.
    #[must_use]
    pub fn counts_since(&self, lost: bool) -> Time {
        if lost && self.looked.is_some() { Time(i64::MAX) } else { self.rollout.deployed }
    }

    pub(super) fn judge_mut(&mut self) -> &mut Judge {
        &mut self.judge
    }

    pub(super) fn has_heeded(&self, act: &str) -> bool {
        self.heeded.contains(act)
    }

    pub(super) fn has_heard(&self, fingerprint: &str, starts: Time) -> bool {
        self.heard.contains(&(fingerprint.to_owned(), starts))
    }

    /// What the alerts that were heard and not dealt with yet mean, oldest first.
    pub(super) fn alarms(&self) -> impl ExactSizeIterator<Item = &Alarm> {
        self.alarms.iter().map(|(_, _, alarm)| alarm)
    }

    /// The alert of this identity and beginning that was heard and not dealt with yet.
    pub(super) fn waiting(&self, fingerprint: &str, starts: Time) -> Option<&Alarm> {
        let is_it = |(of, began, _): &&(String, Time, Alarm)| of == fingerprint && *began == starts;
        self.alarms.iter().find(is_it).map(|(_, _, alarm)| alarm)
    }

    pub(super) fn called(&self) -> Option<&String> {
        self.called.as_ref()
    }

    /// Takes an event whose look the judge has seen.
    pub(super) fn take(&mut self, recorded: &Recorded) -> Result<(), IllegalEvent> {
        let waits = self.rollout.phase == Phase::Paused;
        self.rollout.apply(recorded)?;
        match &recorded.event {
            Event::Learnt { look } | Event::Looked { look, .. } => {
                self.looked = self.looked.max(Some(Time::from_seconds(look.at)));
                self.look = self.rollout.events;
            }
            Event::Alerted { fingerprint, starts, alarm, .. } => {
                self.heard.insert((fingerprint.clone(), *starts));
                self.left |= waits;
                self.alarms.extend(alarm.clone().map(|alarm| (fingerprint.clone(), *starts, alarm)));
            }
            Event::AlertEnded { fingerprint, starts, .. } => {
                self.alarms.retain(|(of, began, _)| of != fingerprint || began != starts);
            }
            Event::Heeded { acts, alerts, .. } => {
                self.heeded.extend(acts.iter().cloned());
                self.alarms.drain(..(*alerts).min(self.alarms.len()));
                self.called = None;
            }
            Event::PersonNeeded { why } => self.called = Some(why.clone()),
            // What a person was called for before is over; if it is not, it is another reason to come.
            Event::RollbackDecided { .. } | Event::PromotionDecided { .. } => self.called = None,
            Event::Resumed { .. } => {
                self.called = None;
                // What came meanwhile was the person's to answer. What fires still is told again, and counts.
                if std::mem::take(&mut self.left) {
                    self.heard.clear();
                }
            }
            _ => {}
        }
        Ok(())
    }
}
