//! Gathers what a rollout's policy watches, look by look.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::increments::{Book, Compare};
use super::meter::{Meter, MeterError, Needs};
use super::source::{Ask, Raw, Source, Subject};
use crate::judge::Reading;
use crate::policy::Policy;
use crate::rollout::Observed;
use crate::words::{Arm, Arms, Time};

/// What a look gathered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gathered {
    /// By signal, what each arm gave. A signal that is not there gave nothing.
    pub signals: BTreeMap<String, Arms<Option<Reading>>>,
    /// What went wrong, a sentence each, without secrets.
    pub notes: Vec<String>,
}

/// All that a gatherer knows. With it, a restarted daemon counts no event twice and loses none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GathererState {
    books: BTreeMap<String, Book>,
}

/// Asks a source for what a policy's signals need, and makes readings of it.
#[derive(Debug)]
pub struct Gatherer {
    subject: Subject,
    source: Arc<Source>,
    meters: Vec<Meter>,
    state: GathererState,
}

impl Gatherer {
    /// A gatherer for a rollout that begins.
    ///
    /// # Errors
    /// Where a signal of the policy cannot be read; a policy that was checked has none.
    pub fn new(policy: &Policy, subject: Subject, source: Arc<Source>) -> Result<Self, MeterError> {
        Self::restore(policy, subject, source, GathererState::default())
    }

    /// A gatherer that goes on from `state`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn restore(
        policy: &Policy,
        subject: Subject,
        source: Arc<Source>,
        mut state: GathererState,
    ) -> Result<Self, MeterError> {
        let meters = policy.signals.iter().map(Meter::new).collect::<Result<Vec<_>, _>>()?;
        let compare = match subject.versions {
            Arms { baseline: Some(_), canary: None } => Compare::Only(Arm::Baseline),
            Arms { baseline: None, canary: Some(_) } => Compare::Only(Arm::Canary),
            Arms { .. } => Compare::Both,
        };
        for meter in &meters {
            if let Needs::Counters(kind, _) = meter.needs {
                let new = || Book::new(kind, compare, subject.since, policy.look_every);
                state.books.entry(meter.name.clone()).or_insert_with(new);
            }
        }
        Ok(Self { subject, source, meters, state })
    }

    /// What a restarted daemon needs to go on.
    #[must_use]
    pub fn state(&self) -> &GathererState {
        &self.state
    }

    /// Leaves out what both arms counted before `until`: a version that is warming up.
    pub fn leave_out(&mut self, until: Time) {
        self.state.books.values_mut().for_each(|book| book.leave_out(until));
    }

    /// Goes on with one arm alone, or with both: after a promotion there is no baseline to wait for.
    pub fn compare(&mut self, compare: Compare) {
        self.state.books.values_mut().for_each(|book| book.compare(compare));
    }

    /// Asks the source and closes what can be closed. Dropped before its end, it has changed nothing.
    pub async fn gather(&mut self, observed: &Observed, now: Time) -> Gathered {
        let (subject, meters, books) = (&self.subject, &self.meters, &self.state.books);
        let raw = self.source.gather(&Ask { subject, meters, books, observed, now }).await;
        self.take(raw, observed, now)
    }

    fn take(&mut self, raw: Raw, observed: &Observed, now: Time) -> Gathered {
        let Raw { mut counters, mut gauges, notes } = raw;
        let mut gathered = Gathered { signals: BTreeMap::new(), notes };
        for meter in &self.meters {
            let name = &meter.name;
            let readings = if let Some(book) = self.state.books.get_mut(name) {
                let samples = counters.remove(name).unwrap_or_default();
                let mut note = |text: String| gathered.notes.push(format!("signal `{name}`: {text}"));
                for samples in samples {
                    book.take_series(samples, now).unwrap_or_else(&mut note);
                }
                book.mark_gone(|arm, unit| self.subject.unit(observed, arm, unit).is_some());
                let closed = book.close();
                closed.notes.into_iter().for_each(&mut note);
                if book.has_shown() {
                    closed.readings
                } else {
                    if closed.readings != Arms::default() {
                        note(format!("no unit shows a series of `{}`", meter.main_counter()));
                    }
                    Arms::default()
                }
            } else {
                let Arms { baseline, canary } = gauges.remove(name).unwrap_or_default();
                Arms { baseline: values(baseline), canary: values(canary) }
            };
            if readings != Arms::default() {
                gathered.signals.insert(name.clone(), readings);
            }
        }
        gathered
    }
}

/// A gauge's values in the order of their units; nothing where there are none.
pub(super) fn values(units: Option<BTreeMap<String, f64>>) -> Option<Reading> {
    let values: Vec<f64> = units.into_iter().flatten().map(|(_, value)| value).collect();
    (!values.is_empty()).then_some(Reading::Values(values))
}

#[cfg(test)]
mod tests;
