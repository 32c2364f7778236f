//! Sentences for people. Every number in them is one that the verdict rests on; nothing here decides anything.

use std::fmt::Write as _;

use super::{Outcome, SignalVerdict, Verdict};
use crate::words::Arms;

/// Beyond this the chance is no longer told more exactly: nobody's model of the world is that good.
const RAREST: f64 = 1e6;

/// What a signal's numbers are about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum About {
    /// Requests that failed.
    Failures,
    /// Events by time.
    Events,
    /// Requests that took longer than this many seconds.
    Slower(f64),
    /// How long requests take, before it is fixed which are called slow.
    Latency,
    /// A value.
    Level,
}

/// What the sentences about a signal need besides its verdict.
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) about: About,
    /// The largest evidence of harm so far, where it has crossed its threshold.
    pub(super) failed: Option<f64>,
    /// Seconds since each arm was heard.
    pub(super) silent: Arms<f64>,
    /// What the canary had in this step, and what it needs before it can be called safe.
    pub(super) step: [f64; 2],
    /// An absolute limit, and whether the baseline itself breaks it.
    pub(super) limit: Option<(f64, bool)>,
    /// Why there can be no evidence yet; nothing: there can.
    pub(super) blind: Option<String>,
    /// Something else that is worth telling.
    pub(super) note: Option<String>,
}

/// Why the signal's outcome is what it is.
pub(super) fn why(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let text = outcome(facts, v);
    match &facts.note {
        Some(note) => format!("{text}; {note}"),
        None => text,
    }
}

fn outcome(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let name = facts.name;
    match v.outcome {
        Outcome::Fail => {
            let chance = chance(facts.failed.unwrap_or(v.log_e_harm));
            format!(
                "{name}: {}; {}; chance of saying this of a good canary {chance}",
                size(facts, v),
                breach(facts, v)
            )
        }
        Outcome::Pass => {
            format!(
                "{name}: {}; proven to be less than the {} that this step asks for; chance of saying this of a canary that is not {}",
                size(facts, v),
                times(v.within),
                chance(v.log_e_safe)
            )
        }
        Outcome::Inconclusive => undecided(facts, v),
        Outcome::NoData if facts.silent.canary < 1.0 => format!(
            "{name}: the canary answers but tells of no requests, though its share of the baseline's should have brought some; that shows neither harm nor safety"
        ),
        Outcome::NoData => format!(
            "{name}: the canary has been silent for {} while the baseline speaks; silence shows neither harm nor safety",
            seconds(facts.silent.canary)
        ),
        Outcome::SourceDown if facts.silent.canary > 0.0 => format!(
            "{name}: both versions have been silent for {}; the source is at fault, not the canary",
            seconds(facts.silent.baseline.min(facts.silent.canary))
        ),
        Outcome::SourceDown => format!(
            "{name}: the baseline has been silent for {}, so there is nothing to compare the canary with",
            seconds(facts.silent.baseline)
        ),
    }
}

/// What would have changed it; empty where nothing sensible can be said.
pub(super) fn otherwise(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let [events, total, base_events, base_total] = v.seen;
    match v.outcome {
        Outcome::Fail if total > 0.0 && base_total > 0.0 => {
            let expected = total * base_events / base_total;
            format!(
                "at the baseline's rate about {} {} would have been seen instead of {}; up to about {} are allowed",
                count(expected),
                things(facts.about),
                count(events),
                count(expected * v.allowed)
            )
        }
        Outcome::Fail => format!("it would have had to stay below {} times the baseline's", times(v.allowed)),
        Outcome::Inconclusive if v.wait.is_some() => {
            "a larger share of traffic for the canary would show it sooner".to_owned()
        }
        Outcome::NoData => "a single answer from the canary's source ends this".to_owned(),
        Outcome::SourceDown => "an answer from the source for both versions ends this".to_owned(),
        Outcome::Pass | Outcome::Inconclusive => String::new(),
    }
}

/// Neither harm nor safety: what is known, and what is missing.
fn undecided(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let name = facts.name;
    if let Some(blind) = &facts.blind {
        return format!("{name}: {blind}");
    }
    if let Some((limit, true)) = facts.limit {
        return format!(
            "{name}: the baseline itself breaks the limit of {}; nobody is blamed",
            percent(limit)
        );
    }
    let missing = match (facts.step, v.wait) {
        ([seen, needs], _) if v.log_e_safe >= v.safe_threshold && seen < needs => {
            let what =
                if matches!(facts.about, About::Failures | About::Slower(_)) { "requests" } else { "looks" };
            return format!(
                "{name}: {}; looks safe, but this step has seen only {} of the {} {what} it needs",
                size(facts, v),
                count(seen),
                count(needs)
            );
        }
        (_, Some(wait)) => format!("needs about {} at this traffic", more(wait)),
        (_, None) => "how long it still needs cannot be said".to_owned(),
    };
    format!(
        "{name}: neither harm nor safety shown yet: {}{}; {missing}",
        bounds(facts.about, v),
        so_far(facts.about, v)
    )
}

/// "3.1 times the baseline's, between 1.6 and 6".
fn size(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    match v.effect[1] {
        Some(estimate) => {
            format!("{}{} times the baseline's, {}", topic(facts.about), times(estimate), interval(v.effect))
        }
        // That nothing bad happened may prove a lot, and still bound no ratio.
        None if v.effect == [None; 3] && !so_far(facts.about, v).is_empty() => {
            format!("{}{}", topic(facts.about), so_far(facts.about, v).trim_start_matches(" after "))
        }
        None => format!("{}{}{}", topic(facts.about), bounds(facts.about, v), so_far(facts.about, v)),
    }
}

