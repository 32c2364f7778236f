//! Looks out of bytes, and what must hold of a judge that is shown any looks at all.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::ensure;
use crate::judge::{Decision, Judge, Look, Reading, Trial, Verdict};
use crate::policy::{self, Policy};
use crate::words::{Arms, Share};

/// Every kind of signal, by the default judge.
const SEQUENTIAL: &str = "
policy: sequential
for: { apps: ['*'] }
strategy: { canary: { steps: [5%, 50%], bake: { at_least: 1m, at_most: 10m } } }
signals:
  - { name: errors, ratio: { events: e_total, total: r_total }, limit: 2%, critical: true }
  - { name: deliveries, rate: d_total }
  - { name: latency, latency: h }
  - { name: slow, latency: h, over: 300ms, limit: 20% }
  - { name: memory, gauge: 'm{app=\"{{ app }}\",version=\"{{ version }}\"}', worse: down, form: loose }
";

/// The same by Kayenta's.
const KAYENTA: &str = "
policy: kayenta
for: { apps: ['*'] }
judge: kayenta
strategy: { canary: { steps: [5%, 50%], bake: { at_least: 1m, at_most: 10m } } }
signals:
  - { name: errors, ratio: { events: e_total, total: r_total }, critical: true }
  - { name: deliveries, rate: d_total, kayenta: { direction: either, groups: [a, b] } }
  - { name: latency, latency: h, kayenta: { effect_size: cles, allowed_increase: 0.6 } }
  - { name: slow, latency: h, over: 300ms, kayenta: { outliers: remove, outlier_factor: 1.5 } }
  - { name: memory, gauge: 'm{app=\"{{ app }}\",version=\"{{ version }}\"}', worse: down, kayenta: { nan_strategy: replace } }
kayenta: { judge_every: 15s, group_weights: { a: 50% }, exact: EXACT }
";

/// The names that readings may have; the last is no signal's.
const NAMES: [&str; 6] = ["errors", "deliveries", "latency", "slow", "memory", "typo"];

/// Numbers that are awkward.
const AWKWARD: [f64; 16] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -1.0,
    -0.0,
    1e12,
    1e13,
    1e15,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    0.1,
    0.3,
    1e-9,
    1e300,
];

/// The most looks that are made of one input.
const MOST: usize = 400;

pub(super) fn sequential() -> Result<&'static Policy, String> {
    static POLICY: LazyLock<Result<Policy, String>> = LazyLock::new(|| read(SEQUENTIAL));
    POLICY.as_ref().map_err(Clone::clone)
}

pub(super) fn kayenta(exact: bool) -> Result<&'static Policy, String> {
    static SCALED: LazyLock<Result<Policy, String>> =
        LazyLock::new(|| read(&KAYENTA.replace("EXACT", "false")));
    static EXACT: LazyLock<Result<Policy, String>> =
        LazyLock::new(|| read(&KAYENTA.replace("EXACT", "true")));
    if exact { EXACT.as_ref() } else { SCALED.as_ref() }.map_err(Clone::clone)
}

fn read(text: &str) -> Result<Policy, String> {
    let reading = policy::read("inputs.yaml", text);
    reading.policy.ok_or_else(|| reading.findings.render(false))
}

/// Every verdict is sound, what is final stays, and a judge that was stored goes on to the bit.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut bytes = Bytes(bytes);
    let policy = match bytes.next() % 4 {
        0 | 1 => sequential()?,
        2 => kayenta(false)?,
        _ => kayenta(true)?,
    };
    let (history, cut, freezes) = (bytes.next() % 64, bytes.next(), bytes.next().is_multiple_of(8));
    let mut at = 0.0;
    let history: Vec<Look> = (0..history).map_while(|_| bytes.look(&mut at)).collect();
    let mut trial = Trial::new(policy, &history);
    let (mut harm, mut over) = (false, None::<Decision>);
    for index in 0..MOST {
        let Some(look) = bytes.look(&mut at) else { break };
        if index == usize::from(cut) {
            if freezes {
                trial.judge_mut().freeze_baseline();
            }
            let written = serde_json::to_string(&trial).map_err(|e| e.to_string())?;
            let again: Trial = serde_json::from_str(&written).map_err(|e| format!("{e}: {written}"))?;
            ensure(again == trial, || format!("read back otherwise: {written}"))?;
            trial = again;
        }
        let decision = trial.look(&look);
        ensure(over.is_none_or(|over| over == decision), || format!("{decision:?} after {over:?}"))?;
        over = trial.is_over().then_some(decision);
        let verdict = trial.judge().verdict();
        is_sound(&verdict, trial.judge())?;
        ensure(verdict.harm || !harm, || "harm is taken back".to_owned())?;
        harm = verdict.harm;
    }
    Ok(())
}

