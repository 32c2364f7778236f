//! What other programs send, and what they answer.

use axum::extract::Query;
use axum::http::Uri;

use super::{ensure, ensure_sentence};
use crate::platform::effect::{Traffic, after};
use crate::platform::{Activity, App};
use crate::policy::{AlertRule, Reaction};
use crate::rollout::{Command, Observed, OrderKind};
use crate::web::{AlertLabels, AlertStatus, Giver, Match, Wanted, Watched};
use crate::words::{AppName, Share, Time, Version};

/// Series, or a reason.
pub(super) fn prometheus(bytes: &[u8]) -> Result<(), String> {
    crate::signal::check_answer(bytes)
}

/// Alerts, or a reason; what fires has no end; what an alert makes a rollout do is said in a sentence.
pub(super) fn alertmanager(bytes: &[u8]) -> Result<(), String> {
    let alerts = match crate::web::read_alerts(bytes) {
        Ok((alerts, _)) => alerts,
        Err(why) => return ensure(!why.is_empty(), || "refused without a reason".to_owned()),
    };
    let rules = [("page", Reaction::Rollback), ("*", Reaction::Pause)].map(|(severity, action)| AlertRule {
        matches: [("severity".to_owned(), severity.to_owned())].into(),
        action,
    });
    let app = AppName("shop".to_owned());
    let watched = Watched { app: &app, canary: Version(4), began: Time(1_000_000), rules: &rules };
    for alert in &alerts {
        let is_sound = alert.status == AlertStatus::Resolved || alert.ends_at.is_none();
        ensure(is_sound, || format!("it fires and has ended: {alert:?}"))?;
        match watched.meets(alert, &AlertLabels::default()) {
            Match::Unrelated => {}
            Match::Ignored(why) => ensure_sentence(&why)?,
            Match::Raised(alarm) => {
                ensure_sentence(&alarm.sentence)?;
                ensure(alert.status == AlertStatus::Firing, || format!("it is over: {alert:?}"))?;
            }
        }
    }
    Ok(())
}

/// Each of Tsuru's answers.
pub(super) fn tsuru(bytes: &[u8]) -> Result<(), String> {
    crate::platform::tsuru::check_answers(bytes)?.as_ref().map_or(Ok(()), observed)
}

/// Each of a deployer's answers.
pub(super) fn deployer(bytes: &[u8]) -> Result<(), String> {
    let _apps = serde_json::from_slice::<Vec<App>>(bytes);
    let _done = serde_json::from_slice::<Vec<Activity>>(bytes);
    serde_json::from_slice::<Observed>(bytes).as_ref().map_or(Ok(()), observed)
}

/// What was observed adds up, before and after each command.
fn observed(observed: &Observed) -> Result<(), String> {
    let (version, process) = (Version(4), "web".to_owned());
    let commands = [
        Command::Route { version },
        Command::Unroute { version },
        Command::RemoveUnits { version, process: process.clone(), count: 2 },
        Command::MakeOnly { version },
        Command::Delete { version },
    ];
    for seen in
        std::iter::once(observed.clone()).chain(commands.iter().map(|command| after(observed, command)))
    {
        let traffic = Traffic::of(&seen);
        let counted: u64 =
            traffic.versions.values().flat_map(|version| version.units.values()).map(|n| u64::from(*n)).sum();
        ensure(usize::try_from(counted) == Ok(seen.units.len()), || format!("{traffic:?} of {seen:?}"))?;
        let share = seen.share(version, &process);
        ensure((Share::NONE..=Share::ALL).contains(&share), || format!("a share of {share}"))?;
        let counts = [seen.serving(version, &process), seen.ready(version, &process)];
        let exist = seen.existing(version, &process);
        ensure(counts.iter().all(|count| *count <= exist), || format!("{counts:?} of {exist} units"))?;
    }
    Ok(())
}

/// An order by somebody with a name, or a reason.
pub(super) fn order(text: &str) -> Result<(), String> {
    let (name, query) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(uri) = format!("/rollouts/shop/x?{query}").parse::<Uri>() else { return Ok(()) };
    let Ok(Query(giver)) = Query::<Giver>::try_from_uri(&uri) else { return Ok(()) };
    match crate::web::read_order(name, giver) {
        Ok(Wanted { order, to }) => {
            ensure_sentence(&order.by)?;
            ensure(order.by.chars().count() <= 100, || format!("a name that never ends: {}", order.by))?;
            let is_for_it = to.is_none_or(|to| order.kind == OrderKind::Rollback && to.0 > 0);
            ensure(is_for_it, || format!("{order:?} to {to:?}"))
        }
        Err((status, why)) => {
            ensure(status.is_client_error() && !why.is_empty(), || format!("refused with {status}: {why}"))
        }
    }
}
