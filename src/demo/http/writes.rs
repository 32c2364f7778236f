//! Calls that wait for an app's lock and take time.

use std::sync::Arc;

use axum::response::Response;
use serde_json::Value;

use super::input::{Input, parse_bool};
use super::routes::{Endpoint, Found};
use super::stream::{self, Kind};
use super::{Token, check, refuse};
use crate::demo::install::Install;
use crate::demo::tsuru::{Act, Deploy, Failure, State};

/// The answer to a call that changes an app.
pub(super) async fn answer(
    install: Arc<Install>,
    token: &Token,
    found: &Found,
    input: &Input,
) -> Result<Response, Failure> {
    let app = found.parameter("app").or_else(|| found.parameter("appname")).unwrap_or("").to_owned();
    let (act, kind) = read(&install, &app, token, found, input)?;
    let call = {
        let mut now = install.now();
        let at = now.at;
        now.core.begin(at, token.caller(input), &app, act)
    };
    let call = call.ok_or_else(|| refuse(404, "App not found"))?;
    stream::follow(install, call, kind).await
}

/// What is asked for, after the checks that Tsuru makes before it takes the lock.
fn read(
    install: &Install,
    app: &str,
    token: &Token,
    found: &Found,
    input: &Input,
) -> Result<(Act, Kind), Failure> {
    let (process, version) = (input.get("process"), input.get("version"));
    let change = |state| Act::Change { state, process: process.clone(), version: version.clone() };
    let act = match found.endpoint {
        Endpoint::Deploy => return read_deploy(install, app, token, input),
        Endpoint::Rollback => return read_rollback(token, input),
        Endpoint::UpdateRollback => return read_rollback_update(token, input),
        Endpoint::Routable => return read_routable(token, input),
        Endpoint::AddUnits => {
            let units = number_of_units(input)?;
            check(token, "app.update.unit.add")?;
            Act::AddUnits { units, process, version }
        }
        Endpoint::RemoveUnits => {
            let units = number_of_units(input)?;
            check(token, "app.update.unit.remove")?;
            Act::RemoveUnits { units, process, version }
        }
        Endpoint::DeleteApp => {
            check(token, "app.delete")?;
            Act::DeleteApp
        }
        Endpoint::DeleteVersion => {
            check(token, "app.update")?;
            Act::DeleteVersion { version: found.parameter("version").unwrap_or("").to_owned() }
        }
        Endpoint::Start => {
            check(token, "app.update.start")?;
            change(State::Start)
        }
        Endpoint::Stop => {
            check(token, "app.update.stop")?;
            change(State::Stop)
        }
        Endpoint::Restart => {
            check(token, "app.update.restart")?;
            change(State::Restart)
        }
        Endpoint::SetEnv => return read_env(token, input),
        Endpoint::KillUnit => {
            check(token, "app.update.unit.kill")?;
            let unit = found.parameter("unit").unwrap_or("").to_owned();
            return Ok((Act::KillUnit { unit, force: input.flag("force") }, Kind::Empty));
        }
        Endpoint::SetAutoscale => return read_autoscale(install, app, token, input),
        Endpoint::RemoveAutoscale => {
            check(token, "app.update.unit.autoscale.remove")?;
            return Ok((Act::RemoveAutoscale { process }, Kind::Empty));
        }
        _ => {
            check(token, "app.update.unit.autoscale.swap")?;
            if version.is_empty() {
                return Err(refuse(400, "version is required to swap autoscale"));
            }
            return Ok((Act::SwapAutoscale { version }, Kind::Empty));
        }
    };
    Ok((act, Kind::Json))
}

fn number_of_units(input: &Input) -> Result<u32, Failure> {
    match input.get("units").as_str() {
        "" => Err(refuse(400, "You must provide the number of units.")),
        text => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
            refuse(400, "Invalid number of units: the number must be an integer greater than 0.")
        }),
    }
}

const ORIGINS: [&str; 6] = ["app-deploy", "git", "rollback", "drag-and-drop", "image", "rebuild"];

fn read_deploy(install: &Install, app: &str, token: &Token, input: &Input) -> Result<(Act, Kind), Failure> {
    let image = input.get("image");
    if image.is_empty() {
        // The emulator has no builder: it can only run images of the toy app.
        let text = if input.is_multipart() || !input.get("archive-url").is_empty() {
            "the emulator deploys images only: send `image=toy:good`"
        } else {
            "You must provide at least one of: \"archive-url\", \"dockerfile\", \"image\" or \"file\""
        };
        return Err(refuse(400, text));
    }
    if install.now().core.app(app).is_none() {
        return Err(refuse(404, "App not found"));
    }
    if !token.may("app.deploy.image") {
        return Err(refuse(403, "User does not have permission to do this action in this app"));
    }
    let deploy = Deploy {
        image,
        origin: "image".to_owned(),
        message: input.get("message"),
        new_version: input.flag("new-version"),
        override_versions: input.flag("override-versions"),
    };
    Ok((Act::Deploy(deploy), Kind::Text))
}

