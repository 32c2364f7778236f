//! The laws of one count: negative binomial, and clusters of geometric size.

use super::super::special::ln_beta;
use super::{FRAILTY, PHI, pairs};

/// How many pairs the posterior's grid has.
const PAIRS: usize = PHI.len() * FRAILTY.len();
/// A relative variance below this is none.
const NO_VARIANCE: f64 = 1e-10;
/// Above this count or mean, clusters are summed by moments.
const MANY: f64 = 300.0;
/// The recursion rescales before it leaves this range, looking every so many steps.
const RANGE: f64 = 1e150;
const STEPS: u32 = 16;

/// ln P(x) of the negative binomial with mean `mean` and variance `mean` + `relative`·`mean`²; Poisson for none.
pub(super) fn log_negative_binomial(x: f64, mean: f64, relative: f64) -> f64 {
    if relative < NO_VARIANCE {
        return x * mean.ln() - mean - statrs::function::gamma::ln_gamma(x + 1.0);
    }
    let shape = 1.0 / relative;
    // ln Γ(x+r) − ln Γ(r) − ln Γ(x+1) = −ln B(x+1, r) − ln(x+r): no cancellation at large counts.
    -ln_beta(x + 1.0, shape)
        - (x + shape).ln()
        - shape * (mean * relative).ln_1p()
        - x * (shape / mean).ln_1p()
}

/// A probability as its logarithm and a factor: `part`·e^`log`. Whoever mixes it with another needs no logarithm of the part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaled {
    log: f64,
    part: f64,
}

impl Scaled {
    const ONE: Self = Self { log: 0.0, part: 1.0 };

    /// ln((1 − `weight`) P + `weight` e^`other`).
    pub(super) fn log_mixed(self, weight: f64, other: f64) -> f64 {
        let Self { log, part } = self;
        let part = (1.0 - weight) * part;
        if log.max(other) == f64::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        if log >= other {
            log + (part + weight * (other - log).exp()).ln()
        } else {
            other + (part * (log - other).exp() + weight).ln()
        }
    }
}

/// P of count `x` with mean `mean` under every pair of the posterior's grid, φ varying slowest, where `relative(φ, f)` is the
/// squared coefficient of variation beside the clusters.
pub(super) fn laws(x: f64, mean: f64, relative: impl Fn(f64, f64) -> f64) -> [Scaled; PAIRS] {
    let mut laws = [Scaled::ONE; PAIRS];
    // Without clusters, or with many: all by moments.
    let by_moments = if x > MANY || mean > MANY { PAIRS } else { FRAILTY.len() };
    for (law, (phi, frailty)) in laws.iter_mut().zip(pairs()).take(by_moments) {
        law.log = log_negative_binomial(x, mean, relative(phi, frailty) + (phi - 1.0) / mean);
    }
    if let Some(clustered) = laws.last_chunk_mut::<{ PAIRS - FRAILTY.len() }>()
        && by_moments < PAIRS
    {
        let mut pairs = pairs().skip(FRAILTY.len()).map(|(phi, frailty)| (phi, relative(phi, frailty)));
        *clustered = clusters(x, mean, std::array::from_fn(|_| pairs.next().unwrap_or((1.0, 0.0))));
    }
    laws
}

/// P(x) for counts made of clusters, for each law of (φ, relative): the number of clusters is negative binomial with
/// squared coefficient of variation `relative`, their sizes are geometric with mean (φ+1)/2, so that the variance is
/// φ·mean + relative·mean².
///
/// A negative binomial with the same moments, which is simpler, takes bursts for frailty at low counts. It serves for
/// large ones.
fn clusters<const N: usize>(x: f64, mean: f64, laws: [(f64, f64); N]) -> [Scaled; N] {
    // A i P(i) = ((i−1)(B + A more) + clusters last) P(i−1) − (i−2) more B P(i−2), in all lanes at once; P(0) enters at
    // the end. The lanes are plain arrays so that the compiler makes vectors of them.
    let (mut growth, mut first, mut second) = ([0.0; N], [0.0; N], [0.0; N]);
    let mut log = [0.0; N];
    for (lane, (phi, relative)) in laws.into_iter().enumerate() {
        // A cluster ends with probability `last` after each event; so many are expected.
        let size = f64::midpoint(phi, 1.0);
        let (last, more, clusters) = (1.0 / size, 1.0 - 1.0 / size, mean / size);
        let (a, b) = if relative < NO_VARIANCE {
            log[lane] = -clusters;
            (1.0, more)
        } else {
            let c = clusters * relative;
            log[lane] = -c.ln_1p() / relative;
            (1.0 + c, more + c)
        };
        growth[lane] = (b + more * a) / a;
        first[lane] = clusters * last / a;
        second[lane] = more * b / a;
    }
    let (mut before, mut now) = ([0.0; N], [1.0; N]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count from 0 to 300")]
    let rounded = (x + 0.5) as u32;
    for i in 1..=rounded {
        let step = f64::from(i);
        let inverse = 1.0 / step;
        let (one, two) = ((step - 1.0) * inverse, (step - 2.0) * inverse);
        for lane in 0..N {
            let next =
                (one * growth[lane] + inverse * first[lane]) * now[lane] - two * second[lane] * before[lane];
            before[lane] = now[lane];
            now[lane] = next;
        }
        if i.is_multiple_of(STEPS) {
            rescale(&mut before, &mut now, &mut log);
        }
    }
    std::array::from_fn(|lane| Scaled { log: log[lane], part: now[lane] })
}

/// Moves the magnitude of the recursion's terms into their logarithm where it leaves the range.
fn rescale<const N: usize>(before: &mut [f64; N], now: &mut [f64; N], log: &mut [f64; N]) {
    for lane in 0..N {
        if !(1.0 / RANGE..RANGE).contains(&now[lane]) {
            log[lane] += now[lane].ln();
            before[lane] /= now[lane];
            now[lane] = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::log_add_exp;
    use crate::stats::vectors::{close, noise};

    #[test]
    fn laws_agree_with_the_vectors() {
        for case in noise()["cluster_logpmf"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let (x, mean, phi, relative) = (number("x"), number("mu"), number("phi"), number("ir"));
            let got = if phi > 1.0 && x <= MANY && mean <= MANY {
                let [law] = clusters(x, mean, [(phi, relative)]);
                law.log_mixed(0.0, f64::NEG_INFINITY)
            } else {
                log_negative_binomial(x, mean, relative + (phi - 1.0) / mean)
            };
            close(got, number("value"), 1e-9, case);
        }
    }

    #[test]
    fn a_mixture_of_laws_is_the_sum_of_probabilities() {
        for (log, part, other) in
            [(-3.0, 1.0, -2.0), (-2.0, 0.5, -700.0), (-800.0, 1e140, -2.0), (5.0, 1e-9, 4.0)]
        {
            let expected = log_add_exp((-0.01_f64).ln_1p() + f64::ln(part) + log, 0.01_f64.ln() + other);
            close(Scaled { log, part }.log_mixed(0.01, other), expected, 1e-14, &(log, part, other));
        }
        let never = f64::NEG_INFINITY;
        assert!(Scaled { log: never, part: 1.0 }.log_mixed(0.01, never).total_cmp(&never).is_eq());
    }
}
