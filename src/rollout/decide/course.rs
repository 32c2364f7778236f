//! The course of a rollout once traffic moves: steps, the last step, the watch, and the way back.

use super::begin::{planned, planned_event, smoke};
use super::{Inputs, finished, go_back, paused, react};
use crate::policy::{Mode, Reaction, Strategy};
use crate::rollout::act::{Act, next_act};
use crate::rollout::event::{Answer, Ending, Event, Kind, PauseCause};
use crate::rollout::phase::Phase;
use crate::rollout::plan::Routed;
use crate::rollout::state::Rollout;
use crate::rollout::traffic::{Command, Observed, PlatformErrorKind};
use crate::words::{Share, Span, Time};

/// Commands that may fail in a row before a promotion is given up.
const PROMOTE_TRIES: u32 = 3;

/// Commands that may fail in a row before a step waits for a person.
const STEP_TRIES: u32 = 5;

/// How long a canary that is only observed may be without users: until then somebody may yet send it some.
const OBSERVE_WITHIN: Span = Span::minutes(24 * 60);

/// How long no unit of the canary may be listed before it is believed to be gone: listings lag.
const GONE_FOR: Span = Span::minutes(1);

/// How long the units of a step may take to be in place: the platform's own progress timer, and time to ask for them.
const PLACE_WITHIN: Span = Span::minutes(15);

/// The step's traffic, then its bake, then the next step.
pub(super) fn on_step(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(reached) = r.step_reached else { return to_place(r, i) };
    let Some(step) = r.current() else { return Vec::new() };
    if step.routed == Routed::Baseline {
        return stands_ready(r, i);
    }
    let Some(verdict) = i.verdict else { return Vec::new() };
    if verdict.wrong_split && r.policy.on.wrong_split == Reaction::Pause {
        return react(r, Reaction::Pause, verdict.why.clone(), Vec::new(), PauseCause::WrongSplit);
    }
    if let Strategy::MultiVersion(both) = &r.policy.strategy {
        let over = both.lasts.filter(|lasts| i.now.since(reached) >= *lasts);
        return match over {
            Some(_) if both.then == Reaction::Promote && verdict.both_bad => bad_alike(r, &verdict.why),
            Some(lasts) => end_of_coexistence(r, both.then, lasts, &verdict.why),
            None => Vec::new(),
        };
    }
    let (bake, baked) = (r.policy.strategy.bake(), r.baked(i.now));
    if baked >= bake.at_least && verdict.safe && !verdict.both_bad {
        return step_done(r, &format!("{} after {}: {}", step_name(r), baked.rounded(), verdict.why));
    }
    if baked >= bake.at_most {
        let baked = baked.rounded();
        let why = format!("{}: neither harm nor safety was shown in {baked}; {}", step_name(r), verdict.why);
        return match r.policy.on.inconclusive {
            Reaction::Promote if verdict.both_bad => bad_alike(r, &why),
            Reaction::Promote => step_done(r, &why),
            other => react(r, other, why, vec!["inconclusive".to_owned()], PauseCause::Inconclusive),
        };
    }
    Vec::new()
}

/// What hits both versions is no reason to promote, whatever the policy says of the end: a person must look.
fn bad_alike(r: &Rollout, why: &str) -> Vec<Event> {
    let culprits = vec!["inconclusive".to_owned()];
    react(r, Reaction::Pause, why.to_owned(), culprits, PauseCause::Inconclusive)
}

