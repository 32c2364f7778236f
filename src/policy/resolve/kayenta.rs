//! What `judge: kayenta` and its keys mean, and which of the other keys mean nothing beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use super::resolver::Resolver;
use crate::policy::file::kayenta::{Judge, Metric, Outliers, Size};
use crate::policy::file::scalar::Name;
use crate::policy::file::value::{Field, Given, List};
use crate::policy::file::{self, File, MOST_NAMES, strategy};
use crate::policy::{self, Bake, Judging, Kayenta, Measure, Signal};
use crate::stats::kayenta::{Direction, Effect, Limits, Missing, Precision, Settings, Thresholds};
use crate::words::Span;

const THRESHOLDS: Thresholds = Thresholds { pass: 95.0, marginal: 75.0 };
const JUDGE_EVERY: Span = Span::minutes(5);
const OUTLIER_FACTOR: f64 = 3.0;
const QUANTILE: f64 = 0.95;
/// The group of a signal that names none.
const GROUP: &str = "all";
/// The most that group weights may miss 100 by, in percent, since they are added up.
const SLACK: f64 = 1e-6;

/// Whether Kayenta's judge is asked for.
pub(super) fn is_asked(file: &File) -> bool {
    file.judge.as_ref().is_some_and(|judge| matches!(judge.value, Ok(Judge::Kayenta)))
}

