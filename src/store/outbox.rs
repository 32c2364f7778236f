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

/// How many messages of a receiver wait, and how many were given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The receiver.
    pub receiver: String,
    /// Messages that are neither delivered nor given up.
    pub pending: u64,
    /// Messages that were given up.
    pub given_up: u64,
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
    /// When the next of a receiver's messages is due; nothing if none waits.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn next_due(&self, receiver: &str) -> Result<Option<Time>, StoreError> {
        let query = sqlx::query(
            "select min(next_at) from outbox where receiver = ? and delivered_at is null and given_up_at is null",
        )
        .bind(receiver);
        let least = self.rows(query, |row| row.try_get::<Option<i64>, _>(0)).await?;
        Ok(least.into_iter().next().flatten().map(Time))
    }

    /// How much waits, and how much was given up, for each receiver that ever had a message.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        let query = sqlx::query(
            "select receiver, sum(delivered_at is null and given_up_at is null), sum(given_up_at is not null)
             from outbox group by receiver order by receiver",
        );
        self.rows(query, |row| {
            Ok(Backlog { receiver: row.try_get(0)?, pending: row.try_get(1)?, given_up: row.try_get(2)? })
        })
        .await
    }
}
