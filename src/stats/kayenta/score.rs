//! From labels to a score of 0 to 100 and its band: the weighted sum of groups, as Kayenta's `WeightedSumScorer`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Judgement, Label};

/// A metric's judgement and the groups that it counts in.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// What its samples say.
    pub judgement: Judgement,
    /// The groups that it counts in, often one.
    pub groups: Vec<String>,
}

/// One group's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupScore {
    /// Its share of passing metrics, 0 to 100; `None` where no metric of it had data. It then costs nothing.
    pub score: Option<f64>,
    /// Its weight in percent.
    pub weight: f64,
}

/// From which score on a canary passes, or goes on to the next look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// From here on it passes; usually 95.
    pub pass: f64,
    /// Below this it fails; usually 75.
    pub marginal: f64,
}

/// What a score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Promote at the end.
    Pass,
    /// Go on, but do not promote.
    Marginal,
    /// Stop.
    Fail,
}

impl Thresholds {
    /// The band of a score.
    #[must_use]
    pub fn band(self, score: f64) -> Band {
        if score >= self.pass {
            Band::Pass
        } else if score >= self.marginal {
            Band::Marginal
        } else {
            Band::Fail
        }
    }
}

/// The score of all metrics together, 0 to 100 to two decimals, and each group's part. `weights` are percentages by
/// group; groups that are not listed share what is left to 100.
#[must_use]
pub fn score(metrics: &[Scored], weights: &BTreeMap<String, f64>) -> (f64, BTreeMap<String, GroupScore>) {
    let groups = group_scores(metrics, weights);
    let without_data = metrics.iter().filter(|metric| metric.judgement.label == Label::NoData).count();
    let failed_alone =
        metrics.iter().any(|metric| metric.judgement.critical && metric.judgement.label != Label::Pass);
    if failed_alone || 2 * without_data >= metrics.len() {
        return (0.0, groups);
    }
    // A group without data has nothing against the canary.
    let sum: f64 = groups.values().map(|group| group.score.unwrap_or(100.0) * group.weight / 100.0).sum();
    (round_half_up(sum), groups)
}

#[expect(clippy::cast_precision_loss, reason = "a policy has far fewer than 2^53 metrics")]
fn group_scores(metrics: &[Scored], weights: &BTreeMap<String, f64>) -> BTreeMap<String, GroupScore> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for metric in metrics {
        let (passed, counted) = match metric.judgement.label {
            Label::Pass => (1, 1),
            Label::High | Label::Low | Label::NoDataFail => (0, 1),
            Label::NoData | Label::Error => (0, 0),
        };
        for group in &metric.groups {
            let count = counts.entry(group).or_default();
            *count = (count.0 + passed, count.1 + counted);
        }
    }
    let unlisted = counts.keys().filter(|group| !weights.contains_key(**group)).count();
    let left = (100.0 - weights.values().sum::<f64>()) / unlisted.max(1) as f64;
    let part = |(group, (passed, counted)): (&str, (usize, usize))| {
        let score = (counted > 0).then(|| 100.0 * passed as f64 / counted as f64);
        (group.to_owned(), GroupScore { score, weight: weights.get(group).copied().unwrap_or(left) })
    };
    counts.into_iter().map(part).collect()
}

/// Rounds to two decimals, halves up. The nudge makes up for halves that a binary number misses, such as 5.025.
fn round_half_up(value: f64) -> f64 {
    (value * 100.0 + 0.5 + 1e-9).floor() / 100.0
}
