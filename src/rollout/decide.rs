//! What follows from what was seen: state and inputs in, events out.
//!
//! Order of precedence: a person's order · takeover or supersession · critical failure (health, alert, signal) ·
//! missing data · step done · go on. The first that applies decides; the rest is for the next look.

mod begin;
mod course;

use serde::{Deserialize, Serialize};

use super::event::{Answer, Ending, Event, Kind, PauseCause, Trouble};
use super::phase::Phase;
use super::state::Rollout;
use super::traffic::{Command, Observed, Unit};
use crate::judge::Verdict;
use crate::policy::{Hold, Mode, Reaction};
use crate::words::{Span, Time, Version};
use begin::on_pending;
use course::{leave_step, on_leaving, on_promoting, on_rolling_back, on_step, on_watching, step_done};

pub use begin::READY_WITHIN;

/// What a look, the platform and people gave since the last decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inputs<'a> {
    /// The time.
    pub now: Time,
    /// The platform's state, if it could be observed.
    pub observed: Option<&'a Observed>,
    /// The judge's word, if a look was due.
    pub verdict: Option<&'a Verdict>,
    /// A health check that fails, as a sentence.
    pub unhealthy: Option<&'a str>,
    /// Alerts that name this rollout, with what its policy makes of them.
    pub alerts: &'a [Alarm],
    /// What somebody else did to the app.
    pub foreign: Option<&'a Foreign>,
    /// What a person wants.
    pub order: Option<&'a Order>,
    /// What the canary's own addresses said to the smoke checks, while those are asked.
    pub smoke: Option<&'a Smoke>,
    /// Something holds the app's lock.
    pub busy: bool,
}

/// What the canary said to the smoke checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Smoke {
    /// Every unit answered every check as it should.
    Passed,
    /// A unit did not.
    Failed {
        /// Which and how, as a sentence.
        why: String,
        /// Since when, of all that do not.
        since: Time,
    },
}

/// An alert that concerns a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// What the policy makes of it.
    pub action: Reaction,
    /// In words.
    pub sentence: String,
}

/// What somebody else did to the app of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Another version was deployed beside ours.
    NewVersion(Option<Version>, String),
    /// Another version, or ours, was made the only one.
    Replaced(Option<Version>, String),
    /// Routing was changed by hand.
    Changed(String),
    /// Units were added or removed by hand.
    Resized(String),
    /// Units were started, restarted or killed by hand.
    Restarted(String),
    /// Units were stopped by hand, or a version removed.
    Stopped(String),
    /// The environment was changed, which restarts every version.
    Environment(String),
    /// The app is gone.
    Removed(String),
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub kind: OrderKind,
    /// Who.
    pub by: String,
}

/// What a person can want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// Leave this step.
    Approve,
    /// Make the canary the only version now.
    Promote,
    /// Go back to the baseline now.
    Rollback,
    /// End the coexistence of two versions, and leave both serving.
    Keep,
}

impl OrderKind {
    /// The order of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "approve" => Self::Approve,
            "promote" => Self::Promote,
            "rollback" => Self::Rollback,
            "keep" => Self::Keep,
            _ => return None,
        })
    }
}

/// What follows. Nothing: go on as before.
#[must_use]
pub fn decide(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    if r.phase.is_final() {
        return Vec::new();
    }
    if let Some(order) = i.order {
        return on_order(r, order);
    }
    if let Some(foreign) = i.foreign {
        return on_foreign(r, foreign, i);
    }
    if let Some(why) = displaced(r, i) {
        return leave(r, Ending::Superseded, why);
    }
    if let Some(why) = vanished(r, i) {
        return finished(Ending::Observed, why);
    }
    if let Some(call) = call_for_help(r) {
        return vec![call];
    }
    if let Some(events) = unseen(r, i) {
        return events;
    }
    match r.phase {
        Phase::RollingBack => on_rolling_back(r, i),
        Phase::Leaving => on_leaving(r, i),
        Phase::Promoting => on_promoting(r, i),
        Phase::Pending if r.kind == Kind::Return => on_pending(r, i),
        _ => on_emergency(r, i).unwrap_or_else(|| on_course(r, i)),
    }
}

