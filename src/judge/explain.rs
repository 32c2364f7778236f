//! Sentences for people. Every number in them is one that the verdict rests on; nothing here decides anything.

mod all;
mod numbers;
mod otherwise;
mod slower;

use super::frozen::SPENT;
use super::{FrozenBaseline, Outcome, SignalVerdict};
use crate::policy::rate_floor;
use crate::stats::share_at;
use crate::words::Arms;

pub(super) use all::{first, together, with_split};
pub(crate) use numbers::count;
pub(super) use numbers::{amount, percent, seconds, times};
use numbers::{chance_beside, lasting, measured, more};
pub(super) use otherwise::otherwise;
pub(super) use slower::Clearest;
use slower::slower;

/// Seconds since 1970 of a moment before any look: September 2001.
const MODERN: f64 = 1e9;

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
    /// A value of which more is worse.
    Level,
    /// A value of which less is worse.
    Falling,
}

/// What the canary had since it serves alone, held against what was known of the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alone {
    /// The most bad events for each request (or unit-second) that a good canary has.
    pub(super) most: f64,
    /// What it had: events, total.
    pub(super) seen: [f64; 2],
    /// Whether the evidence of harm comes from this time rather than from the comparison before.
    pub(super) blamed: bool,
    /// Whether safety, too, has to come from this time.
    pub(super) proves: bool,
    /// How often the bound that stands for the baseline may be wrong.
    pub(super) wrong: f64,
    /// Where harm is sought at all bounds of a histogram: the bound that this is about.
    pub(super) bound: Option<f64>,
}

impl Alone {
    /// What its numbers are about, in a signal that is about `about`.
    fn about(&self, about: About) -> About {
        self.bound.map_or(about, About::Slower)
    }

    /// On the whole it had more than would pass.
    fn is_beyond(&self) -> bool {
        let [events, exposure] = self.seen;
        events > self.most * exposure
    }
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
    /// The limit, where all that is still to be proven is that the canary is below it.
    pub(super) lacks_limit: Option<f64>,
    /// Whether it is called safe for what it has at all, rather than beside the baseline.
    pub(super) below_floor: bool,
    /// The share or rate below which it is called that.
    pub(super) harmless: Option<f64>,
    /// Neither arm has had anything to compare, and there is no floor.
    pub(super) needs_floor: bool,
    /// Where harm is sought at all bounds of a histogram: where it is clearest.
    pub(super) clearest: Option<Clearest>,
    /// Once the canary serves alone: what it had since.
    pub(super) alone: Option<Alone>,
    /// Why there can be no evidence yet; nothing: there can.
    pub(super) blind: Option<String>,
    /// Whether harm speaks against "no worse at all" rather than against the margin.
    pub(super) is_loose: bool,
    /// The canary's events and total that may show that it is safe: those of no incident.
    pub(super) shown: [f64; 2],
    /// The floor of harm, where all that is still to be shown is that the canary is above it.
    pub(super) kept_by_floor: Option<f64>,
    /// That both arms are far worse than is usual.
    pub(super) incident: Option<String>,
    /// What the baseline has now, where that breaks the limit.
    pub(super) limit_broken: Option<f64>,
    /// The canary's share of the traffic, as it is planned.
    pub(super) share: Option<f64>,
    /// The canary's bad events without which there is no harm.
    pub(super) min_events: f64,
    /// Something else that is worth telling.
    pub(super) note: Option<String>,
}

/// Why the signal's outcome is what it is.
pub(super) fn why(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let text = outcome(facts, v);
    let text = v.frozen.map_or_else(|| text.clone(), |frozen| format!("{text}; {}", as_it_was(&frozen, v)));
    // What hits both is no excuse for being worse still.
    let incident = facts.incident.as_ref().filter(|_| v.outcome != Outcome::Fail);
    incident.into_iter().chain(&facts.note).fold(text, |text, note| format!("{text}; {note}"))
}

/// "held against the baseline as it was until 14:05 UTC on 3 May, worth 92,000 requests; …".
fn as_it_was(frozen: &FrozenBaseline, v: &SignalVerdict) -> String {
    let sized =
        frozen.total.map_or_else(String::new, |total| format!(", worth {} {}", count(total), frozen.unit));
    format!(
        "held against the baseline as it was until {}{sized}; up to {} times that and the margin of {} are put down to the time of day",
        moment(frozen.until),
        times(frozen.drift),
        times(v.allowed)
    )
}

/// A look's time. What can be seconds since 1970 is; anything else is a time of its own.
fn moment(at: f64) -> String {
    if (MODERN..MODERN * 10.0).contains(&at) {
        let time = jiff::Timestamp::from_millisecond(crate::words::Time::from_seconds(at).0);
        if let Ok(time) = time {
            return time.strftime("%H:%M UTC on %-d %B").to_string();
        }
    }
    format!("{at:.0} s")
}

