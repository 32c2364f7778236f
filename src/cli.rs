//! The commands.

pub mod check;
pub mod judge;
mod policy;
pub mod schema;
