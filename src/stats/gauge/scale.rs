//! On which scale values are compared.

use serde::{Deserialize, Serialize};

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// More is worse.
    Up,
    /// Less is worse.
    Down,
}

/// Turns values into numbers whose difference between two arms is the effect, positive where the canary is worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Scale {
    worse: Worse,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// The logarithm of the value plus an offset: differences are logarithms of ratios. Where the history has no zero,
    /// a zero is taken for `least` if it is taken at all.
    Log { offset: f64, least: f64 },
    /// The value itself, in units of a typical baseline value.
    Linear { unit: f64 },
}

/// Beyond this share of zeros, a ratio means little.
const MANY_ZEROS: f64 = 0.2;

/// The offset of a logarithm, as a part of the median positive value, where some values are 0.
const OFFSET: f64 = 0.01;

/// A bound on scaled values, so that sums and squares of them stay finite.
const LARGEST: f64 = 1e30;

impl Scale {
    /// The plain logarithm.
    pub(super) const fn log(worse: Worse) -> Self {
        Self { worse, form: Form::Log { offset: 0.0, least: 0.0 } }
    }

    /// The scale that fits these values of a baseline: the logarithm if all are positive, or nearly all and none is
    /// negative; otherwise their own scale. `None` if they are mostly 0: then nothing says how much is much.
    #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
    pub(super) fn fitting(values: impl Iterator<Item = f64>, worse: Worse) -> Option<Self> {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let zeros = values.iter().filter(|value| **value == 0.0).count() as f64 / values.len().max(1) as f64;
        let form = if values.iter().any(|value| *value < 0.0) || zeros > MANY_ZEROS {
            let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
            Form::Linear { unit: median(&mut sizes)? }
        } else if zeros > 0.0 {
            values.retain(|value| *value > 0.0);
            Form::Log { offset: OFFSET * median(&mut values)?, least: 0.0 }
        } else {
            Form::Log { offset: 0.0, least: OFFSET * median(&mut values)? }
        };
        let usable = match form {
            Form::Log { offset, least } => offset.is_finite() && least.is_finite(),
            Form::Linear { unit } => unit.is_normal(),
        };
        usable.then_some(Self { worse, form })
    }

    /// What differences are measured by; `None` where ratios are compared.
    pub(super) fn unit(self) -> Option<f64> {
        match self.form {
            Form::Linear { unit } => Some(unit),
            Form::Log { .. } => None,
        }
    }

    /// The mean size of these values on this scale, where differences are measured by a size and nothing is below 0: what is worse by
    /// so much is worse by so much of what there is then, so differences are taken by that. `None` elsewhere.
    #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^53 values")]
    pub(super) fn usual(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let unit = self.unit().filter(|_| values.iter().all(|value| *value >= 0.0))?;
        let mean = values.iter().map(|value| value / unit).sum::<f64>() / values.len() as f64;
        Some(mean).filter(|mean| mean.is_normal())
    }

