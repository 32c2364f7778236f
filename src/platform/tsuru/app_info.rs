//! Tsuru's app info: what it means and what is missing in it.
//!
//! Tsuru answers 200 with partial data and an `error` text when its cluster, routers or metrics fail. An observation
//! whose units could not be listed is an error here, never an app without units. What else is unknown is said in
//! [`Observed::gaps`].

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::failure::{Failure, shown};
use crate::platform::{App, PlatformErrorKind};
use crate::rollout::{Autoscaler, Observed, Unit};
use crate::words::{AppName, Time, Version};

/// The longest name of a Deployment; longer ones are hashed (`provision.AppProcessName` in Tsuru's source).
const LONGEST_NAME: usize = 55;

#[derive(Deserialize)]
struct AppInfo {
    #[serde(default)]
    name: String,
    #[serde(default)]
    units: Option<Vec<RawUnit>>,
    #[serde(default, rename = "internalAddresses")]
    addresses: Option<Vec<Address>>,
    #[serde(default)]
    autoscale: Option<Vec<Value>>,
    #[serde(default)]
    quota: Option<Quota>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawUnit {
    #[serde(rename = "ID")]
    id: Option<String>,
    name: Option<String>,
    process_name: Option<String>,
    version: Option<u32>,
    #[serde(rename = "InternalIP")]
    internal_ip: Option<String>,
    status: Option<String>,
    status_reason: Option<String>,
    ready: Option<bool>,
    routable: Option<bool>,
    restarts: Option<i64>,
    created_at: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Address {
    protocol: Option<String>,
    target_port: Option<i64>,
    version: Option<String>,
    process: Option<String>,
}

#[derive(Deserialize)]
struct Quota {
    limit: Option<i64>,
    inuse: Option<i64>,
}

/// Reads the answer to `GET /1.0/apps/{app}`, asked at `at`.
pub(super) fn read(json: &[u8], at: Time, default_port: u16) -> Result<Observed, Failure> {
    let info: AppInfo =
        serde_json::from_slice(json).map_err(|e| unreadable(&format!("the app's info: {e}")))?;
    let mut gaps = missing(info.error.as_deref().unwrap_or_default())?;
    let Some(raw_units) = info.units else {
        return Err(unreadable("the app's info has no `units`"));
    };
    let addresses = info.addresses.unwrap_or_default();
    let units = raw_units
        .into_iter()
        .map(|raw| unit(raw, &info.name, &addresses, default_port, &mut gaps))
        .collect::<Result<_, _>>()?;
    let autoscaled = info.autoscale.unwrap_or_default().iter().filter_map(autoscaler).collect();
    gaps.sort();
    gaps.dedup();
    Ok(Observed { at, units, autoscaled, quota_left: info.quota.and_then(|q| q.left()), gaps })
}

/// One autoscaler, kept whole so that it can be made again.
pub(crate) fn autoscaler(spec: &Value) -> Option<Autoscaler> {
    let version = spec.get("version").and_then(Value::as_u64).and_then(|v| u32::try_from(v).ok());
    Some(Autoscaler {
        process: spec.get("process")?.as_str()?.to_owned(),
        version: version.filter(|v| *v > 0).map(Version),
        spec: spec.to_string(),
    })
}

/// What the `error` text of an app's info says is missing, or what it means that the units are.
pub(crate) fn read_gaps(error: &str) -> Result<Vec<String>, (PlatformErrorKind, String)> {
    missing(error).map_err(|failure| (failure.kind, failure.message))
}

/// What the `error` text says is missing, as far as it matters here.
fn missing(error: &str) -> Result<Vec<String>, Failure> {
    let mut gaps = Vec::new();
    for line in error.lines() {
        if line.contains("unable to list app units") {
            let message = format!("Tsuru could not list the app's units: `{}`", shown(line));
            return Err(Failure::new(PlatformErrorKind::Unreachable, message));
        }
        for (words, gap) in [
            ("unable to get autoscale info", "whether an autoscaler changes the number of units"),
            ("unable to get app quota", "how many units the quota leaves"),
            ("unable to get app cluster internal addresses", "the ports of the units"),
        ] {
            if line.contains(words) {
                gaps.push(format!("unknown: {gap} (`{}`)", shown(line)));
            }
        }
    }
    Ok(gaps)
}

fn unit(
    raw: RawUnit,
    app: &str,
    addresses: &[Address],
    default_port: u16,
    gaps: &mut Vec<String>,
) -> Result<Unit, Failure> {
    let name =
        raw.name.or(raw.id).filter(|n| !n.is_empty()).ok_or_else(|| unreadable("a unit has no `Name`"))?;
    let lacks = |key: &str| unreadable(&format!("unit {} has no `{key}`", shown(&name)));
    let process = raw.process_name.ok_or_else(|| lacks("ProcessName"))?;
    let version = Version(raw.version.ok_or_else(|| lacks("Version"))?);
    let status = raw.status.unwrap_or_default();
    let ready = raw.ready.unwrap_or_else(|| {
        gaps.push("units without `Ready`: taken as ready when started".to_owned());
        status == "started"
    });
    let routable = raw.routable.unwrap_or_else(|| {
        gaps.push("units without `Routable`: taken as not routable".to_owned());
        false
    });
    let port = port(addresses, &process, version).unwrap_or(default_port);
    Ok(Unit {
        address: raw.internal_ip.as_deref().and_then(|ip| address(ip, port)),
        base: !name.starts_with(&format!("{}-", deployment(app, &process, Some(version)))),
        status: match raw.status_reason.filter(|reason| !reason.is_empty()) {
            Some(reason) => shown(&format!("{status}: {reason}")),
            None => status,
        },
        created: raw.created_at.as_deref().and_then(time),
        restarts: raw.restarts.map_or(0, |n| u32::try_from(n).unwrap_or(0)),
        name,
        process,
        version,
        ready,
        routable,
    })
}

/// The port that a process of a version listens on, where Tsuru names one.
fn port(addresses: &[Address], process: &str, version: Version) -> Option<u16> {
    let version = version.0.to_string();
    let found = |wanted: &str| {
        addresses
            .iter()
            .filter(|a| a.process.as_deref() == Some(process))
            .filter(|a| a.protocol.as_deref().is_none_or(|p| p.eq_ignore_ascii_case("tcp")))
            .filter(|a| a.version.as_deref().unwrap_or_default() == wanted)
            .find_map(|a| u16::try_from(a.target_port?).ok().filter(|p| *p > 0))
    };
    found(&version).or_else(|| found(""))
}

/// `host:port`, with the brackets that an IPv6 address needs. Nothing if `ip` is no address.
fn address(ip: &str, port: u16) -> Option<String> {
    let ip: IpAddr = ip.trim().parse().ok()?;
    Some(std::net::SocketAddr::new(ip, port).to_string())
}

/// The name of the Deployment that runs a process: of the base, or of one version beside it.
fn deployment(app: &str, process: &str, version: Option<Version>) -> String {
    let app = valid_name(app);
    let process = valid_name(process);
    let process = version.map_or_else(|| process.clone(), |v| format!("{process}-v{}", v.0));
    let name = format!("{app}-{process}");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let hash = hex(&Sha256::digest(process.as_bytes()));
    let room = LONGEST_NAME.saturating_sub(app.len() + 1).min(hash.len());
    format!("{app}-{}", &hash[..room])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn valid_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c.to_ascii_lowercase() } else { '-' })
        .collect()
}

