//! The tilt engine: one e-process for ratios, rates, limits and Poisson counts.
//!
//! Of `k` events, `x` fell to the canary, and under the null each does so with probability q0, known from the exposures
//! of this very tick (conditioning on the total removes the shared rate: Lindon & Malek 2022, arXiv
//! 2011.03567). Against an effect h the likelihood ratio is e^{x h} (1 + q0 (e^h − 1))^−k. It is mixed over a [`Prior`]
//! of effects and over the time at which the effect began. Weights are fixed beforehand, each ratio has expectation at
//! most 1 under the whole one-sided null (monotone likelihood ratio; for binomial arms the conditional law is
//! hypergeometric and the binomial dominates it in convex order: Hoeffding 1956, 1963), so the mixture is an e-process.

mod mixture;

use serde::{Deserialize, Serialize};

use super::count::{
    ArmCount, MAX_COUNT, PairCount, Refusal, among, count, dispersion, share, share_at, span,
};
use super::noise::{CountKind, Likelihood};
use super::prior::{Grid, MOST_POINTS, Prior};

use super::special::powers;

pub(super) use mixture::Mixture;
pub use mixture::Onset;

/// How widely safety looks about what is expected, as about "as good as the baseline": two effects of three lie between half of
/// its distance from the claim and twice that.
const AS_GOOD_SPREAD: f64 = std::f64::consts::LN_2;

/// A count that is raised to the power of, rather than multiplied with a logarithm: whole, and not too large to stay exact.
fn whole(count: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count up to some thousands"
    )]
    let whole = (count <= MOST_POWER).then_some(count as u32)?;
    (f64::from(whole).total_cmp(&count).is_eq()).then_some(whole)
}

/// The most, in nats, that one tick counts for as evidence of harm.
pub const MOST_OF_ONE: f64 = 6.0;

/// The same while nothing is known of the noise yet, neither from a history nor from the first minutes: two looks are then the least
/// that decides. Where three quarters of 100 requests a second are the canary's and errors come in clusters of thirty, 3 of 60 good canaries were
/// rolled back in the first five minutes without it, none with it.
const MOST_OF_UNKNOWN: f64 = 3.0;

/// The largest power: it leaves twelve digits.
const MOST_POWER: f64 = 4096.0;

/// In which direction the truth lies if the null is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alternative {
    /// The effect is greater than the null's: evidence of harm.
    Greater,
    /// The effect is less than the null's: evidence of safety.
    Less,
}

impl Alternative {
    /// The sign s of its effects, and e^{s h} − 1 of each.
    pub(super) fn steps(self, grid: &Grid) -> (f64, &[f64]) {
        match self {
            Self::Greater => (1.0, &grid.up),
            Self::Less => (-1.0, &grid.down),
        }
    }
}

/// A one-sided e-process against "the log effect is at most `null`" ([`Alternative::Greater`]) or "at least `null`"
/// ([`Alternative::Less`]). The effect is a log rate ratio for pairs and Poisson counts, a log odds ratio otherwise.
///
/// Each method that takes a tick returns ln E after it. `dt` is the time since the last tick, in the unit of the
/// onset's horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tilt {
    mixture: Mixture,
    null: f64,
    alternative: Alternative,
}

impl Tilt {
    /// An engine that has seen nothing. `null` is the log effect at the border of the claim: ln(1 + margin).
    #[must_use]
    pub fn new(prior: Prior, null: f64, alternative: Alternative, onset: Onset) -> Self {
        Self { mixture: Mixture::new(prior, onset), null, alternative }
    }

    /// Evidence of harm: against "the canary's rate is at most 1 + `margin` times the baseline's".
    #[must_use]
    pub fn harm(margin: f64, horizon: f64) -> Self {
        Self::new(Prior::Ratio, margin.ln_1p(), Alternative::Greater, Onset::within(horizon)).capped()
    }

    /// The same where one tick counts for [`MOST_OF_ONE`] nats at most. Evidence of harm is, so that a large cluster of events that
    /// nothing announced does not decide alone: in an app with single errors and four bursts of thirty an hour, 12 % of good
    /// canaries with a tenth of the traffic were rolled back without it (600 runs).
    #[must_use]
    pub fn capped(self) -> Self {
        Self { mixture: self.mixture.capped(MOST_OF_ONE), ..self }
    }

