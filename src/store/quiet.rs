//! What was seen of apps while nothing was rolled out, kept so that a restart does not forget their noise.

use sqlx::{Row as _, SqliteConnection};

use super::error::explain;
use super::{Reader, Store, StoreError};
use crate::words::{AppName, Time, Version};

/// What was seen of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// The version that served.
    pub version: Version,
    /// The policy whose signals were watched, as JSON.
    pub policy: String,
    /// The looks, each with its time, oldest first, as JSON.
    pub looks: Vec<(Time, String)>,
}

impl Store {
    /// Adds looks to what is kept of an app, and forgets those before `since`. What was seen of another version, or under
    /// another policy, is forgotten.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_quiet(&self, app: &AppName, quiet: Quiet, since: Time) -> Result<(), StoreError> {
        let (app, file) = (app.clone(), self.file().to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                keep(connection, &app, &quiet, since)
                    .await
                    .map_err(|e| explain("keeping what was seen of an app", &file, &e))
            })
        })
        .await
    }
}

async fn keep(
    connection: &mut SqliteConnection,
    app: &AppName,
    quiet: &Quiet,
    since: Time,
) -> Result<(), sqlx::Error> {
    let same: bool = sqlx::query_scalar(
        "select exists (select 1 from quiet_app where app = ? and version = ? and policy = ?)",
    )
    .bind(&app.0)
    .bind(quiet.version.0)
    .bind(&quiet.policy)
    .fetch_one(&mut *connection)
    .await?;
    if !same {
        sqlx::query("delete from quiet_look where app = ?").bind(&app.0).execute(&mut *connection).await?;
        sqlx::query("insert or replace into quiet_app (app, version, policy) values (?, ?, ?)")
            .bind(&app.0)
            .bind(quiet.version.0)
            .bind(&quiet.policy)
            .execute(&mut *connection)
            .await?;
    }
    for (at, body) in &quiet.looks {
        sqlx::query("insert or ignore into quiet_look (app, at, body) values (?, ?, ?)")
            .bind(&app.0)
            .bind(at.0)
            .bind(body)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("delete from quiet_look where app = ? and at < ?")
        .bind(&app.0)
        .bind(since.0)
        .execute(connection)
        .await
        .map(drop)
}

impl Reader {
    /// What is kept of an app; nothing if it was never watched.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn quiet(&self, app: &AppName) -> Result<Option<Quiet>, StoreError> {
        // One statement, so that all of it is of one moment.
        let query = sqlx::query(
            "select a.version, a.policy, l.at, l.body from quiet_app a join quiet_look l on l.app = a.app
             where a.app = ? order by l.at",
        )
        .bind(&app.0);
        let rows = self
            .rows(query, |row| {
                let look = (Time(row.try_get(2)?), row.try_get::<String, _>(3)?);
                Ok((Version(row.try_get(0)?), row.try_get::<String, _>(1)?, look))
            })
            .await?;
        let Some((version, policy, _)) = rows.first() else { return Ok(None) };
        let (version, policy) = (*version, policy.clone());
        Ok(Some(Quiet { version, policy, looks: rows.into_iter().map(|(_, _, look)| look).collect() }))
    }
}
