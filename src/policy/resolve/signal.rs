//! What a signal of the file means.

use std::ops::Range;

use super::kayenta;
use super::resolver::Resolver;
use crate::policy::builtin::{self, Builtin};
use crate::policy::file::choice::either;
use crate::policy::file::scalar::{Floor, Text};
use crate::policy::file::value::Field;
use crate::policy::file::{self, File, MOST_RULES};
use crate::policy::query::GaugeQuery;
use crate::policy::selector::SeriesSelector;
use crate::policy::{Counter, Direction, GaugeForm, Measure, Signal};

/// Labels by which the source tells apps, versions and units apart; a counter that fixes one hides an arm.
const SOURCE_LABELS: [&str; 7] = ["app", "app_name", "version", "app_version", "instance", "pod", "unit"];
/// How the names of counters end.
const COUNTER_ENDINGS: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];
const FLOOR: f64 = 0.0005;
const MIN_EVENTS: u32 = 5;
/// The largest floor of a rate, in events of a unit a second.
const LARGEST_RATE: f64 = 1e6;

/// The largest floor of a gauge.
const LARGEST_VALUE: f64 = 1e18;

/// Of a floor as high as this, or so many events, hardly anybody can mean what it says.
const HIGH_FLOOR: f64 = 0.1;
const MANY_EVENTS: u32 = 1000;
/// Likewise of a margin above this.
const WIDE_MARGIN: f64 = 4.0;
const MARGIN: f64 = 0.1;
const GAUGE_MARGIN: f64 = 0.2;
const GAUGE_WEIGHT: f64 = 0.5;

/// The kinds of signals, by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ratio,
    Rate,
    Latency,
    Gauge,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Rate => "rate",
            Self::Latency => "latency",
            Self::Gauge => "gauge",
        }
    }
}

impl From<Builtin> for Kind {
    fn from(builtin: Builtin) -> Self {
        match builtin {
            Builtin::HttpErrors => Self::Ratio,
            Builtin::HttpLatency => Self::Latency,
            Builtin::Memory => Self::Gauge,
        }
    }
}

