use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;

/// `whsec_` and the Base64 of 32 bytes of `k`.
const SECRET: &str = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

/// What the deployer under test answers to `traffic`.
#[derive(Clone, Copy)]
enum Deployer {
    /// Does it and says so.
    Does,
    /// Does it and says nothing in time.
    IsSlow,
    /// Says that it did, and does not.
    Lies,
    /// Answers with a status.
    Answers(u16),
}

struct World {
    deployer: Deployer,
    units: Vec<Value>,
    asked: Vec<Value>,
}

type Shared = Arc<Mutex<World>>;

fn unit(version: u32, base: bool, n: usize) -> Value {
    json!({
        "name": format!("shop-{version}-{n}"), "process": "web", "version": version, "address": "10.0.0.1:80",
        "ready": true, "routable": base, "base": base, "status": "up", "restarts": 0, "created": null,
    })
}

async fn answer(State(world): State<Shared>, headers: HeaderMap, body: String) -> axum::response::Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let signer = Signer::new(&SECRET.into()).unwrap();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    assert_eq!(header("webhook-signature"), signer.sign(&id, timestamp, &body));
    assert_eq!(timestamp, 1_787_320_000);
    let request: Value = serde_json::from_str(&body).unwrap();
    let (reply, wait) = {
        let mut world = world.lock().unwrap();
        world.asked.push(request.clone());
        reply(&mut world, &request)
    };
    if wait {
        sleep(Duration::from_secs(5)).await;
    }
    reply
}

fn reply(world: &mut World, request: &Value) -> (axum::response::Response, bool) {
    let json = |value: Value| (axum::Json(value).into_response(), false);
    match request["type"].as_str().unwrap() {
        "apps" => json(json!([{"name": "shop", "pool": "p", "team": "t"}])),
        "observe" if request["app"] == "shop" => {
            json(json!({"at": 0, "units": world.units, "autoscaled": [], "quota_left": null, "gaps": []}))
        }
        "activity" => {
            let done = |id: &str, started: u64, kind: &str, version: u32, error: Value| {
                json!({"id": id, "app": "shop", "kind": {"kind": kind, "version": version}, "owner": "ci",
                       "ours": false, "started": started, "ended": started + 1, "error": error})
            };
            json(json!([
                done("e", 9, "replaced", 4, Value::Null),
                done("d", 7, "new_version", 3, Value::Null),
                done("c", 5, "replaced", 2, json!("no room")),
                done("a", 1, "replaced", 1, Value::Null),
                done("b", 3, "replaced", 1, Value::Null),
            ]))
        }
        "traffic" => {
            if matches!(world.deployer, Deployer::Does | Deployer::IsSlow) {
                obey(world, &request["traffic"]);
            }
            match world.deployer {
                Deployer::Answers(status) => {
                    let status = StatusCode::from_u16(status).unwrap();
                    ((status, "not\u{1b} today").into_response(), false)
                }
                deployer => ("ok".into_response(), matches!(deployer, Deployer::IsSlow)),
            }
        }
        _ => (StatusCode::NOT_FOUND.into_response(), false),
    }
}

fn obey(world: &mut World, traffic: &Value) {
    world.units.clear();
    for (version, wanted) in traffic["versions"].as_object().unwrap() {
        let number: u32 = version.parse().unwrap();
        for n in 0..wanted["units"]["web"].as_u64().unwrap() {
            let mut unit = unit(number, traffic["base"] == number, usize::try_from(n).unwrap());
            unit["routable"] = wanted["routable"].clone();
            world.units.push(unit);
        }
    }
}

