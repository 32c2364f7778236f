//! The laws of one count: negative binomial, and clusters of geometric size.

use super::super::special::ln_beta;
use super::{FRAILTY, PHI};

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

/// The probability of one count under every pair of the posterior's grid.
pub(super) struct Laws {
    log: [f64; PHI.len() * FRAILTY.len()],
}

impl Laws {
    /// Of count `x` with mean `mean`, where `relative(φ, f)` is the squared coefficient of variation beside the clusters.
    pub(super) fn new(x: f64, mean: f64, relative: impl Fn(f64, f64) -> f64) -> Self {
        let mut log = [0.0; PHI.len() * FRAILTY.len()];
        for (phi, row) in PHI.into_iter().zip(log.chunks_exact_mut(FRAILTY.len())) {
            row.copy_from_slice(&log_clusters(x, mean, phi, FRAILTY.map(|frailty| relative(phi, frailty))));
        }
        Self { log }
    }

    /// ln P of each pair, φ varying slowest.
    pub(super) fn log_probabilities(&self) -> &[f64] {
        &self.log
    }
}

/// ln P(x) for counts made of clusters: their number negative binomial with squared coefficient of variation `relative`
/// (one law for each lane), their sizes geometric with mean (φ+1)/2, so that the variance is φ·mean + relative·mean².
///
/// A negative binomial with the same moments, which is simpler, takes bursts for frailty at low counts. It serves for large ones.
fn log_clusters<const N: usize>(x: f64, mean: f64, phi: f64, relative: [f64; N]) -> [f64; N] {
    if phi <= 1.0 || x > MANY || mean > MANY {
        return relative.map(|relative| log_negative_binomial(x, mean, relative + (phi - 1.0) / mean));
    }
    let size = f64::midpoint(phi, 1.0);
    // A cluster ends with probability `last` after each event; so many are expected.
    let (last, more, clusters) = (1.0 / size, 1.0 - 1.0 / size, mean / size);
    // A i P(i) = ((i−1)(B + A more) + clusters last) P(i−1) − (i−2) more B P(i−2), in all lanes at once; P(0) enters at the end.
    let (mut coefficient, mut previous, mut scale) = ([0.0; N], [0.0; N], [1.0; N]);
    let mut log = [0.0; N];
    for lane in 0..N {
        let (a, b) = if relative[lane] < NO_VARIANCE {
            log[lane] = -clusters;
            (1.0, more)
        } else {
            let c = clusters * relative[lane];
            log[lane] = -c.ln_1p() / relative[lane];
            (1.0 + c, more + c)
        };
        scale[lane] = 1.0 / a;
        coefficient[lane] = (b + more * a) / a;
        previous[lane] = more * b / a;
    }
    let first = clusters * last;
    let (mut before, mut now) = ([0.0; N], [1.0; N]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count from 0 to 300")]
    let rounded = (x + 0.5) as u32;
    for i in 1..=rounded {
        let step = f64::from(i);
        let (inverse, back) = (1.0 / step, f64::from(i) - 2.0);
        for lane in 0..N {
            let next = ((step - 1.0) * coefficient[lane] + first * scale[lane]) * now[lane]
                - back * previous[lane] * before[lane];
            before[lane] = now[lane];
            now[lane] = next * inverse;
        }
        if i.is_multiple_of(STEPS) {
            rescale(&mut before, &mut now, &mut log);
        }
    }
    for lane in 0..N {
        log[lane] += now[lane].ln();
    }
    log
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
    use crate::stats::vectors::{close, noise};

    #[test]
    fn laws_agree_with_the_vectors() {
        for case in noise()["cluster_logpmf"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let [got] = log_clusters(number("x"), number("mu"), number("phi"), [number("ir")]);
            close(got, number("value"), 1e-9, case);
        }
    }
}