/// How often the bound that a canary alone is held against is wrong, at most.
fn wrong(is_alone: bool, threshold: f64) -> f64 {
    if is_alone { SPENT * (-threshold).exp() } else { 0.0 }
}

fn outcome(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let name = facts.name;
    match v.outcome {
        Outcome::Fail => {
            let wrong = facts.alone.filter(|alone| alone.blamed).map_or(0.0, |alone| alone.wrong);
            let chance = chance_beside(facts.failed.unwrap_or(v.log_e_harm), wrong);
            format!("{name}: {}; chance of saying this of a good canary {chance}", harm(facts, v))
        }
        Outcome::Pass => {
            let proven = facts.alone.is_some_and(|alone| alone.proves);
            let chance = chance_beside(v.log_e_safe, wrong(proven, v.safe_threshold));
            format!("{name}: {}; chance of saying this of a worse canary {chance}", safety(facts, v))
        }
        Outcome::Inconclusive => undecided(facts, v),
        Outcome::NoData if facts.silent.canary < 1.0 && v.frozen.is_some() => format!(
            "{name}: the canary serves alone and answers, but tells of no requests, though the app had some before; that shows neither harm nor safety"
        ),
        Outcome::NoData if facts.silent.canary < 1.0 => format!(
            "{name}: the canary answers but tells of no requests, though its share of the baseline's should have brought some; that shows neither harm nor safety"
        ),
        Outcome::NoData => format!(
            "{name}: the canary has been silent for {} while the baseline speaks; silence shows neither harm nor safety",
            lasting(facts.silent.canary)
        ),
        Outcome::SourceDown if v.frozen.is_some() => format!(
            "{name}: the canary serves alone, and nothing has answered for it for {}; the source is taken to be at fault, since no baseline tells the two apart",
            lasting(facts.silent.canary)
        ),
        Outcome::SourceDown if facts.silent.canary > 0.0 => format!(
            "{name}: both versions have been silent for {}; the source is at fault, not the canary",
            lasting(facts.silent.baseline.min(facts.silent.canary))
        ),
        Outcome::SourceDown if facts.silent.baseline < 1.0 => format!(
            "{name}: the baseline answers but tells of no requests, though the canary has some, so there is nothing to compare it with"
        ),
        Outcome::SourceDown => format!(
            "{name}: the baseline has been silent for {}, so there is nothing to compare the canary with",
            lasting(facts.silent.baseline)
        ),
    }
}

/// What harm was shown: "3.1 times the baseline's, between 1.6 and 6.0; more than the 1.2 allowed".
fn harm(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    if let Some(alone) = facts.alone.filter(|alone| alone.blamed) {
        // What begins late is averaged away.
        let time = if alone.is_beyond() { "" } else { "for some of the time " };
        return format!(
            "{}, since the canary serves alone; {time}more than the {} that would pass for as good as the baseline",
            had(alone.about(facts.about), alone.seen),
            level(alone.about(facts.about), alone.most)
        );
    }
    if let Some(clearest) = &facts.clearest {
        return slower(clearest, v);
    }
    let allowed = allowed(facts.about, v);
    // Beyond what is allowed on the whole: nothing else needs to be said.
    let beyond = match facts.about {
        About::Falling => v.effect[2].is_some_and(|high| high < 1.0 / v.allowed),
        _ => v.effect[0].is_some_and(|low| low > v.allowed),
    };
    let above = |limit: f64| v.seen[0] > limit * v.seen[1];
    match facts.limit {
        Some((limit, _)) if !beyond && above(limit) => {
            format!(
                "{}, above the limit of {} and more than the baseline's; {}",
                had(facts.about, [v.seen[0], v.seen[1]]),
                percent(limit),
                size(facts, v)
            )
        }
        _ if beyond || v.effect[1].is_none() => format!("{}; {allowed}", size(facts, v)),
        _ if facts.is_loose => format!(
            "{}; it is worse than the baseline for good, which `form: loose` does not allow, and its latest values were {allowed}",
            size(facts, v)
        ),
        // What begins late is averaged away in the interval.
        Some((limit, _)) => format!(
            "on the whole {}, but for some of the time {allowed}, or above the limit of {}",
            size(facts, v),
            percent(limit)
        ),
        None => format!("on the whole {}, but for some of the time {allowed}", size(facts, v)),
    }
}

