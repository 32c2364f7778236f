//! How noisy a signal's counts are by nature, learnt from each arm's own past, never across arms.
//!
//! Events of a real service are rarely independent: a retry or a bad connection makes them come in clusters, and a unit's
//! error rate wavers from look to look (frailty). A test that believes in independent errors then rolls back 70 to
//! 100 % of good canaries. Here a count with mean μ has variance φ μ + f μ², with φ from the clusters and f, the squared
//! coefficient of variation, from the frailty. The two extrapolate differently to a small canary: clusters keep
//! variance over mean, frailty keeps the coefficient of variation.
//!
//! A posterior over 81 pairs (φ, f) is updated by how well each forecast every look. What the next look is judged by
//! ([`NoiseModel::likelihood`]) uses earlier looks only, so it is predictable, as an e-process needs.
//!
//! ```
//! use uguisu::stats::{ArmCount, CountKind, NoiseModel, PairCount, RatioCs, Tilt};
//!
//! let history: Vec<_> = (0..60).filter_map(|i| ArmCount::ratio(f64::from(10 + i % 7), 1500.0).ok()).collect();
//! let mut noise = NoiseModel::from_history(CountKind::Ratio, &history);
//! let (mut harm, mut safe, mut interval) = (Tilt::harm(0.1, 3600.0), Tilt::safety(1.5), RatioCs::default());
//! for _ in 0..20 {
//!     let look = PairCount { canary: ArmCount::ratio(8.0, 150.0)?, baseline: ArmCount::ratio(13.0, 1350.0)? };
//!     let likelihood = noise.likelihood(&look);
//!     harm.look(15.0, &likelihood)?;
//!     let spread = noise.spread(look.canary.exposure(), look.baseline.exposure());
//!     safe.look(15.0, &noise.likelihood_of_safety(&look, spread, 1.5))?;
//!     interval.look(&likelihood)?;
//!     noise.learn(&look);
//! }
//! assert!(harm.log_e() > (1.0_f64 / 0.01).ln());
//! assert!(interval.interval(0.05).lower.is_some_and(|ratio| ratio > 1.1));
//! # Ok::<(), uguisu::stats::Refusal>(())
//! ```

pub(super) mod chebyshev;
mod cluster;
mod doubt;
mod forecast;
mod law;
mod likelihood;

use serde::{Deserialize, Serialize};

use super::count::{ArmCount, PairCount};
use super::dispersion::{DEADBAND, MIN_PAIRS, UNKNOWN_DISPERSION, above_deadband, is_told, measured};
use super::special::{log_sum_exp, log_values};
use doubt::Doubt;
use forecast::Forecast;

pub use cluster::ClusterLaw;
pub use likelihood::{Likelihood, SeriesLikelihood};

/// The posterior's grid of φ.
const PHI: [f64; 9] = [1.0, 1.3, 1.7, 2.3, 3.2, 4.5, 6.3, 9.0, 13.0];
/// The posterior's grid of f.
const FRAILTY: [f64; 9] = [0.0, 0.005, 0.02, 0.06, 0.14, 0.27, 0.45, 0.75, 1.2];

