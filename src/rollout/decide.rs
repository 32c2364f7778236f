//! What follows from what was seen: state and inputs in, events out.
//!
//! Order of precedence: a person's order · takeover or supersession · critical failure (health, alert, signal) ·
//! missing data · step done · go on. The first that applies decides; the rest is for the next look.

use serde::{Deserialize, Serialize};

use super::event::{Ending, Event, PauseCause, Trouble};
use super::plan::plan;
use super::state::{Phase, Rollout};
use super::traffic::Observed;
use crate::judge::Verdict;
use crate::policy::{Hold, Mode, Reaction, Strategy};
use crate::words::{Span, Time, Version};

/// How long a canary may take to get ready before its rollout is given up: the platform's own progress timer.
pub const READY_WITHIN: Span = Span::minutes(10);

/// Commands that may fail in a row before a promotion is given up.
const PROMOTE_TRIES: u32 = 3;

/// Commands that may fail in a row before a step waits for a person.
const STEP_TRIES: u32 = 5;

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
    /// Something holds the app's lock.
    pub busy: bool,
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
    /// Routing, units or processes were changed by hand.
    Changed(String),
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
        return on_foreign(r, foreign);
    }
    match r.phase {
        Phase::RollingBack => on_rolling_back(r, i),
        Phase::Promoting => on_promoting(r, i),
        _ => on_emergency(r, i).unwrap_or_else(|| on_course(r, i)),
    }
}

fn on_order(r: &Rollout, order: &Order) -> Vec<Event> {
    let by = order.by.clone();
    let refused =
        |what: &str| vec![Event::Noted { what: format!("{} asked to {what}; {}", order.by, no_use(r)) }];
    let observes = r.policy.mode == Mode::Observe;
    match (order.kind, r.phase) {
        (OrderKind::Promote, _) if observes => refused("promote"),
        (OrderKind::Rollback, _) if observes => refused("roll back"),
        (OrderKind::Pause, Phase::Pending | Phase::Step | Phase::Paused) => {
            vec![paused(PauseCause::Operator, format!("{by} said so"))]
        }
        (OrderKind::Resume, Phase::Paused) => vec![Event::Resumed { by }],
        (OrderKind::Approve, Phase::Paused)
            if matches!(r.pause, Some(PauseCause::Approval | PauseCause::Advice)) && r.plan.is_some() =>
        {
            let mut events = vec![Event::Approved { by: by.clone(), step: r.step }];
            events.extend(leave_step(r, &format!("{by} approved")));
            events
        }
        (OrderKind::Promote, Phase::Step | Phase::Paused) if r.plan.is_some() => {
            vec![Event::PromotionDecided { why: format!("{by} said so") }]
        }
        (OrderKind::Rollback, phase) if phase != Phase::RollingBack => {
            vec![rollback(format!("{by} said so"), Vec::new(), Ending::RolledBack)]
        }
        (OrderKind::Pause, _) => refused("pause"),
        (OrderKind::Resume, _) => refused("resume"),
        (OrderKind::Approve, _) => refused("approve"),
        (OrderKind::Promote, _) => refused("promote"),
        (OrderKind::Rollback, _) => refused("roll back"),
    }
}

fn no_use(r: &Rollout) -> String {
    let mode = if r.policy.mode == Mode::Observe { ", and this policy only observes" } else { "" };
    format!("that is of no use in phase `{}`{mode}", r.phase.label())
}

fn on_foreign(r: &Rollout, foreign: &Foreign) -> Vec<Event> {
    match foreign {
        Foreign::Replaced(version, why) if *version == Some(r.canary) => {
            finished(Ending::TakenOver, why.clone())
        }
        Foreign::Replaced(_, why) => finished(Ending::Superseded, why.clone()),
        Foreign::NewVersion(_, why) if r.phase == Phase::RollingBack || r.policy.mode == Mode::Observe => {
            vec![Event::Noted { what: why.clone() }]
        }
        Foreign::NewVersion(_, why) => vec![rollback(why.clone(), Vec::new(), Ending::Superseded)],
        Foreign::Changed(why) => finished(Ending::TakenOver, format!("{why}; whoever did it knows better")),
        Foreign::Removed(why) => finished(Ending::TakenOver, why.clone()),
    }
}

