//! The answer to a change: one JSON object a line, with blank lines as signs of life in between.
//!
//! There is no mark of success. A change succeeded when the answer ended properly and no line had an `Error`. The
//! reader takes bytes as they come, in any pieces, and keeps only the last few messages.

use std::collections::VecDeque;

use serde_json::Value;

/// The longest line that is read. Longer ones make the answer unreadable.
const LONGEST_LINE: usize = 1 << 20;

/// How many messages are kept, and how much of each.
const KEPT_MESSAGES: usize = 20;
const KEPT_CHARS: usize = 500;

/// What an answer said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The last messages, oldest first, each cut to a bounded length.
    pub(super) messages: VecDeque<String>,
    /// The first error.
    pub(super) error: Option<String>,
    /// A line was too long or no complete JSON, so an error may have been missed.
    pub(super) garbled: bool,
}

/// Reads an answer piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    too_long: bool,
    said: Said,
}

impl Reader {
    /// Takes the next piece.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|b| *b == b'\n') {
            self.extend(&piece[..end]);
            self.end_line();
            piece = &piece[end + 1..];
        }
        self.extend(piece);
    }

    /// What was said so far, if nothing more comes.
    pub(super) fn finish(mut self) -> Said {
        self.end_line();
        self.said
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LONGEST_LINE {
            self.too_long = true;
            self.line.clear();
        }
        if !self.too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.too_long) {
            self.said.garbled = true;
        } else {
            read_line(&self.line, &mut self.said);
        }
        self.line.clear();
    }
}

fn read_line(line: &[u8], said: &mut Said) {
    let line = line.trim_ascii();
    if line.is_empty() {
        return;
    }
    if !line.starts_with(b"{") {
        keep(&String::from_utf8_lossy(line), said);
        return;
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(line) else {
        said.garbled = true;
        return;
    };
    match object.get("Error") {
        None | Some(Value::Null) => {}
        Some(Value::String(error)) if error.is_empty() => {}
        Some(error) => {
            let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            said.error.get_or_insert(text);
        }
    }
    if let Some(Value::String(message)) = object.get("Message") {
        keep(message, said);
    }
}

fn keep(message: &str, said: &mut Said) {
    let message = message.trim();
    if message.is_empty() {
        return;
    }
    if said.messages.len() == KEPT_MESSAGES {
        said.messages.pop_front();
    }
    said.messages.push_back(message.chars().take(KEPT_CHARS).collect());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Said {
        let mut reader = Reader::default();
        for piece in pieces {
            reader.push(piece);
        }
        reader.finish()
    }

    #[test]
    fn blank_lines_are_signs_of_life() {
        assert_eq!(read(&[b"\n\n", b"\n", b" \r\n"]), Said::default());
        assert_eq!(read(&[]), Said::default());
    }

    #[test]
    fn lines_may_be_cut_anywhere_and_escaped() {
        let line = br#"{"Message":" ---\u003e 4 of 4 new units ready\n","Timestamp":"2026-08-21T13:00:00Z"}"#;
        for cut in 0..line.len() {
            let said = read(&[b"\n", &line[..cut], &line[cut..], b"\n"]);
            assert_eq!(said.messages, ["---> 4 of 4 new units ready"], "cut at {cut}");
            assert!(!said.garbled && said.error.is_none());
        }
    }

    #[test]
    fn a_late_error_is_found_with_or_without_the_last_newline() {
        for end in ["", "\n", "\n\n"] {
            let text = format!("\n\n{{\"Message\":\"a\"}}\n\n{{\"Message\":\"\",\"Error\":\"boom\"}}{end}");
            assert_eq!(read(&[text.as_bytes()]).error.as_deref(), Some("boom"));
        }
        assert_eq!(read(&[br#"{"Error":{"text":"odd"}}"#]).error.as_deref(), Some(r#"{"text":"odd"}"#));
        assert_eq!(read(&[br#"{"Message":"a","Error":""}"#]).error, None);
        assert_eq!(read(&[br#"{"Message":" ","Error":null}"#]), Said::default());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_taken_for_success() {
        assert!(read(&[br#"{"Message":"","Error":"bo"#]).garbled);
        let long = vec![b'x'; LONGEST_LINE];
        let said = read(&[b"{\"Error\":\"", &long, b"\"}\n", b"{\"Message\":\"after\"}\n"]);
        assert!(said.garbled);
        assert_eq!(said.messages, ["after"]);
    }

    #[test]
    fn only_the_last_messages_are_kept() {
        let mut reader = Reader::default();
        for i in 0..1000 {
            reader.push(format!("{{\"Message\":\"{i}{}\"}}\n", "ü".repeat(2000)).as_bytes());
        }
        let said = reader.finish();
        assert_eq!(said.messages.len(), KEPT_MESSAGES);
        assert!(said.messages[KEPT_MESSAGES - 1].starts_with("999"));
        assert!(said.messages.iter().all(|m| m.chars().count() == KEPT_CHARS));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_read_alike(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0_usize..400) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(read(&[&bytes]), read(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
