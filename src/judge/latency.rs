//! The evidence of a latency: how long requests take, from a histogram.
//!
//! Two forms. With `over`, the share of requests slower than that bound is judged as a ratio is. Without it, harm is sought
//! in the whole distribution: at every bound that both arms' histograms have, the requests slower than it are compared by
//! two engines, one that is exact for any proportion ([`TwoByTwo`]) and one that is quicker where they are few ([`Tilt`]).
//! The mean over all bounds and both engines is an e-value for "slower beyond the margin at no bound"; nothing is selected
//! from the data, so it needs no correction. Safety is proven at one bound: the one nearest to where a tenth of the baseline's
//! requests are slower, chosen before it is used; or by hardly any request's being slower than it at all ([`SELDOM`]).
//!
//! Layouts may differ between the arms, and change: what is compared is fixed at the first slice in which both were seen,
//! and a histogram that lacks a bound says nothing about it. While either arm lacks the bound at which safety is proven, nothing is.

use serde::{Deserialize, Serialize};

use super::counts::{Asked, Counts, INTERVAL_ERROR, UNKNOWN, slowdown_of_odds};
use super::evidence::Terms;
use super::explain::{About, Alone, Clearest, percent, seconds, times};
use super::frozen::{self, After, Frozen};
use super::histogram::{Buckets, common, slower};
use super::look::Reading;
use crate::stats::special::{log_add_exp, log_sum_exp};
use crate::stats::{
    ArmCount, CountKind, Interval, Learnt, Likelihood, NoiseModel, Onset, PairCount, RatioCs, Reference,
    Refusal, Tilt, TwoByTwo,
};
use crate::words::{Arms, Share};

/// Slow requests of the canary without which the share above a bound is never called harmful.
const MIN_SLOW: f64 = 5.0;

/// A share of slow requests that is no reason not to go on, whatever the baseline has: without it a canary none of whose requests
/// is ever slow could not be told from one that has twice as many as none. Harm is found below it all the same.
pub(super) const SELDOM: f64 = 0.0005;

/// The part of requests that is slower than the bound at which safety is proven.
const TAIL: f64 = 0.1;

/// With a larger part of requests beyond the last bound, a histogram hardly tells how long they take.
const UNSEEN: f64 = 0.5;

/// Requests of the baseline that choose the bound at which safety is proven, where no history does.
const ENOUGH: f64 = 50.0;

/// The most looks of history that are kept, the newest: half a day at four a minute.
const HISTORY: usize = 2880;

/// The state of one latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Latency {
    /// The bound that the policy asks for.
    over: Option<f64>,
    margin: f64,
    horizon: f64,
    after: After,
    history: Vec<Buckets>,
    /// What came before the bounds were fixed.
    waiting: Arms<Buckets>,
    /// The bound at which safety is proven, and harm too with `over`; nothing until it is fixed.
    bound: Option<f64>,
    at_bound: Counts,
    /// Harm at all bounds; empty with `over`.
    edges: Vec<Edge>,
    /// The arms were seen, but their histograms have no bound in common.
    incomparable: bool,
    /// Whether each arm's last histogram with requests lacks the bound at which safety is proven.
    #[serde(default)]
    lacking: Arms<bool>,
    /// The canary has all traffic.
    frozen: bool,
    /// When the last look was taken.
    at: Option<f64>,
}

/// The requests slower than one bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Edge {
    bound: f64,
    noise: NoiseModel,
    exact: TwoByTwo,
    rare: Tilt,
    /// What the baseline did so far, and what follows after 100 %.
    reference: Reference,
    frozen: Option<Frozen>,
    open: PairCount,
    closed: f64,
    /// All that was judged.
    seen: PairCount,
    /// Most of the baseline's requests are slower, so that those within the bound are what is told of.
    is_fast: bool,
    /// The ratio of those that are told of.
    ratio: RatioCs,
}

