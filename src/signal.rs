//! Where samples come from.

pub mod exposition;
