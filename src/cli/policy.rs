//! The one policy that a command is about.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::policy::Policy;
use crate::rules;

/// Reads the policy in the file at `path`. What is wrong with it goes to standard error.
///
/// # Errors
/// The exit code to end with: 1 if the file holds errors, 2 if it cannot be read, or holds not exactly one policy.
pub(super) fn one(path: &Path) -> Result<Policy, ExitCode> {
    let loaded = rules::load(&[path.to_path_buf()]);
    let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let mut err = anstream::stderr();
    for reading in loaded.readings.iter().filter(|reading| !reading.findings.is_empty()) {
        let _ = writeln!(err, "{}", reading.findings.render(colours));
    }
    for unreadable in &loaded.unreadable {
        let _ = writeln!(err, "error: {unreadable}");
    }
    if !loaded.unreadable.is_empty() {
        return Err(ExitCode::from(2));
    }
    let Ok([reading]) = <[_; 1]>::try_from(loaded.readings) else {
        let _ = writeln!(err, "error: `{}` must be one policy's file", path.display());
        return Err(ExitCode::from(2));
    };
    reading.policy.ok_or(ExitCode::FAILURE)
}