impl Latency {
    pub(super) fn new(
        margin: f64,
        over: Option<f64>,
        limit: Option<Share>,
        rungs: &[f64],
        terms: &Terms,
        after: After,
    ) -> Self {
        let asked = Asked {
            kind: CountKind::Ratio,
            margin,
            floor: 0.0,
            harmless: SELDOM,
            min_events: MIN_SLOW,
            limit,
            horizon: terms.horizon,
        };
        Self {
            over,
            margin,
            horizon: terms.horizon,
            after,
            history: Vec::new(),
            waiting: Arms::default(),
            bound: None,
            at_bound: Counts::new(&asked, rungs, after),
            edges: Vec::new(),
            incomparable: false,
            lacking: Arms::default(),
            frozen: false,
            at: None,
        }
    }

    /// Whether what was fixed to be compared was lacking when it was last asked for.
    pub(super) fn is_lacking(&self) -> bool {
        self.lacking.canary || (!self.frozen && self.lacking.baseline)
    }

    pub(super) fn learn(&mut self, baseline: &Reading) {
        let look = Buckets::new(Some(baseline));
        // A look without requests tells nothing of how long they take.
        if look.total() <= 0.0 {
            return;
        }
        if self.history.len() >= HISTORY {
            self.history.remove(0);
        }
        self.history.push(look);
    }

