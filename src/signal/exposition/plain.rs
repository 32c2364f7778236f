//! Writes a sample so that `prometheus-parse` reads it as it is, and reads back what that gave.
//!
//! The library splits labels at `,` and `=`, ends them at the first `}`, and takes only word characters for a name. So
//! characters that mean something to it are replaced by private-use ones (U+F0000 plus the byte) in labels, and in
//! names by their number between two U+02D0 (a letter to the library that no metric has).

use std::fmt::Write as _;

/// Added to a byte that must not be seen.
const PRIVATE: u32 = 0xF_0000;
/// Before a private-use character that stands for itself.
const ITSELF: char = '\u{F0000}';
/// Around a number in a name.
const MARK: char = '\u{02D0}';

/// A label's name or value, hidden.
pub(super) fn hide(text: &str, into: &mut String) {
    for c in text.chars() {
        if (PRIVATE..PRIVATE + 0x100).contains(&u32::from(c)) {
            into.push(ITSELF);
            into.push(c);
            continue;
        }
        let seen = c.is_ascii_punctuation() && c != '_' || c.is_ascii_whitespace();
        into.push(if seen { char::from_u32(PRIVATE + u32::from(c)).unwrap_or(c) } else { c });
    }
}

/// What [`hide`] hid.
pub(super) fn reveal(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match u32::from(c).checked_sub(PRIVATE) {
            Some(0) => plain.extend(chars.next()),
            Some(byte @ 1..0x100) => plain.extend(char::from_u32(byte)),
            _ => plain.push(c),
        }
    }
    plain
}

/// A metric's name, hidden.
pub(super) fn hide_name(name: &str, into: &mut String) {
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            into.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "{MARK}{:x}{MARK}", u32::from(c));
        }
    }
}

/// What [`hide_name`] hid.
pub(super) fn reveal_name(name: &str) -> String {
    // Between marks there is a number at every other place.
    let parts = name.split(MARK).enumerate();
    parts.fold(String::with_capacity(name.len()), |mut plain, (place, part)| {
        if place % 2 == 0 {
            plain.push_str(part);
        } else {
            plain.extend(u32::from_str_radix(part, 16).ok().and_then(char::from_u32));
        }
        plain
    })
}
