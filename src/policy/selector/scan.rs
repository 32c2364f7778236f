//! Walks a selector's text and says where it stops being one.

use std::ops::Range;

use super::{NAME_LABEL, SelectorError};

/// What may follow a backslash in a PromQL string, beside its own quote.
const ESCAPES: &str = r"abfnrtv\01234567xuU";

/// A matcher as it was written.
#[derive(Debug)]
pub(super) struct RawMatcher<'a> {
    /// The label, with its quotes if it has any.
    label: &'a str,
    /// `=`, `!=`, `=~` or `!~`.
    pub(super) operator: &'a str,
    /// The value with its quotes.
    value: &'a str,
    /// Where the value stands.
    pub(super) value_span: Range<usize>,
    /// Where the whole matcher stands.
    pub(super) span: Range<usize>,
}

/// A matcher's label without quotes.
pub(super) fn label(matcher: &RawMatcher<'_>) -> Result<String, SelectorError> {
    if is_label_name(matcher.label) {
        return Ok(matcher.label.to_owned());
    }
    unquoted(matcher.label, &matcher.span)
}

/// A matcher's value without quotes and escapes.
pub(super) fn value(matcher: &RawMatcher<'_>) -> Result<String, SelectorError> {
    unquoted(matcher.value, &matcher.value_span)
}

fn unquoted(text: &str, span: &Range<usize>) -> Result<String, SelectorError> {
    promql_parser::util::unquote_string(text).map_err(|_| escape_error(span.clone()))
}

fn escape_error(span: Range<usize>) -> SelectorError {
    SelectorError::new(
        span,
        "PromQL does not know this escape",
        "a backslash that is meant is written twice, as in \"\\\\d+\"",
    )
}

/// Whether a metric of this name needs no quotes in PromQL. `nan` and `inf` are numbers there.
pub(super) fn is_metric_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    starts
        && text.chars().all(is_name_char)
        && !["nan", "inf"].iter().any(|number| text.eq_ignore_ascii_case(number))
}