    pub(super) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        let since = self.at.replace(at).unwrap_or(at);
        let new = Arms { baseline: Buckets::new(arms.baseline), canary: Buckets::new(arms.canary) };
        let now = if self.bound.is_some() {
            new
        } else {
            self.waiting.baseline.add(new.baseline);
            self.waiting.canary.add(new.canary);
            let Some(slice) = self.fix(since) else { return };
            slice
        };
        if let Some(bound) = self.bound {
            for (lacking, arm) in
                [(&mut self.lacking.canary, &now.canary), (&mut self.lacking.baseline, &now.baseline)]
            {
                if arm.total() > 0.0 {
                    *lacking = arm.lacks(bound);
                }
            }
            self.at_bound.count(at, slower(&now, bound));
        }
        for edge in &mut self.edges {
            let taken = edge.take(at, slower(&now, edge.bound));
            debug_assert!(taken.is_ok(), "{taken:?}");
        }
    }

    /// Fixes what is compared, once enough of both arms was seen, and gives what came up to now. Nothing: that must not be
    /// judged, because it decided the bound, or nothing could be fixed yet.
    fn fix(&mut self, since: f64) -> Option<Arms<Buckets>> {
        let Arms { baseline, canary } = &self.waiting;
        if canary.total() <= 0.0 || (baseline.total() <= 0.0 && !self.frozen) {
            return None;
        }
        let mut bounds = self.bounds(&self.waiting);
        // More requests are slower than a smaller bound, so one does not stand for the one that is asked for.
        bounds.retain(|bound| self.over.is_none_or(|over| is_at_least(*bound, over)));
        self.incomparable = bounds.is_empty();
        if self.incomparable {
            self.waiting = Arms::default();
            return None;
        }
        // Without a history of these bounds, what waits decides which it is.
        let is_known = |bound: &f64| self.history.iter().any(|look| look.slower_than(*bound).is_some());
        let is_fair = self.over.is_some() || bounds.iter().any(is_known);
        if !is_fair && !self.frozen && baseline.total() < ENOUGH {
            return None;
        }
        let (now, history) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.history));
        let past =
            |bound: f64| -> Vec<ArmCount> { history.iter().filter_map(|b| b.slower_than(bound)).collect() };
        let total = |bound: f64| {
            if is_fair {
                past(bound).into_iter().reduce(ArmCount::plus)
            } else {
                now.baseline.slower_than(bound)
            }
        };
        let bound = bound_of(&bounds, self.over, total);
        self.bound = bound;
        if let Some(bound) = bound {
            for look in past(bound) {
                self.at_bound.learn_count(look);
            }
        }
        if self.over.is_none() {
            let onset = Onset::within(self.horizon);
            self.edges = bounds
                .iter()
                .map(|bound| {
                    let past = past(*bound);
                    let mut reference = Reference::new(CountKind::Ratio);
                    for look in &past {
                        reference.learn(*look);
                    }
                    let known =
                        past.iter().copied().reduce(ArmCount::plus).or(now.baseline.slower_than(*bound));
                    Edge {
                        bound: *bound,
                        is_fast: known.is_some_and(|arm| arm.events() > 0.5 * arm.exposure()),
                        ratio: RatioCs::default(),
                        noise: NoiseModel::without_clusters(CountKind::Ratio, &past),
                        exact: TwoByTwo::new(self.margin, onset).capped(),
                        rare: Tilt::harm(self.margin, self.horizon),
                        reference,
                        frozen: None,
                        open: PairCount::default(),
                        closed: since,
                        seen: PairCount::default(),
                    }
                })
                .collect();
        }
        if self.frozen {
            self.freeze();
        }
        is_fair.then_some(now)
    }

    /// The bounds that can be compared. A canary that has been alone from the first is held against the history, or, where there
    /// is none, against an absolute limit.
    fn bounds(&self, now: &Arms<Buckets>) -> Vec<f64> {
        if !self.frozen {
            return common(now);
        }
        let mut past = Buckets::default();
        self.history.iter().for_each(|look| past.add(look.clone()));
        past.add(now.baseline.clone());
        if past.total() > 0.0 {
            common(&Arms { baseline: past, canary: now.canary.clone() })
        } else if self.over.is_some() {
            common(&Arms { baseline: now.canary.clone(), canary: now.canary.clone() })
        } else {
            Vec::new()
        }
    }

    pub(super) fn freeze_baseline(&mut self) {
        self.frozen = true;
        // Before the bounds are fixed there is nothing to freeze.
        if self.bound.is_some() {
            self.freeze();
        }
    }

    fn freeze(&mut self) {
        self.at_bound.freeze_baseline();
        let after = self.after.one_of(self.edges.len());
        let asked =
            frozen::Asked { margin: self.margin, floor: 0.0, harmless: 0.0, limit: None, bounds: &[] };
        for edge in &mut self.edges {
            edge.frozen = Some(Frozen::new(CountKind::Ratio, &edge.reference, &asked, after));
        }
    }

    pub(super) fn log_e_harm(&self) -> f64 {
        if self.over.is_some() {
            return self.at_bound.log_e_harm();
        }
        let compared = if self.edges.is_empty() { 0.0 } else { self.compared() };
        let log_e = self.after.with(compared, self.after());
        // Where the bound of safety is lost, the others go on.
        let slow = self.clearest().map_or(0.0, |edge| edge.seen[0]).max(self.at_bound.seen()[0]);
        if slow < MIN_SLOW { log_e.min(0.0) } else { log_e }
    }

    /// ln of the mean of all bounds' evidence, both engines', side by side.
    #[expect(clippy::cast_precision_loss, reason = "there are two engines for each of a few bounds")]
    fn compared(&self) -> f64 {
        log_sum_exp(self.edges.iter().map(Edge::log_e)) - (2.0 * self.edges.len() as f64).ln()
    }

    /// The same since the canary serves alone; nothing while it does not.
    #[expect(clippy::cast_precision_loss, reason = "a histogram has a few bounds")]
    fn after(&self) -> Option<f64> {
        let alone = self.edges.iter().filter_map(|edge| edge.frozen.as_ref()).map(Frozen::log_e);
        (self.frozen && !self.edges.is_empty()).then(|| log_sum_exp(alone) - (self.edges.len() as f64).ln())
    }

    /// Whether less than `within` times the baseline's share of slow requests says nothing, since most of the baseline's are slow
    /// already and no canary could have so many.
    pub(super) fn is_empty_claim(&self, within: f64) -> bool {
        let [_, _, slow, all] = self.at_bound.seen();
        slow > UNSEEN * all && slow * within >= all
    }

    pub(super) fn at_bound(&self) -> &Counts {
        &self.at_bound
    }

    /// The bound at which harm is clearest, and what was counted there; nothing where one bound is judged alone.
    pub(super) fn clearest(&self) -> Option<Clearest> {
        let Edge { bound, seen: PairCount { canary, baseline }, is_fast, .. } = self.clearest_beside()?;
        let seen = [canary.events(), canary.exposure(), baseline.events(), baseline.exposure()];
        Some(Clearest { bound: *bound, seen, is_fast: *is_fast })
    }

    fn clearest_beside(&self) -> Option<&Edge> {
        self.edges.iter().max_by(|a, b| a.log_e().total_cmp(&b.log_e()))
    }

    fn clearest_alone(&self) -> Option<&Edge> {
        let strength = |edge: &&Edge| edge.frozen.as_ref().map_or(f64::NEG_INFINITY, Frozen::log_e);
        self.edges.iter().max_by(|a, b| strength(a).total_cmp(&strength(b)))
    }

    /// The bound at which harm is clearest, and the canary relative to the baseline there, above 1 where it is worse; it holds
    /// whichever that is. Nothing where one bound is judged alone.
    #[expect(clippy::cast_precision_loss, reason = "a histogram has a few bounds")]
    pub(super) fn failed(&self) -> Option<(f64, [Option<f64>; 3])> {
        let error = INTERVAL_ERROR / self.edges.len().max(1) as f64;
        if self.is_blamed_alone() {
            let edge = self.clearest_alone()?;
            return Some((edge.bound, edge.frozen.as_ref()?.effect(error)));
        }
        let edge = self.clearest_beside()?;
        let Interval { lower, estimate, upper } = edge.ratio.interval(error);
        let effect = if edge.is_fast {
            [upper, estimate, lower].map(|end| end.map(f64::recip))
        } else {
            [lower, estimate, upper]
        };
        Some((edge.bound, effect))
    }

    /// Whether the evidence of harm comes from the time in which the canary serves alone, at all bounds.
    fn is_blamed_alone(&self) -> bool {
        self.after().is_some_and(|after| after > self.compared())
    }

    /// What the canary had since it serves alone, at the bound at which harm is clearest; nothing while it does not.
    pub(super) fn alone(&self) -> Option<Alone> {
        let Some(edge) = self.clearest_alone() else { return self.at_bound.alone() };
        let frozen = edge.frozen.as_ref()?;
        Some(Alone {
            most: frozen.most()?,
            seen: [frozen.seen().events(), frozen.seen().exposure()],
            blamed: self.is_blamed_alone(),
            proves: self.after.proves(),
            wrong: self.after.error(),
            bound: Some(edge.bound),
        })
    }

    /// That what happens beyond the last bound is not seen, where that is most, and whether less than `within` times as much can
    /// be proven.
    pub(super) fn note(&self, within: f64) -> Option<String> {
        let Some(last) = self.edges.last() else {
            let [_, _, slow, all] = self.at_bound.seen();
            return self.bound.filter(|_| self.is_empty_claim(within)).map(|bound| {
                format!(
                    "{} of the baseline's requests take longer than {}, so no canary could have {} times as many, and less is never proven; a larger `over` would tell more",
                    percent(slow / all),
                    seconds(bound),
                    times(within),
                )
            });
        };
        let baseline = last.seen.baseline;
        let share = baseline.events() / baseline.exposure();
        (share > UNSEEN).then(|| {
            let never = if self.is_empty_claim(within) {
                format!("; no canary could have {} times as many, so less is never proven", times(within))
            } else {
                String::new()
            };
            format!(
                "{} of the baseline's requests take longer than the last bucket bound, {}, and how much longer is not seen{never}",
                percent(share),
                seconds(last.bound),
            )
        })
    }

    /// Why there can be no evidence; nothing: there can.
    pub(super) fn blind(&self) -> Option<&'static str> {
        if self.is_lacking() {
            return Some(
                "a version's histogram has lost the bucket bound that is compared, so nothing is proven; bounds must stay the same during a rollout",
            );
        }
        match (self.incomparable, self.frozen && self.history.is_empty()) {
            (false, _) => self.at_bound.blind(),
            (true, false) if self.over.is_some() => Some(
                "the versions' histograms have no bucket bound in common that is not below the one of `over`, so they cannot be compared",
            ),
            (true, false) => {
                Some("the versions' histograms have no bucket bound in common, so they cannot be compared")
            }
            (true, true) => Some(UNKNOWN),
        }
    }

    pub(super) fn about(&self) -> About {
        self.bound.or(self.over).map_or(About::Latency, About::Slower)
    }
}