/// The probability that a look belongs to another level altogether (an incident), which bounds its influence.
const JUMP: f64 = 0.01;
/// The squared coefficient of variation after such a jump.
const JUMP_FRAILTY: f64 = 2.0;
/// The squared drift of the shared level from look to look: 6 %.
const DRIFT: f64 = 0.004;
/// So many posterior standard deviations are added to the mean, since the noise is estimated.
const CAUTION: f64 = 0.25;
/// A dispersion that comes from few pairs of looks is taken larger by this over the root of their number. With 2, frailty
/// of shape 3 rolled back 1.25 % of good canaries that took half of the traffic; with 3, 0.85 % (2,000 runs), and the
/// medians of detection stayed where they were.
const DISPERSION_CAUTION: f64 = 3.0;
/// Where events come in clusters, the dispersion beyond independent events is taken larger by this part where safety is to be
/// proven, or by its standard error where that is more: the fewer clusters there are, the more their absence is overrated.
/// Without it, canaries that had 1.5 times as many clusters of four as the baseline were proven to have fewer in 6.5 % (400 runs).
const SAFETY_CAUTION: f64 = 0.2;
/// Below these, clusters and frailty count as none.
const PHI_NONE: f64 = 1.08;
const FRAILTY_NONE: f64 = 0.002;
/// Frailty is assumed at least this large while the dispersion is not known.
const FRAILTY_FLOOR: f64 = 0.01;
/// The learnt pair must promise less noise than this part of the plain dispersion to be used instead of it.
const GAIN: f64 = 0.75;
/// Frailty must be at least this part of the clusters' noise to be modelled.
const LEAST_FRAILTY: f64 = 0.1;
/// Above this share of the canary the likelihood with frailty is no e-value any more.
const LARGEST_SHARE: f64 = 0.6;
/// Above this share of the canary its clusters are not looked at one by one: there is little to gain, and one look's
/// likelihood ratio would have an expectation of up to 1.07.
const LARGEST_CLUSTERED_SHARE: f64 = 0.3;
/// Dispersion beyond independent events that may be there though a history shows none: half of what counts as none.
const HIDDEN: f64 = 0.5 * (DEADBAND - 1.0);
/// With fewer times the traffic of the history its dispersion is taken as it is.
const MORE_TRAFFIC: f64 = 2.0;
/// Evidence is never divided by more than this, which leaves none.
const NO_EVIDENCE: f64 = 1e6;

/// What kind of counts they are: it decides what variance independent events would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountKind {
    /// Events among requests: binomial.
    Ratio,
    /// Events in an exposure that does not bound them: Poisson.
    Rate,
}

impl CountKind {
    /// The variance, per unit of exposure, of independent events at ratio `p`.
    pub(super) fn variance(self, p: f64) -> f64 {
        match self {
            Self::Ratio => p * (1.0 - p),
            Self::Rate => p,
        }
    }
}

/// The noise by which one look is judged: the variance of a count with mean μ is `phi`·μ + `frailty`·μ².
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Variance over mean, from clusters; 1 for independent events.
    pub phi: f64,
    /// The squared coefficient of variation of an arm's rate from look to look; 0 for none.
    pub frailty: f64,
}

impl Spread {
    /// Independent events.
    pub const NONE: Self = Self { phi: 1.0, frailty: 0.0 };

    /// The same where something is decided by it. What the model forgives the shared level as drift from look to look
    /// (`DRIFT`) it cannot tell from as much frailty of each arm, so where there is frailty it is taken larger by that.
    /// With few events that is next to nothing; with thousands in a look it is most of the noise: latencies that wavered
    /// by 5 % were rolled back in 2 % of good canaries where it was left out.
    #[must_use]
    pub fn wary(self) -> Self {
        let hidden = if self.frailty > 0.0 { DRIFT } else { 0.0 };
        Self { frailty: self.frailty + hidden, ..self }
    }

    /// The same where there are so many times as many events. What wavers does so in proportion to the events. Frailty says it by
    /// itself.
    pub(super) fn grown(self, times: f64) -> Self {
        let phi = if self.frailty > 0.0 { self.phi } else { grown(self.phi, times) };
        Self { phi, ..self }
    }

    /// Variance over mean of a count whose mean is known: what a test against a fixed limit divides by.
    #[must_use]
    pub fn over(self, mean: f64) -> f64 {
        self.phi + self.frailty * mean
    }
}

/// The dispersion that may be there of so many times as many events.
fn grown(dispersion: f64, times: f64) -> f64 {
    dispersion + (dispersion - 1.0 + HIDDEN) * (times - 1.0).max(0.0)
}

/// What a look taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// Some more of the same.
    AsBefore,
    /// That the history's noise is not the rollout's: it is not believed any more, and what was weighed by it should not be either.
    HistoryRefuted,
}

/// What is known of a signal's noise. One model serves all engines of a signal; it learns once a look, after all of them
/// were shown it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseModel {
    kind: CountKind,
    /// The posterior over (φ, f), φ varying slowest, up to a constant.
    #[serde(with = "log_values")]
    log_posterior: Vec<f64>,
    baseline: Forecast,
    canary: Forecast,
    dispersion: Dispersion,
    /// How events cluster, where a history shows that they may.
    clusters: Option<ClusterLaw>,
}

