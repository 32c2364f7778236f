//! What a command makes of an app: the observation that it aims at.
//!
//! A platform that takes absolute states is sent this one, and a recorder shows it in place of the real one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rollout::{Command, Observed, Unit};
use crate::words::Version;

/// The traffic of an app: what each version has, and which version is the base.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// The version that the base runs; nothing where units of none or of several are base.
    pub base: Option<Version>,
    /// The versions that have units.
    pub versions: BTreeMap<Version, VersionTraffic>,
}

/// What one version has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VersionTraffic {
    /// Every unit of it may receive users' requests.
    pub routable: bool,
    /// How many units it has, by process.
    pub units: BTreeMap<String, u32>,
}

impl Traffic {
    /// The traffic that was observed.
    #[must_use]
    pub fn of(observed: &Observed) -> Self {
        let mut versions: BTreeMap<Version, VersionTraffic> = BTreeMap::new();
        for unit in observed.units.iter() {
            let version = versions
                .entry(unit.version)
                .or_insert_with(|| VersionTraffic { routable: true, units: BTreeMap::new() });
            version.routable &= unit.routable;
            *version.units.entry(unit.process.clone()).or_default() += 1;
        }
        let mut bases = observed.units.iter().filter(|u| u.base).map(|u| u.version);
        let base = bases.next().filter(|first| bases.all(|v| v == *first));
        Self { base, versions }
    }
}

/// What `command` makes of `observed`. Units that it adds have no address.
#[must_use]
pub fn after(observed: &Observed, command: &Command) -> Observed {
    let mut then = observed.clone();
    let mut units = observed.units.to_vec();
    match command {
        Command::Route { version } | Command::Unroute { version } => {
            let routable = matches!(command, Command::Route { .. });
            units.iter_mut().filter(|u| u.version == *version).for_each(|u| u.routable = routable);
        }
        Command::AddUnits { version, process, count } => {
            let like = units.iter().find(|u| u.version == *version).cloned();
            let (routable, base) = like.map_or((false, false), |u| (u.routable, u.base));
            add(&mut units, *version, process, *count, routable, base);
        }
        Command::RemoveUnits { version, process, count } => {
            let mut left = *count;
            units.retain(|u| {
                let goes = left > 0 && u.version == *version && u.process == *process;
                left -= u32::from(goes);
                !goes
            });
        }
        Command::MakeOnly { version } => make_only(&mut units, *version),
        Command::Delete { version } => units.retain(|u| u.version != *version),
        Command::MoveAutoscalers { version } => {
            then.autoscaled.iter_mut().for_each(|a| a.version = Some(*version));
        }
        Command::SuspendAutoscaler { process } => then.autoscaled.retain(|a| a.process != *process),
        Command::RestoreAutoscaler { autoscaler } => {
            then.autoscaled.retain(|a| a.process != autoscaler.process);
            then.autoscaled.push(autoscaler.clone());
        }
        Command::Quarantine { .. } => {}
    }
    Observed { units: units.into(), ..then }
}

/// The base is rebuilt: as many units of each process as were routable, whichever version they ran.
fn make_only(units: &mut Vec<Unit>, version: Version) {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for unit in units.iter().filter(|u| u.routable) {
        *counts.entry(unit.process.clone()).or_default() += 1;
    }
    units.retain(|u| u.version == version && u.base);
    for unit in units.iter_mut() {
        unit.routable = true;
    }
    for (process, count) in counts {
        let have = units.iter().filter(|u| u.process == process).count();
        let more = count.saturating_sub(u32::try_from(have).unwrap_or(u32::MAX));
        add(units, version, &process, more, true, true);
    }
}

fn add(units: &mut Vec<Unit>, version: Version, process: &str, count: u32, routable: bool, base: bool) {
    let taken = |units: &[Unit], name: &str| units.iter().any(|u| u.name == name);
    for _ in 0..count {
        let names = (1_u32..).map(|n| format!("wanted-{process}-{version}-{n}"));
        let Some(name) = names.into_iter().find(|name| !taken(units, name)) else { return };
        units.push(Unit {
            name,
            process: process.to_owned(),
            version,
            address: None,
            ready: true,
            routable,
            base,
            status: "wanted".to_owned(),
            restarts: 0,
            created: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Autoscaler;
    use crate::words::Time;

    const V1: Version = Version(1);
    const V2: Version = Version(2);

    fn start() -> Observed {
        let none = Observed {
            at: Time(0),
            units: [].into(),
            autoscaled: Vec::new(),
            quota_left: None,
            gaps: Vec::new(),
        };
        let mut units = Vec::new();
        add(&mut units, V1, "web", 3, true, true);
        add(&mut units, V2, "web", 1, false, false);
        add(&mut units, V2, "worker", 1, false, false);
        Observed { units: units.into(), ..none }
    }

    /// Each version as `v1 base users web=3`.
    fn shown(observed: &Observed) -> String {
        let traffic = Traffic::of(observed);
        let version = |(v, t): (&Version, &VersionTraffic)| {
            let base = if traffic.base == Some(*v) { " base" } else { "" };
            let users = if t.routable { " users" } else { "" };
            let units: Vec<String> = t.units.iter().map(|(process, n)| format!("{process}={n}")).collect();
            format!("{v}{base}{users} {}", units.join(" "))
        };
        traffic.versions.iter().map(version).collect::<Vec<_>>().join(", ")
    }

    #[track_caller]
    fn check(commands: &[Command], wanted: &str) {
        assert_eq!(shown(&commands.iter().fold(start(), |seen, command| after(&seen, command))), wanted);
    }

    #[test]
    fn commands_do_what_they_say() {
        let web = |version, count| Command::AddUnits { version, process: "web".to_owned(), count };
        let less = |version, count| Command::RemoveUnits { version, process: "web".to_owned(), count };
        check(&[], "v1 base users web=3, v2 web=1 worker=1");
        check(&[Command::Route { version: V2 }], "v1 base users web=3, v2 users web=1 worker=1");
        check(&[Command::Unroute { version: V1 }], "v1 base web=3, v2 web=1 worker=1");
        check(&[web(V2, 2), less(V1, 1)], "v1 base users web=2, v2 web=3 worker=1");
        check(&[less(V1, 9)], "v2 web=1 worker=1");
        check(&[Command::Delete { version: V2 }], "v1 base users web=3");
        let twice = Command::MakeOnly { version: V2 };
        check(&[Command::Route { version: V2 }, twice.clone(), twice], "v2 base users web=4 worker=1");
        check(&[Command::MakeOnly { version: V1 }], "v1 base users web=3");
    }

    #[test]
    fn autoscalers_are_moved_removed_and_restored() {
        let autoscaler = Autoscaler { process: "web".to_owned(), version: Some(V1), spec: "{}".to_owned() };
        let restore = Command::RestoreAutoscaler { autoscaler: autoscaler.clone() };
        let there = after(&after(&start(), &restore), &restore);
        assert_eq!(there.autoscaled, [autoscaler]);
        assert_eq!(after(&there, &Command::MoveAutoscalers { version: V2 }).autoscaled[0].version, Some(V2));
        assert_eq!(after(&there, &Command::SuspendAutoscaler { process: "web".to_owned() }).autoscaled, []);
    }
}