    /// Forgets what was gained, if anything was: evidence that should not count any more. What is lost stays lost.
    pub fn forget(&mut self) {
        self.mixture.forget();
    }

    /// From now on no tick counts for more than a look may where the noise is told, or where it is not.
    pub fn cap(&mut self, is_told: bool) {
        self.mixture.cap(if is_told { MOST_OF_ONE } else { MOST_OF_UNKNOWN });
    }

    /// Evidence of safety: against "the canary's rate is at least `bound` times the baseline's".
    ///
    /// What it is for is known beforehand: a canary that is as good as the baseline, which lies ln `bound` away from the
    /// claim, whatever the bound. So the effects looked for are log-normal about that one, `AS_GOOD_SPREAD` wide. The
    /// weights of harm know no such effect; with them, 100 requests a second with 1 % of errors, a tenth of them the
    /// canary's, took a median of 390 s to be proven below 1.5 times instead of 360 s (1,000 runs).
    #[must_use]
    pub fn safety(bound: f64) -> Self {
        Self::less(bound.ln(), bound)
    }

    /// Evidence that a ratio is below a bound that is known ([`Self::binomial`]), where one `times` smaller than the bound is
    /// expected: as small as it was before.
    #[must_use]
    pub fn below(times: f64) -> Self {
        Self::less(0.0, times)
    }

    /// Evidence of less than e^`null`, of effects that are about `times` smaller.
    fn less(null: f64, times: f64) -> Self {
        let about = times.ln();
        if about > 0.0 {
            let near = |h: f64| -0.5 * ((h / about).ln() / AS_GOOD_SPREAD).powi(2);
            let mixture = Mixture::weighted(Prior::Ratio, near);
            Self { mixture, null, alternative: Alternative::Less }
        } else {
            // What is expected is no proof of such a bound.
            Self::new(Prior::Ratio, null, Alternative::Less, Onset::Start)
        }
    }

    /// The log effect at the border of the claim.
    #[must_use]
    pub fn null(&self) -> f64 {
        self.null
    }

    /// The direction in which it looks.
    #[must_use]
    pub fn alternative(&self) -> Alternative {
        self.alternative
    }

