//! Looks → evidence → outcome → verdict, score, and explanation in words and numbers.
//!
//! A [`Judge`] is made for one rollout from its policy (and what is known of the noise beforehand), is shown a
//! [`Look`] at a time, and answers each with a [`Verdict`]. It is a value: serialised and read back, it goes on to
//! the bit as if nothing had happened. It reads no clock; time is what the looks say.
//!
//! ```text
//! look ─▶ each signal's watch ─▶ evidence (counts, …) ─▶ outcome ─┐
//!                              └▶ silence (no data, source down) ─┤
//!      ─▶ split (is the traffic what the step asked for?) ────────┼▶ combine ─▶ verdict ─▶ explain
//! ```
//!
//! What is promised, under the assumptions that [`stats`](crate::stats) states for each engine:
//!
//! * A canary that is within every signal's margin is found harmful in at most `budget.false_rollback` of rollouts, over
//!   the whole rollout and however often it is looked at ([`Verdict::harm`]).
//! * A canary that is as bad as what must be proven, in any one signal, is called safe in at most
//!   `budget.false_promotion` of rollouts ([`Verdict::safe`]).
//! * Silence changes no evidence. It shows as [`Outcome::NoData`] or [`Outcome::SourceDown`], which are never safe.
//! * What makes no sense is [refused](Refusal) and changes nothing.
//!
//! The warm-up is not the judge's: the looks that belong to it are not shown.

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::stats::special::log_sum_exp;
use crate::words::{Arm, Arms, Share};

mod ahead;
mod asks;
mod combine;
mod counts;
mod evidence;
mod explain;
mod frozen;
mod gauge;
mod histogram;
mod incident;
mod kayenta;
mod ladder;
mod latency;
mod level;
mod limit;
mod look;
mod noise;
mod pace;
mod past;
mod recent;
mod refusal;
mod silence;
mod split;
mod trial;
mod verdict;
mod watch;

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::unnecessary_wraps,
    reason = "tests compare what must be the same to the bit, and draw small counts"
)]
mod tests;

pub use ahead::Ahead;
pub use asks::{Ask, asks};
pub use evidence::harmless;
pub(crate) use explain::count as grouped;
pub use gauge::{GAUGE_LOOKS, GAUGE_UNITS};
pub(crate) use look::each_once;
pub use look::{Look, Reading};
pub use noise::Noise;
pub use past::{CountPast, GaugePast, Level, Past, past};
pub use refusal::{Problem, Refusal};
pub use trial::{Decision, Trial};
pub use verdict::{FrozenBaseline, Outcome, SignalVerdict, TotalUnit, Verdict};

use evidence::Terms;
use kayenta::Panel;
use ladder::Ladder;
use silence::Quiet;
use split::Split;
use watch::Watch;

/// Beyond this a logarithm of evidence is not told more exactly.
const LOG_E_MOST: f64 = 1e6;

/// The latest time of a look, in seconds, in 5138: whoever is later counts in something else, and no look could follow it.
const LATEST: f64 = 1e11;

/// The part of the harm's threshold above which nothing is called safe.
const SUSPICION: f64 = 0.5;

/// The judge of one rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    terms: Terms,
    ladder: Ladder,
    /// In the policy's order.
    watches: Vec<Watch>,
    /// The signal whose requests tell how the traffic is split.
    traffic: Option<usize>,
    split: Split,
    share: Option<f64>,
    step: usize,
    /// The time of the last look.
    at: Option<f64>,
    frozen: bool,
    /// The signals that the harm rests on, once there is harm.
    harm: Option<Vec<String>>,
    /// What was refused of the last look.
    refused: Vec<Refusal>,
    /// Judges in place of the evidence, where the policy asks for Kayenta's judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kayenta: Option<Panel>,
}

impl Judge {
    /// A judge that has seen nothing of the rollout. `history`: looks at the baseline alone from before it, oldest first,
    /// at the policy's pace, an hour or more; it may be empty.
    #[must_use]
    pub fn new(policy: &Policy, history: &[Look]) -> Self {
        let terms = Terms::of(policy);
        let ladder = Ladder::new(policy);
        let watches: Vec<_> = policy
            .signals
            .iter()
            .zip(asks(policy))
            .map(|(signal, ask)| Watch::new(signal, policy, ask, &terms))
            .collect();
        let traffic = watches.iter().position(|watch| watch.evidence.counts_requests());
        let step = ladder.step(None);
        let mut judge = Self {
            terms,
            ladder,
            watches,
            traffic,
            split: Split::new(),
            share: None,
            step,
            at: None,
            frozen: false,
            harm: None,
            refused: Vec::new(),
            kayenta: Panel::of(policy),
        };
        for look in history {
            judge.learn(look);
        }
        judge
    }

