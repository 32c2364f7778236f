//! Where Tsuru is and how to be let in.

use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::notify::read_secret;
use crate::words::Span;

/// The variable that the `tsuru` command reads its token from.
const TOKEN_ENV: &str = "TSURU_TOKEN";

/// The port that Tsuru tells an app to listen on, unless its operator changed it.
const UNIT_PORT: u16 = 8888;

/// Where Tsuru's API is, who this daemon is there, and how long it waits.
///
/// `Debug` shows no secret: the token is not in here, and the proxy's address is kept as a secret since it may hold a
/// password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TsuruConfig {
    /// The API's address, as `https://tsuru.example.com`. A path before the API's own is allowed.
    pub url: String,
    /// The file that holds the token. It is read again when Tsuru refuses the token, so a rotated one is picked up.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The environment variable that holds the token. Without this and `token_file`, it is `TSURU_TOKEN`.
    #[serde(default)]
    pub token_env: Option<String>,
    /// The certificates (PEM) that may sign the API's, in place of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The proxy that leads to the API. None is used otherwise, whatever the environment says.
    #[serde(default, deserialize_with = "secret")]
    pub proxy: Option<SecretString>,
    /// The name under which Tsuru records what this daemon does: the id of its team token, or its user's e-mail.
    /// Asked of Tsuru where it is not set.
    #[serde(default)]
    pub owner: Option<String>,
    /// The port that units listen on where Tsuru names none for their process.
    #[serde(default = "unit_port")]
    pub unit_port: u16,
    /// How long calls may take.
    #[serde(default)]
    pub deadlines: Deadlines,
}

/// How long calls may take in all, whatever the server keeps sending. Tsuru itself sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// A read. Tsuru asks its routers meanwhile, up to a minute each.
    pub read: Span,
    /// A change that restarts nothing: routing, quarantine.
    pub quick: Span,
    /// Adding, removing or deleting units; they have to become ready.
    pub units: Span,
    /// Rebuilding the base with another version: a rolling update of all units.
    pub replace: Span,
    /// Silence in the middle of an answer. Tsuru sends a sign of life every 30 s.
    pub silence: Span,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            read: Span::minutes(2),
            quick: Span::minutes(2),
            units: Span::minutes(30),
            replace: Span::minutes(90),
            silence: Span::seconds(100),
        }
    }
}

fn unit_port() -> u16 {
    UNIT_PORT
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// What is wrong with the way to Tsuru, before anything was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address cannot be used.
    #[error("tsuru.url: {0}")]
    Url(String),
    /// There is no token that can be used.
    #[error("the token for Tsuru: {0}")]
    Token(String),
    /// The certificates cannot be used.
    #[error("tsuru.ca_file: {0}")]
    Ca(String),
    /// The proxy cannot be used.
    #[error("tsuru.proxy: it is not an address such as `http://proxy.example.com:3128`")]
    Proxy,
    /// A deadline of nothing.
    #[error("tsuru.deadlines.{0}: it must be longer than nothing")]
    Deadline(&'static str),
    /// The HTTP client could not be made.
    #[error("the HTTP client for Tsuru: {0}")]
    Client(String),
}

impl TsuruConfig {
    /// A configuration with everything at its default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token_file: None,
            token_env: None,
            ca_file: None,
            proxy: None,
            owner: None,
            unit_port: UNIT_PORT,
            deadlines: Deadlines::default(),
        }
    }

    /// The address, if it can be used. It never contains a password.
    pub(super) fn base(&self) -> Result<Url, ConfigError> {
        let wrong =
            |why: &str| Err(ConfigError::Url(format!("{why}; write it like `https://tsuru.example.com`")));
        let Ok(url) = Url::parse(self.url.trim()) else {
            return wrong("it is not an address");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("it holds a user or a password, which do not belong there");
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            // What it is instead is not shown: `user:password@host` begins so.
            return wrong("it does not begin with http:// or https:// and a host");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("it holds a `?` or a `#`");
        }
        Ok(url)
    }

    pub(super) fn check_deadlines(&self) -> Result<(), ConfigError> {
        let d = &self.deadlines;
        let all = [
            ("read", d.read),
            ("quick", d.quick),
            ("units", d.units),
            ("replace", d.replace),
            ("silence", d.silence),
        ];
        match all.iter().find(|(_, span)| *span == Span::ZERO) {
            Some((name, _)) => Err(ConfigError::Deadline(name)),
            None => Ok(()),
        }
    }

    /// The token, from its file or through `environment`.
    pub(super) fn token(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<SecretString, ConfigError> {
        let variable = match (&self.token_file, &self.token_env) {
            (None, None) => Some(TOKEN_ENV),
            (_, variable) => variable.as_deref(),
        };
        let secret = read_secret("token", self.token_file.as_deref(), variable, environment);
        let secret = secret.map_err(ConfigError::Token)?;
        if secret.expose_secret().bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(secret);
        }
        let problem =
            "it holds blanks, line ends or characters that no token has; the token should stand alone";
        Err(ConfigError::Token(problem.to_owned()))
    }

    /// The certificates of `ca_file`.
    pub(super) fn certificates(&self) -> Result<Option<Vec<reqwest::Certificate>>, ConfigError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|error| ConfigError::Ca(format!("`{shown}` cannot be read: {error}")))?;
        match reqwest::Certificate::from_pem_bundle(&pem) {
            Ok(found) if !found.is_empty() => Ok(Some(found)),
            _ => Err(ConfigError::Ca(format!("`{shown}` holds no certificate in PEM form"))),
        }
    }
}

