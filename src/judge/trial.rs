//! A rollout that others run: looks in, decisions out.
//!
//! For who has the looks but not the platform: `uguisu judge`, simulations. The looks' `share` says which step the
//! rollout is in; it moves when whoever runs it moves it. What may be done is decided as the daemon decides it
//! (`rollout::decide`), in the same order: harm · missing data · wrong split · step done · deadline · go on.
//!
//! Where both versions are meant to serve side by side, nothing is promoted by proof: when their time is over the policy's `then`
//! is done, and `keep` goes on with `continue`.
//!
//! A policy with a `watch` or a `keep_for` is not at its end with the last step: `promote` then says that the canary may have all traffic, and is
//! final once looks with a share of 100 % have been watched for that long. Until then harm still rolls back.

use serde::{Deserialize, Serialize};

use super::{Judge, Look, Verdict};
use crate::policy::{Actions, Bake, Hold, MultiVersion, Policy, Reaction, Strategy};

/// What may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on; a step that is not the last may be left once its shortest bake is over.
    Continue,
    /// Data are missing, or both versions are bad: stay where you are.
    Hold,
    /// A person must look.
    Pause,
    /// The last step is done. Final, unless the policy watches what follows.
    Promote,
    /// Go back to the baseline. Final.
    Rollback,
}

/// The state of one such rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    judge: Judge,
    on: Actions,
    bake: Bake,
    /// What follows when its time is over, whatever was proven: where both versions are meant to go on serving.
    #[serde(default)]
    then: Option<Reaction>,
    /// The step that the rollout is in, and when it began.
    step: Option<(usize, f64)>,
    /// Since when data have been missing, and whether in the canary alone.
    missing: Option<(bool, f64)>,
    end: End,
    /// The canary got all traffic before it was proven.
    #[serde(default)]
    unproven: bool,
    /// How long a canary with all traffic is watched, in seconds.
    watch: f64,
    decision: Decision,
    over: bool,
    /// What beside the evidence led to the decision.
    #[serde(default)]
    because: Option<Because>,
}

/// What beside the evidence leads to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Because {
    /// The longest bake is over.
    BakeIsOver,
    /// The time of a coexistence is over.
    TimeIsOver,
    /// The canary has been silent for too long.
    NoData,
    /// The source has been.
    SourceDown,
    /// The canary got all traffic before it was proven, and the time that it is watched then is over.
    Unproven,
    /// Traffic is split otherwise than planned.
    WrongSplit,
}

/// How far the end of a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// Some step is not done.
    Ahead,
    /// The last is: the canary may have all traffic.
    Promoted,
    /// It has had it since this time.
    Watched(f64),
}

impl Trial {
    /// A rollout that has seen nothing, with what is known of the noise beforehand.
    #[must_use]
    pub fn new(policy: &Policy, history: &[Look]) -> Self {
        Self {
            judge: Judge::new(policy, history),
            on: policy.on,
            bake: policy.strategy.bake(),
            then: match policy.strategy {
                Strategy::MultiVersion(MultiVersion { then, .. }) => Some(then),
                Strategy::Canary(_) | Strategy::BlueGreen(_) | Strategy::Rolling(_) => None,
            },
            step: None,
            missing: None,
            end: End::Ahead,
            unproven: false,
            watch: policy.watch.max(policy.keep_for).as_seconds(),
            decision: Decision::Continue,
            over: false,
            because: None,
        }
    }

    /// Takes a look and decides. Once the decision is final, looks change nothing any more.
    pub fn look(&mut self, look: &Look) -> Decision {
        if !self.is_over() {
            self.judge.take(look);
            if let Some(at) = self.judge.at {
                self.decision = self.decide(at);
                self.over = match self.decision {
                    Decision::Rollback => true,
                    Decision::Promote => self.is_watched(at),
                    Decision::Continue | Decision::Hold | Decision::Pause => false,
                };
            }
        }
        self.decision
    }

    /// The judge, for its verdict.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// The judge, to teach it more of the baseline before the first look.
    pub fn judge_mut(&mut self) -> &mut Judge {
        &mut self.judge
    }

    /// The last decision.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Why the last decision was taken, for a person.
    #[must_use]
    pub fn why(&self, verdict: &Verdict) -> String {
        let why = &verdict.why;
        let missing = |who: &str, key: &str, Hold { hold, then }: Hold| {
            format!("{who} been silent for {hold} and longer, and `on.{key}` says {}; {why}", said(then))
        };
        match self.because {
            None => why.clone(),
            Some(Because::BakeIsOver) => format!(
                "the longest bake of {} is over, and `on.inconclusive` says {}; {why}",
                self.bake.at_most,
                said(self.on.inconclusive)
            ),
            Some(Because::TimeIsOver) => {
                let then = self.then.filter(|then| *then != Reaction::Ignore).map_or("keep", said);
                format!("the time that both versions were to serve is over, and `then` says {then}; {why}")
            }
            Some(Because::Unproven) => format!(
                "the canary got all traffic before it was proven, it was watched then for as long as the policy asks, and \
                 `on.inconclusive` says {}; {why}",
                said(self.on.inconclusive)
            ),
            Some(Because::WrongSplit) => {
                format!("traffic is split otherwise than planned, and `on.wrong_split` says pause; {why}")
            }
            Some(Because::NoData) => missing("the canary has", "no_data", self.on.no_data),
            Some(Because::SourceDown) => missing("the source has", "source_down", self.on.source_down),
        }
    }

