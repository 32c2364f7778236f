//! A policy file without one of its keys, with all else where it was: to read what follows a key that there is not.

use std::ops::Range;

/// The text without the key that stands at `key` and without its value, blanked so that nothing else moves; nothing where it
/// cannot be told where the value ends.
pub(super) fn without_key(text: &str, key: Range<usize>) -> Option<String> {
    let line_start = text.get(..key.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let before = &text[line_start..key.start];
    let is_block = before.chars().all(|c| c == ' ' || c == '-');
    let end = if is_block { end_of_block(text, &key, before.len()) } else { end_of_entry(text, key.end)? };
    let blank: String = text[key.start..end].chars().map(blanked).collect();
    Some(format!("{}{blank}{}", &text[..key.start], &text[end..]))
}

/// A character that says nothing, and takes as many bytes.
fn blanked(c: char) -> &'static str {
    match (c, c.len_utf8()) {
        ('\n', _) => "\n",
        ('\r', _) => "\r",
        (_, 1) => " ",
        (_, 2) => "  ",
        (_, 3) => "   ",
        _ => "    ",
    }
}

/// Where what belongs to a key in a line of its own ends: before the next line that is indented no deeper. Comments are passed over,
/// and a list may stand right below its key.
fn end_of_block(text: &str, key: &Range<usize>, column: usize) -> usize {
    let (mut at, mut end, mut is_list) = (key.start, key.end, false);
    for (number, line) in text[key.start..].split_inclusive('\n').enumerate() {
        at += line.len();
        let what = line.trim();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let is_entry = indent == column && (what == "-" || what.starts_with("- "));
        match number {
            0 => is_list = what.split('#').next().is_some_and(|key| key.trim_end().ends_with(':')),
            _ if what.is_empty() || what.starts_with('#') => continue,
            _ if indent > column || is_entry && is_list => {}
            _ => break,
        }
        end = at;
    }
    end
}

/// Where an entry between braces ends, its comma included.
fn end_of_entry(text: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (offset, c) in text[from..].char_indices() {
        if let Some(open) = quote {
            quote = (c != open).then_some(open);
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '{' | '[' => depth += 1,
            '}' | ']' if depth == 0 => return Some(from + offset),
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => return Some(from + offset + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_with_its_value_and_nothing_moves() {
        for (text, without) in [
            ("a: 1\nKEY: 2\nb: 3\n", "a: 1\n      \nb: 3\n"),
            ("KEY:\n  - x\n\n  - y\nb: 3", "    \n     \n\n     \nb: 3"),
            ("- KEY: é\n  b: 3", "-        \n  b: 3"),
            ("{ KEY: [1, '}'], b: 3 }", "{                b: 3 }"),
            ("{ b: 3, KEY: {} }", "{ b: 3,         }"),
            ("x: 1\nKEY: 2", "x: 1\n      "),
            ("KEY:\n- a\n# no\n- b\nc: 3", "    \n   \n    \n   \nc: 3"),
            ("- KEY: 1\n- b: 3", "-       \n- b: 3"),
        ] {
            let at = text.find("KEY").unwrap();
            assert_eq!(without_key(text, at..at + 3).as_deref(), Some(without), "{text:?}");
        }
        assert_eq!(without_key("{ KEY: 1", 2..5), None);
    }
}