/// How long another version must have been all that there is before it is believed: listings lag.
const DISPLACED_FOR: Span = Span::minutes(1);

/// Neither version has a unit any more, and another one has: whoever put it there was told that it failed, or told nobody.
fn displaced(r: &Rollout, i: &Inputs<'_>) -> Option<String> {
    let o = i.observed.filter(|_| !i.busy && r.unanswered().is_none() && r.phase != Phase::Leaving)?;
    let other = o.units.iter().find(|u| u.ready && u.routable)?.version;
    let quiet = i.now.since(r.quiet_since()) >= DISPLACED_FOR;
    (quiet && !o.units.iter().any(|u| r.is_ours(u.version)))
        .then(|| format!("{other} serves instead: {} and {} have no units any more", r.baseline, r.canary))
}

/// Where others do everything, they may take the canary away as well: then there is nothing left to observe.
fn vanished(r: &Rollout, i: &Inputs<'_>) -> Option<String> {
    let o = i.observed.filter(|_| !i.busy && r.policy.mode == Mode::Observe)?;
    let quiet = i.now.since(r.quiet_since()) >= DISPLACED_FOR;
    let gone = quiet && !o.units.is_empty() && o.units.iter().all(|u| u.version != r.canary);
    gone.then(|| format!("{} has no units any more", r.canary))
}

/// Commands that may fail in a row before a person is called; they are tried on all the same.
const TRIES_BEFORE_CALL: u32 = 5;

/// Where nothing but trying again is left, a person hears of it, once.
fn call_for_help(r: &Rollout) -> Option<Event> {
    let must_go_on =
        matches!(r.phase, Phase::Promoting | Phase::RollingBack | Phase::Watching | Phase::Leaving);
    let stuck = must_go_on && r.failures >= TRIES_BEFORE_CALL && !r.called && r.unanswered().is_none();
    stuck.then(|| {
        let last = r.command.as_ref().map_or_else(String::new, |c| c.command.to_string());
        let why = format!("the platform failed {} times to {last}; it is tried on", r.failures);
        Event::PersonNeeded { why }
    })
}

/// How long the platform may not be observed before a person is called.
const UNSEEN_FOR: Span = Span::minutes(15);

/// A platform that cannot be observed where traffic is on its way: nothing can be done before it can, and somebody has to
/// know. In the steps and the watch, [`track_data`] takes note of the trouble.
fn unseen(r: &Rollout, i: &Inputs<'_>) -> Option<Vec<Event>> {
    let ordered = r.phase == Phase::Pending && r.kind == Kind::Return;
    let notes = ordered || matches!(r.phase, Phase::Promoting | Phase::RollingBack | Phase::Leaving);
    match (i.observed, r.trouble) {
        (None, Some((Trouble::PlatformDown, since))) => {
            let missing = i.now.since(since);
            (missing >= UNSEEN_FOR && !r.called).then(|| {
                let doing = r.phase.label();
                let why = format!(
                    "the platform cannot be observed for {}, and nothing can be done in phase `{doing}` before it can",
                    missing.rounded()
                );
                vec![Event::PersonNeeded { why }]
            })
        }
        (None, _) if notes => {
            let why = "the platform cannot be observed".to_owned();
            Some(vec![Event::TroubleBegan { trouble: Trouble::PlatformDown, why }])
        }
        (Some(_), Some((Trouble::PlatformDown, since))) if notes => {
            Some(vec![Event::TroubleEnded { after: i.now.since(since) }])
        }
        _ => None,
    }
}

