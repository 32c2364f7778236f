//! Samples from the units' own metrics pages: needs no Prometheus.
//!
//! All units of both arms are asked at once, each for itself. One that does not answer is reported and left out; what
//! that means for the slice is for the book to say.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use reqwest::Client;
use reqwest::header::ACCEPT;

use super::exposition::{self, Format, Sample};
use super::http;
use super::increments::{Point, UnitSample};
use super::meter::{Meter, Needs};
use super::source::{Ask, Raw};
use crate::policy::selector::SeriesSelector;
use crate::rollout::Unit;
use crate::words::{Arm, Arms, Span, Time};

/// How many units are asked at the same time.
const AT_ONCE: usize = 32;
/// The largest metrics page that is read, in bytes.
const LARGEST: usize = 16 << 20;
/// When a process started, in seconds; most client libraries tell.
const STARTED: &str = "process_start_time_seconds";
/// What a metrics page is asked to be.
const FORMATS: &str = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1";

/// A source that asks units.
#[derive(Debug, Clone)]
pub struct Scraper {
    client: Client,
    path: String,
    within: Span,
}

/// What one unit's page gave: its samples, or why there are none.
type Page<'a> = (Arm, &'a Unit, Result<Vec<Sample>, String>);

impl Scraper {
    /// A source that asks each unit for `path`, which begins with `/`, and waits for at most `within`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub(super) fn new(path: String, within: Span) -> Result<Self, String> {
        // Units are reached directly, never through a proxy that is meant for the world outside.
        let client = http::unit_client()?;
        Ok(Self { client, path, within })
    }

    /// Asks all units of the arms.
    pub(super) async fn gather(&self, ask: &Ask<'_>) -> Raw {
        let asking = ask.subject.units(ask.observed);
        let asking: Vec<_> =
            asking.map(|(arm, unit)| async move { (arm, unit, self.page(unit, ask).await) }).collect();
        let pages: Vec<Page<'_>> = futures_util::stream::iter(asking).buffered(AT_ONCE).collect().await;
        let mut raw = Raw::default();
        for (arm, unit, page) in &pages {
            match page {
                Ok(samples) => read_page(ask, *arm, unit, samples, &mut raw),
                // A unit that is not ready yet is not expected to answer.
                Err(_) if !unit.ready => {}
                Err(error) => raw.fail(format!("unit `{}` ({arm}): {error}", unit.name)),
            }
        }
        raw
    }

    async fn page(&self, unit: &Unit, ask: &Ask<'_>) -> Result<Vec<Sample>, String> {
        let address = unit.address.as_deref().ok_or("the platform tells no address")?;
        let request =
            self.client.get(format!("http://{address}{path}", path = self.path)).header(ACCEPT, FORMATS);
        let answer = http::ask(request, LARGEST, self.within).await.map_err(|why| self.about(&why))?;
        if !answer.status.is_success() {
            return Err(self.about(&format!("it answers with {}", answer.status)));
        }
        let read = || {
            let format = Format::of(answer.content_type.as_deref()).map_err(|error| error.to_string())?;
            let body = str::from_utf8(&answer.body).map_err(|_| "the answer is not UTF-8".to_owned())?;
            exposition::read(body, format, ask.now, |name, label| wanted(ask.meters, name, label))
                .map_err(|error| error.to_string())
        };
        read().map_err(|why| self.about(&why))
    }

    fn about(&self, why: &str) -> String {
        format!("{}: {why}", self.path)
    }
}

fn wanted<'a>(meters: &[Meter], name: &str, label: &dyn Fn(&str) -> Option<&'a str>) -> bool {
    name == STARTED
        || meters.iter().any(|meter| match &meter.needs {
            Needs::Counters(_, counters) => counters.iter().any(|c| c.selector.matches(name, label)),
            Needs::Gauge { on_unit, .. } => on_unit.as_ref().is_some_and(|s| s.matches(name, label)),
        })
}

/// Adds what one unit's page holds for each signal.
fn read_page(ask: &Ask<'_>, arm: Arm, unit: &Unit, samples: &[Sample], raw: &mut Raw) {
    let started = samples.iter().find(|s| s.name == STARTED).map(|s| Time::from_seconds(s.value));
    for meter in ask.meters {
        let result = match &meter.needs {
            Needs::Counters(..) => counters(meter, samples).map(|(points, at)| {
                let sample = UnitSample {
                    unit: unit.name.clone(),
                    arm,
                    at: at.filter(|at| *at <= ask.now).unwrap_or(ask.now),
                    born: unit.created,
                    started,
                    points,
                };
                raw.counters.entry(meter.name.clone()).or_default().push(vec![sample]);
            }),
            Needs::Gauge { on_unit, .. } => {
                let arms: &mut Arms<Option<BTreeMap<String, f64>>> =
                    raw.gauges.entry(meter.name.clone()).or_default();
                let values = arms.get_mut(arm).get_or_insert_default();
                gauge(on_unit.as_ref(), samples).map(|value| {
                    if let Some(value) = value {
                        values.insert(unit.name.clone(), value);
                    }
                })
            }
        };
        if let Err(why) = result {
            raw.fail(format!("signal `{}`, unit `{}`: {why}", meter.name, unit.name));
        }
    }
}

type Counters = (Vec<Point>, Option<Time>);

/// The series of a signal on a page, and the latest time that the page gives them, if it gives any.
fn counters(meter: &Meter, samples: &[Sample]) -> Result<Counters, String> {
    let Needs::Counters(_, counters) = &meter.needs else { return Ok(Counters::default()) };
    let (mut points, mut at) = (Vec::new(), None);
    let mut seen = BTreeSet::new();
    for counter in counters {
        let matching = |s: &&Sample| counter.selector.matches(&s.name, |label| s.label(label));
        for sample in samples.iter().filter(matching) {
            let labels = sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let Some(point) = counter.point(labels, sample.value) else { continue };
            if !seen.insert(point.key()) {
                return Err(format!("a series of `{}` stands there twice", sample.name));
            }
            points.push(point);
            at = at.max(Some(sample.at));
        }
    }
    Ok((points, at))
}

/// The value of a gauge on a page; nothing where it is not there, or is no number.
fn gauge(on_unit: Option<&SeriesSelector>, samples: &[Sample]) -> Result<Option<f64>, String> {
    let selector =
        on_unit.ok_or("only Prometheus can evaluate this query; a plain selector can be scraped")?;
    let mut matching = samples.iter().filter(|s| selector.matches(&s.name, |label| s.label(label)));
    let value = matching.next().map(|s| s.value).filter(|value| value.is_finite());
    if matching.next().is_some() {
        return Err(format!("several series match `{selector}`; a gauge is one value for each unit"));
    }
    Ok(value)
}
