use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn sample(kind: &str) -> Value {
    json!({
        "UniqueID": "66c4f1d2a1b2c3d4e5f60718", "Lock": null, "StartTime": "2026-08-21T13:00:00.123Z",
        "EndTime": "2026-08-21T13:01:15.123Z", "ExpireAt": "0001-01-01T00:00:00Z",
        "Target": {"Type": "app", "Value": "myapp"}, "ExtraTargets": null,
        "Kind": {"Type": "permission", "Name": kind}, "Owner": {"Type": "token", "Name": "ci-bot"},
        "Error": "", "Log": "2026-08-21 10:00:00 -0300: ---- Updating units...", "Running": false,
        "CancelInfo": {"Asked": false}, "Instance": {"Name": "tsurud-0"},
        "CustomData": {"Start": null, "End": null, "Other": null},
    })
}

fn deploy(start: &Value, end: &Value) -> Value {
    let mut event = sample("app.deploy");
    event["CustomData"] = json!({"Start": start, "End": end, "Other": null});
    event
}

fn activity(event: &Value, owner: &str) -> Activity {
    let (event, detail) = read_one(event.to_string().as_bytes()).unwrap();
    event.activity(&detail, owner)
}

#[test]
fn a_new_version_is_told_from_a_replacement() {
    let start = json!({"app": {"env": {"PASSWORD": "hunter2"}}, "newversion": true, "image": "x/y:v99", "rollback": false});
    let seen = activity(&deploy(&start, &json!({"image": "reg/tsuru/app-myapp:v3"})), "ci-bot");
    assert_eq!(seen.kind, ActivityKind::NewVersion { version: Some(Version(3)) });
    assert!(seen.ours && seen.error.is_none());
    assert_eq!(seen.ended, Some(Time(1_787_317_275_123)));
    assert_eq!(activity(&deploy(&start, &Value::Null), "").kind, ActivityKind::NewVersion { version: None });

    let start = json!({"newversion": false, "overrideversions": true, "rollback": true, "image": ":v2"});
    let seen = activity(&deploy(&start, &json!({"image": ""})), "other");
    assert_eq!(seen.kind, ActivityKind::Replaced { version: Some(Version(2)) });
    assert!(!seen.ours);
}

#[test]
fn an_owner_that_is_not_known_is_never_us() {
    let mut event = sample("app.update.routable");
    event["Owner"] = json!({"Type": "internal", "Name": ""});
    assert!(!activity(&event, "").ours);
}

#[test]
fn kinds_are_mapped() {
    use ActivityKind::{Environment, Other, Removed, Restarted, Routed, Scaled, Stopped};
    for (name, kind) in [
        ("app.update.routable", Routed),
        ("app.update.unit.add", Scaled),
        ("app.update.unit.remove", Scaled),
        ("app.update.unit.kill", Restarted),
        ("app.update.unit.autoscale.swap", Scaled),
        ("app.update.stop", Stopped),
        ("app.update.restart", Restarted),
        ("app.update.env.set", Environment),
        ("app.delete", Removed),
        ("app.update", Other { name: "app.update".to_owned() }),
        ("version gc", Other { name: "version gc".to_owned() }),
    ] {
        assert_eq!(activity(&sample(name), "").kind, kind, "{name}");
    }
    let mut removal = sample("app.update");
    removal["CustomData"]["Start"] =
        json!([{"name": ":app", "value": "myapp"}, {"name": ":version", "value": ":v2"}]);
    assert_eq!(activity(&removal, "").kind, Stopped);
}

#[test]
fn the_base_is_what_a_good_deploy_made() {
    let made = |change: &dyn Fn(&mut Value)| {
        let mut event = deploy(&json!({"newversion": false}), &json!({"image": "r/app-myapp:v7"}));
        change(&mut event);
        let (event, detail) = read_one(event.to_string().as_bytes()).unwrap();
        event.made_base(&detail)
    };
    assert_eq!(made(&|_| {}), Some(Version(7)));
    assert_eq!(made(&|e| e["Error"] = json!("boom")), None);
    assert_eq!(made(&|e| e["Running"] = json!(true)), None);
    assert_eq!(made(&|e| e["CustomData"]["Start"]["newversion"] = json!(true)), None);
}

#[test]
fn a_running_event_has_neither_end_nor_error() {
    let mut event = sample("app.deploy");
    event["Running"] = json!(true);
    event["EndTime"] = json!("0001-01-01T00:00:00Z");
    let seen = activity(&event, "");
    assert_eq!((seen.ended, seen.error), (None, None));
}

#[test]
fn versions_are_read_from_tags_only() {
    for (image, version) in [
        ("reg.example.com:5000/tsuru/app-myapp:v3", Some(3)),
        (":v12", Some(12)),
        ("v4", Some(4)),
        ("reg/app:latest", None),
        ("reg/app:v", None),
        ("reg/app:v+3", None),
        ("reg/app:v99999999999", None),
        ("", None),
    ] {
        assert_eq!(version_of_image(image), version.map(Version), "{image}");
    }
}

#[test]
fn a_removal_that_did_not_remove_all_is_seen_in_the_log() {
    let mut event = sample("app.update");
    event["Log"] =
        json!("---- Done removing application version :v2. Some errors occurred during removal. ----");
    assert!(read_one(event.to_string().as_bytes()).unwrap().1.partly);
}

#[test]
fn an_answer_that_cannot_be_read_is_not_repeated() {
    let failure = read_list(br#"[{"UniqueID": {"hunter2": 1}}]"#).unwrap_err();
    assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    assert_eq!(read_list(b"null").unwrap().len(), 0);
}

proptest! {
    #[test]
    fn any_change_of_a_real_answer_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = deploy(&json!({"newversion": true}), &json!({"image": "a:v1"})).to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok((event, detail)) = read_one(&bytes) {
            let _ = event.activity(&detail, "x");
        }
        let _ = read_list(&bytes);
    }

    #[test]
    fn any_start_and_end_data_are_read(start in any_json(), end in any_json()) {
        prop_assert!(read_one(deploy(&start, &end).to_string().as_bytes()).is_ok());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("newversion|image|name|rollback|x", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
