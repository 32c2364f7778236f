//! Which rollout is meant.

use super::super::print::{moment, plain};
use crate::store::{Filter, Reader, RolloutRow, StoreError};
use crate::words::AppName;

/// How many candidates are named where several are meant.
const NAMED: u32 = 5;

/// Whether one rollout is meant.
#[derive(Debug)]
pub(super) enum Found {
    /// This one.
    One(Box<RolloutRow>),
    /// None, or several; a sentence for the one who asked.
    Not(String),
}

/// The rollout that `word` means: `last`, an app's name, or the beginning of an id, in this order.
pub(super) async fn find(reader: &Reader, word: &str) -> Result<Found, StoreError> {
    let named = match word {
        "last" => Filter::default(),
        _ => Filter { app: Some(AppName(word.to_owned())), ..Filter::default() },
    };
    if let Some(row) = reader.list(&named, 1).await?.pop() {
        return Ok(Found::One(Box::new(row)));
    }
    let by_id = Filter { id_prefix: Some(word.to_owned()), ..Filter::default() };
    let mut found = reader.list(&by_id, NAMED).await?;
    if found.len() > 1 {
        return Ok(Found::Not(several(word, &found)));
    }
    Ok(match found.pop() {
        Some(row) => Found::One(Box::new(row)),
        None if word == "last" => Found::Not("there are no rollouts yet".to_owned()),
        None => Found::Not(format!(
            "no rollout's id begins with `{0}`, and no app `{0}` had one; `uguisu list` shows them",
            plain(word)
        )),
    })
}

fn several(word: &str, found: &[RolloutRow]) -> String {
    let lines = found.iter().map(|row| {
        format!("\n  {}  {} {}, {}", plain(&row.id.0), plain(&row.app.0), row.canary, moment(row.started))
    });
    let head = format!("several rollouts' ids begin with `{}`; write more of it:", plain(word));
    std::iter::once(head).chain(lines).collect()
}
