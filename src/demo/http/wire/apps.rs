//! Apps, units and deploys as the API shows them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::demo::tsuru::{App, Autoscale, Event, Look, Phase, Pod, Slot, Start, rfc3339};
use crate::words::Time;

#[derive(Serialize)]
struct Plan {
    name: &'static str,
    memory: u64,
    cpumilli: u32,
}

const PLAN: Plan = Plan { name: "c1m1", memory: 1_073_741_824, cpumilli: 1000 };

#[derive(Serialize)]
struct Metadata {
    labels: Option<[(); 0]>,
    annotations: Option<[(); 0]>,
}

/// A unit. The keys are Go's field names.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::demo::http) struct Unit {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    app_name: String,
    process_name: String,
    r#type: &'static str,
    #[serde(rename = "InternalIP")]
    internal_ip: String,
    status: &'static str,
    status_reason: &'static str,
    address: Option<Value>,
    addresses: Option<[(); 0]>,
    version: u32,
    routable: bool,
    restarts: u32,
    created_at: String,
    ready: bool,
    host_addr: String,
    host_port: String,
    #[serde(rename = "IP")]
    ip: &'static str,
}

/// The units that a list shows. Where units share one address (`ports`), a unit tells its port in `HostAddr`, `HostPort`
/// and `Address`, as Tsuru does for provisioners whose units have ports of their own.
pub(in crate::demo::http) fn units(app: &App, pods: &[Pod], ports: bool) -> Vec<Unit> {
    let unit = |pod: &Pod| {
        let (status, status_reason) = pod.status();
        let port = pod.address.port().to_string();
        let host = pod.address.ip().to_string();
        // A pod gets its address with its container.
        let listening = pod.phase != Phase::Pending;
        Unit {
            id: pod.name.clone(),
            name: pod.name.clone(),
            app_name: app.spec.name.clone(),
            process_name: pod.key.process.clone(),
            r#type: "python",
            internal_ip: if listening { host.clone() } else { String::new() },
            status,
            status_reason,
            address: (ports && listening).then(|| url(&format!("{host}:{port}"))),
            addresses: None,
            version: pod.version,
            routable: pod.routable,
            restarts: pod.restarts,
            created_at: rfc3339(Time(pod.created.0 / 1000 * 1000)),
            ready: pod.phase == Phase::Ready,
            host_addr: if ports && listening { host } else { String::new() },
            host_port: if ports && listening { port } else { String::new() },
            ip: "10.0.0.11",
        }
    };
    pods.iter().map(unit).collect()
}

