//! The noise of a gauge: what two units that serve the same version differ by, as a Gaussian process.
//!
//! A series of differences is a persistent offset, an AR(1) process and white noise, with one common variance. Its
//! autocorrelation, white share and offset share are fitted on a grid by maximum likelihood; the variance has a
//! closed form at each grid point. A Kalman filter makes the likelihood exact with gaps.

use serde::{Deserialize, Serialize};

/// AR(1) coefficients per tick that are tried.
pub(super) const PHI: [f64; 12] = [0.0, 0.3, 0.5, 0.65, 0.77, 0.85, 0.9, 0.94, 0.965, 0.98, 0.99, 0.995];
/// White shares of the stationary variance that are tried.
pub(super) const WHITE: [f64; 6] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9];
/// Variances of the persistent offset, relative to the stationary variance, that are tried for several units.
pub(super) const OFFSET: [f64; 5] = [0.0, 0.25, 1.0, 3.0, 10.0];
/// The same for a single series, whose offset cannot be told from its level.
pub(super) const NO_OFFSET: [f64; 1] = [0.0];
/// Horizons in ticks at which the worst plausible model is sought.
const HORIZONS: [usize; 3] = [4, 20, 240];

/// One noise model of the difference between the arms: variances, and the AR(1) coefficient per tick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Noise {
    pub phi: f64,
    pub ar: f64,
    pub white: f64,
    pub offset: f64,
}

impl Noise {
    /// No noise at all.
    pub(super) const NONE: Self = Self { phi: 0.0, ar: 0.0, white: 0.0, offset: 0.0 };

    /// The same shape with all variances multiplied.
    pub(super) fn inflated(self, factor: f64) -> Self {
        Self { ar: self.ar * factor, white: self.white * factor, offset: self.offset * factor, ..self }
    }

    /// Variance of the mean over so many ticks, but for the offset; never more than that of a single one.
    #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
    pub(super) fn mean_variance(self, ticks: usize) -> f64 {
        let long_run = (1.0 + self.phi) / (1.0 - self.phi) * self.ar;
        let ticks = ticks.max(1) as f64;
        (long_run / ticks).min(self.ar) + self.white / ticks
    }

    /// Standard deviation of the mean over an hour of ticks.
    pub(super) fn level_sd(self) -> f64 {
        let long_run = (1.0 + self.phi) / (1.0 - self.phi) * self.ar + self.white;
        (long_run / 240.0 + self.offset).sqrt()
    }
}

/// The profile likelihood on the grid, index (phi, white, offset) with the last running fastest.
pub(super) struct Likelihood<'a> {
    log: Vec<f64>,
    variance: Vec<f64>,
    offsets: &'a [f64],
    /// Effective number of samples.
    samples: f64,
}

impl<'a> Likelihood<'a> {
    /// The likelihood of series of differences (`NaN` = missing). `weight` is the share of the degrees of freedom
    /// that taking the differences to a mean has left.
    #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
    pub(super) fn of(series: &[Vec<f64>], weight: f64, offsets: &'a [f64]) -> Self {
        let n = series.iter().flatten().filter(|value| !value.is_nan()).count() as f64;
        let (mut log, mut variance) = (Vec::new(), Vec::new());
        for phi in PHI {
            for white in WHITE {
                // Without autocorrelation, all of it is white already.
                if n == 0.0 || (phi == 0.0 && white > 0.0) {
                    log.extend(offsets.iter().map(|_| IMPOSSIBLE));
                    variance.extend(offsets.iter().map(|_| 0.0));
                    continue;
                }
                let sums: Vec<Sums> = series.iter().map(|one| Sums::of(one, phi, white)).collect();
                for rho in offsets {
                    let squares: f64 = sums.iter().map(|sum| sum.squares(*rho)).sum();
                    let log_determinant: f64 = sums.iter().map(|sum| sum.log_determinant(*rho)).sum();
                    let s2 = squares.max(1e-300) / n;
                    variance.push(s2);
                    log.push(-0.5 * weight * (n * s2.ln() + log_determinant + n));
                }
            }
        }
        Self { log, variance, offsets, samples: weight * n }
    }

    /// The maximum-likelihood model of the difference between the arms and, if `allowance` (nats) is above 0, for
    /// each horizon the model within that allowance whose level is the most uncertain: how bad the noise may be
    /// without contradicting the history. `share` is the variance of the difference relative to one unit's, `floor`
    /// the least standard deviation of a unit.
    pub(super) fn models(&self, allowance: f64, share: f64, floor: f64) -> Vec<Noise> {
        let best = self.best();
        let at_least = floor * floor;
        let mut models = vec![self.noise(best, self.variance[best].max(at_least), share)];
        if allowance > 0.0 {
            models.extend(level_information().map(|information| {
                let worst = self.worst(best, allowance, at_least, &information);
                self.noise(worst.0, worst.1, share)
            }));
        }
        models
    }

