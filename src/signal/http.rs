//! Asking a source by HTTP: no redirects, a bounded answer within a bounded time, errors without secrets.

use std::error::Error as _;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};

use crate::words::Span;

/// A client builder with what every source wants. TLS needs a provider; the first one installed stays.
pub(super) fn client() -> ClientBuilder {
    // An error says that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Span::seconds(3).as_duration())
        .pool_idle_timeout(Span::seconds(90).as_duration())
        .user_agent(concat!("uguisu/", env!("CARGO_PKG_VERSION")))
}

/// A client for units' own addresses. Each unit is asked every few seconds at most, and there may be thousands: connections
/// that wait for the next time would cost more memory than all that is known of the units. A new one shows besides that the
/// unit still takes any.
pub(super) fn unit_client() -> Result<Client, String> {
    let builder = client().no_proxy().pool_max_idle_per_host(0);
    builder.build().map_err(|error| error.to_string())
}

/// An answer in full.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Sends a request and reads the answer, if it is at most `limit` bytes long once unpacked.
pub(super) async fn ask(request: RequestBuilder, limit: usize, within: Span) -> Result<Answer, String> {
    let said = |error| explained(error, within);
    let mut response = request.timeout(within.as_duration()).send().await.map_err(said)?;
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("it answers with a redirect ({status}), which is not followed"));
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(said)? {
        if body.len() + chunk.len() > limit {
            return Err(format!("the answer is larger than {} MiB", limit >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, body })
}

/// What went wrong, in words; without the address, which may hold what is not for the log.
pub(super) fn explained(error: reqwest::Error, within: Span) -> String {
    if error.is_timeout() {
        return format!("no answer within {within}");
    }
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if error.is_connect() {
        format!("cannot connect: {deepest}")
    } else if error.is_body() || error.is_decode() {
        format!("the answer broke off: {deepest}")
    } else if error.source().is_some() {
        format!("the request failed: {deepest}")
    } else {
        error.to_string()
    }
}
