//! Policy files: what an SRE writes in `rules/`.
//!
//! [`read`] turns the text of a file into a [`Policy`], or into findings with line, column, caret and what to write
//! instead. [`PolicySet`] holds the policies that are in force and says which of them is for an app. A policy's
//! counters are [`selector::SeriesSelector`]s and its gauges [`query::GaugeQuery`]s; both are checked here, so reading
//! them again from a policy does not fail.

mod builtin;
mod describe;
mod diagnostic;
mod file;
mod kayenta;
mod model;
mod nearest;
mod places;
pub mod query;
mod read;
mod resolve;
mod schema;
pub mod selector;
mod set;
mod strategy;

pub(crate) use describe::rate_floor;
pub use describe::{Part, describe};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use kayenta::{Judging, KAYENTA_SAMPLES, Kayenta, Metric};
pub use model::{
    Actions, AlertRule, Autoscale, Budget, Counter, Direction, GaugeForm, HealthCheck, Hold, Measure, Mode,
    Policy, Reaction, Selector, Signal, SmokeCheck,
};
pub use places::Places;
pub use read::{Reading, read};
pub use schema::schema;
pub use set::{PolicySet, glob};
pub use strategy::{Bake, BlueGreen, Canary, Capacity, MultiVersion, Rolling, Strategy};

pub(crate) use nearest::nearest;
