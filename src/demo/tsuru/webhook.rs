//! Webhooks that want to hear of the ends of events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Event;

/// Which events a webhook wants to hear of. An empty list means any.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// Types of targets.
    #[serde(deserialize_with = "null_is_empty")]
    pub target_types: Vec<String>,
    /// Names of apps.
    #[serde(deserialize_with = "null_is_empty")]
    pub target_values: Vec<String>,
    /// `permission`, `internal`.
    #[serde(deserialize_with = "null_is_empty")]
    pub kind_types: Vec<String>,
    /// Kinds, or their dotted parents.
    #[serde(deserialize_with = "null_is_empty")]
    pub kind_names: Vec<String>,
    /// Only failures.
    pub error_only: bool,
    /// Only successes.
    pub success_only: bool,
}

/// Go writes an empty list as `null`, and takes one for the other.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl EventFilter {
    /// Whether an event that ended is wanted.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let any_of = |list: &[String], have: &str| list.is_empty() || list.iter().any(|w| w == have);
        let failed = !event.error.is_empty();
        any_of(&self.target_types, "app")
            && any_of(&self.target_values, &event.app)
            && any_of(&self.kind_types, if event.internal { "internal" } else { "permission" })
            && (self.kind_names.is_empty()
                || self.kind_names.iter().any(|k| is_kind_or_parent(k, event.kind)))
            && (failed || !self.error_only)
            && !(failed && self.success_only)
    }
}

fn is_kind_or_parent(wanted: &str, kind: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A receiver of events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The team that owns it.
    pub team_owner: String,
    /// Which events it wants.
    pub event_filter: EventFilter,
    /// Where to send to.
    pub url: String,
    /// Through which proxy.
    pub proxy_url: String,
    /// Headers to send.
    #[serde(deserialize_with = "null_is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
    /// The method; empty: POST.
    pub method: String,
    /// The template of the body; empty: the whole event.
    pub body: String,
    /// Take any certificate.
    pub insecure: bool,
}
