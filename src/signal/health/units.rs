//! What the platform says of units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Health;
use crate::rollout::{Observed, Unit};
use crate::words::{Arms, Span, Time, Version};

/// How much trouble is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitLimits {
    /// How often a unit may be restarted before it counts as failing.
    pub restarts: u32,
    /// How long a unit may be in error, or not ready after it was.
    pub trouble: Span,
}

impl Default for UnitLimits {
    fn default() -> Self {
        Self { restarts: 3, trouble: Span::minutes(1) }
    }
}

/// What became of the units since they were first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitWatch {
    versions: Arms<Version>,
    limits: UnitLimits,
    units: BTreeMap<String, Seen>,
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    version: Version,
    /// How often it had been restarted when it was first seen.
    restarts: u32,
    was_ready: bool,
    /// Since when it is in trouble.
    since: Option<Time>,
    /// What is too much for it, in words.
    failing: Option<String>,
}

impl UnitWatch {
    /// A watch over the units of a rollout's versions.
    #[must_use]
    pub fn new(versions: Arms<Version>, limits: UnitLimits) -> Self {
        Self { versions, limits, units: BTreeMap::new() }
    }

    /// Takes an observation, and says how the canary is.
    pub fn observe(&mut self, observed: &Observed) -> Health {
        self.units.retain(|name, _| observed.units.iter().any(|unit| unit.name == *name));
        let Arms { baseline, canary } = self.versions;
        for unit in observed.units.iter().filter(|unit| unit.version == baseline || unit.version == canary) {
            let seen = match self.units.get_mut(&unit.name) {
                Some(seen) => seen,
                None => self.units.entry(unit.name.clone()).or_insert(Seen::new(unit)),
            };
            seen.take(unit, observed.at, self.limits);
        }
        let of = |version| self.units.values().filter(move |seen: &&Seen| seen.version == version);
        let Some(why) = of(canary).find_map(|seen| seen.failing.clone()) else { return Health::Good };
        if of(baseline).next().is_some() && of(baseline).all(|seen| seen.failing.is_some()) {
            Health::Shared(format!("{why}; the baseline's units fail too"))
        } else {
            Health::Failing(why)
        }
    }
}

impl Seen {
    fn new(unit: &Unit) -> Self {
        let Unit { version, restarts, .. } = *unit;
        Self { version, restarts, was_ready: false, since: None, failing: None }
    }

    fn take(&mut self, unit: &Unit, at: Time, limits: UnitLimits) {
        let in_error = unit.status.starts_with("error");
        self.was_ready |= unit.ready;
        let in_trouble = in_error || (self.was_ready && !unit.ready);
        self.since = if in_trouble { self.since.or(Some(at)) } else { None };
        let lasts = self.since.map_or(Span::ZERO, |since| at.since(since));
        let restarts = unit.restarts.saturating_sub(self.restarts);
        let (name, status) = (&unit.name, &unit.status);
        self.failing = if restarts >= limits.restarts {
            Some(format!("unit `{name}` was restarted {restarts} times; its state is `{status}`"))
        } else if in_trouble && lasts >= limits.trouble {
            let what = if in_error { "has been in error" } else { "has not been ready" };
            Some(format!("unit `{name}` {what} for {lasts}; its state is `{status}`"))
        } else {
            None
        };
    }
}