impl NoiseModel {
    /// A model that knows nothing but its prior: 2 ln φ against clusters, 1.5 against any frailty.
    #[must_use]
    pub fn new(kind: CountKind) -> Self {
        let prior = pairs().map(|(phi, frailty)| -2.0 * phi.ln() - if frailty > 0.0 { 1.5 } else { 0.0 });
        let norm = log_sum_exp(prior.clone());
        Self {
            kind,
            log_posterior: prior.map(|log| log - norm).collect(),
            baseline: Forecast::default(),
            canary: Forecast::default(),
            dispersion: Dispersion::default(),
            clusters: None,
        }
    }

    /// A model that has learnt from the baseline's looks before the rollout, oldest first. Looks without exposure are
    /// passed over. With at least 20 pairs of neighbouring looks and 20 events the dispersion is known and stays as it is. If
    /// there were fewer events in them, there is little to measure it by ([`Self::assumed_dispersion`]): a few that came one
    /// by one do not tell that no cluster will come.
    #[must_use]
    pub fn from_history(kind: CountKind, looks: &[ArmCount]) -> Self {
        let mut model = Self::without_clusters(kind, looks);
        let clustered = model.dispersion.known.filter(|dispersion| *dispersion > 1.0);
        model.clusters = clustered.and_then(|dispersion| ClusterLaw::fit(looks, dispersion));
        model
    }

    /// The same where clusters are not looked at one by one, and need not be fitted.
    #[must_use]
    pub fn without_clusters(kind: CountKind, looks: &[ArmCount]) -> Self {
        let mut model = Self::new(kind);
        let seen = looks.iter().filter(|look| look.is_seen());
        let events: f64 = seen.clone().map(|look| look.events()).sum();
        let measured = measured(looks, |p| kind.variance(p));
        let measured = measured.filter(|measured| is_told(events, measured.dispersion));
        model.dispersion.known = measured.map(|measured| measured.dispersion);
        model.dispersion.error = measured.map_or(0.0, |measured| measured.error);
        model.dispersion.settled = measured.is_some();
        let exposure: f64 = looks.iter().map(|look| look.exposure()).sum();
        let looks_seen = looks.iter().filter(|look| look.is_seen()).map(|_| 1.0).sum::<f64>();
        model.dispersion.usual = if measured.is_some() { exposure / looks_seen } else { 0.0 };
        if measured.is_none() && seen.count() > MIN_PAIRS as usize {
            model.dispersion.assumed = Some(UNKNOWN_DISPERSION);
        }
        if measured.is_none() {
            // What a short one tells counts with what the rollout will.
            looks.iter().filter(|look| look.is_seen()).for_each(|look| {
                model.dispersion.learn(kind, *look, Now::ALONE);
            });
        }
        if !model.is_clean() {
            for look in looks {
                model.take_baseline(*look);
            }
        }
        model
    }

    /// The measured dispersion (variance over what independent events would have), if it is known yet; 1 within the
    /// deadband.
    #[must_use]
    pub fn dispersion(&self) -> Option<f64> {
        self.dispersion.known
    }

    /// What may be assumed of the dispersion where safety is to be proven and hardly an event was ever seen, in so many looks
    /// that it would be measured, had there been more: [`UNKNOWN_DISPERSION`], and some more for what only the rollout saw. It
    /// stays what it is when events come: what they fall into may tell nothing of other times.
    ///
    /// The absence of events tells nothing of how they would come. The posterior takes it for ever larger clusters that are
    /// yet to come. That is the caution that harm needs: the first cluster ever may be the canary's. But no end of requests
    /// without an event would prove a canary that never fails.
    #[must_use]
    pub fn assumed_dispersion(&self) -> Option<f64> {
        self.dispersion.assumed
    }

