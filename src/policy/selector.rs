//! Series selectors: which series of a source a counter means, as PromQL writes it.
//!
//! A counter in a policy is one metric with label matchers, `http_requests_total{code=~"5.."}`: no range, offset,
//! function or arithmetic, since those would hide the raw counter that exact increments need. [`SeriesSelector::parse`]
//! reads it, [`SeriesSelector::matches`] filters a scrape with it, [`SeriesSelector::to_promql`] asks Prometheus for it.
//!
//! The text is walked here rather than by `promql-parser`, which does not say where an error is and refuses backslashes
//! between backquotes; a test holds that both read the same. Its unquoting of strings is used.

mod scan;

use std::fmt;
use std::ops::Range;

use regex::{Regex, RegexBuilder};

use scan::{RawMatcher, Scanner};

/// The longest selector that is read, in bytes.
const LONGEST: usize = 4096;
/// The largest compiled regular expression, in bytes. An ordinary one takes a few kilobytes.
const LARGEST_REGEX: usize = 1 << 20;
/// The label that holds a metric's name.
const NAME_LABEL: &str = "__name__";

/// One metric's series, narrowed by label matchers.
#[derive(Debug, Clone)]
pub struct SeriesSelector {
    name: String,
    matchers: Vec<Matcher>,
}

/// One condition on a label. A label that a series lacks counts as empty, as in Prometheus.
#[derive(Debug, Clone)]
pub struct Matcher {
    label: String,
    test: Test,
    span: Range<usize>,
}

#[derive(Debug, Clone)]
enum Test {
    Equal(String),
    NotEqual(String),
    Match(Pattern),
    NoMatch(Pattern),
}

/// A regular expression that must match the whole value.
#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    regex: Regex,
}

/// What is wrong with a selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
}

impl SelectorError {
    fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), span }
    }
}

impl SeriesSelector {
    /// Reads a selector such as `http_requests_total{code=~"5.."}`.
    ///
    /// # Errors
    /// Where the text is anything but one metric's name with label matchers, with the place.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > LONGEST {
            let message = format!("the selector is {} bytes long; at most {LONGEST} are read", text.len());
            return Err(SelectorError::new(0..0, message, "match a range of values with `=~`"));
        }
        let (name, raw) = Scanner::new(text).selector()?;
        let mut matchers = Vec::with_capacity(raw.len());
        let mut name = name.map(str::to_owned);
        for matcher in raw {
            let label = scan::label(&matcher)?;
            if label == NAME_LABEL {
                name = Some(name_from_label(&matcher, name.as_deref())?);
            } else {
                matchers.push(Matcher { label, test: test(&matcher)?, span: matcher.span });
            }
        }
        match name {
            Some(name) if !name.is_empty() => Ok(Self { name, matchers }),
            _ => Err(SelectorError::new(
                0..text.len(),
                "the selector names no metric",
                "put the metric's name before the brace, as in `http_requests_total{code=\"500\"}`",
            )),
        }
    }

    /// The metric's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The matchers, in the order they were written.
    #[must_use]
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// The same matchers on the metric whose name has `suffix` appended: `_bucket` and `_count` of a histogram.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { name: format!("{}{suffix}", self.name), matchers: self.matchers.clone() }
    }

    /// The same selector without the matchers whose value `drop` says yes to.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Self {
        let matchers = self.matchers.iter().filter(|m| !drop(m.value())).cloned().collect();
        Self { name: self.name.clone(), matchers }
    }

    /// Whether a series is meant. `label` gives the value of the series' label of a name; nothing where it has none.
    pub fn matches<'a>(&self, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        name == self.name && self.matchers.iter().all(|m| m.matches(label(&m.label).unwrap_or_default()))
    }

    /// The selector as PromQL, with an equality matcher for each label and value of `extra` added.
    #[must_use]
    pub fn to_promql(&self, extra: &[(&str, &str)]) -> String {
        let named = scan::is_metric_name(&self.name);
        let mut parts = Vec::with_capacity(self.matchers.len() + extra.len() + 1);
        if !named {
            parts.push(format!("{NAME_LABEL}={}", quoted(&self.name)));
        }
        parts.extend(self.matchers.iter().map(Matcher::to_string));
        parts.extend(extra.iter().map(|(label, value)| format!("{}={}", label_text(label), quoted(value))));
        let name = if named { self.name.as_str() } else { "" };
        if parts.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", parts.join(",")) }
    }
}

impl fmt::Display for SeriesSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_promql(&[]))
    }
}

impl Matcher {
    /// The label that is looked at.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value, or the regular expression, that the label is held against.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.test {
            Test::Equal(value) | Test::NotEqual(value) => value,
            Test::Match(pattern) | Test::NoMatch(pattern) => &pattern.text,
        }
    }

    /// Where it stands in the text that was read, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    fn matches(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(unwanted) => value != unwanted,
            Test::Match(pattern) => pattern.regex.is_match(value),
            Test::NoMatch(pattern) => !pattern.regex.is_match(value),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match &self.test {
            Test::Equal(_) => "=",
            Test::NotEqual(_) => "!=",
            Test::Match(_) => "=~",
            Test::NoMatch(_) => "!~",
        };
        write!(f, "{}{operator}{}", label_text(&self.label), quoted(self.value()))
    }
}

/// A value as a PromQL string literal, quotes included.
#[must_use]
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", escaped(value))
}

/// A value as it stands between the double quotes of a PromQL string literal.
#[must_use]
pub fn escaped(value: &str) -> String {
    promql_parser::util::escape_string(value)
}

/// A label's name as PromQL writes it: bare, or quoted where it has other characters than the classic ones.
fn label_text(label: &str) -> String {
    if scan::is_label_name(label) { label.to_owned() } else { quoted(label) }
}

fn name_from_label(matcher: &RawMatcher<'_>, before: Option<&str>) -> Result<String, SelectorError> {
    if before.is_some() {
        return Err(SelectorError::new(matcher.span.clone(), "the metric is named twice", "name it once"));
    }
    if matcher.operator != "=" {
        return Err(SelectorError::new(
            matcher.span.clone(),
            "a counter is one metric; its name cannot be matched by a pattern",
            "name the metric in full",
        ));
    }
    scan::value(matcher)
}

fn test(matcher: &RawMatcher<'_>) -> Result<Test, SelectorError> {
    let value = scan::value(matcher)?;
    Ok(match matcher.operator {
        "=" => Test::Equal(value),
        "!=" => Test::NotEqual(value),
        "=~" => Test::Match(pattern(value, matcher)?),
        _ => Test::NoMatch(pattern(value, matcher)?),
    })
}

fn pattern(text: String, matcher: &RawMatcher<'_>) -> Result<Pattern, SelectorError> {
    // Prometheus anchors at both ends and lets a dot stand for a newline too.
    match RegexBuilder::new(&format!("^(?s:{text})$")).size_limit(LARGEST_REGEX).build() {
        Ok(regex) => Ok(Pattern { text, regex }),
        Err(error) => {
            let full = error.to_string();
            let reason = full.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(SelectorError::new(
                matcher.value_span.clone(),
                format!("the regular expression does not work: {reason}"),
                "Prometheus uses RE2 syntax; write a literal `.`, `(` or `{` as `\\\\.`, `\\\\(` or `\\\\{`",
            ))
        }
    }
}

#[cfg(test)]
mod tests;
