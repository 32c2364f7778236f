//! Says in words how Kayenta's judge is asked.

use super::milliseconds;
use crate::policy::{Kayenta, Measure, Metric, Signal};
use crate::stats::kayenta::{Direction, Effect, Limits, Missing, Precision};
use crate::words::{Share, Span};

/// What is promised of this judge's mistakes.
pub(super) const MAY_BE_WRONG: &str = "how often a good canary is rolled back is not bounded: Kayenta's judge keeps no budget, and every further \
     judgement and every signal add to it";

/// How and when all signals together are judged.
pub(super) fn judges(terms: &Kayenta) -> Vec<String> {
    let since = terms.lookback.map_or_else(
        || "all looks since the rollout began".to_owned(),
        |back| format!("the looks of the last {back}"),
    );
    let mut lines = vec![
        format!("as Kayenta does, every {} of a step, by {since}", terms.judge_every),
        format!(
            "a score of {} passes, one below {} fails at once",
            terms.thresholds.pass, terms.thresholds.marginal
        ),
    ];
    if !terms.group_weights.is_empty() {
        let weights: Vec<String> = terms
            .group_weights
            .iter()
            .map(|(group, weight)| format!("{group} {}", part(*weight / 100.0)))
            .collect();
        lines.push(format!("the score is made of {}", weights.join(", ")));
    }
    if terms.signals.values().any(|metric| metric.settings.precision == Precision::Exact) {
        lines.push("as roughly as Kayenta: signals below about 0.001 are misjudged".to_owned());
    }
    lines
}

/// One signal.
pub(super) fn compares(signal: &Signal, terms: &Kayenta) -> String {
    let Some(metric) = terms.signals.get(&signal.name) else { return signal.name.clone() };
    let mut parts = vec![changes(metric)];
    if signal.critical {
        parts.push("alone fails the canary".to_owned());
    }
    if metric.settings.outlier_factor.is_some() {
        parts.push("outliers are left out".to_owned());
    }
    if metric.settings.missing == Missing::Zero {
        parts.push("a look without a value counts as 0".to_owned());
    }
    if !metric.settings.must_have_data {
        parts.push("may be silent".to_owned());
    }
    parts.push(if metric.muted {
        "muted: it does not count".to_owned()
    } else {
        format!("in {}", metric.groups.join(" and "))
    });
    format!("{}: {}; {}", signal.name, value(&signal.measure, metric), parts.join(", "))
}

/// What one look gives of each version.
fn value(measure: &Measure, metric: &Metric) -> String {
    match measure {
        Measure::Ratio { events, total, .. } => format!("{} of {}", events.0, total.0),
        Measure::Rate { events, .. } => format!("{} per unit and second", events.0),
        Measure::Latency { histogram, over: Some(over), .. } => {
            format!("share of {} over {}", histogram.0, Span(milliseconds(*over)))
        }
        Measure::Latency { histogram, over: None, .. } => {
            format!("the {} quantile of {}", part(metric.quantile), histogram.0)
        }
        Measure::Gauge { query, .. } => format!("mean over units of {query}"),
    }
}

/// Which changes fail.
fn changes(metric: &Metric) -> String {
    let settings = &metric.settings;
    let Limits { increase, decrease } = settings.allowed;
    let (more, less) = (size(increase, settings.effect), size(decrease, settings.effect));
    match settings.direction {
        Direction::Increase => format!("an increase{more} fails"),
        Direction::Decrease => format!("a decrease{less} fails"),
        Direction::Either => format!("an increase{more} and a decrease{less} fail"),
    }
}

/// The size from which on a change counts; nothing where each does.
fn size(limit: f64, effect: Effect) -> String {
    match effect {
        Effect::MeanRatio if (limit - 1.0).abs() > 0.0 => format!(" to {limit} times the baseline's mean"),
        Effect::CommonLanguage if (limit - 0.5).abs() > 0.0 => {
            format!(" to a chance of {} of being above the baseline", part(limit))
        }
        _ => String::new(),
    }
}

fn part(share: f64) -> String {
    Share::new(share).map_or_else(|| share.to_string(), |share| share.to_string())
}
