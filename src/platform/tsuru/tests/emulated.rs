//! Against the emulated Tsuru: whole rollouts, refusals, and what goes wrong there.

mod bad_days;
mod permissions;

use super::*;
use crate::demo::tsuru::faults::{Faults, Switch};
use crate::demo::tsuru::{Act, AppSpec, State, Tsuru as Core};
use crate::demo::{CI, DAEMON, Emulator, EmulatorConfig};
use crate::platform::ActivityKind;
use PlatformErrorKind::{Busy, Doubled, Failed, NotFound, Refused, Unauthorized};

const V1: Version = Version(1);
const V2: Version = Version(2);

struct Bench {
    emulator: Emulator,
    tsuru: Tsuru,
}

impl Bench {
    /// An emulator that goes fast, with an app of three ready units of v1 and one of v2 beside it.
    async fn start() -> Self {
        Self::at(50.0).await
    }

    /// The same, so many times as fast as usual.
    async fn at(speed: f64) -> Self {
        Self::with(EmulatorConfig { speed, ..EmulatorConfig::default() }).await
    }

    async fn with(config: EmulatorConfig) -> Self {
        let emulator = Emulator::start(config).await.unwrap();
        emulator.create_app(AppSpec::web("shop"), Some(("toy:good", 3))).unwrap();
        assert_eq!(emulator.deploy("shop", "toy:good", true).await.unwrap(), V2);
        let tsuru = open(config_of(&emulator, emulator.daemon_token()));
        Self { emulator, tsuru }
    }

    async fn execute(&self, command: Command) -> Result<(), PlatformError> {
        self.tsuru.execute(&shop(), &command).await
    }

    #[track_caller]
    fn refused(result: Result<(), PlatformError>, kind: PlatformErrorKind, words: &str) {
        let error = result.unwrap_err();
        assert!(error.kind == kind && error.message.contains(words), "{:?}: {error}", error.kind);
    }

    /// Units as `version flags`, sorted: `b`ase, `r`eady, ro`u`table.
    async fn units(&self) -> String {
        let flag = |on: bool, flag: &'static str| if on { flag } else { "" };
        let observed = self.tsuru.observe(&shop()).await.unwrap();
        let mut units: Vec<String> = observed
            .units
            .iter()
            .map(|u| {
                let (base, ready, users) = (flag(u.base, "b"), flag(u.ready, "r"), flag(u.routable, "u"));
                format!("{}{base}{ready}{users}", u.version)
            })
            .collect();
        units.sort();
        units.join(" ")
    }

    async fn kinds(&self) -> Vec<(String, bool, ActivityKind)> {
        let seen = self.tsuru.activity(Some(&shop()), Time(0)).await.unwrap();
        seen.into_iter().map(|a| (a.owner, a.ours, a.kind)).collect()
    }
}

fn config_of(emulator: &Emulator, token: &str) -> TsuruConfig {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token).unwrap();
    let mut config = TsuruConfig::new(emulator.base_url());
    config.token_file = Some(file.into_temp_path().keep().unwrap());
    config
}

fn route(version: Version) -> Command {
    Command::Route { version }
}

fn unroute(version: Version) -> Command {
    Command::Unroute { version }
}

fn add(version: Version, count: u32) -> Command {
    Command::AddUnits { version, process: "web".to_owned(), count }
}

