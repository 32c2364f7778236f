//! The commands.

pub mod emulate;
