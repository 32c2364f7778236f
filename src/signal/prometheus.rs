//! Samples from Prometheus, or what speaks like it: Thanos, Mimir, `VictoriaMetrics`.
//!
//! Counters are asked for by a range selector in an instant query, `http_requests_total{…}[90s]`: that gives the raw
//! points with the times at which they were scraped, where `rate()` and `increase()` would extrapolate and count events
//! twice in windows that overlap. Points that were used before are known by their times.
//!
//! Beside the counters, `up` and `process_start_time_seconds` are asked for: `up` tells that a unit was scraped though
//! it has no series of a counter yet, the other one that its counters began anew.

mod auth;
mod history;
mod wire;

pub(crate) use wire::check as check_answer;

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use reqwest::Client;

use super::config::{Labels, PrometheusConfig};
use super::http;
use super::increments::{Book, UnitSample};
use super::meter::{Counted, Meter, Needs};
use super::source::{Ask, Raw};
use crate::policy::selector::quoted;
use crate::words::{AppName, Arm, Arms, Span, Time};
use auth::Auth;
pub(super) use history::Past;
use wire::Series;

/// How many queries run at the same time.
const AT_ONCE: usize = 4;
/// The largest answer that is read, in bytes.
const LARGEST: usize = 32 << 20;
/// The shortest range that is asked for.
const SHORTEST: Span = Span::seconds(90);
/// The longest.
const LONGEST: Span = Span::minutes(60);
/// How much more than what is new is asked for: samples are stored some time after they were scraped.
const LAG: Span = Span::minutes(1);
/// What tells that a unit was scraped, and since when it runs.
const COMPANIONS: &str = "up|process_start_time_seconds";

/// A Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    client: Client,
    /// Without a slash at its end.
    url: String,
    auth: Auth,
    labels: Labels,
    /// Labels that every series must have, beside app and version.
    matchers: BTreeMap<String, String>,
    within: Span,
}

/// When units were scraped, and since when they run, as far as they tell.
type Scrapes = BTreeMap<(Arm, String), BTreeMap<Time, Option<Time>>>;

impl Prometheus {
    /// A client for the Prometheus that `config` describes.
    ///
    /// # Errors
    /// With what is wrong with the configuration or what it refers to.
    pub(super) fn new(config: &PrometheusConfig) -> Result<Self, String> {
        let mut builder = http::client().default_headers(auth::headers(&config.headers)?);
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_merge(auth::certificates(file)?);
        }
        Ok(Self {
            client: builder.build().map_err(|error| error.to_string())?,
            url: config.url.trim_end_matches('/').to_owned(),
            auth: Auth::new(config)?,
            labels: config.labels.clone(),
            matchers: config.matchers.clone(),
            within: config.timeout,
        })
    }

    /// Asks for what is new of each signal.
    pub(super) async fn gather(&self, ask: &Ask<'_>) -> Raw {
        let mut raw = Raw::default();
        let range = range(ask);
        // `up` first: what a scrape gave is stored together, so of a scrape that shows here all counters are there.
        let scrapes = match self.scrapes(ask, range).await {
            Ok(scrapes) => scrapes,
            Err(why) => {
                raw.fail(format!("Prometheus: {why}"));
                return raw;
            }
        };
        let scrapes = &scrapes;
        let asking = ask.meters.iter();
        let asking: Vec<_> = asking
            .map(|meter| async move { (meter, self.meter(meter, ask, range, scrapes).await) })
            .collect();
        let mut answers = futures_util::stream::iter(asking).buffered(AT_ONCE);
        while let Some((meter, answer)) = answers.next().await {
            let name = meter.name.clone();
            match answer {
                Ok(Gathered::Counters(samples)) => drop(raw.counters.insert(name, samples)),
                Ok(Gathered::Gauge(arms)) => drop(raw.gauges.insert(name, arms)),
                Err(why) => raw.fail(format!("signal `{name}`: Prometheus: {why}")),
            }
        }
        raw
    }

    async fn meter(
        &self,
        meter: &Meter,
        ask: &Ask<'_>,
        range: Span,
        scrapes: &Scrapes,
    ) -> Result<Gathered, String> {
        match &meter.needs {
            Needs::Counters(_, counters) => {
                let mut samples = empty_samples(ask, scrapes);
                for counted in counters {
                    for (arm, version) in ask.subject.arms() {
                        let selector = counted
                            .selector
                            .to_promql(&self.chosen(&ask.subject.app, &version.0.to_string()));
                        let series = self.points(&selector, range, ask.now).await?;
                        self.add(&mut samples, counted, arm, &series, ask);
                    }
                }
                let units = samples.into_values().map(|times| times.into_values().collect());
                Ok(Gathered::Counters(units.collect()))
            }
            Needs::Gauge { query, .. } => {
                let mut arms = Arms::default();
                for (arm, version) in ask.subject.arms() {
                    let series = self.query(&query.fill(&ask.subject.app, version, arm), ask.now).await?;
                    *arms.get_mut(arm) = Some(values(&series));
                }
                Ok(Gathered::Gauge(arms))
            }
        }
    }

    /// When the units of both arms were scraped.
    async fn scrapes(&self, ask: &Ask<'_>, range: Span) -> Result<Scrapes, String> {
        let mut scrapes = Scrapes::new();
        for (arm, version) in ask.subject.arms() {
            let version = version.0.to_string();
            let matchers = self.chosen(&ask.subject.app, &version).into_iter();
            let matchers: Vec<_> =
                matchers.map(|(label, value)| format!("{label}={}", quoted(value))).collect();
            let selector = format!("{{__name__=~\"{COMPANIONS}\",{}}}", matchers.join(","));
            for series in self.points(&selector, range, ask.now).await? {
                let times = scrapes.entry((arm, self.unit_of(&series))).or_default();
                let is_up = series.labels.get("__name__").is_some_and(|name| name == "up");
                for (at, value) in series.points {
                    if !is_up {
                        times.entry(at).or_default().get_or_insert(Time::from_seconds(value));
                    } else if value > 0.0 {
                        times.entry(at).or_default();
                    }
                }
            }
        }
        Ok(scrapes)
    }

    /// Adds a counter's points to the samples of the units.
    fn add(&self, samples: &mut Samples, counted: &Counted, arm: Arm, series: &[Series], ask: &Ask<'_>) {
        for series in series {
            let unit = self.unit_of(series);
            let Labels { app, version, unit: name } = &self.labels;
            let is_own =
                |label: &str| label != "__name__" && label != app && label != version && label != name;
            let labels = series.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
            let times = samples.entry((arm, unit.clone())).or_default();
            for (at, value) in &series.points {
                let Some(point) = counted.point(labels.clone().filter(|(l, _)| is_own(l)), *value) else {
                    break;
                };
                let sample = times.entry(*at).or_insert_with(|| sample(ask, arm, &unit, *at, None));
                sample.points.push(point);
            }
        }
    }

    /// The matchers that choose one version of an app.
    fn chosen<'a>(&'a self, app: &'a AppName, version: &'a str) -> Vec<(&'a str, &'a str)> {
        let own = [(self.labels.app.as_str(), app.0.as_str()), (self.labels.version.as_str(), version)];
        let more = self.matchers.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        own.into_iter().chain(more).collect()
    }

    fn unit_of(&self, series: &Series) -> String {
        series.labels.get(&self.labels.unit).cloned().unwrap_or_default()
    }

    /// The raw points of a selector in the `range` before `until`.
    async fn points(&self, selector: &str, range: Span, until: Time) -> Result<Vec<Series>, String> {
        self.query(&format!("{selector}[{range}]"), until).await
    }

    /// What an instant query gives at `at`.
    async fn query(&self, query: &str, at: Time) -> Result<Vec<Series>, String> {
        self.ask("query", &[("query", query), ("time", &seconds(at))]).await
    }

    async fn ask(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<Vec<Series>, String> {
        let request = self.client.post(format!("{}/api/v1/{endpoint}", self.url)).form(form);
        let request = self.auth.sign(request).await?;
        let answer = http::ask(request, LARGEST, self.within).await?;
        let (series, warnings) = wire::read(&answer)?;
        for warning in warnings {
            tracing::warn!(%warning, "Prometheus warns of an answer");
        }
        Ok(series)
    }
}