fn on_order(r: &Rollout, order: &Order) -> Vec<Event> {
    let by = order.by.clone();
    let refused =
        |what: &str| vec![Event::Noted { what: format!("{} asked to {what}; {}", order.by, no_use(r)) }];
    let observes = r.policy.mode == Mode::Observe;
    if let (OrderKind::Approve, Phase::Paused, Some(ending)) = (order.kind, r.phase, advised(r)) {
        return vec![rollback(format!("{by} approved the advice to roll back"), Vec::new(), ending)];
    }
    match (order.kind, r.phase) {
        (OrderKind::Promote, _) if observes => refused("promote"),
        (OrderKind::Rollback, _) if observes => refused("roll back"),
        // It waits already, and what it waits for must not be forgotten.
        (OrderKind::Pause, Phase::Paused) if advised(r).is_some() => refused("pause"),
        (OrderKind::Pause, Phase::Pending | Phase::Step | Phase::Paused | Phase::Watching) => {
            vec![paused(PauseCause::Operator, format!("{by} said so"))]
        }
        // Whoever promoted it would take the newer version away.
        (OrderKind::Promote | OrderKind::Resume, Phase::Paused)
            if r.pause == Some(PauseCause::SupersededAdvice) =>
        {
            refused("go on, and a newer version was deployed; approve that this one goes")
        }
        (OrderKind::Resume, Phase::Paused) => vec![Event::Resumed { by }],
        (OrderKind::Approve, Phase::Paused)
            if matches!(r.pause, Some(PauseCause::Approval | PauseCause::Advice)) && r.plan.is_some() =>
        {
            let mut events = vec![Event::Approved { by: by.clone(), step: r.step }];
            // What has not begun is planned anew: the app may have other units by now.
            if r.step_began.is_some() {
                events.extend(leave_step(r, &format!("{by} approved")));
            }
            events
        }
        (OrderKind::Promote, Phase::Watching | Phase::Paused) if r.watch_began.is_some() => {
            vec![Event::WatchEnded { by }]
        }
        (OrderKind::Keep, Phase::Step | Phase::Paused) if r.coexists() && r.step_reached.is_some() => {
            leave(r, Ending::Kept, format!("{by} said so"))
        }
        (OrderKind::Promote, Phase::Step | Phase::Paused) if r.plan.is_some() => {
            vec![Event::PromotionDecided { why: format!("{by} said so") }]
        }
        (OrderKind::Rollback, phase) if !matches!(phase, Phase::RollingBack | Phase::Leaving) => {
            vec![rollback(format!("{by} said so"), Vec::new(), Ending::RolledBack)]
        }
        (OrderKind::Pause, _) => refused("pause"),
        (OrderKind::Resume, _) => refused("resume"),
        (OrderKind::Approve, _) => refused("approve"),
        (OrderKind::Promote, _) => refused("promote"),
        (OrderKind::Rollback, _) => refused("roll back"),
        (OrderKind::Keep, _) => refused("keep both versions"),
    }
}

fn no_use(r: &Rollout) -> String {
    let mode = if r.policy.mode == Mode::Observe { ", and this policy only observes" } else { "" };
    format!("that is of no use in phase `{}`{mode}", r.phase.label())
}

