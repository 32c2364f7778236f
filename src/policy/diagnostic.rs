//! What is wrong with a policy file, where, and what to write instead.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan};
use serde::Serialize;

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
    pub(crate) fn error(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, at, message.into(), help.into());
    }

    /// Adds a warning at the given bytes of the text.
    pub(crate) fn warn(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, at, message.into(), help.into());
    }

    fn add(&mut self, severity: Severity, at: Range<usize>, message: String, help: String) {
        let span = one_line(&self.text, at);
        let before = &self.text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let finding = Diagnostic {
            severity,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help: Some(help).filter(|help| !help.is_empty()),
            span,
        };
        if !self.found.contains(&finding) {
            let place = self.found.partition_point(|other| {
                (other.span.start, other.severity) <= (finding.span.start, finding.severity)
            });
            self.found.insert(place, finding);
        }
    }

    /// The findings as a person reads them in a terminal: the line, a caret under what is meant, what to write.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(110);
        let source = miette::NamedSource::new(&self.file, self.text.to_string());
        let mut out = String::new();
        for (index, finding) in self.found.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            // Writing to a string cannot fail, and a span outside the text is shown without the excerpt.
            let _ = handler.render_report(&mut out, &Shown { finding, code: &source });
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
    code: &'a miette::NamedSource<String>,
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
        Some(self.code)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_primary_with_span(None, self.finding.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