/// Waits for the step's traffic.
fn to_place(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    if r.tries >= STEP_TRIES {
        let last = r.command.as_ref().map_or_else(String::new, |c| c.command.to_string());
        let why = format!("the platform failed {} times to {last}", r.tries);
        return vec![paused(PauseCause::Platform, why)];
    }
    let Some(o) = i.observed else { return Vec::new() };
    if let Some(over) = nothing_to_observe(r, o, i.now) {
        return over;
    }
    if let Some(again) = replan(r, o) {
        return again;
    }
    if is_in_place(r, o) {
        let share = r.current().map_or(Share::NONE, |step| match step.routed {
            Routed::Both => o.share(r.canary, r.process()),
            Routed::Baseline | Routed::Canary => step.share,
        });
        return vec![Event::StepReached { step: r.step, share }];
    }
    match (r.current(), r.step_began) {
        (Some(step), Some(began))
            if r.policy.mode != Mode::Observe
                && i.now.since(began) >= PLACE_WITHIN
                && r.unanswered().is_none()
                && !i.busy =>
        {
            let waited = i.now.since(began).rounded();
            let ready = o.ready(r.canary, r.process());
            // Units that could not be asked for are not the canary's fault.
            let there = o.existing(r.canary, r.process()) >= step.canary;
            if ready < step.canary && there && !is_held_up(r) {
                let why =
                    format!("{ready} of {} units of {} were ready after {waited}", step.canary, r.canary);
                return react(r, Reaction::Rollback, why, vec!["ready".to_owned()], PauseCause::Fail);
            }
            let why = format!("{} is not in place after {waited}", step_name(r));
            vec![paused(PauseCause::Platform, why)]
        }
        _ => Vec::new(),
    }
}

/// An autoscaler that could not be removed at once may have changed the units that the plan stands on.
fn replan(r: &Rollout, o: &Observed) -> Option<Vec<Event>> {
    if !has_grown(r, o) {
        return None;
    }
    let suspends = r.suspends.clone();
    Some(match planned(r, o) {
        Ok(Event::Planned { plan, units, others, .. }) => {
            vec![Event::Planned { plan, units, others, suspends }, Event::StepBegan { step: 0 }]
        }
        Ok(event) => vec![event],
        Err(why) => super::leave(r, Ending::Failed, why),
    })
}

/// The last of the autoscalers was just removed, and had changed the baseline's units since they were counted.
fn has_grown(r: &Rollout, o: &Observed) -> bool {
    // Whatever was answered: what counts is that the platform shows it.
    let removed = r.command.as_ref().is_some_and(|issued| {
        matches!(issued.command, Command::SuspendAutoscaler { .. }) && issued.answered.is_some()
    });
    let gone = r.suspends.iter().all(|a| o.autoscaled.iter().all(|there| there.process != a.process));
    if !removed || !gone || !o.shows_autoscalers() || r.step > 0 || !o.replacing().is_empty() {
        return false;
    }
    let mut processes = std::iter::once(r.process()).chain(r.suspends.iter().map(|a| a.process.as_str()));
    let anew = processes.clone().any(|process| o.makes_anew(r.baseline, process));
    !anew
        && processes.any(|process| {
            if process == r.process() {
                o.routed(r.baseline, process) != r.units
            } else {
                r.others.get(process).is_some_and(|units| o.kept(r.baseline, process) != *units)
            }
        })
}

/// Who only observes waits for somebody else to send users to the canary; some day nobody will any more.
fn nothing_to_observe(r: &Rollout, o: &Observed, now: Time) -> Option<Vec<Event>> {
    let waited = now.since(r.step_began.filter(|_| r.policy.mode == Mode::Observe)?);
    if o.existing(r.canary, r.process()) == 0 && waited >= GONE_FOR {
        let why = format!("{} has no units any more, so there is nothing to observe", r.canary);
        return Some(finished(Ending::Observed, why));
    }
    let ever = r.first_traffic.is_some() || o.serving(r.canary, r.process()) > 0;
    (waited >= OBSERVE_WITHIN && !ever).then(|| {
        let why =
            format!("nobody sent users to {} in {OBSERVE_WITHIN}, so there was nothing to observe", r.canary);
        finished(Ending::Observed, why)
    })
}

/// The canary's units stand ready beside the baseline's: the smoke checks, then the switch.
fn stands_ready(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    match smoke(r, i) {
        Some(events) => events,
        None => step_done(r, &format!("{} units of {} stand ready", r.units, r.canary)),
    }
}