/// A failed check, an alert or evidence of harm.
fn on_emergency(r: &Rollout, i: &Inputs<'_>) -> Option<Vec<Event>> {
    if r.pause == Some(PauseCause::Operator) {
        return None;
    }
    if let Some(why) = i.unhealthy {
        return Some(react(r, r.policy.on.fail, why.to_owned(), vec!["health".to_owned()], PauseCause::Fail));
    }
    let loudest = i.alerts.iter().max_by_key(|a| u8::from(a.action == Reaction::Rollback));
    if let Some(alarm) = loudest.filter(|a| a.action != Reaction::Ignore) {
        return Some(react(
            r,
            alarm.action,
            alarm.sentence.clone(),
            vec![alarm.name.clone()],
            PauseCause::Fail,
        ));
    }
    let verdict = i.verdict.filter(|v| v.harm)?;
    Some(react(r, r.policy.on.fail, verdict.why.clone(), verdict.culprits.clone(), PauseCause::Fail))
}

/// Nothing is wrong with the canary: data, steps, time.
fn on_course(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let mut events = track_data(r, i);
    if let Some((trouble, since)) = r.trouble
        && events.is_empty()
        && r.phase == Phase::Step
        && let Some(reaction) = overdue(r, trouble, i.now.since(since))
    {
        events.extend(reaction);
        return events;
    }
    match r.phase {
        Phase::Pending => events.extend(on_pending(r, i)),
        Phase::Step => events.extend(on_step(r, i)),
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
    let arm = if trouble == Trouble::NoData { "the canary has" } else { "both versions have" };
    (missing >= hold).then(|| {
        let why = format!(
            "{arm} given no data for {}; that is missing data, not evidence of harm",
            missing.rounded()
        );
        react(r, then, why, vec!["missing data".to_owned()], PauseCause::NoData)
    })
}

/// Waits until the canary's units are ready and the traffic is what it should be before anything is touched.
fn on_pending(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    let process = r.process();
    let waited = i.now.since(r.opened).rounded();
    if r.policy.mode == Mode::Act && o.autoscaled.iter().any(|a| a.process == process) {
        return finished(
            Ending::Failed,
            format!(
                "process `{process}` is scaled by the platform's autoscaler, which would undo every step; remove the autoscaler for the rollout"
            ),
        );
    }
    let routed = |v: Version| o.units.iter().any(|u| u.version == v && u.routable);
    if let Some(other) =
        o.units.iter().find(|u| u.routable && u.version != r.baseline && u.version != r.canary)
    {
        return finished(
            Ending::TakenOver,
            format!("{} serves as well as {}: not ours to move", other.version, r.baseline),
        );
    }
    if r.policy.mode != Mode::Observe && routed(r.canary) {
        return finished(Ending::TakenOver, format!("somebody routed {} before the rollout began", r.canary));
    }
    let canary = o.existing(r.canary, process);
    let ready = o.units.iter().filter(|u| u.version == r.canary && u.process == process && u.ready).count();
    if canary == 0 || ready < canary as usize || o.serving(r.baseline, process) == 0 {
        return if waited < READY_WITHIN { Vec::new() } else { never_ready(r, canary, ready, waited) };
    }
    let Strategy::Canary(wished) = &r.policy.strategy;
    let units = o.serving(r.baseline, process);
    match plan(wished, units, o.quota_left.map(|left| left.saturating_add(canary))) {
        Ok(plan) => {
            let mut events = vec![Event::Planned { plan, units }];
            if r.policy.mode == Mode::Advise {
                events.push(paused(PauseCause::Advice, format!("advises to route users to {}", r.canary)));
            } else {
                events.push(Event::StepBegan { step: 0 });
            }
            events
        }
        Err(why) => finished(Ending::Failed, why),
    }
}

fn never_ready(r: &Rollout, units: u32, ready: usize, waited: Span) -> Vec<Event> {
    if units == 0 {
        return finished(
            Ending::TakenOver,
            format!("{} has no units after {waited}; it was removed", r.canary),
        );
    }
    if ready < units as usize {
        let why = format!("{ready} of {units} units of {} were ready after {waited}", r.canary);
        return react(r, Reaction::Rollback, why, vec!["ready".to_owned()], PauseCause::Fail);
    }
    finished(Ending::Failed, format!("{} has had no unit that serves for {waited}", r.baseline))
}

/// The step's traffic, then its bake, then the next step.
fn on_step(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    if r.step_reached.is_none() {
        if r.failures >= STEP_TRIES {
            let last = r.command.as_ref().map_or_else(String::new, |c| c.command.to_string());
            return vec![paused(
                PauseCause::Platform,
                format!("the platform failed {} times to {last}", r.failures),
            )];
        }
        if let Some(o) = i.observed
            && in_place(r, o)
        {
            events.push(Event::StepReached { step: r.step, share: o.share(r.canary, r.process()) });
        }
        return events;
    }
    let (Some(verdict), Strategy::Canary(canary)) = (i.verdict, &r.policy.strategy) else { return events };
    let baked = r.baked(i.now);
    if verdict.wrong_split && r.policy.on.wrong_split == Reaction::Pause {
        return vec![paused(PauseCause::WrongSplit, verdict.why.clone())];
    }
    if baked >= canary.bake.at_least && verdict.safe && !verdict.both_bad {
        return step_done(r, &format!("{} after {}: {}", step_name(r), baked.rounded(), verdict.why));
    }
    if baked >= canary.bake.at_most {
        let baked = baked.rounded();
        let why = format!("{}: neither harm nor safety was shown in {baked}; {}", step_name(r), verdict.why);
        return match r.policy.on.inconclusive {
            Reaction::Promote => step_done(r, &why),
            other => react(r, other, why, vec!["inconclusive".to_owned()], PauseCause::Inconclusive),
        };
    }
    events
}

/// The traffic of the current step is what was observed.
fn in_place(r: &Rollout, o: &Observed) -> bool {
    let (Some(step), process) = (r.current(), r.process()) else { return false };
    let serving = |v| o.serving(v, process);
    if r.policy.mode == Mode::Observe {
        return serving(r.canary) > 0 && serving(r.baseline) > 0;
    }
    serving(r.canary) == step.canary
        && serving(r.baseline) >= 1
        && serving(r.baseline) <= step.baseline
        && o.existing(r.baseline, process) == step.baseline
}

fn step_name(r: &Rollout) -> String {
    format!("step {}", r.step + 1)
}

/// The step is done: to the next, unless a person has to agree first.
fn step_done(r: &Rollout, why: &str) -> Vec<Event> {
    let approve = r.current().is_some_and(|s| s.approve) && !r.approved.contains(&r.step);
    if approve && r.policy.mode != Mode::Observe {
        return vec![paused(
            PauseCause::Approval,
            format!("{why}; the policy wants a person's agreement to go on"),
        )];
    }
    if r.policy.mode == Mode::Advise && !r.approved.contains(&r.step) {
        let next = if r.at_last_step() {
            format!("promote {}", r.canary)
        } else {
            "go on to the next step".to_owned()
        };
        return vec![paused(PauseCause::Advice, format!("advises to {next}: {why}"))];
    }
    leave_step(r, why)
}

fn leave_step(r: &Rollout, why: &str) -> Vec<Event> {
    if r.policy.mode == Mode::Observe && r.at_last_step() {
        return finished(Ending::Observed, format!("would have promoted {}: {why}", r.canary));
    }
    // Advice given before the first step leaves nothing behind.
    if r.step_began.is_none() {
        return vec![Event::StepBegan { step: 0 }];
    }
    if r.at_last_step() {
        return vec![Event::PromotionDecided { why: why.to_owned() }];
    }
    vec![Event::StepBegan { step: r.step + 1 }]
}

fn on_promoting(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    let process = r.process();
    let only = !o.units.is_empty()
        && o.units.iter().all(|u| u.version == r.canary && u.base)
        && o.serving(r.canary, process) == r.units
        && o.existing(r.canary, process) == r.units;
    if only && !i.busy && r.unanswered().is_none() {
        return finished(Ending::Promoted, r.reason.clone());
    }
    if r.failures >= PROMOTE_TRIES && r.unanswered().is_none() && o.serving(r.baseline, process) > 0 {
        let why = format!("the platform failed {} times to make {} the only version", r.failures, r.canary);
        return vec![rollback(why, Vec::new(), Ending::RolledBack)];
    }
    Vec::new()
}

fn on_rolling_back(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    if i.busy || r.unanswered().is_some() {
        return Vec::new();
    }
    match super::act::next_act(r, o, false, i.now) {
        super::act::Act::Settled => finished(r.ending, r.reason.clone()),
        _ => Vec::new(),
    }
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
        // What it waits for is said once, not at every look.
        (Reaction::Rollback | Reaction::Pause, _) if r.phase == Phase::Paused => Vec::new(),
        (Reaction::Rollback, Mode::Advise) => {
            vec![paused(cause, format!("advises to roll back {}: {why}", r.canary))]
        }
        (Reaction::Pause, _) => vec![paused(cause, why)],
        (Reaction::Promote, _) => step_done(r, &why),
        (Reaction::Ignore, _) => Vec::new(),
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
