//! A process of its own, with its output in a file.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::until;

/// How much of the output is shown when a test fails, in lines.
const TAIL: usize = 60;

/// A running process. Dropped, it is killed; and if the test fails, the end of its output is shown.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in a file of `dir`, after what a process of the same name wrote before.
    pub(crate) fn start(name: &str, dir: &Path, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = || -> File {
            OpenOptions::new().create(true).append(true).open(&log).expect("a file for the output")
        };
        let child = command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// The program under test.
    pub(crate) fn uguisu() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uguisu"));
        command.env_remove("RUST_LOG").env_remove("UGUISU_CONFIG").env_remove("UGUISU_DATA");
        command.env_remove("TSURU_TOKEN");
        command
    }

    /// All that it and those before it have written.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it, as the system does when there is no memory left, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, and gives how it ended `within` that time.
    pub(crate) async fn terminate(&mut self, within: Duration) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("`kill` is there");
        assert!(sent.success(), "{} could not be signalled", self.name);
        self.ended(within).await
    }

    /// How it ended by itself, `within` that time.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, within, async || self.child.try_wait().expect("it can be waited for")).await
    }

    /// Panics where it has ended: whoever waits for it would wait for nothing.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().expect("it can be waited for") {
            panic!("{} ended with {status}", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            eprintln!("---- {}: the last lines of {} ----\n{tail}", self.name, lines.len());
        }
    }
}
