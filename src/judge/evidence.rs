//! What a signal's readings amount to, by its kind.

use serde::{Deserialize, Serialize};

use super::counts::{Asked, Counts};
use super::explain::{self, About, Alone, Clearest};
use super::frozen::{self, After, Frozen};
use super::gauge::{self, Gauge};
use super::histogram;
use super::kayenta::Series;
use super::ladder::{horizon, watch};
use super::latency::{Latency, SELDOM};
use super::level;
use super::look::Reading;
use super::noise::Noise;
use super::refusal::Problem;
use crate::policy::{Measure, Policy, Signal};
use crate::stats::CountKind;
use crate::words::{Arms, Share, Span};

/// Silence shorter than this many looks means nothing.
const PATIENCE_LOOKS: f64 = 3.0;

/// Silence shorter than this means nothing, in seconds.
const PATIENCE: f64 = 60.0;

/// What every signal of a rollout is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    /// The budget for a false rollback.
    pub(super) alpha: f64,
    /// The budget for a false promotion.
    pub(super) beta: f64,
    /// Seconds of silence that still mean nothing.
    pub(super) patience: f64,
    /// The longest that the rollout may be analysed, in seconds.
    pub(super) horizon: f64,
    /// Seconds between looks.
    pub(super) look_every: f64,
    /// The canary has all traffic from the first: nothing is ever compared side by side.
    pub(super) alone: bool,
    /// The policy asks for a watch after 100 %.
    pub(super) watches: bool,
    /// The longest that it is watched after 100 %, in seconds.
    pub(super) watch: f64,
}

impl Terms {
    /// Of a policy.
    pub(super) fn of(policy: &Policy) -> Self {
        let look_every = policy.look_every.as_seconds();
        Self {
            alpha: policy.budget.false_rollback.get().clamp(1e-12, 0.5),
            beta: policy.budget.false_promotion.get().clamp(1e-12, 0.5),
            patience: (PATIENCE_LOOKS * look_every).max(PATIENCE),
            horizon: horizon(policy),
            look_every,
            alone: policy.strategy.shares().first().is_some_and(|share| *share >= Share::ALL),
            watches: policy.watch.max(policy.keep_for) > Span::ZERO,
            watch: watch(policy),
        }
    }
}

/// Events without which a rate is never called harmful.
pub(super) const MIN_EVENTS: f64 = 5.0;

/// The evidence of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Evidence {
    /// Bad events among all, or events by unit-seconds.
    Counts(Box<Counts>),
    /// How long requests take.
    Latency(Box<Latency>),
    /// A value of each unit.
    Gauge(Box<Gauge>),
    /// Values of both versions, for Kayenta's judge.
    Series(Box<Series>),
}

/// The share or rate below which a canary is proven, whatever the baseline has; 0 for none.
#[must_use]
pub fn harmless(measure: &Measure) -> f64 {
    match measure {
        Measure::Ratio { floor, .. } | Measure::Rate { floor, .. } => *floor,
        Measure::Latency { .. } => SELDOM,
        Measure::Gauge { .. } => 0.0,
    }
}

impl Evidence {
    /// Nothing seen yet. `rungs`: what must be proven at each step, as a ratio.
    pub(super) fn new(signal: &Signal, rungs: &[f64], terms: &Terms, after: After) -> Self {
        let (margin, horizon) = (signal.margin, terms.horizon);
        let counts = |asked: &Asked| Self::Counts(Box::new(Counts::new(asked, rungs, after)));
        match &signal.measure {
            Measure::Ratio { floor, min_events, limit, .. } => counts(&Asked {
                kind: CountKind::Ratio,
                margin,
                floor: *floor,
                harmless: *floor,
                min_events: f64::from(*min_events),
                limit: *limit,
                horizon,
            }),
            Measure::Rate { floor, .. } => counts(&Asked {
                kind: CountKind::Rate,
                margin,
                floor: *floor,
                harmless: *floor,
                min_events: MIN_EVENTS,
                limit: None,
                horizon,
            }),
            Measure::Latency { over, limit, .. } => {
                Self::Latency(Box::new(Latency::new(margin, *over, *limit, rungs, terms, after)))
            }
            Measure::Gauge { worse, form, floor, .. } => {
                let asked = gauge::Asked {
                    margin,
                    worse: *worse,
                    form: *form,
                    floor: *floor,
                    horizon,
                    look_every: terms.look_every,
                };
                Self::Gauge(Box::new(Gauge::new(asked, rungs, after)))
            }
        }
    }

