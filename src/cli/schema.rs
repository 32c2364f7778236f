//! `uguisu schema`: the JSON Schema of policy files.

use std::io::{self, Write};
use std::process::ExitCode;

/// Print the JSON Schema of policy files, for editors.
///
/// An editor finds it by a first line such as `# yaml-language-server: $schema=policy.schema.json`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs the command.
#[must_use]
pub(super) fn run(_: &Args) -> ExitCode {
    match io::stdout().write_all(crate::policy::schema().as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_schema_is_current() {
        let committed = include_str!("../../rules/policy.schema.json");
        assert!(
            committed == crate::policy::schema(),
            "run `cargo run -- schema > rules/policy.schema.json` and commit the result"
        );
    }
}
