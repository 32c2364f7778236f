//! One line of an exposition, taken apart without copying anything.

use std::borrow::Cow;

/// The longest line that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The most labels that a series may have.
const MOST_LABELS: usize = 128;

/// What a line holds.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing that counts here: an empty line, a comment, help, a type or a unit.
    Other,
    /// The mark that ends an OpenMetrics exposition.
    End,
    /// One series' value.
    Sample(RawSample<'a>),
}

/// A sample without its labels.
#[derive(Debug, PartialEq)]
pub(super) struct RawSample<'a> {
    /// The metric's name.
    pub(super) name: Cow<'a, str>,
    /// The value, as text that is a number.
    pub(super) value: &'a str,
    /// The time, as text that is a finite number.
    pub(super) time: Option<&'a str>,
}

/// A label, without quotes and escapes; copied only where there were escapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawLabel<'a> {
    /// Its name.
    pub(super) name: Cow<'a, str>,
    /// Its value.
    pub(super) value: Cow<'a, str>,
}

/// Takes `line` apart. Its labels, if it is a sample, replace what `labels` held.
pub(super) fn read<'a>(line: &'a str, labels: &mut Vec<RawLabel<'a>>) -> Result<Line<'a>, &'static str> {
    if line.len() > LONGEST {
        return Err("the line is longer than 64 KiB");
    }
    let line = line.trim_matches([' ', '\t', '\r']);
    if let Some(comment) = line.strip_prefix('#') {
        return Ok(if comment == " EOF" { Line::End } else { Line::Other });
    }
    if line.is_empty() {
        return Ok(Line::Other);
    }
    labels.clear();
    let mut rest = Rest(line);
    let mut name = Cow::Borrowed(rest.take_while(is_name_char));
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a metric's name does not start with a digit");
    }
    let space = rest.skip_space();
    if rest.take('{') {
        read_labels(&mut rest, &mut name, labels)?;
        rest.skip_space();
    } else if !space {
        return Err(if line.starts_with('<') {
            "this is HTML or XML, not metrics"
        } else {
            "a metric's name must be followed by `{` or by its value"
        });
    }
    if name.is_empty() {
        return Err("the line names no metric");
    }
    let value = rest.take_while(|c| !is_space(c));
    number(value)?;
    rest.skip_space();
    let time = rest.take_while(|c| !is_space(c) && c != '#');
    if !time.is_empty() && !number(time).is_ok_and(f64::is_finite) {
        return Err("what follows the value is not a time");
    }
    rest.skip_space();
    // What follows a `#` is an exemplar: a request that stands for others, of no use in counting.
    if !rest.0.is_empty() && !rest.0.starts_with("# {") {
        return Err("there is more than a name, labels, a value and a time");
    }
    Ok(Line::Sample(RawSample { name, value, time: (!time.is_empty()).then_some(time) }))
}

/// A number as the formats write it; `NaN`, `+Inf` and `-Inf` are numbers.
pub(super) fn number(text: &str) -> Result<f64, &'static str> {
    text.parse().map_err(|_| "the value is not a number")
}

/// Reads labels up to the closing brace. A quoted text without `=` is the metric's name, if it has none yet.
fn read_labels<'a>(
    rest: &mut Rest<'a>,
    name: &mut Cow<'a, str>,
    labels: &mut Vec<RawLabel<'a>>,
) -> Result<(), &'static str> {
    loop {
        rest.skip_space();
        if rest.take('}') {
            return Ok(());
        }
        let (label, quoted) = match rest.quoted()? {
            Some(text) => (unescaped(text), true),
            None => (Cow::Borrowed(rest.take_while(is_label_char)), false),
        };
        rest.skip_space();
        if rest.take('=') {
            if label.is_empty() || (!quoted && label.starts_with(|c: char| c.is_ascii_digit())) {
                return Err("a label's name is missing or starts with a digit");
            }
            rest.skip_space();
            let value = rest.quoted()?.ok_or("a label's value must stand in double quotes")?;
            if labels.iter().any(|l| l.name == label) {
                return Err("a label stands there twice");
            }
            if labels.len() == MOST_LABELS {
                return Err("there are more than 128 labels");
            }
            labels.push(RawLabel { name: label, value: unescaped(value) });
        } else if quoted && name.is_empty() {
            *name = label;
        } else {
            return Err("a label's name must be followed by `=`");
        }
        rest.skip_space();
        if !rest.take(',') && !rest.0.starts_with('}') {
            return Err("the labels do not end: `,` or `}` is missing");
        }
    }
}

/// What is left of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !keep(c)).unwrap_or(self.0.len());
        let (taken, left) = self.0.split_at(end);
        self.0 = left;
        taken
    }

    fn skip_space(&mut self) -> bool {
        !self.take_while(is_space).is_empty()
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// The text between double quotes, escapes and all, if there is one next.
    fn quoted(&mut self) -> Result<Option<&'a str>, &'static str> {
        let Some(inner) = self.0.strip_prefix('"') else { return Ok(None) };
        let mut escaped = false;
        for (at, byte) in inner.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.0 = &inner[at + 1..];
                    return Ok(Some(&inner[..at]));
                }
                _ => {}
            }
        }
        Err("a quoted text does not end")
    }
}

/// `text` without escapes. Only `\\`, `\"` and `\n` are escapes; any other backslash is itself.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some(escaped @ ('\\' | '"')) => plain.push(escaped),
            other => {
                plain.push('\\');
                plain.extend(other);
            }
        }
    }
    Cow::Owned(plain)
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name_char(c: char) -> bool {
    is_label_char(c) || c == ':'
}