    fn best(&self) -> usize {
        let mut best = 0;
        for (index, log) in self.log.iter().enumerate() {
            if *log > self.log[best] {
                best = index;
            }
        }
        best
    }

    /// The grid point and unit variance within the allowance that give the largest variance of the level.
    fn worst(&self, best: usize, allowance: f64, at_least: f64, information: &[f64]) -> (usize, f64) {
        let mut worst = (best, self.variance[best].max(at_least));
        let mut largest = -1.0;
        for (index, log) in self.log.iter().enumerate() {
            let drop = self.log[best] - log;
            if drop > allowance {
                continue;
            }
            let upper = variance_ratio(2.0 * (allowance - drop) / self.samples);
            let s2 = (self.variance[index] * upper).max(at_least);
            let rho = self.offsets[index % self.offsets.len()];
            let level = s2 * (1.0 / information[index / self.offsets.len()] + rho);
            if level > largest {
                largest = level;
                worst = (index, s2);
            }
        }
        worst
    }

    fn noise(&self, index: usize, s2: f64, share: f64) -> Noise {
        let (rho, pair) = (self.offsets[index % self.offsets.len()], index / self.offsets.len());
        let (phi, white) = (PHI[pair / WHITE.len()], WHITE[pair % WHITE.len()]);
        let variance = s2 * share;
        Noise { phi, ar: (1.0 - white) * variance, white: white * variance, offset: rho * variance }
    }
}

/// A log likelihood that no data have.
const IMPOSSIBLE: f64 = -1e300;

/// What a Kalman filter of one series under unit stationary variance leaves: weighted squares, the log determinant,
/// and the information and score of its mean.
struct Sums {
    squares: f64,
    log_determinant: f64,
    information: f64,
    score: f64,
}

impl Sums {
    fn of(series: &[f64], phi: f64, white: f64) -> Self {
        let stationary = 1.0 - white;
        // The expected AR part given the past, its weight on the mean, and its variance.
        let (mut expected, mut weight, mut variance) = (0.0, 0.0, stationary);
        let mut sums = Self { squares: 0.0, log_determinant: 0.0, information: 0.0, score: 0.0 };
        let mut decay = None;
        for value in series {
            if let Some(factor) = decay {
                expected *= factor;
                weight *= factor;
                variance = factor * factor * variance + stationary * (1.0 - factor * factor);
            }
            if value.is_nan() {
                // Two decays in a row are the decay over both ticks.
                continue;
            }
            decay = Some(phi);
            let total = variance + white;
            let (error, level) = (value - expected, 1.0 - weight);
            let gain = variance / total;
            expected += gain * error;
            weight += gain * level;
            variance *= 1.0 - gain;
            sums.squares += error * error / total;
            sums.log_determinant += total.ln();
            sums.information += level * level / total;
            sums.score += level * error / total;
        }
        sums
    }

    /// Weighted squares when the series has a persistent offset of relative variance `rho`.
    fn squares(&self, rho: f64) -> f64 {
        self.squares - self.score * self.score * rho / (1.0 + rho * self.information)
    }

    fn log_determinant(&self, rho: f64) -> f64 {
        self.log_determinant + (1.0 + rho * self.information).ln()
    }
}

/// For each horizon, the information about the level in that many samples of unit variance, for each (phi, white).
fn level_information() -> impl Iterator<Item = Vec<f64>> {
    HORIZONS.into_iter().map(|horizon| {
        let zeros = vec![0.0; horizon];
        let shapes = PHI.iter().flat_map(|phi| WHITE.iter().map(move |white| (*phi, *white)));
        shapes.map(|(phi, white)| Sums::of(&zeros, phi, white).information).collect()
    })
}

/// The r ≥ 1 with ln r + 1/r − 1 = `drop`: how much larger than its estimate a variance may be before the profile
/// likelihood has dropped by so much (in halves of a nat a sample). At most 50.
pub(super) fn variance_ratio(drop: f64) -> f64 {
    let (mut low, mut high) = (1.0_f64, 50.0_f64);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if middle.ln() + 1.0 / middle - 1.0 > drop {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, rows};

    #[test]
    fn the_upper_limit_of_a_variance_agrees() {
        for case in rows(&super::super::tests::vectors()["scalars"]["scale_ratio"]) {
            close(variance_ratio(case[0]), case[1], 1e-10, &case);
        }
    }

    #[test]
    fn the_information_about_a_level_agrees() {
        let scalars = &super::super::tests::vectors()["scalars"];
        for case in rows(&scalars["level_info_phi_om_n"]) {
            let length: usize = serde_json::from_str(&case[2].to_string()).unwrap();
            close(Sums::of(&vec![0.0; length], case[0], case[1]).information, case[3], 1e-10, &case);
        }
        let table = scalars["info_table_rows_4_20_240"].as_array().unwrap();
        for (got, expected) in level_information().zip(table) {
            for (got, expected) in got.iter().zip(numbers(expected)) {
                close(*got, expected, 1e-10, &"table");
            }
        }
    }
}
