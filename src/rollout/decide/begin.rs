//! The beginning: what must hold before anything is touched, and the plan.

use std::collections::BTreeMap;

use super::{Inputs, Smoke, finished, leave, paused, react, rollback};
use crate::policy::{Autoscale, Mode, Reaction, Strategy};
use crate::rollout::act::LAG;
use crate::rollout::event::{Ending, Event, Kind, PauseCause};
use crate::rollout::plan::{Footing, Plan, Routed, plan};
use crate::rollout::state::Rollout;
use crate::rollout::traffic::{Autoscaler, Observed};
use crate::words::{Span, Version};

/// How long a canary may take to get ready before its rollout is given up: the platform's own progress timer.
pub const READY_WITHIN: Span = Span::minutes(10);

/// How long a canary may fail its smoke checks before its rollout is given up.
const SMOKE_WITHIN: Span = Span::minutes(2);

/// Waits until the canary's units are ready and the traffic is what it should be before anything is touched.
pub(super) fn on_pending(r: &Rollout, i: &Inputs<'_>) -> Vec<Event> {
    let Some(o) = i.observed else { return Vec::new() };
    match r.kind {
        Kind::Beside => beside(r, o, i),
        Kind::InPlace => in_place(r, o, i),
        Kind::Return => give_back(r, o),
    }
}

/// Why nothing can be planned on what is seen: sizes that are about to change would be taken for those to keep, and what is
/// not told for what is not there.
fn unclear(r: &Rollout, o: &Observed, i: &Inputs<'_>) -> Option<String> {
    let mut processes = o.units.iter().filter(|u| u.version == r.baseline).map(|u| u.process.as_str());
    if i.busy {
        return Some("somebody else's act still holds the app, so nothing was begun".to_owned());
    }
    if !o.replacing().is_empty() || processes.any(|process| o.makes_anew(r.baseline, process)) {
        return Some(format!("the platform still replaces units of {}, so nothing was begun", r.baseline));
    }
    let untold = o.gaps.iter().find(|gap| gap.contains("autoscaler") || gap.contains("quota"))?;
    Some(format!("the platform does not tell what a plan stands on, so nothing was begun; {untold}"))
}

fn beside(r: &Rollout, o: &Observed, i: &Inputs<'_>) -> Vec<Event> {
    // A person may have agreed long after it was opened.
    let since = r.entered.map_or(r.opened, |entered| entered.max(r.opened));
    let (process, waited) = (r.process(), i.now.since(since).rounded());
    if r.policy.mode != Mode::Observe
        && let Some(why) = unclear(r, o, i)
    {
        let is_over = waited >= READY_WITHIN;
        return if is_over { finished(Ending::Failed, format!("after {waited} {why}")) } else { Vec::new() };
    }
    if let Some(why) = obstacle(r, o) {
        return why;
    }
    let canary = o.existing(r.canary, process);
    let ready = o.units.iter().filter(|u| u.version == r.canary && u.process == process && u.ready).count();
    if canary == 0 || ready < canary as usize || o.serving(r.baseline, process) == 0 {
        return if waited < READY_WITHIN { Vec::new() } else { never_ready(r, canary, ready, waited) };
    }
    let planned = match planned(r, o) {
        Ok(planned) => planned,
        Err(why) => return finished(Ending::Failed, why),
    };
    let first = if let Event::Planned { plan, .. } = &planned { plan.steps.first() } else { None };
    let stands_ready_first = first.is_some_and(|step| step.routed == Routed::Baseline);
    let mut events = Vec::new();
    if !stands_ready_first && let Some(wait) = smoke(r, i) {
        let passed = matches!(wait.as_slice(), [Event::Smoked]);
        if !passed {
            return wait;
        }
        events.extend(wait);
    }
    let start = if r.policy.mode == Mode::Advise && !r.agreed {
        let how = if stands_ready_first { "to set units of" } else { "to route users to" };
        let what = if stands_ready_first { " up beside the baseline" } else { "" };
        paused(PauseCause::Advice, format!("advises {how} {}{what}", r.canary))
    } else {
        Event::StepBegan { step: 0 }
    };
    events.extend([planned, start]);
    events
}

/// The plan on what there is now.
///
/// # Errors
/// In words, where the strategy cannot be carried out.
pub(super) fn planned(r: &Rollout, o: &Observed) -> Result<Event, String> {
    let footing = footing(r, o);
    let planned = plan(&r.policy.strategy, &footing)?;
    let keeps = r.policy.keep_for > Span::ZERO && r.policy.mode != Mode::Observe;
    if let Some(why) = no_room_to_keep(&footing, &planned).filter(|_| keeps) {
        return Err(why);
    }
    Ok(planned_event(r, o, planned, footing.units))
}

