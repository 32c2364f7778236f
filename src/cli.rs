//! The commands.

pub mod list;
pub mod show;

mod print;