async fn deployer(deployer: Deployer) -> (Webhook, Shared) {
    let units = vec![unit(1, true, 0), unit(1, true, 1), unit(2, false, 0)];
    let world = Arc::new(Mutex::new(World { deployer, units, asked: Vec::new() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", axum::routing::post(answer)).with_state(Arc::clone(&world));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let json = json!({"url": url, "secret_env": "SECRET", "timeout": "500ms", "settle": "400ms"});
    let config: WebhookConfig = serde_json::from_value(json).unwrap();
    let mut webhook = Webhook::new(&config, |_| Some(SECRET.to_owned()), || Time(1_787_320_000_000)).unwrap();
    webhook.look_every = Duration::from_millis(20);
    (webhook, world)
}

fn shop() -> AppName {
    AppName("shop".to_owned())
}

fn add() -> Command {
    Command::AddUnits { version: Version(2), process: "web".to_owned(), count: 2 }
}

#[tokio::test]
async fn a_deployer_is_read() {
    let (webhook, _) = deployer(Deployer::Does).await;
    assert_eq!(webhook.apps().await.unwrap()[0].name, shop());
    let observed = webhook.observe(&shop()).await.unwrap();
    assert_eq!((observed.at, observed.units.len()), (Time(1_787_320_000_000), 3));
    assert_eq!(webhook.base(&shop()).await.unwrap(), Some(Version(1)));
    let activity = webhook.activity(None, Time(0)).await.unwrap();
    assert_eq!(activity.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    let replaced = async |v| webhook.replaced(&shop(), Version(v)).await.unwrap();
    assert_eq!(replaced(4).await, Some(Version(1)), "v2 failed, and v3 took nobody's place");
    assert_eq!((replaced(1).await, replaced(3).await), (None, None));
    let error = webhook.observe(&AppName("x".to_owned())).await.unwrap_err();
    assert_eq!(error.kind, PlatformErrorKind::NotFound);
}

#[tokio::test]
async fn a_deployer_is_told_the_whole_state_that_is_wanted() {
    for kind in [Deployer::Does, Deployer::IsSlow] {
        let (webhook, world) = deployer(kind).await;
        webhook.execute(&shop(), &add()).await.unwrap();
        let asked = world.lock().unwrap().asked.clone();
        assert_eq!(
            asked[1],
            json!({
                "type": "traffic", "app": "shop",
                "command": {"do": "add_units", "version": 2, "process": "web", "count": 2},
                "traffic": {"base": 1, "versions": {
                    "1": {"routable": true, "units": {"web": 2}},
                    "2": {"routable": false, "units": {"web": 3}},
                }},
            })
        );
        assert_eq!(webhook.observe(&shop()).await.unwrap().units.len(), 5);
    }
}

/// The example in the documentation is a request that is sent.
#[test]
fn the_documented_request_is_true() {
    let documentation = include_str!("../../../deploy/README.md");
    let block = documentation.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let version = |units| super::super::effect::VersionTraffic {
        routable: true,
        units: BTreeMap::from([("web".to_owned(), units)]),
    };
    let versions = BTreeMap::from([(Version(7), version(4)), (Version(8), version(3))]);
    let traffic = Traffic { base: Some(Version(7)), versions };
    let command = Command::AddUnits { version: Version(8), process: "web".to_owned(), count: 2 };
    let request = Request::Traffic { app: &shop(), command: &command, traffic: &traffic };
    let documented: Value = serde_json::from_str(block).unwrap();
    assert_eq!(documented, serde_json::to_value(request).unwrap());
}

#[tokio::test]
async fn a_deployer_that_does_not_do_it_is_found_out() {
    let (webhook, _) = deployer(Deployer::Lies).await;
    let error = webhook.execute(&shop(), &add()).await.unwrap_err();
    assert_eq!(error.kind, PlatformErrorKind::Unknown);
    assert!(error.message.contains("does not show it"), "{error}");
}

#[tokio::test]
async fn refusals_mean_what_they_mean_in_http() {
    use PlatformErrorKind::{Busy, Failed, NotFound, Refused, Unauthorized};
    for (status, kind) in
        [(400, Refused), (401, Unauthorized), (404, NotFound), (409, Busy), (503, Busy), (500, Failed)]
    {
        let (webhook, _) = deployer(Deployer::Answers(status)).await;
        let error = webhook.execute(&shop(), &add()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.ends_with(": `not  today`"), "{error}");
    }
}

#[tokio::test]
async fn a_deployer_is_not_asked_to_leave_users_with_nothing() {
    let (webhook, world) = deployer(Deployer::Does).await;
    let error = webhook.execute(&shop(), &Command::Unroute { version: Version(1) }).await.unwrap_err();
    assert_eq!(error.kind, PlatformErrorKind::Refused);
    assert_eq!(world.lock().unwrap().asked.len(), 1, "it was only observed");
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let new = |json: Value, secret: &str| {
        let config: WebhookConfig = serde_json::from_value(json).unwrap();
        let secret = secret.to_owned();
        Webhook::new(&config, move |_| Some(secret.clone()), || Time(0)).err().unwrap()
    };
    assert!(new(json!({"url": "deployer", "secret_env": "S"}), SECRET).contains("`url` is not an address"));
    assert!(new(json!({"url": "http://d"}), SECRET).contains("secret_file"));
    let error = new(json!({"url": "http://d", "secret_env": "S"}), "hunter2");
    assert!(error.contains("whsec_") && !error.contains("hunter2"), "{error}");
}
