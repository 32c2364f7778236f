//! Queries of gauges: PromQL with `{{ app }}`, `{{ version }}` and `{{ arm }}` to be filled in.
//!
//! A placeholder stands between the quotes of a PromQL string, and its value is escaped for there, so that no name
//! can change what a query means.

use std::ops::Range;

use promql_parser::parser::{Expr, value::ValueType};

use super::selector::{SelectorError, SeriesSelector, escaped};
use crate::words::{AppName, Arm, Version};

/// The longest query, in bytes.
const LONGEST: usize = 4096;
/// The deepest nesting of parentheses.
const DEEPEST: usize = 64;
/// The largest number that may stand in a query. Above it `promql-parser` panics where it reads a duration.
const LARGEST_NUMBER: f64 = 1e15;

/// The query of a gauge, checked.
#[derive(Debug, Clone)]
pub struct GaugeQuery {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    App,
    Version,
    Arm,
}

impl GaugeQuery {
    /// Reads a query such as `avg(queue_depth{app="{{ app }}",version="{{ version }}"})`.
    ///
    /// # Errors
    /// With the place, where the text is not PromQL for an instant vector, a placeholder is unknown or stands outside
    /// a string, or the query could not tell the arms apart.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > LONGEST {
            let message = format!("the query is {} bytes long; at most {LONGEST} are read", text.len());
            return Err(wrong(0..0, message, "record it as a rule in Prometheus, and ask for that"));
        }
        let query = Self { parts: Walk::new(text).parts()? };
        if !query.parts.contains(&Part::Version) && !query.parts.contains(&Part::Arm) {
            return Err(wrong(
                0..text.len(),
                "the query gives the same for both arms",
                "select the arm's units, as in `{version=\"{{ version }}\"}`",
            ));
        }
        query.check_promql(text)?;
        Ok(query)
    }

    /// The query for one arm of an app's rollout.
    #[must_use]
    pub fn fill(&self, app: &AppName, version: Version, arm: Arm) -> String {
        self.write(&escaped(&app.0), &version.0.to_string(), &arm.to_string())
    }

    /// Whether the query names the app.
    #[must_use]
    pub fn names_app(&self) -> bool {
        self.parts.contains(&Part::App)
    }

    /// The series that the query means on a unit's own metrics page: the query without the matchers that hold
    /// placeholders, since a unit's page is one unit of one version of one app. Nothing where the query is more than a
    /// selector, which only Prometheus can evaluate.
    #[must_use]
    pub fn on_unit(&self) -> Option<SeriesSelector> {
        // A name that no metric or label value has: which matchers hold it tells which held a placeholder.
        const MARK: &str = "\u{F8FF}";
        let marked = SeriesSelector::parse(&self.write(MARK, MARK, MARK)).ok()?;
        Some(marked.without(|value| value.contains(MARK)))
    }

    fn write(&self, app: &str, version: &str, arm: &str) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::App => app,
                Part::Version => version,
                Part::Arm => arm,
            })
            .collect()
    }

    fn check_promql(&self, text: &str) -> Result<(), SelectorError> {
        let whole = 0..text.len();
        match promql_parser::parser::parse(&self.write("app", "1", "canary")) {
            Err(message) => {
                let at = text.find('(').filter(|_| message.contains("unclosed left parenthesis"));
                let span = at.map_or(whole, |at| at..at + 1);
                let first = message.lines().next().unwrap_or_default().to_owned();
                Err(wrong(span, format!("this is not PromQL: {first}"), "try the query in Prometheus first"))
            }
            Ok(expression) => match expression.value_type() {
                ValueType::Vector => Ok(()),
                ValueType::Matrix => Err(wrong(
                    whole,
                    "the query gives a range of values",
                    "take one value of each series, as in `avg_over_time(…[1m])`",
                )),
                ValueType::Scalar | ValueType::String => {
                    let help = "name a metric; a number is the same for every version";
                    let what =
                        if matches!(expression, Expr::StringLiteral(_)) { "a string" } else { "a number" };
                    Err(wrong(whole, format!("the query gives {what}, not series"), help))
                }
            },
        }
    }
}

