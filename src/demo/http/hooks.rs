//! Webhooks: their registration, and their delivery at the end of events: one after the other, once each, never again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::input::Input;
use super::routes::{Endpoint, Found};
use super::{Token, check, empty, json as json_answer, plain, refuse, template, wire};
use crate::demo::install::{Delivery, Install};
use crate::demo::tsuru::{EventId, Failure, Webhook};

/// The answer to a call about webhooks or blocks.
pub(super) fn answer(
    install: &Arc<Install>,
    token: &Token,
    found: &Found,
    input: &Input,
) -> Result<Response, Failure> {
    let name = found.parameter("name").unwrap_or("");
    match found.endpoint {
        Endpoint::Webhooks => {
            if !token.may("webhook.read") {
                return Ok(empty(StatusCode::NO_CONTENT));
            }
            let now = install.now();
            let list = now.core.webhooks();
            Ok(if list.is_empty() { empty(StatusCode::NO_CONTENT) } else { json_answer(&list) })
        }
        Endpoint::Webhook => {
            let now = install.now();
            let Some(hook) = now.core.webhooks().iter().find(|hook| hook.name == name) else {
                return Ok(empty(StatusCode::NOT_FOUND));
            };
            check(token, "webhook.read")?;
            Ok(json_answer(hook))
        }
        Endpoint::CreateWebhook => create(install, token, input),
        Endpoint::UpdateWebhook => {
            let mut hook = read(input)?;
            check(token, "webhook.update")?;
            name.clone_into(&mut hook.name);
            valid_url(&hook)?;
            let mut now = install.now();
            match now.core.webhooks_mut().iter_mut().find(|h| h.name == name) {
                Some(existing) => *existing = hook,
                None => return Ok(empty(StatusCode::NOT_FOUND)),
            }
            Ok(empty(StatusCode::OK))
        }
        Endpoint::DeleteWebhook => {
            let mut now = install.now();
            let hooks = now.core.webhooks_mut();
            if !hooks.iter().any(|h| h.name == name) {
                return Ok(empty(StatusCode::NOT_FOUND));
            }
            check(token, "webhook.delete")?;
            hooks.retain(|h| h.name != name);
            Ok(empty(StatusCode::OK))
        }
        _ => blocks(install, token, found, input),
    }
}

fn create(install: &Install, token: &Token, input: &Input) -> Result<Response, Failure> {
    let mut hook = read(input)?;
    check(token, "webhook.create")?;
    if hook.team_owner.is_empty() {
        // Where the caller has one team only, it owns the hook.
        hook.team_owner.push_str("myteam");
    }
    if hook.name.is_empty() {
        return Err(refuse(400, "webhook name must not be empty"));
    }
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if hook.name.len() > 40
        || !hook.name.starts_with(|c: char| c.is_ascii_lowercase())
        || !hook.name.chars().all(letters)
    {
        let text = "Invalid webhook name, webhook name should have at most 40 characters, containing only lower case \
                    letters, numbers or dashes, starting with a letter.";
        return Err(refuse(400, text));
    }
    valid_url(&hook)?;
    let mut now = install.now();
    let hooks = now.core.webhooks_mut();
    if hooks.iter().any(|h| h.name == hook.name) {
        const TEXT: &str = "webhook already exists with the same name\n";
        return Ok(plain(StatusCode::CONFLICT, "text/plain; charset=utf-8", TEXT));
    }
    hooks.push(hook);
    Ok(empty(StatusCode::OK))
}

fn read(input: &Input) -> Result<Webhook, Failure> {
    if !input.is_json() {
        return Ok(Webhook {
            name: input.get("name"),
            description: input.get("description"),
            team_owner: input.get("team_owner"),
            url: input.get("url"),
            proxy_url: input.get("proxy_url"),
            method: input.get("method"),
            body: input.get("body"),
            insecure: input.flag("insecure"),
            ..Webhook::default()
        });
    }
    serde_json::from_value(Value::Object(input.object()?)).map_err(|error| input.not_json(&error.to_string()))
}

fn valid_url(hook: &Webhook) -> Result<(), Failure> {
    if hook.url.is_empty() {
        return Err(refuse(400, "webhook url must not be empty"));
    }
    Ok(())
}

