//! What Tsuru does not have and an emulator needs, under `/emulator`: apps, traffic, crashes, incidents, discovery.
//!
//! | call | what it does |
//! | --- | --- |
//! | `POST /emulator/apps` | makes an app: `{"name", "image", "units", "processes", "quota", "pool", "team", "rate"}` |
//! | `GET /emulator/apps/{app}` | its units with their addresses, and what each version has served |
//! | `PUT /emulator/apps/{app}/traffic` | sets the load: `{"rate": 50}` requests a second |
//! | `PUT /emulator/apps/{app}/incident` | `{"errors": 5, "latency": 2}` multiplies both for all versions; `1` ends it |
//! | `POST /emulator/apps/{app}/units/{unit}/crash` | lets the unit's container exit |
//! | `PUT /emulator/apps/{app}/versions/{version}` | `{"marked": true}`: the image collector is about to remove it |
//! | `POST /emulator/apps/{app}/somebody` | `{"does": "env"}`: somebody else acts, see [`Foreign`] |
//! | `POST /emulator/replicas/{replica}/crash` | a replica of the API, from 0, dies and starts anew: its work stays half done |
//! | `GET`, `PUT /emulator/faults` | what goes wrong |
//! | `GET /emulator/sd` | all units that have an address, for Prometheus' `http_sd_configs` |
//!
//! None of it asks for a token: an emulator listens on loopback and holds nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire;
use crate::demo::install::Install;
use crate::demo::tsuru::faults::{Faults, Foreign, Format};
use crate::demo::tsuru::{AppSpec, Phase};

pub(super) fn router() -> Router<Arc<Install>> {
    Router::new()
        .route("/apps", post(create))
        .route("/apps/{app}", get(show))
        .route("/apps/{app}/traffic", put(traffic))
        .route("/apps/{app}/incident", put(incident))
        .route("/apps/{app}/units/{unit}/crash", post(crash))
        .route("/apps/{app}/versions/{version}", put(mark))
        .route("/apps/{app}/somebody", post(somebody))
        .route("/replicas/{replica}/crash", post(crash_replica))
        .route("/faults", get(faults).put(set_faults))
        .route("/sd", get(discovery))
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Response {
    (status, format!("{}\n", text.into())).into_response()
}

/// An app to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApp {
    name: String,
    #[serde(default)]
    image: Option<String>,
    #[serde(default = "one")]
    units: u32,
    #[serde(default)]
    processes: Option<Vec<String>>,
    #[serde(default)]
    quota: Option<u32>,
    #[serde(default)]
    pool: Option<String>,
    #[serde(default)]
    team: Option<String>,
    #[serde(default)]
    rate: f64,
}

fn one() -> u32 {
    1
}

/// The most units that an app may begin with.
const MOST_UNITS: u32 = 500;

async fn create(State(install): State<Arc<Install>>, Json(app): Json<NewApp>) -> Response {
    if app.name.is_empty() || app.name.contains('/') || app.units > MOST_UNITS {
        return refuse(StatusCode::BAD_REQUEST, "an app has a name without `/` and at most 500 units");
    }
    let mut spec = AppSpec::web(&app.name);
    spec.quota = app.quota;
    spec.pool = app.pool.unwrap_or(spec.pool);
    spec.team = app.team.unwrap_or(spec.team);
    spec.processes = app.processes.filter(|p| !p.is_empty()).unwrap_or(spec.processes);
    let mut now = install.now();
    let at = now.at;
    let first = app.image.as_deref().map(|image| (image, app.units));
    match now.core.create_app(at, spec, first) {
        Ok(()) => {
            now.fleet.set_rate(&app.name, app.rate);
            StatusCode::CREATED.into_response()
        }
        Err(text) => refuse(StatusCode::CONFLICT, text),
    }
}

