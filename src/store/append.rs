//! Writing: one transaction at a time, on one connection.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{Mutex, watch};

use super::error::explain;
use super::records::signed;
use super::{AppendBatch, Reader, RolloutRow, StoreError, open};
use crate::words::RolloutId;

/// The journal, opened by the one process that may write it. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Arc<Writer>,
    reader: Reader,
}

#[derive(Debug)]
struct Writer {
    file: PathBuf,
    /// Held for a whole transaction, by a task of its own: a caller that goes away does not leave one half done.
    /// Nothing after a failed write: the next one opens the file anew, so that no failure outlives its cause.
    connection: Mutex<Option<SqliteConnection>>,
    /// Tells the deliverers that there is something new in the outbox.
    outbox: watch::Sender<()>,
    /// The data directory's lock; released when the last clone is gone.
    _lock: File,
}

impl Store {
    /// Opens the journal in a data directory, making both if need be, and locks the directory.
    ///
    /// # Errors
    /// When another daemon has it, when it may not be written, when it is damaged, foreign, or of a newer program.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = open::lock(directory)?;
        let file = open::journal_file(directory);
        let connection = Mutex::new(Some(open::create(&file).await?));
        let reader = Reader::open(directory).await?;
        let outbox = watch::Sender::new(());
        Ok(Self { writer: Arc::new(Writer { file, connection, outbox, _lock: lock }), reader })
    }

    /// The journal, to be read.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Writes all of a batch, or nothing. When it returns, the batch is on the disk.
    ///
    /// After an error the same batch may be given again: where the disk failed after it had taken the batch, that is
    /// found out, and nothing is written twice.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the rollout does not have exactly `expected_seq` events; else what the disk says.
    pub async fn append(&self, rollout: &RolloutId, batch: AppendBatch) -> Result<(), StoreError> {
        let (rollout, file) = (rollout.clone(), self.writer.file.clone());
        let tells = !batch.outbox.is_empty();
        self.write(move |connection| {
            Box::pin(async move { append(connection, &file, &rollout, &batch).await })
        })
        .await?;
        if tells {
            self.writer.outbox.send_replace(());
        }
        Ok(())
    }

    /// Changes whenever messages were written to the outbox.
    #[must_use]
    pub fn outbox_news(&self) -> watch::Receiver<()> {
        self.writer.outbox.subscribe()
    }

    /// Remembers how far something outside has been read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn set_cursor(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let (name, value, file) = (name.to_owned(), value.to_owned(), self.writer.file.clone());
        self.write(move |connection| {
            Box::pin(async move {
                set_cursor(connection, &name, &value)
                    .await
                    .map_err(|e| explain("keeping a cursor", &file, &e))
            })
        })
        .await
    }

    /// Folds the log into the file and closes it. The lock goes with the last clone.
    ///
    /// # Errors
    /// When the log cannot be folded in; nothing is lost by that.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.reader.close().await?;
        match self.writer.connection.lock().await.take() {
            Some(connection) => open::close(&self.writer.file, connection).await,
            None => Ok(()),
        }
    }

    /// The journal's file.
    pub(super) fn file(&self) -> &Path {
        &self.writer.file
    }

    /// Does `work` in a write transaction. It is finished even if the caller goes away in the middle.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let writer = Arc::clone(&self.writer);
        let task = tokio::spawn(async move {
            let mut slot = writer.connection.lock().await;
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => open::reopen(&writer.file).await?,
            };
            let result = transaction(&writer.file, &mut connection, work).await;
            if matches!(result, Ok(_) | Err(StoreError::Conflict { .. })) {
                *slot = Some(connection);
            }
            result
        });
        // A task only fails to answer when the runtime goes down under it.
        task.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Runs `work` between `begin` and `commit`, or rolls back.
