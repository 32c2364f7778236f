//! What goes wrong on the install: switches that the core consults at defined points. All are off by default.

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::words::Span;

/// How often something goes wrong: never, always, by chance, or the next few times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// The probability at each occasion, from 0 to 1.
    #[serde(default = "always")]
    pub chance: f64,
    /// How many times it may still happen; nothing: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

fn always() -> f64 {
    1.0
}

impl Default for Switch {
    /// Never.
    fn default() -> Self {
        Self { chance: 0.0, times: None }
    }
}

impl Switch {
    /// With this probability at each occasion.
    #[must_use]
    pub fn chance(chance: f64) -> Self {
        Self { chance, times: None }
    }

    /// At the next `times` occasions.
    #[must_use]
    pub fn next(times: u32) -> Self {
        Self { chance: 1.0, times: Some(times) }
    }

    /// Whether it goes wrong this time. Draws no number where it cannot, so that a switch that is off leaves the
    /// course of everything else as it was.
    pub fn fires(&mut self, rng: &mut StdRng) -> bool {
        if self.chance <= 0.0
            || self.times == Some(0)
            || (self.chance < 1.0 && rng.random::<f64>() >= self.chance)
        {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// How long ago the list of units is that readers see.
    pub lag: Span,
    /// What readiness takes longer than usual.
    pub slow_ready: Span,
    /// A new unit never becomes ready.
    pub never_ready: Switch,
    /// A routable call fails with a conflict after part of it was done, and leaves the deployment paused.
    pub routable_conflict: Switch,
    /// A routable call fails after all of it was done.
    pub routable_late_error: Switch,
    /// A deploy, rollback or change of units fails at the router, after all the rest was done.
    pub router_error: Switch,
    /// The connection is cut in the middle of an answer; the operation goes on.
    pub lost_answer: Switch,
}
