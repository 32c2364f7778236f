//! The journal and the outbox.
