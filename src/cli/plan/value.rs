//! What flags hold.

use crate::words::{Share, Span};

pub(super) fn percentage(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is not a percentage between 0% and 100%; write it like `10%`");
    let number: f64 =
        text.strip_suffix('%').and_then(|digits| digits.trim().parse().ok()).ok_or_else(wrong)?;
    if number == 0.0 {
        return Err(
            "of nothing, one and a half times is nothing: write how little it may be at most, as `0.001%`"
                .to_owned(),
        );
    }
    Share::new(number / 100.0).filter(|share| *share > Share::NONE && *share < Share::ALL).ok_or_else(wrong)
}

pub(super) fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1e9);
    number.ok_or_else(|| format!("`{text}` is not a number above 0 and up to 1e9"))
}

pub(super) fn dispersion(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=1e6).contains(number));
    number
        .ok_or_else(|| format!("`{text}` is not a dispersion; independent events have 1, noisier ones more"))
}

/// How long units may be watched.
pub(super) fn watch(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    let within = Span::seconds(2)..=Span::minutes(24 * 60);
    if within.contains(&span) {
        Ok(span)
    } else {
        Err(format!("`{text}` is out of range; write `2s` to `1d`"))
    }
}
