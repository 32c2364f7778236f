//! Which version a selector names. Tsuru matches it against the end of the image's name, over a map in random order.

use rand::RngExt;

use super::app::{App, VersionRecord};
use super::world::World;

/// The version that `selector` names: a full image, `:v2`, `v2` or `2`. Several can fit (`2` fits v2, v12 and v22, and the
/// empty one fits all); which of them it is is chance.
///
/// # Errors
/// None fits: `Invalid version: x`.
pub(super) fn version_by_selector(app: &App, world: &mut World, selector: &str) -> Result<u32, String> {
    let fits = |v: &&VersionRecord| {
        // A build that failed has no image, and an empty name ends with the empty selector only.
        let image = if v.built { app.image(&world.config.registry, v.number) } else { String::new() };
        v.number.to_string() == selector || image.ends_with(selector)
    };
    let candidates: Vec<u32> = app.versions.iter().filter(fits).map(|v| v.number).collect();
    match candidates.as_slice() {
        [] => Err(format!("Invalid version: {selector}")),
        [one] => Ok(*one),
        several => {
            let wrong = world.config.faults.wrong_version.fires(&mut world.rng);
            let other = several.iter().copied().find(|v| wrong && v.to_string() != selector);
            Ok(other.unwrap_or_else(|| several[world.rng.random_range(0..several.len())]))
        }
    }
}

/// The version that a selector names, or, where it is empty (or `0`), the only one that is deployed.
///
/// # Errors
/// None fits, several are deployed, or none is and none was ever built.
pub(super) fn deployed_version(app: &App, world: &mut World, selector: &str) -> Result<u32, String> {
    if !names_none(selector) {
        return version_by_selector(app, world, selector);
    }
    match app.deployed_versions().as_slice() {
        [] => app
            .versions
            .iter()
            .filter(|v| v.successful)
            .map(|v| v.number)
            .max()
            .ok_or_else(|| "no versions available for app".to_owned()),
        [one] => Ok(*one),
        _ => Err("more than one version deployed, you must select one".to_owned()),
    }
}

/// A selector that names no version: nothing, or `0`.
pub(super) fn names_none(selector: &str) -> bool {
    matches!(selector, "" | "0")
}
