//! Takes values out of fields, and says what is wrong with them and where.

use std::ops::{Range, RangeInclusive};

use crate::policy::diagnostic::Diagnostics;
use crate::policy::file::scalar::{Change, Text};
use crate::policy::file::value::{Field, List};
use crate::policy::selector::SelectorError;
use crate::words::{Share, Span};

/// Carries the findings through the checks.
pub(super) struct Resolver<'a> {
    /// The file's text.
    pub(super) text: &'a str,
    /// What was found so far.
    pub(super) findings: &'a mut Diagnostics,
}

impl Resolver<'_> {
    pub(super) fn error(&mut self, at: &Range<usize>, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.error(at.clone(), message, help);
    }

    pub(super) fn warn(&mut self, at: &Range<usize>, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.findings.warn(at.clone(), message, help);
    }

    /// A field's value; where it was misread, says so.
    pub(super) fn get<'f, T>(&mut self, field: &'f Field<T>) -> Option<&'f T> {
        match &field.value {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.error(&field.at, &wrong.message, &wrong.help);
                None
            }
        }
    }

    /// A field's value, or the default where the field is not given.
    pub(super) fn or<T: Copy>(&mut self, field: Option<&Field<T>>, default: T) -> T {
        field.and_then(|field| self.get(field)).copied().unwrap_or(default)
    }

    /// A list's entries; where there are too many, says so and leaves the rest aside.
    pub(super) fn list<'f, T>(&mut self, list: &'f List<T>, most: usize) -> &'f [T] {
        if list.value.len() > most {
            let message = format!("this list has {} entries", list.value.len());
            self.error(&list.at, message, format!("write at most {most}"));
        }
        &list.value[..list.value.len().min(most)]
    }

    /// A duration within bounds.
    pub(super) fn span(
        &mut self,
        field: Option<&Field<Span>>,
        default: Span,
        within: RangeInclusive<Span>,
    ) -> Span {
        let Some(field) = field else { return default };
        let Some(span) = self.get(field).copied() else { return default };
        if within.contains(&span) {
            return span;
        }
        let (least, most) = (within.start(), within.end());
        self.error(&field.at, format!("`{span}` is out of range"), format!("write `{least}` to `{most}`"));
        default
    }

    /// A share above nothing and below `below`.
    pub(super) fn share(&mut self, field: Option<&Field<Share>>, default: f64, below: f64) -> f64 {
        let Some(field) = field else { return default };
        let Some(share) = self.get(field).copied() else { return default };
        self.within(share, &field.at, below).unwrap_or(default)
    }

    /// A share that was read, if it is above nothing and below `below`.
    pub(super) fn within(&mut self, share: Share, at: &Range<usize>, below: f64) -> Option<f64> {
        if share.get() > 0.0 && share.get() < below {
            return Some(share.get());
        }
        let below = Share::new(below).unwrap_or(Share::ALL);
        let help = format!("write more than 0% and less than {below}");
        self.error(at, format!("`{share}` is out of range"), help);
        None
    }

    /// The bytes of the file that stand for some bytes of a field's text, for carets inside of a query.
    pub(super) fn inside(&self, field: &Field<Text>, span: &Range<usize>) -> Range<usize> {
        let source = self.text.get(field.at.clone()).unwrap_or_default();
        let quoted = source.starts_with(['"', '\'']);
        let start = usize::from(quoted);
        if source.get(start..).is_some_and(|rest| rest.starts_with(&field.text)) {
            let base = field.at.start + start;
            return base + span.start..base + span.end;
        }
        // A double-quoted text with escapes: walk both at once.
        let place = |wanted: usize| -> Option<usize> {
            let (mut read, mut at) = (0, start);
            while read < wanted {
                let c = source.get(at..)?.chars().next()?;
                if c == '\\' {
                    let escaped = source.get(at + 1..)?.chars().next()?;
                    // Only escapes that stand for one byte; of others the whole field is shown.
                    if !"\"\\/nrt ".contains(escaped) {
                        return None;
                    }
                    at += 2;
                    read += 1;
                } else {
                    at += c.len_utf8();
                    read += c.len_utf8();
                }
            }
            Some(field.at.start + at)
        };
        match (source.starts_with('"'), place(span.start), place(span.end)) {
            (true, Some(from), Some(to)) => from..to,
            _ => field.at.clone(),
        }
    }

    pub(super) fn selector_error(&mut self, field: &Field<Text>, error: &SelectorError) {
        let at = self.inside(field, &error.span);
        self.error(&at, &error.message, &error.help);
    }

    /// A change for the worse that the judge can tell from none.
    pub(super) fn change(&mut self, field: &Field<Change>) -> Option<f64> {
        /// Beyond fifty times the baseline the judge's alternatives end.
        const LARGEST: f64 = 49.0;
        let change = self.get(field)?.0;
        if change <= LARGEST {
            return Some(change);
        }
        self.error(&field.at, "this is more than fifty times the baseline", "write up to `+4900%`");
        None
    }
}
