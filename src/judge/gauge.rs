//! The evidence of a gauge: values of each unit, judged by noise that was learnt from the baseline's past.
//!
//! Without a past that is long enough nothing is rolled back for a gauge: what it looks like is told, and if the baseline has
//! several units, their first looks of the rollout serve as the past of what follows.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::counts::{INTERVAL_ERROR, UNKNOWN};
use super::explain::{About, amount, times};
use super::frozen::After;
use super::level::{self, Level};
use super::look::Reading;
use super::noise::Noise;
use super::refusal::Problem;
use crate::policy::{Direction, GaugeForm};
use crate::stats::gauge::{AdvisoryTest, Form, GaugeFit, GaugeSettings, GaugeTest, History, NoFit, Worse};
use crate::words::Arms;

/// The most looks of history that are kept, the newest: a day of four a minute.
const HISTORY: usize = 5760;

/// After so many looks of the rollout the baseline's units are a gauge's past of their own,
pub const GAUGE_LOOKS: u32 = 80;

/// if they are at least so many.
pub const GAUGE_UNITS: usize = 3;

/// What the policy asks of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) margin: f64,
    pub(super) worse: Direction,
    pub(super) form: GaugeForm,
    /// Values up to this are taken for it, in both arms: how little of it there is harms nobody.
    #[serde(default)]
    pub(super) floor: Option<f64>,
    /// The longest that the rollout may be analysed, in seconds.
    pub(super) horizon: f64,
    /// Seconds between looks.
    pub(super) look_every: f64,
}

impl Asked {
    /// The values of a reading that was checked, none below the floor. A canary that is not worse by more than the margin is
    /// none after that either, so it is only another value that is compared.
    pub(super) fn values<'a>(&self, reading: Option<&'a Reading>) -> Cow<'a, [f64]> {
        let Some(Reading::Values(values)) = reading else { return Cow::Borrowed(&[]) };
        self.floor
            .map_or(Cow::Borrowed(values), |floor| values.iter().map(|value| value.max(floor)).collect())
    }

    /// The same for a test that begins with so many units in each arm.
    pub(super) fn settings(&self, canary: usize, baseline: usize) -> GaugeSettings {
        let units = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        GaugeSettings {
            worse: worse(self.worse),
            margin: self.margin,
            form: match self.form {
                GaugeForm::Strict => Form::Strict,
                GaugeForm::Loose => Form::Loose,
            },
            horizon_seconds: self.horizon,
            canary_units: units(canary),
            baseline_units: units(baseline),
        }
    }
}

/// The state of one gauge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Gauge {
    asked: Asked,
    /// What must be proven, each once, ascending.
    bounds: Vec<f64>,
    /// The baseline's past, until it has been made use of.
    past: VecDeque<(f64, Vec<f64>)>,
    state: State,
    after: After,
    /// What the canary is held against once it has all traffic; nothing where too little is known of the baseline.
    level: Option<Box<Level>>,
    frozen: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// No look yet in which both arms were seen.
    Waiting,
    /// The noise is known.
    Tested(Box<GaugeTest>),
    /// It is not.
    Advisory {
        test: Box<AdvisoryTest>,
        /// Why.
        why: String,
        /// The past is mostly zero.
        #[serde(default)]
        zero: bool,
        /// Looks so far.
        looks: u32,
        /// Units of the baseline.
        #[serde(default)]
        units: usize,
    },
}

/// That a reading holds values that make sense.
pub(super) fn check(reading: &Reading) -> Result<(), Problem> {
    let Reading::Values(values) = reading else {
        return Err(Problem::Kind { needs: "an array of values, one for each unit".to_owned() });
    };
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Problem::NotFinite { value: value.to_string() }),
        None => Ok(()),
    }
}

impl Gauge {
    pub(super) fn new(asked: Asked, rungs: &[f64], after: After) -> Self {
        let mut bounds = rungs.to_vec();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Self {
            asked,
            bounds,
            past: VecDeque::new(),
            state: State::Waiting,
            after,
            level: None,
            frozen: false,
        }
    }

    pub(super) fn learn(&mut self, at: f64, baseline: &Reading) {
        if at.is_finite() {
            self.remember(at, &self.asked.values(Some(baseline)));
        }
    }

