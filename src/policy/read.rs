//! Reads a policy file: text in, policy or findings out.

mod cut;
mod explain;

use std::ops::Range;

use serde_saphyr::{Error, Location};

use super::Policy;
use super::diagnostic::Diagnostics;
use super::file::File;
use super::places::Places;
use super::resolve::resolve;
use cut::without_key;
use explain::{STEPS, example, explain, missing, wrong_shape};

/// The largest file that is read, in bytes. The longest sensible policy is a hundredth of it.
const LARGEST: usize = 256 * 1024;

/// How many unknown keys are told at once; each costs one reading.
const MOST_UNKNOWN: usize = 20;

/// What a policy file was found to hold.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The policy; nothing where there are errors.
    pub policy: Option<Policy>,
    /// The errors, or the warnings beside a policy.
    pub findings: Diagnostics,
    /// Where the policy's parts stand.
    pub places: Places,
}

/// Reads the policy that the file named `file` holds as `text`. One file holds one policy.
///
/// All faults of values and of their combinations are reported at once, and so are all keys that there are not; another fault
/// of the shape (a list where a value belongs, YAML that cannot be parsed) is reported alone, since what follows from it is
/// guesswork.
#[must_use]
pub fn read(file: &str, text: &str) -> Reading {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = Diagnostics::new(file, text);
    let parsed = if text.len() > LARGEST {
        let message = format!("the file has {} KiB; at most {} are read", text.len() / 1024, LARGEST / 1024);
        findings.error(0..0, message, "write one policy a file");
        None
    } else {
        parse(text, &mut findings)
    };
    let places = parsed.as_ref().map(Places::of).unwrap_or_default();
    let policy = parsed.map(|file| resolve(&file, text, &mut findings));
    Reading { policy: policy.filter(|_| !findings.has_errors()), findings, places }
}

fn parse(text: &str, findings: &mut Diagnostics) -> Option<File> {
    match serde_saphyr::from_str_with_options(text, options()) {
        Ok(file) => Some(file),
        Err(error) => {
            report(&error, text, findings);
            more_unknown_keys(error, text, findings);
            None
        }
    }
}

/// Reports the unknown keys that follow the one that ended the reading, each by reading the file without those before. What
/// else is wrong then may be wrong for want of them.
fn more_unknown_keys(mut error: Error, text: &str, findings: &mut Diagnostics) {
    let mut rest = text.to_owned();
    for _ in 0..MOST_UNKNOWN {
        let Some((at, _)) = unknown_key(&error, &rest) else { return };
        let Some(without) = without_key(&rest, at) else { return };
        rest = without;
        let Err(next) = serde_saphyr::from_str_with_options::<File>(&rest, options()) else { return };
        error = next;
        if unknown_key(&error, &rest).is_some() {
            report(&error, text, findings);
        }
    }
}

/// Where an unknown key stands, if that is what is wrong.
fn unknown_key<'a>(error: &'a Error, text: &str) -> Option<(Range<usize>, &'a str)> {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, .. } => {
            let at = place(text, &error.location()?);
            (text.get(at.clone()) == Some(field)).then_some((at, field))
        }
        _ => None,
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 20_000,
            max_events: 60_000,
            max_aliases: 200,
            max_anchors: 100,
            max_documents: 2,
            max_total_scalar_bytes: LARGEST,
            max_merge_keys: 100,
        },
    }
}

/// Reports what the YAML library found.
fn report(error: &Error, text: &str, findings: &mut Diagnostics) {
    match error.without_snippet() {
        Error::AliasError { error, .. } => report(error, text, findings),
        // The library points at the last key of the mapping; a key that a policy as a whole lacks belongs nowhere.
        Error::SerdeMissingField { field: field @ ("policy" | "for" | "strategy"), .. } => {
            let end = text.find('\n').unwrap_or(text.len());
            findings.error(0..end, missing(field), example(field));
        }
        // The library points at what follows a value that is of the wrong shape.
        Error::Unexpected { expected, .. }
            if expected.contains("mapping") && lone_strategy(text).is_some() =>
        {
            let at = lone_strategy(text).unwrap_or_default();
            let word = text.get(at.clone()).unwrap_or_default();
            let help = match word {
                "blue_green" | "rolling" => format!("write `strategy: {{ {word}: {{}} }}`"),
                "multi_version" => "write `strategy: { multi_version: { share: 20% } }`".to_owned(),
                _ => example("strategy").to_owned(),
            };
            findings.error(at, format!("`{word}` is a key under `strategy`, not its value"), help);
        }
        Error::Unexpected { expected, .. } if expected.contains("scalar") && is_step(text, error) => {
            let at = error.location().map_or(0..0, |location| place(text, &location));
            findings.error(at, "a step is a share alone", STEPS);
        }
        Error::Unexpected { expected, .. } => {
            let at = error.location().map_or(0..0, |location| place(text, &location));
            let (message, help) = wrong_shape(expected, text, &at);
            findings.error(at, message, help);
        }
        error => {
            let at = error.location().map_or(0..0, |location| place(text, &location));
            let (message, help) = explain(error, text.get(at.clone()).unwrap_or_default());
            findings.error(at, message, help);
        }
    }
}

/// The word that stands behind `strategy:` where a mapping belongs.
fn lone_strategy(text: &str) -> Option<Range<usize>> {
    let value =
        text.strip_prefix("strategy:").map(|_| 0).or(text.find("\nstrategy:").map(|newline| newline + 1))?
            + "strategy:".len();
    let line = text[value..].lines().next()?;
    let word = line.split('#').next()?.trim();
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let start = value + line.find(word)?;
    is_word.then_some(start..start + word.len())
}

/// Whether something that is not a single value begins a list of steps.
fn is_step(text: &str, error: &Error) -> bool {
    let at = error.location().map_or(0..0, |location| place(text, &location));
    let before = text.get(..at.start).unwrap_or_default();
    before.trim_end_matches(|c: char| c.is_whitespace() || c == '[' || c == '-').ends_with("steps:")
}

/// The bytes that a location means. Of what is wrong with the YAML itself, only line and column are known.
fn place(text: &str, location: &Location) -> Range<usize> {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    if let (Some(start), Some(length)) = (location.span().byte_offset(), location.span().byte_len()) {
        return number(start)..number(start).saturating_add(number(length));
    }
    let line_start = match number(location.line()) {
        0 | 1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(newline, _)| newline + 1),
    };
    let line = text[line_start..].lines().next().unwrap_or_default();
    let column = number(location.column()).saturating_sub(1);
    let offset = line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset);
    let length = line[offset..].chars().next().map_or(0, char::len_utf8);
    line_start + offset..line_start + offset + length
}

#[cfg(test)]
mod tests;
