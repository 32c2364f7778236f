//! Opening the journal: the data directory's lock, SQLite's settings, the schema.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::StoreError;
use super::error::explain;

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// Marks the file as a journal of ours: "UGUI" in ASCII.
const APPLICATION_ID: i32 = 0x5547_5549;

/// How long to wait for a lock that some other program holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The log is cut back to this size after it was larger, in bytes.
const LOG_SIZE_LIMIT: &str = "67108864";

/// The journal's file in a data directory.
pub(super) fn journal_file(directory: &Path) -> PathBuf {
    directory.join("journal.db")
}

/// Makes the data directory if need be, and locks it for as long as the returned file lives.
///
/// The lock is the system's: it ends with the process, however that ends.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Directory { directory: directory.to_owned(), source };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    // What is in the journal is for those who run the daemon.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o750);
    builder.create(directory).map_err(failed)?;
    let path = directory.join("lock");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Who holds it is a courtesy; not being able to read it changes nothing.
            let known = file.read_to_string(&mut pid).is_ok() && pid.trim().parse::<u32>().is_ok();
            let by = if known { format!(" (process {})", pid.trim()) } else { String::new() };
            return Err(StoreError::Locked { directory: directory.to_owned(), by });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// What every connection that writes has in common.
fn writing(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        // An answered append survives a loss of power, not only the end of the process.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("journal_size_limit", LOG_SIZE_LIMIT)
        .thread_name(|_| "journal".to_owned())
        .disable_statement_logging()
}

/// Opens the journal for the one who writes, making and migrating it if need be.
pub(super) async fn create(file: &Path) -> Result<SqliteConnection, StoreError> {
    let failed = |e: sqlx::Error| explain("opening", file, &e);
    let mut connection = writing(file).create_if_missing(true).connect().await.map_err(failed)?;
    let id: i32 =
        sqlx::query_scalar("pragma application_id").fetch_one(&mut connection).await.map_err(failed)?;
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema")
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
    if id != APPLICATION_ID {
        if tables > 0 {
            return Err(StoreError::Foreign { file: file.to_owned() });
        }
        sqlx::query("pragma application_id = 1430738249").execute(&mut connection).await.map_err(failed)?;
    }
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|e| migration_failed(file, &e))?;
    Ok(connection)
}

/// Opens an existing and migrated journal again for the one who writes, after a failed write.
pub(super) async fn reopen(file: &Path) -> Result<SqliteConnection, StoreError> {
    writing(file).create_if_missing(false).connect().await.map_err(|e| explain("opening", file, &e))
}

fn migration_failed(file: &Path, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => {
            StoreError::Newer { file: file.to_owned(), found: *found, known: known() }
        }
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => explain("updating", file, e),
        other => StoreError::Other { action: "updating", file: file.to_owned(), detail: other.to_string() },
    }
}

/// The last schema that this program knows.
fn known() -> i64 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Opens an existing journal only to read it, beside a daemon or without one.
pub(super) async fn read_only(directory: &Path) -> Result<SqliteConnection, StoreError> {
    let file = journal_file(directory);
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(StoreError::Missing { directory: directory.to_owned() }),
        Err(source) => return Err(StoreError::Directory { directory: directory.to_owned(), source }),
    }
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    match check_readable(&file, &options).await {
        // Reading a journal with a log takes an index beside it, which SQLite makes if it may. Where this user may
        // not write in the directory and no daemon runs, there is neither log nor index: the file is all there is,
        // and nobody changes it.
        Err(StoreError::Unopened { .. } | StoreError::ReadOnly { .. }) if !log_of(&file).exists() => {
            check_readable(&file, &options.immutable(true)).await
        }
        other => other,
    }
}

fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

async fn check_readable(file: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    let failed = |e: sqlx::Error| explain("opening", file, &e);
    let mut connection = options.connect().await.map_err(failed)?;
    let id: i32 =
        sqlx::query_scalar("pragma application_id").fetch_one(&mut connection).await.map_err(failed)?;
    if id != APPLICATION_ID {
        return Err(StoreError::Foreign { file: file.to_owned() });
    }
    let found: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
    match found.cmp(&known()) {
        std::cmp::Ordering::Greater => {
            Err(StoreError::Newer { file: file.to_owned(), found, known: known() })
        }
        std::cmp::Ordering::Less => Err(StoreError::Older { file: file.to_owned(), found, known: known() }),
        std::cmp::Ordering::Equal => Ok(connection),
    }
}

/// Closes a connection so that the log is folded into the file.
pub(super) async fn close(file: &Path, connection: SqliteConnection) -> Result<(), StoreError> {
    connection.close().await.map_err(|e| explain("closing", file, &e))
}