/// What safety was shown: "0.9 times the baseline's, between 0.7 and 1.2; less than 1.5 times is proven, as this step asks".
fn safety(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let within = match facts.about {
        About::Falling => format!("more than {} times is proven, as this step asks", times(1.0 / v.within)),
        _ => format!("less than {} times is proven, as this step asks", times(v.within)),
    };
    let few = match facts.about {
        // Of slow requests harm is found however few they are.
        About::Slower(_) => "so few are no reason not to go on, whatever the baseline has",
        _ => "so few harm nobody, whatever the baseline has",
    };
    if let Some(alone) = facts.alone {
        let about = alone.about(facts.about);
        let now = had(about, alone.seen);
        let then = format!("up to {} passes for as good as the baseline", level(about, alone.most));
        let proven = if facts.below_floor { few } else { &within };
        return format!("{proven}; now it serves alone: {now}, and {then}");
    }
    if facts.below_floor {
        return format!("{}{}; {few}", had(facts.about, facts.shown), beside_incident(facts, v));
    }
    // The band holds at both its ends, and proof asks for one: the end that it leaves behind is not told beside it.
    let falls = facts.about == About::Falling;
    let [low, estimate, high] = v.effect;
    let low = low.filter(|low| !falls || *low > 1.0 / v.within);
    let effect = [low, estimate, high.filter(|high| falls || *high < v.within)];
    format!("{}; {within}", size(facts, &SignalVerdict { effect, ..v.clone() }))
}