    /// That a reading is of the right kind and holds numbers that make sense.
    pub(super) fn check(&self, reading: &Reading) -> Result<(), Problem> {
        match self {
            Self::Counts(counts) => counts.check(reading),
            Self::Latency(_) => histogram::check(reading),
            Self::Gauge(_) => gauge::check(reading),
            Self::Series(series) => series.check(reading),
        }
    }

    /// Learns the noise from a look at the baseline before the rollout.
    pub(super) fn learn(&mut self, at: f64, baseline: &Reading) {
        match self {
            Self::Counts(counts) => counts.learn(baseline),
            Self::Latency(latency) => latency.learn(baseline),
            Self::Gauge(gauge) => gauge.learn(at, baseline),
            Self::Series(_) => {}
        }
    }

    /// Whether the last readings with requests told nothing of what is compared.
    pub(super) fn is_lacking(&self) -> bool {
        matches!(self, Self::Latency(latency) if latency.is_lacking())
    }

    /// Takes readings that were checked.
    pub(super) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        match self {
            Self::Counts(counts) => counts.take(at, arms),
            Self::Latency(latency) => latency.take(at, arms),
            Self::Gauge(gauge) => gauge.take(at, arms),
            Self::Series(series) => series.take(at, arms),
        }
    }

    /// The baseline goes away on purpose; what is known of it is what the canary is held against from now on.
    pub(super) fn freeze_baseline(&mut self) {
        match self {
            Self::Counts(counts) => counts.freeze_baseline(),
            Self::Latency(latency) => latency.freeze_baseline(),
            Self::Gauge(gauge) => gauge.freeze_baseline(),
            Self::Series(series) => series.freeze(),
        }
    }

    /// ln of the evidence of harm beyond the margin.
    pub(super) fn log_e_harm(&self) -> f64 {
        match self {
            Self::Counts(counts) => counts.log_e_harm(),
            Self::Latency(latency) => latency.log_e_harm(),
            Self::Gauge(gauge) => gauge.log_e_harm(),
            Self::Series(_) => 0.0,
        }
    }

    /// ln of the evidence of being less than `within` times the baseline.
    pub(super) fn log_e_safe(&self, within: f64) -> f64 {
        match self.part() {
            _ if self.is_empty_claim(within) => 0.0,
            Part::Proportion(counts) => counts.log_e_safe(within),
            Part::Gauge(gauge) => gauge.log_e_safe(within),
            Part::Series(_) => 0.0,
        }
    }

    /// Whether no canary could have as much as `within` times what the baseline has, so that being below it says nothing.
    fn is_empty_claim(&self, within: f64) -> bool {
        matches!(self, Self::Latency(latency) if latency.is_empty_claim(within))
    }

    /// Whether the evidence of harm is an e-value that may be averaged with others, rather than a bound that only its
    /// crossing gives a meaning.
    pub(super) fn can_be_averaged(&self) -> bool {
        !matches!(self, Self::Gauge(_) | Self::Series(_))
    }

    /// Whether readings tell of requests.
    pub(super) fn counts_requests(&self) -> bool {
        match self.part() {
            Part::Proportion(counts) => counts.counts_requests(),
            Part::Gauge(_) => false,
            Part::Series(series) => series.counts_requests(),
        }
    }

    /// The canary relative to the baseline: lower end, estimate, upper end; and of a latency, the bound that this is about, in
    /// seconds. Where harm was found at one of a histogram's bounds (`is_failed`), it is that one; else the one at which safety is
    /// proven.
    pub(super) fn effect(&self, is_failed: bool) -> ([Option<f64>; 3], Option<f64>) {
        if let (true, Self::Latency(latency)) = (is_failed, self)
            && let Some((bound, effect)) = latency.failed()
        {
            return (effect, Some(bound));
        }
        let bound = match self.about() {
            About::Slower(bound) => Some(bound),
            _ => None,
        };
        let effect = match self.part() {
            Part::Proportion(counts) => counts.effect(),
            Part::Gauge(gauge) => gauge.effect(),
            Part::Series(series) => series.effect(),
        };
        (effect, bound)
    }

    /// Canary events, canary total, baseline events, baseline total.
    pub(super) fn seen(&self) -> [f64; 4] {
        match self.part() {
            Part::Proportion(counts) => counts.seen(),
            Part::Gauge(_) => [0.0; 4],
            Part::Series(series) => series.seen(),
        }
    }

    /// About how many seconds a healthy canary still needs to be proven less than `within` times the baseline.
    pub(super) fn wait(&self, within: f64, threshold: f64) -> Option<f64> {
        match self.part() {
            _ if self.is_empty_claim(within) => None,
            Part::Proportion(counts) => counts.wait(within, threshold),
            Part::Gauge(_) | Part::Series(_) => None,
        }
    }

    /// Whether the canary is called safe for what it has at all, rather than beside the baseline.
    pub(super) fn below_floor(&self, within: f64) -> bool {
        matches!(self.part(), Part::Proportion(counts) if counts.below_floor(within))
    }

    /// The share or rate below which the canary is called safe whatever the baseline has.
    pub(super) fn harmless(&self) -> Option<f64> {
        match self.part() {
            Part::Proportion(counts) => counts.harmless(),
            Part::Gauge(_) | Part::Series(_) => None,
        }
    }

    /// Whether there was nothing yet that could be compared, and no number of requests without any would prove anything.
    pub(super) fn needs_floor(&self) -> bool {
        matches!(self.part(), Part::Proportion(counts) if counts.needs_floor())
    }

    /// The absolute limit, and whether the baseline itself breaks it now.
    pub(super) fn limit(&self) -> Option<(f64, bool)> {
        match self.part() {
            Part::Proportion(counts) => counts.limit(),
            Part::Gauge(_) | Part::Series(_) => None,
        }
    }

    /// The absolute limit, where all that is still to be proven is that the canary is below it.
    pub(super) fn lacks_limit(&self, within: f64, threshold: f64) -> Option<f64> {
        match self.part() {
            Part::Proportion(counts) => counts.lacks_limit(within, threshold),
            Part::Gauge(_) | Part::Series(_) => None,
        }
    }

    /// What the baseline has now, where that breaks the absolute limit.
    pub(super) fn limit_broken(&self) -> Option<f64> {
        match self.part() {
            Part::Proportion(counts) => counts.limit_broken(),
            Part::Gauge(_) | Part::Series(_) => None,
        }
    }

    /// Whether both arms break the absolute limit now.
    pub(super) fn both_bad(&self) -> bool {
        matches!(self.part(), Part::Proportion(counts) if counts.both_bad())
    }

    /// Whether what harm there is speaks against "no worse at all", as a gauge's loose form asks, rather than against the margin.
    pub(super) fn is_loose_harm(&self) -> bool {
        matches!(self, Self::Gauge(gauge) if gauge.is_loose_harm())
    }

    /// Whether both arms are far worse than the baseline usually is, where no limit tells how much is too much.
    pub(super) fn incident(&self) -> bool {
        matches!(self.part(), Part::Proportion(counts) if counts.holds())
    }

    /// The canary's events and total that may show that it is safe: those of no incident.
    pub(super) fn shown(&self) -> [f64; 2] {
        match self.part() {
            Part::Proportion(counts) => counts.shown(),
            Part::Gauge(_) | Part::Series(_) => [0.0; 2],
        }
    }

    /// The floor of harm, where all that is still to be shown is that the canary is above it.
    pub(super) fn kept_by_floor(&self, threshold: f64) -> Option<f64> {
        match self.part() {
            Part::Proportion(counts) => counts.kept_by_floor(threshold),
            Part::Gauge(_) | Part::Series(_) => None,
        }
    }

    /// Why there can be no evidence, in words; nothing: there can.
    pub(super) fn blind(&self) -> Option<String> {
        match self {
            Self::Counts(counts) => counts.blind().map(str::to_owned),
            Self::Series(_) => None,
            Self::Latency(latency) => latency.blind().map(str::to_owned),
            Self::Gauge(gauge) => gauge.blind(),
        }
    }

    /// That both arms are far worse than is usual, in words.
    pub(super) fn told_incident(&self) -> Option<String> {
        let Part::Proportion(counts) = self.part() else { return None };
        counts.incident().map(|incident| explain::incident(self.about(), incident.levels()))
    }

    /// The canary's bad events without which there is no harm.
    pub(super) fn min_events(&self) -> f64 {
        match self.part() {
            Part::Proportion(counts) => counts.min_events(),
            Part::Gauge(_) | Part::Series(_) => 0.0,
        }
    }

    /// What is bad in both arms alike, in words.
    pub(super) fn told_bad(&self) -> String {
        let limit = self.limit().zip(self.limit_broken());
        limit
            .map(|((limit, _), now)| explain::limit_broken(limit, now))
            .or(self.told_incident())
            .unwrap_or_default()
    }

    /// Something else that is worth telling.
    pub(super) fn note(&self, within: f64) -> Option<String> {
        match self {
            Self::Gauge(gauge) => gauge.note(),
            Self::Latency(latency) => latency.note(within),
            Self::Counts(_) | Self::Series(_) => None,
        }
    }

    /// What the canary alone is held against: how much of the baseline that rests on (nothing for gauges), and by how much it
    /// may have moved. Nothing before 100 %, and where nothing is known of the baseline.
    pub(super) fn frozen(&self) -> Option<(Option<f64>, f64)> {
        match self.part() {
            Part::Gauge(gauge) => gauge.level().map(|_| (None, level::DRIFT)),
            Part::Proportion(counts) => {
                let known = counts.frozen().and_then(Frozen::known)?;
                Some((Some(known.counts.exposure()), frozen::drift(known)))
            }
            Part::Series(_) => None,
        }
    }

    /// The noise that it is judged by; nothing while nothing is judged.
    pub(super) fn noise(&self) -> Option<Noise> {
        match self.part() {
            Part::Proportion(counts) => counts.noise(),
            Part::Gauge(gauge) => gauge.noise(),
            Part::Series(_) => None,
        }
    }

    /// Where harm is sought at all bounds of a histogram: the bound at which it is clearest, and what was counted there.
    pub(super) fn clearest(&self) -> Option<Clearest> {
        match self {
            Self::Latency(latency) => latency.clearest(),
            Self::Counts(_) | Self::Gauge(_) | Self::Series(_) => None,
        }
    }

    /// What the canary had since it serves alone; nothing while it does not.
    pub(super) fn alone(&self) -> Option<Alone> {
        match self {
            Self::Counts(counts) => counts.alone(),
            Self::Latency(latency) => latency.alone(),
            Self::Gauge(_) | Self::Series(_) => None,
        }
    }

    /// What the numbers are about.
    pub(super) fn about(&self) -> About {
        match self {
            Self::Counts(counts) => counts.about(),
            Self::Latency(latency) => latency.about(),
            Self::Gauge(gauge) => gauge.about(),
            Self::Series(_) => About::Level,
        }
    }

    fn part(&self) -> Part<'_> {
        match self {
            Self::Counts(counts) => Part::Proportion(counts),
            Self::Latency(latency) => Part::Proportion(latency.at_bound()),
            Self::Gauge(gauge) => Part::Gauge(gauge),
            Self::Series(series) => Part::Series(series),
        }
    }

    /// The values that Kayenta's judge judges; nothing where another judge judges.
    pub(super) fn series(&self) -> Option<&Series> {
        if let Self::Series(series) = self { Some(series) } else { None }
    }

    /// The same, to be judged.
    pub(super) fn series_mut(&mut self) -> Option<&mut Series> {
        if let Self::Series(series) = self { Some(series) } else { None }
    }
}

/// What most questions to a signal are answered by.
enum Part<'a> {
    Proportion(&'a Counts),
    Gauge(&'a Gauge),
    Series(&'a Series),
}
