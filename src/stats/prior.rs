//! The grids of effects that the engines mix over, and the weights of their points.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::special::log_sum_exp;

/// No grid has more points.
pub(super) const MOST_POINTS: usize = 32;

/// Which effects an engine looks for, and how much it expects each.
///
/// Each is a half-normal density over positive log effects, discretised on a geometric grid. A state names its prior;
/// the numbers are computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// Ratios from 1.05 to 50, mostly near 2: for rates and ratios of rare events. 32 points.
    Ratio,
    /// Small odds ratios: for the traffic's share. 24 points.
    Share,
    /// Odds ratios of proportions that are not rare: for latency buckets. 24 points.
    Proportion,
}

impl Prior {
    /// The grid and its weights.
    #[must_use]
    pub fn grid(self) -> &'static Grid {
        static RATIO: LazyLock<Grid> =
            LazyLock::new(|| Grid::half_normal(32, 1.05_f64.ln(), 50.0_f64.ln(), 0.7));
        static SHARE: LazyLock<Grid> = LazyLock::new(|| Grid::half_normal(24, 0.02, 3.0, 0.5));
        static PROPORTION: LazyLock<Grid> = LazyLock::new(|| Grid::half_normal(24, 0.05, 3.0, 0.7));
        match self {
            Self::Ratio => &RATIO,
            Self::Share => &SHARE,
            Self::Proportion => &PROPORTION,
        }
    }
}

/// Positive log effects with the logarithms of their weights, which sum to 1.
#[derive(Debug)]
pub struct Grid {
    /// The effects, ascending.
    pub h: Vec<f64>,
    /// The logarithms of their weights.
    pub log_weight: Vec<f64>,
    /// The weights.
    pub weight: Vec<f64>,
    /// e^h.
    pub ratio: Vec<f64>,
    /// e^h − 1, so that a tick costs one logarithm a point.
    pub up: Vec<f64>,
    /// e^−h − 1.
    pub down: Vec<f64>,
}

impl Grid {
    /// `points` effects from `least` to `most`, geometric in h, with density × spacing ∝ h e^{−½(h/scale)²}.
    fn half_normal(points: u32, least: f64, most: f64, scale: f64) -> Self {
        let steps = f64::from(points - 1);
        let h: Vec<f64> = (0..points).map(|j| least * (most / least).powf(f64::from(j) / steps)).collect();
        let density = h.iter().map(|h| h.ln() - 0.5 * (h / scale).powi(2));
        let norm = log_sum_exp(density.clone());
        let log_weight: Vec<f64> = density.map(|d| d - norm).collect();
        let weight = log_weight.iter().map(|log| log.exp()).collect();
        let ratio = h.iter().map(|h| h.exp()).collect();
        let up = h.iter().map(|h| h.exp_m1()).collect();
        let down = h.iter().map(|h| (-h).exp_m1()).collect();
        Self { h, log_weight, weight, ratio, up, down }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{close, numbers, statistics};

    #[test]
    fn grids_agree_with_the_vectors() {
        let expected = statistics();
        for (prior, expected) in [Prior::Ratio, Prior::Proportion, Prior::Share]
            .into_iter()
            .zip(expected["grids"].as_array().unwrap())
        {
            let grid = prior.grid();
            assert_eq!(grid.h.len(), numbers(&expected["h"]).len());
            for (got, expected) in grid.h.iter().zip(numbers(&expected["h"])) {
                close(*got, expected, 1e-12, &prior);
            }
            for (got, expected) in grid.log_weight.iter().zip(numbers(&expected["ln_w"])) {
                close(*got, expected, 1e-12, &prior);
            }
        }
    }
}
