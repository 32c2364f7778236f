//! The HTTP listener: webhooks in, health, metrics.
//!
//! | door | what it says |
//! | --- | --- |
//! | `GET /healthz` | 200 while the process answers |
//! | `GET /readyz` | 200 once journal, policies and platform are there; else 503, with what is missing |
//! | `GET /metrics` | the daemon's own [`Metrics`], as OpenMetrics |
//! | `POST /hooks/alertmanager` | alerts from Alertmanager's webhook, version 4, under a bearer token |
//! | `POST /rollouts/{rollout}/{order}` | orders from people, under a bearer token of their own |
//!
//! Alerts go to the engine as a [`Delivery`]; the request is answered when the engine has taken them over, so that
//! Alertmanager repeats what nobody took.

mod alertmanager;
mod alerts;
mod hook;
mod listener;
mod metrics;
mod orders;
mod ready;
mod server;
mod token;

pub(crate) use alertmanager::parse as read_alerts;
pub use alertmanager::{Alert, AlertStatus, Delivery};
pub(crate) use alerts::Watched;
pub use alerts::{AlertLabels, Match, match_alert};
pub use metrics::Metrics;
pub use orders::Errand;
pub(crate) use orders::{Giver, Wanted, read as read_order};
pub use ready::{Part, Readiness};
pub use server::{ConfigError, Doors, WebConfig, router, serve};

#[cfg(test)]
mod tests;
