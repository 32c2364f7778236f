//! Where the log goes: standard error, at the level that `RUST_LOG` says (`info` otherwise).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Logs to standard error; as JSON lines if wanted.
pub(super) fn to_stderr(json: bool) {
    to_stderr_from("info", json);
}

/// Logs to standard error what is at least of `level`, unless `RUST_LOG` says otherwise. Calling it twice changes nothing.
pub(super) fn to_stderr_from(level: &str, json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _already_set =
        if json { log.json().flatten_event(true).try_init() } else { log.with_ansi(colours).try_init() };
}
