//! Who is silent, and for how long.

use serde::{Deserialize, Serialize};

use crate::words::{Arm, Arms};

/// How many requests must have been expected of a canary that got none before its silence means anything: by chance
/// alone it is that silent once in 20,000 times.
const EXPECTED: f64 = 10.0;

/// When each arm of a signal was last heard, and what the canary should have been heard to say since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Seconds of silence that still mean nothing.
    patience: f64,
    /// When each arm's source last answered; at first, when the judge first looked.
    heard: Option<Arms<f64>>,
    /// Requests that the canary should have got by its share since it last got one.
    missed: f64,
}

/// What a silence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quiet {
    /// Both arms speak, or have not been silent for long.
    Neither,
    /// The canary is silent while the baseline speaks.
    Canary,
    /// The baseline is silent, so there is nothing to compare with; the canary may be silent or not.
    Baseline,
}

impl Silence {
    pub(super) fn new(patience: f64) -> Self {
        Self { patience, heard: None, missed: 0.0 }
    }

    /// Notes a look: which arms' sources answered, and how many requests each reported. `share` is the canary's.
    pub(super) fn note(&mut self, at: f64, spoke: Arms<bool>, requests: Arms<f64>, share: Option<f64>) {
        let heard = self.heard.get_or_insert(Arms { baseline: at, canary: at });
        for arm in [Arm::Baseline, Arm::Canary] {
            if *spoke.get(arm) {
                *heard.get_mut(arm) = at;
            }
        }
        if requests.canary > 0.0 {
            self.missed = 0.0;
        } else if let Some(share) = share.filter(|s| *s < 1.0) {
            self.missed += requests.baseline * share / (1.0 - share);
        }
    }

    /// How long each arm has been silent at `at`, in seconds.
    pub(super) fn since(&self, at: f64) -> Arms<f64> {
        self.heard.map_or(Arms::default(), |heard| Arms {
            baseline: (at - heard.baseline).max(0.0),
            canary: (at - heard.canary).max(0.0),
        })
    }

    /// What the silence at `at` amounts to. Without a baseline to wait for, only the canary's counts.
    pub(super) fn quiet(&self, at: f64, frozen: bool) -> Quiet {
        let since = self.since(at);
        if since.baseline > self.patience && !frozen {
            Quiet::Baseline
        } else if since.canary > self.patience || self.missed >= EXPECTED {
            Quiet::Canary
        } else {
            Quiet::Neither
        }
    }
}
