//! What the API says, in Go's own spelling: names and order of keys, `null` for empty lists, escapes, times.

use serde::Serialize;

pub(super) mod apps;
pub(super) mod bson;
pub(super) mod events;
pub(super) mod metrics;

/// JSON as Go's encoder writes it: one line, with `<`, `>` and `&` escaped, and a newline at the end.
pub(super) fn json_line(value: &impl Serialize) -> String {
    // Every value here has string keys and no failing serialiser.
    let mut text = escape(&serde_json::to_string(value).unwrap_or_default());
    text.push('\n');
    text
}

/// The characters that Go escapes in JSON beyond what JSON asks for. They only ever stand inside strings.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

/// One line of a JSON stream.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamLine<'a> {
    message: &'a str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// A line of a JSON stream that tells of the work.
pub(super) fn stream_message(message: &str, timestamp: &str) -> String {
    json_line(&StreamLine { message, timestamp, error: None })
}

/// The last line of a JSON stream that failed.
pub(super) fn stream_error(error: &str, timestamp: &str) -> String {
    json_line(&StreamLine { message: "", timestamp, error: Some(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_lines_are_spelt_as_go_spells_them() {
        assert_eq!(
            stream_message(" ---> 0 of 4 new units ready\n", "2026-08-21T13:00:00Z"),
            "{\"Message\":\" ---\\u003e 0 of 4 new units ready\\n\",\"Timestamp\":\"2026-08-21T13:00:00Z\"}\n"
        );
        assert_eq!(
            stream_error("boom", "2026-08-21T13:00:09Z"),
            "{\"Message\":\"\",\"Timestamp\":\"2026-08-21T13:00:09Z\",\"Error\":\"boom\"}\n"
        );
    }
}
