//! Clusters of events, at the small counts of a small canary.
//!
//! Dividing the binomial's evidence by the dispersion is right where clusters overlap. A small canary sees a cluster now and
//! then: there the number of clusters tells more than the number of events, and a likelihood of clustered counts finds
//! the same fault in two thirds of the time. It must know how large clusters are, not only how much they disperse: the
//! same dispersion comes from clusters of seven or from single events with a rare fifty. So the mean size is fitted to the
//! history, and taken small: smaller clusters mean that more of them are expected of the canary.
//!
//! What is known of its validity: with the true law and a canary's share of up to 0.1, one look's likelihood ratio has
//! expectation 0.99 to 1.05, by enumeration (the upper end for a fivefold effect and four clusters a look); at a share
//! of 0.5, where it is not used, 1.065. That is not an e-value by a theorem, and dividing by the dispersion is none
//! either. `benches/calibration.rs` measures it on good canaries, with geometric sizes and with sizes from 1 to 5 alike.

use serde::{Deserialize, Serialize};

use super::super::count::{ArmCount, PairCount};
use super::super::special::log_sum_exp;
use super::law::log_negative_binomial;
use super::{JUMP, JUMP_FRAILTY};

/// The mean sizes that are tried, between 1 and the largest that the dispersion allows. An incident of both versions raises the
/// dispersion, too, and then most of them are far too large: single events are among them, and little more.
const SIZES: [f64; 10] = [0.0, 0.02, 0.05, 0.1, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0];
/// The part of the posterior that lies at or below the size that is taken.
const CAUTION: f64 = 0.1;
/// Clusters are seen only where single events have no more than this part of the posterior. A dispersion that is one by chance fits
/// some law of rare large clusters, and that law takes a crash for a few of them: with less proof asked, a canary of which half
/// of all requests fail was found after four to six looks, instead of two, in 2 % of rollouts with clean traffic.
const SINGLE: f64 = 1e-3;
/// What tells the level of a look of history: so many looks before it and so many after it, with this probability. An incident
/// has edges, and within it a level of its own; what fits none of these is a jump. Neither says anything of sizes.
const LEVELS: [(usize, usize, f64); 5] = [(8, 8, 0.4), (8, 0, 0.2), (0, 8, 0.2), (3, 0, 0.1), (0, 3, 0.1)];
/// Looks with more events than this are not looked at cluster by cluster.
pub(super) const MANY: f64 = 100.0;
/// A look with so many times the events of the history's largest is no look of clusters any more.
const BEYOND: f64 = 2.0;
/// With more clusters than this expected of a canary in a look, they overlap: there is little to gain.
const OVERLAP: f64 = 1.5;

/// Clusters in a Poisson number: some single events, the others geometric in size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClusterLaw {
    /// The mean size of a cluster.
    size: f64,
    /// Variance over mean of a count.
    dispersion: f64,
    /// The most events that a look of the history had, and the most for each that a look has on average.
    #[serde(default)]
    most: f64,
    #[serde(default)]
    times: f64,
}

impl ClusterLaw {
    /// The law that fits a history, oldest look first, whose dispersion is known and above 1. Nothing if single events may be
    /// what it is made of: then the dispersion comes from something else.
    ///
    /// Each size is tried twice: with as many single events and as large clusters as the dispersion asks for, and with
    /// geometric clusters alone, which leave the rest of the dispersion to incidents.
    pub(super) fn fit(looks: &[ArmCount], dispersion: f64) -> Option<Self> {
        let sizes = SIZES.map(|part| 1.0 + part * (0.5 * (dispersion + 1.0) - 1.0));
        let laws =
            sizes.map(|size| [2.0 * size - 1.0, dispersion].map(|dispersion| Self::new(size, dispersion)));
        let most = looks.iter().map(|look| look.events()).filter(|x| *x <= MANY).fold(0.0, f64::max);
        let tables = laws.map(|laws| laws.map(|law| law.made_of(whole(most))));
        let mut log = [[0.0; 2]; SIZES.len()];
        for (t, look) in looks.iter().enumerate() {
            if !look.is_seen() || look.events() > MANY {
                continue;
            }
            let near = |(before, after, part): (usize, usize, f64)| {
                let near = [t.saturating_sub(before)..t, t + 1..looks.len().min(t + after + 1)];
                let others = near.into_iter().filter_map(|near| looks.get(near)).flatten();
                let level = others.fold(ArmCount::default(), |sum, other| sum.plus(*other));
                level.is_seen().then(|| (part, (level.events() + 0.5) / level.exposure() * look.exposure()))
            };
            let levels: Vec<(f64, f64)> = LEVELS.into_iter().filter_map(near).collect();
            let Some((_, mean)) = levels.first() else { continue };
            let jump = JUMP * log_negative_binomial(look.events(), *mean, JUMP_FRAILTY).exp();
            let parts: f64 = levels.iter().map(|(part, _)| part).sum();
            // There are no more clusters than events.
            let events = whole(look.events());
            for ((log, size), tables) in log.iter_mut().zip(sizes).zip(&tables) {
                let mut sums = [jump; 2];
                for (part, mean) in &levels {
                    let weight = (1.0 - JUMP) * part / parts;
                    let made_of = tables.each_ref().map(|table| &table[events][..=events]);
                    let chances = probabilities(made_of, mean / size);
                    sums.iter_mut().zip(chances).for_each(|(sum, chance)| *sum += weight * chance);
                }
                log.iter_mut().zip(sums).for_each(|(log, sum)| *log += sum.max(f64::MIN_POSITIVE).ln());
            }
        }
        let (laws, log) = (laws.as_flattened(), log.as_flattened());
        let norm = log_sum_exp(log.iter().copied());
        let single = laws.iter().zip(log).filter(|(law, _)| law.size <= 1.0);
        if single.map(|(_, log)| (log - norm).exp()).sum::<f64>() > SINGLE {
            return None;
        }
        let mut below = 0.0;
        let enough = log.iter().position(|log| {
            below += (log - norm).exp();
            below >= CAUTION
        });
        let law = laws[enough.unwrap_or(0)];
        let most = looks.iter().map(|look| look.events()).fold(0.0, f64::max);
        let all = looks.iter().fold(ArmCount::default(), |all, look| all.plus(*look));
        let seen = looks.iter().map(|look| f64::from(u8::from(look.is_seen()))).sum::<f64>();
        let times = most / (all.events() / seen);
        Some(Self { most, times, ..law })
    }

