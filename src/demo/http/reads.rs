//! Calls that answer at once.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::input::{Input, parse_bool};
use super::routes::{Endpoint, Found};
use super::{Token, check, empty, hooks, json, plain, refuse, wire};
use crate::demo::install::Install;
use crate::demo::tsuru::{EventId, Failure, Filter};
use crate::words::Time;

/// `GET /healthcheck`.
pub(super) fn healthcheck(install: &Install, input: &Input) -> Response {
    const KIND: &str = "text/plain; charset=utf-8";
    let away = {
        let mut now = install.now();
        let at = now.at;
        now.core.is_away(at)
    };
    match input.query("check") {
        "all" if away => {
            let text = "MongoDB: fail - server selection error: context deadline exceeded (5s)\n";
            plain(StatusCode::INTERNAL_SERVER_ERROR, KIND, text)
        }
        "all" => plain(StatusCode::OK, KIND, "MongoDB: WORKING (1.2ms)\n"),
        _ => plain(StatusCode::OK, KIND, "WORKING"),
    }
}

/// `GET /metrics`.
pub(super) fn metrics(install: &Install) -> Response {
    let text = wire::metrics::text(&install.now().core);
    plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

/// The answer to a call that reads, or changes something that no app's lock guards.
pub(super) fn answer(
    install: &Arc<Install>,
    token: &Token,
    found: &Found,
    input: &Input,
) -> Result<Response, Failure> {
    match found.endpoint {
        Endpoint::Info => {
            let version = install.now().core.config().version.clone();
            Ok(json(&serde_json::json!({ "version": version })))
        }
        Endpoint::UserInfo => {
            // A team token stands for a user that nobody else can be.
            let email =
                if token.team { format!("{}@tsuru-team-token", token.name) } else { token.name.clone() };
            Ok(json(&serde_json::json!({ "Email": email, "Roles": [], "Permissions": [], "Groups": [] })))
        }
        Endpoint::Apps => apps(install, token, input),
        Endpoint::App => {
            check(token, "app.read.info")?;
            let name = found.parameter("app").unwrap_or("");
            let mut now = install.now();
            let (at, port) = (now.at, now.core.config().network.port);
            let look = now.core.look_from(at, name, asked(install, input)).ok_or_else(|| no_app(name))?;
            Ok(json(&wire::apps::info(&look, port)))
        }
        Endpoint::Autoscale => {
            check(token, "app.read")?;
            let name = found.parameter("app").unwrap_or("");
            let now = install.now();
            Ok(json(&wire::apps::autoscales(now.core.app(name).ok_or_else(|| no_app(name))?)))
        }
        Endpoint::Deploys => Ok(deploys(install, token, input)),
        Endpoint::DeployInfo => deploy_info(install, token, found),
        Endpoint::Events => events(install, token, input),
        Endpoint::Event => {
            let id = event_id(found)?;
            let now = install.now();
            let event = now.core.event(id).ok_or_else(no_event)?;
            check(token, "app.read.events")?;
            Ok(json(&wire::events::event_info(event)))
        }
        Endpoint::CancelEvent => cancel(install, token, found, input),
        Endpoint::Kinds => {
            Ok(json(&KINDS.map(|name| serde_json::json!({ "Type": "permission", "Name": name }))))
        }
        Endpoint::Swap => Err(refuse(412, "swapping is deprecated")),
        Endpoint::Rebuild => {
            check(token, "app.deploy")?;
            let text = "\n---- ERROR during deploy: ----\napp rebuild is deprecated\n";
            Err(refuse(500, text))
        }
        _ => hooks::answer(install, token, found, input),
    }
}

/// The kinds of events that the emulator knows.
const KINDS: [&str; 14] = [
    "app.deploy",
    "app.update",
    "app.update.deploy.rollback",
    "app.update.env.set",
    "app.update.restart",
    "app.update.routable",
    "app.update.start",
    "app.update.stop",
    "app.update.unit.add",
    "app.update.unit.autoscale.add",
    "app.update.unit.autoscale.remove",
    "app.update.unit.autoscale.swap",
    "app.update.unit.kill",
    "app.update.unit.remove",
];

/// The replica of the API that was asked; nothing where all are behind one address.
fn asked(install: &Install, input: &Input) -> Option<usize> {
    (install.replicas() > 1).then_some(input.replica)
}

fn no_app(name: &str) -> Failure {
    refuse(404, &format!("App {name} not found."))
}

fn apps(install: &Install, token: &Token, input: &Input) -> Result<Response, Failure> {
    if !token.may("app.read") && !token.may("app.read.info") {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let name = match input.query("name") {
        "" => None,
        name => Some(regex::Regex::new(name).map_err(|e| refuse(500, &e.to_string()))?),
    };
    let is = |wanted: &str, have: &str| wanted.is_empty() || wanted == have;
    let mut now = install.now();
    let (at, port) = (now.at, now.core.config().network.port);
    let simplified = input.flag("simplified");
    let names: Vec<String> = now
        .core
        .apps()
        .map(|app| &app.spec)
        .filter(|spec| name.as_ref().is_none_or(|name| name.is_match(&spec.name)))
        .filter(|spec| is(input.query("pool"), &spec.pool) && is(input.query("teamOwner"), &spec.team))
        .map(|spec| spec.name.clone())
        .collect();
    let mut list = Vec::new();
    for name in names {
        let look = now.core.look_from(at, &name, asked(install, input));
        list.extend(look.map(|look| wire::apps::resume(&look, port, simplified)));
    }
    Ok(if list.is_empty() { empty(StatusCode::NO_CONTENT) } else { json(&list) })
}

fn deploys(install: &Install, token: &Token, input: &Input) -> Response {
    if !token.may("app.read.deploy") {
        return empty(StatusCode::NO_CONTENT);
    }
    let number = |name| input.query(name).parse::<usize>().unwrap_or(0);
    let limit = if number("limit") == 0 { 100 } else { number("limit") };
    let app = input.query("app");
    let now = install.now();
    let registry = &now.core.config().registry;
    let list: Vec<_> = now
        .core
        .events()
        .rev()
        .filter(|e| e.kind == "app.deploy" && (app.is_empty() || e.app == app))
        .skip(number("skip"))
        .take(limit)
        .map(|e| wire::apps::deploy(e, now.core.app(&e.app), registry, false))
        .collect();
    if list.is_empty() { empty(StatusCode::NO_CONTENT) } else { json(&list) }
}

fn deploy_info(install: &Install, token: &Token, found: &Found) -> Result<Response, Failure> {
    let text = found.parameter("deploy").unwrap_or("");
    let id =
        EventId::parse(text).ok_or_else(|| refuse(500, &format!("id parameter is not ObjectId: {text}")))?;
    let none = || refuse(404, "Deploy not found.");
    let now = install.now();
    let event = now.core.event(id).filter(|e| e.kind == "app.deploy").ok_or_else(none)?;
    if !token.may("app.read.deploy") {
        return Err(none());
    }
    Ok(json(&wire::apps::deploy(event, now.core.app(&event.app), &now.core.config().registry, true)))
}

fn no_event() -> Failure {
    refuse(404, "event not found")
}

fn event_id(found: &Found) -> Result<EventId, Failure> {
    let text = found.parameter("uuid").unwrap_or("");
    EventId::parse(text).ok_or_else(|| refuse(400, &format!("uuid parameter is not ObjectId: {text}")))
}

fn events(install: &Install, token: &Token, input: &Input) -> Result<Response, Failure> {
    if input.is_json() && input.is_empty() {
        // The filter stays nil, and Tsuru runs into it.
        let text = "runtime error: invalid memory address or nil pointer dereference";
        return Err(refuse(500, text));
    }
    if !token.may("app.read.events") {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let filter = filter(input)?;
    let now = install.now();
    let list: Vec<_> = now.core.list_events(&filter).into_iter().map(wire::events::event).collect();
    Ok(if list.is_empty() { empty(StatusCode::NO_CONTENT) } else { json(&list) })
}

/// Reads a filter of events. Names of fields may be in any case.
fn filter(input: &Input) -> Result<Filter, Failure> {
    let wrong = |name: &str, value: &str| Failure {
        status: 400,
        text: format!("unable to decode form: {name}={value:?} is not what the field takes"),
    };
    let mut filter = Filter::default();
    for (name, value) in input.fields() {
        let time = || {
            let stamp: Result<jiff::Timestamp, _> = value.parse();
            stamp.map(|t| Some(Time(t.as_millisecond()))).map_err(|_| wrong(name, value))
        };
        let number = || value.parse::<usize>().map_err(|_| wrong(name, value));
        let truth = || parse_bool(value).ok_or_else(|| wrong(name, value));
        let text = || Some(value.clone()).filter(|v| !v.is_empty());
        match name.to_lowercase().as_str() {
            "target.type" => filter.target_type = text(),
            "target.value" => filter.target = text(),
            "kindname" => filter.kinds.extend(text()),
            "kindtype" => filter.kind_type = text(),
            "ownertype" => filter.owner_type = text(),
            "ownername" => filter.owner = text(),
            "since" => filter.since = time()?,
            "until" => filter.until = time()?,
            "running" => filter.running = Some(truth()?),
            "erroronly" => filter.errors = truth()?,
            "limit" => filter.limit = Some(number()?).filter(|n| *n > 0),
            "skip" => filter.skip = number()?,
            "sort" => filter.ascending = value.eq_ignore_ascii_case("starttime"),
            _ => {}
        }
    }
    Ok(filter)
}

fn cancel(install: &Install, token: &Token, found: &Found, input: &Input) -> Result<Response, Failure> {
    let id = event_id(found)?;
    let mut now = install.now();
    now.core.event(id).ok_or_else(no_event)?;
    let reason = input.get("reason");
    if reason.is_empty() {
        return Err(refuse(400, "reason is mandatory"));
    }
    check(token, "app.update.events")?;
    let at = now.at;
    now.core.cancel(at, id, &reason, &token.name)?;
    Ok(empty(StatusCode::NO_CONTENT))
}
