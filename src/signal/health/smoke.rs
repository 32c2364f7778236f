//! Smoke checks: what the canary answers at its own addresses before any user's request goes there.

use std::collections::BTreeMap;
use std::fmt;

use crate::policy::SmokeCheck;
use crate::rollout::{Observed, Smoke, Unit};
use crate::words::{Span, Time, Version};

/// The time between two questions to a unit that has not passed.
const AGAIN: Span = Span::seconds(5);

/// A question to a unit of the canary, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmokeProbe {
    /// The unit's name.
    pub unit: String,
    /// Which of the policy's checks it is.
    number: usize,
    /// What is asked for.
    pub url: String,
    /// What must come back, and within which time.
    pub check: SmokeCheck,
}

/// Why a unit did not pass a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmokeFault {
    /// Another status.
    Status(u16),
    /// The text that must be there is not in the answer.
    Lacks(String),
    /// Nothing that is HTTP, or not all of it; why.
    Unreachable(String),
}

impl fmt::Display for SmokeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "it answers with {status}"),
            Self::Lacks(text) => write!(f, "its answer does not hold `{text}`"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl SmokeCheck {
    /// Whether an answer is what must come back.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, status: u16, text: &str) -> Result<(), SmokeFault> {
        if self.status.map_or(!(200..400).contains(&status), |wanted| status != wanted) {
            return Err(SmokeFault::Status(status));
        }
        match &self.contains {
            Some(wanted) if !text.contains(wanted.as_str()) => Err(SmokeFault::Lacks(wanted.clone())),
            _ => Ok(()),
        }
    }
}

/// The answers of the canary's units. It needs not survive a restart: they are asked again.
#[derive(Debug, Clone)]
pub struct SmokeBook {
    checks: Vec<SmokeCheck>,
    canary: Version,
    /// The process whose units serve HTTP.
    process: String,
    units: BTreeMap<String, Vec<Asked>>,
}

/// What came of one check of one unit.
#[derive(Debug, Clone, Default)]
struct Asked {
    at: Option<Time>,
    answer: Option<Result<(), SmokeFault>>,
    /// Since when it fails.
    failing: Option<Time>,
}

impl SmokeBook {
    /// A book for a canary: its checks, and the process whose units answer HTTP.
    #[must_use]
    pub fn new(checks: Vec<SmokeCheck>, canary: Version, process: String) -> Self {
        Self { checks, canary, process, units: BTreeMap::new() }
    }

    /// The probes that are due at `now`; they count as sent. Units are asked once they are ready, until they pass.
    pub fn due(&mut self, observed: &Observed, now: Time) -> Vec<SmokeProbe> {
        self.units.retain(|name, _| observed.units.iter().any(|unit| unit.name == *name));
        let asked = observed.units.iter().filter(|unit| is_asked(unit, self.canary, &self.process));
        let mut probes = Vec::new();
        for unit in asked {
            let new = || vec![Asked::default(); self.checks.len()];
            let checked = self.units.entry(unit.name.clone()).or_insert_with(new);
            for (number, (check, asked)) in self.checks.iter().zip(checked).enumerate() {
                let passed = matches!(asked.answer, Some(Ok(())));
                // A clock that was set back must not silence a check.
                let is_due = asked.at.is_none_or(|at| now.since(at) >= AGAIN || at > now);
                let Some(url) = url(unit, check).filter(|_| is_due && !passed) else { continue };
                asked.at = Some(now);
                probes.push(SmokeProbe { unit: unit.name.clone(), number, url, check: check.clone() });
            }
        }
        probes
    }

    /// Takes the answer to a probe. A unit that is gone by now is not missed.
    pub fn record(&mut self, probe: &SmokeProbe, answer: Result<(), SmokeFault>) {
        let unit = self.units.get_mut(&probe.unit);
        if let Some(asked) = unit.and_then(|unit| unit.get_mut(probe.number)) {
            asked.failing = if answer.is_ok() { None } else { asked.failing.or(asked.at) };
            asked.answer = Some(answer);
        }
    }