    /// A value on this scale; `None` if it has no place there.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        let placed = match self.form {
            Form::Log { offset, .. } if value >= 0.0 => (value + offset).ln(),
            Form::Log { .. } => return None,
            Form::Linear { unit } => (value / unit).clamp(-LARGEST, LARGEST),
        };
        let signed = match self.worse {
            Worse::Up => placed,
            Worse::Down => -placed,
        };
        (value.is_finite() && signed.is_finite()).then_some(signed)
    }

    /// The value that has this place; the inverse of [`Self::place`].
    pub(super) fn value(self, placed: f64) -> f64 {
        let upwards = match self.worse {
            Worse::Up => placed,
            Worse::Down => -placed,
        };
        match self.form {
            Form::Log { offset, .. } => (upwards.exp() - offset).max(0.0),
            Form::Linear { unit } => upwards * unit,
        }
    }

    /// A value of the canary on this scale. Unlike one of the baseline, a zero and what lies below it count where less is worse: a
    /// canary that has stopped must not be taken for one that says nothing.
    pub(super) fn place_canary(self, value: f64) -> Option<f64> {
        match self.form {
            Form::Log { offset: 0.0, least } if value <= 0.0 && self.is_reversed() => self.place(least),
            Form::Log { .. } if value < 0.0 && self.is_reversed() => self.place(0.0),
            _ => self.place(value),
        }
    }

    /// The effect of being `ratio` times as bad as the baseline; what is no ratio counts as the nearest that is.
    pub(super) fn effect_of(self, ratio: f64) -> f64 {
        let ratio = if ratio.is_nan() { 1.0 } else { ratio.clamp(1.0 / LARGEST, LARGEST) };
        match self.form {
            Form::Log { .. } => ratio.ln(),
            Form::Linear { .. } => ratio - 1.0,
        }
    }

    /// The canary's value relative to the baseline's at this effect: the ratio that a person would name.
    pub(super) fn ratio(self, effect: f64) -> f64 {
        let upwards = match self.worse {
            Worse::Up => effect,
            Worse::Down => -effect,
        };
        match self.form {
            Form::Log { .. } => upwards.exp(),
            Form::Linear { .. } => 1.0 + upwards,
        }
    }

    /// How much worse the canary is at this effect: 0.2 is 20 %.
    pub(super) fn worse_by(self, effect: f64) -> f64 {
        match self.form {
            Form::Log { .. } => effect.exp_m1(),
            Form::Linear { .. } => effect,
        }
    }

    /// Whether a larger effect is a smaller ratio.
    pub(super) fn is_reversed(self) -> bool {
        self.worse == Worse::Down
    }
}

/// The median, of an even number the mean of the middle two; the slice is reordered. `None` of nothing.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, high, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let low = if even { below.iter().copied().fold(f64::NEG_INFINITY, f64::max) } else { *high };
    Some(f64::midpoint(low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting(values: &[f64]) -> Option<Scale> {
        Scale::fitting(values.iter().copied(), Worse::Up)
    }

    fn form(values: &[f64]) -> Form {
        fitting(values).unwrap().form
    }

    #[test]
    fn the_form_follows_the_history() {
        assert_eq!(form(&[1.0, 2.0, 3.0]), Form::Log { offset: 0.0, least: 0.02 });
        assert_eq!(form(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), Form::Log { offset: 0.03, least: 0.0 });
        assert_eq!(form(&[0.0, 0.0, 2.0, 4.0, 6.0]), Form::Linear { unit: 2.0 });
        assert_eq!(form(&[-1.0, 2.0, 3.0]), Form::Linear { unit: 2.0 });
        assert_eq!(fitting(&[0.0, 0.0, 0.0, 4.0]), None);
        assert_eq!(fitting(&[]), None);
        assert_eq!(fitting(&[f64::NAN]), None);
    }

    #[test]
    fn worse_is_always_a_positive_effect() {
        let down = Scale::log(Worse::Down);
        let effect = down.place(80.0).unwrap() - down.place(100.0).unwrap();
        assert!(effect > 0.0 && (down.ratio(effect) - 0.8).abs() < 1e-12);
        assert!((down.effect_of(1.25) - effect).abs() < 1e-12, "a quarter worse is four fifths of it");
    }

    #[test]
    fn a_canary_that_stopped_counts_where_less_is_worse() {
        let [up, down] =
            [Worse::Up, Worse::Down].map(|worse| Scale::fitting([3.0, 4.0, 5.0].into_iter(), worse));
        assert_eq!(up.unwrap().place_canary(0.0), None);
        assert_eq!(down.unwrap().place_canary(0.0), Some(-0.04_f64.ln()));
        assert_eq!(down.unwrap().place_canary(-500.0), Some(-0.04_f64.ln()));
        assert_eq!(down.unwrap().place(0.0), None, "of the baseline");
        assert_eq!(Scale::log(Worse::Down).place_canary(0.0), None, "nothing says what is little");
    }

    #[test]
    fn what_has_no_place_is_missing() {
        let log = Scale::log(Worse::Up);
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(log.place(value), None, "{value}");
        }
        let linear = fitting(&[-1e-300, -1e-300]).unwrap();
        assert_eq!(linear.place(1e300), Some(LARGEST));
    }

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }
}