fn on_foreign(r: &Rollout, foreign: &Foreign, i: &Inputs<'_>) -> Vec<Event> {
    if r.policy.mode == Mode::Observe {
        return on_foreign_observed(r, foreign);
    }
    // The canary has everything already: whatever comes now is about another rollout.
    let is_done = (r.watch_began.is_some() && r.phase != Phase::RollingBack) || has_everything(r, i.observed);
    match foreign {
        Foreign::Removed(why) => finished(Ending::TakenOver, why.clone()),
        Foreign::Environment(why) if matches!(r.phase, Phase::Step | Phase::Paused | Phase::Watching) => {
            vec![Event::BakeRestarted { why: why.clone() }]
        }
        Foreign::Environment(why) => vec![Event::Noted { what: why.clone() }],
        Foreign::Replaced(version, why) if *version == Some(r.canary) => {
            leave(r, if is_done { Ending::Promoted } else { Ending::TakenOver }, why.clone())
        }
        Foreign::Replaced(_, why) => leave(r, Ending::Superseded, why.clone()),
        Foreign::NewVersion(_, why) if is_done => leave(r, Ending::Promoted, watched_no_longer(r, i, why)),
        Foreign::NewVersion(_, why) if matches!(r.phase, Phase::RollingBack | Phase::Leaving) => {
            vec![Event::Noted { what: why.clone() }]
        }
        Foreign::NewVersion(_, why) if r.coexists() && r.step_reached.is_some() => {
            leave(r, Ending::Kept, format!("{why}, so which one to compare with which is not clear any more"))
        }
        // Who asks before each act has moved nothing yet, and what the platform moved by itself is not ours to take back.
        Foreign::NewVersion(_, why)
            if r.step_began.is_none() && (r.policy.mode == Mode::Advise || r.kind == Kind::InPlace) =>
        {
            leave(r, Ending::Superseded, why.clone())
        }
        Foreign::NewVersion(_, why) => vec![go_back(r, why.clone(), Vec::new(), Ending::Superseded)],
        // Who adds or restarts units helps users, and takes no decision back.
        Foreign::Restarted(why) if r.phase == Phase::RollingBack => {
            vec![Event::Noted { what: format!("{why}; the way back goes on") }]
        }
        Foreign::Resized(why) if r.phase == Phase::RollingBack => {
            vec![Event::Resized { what: why.clone() }]
        }
        // Whoever stops the canary wants what the way back wants; whoever stops the baseline does not.
        Foreign::Stopped(why) if r.phase == Phase::RollingBack && has_baseline(r, i.observed) => {
            vec![Event::Resized { what: why.clone() }]
        }
        Foreign::Changed(why) | Foreign::Resized(why) | Foreign::Restarted(why) | Foreign::Stopped(why)
            if is_done =>
        {
            leave(r, Ending::Promoted, watched_no_longer(r, i, why))
        }
        Foreign::Changed(why) | Foreign::Stopped(why) if r.phase == Phase::RollingBack => {
            let stops = format!("{why}, so {} is taken back no further; see who serves now", r.canary);
            taken_over(r, format!("{why}; whoever did it knows better"), stops)
        }
        Foreign::Changed(why) | Foreign::Resized(why) | Foreign::Restarted(why) | Foreign::Stopped(why) => {
            leave(r, Ending::TakenOver, format!("{why}; whoever did it knows better"))
        }
    }
}

/// Others took over on the way back, which ends short of what was decided: a person has to know.
fn taken_over(r: &Rollout, why: String, calls: String) -> Vec<Event> {
    let mut events = leave(r, Ending::TakenOver, why);
    events.insert(0, Event::PersonNeeded { why: calls });
    events
}

/// The baseline still has units of the process that serves.
fn has_baseline(r: &Rollout, observed: Option<&Observed>) -> bool {
    observed.is_some_and(|o| o.existing(r.baseline, r.process()) > 0)
}

/// The canary has everything, and something else has begun. What was kept of the baseline is nobody's any more.
fn watched_no_longer(r: &Rollout, i: &Inputs<'_>, why: &str) -> String {
    let idle = |u: &&Unit| u.version == r.baseline && !u.routable;
    let kept = i.observed.map_or(0, |o| o.units.iter().filter(idle).count());
    let left = if kept > 0 {
        let units = if kept == 1 { "1 unit".to_owned() } else { format!("{kept} units") };
        format!("; {units} of {} stay without users until the next promotion", r.baseline)
    } else {
        String::new()
    };
    format!("{why}, so {} is watched no longer{left}", r.canary)
}

/// The canary was made the only version, or all users were sent to it: the baseline has no unit left, or none that users
/// reach.
fn has_everything(r: &Rollout, observed: Option<&Observed>) -> bool {
    let only = Command::MakeOnly { version: r.canary };
    let replaced = r
        .command
        .iter()
        .chain(&r.acted)
        .any(|issued| issued.command == only && matches!(issued.answered, Some((_, Answer::Done))));
    let alone = observed.is_some_and(|o| {
        let process = r.process();
        o.serving(r.canary, process) > 0 && o.routed(r.baseline, process) == 0
    });
    r.phase == Phase::Promoting && (replaced || alone)
}