    /// ln E now: 0 before the first tick, never NaN.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        self.mixture.log_e()
    }

    /// A tick without information.
    ///
    /// # Errors
    /// A `dt` that is no span of time.
    pub fn wait(&mut self, dt: f64) -> Result<f64, Refusal> {
        self.mixture.enter(span(dt)?);
        Ok(self.log_e())
    }

    /// A tick of both arms, with independent errors. An open one (an arm without exposure) says nothing.
    ///
    /// # Errors
    /// A `dt` that is no span of time, a `phi` that is no dispersion.
    pub fn pair(&mut self, dt: f64, counts: &PairCount, phi: f64) -> Result<f64, Refusal> {
        if counts.is_closed() {
            self.binomial(dt, counts.canary.events(), counts.events(), counts.share(), phi)
        } else {
            self.wait(dt)
        }
    }

    /// `x` of `k` events, each the canary's with probability `rho` at effect 0. Evidence is divided by `phi`, the
    /// over-dispersion (variance over mean) of the counts.
    ///
    /// # Errors
    /// `x` above `k` or no counts, a `rho` that is no share, a `dt` that is no span, a `phi` that is no dispersion.
    pub fn binomial(&mut self, dt: f64, x: f64, k: f64, rho: f64, phi: f64) -> Result<f64, Refusal> {
        let dt = span(dt)?;
        among(x, k)?;
        let (rho, phi) = (share(rho)?, dispersion(phi)?);
        if k <= 0.0 {
            return self.wait(dt);
        }
        // q0: the canary's probability at the null's effect.
        let q0 = share_at(rho, self.null.exp());
        let ratios = if phi <= 1.0 { self.ratios(x, k, q0) } else { None };
        if let Some(ratios) = ratios {
            self.mixture.multiply(dt, &ratios);
        } else {
            let (sign, step) = self.steps();
            let h = &self.mixture.grid().h;
            self.mixture.absorb(dt, |j| (x * sign * h[j] - k * (q0 * step[j]).ln_1p()) / phi);
        }
        Ok(self.log_e())
    }

    /// The likelihood ratio of each effect, e^{± x h} (1 + q0 (e^{± h} − 1))^−k, without a logarithm: for whole counts, so few
    /// that doubles hold the powers.
    fn ratios(&self, x: f64, k: f64, q0: f64) -> Option<[f64; MOST_POINTS]> {
        let (sign, step) = self.steps();
        let grid = self.mixture.grid();
        let largest = (x * grid.h.last()?).max(k * (q0 * step.last()?).ln_1p().abs());
        let (x, k) = whole(x).zip(whole(k)).filter(|_| largest < 0.5 * mixture::MOST)?;
        let (mut mine, mut all) = ([1.0; MOST_POINTS], [1.0; MOST_POINTS]);
        mine.iter_mut().zip(&grid.ratio).for_each(|(base, ratio)| *base = *ratio);
        all.iter_mut().zip(step).for_each(|(base, step)| *base = 1.0 + q0 * step);
        let (mine, mut ratios) = (powers(mine, x), powers(all, k));
        for (ratio, mine) in ratios.iter_mut().zip(&mine) {
            *ratio = if sign > 0.0 { mine / *ratio } else { 1.0 / (mine * *ratio) };
        }
        Some(ratios)
    }

    /// A closed look of both arms with its noise.
    ///
    /// # Errors
    /// A `dt` that is no span of time.
    pub fn look(&mut self, dt: f64, likelihood: &Likelihood) -> Result<f64, Refusal> {
        match likelihood {
            Likelihood::Binomial { x, k, rho, phi } => self.binomial(dt, *x, *k, *rho, *phi),
            Likelihood::Series(likelihood) => {
                let dt = span(dt)?;
                let (sign, _) = self.steps();
                let mut effects = self.mixture.grid().h.iter().map(|h| self.null + sign * h);
                let eta: [f64; MOST_POINTS] = std::array::from_fn(|_| effects.next().unwrap_or(self.null));
                let [at_null] = likelihood.log([self.null]);
                let log = likelihood.log(eta);
                self.mixture.absorb(dt, |j| log[j] - at_null);
                Ok(self.log_e())
            }
        }
    }

    /// `x` events where the claim's mean is `mean`·e^null.
    ///
    /// # Errors
    /// Numbers that are no counts, a `dt` that is no span, a `phi` that is no dispersion.
    pub fn poisson(&mut self, dt: f64, x: f64, mean: f64, phi: f64) -> Result<f64, Refusal> {
        let dt = span(dt)?;
        let (x, phi) = (count(x)?, dispersion(phi)?);
        let mean = count(mean)? * self.null.exp();
        let (sign, step) = self.steps();
        let h = &self.mixture.grid().h;
        self.mixture.absorb(dt, |j| (x * sign * h[j] - mean * step[j]) / phi);
        Ok(self.log_e())
    }

    /// What one arm counted, held against a rate that is known, or the share of its exposure.
    ///
    /// # Errors
    /// A `rate` that is none, a `dt` that is no span, a `phi` that is no dispersion.
    pub fn hold(
        &mut self,
        dt: f64,
        kind: CountKind,
        arm: ArmCount,
        rate: f64,
        phi: f64,
    ) -> Result<f64, Refusal> {
        let (events, exposure) = (arm.events(), arm.exposure());
        match kind {
            CountKind::Ratio => self.binomial(dt, events, exposure, rate.min(1.0), phi),
            CountKind::Rate if exposure * rate <= MAX_COUNT => self.poisson(dt, events, exposure * rate, phi),
            // More than can be counted is expected: nothing to learn.
            CountKind::Rate => self.wait(dt),
        }
    }

    /// The sign s of the effects looked for, and e^{s h} − 1 of each.
    fn steps(&self) -> (f64, &'static [f64]) {
        self.alternative.steps(self.mixture.grid())
    }
}

#[cfg(test)]
mod tests;