impl Resolver<'_> {
    /// Who judges. With Kayenta's judge, what gates is said by `must_have_data`.
    pub(super) fn judging(
        &mut self,
        file: &File,
        signals: &mut [Signal],
        bake: Bake,
        look_every: Span,
    ) -> Judging {
        let judge = self.or(file.judge.as_ref(), Judge::Sequential);
        let given = file.judge.as_ref().is_none_or(|judge| judge.value.is_ok());
        if judge == Judge::Kayenta {
            return Judging::Kayenta(Box::new(self.kayenta(file, signals, bake, look_every)));
        }
        let blocks = file.kayenta.as_ref().map(|block| &block.at).into_iter();
        let metrics = file.signals.value.iter().filter_map(|signal| signal.value.kayenta.as_ref());
        // Of a judge that was misread, nothing can be said.
        for at in blocks.chain(metrics.map(|block| &block.at)).filter(|_| given) {
            let help = "add `judge: kayenta` to the policy, or leave this out";
            self.error(at, "`kayenta` means nothing where another judge judges", help);
        }
        Judging::Sequential
    }

    fn kayenta(&mut self, file: &File, signals: &mut [Signal], bake: Bake, look_every: Span) -> Kayenta {
        let nothing = file::kayenta::Kayenta::default();
        let asked = file.kayenta.as_ref().map_or(&nothing, |block| &block.value);
        if let Some(at) = file.judge.as_ref().map(|judge| &judge.at).filter(|_| file.signals.value.is_empty())
        {
            let help = "add `signals: [{ use: http-errors }]`";
            self.error(at, "there is nothing for Kayenta's judge to compare", help);
        }
        self.not_side_by_side(file);
        for field in
            [&file.budget.false_rollback, &file.budget.false_promotion].into_iter().filter_map(|f| f.as_ref())
        {
            let help = "leave it out; the default `judge: sequential` keeps budgets";
            self.error(&field.at, "Kayenta's judge keeps no budget", help);
        }
        let precision =
            if self.or(asked.exact.as_ref(), false) { Precision::Exact } else { Precision::Scaled };
        let metrics = self.metrics(file, signals, precision);
        Kayenta {
            thresholds: self.thresholds(asked),
            group_weights: self.group_weights(asked, &metrics, metrics.len() == file.signals.value.len()),
            judge_every: self.judge_every(asked, bake, look_every),
            lookback: self.lookback(asked, look_every),
            signals: metrics,
        }
    }

    /// Refuses what leaves nothing to compare: the values of one version are held against those that the other has at the
    /// same time.
    fn not_side_by_side(&mut self, file: &File) {
        let alone = match &file.strategy {
            strategy::Strategy::BlueGreen(_) => Some("with `blue_green` one serves after the other"),
            strategy::Strategy::Rolling(rolling) if self.or(rolling.native.as_ref(), false) => {
                Some("a native rolling update is watched once it is over")
            }
            _ => None,
        };
        if let (Some(why), Some(judge)) = (alone, file.judge.as_ref()) {
            let message = format!("Kayenta's judge compares versions that serve side by side; {why}");
            self.error(&judge.at, message, "leave `judge` out, or write another strategy");
        }
        let watch =
            file.watch.as_ref().filter(|field| field.value.as_ref().is_ok_and(|span| *span > Span::ZERO));
        if let Some(field) = watch {
            let message = "nothing is compared in this time: Kayenta's judge needs a baseline that serves";
            self.warn(
                &field.at,
                message,
                "health checks and alerts still count in it; leave out `watch`, or `judge`",
            );
        }
    }

    fn thresholds(&mut self, asked: &file::kayenta::Kayenta) -> Thresholds {
        let score = |this: &mut Self, field: Option<&Field<_>>, default: f64| {
            field.and_then(|field| this.get(field)).map_or(default, |score: &file::kayenta::Score| score.0)
        };
        let pass = score(self, asked.pass.as_ref(), THRESHOLDS.pass);
        let marginal = score(self, asked.marginal.as_ref(), THRESHOLDS.marginal.min(pass));
        if let Some(field) = asked.marginal.as_ref().filter(|_| marginal > pass) {
            let message = format!("a score of {pass} passes, so one below {marginal} cannot fail");
            self.error(&field.at, message, format!("write at most {pass}, or raise `pass`"));
        }
        Thresholds { pass, marginal }
    }

    fn group_weights(
        &mut self,
        asked: &file::kayenta::Kayenta,
        metrics: &BTreeMap<String, policy::Metric>,
        all_read: bool,
    ) -> BTreeMap<String, f64> {
        let counted = metrics.values().filter(|metric| !metric.muted);
        let groups: BTreeSet<&str> = counted.flat_map(|metric| &metric.groups).map(String::as_str).collect();
        let mut weights = BTreeMap::new();
        for (group, field) in &asked.group_weights {
            let Some(weight) = self.get(field).map(|share| 100.0 * share.get()) else { continue };
            // Of signals that were misread, nothing can be said.
            if all_read && !groups.contains(group.as_str()) {
                let known = groups.iter().copied().collect::<Vec<_>>().join("`, `");
                let help = if known.is_empty() { String::new() } else { format!("the groups are `{known}`") };
                self.error(&field.at, format!("no signal that counts is in the group `{group}`"), help);
            }
            weights.insert(group.clone(), weight);
        }
        let Some(last) = asked.group_weights.values().last() else { return weights };
        let sum: f64 = weights.values().sum();
        let unlisted: Vec<&str> = groups.into_iter().filter(|group| !weights.contains_key(*group)).collect();
        if sum > 100.0 + SLACK {
            self.error(
                &last.at,
                format!("the weights sum up to {}%", round(sum)),
                "lower them to 100% in all",
            );
        } else if sum < 100.0 - SLACK && unlisted.is_empty() {
            let message = format!("the weights sum up to {}%, above which no score could come", round(sum));
            self.error(&last.at, message, "raise them to 100% in all");
        } else if sum >= 100.0 - SLACK && !unlisted.is_empty() {
            let message =
                format!("nothing is left for the group `{}`, so it does not count", unlisted.join("`, `"));
            self.warn(&last.at, message, "lower the weights, or mute its signals");
        }
        weights
    }

    fn judge_every(&mut self, asked: &file::kayenta::Kayenta, bake: Bake, look_every: Span) -> Span {
        let default = JUDGE_EVERY.min(bake.at_least).max(look_every);
        let every = self.span(asked.judge_every.as_ref(), default, look_every..=Span::minutes(24 * 60));
        if let Some(field) = asked.judge_every.as_ref().filter(|_| every > bake.at_most) {
            let message = format!("a step lasts {} at most, so it would never be judged", bake.at_most);
            self.error(&field.at, message, "judge more often, or bake longer");
        }
        every
    }

    fn lookback(&mut self, asked: &file::kayenta::Kayenta, look_every: Span) -> Option<Span> {
        let field = asked.lookback.as_ref()?;
        let looks = |n: u64| Span(look_every.0.saturating_mul(n));
        let within = looks(10)..=looks(policy::KAYENTA_SAMPLES as u64);
        Some(self.span(Some(field), *within.end(), within))
    }

    /// How each signal is judged, by its name.
    fn metrics(
        &mut self,
        file: &File,
        signals: &mut [Signal],
        precision: Precision,
    ) -> BTreeMap<String, policy::Metric> {
        let mut metrics = BTreeMap::new();
        for given in &file.signals.value {
            let given = &given.value;
            self.idle_keys(given);
            let name = given.name.as_ref().map(|name| &name.text);
            let name = name.or(given.r#use.as_ref().map(|r#use| &r#use.text));
            // A signal that was misread was told of before.
            let Some(signal) = signals.iter_mut().find(|signal| Some(&signal.name) == name) else { continue };
            let nothing = Metric::default();
            let asked = given.kayenta.as_ref().map_or(&nothing, |block| &block.value);
            let metric = self.metric(asked, signal, precision);
            signal.gates = metric.settings.must_have_data && !metric.muted;
            metrics.insert(signal.name.clone(), metric);
        }
        let all_muted = !metrics.is_empty() && metrics.values().all(|metric: &policy::Metric| metric.muted);
        if let Some(at) = file.judge.as_ref().map(|judge| &judge.at).filter(|_| all_muted) {
            self.error(at, "every signal is muted, so there is nothing to judge", "let one of them count");
        }
        metrics
    }

    fn metric(&mut self, asked: &Metric, signal: &Signal, precision: Precision) -> policy::Metric {
        let worse = match signal.measure {
            Measure::Gauge { worse: policy::Direction::Down, .. } => Direction::Decrease,
            _ => Direction::Increase,
        };
        let direction = self.or(asked.direction.as_ref(), worse);
        let effect = self.or(asked.effect_size.as_ref(), Effect::MeanRatio);
        let outliers = self.or(asked.outliers.as_ref(), Outliers::Keep);
        let factor = asked.outlier_factor.as_ref().and_then(|field| self.get(field)).map(|factor| factor.0);
        if let Some(field) = asked.outlier_factor.as_ref().filter(|_| outliers == Outliers::Keep) {
            self.error(&field.at, "outliers are kept", "add `outliers: remove`, or leave this out");
        }
        let whole_latency = matches!(signal.measure, Measure::Latency { over: None, .. });
        let quantile = asked.quantile.as_ref().map(|field| self.share(Some(field), QUANTILE, 1.0));
        if let Some(field) = asked.quantile.as_ref().filter(|_| !whole_latency) {
            self.error(
                &field.at,
                "`quantile` means nothing for this signal",
                "it is for `latency` without `over`",
            );
        }
        let settings = Settings {
            direction,
            missing: self.or(asked.nan_strategy.as_ref(), Missing::Remove),
            outlier_factor: (outliers == Outliers::Remove).then_some(factor.unwrap_or(OUTLIER_FACTOR)),
            critical: signal.critical,
            must_have_data: self.or(asked.must_have_data.as_ref(), true),
            effect,
            allowed: self.limits(
                asked.allowed_increase.as_ref(),
                asked.allowed_decrease.as_ref(),
                direction,
                effect,
            ),
            critical_at: self.limits(
                asked.critical_increase.as_ref(),
                asked.critical_decrease.as_ref(),
                direction,
                effect,
            ),
            precision,
            ..Settings::default()
        };
        self.idle_limits(asked, signal.critical, direction);
        policy::Metric {
            settings,
            groups: self.groups(&asked.groups),
            muted: self.or(asked.muted.as_ref(), false),
            quantile: quantile.unwrap_or(QUANTILE),
        }
    }

    fn groups(&mut self, list: &List<Field<Name>>) -> Vec<String> {
        let fields = self.list(list, MOST_NAMES);
        let mut groups: Vec<String> =
            fields.iter().filter_map(|field| self.get(field)).map(|name| name.0.clone()).collect();
        groups.sort();
        groups.dedup();
        if groups.is_empty() {
            groups.push(GROUP.to_owned());
        }
        groups
    }

    /// Sizes of effects; those that are not given let every change count.
    fn limits(
        &mut self,
        increase: Option<&Field<Size>>,
        decrease: Option<&Field<Size>>,
        direction: Direction,
        effect: Effect,
    ) -> Limits {
        let (none, most) = match effect {
            Effect::MeanRatio => (1.0, 1000.0),
            Effect::CommonLanguage => (0.5, 1.0),
        };
        let mut size = |field: Option<&Field<Size>>, within: RangeInclusive<f64>, matters: bool| {
            let Some(field) = field else { return none };
            let Some(size) = self.get(field).map(|size| size.0) else { return none };
            if matters && !within.contains(&size) {
                let help = format!("write a number from {} to {}", within.start(), within.end());
                self.error(&field.at, format!("`{size}` is out of range"), help);
            }
            size
        };
        Limits {
            increase: size(increase, none..=most, direction != Direction::Decrease),
            decrease: size(decrease, 0.0..=none, direction != Direction::Increase),
        }
    }

    /// Refuses sizes of effects that never count.
    fn idle_limits(&mut self, asked: &Metric, critical: bool, direction: Direction) {
        let against =
            |only: Direction, word: &str| (direction == only).then(|| format!("since only {word} fails"));
        let (down, up) =
            (against(Direction::Decrease, "a decrease"), against(Direction::Increase, "an increase"));
        let keys = [
            ("allowed_increase", at(&asked.allowed_increase), &down, true),
            ("allowed_decrease", at(&asked.allowed_decrease), &up, true),
            ("critical_increase", at(&asked.critical_increase), &down, critical),
            ("critical_decrease", at(&asked.critical_decrease), &up, critical),
        ];
        for (key, at, against, counts) in keys {
            match (at, against) {
                (Some(at), Some(why)) => {
                    let help = "leave it out, or write another `direction`";
                    self.error(at, format!("`{key}` means nothing, {why}"), help);
                }
                (Some(at), None) if !counts => {
                    let message = format!("`{key}` means nothing for a signal that is not critical");
                    self.error(at, message, "add `critical: true` to the signal, or leave it out");
                }
                _ => {}
            }
        }
    }

    /// Refuses a signal's keys that Kayenta's judge does not know.
    fn idle_keys(&mut self, signal: &file::Signal) {
        let size = "say what is allowed with `kayenta: { allowed_increase: 1.1 }`";
        let weight = "give it a group with `kayenta: { groups: [errors] }`, and the group a weight";
        let gates = "what must have data is said by `kayenta: { must_have_data: true }`";
        let nothing = "leave it out; Kayenta's judge has no such thing";
        let keys = [
            ("margin", at(&signal.margin), size),
            ("prove_within", at(&signal.prove_within), size),
            ("weight", at(&signal.weight), weight),
            ("gates", at(&signal.gates), gates),
            ("limit", at(&signal.limit), nothing),
            ("floor", at(&signal.floor), nothing),
            ("min_events", at(&signal.min_events), nothing),
            ("form", at(&signal.form), nothing),
        ];
        for (key, at, help) in keys {
            if let Some(at) = at {
                self.error(at, format!("`{key}` means nothing with `judge: kayenta`"), help);
            }
        }
    }
}

/// Where a field stands, if it is given.
fn at<T>(field: &Given<Field<T>>) -> Option<&Range<usize>> {
    field.as_ref().map(|field| &field.at)
}

/// A percentage to two decimals.
fn round(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}
