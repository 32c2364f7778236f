//! Brent's root finder (R. P. Brent, *Algorithms for Minimization without Derivatives*, 1973, chapter 4).

/// Steps after which the search gives up and returns where it is.
const STEPS: usize = 1000;

/// A zero of `f` between `a` and `b`, found within `tolerance` (plus a few units in the last place).
///
/// Bisection guards an interpolation: inverse quadratic through three points, or linear through two. `f` should change
/// its sign between the ends. If it does not, the search creeps from the end with the smaller value as Brent's
/// procedure does, which is what Kayenta relies on. `None` as soon as `f` has no value.
pub(super) fn root(mut f: impl FnMut(f64) -> Option<f64>, a: f64, b: f64, tolerance: f64) -> Option<f64> {
    // `best` is the best guess so far, `before` the guess before it, and the zero lies between `best` and `other`.
    let (mut before, mut best) = ((a, f(a)?), (b, f(b)?));
    let mut other = before;
    if is_zero(before.1) {
        return Some(before.0);
    }
    for _ in 0..STEPS {
        let last_step = best.0 - before.0;
        if other.1.abs() < best.1.abs() {
            (before, best, other) = (best, other, best);
        }
        let least = 2.0 * f64::EPSILON * best.0.abs() + tolerance / 2.0;
        let half = (other.0 - best.0) / 2.0;
        if half.abs() <= least || is_zero(best.1) {
            break;
        }
        let mut step = half;
        if last_step.abs() >= least && before.1.abs() > best.1.abs() {
            step = interpolate(before, best, other, last_step, least).unwrap_or(half);
        }
        if step.abs() < least {
            step = if step > 0.0 { least } else { -least };
        }
        before = best;
        best.0 += step;
        best.1 = f(best.0)?;
        if (best.1 > 0.0) == (other.1 > 0.0) && best.1 != 0.0 && other.1 != 0.0 {
            other = before;
        }
    }
    Some(best.0)
}

/// The step that an interpolation proposes; `None` where it leaves the trusted part of the bracket or shrinks too
/// slowly.
fn interpolate(
    before: (f64, f64),
    best: (f64, f64),
    other: (f64, f64),
    last_step: f64,
    least: f64,
) -> Option<f64> {
    let width = other.0 - best.0;
    // The step is `up / down`; both signs are settled below.
    let (mut up, mut down);
    #[expect(clippy::float_cmp, reason = "the very same point, copied")]
    if before.0 == other.0 {
        let slope = best.1 / before.1;
        (up, down) = (width * slope, 1.0 - slope);
    } else {
        let (r, s, t) = (before.1 / other.1, best.1 / other.1, best.1 / before.1);
        up = t * (width * r * (r - s) - (best.0 - before.0) * (s - 1.0));
        down = (r - 1.0) * (s - 1.0) * (t - 1.0);
    }
    if up > 0.0 {
        down = -down;
    } else {
        up = -up;
    }
    let accepted =
        up < 0.75 * width * down - (least * down).abs() / 2.0 && up < (last_step * down / 2.0).abs();
    accepted.then(|| up / down)
}

/// Whether a value is 0 to within one unit in the last place.
fn is_zero(value: f64) -> bool {
    value.abs() <= f64::from_bits(1)
}
