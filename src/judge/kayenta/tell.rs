//! What was judged as Kayenta does, in words.

use super::{Panel, Series};
use crate::judge::explain::{self, count, times};
use crate::judge::{Outcome, SignalVerdict, Verdict};
use crate::stats::kayenta::{Direction, Judgement, Label, Shift};
use crate::words::Arms;

/// What every verdict says of itself.
const NO_BUDGET: &str = "judged as Kayenta does, without a budget for false rollbacks";

/// Beyond this a ratio is not told more exactly.
const MOST: f64 = 1e6;

/// Fills in what is said of one signal. Silence is told as with any other judge.
pub(in crate::judge) fn signal(name: &str, series: &Series, verdict: &mut SignalVerdict) {
    let settings = series.settings();
    verdict.allowed = match settings.direction {
        Direction::Decrease => settings.allowed.decrease,
        Direction::Increase | Direction::Either => settings.allowed.increase,
    };
    verdict.within = verdict.allowed;
    (verdict.log_e_harm, verdict.harm_threshold) = (0.0, 0.0);
    (verdict.log_e_safe, verdict.safe_threshold) = (0.0, 0.0);
    if !matches!(verdict.outcome, Outcome::NoData | Outcome::SourceDown) {
        let muted = if series.is_muted() { "; muted, so it does not count" } else { "" };
        verdict.why = format!("{name}: {}{muted}", why(series));
        verdict.otherwise = otherwise(series);
    }
}

fn why(series: &Series) -> String {
    if series.is_incomparable() {
        return "the versions' histograms have no bucket bound in common, so they cannot be compared"
            .to_owned();
    }
    let Some(judged) = series.judged() else {
        return format!("not judged yet; {} so far", plural(series.len(), "look"));
    };
    let Judgement { label, deviation, shift, .. } = judged.judgement;
    let Arms { baseline, canary } = judged.values;
    match label {
        Label::Pass => format!("Pass: {}", change(series, deviation, shift)),
        Label::High => format!("High: {}", change(series, deviation, shift)),
        Label::Low => format!("Low: {}", change(series, deviation, shift)),
        Label::NoData | Label::NoDataFail => format!(
            "Nodata: {} of the canary and {} of the baseline are too few",
            plural(canary, "value"),
            baseline
        ),
        Label::Error => format!(
            "Error: {} of the canary and {} of the baseline cannot be compared",
            plural(canary, "value"),
            baseline
        ),
    }
}

/// Smaller shifts are rounding.
const ROUNDING: f64 = 1e-12;

/// "1.9 times the baseline's mean; shifted by 0.9 percentage points, between 0.5 and 1.2 in this judgement".
fn change(series: &Series, deviation: Option<f64>, shift: Option<Shift>) -> String {
    let (times_of, unit) = series.scale();
    // What is left of a difference of equal values is no number.
    let number = |value: f64| number(if value.abs() < ROUNDING { 0.0 } else { value * times_of });
    let ratio = match deviation {
        Some(ratio) if ratio.abs() < MOST => format!("{} times the baseline's mean", times(ratio)),
        Some(_) => format!("more than {} times the baseline's mean", count(MOST)),
        None => "no ratio to the baseline's mean can be told".to_owned(),
    };
    match shift {
        Some(Shift { lower, estimate, upper }) => format!(
            "{ratio}; shifted by {}{unit}, between {} and {} in this judgement",
            number(estimate),
            number(lower),
            number(upper)
        ),
        None => ratio,
    }
}

fn otherwise(series: &Series) -> String {
    let (times_of, unit) = series.scale();
    let number = |value: f64| number(value * times_of);
    match series.fails() {
        Some(Judgement { label: Label::High, shift: Some(shift), .. }) => format!(
            "it would have passed if the shift might also have been {}{unit} or less",
            number(series.settings().tolerance * shift.estimate.abs())
        ),
        Some(Judgement { label: Label::Low, shift: Some(shift), .. }) => format!(
            "it would have passed if the shift might also have been {}{unit} or more",
            number(-series.settings().tolerance * shift.estimate.abs())
        ),
        _ => String::new(),
    }
}

/// One or two sentences about all signals together.
pub(in crate::judge) fn together(v: &Verdict, panel: &Panel) -> String {
    let (pass, marginal) = (panel.thresholds.pass, panel.thresholds.marginal);
    let text = if v.harm {
        let of = v.culprits.first().and_then(|name| v.signals.get(name)).map(|signal| signal.why.as_str());
        format!("harm: score {} is below {marginal}: {}", v.score[1], of.unwrap_or("several signals fail"))
    } else if v.source_down {
        explain::first(v, Outcome::SourceDown)
    } else if v.no_data {
        explain::first(v, Outcome::NoData)
    } else if v.safe {
        format!("score {} is at least the {pass} that passes", v.score[0])
    } else if panel.score.is_none() {
        "nothing is judged yet".to_owned()
    } else if panel.passes() || !panel.fresh {
        "this step is not judged yet".to_owned()
    } else {
        let [low, high] = v.score;
        let score =
            if low < high { format!("score between {low} and {high}") } else { format!("score {low}") };
        format!("{score}: neither below {marginal}, which fails, nor {pass}, which passes")
    };
    format!("{text}; {NO_BUDGET}")
}

fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A number of any size with three digits that tell something.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let whole_digits = value.abs().log10().floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 5")]
    let decimals = (2.0 - whole_digits).clamp(0.0, 5.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
