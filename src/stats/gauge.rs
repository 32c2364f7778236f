//! Gauges: values that go up and down, such as memory, CPU or the length of a queue.
//!
//! A gauge is noisy, its noise lasts, and units differ for good. So the noise is learnt from the baseline's past
//! ([`History`], [`GaugeFit`]) before the canary is judged by it ([`GaugeTest`]). Without a past there is only advice
//! ([`AdvisoryTest`]).
//!
//! # The test
//!
//! At each tick, D is the mean of the logarithms over the canary's units minus that over the baseline's (or a plain
//! difference where values may be negative), so what hits both arms cancels. D is taken for a level or a ramp plus a
//! Gaussian process: an offset that stays, an AR(1) part and white noise. Under one such model, a Kalman filter turns
//! D into independent innovations, from which the likelihood ratio of "worse" to "not worse" follows, mixed over the
//! size of the effect in closed form. Where the history leaves several models plausible, the least of their ratios counts.
//! Components start every ten samples and have seen only what came since, so that harm is found whenever it begins.
//!
//! Two branches run side by side: a **strict** one of "worse by more than the margin", and, if asked for, a **loose**
//! one of "worse at all", which counts only while the median of the latest differences is at least the margin.
//!
//! Where the history is bursty or switches, a branch compares normal scores of ranks instead of logarithms: the strict
//! one those of the canary's values with the margin taken off, so that its null stays the same. In simulations that
//! raised the share of +50 % shifts that the strict branch finds from 49 to 93 % in spikes and from 4 to 80 % in an on-off
//! load, at no more than 0.3 % false failures. On 614 stretches of the Numenta Anomaly Benchmark, compared day over day,
//! it made little difference: 56 % found either way, 1.0 instead of 1.1 % false.
//!
//! # What is promised
//!
//! Each component's likelihood ratio is a martingale if a model is true (Ville 1939), and the components are united by
//! a union bound over weights that sum to 1. So the chance of ever crossing ln(1/alpha) is at most alpha (the loose form gives
//! half of it to each branch): for a canary that is not worse by more than the margin (strict), or not worse at all
//! (loose). It is a statement about a model. It assumes that the canary's own noise is like that of the baseline's units, and
//! stationary. Bursts and changing regimes in the history raise the fitted variance until no unit of the history, taken for a
//! canary, would have looked like harm. Outliers are clipped, which shrinks evidence.
//!
//! As the evidence is a maximum and not a mean, it is no e-value that could be averaged; see
//! [`GaugeTest::log_e_harm`].

mod advisory;
mod bank;
mod doubt;
mod filter;
mod fit;
mod forecast;
mod history;
mod mixture;
mod noise;
mod past;
mod rank;
mod running;
mod safety;
mod scale;
mod trend;

#[cfg(test)]
mod tests;

pub use advisory::AdvisoryTest;
pub use fit::{Form, GaugeFit, GaugeSettings, NoFit, NoiseSummary};
pub use forecast::{Course, GaugeForecast, Worsening};
pub use history::History;
pub use running::{GaugeTest, Leak, Taken};
pub use scale::Worse;
