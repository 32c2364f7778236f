//! Looks become evidence, evidence an outcome, outcomes a verdict with its reasons.
//!
//! A [`Judge`] is made for one rollout from its policy (and what is known of the noise beforehand), is shown a
//! [`Look`] at a time, and answers each with a [`Verdict`]. It is a value: serialised and read back, it goes on to
//! the bit as if nothing had happened. It reads no clock; time is what the looks say.

mod look;
mod verdict;

pub use look::{Look, Reading};
pub use verdict::{Outcome, SignalVerdict, Verdict};
