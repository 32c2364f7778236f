//! What a policy's signals need to be asked of a source.

use super::increments::{Kind, Point, Role, series_id};
use crate::policy::query::GaugeQuery;
use crate::policy::selector::SeriesSelector;
use crate::policy::{Measure, Signal};

/// One signal, as a source sees it.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    /// The signal's name.
    pub(super) name: String,
    pub(super) needs: Needs,
}

/// What a signal needs.
#[derive(Debug, Clone)]
pub(super) enum Needs {
    /// Raw samples of counters.
    Counters(Kind, Vec<Counted>),
    /// The value of each unit now.
    Gauge {
        /// What Prometheus is asked.
        query: GaugeQuery,
        /// What is taken from a unit's own metrics; nothing where only Prometheus can tell.
        on_unit: Option<SeriesSelector>,
    },
}

/// The series of one counter.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    part: Part,
    pub(super) selector: SeriesSelector,
}

/// What a counter is to its signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Events,
    Total,
    Buckets,
}

/// The label that holds a bucket's bound.
const BOUND: &str = "le";

/// A policy that was not checked: a signal's selector or query cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signal `{signal}`: {problem}")]
pub struct MeterError {
    /// The signal.
    pub signal: String,
    /// What is wrong.
    pub problem: String,
}

impl Meter {
    /// What `signal` needs.
    pub(super) fn new(signal: &Signal) -> Result<Self, MeterError> {
        let wrong = |problem: crate::policy::selector::SelectorError| MeterError {
            signal: signal.name.clone(),
            problem: problem.to_string(),
        };
        let counted = |part, text: &str| {
            let selector = SeriesSelector::parse(text).map_err(wrong)?;
            let selector = if part == Part::Buckets { selector.with_suffix("_bucket") } else { selector };
            Ok(Counted { part, selector })
        };
        let needs = match &signal.measure {
            Measure::Ratio { events, total, .. } => Needs::Counters(
                Kind::Ratio,
                vec![counted(Part::Events, &events.0)?, counted(Part::Total, &total.0)?],
            ),
            Measure::Rate { events, .. } => {
                Needs::Counters(Kind::Rate, vec![counted(Part::Events, &events.0)?])
            }
            Measure::Latency { histogram, .. } => {
                Needs::Counters(Kind::Latency, vec![counted(Part::Buckets, &histogram.0)?])
            }
            Measure::Gauge { query, .. } => {
                let query = GaugeQuery::parse(query).map_err(wrong)?;
                Needs::Gauge { on_unit: query.on_unit(), query }
            }
        };
        Ok(Self { name: signal.name.clone(), needs })
    }

    /// The counter without which the signal is silent, as text for a person.
    pub(super) fn main_counter(&self) -> String {
        match &self.needs {
            Needs::Counters(_, counted) => counted.last().map(|c| c.selector.to_string()).unwrap_or_default(),
            Needs::Gauge { .. } => String::new(),
        }
    }
}

impl Counted {
    /// One of its series' values as a point; nothing where a bucket has no bound that can be read. `labels` are sorted
    /// by name, without those that name app, version and unit.
    pub(super) fn point<'a>(
        &self,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        value: f64,
    ) -> Option<Point> {
        let role = match self.part {
            Part::Events => Role::Events,
            Part::Total => Role::Total,
            Part::Buckets => {
                let (_, bound) = labels.clone().find(|(name, _)| *name == BOUND)?;
                Role::Bucket(bound.parse().ok().filter(|le: &f64| !le.is_nan())?)
            }
        };
        let is_bound = |name: &str| self.part == Part::Buckets && name == BOUND;
        Some(Point { role, series: series_id(labels.filter(|(name, _)| !is_bound(name))), value })
    }
}
