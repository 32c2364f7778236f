//! The lines that go out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::judge::{Decision, Outcome, SignalVerdict, Trial};

/// What is said of a rollout.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    rollout: String,
    at: f64,
    decision: Decision,
    score: [f64; 2],
    signals: BTreeMap<String, Signal>,
    /// When the decision fell, where it is final and looks came after it. Like all below, printed where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

#[derive(Debug, Clone, Serialize)]
struct Signal {
    outcome: Outcome,
    log_e_harm: f64,
    log_e_safe: f64,
    effect: [Option<f64>; 3],
    /// Of a latency, the bound, in seconds, that the effect is told at.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<f64>,
    why: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    otherwise: String,
}

impl Report {
    pub(super) fn new(rollout: &str, trial: &Trial) -> Self {
        let verdict = trial.judge().verdict();
        let why = trial.why(&verdict);
        Self {
            rollout: rollout.to_owned(),
            at: verdict.at,
            decision: trial.decision(),
            decided: None,
            score: verdict.score.map(rounded),
            signals: verdict.signals.into_iter().map(|(name, signal)| (name, Signal::from(signal))).collect(),
            why,
        }
    }

    /// The same, said again at a later look.
    pub(super) fn at(self, at: f64) -> Self {
        if at > self.at { Self { at, decided: Some(self.at), ..self } } else { self }
    }

    /// The same without what is printed only where it is asked for.
    pub(super) fn brief(mut self) -> Self {
        self.signals.values_mut().for_each(|signal| signal.otherwise.clear());
        Self { decided: None, why: String::new(), ..self }
    }

    /// Writes it as one line.
    pub(super) fn print(&self, output: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *output, self)?;
        output.write_all(b"\n")
    }
}

impl From<SignalVerdict> for Signal {
    fn from(verdict: SignalVerdict) -> Self {
        let SignalVerdict { outcome, log_e_harm, log_e_safe, effect, bound, why, otherwise, .. } = verdict;
        let [log_e_harm, log_e_safe] = [log_e_harm, log_e_safe].map(rounded);
        Self {
            outcome,
            log_e_harm,
            log_e_safe,
            effect: effect.map(|end| end.map(rounded)),
            bound,
            why,
            otherwise,
        }
    }
}

/// To six places: what is beyond them differs from one processor's logarithms to another's, and tells nobody anything.
fn rounded(value: f64) -> f64 {
    let places = value * 1e6;
    // Adding nothing takes the sign off a zero.
    if places.is_finite() { places.round() / 1e6 + 0.0 } else { value }
}