/// The header that carries `token`, marked so that nothing prints it.
pub(super) fn authorization(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(content: &str) -> (tempfile::NamedTempFile, TsuruConfig) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut config = TsuruConfig::new("https://tsuru.example.com");
        config.token_file = Some(file.path().to_owned());
        (file, config)
    }

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        for url in [
            "",
            "tsuru.example.com",
            "ftp://tsuru.example.com",
            "https://",
            "https://user:pass@tsuru.example.com",
            "user:pass@tsuru.example.com",
            "https://tsuru.example.com?x=1",
            "localhost:8080",
        ] {
            let error = TsuruConfig::new(url).base().unwrap_err().to_string();
            assert!(error.starts_with("tsuru.url: ") && !error.contains("pass@"), "{url}: {error}");
        }
        assert_eq!(TsuruConfig::new(" http://t:8080/api/ ").base().unwrap().as_str(), "http://t:8080/api/");
    }

    #[test]
    fn the_token_comes_from_the_file_or_the_environment() {
        let (_file, config) = with_file("abc123\n");
        assert_eq!(config.token(|_| None).unwrap().expose_secret(), "abc123");
        let config = TsuruConfig::new("http://t");
        let token = config.token(|name| (name == "TSURU_TOKEN").then(|| "fromenv".to_owned())).unwrap();
        assert_eq!(token.expose_secret(), "fromenv");
        let (_file, mut config) = with_file("abc123");
        config.token_env = Some("OTHER".to_owned());
        assert!(config.token(|_| None).unwrap_err().to_string().contains("not both"));
    }

    #[test]
    fn tokens_that_cannot_work_are_refused_without_being_shown() {
        for (content, why) in [
            ("", "is empty"),
            (" \n\n", "is empty"),
            ("hunter2\nhunter3", "line ends"),
            ("bearer hunter2", "blanks"),
            ("hunter2\u{e9}", "characters that no token has"),
        ] {
            let (_file, config) = with_file(content);
            let error = config.token(|_| None).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(why) && !shown.contains("hunter"), "{shown}");
        }
        let mut config = TsuruConfig::new("http://t");
        assert!(config.token(|_| None).unwrap_err().to_string().contains("TSURU_TOKEN"));
        config.token_file = Some("/nowhere/token".into());
        assert!(config.token(|_| None).unwrap_err().to_string().contains("`/nowhere/token` cannot be read"));
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        let (file, mut config) = with_file("no certificate");
        config.ca_file = Some(file.path().to_owned());
        assert!(config.certificates().unwrap_err().to_string().contains("no certificate"));
        config.ca_file = Some("/nowhere/ca.pem".into());
        assert!(config.certificates().unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_proxy_with_a_password_is_not_printed() {
        let json = r#"{"url":"http://t","proxy":"http://user:hunter2@proxy:3128","deadlines":{"read":"5s"}}"#;
        let config: TsuruConfig = serde_json::from_str(json).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.deadlines.read, Span::seconds(5));
        assert_eq!(config.deadlines.quick, Deadlines::default().quick);
        assert!(serde_json::from_str::<TsuruConfig>(r#"{"url":"http://t","tokn":"x"}"#).is_err());
    }
}
