//! Sentences about requests slower than one bound of a histogram, where harm is sought at all of them.

use super::numbers::{measured, percent, seconds};
use super::range;
use crate::judge::SignalVerdict;
use crate::stats::share_at;

/// Where harm is sought at all bounds of a histogram: where it is clearest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::judge) struct Clearest {
    /// The bound, in seconds.
    pub(in crate::judge) bound: f64,
    /// Slow requests and all of them, as [`SignalVerdict::seen`].
    pub(in crate::judge) seen: [f64; 4],
    /// Most of the baseline's requests are slower, so that those within the bound are told of.
    pub(in crate::judge) is_fast: bool,
}

/// Harm at one bound of a histogram. Odds are what the margin is held against there: of slow requests where these are the fewer,
/// of fast ones where those are. "requests slower than 300 ms: 3.6 times the baseline's (2.7% against 0.74%); more than
/// the 0.81% that +10% on the odds allow".
pub(super) fn slower(clearest: &Clearest, v: &SignalVerdict) -> String {
    let Clearest { bound, seen, is_fast } = *clearest;
    let [events, total, base_events, base_total] = seen;
    let share = |events: f64, total: f64| if total > 0.0 { events / total } else { 0.0 };
    let (canary, baseline) = (share(events, total), share(base_events, base_total));
    let most = share_at(baseline, v.allowed);
    let [low, estimate, high] = v.effect;
    let (what, than) = if is_fast {
        let fast = [total - events, total, base_total - base_events, base_total];
        let effect = [high, estimate, low].map(|end| end.map(f64::recip));
        let fast = format!("requests within {}: {}", seconds(bound), shares(fast, effect));
        (fast, format!("less than the {}", percent(1.0 - most)))
    } else {
        let slow = format!("requests slower than {}: {}", seconds(bound), shares(seen, v.effect));
        (slow, format!("more than the {}", percent(most)))
    };
    // What begins late is averaged away in the sums.
    let (whole, time) = if canary > most { ("", "") } else { ("on the whole ", "for some of the time ") };
    format!("{whole}{what}; {time}{than} that +{:.0}% on the odds allow", 100.0 * (v.allowed - 1.0))
}

/// "3.6 times the baseline's (2.7% against 0.74%), between 1.6 and 6.0".
fn shares([events, total, base_events, base_total]: [f64; 4], effect: [Option<f64>; 3]) -> String {
    let share = |events: f64, total: f64| if total > 0.0 { events / total } else { 0.0 };
    let (canary, baseline) = (share(events, total), share(base_events, base_total));
    let interval = range(effect, measured).map_or_else(String::new, |range| format!(", {range}"));
    if baseline > 0.0 {
        format!(
            "{} times the baseline's ({} against {}){interval}",
            measured(effect[1].unwrap_or(canary / baseline)),
            percent(canary),
            percent(baseline)
        )
    } else {
        format!("{} of the canary's, none of the baseline's{interval}", percent(canary))
    }
}