fn remove(version: Version, count: u32) -> Command {
    Command::RemoveUnits { version, process: "web".to_owned(), count }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_promoted() {
    let bench = Bench::start().await;
    assert_eq!(bench.tsuru.apps().await.unwrap()[0].name, shop());
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r");
    assert_eq!(bench.tsuru.base(&shop()).await.unwrap(), Some(V1));
    let observed = bench.tsuru.observe(&shop()).await.unwrap();
    assert!(observed.units.iter().all(|u| u.address.is_some() && u.created.is_some()), "{observed:?}");
    assert_eq!(observed.gaps, Vec::<String>::new());

    bench.execute(route(V2)).await.unwrap();
    bench.execute(add(V2, 2)).await.unwrap();
    bench.execute(remove(V1, 1)).await.unwrap();
    assert_eq!(bench.units().await, "v1bru v1bru v2ru v2ru v2ru");
    bench.execute(Command::MakeOnly { version: V2 }).await.unwrap();
    assert_eq!(bench.units().await, "v2bru v2bru v2bru v2bru v2bru");
    assert_eq!(bench.tsuru.base(&shop()).await.unwrap(), Some(V2));
    assert_eq!(bench.tsuru.replaced(&shop(), V2).await.unwrap(), Some(V1));
    assert_eq!(bench.tsuru.replaced(&shop(), V1).await.unwrap(), None);
    bench.execute(Command::Quarantine { version: V1, reason: "slow".to_owned() }).await.unwrap();
    Bench::refused(bench.execute(Command::MakeOnly { version: V1 }).await, Refused, "quarantined");

    let kinds = bench.kinds().await.split_off(1);
    assert_eq!(kinds[0], (CI.to_owned(), false, ActivityKind::NewVersion { version: Some(V2) }));
    assert!(kinds[1..].iter().all(|(owner, ours, _)| owner == DAEMON && *ours), "{kinds:?}");
    assert_eq!(kinds[1].2, ActivityKind::Routed);
    assert_eq!((&kinds[2].2, &kinds[3].2), (&ActivityKind::Scaled, &ActivityKind::Scaled));
    assert_eq!(kinds[4].2, ActivityKind::Replaced { version: Some(V2) });
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_taken_back() {
    let bench = Bench::start().await;
    bench.execute(route(V2)).await.unwrap();
    bench.execute(unroute(V2)).await.unwrap();
    bench.execute(unroute(V2)).await.unwrap();
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r");
    bench.execute(Command::Delete { version: V2 }).await.unwrap();
    assert_eq!(bench.units().await, "v1bru v1bru v1bru");
    assert_eq!(bench.kinds().await.last().unwrap().2, ActivityKind::Stopped);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tsuru_refuses_is_understood() {
    let bench = Bench::start().await;
    Bench::refused(bench.execute(route(Version(9))).await, Refused, "Invalid version");
    Bench::refused(
        bench.execute(Command::MakeOnly { version: Version(9) }).await,
        Refused,
        "Invalid version",
    );
    Bench::refused(bench.execute(unroute(V1)).await, Refused, "no version but v1");
    Bench::refused(bench.execute(Command::Delete { version: V1 }).await, Refused, "base");
    let nobody = AppName("nobody".to_owned());
    let error = bench.tsuru.observe(&nobody).await.unwrap_err();
    assert_eq!(error.kind, NotFound, "{error}");
    assert_eq!(bench.tsuru.execute(&nobody, &add(V1, 1)).await.unwrap_err().kind, NotFound);

    bench.execute(Command::Delete { version: V2 }).await.unwrap();
    let gone = |core: &Core| core.app("shop").unwrap().deployments.iter().all(|d| d.version != 2);
    assert!(bench.emulator.wait_until(Span::seconds(9), gone).await);
    Bench::refused(bench.execute(route(V2)).await, Refused, "not deployed");
    let scale = Act::SetAutoscale { process: "web".to_owned(), min: 2, max: 5, cpu: "700m".to_owned() };
    bench.emulator.act("shop", scale).await.unwrap();
    Bench::refused(bench.execute(add(V1, 1)).await, Refused, "autoscaler");

    let stranger = open(config_of(&bench.emulator, "nobody-knows-this"));
    assert_eq!(stranger.observe(&shop()).await.unwrap_err().kind, Unauthorized);
    assert_eq!(stranger.execute(&shop(), &add(V1, 1)).await.unwrap_err().kind, Unauthorized);
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_somebody_else_is_busy() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults { slow_ready: Span::seconds(2), ..Faults::default() });
    let restart = Act::Change { state: State::Restart, process: String::new(), version: String::new() };
    let (theirs, ours) = tokio::join!(bench.emulator.act("shop", restart), async {
        let held = |core: &Core| core.events().any(|e| e.ended.is_none());
        assert!(bench.emulator.wait_until(Span::seconds(5), held).await);
        let running = bench.tsuru.activity(Some(&shop()), Time(0)).await.unwrap().pop().unwrap();
        assert_eq!((running.kind, running.ended, running.ours), (ActivityKind::Restarted, None, false));
        bench.execute(route(V2)).await
    });
    theirs.unwrap();
    Bench::refused(ours, Busy, "something else is working on the app");
    bench.execute(route(V2)).await.unwrap();
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_applied_route_is_repeated_until_it_is_whole() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults { routable_conflict: Switch::next(3), ..Faults::default() });
    bench.execute(route(V2)).await.unwrap();
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2ru");
    assert_eq!(bench.kinds().await.iter().filter(|k| k.2 == ActivityKind::Routed).count(), 4);

    bench.emulator.set_faults(Faults { routable_late_error: Switch::next(1), ..Faults::default() });
    bench.execute(unroute(V2)).await.expect("the failure came after the change");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2r");
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_after_the_work_is_none_where_the_units_show_it() {
    let bench = Bench::start().await;
    bench.emulator.set_faults(Faults { never_ready: Switch::next(1), ..Faults::default() });
    Bench::refused(bench.execute(add(V2, 2)).await, Failed, "");
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2 v2r v2r", "Tsuru leaves the units");
    bench.emulator.set_faults(Faults::default());
    bench.execute(remove(V2, 2)).await.unwrap();
    bench.execute(route(V2)).await.unwrap();
    bench.emulator.set_faults(Faults { router_error: Switch::next(1), ..Faults::default() });
    bench.execute(Command::MakeOnly { version: V2 }).await.expect("the failure came after the change");
    assert_eq!(bench.units().await, "v2bru v2bru v2bru v2bru");
    assert_eq!(bench.tsuru.base(&shop()).await.unwrap(), Some(V2));
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_is_moved_removed_and_restored() {
    let bench = Bench::start().await;
    let scale = Act::SetAutoscale { process: "web".to_owned(), min: 2, max: 5, cpu: "700m".to_owned() };
    bench.emulator.act("shop", scale).await.unwrap();
    let seen = async || bench.tsuru.observe(&shop()).await.unwrap().autoscaled;
    let autoscaler = seen().await.remove(0);
    assert_eq!((autoscaler.process.as_str(), autoscaler.version), ("web", Some(V1)));
    Bench::refused(bench.execute(add(V1, 1)).await, Refused, "autoscaler");

    bench.execute(Command::MoveAutoscalers { version: V2 }).await.unwrap();
    assert_eq!(seen().await[0].version, Some(V2));
    bench.execute(Command::SuspendAutoscaler { process: "web".to_owned() }).await.unwrap();
    assert_eq!(seen().await, []);
    bench.execute(add(V1, 1)).await.unwrap();
    bench.execute(Command::RestoreAutoscaler { autoscaler: autoscaler.clone() }).await.unwrap();
    assert_eq!(seen().await, [autoscaler]);
    Bench::refused(
        bench.execute(Command::MoveAutoscalers { version: Version(9) }).await,
        Refused,
        "must be deployed",
    );
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_survives_the_loss_of_its_answer() {
    let bench = Bench::start().await;
    for (command, units) in [
        (route(V2), "v1bru v1bru v1bru v2ru"),
        (add(V2, 2), "v1bru v1bru v1bru v2ru v2ru v2ru"),
        (remove(V1, 1), "v1bru v1bru v2ru v2ru v2ru"),
        (unroute(V2), "v1bru v1bru v2r v2r v2r"),
        (Command::Delete { version: V2 }, "v1bru v1bru"),
        (Command::MakeOnly { version: V1 }, "v1bru v1bru"),
        (Command::Quarantine { version: V2, reason: "bad".to_owned() }, "v1bru v1bru"),
    ] {
        bench.emulator.set_faults(Faults { lost_answer: Switch::next(1), ..Faults::default() });
        let shown = command.to_string();
        bench.execute(command).await.unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!(bench.units().await, units, "{shown}");
    }
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_seen_is_not_acted_on() {
    let bench = Bench::start().await;
    bench.execute(route(V2)).await.unwrap();
    bench.emulator.set_faults(Faults { units_error: Switch::chance(1.0), ..Faults::default() });
    assert_eq!(bench.tsuru.observe(&shop()).await.unwrap_err().kind, PlatformErrorKind::Unreachable);
    Bench::refused(bench.execute(unroute(V2)).await, PlatformErrorKind::Unreachable, "could not list");
    bench.emulator.set_faults(Faults { autoscale_error: Switch::chance(1.0), ..Faults::default() });
    assert_eq!(bench.tsuru.observe(&shop()).await.unwrap().gaps.len(), 1);
    bench.emulator.set_faults(Faults { unauthorized: Switch::next(2), ..Faults::default() });
    assert_eq!(bench.units().await, "v1bru v1bru v1bru v2ru");
    bench.emulator.set_faults(Faults { throttled: Switch::next(1), ..Faults::default() });
    Bench::refused(bench.execute(unroute(V2)).await, Busy, "throttled");
    bench.emulator.shutdown().await;
}
