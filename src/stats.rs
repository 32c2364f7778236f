//! Pure numerics: e-processes, confidence sequences, noise, power. Knows no rollout.
//!
//! An *e-process* is evidence against a claim (the null): a number that starts at 1, never becomes negative, and whose
//! expectation is at most 1 at every stopping time while the claim is true. By Ville's inequality it exceeds
//! 1/alpha at any time with probability at most alpha (Ville 1939; Ramdas, Grünwald, Vovk & Shafer, "Game-theoretic
//! statistics and safe anytime-valid inference", Statistical Science 2023). So a rollout may be looked at as often as
//! one likes. All evidence is kept as its natural logarithm.
//!
//! | for | use |
//! | --- | --- |
//! | a ratio or a rate, canary against baseline | [`RatioEvidence`]: [`NoiseModel`], [`Tilt`] and [`RatioCs`] together |
//! | a proportion against a fixed limit, a count against a known mean | [`Tilt::binomial`], [`Tilt::poisson`] |
//! | the traffic's split | [`ShareTest`] |
//! | proportions that are not rare (latency buckets) | [`TwoByTwo`] |
//! | a level as it was, once nothing compares side by side | [`Reference`] |
//! | several signals, one budget | [`weighted_mean`] |
//! | a value that goes up and down | [`gauge`] |
//! | what Kayenta would say | [`kayenta`] |
//! | what can be seen in which time | [`power`] |
//!
//! Every engine is a plain value of fixed size. Serialised and read back, it goes on to the bit. A tick that makes no
//! sense is [refused](Refusal) and changes nothing, so no engine ever holds a NaN.

mod beta_binomial;
mod combine;
mod count;
mod dispersion;
mod noise;
mod prior;
mod ratio;
mod ratio_cs;
mod reference;
mod share;
mod tilt;
mod two_by_two;

pub mod gauge;
pub mod kayenta;
pub mod power;
pub mod special;

#[cfg(test)]
mod expectation;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;

pub use beta_binomial::{BetaBinomial, ratio_cs_constant_share};
pub use combine::weighted_mean;
pub use count::{ArmCount, MAX_COUNT, PairCount, Refusal, share_at};
pub use dispersion::{MIN_EVENTS, UNKNOWN_DISPERSION, above_deadband, hist_phi};
pub use noise::{ClusterLaw, CountKind, Learnt, Likelihood, NoiseModel, SeriesLikelihood, Spread};
pub use prior::{Grid, Prior};
pub use ratio::{Amid, RatioEvidence, RatioQuestion};
pub use ratio_cs::{Interval, RatioCs};
pub use reference::{Known, Reference, rate_interval};
pub use share::ShareTest;
pub use tilt::{Alternative, MOST_OF_ONE, Onset, Tilt};
pub use two_by_two::TwoByTwo;