///
/// SQLite itself ends a transaction on some errors (a full disk), after which sqlx's own count of open transactions
/// would be wrong for good. So the words are said by hand, and a connection that met an error is not used again.
async fn transaction<T, F>(file: &Path, connection: &mut SqliteConnection, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>,
{
    // Immediate: a transaction that reads first and writes later could not wait for its turn.
    execute(file, connection, "begin immediate").await?;
    match work(connection).await {
        Ok(value) => {
            execute(file, connection, "commit").await?;
            Ok(value)
        }
        Err(error) => {
            // Where SQLite has already rolled back this fails, and that is fine.
            let _already_ended = execute(file, connection, "rollback").await;
            Err(error)
        }
    }
}

async fn execute(
    file: &Path,
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(statement).execute(connection).await.map(drop).map_err(|e| explain("writing", file, &e))
}

async fn append(
    connection: &mut SqliteConnection,
    file: &Path,
    rollout: &RolloutId,
    batch: &AppendBatch,
) -> Result<(), StoreError> {
    let failed = |e: sqlx::Error| explain("appending", file, &e);
    let found: u64 = sqlx::query_scalar("select coalesce(max(seq), 0) from event where rollout = ?")
        .bind(&rollout.0)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if found != batch.expected_seq {
        if is_written(connection, rollout, batch, found).await.map_err(failed)? {
            return Ok(());
        }
        return Err(StoreError::Conflict { rollout: rollout.clone(), expected: batch.expected_seq, found });
    }
    if let Some(row) = &batch.index {
        write_index(connection, row).await.map_err(failed)?;
    }
    write_events(connection, rollout, batch).await.map_err(failed)?;
    write_outbox(connection, rollout, batch).await.map_err(failed)?;
    for (name, value) in &batch.cursors {
        set_cursor(connection, name, value).await.map_err(failed)?;
    }
    Ok(())
}

/// Whether the journal's last events are those of the batch: it was written before, though its writer was told otherwise.
async fn is_written(
    connection: &mut SqliteConnection,
    rollout: &RolloutId,
    batch: &AppendBatch,
    found: u64,
) -> Result<bool, sqlx::Error> {
    if batch.events.is_empty() || found.checked_sub(batch.expected_seq) != Some(batch.events.len() as u64) {
        return Ok(false);
    }
    let last: Vec<(i64, String, String)> =
        sqlx::query_as("select at, kind, body from event where rollout = ? and seq > ? order by seq")
            .bind(&rollout.0)
            .bind(signed(batch.expected_seq))
            .fetch_all(connection)
            .await?;
    let given = batch.events.iter().map(|e| (e.at.0, e.kind.as_str(), e.body.as_str()));
    Ok(last.iter().map(|(at, kind, body)| (*at, kind.as_str(), body.as_str())).eq(given))
}

async fn write_index(connection: &mut SqliteConnection, row: &RolloutRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into rollout (id, app, baseline, canary, policy, phase, started, ended, summary)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (id) do update set phase = excluded.phase, ended = excluded.ended, summary = excluded.summary",
    )
    .bind(&row.id.0)
    .bind(&row.app.0)
    .bind(row.baseline.0)
    .bind(row.canary.0)
    .bind(&row.policy)
    .bind(&row.phase)
    .bind(row.started.0)
    .bind(row.ended.map(|t| t.0))
    .bind(&row.summary)
    .execute(connection)
    .await
    .map(drop)
}

async fn write_events(
    connection: &mut SqliteConnection,
    rollout: &RolloutId,
    batch: &AppendBatch,
) -> Result<(), sqlx::Error> {
    let mut seq = signed(batch.expected_seq);
    for event in &batch.events {
        seq = seq.saturating_add(1);
        sqlx::query("insert into event (rollout, seq, at, kind, body) values (?, ?, ?, ?, ?)")
            .bind(&rollout.0)
            .bind(seq)
            .bind(event.at.0)
            .bind(&event.kind)
            .bind(&event.body)
            .execute(&mut *connection)
            .await?;
    }
    for (statement, body) in [
        ("insert or replace into snapshot (rollout, seq, body) values (?, ?, ?)", &batch.snapshot),
        ("insert or replace into samples (rollout, seq, body) values (?, ?, ?)", &batch.samples),
    ] {
        let Some(body) = body else { continue };
        sqlx::query(statement).bind(&rollout.0).bind(seq).bind(body).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_outbox(
    connection: &mut SqliteConnection,
    rollout: &RolloutId,
    batch: &AppendBatch,
) -> Result<(), sqlx::Error> {
    for message in &batch.outbox {
        sqlx::query(
            "insert into outbox (receiver, id, rollout, at, body, next_at) values (?, ?, ?, ?, ?, ?)",
        )
        .bind(&message.receiver)
        .bind(&message.id)
        .bind(&rollout.0)
        .bind(message.at.0)
        .bind(&message.body)
        .bind(message.at.0)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn set_cursor(connection: &mut SqliteConnection, name: &str, value: &str) -> Result<(), sqlx::Error> {
    sqlx::query("insert or replace into cursor (name, value) values (?, ?)")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await
        .map(drop)
}