fn end_of_coexistence(r: &Rollout, then: Reaction, lasts: Span, why: &str) -> Vec<Event> {
    let over = format!("both have served side by side for {}; {why}", lasts.rounded());
    match then {
        Reaction::Promote => step_done(r, &over),
        Reaction::Rollback => react(r, Reaction::Rollback, over, Vec::new(), PauseCause::Advice),
        Reaction::Pause | Reaction::Ignore => super::leave(r, Ending::Kept, over),
    }
}

/// The traffic of the current step is what was observed.
fn is_in_place(r: &Rollout, o: &Observed) -> bool {
    let (Some(step), process) = (r.current(), r.process()) else { return false };
    let serving = |v| o.serving(v, process);
    if r.policy.mode == Mode::Observe {
        return match step.routed {
            // What is only observed stands ready as it is.
            Routed::Baseline => true,
            _ => serving(r.canary) > 0,
        };
    }
    let suspended = r.suspends.iter().all(|a| o.autoscaled.iter().all(|there| there.process != a.process));
    let canary = match step.routed {
        Routed::Baseline => o.ready(r.canary, process) == step.canary && serving(r.canary) == 0,
        _ => serving(r.canary) == step.canary,
    };
    let baseline = match step.routed {
        Routed::Canary => serving(r.baseline) == 0,
        _ => serving(r.baseline) >= 1 && serving(r.baseline) <= step.baseline,
    };
    // An autoscaler that stays in charge changes the baseline's units as it likes, and lets nobody change the canary's.
    let workers = step.workers.iter().all(|(worker, units)| {
        r.is_scaled(o, worker)
            || (o.ready(r.canary, worker) >= units.canary && o.existing(r.baseline, worker) <= units.baseline)
    });
    let sized = r.is_scaled(o, process) || o.existing(r.baseline, process) == step.baseline;
    suspended && canary && (baseline || r.is_scaled(o, process)) && sized && workers
}

fn step_name(r: &Rollout) -> String {
    format!("step {}", r.step + 1)
}

