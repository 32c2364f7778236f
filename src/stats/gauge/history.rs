//! What a gauge did before the rollout.

/// Ticks that a history keeps at most: a day of four a minute.
const MOST_TICKS: i64 = 5760;

/// Past values of the baseline's units, tick by tick.
#[derive(Debug, Clone)]
pub struct History {
    tick_seconds: f64,
    origin: Option<f64>,
    /// Ascending by tick.
    columns: Vec<(i64, Vec<f64>)>,
}

impl History {
    /// An empty history with a tick of this many seconds, which should be the time between two looks. A length that
    /// is not above 0 counts as 15.
    #[must_use]
    pub fn new(tick_seconds: f64) -> Self {
        let tick_seconds = if tick_seconds > 0.0 && tick_seconds.is_finite() { tick_seconds } else { 15.0 };
        Self { tick_seconds, origin: None, columns: Vec::new() }
    }

    /// The length of a tick in seconds.
    #[must_use]
    pub fn tick_seconds(&self) -> f64 {
        self.tick_seconds
    }

    /// Adds the units' values at a time in seconds, one for each unit in an order that stays, `NaN` where one is
    /// missing. A time that is not later than the last by about a tick is ignored.
    pub fn push(&mut self, at: f64, values: &[f64]) {
        let Some(tick) = tick_of(at, *self.origin.get_or_insert(at), self.tick_seconds) else { return };
        if values.is_empty() || self.columns.last().is_some_and(|(last, _)| *last >= tick) {
            return;
        }
        self.columns.push((tick, values.to_vec()));
        let too_old = self.columns.iter().take_while(|(old, _)| *old <= tick - MOST_TICKS).count();
        self.columns.drain(..too_old);
    }

    /// One row for each unit, one column for each tick, `NaN` where a value is missing. Only ticks with the most
    /// usual number of units count, as nothing says which unit the others lack.
    pub(super) fn rows(&self) -> Vec<Vec<f64>> {
        let units = self.usual_units();
        let (Some((first, _)), Some((last, _))) = (self.columns.first(), self.columns.last()) else {
            return Vec::new();
        };
        let length = usize::try_from(last - first + 1).unwrap_or(0);
        let mut rows = vec![vec![f64::NAN; length]; units];
        for (tick, values) in self.columns.iter().filter(|(_, values)| values.len() == units) {
            let index = usize::try_from(tick - first).unwrap_or(0);
            for (row, value) in rows.iter_mut().zip(values) {
                row[index] = *value;
            }
        }
        rows
    }

    /// The number of units that most ticks have; of equally usual ones the largest.
    fn usual_units(&self) -> usize {
        let mut counts = std::collections::BTreeMap::<usize, usize>::new();
        for (_, values) in &self.columns {
            *counts.entry(values.len()).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(units, _)| units)
    }
}

/// The number of the tick nearest to a time; `None` if it is no sensible time.
#[expect(clippy::cast_possible_truncation, reason = "bounded before")]
pub(super) fn tick_of(at: f64, origin: f64, tick_seconds: f64) -> Option<i64> {
    let ticks = ((at - origin) / tick_seconds).round();
    (ticks.abs() < 1e15).then_some(ticks as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_by_tick_and_lack_what_was_not_there() {
        let mut history = History::new(15.0);
        for (at, values) in [
            (100.0, &[1.0, 2.0][..]),
            (114.0, &[3.0, 4.0]),
            (116.0, &[9.0, 9.0]),
            (90.0, &[9.0, 9.0]),
            (f64::NAN, &[9.0, 9.0]),
            (145.5, &[5.0, f64::NAN]),
            (160.0, &[7.0]),
        ] {
            history.push(at, values);
        }
        let text = format!("{:?}", history.rows());
        assert_eq!(text, "[[1.0, 3.0, NaN, 5.0, NaN], [2.0, 4.0, NaN, NaN, NaN]]");
    }

    #[test]
    fn a_history_is_bounded_whatever_its_clock_does() {
        let mut history = History::new(1.0);
        for at in 0..6000 {
            history.push(f64::from(at), &[1.0]);
        }
        assert_eq!(history.rows()[0].len(), 5760);
        history.push(1e14, &[1.0]);
        assert_eq!(history.rows()[0].len(), 1);
        assert!(History::new(0.0).rows().is_empty());
    }
}
