//! Whether the canary's units are well: what they answer to the policy's health checks, and what the platform says.
//!
//! [`HealthBook`] decides which unit is asked when, and what the answers amount to; [`Prober`] asks. [`UnitWatch`] needs
//! no question: it sees restarts, crashes and units that cease to be ready.
//!
//! Both look at the baseline as well. What hits both versions alike is no fault of the canary: a broken network between
//! this daemon and the units, a dependency that is down, a node that is gone.

mod probe;
mod smoke;
mod units;

use std::collections::BTreeMap;

use crate::policy::HealthCheck;
use crate::rollout::{Observed, Unit};
use crate::words::{Arms, Time, Version};

pub use probe::{Answer, Probe, Prober};
pub use smoke::{SmokeBook, SmokeFault, SmokeProbe};
pub use units::{UnitLimits, UnitWatch};

/// How many units of the baseline are asked beside the canary's.
const CONTROLS: usize = 2;

/// How a canary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    Good,
    /// It fails, and the baseline does not; why, in a sentence.
    Failing(String),
    /// It fails, and so does the baseline, in the same way; why, in a sentence.
    Shared(String),
}

/// The answers of units to health checks. It needs not survive a restart: a few failures in a row come again.
#[derive(Debug, Clone)]
pub struct HealthBook {
    checks: Vec<HealthCheck>,
    versions: Arms<Version>,
    /// The process whose units serve HTTP.
    process: String,
    units: BTreeMap<String, Checked>,
}

/// What is known of one unit.
#[derive(Debug, Clone)]
struct Checked {
    canary: bool,
    /// By check.
    results: Vec<Result>,
}

/// The answers of one unit to one check.
#[derive(Debug, Clone, Default)]
struct Result {
    /// When it is asked next; nothing: at once.
    due: Option<Time>,
    /// How often in a row it failed.
    failures: u32,
    /// How it failed last.
    last: Option<Answer>,
}

impl HealthBook {
    /// A book for a rollout: its checks, its versions, and the process whose units answer HTTP.
    #[must_use]
    pub fn new(checks: Vec<HealthCheck>, versions: Arms<Version>, process: String) -> Self {
        Self { checks, versions, process, units: BTreeMap::new() }
    }

    /// The probes that are due at `now`; they count as sent.
    ///
    /// A unit is asked once it has been ready: before, it is starting and its platform waits for it.
    pub fn due(&mut self, observed: &Observed, now: Time) -> Vec<Probe> {
        if self.checks.is_empty() {
            return Vec::new();
        }
        self.units.retain(|name, _| observed.units.iter().any(|unit| unit.name == *name));
        let of = |version| move |unit: &&Unit| unit.version == version && unit.address.is_some();
        let in_process = observed.units.iter().filter(|unit| unit.process == self.process);
        let controls = in_process.clone().filter(of(self.versions.baseline)).take(CONTROLS);
        let asked = in_process.filter(of(self.versions.canary)).chain(controls);
        let mut probes = Vec::new();
        for unit in asked {
            // Asked about every few seconds, and new only once: its name is copied only then.
            let checked = match self.units.get_mut(&unit.name) {
                Some(checked) => checked,
                None if !unit.ready => continue,
                None => {
                    let canary = unit.version == self.versions.canary;
                    let new = Checked { canary, results: vec![Result::default(); self.checks.len()] };
                    self.units.entry(unit.name.clone()).or_insert(new)
                }
            };
            for (number, (check, result)) in self.checks.iter().zip(&mut checked.results).enumerate() {
                // A clock that was set back must not silence a check.
                let is_due = result.due.is_none_or(|due| due <= now || due > now + check.every);
                if is_due && let Some(probe) = Probe::new(unit, number, check) {
                    result.due = Some(now + check.every);
                    probes.push(probe);
                }
            }
        }
        probes
    }

    /// When the next probe is due; nothing if none will be.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.units.values().flat_map(|unit| &unit.results).filter_map(|result| result.due).min()
    }

    /// Takes the answer to a probe. A unit that is gone by now is not missed.
    pub fn record(&mut self, probe: &Probe, answer: Answer) {
        let unit = self.units.get_mut(&probe.unit);
        let Some(result) = unit.and_then(|unit| unit.results.get_mut(probe.check)) else { return };
        if answer == Answer::Good {
            (result.failures, result.last) = (0, None);
        } else {
            (result.failures, result.last) = (result.failures.saturating_add(1), Some(answer));
        }
    }

    /// What the answers so far amount to.
    #[must_use]
    pub fn health(&self) -> Health {
        for (number, check) in self.checks.iter().enumerate() {
            let failing = |(name, unit): (&String, &Checked)| {
                let result = unit.results.get(number).filter(|result| result.failures >= check.fail_after)?;
                Some((name.clone(), result.failures, result.last.clone()?))
            };
            let mut canary = self.units.iter().filter(|(_, unit)| unit.canary);
            let Some((name, times, answer)) = canary.find_map(failing) else { continue };
            let path = &check.path;
            let why =
                format!("unit `{name}` of the canary failed `GET {path}` {times} times in a row: {answer}");
            return if self.is_shared(number, &answer) {
                Health::Shared(format!("{why}; the baseline fails it too"))
            } else {
                Health::Failing(why)
            };
        }
        Health::Good
    }

    /// Whether all units of the baseline that were asked failed last time, in the same way.
    fn is_shared(&self, number: usize, answer: &Answer) -> bool {
        let baseline = self.units.values().filter(|unit| !unit.canary);
        let mut results = baseline.filter_map(|unit| unit.results.get(number)).peekable();
        results.peek().is_some()
            && results.all(|result| result.last.as_ref().is_some_and(|last| last.is_like(answer)))
    }
}

#[cfg(test)]
mod tests;