/// Whether a label of this name needs no quotes in PromQL.
pub(super) fn is_label_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// A place in the text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The metric's name, if it stands before the brace, and the matchers.
    pub(super) fn selector(mut self) -> Result<(Option<&'a str>, Vec<RawMatcher<'a>>), SelectorError> {
        self.skip_space();
        let start = self.at;
        let name = self.take_while(is_name_char);
        if !name.is_empty() && !is_metric_name(name) {
            let (message, help) = (
                format!("`{name}` is not a metric's name"),
                "start with a metric's name, as in `http_requests_total`",
            );
            return Err(SelectorError::new(start..self.at, message, help));
        }
        self.skip_space();
        let matchers = if self.rest().starts_with('{') { self.braces()? } else { Vec::new() };
        self.skip_space();
        if self.rest().is_empty() {
            Ok(((!name.is_empty()).then_some(name), matchers))
        } else {
            Err(self.trailing(start, name))
        }
    }

    fn braces(&mut self) -> Result<Vec<RawMatcher<'a>>, SelectorError> {
        let open = self.at;
        self.at += 1;
        let mut matchers = Vec::new();
        loop {
            self.skip_space();
            match self.rest().chars().next() {
                None => {
                    return Err(SelectorError::new(
                        open..open + 1,
                        "this brace is never closed",
                        "close it with `}`",
                    ));
                }
                Some('}') => {
                    self.at += 1;
                    return Ok(matchers);
                }
                Some(_) => matchers.push(self.matcher()?),
            }
            self.skip_space();
            match self.rest().chars().next() {
                Some(',') => self.at += 1,
                Some('}') | None => {}
                Some(_) => {
                    let here = self.char_span();
                    return Err(SelectorError::new(
                        here,
                        "two matchers must be separated by a comma",
                        "write them as in `{code=\"500\",method=\"GET\"}`",
                    ));
                }
            }
        }
    }

    fn matcher(&mut self) -> Result<RawMatcher<'a>, SelectorError> {
        let start = self.at;
        let label = match self.rest().chars().next() {
            Some('"' | '\'' | '`') => self.string()?,
            _ => self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'),
        };
        let label_span = start..self.at;
        if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(SelectorError::new(
                if label.is_empty() { self.char_span() } else { label_span },
                "a label's name is expected here",
                "a matcher is a label, an operator and a quoted value, as in `code=~\"5..\"`",
            ));
        }
        self.skip_space();
        let operator_at = self.at;
        let operator = ["=~", "!~", "!=", "="].into_iter().find(|o| self.rest().starts_with(o));
        let Some(operator) = operator else {
            let quoted = label.starts_with(['"', '\'', '`']);
            if quoted && self.rest().starts_with([',', '}']) {
                // `{"http.requests"}` names the metric.
                let value_span = label_span.clone();
                return Ok(RawMatcher {
                    label: NAME_LABEL,
                    operator: "=",
                    value: label,
                    value_span,
                    span: label_span,
                });
            }
            return Err(SelectorError::new(
                self.char_span(),
                format!("an operator is expected after the label `{label}`"),
                "use `=`, `!=`, `=~` (matches) or `!~` (does not match)",
            ));
        };
        self.at += operator.len();
        self.skip_space();
        let value_at = self.at;
        if !self.rest().starts_with(['"', '\'', '`']) {
            return Err(self.bare_value(operator_at, operator));
        }
        let value = self.string()?;
        Ok(RawMatcher { label, operator, value, value_span: value_at..self.at, span: start..self.at })
    }

    fn bare_value(&mut self, operator_at: usize, operator: &str) -> SelectorError {
        let start = self.at;
        let word = self.take_while(|c| !matches!(c, ',' | '}' | ' '));
        if word.is_empty() || word.starts_with(['=', '~']) {
            let span = operator_at..operator_at + operator.len();
            return SelectorError::new(
                span,
                format!("a quoted value is expected after `{operator}`"),
                "write it as in `code=\"500\"`",
            );
        }
        let help = format!("write {operator}\"{word}\"");
        SelectorError::new(start..self.at, format!("the value `{word}` needs quotes"), help)
    }

    /// A quoted string, with its quotes. A backslash escapes in all but backquotes.
    fn string(&mut self) -> Result<&'a str, SelectorError> {
        let start = self.at;
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map_or('"', |(_, c)| c);
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                self.at = start + offset + 1;
                return Ok(&self.text[start..self.at]);
            }
            if c == '\\' && quote != '`' {
                // Checked here because the library's unquoting panics on a backslash before a character beyond ASCII.
                let escaped = chars.next().map_or(quote, |(_, c)| c);
                if escaped != quote && !ESCAPES.contains(escaped) {
                    let at = start + offset;
                    return Err(escape_error(at..at + 1 + escaped.len_utf8()));
                }
            }
        }
        let help = format!("close it with {quote}");
        Err(SelectorError::new(start..start + 1, "this string is never closed", help))
    }

    /// What stands after (or instead of) a selector, explained.
    fn trailing(&self, start: usize, name: &str) -> SelectorError {
        let rest = self.rest();
        let span = self.at..self.text.trim_end().len();
        let plain =
            "a counter is a metric with label matchers only, as in `http_requests_total{code=~\"5..\"}`";
        let (message, help) = if name.is_empty() && self.at == start {
            ("a metric's name is expected here", plain)
        } else if rest.starts_with('(') {
            let help = "name the raw counter; its increments are computed exactly, without `rate` or `increase`. \
                        An expression can be a `gauge:`";
            return SelectorError::new(
                start..span.end,
                format!("`{name}(…)` is a function, not a counter"),
                help,
            );
        } else if rest.starts_with('[') {
            ("a counter has no range", "leave the range out; the looks give it")
        } else if rest.starts_with("offset") || rest.starts_with('@') {
            ("a counter is read now; it has no offset and no `@`", "leave it out")
        } else if rest.starts_with(|c: char| "+-*/%^<>=!".contains(c)) {
            ("a counter is not an expression", plain)
        } else {
            ("the selector ends here, but more follows", plain)
        };
        let end = self.char_span().end;
        SelectorError::new(span.start..span.end.max(end), message, help)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The character at this place; at the end of the text, nothing.
    fn char_span(&self) -> Range<usize> {
        self.at..self.at + self.rest().chars().next().map_or(0, char::len_utf8)
    }

    fn skip_space(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !keep(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }
}
