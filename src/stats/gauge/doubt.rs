//! Whether a rollout's values are wilder than those before it were.
//!
//! A history tells the noise of its own time. Where a gauge that stood still begins to move, a canary is blamed for what its noise is:
//! of good canaries whose units wavered by 30 % after an hour in which they stood still, 87 % were rolled back. So the baseline's own
//! units go on being compared, one half with the other: what the model did not foresee of their difference is as large as it says, or
//! its variances are raised (cumulated sums for each of some multiples, Page 1954).

use serde::{Deserialize, Serialize};

use super::bank::{Branch, Observation};
use super::filter::Filter;
use super::fit::share;
use super::running::mean;
use crate::stats::dispersion::cumulate;

/// So many times the variance is what is looked for.
const TIMES: [f64; 5] = [2.0, 4.0, 8.0, 16.0, 32.0];

/// A surprise counts for no more than this, as a squared normal: no single one is enough.
const MOST: f64 = 12.0;

/// So many nats are.
const ENOUGH: f64 = 7.0;

/// The cumulated sums, in nats, and what is expected next of the difference between the baseline's halves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Doubt {
    nats: [f64; TIMES.len()],
    /// Units that are compared; the first, and the last.
    halves: (u32, u32),
    filter: Option<Filter>,
    last: i64,
}

impl Doubt {
    /// How many nats a history itself speaks against its own noise with, at most: bursts do. `rows`: a unit each, on the comparison's
    /// scale, NaN where it was not there.
    pub(super) fn of_history(rows: &[Vec<f64>], branch: &Branch, fitted: f64) -> f64 {
        let mut doubt = Self::default();
        let ticks = rows.iter().map(Vec::len).min().unwrap_or(0);
        let mut most: f64 = 0.0;
        for (tick, index) in (0_i64..).zip(0..ticks) {
            let units: Vec<f64> =
                rows.iter().filter_map(|row| row.get(index).copied()).filter(|v| v.is_finite()).collect();
            let told = doubt.observe(tick, &units, branch, fitted);
            most = told.map_or(most, |(nats, _)| most.max(nats));
        }
        most
    }

    /// Takes the baseline's units at a tick, on the comparison's scale, which are to differ as `branch` says. `fitted` is the variance of
    /// a difference that its models are for, relative to one unit's; `usual` what a history speaks against itself with. Gives by how
    /// much the variances are too small, if they are.
    pub(super) fn take(
        &mut self,
        tick: i64,
        baseline: &[f64],
        branch: &Branch,
        (fitted, usual): (f64, f64),
    ) -> Option<f64> {
        let told = self.observe(tick, baseline, branch, fitted);
        let (_, raise) = told.filter(|(nats, _)| *nats >= ENOUGH + usual)?;
        *self = Self::default();
        Some(raise)
    }

    /// The most that now speaks for any multiple, and for which; nothing where nothing is compared.
    fn observe(&mut self, tick: i64, baseline: &[f64], branch: &Branch, fitted: f64) -> Option<(f64, f64)> {
        let (first, rest) = baseline.split_at(baseline.len() / 2);
        let model = branch.models.first().filter(|_| !first.is_empty())?;
        let count = |half: &[f64]| u32::try_from(half.len()).unwrap_or(u32::MAX);
        let halves = (count(first), count(rest));
        let seen = Observation {
            tick,
            gap: tick - self.last,
            difference: mean(first, |value| value) - mean(rest, |value| value),
            spread: (share(halves.0, halves.1) / fitted).sqrt(),
            kept: 1.0,
        };
        self.last = tick;
        let regressors = seen.regressors(tick, 0.0);
        let filter = match (&mut self.filter, halves == self.halves) {
            (Some(filter), true) => {
                filter.decay(seen.decays(std::slice::from_ref(model))[0], model);
                filter
            }
            (filter, _) => filter.insert(Filter::stationary(model)),
        };
        self.halves = halves;
        let observation = seen.difference / seen.spread;
        let surprise = filter.surprise(observation, regressors, model);
        filter.observe(observation, regressors, model, branch.limit);
        surprise.is_finite().then(|| cumulate(&mut self.nats, &TIMES, surprise.min(MOST)))
    }
}
