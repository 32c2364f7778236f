//! From a file's values to what they mean together: fills in the defaults and refuses what cannot be.

mod kayenta;
mod resolver;
mod signal;
mod strategy;

use super::diagnostic::Diagnostics;
use super::file::choice::HoldThen;
use super::file::scalar::Text;
use super::file::value::{At, Field, List};
use super::file::{self, File, For, MOST_NAMES, MOST_RULES};
use super::{Actions, AlertRule, Autoscale, Budget, HealthCheck, Hold, Policy, Selector, SmokeCheck};
use crate::words::{Share, Span};
use resolver::Resolver;

const LOOK_EVERY: Span = Span::seconds(15);
const WARM_UP: Span = Span::seconds(60);
const LONGEST_BAKE: Span = Span::minutes(30 * 24 * 60);
const FALSE_ROLLBACK: f64 = 0.01;
const FALSE_PROMOTION: f64 = 0.05;

/// The policy that a file means; of no use where errors were found.
pub(super) fn resolve(file: &File, text: &str, findings: &mut Diagnostics) -> Policy {
    let mut resolver = Resolver { text, findings };
    let look_every =
        resolver.span(file.look_every.as_ref(), LOOK_EVERY, Span::seconds(1)..=Span::minutes(10));
    let warm_up = resolver.span(file.warm_up.as_ref(), WARM_UP, Span::ZERO..=Span::minutes(60));
    let strategy = resolver.strategy(file, look_every, warm_up);
    let mut signals = resolver.signals(file);
    let judge = resolver.judging(file, &mut signals, strategy.bake(), look_every);
    Policy {
        name: resolver.get(&file.policy).map_or_else(String::new, |name| name.0.clone()),
        applies: resolver.applies(&file.r#for),
        mode: resolver.or(file.mode.as_ref(), super::Mode::Act),
        workers: resolver.workers(file, strategy.process()),
        autoscale: resolver.or(file.autoscale.as_ref(), Autoscale::Refuse),
        smoke: resolver.list(&file.smoke, MOST_RULES).iter().map(|smoke| resolver.smoke(smoke)).collect(),
        watch: resolver.span(file.watch.as_ref(), Span::ZERO, Span::ZERO..=LONGEST_BAKE),
        keep_for: resolver.span(file.keep_for.as_ref(), Span::ZERO, Span::ZERO..=LONGEST_BAKE),
        quarantine: resolver.or(file.quarantine.as_ref(), false),
        strategy,
        judge,
        budget: resolver.budget(&file.budget),
        look_every,
        warm_up,
        signals,
        health: resolver
            .list(&file.health, MOST_RULES)
            .iter()
            .map(|health| resolver.health(health))
            .collect(),
        alerts: resolver.alerts(&file.alerts),
        on: resolver.actions(&file.on, look_every),
        notify: resolver
            .list(&file.notify, MOST_NAMES)
            .iter()
            .filter_map(|name| resolver.get(name))
            .map(|name| name.0.clone())
            .collect(),
    }
}

impl Resolver<'_> {
    fn applies(&mut self, applies: &At<For>) -> Selector {
        let For { apps, pools, teams } = &applies.value;
        let mut texts = |list: &List<Field<Text>>| -> Vec<String> {
            let fields = self.list(list, MOST_NAMES);
            fields.iter().filter_map(|field| self.get(field)).map(|text| text.0.clone()).collect()
        };
        let selector = Selector { apps: texts(apps), pools: texts(pools), teams: texts(teams) };
        if [apps, pools, teams].iter().all(|list| list.value.is_empty()) {
            let help = "name apps, pools or teams; every app is `apps: [\"*\"]`";
            self.error(&applies.at, "this selects no app", help);
        }
        selector
    }

    fn budget(&mut self, budget: &file::Budget) -> Budget {
        let mut part = |field: Option<&Field<Share>>, default: f64| {
            let value = self.share(field, default, 0.5);
            if let Some(field) = field.filter(|_| value < 1e-4) {
                let help = "evidence for it takes long to gather; `0.1%` is already strict";
                self.warn(&field.at, "this budget is tiny", help);
            }
            if let Some(field) = field.filter(|_| value > 0.1) {
                let help = "`1%` to `5%` is usual";
                self.warn(&field.at, "this is wrong more than once in ten times", help);
            }
            Share::new(value).unwrap_or(Share::NONE)
        };
        Budget {
            false_rollback: part(budget.false_rollback.as_ref(), FALSE_ROLLBACK),
            false_promotion: part(budget.false_promotion.as_ref(), FALSE_PROMOTION),
        }
    }

    fn health(&mut self, health: &file::Health) -> HealthCheck {
        let second = Span::seconds(1);
        let every = self.span(health.every.as_ref(), Span::seconds(5), second..=Span::minutes(10));
        let timeout =
            self.span(health.timeout.as_ref(), Span::seconds(2).min(every), Span(1)..=Span::minutes(10));
        if let Some(field) = health.timeout.as_ref().filter(|_| timeout > every) {
            let message = format!("an answer may take {timeout}, but the next check comes after {every}");
            self.error(&field.at, message, "shorten `timeout`, or lengthen `every`");
        }
        HealthCheck {
            path: self.get(&health.http).map_or_else(String::new, |path| path.0.clone()),
            port: health.port.as_ref().and_then(|port| self.get(port)).map(|port| port.0),
            every,
            timeout,
            fail_after: health.fail_after.as_ref().and_then(|n| self.get(n)).map_or(3, |count| count.0),
        }
    }

    fn smoke(&mut self, smoke: &file::Smoke) -> SmokeCheck {
        SmokeCheck {
            path: self.get(&smoke.http).map_or_else(String::new, |path| path.0.clone()),
            port: smoke.port.as_ref().and_then(|port| self.get(port)).map(|port| port.0),
            status: smoke.status.as_ref().and_then(|status| self.get(status)).map(|status| status.0),
            contains: smoke.contains.as_ref().and_then(|text| self.get(text)).map(|text| text.0.clone()),
            timeout: self.span(smoke.timeout.as_ref(), Span::seconds(5), Span(1)..=Span::minutes(1)),
        }
    }

    fn alerts(&mut self, alerts: &List<file::Alert>) -> Vec<AlertRule> {
        let mut any = false;
        let mut rules = Vec::new();
        for alert in self.list(alerts, MOST_RULES) {
            if any {
                let help = "move the entry without `match` to the end";
                self.warn(
                    &alert.r#do.at,
                    "an entry above matches every alert, so this one never counts",
                    help,
                );
            }
            any |= alert.r#match.is_empty();
            let matches = alert
                .r#match
                .iter()
                .filter_map(|(label, value)| Some((label.clone(), self.get(value)?.0.clone())))
                .collect();
            if let Some(action) = self.get(&alert.r#do) {
                rules.push(AlertRule { matches, action: action.0 });
            }
        }
        rules
    }

    fn actions(&mut self, on: &file::On, look_every: Span) -> Actions {
        let default = Actions::default();
        let mut hold = |field: Option<&Field<HoldThen>>, default: Hold| {
            let Some(field) = field else { return default };
            let Some(value) = self.get(field).copied() else { return default };
            if value.hold.0 < look_every.0.saturating_mul(2) {
                let message = format!("a hold of {} is over before two looks have passed", value.hold);
                let least = Span(look_every.0.saturating_mul(2));
                self.error(
                    &field.at,
                    message,
                    format!("hold {least} or longer; one lost sample is no silence"),
                );
            }
            Hold { hold: value.hold, then: value.then.0 }
        };
        let no_data = hold(on.no_data.as_ref(), default.no_data);
        let source_down = hold(on.source_down.as_ref(), default.source_down);
        let inconclusive = on.inconclusive.as_ref().and_then(|field| self.get(field)).map(|r| r.0);
        if let Some(field) =
            on.inconclusive.as_ref().filter(|_| inconclusive == Some(super::Reaction::Promote))
        {
            let help = "`pause` asks a person instead";
            self.warn(&field.at, "a canary of which nothing was shown is promoted", help);
        }
        Actions {
            fail: on.fail.as_ref().and_then(|field| self.get(field)).map_or(default.fail, |r| r.0),
            inconclusive: inconclusive.unwrap_or(default.inconclusive),
            no_data,
            source_down,
            wrong_split: on
                .wrong_split
                .as_ref()
                .and_then(|f| self.get(f))
                .map_or(default.wrong_split, |r| r.0),
        }
    }
}
