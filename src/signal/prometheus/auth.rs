//! How this daemon tells a Prometheus who it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};

use super::super::config::PrometheusConfig;

/// What goes with each request.
#[derive(Debug, Clone)]
pub(super) enum Auth {
    None,
    Bearer(Secret),
    Basic { username: String, password: Secret },
}

/// A secret, or where it is. A file is read each time it is needed: platforms replace tokens while a daemon runs.
#[derive(Debug, Clone)]
pub(super) enum Secret {
    File(PathBuf),
    Known(SecretString),
}

impl Auth {
    /// What the configuration says.
    pub(super) fn new(config: &PrometheusConfig) -> Result<Self, String> {
        if let Some(secret) =
            Secret::new(config.bearer_token_file.as_deref(), config.bearer_token_env.as_deref())?
        {
            return Ok(Self::Bearer(secret));
        }
        let password = Secret::new(config.password_file.as_deref(), config.password_env.as_deref())?;
        Ok(match (&config.username, password) {
            (Some(username), Some(password)) => Self::Basic { username: username.clone(), password },
            _ => Self::None,
        })
    }

    /// Adds it to a request.
    pub(super) async fn sign(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        Ok(match self {
            Self::None => request,
            Self::Bearer(token) => request.bearer_auth(token.read().await?.expose_secret()),
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.read().await?.expose_secret()))
            }
        })
    }
}

impl Secret {
    fn new(file: Option<&Path>, variable: Option<&str>) -> Result<Option<Self>, String> {
        if let Some(file) = file {
            return Ok(Some(Self::File(file.to_owned())));
        }
        let Some(variable) = variable else { return Ok(None) };
        match std::env::var(variable) {
            Ok(value) if !value.trim().is_empty() => Ok(Some(Self::Known(trimmed(&value)))),
            _ => Err(format!("the environment variable `{variable}` is not set")),
        }
    }

    async fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Known(secret) => Ok(secret.clone()),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) if !text.trim().is_empty() => Ok(trimmed(&text)),
                Ok(_) => Err(format!("the file `{}` is empty", path.display())),
                Err(error) => Err(format!("cannot read the file `{}`: {error}", path.display())),
            },
        }
    }
}

fn trimmed(secret: &str) -> SecretString {
    SecretString::from(secret.trim())
}

/// Headers that go with every request.
pub(super) fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong = || format!("`headers` holds `{name}`, which is no HTTP header or has no usable value");
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// The certificates in a PEM file.
pub(super) fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let name = file.display();
    let pem = std::fs::read(file).map_err(|error| format!("cannot read the file `{name}`: {error}"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("the file `{name}` holds no certificate in PEM form")),
        Err(error) => Err(format!("the file `{name}` holds no usable certificate: {error}")),
    }
}
