//! The `uguisu` command.

fn main() {}
