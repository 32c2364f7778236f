//! Who is silent, and for how long.

use serde::{Deserialize, Serialize};

use crate::words::{Arm, Arms};

/// How many requests must have been expected of a canary that got none before its silence means anything: by chance
/// alone it is that silent once in 20,000 times.
const EXPECTED: f64 = 10.0;

/// The part of the app's usual requests that a canary alone is expected to get at least: traffic follows the time of day, and
/// what there was before may have been more.
const LEAST_PART: f64 = 0.2;

/// What a look still counts at the next, for how many requests the app usually gets.
const FADE: f64 = 0.98;

/// How many requests the app usually gets, both versions together: fading sums of them and of the seconds that they came in.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Usual {
    requests: f64,
    seconds: f64,
    /// The time of the last look.
    at: Option<f64>,
}

impl Usual {
    /// Notes a look, and gives the time since the one before.
    fn note(&mut self, at: f64, requests: f64) -> f64 {
        let seconds = self.at.map_or(0.0, |before| (at - before).max(0.0));
        self.at = Some(at);
        if seconds > 0.0 {
            self.requests = FADE * self.requests + requests;
            self.seconds = FADE * self.seconds + seconds;
        }
        seconds
    }

    /// Requests that there should be at least in so many seconds.
    fn least(&self, seconds: f64) -> f64 {
        if self.seconds > 0.0 { LEAST_PART * self.requests / self.seconds * seconds } else { 0.0 }
    }
}

/// When each arm of a signal was last heard, and what the canary should have been heard to say since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Seconds of silence that still mean nothing.
    patience: f64,
    /// When each arm's source last answered; at first, when the judge first looked.
    heard: Option<Arms<f64>>,
    /// Requests that the canary should have got by its share since it last got one.
    missed: f64,
    #[serde(default)]
    usual: Usual,
    /// Since when a canary that serves alone has had no request.
    #[serde(default)]
    unasked: Option<f64>,
    /// Since when a baseline beside a canary that has requests has had none, and how many it should have got since.
    #[serde(default)]
    idle: Option<(f64, f64)>,
}

/// What a silence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quiet {
    /// Both arms speak, or have not been silent for long.
    Neither,
    /// The canary is silent while the baseline speaks, or is alone and tells of no requests.
    Canary,
    /// The baseline is silent, so there is nothing to compare with; the canary may be silent or not. Or the canary is alone, and
    /// nothing answers for it: what would tell a source that is down from a canary that is, is gone.
    Baseline,
}

impl Silence {
    pub(super) fn new(patience: f64) -> Self {
        Self { patience, heard: None, missed: 0.0, usual: Usual::default(), unasked: None, idle: None }
    }

    /// Notes a look at the baseline alone from before the rollout.
    pub(super) fn learn(&mut self, at: f64, requests: f64) {
        self.usual.note(at, requests);
    }

    /// Notes a look: which arms' sources answered, and how many requests each reported. `share` is the canary's.
    pub(super) fn note(&mut self, at: f64, spoke: Arms<bool>, requests: Arms<f64>, share: Option<f64>) {
        let heard = self.heard.get_or_insert(Arms { baseline: at, canary: at });
        for arm in [Arm::Baseline, Arm::Canary] {
            if *spoke.get(arm) {
                *heard.get_mut(arm) = at;
            }
        }
        // An answer that never came tells of no requests, neither of some nor of none: it is waited for.
        if requests.canary > 0.0 {
            (self.missed, self.unasked) = (0.0, None);
        } else if let Some(share) = share.filter(|s| *s < 1.0 && spoke.canary) {
            self.missed += requests.baseline * share / (1.0 - share);
        }
        if requests.baseline > 0.0 {
            self.idle = None;
        } else if requests.canary > 0.0 {
            // Where nobody says how traffic is split, half of it should be the baseline's.
            let share = share.unwrap_or(0.5).clamp(1e-3, 1.0);
            let due = requests.canary * (1.0 - share) / share;
            let (since, missed) = self.idle.unwrap_or((at, 0.0));
            self.idle = Some((since, missed + due));
        }
    }

    /// Notes a look with a baseline beside the canary.
    pub(super) fn beside(&mut self, at: f64, requests: Arms<f64>) {
        self.usual.note(at, requests.baseline + requests.canary);
    }

    /// Notes a look at a canary alone, which had so many requests: users who asked the app before still should.
    pub(super) fn alone(&mut self, at: f64, requests: f64) {
        let seconds = self.usual.at.map_or(0.0, |before| (at - before).max(0.0));
        self.usual.at = Some(at);
        if requests <= 0.0 {
            self.unasked.get_or_insert(at);
            self.missed += self.usual.least(seconds);
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
        let is_idle = self.is_idle() && self.idle.is_some_and(|(since, _)| at - since > self.patience);
        let is_down =
            if frozen { since.canary > self.patience } else { since.baseline > self.patience || is_idle };
        if is_down {
            Quiet::Baseline
        } else if since.canary > self.patience || self.misses(at) {
            Quiet::Canary
        } else {
            Quiet::Neither
        }
    }

    /// Whether the baseline, beside a canary that has requests, should have had some: what the canary does is not compared.
    pub(super) fn is_idle(&self) -> bool {
        self.idle.is_some_and(|(_, missed)| missed >= EXPECTED)
    }

    /// Whether the canary should have had requests by now. What a look leaves out at the switch may come at the next, so one
    /// that is alone has some time.
    fn misses(&self, at: f64) -> bool {
        let waited = self.unasked.is_none_or(|since| at - since > self.patience);
        self.missed >= EXPECTED && waited
    }
}