/// Where Uguisu only observes, others do everything: they route the canary, give it units and make it the only version.
fn on_foreign_observed(r: &Rollout, foreign: &Foreign) -> Vec<Event> {
    match foreign {
        Foreign::Removed(why) => finished(Ending::TakenOver, why.clone()),
        Foreign::Environment(why) if matches!(r.phase, Phase::Step | Phase::Paused | Phase::Watching) => {
            vec![Event::BakeRestarted { why: why.clone() }]
        }
        Foreign::Changed(why)
        | Foreign::Resized(why)
        | Foreign::Restarted(why)
        | Foreign::Stopped(why)
        | Foreign::Environment(why) => {
            vec![Event::Noted { what: why.clone() }]
        }
        Foreign::Replaced(version, why) if *version == Some(r.canary) => {
            finished(Ending::Observed, why.clone())
        }
        // The newer one is to be observed next.
        Foreign::Replaced(_, why) | Foreign::NewVersion(_, why) => finished(Ending::Superseded, why.clone()),
    }
}

/// A failed check, an alert or evidence of harm.
fn on_emergency(r: &Rollout, i: &Inputs<'_>) -> Option<Vec<Event>> {
    if r.pause == Some(PauseCause::Operator) {
        return None;
    }
    let fail = r.policy.on.fail;
    let unhealthy = i.unhealthy.map(|why| (fail, why.to_owned(), vec!["health".to_owned()]));
    let heard = i.alerts.iter().filter(|alarm| alarm.action != Reaction::Ignore);
    let heard = heard.map(|alarm| (alarm.action, alarm.sentence.clone(), vec![alarm.name.clone()]));
    let harm = i.verdict.filter(|v| v.harm).map(|v| (fail, v.why.clone(), v.culprits.clone()));
    // The strongest, lest what only pauses hides what rolls back; of equal ones the first.
    let strongest = unhealthy.into_iter().chain(heard).chain(harm);
    let (reaction, why, culprits) = strongest.min_by_key(|(reaction, ..)| *reaction != Reaction::Rollback)?;
    Some(react(r, reaction, why, culprits, PauseCause::Fail))
}

/// Nothing is wrong with the canary: data, steps, time.
fn on_course(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let mut events = track_data(r, i);
    if let Some((trouble, since)) = r.trouble
        && events.is_empty()
        && matches!(r.phase, Phase::Step | Phase::Watching)
        && let Some(reaction) = overdue(r, trouble, i.now.since(since))
    {
        events.extend(reaction);
        return events;
    }
    match r.phase {
        Phase::Pending => events.extend(on_pending(r, i)),
        Phase::Step => events.extend(on_step(r, i)),
        Phase::Watching => events.extend(on_watching(r, i)),
        _ => {}
    }
    events
}

/// Data that went missing or came back.
fn track_data(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let seen = match (i.observed, i.verdict) {
        (None, _) => Some((Trouble::PlatformDown, "the platform cannot be observed".to_owned())),
        (_, Some(v)) if v.source_down => Some((Trouble::SourceDown, v.why.clone())),
        (_, Some(v)) if v.no_data => Some((Trouble::NoData, v.why.clone())),
        (_, Some(_)) => None,
        // No look was due: what was missing at the last one still is, unless it was the platform.
        (Some(_), None) => match r.trouble {
            Some((Trouble::PlatformDown, _)) | None => None,
            Some(_) => return Vec::new(),
        },
    };
    match (r.trouble, seen) {
        (None, Some((trouble, why))) => vec![Event::TroubleBegan { trouble, why }],
        (Some((_, since)), None) => vec![Event::TroubleEnded { after: i.now.since(since) }],
        (Some((old, since)), Some((new, why))) if old != new => {
            vec![Event::TroubleEnded { after: i.now.since(since) }, Event::TroubleBegan { trouble: new, why }]
        }
        _ => Vec::new(),
    }
}

