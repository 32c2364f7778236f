//! What a gauge's test will see, before there is a canary: the test itself, shown the past once as the baseline and once,
//! worse, as the canary.
//!
//! Both arms get the same values, so all that the test sees of the canary is the effect. That is the middle of what real
//! canaries, whose own noise is as often in their favour as against them, give: half of them are found sooner, half later.
//! Where ranks are compared, each unit of the past takes its turn as the canary, because an effect in ranks depends on
//! where the values lie.

use super::fit::GaugeFit;
use super::history::History;
use super::running::GaugeTest;

/// A fit with the past that it comes from.
#[derive(Debug, Clone)]
pub struct GaugeForecast {
    fit: GaugeFit,
    /// The units' values on the comparison's scale, tick by tick; ticks that lack a unit are left out.
    past: Vec<Vec<f64>>,
}

/// How a canary is worse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Worsening {
    /// By a ratio to the baseline, from its onset on: 1 is as good.
    Step(f64),
    /// More and more: by this part of the baseline's level an hour.
    Leak(f64),
}

/// A canary that is worse, from when on, and how long it is watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// Units of the canary.
    pub canary_units: u32,
    /// How bad it is.
    pub worse: Worsening,
    /// Looks before it begins to be.
    pub onset: u32,
    /// Looks after that, at most.
    pub most: u32,
}

impl GaugeForecast {
    /// A forecast by `fit`, which was made from `history`.
    #[must_use]
    pub fn new(fit: GaugeFit, history: &History) -> Self {
        let rows = history.rows();
        let ticks = rows.first().map_or(0, Vec::len);
        let column = |tick: usize| -> Option<Vec<f64>> {
            rows.iter().map(|row| fit.scale.place(*row.get(tick)?)).collect()
        };
        let past = (0..ticks).filter_map(column).filter(|values| !values.is_empty()).collect();
        Self { fit, past }
    }

    /// What it rests on.
    #[must_use]
    pub fn fit(&self) -> &GaugeFit {
        &self.fit
    }

    /// Looks after the onset until, typically, the evidence of harm reaches `threshold`; nothing if it does not in time.
    #[must_use]
    pub fn detection(&self, course: &Course, threshold: f64) -> Option<u32> {
        self.until(course, &[], |test| test.evidence() >= threshold)
            .and_then(|looks| looks.checked_sub(course.onset))
    }

    /// Looks until the canary is, typically, proven to be less than `within` times as bad; nothing if not in time.
    #[must_use]
    pub fn proof(&self, course: &Course, within: f64, threshold: f64) -> Option<u32> {
        self.until(course, &[within], |test| test.log_e_safe(0) >= threshold)
    }

    /// The number of looks after which `done` holds first, no earlier than the onset.
    fn until(&self, course: &Course, prove: &[f64], done: impl Fn(&GaugeTest) -> bool) -> Option<u32> {
        let mut test = GaugeTest::new(self.fit.clone(), prove);
        let turns = self.fit.compares_ranks();
        let looks = course.onset.saturating_add(course.most);
        for (look, baseline) in (0..looks).zip(self.past.iter().cycle()) {
            let effect = look.checked_sub(course.onset).map_or(0.0, |since| self.effect(course.worse, since));
            let canary = canary(baseline, course.canary_units.max(1), turns.then_some(look));
            test.look_placed(i64::from(look), canary.map(|value| value + effect).collect(), baseline.clone());
            if look >= course.onset && done(&test) {
                return Some(look + 1);
            }
        }
        None
    }
}

impl GaugeForecast {
    /// The effect so many looks after its onset, on the comparison's scale.
    fn effect(&self, worse: Worsening, since: u32) -> f64 {
        let ratio = match worse {
            Worsening::Step(ratio) => ratio,
            Worsening::Leak(an_hour) => 1.0 + an_hour * f64::from(since + 1) * self.fit.tick_seconds / 3600.0,
        };
        self.fit.scale.effect_of(ratio)
    }
}