    fn remember(&mut self, at: f64, values: &[f64]) {
        if self.past.len() >= HISTORY {
            self.past.pop_front();
        }
        self.past.push_back((at, values.to_vec()));
    }

    pub(super) fn take(&mut self, at: f64, arms: Arms<Option<&Reading>>) {
        let asked = self.asked;
        let (canary, baseline) = (&*asked.values(arms.canary), &*asked.values(arms.baseline));
        if self.frozen {
            // Units of the baseline that are kept warm have nothing to do.
            if let Some(level) = &mut self.level {
                level.take(at, canary);
            }
            return;
        }
        if let Some(level) = &mut self.level {
            level.note(baseline);
        }
        if canary.is_empty() || baseline.is_empty() {
            return;
        }
        if matches!(self.state, State::Waiting) {
            self.state = self.begin(canary.len(), baseline.len());
        }
        let looks = match &mut self.state {
            State::Tested(test) => {
                test.look(at, canary, baseline);
                return;
            }
            State::Advisory { test, looks, units, .. } => {
                test.look(at, canary, baseline);
                *units = baseline.len();
                *looks = looks.saturating_add(1);
                *looks
            }
            State::Waiting => return,
        };
        if looks <= GAUGE_LOOKS {
            self.remember(at, baseline);
        }
        if looks == GAUGE_LOOKS {
            self.find_level();
            if baseline.len() >= GAUGE_UNITS {
                match (self.fit(canary.len(), baseline.len()), &mut self.state) {
                    (Ok(test), state) => *state = State::Tested(test),
                    (Err(still), State::Advisory { why, zero, .. }) => {
                        (*why, *zero) = (still.to_string(), still == NoFit::MostlyZero);
                    }
                    (Err(_), _) => {}
                }
            }
        }
    }

    /// The rollout begins: the past is made use of, or let go.
    fn begin(&mut self, canary: usize, baseline: usize) -> State {
        self.find_level();
        let state = match self.fit(canary, baseline) {
            Ok(test) => State::Tested(test),
            Err(why) => {
                let worse = worse(self.asked.worse);
                let test = Box::new(AdvisoryTest::new(worse, self.asked.margin, self.asked.look_every));
                let zero = why == NoFit::MostlyZero;
                State::Advisory { test, why: why.to_string(), zero, looks: 0, units: baseline }
            }
        };
        self.past = VecDeque::new();
        state
    }

    fn fit(&mut self, canary: usize, baseline: usize) -> Result<Box<GaugeTest>, NoFit> {
        let mut history = History::new(self.asked.look_every);
        for (at, values) in &self.past {
            history.push(*at, values);
        }
        let fit = GaugeFit::from_history(&history, self.asked.settings(canary, baseline))?;
        self.past = VecDeque::new();
        Ok(Box::new(GaugeTest::new(fit, &self.bounds)))
    }

    /// Makes of the past what a canary that is alone will be held against, unless it is known already.
    fn find_level(&mut self) {
        if self.level.is_some() {
            return;
        }
        let mut history = History::new(self.asked.look_every);
        for (at, values) in &self.past {
            if let Some(mean) = level::mean(values) {
                history.push(*at, &[mean]);
            }
        }
        let apart = level::apart(self.past.iter().map(|(_, values)| &values[..]));
        let settings = GaugeSettings { horizon_seconds: self.after.horizon(), ..self.asked.settings(1, 1) };
        self.level = Level::of(&history, apart, settings, (self.asked.worse, &self.bounds)).map(Box::new);
    }

    pub(super) fn freeze_baseline(&mut self) {
        self.find_level();
        self.past = VecDeque::new();
        self.frozen = true;
    }

    /// What the canary is held against after 100 %; nothing before, and where too little is known.
    pub(super) fn level(&self) -> Option<&Level> {
        self.level.as_deref().filter(|_| self.frozen)
    }

    /// What it is judged by now; nothing while nothing judges it.
    fn test(&self) -> Option<&GaugeTest> {
        match (&self.state, self.level()) {
            (_, Some(level)) => Some(level.test()),
            (State::Tested(test), None) => Some(test),
            _ => None,
        }
    }

