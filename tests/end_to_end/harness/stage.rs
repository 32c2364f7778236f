//! An emulated Tsuru with an app, and a daemon beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::SemaphorePermit;

use super::observed::{Events, Story};
use super::process::Process;
use super::{SOON, client, free_port, turn, until};

/// The app that everything is about.
const APP: &str = "shop";

/// Where the daemon gets samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The units themselves.
    Scrape,
    /// A Prometheus that listens on this port.
    Prometheus(u16),
}

/// What a test begins with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// How many times as fast as usual the platform works.
    pub(crate) speed: f64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Units of the baseline.
    pub(crate) units: u32,
    /// The policy's file.
    pub(crate) policy: String,
    /// What is added to the daemon's configuration.
    pub(crate) more: String,
    /// Where samples come from.
    pub(crate) source: Source,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            speed: 4.0,
            rate: 600.0,
            units: 9,
            policy: policy("5s", ""),
            more: String::new(),
            source: Source::Scrape,
        }
    }
}

/// A policy with short times: one canary beside nine units, then as many. `bake` is the shortest bake.
pub(crate) fn policy(bake: &str, more: &str) -> String {
    policy_of(
        &format!("canary: {{ steps: [10%, 50%], bake: {{ at_least: {bake}, at_most: 60m }} }}"),
        &format!("health:\n  - http: /healthz\n    every: 1s\n    timeout: 1s\n{more}"),
    )
}

/// A policy with short times, of this strategy.
pub(crate) fn policy_of(strategy: &str, more: &str) -> String {
    format!(
        "policy: quick\nfor: {{ apps: [{APP}] }}\nlook_every: 1s\nwarm_up: 1s\nstrategy:\n  {strategy}\n\
         signals:\n  - use: http-errors\n    margin: +20%\n    critical: true\n{more}"
    )
}

