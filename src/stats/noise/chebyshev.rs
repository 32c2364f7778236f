//! Chebyshev series: a costly smooth function is asked at a few nodes only, and known everywhere between.
//!
//! On [−`SPAN`, `SPAN`], a function that is analytic up to π off the real axis is given by `ORDER` terms to about
//! 1e−12 of its size: the error falls by a factor of 1.8 a term (Trefethen, *Approximation Theory and Approximation
//! Practice*, theorem 8.2).

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Terms, and nodes.
pub(in super::super) const ORDER: usize = 48;
/// Log ratios up to 164 either way.
pub(in super::super) const SPAN: f64 = 5.1;

/// The nodes, and for each coefficient what each node's value adds to it.
struct Table {
    node: [f64; ORDER],
    to_coefficients: Vec<[f64; ORDER]>,
}

fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        #[expect(clippy::cast_precision_loss, reason = "there are 48 nodes")]
        let angle = |node: usize| PI * (node as f64 + 0.5) / ORDER as f64;
        #[expect(clippy::cast_precision_loss, reason = "there are 48 terms")]
        let weight = |term: usize, node: usize| {
            (if term == 0 { 1.0 } else { 2.0 }) * (term as f64 * angle(node)).cos() / ORDER as f64
        };
        Table {
            node: std::array::from_fn(|node| SPAN * angle(node).cos()),
            to_coefficients: (0..ORDER).map(|term| std::array::from_fn(|node| weight(term, node))).collect(),
        }
    });
    &TABLE
}

/// The nodes.
pub(in super::super) fn nodes() -> &'static [f64; ORDER] {
    &table().node
}

/// The coefficients of the series through `function` at the nodes.
pub(super) fn fit(function: impl Fn(f64) -> f64) -> [f64; ORDER] {
    through(&nodes().map(function))
}

/// The coefficients of the series through these values at the nodes.
pub(in super::super) fn through(values: &[f64; ORDER]) -> [f64; ORDER] {
    let mut rows = table().to_coefficients.iter();
    std::array::from_fn(|_| rows.next().map_or(0.0, |row| dot(row, values)))
}

/// The series at each of `at`, which lie within the span (Clenshaw's recurrence, all in step).
pub(super) fn sum<const N: usize>(coefficients: &[f64; ORDER], at: [f64; N]) -> [f64; N] {
    let double = at.map(|at| 2.0 * at / SPAN);
    let (mut now, mut before) = ([0.0; N], [0.0; N]);
    for coefficient in coefficients.iter().skip(1).rev() {
        for lane in 0..N {
            let next = coefficient + double[lane] * now[lane] - before[lane];
            before[lane] = now[lane];
            now[lane] = next;
        }
    }
    std::array::from_fn(|lane| coefficients[0] + 0.5 * double[lane] * now[lane] - before[lane])
}

/// Each term at `at`: the series there is the product with its coefficients.
pub(in super::super) fn terms(at: f64) -> [f64; ORDER] {
    let x = at / SPAN;
    let (mut now, mut next) = (1.0, x);
    std::array::from_fn(|_| {
        let term = now;
        (now, next) = (next, 2.0 * x * next - now);
        term
    })
}

/// The product of two rows, in four sums at once.
pub(in super::super) fn dot(a: &[f64; ORDER], b: &[f64; ORDER]) -> f64 {
    let mut sums = [0.0; 4];
    for (a, b) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::close;

    #[test]
    fn a_series_gives_its_function_between_the_nodes() {
        let function = |x: f64| 1000.0 * (1.0 + x.exp()).ln();
        let coefficients = fit(function);
        let at = [-5.1, -3.3, -0.01, 0.0, 1.234, 5.1];
        for (at, got) in at.into_iter().zip(sum(&coefficients, at)) {
            close(got, function(at), 1e-11, &at);
            close(dot(&terms(at), &coefficients), function(at), 1e-11, &at);
        }
    }
}
