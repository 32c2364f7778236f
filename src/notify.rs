//! Webhooks out: who is told what happens, and that it reaches them.
//!
//! [`messages`] makes the messages that tell of a rollout's events. They go into the outbox in the journal's own
//! transaction, so that nothing is told that did not happen, and nothing that happened goes untold. [`deliver`] sends
//! them until the receiver accepts each or it is given up, also over restarts. A message keeps its id at each attempt
//! and may arrive twice (an answer can get lost), so receivers sort out doubles by the id. Messages of a rollout
//! usually arrive in order, but a retried one arrives late; `timestamp` says when its event was.
//!
//! # The request
//!
//! A `POST` of JSON with the headers of [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`,
//! `webhook-timestamp` (seconds, of this attempt), and `webhook-signature`: `v1,` and the Base64 of the HMAC-SHA256
//! of `id.timestamp.body` under the receiver's secret. Any answer from 200 to 299 accepts it, 410 declines it for
//! good, and anything else means "again later"; redirects are not followed.
//!
//! The body is a [`News`]: `type` is `rollout.started`, `rollout.finished` or `person.needed`.

mod attempt;
mod config;
mod deliver;
mod news;
mod secret;
mod sign;

pub use config::{ConfigError, DeliveryConfig, ReceiverConfig, Receivers};
pub use deliver::deliver;
pub use news::{Data, News, NewsKind, messages};
pub(crate) use secret::read_secret;
pub use sign::Signer;

#[cfg(test)]
mod tests;
