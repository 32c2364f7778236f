//! Simulated rollouts: traffic as real services produce it, sent through the real judge.
//!
//! What the statistics promise is held against this: how often a good canary is rolled back, how long a bad one lives, how
//! long a good one takes to be proven, each beside an [`Oracle`] that knows what the judge has to find out.
//! `benches/calibration.rs` prints the tables; a plan can be tried out in the same way.
//!
//! A [`Scenario`] says how requests and errors come about and how the rollout goes; a [`Service`] adds signals of other kinds.
//! A [`Watcher`] runs either through the judge under a policy, such as those of [`policies`].
//!
//! Everything follows from a seed: the same one gives the same rollout.

pub mod gauges;
pub mod latency;
pub mod policies;

mod oracle;
mod stream;
mod tally;
mod traffic;
mod trial;

pub use latency::Latency;
pub use oracle::Oracle;
pub use tally::{Tally, interval, median};
pub use traffic::{Effect, Family, Fault, Scenario, Step, Traffic};
pub use trial::{Looks, Service, Trial, Watcher};

#[cfg(test)]
mod tests;