/// The canary's values: the baseline's mean, or its units in turn.
#[expect(clippy::cast_precision_loss, reason = "an app has far fewer than 2^53 units")]
fn canary(baseline: &[f64], units: u32, turn: Option<u32>) -> impl Iterator<Item = f64> {
    let mean = baseline.iter().sum::<f64>() / baseline.len() as f64;
    (0..units).map(move |unit| match turn {
        None => mean,
        Some(turn) => baseline[(turn.wrapping_add(unit)) as usize % baseline.len()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::gauge::{Form, GaugeSettings, Worse};

    /// Four units around 100 that wander by some percent.
    fn forecast(deviation: f64, worse: Worse) -> GaugeForecast {
        let mut history = History::new(15.0);
        let mut state = [0.0_f64; 4];
        let mut seed = 1_u64;
        for tick in 0..240_u32 {
            for value in &mut state {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let uniform = f64::from(u32::try_from(seed >> 33).unwrap()) / f64::from(1_u32 << 31);
                *value = 0.8 * *value + 0.6 * deviation * 3.46 * (uniform - 0.5);
            }
            history.push(f64::from(tick) * 15.0, &state.map(|value| 100.0 * value.exp()));
        }
        let settings = GaugeSettings {
            worse,
            margin: 0.1,
            form: Form::Strict,
            horizon_seconds: 3600.0,
            canary_units: 1,
            baseline_units: 4,
        };
        GaugeForecast::new(GaugeFit::from_history(&history, settings).unwrap(), &history)
    }

    fn course(ratio: f64) -> Course {
        Course { canary_units: 1, worse: Worsening::Step(ratio), onset: 0, most: 240 }
    }

    const HARM: f64 = 4.6;
    const SAFE: f64 = 3.0;

    #[test]
    fn what_is_worse_is_found_sooner_and_what_is_within_the_margin_never() {
        for worse in [Worse::Up, Worse::Down] {
            let forecast = forecast(0.05, worse);
            let looks = |ratio: f64| forecast.detection(&course(ratio), HARM);
            assert_eq!(looks(1.0), None);
            assert_eq!(looks(1.1), None, "it is what is allowed");
            assert!(looks(1.5) > looks(2.0) || looks(2.0) == Some(3), "{:?} {:?}", looks(1.5), looks(2.0));
            assert!(looks(1.3) > looks(1.5), "{:?} {:?}", looks(1.3), looks(1.5));
        }
    }

    #[test]
    fn a_leak_is_found_once_it_is_more_than_is_allowed_and_a_faster_one_sooner() {
        let forecast = forecast(0.05, Worse::Up);
        let leak = |an_hour: f64| {
            forecast.detection(&Course { worse: Worsening::Leak(an_hour), ..course(1.0) }, HARM)
        };
        assert_eq!(leak(0.05), None, "in an hour it is half of what is allowed");
        // A tenth is reached after 12 and 3 minutes.
        let looks = [0.5, 2.0].map(|an_hour| leak(an_hour).unwrap());
        assert!(looks[0] > 48 && looks[1] > 12 && looks[1] < looks[0] / 2, "{looks:?}");
    }

    #[test]
    fn more_noise_takes_longer() {
        let looks = |deviation: f64| forecast(deviation, Worse::Up).detection(&course(1.5), HARM).unwrap();
        assert!(looks(0.02) < looks(0.15), "{} {}", looks(0.02), looks(0.15));
        let proof = |deviation: f64| forecast(deviation, Worse::Up).proof(&course(1.0), 1.5, SAFE).unwrap();
        assert!(proof(0.02) < proof(0.15), "{} {}", proof(0.02), proof(0.15));
    }

    #[test]
    fn a_late_fault_is_counted_from_its_onset_and_a_bad_canary_is_not_proven() {
        let forecast = forecast(0.05, Worse::Up);
        let late = forecast.detection(&Course { onset: 100, ..course(2.0) }, HARM).unwrap();
        assert!((1..60).contains(&late), "{late}");
        assert_eq!(forecast.proof(&course(1.6), 1.5, SAFE), None);
        assert_eq!(forecast.detection(&Course { most: 0, ..course(9.0) }, HARM), None);
    }
}
