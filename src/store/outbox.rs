//! The outbox: messages that were written with the events they tell of, until they are delivered or given up.

use sqlx::Row;

use super::error::explain;
use super::{Reader, Store, StoreError};
use crate::words::{Span, Time};

/// A message that is being delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its identity.
    pub id: String,
    /// When what it tells of happened.
    pub at: Time,
    /// What is sent.
    pub body: String,
    /// How often it has been tried, this attempt included.
    pub attempts: u32,
}

/// What waits for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The receiver.
    pub receiver: String,
    /// How many messages; more than none.
    pub messages: u64,
    /// When the first of them is due.
    pub next_due: Time,
}

impl Store {
    /// Takes up to `limit` of a receiver's messages that are due, oldest first, and counts the attempt.
    ///
    /// They are due again after `lease`, should nothing be heard of the attempt (a crash, a loss of power). A message
    /// whose next attempt lies further ahead than `horizon` is due as well: only a clock that was set back does that.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn claim(
        &self,
        receiver: &str,
        now: Time,
        lease: Span,
        horizon: Span,
        limit: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        let (receiver, file) = (receiver.to_owned(), self.file().to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "update outbox set attempts = attempts + 1, next_at = ?1 where receiver = ?2 and id in (
                         select id from outbox
                         where receiver = ?2 and delivered_at is null and given_up_at is null
                           and (next_at <= ?3 or next_at > ?4)
                         order by at, id limit ?5)
                     returning id, at, body, attempts",
                )
                .bind((now + lease).0)
                .bind(receiver)
                .bind(now.0)
                .bind((now + horizon).0)
                .bind(limit)
                .fetch_all(connection)
                .await;
                let read = |row: &sqlx::sqlite::SqliteRow| {
                    Ok(Claim {
                        id: row.try_get(0)?,
                        at: Time(row.try_get(1)?),
                        body: row.try_get(2)?,
                        attempts: row.try_get(3)?,
                    })
                };
                let mut claims: Vec<Claim> = rows
                    .and_then(|rows| rows.iter().map(read).collect())
                    .map_err(|e| explain("claiming messages", &file, &e))?;
                // What an update returns has no order of its own.
                claims.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
                Ok(claims)
            })
        })
        .await
    }

    /// The receiver accepted the message.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn delivered(&self, receiver: &str, id: &str, at: Time) -> Result<(), StoreError> {
        self.settle(
            "update outbox set delivered_at = ?1, last_error = ?2 where receiver = ?3 and id = ?4",
            at,
            "",
            receiver,
            id,
        )
        .await
    }

    /// The attempt failed; the next is due at `next_at`.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn retry(
        &self,
        receiver: &str,
        id: &str,
        next_at: Time,
        error: &str,
    ) -> Result<(), StoreError> {
        self.settle(
            "update outbox set next_at = ?1, last_error = ?2 where receiver = ?3 and id = ?4",
            next_at,
            error,
            receiver,
            id,
        )
        .await
    }

    /// The message will not be tried again.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn give_up(&self, receiver: &str, id: &str, at: Time, error: &str) -> Result<(), StoreError> {
        self.settle(
            "update outbox set given_up_at = ?1, last_error = ?2 where receiver = ?3 and id = ?4",
            at,
            error,
            receiver,
            id,
        )
        .await
    }

    /// None of what waits for a receiver will be tried again.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn give_up_all(&self, receiver: &str, at: Time, error: &str) -> Result<(), StoreError> {
        let (receiver, error, file) = (receiver.to_owned(), error.to_owned(), self.file().to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(
                    "update outbox set given_up_at = ?, last_error = ?
                     where receiver = ? and delivered_at is null and given_up_at is null",
                );
                let done = query.bind(at.0).bind(error).bind(receiver).execute(connection).await;
                done.map(drop).map_err(|e| explain("giving up messages", &file, &e))
            })
        })
        .await
    }

    async fn settle(
        &self,
        statement: &'static str,
        at: Time,
        error: &str,
        receiver: &str,
        id: &str,
    ) -> Result<(), StoreError> {
        let (error, receiver, id) = (error.to_owned(), receiver.to_owned(), id.to_owned());
        let file = self.file().to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(statement).bind(at.0).bind(error).bind(receiver).bind(id);
                query
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(|e| explain("settling a message", &file, &e))
            })
        })
        .await
    }
}

impl Reader {
    /// What waits, for each receiver that has messages which are neither delivered nor given up.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let query = sqlx::query(
            "select receiver, count(*), min(next_at) from outbox
             where delivered_at is null and given_up_at is null group by receiver order by receiver",
        );
        self.rows(query, |row| {
            Ok(Waiting {
                receiver: row.try_get(0)?,
                messages: row.try_get(1)?,
                next_due: Time(row.try_get(2)?),
            })
        })
        .await
    }
}
