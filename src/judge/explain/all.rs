//! Sentences about all signals together.

use std::fmt::Write as _;

use super::numbers::{chance_beside, percent};
use super::{interval, wrong};
use crate::judge::combine::MARGINAL;
use crate::judge::{Outcome, SignalVerdict, Verdict};

/// One or two sentences about all signals together. `bad`: what is bad in both arms alike.
pub(in crate::judge) fn together(v: &Verdict, bad: &[String]) -> String {
    if v.harm {
        harm_of_all(v)
    } else if v.source_down {
        first(v, Outcome::SourceDown)
    } else if v.no_data {
        first(v, Outcome::NoData)
    } else if v.both_bad {
        format!("nothing is promoted while both versions are bad alike: {}", bad.join("; "))
    } else if v.safe {
        if v.signals.is_empty() {
            "the policy compares nothing, so nothing speaks against the canary".to_owned()
        } else if v.signals.values().all(|signal| !signal.gates) {
            "no signal gates this policy's steps, so they wait for no proof; nothing speaks against the canary".to_owned()
        } else {
            let past = v.signals.iter().find(|(_, signal)| signal.outcome == Outcome::Fail);
            let past = past.map_or_else(String::new, |(name, _)| {
                format!("; {name} has failed before, and speaks against the canary no longer")
            });
            format!("every signal that a step waits for is proven safe{past}")
        }
    } else if let Some(failed) = v.signals.values().find(|signal| signal.outcome == Outcome::Fail) {
        format!(
            "{}; alone it does not roll back, but no step ends while that speaks against the canary",
            failed.why
        )
    } else if v.signals.values().all(|signal| !signal.gates || signal.outcome == Outcome::Pass) {
        let all = if v.signals.len() > 1 { "all signals together speak" } else { "it speaks" };
        format!(
            "every signal that a step waits for is proven safe, and still {all} against the canary by more than half of what rolls back; \
             no step ends while that lasts"
        )
    } else {
        first(v, Outcome::Inconclusive)
    }
}

/// The harm that the verdict rests on: of the strongest signal, or of several that show none alone.
fn harm_of_all(v: &Verdict) -> String {
    let culprits: Vec<_> =
        v.culprits.iter().filter_map(|name| v.signals.get(name).map(|s| (name, s))).collect();
    match culprits.as_slice() {
        [] => "harm was shown".to_owned(),
        [(_, failed), others @ ..]
            if failed.outcome == Outcome::Fail
                && (failed.critical || v.score[1] < MARGINAL || others.is_empty()) =>
        {
            format!("harm: {}", failed.why)
        }
        [(_, failed), others @ ..] if failed.outcome == Outcome::Fail => format!(
            "harm: {}; alone it does not roll back, but with what speaks against the canary besides: {}",
            failed.why,
            sizes(others)
        ),
        all => {
            format!(
                "harm: no signal shows it alone, but together they do: {}; chance of saying this of a good canary {}",
                sizes(all),
                // Where harm only pauses, evidence goes on, and may fall below what it was blamed for.
                chance_beside(
                    v.log_e_harm.max(v.harm_threshold),
                    all.iter().map(|(_, s)| wrong(s.frozen.is_some(), s.harm_threshold)).sum()
                )
            )
        }
    }
}

/// How large each signal's effect is.
fn sizes(signals: &[(&String, &SignalVerdict)]) -> String {
    let size = |(name, signal): &(&String, &SignalVerdict)| match signal.effect {
        [None, _, None] => (*name).clone(),
        _ => format!("{name}, {} times the baseline's", interval(signal)),
    };
    signals.iter().map(size).collect::<Vec<_>>().join("; ")
}

/// Adds what is wrong with the split of the traffic. `shares`: the planned and the seen one of the canary.
pub(in crate::judge) fn with_split(mut text: String, v: &Verdict, shares: Option<(f64, f64)>) -> String {
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

/// Why the first signal that gates or is critical and has this outcome has it.
pub(in crate::judge) fn first(v: &Verdict, outcome: Outcome) -> String {
    let mut found = v.signals.values().filter(|signal| {
        (signal.gates || signal.critical && outcome != Outcome::Inconclusive) && signal.outcome == outcome
    });
    match (found.next(), found.count()) {
        (None, _) => "nothing is known yet".to_owned(),
        (Some(signal), 0) => signal.why.clone(),
        (Some(signal), more) => format!("{} (and {more} more)", signal.why),
    }
}
