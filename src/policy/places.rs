//! Where in its file the parts of a policy stand, for findings that come after reading: what an app's traffic cannot show.

use std::collections::BTreeMap;
use std::ops::Range;

use super::file::{self, File, strategy};

/// The bytes of a file in which the parts of a policy stand.
#[derive(Debug, Clone, Default)]
pub struct Places {
    steps: Range<usize>,
    signals: BTreeMap<String, Place>,
}

#[derive(Debug, Clone)]
struct Place {
    signal: Range<usize>,
    prove_within: Option<Range<usize>>,
    limit: Option<Range<usize>>,
}

impl Places {
    pub(super) fn of(file: &File) -> Self {
        let steps = match &file.strategy {
            strategy::Strategy::Canary(canary) => canary.steps.at.clone(),
            strategy::Strategy::Rolling(rolling) => {
                rolling.batch.as_ref().map_or(0..0, |batch| batch.at.clone())
            }
            strategy::Strategy::MultiVersion(both) => both.share.at.clone(),
            strategy::Strategy::BlueGreen(_) => 0..0,
        };
        let place = |at: &file::value::At<file::Signal>| {
            let signal = &at.value;
            let name = signal.name.as_ref().map(|name| (&name.text, &name.at));
            let (name, place) = name.or(signal.r#use.as_ref().map(|r#use| (&r#use.text, &r#use.at)))?;
            let place = Place {
                signal: place.clone(),
                prove_within: signal.prove_within.as_ref().map(|field| field.at.clone()),
                limit: signal.limit.as_ref().map(|field| field.at.clone()),
            };
            Some((name.clone(), place))
        };
        Self { steps, signals: file.signals.value.iter().filter_map(place).collect() }
    }

    /// What says the shares: the list of steps, the batch, or the one share.
    #[must_use]
    pub fn steps(&self) -> Range<usize> {
        self.steps.clone()
    }

    /// The name of a signal.
    #[must_use]
    pub fn signal(&self, name: &str) -> Range<usize> {
        self.signals.get(name).map_or(0..0, |place| place.signal.clone())
    }

    /// What a signal must be proven to be within; its name where the policy does not say it.
    #[must_use]
    pub fn prove_within(&self, name: &str) -> Range<usize> {
        self.signals
            .get(name)
            .and_then(|place| place.prove_within.clone())
            .unwrap_or_else(|| self.signal(name))
    }

    /// A signal's limit; its name where it has none.
    #[must_use]
    pub fn limit(&self, name: &str) -> Range<usize> {
        self.signals.get(name).and_then(|place| place.limit.clone()).unwrap_or_else(|| self.signal(name))
    }
}
