//! Whether a command's effect is in place, by what Tsuru shows.
//!
//! An error of Tsuru does not prove that nothing changed: it rebuilds routes after everything else, and a failure there is
//! told as the failure of the whole. And a success does not always prove that something did: autoscalers are only moved to a
//! version that has units. So the units have the last word, as far as they can tell.

use crate::rollout::{Command, Observed};

/// The command's effect is in place. Never so for commands that name a difference, and for what Tsuru does not show.
pub(super) fn in_place(observed: &Observed, command: &Command) -> bool {
    let units = &observed.units;
    match command {
        Command::Route { version } => {
            let mut own = units.iter().filter(|u| u.version == *version).peekable();
            own.peek().is_some() && own.all(|u| u.routable)
        }
        Command::Unroute { version } => {
            !units.is_empty() && units.iter().all(|u| u.version != *version || !u.routable)
        }
        Command::MakeOnly { version } => {
            let is_it = |u: &crate::rollout::Unit| u.version == *version && u.base && u.routable && u.ready;
            !units.is_empty() && units.iter().all(is_it)
        }
        Command::Delete { version } => !units.is_empty() && units.iter().all(|u| u.version != *version),
        Command::MoveAutoscalers { version } => {
            let mut all = observed.autoscaled.iter().peekable();
            all.peek().is_some() && all.all(|a| a.version == Some(*version))
        }
        Command::SuspendAutoscaler { process } => {
            observed.shows_autoscalers() && observed.autoscaled.iter().all(|a| a.process != *process)
        }
        Command::RestoreAutoscaler { autoscaler } => {
            observed.autoscaled.iter().any(|a| a.process == autoscaler.process)
        }
        Command::AddUnits { .. } | Command::RemoveUnits { .. } | Command::Quarantine { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Autoscaler, Unit};
    use crate::words::{Time, Version};

    const V1: Version = Version(1);
    const V2: Version = Version(2);

    /// Units as `version flags`: `b`ase, `r`eady, ro`u`table.
    fn observed(units: &[&str]) -> Observed {
        let unit = |text: &&str| Unit {
            name: (*text).to_owned(),
            process: "web".to_owned(),
            version: Version(text[..1].parse().unwrap()),
            address: None,
            ready: text.contains('r'),
            routable: text.contains('u'),
            base: text.contains('b'),
            status: String::new(),
            restarts: 0,
            created: None,
        };
        Observed {
            at: Time(0),
            units: units.iter().map(unit).collect(),
            autoscaled: Vec::new(),
            quota_left: None,
            gaps: Vec::new(),
        }
    }

    #[test]
    fn units_tell_what_is_in_place() {
        let check = |units: &[&str], command: Command, wanted: bool| {
            assert_eq!(in_place(&observed(units), &command), wanted, "{units:?} {command}");
        };
        check(&["1bru", "2ru", "2u"], Command::Route { version: V2 }, true);
        check(&["1bru", "2ru", "2r"], Command::Route { version: V2 }, false);
        check(&["1bru"], Command::Route { version: V2 }, false);
        check(&["1bru", "2r"], Command::Unroute { version: V2 }, true);
        check(&["1bru", "2r", "2ru"], Command::Unroute { version: V2 }, false);
        check(&[], Command::Unroute { version: V2 }, false);
        check(&["2bru", "2bru"], Command::MakeOnly { version: V2 }, true);
        check(&["2bru", "2bu"], Command::MakeOnly { version: V2 }, false);
        check(&["2bru", "2ru"], Command::MakeOnly { version: V2 }, false);
        check(&["1bru", "2bru"], Command::MakeOnly { version: V2 }, false);
        check(&["1bru"], Command::Delete { version: V2 }, true);
        check(&["1bru", "2"], Command::Delete { version: V2 }, false);
        check(&[], Command::Delete { version: V2 }, false);
        let add = Command::AddUnits { version: V1, process: "web".to_owned(), count: 1 };
        check(&["1bru"], add, false);
    }

    #[test]
    fn autoscalers_that_are_not_known_are_not_gone() {
        let autoscaler = |v| Autoscaler { process: "web".to_owned(), version: Some(v), spec: String::new() };
        let suspend = Command::SuspendAutoscaler { process: "web".to_owned() };
        let mut seen = observed(&["1bru"]);
        assert!(in_place(&seen, &suspend) && !in_place(&seen, &Command::MoveAutoscalers { version: V1 }));
        seen.gaps.push("unknown: whether an autoscaler changes the number of units".to_owned());
        assert!(!in_place(&seen, &suspend));
        seen.autoscaled.push(autoscaler(V1));
        assert!(in_place(&seen, &Command::MoveAutoscalers { version: V1 }));
        assert!(in_place(&seen, &Command::RestoreAutoscaler { autoscaler: autoscaler(V2) }));
        seen.autoscaled.push(autoscaler(V2));
        assert!(!in_place(&seen, &Command::MoveAutoscalers { version: V1 }));
    }
}
