//! The state machine of a rollout: state, events, decisions, desired traffic.

mod traffic;

pub use traffic::{Command, Observed, Unit};