    /// What the answers amount to; nothing while a unit has yet to answer.
    #[must_use]
    pub fn state(&self, observed: &Observed) -> Option<Smoke> {
        let mut any = false;
        let mut failed: Option<(String, Time)> = None;
        for unit in observed.units.iter().filter(|unit| is_asked(unit, self.canary, &self.process)) {
            for (check, asked) in self.checks.iter().zip(self.units.get(&unit.name)?) {
                match asked.answer.as_ref()? {
                    Ok(()) => any = true,
                    Err(fault) => {
                        let since = asked.failing.unwrap_or(observed.at);
                        let why = || {
                            format!(
                                "unit `{}` of the canary failed the smoke check `{}`: {fault}",
                                unit.name, check.path
                            )
                        };
                        let (why, first) = failed.take().unwrap_or_else(|| (why(), since));
                        failed = Some((why, first.min(since)));
                    }
                }
            }
        }
        if let Some((why, since)) = failed {
            return Some(Smoke::Failed { why, since });
        }
        any.then_some(Smoke::Passed)
    }
}

fn is_asked(unit: &Unit, canary: Version, process: &str) -> bool {
    unit.version == canary && unit.process == process && unit.ready && unit.address.is_some()
}

fn url(unit: &Unit, check: &SmokeCheck) -> Option<String> {
    let address = unit.address.as_deref()?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let address = check.port.map_or_else(|| address.to_owned(), |port| format!("{host}:{port}"));
    Some(format!("http://{address}{path}", path = check.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Option<u16>, contains: Option<&str>) -> SmokeCheck {
        let contains = contains.map(str::to_owned);
        SmokeCheck { path: "/ok".to_owned(), port: None, status, contains, timeout: Span::seconds(5) }
    }

    fn unit(name: &str, version: u32, ready: bool) -> Unit {
        Unit {
            name: name.to_owned(),
            process: "web".to_owned(),
            version: Version(version),
            address: Some("10.0.0.1:8888".to_owned()),
            ready,
            routable: false,
            base: false,
            status: "started".to_owned(),
            restarts: 0,
            created: None,
        }
    }

    fn observed(units: Vec<Unit>) -> Observed {
        Observed { at: Time(0), units: units.into(), autoscaled: vec![], quota_left: None, gaps: vec![] }
    }

    #[test]
    fn an_answer_must_have_the_status_and_hold_the_text() {
        assert_eq!(check(None, None).judge(302, ""), Ok(()));
        assert_eq!(check(None, None).judge(500, ""), Err(SmokeFault::Status(500)));
        assert_eq!(check(Some(401), None).judge(200, ""), Err(SmokeFault::Status(200)));
        assert_eq!(check(None, Some("ok")).judge(200, "all ok"), Ok(()));
        assert_eq!(check(None, Some("ok")).judge(200, "no"), Err(SmokeFault::Lacks("ok".to_owned())));
    }

    #[test]
    fn every_ready_unit_of_the_canary_must_pass_every_check() {
        let checks = vec![check(None, None), check(None, Some("ok"))];
        let mut book = SmokeBook::new(checks, Version(2), "web".to_owned());
        let seen =
            observed(vec![unit("a", 1, true), unit("b", 2, true), unit("c", 2, true), unit("d", 2, false)]);
        let probes = book.due(&seen, Time(0));
        assert_eq!(probes.iter().map(|p| p.unit.as_str()).collect::<Vec<_>>(), ["b", "b", "c", "c"]);
        assert_eq!(book.state(&seen), None);
        for probe in &probes {
            book.record(probe, if probe.unit == "c" { Err(SmokeFault::Status(503)) } else { Ok(()) });
        }
        assert!(matches!(book.state(&seen), Some(Smoke::Failed { why, .. }) if why.contains("`c`")));
        assert!(book.due(&seen, Time(1000)).is_empty(), "not asked at every moment");
        let again = book.due(&seen, Time(6000));
        assert_eq!(again.len(), 2, "who passed is left alone");
        for probe in &again {
            book.record(probe, Ok(()));
        }
        assert_eq!(book.state(&seen), Some(Smoke::Passed));
        assert_eq!(book.state(&observed(vec![unit("a", 1, true)])), None, "nobody was asked");
    }
}
