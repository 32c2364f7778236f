//! Where samples come from.

pub mod exposition;
pub mod increments;