/// All processes of a test and where their files are.
pub(crate) struct Stage {
    daemon: Option<Process>,
    _emulator: Process,
    /// Where the emulated Tsuru is.
    pub(crate) tsuru: String,
    /// The port that the daemon listens on.
    pub(crate) port: u16,
    client: reqwest::Client,
    /// What the daemon finds in its environment.
    environment: Vec<(String, String)>,
    // Last, so that the files go after the processes, and the turn after both.
    dir: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Stage {
    /// An emulator with the app, all its units ready, and a configuration for a daemon that is not started yet.
    pub(crate) async fn open(setup: &Setup) -> Self {
        let turn = turn().await;
        let dir = TempDir::new().expect("a directory");
        let (units, rate, speed) = (setup.units, setup.rate, setup.speed);
        let arguments = ["emulate", "--listen=127.0.0.1:0", "--seed=7", "--app", APP];
        let mut command = Process::uguisu();
        command.args(arguments).args([
            format!("--units={units}"),
            format!("--rate={rate}"),
            format!("--speed={speed}"),
        ]);
        let mut emulator = Process::start("emulator", dir.path(), &mut command);
        let tsuru = until("the emulator's address", SOON, async || {
            emulator.must_run();
            let line = emulator.output();
            Some(line.lines().find_map(|l| l.strip_prefix("tsuru "))?.trim().to_owned())
        })
        .await;
        let (port, client, environment) = (free_port(), client(), Vec::new());
        let stage =
            Self { daemon: None, _emulator: emulator, tsuru, port, client, environment, dir, _turn: turn };
        stage.write("policy.yaml", &setup.policy);
        stage.write("tsuru-token", "emulated-daemon-token\n");
        stage.configure(&stage.tsuru, setup);
        until("all units are ready", SOON, async || {
            let units = stage.app().await["units"].as_array()?.clone();
            let ready = units.iter().filter(|u| u["ready"] == true).count();
            (ready == units.len() && !units.is_empty()).then_some(())
        })
        .await;
        stage
    }

    /// Writes the daemon's configuration, for a Tsuru at this address.
    pub(crate) fn configure(&self, tsuru: &str, setup: &Setup) {
        let path = |name: &str| self.path(name).display().to_string();
        let mut text = format!(
            "data = '{}'\nrules = '{}'\npoll_every = '1s'\n[tsuru]\nurl = '{tsuru}'\ntoken_file = '{}'\n\
             [web]\nlisten = '127.0.0.1:{}'\n",
            path("data"),
            path("policy.yaml"),
            path("tsuru-token"),
            self.port
        );
        // `[web]` is the last table, so what is added may go on with it.
        text.push_str(&setup.more);
        let source = match setup.source {
            Source::Scrape => "[source]\nkind = 'scrape'\n".to_owned(),
            Source::Prometheus(port) => {
                format!("[source]\nkind = 'prometheus'\nurl = 'http://127.0.0.1:{port}'\n")
            }
        };
        write!(text, "\n{source}").expect("a string takes it");
        self.write("uguisu.toml", &text);
    }

    /// The directory of all files.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of this test.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    /// Sets what the next daemon finds in its environment.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the daemon, whatever becomes of it.
    pub(crate) fn launch(&mut self) -> &mut Process {
        assert!(self.daemon.is_none(), "one is enough");
        let mut command = Process::uguisu();
        command.arg("run").arg("--config").arg(self.path("uguisu.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.daemon.insert(Process::start("daemon", self.dir.path(), &mut command))
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Waits until the daemon is ready.
    pub(crate) async fn ready(&mut self) {
        until("the daemon is ready", SOON, async || {
            self.daemon.as_mut().expect("it was started").must_run();
            (self.get("/readyz").await?.0 == 200).then_some(())
        })
        .await;
    }

    /// Kills the daemon without a word.
    pub(crate) fn kill(&mut self) {
        self.daemon.take().expect("it was started").kill();
    }

    /// Asks the daemon to end, which it must do within ten seconds and without a complaint.
    pub(crate) async fn terminate(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        let status = daemon.terminate(Duration::from_secs(10)).await;
        assert!(status.success(), "the daemon ended with {status}");
    }

    /// What a command prints that reads what the daemon has, and its exit code.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (String, i32) {
        let mut command = Process::uguisu();
        let output = command.args(arguments).arg("--config").arg(self.path("uguisu.toml")).output();
        let output = output.expect("it can be started");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
    }

    /// What the daemons of this test have logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// What the daemon's listener answers: status and text; nothing where nobody listens.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.client.get(format!("http://127.0.0.1:{}{path}", self.port)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until one of the daemon's own metrics has reached `least`.
    pub(crate) async fn until_metric(&self, series: &str, least: f64) {
        until(&format!("{series} is {least}"), SOON, async || {
            let (_, text) = self.get("/metrics").await?;
            let value = text.lines().find_map(|line| line.strip_prefix(series))?;
            (value.trim().parse::<f64>().ok()? >= least).then_some(())
        })
        .await;
    }

    /// Waits until the daemon has looked so often at what serves before any rollout.
    pub(crate) async fn until_watched(&self, looks: u32) {
        self.until_metric("uguisu_quiet_looks_total", f64::from(looks)).await;
    }

    /// Delivers an alert to the daemon as Alertmanager does, with this token; gives the status.
    pub(crate) async fn alert(&self, token: Option<&str>, name: &str) -> u16 {
        let started = jiff::Timestamp::now().to_string();
        let alert = json!({
            "status": "firing", "labels": { "alertname": name, "app": APP }, "annotations": {},
            "startsAt": started, "fingerprint": format!("{name}-{started}"),
        });
        let payload = json!({ "version": "4", "status": "firing", "alerts": [alert] });
        let url = format!("http://127.0.0.1:{}/hooks/alertmanager", self.port);
        let mut request = self.client.post(url).json(&payload);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.expect("an answer").status().as_u16()
    }

    /// Deploys an image beside what runs, as a person does, and waits for the deploy's end.
    pub(crate) async fn deploy(&self, image: &str) {
        self.deploy_with(&[("image", image), ("new-version", "true")]).await;
    }

    /// Deploys an image in place of what runs: the platform replaces all units by itself.
    pub(crate) async fn deploy_in_place(&self, image: &str) {
        self.deploy_with(&[("image", image)]).await;
    }

    async fn deploy_with(&self, form: &[(&str, &str)]) {
        let request = self.client.post(format!("{}/1.0/apps/{APP}/deploy", self.tsuru)).form(form);
        let request = request.header("Authorization", "bearer emulated-ci-token");
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a whole answer"));
        assert!(status.is_success() && text.ends_with("\nOK\n"), "{status}: {text}");
    }

    /// The app as the emulator knows it: units, and what each version has served.
    pub(crate) async fn app(&self) -> Value {
        let answer = self.client.get(format!("{}/emulator/apps/{APP}", self.tsuru)).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    }

    /// Sets how many requests a second the app gets.
    pub(crate) async fn set_rate(&self, rate: f64) {
        self.put(&format!("apps/{APP}/traffic"), &json!({ "rate": rate })).await;
    }

    /// Lets an incident hit all versions alike: so many times the usual share of errors. 1 ends it.
    pub(crate) async fn incident(&self, errors: f64) {
        self.put(&format!("apps/{APP}/incident"), &json!({ "errors": errors })).await;
    }

    /// Gives the app's web process an autoscaler.
    pub(crate) async fn autoscale(&self, min: u32, max: u32) {
        let spec = json!({ "process": "web", "minUnits": min, "maxUnits": max, "averageCPU": "700m" });
        let request = self.client.post(format!("{}/1.9/apps/{APP}/units/autoscale", self.tsuru)).json(&spec);
        let answer = request.header("Authorization", "bearer emulated-daemon-token").send().await;
        let answer = answer.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// The app's autoscalers, as Tsuru tells.
    pub(crate) async fn autoscalers(&self) -> Vec<Value> {
        let request = self.client.get(format!("{}/1.9/apps/{APP}/units/autoscale", self.tsuru));
        let answer = request.header("Authorization", "bearer emulated-daemon-token").send().await;
        let listed: Value = answer.expect("an answer").json().await.expect("JSON");
        listed.as_array().cloned().unwrap_or_default()
    }

    /// Gives the running daemon an order by the command line; gives what was printed, and whether it was taken.
    pub(crate) fn order(&self, order: &[&str]) -> (bool, String) {
        let mut command = Process::uguisu();
        command.args(order).args(["--by", "ada"]).arg("--config").arg(self.path("uguisu.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("`uguisu` runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).expect("text"))
    }

    /// Sets what goes wrong on the platform.
    pub(crate) async fn set_faults(&self, faults: &Value) {
        self.put("faults", faults).await;
    }

    async fn put(&self, path: &str, body: &Value) {
        let request = self.client.put(format!("{}/emulator/{path}", self.tsuru)).json(body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// What was done on the platform.
    pub(crate) async fn events(&self) -> Events {
        let request = self.client.get(format!("{}/1.1/events?limit=1000", self.tsuru));
        let answer = request.header("Authorization", "bearer emulated-daemon-token").send().await;
        Events(answer.expect("an answer").json().await.expect("events"))
    }

    /// The latest rollout; nothing while there is none.
    pub(crate) fn story(&self) -> Option<Story> {
        let mut command = Process::uguisu();
        let output = command.args(["show", "last", "--looks", "--json", "--data"]).arg(self.path("data"));
        let output = output.output().expect("`uguisu show` runs");
        output.status.success().then(|| Story(serde_json::from_slice(&output.stdout).expect("JSON")))
    }

    /// Waits until the latest rollout is as wanted.
    pub(crate) async fn until_story(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Story) -> bool,
    ) -> Story {
        until(what, within, async || self.story().filter(|story| wanted(story))).await
    }

    /// Waits for the end of the rollout of this version; gives its phase and its story.
    pub(crate) async fn until_ended(&self, canary: u32) -> (String, Story) {
        let what = format!("the end of the rollout of v{canary}");
        let ended = |story: &Story| story.canary() == canary && story.has_ended();
        let story = self.until_story(&what, super::ROLLOUT, ended).await;
        (story.phase().to_owned(), story)
    }

    /// Every unit is of this version, ready, routed and of the base, and there are as many as there were.
    pub(crate) async fn assert_only(&self, version: u32, count: usize) {
        let app = self.app().await;
        let units = app["units"].as_array().expect("units");
        let is = |unit: &&Value| {
            unit["version"] == version && ["ready", "routable", "base"].iter().all(|flag| unit[*flag] == true)
        };
        let good = units.iter().filter(is).count();
        assert!(good == count && units.len() == count, "{count} units of v{version} are wanted: {units:#?}");
    }
}
