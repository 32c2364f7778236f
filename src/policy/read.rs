//! Reads a policy file: text in, policy or findings out.

use std::borrow::Cow;
use std::ops::Range;

use serde_saphyr::{Error, Location, MessageFormatter, UserMessageFormatter};

use super::Policy;
use super::diagnostic::Diagnostics;
use super::file::File;
use super::file::choice::either;
use super::nearest::nearest;
use super::places::Places;
use super::resolve::resolve;

/// The largest file that is read, in bytes. The longest sensible policy is a hundredth of it.
const LARGEST: usize = 256 * 1024;

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
/// All faults of values and of their combinations are reported at once; a fault of the shape (an unknown key, a list
/// where a value belongs, YAML that cannot be parsed) is reported alone, since what follows from it is guesswork.
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
            None
        }
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
        error => {
            let at = error.location().map_or(0..0, |location| place(text, &location));
            let (message, help) = explain(error, text.get(at.clone()).unwrap_or_default());
            findings.error(at, message, help);
        }
    }
}

/// What a step cannot say, and where that is said.
const STEPS: &str = "write `steps: [5%, 25%, 50%]`; how long each lasts is `bake`, where a person must agree `approve`; which users get \
                     the canary (by header, cookie or name) Tsuru cannot choose";

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

fn missing(field: &str) -> String {
    format!("the key `{field}` is missing")
}

/// What is wrong, and what to write instead, in the words of policies rather than of YAML where that is possible.
fn explain(error: &Error, there: &str) -> (String, String) {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("there is no key `{field}` here"), meant(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{variant}` is not possible here"), meant(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => (missing(field), example(field).to_owned()),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or(there);
            (format!("`{key}` is given twice"), "keep one of them".to_owned())
        }
        Error::NullIntoString { .. } => {
            ("there is no value here".to_owned(), "write one, or leave the key out".to_owned())
        }
        Error::MultipleDocuments { .. } => {
            ("a second document begins here".to_owned(), "write one policy a file".to_owned())
        }
        Error::ExpectedMappingEndAfterEnumVariantValue { .. } => {
            ("a second strategy begins here".to_owned(), "a policy has one; leave the other out".to_owned())
        }
        Error::Eof { .. } => ("the file holds no policy".to_owned(), "begin with `policy: NAME`".to_owned()),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            format!("the file is too large, too deep or repeats too much ({})", formatted(error)),
            "write one policy a file, without aliases".to_owned(),
        ),
        Error::Unexpected { expected, .. } => {
            (format!("{} is expected here", shape(expected)), String::new())
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            (format!("{unexpected} does not belong here"), format!("{expected} is expected"))
        }
        error => {
            let message = formatted(error).into_owned();
            let help = remedy(&message).to_owned();
            (message, help)
        }
    }
}

/// What usually helps against what the YAML parser says.
fn remedy(message: &str) -> &'static str {
    const REMEDIES: [(&str, &str); 5] = [
        ("mapping values are not allowed", "put quotes around a value that holds `: `"),
        ("flow", "put quotes around a value that holds `{`, `[`, `,` or `#`, as queries do"),
        ("tab", "indent with spaces"),
        ("simple key", "write `key: value`, with a space after the colon"),
        ("unknown value", "put quotes around a value that begins with `*`"),
    ];
    REMEDIES.iter().find(|(part, _)| message.contains(part)).map_or("", |(_, remedy)| remedy)
}

fn formatted(error: &Error) -> Cow<'_, str> {
    UserMessageFormatter.format_message(error)
}

/// A YAML shape in plain words.
fn shape(expected: &str) -> Cow<'static, str> {
    if expected.contains("scalar") {
        "a single value, not a list or a mapping,".into()
    } else if expected.contains("sequence") {
        "a list, as in `[a, b]`,".into()
    } else if expected.contains("mapping") {
        "a mapping, as in `{ key: value }`,".into()
    } else {
        expected.to_owned().into()
    }
}

/// What other systems have and Tsuru has not, with what there is instead.
const NOT_ON_TSURU: [(&[&str], &str); 4] = [
    (
        &["header", "headers", "match", "cookie", "cookies", "sticky", "session_affinity", "setHeaderRoute"],
        "Tsuru cannot route by header, cookie or user: a version's share is its share of units. Leave it out",
    ),
    (
        &["mirror", "mirroring", "shadow", "setMirrorRoute"],
        "Tsuru cannot mirror requests; `smoke` asks the canary at its own address before any user does",
    ),
    (
        &["weight", "weights", "setWeight", "stepWeight", "maxWeight", "traffic"],
        "Tsuru has no weights: write `steps: [5%, 25%, 50%]`, which become whole units",
    ),
    (
        &["keep", "keep_versions", "history", "revisionHistoryLimit"],
        "how many old versions can be gone back to is Tsuru's own setting (`docker:image-history-size`, 10); \
         `keep_for: 1h` keeps the old one's units warm",
    ),
];

fn meant(wrong: &str, possible: &[&'static str]) -> String {
    if let Some((_, instead)) = NOT_ON_TSURU.iter().find(|(words, _)| words.contains(&wrong)) {
        return (*instead).to_owned();
    }
    match nearest(wrong, possible) {
        Some(word) => format!("did you mean `{word}`?"),
        None if possible.is_empty() => "leave it out".to_owned(),
        None => format!("write {}", either(possible)),
    }
}

/// How a key that must be there is written.
fn example(field: &str) -> &'static str {
    match field {
        "policy" => "name the policy: `policy: checkout`",
        "for" => "say which apps it is for: `for: { apps: [\"checkout-*\"] }`",
        "strategy" => "say how traffic moves: `strategy: { canary: { steps: [5%, 25%, 50%] } }`",
        "steps" => "list the shares of traffic: `steps: [5%, 25%, 50%]`",
        "share" => "say which share the canary has: `share: 20%`",
        "http" => "say which path to ask for: `http: /healthz`",
        "do" => "say what follows: `do: rollback`, `do: pause` or `do: ignore`",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