fn read_rollback(token: &Token, input: &Input) -> Result<(Act, Kind), Failure> {
    let (image, origin) = (input.get("image"), input.get("origin"));
    if image.is_empty() {
        return Err(refuse(400, "you cannot rollback without an image name"));
    }
    if !origin.is_empty() && !ORIGINS.contains(&origin.as_str()) {
        return Err(refuse(400, "Invalid deployment origin"));
    }
    check(token, "app.deploy.rollback")?;
    let deploy = Deploy {
        image,
        origin,
        message: String::new(),
        new_version: input.flag("new-version"),
        override_versions: input.flag("override-versions"),
    };
    Ok((Act::Rollback(deploy), Kind::Json))
}

fn read_rollback_update(token: &Token, input: &Input) -> Result<(Act, Kind), Failure> {
    if !token.may("app.update.deploy.rollback") {
        return Err(refuse(403, "User does not have permission to do this action in this app"));
    }
    let (image, disable, reason) = (input.get("image"), input.get("disable"), input.get("reason"));
    if image.is_empty() {
        return Err(refuse(400, "you must specify an image"));
    }
    let disable = parse_bool(&disable).ok_or_else(|| {
        refuse(400, &format!("Cannot set 'disable' status to: '{disable}', instead of 'true' or 'false'"))
    })?;
    if disable && reason.is_empty() {
        return Err(refuse(400, "Reason cannot be empty while disabling a image rollback"));
    }
    Ok((Act::UpdateRollback { image, disable, reason }, Kind::Empty))
}

/// A missing or misspelt `isRoutable` is false, as on Tsuru.
fn read_routable(token: &Token, input: &Input) -> Result<(Act, Kind), Failure> {
    let (mut version, mut routable) = (String::new(), false);
    if input.is_json() {
        for (name, value) in input.object()? {
            // Go takes keys in any case.
            match (name.to_lowercase().as_str(), value) {
                ("version", Value::String(text)) => version = text,
                ("isroutable", Value::Bool(is)) => routable = is,
                ("version" | "isroutable", Value::Null) => {}
                (field @ ("version" | "isroutable"), value) => {
                    let wanted =
                        if field == "version" { "version of type string" } else { "isRoutable of type bool" };
                    let kind = json_kind(&value);
                    return Err(input.not_json(&format!(
                        "json: cannot unmarshal {kind} into Go struct field setRoutableRequest.{wanted}"
                    )));
                }
                _ => {}
            }
        }
    } else {
        for (name, value) in input.fields() {
            match name.to_lowercase().as_str() {
                "version" => version.clone_from(value),
                "isroutable" => {
                    routable = parse_bool(value).ok_or_else(|| {
                        refuse(400, &format!("unable to decode form: isRoutable={value:?}"))
                    })?;
                }
                _ => {}
            }
        }
    }
    check(token, "app.update.routable")?;
    Ok((Act::Routable { version, routable }, Kind::Empty))
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn read_env(token: &Token, input: &Input) -> Result<(Act, Kind), Failure> {
    check(token, "app.update.env.set")?;
    let mut names: Vec<String> = input
        .fields()
        .iter()
        .filter(|(name, _)| {
            name.to_lowercase().starts_with("envs.") && name.to_lowercase().ends_with(".name")
        })
        .map(|(_, value)| value.clone())
        .collect();
    if input.is_json() {
        let object = input.object()?;
        let envs = object.iter().find(|(name, _)| name.eq_ignore_ascii_case("envs")).map(|(_, envs)| envs);
        let listed = envs.and_then(Value::as_array).into_iter().flatten();
        names.extend(listed.filter_map(|env| Some(env.get("name")?.as_str()?.to_owned())));
    }
    if names.is_empty() {
        return Err(refuse(400, "You must provide the list of environment variables"));
    }
    Ok((Act::SetEnv { names }, Kind::Json))
}

fn read_autoscale(
    install: &Install,
    app: &str,
    token: &Token,
    input: &Input,
) -> Result<(Act, Kind), Failure> {
    check(token, "app.update.unit.autoscale.add")?;
    let number = |name| input.get(name).parse::<u32>().unwrap_or(0);
    let (min, max) = (number("minUnits"), number("maxUnits"));
    let quota = install.now().core.app(app).and_then(|a| a.spec.quota);
    let cpu = input.get("averageCPU");
    let wrong = if min == 0 {
        Some("minimum units must be greater than 0")
    } else if max <= min {
        Some("maximum units must be greater than minimum units")
    } else if quota.is_some_and(|quota| max > quota) {
        Some("maximum units cannot be greater than quota limit")
    } else if cpu.is_empty() {
        // The emulator knows neither schedules nor queries.
        Some("you have to configure at least one trigger between cpu, schedule and prometheus")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return Err(refuse(400, &format!("unable to validate autoscale spec: {wrong}")));
    }
    let act = Act::SetAutoscale { process: input.get("process"), min, max, cpu };
    Ok((act, Kind::Empty))
}
