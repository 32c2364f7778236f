//! Measures the daemon with many rollouts at once: processor, memory, journal, and how soon it reacts.
//!
//! `cargo bench --bench fleet -- --rollouts 1000`. An emulated Tsuru runs as a process of its own with as many apps, each
//! with a canary in its first step; `uguisu run` watches them under a policy like `rules/web.yaml`. What is measured is
//! the daemon's process alone, after it has taken all of them up. Then one more canary, a bad one, is deployed: the time
//! from the round that found harm to the first call that reaches the platform is the reaction.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]
#![expect(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]
#![expect(clippy::cast_precision_loss, reason = "what is counted here is small")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt as _;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Many rollouts at once.
#[derive(Debug, Parser)]
struct Options {
    /// How many.
    #[arg(long, default_value_t = 1000)]
    rollouts: usize,
    /// Units of each app's baseline.
    #[arg(long, default_value_t = 2)]
    units: u32,
    /// Requests a second that each app gets.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// How long it is measured, in seconds: first while nothing is rolled out, then with all rollouts.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

const DAEMON: &str = "emulated-daemon-token";
const CI: &str = "emulated-ci-token";

/// A process that ends with this one.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Process {
    fn start(log: &Path, arguments: &[&str]) -> Self {
        let file = || fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_uguisu"));
        command.args(arguments).env_remove("RUST_LOG").env("RUST_LOG", "warn");
        Self(command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().unwrap())
    }

    /// Seconds of processor time so far.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        // Of user and system time, in hundredths of a second.
        fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Resident memory in MiB: now, and at most so far.
    fn memory(&self) -> [f64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        ["VmRSS:", "VmHWM:"].map(|key| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
        })
    }
}

#[tokio::main]
async fn main() {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let options = Options::parse();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let log = path("emulator.log");
    let _emulator = Process::start(&log, &["emulate", "--listen=127.0.0.1:0", "--speed=20"]);
    let tsuru = until("the emulator", async || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        Some(text.lines().find_map(|line| line.strip_prefix("tsuru "))?.trim().to_owned())
    })
    .await;
    let client = Client::builder().no_proxy().build().unwrap();
    let fleet = Fleet { client, tsuru };
    let names: Vec<String> = (0..options.rollouts).map(|number| format!("fleet-{number}")).collect();
    for name in &names {
        fleet.create(name, options.units, options.rate).await;
    }
    fleet.create("bad", 4, 600.0).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    configure(dir.path(), &fleet.tsuru, port);
    let config = path("uguisu.toml").display().to_string();
    let daemon = Process::start(&path("daemon.log"), &["run", "--config", &config]);
    let metrics = format!("http://127.0.0.1:{port}/metrics");
    at_rest(&fleet, &daemon, &metrics, &options).await;
    futures_util::stream::iter(&names).for_each_concurrent(20, |name| fleet.deploy(name, "toy:good")).await;
    until("every rollout is in its step", async || {
        let steps = number(&fleet.get(&metrics).await, "rollouts{phase=\"step\"}");
        (steps >= options.rollouts as f64).then_some(())
    })
    .await;
    // Until nothing moves any more.
    sleep(Duration::from_secs(30)).await;

    let journal = || fs::metadata(path("data").join("journal.db")).map_or(0, |m| m.len()) as f64;
    let looks = async || number(&fleet.get(&metrics).await, "look_duration_seconds_count");
    let before = (Instant::now(), daemon.processor(), looks().await, journal());
    sleep(Duration::from_secs(options.seconds)).await;
    let span = before.0.elapsed().as_secs_f64();
    let (processor, looks) = (daemon.processor() - before.1, looks().await - before.2);
    let [memory, most] = daemon.memory();
    println!("rollouts            {:>10}", options.rollouts);
    println!("looks a second      {:>10.1}", looks / span);
    println!("processor           {:>10.2} of one core", processor / span);
    println!("a look              {:>10.2} ms of one core", 1e3 * processor / looks);
    println!("memory              {memory:>10.0} MiB, at most {most:.0} MiB");
    println!("journal             {:>10.1} KiB a look", (journal() - before.3) / looks / 1024.0);
    let busy = fleet.reaction(dir.path()).await;
    println!("reaction            {busy:>10} ms from the round that found harm to the platform's event");
}

