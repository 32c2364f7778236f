//! What would have changed a signal's outcome.

use super::{About, Alone, Facts, count, measured, share_at, things, times};
use crate::judge::{Outcome, SignalVerdict};

/// What would have changed it; empty where nothing sensible can be said.
pub(in crate::judge) fn otherwise(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let [events, total, base_events, base_total] = facts.clearest.map_or(v.seen, |clearest| clearest.seen);
    let things = things(facts.about);
    let within_limit = |limit: f64| base_events <= limit * base_total;
    match v.outcome {
        Outcome::Fail if facts.alone.is_some_and(|alone| alone.blamed) => {
            let alone = facts.alone.unwrap_or(NOTHING);
            if !alone.is_beyond() {
                return String::new();
            }
            let Alone { most, seen: [events, total], .. } = alone;
            format!(
                "up to about {} {things} would have passed instead of {}",
                measured(most * total),
                count(events)
            )
        }
        Outcome::Fail if total > 0.0 && base_total > 0.0 => {
            let expected = total * base_events / base_total;
            let most = if facts.clearest.is_some() {
                total * share_at(base_events / base_total, v.allowed)
            } else {
                expected * v.allowed
            };
            // A limit that the baseline itself breaks is held against nobody.
            let limit = facts.limit.map(|(limit, _)| limit).filter(|limit| within_limit(*limit));
            let most = limit.map_or(most, |limit| most.min(limit * total));
            // What begins late is averaged away in the sums.
            if events <= most {
                return String::new();
            }
            format!(
                "at the baseline's rate about {} {things} would have been seen instead of {}; up to about {} are within what is allowed, \
                 and somewhat more cannot be told from that",
                measured(expected),
                count(events),
                measured(most.max(facts.min_events - 1.0))
            )
        }
        Outcome::Fail if facts.is_loose => {
            "it would have had to be no worse than the baseline for good, as `form: loose` asks".to_owned()
        }
        Outcome::Fail if facts.about == About::Falling => {
            format!("it would have had to stay above {} times the baseline's", times(1.0 / v.allowed))
        }
        Outcome::Fail => format!("it would have had to stay below {} times the baseline's", times(v.allowed)),
        Outcome::Inconclusive if facts.limit.is_some_and(|(_, broken)| broken) => {
            "it goes on once the baseline is within its limit again".to_owned()
        }
        Outcome::Inconclusive | Outcome::Pass if v.both_bad && facts.incident.is_some() => {
            "it goes on once the baseline has what it usually has".to_owned()
        }
        Outcome::Inconclusive if facts.alone.is_none() && facts.blind.is_none() && v.wait.is_some() => {
            // Most is told where both have as much.
            match facts.share {
                Some(share) if share > 0.6 => {
                    "a share nearer to half of the traffic would show it sooner".to_owned()
                }
                Some(share) if share > 0.4 => "more traffic would show it sooner".to_owned(),
                _ => "a larger share of traffic for the canary would show it sooner".to_owned(),
            }
        }
        Outcome::NoData if facts.silent.canary < 1.0 => {
            "a single request to the canary would have ended this".to_owned()
        }
        Outcome::NoData => "a single answer from the canary's source would have ended this".to_owned(),
        Outcome::SourceDown => "an answer from the source for both versions would have ended this".to_owned(),
        Outcome::Pass if facts.alone.is_none() && v.seen[1] > 0.0 && v.seen[3] > 0.0 => {
            // Of what was proven, which need not be the bound at which harm is clearest.
            let [events, total, base_events, base_total] = v.seen;
            let (base, seen) = (base_events / base_total, count(events));
            if facts.below_floor {
                let [events, total] = facts.shown;
                let (most, seen) = (measured(total * facts.harmless.unwrap_or(0.0)), count(events));
                return format!("{seen} {things} were seen, and up to about {most} would harm nobody");
            }
            let bad = base * v.within;
            let bad = if facts.about == About::Events { bad } else { bad.min(1.0) };
            let (times, bad) = (times(v.within), measured(total * bad));
            format!("{times} times the baseline's would have been about {bad} {things} instead of {seen}")
        }
        Outcome::Pass | Outcome::Inconclusive => String::new(),
    }
}

const NOTHING: Alone =
    Alone { most: 0.0, seen: [0.0; 2], blamed: false, proves: false, wrong: 0.0, bound: None };
