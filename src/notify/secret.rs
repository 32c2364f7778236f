//! Reading secrets: from a file or the environment, never from the configuration itself.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// Reads a secret from a file, or through `environment` from a variable; exactly one of them must be named.
///
/// White space around it is not part of it. `key` begins the names of the settings, as `secret` for `secret_file` and
/// `secret_env`.
///
/// # Errors
/// A sentence that says what is missing; it never contains the secret.
pub(crate) fn read_secret(
    key: &str,
    file: Option<&Path>,
    variable: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<SecretString, String> {
    let (text, place) = match (file, variable) {
        (Some(path), None) => {
            let place = format!("the file `{}`", path.display());
            let text = std::fs::read_to_string(path).map_err(|e| format!("{place} cannot be read: {e}"))?;
            (text, place)
        }
        (None, Some(name)) => {
            let place = format!("the environment variable `{name}`");
            (environment(name).ok_or_else(|| format!("{place} is not set"))?, place)
        }
        (None, None) => return Err(format!("set `{key}_file` or `{key}_env`")),
        (Some(_), Some(_)) => return Err(format!("set `{key}_file` or `{key}_env`, not both")),
    };
    let text = SecretString::from(text);
    match text.expose_secret().trim() {
        "" => Err(format!("{place} is empty")),
        trimmed => Ok(SecretString::from(trimmed.to_owned())),
    }
}
