//! The alert hook: who may knock, what is let in, and what is answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use secrecy::SecretString;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::alertmanager::{Delivery, parse};
use super::server::Doors;
use super::token;

/// The largest body, in bytes: some thousand alerts.
const LARGEST: usize = 1 << 20;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long the engine may take before the sender is told to come back.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// An answer that is not "accepted".
struct Refusal {
    status: StatusCode,
    /// What it is counted as.
    result: &'static str,
    /// What is wrong and what to do about it.
    text: String,
}

fn refusal(status: StatusCode, result: &'static str, text: impl Into<String>) -> Refusal {
    Refusal { status, result, text: text.into() }
}

/// Takes a request of Alertmanager and answers once the engine has its alerts.
pub(super) async fn receive(State(doors): State<Arc<Doors>>, request: Request) -> Response {
    match accept(&doors, request).await {
        Ok(count) => {
            doors.metrics.alert_request("accepted");
            (StatusCode::OK, format!("{count} alert(s) accepted\n")).into_response()
        }
        Err(Refusal { status, result, text }) => {
            doors.metrics.alert_request(result);
            tracing::warn!(
                status = status.as_u16(),
                reason = text,
                "a request to the alert hook was refused"
            );
            let mut response = (status, format!("{text}\n")).into_response();
            let header = match status {
                StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
                StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "5")),
                _ => None,
            };
            if let Some((name, value)) = header {
                response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
            }
            response
        }
    }
}

async fn accept(doors: &Doors, request: Request) -> Result<usize, Refusal> {
    let (head, body) = request.into_parts();
    check_token(doors.alert_token.as_ref(), &head.headers)?;
    check_kind(&head.headers)?;
    let body = read(&head.headers, body).await?;
    let (alerts, truncated) = parse(&body).map_err(|e| refusal(StatusCode::BAD_REQUEST, "malformed", e))?;
    if truncated > 0 {
        tracing::warn!(
            truncated,
            "Alertmanager left alerts out of its request; raise `max_alerts` of its webhook_config"
        );
    }
    let count = alerts.len();
    let (taken, is_taken) = oneshot::channel();
    let busy = |text: &str| refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", text);
    doors.alerts.try_send(Delivery { alerts, truncated, taken }).map_err(|e| match e {
        TrySendError::Full(_) => busy("too many alerts are waiting; send them again"),
        TrySendError::Closed(_) => busy("the daemon is stopping; send them again"),
    })?;
    match tokio::time::timeout(TAKEN_WITHIN, is_taken).await {
        Ok(Ok(())) => Ok(count),
        _ => Err(busy("the alerts could not be taken over; send them again")),
    }
}

/// Lets in who knows the token.
fn check_token(token: Option<&SecretString>, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = token else {
        return Err(refusal(
            StatusCode::FORBIDDEN,
            "closed",
            "the alert hook is closed: no token is configured for it",
        ));
    };
    if token::is_shown(token, headers) {
        return Ok(());
    }
    Err(refusal(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "show the token as `Authorization: Bearer …`; in Alertmanager: `http_config.authorization.credentials_file`",
    ))
}

fn check_kind(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "malformed", "the body must be `application/json`"))
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "malformed", "the body may be at most 1 MiB; set `max_alerts`")
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    let collect = async {
        let (mut stream, mut bytes) = (body.into_data_stream(), Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| {
                refusal(StatusCode::BAD_REQUEST, "malformed", "the body ended before its time")
            })?;
            if bytes.len() + chunk.len() > LARGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(ARRIVAL, collect)
        .await
        .unwrap_or_else(|_| Err(refusal(StatusCode::REQUEST_TIMEOUT, "malformed", "the body took too long")))
}