    /// Learns the noise from a look at the baseline from before the rollout. To be called before the first look of the
    /// rollout itself; afterwards it changes nothing. What makes no sense in it is left out and given back.
    pub fn learn(&mut self, look: &Look) -> Vec<Refusal> {
        let mut refused = self.unknown(look);
        if self.at.is_some() {
            return refused;
        }
        for watch in &mut self.watches {
            let Some(reading) = look.signals.get(&watch.name).and_then(|arms| arms.baseline.as_ref()) else {
                continue;
            };
            if let Err(problem) = watch.learn(look.at, reading) {
                refused.push(Refusal { reading: Some((watch.name.clone(), Arm::Baseline)), problem });
            }
        }
        refused
    }

    /// What of a look would be refused: nothing, as a rule. [`Self::take`] leaves that out and uses the rest.
    #[must_use]
    pub fn check(&self, look: &Look) -> Vec<Refusal> {
        let mut refused: Vec<_> =
            self.wrong_time(look.at).map(|problem| Refusal { reading: None, problem }).into_iter().collect();
        refused.extend(self.unknown(look));
        for watch in &self.watches {
            let Some(arms) = look.signals.get(&watch.name) else { continue };
            for arm in [Arm::Baseline, Arm::Canary] {
                if let Some(Err(problem)) =
                    arms.get(arm).as_ref().map(|reading| watch.evidence.check(reading))
                {
                    refused.push(Refusal { reading: Some((watch.name.clone(), arm)), problem });
                }
            }
        }
        refused
    }

    /// Takes a look and says what follows from all that was seen.
    pub fn look(&mut self, look: &Look) -> Verdict {
        self.take(look);
        self.verdict()
    }

    /// Takes a look. For who wants to know only some of the verdicts: they cost more than the evidence.
    pub fn take(&mut self, look: &Look) {
        if let Some(problem) = self.wrong_time(look.at) {
            self.refused = vec![Refusal { reading: None, problem }];
            return;
        }
        self.refused = self.unknown(look);
        self.at = Some(look.at);
        self.enter(look.share.map(Share::get));
        for watch in &mut self.watches {
            let refused = watch.take(look.at, self.share, self.frozen, look.signals.get(&watch.name));
            self.refused.extend(
                refused
                    .into_iter()
                    .map(|(arm, problem)| Refusal { reading: Some((watch.name.clone(), arm)), problem }),
            );
        }
        self.check_split(look);
        if self.harm.is_none() {
            self.find_harm(look.at);
        }
    }

    /// Whether the evidence of harm is beyond the budget, as [`Verdict::harm`].
    #[must_use]
    pub fn harm(&self) -> bool {
        self.harm.is_some()
    }

    /// Whether the canary is shown to be safe, as [`Verdict::safe`].
    #[must_use]
    pub fn safe(&self) -> bool {
        let at = self.at.unwrap_or_default();
        if let Some(panel) = &self.kayenta {
            return panel.passes() && self.harm.is_none() && !self.no_data() && !self.source_down();
        }
        let is_proven = |watch: &Watch| watch.outcome(at, self.step, self.frozen) == Outcome::Pass;
        let proven = self.at.is_some() && self.watches.iter().filter(|watch| watch.gates).all(is_proven);
        let is_heard = !self.no_data() && !self.source_down();
        proven
            && is_heard
            && self.harm.is_none()
            && !self.both_bad()
            && self.sum(at).log_e < SUSPICION * self.threshold()
    }

    /// Whether both arms are bad alike, as [`Verdict::both_bad`].
    #[must_use]
    pub fn both_bad(&self) -> bool {
        self.watches.iter().any(Watch::both_bad)
    }

    /// Whether the traffic is not split as planned, as [`Verdict::wrong_split`].
    #[must_use]
    pub fn wrong_split(&self) -> bool {
        self.split.is_wrong()
    }

    /// Whether the canary is silent in a signal that gates or is critical, as [`Verdict::no_data`].
    #[must_use]
    pub fn no_data(&self) -> bool {
        self.is_quiet(Quiet::Canary)
    }

