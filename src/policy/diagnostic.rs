//! What is wrong with a policy file, where, and what to write instead.

use std::fmt::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan};
use serde::Serialize;

/// The longest line of which an excerpt is shown, in bytes.
const LONGEST_LINE: usize = 500;
/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 400;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; what it says is probably not what is meant.
    Warning,
}

/// One finding in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong: a sentence without a final period.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The bytes of the file's text that are meant, within one line.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// All findings in one file, in the order of the file.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    file: String,
    text: Arc<str>,
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No findings yet in the file `file` that holds `text`.
    #[must_use]
    pub fn new(file: &str, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.into(), found: Vec::new() }
    }

    /// The file's name, as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The findings, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether any finding is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings are that bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|d| d.severity == severity).count()
    }

    /// Adds an error at the given bytes of the text.
    pub(crate) fn error(&mut self, at: Range<usize>, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.add(Severity::Error, at, message.as_ref(), help.as_ref());
    }

    /// Adds a warning at the given bytes of the text.
    pub(crate) fn warn(&mut self, at: Range<usize>, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.add(Severity::Warning, at, message.as_ref(), help.as_ref());
    }

    fn add(&mut self, severity: Severity, at: Range<usize>, message: &str, help: &str) {
        let span = one_line(&self.text, at);
        let before = &self.text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let finding = Diagnostic {
            severity,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: printable(message),
            help: Some(printable(help)).filter(|help| !help.is_empty()),
            span,
        };
        if !self.found.contains(&finding) {
            let place = self.found.partition_point(|other| {
                (other.span.start, other.severity) <= (finding.span.start, finding.severity)
            });
            self.found.insert(place, finding);
        }
    }

    /// Whether an excerpt would flood the terminal.
    fn has_long_lines(&self, finding: &Diagnostic) -> bool {
        let around = self.text.lines().skip(finding.line.saturating_sub(2)).take(3);
        around.into_iter().any(|line| line.len() > LONGEST_LINE)
    }

    /// The findings as a person reads them in a terminal: the line, a caret under what is meant, what to write.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(110);
        let source = miette::NamedSource::new(&self.file, harmless(&self.text));
        let mut out = String::new();
        for (index, finding) in self.found.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            // Writing to a string cannot fail, and a span outside the text is shown without the excerpt.
            let _ = if self.has_long_lines(finding) {
                writeln!(out, "{}:{}:{}", self.file, finding.line, finding.column)
                    .and_then(|()| handler.render_report(&mut out, &Shown { finding, code: None }))
            } else {
                handler.render_report(&mut out, &Shown { finding, code: Some(&source) })
            };
        }
        out
    }
}

impl fmt::Display for Diagnostics {
    /// One finding a line, as compilers write them and editors read them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: {}", self.file, finding.line, finding.column, finding.message)?;
            if let Some(help) = &finding.help {
                write!(f, "; {help}")?;
            }
        }
        Ok(())
    }
}

/// Cuts a range to the text, to whole characters and to its first line, since an excerpt of many lines says less.
fn one_line(text: &str, at: Range<usize>) -> Range<usize> {
    let start = floor_char(text, at.start);
    let end = floor_char(text, at.end.max(start));
    let line = text[start..end].find(['\n', '\r']).map_or(end, |newline| start + newline);
    let blank = text[start..line].trim_end().len();
    start..start + blank
}

/// A message without characters that would act on a terminal or break a line of a log, and not too long.
fn printable(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for (index, c) in message.chars().enumerate() {
        if index == LONGEST_MESSAGE {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// A file's text without characters that would act on a terminal, each byte at its place.
fn harmless(text: &str) -> String {
    let replace = |c: char| match c {
        '\n' | '\r' | '\t' => c,
        c if c.is_control() && c.len_utf8() == 1 => '?',
        c if c.is_control() => '¿',
        c => c,
    };
    text.chars().map(replace).collect()
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A finding with its source, as miette wants it.
#[derive(Debug, thiserror::Error)]
#[error("{}", finding.message)]
struct Shown<'a> {
    finding: &'a Diagnostic,
    /// The file to show an excerpt of.
    code: Option<&'a miette::NamedSource<String>>,
}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.finding.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.code.map(|code| code as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.code?;
        let label = LabeledSpan::new_primary_with_span(None, self.finding.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_cannot_act_on_a_terminal() {
        let mut found = Diagnostics::new("x", "a: \u{1b}[31m\u{9b}31m\nb\n");
        found.error(3..4, "`\u{1b}[31m\n` is wrong", "write `\u{7}`");
        for shown in [found.render(false), found.to_string()] {
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
        assert_eq!(found.to_string().lines().count(), 1);
        assert_eq!(harmless("é\u{9b}\u{1b}").len(), "é\u{9b}\u{1b}".len());
    }

    #[test]
    fn an_endless_line_is_not_shown() {
        let mut found = Diagnostics::new("x", &"y".repeat(100_000));
        found.error(5..90_000, "z".repeat(100_000), "");
        let shown = found.render(false);
        assert!(shown.starts_with("x:1:6\n") && shown.len() < 2000, "{shown}");
    }

    #[test]
    fn findings_stand_in_the_order_of_the_file_and_once() {
        let mut found = Diagnostics::new("x", "one\ntwo é three\n");
        found.warn(11..16, "last", "");
        found.error(4..7, "first", "");
        found.error(4..7, "first", "");
        found.error(usize::MAX - 1..usize::MAX, "beyond", "");
        let places: Vec<_> = found.iter().map(|f| (f.message.as_str(), f.line, f.column)).collect();
        assert_eq!(places, [("first", 2, 1), ("last", 2, 7), ("beyond", 3, 1)]);
        assert_eq!((found.count(Severity::Error), found.count(Severity::Warning)), (2, 1));
    }
}
