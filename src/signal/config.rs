//! What the daemon's configuration says of the source of samples.
//!
//! ```toml
//! [source]
//! kind = "prometheus"
//! url = "https://prometheus.example.com"
//! bearer_token_file = "/run/secrets/prometheus"
//! labels = { app = "tsuru_app", version = "tsuru_version" }
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::prometheus::Prometheus;
use super::scrape::Scraper;
use super::source::Source;
use crate::words::Span;

/// The longest that a source may be given to answer.
const LONGEST_TIMEOUT: Span = Span::minutes(1);

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceConfig {
    /// The units' own metrics pages.
    Scrape(ScrapeConfig),
    /// A Prometheus, or what speaks like it.
    Prometheus(Box<PrometheusConfig>),
}

/// How units are scraped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScrapeConfig {
    /// The path of the metrics page; `/metrics` unless said otherwise.
    pub path: String,
    /// How long a unit may take to answer; 3 seconds unless said otherwise.
    pub timeout: Span,
}

/// How a Prometheus is reached, and what its series are labelled with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusConfig {
    /// Its address with any path that comes before `/api/v1`, without credentials.
    pub url: String,
    /// How long a query may take; 10 seconds unless said otherwise.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// The labels that tell app, version and unit apart.
    #[serde(default)]
    pub labels: Labels,
    /// Labels with their values that every series must have besides, such as `cluster = "prod"`.
    #[serde(default)]
    pub matchers: BTreeMap<String, String>,
    /// A file with a bearer token; it may be replaced at any time.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// The environment variable that holds a bearer token.
    #[serde(default)]
    pub bearer_token_env: Option<String>,
    /// The user's name for basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with the user's password; it may be replaced at any time.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the user's password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// A file with certificates in PEM form that are trusted beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Headers that go with every request and are no secrets, such as `X-Scope-OrgID = "tenant"`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// The labels that tell whose a series is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// The app's name; `app` unless said otherwise.
    pub app: String,
    /// The version's number; `version` unless said otherwise.
    pub version: String,
    /// The unit: its name, its address or the host of its address; `instance` unless said otherwise.
    pub unit: String,
}

/// What is wrong with the configuration of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source: {0}")]
pub struct SourceError(String);

impl Default for ScrapeConfig {
    fn default() -> Self {
        Self { path: "/metrics".to_owned(), timeout: Span::seconds(3) }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self { app: "app".to_owned(), version: "version".to_owned(), unit: "instance".to_owned() }
    }
}

const fn ten_seconds() -> Span {
    Span::seconds(10)
}

impl SourceConfig {
    /// Checks the configuration and makes the source, without asking it anything.
    ///
    /// # Errors
    /// With what is wrong and what to write instead.
    pub fn open(&self) -> Result<Source, SourceError> {
        let source = match self {
            Self::Scrape(config) => config
                .check()
                .and_then(|()| Scraper::new(config.path.clone(), config.timeout))
                .map(Source::Scrape),
            Self::Prometheus(config) => {
                config.check().and_then(|()| Prometheus::new(config)).map(Source::Prometheus)
            }
        };
        source.map_err(SourceError)
    }
}

impl ScrapeConfig {
    fn check(&self) -> Result<(), String> {
        if !self.path.starts_with('/') {
            return Err(format!("`path` is `{}`; it must begin with `/`", self.path));
        }
        check_timeout(self.timeout)
    }
}

impl PrometheusConfig {
    fn check(&self) -> Result<(), String> {
        check_timeout(self.timeout)?;
        self.check_url()?;
        let bearers =
            usize::from(self.bearer_token_file.is_some()) + usize::from(self.bearer_token_env.is_some());
        let passwords = usize::from(self.password_file.is_some()) + usize::from(self.password_env.is_some());
        if bearers + passwords > 1 {
            return Err(
                "only one of `bearer_token_file`, `bearer_token_env`, `password_file` and `password_env` \
                        can be used"
                    .to_owned(),
            );
        }
        if self.username.is_some() != (passwords == 1) {
            return Err("`username` needs `password_file` or `password_env`, and they need it".to_owned());
        }
        let Labels { app, version, unit } = &self.labels;
        for label in [app, version, unit].into_iter().chain(self.matchers.keys()) {
            if !is_label(label) {
                return Err(format!("`{label}` is no label's name; letters, digits and `_` are allowed"));
            }
        }
        if app == version || app == unit || version == unit {
            return Err("`labels` must be three different labels for app, version and unit".to_owned());
        }
        if let Some(label) = self.matchers.keys().find(|label| *label == app || *label == version) {
            return Err(format!("`matchers` cannot set `{label}`, which tells apps or versions apart"));
        }
        Ok(())
    }

    fn check_url(&self) -> Result<(), String> {
        // The address is not repeated where it holds a password.
        let url = reqwest::Url::parse(&self.url).map_err(|error| {
            format!("`url` cannot be read ({error}); write it like `http://prometheus:9090`")
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` holds credentials; use `username` with `password_file` instead".to_owned());
        }
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(format!(
                "`url` is `{url}`; it must begin with `http://` or `https://` and name a host"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`url` is `{url}`; it must end with a path, without `?` and `#`"));
        }
        Ok(())
    }
}

fn check_timeout(timeout: Span) -> Result<(), String> {
    if timeout == Span::ZERO || timeout > LONGEST_TIMEOUT {
        return Err(format!("`timeout` is {timeout}; it must be above 0s and at most {LONGEST_TIMEOUT}"));
    }
    Ok(())
}

fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
