//! Policy files: what an SRE writes in `rules/`.

mod model;
pub mod selector;

pub use model::{
    Actions, AlertRule, Bake, Budget, Canary, Capacity, Counter, Direction, GaugeForm, HealthCheck, Hold,
    Measure, Mode, Policy, Reaction, Selector, Signal, Strategy,
};