/// What one signal gave.
enum Gathered {
    Counters(Vec<Vec<UnitSample>>),
    Gauge(Arms<Option<BTreeMap<String, f64>>>),
}

/// A signal's samples by unit and time.
type Samples = BTreeMap<(Arm, String), BTreeMap<Time, UnitSample>>;

/// Samples without any series, one for each time that a unit was scraped.
fn empty_samples(ask: &Ask<'_>, scrapes: &Scrapes) -> Samples {
    let one =
        |arm, unit: &str, (at, started): (&Time, &Option<Time>)| (*at, sample(ask, arm, unit, *at, *started));
    let all = scrapes.iter();
    all.map(|((arm, unit), times)| {
        ((*arm, unit.clone()), times.iter().map(|time| one(*arm, unit, time)).collect())
    })
    .collect()
}

fn sample(ask: &Ask<'_>, arm: Arm, unit: &str, at: Time, started: Option<Time>) -> UnitSample {
    let born = ask.subject.unit(ask.observed, arm, unit).and_then(|unit| unit.created);
    UnitSample { unit: unit.to_owned(), arm, at, born, started, points: Vec::new() }
}

/// A gauge's values by the labels of their series; what is no number is left out.
fn values(series: &[Series]) -> BTreeMap<String, f64> {
    let last =
        |series: &Series| series.points.last().map(|(_, value)| *value).filter(|value| value.is_finite());
    let name = |series: &Series| format!("{:?}", series.labels);
    series.iter().filter_map(|series| Some((name(series), last(series)?))).collect()
}

/// How far back to ask: to the oldest sample that a book waits to go on from.
fn range(ask: &Ask<'_>) -> Span {
    let oldest = ask.books.values().filter_map(Book::oldest).min();
    let range = oldest.map_or(SHORTEST, |oldest| Span(ask.now.since(oldest).0 + LAG.0));
    range.clamp(SHORTEST, LONGEST)
}

/// A time as the API takes it.
fn seconds(time: Time) -> String {
    format!("{:.3}", time.seconds())
}

#[cfg(test)]
mod tests;