/// Whoever keeps the baseline's units after the end needs as many again for the canary.
fn no_room_to_keep(footing: &Footing, plan: &Plan) -> Option<String> {
    let all = footing.all();
    let room = footing.room_after(plan.steps.last()).filter(|room| *room < all)?;
    Some(format!(
        "`keep_for` needs room for {all} units of the canary beside the baseline's, and the quota leaves room for {room}; raise \
         the quota by {}, or leave `keep_for` out",
        all - room
    ))
}

/// What keeps the rollout from beginning at all.
fn obstacle(r: &Rollout, o: &Observed) -> Option<Vec<Event>> {
    let acts = r.policy.mode != Mode::Observe;
    if let Some(scaler) = o.autoscaled.iter().find(|a| r.policy.takes_part(&a.process))
        && acts
        && r.policy.autoscale == Autoscale::Refuse
    {
        let process = &scaler.process;
        return Some(finished(
            Ending::Failed,
            format!(
                "process `{process}` is scaled by the platform's autoscaler, which would undo every step; write \
                 `autoscale: suspend` in the policy, or remove the autoscaler"
            ),
        ));
    }
    let routed = |v: Version| o.units.iter().any(|u| u.version == v && u.routable);
    if let Some(other) = o.units.iter().find(|u| u.routable && !r.is_ours(u.version)) {
        return Some(leave(
            r,
            Ending::TakenOver,
            format!("{} serves as well as {}: not ours to move", other.version, r.baseline),
        ));
    }
    if acts && routed(r.canary) {
        return Some(leave(
            r,
            Ending::TakenOver,
            format!("somebody routed {} before the rollout began", r.canary),
        ));
    }
    if let Some(why) = scaled_apart(r, o).filter(|_| acts) {
        return Some(finished(Ending::Failed, why));
    }
    missing_process(r, o, r.baseline).map(|why| finished(Ending::Failed, why))
}

/// An autoscaler of a process that is in no step, where the baseline is taken out with all of its processes before it goes:
/// the canary's units of it cannot be brought to size, since the platform lets nobody but the autoscaler add any.
fn scaled_apart(r: &Rollout, o: &Observed) -> Option<String> {
    let taken_out = r.policy.keep_for > Span::ZERO || matches!(r.policy.strategy, Strategy::BlueGreen(_));
    let apart = |process: &str| !r.policy.takes_part(process);
    let scaler = o.autoscaled.iter().find(|a| apart(&a.process) && o.existing(r.canary, &a.process) > 0)?;
    taken_out.then(|| {
        format!(
            "process `{0}` is scaled by the platform's autoscaler and is in no step, so its users would be left with one unit of \
             {1} when {2} is taken out; name `{0}` in `workers`, leave `keep_for` out, or use `canary` or `rolling`",
            scaler.process, r.canary, r.baseline
        )
    })
}

/// A process of the policy that a version does not have.
fn missing_process(r: &Rollout, o: &Observed, version: Version) -> Option<String> {
    let mut has: Vec<&str> =
        o.units.iter().filter(|u| u.version == version).map(|u| u.process.as_str()).collect();
    has.sort_unstable();
    has.dedup();
    // Without any unit of it, its processes are not known.
    let wanted = std::iter::once(r.process()).chain(r.policy.workers.iter().map(String::as_str));
    let missing = wanted.into_iter().find(|process| !has.is_empty() && !has.contains(process))?;
    Some(format!(
        "policy `{}` is for process `{missing}`, and app `{}` has {}; correct the policy",
        r.policy.name,
        r.app,
        has.iter().map(|process| format!("`{process}`")).collect::<Vec<_>>().join(", ")
    ))
}

