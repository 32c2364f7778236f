//! Numbers as people read them: no more digits than they mean.

/// Beyond this the chance is no longer told more exactly: nobody's model of the world is that good.
const RAREST: f64 = 1e6;

/// From here on a count is told by its power of ten.
const LONGEST: f64 = 1e15;

/// How rarely something with this evidence is said wrongly: 1/e by Ville's inequality, rounded so that it stays true.
fn chance(log_e: f64) -> String {
    let one_in = log_e.min(RAREST.ln()).exp();
    if one_in < 2.0 {
        return "not known to be small".to_owned();
    }
    let size = 10_f64.powf(one_in.log10().floor());
    // The tiny shift keeps a threshold of exactly 1,000 from being told as 900.
    format!("under 1 in {}", count((one_in / size + 1e-9).floor() * size))
}

/// The same where the canary alone is held against a bound, which may be wrong itself with a chance of `wrong`.
pub(in crate::judge) fn chance_beside(log_e: f64, wrong: f64) -> String {
    chance(-((-log_e).exp() + wrong).ln())
}

/// A gauge's value: two or three digits that tell something.
pub(in crate::judge) fn amount(value: f64) -> String {
    if (0.01..1e9).contains(&value) { times(value) } else { format!("{value:.2e}") }
}

/// A ratio with as many digits as it takes.
pub(in crate::judge) fn times(ratio: f64) -> String {
    let text = if ratio < 2.0 {
        format!("{ratio:.2}")
    } else if ratio < 10.0 {
        format!("{ratio:.1}")
    } else {
        return count(ratio);
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A ratio that was measured: two digits, the last one shown though it be 0.
pub(in crate::judge) fn measured(ratio: f64) -> String {
    if ratio < 0.995 {
        times(ratio)
    } else if ratio < 9.95 {
        format!("{ratio:.1}")
    } else {
        count(ratio)
    }
}

/// A share as a percentage with two digits that tell something.
pub(in crate::judge) fn percent(share: f64) -> String {
    crate::words::Share::new(share).map_or_else(|| times(share), |share| share.to_string())
}

/// A count with its thousands set apart.
pub(crate) fn count(value: f64) -> String {
    if value.abs() >= LONGEST {
        return format!("{value:.1e}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A wait, rounded to what a person would say.
pub(in crate::judge) fn more(seconds: f64) -> String {
    let plural = |n: f64, unit: &str| format!("{n:.0} more {unit}{}", if n < 1.5 { "" } else { "s" });
    if seconds < 90.0 {
        plural((seconds / 5.0).ceil().max(1.0) * 5.0, "second")
    } else if seconds < 90.0 * 60.0 {
        plural((seconds / 60.0).round(), "minute")
    } else {
        plural((seconds / 3600.0).round(), "hour")
    }
}

/// A measured time: `250 ms`, `75 s`.
pub(in crate::judge) fn seconds(value: f64) -> String {
    if value < 1.0 {
        format!("{} ms", times(value * 1e3))
    } else if value < 10.0 {
        format!("{} s", times(value))
    } else {
        format!("{value:.0} s")
    }
}

/// How long something has lasted: `75 s`, `15 minutes`.
pub(in crate::judge) fn lasting(value: f64) -> String {
    if value < 120.0 {
        format!("{value:.0} s")
    } else if value < 120.0 * 60.0 {
        format!("{:.0} minutes", value / 60.0)
    } else {
        format!("{:.0} hours", value / 3600.0)
    }
}
