//! The daemon's configuration: one TOML file, overridden by the environment, overridden by flags.
//!
//! ```toml
//! data = "/var/lib/uguisu"
//! rules = "/etc/uguisu/rules"
//!
//! [tsuru]
//! url = "https://tsuru.example.com"
//! token_file = "/run/secrets/tsuru-token"
//!
//! [source]
//! kind = "prometheus"
//! url = "http://prometheus.example.com:9090"
//! ```
//!
//! `[platform]` names another platform than Tsuru, or that nothing is to be done; see [`PlatformConfig`].
//!
//! An environment variable `UGUISU__TSURU__URL` overrides `url` of `[tsuru]`. Relative paths are relative to the
//! directory that the daemon was started in.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::notify::{DeliveryConfig, ReceiverConfig};
use crate::platform::PlatformConfig;
use crate::platform::tsuru::TsuruConfig;
use crate::signal::SourceConfig;
use crate::web::{AlertLabels, WebConfig};
use crate::words::Span;

/// The daemon's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory that holds the journal.
    pub data: PathBuf,
    /// The directory (or file) that holds the policies.
    pub rules: PathBuf,
    /// The time between two questions to the platform for new deploys.
    #[serde(default = "poll_every")]
    pub poll_every: Span,
    /// The platform: Tsuru, unless it says otherwise.
    #[serde(default)]
    pub platform: PlatformConfig,
    /// Where Tsuru is, if it is the platform.
    #[serde(default)]
    pub tsuru: Option<TsuruConfig>,
    /// Where samples come from.
    pub source: SourceConfig,
    /// Where the daemon listens.
    #[serde(default)]
    pub web: WebConfig,
    /// How alerts name apps and versions.
    #[serde(default)]
    pub alerts: AlertLabels,
    /// Who is told.
    #[serde(default)]
    pub receiver: Vec<ReceiverConfig>,
    /// How messages are delivered.
    #[serde(default)]
    pub delivery: DeliveryConfig,
}

fn poll_every() -> Span {
    Span::seconds(5)
}

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
#[error("the configuration `{}` cannot be used: {message}", .file.display())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong and what to do.
    pub message: String,
}

impl Config {
    /// Reads a file and what the environment overrides.
    ///
    /// # Errors
    /// When the file cannot be read, is no TOML, or has a key that is unknown, missing or of the wrong kind.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError { file: file.to_owned(), message };
        let text = std::fs::read_to_string(file).map_err(|e| {
            wrong(format!("{e}; give the path of a configuration with `--config`, see deploy/uguisu.toml"))
        })?;
        Self::parse(&text, config::Environment::with_prefix("UGUISU").prefix_separator("__").separator("__"))
            .map_err(wrong)
    }

    fn parse(text: &str, environment: config::Environment) -> Result<Self, String> {
        let config: Self = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml))
            .add_source(environment.try_parsing(true))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|e| e.to_string())?;
        config.platform.check(config.tsuru.is_some())?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let source = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let environment = config::Environment::with_prefix("UGUISU").prefix_separator("__").separator("__");
        Config::parse(text, environment.source(Some(source)))
    }

    const SMALL: &str = "data = 'd'\nrules = 'r'\n[tsuru]\nurl = 'http://t'\n[source]\nkind = 'scrape'\n";

    #[test]
    fn a_small_file_is_enough() {
        let config = parse(SMALL, &[]).unwrap();
        assert_eq!(config.web.listen.to_string(), "127.0.0.1:9898");
        assert_eq!(config.poll_every, Span::seconds(5));
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let config =
            parse(SMALL, &[("UGUISU__TSURU__URL", "http://other"), ("UGUISU__POLL_EVERY", "9s")]).unwrap();
        let url = config.tsuru.map(|tsuru| tsuru.url);
        assert_eq!((url.as_deref(), config.poll_every), (Some("http://other"), Span::seconds(9)));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse(&format!("lissten = '1'\n{SMALL}"), &[]).unwrap_err();
        assert!(error.contains("lissten"), "{error}");
    }

    #[test]
    fn the_documented_platforms_are_configurations() {
        let documentation = include_str!("../deploy/README.md");
        let blocks: Vec<&str> =
            documentation.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let tsuru = SMALL.strip_prefix("data = 'd'\nrules = 'r'\n").unwrap();
        let source = tsuru.strip_prefix("[tsuru]\nurl = 'http://t'\n").unwrap();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            let rest = if block.contains("webhook\"") { source } else { tsuru };
            parse(&format!("data = 'd'\nrules = 'r'\n{rest}{block}"), &[])
                .unwrap_or_else(|e| panic!("{block}: {e}"));
        }
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = parse("data = 'd'\nrules = 'r'\n", &[]).unwrap_err();
        assert!(error.contains("source"), "{error}");
        let error = parse("data = 'd'\nrules = 'r'\n[source]\nkind = 'scrape'\n", &[]).unwrap_err();
        assert!(error.contains("`[tsuru]`"), "{error}");
    }

    #[test]
    fn the_platform_can_be_another_one_and_there_is_only_one() {
        let head = "data = 'd'\nrules = 'r'\n[source]\nkind = 'scrape'\n";
        let webhook = "[platform]\nkind = 'webhook'\nurl = 'http://d'\nsecret_env = 'S'\n";
        let config = parse(&format!("{head}{webhook}"), &[]).unwrap();
        assert!(matches!(config.platform, PlatformConfig::Webhook(_)), "{config:?}");
        let error = parse(&format!("{head}{webhook}[tsuru]\nurl = 'http://t'\n"), &[]).unwrap_err();
        assert!(error.contains("two platforms"), "{error}");
        let record = "[platform]\nkind = 'record'\nfile = 'would.jsonl'\n";
        let config = parse(&format!("{SMALL}{record}"), &[]).unwrap();
        assert!(matches!(config.platform, PlatformConfig::Record(_)), "{config:?}");
        let config =
            parse(SMALL, &[("UGUISU__PLATFORM__KIND", "record"), ("UGUISU__PLATFORM__FILE", "w")]).unwrap();
        assert!(matches!(config.platform, PlatformConfig::Record(_)), "{config:?}");
        for (wrong, named) in [("kind = 'tsru'", "tsru"), ("kind = 'record'\nfil = 'x'", "fil")] {
            let error = parse(&format!("{SMALL}[platform]\n{wrong}\n"), &[]).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
