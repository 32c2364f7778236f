//! The platform that the daemon's configuration names.
//!
//! `[tsuru]` alone is enough for Tsuru. `[platform]` chooses another one, or that nothing is to be done at all:
//!
//! ```toml
//! [platform]
//! kind = "webhook"                                # any deployer, by signed requests
//! url = "https://deployer.example.com/uguisu"
//! secret_file = "/run/secrets/uguisu-deployer"
//! ```
//!
//! ```toml
//! [platform]
//! kind = "record"                                 # only watched; commands are written down
//! file = "/var/lib/uguisu/would.jsonl"
//! ```
//!
//! `record` stands before what `[tsuru]` names, or before the deployer of a `[platform.webhook]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::record::Record;
use super::tsuru::{Tsuru, TsuruConfig};
use super::webhook::{Webhook, WebhookConfig};
use super::{Activity, App, Platform, PlatformError};
use crate::rollout::{Command, Observed};
use crate::words::{AppName, Time, Version};

/// Which platform there is, and whether commands reach it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlatformConfig {
    /// The Tsuru that `[tsuru]` names.
    #[default]
    Tsuru,
    /// A deployer that takes signed requests.
    Webhook(WebhookConfig),
    /// A platform that is only watched.
    Record(RecordConfig),
}

/// Where commands are written to that are not sent, and for which platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordConfig {
    /// The file that they are added to, one JSON object a line.
    pub file: PathBuf,
    /// The deployer that is watched, in place of the Tsuru that `[tsuru]` names.
    #[serde(default)]
    pub webhook: Option<WebhookConfig>,
}

impl PlatformConfig {
    /// The deployer that is asked, if it is not Tsuru.
    fn deployer(&self) -> Option<&WebhookConfig> {
        match self {
            Self::Tsuru => None,
            Self::Webhook(config) => Some(config),
            Self::Record(record) => record.webhook.as_ref(),
        }
    }

