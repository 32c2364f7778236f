//! Simulated rollouts: traffic as real services produce it, sent through the real judge.
//!
//! What the statistics promise is held against this: how often a good canary is rolled back, how long a bad one lives, how
//! long a good one takes to be proven, each beside an [`Oracle`] that knows what the judge has to find out.
//! `benches/calibration.rs` prints the tables; a plan can be tried out in the same way.
//!
//! Everything follows from a seed: the same one gives the same rollout.

pub mod gauges;

mod oracle;
mod tally;
mod traffic;
mod trial;

pub use oracle::Oracle;
pub use tally::{Tally, interval, median};
pub use traffic::{Effect, Family, Fault, Scenario, Step, Traffic};
pub use trial::{Trial, Watcher};

#[cfg(test)]
mod tests;
