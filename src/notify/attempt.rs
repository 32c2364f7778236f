//! One attempt to deliver one message, and what follows from it.

use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use super::config::{DeliveryConfig, Receiver};
use crate::store::Claim;
use crate::words::{Span, Time};

/// Attempts without which no message is given up, however old it is: a daemon that was away for days tries, too.
const ATTEMPTS: u32 = 5;

/// How much of a refusal is kept, in characters.
const EXCERPT: usize = 200;

/// What an attempt met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Met {
    /// The receiver accepted the message.
    Accepted,
    /// The receiver wants no more of it.
    Declined,
    /// It may work later.
    Failed {
        /// What came back, without secrets.
        error: String,
        /// How long the receiver asked us to wait.
        wait: Option<Span>,
    },
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// It is done.
    Done,
    /// Try again.
    Retry {
        /// When.
        at: Time,
        /// What went wrong.
        error: String,
    },
    /// Tell that it will not be tried again.
    GiveUp {
        /// Why.
        error: String,
    },
}

/// Sends a message once.
pub(super) async fn attempt(client: &Client, receiver: &Receiver, claim: &Claim, now: Time) -> Met {
    let timestamp = now.0.div_euclid(1000);
    let sent = client
        .post(receiver.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &claim.id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", receiver.signer.sign(&claim.id, timestamp, &claim.body))
        .body(claim.body.clone())
        .send()
        .await;
    match sent {
        Ok(response) if response.status().is_success() => Met::Accepted,
        Ok(response) if response.status() == StatusCode::GONE => Met::Declined,
        Ok(response) => refused(response).await,
        Err(error) => Met::Failed { error: in_words(error), wait: None },
    }
}

async fn refused(mut response: Response) -> Met {
    let wait = retry_after(response.headers());
    let mut error = format!("the receiver answered {}", response.status());
    if response.status().is_redirection() {
        error.push_str(", and redirects are not followed; configure the address that it leads to");
    }
    // The first piece of the body says enough, and no receiver can make us read on.
    if let Ok(Some(chunk)) = response.chunk().await {
        let text: String = String::from_utf8_lossy(&chunk)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(EXCERPT)
            .collect();
        if !text.trim().is_empty() {
            error.push_str(": ");
            error.push_str(text.trim());
        }
    }
    Met::Failed { error, wait }
}

fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Span(seconds.saturating_mul(1000)))
}

/// A failure with its causes, without the address, which may be secret.
fn in_words(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    if timed_out {
        return "no answer in time".to_owned();
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What follows from what an attempt met.
pub(super) fn follow(config: &DeliveryConfig, claim: &Claim, met: Met, now: Time) -> Next {
    match met {
        Met::Accepted => Next::Done,
        Met::Declined => Next::GiveUp { error: "the receiver wants no more messages (410 Gone)".to_owned() },
        Met::Failed { error, .. }
            if claim.attempts >= ATTEMPTS && now.since(claim.at) >= config.give_up_after =>
        {
            Next::GiveUp { error }
        }
        Met::Failed { error, wait } => {
            let wait = wait.unwrap_or_default().min(config.longest_retry);
            Next::Retry { at: now + wait.max(pause(config, claim)), error }
        }
    }
}

/// The wait after a failed attempt: doubling up to the longest, and spread by a quarter either way so that messages
/// that failed together do not come back together. The spread is drawn from the message itself.
fn pause(config: &DeliveryConfig, claim: &Claim) -> Span {
    let doublings = claim.attempts.saturating_sub(1).min(30);
    let whole = config.first_retry.0.saturating_mul(1 << doublings).min(config.longest_retry.0);
    let mut hasher = DefaultHasher::new();
    (&claim.id, claim.attempts).hash(&mut hasher);
    let spread = (whole / 2).saturating_add(1);
    Span(whole - whole / 4 + hasher.finish() % spread)
}