    /// Whether the source of a signal that gates or is critical is silent, as [`Verdict::source_down`].
    #[must_use]
    pub fn source_down(&self) -> bool {
        self.is_quiet(Quiet::Baseline)
    }

    /// The baseline is taken away on purpose, because the canary has all of the traffic. From now on the canary is held
    /// against what was known of the baseline: a weaker comparison, since what hits both versions is no longer told apart
    /// (`judge::frozen` says what is promised then). A look with a share of 1 does it.
    pub fn freeze_baseline(&mut self) {
        if !self.frozen {
            self.frozen = true;
            for watch in &mut self.watches {
                watch.freeze_baseline();
            }
        }
    }

    /// What follows from all that was seen.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let at = self.at.unwrap_or_default();
        let sum = self.sum(at);
        let signals = self.watches.iter().map(|watch| (watch.name.clone(), self.signal(watch, at))).collect();
        let mut verdict = Verdict {
            at,
            score: sum.score,
            log_e_harm: tell(sum.log_e),
            harm_threshold: if self.kayenta.is_some() { 0.0 } else { self.threshold() },
            harm: self.harm(),
            culprits: self.harm.clone().unwrap_or_default(),
            safe: self.safe(),
            both_bad: self.both_bad(),
            wrong_split: self.wrong_split(),
            no_data: self.no_data(),
            source_down: self.source_down(),
            signals,
            refused: self.refused.clone(),
            why: String::new(),
        };
        let why = match &self.kayenta {
            Some(panel) => kayenta::together(&verdict, panel),
            None => explain::together(&verdict, &self.told_bad()),
        };
        verdict.why = explain::with_split(why, &verdict, self.split.shares());
        verdict
    }

    /// What is bad in both arms alike, signal by signal.
    fn told_bad(&self) -> Vec<String> {
        let told = |watch: &Watch| format!("{}: {}", watch.name, watch.evidence.told_bad());
        self.watches.iter().filter(|watch| watch.both_bad()).map(told).collect()
    }

    fn is_quiet(&self, kind: Quiet) -> bool {
        let at = self.at.unwrap_or_default();
        let counts = |watch: &Watch| watch.gates || watch.critical;
        self.watches.iter().any(|watch| counts(watch) && watch.silence.quiet(at, self.frozen) == kind)
    }

    /// What a look's time makes impossible.
    fn wrong_time(&self, at: f64) -> Option<Problem> {
        match self.at {
            _ if at.is_nan() || at.abs() > LATEST => Some(Problem::Time),
            Some(before) if at <= before => Some(Problem::NotLater { at, before }),
            _ => None,
        }
    }

    /// The readings of signals that the policy does not have.
    fn unknown(&self, look: &Look) -> Vec<Refusal> {
        let is_known = |name: &str| self.watches.iter().any(|watch| watch.name == name);
        look.signals
            .iter()
            .filter(|(name, _)| !is_known(name))
            .map(|(name, arms)| {
                let arm = if arms.canary.is_some() { Arm::Canary } else { Arm::Baseline };
                Refusal { reading: Some((name.clone(), arm)), problem: Problem::Unknown }
            })
            .collect()
    }

    /// Enters the step that a share belongs to. Evidence goes on; only what a step must itself have seen starts anew.
    fn enter(&mut self, share: Option<f64>) {
        let step = share.map_or(self.step, |share| self.ladder.step(Some(share)));
        if step != self.step {
            for watch in &mut self.watches {
                watch.begin_step();
            }
            if let Some(panel) = &mut self.kayenta {
                panel.enter();
            }
        }
        (self.share, self.step) = (share, step);
        // All of the traffic: there is no baseline beside the canary any more.
        if share.is_some_and(|share| share >= 1.0) {
            self.freeze_baseline();
        }
    }

    fn check_split(&mut self, look: &Look) {
        let Some(watch) = self.traffic.and_then(|index| self.watches.get(index)) else { return };
        let Some(Arms { baseline: Some(baseline), canary: Some(canary) }) = look.signals.get(&watch.name)
        else {
            return;
        };
        if watch.evidence.check(baseline).is_ok() && watch.evidence.check(canary).is_ok() {
            let taken =
                self.split.take(self.share, watch::volume(Some(canary)), watch::volume(Some(baseline)));
            debug_assert!(taken.is_ok(), "{taken:?}");
        }
    }

    /// Decides whether there is harm now, and by which signals.
    fn find_harm(&mut self, at: f64) {
        if let Some(panel) = &mut self.kayenta {
            if panel.look(at, &mut self.watches) {
                let culprits = Panel::culprits(&self.watches);
                for watch in self.watches.iter_mut().filter(|watch| culprits.contains(&watch.name)) {
                    watch.failed = Some(0.0);
                }
                self.harm = Some(culprits);
            }
            return;
        }
        // Most looks end here, long before outcomes and scores are needed.
        if log_sum_exp(self.watches.iter().map(Watch::term)) < self.threshold() {
            return;
        }
        let sum = self.sum(at);
        if !sum.harm {
            return;
        }
        let mut strongest: Vec<_> = self.watches.iter().map(|watch| (watch.term(), watch)).collect();
        strongest.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut culprits = strongest.clone();
        culprits.retain(|(_, watch)| watch.failed.is_some());
        if culprits.is_empty() || sum.jointly {
            // Where none does it alone, all that speak against the canary do. What cannot be averaged is no part of that.
            culprits = strongest;
            culprits.retain(|(term, watch)| watch.log_e_harm > 0.0 && term.is_finite());
        }
        self.harm = Some(culprits.into_iter().map(|(_, watch)| watch.name.clone()).collect());
    }

    fn sum(&self, at: f64) -> combine::Sum {
        if let Some(panel) = &self.kayenta {
            return panel.sum(self.harm());
        }
        let parts: Vec<_> =
            self.watches.iter().map(|watch| watch.part(watch.outcome(at, self.step, self.frozen))).collect();
        combine::sum(&parts, self.threshold())
    }

    fn threshold(&self) -> f64 {
        -self.terms.alpha.ln()
    }

    fn frozen(&self, watch: &Watch) -> Option<FrozenBaseline> {
        let (total, drift) = watch.evidence.frozen().filter(|_| self.frozen)?;
        let unit =
            if watch.evidence.counts_requests() { TotalUnit::Requests } else { TotalUnit::UnitSeconds };
        watch.baseline_until.map(|until| FrozenBaseline { until, total, unit, drift })
    }

    fn signal(&self, watch: &Watch, at: f64) -> SignalVerdict {
        let within = watch.within(self.step);
        let outcome = watch.outcome(at, self.step, self.frozen);
        let (effect, bound) = watch.evidence.effect(watch.failed.is_some());
        let mut verdict = SignalVerdict {
            outcome,
            both_bad: watch.both_bad(),
            critical: watch.critical,
            gates: watch.gates,
            log_e_harm: tell(watch.log_e_harm),
            log_e_safe: tell(watch.evidence.log_e_safe(within)),
            harm_threshold: watch.harm_threshold,
            safe_threshold: watch.safe_threshold,
            effect,
            bound,
            allowed: watch.allowed,
            within,
            seen: watch.evidence.seen(),
            wait: watch.evidence.wait(within, watch.safe_threshold),
            frozen: self.frozen(watch),
            noise: watch.evidence.noise(),
            why: String::new(),
            otherwise: String::new(),
        };
        let facts = explain::Facts {
            name: &watch.name,
            about: watch.evidence.about(),
            failed: watch.failed,
            silent: watch.silence.since(at),
            step: [watch.step_seen, watch.step_needs()],
            limit: watch.evidence.limit(),
            lacks_limit: watch.evidence.lacks_limit(within, watch.safe_threshold),
            below_floor: watch.evidence.below_floor(within),
            harmless: watch.evidence.harmless(),
            needs_floor: watch.evidence.needs_floor(),
            clearest: watch.evidence.clearest(),
            alone: watch.evidence.alone(),
            blind: watch.evidence.blind(),
            is_loose: watch.evidence.is_loose_harm(),
            shown: watch.evidence.shown(),
            kept_by_floor: watch.evidence.kept_by_floor(watch.harm_threshold),
            incident: watch.evidence.told_incident(),
            limit_broken: watch.evidence.limit_broken(),
            share: self.share,
            min_events: watch.evidence.min_events(),
            note: watch.evidence.note(within),
        };
        verdict.why = explain::why(&facts, &verdict);
        verdict.otherwise = explain::otherwise(&facts, &verdict);
        if let Some(series) = watch.evidence.series() {
            kayenta::signal(&watch.name, series, &mut verdict);
        }
        verdict
    }
}

/// A logarithm as it is told: finite.
fn tell(log_e: f64) -> f64 {
    log_e.clamp(-LOG_E_MOST, LOG_E_MOST)
}
