//! How the commands that read the journal print what they found.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};

use super::{ConfigFile, Trouble};
use crate::rollout::Phase;
use crate::store::{Reader, RolloutRow};
use crate::words::{Span, Time};

/// Where the journal is.
#[derive(Debug, clap::Args)]
pub(super) struct Journal {
    /// The daemon's data directory; without it, the one of the configuration
    #[arg(long, value_name = "DIR", env = "UGUISU_DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Journal {
    /// Opens it to be read.
    pub(super) async fn open(&self) -> Result<Reader, Trouble> {
        let data = match &self.data {
            Some(data) => data.clone(),
            None => self.config.read()?.data,
        };
        Reader::open(&data).await.map_err(Trouble::new)
    }
}

/// What is left to say when the output was written, or could not be. A reader that closed the pipe has seen enough.
pub(super) fn written(result: io::Result<()>) -> Result<ExitCode, Trouble> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Trouble::new(format!("the output could not be written: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
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
    if is(Phase::Promoted) || is(Phase::Watching) || is(Phase::Kept) {
        colour(AnsiColor::Green)
    } else if is(Phase::RolledBack) || is(Phase::RollingBack) || is(Phase::Failed) {
        colour(AnsiColor::Red)
    } else if is(Phase::Paused) {
        colour(AnsiColor::Yellow)
    } else {
        Style::new()
    }
}