/// Go's `url.URL`.
fn url(host: &str) -> Value {
    json!({
        "Scheme": "http", "Opaque": "", "User": null, "Host": host, "Path": "", "RawPath": "",
        "OmitHost": false, "ForceQuery": false, "RawQuery": "", "Fragment": "", "RawFragment": "",
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InternalAddress {
    domain: String,
    protocol: &'static str,
    port: u16,
    target_port: u16,
    version: String,
    process: String,
}

fn internal_addresses(app: &App, port: u16) -> Vec<InternalAddress> {
    let mut services = app.services.clone();
    // The app's own address of `web` first, then by version as text, then by process.
    services.sort_unstable_by_key(|(process, version)| {
        let version = version.map(|v| v.to_string()).unwrap_or_default();
        (!(process == "web" && version.is_empty()), version, process.clone())
    });
    let address = |(process, version): (String, Option<u32>)| {
        let suffix = version.map(|v| format!("-v{v}")).unwrap_or_default();
        InternalAddress {
            domain: format!("{}-{process}{suffix}.tsuru-{}.svc.cluster.local", app.spec.name, app.spec.pool),
            protocol: "TCP",
            port,
            target_port: port,
            version: version.map(|v| v.to_string()).unwrap_or_default(),
            process,
        }
    };
    services.into_iter().map(address).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AutoscaleSpec<'a> {
    process: &'a str,
    min_units: u32,
    max_units: u32,
    #[serde(rename = "averageCPU", skip_serializing_if = "str::is_empty")]
    average_cpu: &'a str,
    version: u32,
    behavior: Behavior,
}

#[derive(Serialize)]
struct Behavior {}

/// The autoscalers of an app; nothing where there are none, which Go writes as `null`.
pub(in crate::demo) fn autoscales(app: &App) -> Option<Value> {
    let spec = |a: &Autoscale| {
        serde_json::to_value(AutoscaleSpec {
            process: &a.process,
            min_units: a.min,
            max_units: a.max,
            average_cpu: &a.cpu,
            version: a.version,
            behavior: Behavior {},
        })
        .unwrap_or_default()
    };
    (!app.autoscales.is_empty()).then(|| app.autoscales.iter().map(spec).collect())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UnitMetric {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "CPU")]
    cpu: &'static str,
    memory: &'static str,
}

#[derive(Serialize)]
struct Process {
    name: String,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Healthcheck>,
}

#[derive(Serialize)]
struct Healthcheck {
    path: &'static str,
    scheme: &'static str,
    allowed_failures: u32,
    interval_seconds: u32,
    timeout_seconds: u32,
}

#[derive(Serialize)]
struct Router {
    name: &'static str,
    opts: Empty,
    address: String,
    addresses: Vec<String>,
    r#type: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Quota {
    limit: i64,
    inuse: u32,
}

/// Everything about an app.
#[derive(Serialize)]
struct AppInfo {
    name: String,
    platform: &'static str,
    teams: [String; 1],
    plan: Plan,
    cname: [(); 0],
    owner: &'static str,
    pool: String,
    description: &'static str,
    deploys: u32,
    teamowner: String,
    tags: [(); 0],
    metadata: AppMetadata,
    units: Vec<Unit>,
    #[serde(rename = "internalAddresses", skip_serializing_if = "Vec::is_empty")]
    internal_addresses: Vec<InternalAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscale: Option<Value>,
    #[serde(rename = "unitsMetrics", skip_serializing_if = "Vec::is_empty")]
    units_metrics: Vec<UnitMetric>,
    provisioner: &'static str,
    cluster: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<Process>,
    routers: [Router; 1],
    #[serde(rename = "serviceInstanceBinds")]
    service_instance_binds: [(); 0],
    #[serde(skip_serializing_if = "String::is_empty")]
    ip: String,
    router: &'static str,
    routeropts: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Quota>,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

#[derive(Serialize)]
struct AppMetadata {
    labels: [(); 0],
    annotations: [(); 0],
}

const APP_METADATA: AppMetadata = AppMetadata { labels: [], annotations: [] };

fn router(hosts: Option<&[String]>) -> Router {
    let hosts = hosts.unwrap_or_default();
    Router {
        name: "ingress",
        opts: Empty {},
        address: hosts.first().cloned().unwrap_or_default(),
        addresses: hosts.to_vec(),
        r#type: "api",
        status: "ready",
    }
}

/// The address that the first router gives the app.
fn ip(look: &Look<'_>) -> String {
    look.hosts.iter().flatten().next().cloned().unwrap_or_default()
}

/// What app info could not tell, as it says it: one line each.
pub(in crate::demo) fn gaps(look: &Look<'_>) -> String {
    let lost = "Get \"https://cluster.example.com/api\": context deadline exceeded";
    let no_metrics = "the server could not find the requested resource (get pods.metrics.k8s.io)";
    let lines = [
        look.pods.is_none().then(|| format!("unable to list app units: {lost}")),
        look.hosts.is_none().then(|| format!("unable to get app addresses: {lost}")),
        (!look.quota).then(|| format!("unable to get app quota: {lost}")),
        look.hosts.is_none().then(|| format!("unable to get app cluster internal addresses: {lost}")),
        (!look.autoscale).then(|| format!("unable to get autoscale info: {lost}")),
        (!look.metrics).then(|| format!("unable to get units metrics: {no_metrics}")),
    ];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// The processes that app info tells of: those of the base, in order of their names.
fn base_processes(app: &App) -> Vec<String> {
    let of_base = app.deployments.iter().filter(|d| d.key.slot == Slot::Base);
    let mut names: Vec<String> = of_base.map(|d| d.key.process.clone()).collect();
    names.sort_unstable();
    names
}

/// `GET /apps/{app}`; the units listen on `port`, or each on its own where that is 0.
pub(in crate::demo::http) fn info(look: &Look<'_>, port: u16) -> impl Serialize + use<> {
    let app = look.app;
    let units = units(app, look.pods.unwrap_or_default(), port == 0);
    let units_metrics = units
        .iter()
        .filter(|u| u.ready && look.metrics)
        .map(|u| UnitMetric { id: u.id.clone(), cpu: "5m", memory: "100Mi" })
        .collect();
    let process = |name: &String| Process {
        name: name.clone(),
        metadata: Metadata { labels: None, annotations: None },
        healthcheck: (name == "web").then_some(Healthcheck {
            path: "/healthz",
            scheme: "http",
            allowed_failures: 3,
            interval_seconds: 10,
            timeout_seconds: 60,
        }),
    };
    let name = &app.spec.name;
    AppInfo {
        name: name.clone(),
        platform: "python",
        teams: [app.spec.team.clone()],
        plan: PLAN,
        cname: [],
        owner: "me@example.com",
        pool: app.spec.pool.clone(),
        description: "",
        deploys: app.deploys,
        teamowner: app.spec.team.clone(),
        tags: [],
        metadata: APP_METADATA,
        units,
        internal_addresses: look.hosts.as_ref().map_or_else(Vec::new, |_| internal_addresses(app, port)),
        autoscale: autoscales(app).filter(|_| look.autoscale),
        units_metrics,
        provisioner: "kubernetes",
        cluster: "c1",
        processes: base_processes(app).iter().map(process).collect(),
        ip: ip(look),
        routers: [router(look.hosts.as_deref())],
        service_instance_binds: [],
        router: "ingress",
        routeropts: Empty {},
        quota: look
            .quota
            .then(|| Quota { limit: app.spec.quota.map_or(-1, i64::from), inuse: app.units_in_use() }),
        error: gaps(look),
    }
}

/// An app in a list.
#[derive(Serialize)]
struct AppResume {
    name: String,
    pool: String,
    teamowner: String,
    plan: Plan,
    units: Vec<Unit>,
    cname: [(); 0],
    ip: String,
    routers: [Router; 1],
    tags: [(); 0],
    platform: &'static str,
    metadata: AppMetadata,
}

/// One app of `GET /apps`; `simplified` leaves out the units.
pub(in crate::demo::http) fn resume(look: &Look<'_>, port: u16, simplified: bool) -> impl Serialize + use<> {
    let app = look.app;
    let pods = look.pods.filter(|_| !simplified).unwrap_or_default();
    let units = units(app, pods, port == 0);
    AppResume {
        name: app.spec.name.clone(),
        pool: app.spec.pool.clone(),
        teamowner: app.spec.team.clone(),
        plan: PLAN,
        units,
        cname: [],
        ip: ip(look),
        routers: [router(look.hosts.as_deref())],
        tags: [],
        platform: "python",
        metadata: APP_METADATA,
    }
}

/// A deploy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeployData {
    #[serde(rename = "ID")]
    id: String,
    app: String,
    timestamp: String,
    duration: i64,
    commit: &'static str,
    error: String,
    image: String,
    version: u32,
    log: String,
    user: String,
    origin: String,
    can_rollback: bool,
    diff: &'static str,
    message: String,
}

/// A deploy, as the list shows it or, `alone`, with its log.
pub(in crate::demo::http) fn deploy(
    event: &Event,
    app: Option<&App>,
    registry: &str,
    alone: bool,
) -> impl Serialize + use<> {
    let (origin, message) = match &event.start {
        Start::Deploy { origin, message, .. } => (origin.clone(), message.clone()),
        Start::Form(_) | Start::Unit { .. } => (String::new(), String::new()),
    };
    let image = event.end_image.clone().unwrap_or_default();
    let version: u32 = image.rsplit_once(":v").and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
    let record = app.and_then(|app| app.version(version).filter(|_| app.image(registry, version) == image));
    DeployData {
        id: event.id.to_string(),
        app: event.app.clone(),
        timestamp: rfc3339(event.started),
        // Go's zero time less the start overflows to the smallest duration.
        duration: event
            .ended
            .map_or(i64::MIN, |end| end.0.saturating_sub(event.started.0).saturating_mul(1_000_000)),
        commit: "",
        error: event.error.clone(),
        image,
        version,
        log: if alone { event.lines.iter().map(|l| l.text.as_str()).collect() } else { String::new() },
        user: event.owner.1.clone(),
        origin,
        can_rollback: !alone && record.is_some_and(|v| v.successful && v.disabled.is_none()),
        diff: "",
        message,
    }
}

/// A unit as `/emulator/apps/{app}/units` lists it: with what Tsuru does not tell.
pub(in crate::demo::http) fn admin_unit(pod: &Pod) -> Value {
    json!({
        "name": pod.name,
        "process": pod.key.process,
        "version": pod.version,
        "address": pod.address.to_string(),
        "routable": pod.routable,
        "ready": pod.phase == Phase::Ready,
        "status": pod.status().0,
        "restarts": pod.restarts,
        "base": pod.key.slot == Slot::Base,
    })
}