    /// Whether the decision is final.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the canary has had all traffic for as long as the policy watches it then.
    fn is_watched(&self, at: f64) -> bool {
        self.watch <= 0.0 || matches!(self.end, End::Watched(since) if at - since >= self.watch)
    }

    fn decide(&mut self, at: f64) -> Decision {
        self.because = None;
        let judge = &self.judge;
        let began = match self.step {
            Some((step, began)) if step == judge.step => began,
            _ => at,
        };
        self.step = Some((judge.step, began));
        let missing = match (judge.source_down(), judge.no_data()) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        self.missing = missing.map(|canary| match self.missing {
            Some((before, since)) if before == canary => (canary, since),
            _ => (canary, at),
        });
        let baked = at - began;
        if judge.harm() {
            return if self.on.fail == Reaction::Rollback { Decision::Rollback } else { Decision::Pause };
        }
        if let Some((canary, since)) = self.missing {
            let Hold { hold, then } = if canary { self.on.no_data } else { self.on.source_down };
            let because = if canary { Because::NoData } else { Because::SourceDown };
            return if at - since >= hold.as_seconds() { self.react(then, because) } else { Decision::Hold };
        }
        if judge.both_bad() && baked < self.bake.at_most.as_seconds() {
            return Decision::Hold;
        }
        if judge.wrong_split() && self.on.wrong_split == Reaction::Pause {
            self.because = Some(Because::WrongSplit);
            return Decision::Pause;
        }
        if self.unproven && judge.share.is_some_and(|share| share < 1.0) {
            // Somebody took it back.
            (self.end, self.unproven) = (End::Ahead, false);
        }
        // A canary that got all traffic without our word is watched all the same.
        let is_given_all = self.watch > 0.0 && !judge.terms.alone;
        let is_alone = judge.share.is_some_and(|share| share >= 1.0);
        match self.end {
            End::Promoted if !is_alone => return Decision::Promote,
            End::Ahead if !(is_given_all && is_alone) => {}
            End::Ahead | End::Promoted => {
                self.unproven = self.end == End::Ahead && !judge.safe();
                self.end = End::Watched(at);
                return Decision::Continue;
            }
            // Time in which others have some of the traffic is none of the watch.
            End::Watched(_) if judge.share.is_some_and(|share| share < 1.0) => {
                self.end = End::Watched(at);
                return Decision::Continue;
            }
            End::Watched(_) if self.is_watched(at) && self.unproven && !judge.safe() => {
                return self.react(self.on.inconclusive, Because::Unproven);
            }
            End::Watched(_) if self.is_watched(at) => return Decision::Promote,
            End::Watched(_) => return Decision::Continue,
        }
        if let Some(then) = self.then {
            let is_over = baked >= self.bake.at_most.as_seconds();
            return if is_over { self.react(then, Because::TimeIsOver) } else { Decision::Continue };
        }
        if baked >= self.bake.at_least.as_seconds() && judge.safe() {
            return self.step_done();
        }
        if baked >= self.bake.at_most.as_seconds() {
            return self.react(self.on.inconclusive, Because::BakeIsOver);
        }
        Decision::Continue
    }

    fn react(&mut self, reaction: Reaction, because: Because) -> Decision {
        // What hits both is no reason to promote, whatever the policy says of the end: a person must look.
        if reaction == Reaction::Promote && self.judge.both_bad() {
            return Decision::Pause;
        }
        self.because = Some(because);
        match reaction {
            Reaction::Rollback => Decision::Rollback,
            Reaction::Pause => Decision::Pause,
            Reaction::Promote => self.step_done(),
            Reaction::Ignore => Decision::Continue,
        }
    }

    fn step_done(&mut self) -> Decision {
        if matches!(self.end, End::Watched(_)) {
            return Decision::Promote;
        }
        if !self.judge.ladder.is_last(self.judge.step) {
            return Decision::Continue;
        }
        self.end = End::Promoted;
        Decision::Promote
    }
}

/// A reaction as a policy writes it.
fn said(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Rollback => "rollback",
        Reaction::Pause => "pause",
        Reaction::Promote => "promote",
        Reaction::Ignore => "ignore",
    }
}