/// What the policy wants once data has been missing for too long.
fn overdue(r: &Rollout, trouble: Trouble, missing: Span) -> Option<Vec<Event>> {
    let Hold { hold, then } = match trouble {
        Trouble::NoData => r.policy.on.no_data,
        Trouble::SourceDown => r.policy.on.source_down,
        Trouble::PlatformDown => return None,
    };
    let lacks = match trouble {
        Trouble::NoData => "the canary has given no data",
        // Both versions are silent, or the baseline alone is.
        _ => "the source has given no data, or none to compare the canary with,",
    };
    (missing >= hold).then(|| {
        let why = format!("{lacks} for {}; that is missing data, not evidence of harm", missing.rounded());
        react(r, then, why, vec!["missing data".to_owned()], PauseCause::NoData)
    })
}

/// Does what the policy says about `why`; in `observe` and `advise` it is said, not done.
fn react(
    r: &Rollout,
    reaction: Reaction,
    why: String,
    culprits: Vec<String>,
    cause: PauseCause,
) -> Vec<Event> {
    match (reaction, r.policy.mode) {
        (Reaction::Rollback, Mode::Act) => vec![rollback(why, culprits, Ending::RolledBack)],
        (Reaction::Rollback, Mode::Observe) => {
            finished(Ending::Observed, format!("would have rolled back {}: {why}", r.canary))
        }
        // Nobody is kept waiting by what is only observed.
        (Reaction::Pause, Mode::Observe) => {
            finished(Ending::Observed, format!("would have paused the rollout of {}: {why}", r.canary))
        }
        // The way back is advised whatever it waits for; once it waits for that, it is said.
        (Reaction::Rollback, Mode::Advise) if advised(r).is_none() => {
            vec![go_back(r, why, culprits, Ending::RolledBack)]
        }
        // What it waits for is said once, not at every look. But whoever is about to agree that it goes on has to hear.
        (Reaction::Rollback | Reaction::Pause, _)
            if r.phase == Phase::Paused
                && !matches!(r.pause, Some(PauseCause::Approval | PauseCause::Advice)) =>
        {
            Vec::new()
        }
        (Reaction::Pause, _) => vec![paused(cause, why)],
        (Reaction::Promote, _) => step_done(r, &why),
        (Reaction::Ignore, _) | (Reaction::Rollback, Mode::Advise) => Vec::new(),
    }
}

/// How the way back ends that a person is advised to agree to.
fn advised(r: &Rollout) -> Option<Ending> {
    match r.pause? {
        PauseCause::RollbackAdvice => Some(Ending::RolledBack),
        PauseCause::SupersededAdvice => Some(Ending::Superseded),
        _ => None,
    }
}

/// Back to the baseline, or the advice to go there.
fn go_back(r: &Rollout, why: String, culprits: Vec<String>, ending: Ending) -> Event {
    if r.policy.mode == Mode::Advise {
        let newer = ending == Ending::Superseded;
        let cause = if newer { PauseCause::SupersededAdvice } else { PauseCause::RollbackAdvice };
        paused(cause, format!("advises to roll back {}: {why}", r.canary))
    } else {
        rollback(why, culprits, ending)
    }
}

fn rollback(why: String, culprits: Vec<String>, ending: Ending) -> Event {
    Event::RollbackDecided { why, culprits, ending }
}

fn paused(cause: PauseCause, why: String) -> Event {
    Event::Paused { cause, why }
}

fn finished(ending: Ending, why: String) -> Vec<Event> {
    vec![Event::Finished { ending, why }]
}

/// Ends without moving any more traffic. What was taken away for the rollout is given back first.
fn leave(r: &Rollout, ending: Ending, why: String) -> Vec<Event> {
    // Where nobody else took over, the command that is under way is ours to wait for.
    let is_ours = ending == Ending::Kept && r.unanswered().is_some();
    if (r.suspends.is_empty() && !is_ours) || r.policy.mode == Mode::Observe {
        return finished(ending, why);
    }
    if r.phase == Phase::Leaving {
        return vec![Event::Noted { what: why }];
    }
    vec![Event::LeaveDecided { ending, why }]
}
