//! The journal and the outbox, in one SQLite file.
//!
//! The journal is the truth: a rollout's state is the fold of its events, and what is decided is in the journal
//! before it takes effect. [`Store::append`] writes everything that one decision means (events, a cached state, the
//! line of the listing, messages to receivers, cursors) in one transaction, and answers when it is on the disk.
//! Each append names the event that it follows, so that two writers can never both continue the same rollout.
//!
//! The daemon opens a [`Store`], which locks the data directory. Commands that only look open a [`Reader`], which
//! works beside a running daemon and without one.
//!
//! All calls take a moment as [`Time`](crate::words::Time); nothing here reads a clock.

mod append;
mod error;
mod open;
mod outbox;
mod quiet;
mod reader;
mod records;

pub use append::Store;
pub use error::StoreError;
pub use outbox::{Claim, Waiting};
pub use quiet::Quiet;
pub use reader::{Filter, Reader};
pub use records::{AppendBatch, Entry, Loaded, Message, MessageState, NewEvent, NewMessage, RolloutRow};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
