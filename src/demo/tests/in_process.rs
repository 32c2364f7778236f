//! What is translated in the same process is what the adapter for Tsuru makes of the answers over HTTP.

use super::*;
use crate::demo::in_process as direct;
use crate::demo::tsuru::{Act, Look, Start};
use crate::platform::tsuru::{Tsuru, TsuruConfig};
use crate::platform::{Activity, Platform};
use crate::rollout::{Autoscaler, Command, Observed};
use crate::words::{AppName, Time};

const AT: Time = Time(7);

struct Both {
    bench: Bench,
    adapter: Tsuru,
}

impl Both {
    async fn start() -> Self {
        let bench = Bench::start().await;
        let token = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(token.path(), bench.emulator.daemon_token()).expect("it can be written");
        let mut config = TsuruConfig::new(bench.emulator.base_url());
        config.token_file = Some(token.path().to_owned());
        let adapter = Tsuru::new(config, || AT).expect("a good configuration");
        Self { bench, adapter }
    }

    async fn over_http(&self) -> (Observed, Vec<Activity>) {
        let app = AppName("shop".to_owned());
        let seen = self.adapter.observe(&app).await.expect("it is there");
        (seen, self.adapter.activity(Some(&app), Time(0)).await.expect("it is there"))
    }

    fn in_process(&self) -> (Observed, Vec<Activity>) {
        self.bench.emulator.look(|core| {
            let app = core.app("shop").expect("the app");
            let pods = Some(app.pods.as_slice());
            let hosts = Some(Vec::new());
            let look = Look { app, pods, autoscale: true, metrics: true, quota: true, hosts };
            let seen = direct::observed(&look, AT, direct::units).expect("units");
            (seen, core.events().map(|event| direct::activity(event, DAEMON)).collect())
        })
    }

    /// Both see the same, now that nothing moves.
    async fn agree(&self, after: &str) {
        let (seen, done) = self.over_http().await;
        let (direct, direct_done) = self.in_process();
        assert_eq!(seen, direct, "{after}");
        assert_eq!(done, direct_done, "{after}");
    }
}

fn commands() -> Vec<Command> {
    let (v1, v2) = (Version(1), Version(2));
    let web = || "web".to_owned();
    let spec = r#"{"averageCPU":"700m","behavior":{},"maxUnits":5,"minUnits":2,"process":"web","version":1}"#;
    let autoscaler = Autoscaler { process: web(), version: Some(v1), spec: spec.to_owned() };
    vec![
        Command::Route { version: v2 },
        Command::AddUnits { version: v2, process: web(), count: 2 },
        Command::RemoveUnits { version: v1, process: web(), count: 1 },
        Command::RestoreAutoscaler { autoscaler },
        Command::MoveAutoscalers { version: v2 },
        Command::SuspendAutoscaler { process: web() },
        Command::Unroute { version: v2 },
        Command::Delete { version: v2 },
        Command::MakeOnly { version: v1 },
        Command::Quarantine { version: v2, reason: "slow".to_owned() },
    ]
}

/// Without who asked.
fn anonymous(start: Start) -> Start {
    match start {
        Start::Deploy { image, origin, message, rollback, new_version, override_versions, .. } => {
            let user = String::new();
            Start::Deploy { image, origin, message, rollback, new_version, override_versions, user }
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_and_events_are_seen_as_over_http() {
    let both = Both::start().await;
    let emulator = &both.bench.emulator;
    both.agree("the first deploy").await;
    emulator.deploy("shop", "toy:good", true).await.expect("a good image");
    emulator.deploy("shop", "toy:nonsense", true).await.expect_err("no image");
    let name = emulator.look(|core| core.app("shop").expect("the app").pods[0].name.clone());
    emulator.act("shop", Act::KillUnit { unit: name, force: true }).await.expect("it runs");
    emulator.act("shop", Act::SetEnv { names: vec!["A".to_owned()] }).await.expect("it is set");
    both.agree("what others did").await;
    let app = AppName("shop".to_owned());
    for command in commands() {
        both.adapter.execute(&app, &command).await.unwrap_or_else(|e| panic!("{command}: {e}"));
        both.agree(&command.to_string()).await;
    }
    both.bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_ask_for_what_the_calls_over_http_ask_for() {
    let (http, direct) = (Both::start().await, Both::start().await);
    for both in [&http, &direct] {
        both.bench.emulator.deploy("shop", "toy:good", true).await.expect("a good image");
    }
    let last = |both: &Both| {
        both.bench.emulator.look(|core| {
            let event = core.events().last().expect("an event");
            (event.kind, anonymous(event.start.clone()))
        })
    };
    for command in commands() {
        http.adapter.execute(&AppName("shop".to_owned()), &command).await.expect("over HTTP");
        direct.bench.emulator.act("shop", direct::act(&command)).await.expect("in process");
        assert_eq!(last(&http), last(&direct), "{command}");
    }
    http.bench.emulator.shutdown().await;
    direct.bench.emulator.shutdown().await;
}
