//! Says in words what a policy will do.

mod kayenta;

use super::{
    Actions, AlertRule, Canary, Capacity, Direction, GaugeForm, HealthCheck, Hold, Measure, Mode, Policy,
    Reaction, Selector, Signal, Strategy,
};
use crate::words::{Share, Span};

/// One part of a description: its heading and its lines.
pub type Part = (&'static str, Vec<String>);

/// What a policy will do, part by part, for a person to check it against what was meant.
#[must_use]
pub fn describe(policy: &Policy) -> Vec<Part> {
    let Strategy::Canary(canary) = &policy.strategy;
    let mut parts = vec![
        ("for", vec![applies(&policy.applies)]),
        ("mode", vec![mode(policy.mode).to_owned()]),
        ("moves", moves(canary)),
        ("takes", takes(canary, policy)),
        ("compares", policy.signals.iter().map(|signal| compares(signal, policy)).collect()),
        ("judges", policy.judge.kayenta().map_or_else(Vec::new, kayenta::judges)),
        ("checks", policy.health.iter().map(health).collect()),
        ("alerts", policy.alerts.iter().map(alert).collect()),
        ("may be wrong", vec![may_be_wrong(policy)]),
        ("when", actions(&policy.on)),
        ("tells", vec![policy.notify.join(", ")]),
    ];
    parts.retain(|(_, lines)| lines.iter().any(|line| !line.is_empty()));
    parts
}

fn applies(selector: &Selector) -> String {
    let list =
        |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(" or ")));
    let parts =
        [list("apps", &selector.apps), list("in pool", &selector.pools), list("of team", &selector.teams)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe: judges, writes down and notifies; touches nothing",
        Mode::Advise => "advise: asks a person before every act that moves traffic",
        Mode::Act => "act: moves traffic, promotes and rolls back by itself",
    }
}

fn moves(canary: &Canary) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for step in &canary.steps {
        path.push(step.to_string());
        if canary.approve.contains(step) {
            path.push("(a person approves)".to_owned());
        }
    }
    path.push("everything".to_owned());
    let room = match canary.capacity {
        Capacity::Surge => "canary units come on top of the baseline's",
        Capacity::Shift => "the baseline shrinks as the canary grows, never below half",
    };
    vec![format!("{} of process `{}`; {room}", path.join(" → "), canary.process)]
}

fn takes(canary: &Canary, policy: &Policy) -> Vec<String> {
    let steps = u64::try_from(canary.steps.len()).unwrap_or(u64::MAX);
    let total = |each: Span| Span(each.0.saturating_mul(steps));
    let bake = canary.bake;
    let waits = if canary.approve.is_empty() { "" } else { ", and however long a person takes" };
    vec![
        format!("{} to {} until it is promoted{waits}", total(bake.at_least), total(bake.at_most)),
        format!(
            "each step {} to {}, a look every {}; the first {} of a version is left out",
            bake.at_least, bake.at_most, policy.look_every, policy.warm_up
        ),
    ]
}

fn may_be_wrong(policy: &Policy) -> String {
    if policy.judge.kayenta().is_some() {
        return kayenta::MAY_BE_WRONG.to_owned();
    }
    format!(
        "at most {} of canaries no worse than their baseline are rolled back, at most {} of worse ones promoted",
        policy.budget.false_rollback, policy.budget.false_promotion
    )
}

fn compares(signal: &Signal, policy: &Policy) -> String {
    match policy.judge.kayenta() {
        Some(terms) => kayenta::compares(signal, terms),
        None => self::signal(signal),
    }
}

fn signal(signal: &Signal) -> String {
    let what = match &signal.measure {
        Measure::Ratio { events, total, floor, limit, .. } => {
            let floor = Share::new(*floor).unwrap_or(Share::NONE);
            format!("{} of {}; below {floor} nobody is harmed{}", events.0, total.0, limit_text(*limit))
        }
        Measure::Rate { events } => format!("{} per unit and second", events.0),
        Measure::Latency { histogram, over: Some(over), limit } => {
            let over = Span(milliseconds(*over));
            format!("share of {} over {over}{}", histogram.0, limit_text(*limit))
        }
        Measure::Latency { histogram, over: None, .. } => format!("all of {}", histogram.0),
        Measure::Gauge { query, worse, form } => {
            let worse = match worse {
                Direction::Up => "more is worse",
                Direction::Down => "less is worse",
            };
            let form = match form {
                GaugeForm::Strict => "",
                GaugeForm::Loose => ", small shifts count",
            };
            format!("{query}; {worse}{form}")
        }
    };
    let mut roles = vec![format!("up to {} worse is good enough", percent(signal.margin))];
    if let Some(within) = signal.prove_within {
        roles.push(format!("must be shown to be less than {} worse", percent(within - 1.0)));
    }
    if signal.critical {
        roles.push("alone rolls back".to_owned());
    }
    if !signal.gates {
        roles.push("does not hold a step back".to_owned());
    }
    format!("{}: {what}; {}", signal.name, roles.join(", "))
}

fn limit_text(limit: Option<Share>) -> String {
    limit.map_or_else(String::new, |limit| format!(", never above {limit}"))
}

fn percent(part: f64) -> String {
    format!("{}%", (part * 1000.0).round() / 10.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a threshold was read from whole milliseconds, up to an hour"
)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1e3).round() as u64
}

fn health(check: &HealthCheck) -> String {
    let port = check.port.map_or_else(String::new, |port| format!(" on port {port}"));
    format!(
        "every canary unit answers {}{port} within {}, every {}; {} failures in a row are too many",
        check.path, check.timeout, check.every, check.fail_after
    )
}

fn alert(rule: &AlertRule) -> String {
    let labels: Vec<String> = rule.matches.iter().map(|(label, value)| format!("{label}={value}")).collect();
    let which = if labels.is_empty() { "any alert".to_owned() } else { labels.join(", ") };
    format!("{which}: {}", reaction(rule.action))
}

fn actions(on: &Actions) -> Vec<String> {
    vec![
        format!("harm is shown: {}", reaction(on.fail)),
        format!("nothing is shown until the longest bake: {}", reaction(on.inconclusive)),
        format!("only the canary is silent: {}", hold(on.no_data)),
        format!("both are silent: {}", hold(on.source_down)),
        format!("traffic splits otherwise than planned: {}", reaction(on.wrong_split)),
    ]
}

fn hold(hold: Hold) -> String {
    format!("hold for {}, then {}", hold.hold, reaction(hold.then))
}

fn reaction(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Rollback => "roll back",
        Reaction::Pause => "pause and ask a person",
        Reaction::Promote => "go on",
        Reaction::Ignore => "report it and go on",
    }
}