/// While nothing is rolled out, the noise of all apps is watched.
async fn at_rest(fleet: &Fleet, daemon: &Process, metrics: &str, options: &Options) {
    let looks = async || number(&fleet.get(metrics).await, "quiet_looks_total");
    until("every app is watched", async || (looks().await >= options.rollouts as f64).then_some(())).await;
    let before = (Instant::now(), daemon.processor(), looks().await);
    sleep(Duration::from_secs(options.seconds)).await;
    let span = before.0.elapsed().as_secs_f64();
    println!("apps at rest        {:>10}", options.rollouts);
    println!("quiet looks a second{:>10.1}", (looks().await - before.2) / span);
    println!("processor           {:>10.2} of one core", (daemon.processor() - before.1) / span);
    println!("memory              {:>10.0} MiB", daemon.memory()[0]);
}

/// The emulated install.
struct Fleet {
    client: Client,
    tsuru: String,
}

impl Fleet {
    async fn create(&self, name: &str, units: u32, rate: f64) {
        let app = json!({ "name": name, "image": "toy:good", "units": units, "rate": rate });
        let answer =
            self.client.post(format!("{}/emulator/apps", self.tsuru)).json(&app).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }

    async fn deploy(&self, name: &str, image: &str) {
        let url = format!("{}/1.0/apps/{name}/deploy", self.tsuru);
        let form = [("image", image), ("new-version", "true")];
        let request = self.client.post(url).header("Authorization", format!("bearer {CI}")).form(&form);
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.ends_with("\nOK\n"), "{text}");
    }

    async fn get(&self, url: &str) -> String {
        let request = self.client.get(url).header("Authorization", format!("bearer {DAEMON}"));
        match request.send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// How long it takes from the decision to roll a bad canary back to the first event of it on the platform, in
    /// milliseconds.
    async fn reaction(&self, dir: &Path) -> i64 {
        self.deploy("bad", "toy:errors=40%").await;
        let data = dir.join("data").display().to_string();
        let decided = until("the bad canary is rolled back", async || {
            let shown = Command::new(env!("CARGO_BIN_EXE_uguisu"))
                .args(["show", "bad", "--json", "--data", &data])
                .output()
                .unwrap();
            let story: Value = serde_json::from_slice(&shown.stdout).ok()?;
            let events = story["timeline"].as_array()?;
            events.iter().find(|event| event["kind"] == "rollback_decided")?["at"].as_i64()
        })
        .await;
        let url = format!(
            "{}/1.1/events?target.type=app&target.value=bad&kindname=app.update.routable",
            self.tsuru
        );
        until("the platform has an event of it", async || {
            let events: Value = serde_json::from_str(&self.get(&url).await).ok()?;
            let starts = events.as_array()?.iter().filter_map(|event| {
                let at: jiff::Timestamp = event["StartTime"].as_str()?.parse().ok()?;
                Some(at.as_millisecond())
            });
            starts.filter(|at| *at >= decided).min().map(|at| at - decided)
        })
        .await
    }
}

/// The daemon's files.
fn configure(dir: &Path, tsuru: &str, port: u16) {
    let path = |name: &str| dir.join(name).display().to_string();
    let policy = |name: &str, apps: &str, bake: &str| {
        format!(
            "policy: {name}\nfor: {{ apps: ['{apps}'] }}\nlook_every: 15s\nwarm_up: 0s\nstrategy:\n  canary:\n    \
             steps: [30%, 50%]\n    bake: {{ at_least: {bake}, at_most: 10h }}\nsignals:\n  - use: http-errors\n    \
             critical: true\n  - use: http-latency\nhealth:\n  - http: /healthz\n"
        )
    };
    fs::create_dir(dir.join("rules")).unwrap();
    fs::write(dir.join("rules/fleet.yaml"), policy("fleet", "fleet-*", "10h")).unwrap();
    fs::write(dir.join("rules/bad.yaml"), policy("bad", "bad", "1h").replace("15s", "1s")).unwrap();
    fs::write(dir.join("token"), DAEMON).unwrap();
    let config = format!(
        "data = '{}'\nrules = '{}'\npoll_every = '2s'\n[tsuru]\nurl = '{tsuru}'\ntoken_file = '{}'\n[web]\nlisten = \
         '127.0.0.1:{port}'\n[source]\nkind = 'scrape'\n",
        path("data"),
        path("rules"),
        path("token")
    );
    fs::write(dir.join("uguisu.toml"), config).unwrap();
}

/// The value of the metric whose name ends so, labels included; nothing is 0.
fn number(metrics: &str, name: &str) -> f64 {
    let mut lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (key, value) = line.rsplit_once(' ')?;
        key.ends_with(name).then(|| value.parse().ok())?
    };
    lines.find_map(value).unwrap_or(0.0)
}

async fn until<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(15);
    loop {
        if let Some(found) = holds().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long: {what}");
        sleep(Duration::from_millis(500)).await;
    }
}
