//! Which rollout is meant.

use super::super::print::{Failure, moment, plain};
use crate::store::{Filter, Reader, RolloutRow};
use crate::words::AppName;

/// How many candidates are named where several are meant.
const NAMED: u32 = 5;

/// The rollout that `word` means: `last`, an app's name, or the beginning of an id, in this order.
pub(super) async fn find(reader: &Reader, word: &str) -> Result<RolloutRow, Failure> {
    let first = async |filter: Filter| Ok::<_, Failure>(reader.list(&filter, 1).await?.pop());
    if word == "last" {
        let none = || Failure::NotFound("there are no rollouts yet".to_owned());
        return first(Filter::default()).await?.ok_or_else(none);
    }
    let of_app = Filter { app: Some(AppName(word.to_owned())), ..Filter::default() };
    if let Some(row) = first(of_app).await? {
        return Ok(row);
    }
    let by_id = Filter { id_prefix: Some(word.to_owned()), ..Filter::default() };
    let mut found = reader.list(&by_id, NAMED).await?;
    match found.len() {
        0 => Err(Failure::NotFound(format!(
            "no rollout's id begins with `{}`, and no app of that name had one; `uguisu list` shows them",
            plain(word)
        ))),
        1 => Ok(found.remove(0)),
        _ => Err(Failure::NotFound(several(word, &found))),
    }
}

fn several(word: &str, found: &[RolloutRow]) -> String {
    let mut text = format!("several rollouts' ids begin with `{}`; write more of it:", plain(word));
    for row in found {
        text.push_str(&format!(
            "\n  {}  {} {}, {}",
            row.id,
            plain(&row.app.0),
            row.canary,
            moment(row.started)
        ));
    }
    text
}