fn wrong(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> SelectorError {
    SelectorError { message: message.into(), help: help.into(), span }
}

/// Walks a query's text, finds the placeholders, and refuses what the PromQL library cannot take.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    quote: Option<char>,
    depth: usize,
    parts: Vec<Part>,
    plain_from: usize,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, quote: None, depth: 0, parts: Vec::new(), plain_from: 0 }
    }

    fn parts(mut self) -> Result<Vec<Part>, SelectorError> {
        while let Some(c) = self.rest().chars().next() {
            if self.rest().starts_with("{{") {
                self.placeholder()?;
                continue;
            }
            match self.quote {
                Some(_) if c == '\\' => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(quote) => {
                    self.at += c.len_utf8();
                    if c == quote {
                        self.quote = None;
                    }
                }
                None => self.outside(c)?,
            }
        }
        self.end_plain();
        Ok(self.parts)
    }

    /// What follows a backslash in a string. Beyond ASCII the library would panic.
    fn escape(&mut self) -> Result<(), SelectorError> {
        let next = self.rest().chars().next();
        if next.is_some_and(|c| !c.is_ascii()) {
            let span = self.at - 1..self.at + next.map_or(0, char::len_utf8);
            return Err(wrong(span, "PromQL does not know this escape", "leave the backslash out"));
        }
        self.at += usize::from(next.is_some());
        Ok(())
    }

    fn outside(&mut self, c: char) -> Result<(), SelectorError> {
        match c {
            '"' | '\'' | '`' => self.quote = Some(c),
            '#' => {
                let line = self.rest().find('\n').unwrap_or(self.rest().len());
                self.at += line;
                return Ok(());
            }
            '(' | '[' | '{' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    let help = "record inner parts as rules in Prometheus";
                    return Err(wrong(self.at..self.at + 1, "the query is nested too deeply", help));
                }
            }
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            c if c.is_ascii_alphanumeric() || "_:.".contains(c) => return self.word(),
            _ => {}
        }
        self.at += c.len_utf8();
        Ok(())
    }

    /// A name, a number or a duration.
    fn word(&mut self) -> Result<(), SelectorError> {
        let start = self.at;
        let rest = self.rest();
        let mut length =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_:.".contains(c)).unwrap_or(rest.len());
        // An exponent's sign belongs to the number.
        if rest[..length].ends_with(['e', 'E']) && rest.starts_with(|c: char| c.is_ascii_digit()) {
            let sign = usize::from(rest[length..].starts_with(['+', '-']));
            let digits = rest[length + sign..].find(|c: char| !c.is_ascii_digit());
            length += sign + digits.unwrap_or(rest.len() - length - sign);
        }
        self.at += length;
        match rest[..length].parse::<f64>() {
            Ok(number) if number.is_nan() || number > LARGEST_NUMBER => {
                Err(wrong(start..self.at, "this number is too large", "write one of at most 15 digits"))
            }
            _ => Ok(()),
        }
    }

    fn placeholder(&mut self) -> Result<(), SelectorError> {
        let start = self.at;
        let Some(length) = self.rest().find("}}") else {
            return Err(wrong(start..start + 2, "this placeholder is never closed", "close it with `}}`"));
        };
        let end = start + length + 2;
        let part = match self.text[start + 2..end - 2].trim() {
            "app" => Part::App,
            "version" => Part::Version,
            "arm" => Part::Arm,
            other => {
                let help = match super::nearest::nearest(other, &["app", "version", "arm"]) {
                    Some(meant) => format!("did you mean `{{{{ {meant} }}}}`?"),
                    None => "there are `{{ app }}`, `{{ version }}` and `{{ arm }}`".to_owned(),
                };
                return Err(wrong(start..end, format!("there is no `{other}` to fill in"), help));
            }
        };
        if self.quote.is_none() {
            let text = &self.text[start..end];
            return Err(wrong(
                start..end,
                "a placeholder stands between quotes",
                format!("write it as a label's value: `\"{text}\"`"),
            ));
        }
        self.end_plain();
        self.parts.push(part);
        self.at = end;
        self.plain_from = end;
        Ok(())
    }

    fn end_plain(&mut self) {
        if self.plain_from < self.at {
            self.parts.push(Part::Text(self.text[self.plain_from..self.at].to_owned()));
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

#[cfg(test)]
mod tests;
