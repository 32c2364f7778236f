//! Reads what a unit's `/metrics` answers: the Prometheus text format and OpenMetrics.
//!
//! `prometheus-parse` reads the values, but never sees a line as it came: on its own it drops a sample whose label
//! value holds `}`, a label whose value holds `=`, names with `:`, and every line that it does not understand, all
//! without a word. So each line is first taken apart here, checked, filtered by what is wanted, and handed on in
//! a form that the library cannot misread. A body with a wrong line is refused as a whole, as Prometheus does: part of
//! the counters would look like a unit that counts less.

mod line;
mod plain;

use std::time::{Duration, SystemTime};

use crate::words::Time;
use line::{Line, RawLabel, RawSample};

/// One series' value in an exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// The labels by name, sorted; none with an empty value, which is the same as not being there.
    pub labels: Vec<(String, String)>,
    /// The value; any float.
    pub value: f64,
    /// The time that the exposition gives it, else the time of the scrape.
    pub at: Time,
}

impl Sample {
    /// The value of the label `name`; nothing where the series has none.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// The two formats. They differ in how they tell time and how they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format: times in milliseconds; ends with a line's end.
    Text,
    /// OpenMetrics: times in seconds; ends with `# EOF`.
    OpenMetrics,
}

/// Why an exposition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionError {
    /// The answer is of a type that holds no metrics in text.
    #[error("it answers with `{0}`, not with metrics in the Prometheus text format")]
    ContentType(String),
    /// There is nothing in it.
    #[error("it answers with nothing")]
    Empty,
    /// It does not end as it should.
    #[error("the answer is cut short after line {lines}")]
    CutShort {
        /// How many lines there are.
        lines: usize,
    },
    /// A line cannot be read.
    #[error("line {line}: {problem}: `{excerpt}`")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
        /// How it begins.
        excerpt: String,
    },
}

impl Format {
    /// The format that a `Content-Type` header stands for. Without one, and for types that say nothing, text.
    ///
    /// # Errors
    /// Where the type holds no metrics in text.
    pub fn of(content_type: Option<&str>) -> Result<Self, ExpositionError> {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            "" | "text/plain" | "application/octet-stream" => Ok(Self::Text),
            other => Err(ExpositionError::ContentType(other.chars().take(80).collect())),
        }
    }
}

/// Reads the samples of `body` that `wanted` wants, in their order.
///
/// `wanted` is given a metric's name and a way to ask for a label's value; nothing is kept of a series that it refuses.
/// `scraped` is the time of samples that have none of their own.
///
/// # Errors
/// Where any line cannot be read, wanted or not, or the body is cut short.
pub fn read(
    body: &str,
    format: Format,
    scraped: Time,
    wanted: impl for<'s> Fn(&str, &dyn Fn(&str) -> Option<&'s str>) -> bool,
) -> Result<Vec<Sample>, ExpositionError> {
    if body.is_empty() {
        return Err(ExpositionError::Empty);
    }
    let mut kept = Vec::new();
    let (mut labels, mut lines, mut ended) = (Vec::new(), 0, false);
    for text in body.split_inclusive('\n') {
        lines += 1;
        let wrong = |problem| ExpositionError::Line { line: lines, problem, excerpt: excerpt(text) };
        if !text.ends_with('\n') && (format == Format::Text || text != "# EOF") {
            return Err(ExpositionError::CutShort { lines });
        }
        if ended {
            return Err(wrong("there is more after `# EOF`"));
        }
        match line::read(text.trim_end_matches('\n'), &mut labels).map_err(wrong)? {
            Line::Other => {}
            Line::End => ended = format == Format::OpenMetrics,
            Line::Sample(sample) => {
                let time = sample.time.map(|time| time_of(time, format)).transpose().map_err(wrong)?;
                let value_of = |name: &str| labels.iter().find(|l| l.name == name).map(|l| l.value.as_ref());
                if wanted(&sample.name, &value_of) {
                    kept.push(Ok(plain_line(&sample, &labels, time)));
                }
            }
        }
    }
    if format == Format::OpenMetrics && !ended {
        return Err(ExpositionError::CutShort { lines });
    }
    Ok(parse(kept, scraped))
}

/// A sample's time, as the format writes it.
fn time_of(text: &str, format: Format) -> Result<Time, &'static str> {
    match format {
        Format::Text => {
            text.parse().map(Time).map_err(|_| "a time in the text format is a whole number of milliseconds")
        }
        Format::OpenMetrics => line::number(text).map(Time::from_seconds),
    }
}

/// The sample as a line that the library reads as it is meant.
fn plain_line(sample: &RawSample<'_>, labels: &[RawLabel<'_>], time: Option<Time>) -> String {
    let mut plain = String::with_capacity(160);
    plain::hide_name(&sample.name, &mut plain);
    let mut before = '{';
    for label in labels {
        if !label.value.is_empty() {
            plain.push(before);
            plain::hide(&label.name, &mut plain);
            plain.push_str("=\"");
            plain::hide(&label.value, &mut plain);
            plain.push('"');
            before = ',';
        }
    }
    if before == ',' {
        plain.push('}');
    }
    plain.push(' ');
    plain.push_str(sample.value);
    if let Some(Time(milliseconds)) = time {
        plain.push(' ');
        plain.push_str(&milliseconds.to_string());
    }
    plain
}

fn parse(lines: Vec<std::io::Result<String>>, scraped: Time) -> Vec<Sample> {
    let scraped = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(scraped.0).unwrap_or(0));
    // No line is an error and none declares a type, so all are read, as untyped ones and in their order.
    let samples = prometheus_parse::Scrape::parse_at(lines.into_iter(), scraped.into());
    samples.map(|scrape| scrape.samples).unwrap_or_default().iter().map(revealed).collect()
}

fn revealed(sample: &prometheus_parse::Sample) -> Sample {
    use prometheus_parse::Value;

    let mut labels: Vec<_> =
        sample.labels.iter().map(|(name, value)| (plain::reveal(name), plain::reveal(value))).collect();
    labels.sort_unstable();
    let value = match sample.value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
        Value::Histogram(_) | Value::Summary(_) => f64::NAN,
    };
    Sample {
        name: plain::reveal_name(&sample.metric),
        labels,
        value,
        at: Time(sample.timestamp.timestamp_millis()),
    }
}

/// How a line begins, for a message.
fn excerpt(line: &str) -> String {
    line.trim_end().chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
