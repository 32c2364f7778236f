//! What goes wrong on the install: switches that the core and its HTTP shell consult at defined points.
//!
//! All are off by default, and a switch that is off draws no random number, so it leaves the course of everything else
//! as it was. A file of faults is the TOML or JSON of [`Faults`], with whatever is off left out; `deploy/faults.toml` is an
//! example with all of them:
//!
//! ```toml
//! lags = ["0s", "3s"]
//! lost_answer = { chance = 0.1 }
//! routable_conflict = { times = 1 }
//! ```

use rand::RngExt;
use rand::rngs::StdRng;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::timings::Timings;
use crate::words::Span;

mod file;

pub use file::Format;

/// How often something goes wrong: never, always, by chance, or the next few times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// The probability at each occasion, from 0 to 1; left out: always.
    #[serde(default = "always", deserialize_with = "chance")]
    pub chance: f64,
    /// How many times it may still happen; left out: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

fn always() -> f64 {
    1.0
}

fn chance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let chance = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&chance) {
        Ok(chance)
    } else {
        Err(Error::custom(format_args!("a chance goes from 0 to 1, and {chance} does not")))
    }
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

    /// Whether it goes wrong this time.
    pub fn fires(&mut self, rng: &mut StdRng) -> bool {
        let never = self.chance.is_nan() || self.chance <= 0.0 || self.times == Some(0);
        if never || (self.chance < 1.0 && rng.random::<f64>() >= self.chance) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// What somebody else may do to an app while a rollout goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// Deploy in place of what runs; refused where several versions run.
    Deploy,
    /// Deploy beside what runs.
    NewVersion,
    /// Deploy in place of all that runs.
    Override,
    /// Change the environment, which restarts everything.
    Env,
    /// Collect old images, which holds the lock for a while.
    Gc,
    /// Add or remove a unit.
    Units,
    /// Route a version, or take one out.
    Route,
    /// Kill a unit.
    Kill,
    /// Restart everything.
    Restart,
    /// Stop a version.
    Stop,
    /// Delete a version.
    Delete,
    /// Delete the app. Nobody does so by chance; it has to be asked for.
    DeleteApp,
}

impl Foreign {
    /// All that leave the app in existence.
    pub const ALL: [Self; 11] = [
        Self::Deploy,
        Self::NewVersion,
        Self::Override,
        Self::Env,
        Self::Gc,
        Self::Units,
        Self::Route,
        Self::Kill,
        Self::Restart,
        Self::Stop,
        Self::Delete,
    ];
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    // At the door, for every request.
    /// The token is not accepted. `times` makes a burst of it.
    pub unauthorized: Switch,
    /// How often, on average, the platform's database is away, so that no token is accepted; nothing: never.
    pub outages: Span,
    /// How long it is away then.
    pub outage_for: Span,
    /// A gateway answers 502 in place of the platform; nothing is done.
    pub gateway: Switch,
    /// An answer begins only after `slow_for`.
    pub slow: Switch,
    /// How long a slow answer takes longer.
    pub slow_for: Span,

    // What readers see.
    /// How old the list of units is that a reader sees, for each replica of the API. Where all replicas are behind one
    /// address, a read goes to a random one.
    pub lags: Vec<Span>,
    /// App info cannot list the units: none are shown, and `error` says so.
    pub units_error: Switch,
    /// App info cannot tell of autoscalers.
    pub autoscale_error: Switch,
    /// App info lacks the load of units, as on a cluster without a metrics server.
    pub metrics_error: Switch,
    /// App info cannot tell the quota.
    pub quota_error: Switch,
    /// App info cannot tell addresses: neither those of the router nor those in the cluster.
    pub addresses_error: Switch,
    /// The router publishes the addresses of versions as well, in random order.
    pub router_prefixes: bool,

    // Calls that change something.
    /// A call is refused because there were too many.
    pub throttled: Switch,
    /// The connection is cut before the answer is complete; the operation goes on.
    pub lost_answer: Switch,
    /// The API's process dies in the middle: the work stops half done, and its event holds the lock until it expires.
    pub dies: Switch,
    /// A selector that fits several versions names another one than its number says.
    pub wrong_version: Switch,
    /// A routable call fails with a conflict after part of it was done, and leaves the deployment paused.
    pub routable_conflict: Switch,
    /// A routable call fails after all of it was done.
    pub routable_late_error: Switch,
    /// A deploy, rollback or change of units fails at the router, after all the rest was done.
    pub router_error: Switch,
    /// A build fails.
    pub build_error: Switch,
    /// A deletion of a version fails in the cluster, and only its text says so.
    pub delete_error: Switch,

    // Units.
    /// What readiness takes longer than usual.
    pub slow_ready: Span,
    /// A new unit never becomes ready.
    pub never_ready: Switch,

    // What others do.
    /// How often, on average, each app's autoscalers change a number of units; nothing: never.
    pub autoscaling: Span,
    /// How often, on average, somebody else does something to each app; nothing: never.
    pub foreign: Span,
    /// What they do, each as likely; empty: anything but to delete the app.
    pub foreign_acts: Vec<Foreign>,

    // Streams.
    /// A line of a stream arrives in two parts.
    pub split: Switch,
    /// The connection is cut in the middle of a line; the operation goes on.
    pub truncated: Switch,
    /// A stream says nothing for `stall_for`, not even that it lives.
    pub stall: Switch,
    /// How long a stalled stream says nothing.
    pub stall_for: Span,

    // Webhooks.
    /// A webhook is never sent.
    pub webhook_lost: Switch,
    /// A webhook is sent twice; by both replicas of the API, where there are two.
    pub webhook_twice: Switch,
    /// A webhook is sent after the one that follows it.
    pub webhook_late: Switch,
    /// How long each replica of the API waits before it sends a webhook, so that those of two overtake each other.
    pub webhook_lags: Vec<Span>,

    /// How long things take; left out: as usual. They are as many times as fast as the install is.
    pub timings: Option<Timings>,
}
