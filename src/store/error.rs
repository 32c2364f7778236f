//! What can go wrong with the journal, in words for the person who has to act on it.

use std::path::{Path, PathBuf};

use crate::rollout::IllegalEvent;
use crate::words::RolloutId;

/// Why the journal could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no journal.
    #[error("there is no journal in `{}`: no daemon has run with this data directory yet", .directory.display())]
    Missing {
        /// The data directory.
        directory: PathBuf,
    },
    /// Another daemon has it.
    #[error(
        "the data directory `{}` is in use by another daemon{by}; stop it, or give this one a directory of its own",
        .directory.display()
    )]
    Locked {
        /// The data directory.
        directory: PathBuf,
        /// Who, as ` (process 7)`; empty where that is not known.
        by: String,
    },
    /// The data directory cannot be made, locked or read.
    #[error("the data directory `{}` cannot be used: {source}", .directory.display())]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else continued this rollout.
    #[error("rollout {rollout} was expected to have {expected} events but has {found}; nothing was written")]
    Conflict {
        /// The rollout.
        rollout: RolloutId,
        /// The events that the writer knew of.
        expected: u64,
        /// The events that there are.
        found: u64,
    },
    /// A newer program wrote it.
    #[error(
        "the journal `{}` has schema {found}, and this program knows schemas up to {known}; use the newer program that wrote it",
        .file.display()
    )]
    Newer {
        /// The journal's file.
        file: PathBuf,
        /// The schema's number.
        found: i64,
        /// The last one that is known here.
        known: i64,
    },
    /// An older program wrote it, and it was opened only to be read.
    #[error(
        "the journal `{}` has schema {found}, older than this program's {known}; starting the daemon brings it up to date",
        .file.display()
    )]
    Older {
        /// The journal's file.
        file: PathBuf,
        /// The schema's number.
        found: i64,
        /// The one that is needed.
        known: i64,
    },
    /// It is a database, but of something else.
    #[error("`{}` is a SQLite database, but not a journal of Uguisu; it was left alone", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// It is damaged, or no database at all.
    #[error(
        "the journal `{}` is damaged ({detail}); move it aside and restore a copy, or start with an empty journal",
        .file.display()
    )]
    Corrupt {
        /// The journal's file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// There is no room.
    #[error("the disk of the journal `{}` is full; make room, nothing of this write was kept", .file.display())]
    Full {
        /// The journal's file.
        file: PathBuf,
    },
    /// It may not be written.
    #[error(
        "the journal `{}` may not be written ({detail}); check the owner and mode of the file and its directory",
        .file.display()
    )]
    ReadOnly {
        /// The journal's file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The file cannot be opened at all.
    #[error(
        "the journal `{}` cannot be opened ({detail}); check that this user may read and write the file and its directory",
        .file.display()
    )]
    Unopened {
        /// The journal's file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// Something else holds SQLite's own lock for too long.
    #[error("the journal `{}` is held by another program (a database shell, a backup?); nothing was written", .file.display())]
    Busy {
        /// The journal's file.
        file: PathBuf,
    },
    /// A body is not what its kind says.
    #[error("event {seq} of rollout {rollout} cannot be read: {detail}")]
    Unreadable {
        /// The rollout.
        rollout: RolloutId,
        /// The event's number.
        seq: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// Something could not be written as JSON.
    #[error("a `{kind}` cannot be written as JSON: {detail}")]
    Unwritable {
        /// What.
        kind: String,
        /// Why not.
        detail: String,
    },
    /// The journal says what cannot have happened.
    #[error("the journal cannot be continued: {detail}")]
    Illegal {
        /// What.
        detail: String,
    },
    /// The program is stopping.
    #[error("the journal is closed: the daemon is stopping")]
    Closed,
    /// Anything else.
    #[error("{action} in the journal `{}` failed: {detail}", .file.display())]
    Other {
        /// What was tried, as "appending".
        action: &'static str,
        /// The journal's file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same write may succeed later: the disk, or somebody beside us, is in the way.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::ReadOnly { .. }
                | Self::Unopened { .. }
                | Self::Busy { .. }
                | Self::Other { .. }
                | Self::Directory { .. }
        )
    }
}

impl From<IllegalEvent> for StoreError {
    fn from(illegal: IllegalEvent) -> Self {
        Self::Illegal { detail: illegal.to_string() }
    }
}

/// SQLite's primary result codes that mean something to a person.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const NOT_A_DATABASE: i32 = 26;
}

/// Gives a failure of SQLite its meaning.
pub(super) fn explain(action: &'static str, file: &Path, error: &sqlx::Error) -> StoreError {
    let (code, detail) = match error {
        sqlx::Error::Database(e) => {
            (e.code().and_then(|c| c.parse::<i32>().ok()).unwrap_or(0), e.message().to_owned())
        }
        // The connection's thread has ended, which only happens when the runtime goes down.
        sqlx::Error::WorkerCrashed => return StoreError::Closed,
        other => (0, other.to_string()),
    };
    let file = file.to_owned();
    // The low byte is the primary code; the rest says more than anybody needs here.
    match code & 0xff {
        code::BUSY => StoreError::Busy { file },
        code::READONLY => StoreError::ReadOnly { file, detail },
        code::CORRUPT | code::NOT_A_DATABASE => StoreError::Corrupt { file, detail },
        code::FULL => StoreError::Full { file },
        code::CANNOT_OPEN => StoreError::Unopened { file, detail },
        _ => StoreError::Other { action, file, detail },
    }
}
