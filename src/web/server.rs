//! The doors, and keeping them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::alertmanager::Delivery;
use super::hook;
use super::listener::Bounded;
use super::metrics::{self, Metrics};
use super::orders::{self, Errand};
use super::ready::Readiness;
use crate::notify::read_secret;

/// How long requests may go on after the call to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Where the daemon listens: `[web]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// The address and port.
    pub listen: SocketAddr,
    /// The file that holds the token which Alertmanager must show. Without a token the alert hook is closed.
    pub alert_token_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub alert_token_env: Option<String>,
    /// The file that holds the token which people must show who give orders. Without a token no orders are taken.
    pub operator_token_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub operator_token_env: Option<String>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9898)),
            alert_token_file: None,
            alert_token_env: None,
            operator_token_file: None,
            operator_token_env: None,
        }
    }
}

/// What is wrong with the listener's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a token of `[web]`: {0}")]
pub struct ConfigError(String);

impl WebConfig {
    /// The token that Alertmanager must show; nothing where none is configured. The environment is read through
    /// `environment`.
    ///
    /// # Errors
    /// When a token is configured and cannot be read.
    pub fn alert_token(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<SecretString>, ConfigError> {
        token(
            "web.alert_token",
            self.alert_token_file.as_deref(),
            self.alert_token_env.as_deref(),
            environment,
        )
    }

    /// The token that people must show who give orders; nothing where none is configured.
    ///
    /// # Errors
    /// When a token is configured and cannot be read.
    pub fn operator_token(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<SecretString>, ConfigError> {
        let (file, variable) = (self.operator_token_file.as_deref(), self.operator_token_env.as_deref());
        token("web.operator_token", file, variable, environment)
    }
}

fn token(
    key: &str,
    file: Option<&std::path::Path>,
    variable: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>, ConfigError> {
    if file.is_none() && variable.is_none() {
        return Ok(None);
    }
    read_secret(key, file, variable, environment).map(Some).map_err(ConfigError)
}

/// What stands behind the doors.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Whether the daemon is ready.
    pub readiness: Readiness,
    /// The daemon's own metrics.
    pub metrics: Arc<Metrics>,
    /// Where alerts go; as many requests as it has places are waited for, more are sent away.
    pub alerts: mpsc::Sender<Delivery>,
    /// The token that Alertmanager must show; without one the alert hook is closed.
    pub alert_token: Option<SecretString>,
    /// Where orders go.
    pub orders: mpsc::Sender<Errand>,
    /// The token that people must show; without one no orders are taken.
    pub operator_token: Option<SecretString>,
}

/// The doors.
pub fn router(doors: Doors) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .route("/hooks/alertmanager", post(hook::receive))
        .route("/rollouts/{rollout}/{order}", post(orders::receive))
        .with_state(Arc::new(doors))
}

async fn readyz(State(doors): State<Arc<Doors>>) -> Response {
    let (ready, report) = doors.readiness.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, report).into_response()
}

async fn show_metrics(State(doors): State<Arc<Doors>>) -> Response {
    match doors.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Keeps the doors until `stop`, then lets running requests end, for a few seconds at most.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, doors: Doors, stop: CancellationToken) -> std::io::Result<()> {
    let stopped = stop.clone();
    let serving = axum::serve(Bounded::new(listener), router(doors))
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    tokio::select! {
        ended = serving.into_future() => ended,
        () = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}
