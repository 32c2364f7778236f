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
    /// What is wrong with it as a whole; nothing: it can be used.
    fn disorder(&self) -> Option<String> {
        if self.rollout.trim().is_empty() {
            return Some("`rollout` is empty; it tells one rollout's looks from another's".to_owned());
        }
        let times = self.history.iter().map(|look| look.at).chain([self.at]);
        let mut pairs = times.clone().zip(times.skip(1));
        let (before, at) = pairs.find(|(before, at)| before >= at)?;
        Some(format!(
            "the history has to be oldest first and end before the look, and {at} s comes after {before} s in it"
        ))
    }

    /// What the history has that will not be used, though somebody took care to write it.
    pub(super) fn unused(&self) -> Option<&'static str> {
        let arms = || self.history.iter().flat_map(|look| look.signals.values());
        let has_baseline = arms().any(|arms| arms.baseline.is_some());
        match (arms().any(|arms| arms.canary.is_some()), has_baseline) {
            (true, false) => Some(
                "the history has only a canary; it is to be the baseline's, from before the rollout, so it is not used",
            ),
            (true, true) => Some("the history has a canary; only its baseline is used"),
            (false, _) => None,
        }
    }

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
    if !text.starts_with(b"{") {
        return Ok(Next::Bad(
            "a look is an object, as `{\"rollout\": \"r1\", \"at\": 15.0, \"signals\": {…}}`".to_owned(),
        ));
    }
    Ok(match serde_json::from_slice::<Line>(text) {
        Err(error) => Next::Bad(fault(&error, text)),
        Ok(line) => line.disorder().map_or_else(|| Next::Line(line), Next::Bad),
    })
}

/// A reader's complaint without the words of the language that it is written in.
fn in_words(what: &str) -> String {
    let expected = [
        ("f64", "a number"),
        ("a string", "a text in quotes"),
        ("a sequence", "a list"),
        ("struct Arms", "an object with `baseline` and `canary`"),
        ("struct Look", "a look, as an object"),
    ];
    if let Some(name) = what.strip_prefix("missing field ") {
        return format!("{name} is missing");
    }
    let Some((is, wants)) =
        what.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    else {
        return what.to_owned();
    };
    let wants = expected.iter().find(|(word, _)| wants.starts_with(word)).map_or(wants, |(_, words)| words);
    let is = is.replace("sequence", "a list").replace("map", "an object");
    let help = match &*is {
        part if part.contains('%') => "; write a part of 1, as 0.1 for 10%",
        last if last.contains("Inf") => "; leave +Inf out, `total` tells of it",
        _ => "",
    };
    format!("{wants} is expected where there is {is}{help}")
}

/// What is wrong with a line, with the column but without the line number, which would always be 1.
fn fault(error: &serde_json::Error, line: &[u8]) -> String {
    let text = error.to_string();
    // Some writers of JSON write these all the same. The column is that of the word's beginning, or of the letter after its sign.
    let around = line.get(error.column().saturating_sub(2)..).unwrap_or_default();
    let near = around.get(..around.len().min(9)).unwrap_or_default();
    let has = |word: &[u8]| near.windows(word.len()).any(|part| part == word);
    if error.is_syntax() && (has(b"NaN") || has(b"Inf") || has(b"nan")) {
        return format!(
            "NaN and Infinity are no JSON, column {}; where a value is not known, leave the unit or the arm out, or write `null` for the arm",
            error.column()
        );
    }
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let place = if error.line() > 0 { format!(", column {}", error.column()) } else { String::new() };
    let what = in_words(what);
    if error.is_syntax() || error.is_eof() {
        format!("unreadable JSON: {what}{place}")
    } else {
        format!("{what}{place}")
    }
}
