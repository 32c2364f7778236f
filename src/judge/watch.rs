//! One signal as the judge watches it: its evidence, its silences, its place in the budget.

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Terms};
use super::frozen::After;
use super::kayenta::Series;
use super::look::Reading;
use super::refusal::Problem;
use super::silence::{Quiet, Silence};
use super::{Ask, Outcome, combine};
use crate::policy::{Policy, Signal};
use crate::words::{Arm, Arms};

/// Requests that a canary must have had in this step before it can be called safe in it.
const STEP_REQUESTS: f64 = 50.0;

/// Looks likewise, for signals that count no requests.
const STEP_LOOKS: f64 = 3.0;

/// One signal's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) critical: bool,
    pub(super) gates: bool,
    /// Its part of the budget.
    pub(super) weight: f64,
    /// How much worse still counts as good enough, as a ratio.
    pub(super) allowed: f64,
    /// What must be proven at each step, as a ratio.
    rungs: Vec<f64>,
    /// ln(1/(alpha·weight)).
    pub(super) harm_threshold: f64,
    /// ln(1/beta).
    pub(super) safe_threshold: f64,
    pub(super) evidence: Evidence,
    pub(super) silence: Silence,
    /// When the baseline last said something that is compared.
    pub(super) baseline_until: Option<f64>,
    /// What the canary had in this step: requests, or looks where the signal counts no requests.
    pub(super) step_seen: f64,
    /// What it has had since the last look at both versions.
    #[serde(default)]
    step_open: f64,
    /// ln of the evidence of harm now.
    pub(super) log_e_harm: f64,
    /// The largest evidence of harm so far, once it has crossed the threshold.
    pub(super) failed: Option<f64>,
}

impl Watch {
    pub(super) fn new(signal: &Signal, policy: &Policy, ask: Ask, terms: &Terms) -> Self {
        let series = policy.judge.kayenta().and_then(|kayenta| Series::new(signal, kayenta));
        let Ask { weight, harm_threshold, safe_threshold, allowed, within: rungs, .. } = ask;
        let evidence = series.map_or_else(
            || Evidence::new(signal, &rungs, terms, After::new(terms, harm_threshold)),
            |series| Evidence::Series(Box::new(series)),
        );
        Self {
            name: signal.name.clone(),
            critical: signal.critical,
            gates: signal.gates,
            weight,
            allowed,
            harm_threshold,
            safe_threshold,
            silence: Silence::new(terms.patience),
            rungs,
            baseline_until: None,
            step_seen: 0.0,
            step_open: 0.0,
            log_e_harm: evidence.log_e_harm(),
            evidence,
            failed: None,
        }
    }

    /// What must be proven at `step`, as a ratio.
    pub(super) fn within(&self, step: usize) -> f64 {
        self.rungs.get(step).or(self.rungs.last()).copied().unwrap_or(self.allowed)
    }

    /// Learns the noise from a look at the baseline before the rollout, if it makes sense.
    pub(super) fn learn(&mut self, at: f64, baseline: &Reading) -> Result<(), Problem> {
        self.evidence.check(baseline)?;
        self.evidence.learn(at, baseline);
        if at.is_finite() {
            self.silence.learn(at, volume(Some(baseline)));
        }
        self.hear_baseline(at, Some(baseline));
        Ok(())
    }

    fn hear_baseline(&mut self, at: f64, baseline: Option<&Reading>) {
        let counts = volume(baseline) > 0.0 || !self.evidence.counts_requests() && speaks(baseline);
        if counts && at.is_finite() {
            self.baseline_until = Some(at);
        }
    }