fn footing(r: &Rollout, o: &Observed) -> Footing {
    let of = |version: Version, process: &str| o.existing(version, process);
    let scaled = o.autoscaled.iter().any(|a| a.process == r.process());
    let canary: u32 = std::iter::once(r.process())
        .chain(r.policy.workers.iter().map(String::as_str))
        .map(|process| of(r.canary, process))
        .fold(0, u32::saturating_add);
    let lacks = sizes(o, r.baseline)
        .into_iter()
        .filter(|(process, _)| !r.policy.takes_part(process))
        .map(|(process, units)| match of(r.canary, &process) {
            0 => 0,
            made => units.saturating_sub(made),
        })
        .fold(0, u32::saturating_add);
    Footing {
        lacks,
        units: o.routed(r.baseline, r.process()),
        workers: r.policy.workers.iter().map(|w| (w.clone(), of(r.baseline, w))).collect(),
        room: o.quota_left.map(|left| left.saturating_add(canary)),
        fixed: (scaled && r.policy.autoscale == Autoscale::Swap).then(|| of(r.canary, r.process())),
    }
}

/// A plan with the sizes that are seen now.
pub(super) fn planned_event(r: &Rollout, o: &Observed, plan: Plan, units: u32) -> Event {
    let mut others = sizes(o, r.baseline);
    others.remove(r.process());
    Event::Planned { plan, units, others, suspends: suspended(r, o) }
}

/// How many units the platform keeps of each process of `version`.
fn sizes(o: &Observed, version: Version) -> BTreeMap<String, u32> {
    let of_version = o.units.iter().filter(|u| u.version == version);
    of_version.map(|u| (u.process.clone(), o.kept(version, &u.process))).collect()
}

/// The autoscalers that are removed for the rollout: those of the processes that take part.
fn suspended(r: &Rollout, o: &Observed) -> Vec<Autoscaler> {
    if r.policy.autoscale != Autoscale::Suspend || r.policy.mode == Mode::Observe {
        return Vec::new();
    }
    o.autoscaled.iter().filter(|a| r.policy.takes_part(&a.process)).cloned().collect()
}

/// What follows from the smoke checks before users are routed to the canary; nothing: go on.
pub(super) fn smoke(r: &Rollout, i: &Inputs<'_>) -> Option<Vec<Event>> {
    if r.policy.smoke.is_empty() || r.smoked {
        return None;
    }
    Some(match i.smoke {
        Some(Smoke::Passed) => vec![Event::Smoked],
        Some(Smoke::Failed { why, since }) if i.now.since(*since) >= SMOKE_WITHIN => {
            let why = format!("{why}; no user was sent to {}", r.canary);
            react(r, Reaction::Rollback, why, vec!["smoke".to_owned()], PauseCause::Fail)
        }
        _ => Vec::new(),
    })
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

/// The platform has moved everything by itself: what is left is to watch.
fn in_place(r: &Rollout, o: &Observed, i: &Inputs<'_>) -> Vec<Event> {
    let units = o.routed(r.canary, r.process());
    let waited = i.now.since(r.opened);
    if o.serving(r.canary, r.process()) == 0 {
        if let Some(why) = missing_process(r, o, r.canary) {
            return finished(Ending::Failed, why);
        }
        let why = || format!("no unit of {} has served for {waited}, so there is nothing to watch", r.canary);
        return if waited < READY_WITHIN { Vec::new() } else { finished(Ending::Failed, why()) };
    }
    if o.units.iter().any(|u| u.version != r.canary && u.routable) {
        // The listing may be older than the end of the update.
        if i.busy || waited < LAG {
            return Vec::new();
        }
        return finished(
            Ending::TakenOver,
            format!("other versions serve as well as {}: not ours to move", r.canary),
        );
    }
    let mut others: BTreeMap<String, u32> = BTreeMap::new();
    for unit in o.units.iter().filter(|u| u.process != r.process()) {
        *others.entry(unit.process.clone()).or_default() += 1;
    }
    let plan = Plan { steps: Vec::new(), adjusted: Vec::new() };
    vec![Event::Planned { plan, units, others, suspends: Vec::new() }, Event::WatchBegan]
}

/// A person or an alert wants the earlier version back.
fn give_back(r: &Rollout, o: &Observed) -> Vec<Event> {
    let mut others = sizes(o, r.canary);
    others.remove(r.process());
    // Both may serve: what is wanted in the end is what serves now, in sum. Units that are being made anew are there twice.
    let serves = |version| o.routed(version, r.process()).min(o.kept(version, r.process()));
    let units = serves(r.canary).saturating_add(serves(r.baseline));
    let mut events = Vec::new();
    if units > 0 {
        let step = Plan { steps: Vec::new(), adjusted: Vec::new() };
        events.push(Event::Planned { plan: step, units, others, suspends: Vec::new() });
    }
    events.push(rollback(format!("{} is wanted back", r.baseline), Vec::new(), Ending::RolledBack));
    events
}
