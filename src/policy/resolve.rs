//! From a file's values to what they mean together: fills in the defaults and refuses what cannot be.

mod kayenta;
mod resolver;
mod signal;

use super::diagnostic::Diagnostics;
use super::file::choice::HoldThen;
use super::file::scalar::Text;
use super::file::value::{At, Field, Given, List};
use super::file::{self, File, For, MOST_NAMES, MOST_RULES, MOST_STEPS};
use super::{Actions, AlertRule, Bake, Budget, Canary, HealthCheck, Hold, Policy, Selector, Strategy};
use crate::words::{Share, Span};
use resolver::Resolver;

const LOOK_EVERY: Span = Span::seconds(15);
const WARM_UP: Span = Span::seconds(60);
const BAKE: Bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(60) };
const LONGEST_BAKE: Span = Span::minutes(30 * 24 * 60);
const FALSE_ROLLBACK: f64 = 0.01;
const FALSE_PROMOTION: f64 = 0.05;

/// The policy that a file means; of no use where errors were found.
pub(super) fn resolve(file: &File, text: &str, findings: &mut Diagnostics) -> Policy {
    let mut resolver = Resolver { text, findings };
    let look_every =
        resolver.span(file.look_every.as_ref(), LOOK_EVERY, Span::seconds(1)..=Span::minutes(10));
    let warm_up = resolver.span(file.warm_up.as_ref(), WARM_UP, Span::ZERO..=Span::minutes(60));
    let file::Strategy::Canary(canary) = &file.strategy;
    let canary = resolver.canary(canary, look_every, warm_up);
    let mut signals = resolver.signals(file);
    let judge = resolver.judging(file, &mut signals, canary.bake, look_every);
    Policy {
        name: resolver.get(&file.policy).map_or_else(String::new, |name| name.0.clone()),
        applies: resolver.applies(&file.r#for),
        mode: resolver.or(file.mode.as_ref(), super::Mode::Act),
        strategy: Strategy::Canary(canary),
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

    fn canary(&mut self, canary: &file::Canary, look_every: Span, warm_up: Span) -> Canary {
        let steps = self.steps(&canary.steps);
        let bake = self.bake(&canary.bake, look_every, warm_up);
        // Of steps that were misread, nothing can be said.
        let known = steps.len() == canary.steps.value.len() && !steps.is_empty();
        let approve = if known { self.approve(&canary.approve, &steps) } else { Vec::new() };
        let process = canary.process.as_ref().and_then(|name| self.get(name));
        Canary {
            steps,
            bake,
            approve,
            process: process.map_or_else(|| "web".to_owned(), |name| name.0.clone()),
            capacity: self.or(canary.capacity.as_ref(), super::Capacity::Surge),
        }
    }

    fn steps(&mut self, list: &List<Field<Share>>) -> Vec<Share> {
        if list.value.is_empty() {
            self.error(&list.at, "there is no step", "list shares of traffic, as in `[5%, 25%, 50%]`");
        }
        let mut steps: Vec<Share> = Vec::new();
        for field in self.list(list, MOST_STEPS) {
            let Some(step) = self.get(field).copied() else { continue };
            let before = steps.last().copied();
            if step == Share::NONE {
                self.error(
                    &field.at,
                    "a step of 0% tests nothing",
                    "leave it out, or write a share above 0%",
                );
            } else if step == Share::ALL {
                let help = "leave it out: after the last step the canary gets everything";
                self.error(&field.at, "a step of 100% is no step", help);
            } else if before.is_some_and(|before| step == before) {
                self.error(&field.at, format!("the step {step} stands here twice"), "leave one of them out");
            } else if let Some(before) = before.filter(|before| step < *before) {
                let message = format!("the step {step} comes after {before}, which is larger");
                self.error(&field.at, message, "write the steps from the smallest to the largest");
            }
            steps.push(step);
        }
        steps
    }

    fn bake(&mut self, bake: &file::Bake, look_every: Span, warm_up: Span) -> Bake {
        let shortest = Span::seconds(1);
        let at_least = self.span(bake.at_least.as_ref(), BAKE.at_least, shortest..=LONGEST_BAKE);
        let at_most = self.span(bake.at_most.as_ref(), BAKE.at_most, shortest..=LONGEST_BAKE);
        // Of a duration that was misread, nothing can be said.
        let read = |field: &Given<Field<Span>>| field.as_ref().is_none_or(|field| field.value.is_ok());
        match (bake.at_least.as_ref(), bake.at_most.as_ref()) {
            _ if !read(&bake.at_least) || !read(&bake.at_most) => {}
            (Some(field), Some(_)) if at_least > at_most => {
                let message =
                    format!("the shortest bake ({at_least}) is longer than the longest ({at_most})");
                self.error(&field.at, message, "exchange them, or write one duration for both");
            }
            (Some(field), _) if at_least.0 < look_every.0.saturating_mul(4) => {
                let message = format!("a bake of {at_least} has fewer than 4 looks, one every {look_every}");
                self.warn(&field.at, message, "bake longer, or look more often with `look_every`");
            }
            (Some(field), _) if at_least <= warm_up => {
                let message = format!(
                    "the first {warm_up} of a version is left out as warm-up, which is all of this bake"
                );
                self.warn(&field.at, message, "bake longer, or shorten `warm_up`");
            }
            _ => {}
        }
        // The one that is given draws the other's default along.
        match (bake.at_least.as_ref(), bake.at_most.as_ref()) {
            (None, Some(_)) => Bake { at_least: BAKE.at_least.min(at_most), at_most },
            (Some(_), None) => Bake { at_least, at_most: BAKE.at_most.max(at_least) },
            _ => Bake { at_least, at_most },
        }
    }

    fn approve(&mut self, list: &List<Field<Share>>, steps: &[Share]) -> Vec<Share> {
        let mut approve = Vec::new();
        for field in self.list(list, MOST_STEPS) {
            let Some(share) = self.get(field).copied() else { continue };
            if approve.contains(&share) {
                self.error(&field.at, format!("{share} stands here twice"), "leave one of them out");
            } else if !steps.contains(&share) {
                let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
                let message = format!("there is no step of {share} to approve");
                self.error(&field.at, message, format!("the steps are {}", steps.join(", ")));
            }
            approve.push(share);
        }
        approve
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