    /// Whether the dispersion is known, or what may be assumed of it. Until then nothing bounds it, and nothing should be proven.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.dispersion.known.or(self.dispersion.assumed).is_some()
    }

    /// How many looks that takes yet, if each brings a pair.
    #[must_use]
    pub fn looks_until_bounded(&self) -> u32 {
        let first = u32::from(self.dispersion.last.is_none());
        if self.is_bounded() { 0 } else { MIN_PAIRS.saturating_sub(self.dispersion.pairs) + first }
    }

    /// Whether the dispersion was measured before the rollout.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.dispersion.settled
    }

    /// The posterior's mean and standard deviation of φ, then of f.
    #[must_use]
    pub fn posterior(&self) -> [(f64, f64); 2] {
        let norm = log_sum_exp(self.log_posterior.iter().copied());
        let mut moments = [(0.0, 0.0); 2];
        for ((phi, frailty), log) in pairs().zip(&self.log_posterior) {
            let weight = (log - norm).exp();
            for (moment, value) in moments.iter_mut().zip([phi, frailty]) {
                moment.0 += weight * value;
                moment.1 += weight * value * value;
            }
        }
        moments.map(|(mean, square)| (mean, (square - mean * mean).max(0.0).sqrt()))
    }

    /// The noise to judge the next look by, from earlier looks and the next one's exposures (both above 0).
    #[must_use]
    pub fn spread(&self, canary: f64, baseline: f64) -> Spread {
        let known = self.dispersion.at(self.kind, canary + baseline);
        if let Some(dispersion) = known.filter(|_| self.plain().is_some()) {
            return Spread { phi: dispersion.min(NO_EVIDENCE), frailty: 0.0 };
        }
        let [(phi, phi_sd), (frailty, frailty_sd)] = self.posterior();
        let (mut phi, mut frailty) = (phi + CAUTION * phi_sd, frailty + CAUTION * frailty_sd);
        if phi < PHI_NONE {
            phi = 1.0;
        }
        if frailty < FRAILTY_NONE {
            frailty = 0.0;
        }
        let rate = self.baseline.rate();
        match (known, rate) {
            (None, _) => frailty = frailty.max(FRAILTY_FLOOR),
            (Some(dispersion), Some(rate)) => {
                let independent = independent(rate * canary, rate * baseline);
                let pays = phi * independent + 2.0 * frailty <= GAIN * dispersion * independent;
                let matters = 2.0 * frailty >= LEAST_FRAILTY * phi * independent;
                if !(pays && matters) {
                    // One that was measured in the rollout, on the baseline, may come from a few small clusters, and the
                    // posterior has seen the canary's as well. Without it, canaries with half of 20 requests a second, whose
                    // errors come in clusters of thirty, were rolled back in 6 % without being worse (400 runs).
                    let learnt = if self.dispersion.settled { 1.0 } else { phi };
                    (phi, frailty) = (dispersion.max(learnt), 0.0);
                }
            }
            (Some(_), None) => {}
        }
        if frailty > 0.0 && canary / (canary + baseline) > LARGEST_SHARE {
            let events = rate.map_or(f64::INFINITY, |rate| rate * canary.max(baseline));
            (phi, frailty) = (phi + frailty * events, 0.0);
        }
        Spread { phi: phi.min(NO_EVIDENCE), frailty }
    }

    /// The likelihood to judge a closed look by, with the noise of [`Self::spread`].
    #[must_use]
    pub fn likelihood(&self, look: &PairCount) -> Likelihood {
        self.likelihood_with(look, self.spread(look.canary.exposure(), look.baseline.exposure()))
    }

    /// The likelihood to judge a closed look by, with this noise.
    #[must_use]
    pub fn likelihood_with(&self, look: &PairCount, spread: Spread) -> Likelihood {
        // Whether the clusters are looked at one by one is decided by what is expected of the canary, and by the number
        // of all events, which says nothing of whose they are.
        let clusters = self.clusters.zip(self.baseline.rate()).filter(|(law, rate)| {
            spread.frailty <= 0.0
                && spread.phi > 1.0
                && look.share() <= LARGEST_CLUSTERED_SHARE
                && law.tells(rate * look.canary.exposure())
                && law.explains(look.events(), rate * (look.canary.exposure() + look.baseline.exposure()))
        });
        let of_clusters = clusters.and_then(|(law, _)| Likelihood::of_clusters(look, law));
        of_clusters.unwrap_or_else(|| Likelihood::new(look, spread))
    }

    /// The likelihood to judge a closed look by where safety is to be proven: that the canary's rate is below `bound`
    /// times the baseline's.
    ///
    /// What makes [`Self::likelihood`] quick to find harm makes it rash here. Clusters taken small make few events of the
    /// canary tell more than they do, and with frailty its likelihood ratios have expectations above 1 for a small canary
    /// that is better. So all noise is a dispersion: the one that gives the log ratio the squared error which it has at
    /// the bound. `spread` is this look's ([`Self::spread`]).
    #[must_use]
    pub fn likelihood_of_safety(&self, look: &PairCount, spread: Spread, bound: f64) -> Likelihood {
        let (canary, baseline) = (look.canary.exposure(), look.baseline.exposure());
        let Spread { phi, frailty } = spread;
        let more = (SAFETY_CAUTION * (phi - 1.0)).max(self.dispersion.error);
        let phi = if frailty > 0.0 { phi } else { phi + more };
        let phi = match self.baseline.rate().filter(|_| frailty > 0.0) {
            Some(rate) => phi + 2.0 * frailty / independent(bound * rate * canary, rate * baseline),
            // Nothing tells how many events to expect, so this look proves nothing.
            None if frailty > 0.0 => NO_EVIDENCE,
            None => phi,
        };
        // A look with far more events than are expected of it has few clusters, one of them large, whatever the usual size is.
        // It says as little as a few clusters do: else one large cluster of the baseline proves a canary safe.
        let clusters =
            self.baseline.rate().filter(|_| phi > 1.0).map(|rate| rate * (canary + baseline) / phi);
        let phi = clusters.map_or(phi, |usual| phi.max(look.events() / (usual + 2.0 * usual.sqrt() + 1.0)));
        Likelihood::new(look, Spread { phi: phi.min(NO_EVIDENCE), frailty: 0.0 })
    }

    /// The rate that is expected of the baseline's next look; nothing before the first, and where it need not be known because
    /// events come independently.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.baseline.rate()
    }

    /// How events cluster, where a history shows that they may.
    #[must_use]
    pub fn clusters(&self) -> Option<ClusterLaw> {
        self.clusters
    }

    /// Learns from a closed look, after it was judged.
    pub fn learn(&mut self, look: &PairCount) -> Learnt {
        self.learn_in(look, true)
    }

    /// The same of a look in a time that is usual, or is not: what hits both versions then says nothing against the history.
    pub(super) fn learn_in(&mut self, look: &PairCount, is_usual: bool) -> Learnt {
        if !look.is_closed() {
            return Learnt::AsBefore;
        }
        let now = Now { canary: look.canary.exposure(), is_usual };
        let learnt = self.dispersion.learn(self.kind, look.baseline, now);
        if learnt == Learnt::HistoryRefuted {
            self.clusters = None;
        }
        if !self.is_clean() {
            self.take_baseline(look.baseline);
            if self.plain().is_none() {
                self.canary.learn(&mut self.log_posterior, look.canary);
            }
        }
        learnt
    }

    /// Learns from an arm that no other is beside.
    pub(super) fn learn_alone(&mut self, look: ArmCount) {
        if look.is_seen() && !self.dispersion.settled {
            self.dispersion.learn(self.kind, look, Now::ALONE);
            self.take_baseline(look);
        }
    }

    fn take_baseline(&mut self, look: ArmCount) {
        if self.plain().is_some() {
            self.baseline.take(look);
        } else {
            self.baseline.learn(&mut self.log_posterior, look);
        }
    }

    /// The history shows independent events: nobody asks for the baseline's rate.
    fn is_clean(&self) -> bool {
        self.dispersion.settled && self.dispersion.known == Some(1.0)
    }

    /// The dispersion from history, if it is so small that no learnt pair can promise less than [`GAIN`] of it, since φ is at
    /// least 1. The posterior is not asked then, and need not learn: this is exact, and the usual case.
    fn plain(&self) -> Option<f64> {
        self.dispersion.known.filter(|dispersion| self.dispersion.settled && GAIN * dispersion < 1.0)
    }
}

