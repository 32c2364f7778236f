//! Reading: on a connection of its own, so that no listing waits for a write or holds one up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

use super::error::explain;
use super::records::{signed, to_json};
use super::{Entry, Loaded, Message, MessageState, RolloutRow, StoreError, open};
use crate::words::{AppName, RolloutId, Time, Version};

/// The journal, opened to be read. Clones share it.
#[derive(Debug, Clone)]
pub struct Reader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    /// Held for one query, or for one transaction that must see one moment.
    connection: Mutex<Option<SqliteConnection>>,
}

/// Which rollouts to list. The default is all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only this app's.
    pub app: Option<AppName>,
    /// Only those that have not ended.
    pub unfinished: bool,
    /// Only those whose id begins so.
    pub id_prefix: Option<String>,
}

const ROLLOUT: &str = "select id, app, baseline, canary, policy, phase, started, ended, summary from rollout \
     where (?1 is null or app = ?1) and (?2 = 0 or ended is null) and (?3 is null or substr(id, 1, length(?3)) = ?3) \
     order by started desc, id desc limit ?4";

impl Reader {
    /// Opens the journal in a data directory to read it; a daemon may run meanwhile.
    ///
    /// # Errors
    /// When there is none, when it may not be read, when it is damaged, foreign, or of another schema.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        let connection = Mutex::new(Some(open::read_only(directory).await?));
        Ok(Self { inner: Arc::new(Inner { file: open::journal_file(directory), connection }) })
    }

    /// Rollouts, latest first, at most `limit`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn list(&self, filter: &Filter, limit: u32) -> Result<Vec<RolloutRow>, StoreError> {
        let query = sqlx::query(ROLLOUT)
            .bind(filter.app.as_ref().map(|a| a.0.as_str()))
            .bind(filter.unfinished)
            .bind(filter.id_prefix.as_deref())
            .bind(limit);
        self.rows(query, rollout_row).await
    }

    /// The rollouts that have not ended, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<RolloutId>, StoreError> {
        let query = sqlx::query("select id from rollout where ended is null order by started, id");
        self.rows(query, |row| Ok(RolloutId(row.try_get(0)?))).await
    }

    /// What it takes to know a rollout's state; nothing if there is no such rollout.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn load(&self, rollout: &RolloutId) -> Result<Option<Loaded>, StoreError> {
        let mut slot = self.inner.connection.lock().await;
        let connection = slot.as_mut().ok_or(StoreError::Closed)?;
        let loaded = load(connection, rollout).await.map_err(|e| explain("reading", &self.inner.file, &e))?;
        Ok((loaded.snapshot.is_some() || !loaded.after.is_empty()).then_some(loaded))
    }

    /// A rollout's events after the one numbered `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn events(
        &self,
        rollout: &RolloutId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let query = sqlx::query(
            "select seq, at, kind, body from event where rollout = ? and seq > ? order by seq limit ?",
        )
        .bind(&rollout.0)
        .bind(signed(after))
        .bind(limit);
        self.rows(query, entry).await
    }

    /// A rollout's events but those of some kinds, in order: the timeline without the looks, which are most of it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn events_but(&self, rollout: &RolloutId, kinds: &[&str]) -> Result<Vec<Entry>, StoreError> {
        let query = sqlx::query(
            "select seq, at, kind, body from event
             where rollout = ? and kind not in (select value from json_each(?)) order by seq",
        )
        .bind(&rollout.0)
        .bind(to_json("list of kinds", &kinds)?);
        self.rows(query, entry).await
    }

    /// A rollout's events of one kind, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn events_of(&self, rollout: &RolloutId, kind: &str) -> Result<Vec<Entry>, StoreError> {
        let query =
            sqlx::query("select seq, at, kind, body from event where rollout = ? and kind = ? order by seq")
                .bind(&rollout.0)
                .bind(kind);
        self.rows(query, entry).await
    }

    /// The last event of one kind.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn last(&self, rollout: &RolloutId, kind: &str) -> Result<Option<Entry>, StoreError> {
        let query = sqlx::query(
            "select seq, at, kind, body from event where rollout = ? and kind = ? order by seq desc limit 1",
        )
        .bind(&rollout.0)
        .bind(kind);
        Ok(self.rows(query, entry).await?.pop())
    }

    /// The messages that tell of a rollout, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn messages(&self, rollout: &RolloutId) -> Result<Vec<Message>, StoreError> {
        let query = sqlx::query(
            "select id, receiver, at, attempts, last_error, next_at, delivered_at, given_up_at
             from outbox where rollout = ? order by at, id, receiver",
        )
        .bind(&rollout.0);
        self.rows(query, message).await
    }

    /// A cursor's value; nothing if it was never set.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn cursor(&self, name: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query("select value from cursor where name = ?").bind(name);
        Ok(self.rows(query, |row| row.try_get(0)).await?.pop())
    }

    /// The time of the last thing that happened: to a rollout that still runs, or the end of one that does not.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn latest(&self) -> Result<Time, StoreError> {
        let query = sqlx::query(
            "select max(coalesce(r.ended, e.at)) from rollout r join event e
             on e.rollout = r.id and e.seq = (select max(seq) from event where rollout = r.id)",
        );
        let latest = self.rows(query, |row| row.try_get::<Option<i64>, _>(0)).await?;
        Ok(Time(latest.first().copied().flatten().unwrap_or(0)))
    }

    /// Closes the file.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        match self.inner.connection.lock().await.take() {
            Some(connection) => open::close(&self.inner.file, connection).await,
            None => Ok(()),
        }
    }

    /// The rows that a query gives, each made into a `T`.
    pub(super) async fn rows<T>(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        read: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let mut slot = self.inner.connection.lock().await;
        let connection = slot.as_mut().ok_or(StoreError::Closed)?;
        let rows = query.fetch_all(connection).await;
        rows.and_then(|rows| rows.iter().map(read).collect())
            .map_err(|e| explain("reading", &self.inner.file, &e))
    }
}