    /// ln of the evidence of harm, for people and for its threshold; no evidence of any effect is told as 0.
    pub(super) fn log_e_harm(&self) -> f64 {
        let some = |test: &GaugeTest| Some(test.evidence()).filter(|evidence| *evidence > NOTHING);
        let compared = match &self.state {
            State::Tested(test) => some(test),
            _ => None,
        };
        let after = self.level().and_then(|level| some(level.test()));
        if compared.is_none() && after.is_none() {
            return 0.0;
        }
        self.after.either(compared.unwrap_or(0.0), after)
    }

    /// Whether that speaks against "no worse at all", as the loose form asks, rather than against the margin.
    pub(super) fn is_loose_harm(&self) -> bool {
        self.test().is_some_and(GaugeTest::peak_is_loose)
    }

    pub(super) fn log_e_safe(&self, within: f64) -> f64 {
        let index = self.bounds.iter().position(|bound| *bound >= within);
        if self.frozen && self.after.proves() {
            let proven = self.level().zip(index).map(|(level, index)| level.test().log_e_safe(index));
            return proven.unwrap_or(0.0);
        }
        match (&self.state, index) {
            (State::Tested(test), Some(index)) => test.log_e_safe(index),
            _ => 0.0,
        }
    }

    pub(super) fn effect(&self) -> [Option<f64>; 3] {
        let ends = |test: &GaugeTest| {
            let interval = test.effect(INTERVAL_ERROR);
            [interval.lower, interval.estimate, interval.upper]
        };
        if self.frozen {
            return self.level().map_or([None; 3], |level| ends(level.test()));
        }
        match &self.state {
            State::Tested(test) => ends(test),
            State::Advisory { test, .. } => [None, test.ratio().filter(|ratio| ratio.is_finite()), None],
            State::Waiting => [None; 3],
        }
    }

    /// Why there can be no evidence; nothing: there can.
    pub(super) fn blind(&self) -> Option<String> {
        if self.frozen {
            return self.level.is_none().then(|| UNKNOWN.to_owned());
        }
        let State::Advisory { test, why, zero, looks, units } = &self.state else { return None };
        let then = if *zero && self.asked.worse == Direction::Up {
            "; a `floor` would tell how little of it harms nobody".to_owned()
        } else if *zero {
            "; what is zero cannot get less".to_owned()
        } else if *looks < GAUGE_LOOKS && *units >= GAUGE_UNITS {
            format!(
                "; after {GAUGE_LOOKS} looks at both versions, {looks} so far, the baseline's units tell it"
            )
        } else if *units >= GAUGE_UNITS {
            String::new()
        } else {
            format!(
                "; fewer than {GAUGE_UNITS} units of the baseline do not tell it either, so it needs a past"
            )
        };
        let seen = test.ratio().filter(|ratio| ratio.is_finite());
        let seen =
            seen.map_or_else(String::new, |ratio| format!("; so far {} times the baseline's", times(ratio)));
        Some(format!("no verdict, since the noise is not known: {why}{then}{seen}"))
    }

    pub(super) fn about(&self) -> About {
        match self.asked.worse {
            Direction::Up => About::Level,
            Direction::Down => About::Falling,
        }
    }

    /// The noise that it is judged by; nothing while there is none.
    pub(super) fn noise(&self) -> Option<Noise> {
        let State::Tested(test) = &self.state else { return None };
        Some(Noise::Gauge(test.fit().summary()))
    }

    /// What else its numbers need to be understood, in words: what they are measured by, and a ramp that is clearly there.
    pub(super) fn note(&self) -> Option<String> {
        let test = self.test();
        let floor = self.asked.floor.map(|floor| format!("up to {} counts as that much", amount(floor)));
        let unit = test.and_then(|test| test.fit().usual_size()).map(|size| {
            format!(
                "some values are not above 0, so differences are measured by their usual size, {}",
                amount(size)
            )
        });
        let ramp =
            test.and_then(|test| test.leak(1.0 + self.asked.margin)).filter(|leak| leak.per_hour > 0.0);
        let ramp = ramp.map(|leak| match 100.0 * leak.per_hour {
            most if most > 100.0 => "it gets worse by more than 100% an hour".to_owned(),
            percent => format!("it gets worse by {percent:.0}% an hour"),
        });
        let notes: Vec<String> = floor.into_iter().chain(unit).chain(ramp).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// Evidence below this says that there is none of any effect.
const NOTHING: f64 = -1e5;

fn worse(direction: Direction) -> Worse {
    match direction {
        Direction::Up => Worse::Up,
        Direction::Down => Worse::Down,
    }
}