    fn new(size: f64, dispersion: f64) -> Self {
        Self { size, dispersion, most: 0.0, times: 0.0 }
    }

    /// The mean size of a cluster.
    #[must_use]
    pub fn size(self) -> f64 {
        self.size
    }

    /// Whether so many events in a look, of both arms, are no more than clusters explain, where so many are expected.
    ///
    /// A law of rare large clusters takes a crash for a few of them. Dispersion alone does not.
    pub(super) fn explains(self, events: f64, expected: f64) -> bool {
        events <= BEYOND * self.most.max(self.times * expected)
    }

    /// Whether a canary of whom so many events are expected sees its clusters one by one.
    pub(super) fn tells(self, expected: f64) -> bool {
        expected <= OVERLAP * self.size
    }

    /// For each count up to `most`, the probability that so many clusters make it: `[count][clusters]`.
    fn made_of(self, most: usize) -> Vec<Vec<f64>> {
        // Of both moments: the mean size of the clusters that are not single, and how many clusters they are.
        // There are none where the mean size is 1.
        let many = self.size > 1.0;
        let large =
            if many { 0.5 * ((self.dispersion * self.size - 1.0) / (self.size - 1.0) - 1.0) } else { 2.0 };
        let part = ((self.size - 1.0) / (large - 1.0)).clamp(0.0, 1.0);
        let (more, last) = (1.0 - 1.0 / large, 1.0 / large);
        let mut table = vec![vec![0.0; most + 1]; most + 1];
        table[0][0] = 1.0;
        for clusters in 1..=most {
            // What one more cluster of geometric size makes of all smaller counts.
            let mut geometric = 0.0;
            for count in clusters..=most {
                let before = table[count - 1][clusters - 1];
                geometric = before + more * geometric;
                table[count][clusters] = (1.0 - part) * before + part * last * geometric;
            }
        }
        table
    }

    /// The likelihood of a closed look, some events but not [`MANY`], as a function of the canary's share q of the expected
    /// clusters. If n clusters came, j of them the canary's, that is C(n, j) q^j (1−q)^(n−j): the conditional binomial,
    /// of clusters. How many there were of each is summed over, with their chances of making the counts that were seen
    /// and 1/n, which is what integrating the common rate over dλ/λ leaves.
    pub(super) fn likelihood(self, look: &PairCount) -> impl Fn(f64) -> f64 + use<> {
        let (x, y) = (whole(look.canary.events()), whole(look.baseline.events()));
        let table = self.made_of(x.max(y));
        let mut weights = vec![vec![0.0; y + 1]; x + 1];
        // C(j+l, j) grows along both.
        let mut choose = vec![1.0; y + 1];
        for (j, row) in weights.iter_mut().enumerate() {
            for l in 0..=y {
                if j > 0 && l > 0 {
                    choose[l] += choose[l - 1];
                }
                #[expect(clippy::cast_precision_loss, reason = "at most 100 clusters")]
                let clusters = (j + l).max(1) as f64;
                row[l] = table[x][j] * table[y][l] * choose[l] / clusters;
            }
        }
        let exposures = look.canary.exposure() / look.baseline.exposure();
        move |eta: f64| {
            let odds = exposures * eta.exp();
            let (mine, other) = (odds / (1.0 + odds), 1.0 / (1.0 + odds));
            let horner = |sum: f64, weight: f64, at: f64| sum * at + weight;
            let row = |row: &Vec<f64>| row.iter().rev().fold(0.0, |sum, weight| horner(sum, *weight, other));
            weights.iter().rev().fold(0.0, |sum, weights| horner(sum, row(weights), mine)).ln()
        }
    }
}

/// The nearest whole number to a count from 0 to 100.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count from 0 to 100")]
fn whole(count: f64) -> usize {
    (count + 0.5) as usize
}

/// The probability of one count where so many clusters are expected, for laws by which `made_of` so many clusters make it.
fn probabilities<const N: usize>(made_of: [&[f64]; N], clusters: f64) -> [f64; N] {
    // With more clusters than doubles hold this is 0: as good as impossible.
    let mut poisson = (-clusters).exp();
    let mut sums = [0.0; N];
    for j in 0..made_of.iter().map(|made| made.len()).min().unwrap_or(0) {
        for (sum, made) in sums.iter_mut().zip(made_of) {
            *sum += made[j] * poisson;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 100 clusters")]
        let next = (j + 1) as f64;
        poisson *= clusters / next;
    }
    sums
}

#[cfg(test)]
mod tests;