/// The squared error of the log ratio of two counts with these means, of independent events.
fn independent(canary: f64, baseline: f64) -> f64 {
    1.0 / canary + 1.0 / baseline
}

/// The posterior's grid, in its order.
fn pairs() -> impl Iterator<Item = (f64, f64)> + Clone {
    PHI.into_iter().flat_map(|phi| FRAILTY.into_iter().map(move |frailty| (phi, frailty)))
}

/// The plain dispersion: known from history, or measured on the baseline's looks in the rollout.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Dispersion {
    known: Option<f64>,
    /// See [`NoiseModel::assumed_dispersion`].
    #[serde(default)]
    assumed: Option<f64>,
    /// It comes from history and is not measured again.
    settled: bool,
    /// The standard error of what comes from history.
    #[serde(default)]
    error: f64,
    /// The exposure of a look of that history, in the mean.
    #[serde(default)]
    usual: f64,
    /// The exposure of both versions in the look before.
    #[serde(default)]
    before: f64,
    /// That look was in no usual time.
    #[serde(default)]
    after_unusual: bool,
    /// What speaks against that history.
    #[serde(default)]
    doubt: Doubt,
    /// Neighbouring looks compared, the sum of their squared differences, and the totals of all but the first look.
    pairs: u32,
    squares: f64,
    events: f64,
    exposure: f64,
    last: Option<ArmCount>,
}

