//! Debian's Prometheus and Alertmanager.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::process::Process;
use super::{SOON, client, free_port, until};

/// Whether a program is there. Where it is not, that is said loudly; where everything must be tested, it is a failure.
pub(crate) fn installed(program: &str) -> bool {
    let run = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = run.is_ok_and(|status| status.success());
    assert!(there || std::env::var_os("UGUISU_TEST_ALL").is_none(), "`{program}` is not installed");
    if !there {
        eprintln!("PASSED OVER: `{program}` is not installed; `apt-get install {program}` has it");
    }
    there
}

/// A Prometheus that discovers an emulator's units.
pub(crate) struct Prometheus {
    process: Process,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Prometheus {
    /// Starts one in `dir` and waits until it has scraped `units` units. `more` goes into its configuration.
    pub(crate) async fn start(dir: &Path, tsuru: &str, units: usize, more: &str, port: u16) -> Self {
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}\n\
             scrape_configs:\n  - job_name: units\n    http_sd_configs:\n      \
             - {{ url: '{tsuru}/emulator/sd', refresh_interval: 1s }}\n{more}"
        );
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config).expect("a file can be written");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
        let process = Process::start("prometheus", dir, &mut command);
        let mut prometheus = Self { process, port };
        let wanted = units.to_string();
        until("Prometheus has scraped all units", SOON, async || {
            prometheus.process.must_run();
            let up = prometheus.query("sum(up)").await?;
            (up["data"]["result"][0]["value"][1].as_str()? == wanted).then_some(())
        })
        .await;
        prometheus
    }

    async fn query(&self, query: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        client().get(url).query(&[("query", query)]).send().await.ok()?.json().await.ok()
    }
}

/// An Alertmanager that delivers everything to one webhook.
pub(crate) struct Alertmanager {
    process: Process,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Alertmanager {
    /// Starts one in `dir` that delivers to `url` with the token in a file.
    pub(crate) async fn start(dir: &Path, url: &str, token_file: &Path) -> Self {
        let port = free_port();
        let token = token_file.display();
        let config = format!(
            "route: {{ receiver: uguisu, group_by: [alertname], group_wait: 0s, group_interval: 1s, \
             repeat_interval: 1m }}\nreceivers:\n  - name: uguisu\n    webhook_configs:\n      - url: '{url}'\n        \
             send_resolved: true\n        http_config:\n          authorization: {{ credentials_file: '{token}' }}\n"
        );
        let file = dir.join("alertmanager.yml");
        std::fs::write(&file, config).expect("a file can be written");
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.path={}", dir.join("alertmanager").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        // Alone: no cluster.
        command.args(["--cluster.listen-address=", "--log.level=debug"]);
        let process = Process::start("alertmanager", dir, &mut command);
        let mut alertmanager = Self { process, port };
        until("Alertmanager is ready", SOON, async || {
            alertmanager.process.must_run();
            let answer = client().get(format!("http://127.0.0.1:{port}/-/ready")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        alertmanager
    }

    /// Lets an alert of the app fire since `since`.
    pub(crate) async fn fire(&self, name: &str, since: jiff::Timestamp) {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", self.port);
        let alert = json!([{
            "labels": { "alertname": name, "app": "shop" },
            "annotations": { "summary": format!("{name}, as seen by a test") },
            "startsAt": since.to_string(),
        }]);
        let answer = client().post(url).json(&alert).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}