/// The step is done: to the next, unless a person has to agree first.
pub(super) fn step_done(r: &Rollout, why: &str) -> Vec<Event> {
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

pub(super) fn leave_step(r: &Rollout, why: &str) -> Vec<Event> {
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

pub(super) fn on_promoting(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    // Whoever promotes before anything was moved promotes to the size that the app has now.
    if let Some(plan) = r.plan.clone().filter(|_| r.step_reached.is_none() && has_grown(r, o)) {
        return vec![planned_event(r, o, plan, o.routed(r.baseline, r.process()))];
    }
    let next = next_act(r, o, false, i.now);
    if !i.busy && r.unanswered().is_none() && next == Act::Settled {
        return if r.watch_lasts() > Span::ZERO {
            vec![Event::WatchBegan]
        } else {
            end(r, o, Ending::Promoted, r.reason.clone())
        };
    }
    // Before it was asked for what is to be done, the platform has not had its time.
    if !i.busy
        && !matches!(next, Act::Do { .. })
        && r.unanswered().is_none()
        && o.ready(r.baseline, r.process()) > 0
        && is_late(r, i.now)
    {
        let ready = o.ready(r.canary, r.process());
        let why = match next {
            Act::Wait(what) => format!("{what} after {PLACE_WITHIN}"),
            _ => format!("{ready} of {} units of {} were ready after {PLACE_WITHIN}", r.units, r.canary),
        };
        return vec![go_back(r, why, vec!["ready".to_owned()], Ending::RolledBack)];
    }
    // What was not taken up is tried on: an app that is locked, or a freeze of all deploys, says nothing of the canary.
    if r.tries >= PROMOTE_TRIES && r.unanswered().is_none() && o.ready(r.baseline, r.process()) > 0 {
        let only = || format!("make {} the only version", r.canary);
        let last = r.command.as_ref().map_or_else(only, |issued| issued.command.to_string());
        let why = format!("the platform failed {} times to {last}", r.tries);
        return vec![go_back(r, why, Vec::new(), Ending::RolledBack)];
    }
    Vec::new()
}

/// The canary has everything: until the watch is over, and the old version is away.
pub(super) fn on_watching(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    let settled = || next_act(r, o, false, i.now) == Act::Settled;
    if !i.busy && r.unanswered().is_none() && r.is_watched(i.now) && settled() {
        if r.policy.mode == Mode::Observe {
            return finished(Ending::Observed, format!("nothing speaks against {}", r.canary));
        }
        let why = if r.reason.is_empty() {
            format!("nothing spoke against {} in {}", r.canary, r.watch_lasts().rounded())
        } else {
            r.reason.clone()
        };
        return end(r, o, Ending::Promoted, why);
    }
    Vec::new()
}

/// Of what was last asked of the platform nothing was done, because something is in its way.
fn is_held_up(r: &Rollout) -> bool {
    let answer = r.command.as_ref().and_then(|issued| issued.answered.as_ref());
    matches!(answer, Some((_, Answer::Error { kind, .. })) if kind.is_untouched())
}

/// The platform has had its time for what was last asked of it.
fn is_late(r: &Rollout, now: Time) -> bool {
    now.since(r.quiet_since()) >= PLACE_WITHIN
}

/// The end. Where the version that serves has fewer units than it should, a person hears of that.
fn end(r: &Rollout, o: &Observed, ending: Ending, why: String) -> Vec<Event> {
    let version = if ending == Ending::Promoted { r.canary } else { r.baseline };
    let (ready, wanted) = (o.ready(version, r.process()), r.units);
    let mut events = finished(ending, why);
    // A newer version took over: what is not there was not wanted back.
    let is_over = ending == Ending::Superseded && o.existing(version, r.process()) == 0;
    if ready < wanted
        && !is_over
        && !r.is_scaled(o, r.process())
        && matches!(r.phase, Phase::RollingBack | Phase::Promoting | Phase::Watching)
    {
        let why = format!(
            "{ready} of {wanted} units of {version} are ready, and nothing that was tried gave it more"
        );
        events.insert(0, Event::PersonNeeded { why });
    }
    events
}

pub(super) fn on_rolling_back(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    if i.busy || r.unanswered().is_some() {
        return Vec::new();
    }
    // Nothing was moved yet, and nothing will be: an order to bring back what is not to be had ends here.
    if r.kind == Kind::Return
        && o.existing(r.baseline, r.process()) == 0
        && let Some(issued) = &r.command
        && let Some((_, Answer::Error { kind: PlatformErrorKind::Refused, message })) = &issued.answered
        && matches!(issued.command, Command::MakeOnly { .. })
    {
        return finished(Ending::Failed, format!("{} is not brought back: {message}", r.baseline));
    }
    if let Some(over) = stopped(r, o, i.now) {
        return over;
    }
    match next_act(r, o, false, i.now) {
        Act::Settled => end(r, o, r.ending, r.reason.clone()),
        _ => Vec::new(),
    }
}

/// Somebody else has taken all units away on the way back: there is nothing left to bring back, or to take away.
fn stopped(r: &Rollout, o: &Observed, now: Time) -> Option<Vec<Event>> {
    let since = r.resized.filter(|_| r.is_resized())?.max(r.quiet_since());
    (o.units.is_empty() && now.since(since) >= GONE_FOR).then(|| {
        let why = format!(
            "the app has no units any more: somebody took them away while {} was taken back",
            r.canary
        );
        super::taken_over(r, why.clone(), why)
    })
}

/// Everything is given back: the end.
pub(super) fn on_leaving(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    debug_assert_eq!(r.phase, Phase::Leaving);
    on_rolling_back(r, i)
}
