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
        // What served before a version that was itself brought back is what it was brought back from.
        None => {
            house.platform.replaced(&app, canary).await.map_err(|e| e.to_string())?.filter(|v| *v < canary)
        }
    };
    // What still runs without users is the quickest way back.
    let baseline = before.or_else(|| idle.into_iter().filter(|version| *version < canary).max());
    let baseline = baseline.filter(|baseline| *baseline != canary).ok_or_else(|| {
        format!("nothing is known to have served before {canary}; say which with `--to v7`")
    })?;
    let mut policy = policy(house, &app, by).await.map_err(|e| e.to_string())?;
    // Whatever a policy says of its process, users are where the units are that serve them.
    let serves = |process: &str| observed.units.iter().any(|u| u.version == canary && u.process == process);
    if !serves(policy.strategy.process())
        && let Some(unit) = observed.units.iter().find(|u| u.version == canary && u.routable)
    {
        policy.strategy = plain(unit.process.clone());
    }
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

/// What says nothing but which process serves.
fn plain(process: String) -> Strategy {
    let bake = Bake { at_least: Span::minutes(5), at_most: Span::minutes(60) };
    Strategy::Canary(Canary {
        steps: Vec::new(),
        bake,
        approve: Vec::new(),
        process,
        capacity: Capacity::Surge,
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
    let plain = || Policy::new(&format!("ordered by {by}"), plain("web".to_owned()));
    let policy = selected.map_or_else(plain, |policy| Policy::clone(&policy));
    Ok(Policy { mode: Mode::Act, autoscale: Autoscale::Swap, ..policy })
}