impl Quota {
    /// How many more units may exist; nothing: no limit, or none known.
    fn left(&self) -> Option<u32> {
        let limit = self.limit.filter(|limit| *limit >= 0)?;
        let left = limit.saturating_sub(self.inuse.unwrap_or(0)).max(0);
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }
}

/// A moment as Tsuru writes it (RFC 3339). Nothing for the zero time, which stands for "never".
pub(super) fn time(text: &str) -> Option<Time> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Time(at.as_millisecond())).filter(|at| at.0 > 0)
}

#[derive(Deserialize)]
struct AppResume {
    name: String,
    #[serde(default)]
    pool: String,
    #[serde(default, rename = "teamowner")]
    team: String,
}

/// Reads the answer to `GET /1.0/apps`.
pub(super) fn read_list(json: &[u8]) -> Result<Vec<App>, Failure> {
    let apps: Option<Vec<AppResume>> =
        serde_json::from_slice(json).map_err(|e| unreadable(&format!("the list of apps: {e}")))?;
    Ok(apps
        .unwrap_or_default()
        .into_iter()
        .map(|a| App { name: AppName(a.name), pool: a.pool, team: a.team })
        .collect())
}

fn unreadable(what: &str) -> Failure {
    Failure::new(PlatformErrorKind::Failed, format!("Tsuru's answer cannot be understood: {what}"))
}

#[cfg(test)]
mod tests;
