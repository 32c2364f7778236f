//! Keeps the policies in force current.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Loaded, load};
use crate::policy::PolicySet;

/// How long files must be quiet before they are read: editors and volume mounts write in several moves.
const QUIET: Duration = Duration::from_millis(200);
/// How long reading is put off at most, where files never are quiet.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often files are read without a sign of change, since some file systems give none.
const AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// Why the daemon cannot begin with its policies.
#[derive(Debug, thiserror::Error)]
#[error("the policies cannot be used:\n{}", errors.join("\n"))]
pub struct RulesError {
    /// What is wrong, a line or more each.
    pub errors: Vec<String>,
}

/// The policies in force.
#[derive(Debug)]
pub struct Rules {
    paths: Vec<PathBuf>,
    /// Only [`Rules::follow`] writes; readers take the set and keep it for as long as they need one view of it.
    in_force: watch::Sender<Arc<PolicySet>>,
    /// What kept the files from being used when they were last read; empty where nothing did.
    errors: watch::Sender<Vec<String>>,
}

impl Rules {
    /// Reads the files and directories.
    ///
    /// # Errors
    /// Where any of them cannot be read or holds an error: a daemon begins with what was meant, or not at all.
    pub fn open(paths: Vec<PathBuf>) -> Result<Self, RulesError> {
        let loaded = load(&paths);
        let Some(set) = loaded.set() else { return Err(RulesError { errors: loaded.errors() }) };
        warn(&loaded, &set);
        let (in_force, errors) = (watch::Sender::new(Arc::new(set)), watch::Sender::new(Vec::new()));
        Ok(Self { paths, in_force, errors })
    }

    /// The set in force, now and whenever it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<PolicySet>> {
        self.in_force.subscribe()
    }

    /// What is wrong with the files as they are now, while an older set is in force; empty where nothing is.
    #[must_use]
    pub fn errors(&self) -> watch::Receiver<Vec<String>> {
        self.errors.subscribe()
    }

    /// Reads the files again whenever they change, until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        // One place is enough: a sign that is not yet read stands for all that follow it.
        let (sign, mut signs) = mpsc::channel(1);
        let _watcher = self.watcher(sign);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = signs.recv() => {
                    let quiet = async { while let Ok(Some(())) = timeout(QUIET, signs.recv()).await {} };
                    // Whether it became quiet or patience ran out, the files are read.
                    let _ = timeout(PATIENCE, quiet).await;
                }
                () = sleep(AT_LEAST_EVERY) => {}
            }
            self.reload().await;
        }
    }

    /// Reads the files again, and puts them in force if they hold no error.
    pub async fn reload(&self) {
        let paths = self.paths.clone();
        let Ok(loaded) = spawn_blocking(move || load(&paths)).await else { return };
        let errors = loaded.errors();
        if let Some(set) = loaded.set() {
            self.in_force.send_if_modified(|current| {
                let changed = **current != set;
                if changed {
                    warn(&loaded, &set);
                    tracing::info!(policies = set.len(), "policies changed and are in force");
                    *current = Arc::new(set);
                }
                changed
            });
        }
        self.errors.send_if_modified(|current| {
            let changed = *current != errors;
            if changed && errors.is_empty() {
                tracing::info!("policies can be read again");
            } else if changed {
                tracing::error!(
                    errors = errors.join("\n"),
                    "policies have errors; the last good ones stay in force"
                );
            }
            if changed {
                *current = errors;
            }
            changed
        });
    }

    /// Watches the directories that hold the files, since editors and volume mounts replace files rather than write
    /// them. Where that does not work, reading at intervals remains.
    fn watcher(&self, sign: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
        let on_event = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                // A full channel holds a sign already.
                let _ = sign.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(on_event)
            .inspect_err(
                |error| tracing::warn!(%error, "policies are read once a minute: files cannot be watched"),
            )
            .ok()?;
        for path in &self.paths {
            let directory = if path.is_dir() { path.as_path() } else { parent(path) };
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                let directory = directory.display();
                tracing::warn!(%error, %directory, "policies are read once a minute: the directory cannot be watched");
            }
        }
        Some(watcher)
    }
}

/// Reading a file is an event too, and must not lead to reading it again.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn parent(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Says what is doubtful about policies that are about to be in force.
fn warn(loaded: &Loaded, set: &PolicySet) {
    for reading in loaded.readings.iter().filter(|reading| !reading.findings.is_empty()) {
        tracing::warn!("{}", reading.findings);
    }
    if set.is_empty() {
        tracing::warn!("no policy is in force: there is no file that ends in `.yaml` or `.yml`");
    }
    for (winner, shadowed) in set.shadowed() {
        tracing::warn!("policy `{}` is never used: `{}` selects the same apps", shadowed.name, winner.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_file_is_no_change() {
        let read = [AccessKind::Read, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)];
        assert!(read.iter().all(|access| !is_change(EventKind::Access(*access))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(EventKind::Create(notify::event::CreateKind::File)));
    }
}