impl Edge {
    /// ln of the sum of both engines' evidence.
    fn log_e(&self) -> f64 {
        log_add_exp(self.exact.log_e(), self.rare.log_e())
    }

    /// The requests that the sentences tell of.
    fn told_of(&self, slice: &PairCount) -> Result<PairCount, Refusal> {
        let within = |arm: ArmCount| ArmCount::ratio(arm.exposure() - arm.events(), arm.exposure());
        Ok(if self.is_fast {
            PairCount { canary: within(slice.canary)?, baseline: within(slice.baseline)? }
        } else {
            *slice
        })
    }

    fn take(&mut self, at: f64, now: PairCount) -> Result<(), Refusal> {
        self.open = self.open.plus(now);
        let is_alone = self.frozen.is_some() && self.open.canary.is_seen();
        if !self.open.is_closed() && !is_alone {
            return Ok(());
        }
        let slice = std::mem::take(&mut self.open);
        self.seen = self.seen.plus(slice);
        let dt = at - std::mem::replace(&mut self.closed, at);
        if let Some(frozen) = &mut self.frozen {
            return frozen.take(dt, slice.canary, 1.0, true);
        }
        let spread = self.noise.spread(slice.canary.exposure(), slice.baseline.exposure()).wary();
        let expected = self.noise.rate().unwrap_or_else(|| self.exact.predicted());
        let slowdown = slowdown_of_odds(spread, expected, &slice);
        self.exact.pair(dt, &slice, slowdown)?;
        // Against independent events proportions vary less than this says.
        self.ratio.pair(&self.told_of(&slice)?, slowdown)?;
        // What disperses latencies is how fast an app is from look to look, which moves all requests: there are no clusters to
        // be counted one by one, as among errors. Taken for such, wavering latencies were rolled back in 1 % of good canaries.
        self.rare.look(dt, &Likelihood::new(&slice, spread))?;
        if self.noise.learn(&slice) == Learnt::HistoryRefuted {
            // What was weighed by the history's noise.
            self.exact.forget();
            self.rare.forget();
            self.ratio = RatioCs::default();
        }
        self.reference.learn(slice.baseline);
        Ok(())
    }
}

