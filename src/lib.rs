//! Uguisu watches every rollout of a Tsuru install, compares the new version (canary) with the one it replaces
//! (baseline), promotes the good ones and rolls the bad ones back. It states beforehand how often it may be wrong
//! and shows afterwards why it decided.
//!
//! # The map
//!
//! A functional core without I/O, and a shell around it that does all of it. Data flows one way:
//!
//! ```text
//! source ──samples──▶ evidence ──▶ verdict ──▶ decision ──events──▶ journal ──▶ platform
//! (signal)            (stats)      (judge)     (rollout)            (store)     (platform)
//! ```
//!
//! | module | what lives there | may use |
//! | --- | --- | --- |
//! | [`words`] | the words that every part shares: app, version, share, budget, durations | std |
//! | [`stats`] | pure numerics: e-processes, confidence sequences, noise, power; knows no rollout | std, statrs |
//! | [`policy`] | policy files: model, reading with line and column, checks, JSON Schema | core |
//! | [`judge`] | looks → evidence → outcome → verdict, score, explanation in words and numbers | stats, policy |
//! | [`rollout`] | the state machine: state, events, `decide`, the plan of a strategy, the desired traffic | judge, policy |
//! | [`signal`] | sources: Prometheus, direct scrape, probes; counters to exact increments | shell |
//! | [`platform`] | what a rollout acts on: Tsuru | shell |
//! | [`rules`] | the policy files on disk: loading, hot reload, the set in force | policy |
//! | [`store`] | the journal and the outbox, in SQLite | shell |
//! | [`engine`] | the loop that runs rollouts: discovery, looks, acts, restart, shutdown | all |
//! | [`notify`] | webhooks out: signing, retries | shell |
//! | [`web`] | webhooks in, health, metrics | engine, store |
//! | [`simulate`] | simulated rollouts through the judge, to hold it against its promises | core, rand |
//! | [`demo`] | an emulated Tsuru, a toy app in several versions and a load generator | engine |
//! | [`inputs`] | what strangers send, and what must be true of every answer; for tests, hidden from these pages | all |
//! | [`config`] | the daemon's configuration | all |
//! | [`cli`] | one file a subcommand | all |
//!
//! # Invariants
//!
//! * `words`, `stats`, `policy`, `judge` and `rollout` are the core: no I/O, no clock, no randomness, no async.
//!   `tests/house.rs` holds that. Time reaches them as a number.
//! * Every act on a platform is the difference between a desired and an observed state, so doing it twice, crashing
//!   in the middle, or finding it done already are the same.
//! * What is decided is in the journal before it takes effect.
//! * Absence of data never promotes and never rolls back by itself.

pub mod words;

pub mod stats;

pub mod policy;

pub mod judge;

pub mod rollout;

pub mod signal;

pub mod platform;

pub mod rules;

pub mod store;

pub mod engine;

pub mod notify;

pub mod web;

pub mod simulate;

pub mod demo;

// Hidden: nobody builds on it. Public: the fuzz targets are a crate of their own and see nothing else.
#[doc(hidden)]
pub mod inputs;

pub mod config;

pub mod cli;
