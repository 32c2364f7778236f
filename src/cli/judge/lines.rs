//! The lines that come in.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use crate::judge::{Look, Reading, each_once};
use crate::words::{Arms, Share};

/// The longest line that is read, in bytes: a day of history with a look every 15 s is a tenth of it.
const LONGEST: u64 = 64 * 1024 * 1024;

/// One look of one rollout.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    rollout: String,
    at: f64,
    #[serde(default)]
    share: Option<Share>,
    #[serde(default, deserialize_with = "each_once")]
    signals: BTreeMap<String, Arms<Option<Reading>>>,
    #[serde(default)]
    history: Vec<Look>,
}

impl Line {
    /// The rollout's name, its history, the look.
    pub(super) fn into_parts(self) -> (String, Vec<Look>, Look) {
        (self.rollout, self.history, Look { at: self.at, share: self.share, signals: self.signals })
    }
}

/// What comes next.
pub(super) enum Next {
    Line(Line),
    Blank,
    /// A line that cannot be read, and why.
    Bad(String),
    End,
}

/// Reads the next line into `buffer`.
pub(super) fn next(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Next> {
    buffer.clear();
    if input.by_ref().take(LONGEST).read_until(b'\n', buffer)? == 0 {
        return Ok(Next::End);
    }
    if buffer.last() != Some(&b'\n') && buffer.len() as u64 == LONGEST {
        buffer.clear();
        input.skip_until(b'\n')?;
        return Ok(Next::Bad(format!("longer than {} MiB", LONGEST / 1024 / 1024)));
    }
    // Some editors and shells begin a file with a mark of its byte order.
    let text = buffer.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(buffer).trim_ascii();
    if text.is_empty() {
        return Ok(Next::Blank);
    }
    Ok(serde_json::from_slice(text).map_or_else(|error| Next::Bad(fault(&error)), Next::Line))
}

/// What is wrong with a line, with the column but without the line number, which would always be 1.
fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let place = if error.line() > 0 { format!(", column {}", error.column()) } else { String::new() };
    if error.is_syntax() || error.is_eof() {
        format!("unreadable JSON: {what}{place}")
    } else {
        format!("{what}{place}")
    }
}