fn blocks(install: &Install, token: &Token, found: &Found, input: &Input) -> Result<Response, Failure> {
    let mut now = install.now();
    let at = now.at;
    match found.endpoint {
        Endpoint::AddBlock => {
            check(token, "event-block.add")?;
            let object = input.object()?;
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            let (kind, owner) = (text(object.get("KindName")), text(object.get("OwnerName")));
            let app = text(object.get("Target").and_then(|target| target.get("Value")));
            let reason = text(object.get("Reason"));
            if reason.is_empty() {
                return Err(refuse(400, "reason is required"));
            }
            now.core.add_block(at, &kind, &owner, &app, &reason);
            Ok(empty(StatusCode::OK))
        }
        Endpoint::RemoveBlock => {
            check(token, "event-block.remove")?;
            let text = found.parameter("uuid").unwrap_or("");
            let id = EventId::parse(text)
                .ok_or_else(|| refuse(400, &format!("uuid parameter is not ObjectId: {text}")))?;
            if now.core.remove_block(id) {
                Ok(empty(StatusCode::OK))
            } else {
                Err(refuse(404, &format!("active event block with id {id} not found")))
            }
        }
        _ => {
            check(token, "event-block.read")?;
            let list: Vec<Value> = now
                .core
                .blocks()
                .iter()
                .map(|b| {
                    let kind = if b.app.is_empty() { "" } else { "app" };
                    json!({
                        "ID": b.id.to_string(), "KindName": b.kind, "OwnerName": b.owner, "Reason": b.reason,
                        "Target": { "Type": kind, "Value": b.app }, "Conditions": null, "Active": true,
                    })
                })
                .collect();
            Ok(if list.is_empty() { empty(StatusCode::NO_CONTENT) } else { json_answer(&list) })
        }
    }
}

/// How long a late webhook waits for one to overtake it.
const LATE: Duration = Duration::from_secs(2);

/// Delivers the webhooks of one replica of the API as they come, one at a time, until the emulator stops.
pub(in crate::demo) async fn deliver(
    install: Arc<Install>,
    replica: usize,
    mut deliveries: mpsc::Receiver<Delivery>,
) {
    let timeout = install.now().core.config().timings.webhook.as_duration();
    let mut late: Option<Delivery> = None;
    loop {
        let next = tokio::select! {
            () = install.stop.cancelled() => return,
            () = tokio::time::sleep(LATE), if late.is_some() => None,
            next = deliveries.recv() => match next {
                Some(delivery) => Some(delivery),
                None => return,
            },
        };
        let (lost, holds, lag) = {
            let mut now = install.now();
            let lost = next.is_some() && now.core.fires(|faults| &mut faults.webhook_lost);
            let holds = next.is_some() && late.is_none() && now.core.fires(|faults| &mut faults.webhook_late);
            (lost, holds, now.core.config().faults.webhook_lags.get(replica).copied().unwrap_or_default())
        };
        let mut batch: Vec<Delivery> = next.into_iter().filter(|_| !lost).collect();
        if holds {
            late = batch.pop();
        } else {
            batch.extend(late.take());
        }
        for Delivery { hook, event, crashes } in batch {
            tokio::select! {
                () = install.stop.cancelled() => return,
                () = tokio::time::sleep(lag.as_duration()) => {}
            }
            // What waits to be sent is forgotten in a crash.
            if install.now().crashes[replica] != crashes {
                continue;
            }
            tokio::select! {
                () = install.stop.cancelled() => return,
                result = send(&hook, &event, timeout) => if let Err(reason) = result {
                    tracing::debug!(webhook = hook.name, event = %event.id, reason, "webhook failed");
                }
            }
        }
    }
}

async fn send(hook: &Webhook, event: &crate::demo::tsuru::Event, timeout: Duration) -> Result<(), String> {
    let method = if hook.method.is_empty() { "POST".to_owned() } else { hook.method.to_uppercase() };
    let method: reqwest::Method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
    let carries = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
    let client = client(hook, timeout).map_err(|e| e.to_string())?;
    let mut request = client.request(method, &hook.url).header("User-Agent", "tsuru-webhook-client/1.0");
    for (name, value) in hook.headers.iter().flat_map(|(name, values)| values.iter().map(move |v| (name, v)))
    {
        request = request.header(name, value);
    }
    if !hook.body.is_empty() {
        request = request.body(template::render(&hook.body, event)?);
    } else if carries {
        let body = wire::json_line(&wire::events::event(event));
        request = request.header("Content-Type", "application/json").body(body.trim_end().to_owned());
    }
    let status = request.send().await.map_err(|e| e.without_url().to_string())?.status().as_u16();
    if (200..400).contains(&status) {
        Ok(())
    } else {
        Err(format!("invalid status code calling hook: {status}"))
    }
}

fn client(hook: &Webhook, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder().timeout(timeout).pool_max_idle_per_host(0);
    if hook.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder = if hook.proxy_url.is_empty() {
        builder.no_proxy()
    } else {
        builder.proxy(reqwest::Proxy::all(&hook.proxy_url)?)
    };
    builder.build()
}
