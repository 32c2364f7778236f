//! What can be asked of a rollout: answers that follow from its state alone.

use super::{Issued, REPEATS, Rollout};
use crate::rollout::event::Kind;
use crate::rollout::phase::Phase;
use crate::rollout::plan::{Routed, Step};
use crate::rollout::traffic::{Command, Observed};
use crate::words::{Share, Span, Time, Version};

impl Rollout {
    /// The process whose units are scaled.
    #[must_use]
    pub fn process(&self) -> &str {
        self.policy.strategy.process()
    }

    /// Whether a version is one of the two.
    #[must_use]
    pub fn is_ours(&self, version: Version) -> bool {
        version == self.baseline || version == self.canary
    }

    /// Whether the canary is to be asked by smoke checks now: it is not served yet and has not passed them.
    #[must_use]
    pub fn wants_smoke(&self) -> bool {
        let before_users = match self.phase {
            Phase::Pending => self.kind == Kind::Beside,
            Phase::Step => self.current().is_some_and(|step| step.routed == Routed::Baseline),
            _ => false,
        };
        before_users && !self.smoked && !self.policy.smoke.is_empty()
    }

    /// Whether others changed the number of units since it is on the way back: what there is too many of is theirs.
    #[must_use]
    pub fn is_resized(&self) -> bool {
        self.phase == Phase::RollingBack
            && self.resized.is_some_and(|at| self.entered.is_none_or(|entered| at >= entered))
    }

    /// Whether both versions are meant to go on serving side by side.
    #[must_use]
    pub fn coexists(&self) -> bool {
        self.policy.strategy.coexists()
    }

    /// The canary's share of users' requests, as it is meant and as far as it was observed; nothing before it serves.
    ///
    /// All of it only where the baseline was taken out on purpose: a baseline whose units all fail is still compared with.
    #[must_use]
    pub fn traffic_share(&self, observed: &Observed) -> Option<Share> {
        self.first_traffic?;
        let step = self.current();
        if self.watch_began.is_some() || step.is_some_and(|step| step.routed == Routed::Canary) {
            return Some(Share::ALL);
        }
        let share = observed.share(self.canary, self.process());
        let is_some = share > Share::NONE && share < Share::ALL;
        Some(if is_some { share } else { step.map_or(share, |step| step.share) })
    }

    /// Whether an autoscaler that stays in charge changes the units of `process`.
    #[must_use]
    pub fn is_scaled(&self, observed: &Observed, process: &str) -> bool {
        let suspended = self.suspends.iter().any(|a| a.process == process);
        !suspended && observed.autoscaled.iter().any(|a| a.process == process)
    }

    /// How long the rollback stays armed after the canary got everything.
    #[must_use]
    pub fn watch_lasts(&self) -> Span {
        let native =
            if self.kind == Kind::InPlace { self.policy.strategy.bake().at_most } else { Span::ZERO };
        self.policy.watch.max(self.policy.keep_for).max(native)
    }

    /// Whether the old version's units are still kept at `now`, without users, for the instant way back.
    #[must_use]
    pub fn keeps_baseline(&self, now: Time) -> bool {
        let kept = |began: Time| now.since(began) < self.policy.keep_for;
        self.policy.keep_for > Span::ZERO && !self.watch_ended && self.watch_began.is_none_or(kept)
    }

    /// Whether the watch is over at `now`: it has lasted, less the time without data.
    #[must_use]
    pub fn is_watched(&self, now: Time) -> bool {
        let watched = |began: Time| {
            let missing = self.trouble.map_or(Span::ZERO, |(_, since)| now.since(since.max(began)));
            now.since(began).0.saturating_sub(self.held.0).saturating_sub(missing.0)
        };
        self.watch_ended || self.watch_began.is_some_and(|began| watched(began) >= self.watch_lasts().0)
    }

    /// The current step in whole units; nothing while pending.
    #[must_use]
    pub fn current(&self) -> Option<&Step> {
        self.plan.as_ref()?.steps.get(self.step)
    }

    /// Whether the current step is the last.
    #[must_use]
    pub fn at_last_step(&self) -> bool {
        self.plan.as_ref().is_some_and(|p| self.step + 1 >= p.steps.len())
    }

    /// How long the current step has baked: since its traffic was in place, less the time without data.
    #[must_use]
    pub fn baked(&self, now: Time) -> Span {
        let missing = self
            .trouble
            .map_or(Span::ZERO, |(_, since)| now.since(since.max(self.step_reached.unwrap_or(since))));
        let whole = self.step_reached.map_or(Span::ZERO, |reached| now.since(reached));
        Span(whole.0.saturating_sub(self.held.0).saturating_sub(missing.0))
    }

    /// Since when nothing has been decided and nothing been answered: for so long the platform has had time for what was
    /// last asked of it. What others ask of it counts as well, and a start of the daemon: a clock that was set tells nothing
    /// of the time before.
    #[must_use]
    pub fn quiet_since(&self) -> Time {
        let answered = self.command.as_ref().and_then(|command| command.answered.as_ref()).map(|(at, _)| *at);
        self.entered.max(answered).max(self.restarted).max(self.disturbed).unwrap_or(self.opened)
    }

    /// Whether `command` was answered as done and given again as often as the platform may need to show it.
    #[must_use]
    pub fn is_in_vain(&self, command: &Command) -> bool {
        self.done.iter().any(|(done, repeats)| done == command && *repeats >= REPEATS)
    }

    /// Whether a change of routing is in vain ([`Self::is_in_vain`]).
    #[must_use]
    pub fn toggles_in_vain(&self) -> bool {
        self.done.iter().any(|(done, repeats)| done.toggled().is_some() && *repeats >= REPEATS)
    }

    /// A command whose answer is not known: it runs, or the daemon died while it ran.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Issued> {
        self.command.as_ref().filter(|c| c.answered.is_none())
    }
}