impl Resolver<'_> {
    pub(super) fn signals(&mut self, file: &File) -> Vec<Signal> {
        if file.signals.value.is_empty() {
            let at = &file.policy.at;
            if file.health.value.is_empty() && file.alerts.value.is_empty() {
                let help = "add `signals: [{ use: http-errors }]`, or `health:` or `alerts:`";
                self.error(at, "this policy watches nothing", help);
            } else {
                let help = "add `signals: [{ use: http-errors }]` to compare the canary with its baseline";
                self.warn(at, "this policy compares nothing: steps pass by time alone", help);
            }
        }
        let mut signals: Vec<Signal> = Vec::new();
        for signal in self.list(&file.signals, MOST_RULES) {
            let Some(read) = self.signal(&signal.value, &signal.at) else { continue };
            if signals.iter().any(|other| other.name == read.name) {
                let at = signal.value.name.as_ref().map(|name| &name.at);
                let at = at.or(signal.value.r#use.as_ref().map(|r#use| &r#use.at)).unwrap_or(&signal.at);
                self.error(
                    at,
                    format!("two signals are called `{}`", read.name),
                    "give this one another `name`",
                );
            }
            signals.push(read);
        }
        let all_read = signals.len() == file.signals.value.len();
        // What gates is decided elsewhere where Kayenta's judge is asked.
        if all_read
            && !kayenta::is_asked(file)
            && !signals.is_empty()
            && signals.iter().all(|signal| !signal.gates)
        {
            let help = "let one signal gate with `gates: true`";
            self.warn(
                &file.policy.at,
                "no signal gates: steps pass by time alone unless harm is shown",
                help,
            );
        }
        signals
    }

    fn signal(&mut self, signal: &file::Signal, at: &Range<usize>) -> Option<Signal> {
        // Everything is looked at before anything is given up, so that all faults are told.
        let kind = self.kind(signal, at);
        let name = self.name(signal, at);
        let gauge = kind == Some(Kind::Gauge);
        let margin = self.margin(signal, gauge);
        let prove_within = self.prove_within(signal, margin);
        let weight = signal.weight.as_ref().and_then(|field| self.get(field)).map(|weight| weight.0);
        let critical = self.or(signal.critical.as_ref(), false);
        let gates = self.or(signal.gates.as_ref(), !gauge);
        let measure = self.measure(signal, kind?, at);
        let weight = weight.unwrap_or(if gauge { GAUGE_WEIGHT } else { 1.0 });
        Some(Signal { name: name?, measure: measure?, margin, prove_within, weight, critical, gates })
    }

    fn name(&mut self, signal: &file::Signal, at: &Range<usize>) -> Option<String> {
        match (signal.name.as_ref(), signal.r#use.as_ref()) {
            (Some(name), _) => self.get(name).map(|name| name.0.clone()),
            (None, Some(r#use)) => Some(r#use.text.clone()),
            (None, None) => {
                self.error(at, "this signal has no name", "add `name:`; it stands in reports and reasons");
                None
            }
        }
    }

    fn margin(&mut self, signal: &file::Signal, gauge: bool) -> f64 {
        let margin = signal.margin.as_ref().and_then(|field| self.change(field));
        if let Some(field) = signal.margin.as_ref().filter(|_| margin == Some(0.0)) {
            let help = "leave room for what harms nobody, as in `+10%`";
            self.warn(&field.at, "without a margin the smallest difference is harm", help);
        }
        if let Some((field, margin)) =
            signal.margin.as_ref().zip(margin).filter(|(_, margin)| *margin > WIDE_MARGIN)
        {
            let message =
                format!("with this margin a canary {} times as bad is good enough", (1.0 + margin).round());
            self.warn(&field.at, message, "write how much worse harms nobody, as in `+10%`");
        }
        margin.unwrap_or(if gauge { GAUGE_MARGIN } else { MARGIN })
    }

    fn measure(&mut self, signal: &file::Signal, kind: Kind, at: &Range<usize>) -> Option<Measure> {
        self.foreign_keys(signal, kind);
        match kind {
            Kind::Ratio => self.ratio(signal, at),
            Kind::Rate => self.rate(signal),
            Kind::Latency => self.latency(signal),
            Kind::Gauge => self.gauge(signal),
        }
    }

    /// The kind, by whichever of the keys is given.
    fn kind(&mut self, signal: &file::Signal, at: &Range<usize>) -> Option<Kind> {
        let own = match signal.r#use.as_ref() {
            Some(field) => Some(Kind::from(*self.get(field)?)),
            None => None,
        };
        let given: Vec<Kind> = [
            (Kind::Ratio, signal.ratio.is_some()),
            (Kind::Rate, signal.rate.is_some()),
            (Kind::Latency, signal.latency.is_some()),
            (Kind::Gauge, signal.gauge.is_some()),
        ]
        .into_iter()
        .filter_map(|(kind, given)| given.then_some(kind))
        .collect();
        match (given.as_slice(), own) {
            ([], Some(own)) => Some(own),
            ([kind], Some(own)) if *kind == own => Some(own),
            ([kind], None) => Some(*kind),
            ([], None) => {
                let keys = either(&["use", "ratio", "rate", "latency", "gauge"]);
                self.error(at, "it is not said what this signal measures", format!("add {keys}"));
                None
            }
            (_, Some(own)) => {
                let (name, key) = (signal.r#use.as_ref().map_or("", |field| &field.text), own.key());
                let message = format!("`{name}` is a {key}; another kind does not go with it");
                self.error(at, message, "write one signal for each");
                None
            }
            (kinds, None) => {
                let keys: Vec<&str> = kinds.iter().map(|kind| kind.key()).collect();
                let message = format!("one signal has one kind, not {}", keys.join(" and "));
                self.error(at, message, "write one signal for each");
                None
            }
        }
    }

    /// Refuses keys that mean nothing for the kind.
    fn foreign_keys(&mut self, signal: &file::Signal, kind: Kind) {
        let over = signal.over.is_some();
        let keys: [(&str, Option<&Range<usize>>, bool, &str); 6] = [
            (
                "limit",
                signal.limit.as_ref().map(|f| &f.at),
                kind == Kind::Ratio || (kind == Kind::Latency && over),
                "for `ratio`, and for `latency` with `over`",
            ),
            (
                "floor",
                signal.floor.as_ref().map(|f| &f.at),
                kind != Kind::Latency,
                "for `ratio`, `rate` and `gauge`",
            ),
            ("min_events", signal.min_events.as_ref().map(|f| &f.at), kind == Kind::Ratio, "for `ratio`"),
            ("over", signal.over.as_ref().map(|f| &f.at), kind == Kind::Latency, "for `latency`"),
            ("worse", signal.worse.as_ref().map(|f| &f.at), kind == Kind::Gauge, "for `gauge`"),
            ("form", signal.form.as_ref().map(|f| &f.at), kind == Kind::Gauge, "for `gauge`"),
        ];
        for (key, at, belongs, to) in keys {
            if let Some(at) = at.filter(|_| !belongs) {
                let message = format!("`{key}` means nothing for this {}", kind.key());
                self.error(at, message, format!("it is {to}; leave it out"));
            }
        }
    }

    fn prove_within(&mut self, signal: &file::Signal, margin: f64) -> Option<f64> {
        let field = signal.prove_within.as_ref()?;
        let change = self.change(field)?;
        if change <= margin {
            self.error(
                &field.at,
                "this is not above the margin, so it could not be proven of a canary that is good enough",
                format!("write more than `+{:.0}%`", margin * 100.0),
            );
        }
        Some(1.0 + change)
    }

    fn ratio(&mut self, signal: &file::Signal, at: &Range<usize>) -> Option<Measure> {
        let given = signal.ratio.as_ref();
        let events = given.and_then(|ratio| ratio.events.as_ref());
        let total = given.and_then(|ratio| ratio.total.as_ref());
        if signal.r#use.is_none() && (events.is_none() || total.is_none()) {
            let help = "a ratio is `{ events: <counter of bad events>, total: <counter of all events> }`";
            self.error(at, "a ratio needs two counters", help);
        }
        let counters = (self.counter_or(events, builtin::ERRORS), self.counter_or(total, builtin::REQUESTS));
        let limit = signal.limit.as_ref().map(|field| self.share(Some(field), 0.5, 1.0));
        let floor = self.floor_of_ratio(signal);
        if let Some(field) = signal.limit.as_ref().filter(|_| limit.is_some_and(|limit| limit < floor)) {
            let message = "the limit lies below the floor, under which nobody is harmed";
            self.error(&field.at, message, "raise the limit, or lower `floor`");
        }
        if let Some(field) = signal.floor.as_ref().filter(|_| floor >= HIGH_FLOOR) {
            let message = "no traffic shows harm below this floor, even if that many requests fail";
            self.warn(&field.at, message, "a floor is for what harms nobody, as `0.05%`; leave it out");
        }
        let min_events = signal.min_events.as_ref().and_then(|n| self.get(n)).map_or(MIN_EVENTS, |n| n.0);
        if let Some(field) = signal.min_events.as_ref().filter(|_| min_events > MANY_EVENTS) {
            let message = format!("{min_events} requests must fail before anything is called harmful");
            self.warn(&field.at, message, "the statistics ask for no such number; `5` is usual");
        }
        let (events_read, total_read) = (counters.0?, counters.1?);
        if events_read.to_string() == total_read.to_string() {
            let at = events.or(total).map_or(at, |field| &field.at);
            let help = "narrow `events` to the bad ones, as in `{code=~\"5..\"}`";
            self.error(at, "bad events and all events are the same counter", help);
        }
        Some(Measure::Ratio {
            events: Counter(events_read.to_string()),
            total: Counter(total_read.to_string()),
            floor,
            min_events,
            limit: limit.and_then(crate::words::Share::new),
        })
    }

    fn rate(&mut self, signal: &file::Signal) -> Option<Measure> {
        let events = self.counter(signal.rate.as_ref()?)?;
        let floor = match signal.floor.as_ref().map(|field| (field, self.get(field).copied())) {
            None | Some((_, None)) => 0.0,
            Some((_, Some(Floor::Rate(floor)))) if floor > 0.0 && floor <= LARGEST_RATE => floor,
            Some((field, Some(_))) => {
                let message = "a rate's floor is a number of events of a unit in a time";
                self.error(
                    &field.at,
                    message,
                    "write it like `2/h`, more than nothing and up to a million a second, or leave it out",
                );
                0.0
            }
        };
        Some(Measure::Rate { events: Counter(events.to_string()), floor })
    }

    fn floor_of_ratio(&mut self, signal: &file::Signal) -> f64 {
        let Some(field) = signal.floor.as_ref() else { return FLOOR };
        match self.get(field).copied() {
            None => FLOOR,
            Some(Floor::Share(share)) => self.within(share, &field.at, 1.0).unwrap_or(FLOOR),
            Some(Floor::Rate(_) | Floor::Value(_)) => {
                let message = "a ratio's floor is a share of all events";
                self.error(&field.at, message, "write it like `0.05%`");
                FLOOR
            }
        }
    }

    fn latency(&mut self, signal: &file::Signal) -> Option<Measure> {
        let histogram = match signal.latency.as_ref() {
            Some(field) => self.histogram(field)?,
            None => SeriesSelector::parse(builtin::DURATIONS).ok()?,
        };
        let over = match signal.over.as_ref() {
            Some(field) => {
                let within = crate::words::Span(1)..=crate::words::Span::minutes(60);
                Some(self.span(Some(field), *within.start(), within).as_seconds())
            }
            None => None,
        };
        let limit = signal.limit.as_ref().map(|field| self.share(Some(field), 0.5, 1.0));
        Some(Measure::Latency {
            histogram: Counter(histogram.to_string()),
            over,
            limit: limit.and_then(crate::words::Share::new),
        })
    }

    fn gauge(&mut self, signal: &file::Signal) -> Option<Measure> {
        let query = match signal.gauge.as_ref() {
            None => builtin::MEMORY.to_owned(),
            Some(field) => {
                let text = &self.get(field)?.0;
                match GaugeQuery::parse(text) {
                    Ok(query) => {
                        if !query.names_app() {
                            let help = "select the app too, as in `{app=\"{{ app }}\"}`";
                            self.warn(&field.at, "versions of other apps may have the same number", help);
                        }
                        text.clone()
                    }
                    Err(error) => {
                        self.selector_error(field, &error);
                        return None;
                    }
                }
            }
        };
        let worse = self.or(signal.worse.as_ref(), Direction::Up);
        Some(Measure::Gauge {
            query,
            worse,
            form: self.or(signal.form.as_ref(), GaugeForm::Strict),
            floor: self.floor_of_gauge(signal, worse),
        })
    }

    fn floor_of_gauge(&mut self, signal: &file::Signal, worse: Direction) -> Option<f64> {
        let field = signal.floor.as_ref()?;
        let floor = self.get(field).copied()?;
        if worse == Direction::Down {
            let message = "a floor says how little harms nobody, and of this gauge less is worse";
            self.error(&field.at, message, "leave it out");
            return None;
        }
        match floor {
            Floor::Value(value) if value > 0.0 && value <= LARGEST_VALUE => Some(value),
            _ => {
                let message = "a gauge's floor is a value of a unit, more than 0";
                self.error(&field.at, message, "write it like `50`: up to so much harms nobody");
                None
            }
        }
    }

    fn counter_or(&mut self, field: Option<&Field<Text>>, default: &str) -> Option<SeriesSelector> {
        match field {
            Some(field) => self.counter(field),
            None => SeriesSelector::parse(default).ok(),
        }
    }

    fn counter(&mut self, field: &Field<Text>) -> Option<SeriesSelector> {
        let selector = self.series(field)?;
        if !COUNTER_ENDINGS.iter().any(|ending| selector.name().ends_with(ending)) {
            let message = format!("`{}` is not called like a counter", selector.name());
            self.warn(
                &field.at,
                message,
                "counters end in `_total` or `_count`; of other metrics nothing can be counted",
            );
        }
        Some(selector)
    }

    fn histogram(&mut self, field: &Field<Text>) -> Option<SeriesSelector> {
        let selector = self.series(field)?;
        let suffix =
            ["_bucket", "_count", "_sum"].into_iter().find(|suffix| selector.name().ends_with(suffix));
        if let Some(suffix) = suffix {
            let base = selector.name().trim_end_matches(suffix);
            let message = format!("a histogram is named without `{suffix}`");
            self.error(&field.at, message, format!("write `{base}`"));
        }
        if let Some(matcher) = selector.matchers().iter().find(|matcher| matcher.label() == "le") {
            let at = self.inside(field, &matcher.span());
            self.error(
                &at,
                "all buckets of the histogram are read",
                "leave `le` out; a threshold is `over: 300ms`",
            );
        }
        Some(selector)
    }

    fn series(&mut self, field: &Field<Text>) -> Option<SeriesSelector> {
        let selector = match SeriesSelector::parse(&self.get(field)?.0) {
            Ok(selector) => selector,
            Err(error) => {
                self.selector_error(field, &error);
                return None;
            }
        };
        for matcher in selector.matchers().iter().filter(|m| SOURCE_LABELS.contains(&m.label())) {
            let at = self.inside(field, &matcher.span());
            let message = format!("`{}` is added for each arm by itself", matcher.label());
            self.error(&at, message, "leave it out");
        }
        Some(selector)
    }
}