    /// Takes what a look holds of this signal. Readings that are refused are left out and given back.
    pub(super) fn take(
        &mut self,
        at: f64,
        share: Option<f64>,
        frozen: bool,
        given: Option<&Arms<Option<Reading>>>,
    ) -> Vec<(Arm, Problem)> {
        let mut refused = Vec::new();
        let mut accept = |arm: Arm| {
            let reading = given.and_then(|arms| arms.get(arm).as_ref())?;
            match self.evidence.check(reading) {
                Ok(()) => Some(reading),
                Err(problem) => {
                    refused.push((arm, problem));
                    None
                }
            }
        };
        let arms = Arms { baseline: accept(Arm::Baseline), canary: accept(Arm::Canary) };
        let requests = Arms { baseline: volume(arms.baseline), canary: volume(arms.canary) };
        let spoke = Arms { baseline: speaks(arms.baseline), canary: speaks(arms.canary) };
        self.silence.note(at, spoke, requests, share.filter(|_| self.evidence.counts_requests()));
        if self.evidence.counts_requests() {
            if frozen {
                self.silence.alone(at, requests.canary);
            } else {
                self.silence.beside(at, requests);
            }
        }
        self.evidence.take(at, arms);
        self.step_open += match self.evidence.counts_requests() {
            true if self.evidence.is_lacking() => 0.0,
            true => requests.canary,
            false => f64::from(u8::from(spoke.canary)),
        };
        let is_compared =
            if self.evidence.counts_requests() { requests.baseline > 0.0 } else { spoke.baseline };
        if is_compared || frozen {
            self.step_seen += std::mem::take(&mut self.step_open);
        }
        if !frozen {
            self.hear_baseline(at, arms.baseline);
        }
        self.log_e_harm = self.evidence.log_e_harm();
        if self.log_e_harm >= self.harm_threshold && self.evidence.series().is_none() {
            self.failed = Some(self.failed.unwrap_or(self.log_e_harm).max(self.log_e_harm));
        }
        refused
    }

    pub(super) fn freeze_baseline(&mut self) {
        self.evidence.freeze_baseline();
    }

    /// The evidence of harm as it enters the weighted mean: ln(weight·e).
    pub(super) fn term(&self) -> f64 {
        self.weight.ln() + self.log_e()
    }

    /// The evidence of harm as the mean of all signals takes it.
    fn log_e(&self) -> f64 {
        if self.evidence.can_be_averaged() {
            self.log_e_harm
        } else if self.failed.is_some() {
            self.harm_threshold
        } else {
            f64::NEG_INFINITY
        }
    }

    pub(super) fn outcome(&self, at: f64, step: usize, frozen: bool) -> Outcome {
        if self.failed.is_some() {
            return Outcome::Fail;
        }
        match self.silence.quiet(at, frozen) {
            Quiet::Baseline => Outcome::SourceDown,
            Quiet::Canary => Outcome::NoData,
            Quiet::Neither if self.evidence.series().is_some_and(Series::is_failing) => Outcome::Fail,
            Quiet::Neither if self.is_proven(step, frozen) => Outcome::Pass,
            Quiet::Neither => Outcome::Inconclusive,
        }
    }

    /// Whether both arms are bad alike: beyond the absolute limit, or, in a signal that a step waits for, far worse than is usual.
    pub(super) fn both_bad(&self) -> bool {
        self.evidence.both_bad() || self.gates && self.evidence.incident()
    }

    /// What the canary had before counts for no step from here on.
    pub(super) fn begin_step(&mut self) {
        (self.step_seen, self.step_open) = (0.0, 0.0);
    }

    /// What the canary must have had in a step before it can be called safe in it.
    pub(super) fn step_needs(&self) -> f64 {
        if self.evidence.counts_requests() { STEP_REQUESTS } else { STEP_LOOKS }
    }

    fn is_proven(&self, step: usize, frozen: bool) -> bool {
        if let Some(series) = self.evidence.series() {
            return series.passes();
        }
        self.evidence.log_e_safe(self.within(step)) >= self.safe_threshold
            && self.step_seen >= self.step_needs()
            && !self.evidence.is_lacking()
            && (frozen || !self.silence.is_idle())
    }

    pub(super) fn part(&self, outcome: Outcome) -> combine::Part {
        combine::Part {
            weight: self.weight,
            critical: self.critical,
            gates: self.gates,
            log_e: self.log_e(),
            outcome,
        }
    }
}

/// Whether there is an answer: no units are none.
fn speaks(reading: Option<&Reading>) -> bool {
    reading.is_some_and(|reading| !matches!(reading, Reading::Values(values) if values.is_empty()))
}

/// How many requests a reading tells of.
pub(super) fn volume(reading: Option<&Reading>) -> f64 {
    match reading {
        Some(Reading::Counts { total, .. } | Reading::Histogram { total, .. }) => *total,
        Some(Reading::Values(_)) | None => 0.0,
    }
}