/// The bound at which safety is proven: the one that is asked for or the next one above it; without one, the one beyond which
/// a tenth of the requests that `slower` tells of are.
pub(super) fn bound_of(
    bounds: &[f64],
    over: Option<f64>,
    slower: impl Fn(f64) -> Option<ArmCount>,
) -> Option<f64> {
    match over {
        Some(over) => bounds.iter().copied().find(|bound| is_at_least(*bound, over)),
        None => nearest_tail(bounds, slower),
    }
}

/// Whether a bound, as it was read, is not below the one of the policy.
fn is_at_least(bound: f64, over: f64) -> bool {
    bound >= over * (1.0 - 1e-9)
}

/// The bound for which the share of slower requests is nearest to [`TAIL`], on the scale of odds.
fn nearest_tail(bounds: &[f64], slower: impl Fn(f64) -> Option<ArmCount>) -> Option<f64> {
    let distance = |bound: f64| {
        // A bound that nothing is known of is the last to be chosen.
        let Some(arm) = slower(bound).filter(|arm| arm.is_seen()) else { return f64::INFINITY };
        // Half an event more of each kind keeps the odds finite.
        let odds = (arm.events() + 0.5) / (arm.exposure() - arm.events() + 0.5);
        (odds.ln() - (TAIL / (1.0 - TAIL)).ln()).abs()
    };
    bounds.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
}
