//! How the commands that read the journal print what they found.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};

use crate::rollout::Phase;
use crate::store::{RolloutRow, StoreError};
use crate::words::{Span, Time};

/// Where the journal is.
#[derive(Debug, clap::Args)]
pub(super) struct Journal {
    /// The daemon's data directory.
    #[arg(long, value_name = "DIR", env = "UGUISU_DATA", default_value = "/var/lib/uguisu")]
    pub(super) data: PathBuf,
}

/// Why a command ended without doing what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no such thing: exit code 1.
    #[error("{0}")]
    NotFound(String),
    /// The journal cannot be read: exit code 2.
    #[error(transparent)]
    Journal(#[from] StoreError),
    /// What was found cannot be printed: exit code 2.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Says what went wrong on standard error, and gives the exit code for it.
    pub(super) fn report(&self) -> ExitCode {
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            // A reader that closed the pipe has seen enough.
            return ExitCode::SUCCESS;
        }
        // Where standard error is closed, the exit code has to do.
        let _closed = writeln!(anstream::stderr(), "error: {self}");
        match self {
            Self::NotFound(_) => ExitCode::FAILURE,
            Self::Journal(_) | Self::Output(_) => ExitCode::from(2),
        }
    }
}

/// A table without lines, with these headings.
pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Text from elsewhere without what would steer a terminal or break a line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A moment in UTC, to the second.
pub(super) fn moment(at: Time) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| format!("{} ms", at.0), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// How long something took, to the second where it is longer than one.
pub(super) fn length(span: Span) -> String {
    if span >= Span::seconds(1) { Span(span.0 / 1000 * 1000).to_string() } else { span.to_string() }
}

/// How long a rollout took; how long it has run by its last word if it still does.
pub(super) fn took(row: &RolloutRow) -> String {
    row.ended.map_or_else(String::new, |ended| length(ended.since(row.started)))
}

/// A phase's label as words.
pub(super) fn words(label: &str) -> String {
    plain(&label.replace('_', " "))
}

/// The style of a phase: good green, bad red, in need of somebody yellow. The word says the same.
pub(super) fn style(label: &str) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    let is = |phase: Phase| phase.label() == label;
    if is(Phase::Promoted) {
        colour(AnsiColor::Green)
    } else if is(Phase::RolledBack) || is(Phase::RollingBack) || is(Phase::Failed) {
        colour(AnsiColor::Red)
    } else if is(Phase::Paused) {
        colour(AnsiColor::Yellow)
    } else {
        Style::new()
    }
}
