//! The commands.

pub mod check;
pub mod judge;
pub mod plan;
mod policy;
pub mod schema;
