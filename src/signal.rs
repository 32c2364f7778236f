//! Where samples come from, and how they become what the judge is shown.
//!
//! A [`Source`] is a Prometheus or the units themselves; [`SourceConfig`] describes it in the daemon's configuration. A
//! [`Gatherer`] belongs to one rollout: at each look it asks the source for raw counter samples, has [`increments`] make
//! exact increments of them, and gives one reading for each signal and arm. [`HealthBook`] and
//! [`UnitWatch`] say whether the canary's units are well at all. A [`Watcher`] knows what the baseline did before.

mod config;
pub mod exposition;
#[cfg(test)]
mod fakes;
mod gatherer;
mod health;
mod http;
pub mod increments;
mod meter;
mod prometheus;
mod scrape;
mod source;
mod watcher;

pub use config::{Labels, PrometheusConfig, ScrapeConfig, SourceConfig, SourceError};
pub use gatherer::{Gathered, Gatherer, GathererState};
pub use health::{
    Answer, Health, HealthBook, Probe, Prober, SmokeBook, SmokeFault, SmokeProbe, UnitLimits, UnitWatch,
};
pub use increments::Compare;
pub use meter::MeterError;
pub use prometheus::Prometheus;
pub(crate) use prometheus::check_answer;
pub use scrape::Scraper;
pub use source::{Source, Subject};
pub use watcher::Watcher;