    /// Says whether there is one platform and no other, given whether there is a `[tsuru]`.
    ///
    /// # Errors
    /// In words, where there is none or there are two.
    pub fn check(&self, tsuru: bool) -> Result<(), String> {
        match (self.deployer().is_some(), tsuru) {
            (true, true) => {
                Err("there are two platforms: `[tsuru]`, and the deployer of `[platform]`; remove one, \
                                 or run a daemon for each"
                    .to_owned())
            }
            (false, false) => {
                Err("there is no platform: add a section `[tsuru]` with its `url`, or `[platform]` with \
                                   `kind = \"webhook\"`"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Makes the way to the platform. Nothing is sent yet. `clock` tells the time of observations; secrets in variables
    /// are read through `environment`.
    ///
    /// # Errors
    /// In words, where there is not just one platform, or an address, secret or certificate cannot be used.
    pub fn open(
        self,
        tsuru: Option<TsuruConfig>,
        environment: impl Fn(&str) -> Option<String>,
        clock: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Result<Configured, String> {
        self.check(tsuru.is_some())?;
        let way = match (self.deployer(), tsuru) {
            (Some(config), _) => Way::Webhook(Box::new(
                Webhook::new(config, environment, clock).map_err(|why| format!("[platform]: {why}"))?,
            )),
            (None, Some(config)) => {
                Way::Tsuru(Box::new(Tsuru::new(config, clock).map_err(|e| e.to_string())?))
            }
            // Checked above.
            (None, None) => return Err("there is no platform".to_owned()),
        };
        Ok(match self {
            Self::Record(record) => Configured(Kind::Record(Record::new(way, record.file))),
            Self::Tsuru | Self::Webhook(_) => Configured(Kind::Driven(way)),
        })
    }
}

/// The platform that the configuration names.
pub struct Configured(Kind);

enum Kind {
    Driven(Way),
    Record(Record<Way>),
}

/// How the platform is reached.
enum Way {
    Tsuru(Box<Tsuru>),
    Webhook(Box<Webhook>),
}

/// Hands every call of [`Platform`] to the one that there is.
macro_rules! hand_on {
    ($type:ty, $($variant:path),+) => {
        impl Platform for $type {
            async fn apps(&self) -> Result<Vec<App>, PlatformError> {
                match self.which() { $($variant(p) => p.apps().await,)+ }
            }

            async fn observe(&self, app: &AppName) -> Result<Observed, PlatformError> {
                match self.which() { $($variant(p) => p.observe(app).await,)+ }
            }

            async fn activity(&self, app: Option<&AppName>, since: Time) -> Result<Vec<Activity>, PlatformError> {
                match self.which() { $($variant(p) => p.activity(app, since).await,)+ }
            }

            async fn base(&self, app: &AppName) -> Result<Option<Version>, PlatformError> {
                match self.which() { $($variant(p) => p.base(app).await,)+ }
            }

            async fn replaced(&self, app: &AppName, version: Version) -> Result<Option<Version>, PlatformError> {
                match self.which() { $($variant(p) => p.replaced(app, version).await,)+ }
            }

            async fn execute(&self, app: &AppName, command: &Command) -> Result<(), PlatformError> {
                match self.which() { $($variant(p) => p.execute(app, command).await,)+ }
            }

            fn describe(&self) -> String {
                match self.which() { $($variant(p) => p.describe(),)+ }
            }
        }
    };
}

impl Configured {
    fn which(&self) -> &Kind {
        &self.0
    }
}

impl Way {
    fn which(&self) -> &Self {
        self
    }
}

hand_on!(Configured, Kind::Driven, Kind::Record);
hand_on!(Way, Way::Tsuru, Way::Webhook);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> PlatformConfig {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn opened(json: &str, tsuru: Option<&str>) -> Result<String, String> {
        open(json, tsuru).map(|platform| platform.describe())
    }

    fn open(json: &str, tsuru: Option<&str>) -> Result<Configured, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "abc").unwrap();
        let tsuru = tsuru
            .map(|url| TsuruConfig { token_file: Some(token.path().to_owned()), ..TsuruConfig::new(url) });
        let secret =
            |name: &str| (name == "S").then(|| "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=".to_owned());
        config(json).open(tsuru, secret, || Time(0))
    }

    const WEBHOOK: &str = r#"{"kind":"webhook","url":"http://d:1/x","secret_env":"S"}"#;

    #[test]
    fn each_kind_leads_to_its_platform() {
        for (json, tsuru, describes) in [
            (r#"{"kind":"tsuru"}"#, Some("http://t"), "Tsuru at http://t/"),
            (WEBHOOK, None, "the deployer at http://d:1"),
            (
                r#"{"kind":"record","file":"w.jsonl"}"#,
                Some("http://t"),
                "Tsuru at http://t/, only watched; commands are written to `w.jsonl`",
            ),
            (
                r#"{"kind":"record","file":"w.jsonl","webhook":{"url":"http://d:1/x","secret_env":"S"}}"#,
                None,
                "the deployer at http://d:1, only watched; commands are written to `w.jsonl`",
            ),
        ] {
            assert_eq!(opened(json, tsuru).as_deref(), Ok(describes), "{json}");
        }
    }

    #[test]
    fn there_is_one_platform_and_no_other() {
        for (json, tsuru, why) in [
            (WEBHOOK, Some("http://t"), "two platforms"),
            (r#"{"kind":"tsuru"}"#, None, "no platform"),
            (r#"{"kind":"record","file":"w"}"#, None, "no platform"),
            (r#"{"kind":"webhook","url":"deployer","secret_env":"S"}"#, None, "not an address"),
            (r#"{"kind":"webhook","url":"http://d:1/x","secret_env":"NONE"}"#, None, "`NONE` is not set"),
            (r#"{"kind":"webhook","url":"http://d:1/x"}"#, None, "set `secret_file` or `secret_env`"),
        ] {
            let error = opened(json, tsuru).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
        assert!(serde_json::from_str::<PlatformConfig>(r#"{"kind":"record"}"#).is_err());
        assert!(serde_json::from_str::<PlatformConfig>(r#"{"kind":"record","file":"w","fil":1}"#).is_err());
    }

    /// A default of the trait must not stand in for what the platform itself knows.
    #[tokio::test]
    async fn what_served_before_is_asked_of_the_platform() {
        let done = |id: u32| {
            serde_json::json!({
                "id": id.to_string(), "app": "shop", "kind": {"kind": "replaced", "version": id}, "owner": "ci",
                "ours": false, "started": id, "ended": id, "error": null,
            })
        };
        let answer = axum::Json(vec![done(1), done(2)]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(async move || answer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let webhook = serde_json::json!({"url": url, "secret_env": "S"});
        let record = serde_json::json!({"kind": "record", "file": "w.jsonl", "webhook": webhook.clone()});
        let driven = serde_json::json!({"kind": "webhook", "url": url, "secret_env": "S"});
        for json in [driven, record] {
            let platform = open(&json.to_string(), None).unwrap();
            let before = platform.replaced(&AppName("shop".to_owned()), Version(2)).await;
            assert_eq!(before.unwrap(), Some(Version(1)), "{json}");
        }
    }
}