/// Which line was crossed.
fn breach(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let relative = format!("more than the {} allowed", times(v.allowed));
    match facts.limit {
        // The comparison alone does not show it: the limit does.
        Some((limit, _)) if v.effect[0].is_none_or(|low| low <= v.allowed) => {
            format!("{relative}, or above the limit of {}", percent(limit))
        }
        _ => relative,
    }
}

fn topic(about: About) -> String {
    match about {
        About::Slower(edge) => format!("requests slower than {}: ", seconds(edge)),
        _ => String::new(),
    }
}

/// "between 0.4 and 2.9 times the baseline's".
fn bounds(about: About, v: &SignalVerdict) -> String {
    let what = if let About::Slower(edge) = about {
        format!("requests slower than {} are ", seconds(edge))
    } else {
        String::new()
    };
    match (v.effect[0], v.effect[2]) {
        (None, None) => format!("{what}anything is possible"),
        _ => format!("{what}{} times the baseline's", interval(v.effect)),
    }
}

fn interval([low, _, high]: [Option<f64>; 3]) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("between {} and {}", times(low), times(high)),
        (Some(low), None) => format!("at least {}", times(low)),
        (None, Some(high)) => format!("at most {}", times(high)),
        (None, None) => "without bounds yet".to_owned(),
    }
}

/// " after 12 of 1,350 requests failed".
fn so_far(about: About, v: &SignalVerdict) -> String {
    let [events, total, base_events, _] = v.seen;
    match about {
        About::Level | About::Latency => String::new(),
        About::Events if total <= 0.0 => " before both versions were seen together".to_owned(),
        _ if total <= 0.0 => " before both versions had requests".to_owned(),
        About::Events => {
            format!(" after {} events, and {} of the baseline's", count(events), count(base_events))
        }
        About::Failures if events <= 0.0 => format!(" after none of {} requests failed", count(total)),
        About::Failures => format!(" after {} of {} requests failed", count(events), count(total)),
        About::Slower(_) => format!(" after {} of {} requests", count(events), count(total)),
    }
}

fn things(about: About) -> &'static str {
    match about {
        About::Failures => "failures",
        About::Slower(_) => "slow requests",
        About::Events | About::Latency | About::Level => "events",
    }
}

/// How rarely something with this evidence is said wrongly: 1/e by Ville's inequality, rounded so that it stays true.
pub(super) fn chance(log_e: f64) -> String {
    let one_in = log_e.min(RAREST.ln()).exp();
    if one_in < 2.0 {
        return "not known to be small".to_owned();
    }
    let size = 10_f64.powf(one_in.log10().floor());
    // The tiny shift keeps a threshold of exactly 1,000 from being told as 900.
    format!("under 1 in {}", count((one_in / size + 1e-9).floor() * size))
}

/// A ratio with as many digits as it takes.
pub(super) fn times(ratio: f64) -> String {
    let text = if ratio < 2.0 {
        format!("{ratio:.2}")
    } else if ratio < 10.0 {
        format!("{ratio:.1}")
    } else {
        return count(ratio);
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share as a percentage with two digits that tell something.
fn percent(share: f64) -> String {
    crate::words::Share::new(share).map_or_else(|| times(share), |share| share.to_string())
}

/// A count with its thousands set apart.
pub(super) fn count(value: f64) -> String {
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
fn more(seconds: f64) -> String {
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
pub(super) fn seconds(value: f64) -> String {
    if value < 1.0 {
        format!("{} ms", times(value * 1e3))
    } else if value < 10.0 {
        format!("{} s", times(value))
    } else {
        format!("{value:.0} s")
    }
}

/// One or two sentences about all signals together.
pub(super) fn together(v: &Verdict) -> String {
    if v.harm {
        let strongest = v.culprits.first().and_then(|name| v.signals.get(name));
        strongest.map_or_else(|| "harm was shown".to_owned(), |signal| format!("harm: {}", signal.why))
    } else if v.source_down {
        first(v, Outcome::SourceDown)
    } else if v.no_data {
        first(v, Outcome::NoData)
    } else if v.both_bad {
        "both versions break an absolute limit: nobody is blamed and nothing is promoted until that passes"
            .to_owned()
    } else if v.safe {
        "every signal that gates is proven safe".to_owned()
    } else {
        first(v, Outcome::Inconclusive)
    }
}

/// Adds what is wrong with the split of the traffic. `shares`: the planned and the seen one of the canary.
pub(super) fn with_split(mut text: String, v: &Verdict, shares: Option<(f64, f64)>) -> String {
    if let (true, Some((planned, seen))) = (v.wrong_split, shares) {
        let _ = write!(
            text,
            "; the canary gets {} of the traffic instead of {}",
            percent(seen),
            percent(planned)
        );
    }
    text
}

/// Why the first gating signal with this outcome has it.
pub(super) fn first(v: &Verdict, outcome: Outcome) -> String {
    let mut found = v.signals.values().filter(|signal| signal.gates && signal.outcome == outcome);
    match (found.next(), found.count()) {
        (None, _) => "nothing is known yet".to_owned(),
        (Some(signal), 0) => signal.why.clone(),
        (Some(signal), more) => format!("{} (and {more} more)", signal.why),
    }
}
