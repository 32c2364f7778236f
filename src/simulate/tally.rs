//! What many simulated rollouts came to.

use crate::stats::BetaBinomial;

/// How many of the runs did something, and when.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// All runs.
    pub runs: usize,
    /// When those that did it did, in seconds since the onset.
    pub times: Vec<f64>,
}

impl Tally {
    /// Adds a run: when it did it, if it did.
    pub fn add(&mut self, time: Option<f64>) {
        self.runs += 1;
        self.times.extend(time);
    }

    /// Takes in the runs of another.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.times.extend(&other.times);
    }

    /// The share of runs that did it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "runs are few")]
    pub fn share(&self) -> f64 {
        self.times.len() as f64 / self.runs as f64
    }

    /// The median time over all runs, those that never did it last; nothing if more than half never did.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        median(&self.times, self.runs)
    }

    /// An interval for the true median, at 95 %: runs whose ranks lie 1.96 standard deviations of a fair coin about the
    /// middle. Nothing for an end that more runs than that never reached.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "runs are few"
    )]
    pub fn median_interval(&self) -> [Option<f64>; 2] {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        let runs = self.runs as f64;
        let (middle, reach) = (0.5 * runs, 0.98 * runs.sqrt());
        let at = |rank: f64| sorted.get(rank.clamp(0.0, (runs - 1.0).max(0.0)) as usize).copied();
        [at((middle - reach).floor()), at((middle + reach).ceil())]
    }
}

/// The median of `times` among `runs`, of which those without a time count as later than all others.
#[must_use]
pub fn median(times: &[f64], runs: usize) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied();
    if runs % 2 == 1 {
        middle(runs / 2)
    } else {
        Some(f64::midpoint(middle((runs / 2).checked_sub(1)?)?, middle(runs / 2)?))
    }
}

/// An interval for the probability behind `hits` among `runs`, at 95 %. It is wider than the shortest one: it holds however
/// many runs one goes on to make.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "runs are few")]
pub fn interval(hits: usize, runs: usize) -> (f64, f64) {
    BetaBinomial::default().interval(hits as f64, runs as f64, 0.05)
}
