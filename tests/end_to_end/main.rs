//! The daemon as its users run it: processes of their own that speak over loopback.
//!
//! Each test has an emulated Tsuru (`uguisu emulate`), a daemon (`uguisu run`) and, where it is about them, Debian's
//! `prometheus` and `prometheus-alertmanager`. What happened is read as a person would: with `uguisu show`, and from the
//! platform itself. Nothing is waited for by time alone: everything is asked for until it is so, or a deadline is over.
//!
//! A program that is not installed lets its tests be passed over with a word, unless `UGUISU_TEST_ALL` is set.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and says it"
)]

mod alerts;
mod alone;
mod bad_days;
mod harness;
mod records;
mod restarts;
mod rollouts;
mod strategies;
mod webhooks;
