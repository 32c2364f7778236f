//! The `uguisu` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // reqwest is built without a provider of its own; the choice is made once, before anything can ask for TLS.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    uguisu::cli::main()
}
