//! An earlier version that a person wants back while no rollout runs: which one, in place of which.

use std::collections::BTreeSet;

use super::house::House;
use crate::platform::Platform;
use crate::policy::{Autoscale, Bake, Canary, Capacity, Mode, Policy, Strategy};
use crate::rollout::{Event, Kind, Observed};
use crate::words::{AppName, Span, Version};

/// The first event of the rollout that brings `to` back, or what served before.
///
/// # Errors
/// In words, where it is not clear what is to be brought back, or it serves already.
pub(super) async fn opened<P: Platform>(
    house: &House<P>,
    app: AppName,
    to: Option<Version>,
    by: &str,
) -> Result<Event, String> {
    let observed = house.platform.observe(&app).await.map_err(|e| e.to_string())?;
    let (serving, idle) = versions(&observed);
    let canary = serving.iter().copied().filter(|version| Some(*version) != to).max();
    let canary = match (canary, to) {
        (Some(canary), _) => canary,
        (None, Some(to)) if serving.contains(&to) => return Err(format!("{to} of `{app}` serves already")),
        (None, _) => return Err(format!("no version of `{app}` serves, so nothing can be replaced")),
    };
    let before = match to {
        Some(to) => Some(to),
        None => house.platform.replaced(&app, canary).await.map_err(|e| e.to_string())?,
    };
    // What still runs without users is the quickest way back.
    let baseline = before.or_else(|| idle.into_iter().filter(|version| *version < canary).max());
    let baseline = baseline.filter(|baseline| *baseline != canary).ok_or_else(|| {
        format!("nothing is known to have served before {canary}; say which with `--to v7`")
    })?;
    let policy = policy(house, &app, by).await.map_err(|e| e.to_string())?;
    Ok(Event::Opened {
        app,
        baseline,
        canary,
        trigger: format!("order-{}", uuid::Uuid::now_v7()),
        deployed: house.clock.now(),
        policy: Box::new(policy),
        kind: Kind::Return,
    })
}

/// The versions that serve, and those that stand ready without users.
fn versions(observed: &Observed) -> (BTreeSet<Version>, BTreeSet<Version>) {
    let of = |routable: bool| {
        let units = observed.units.iter().filter(move |u| u.routable == routable);
        units.map(|u| u.version).collect::<BTreeSet<_>>()
    };
    (of(true), of(false))
}

/// The app's policy as far as it says who is told and which process serves; what a person orders is done.
async fn policy<P: Platform>(
    house: &House<P>,
    app: &AppName,
    by: &str,
) -> Result<Policy, crate::platform::PlatformError> {
    let policies = house.policies.borrow().clone();
    let listed = house.platform.apps().await?;
    let known = listed.into_iter().find(|listed| listed.name == *app);
    let selected = known.and_then(|app| policies.select(&app.name.0, &app.pool, &app.team).cloned());
    let plain = || {
        let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(60) };
        let (steps, approve, process) = (Vec::new(), Vec::new(), "web".to_owned());
        Policy::new(
            &format!("ordered by {by}"),
            Strategy::Canary(Canary { steps, bake, approve, process, capacity: Capacity::Surge }),
        )
    };
    let policy = selected.map_or_else(plain, |policy| Policy::clone(&policy));
    Ok(Policy { mode: Mode::Act, autoscale: Autoscale::Swap, ..policy })
}
