//! What is never done, whoever asks: leave users without a version that answers, or an app without its base.
//!
//! Platforms do all of it without a word: Tsuru takes the last version out of routing, and deletes the base and calls
//! it a success. So the app is read right before such a change.

use crate::rollout::{Command, Observed, Unit};
use crate::words::Version;

/// The process that users' requests go to, where an app has it.
const FRONT: &str = "web";

/// Whether the change needs a look at the app first.
#[must_use]
pub fn concerns(command: &Command) -> bool {
    matches!(command, Command::Unroute { .. } | Command::Delete { .. } | Command::RemoveUnits { .. })
}

/// Refuses what would hurt. `base` is the base version as far as it is known without units.
///
/// # Errors
/// Why it would hurt, in words.
pub fn check(observed: &Observed, base: Option<Version>, command: &Command) -> Result<(), String> {
    match command {
        Command::Unroute { version } => others_serve(observed, *version),
        Command::Delete { version } => {
            let mut units = observed.units.iter().filter(|u| u.version == *version).peekable();
            let none = units.peek().is_none();
            if units.any(|u| u.base) || (none && base == Some(*version)) {
                return Err(format!(
                    "{version} is the app's base, and without a base the next deploy starts with one unit; make another \
                     version the only one instead"
                ));
            }
            if observed.units.iter().any(|u| u.version == *version && u.routable) {
                return others_serve(observed, *version);
            }
            Ok(())
        }
        Command::RemoveUnits { version, process, count } => {
            let left = observed
                .serving(*version, process)
                .saturating_sub(taken(observed, *version, process, *count));
            let is_front = front(observed).is_none_or(|front| front == process);
            if is_front && left == 0 && observed.serving(*version, process) > 0 {
                return others_serve(observed, *version);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// How many of the units that are ready go, of `count` that do: those that are not ready go first. Where units are made anew,
/// those that are not ready may be none that count.
fn taken(observed: &Observed, version: Version, process: &str, count: u32) -> u32 {
    if observed.makes_anew(version, process) {
        return count;
    }
    let waiting = observed.existing(version, process).saturating_sub(observed.ready(version, process));
    count.saturating_sub(waiting)
}

/// Another version has a unit that answers users.
fn others_serve(observed: &Observed, version: Version) -> Result<(), String> {
    let front = front(observed);
    let serves = |u: &Unit| u.ready && u.routable && front.is_none_or(|front| front == u.process);
    if observed.units.iter().any(|u| u.version != version && serves(u)) {
        return Ok(());
    }
    Err(format!(
        "no version but {version} has a unit that is ready and routed, so users would get no answer; route another one first"
    ))
}

fn front(observed: &Observed) -> Option<&'static str> {
    observed.units.iter().any(|u| u.process == FRONT).then_some(FRONT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Time;

    /// Units as `version process flags`: `b`ase, `r`eady, `u`sers.
    fn observed(units: &[&str]) -> Observed {
        let unit = |text: &&str| {
            let parts: Vec<&str> = text.split(' ').collect();
            let has = |flag| parts.get(2).is_some_and(|flags| flags.contains(flag));
            Unit {
                name: (*text).to_owned(),
                process: parts[1].to_owned(),
                version: Version(parts[0].parse().unwrap()),
                address: None,
                ready: has('r'),
                routable: has('u'),
                base: has('b'),
                status: String::new(),
                restarts: 0,
                created: None,
            }
        };
        Observed {
            at: Time(0),
            units: units.iter().map(unit).collect(),
            autoscaled: Vec::new(),
            quota_left: None,
            gaps: Vec::new(),
        }
    }

    fn unroute(version: u32) -> Command {
        Command::Unroute { version: Version(version) }
    }

    fn delete(version: u32) -> Command {
        Command::Delete { version: Version(version) }
    }

    fn remove(version: u32, process: &str, count: u32) -> Command {
        Command::RemoveUnits { version: Version(version), process: process.to_owned(), count }
    }

    #[test]
    fn the_last_version_that_answers_is_never_unrouted() {
        let good = observed(&["1 web bru", "2 web ru"]);
        assert_eq!(check(&good, None, &unroute(2)), Ok(()));
        for units in [
            &["2 web ru"][..],
            &["1 web bu", "2 web ru"],
            &["1 web br", "2 web ru"],
            &["1 worker bru", "2 web ru"],
            &[],
        ] {
            assert!(check(&observed(units), None, &unroute(2)).is_err(), "{units:?}");
        }
        assert_eq!(check(&observed(&["1 api bru", "2 api ru"]), None, &unroute(2)), Ok(()));
    }

    #[test]
    fn the_base_is_never_deleted() {
        let promoted = observed(&["2 web bru"]);
        assert!(check(&promoted, None, &delete(2)).unwrap_err().contains("base"));
        assert!(check(&observed(&["1 web bru", "2 web bru"]), None, &delete(1)).is_err());
        assert!(check(&observed(&["2 web ru"]), Some(Version(1)), &delete(1)).is_err(), "a stopped base");
        assert_eq!(check(&observed(&["1 web bru", "2 web ru"]), Some(Version(1)), &delete(2)), Ok(()));
    }

    #[test]
    fn the_only_version_that_answers_is_never_deleted() {
        assert!(check(&observed(&["1 web b", "2 web ru"]), None, &delete(2)).is_err());
        assert_eq!(check(&observed(&["1 web b", "2 web r"]), None, &delete(2)), Ok(()), "it answers nobody");
    }

    #[test]
    fn the_last_units_that_answer_are_never_removed() {
        let units = observed(&["1 web bru", "1 web bru", "1 worker bru", "2 web r"]);
        assert_eq!(check(&units, None, &remove(1, "web", 1)), Ok(()));
        assert!(check(&units, None, &remove(1, "web", 2)).is_err());
        assert_eq!(check(&units, None, &remove(1, "worker", 1)), Ok(()));
        assert_eq!(check(&units, None, &remove(2, "web", 1)), Ok(()));
        assert_eq!(check(&observed(&["1 web bru", "2 web ru"]), None, &remove(1, "web", 1)), Ok(()));
    }

    #[test]
    fn units_that_are_not_ready_go_before_the_last_that_answers() {
        let units = observed(&["2 web bru", "2 web bu", "2 web bu"]);
        assert_eq!(check(&units, None, &remove(2, "web", 2)), Ok(()));
        assert!(check(&units, None, &remove(2, "web", 3)).is_err());
        let mut anew = units;
        let named =
            |(n, unit): (usize, &Unit)| Unit { name: format!("shop-web-{}-{n}", n / 2), ..unit.clone() };
        anew.units = anew.units.iter().enumerate().map(named).collect();
        assert!(check(&anew, None, &remove(2, "web", 1)).is_err(), "they may be none that count");
    }
}