async fn show(State(install): State<Arc<Install>>, Path(name): Path<String>) -> Response {
    let now = install.now();
    let Some(app) = now.core.app(&name) else {
        return refuse(StatusCode::NOT_FOUND, format!("there is no app `{name}`"));
    };
    let (rate, served, unserved) = now.fleet.traffic(&name);
    let versions: Vec<Value> = served
        .into_iter()
        .map(|(version, served)| json!({ "version": version, "requests": served.requests, "errors": served.errors }))
        .collect();
    let units: Vec<Value> = app.pods.iter().map(wire::apps::admin_unit).collect();
    Json(json!({ "name": name, "rate": rate, "versions": versions, "unserved": unserved, "units": units }))
        .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    rate: f64,
}

async fn traffic(
    State(install): State<Arc<Install>>,
    Path(app): Path<String>,
    Json(body): Json<Rate>,
) -> Response {
    let mut now = install.now();
    if now.core.app(&app).is_none() {
        return refuse(StatusCode::NOT_FOUND, format!("there is no app `{app}`"));
    }
    now.fleet.set_rate(&app, body.rate);
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    #[serde(default = "usual")]
    errors: f64,
    #[serde(default = "usual")]
    latency: f64,
}

fn usual() -> f64 {
    1.0
}

async fn incident(
    State(install): State<Arc<Install>>,
    Path(app): Path<String>,
    Json(body): Json<Trouble>,
) -> Response {
    let mut now = install.now();
    if now.core.app(&app).is_none() {
        return refuse(StatusCode::NOT_FOUND, format!("there is no app `{app}`"));
    }
    now.fleet.set_incident(&app, body.errors, body.latency);
    StatusCode::NO_CONTENT.into_response()
}

async fn crash(State(install): State<Arc<Install>>, Path((app, unit)): Path<(String, String)>) -> Response {
    let mut now = install.now();
    let at = now.at;
    match now.core.crash(at, &app, &unit) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(text) => refuse(StatusCode::NOT_FOUND, text),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    marked: bool,
}

async fn mark(
    State(install): State<Arc<Install>>,
    Path((app, version)): Path<(String, u32)>,
    Json(body): Json<Mark>,
) -> Response {
    if install.now().core.mark(&app, version, body.marked) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refuse(StatusCode::NOT_FOUND, format!("app `{app}` has no version {version}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    does: Foreign,
}

async fn somebody(
    State(install): State<Arc<Install>>,
    Path(app): Path<String>,
    Json(body): Json<Deed>,
) -> Response {
    let mut now = install.now();
    let at = now.at;
    if now.core.somebody(at, &app, body.does) {
        StatusCode::ACCEPTED.into_response()
    } else {
        refuse(StatusCode::NOT_FOUND, format!("there is no app `{app}`"))
    }
}

async fn faults(State(install): State<Arc<Install>>) -> Response {
    Json(install.now().core.config().faults.clone()).into_response()
}

async fn crash_replica(State(install): State<Arc<Install>>, Path(replica): Path<usize>) -> Response {
    if replica >= install.replicas() {
        return refuse(StatusCode::NOT_FOUND, format!("there is no replica {replica} of the API"));
    }
    install.now().crash(replica);
    StatusCode::NO_CONTENT.into_response()
}

async fn set_faults(State(install): State<Arc<Install>>, body: String) -> Response {
    let faults = match Faults::parse(&body, Format::Json) {
        Ok(faults) => faults,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
    };
    let mut now = install.now();
    let at = now.at;
    now.core.set_faults(at, faults);
    StatusCode::NO_CONTENT.into_response()
}

async fn discovery(State(install): State<Arc<Install>>) -> Response {
    let now = install.now();
    let mut groups = Vec::new();
    for app in now.core.apps() {
        // A crashed unit keeps its address, so it stays a target that cannot be scraped.
        let addressed = app.pods.iter().filter(|p| p.phase != Phase::Pending);
        groups.extend(addressed.map(|p| {
            json!({
                "targets": [p.address.to_string()],
                "labels": {
                    "app": app.spec.name,
                    "version": p.version.to_string(),
                    "process": p.key.process,
                    "unit": p.name,
                },
            })
        }));
    }
    Json(groups).into_response()
}
