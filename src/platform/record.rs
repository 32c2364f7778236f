//! A platform that is only watched: commands are written down, none is sent.
//!
//! [`Record`] stands before another platform. Reads go through; a command is appended to a file, one JSON object a
//! line, and from then on the app is shown as the command would have made it, so that a rollout goes on to its next
//! one. That lasts as long as the app is not changed by anybody else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use super::effect::{Traffic, after};
use super::{Activity, App, Platform, PlatformError, PlatformErrorKind, guard};
use crate::rollout::{Command, Observed};
use crate::words::{AppName, Time, Version};

/// A platform whose commands are written down instead of sent.
pub struct Record<P> {
    platform: P,
    file: PathBuf,
    would: Mutex<HashMap<AppName, Would>>,
}

/// What would have been done to an app.
#[derive(Clone)]
struct Would {
    /// The traffic that it really had meanwhile.
    real: Traffic,
    commands: Vec<Command>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: Time,
    app: &'a AppName,
    command: &'a Command,
    says: String,
}

impl<P: Platform> Record<P> {
    /// Writes the commands for `platform` to the end of `file`.
    pub fn new(platform: P, file: PathBuf) -> Self {
        Self { platform, file, would: Mutex::new(HashMap::new()) }
    }

    fn would(&self) -> MutexGuard<'_, HashMap<AppName, Would>> {
        self.would.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The app as it is, and as the commands so far would have made it.
    async fn both(&self, app: &AppName) -> Result<(Observed, Observed), PlatformError> {
        let real = self.platform.observe(app).await?;
        let mut would = self.would();
        if would.get(app).is_some_and(|would| would.real != Traffic::of(&real)) {
            would.remove(app);
        }
        let commands = would.get(app).map(|would| would.commands.as_slice()).unwrap_or_default();
        let then = commands.iter().fold(real.clone(), |seen, command| after(&seen, command));
        Ok((real, then))
    }

    async fn write(&self, line: &Line<'_>) -> std::io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).await?;
        file.write_all(text.as_bytes()).await?;
        file.sync_data().await
    }
}

impl<P: Platform> Platform for Record<P> {
    async fn apps(&self) -> Result<Vec<App>, PlatformError> {
        self.platform.apps().await
    }

    async fn observe(&self, app: &AppName) -> Result<Observed, PlatformError> {
        Ok(self.both(app).await?.1)
    }

    async fn activity(&self, app: Option<&AppName>, since: Time) -> Result<Vec<Activity>, PlatformError> {
        self.platform.activity(app, since).await
    }

    async fn base(&self, app: &AppName) -> Result<Option<Version>, PlatformError> {
        match Traffic::of(&self.observe(app).await?).base {
            Some(base) => Ok(Some(base)),
            None => self.platform.base(app).await,
        }
    }

    async fn replaced(&self, app: &AppName, version: Version) -> Result<Option<Version>, PlatformError> {
        self.platform.replaced(app, version).await
    }

    async fn execute(&self, app: &AppName, command: &Command) -> Result<(), PlatformError> {
        let error = |kind, message| PlatformError {
            action: format!("writing down for app `{app}` to {command}"),
            message,
            kind,
        };
        let (real, then) = self.both(app).await?;
        guard::check(&then, None, command).map_err(|why| error(PlatformErrorKind::Refused, why))?;
        let line = Line { at: real.at, app, command, says: command.to_string() };
        self.write(&line).await.map_err(|e| {
            error(PlatformErrorKind::Failed, format!("`{}` cannot be written: {e}", self.file.display()))
        })?;
        tracing::info!(%app, "recorded, not done: {command}");
        let fresh = Would { real: Traffic::of(&real), commands: Vec::new() };
        self.would().entry(app.clone()).or_insert(fresh).commands.push(command.clone());
        Ok(())
    }

    fn describe(&self) -> String {
        format!(
            "{}, only watched; commands are written to `{}`",
            self.platform.describe(),
            self.file.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Unit;

    /// A platform of one app whose units a test sets.
    #[derive(Default)]
    struct Still(Mutex<Vec<Unit>>);

    impl Platform for Still {
        async fn apps(&self) -> Result<Vec<App>, PlatformError> {
            Ok(Vec::new())
        }

        async fn observe(&self, _: &AppName) -> Result<Observed, PlatformError> {
            Ok(Observed {
                at: Time(7),
                units: self.0.lock().unwrap().as_slice().into(),
                autoscaled: Vec::new(),
                quota_left: None,
                gaps: Vec::new(),
            })
        }

        async fn activity(&self, _: Option<&AppName>, _: Time) -> Result<Vec<Activity>, PlatformError> {
            Ok(Vec::new())
        }

        async fn base(&self, _: &AppName) -> Result<Option<Version>, PlatformError> {
            Ok(None)
        }

        async fn execute(&self, _: &AppName, command: &Command) -> Result<(), PlatformError> {
            panic!("nothing may be done, and {command} was");
        }

        fn describe(&self) -> String {
            "a still".to_owned()
        }
    }

    fn unit(version: u32, base: bool) -> Unit {
        Unit {
            name: format!("shop-v{version}"),
            process: "web".to_owned(),
            version: Version(version),
            address: None,
            ready: true,
            routable: base,
            base,
            status: "started".to_owned(),
            restarts: 0,
            created: None,
        }
    }

    #[tokio::test]
    async fn commands_are_written_down_and_shown_as_done() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("would.jsonl");
        let app = AppName("shop".to_owned());
        let record = Record::new(Still(Mutex::new(vec![unit(1, true), unit(2, false)])), file.clone());
        record.execute(&app, &Command::Route { version: Version(2) }).await.unwrap();
        record.execute(&app, &Command::MakeOnly { version: Version(2) }).await.unwrap();
        assert_eq!(record.base(&app).await.unwrap(), Some(Version(2)));
        assert_eq!(record.observe(&app).await.unwrap().units.len(), 2);
        let error = record.execute(&app, &Command::Unroute { version: Version(2) }).await.unwrap_err();
        assert_eq!(error.kind, PlatformErrorKind::Refused);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                r#"{"at":7,"app":"shop","command":{"do":"route","version":2},"says":"route users to v2"}"#,
                r#"{"at":7,"app":"shop","command":{"do":"make_only","version":2},"says":"make v2 the only version"}"#,
            ]
        );
    }

    #[tokio::test]
    async fn what_really_happens_ends_the_pretence() {
        let directory = tempfile::tempdir().unwrap();
        let app = AppName("shop".to_owned());
        let still = Still(Mutex::new(vec![unit(1, true), unit(2, false)]));
        let record = Record::new(still, directory.path().join("would.jsonl"));
        record.execute(&app, &Command::Delete { version: Version(2) }).await.unwrap();
        assert_eq!(record.observe(&app).await.unwrap().units.len(), 1);
        record.platform.0.lock().unwrap().push(unit(3, false));
        assert_eq!(record.observe(&app).await.unwrap().units.len(), 3);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_a_failure() {
        let still = Still(Mutex::new(vec![unit(1, true), unit(2, false)]));
        let record = Record::new(still, "/nowhere/would.jsonl".into());
        let command = Command::Route { version: Version(2) };
        let error = record.execute(&AppName("shop".to_owned()), &command).await.unwrap_err();
        assert!(error.message.contains("/nowhere/would.jsonl"), "{error}");
        assert!(!record.observe(&AppName("shop".to_owned())).await.unwrap().units[1].routable);
    }
}
