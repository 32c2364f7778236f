//! Says in words what a policy will do.

mod kayenta;

use super::{
    AlertRule, Autoscale, Capacity, Direction, GaugeForm, HealthCheck, Hold, Measure, Mode, Policy, Reaction,
    Selector, Signal, SmokeCheck, Strategy,
};
use crate::words::{Share, Span};

/// One part of a description: its heading and its lines.
pub type Part = (&'static str, Vec<String>);

/// What a policy will do, part by part, for a person to check it against what was meant.
#[must_use]
pub fn describe(policy: &Policy) -> Vec<Part> {
    let mut parts = vec![
        ("for", vec![applies(&policy.applies)]),
        ("mode", vec![mode(policy.mode).to_owned()]),
        ("moves", moves(policy)),
        ("takes", takes(policy)),
        ("compares", policy.signals.iter().map(|signal| compares(signal, policy)).collect()),
        ("judges", policy.judge.kayenta().map_or_else(Vec::new, kayenta::judges)),
        ("checks", policy.smoke.iter().map(smoke).chain(policy.health.iter().map(health)).collect()),
        ("alerts", policy.alerts.iter().map(alert).collect()),
        ("may be wrong", vec![may_be_wrong(policy)]),
        ("when", actions(policy)),
        ("tells", vec![policy.notify.join(", ")]),
    ];
    for (_, lines) in &mut parts {
        lines.retain(|line| !line.is_empty());
    }
    parts.retain(|(_, lines)| !lines.is_empty());
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

fn moves(policy: &Policy) -> Vec<String> {
    let room = |capacity: Capacity| match capacity {
        Capacity::Surge => "canary units come on top of the baseline's",
        Capacity::Shift => "the baseline shrinks as the canary grows, never below half",
    };
    let process = policy.strategy.process();
    let mut lines = match &policy.strategy {
        Strategy::Canary(canary) => {
            let mut path: Vec<String> = Vec::new();
            for step in &canary.steps {
                path.push(step.to_string());
                if canary.approve.contains(step) {
                    path.push("(a person approves)".to_owned());
                }
            }
            path.push("everything".to_owned());
            vec![
                format!("{} of process `{process}`; {}", path.join(" → "), room(canary.capacity)),
                smallest(canary.steps.first().copied(), canary.capacity),
            ]
        }
        Strategy::BlueGreen(blue_green) => {
            let person = if blue_green.approve { " a person approves," } else { "" };
            vec![format!(
                "as many `{process}` units of the canary as the baseline has,{person} then everything at once; the \
                 baseline stays warm while it bakes. The app needs room for twice its units"
            )]
        }
        Strategy::Rolling(rolling) if rolling.native => vec![
            "Tsuru rolls by itself (a plain deploy): it is watched once it is over, and taken back if it is bad".to_owned(),
        ],
        Strategy::Rolling(rolling) => vec![format!(
            "{} of the `{process}` units at a time, added before as many are removed",
            rolling.batch
        )],
        Strategy::MultiVersion(both) => {
            let end = match (both.lasts, both.then) {
                (None, _) => "until a person ends it".to_owned(),
                (Some(lasts), Reaction::Promote) => format!("for {lasts}, then the canary gets everything"),
                (Some(lasts), Reaction::Rollback) => format!("for {lasts}, then the canary is removed"),
                (Some(lasts), _) => format!("for {lasts}, then both are left serving, unwatched"),
            };
            vec![
                format!("{} of process `{process}`, {end}; {}", both.share, room(both.capacity)),
                smallest(Some(both.share), both.capacity),
            ]
        }
    };
    if !policy.workers.is_empty() {
        lines.push(format!(
            "units of {} follow the canary's share; Tsuru starts one of each at once",
            policy.workers.join(", ")
        ));
    }
    lines.push(match policy.autoscale {
        Autoscale::Refuse => "an app with an autoscaler is refused, with the reason".to_owned(),
        Autoscale::Swap => {
            "autoscalers stay in charge, and are moved to the version that serves in the end".to_owned()
        }
        Autoscale::Suspend => "autoscalers are removed for the rollout and made again at its end".to_owned(),
    });
    if policy.quarantine {
        lines.push("a version that is rolled back is marked so that nobody rolls back to it".to_owned());
    }
    lines
}

/// How many units it takes for a share to be had, since Tsuru gives a version the share that its units are.
fn smallest(share: Option<Share>, capacity: Capacity) -> String {
    let Some(share) = share.filter(|share| *share > Share::NONE && *share < Share::ALL) else {
        return String::new();
    };
    let units = match capacity {
        Capacity::Surge => (1.0 - share.get()) / share.get(),
        Capacity::Shift => 1.0 / share.get(),
    };
    format!(
        "shares are whole units: {share} needs {:.0} units of the baseline, fewer give the nearest",
        units.ceil()
    )
}

fn takes(policy: &Policy) -> Vec<String> {
    let steps = u64::try_from(policy.strategy.shares().len()).unwrap_or(u64::MAX);
    let total = |each: Span| Span(each.0.saturating_mul(steps));
    let bake = policy.strategy.bake();
    let asks = match &policy.strategy {
        Strategy::Canary(canary) => !canary.approve.is_empty(),
        Strategy::BlueGreen(blue_green) => blue_green.approve,
        Strategy::Rolling(_) | Strategy::MultiVersion(_) => false,
    };
    let waits = if asks { ", and however long a person takes" } else { "" };
    let looks =
        format!("a look every {}; the first {} of a version is left out", policy.look_every, policy.warm_up);
    let mut lines = match &policy.strategy {
        Strategy::MultiVersion(_) => vec![looks],
        _ => vec![
            format!("{} to {} until it is promoted{waits}", total(bake.at_least), total(bake.at_most)),
            format!("each step {} to {}, {looks}", bake.at_least, bake.at_most),
        ],
    };
    if policy.keep_for > Span::ZERO {
        lines.push(format!(
            "the old version's units are kept for {} after that, without users",
            policy.keep_for
        ));
    }
    if policy.watch > Span::ZERO {
        lines.push(format!(
            "the rollback stays armed for {} after that, against what was known of the baseline",
            policy.watch
        ));
    }
    lines
}

fn smoke(check: &SmokeCheck) -> String {
    let port = check.port.map_or_else(String::new, |port| format!(" on port {port}"));
    let status = check.status.map_or_else(|| "200 to 399".to_owned(), |status| status.to_string());
    let holds = check.contains.as_ref().map_or_else(String::new, |text| format!(" and `{text}` in it"));
    format!(
        "before any user: every canary unit answers {}{port} within {} with {status}{holds}",
        check.path, check.timeout
    )
}

fn may_be_wrong(policy: &Policy) -> String {
    if policy.judge.kayenta().is_some() {
        return kayenta::MAY_BE_WRONG.to_owned();
    }
    let rolled_back = format!(
        "at most {} of canaries no worse than their baseline are rolled back",
        policy.budget.false_rollback
    );
    if policy.strategy.coexists() {
        return format!("{rolled_back}; none is promoted because it is proven");
    }
    format!(
        "{rolled_back}, at most {} of those as bad as `prove_within` promoted; milder ones may pass",
        policy.budget.false_promotion
    )
}

fn compares(signal: &Signal, policy: &Policy) -> String {
    match policy.judge.kayenta() {
        Some(terms) => kayenta::compares(signal, terms),
        None => self::signal(signal),
    }
}

/// A rate of events per second and unit, in the time in which it is at least one: "2 an hour and unit".
pub(crate) fn rate_floor(rate: f64) -> String {
    let times = [(1.0, "a second"), (60.0, "a minute"), (3600.0, "an hour"), (86_400.0, "a day")];
    let whole = times.iter().find(|(seconds, _)| rate * seconds >= 1.0 - 1e-9);
    let (seconds, time) = whole.unwrap_or(&times[3]);
    // Three digits are as exact as anybody means it.
    let digits = (rate * seconds * 1000.0).round() / 1000.0;
    format!("{digits} {time} and unit")
}

fn signal(signal: &Signal) -> String {
    let what = match &signal.measure {
        Measure::Ratio { events, total, floor, limit, .. } => {
            let floor = Share::new(*floor).unwrap_or(Share::NONE);
            format!("{} of {}; below {floor} nobody is harmed{}", events.0, total.0, limit_text(*limit))
        }
        Measure::Rate { events, floor } if *floor > 0.0 => {
            format!("{} per unit and second; below {} nobody is harmed", events.0, rate_floor(*floor))
        }
        Measure::Rate { events, .. } => format!("{} per unit and second", events.0),
        Measure::Latency { histogram, over: Some(over), limit } => {
            let over = Span(milliseconds(*over));
            format!("share of {} over {over}{}", histogram.0, limit_text(*limit))
        }
        Measure::Latency { histogram, over: None, .. } => format!("all of {}", histogram.0),
        Measure::Gauge { query, worse, form, floor } => {
            let worse = match worse {
                Direction::Up => "more is worse",
                Direction::Down => "less is worse",
            };
            let form = match form {
                GaugeForm::Strict => "",
                GaugeForm::Loose => ", nothing worse for good is allowed (loose)",
            };
            let floor = floor.map_or_else(String::new, |floor| format!(", up to {floor} nobody is harmed"));
            format!("{query}; {worse}{form}{floor}")
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
        roles.push("no step waits for its proof".to_owned());
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

fn actions(policy: &Policy) -> Vec<String> {
    let on = &policy.on;
    // Side by side, no step has to end.
    let bakes = !policy.strategy.coexists();
    let nothing =
        bakes.then(|| format!("nothing is shown until the longest bake: {}", reaction(on.inconclusive)));
    std::iter::once(format!("harm is shown: {}", reaction(on.fail)))
        .chain(nothing)
        .chain([
            format!("only the canary is silent: {}", hold(on.no_data)),
            format!("both are silent: {}", hold(on.source_down)),
            format!("traffic splits otherwise than planned: {}", reaction(on.wrong_split)),
        ])
        .collect()
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
