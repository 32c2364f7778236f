//! What Alertmanager sends: its webhook's version 4.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::words::Time;

/// The version of the payload that is understood.
const VERSION: &str = "4";

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Alertmanager's identity of it: the same as long as its labels are.
    pub fingerprint: String,
    /// Whether it fires.
    pub status: AlertStatus,
    /// Its labels; `alertname` is its name.
    pub labels: BTreeMap<String, String>,
    /// Its annotations; `summary` and `description` are for people.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire.
    pub starts_at: Time,
    /// When it ended; nothing while it fires.
    pub ends_at: Option<Time>,
}

/// Whether an alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It fires.
    Firing,
    /// It is over.
    Resolved,
}

impl Alert {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("(without a name)", String::as_str)
    }
}

/// The alerts of one request, on their way to the engine.
#[derive(Debug)]
pub struct Delivery {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// How many more alerts Alertmanager left out of the request.
    pub truncated: u64,
    pub(super) taken: oneshot::Sender<()>,
}

impl Delivery {
    /// The engine has taken the alerts over: the request is answered. Where this is never said, Alertmanager is told to
    /// send them again.
    pub fn taken(self) {
        // Nobody listens any more where the client has gone; it will send them again.
        let _gone = self.taken.send(());
    }
}

/// The request's body. What is not needed is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    version: String,
    #[serde(default)]
    truncated_alerts: u64,
    alerts: Vec<Sent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    status: AlertStatus,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default)]
    fingerprint: String,
}

/// Reads a request's body: the alerts, and how many were left out.
///
/// # Errors
/// A sentence that says what is wrong and where.
pub(crate) fn parse(body: &[u8]) -> Result<(Vec<Alert>, u64), String> {
    let payload: Payload = serde_json::from_slice(body)
        .map_err(|e| format!("this is not Alertmanager's webhook payload: {e}"))?;
    if payload.version != VERSION {
        return Err(format!(
            "the payload has version `{}`, and only version `{VERSION}` is understood",
            payload.version.chars().take(20).collect::<String>()
        ));
    }
    Ok((payload.alerts.into_iter().map(Alert::from).collect(), payload.truncated_alerts))
}

impl From<Sent> for Alert {
    fn from(sent: Sent) -> Self {
        let ends_at = match sent.status {
            // While it fires the end is the year 1, or a guess.
            AlertStatus::Firing => None,
            AlertStatus::Resolved => sent.ends_at.map(time),
        };
        Self {
            fingerprint: sent.fingerprint,
            status: sent.status,
            labels: sent.labels,
            annotations: sent.annotations,
            starts_at: time(sent.starts_at),
            ends_at,
        }
    }
}

fn time(stamp: Timestamp) -> Time {
    Time(stamp.as_millisecond())
}
