//! What flags hold.

use crate::words::{Share, Span};

pub(super) fn percentage(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is not a percentage above 0% and below 100%; write it like `10%`");
    let number: f64 =
        text.strip_suffix('%').and_then(|digits| digits.trim().parse().ok()).ok_or_else(wrong)?;
    Share::new(number / 100.0).filter(|share| *share > Share::NONE && *share < Share::ALL).ok_or_else(wrong)
}

/// A part of what happens: something of it must.
pub(super) fn rate(text: &str) -> Result<Share, String> {
    if text.strip_suffix('%').and_then(|digits| digits.trim().parse().ok()) == Some(0.0) {
        return Err(
            "of nothing, one and a half times is nothing: write how little it may be at most, as `0.001%`"
                .to_owned(),
        );
    }
    percentage(text)
}

/// The canary's share.
pub(super) fn share(text: &str) -> Result<Share, String> {
    percentage(text).map_err(|wrong| match text {
        "0%" => "a canary without traffic shows nothing; write it like `10%`".to_owned(),
        "100%" => {
            "a canary with all of the traffic has no baseline beside it; write it like `10%`".to_owned()
        }
        _ => wrong,
    })
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
