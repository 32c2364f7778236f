//! Which alerts concern a rollout, and what its policy makes of them.

use serde::Deserialize;

use super::alertmanager::{Alert, AlertStatus};
use crate::policy::{AlertRule, glob};
use crate::rollout::{Alarm, Rollout};
use crate::words::{AppName, Time, Version};

/// The labels by which an alert names an app and a version: `[alerts]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertLabels {
    /// Labels that hold an app's name. One that does is enough.
    pub app: Vec<String>,
    /// Labels that hold the number of a version, as `7` or `v7`. Anything else in them says nothing.
    pub version: Vec<String>,
}

impl Default for AlertLabels {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        Self {
            // The last two are what Prometheus makes of the labels of Tsuru's pods.
            app: owned(&["app", "tsuru_app", "tsuru_io_app_name", "label_tsuru_io_app_name"]),
            version: owned(&[
                "version",
                "tsuru_version",
                "tsuru_io_app_version",
                "label_tsuru_io_app_version",
            ]),
        }
    }
}

/// What an alert means for one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Nothing: it is about something else, it is over, or no rule of the policy is for it.
    Unrelated,
    /// The policy has a rule for it, but it cannot be the canary's doing; the sentence says why.
    Ignored(String),
    /// It does what the policy says.
    Raised(Alarm),
}

/// What an alert means for a rollout. The first rule of the policy that fits decides.
#[must_use]
pub fn match_alert(alert: &Alert, rollout: &Rollout, names: &AlertLabels) -> Match {
    let watched = Watched {
        app: &rollout.app,
        canary: rollout.canary,
        began: rollout.opened,
        rules: &rollout.policy.alerts,
    };
    watched.meets(alert, names)
}

/// What of a rollout an alert is held against.
pub(crate) struct Watched<'a> {
    pub(crate) app: &'a AppName,
    pub(crate) canary: Version,
    pub(crate) began: Time,
    pub(crate) rules: &'a [AlertRule],
}

impl Watched<'_> {
    pub(crate) fn meets(&self, alert: &Alert, names: &AlertLabels) -> Match {
        let of_app = names.app.iter().any(|label| alert.labels.get(label) == Some(&self.app.0));
        if !of_app || alert.status == AlertStatus::Resolved {
            return Match::Unrelated;
        }
        let Some(rule) = self.rules.iter().find(|rule| fits(rule, alert)) else {
            return Match::Unrelated;
        };
        let name = plain(alert.name());
        let versions: Vec<Version> =
            names.version.iter().filter_map(|label| version(alert.labels.get(label)?)).collect();
        if let Some(other) = versions.first()
            && !versions.contains(&self.canary)
        {
            return Match::Ignored(format!(
                "alert `{name}` fires for {other}, not for the canary {}",
                self.canary
            ));
        }
        if alert.starts_at < self.began {
            let before = self.began.since(alert.starts_at);
            return Match::Ignored(format!("alert `{name}` already fired {before} before the rollout began"));
        }
        let mut sentence = format!("alert `{name}` fires");
        if let Some(summary) =
            alert.annotations.get("summary").or_else(|| alert.annotations.get("description"))
        {
            sentence.push_str(": ");
            sentence.push_str(&plain(summary));
        }
        Match::Raised(Alarm { name, action: rule.action, sentence })
    }
}

/// How much of a name or a summary goes into a sentence, in characters.
const LONGEST: usize = 300;

/// A text of the sender's so that it fits a sentence on one line.
fn plain(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

fn fits(rule: &AlertRule, alert: &Alert) -> bool {
    rule.matches.iter().all(|(label, pattern)| {
        // A label that is missing is an empty one, as Prometheus has it.
        glob(pattern, alert.labels.get(label).map_or("", String::as_str))
    })
}

/// The number in `7` or `v7`.
fn version(text: &str) -> Option<Version> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Version)).flatten()
}
