//! What a baseline did before its rollout, from what Prometheus kept.

use std::collections::BTreeMap;

use super::{Gathered, Prometheus, seconds};
use crate::judge::{Look, Reading};
use crate::policy::query::GaugeQuery;
use crate::rollout::Observed;
use crate::signal::gatherer::values;
use crate::signal::increments::{Book, Compare, UnitSample};
use crate::signal::meter::{Meter, Needs};
use crate::signal::source::{Ask, Subject};
use crate::words::{Arm, Arms, Span, Time};

/// How much is asked for at once: raw points are many.
const CHUNK: Span = Span::minutes(10);

/// The looks of the past that are asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::signal) struct Past {
    /// The end of the last look.
    pub(in crate::signal) until: Time,
    /// The time between two looks; above zero.
    pub(in crate::signal) every: Span,
    /// How many looks.
    pub(in crate::signal) looks: u32,
}

impl Past {
    fn start(&self) -> Time {
        self.until - Span(self.every.0 * u64::from(self.looks))
    }

    /// The look in which something at `at` was seen first.
    fn look_of(&self, at: Time) -> u64 {
        at.since(self.start()).0.div_ceil(self.every.0)
    }

    fn end_of(&self, look: u64) -> Time {
        self.start() + Span(self.every.0 * look)
    }
}

/// By look, what each signal gave.
type Readings = BTreeMap<u64, BTreeMap<String, Arms<Option<Reading>>>>;

impl Prometheus {
    /// The looks at the baseline of `subject` alone, oldest first, and what went wrong. A signal that fails is left out.
    pub(in crate::signal) async fn history(
        &self,
        subject: &Subject,
        meters: &[Meter],
        past: Past,
    ) -> (Vec<Look>, Vec<String>) {
        let mut readings = Readings::new();
        let mut notes = Vec::new();
        for meter in meters {
            let read = match &meter.needs {
                Needs::Counters(..) => self.past_counts(subject, meter, past, &mut readings).await,
                Needs::Gauge { query, .. } => {
                    self.past_values(subject, &meter.name, query, past, &mut readings).await
                }
            };
            if let Err(why) = read {
                notes.push(format!("history of signal `{}`: Prometheus: {why}", meter.name));
            }
        }
        let looks = readings.into_iter().map(|(look, signals)| {
            let at = past.end_of(look).seconds();
            Look { at, share: None, signals }
        });
        (looks.collect(), notes)
    }

    async fn past_counts(
        &self,
        subject: &Subject,
        meter: &Meter,
        past: Past,
        readings: &mut Readings,
    ) -> Result<(), String> {
        let Needs::Counters(kind, _) = meter.needs else { return Ok(()) };
        // No unit is known to be made since then, so each one's first sample is its anchor.
        let mut book = Book::new(kind, Compare::Only(Arm::Baseline), Time(i64::MAX), past.every);
        let none = BTreeMap::new();
        let observed = Observed {
            at: past.until,
            units: [].into(),
            autoscaled: Vec::new(),
            quota_left: None,
            gaps: Vec::new(),
        };
        let mut begins = past.start();
        while begins < past.until {
            let ends = past.until.min(begins + CHUNK);
            let ask = Ask { subject, meters: &[], books: &none, observed: &observed, now: ends };
            let range = ends.since(begins);
            let scrapes = self.scrapes(&ask, range).await?;
            let Gathered::Counters(units) = self.meter(meter, &ask, range, &scrapes).await? else { break };
            let mut by_look: BTreeMap<u64, BTreeMap<String, Vec<UnitSample>>> = BTreeMap::new();
            for sample in units.into_iter().flatten() {
                let units = by_look.entry(past.look_of(sample.at)).or_default();
                units.entry(sample.unit.clone()).or_default().push(sample);
            }
            for (look, units) in by_look {
                for samples in units.into_values() {
                    book.take_series(samples, ends)?;
                }
                let closed = book.close().readings;
                if closed.baseline.as_ref().is_some_and(is_something) {
                    readings.entry(look).or_default().insert(meter.name.clone(), closed);
                }
            }
            begins = ends;
        }
        Ok(())
    }

    async fn past_values(
        &self,
        subject: &Subject,
        name: &str,
        query: &GaugeQuery,
        past: Past,
        readings: &mut Readings,
    ) -> Result<(), String> {
        let Some((_, version)) = subject.arms().find(|(arm, _)| *arm == Arm::Baseline) else { return Ok(()) };
        let query = query.fill(&subject.app, version, Arm::Baseline);
        let (start, end) = (seconds(past.end_of(1)), seconds(past.until));
        let step = past.every.as_seconds().to_string();
        let form = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", &step)];
        let mut by_look: BTreeMap<u64, BTreeMap<String, f64>> = BTreeMap::new();
        for series in self.ask("query_range", &form).await? {
            let unit = format!("{:?}", series.labels);
            for (at, value) in series.points.iter().filter(|(_, value)| value.is_finite()) {
                by_look.entry(past.look_of(*at)).or_default().insert(unit.clone(), *value);
            }
        }
        for (look, units) in by_look {
            let arms = Arms { baseline: values(Some(units)), canary: None };
            readings.entry(look).or_default().insert(name.to_owned(), arms);
        }
        Ok(())
    }
}

/// Whether there was anything to count. A look that is not complete yet has nothing.
fn is_something(reading: &Reading) -> bool {
    match reading {
        Reading::Counts { total, .. } | Reading::Histogram { total, .. } => *total > 0.0,
        Reading::Values(values) => !values.is_empty(),
    }
}