/// Snapshot and events of one moment.
async fn load(connection: &mut SqliteConnection, rollout: &RolloutId) -> Result<Loaded, sqlx::Error> {
    let mut moment = connection.begin().await?;
    let snapshot: Option<(u64, String)> = sqlx::query_as("select seq, body from snapshot where rollout = ?")
        .bind(&rollout.0)
        .fetch_optional(&mut *moment)
        .await?;
    let after =
        sqlx::query("select seq, at, kind, body from event where rollout = ? and seq > ? order by seq")
            .bind(&rollout.0)
            .bind(signed(snapshot.as_ref().map_or(0, |(seq, _)| *seq)))
            .fetch_all(&mut *moment)
            .await?
            .iter()
            .map(entry)
            .collect::<Result<_, _>>()?;
    moment.rollback().await?;
    Ok(Loaded { snapshot, after })
}

fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        seq: row.try_get(0)?,
        at: Time(row.try_get(1)?),
        kind: row.try_get(2)?,
        body: row.try_get(3)?,
    })
}

fn rollout_row(row: &SqliteRow) -> Result<RolloutRow, sqlx::Error> {
    Ok(RolloutRow {
        id: RolloutId(row.try_get(0)?),
        app: AppName(row.try_get(1)?),
        baseline: Version(row.try_get(2)?),
        canary: Version(row.try_get(3)?),
        policy: row.try_get(4)?,
        phase: row.try_get(5)?,
        started: Time(row.try_get(6)?),
        ended: row.try_get::<Option<i64>, _>(7)?.map(Time),
        summary: row.try_get(8)?,
    })
}

fn message(row: &SqliteRow) -> Result<Message, sqlx::Error> {
    let (delivered, given_up): (Option<i64>, Option<i64>) = (row.try_get(6)?, row.try_get(7)?);
    let state = match (delivered, given_up) {
        (Some(at), _) => MessageState::Delivered { delivered_at: Time(at) },
        (None, Some(at)) => MessageState::GivenUp { given_up_at: Time(at) },
        (None, None) => MessageState::Pending { next_at: Time(row.try_get(5)?) },
    };
    Ok(Message {
        id: row.try_get(0)?,
        receiver: row.try_get(1)?,
        at: Time(row.try_get(2)?),
        attempts: row.try_get(3)?,
        last_error: row.try_get(4)?,
        state,
    })
}
