//! Orders from people: `POST /rollouts/{rollout}/{order}?by=NAME`, under a bearer token of its own.
//!
//! `rollback` of an app that has no rollout brings an earlier version back; `&to=7` says which. Where there is a rollout, it
//! is named by its id, a beginning of it that fits no other, or its app. The answer is what became of the
//! order, a sentence a line, once that is in the journal.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::server::Doors;
use super::token;
use crate::rollout::{Order, OrderKind};
use crate::words::Version;

/// How long a rollout may take to answer: it may be waiting for the platform.
const ANSWERED_WITHIN: Duration = Duration::from_mins(1);

/// The most characters of a name that are kept.
const LONGEST_NAME: usize = 100;

/// An order on its way to the engine.
#[derive(Debug)]
pub struct Errand {
    /// The id of a rollout, a beginning of it, or an app.
    pub rollout: String,
    /// What is wanted, by whom.
    pub order: Order,
    /// For a rollback where no rollout runs: the version that is wanted back; nothing: the one that served before.
    pub to: Option<Version>,
    /// Where the answer goes: what became of it, or why there is no such rollout.
    pub answer: oneshot::Sender<Result<Vec<String>, String>>,
}

/// Who gives the order.
#[derive(Deserialize)]
pub(crate) struct Giver {
    pub(crate) by: Option<String>,
    pub(crate) to: Option<String>,
}

/// Takes an order, and answers when it has been dealt with.
pub(super) async fn receive(
    State(doors): State<Arc<Doors>>,
    Path((rollout, order)): Path<(String, String)>,
    Query(giver): Query<Giver>,
    headers: HeaderMap,
) -> Response {
    let Some(token) = &doors.operator_token else {
        return refuse(StatusCode::FORBIDDEN, "orders are not taken: set `operator_token_file` of `[web]`");
    };
    if !token::is_shown(token, &headers) {
        let response = refuse(StatusCode::UNAUTHORIZED, "show the token as `Authorization: Bearer …`");
        return ([(WWW_AUTHENTICATE, "Bearer")], response).into_response();
    }
    let Wanted { order, to } = match read(&order, giver) {
        Ok(wanted) => wanted,
        Err((status, why)) => return refuse(status, &why),
    };
    let (answer, answered) = oneshot::channel();
    let errand = Errand { rollout, order, to, answer };
    if doors.orders.try_send(errand).is_err() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the daemon is busy or stopping; try again");
    }
    match tokio::time::timeout(ANSWERED_WITHIN, answered).await {
        Ok(Ok(Ok(sentences))) => (StatusCode::OK, lines(&sentences)).into_response(),
        Ok(Ok(Err(why))) => refuse(StatusCode::NOT_FOUND, &why),
        _ => refuse(StatusCode::SERVICE_UNAVAILABLE, "the rollout did not answer in time; see `uguisu show`"),
    }
}

/// An order as it was sent.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What is wanted, by whom.
    pub(crate) order: Order,
    /// For a rollback: the version that is wanted back.
    pub(crate) to: Option<Version>,
}

/// Reads an order, named by `order`.
///
/// # Errors
/// What is answered: a sentence that says what is wrong.
pub(crate) fn read(order: &str, giver: Giver) -> Result<Wanted, (StatusCode, String)> {
    let Some(kind) = OrderKind::of(order) else {
        let known = "the orders are `pause`, `resume`, `approve`, `promote`, `rollback` and `keep`";
        return Err((StatusCode::NOT_FOUND, format!("there is no order `{order}`; {known}")));
    };
    let wrong = |why: &str| Err((StatusCode::BAD_REQUEST, why.to_owned()));
    let to = match giver.to.as_deref().map(Version::read) {
        None => None,
        Some(Some(version)) if kind == OrderKind::Rollback => Some(version),
        Some(Some(_)) => return wrong("`to` goes with `rollback` alone"),
        Some(None) => return wrong("`to` is not a version; write its number, as in `to=7`"),
    };
    let by = giver.by.unwrap_or_default();
    let by: String = by.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let by = if by.trim().is_empty() { "an operator".to_owned() } else { by };
    Ok(Wanted { order: Order { kind, by }, to })
}

fn lines(sentences: &[String]) -> String {
    sentences.iter().flat_map(|sentence| [sentence.as_str(), "\n"]).collect()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}
