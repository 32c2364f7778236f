//! Who is told, and how patiently.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use super::secret::read_secret;
use super::sign::Signer;
use crate::words::Span;

/// One receiver: `[[receiver]]` in the configuration.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// Its name, as policies call it in `notify:`.
    pub name: String,
    /// Where it listens, `https://…` or `http://…`. What follows the host may be secret and is never shown.
    pub url: String,
    /// The file that holds the secret for its signatures.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    #[serde(default)]
    pub secret_env: Option<String>,
}

impl fmt::Debug for ReceiverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverConfig")
            .field("name", &self.name)
            .field("url", &Url::parse(&self.url).map_or_else(|_| "?".to_owned(), |url| origin(&url)))
            .field("secret_file", &self.secret_file)
            .field("secret_env", &self.secret_env)
            .finish()
    }
}

/// How messages are delivered: `[delivery]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// How long an attempt may take in all.
    pub timeout: Span,
    /// The wait after the first failed attempt; it doubles with each.
    pub first_retry: Span,
    /// The longest wait between two attempts.
    pub longest_retry: Span,
    /// How old a message becomes before it is given up, if it was tried at least five times.
    pub give_up_after: Span,
    /// How many messages one receiver gets at the same time.
    pub at_once: u32,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            timeout: Span::seconds(10),
            first_retry: Span::seconds(5),
            longest_retry: Span::minutes(15),
            give_up_after: Span::minutes(24 * 60),
            at_once: 4,
        }
    }
}

/// What is wrong with the receivers' configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A receiver cannot be used.
    #[error("receiver `{name}`: {problem}")]
    Receiver {
        /// Its name.
        name: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A setting of the delivery cannot be used.
    #[error("delivery.{setting}: {problem}")]
    Delivery {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what to write instead.
        problem: &'static str,
    },
}

/// The receivers, checked and with their secrets read.
#[derive(Debug, Clone)]
pub struct Receivers {
    pub(super) all: Vec<Receiver>,
    pub(super) delivery: DeliveryConfig,
}

/// One receiver, ready to be sent to.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) signer: Signer,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({} at {})", self.name, origin(&self.url))
    }
}

impl Receivers {
    /// Checks a configuration and reads the secrets, those of the environment through `environment`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(
        receivers: &[ReceiverConfig],
        delivery: DeliveryConfig,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        check_delivery(&delivery)?;
        let mut names = BTreeSet::new();
        let mut all = Vec::new();
        for config in receivers {
            let wrong = |problem| ConfigError::Receiver { name: config.name.clone(), problem };
            check_name(&config.name).map_err(wrong)?;
            if !names.insert(&config.name) {
                return Err(wrong("the name is used twice".to_owned()));
            }
            let url = check_url(&config.url).map_err(wrong)?;
            let (file, variable) = (config.secret_file.as_deref(), config.secret_env.as_deref());
            let secret = read_secret("secret", file, variable, &environment).map_err(wrong)?;
            let signer = Signer::new(&secret).map_err(wrong)?;
            all.push(Receiver { name: config.name.clone(), url, signer });
        }
        Ok(Self { all, delivery })
    }

    /// The names that policies may use in `notify:`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|r| r.name.as_str())
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err("a name has 1 to 64 letters, digits, `-`, `_` or `.`".to_owned());
    }
    Ok(())
}

fn check_url(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| Err(format!("the url {why}; write it like `https://hooks.example.com/uguisu`"));
    let Ok(url) = Url::parse(text.trim()) else {
        return wrong("is not an address");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("does not begin with `https://` or `http://`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("holds a user or a password, which would not be sent");
    }
    if url.fragment().is_some() {
        return wrong("holds a `#`");
    }
    Ok(url)
}

fn check_delivery(delivery: &DeliveryConfig) -> Result<(), ConfigError> {
    let wrong = |setting, problem| Err(ConfigError::Delivery { setting, problem });
    if !(Span::seconds(1)..=Span::minutes(5)).contains(&delivery.timeout) {
        return wrong("timeout", "it must be from 1s to 5m");
    }
    if delivery.first_retry == Span::ZERO {
        return wrong("first_retry", "it must be longer than nothing");
    }
    if delivery.longest_retry < delivery.first_retry {
        return wrong("longest_retry", "it must not be shorter than `first_retry`");
    }
    if delivery.give_up_after < delivery.longest_retry {
        return wrong("give_up_after", "it must not be shorter than `longest_retry`");
    }
    if !(1..=64).contains(&delivery.at_once) {
        return wrong("at_once", "it must be from 1 to 64");
    }
    Ok(())
}

/// Scheme, host and port: the part of an address that is no secret.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