/// That there was more, which proves nothing.
fn beside_incident(facts: &Facts<'_>, v: &SignalVerdict) -> &'static str {
    if facts.shown[1] < v.seen[1] { ", beside what an incident of both versions brought" } else { "" }
}

/// Neither harm nor safety: what is known, and what is missing.
fn undecided(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    let name = facts.name;
    if let Some(blind) = &facts.blind {
        return format!("{name}: {blind}");
    }
    if let Some(alone) = facts.alone {
        return format!(
            "{name}: the canary serves alone; {}, and up to {} pass for as good as the baseline",
            had(alone.about(facts.about), alone.seen),
            level(alone.about(facts.about), alone.most)
        );
    }
    if let Some((limit, true)) = facts.limit {
        return format!("{name}: {}", limit_broken(limit, facts.limit_broken.unwrap_or(limit)));
    }
    if v.frozen.is_some() {
        return format!("{name}: no harm shown: {}{}", bounds(facts.about, v), so_far(facts.about, v));
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
        (_, None) if facts.needs_floor => {
            "neither has had any, so there is nothing to compare; a `floor` would tell how few are too few to matter".to_owned()
        }
        (_, None) => "how long it still needs cannot be said".to_owned(),
    };
    if let Some(limit) = facts.lacks_limit {
        return format!(
            "{name}: {}, {}; whether it stays below the limit of {} is not shown yet; {missing}",
            size(facts, v),
            had(facts.about, [v.seen[0], v.seen[1]]),
            percent(limit)
        );
    }
    let few = facts.harmless.filter(|floor| facts.shown[1] > 0.0 && facts.shown[0] < floor * facts.shown[1]);
    let floor = |floor: f64| match facts.about {
        About::Events => rate_floor(floor),
        about => level(about, floor),
    };
    let few = match (few, facts.kept_by_floor) {
        (Some(few), _) => format!("; nor that it has less than {}, which would do", floor(few)),
        // What is worse beside the baseline is no harm below the floor.
        (None, Some(harmless)) => {
            format!(
                "; all that is missing for harm is that it has more than {}, below which nobody is harmed",
                floor(harmless)
            )
        }
        _ => String::new(),
    };
    format!(
        "{name}: neither harm nor safety shown yet: {}{}{few}; {missing}",
        bounds(facts.about, v),
        so_far(facts.about, v)
    )
}

/// "3.1 times the baseline's, between 1.6 and 6".
fn size(facts: &Facts<'_>, v: &SignalVerdict) -> String {
    match v.effect[1] {
        Some(estimate) => {
            format!(
                "{}{} times the baseline's, {}",
                topic(facts.about),
                beside(estimate, [v.allowed, v.within]),
                interval(v)
            )
        }
        // That nothing bad happened may prove a lot, and still bound no ratio.
        None if v.effect == [None; 3] && !so_far(facts.about, v).is_empty() => {
            format!("{}{}", topic(facts.about), so_far(facts.about, v).trim_start_matches(" after "))
        }
        None => format!("{}{}", bounds(facts.about, v), so_far(facts.about, v)),
    }
}

/// Which line was crossed: "more than the 1.2 allowed".
fn allowed(about: About, v: &SignalVerdict) -> String {
    match about {
        About::Falling => format!("less than the {} allowed", times(1.0 / v.allowed)),
        _ => format!("more than the {} allowed", times(v.allowed)),
    }
}

/// "40 of 1,500 requests failed (2.7%)".
fn had(about: About, [events, total]: [f64; 2]) -> String {
    let share = if total > 0.0 { percent(events / total) } else { percent(0.0) };
    match about {
        About::Events => {
            format!("{} events, {}", count(events), level(about, events / total.max(1e-9)))
        }
        About::Slower(edge) => {
            format!(
                "{} of {} requests were slower than {} ({share})",
                count(events),
                count(total),
                seconds(edge)
            )
        }
        _ if events <= 0.0 => format!("none of {} requests failed", count(total)),
        _ => format!("{} of {} requests failed ({share})", count(events), count(total)),
    }
}

/// Bad events for each request as a share, or for each unit-second by the minute.
fn level(about: About, ratio: f64) -> String {
    match about {
        About::Events => format!("{} a minute and unit", times(ratio * 60.0)),
        _ => percent(ratio),
    }
}

/// That the baseline is above the limit, and what it has now.
pub(super) fn limit_broken(limit: f64, now: f64) -> String {
    let breaks = if now > limit { "breaks" } else { "is about at" };
    let (limit, now) = (percent(limit), percent(now));
    format!(
        "the baseline itself {breaks} the limit of {limit}: {now} now; nobody is blamed for being above it"
    )
}

/// What hits both versions: what the baseline has `now`, and what it usually has, where that is known.
pub(super) fn incident(about: About, (now, usual): (Option<f64>, Option<f64>)) -> String {
    let what = match about {
        About::Slower(bound) => format!(" slower than {}", seconds(bound)),
        _ => String::new(),
    };
    let level = |share: Option<f64>| share.map_or_else(String::new, |share| level(about, share));
    match usual {
        Some(_) => format!(
            "both versions have far more{what} now ({}) than the baseline usually has ({}), and comparing the two cannot tell why",
            level(now),
            level(usual)
        ),
        None => format!(
            "nearly all of both versions' requests are bad now ({}), and comparing the two cannot tell why",
            level(now)
        ),
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
        (None, None) => "how many times the baseline's cannot be told".to_owned(),
        _ => format!("{what}{} times the baseline's", interval(v)),
    }
}

fn interval(v: &SignalVerdict) -> String {
    range(v.effect, |ratio| beside(ratio, [v.allowed, v.within]))
        .unwrap_or_else(|| "without bounds yet".to_owned())
}

/// The two ends of an effect, each told so; nothing where it has none.
fn range([low, _, high]: [Option<f64>; 3], tell: impl Fn(f64) -> String) -> Option<String> {
    Some(match (low, high) {
        (Some(low), Some(high)) => format!("between {} and {}", tell(low), tell(high)),
        (Some(low), None) => format!("at least {}", tell(low)),
        (None, Some(high)) => format!("at most {}", tell(high)),
        (None, None) => return None,
    })
}

/// A measured ratio, with as many digits as it takes to see on which side of what the policy allows and asks it lies.
fn beside(ratio: f64, [allowed, within]: [f64; 2]) -> String {
    let lines = [allowed, 1.0 / allowed, within, 1.0 / within];
    let crosses = |text: &str| {
        let said: f64 = text.replace(',', "").parse().unwrap_or(ratio);
        lines.iter().any(|line| (said.total_cmp(line)) != ratio.total_cmp(line))
    };
    let finer = (2..=3).map(|digits| format!("{ratio:.digits$}"));
    let mut texts = std::iter::once(measured(ratio)).chain(finer);
    texts.find(|text| !crosses(text)).unwrap_or_else(|| measured(ratio))
}

/// " after 12 of 1,350 requests failed".
fn so_far(about: About, v: &SignalVerdict) -> String {
    let [events, total, base_events, _] = v.seen;
    match about {
        About::Level | About::Falling | About::Latency => String::new(),
        About::Events if total <= 0.0 => " before both versions were seen together".to_owned(),
        About::Slower(_) if total <= 0.0 => {
            " before both versions had enough requests to fix what is compared".to_owned()
        }
        _ if total <= 0.0 => " before both versions had requests".to_owned(),
        About::Events => {
            let events = if (events - 1.0).abs() < 0.5 {
                "1 event".to_owned()
            } else {
                format!("{} events", count(events))
            };
            format!(" after {events}, and {} of the baseline's", count(base_events))
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
        About::Events | About::Latency | About::Level | About::Falling => "events",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beside_a_line_shows_its_side() {
        for (ratio, text) in [(1.23, "1.23"), (1.18, "1.18"), (1.203, "1.203"), (1.46, "1.46"), (3.04, "3.0")]
        {
            assert_eq!(beside(ratio, [1.2, 1.5]), text);
        }
        assert_eq!((count(1e300), count(1e12)), ("1.0e300".to_owned(), "1,000,000,000,000".to_owned()));
    }
}
