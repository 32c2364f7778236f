//! What is wrong with the shape of a policy file, and what to write instead, in the words of policies rather than of YAML where
//! that is possible.

use std::borrow::Cow;
use std::ops::Range;

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use crate::policy::file::choice::either;
use crate::policy::nearest::nearest;

/// What a step cannot say, and where that is said.
pub(super) const STEPS: &str = "write `steps: [5%, 25%, 50%]`; how long each lasts is `bake`, where a person must agree `approve`; which users get \
                     the canary (by header, cookie or name) Tsuru cannot choose";

pub(super) fn missing(field: &str) -> String {
    format!("the key `{field}` is missing")
}

/// What is wrong with the text `there`, and what to write instead.
pub(super) fn explain(error: &Error, there: &str) -> (String, String) {
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
    const REMEDIES: [(&str, &str); 15] = [
        (
            "mapping values are not allowed",
            "indent it like the keys beside it, or put quotes around a value that holds `: `",
        ),
        ("scanning an anchor or alias", "put quotes around a value that begins with `*` or `&`, as `\"*\"`"),
        ("unknown value", "put quotes around a value that begins with `*`"),
        ("unclosed quote", "close the quote on the same line"),
        (
            "content after double-quoted",
            "put single quotes around a value that holds double ones, as queries do: `'x{code=\"500\"}'`",
        ),
        ("content after single-quoted", "put double quotes around a value that holds single ones"),
        (
            "unexpected character",
            "put quotes around a value that begins with `@`, `%` or a backtick; write `+20%`, not `%20`",
        ),
        ("found a tab", "indent with spaces; an editor shows the tabs, which may stand in the next line"),
        ("tab", "indent with spaces"),
        ("simple key", "write `key: value`, with a space after the colon"),
        ("placement of ':'", "close every `{` with `}` and every `[` with `]` in the lines before"),
        (
            "parsing a flow",
            "close every `{` with `}` and every `[` with `]`, and put quotes around a value that holds one of them, `,` or `#`, as \
             queries do",
        ),
        ("misplaced bracket", "there is one more `}` or `]` than was opened; leave it out"),
        (
            "block collection",
            "indent it like the keys beside it: those of one list entry stand below each other",
        ),
        ("block mapping", "indent it like the keys beside it"),
    ];
    REMEDIES.iter().find(|(part, _)| message.contains(part)).map_or("", |(_, remedy)| remedy)
}

fn formatted(error: &Error) -> Cow<'_, str> {
    UserMessageFormatter.format_message(error)
}

/// What is wrong where a value, a list or a mapping stands at `at` and another of them belongs there.
pub(super) fn wrong_shape(expected: &str, text: &str, at: &Range<usize>) -> (String, String) {
    let before = text.get(..at.start).unwrap_or_default();
    let there = text.get(at.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    let key = key_before(before);
    if there.contains("{{") || text.get(at.start..).is_some_and(|rest| rest.starts_with("{{")) {
        return (
            "a value that begins with `{{` needs quotes".to_owned(),
            "put quotes around it: YAML takes braces for a mapping".to_owned(),
        );
    }
    let help = match (key, there.split_once(':')) {
        (_, Some((key, value))) if !value.starts_with([' ', '/']) && is_word(key) => {
            format!("write `{key}: {value}`, with a space after the colon")
        }
        (None, _) if before.trim().is_empty() => "begin with `policy: NAME`, at the very left".to_owned(),
        (Some(key), _) => example(key).to_owned(),
        (None, _) => String::new(),
    };
    (format!("{} is expected here", shape(expected)), help)
}

/// The key whose value, or the first entry of whose list, would come next.
fn key_before(before: &str) -> Option<&str> {
    let line =
        before.trim_end_matches(|c: char| c.is_whitespace() || c == '-' || c == '[').strip_suffix(':')?;
    let start = line.rfind(|c: char| !is_of_word(c)).map_or(0, |at| at + 1);
    line.get(start..).filter(|key| !key.is_empty())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_word)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
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

/// How a key is written that must be there, or whose value is more than a word.
pub(super) fn example(field: &str) -> &'static str {
    match field {
        "policy" => "name the policy: `policy: checkout`",
        "for" => "say which apps it is for: `for: { apps: [\"checkout-*\"] }`",
        "apps" => "write `apps: [\"checkout-*\"]`",
        "pools" => "write `pools: [prod]`",
        "teams" => "write `teams: [payments]`",
        "strategy" => "say how traffic moves: `strategy: { canary: { steps: [5%, 25%, 50%] } }`",
        "canary" => "write `canary: { steps: [5%, 25%, 50%] }`",
        "steps" => "list the shares of traffic: `steps: [5%, 25%, 50%]`",
        "bake" => "say how long a step lasts: `bake: { at_least: 10m, at_most: 1h }`",
        "share" => "say which share the canary has: `share: 20%`",
        "signals" => "list what is compared: `signals: [{ use: http-errors }]`",
        "ratio" => {
            "say what is counted: `ratio: { events: 'http_requests_total{code=~\"5..\"}', total: http_requests_total }`"
        }
        "health" => "list what is asked for: `health: [{ http: /healthz }]`",
        "smoke" => "list what is asked for: `smoke: [{ http: /healthz }]`",
        "http" => "say which path to ask for: `http: /healthz`",
        "alerts" => "list which alerts do what: `alerts: [{ match: { severity: page }, do: rollback }]`",
        "match" => "name the alert's labels: `match: { severity: page }`",
        "do" => "say what follows: `do: rollback`, `do: pause` or `do: ignore`",
        "on" => "say what follows from what: `on: { inconclusive: pause }`",
        "budget" => "say how often it may be wrong: `budget: { false_rollback: 1% }`",
        "workers" => "write `workers: [consumer]`",
        "notify" => "name the receivers: `notify: [oncall]`",
        "kayenta" => {
            "write `kayenta: { pass: 95, marginal: 75 }`, or under a signal `kayenta: { allowed_increase: 1.1 }`"
        }
        _ => "",
    }
}