fn is_sound(verdict: &Verdict, judge: &Judge) -> Result<(), String> {
    let signals = verdict.signals.values().flat_map(|s| {
        let told = s.effect.iter().flatten().copied().chain(s.wait);
        told.chain(s.seen).chain([
            s.log_e_harm,
            s.log_e_safe,
            s.harm_threshold,
            s.safe_threshold,
            s.within,
            s.allowed,
        ])
    });
    let numbers = signals.chain([verdict.at, verdict.log_e_harm, verdict.harm_threshold]).all(f64::is_finite);
    ensure(numbers, || format!("a number that is none: {verdict:?}"))?;
    let [low, high] = verdict.score;
    ensure((0.0..=high).contains(&low) && high <= 100.0, || format!("a score of {low} to {high}"))?;
    ensure(!(verdict.harm && verdict.safe), || "both harmful and safe".to_owned())?;
    ensure((verdict.harm, verdict.safe) == (judge.harm(), judge.safe()), || "two answers".to_owned())?;
    let words = verdict.signals.values().map(|signal| &signal.why).chain([&verdict.why]);
    ensure(words.clone().all(|why| is_told(why)), || {
        format!("no words for a person: {:?}", words.collect::<Vec<_>>())
    })
}

/// Whether a reason is one: words, and no number that is none.
pub(super) fn is_told(why: &str) -> bool {
    !why.is_empty() && !why.contains("NaN") && !why.contains("inf ")
}

/// What is left of the bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next byte; 0 after the last.
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> f64 {
        match self.next() {
            small @ 0..=199 => f64::from(small),
            large @ 200..=219 => f64::from(large) * 1e9 + f64::from(self.next()),
            index @ 220..=235 => AWKWARD[usize::from(index - 220)],
            236..=250 => f64::from(self.next()) / 64.0,
            _ => f64::from_le_bytes(std::array::from_fn(|_| self.next())),
        }
    }

    fn reading(&mut self) -> Option<Reading> {
        let kind = self.next();
        match kind % 4 {
            0 => None,
            1 => Some(Reading::Counts { events: self.number(), total: self.number() }),
            2 => Some(Reading::Values((0..kind / 4 % 5).map(|_| self.number()).collect())),
            _ => {
                let bounds = kind / 4 % 6;
                let le = (0..bounds).map(|_| self.number()).collect();
                let counts = (0..bounds).map(|_| self.number()).collect();
                Some(Reading::Histogram { le, counts, total: self.number() })
            }
        }
    }

    /// The next look, some time after the one before; nothing after the last byte.
    fn look(&mut self, at: &mut f64) -> Option<Look> {
        if self.0.is_empty() {
            return None;
        }
        let step = match self.next() {
            0..=199 => 15.0,
            seconds @ 200..=239 => f64::from(seconds) - 220.0,
            _ => self.number(),
        };
        let when = *at + step;
        if when.is_finite() {
            *at = when;
        }
        let share = match self.next() {
            255 => None,
            part => Share::new(f64::from(part) / 254.0),
        };
        let mut signals = BTreeMap::new();
        for _ in 0..self.next() % 4 {
            let name = NAMES[usize::from(self.next()) % NAMES.len()];
            signals.insert(name.to_owned(), Arms { baseline: self.reading(), canary: self.reading() });
        }
        Some(Look { at: when, share, signals })
    }
}