/// What is beside a look.
#[derive(Clone, Copy)]
struct Now {
    /// The canary's exposure.
    canary: f64,
    is_usual: bool,
}

impl Now {
    const ALONE: Self = Self { canary: 0.0, is_usual: true };
}

impl Dispersion {
    /// Takes the baseline's look of the rollout; or one before it, if that is too short to settle anything.
    fn learn(&mut self, kind: CountKind, look: ArmCount, Now { canary, is_usual }: Now) -> Learnt {
        let mut learnt = Learnt::AsBefore;
        let is_usual = is_usual && !std::mem::replace(&mut self.after_unusual, !is_usual);
        if let Some(last) = self.last.filter(|_| is_usual || !self.settled) {
            self.events += look.events();
            self.exposure += look.exposure();
            let step = look.events() / look.exposure() - last.events() / last.exposure();
            self.squares += step * step / (1.0 / look.exposure() + 1.0 / last.exposure());
            self.pairs = self.pairs.saturating_add(1);
            let settled = self.known.filter(|_| self.settled).and(self.at(kind, look.exposure() + canary));
            if let Some(phi) = settled
                && self.doubt.take(kind, last, look, phi)
            {
                (self.settled, self.known, self.error, self.usual) = (false, None, 0.0, 0.0);
                learnt = Learnt::HistoryRefuted;
            }
            if !self.settled {
                self.measure(kind);
            }
        }
        (self.last, self.before) = (Some(look), look.exposure() + canary);
        learnt
    }

    /// What the rollout's looks themselves tell, once they are enough.
    fn measure(&mut self, kind: CountKind) {
        let own = self.own(kind);
        if own.is_some() {
            self.known = own;
        } else if self.pairs >= MIN_PAIRS {
            let assumed = UNKNOWN_DISPERSION * self.caution();
            self.assumed = Some(self.assumed.map_or(assumed, |before| before.min(assumed)));
        }
    }

    fn own(&self, kind: CountKind) -> Option<f64> {
        let variance = kind.variance(self.events / self.exposure);
        let measured = self.squares / f64::from(self.pairs) / variance;
        (self.pairs >= MIN_PAIRS && variance > 0.0 && is_told(self.events, measured))
            .then(|| above_deadband(measured * self.caution()))
    }

    fn caution(&self) -> f64 {
        1.0 + DISPERSION_CAUTION / f64::from(self.pairs).sqrt()
    }

    /// What is known of it for looks with this exposure of both versions. What a history does not show, since there were few events
    /// in a look, shows with more of them.
    fn at(&self, kind: CountKind, exposure: f64) -> Option<f64> {
        // One look that makes up for others before it is no more traffic.
        let exposure = if self.before > 0.0 { exposure.min(self.before) } else { exposure };
        let times = if self.usual > 0.0 { exposure / self.usual } else { 1.0 };
        let known = self.known?;
        if times <= MORE_TRAFFIC {
            return Some(known);
        }
        // The rollout's own looks show it with that many.
        let own = self.own(kind).map_or(f64::INFINITY, |own| own.max(known));
        Some(grown(known, times).min(own))
    }
}

#[cfg(test)]
mod tests;
