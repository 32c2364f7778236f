use proptest::prelude::*;
use serde_json::json;

use super::*;

const AT: Time = Time(1_700_000_000_000);

fn sample() -> Value {
    json!({
        "name": "myapp", "platform": "python", "pool": "prod", "teamowner": "myteam", "cname": [],
        "units": [
            {"ID": "myapp-web-6c7d9-aaaaa", "Name": "myapp-web-6c7d9-aaaaa", "AppName": "myapp", "ProcessName": "web",
             "InternalIP": "172.20.1.6", "Status": "started", "StatusReason": "", "Address": null, "Version": 1,
             "Routable": true, "Restarts": 0, "CreatedAt": "2026-08-21T12:00:00Z", "Ready": true, "IP": "10.0.0.11"},
            {"ID": "myapp-web-v2-6c7d9-abcde", "Name": "myapp-web-v2-6c7d9-abcde", "ProcessName": "web",
             "InternalIP": "172.20.1.7", "Status": "error", "StatusReason": "CrashLoopBackOff", "Version": 2,
             "Routable": false, "Restarts": 3, "CreatedAt": "2026-08-21T12:00:00.5Z", "Ready": false},
        ],
        "internalAddresses": [
            {"Domain": "x", "Protocol": "TCP", "Port": 80, "TargetPort": 8888, "Version": "", "Process": "web"},
            {"Domain": "x", "Protocol": "TCP", "Port": 80, "TargetPort": 9999, "Version": "2", "Process": "web"},
        ],
        "autoscale": [{"process": "web", "minUnits": 2, "maxUnits": 10, "version": 1}],
        "quota": {"limit": 10, "inuse": 4},
        "error": "unable to get units metrics: the server could not find the requested resource",
        "something": {"new": true},
    })
}

fn observed(info: &Value) -> Result<Observed, Failure> {
    read(info.to_string().as_bytes(), AT, 8888)
}

#[test]
fn units_are_read_with_what_the_judge_needs() {
    let seen = observed(&sample()).unwrap();
    assert_eq!((seen.at, seen.quota_left, seen.gaps.len()), (AT, Some(6), 0));
    assert_eq!((seen.autoscaled[0].process.as_str(), seen.autoscaled[0].version), ("web", Some(Version(1))));
    assert_eq!(serde_json::from_str::<Value>(&seen.autoscaled[0].spec).unwrap(), sample()["autoscale"][0]);
    assert_eq!(
        seen.units[0],
        Unit {
            name: "myapp-web-6c7d9-aaaaa".to_owned(),
            process: "web".to_owned(),
            version: Version(1),
            address: Some("172.20.1.6:8888".to_owned()),
            ready: true,
            routable: true,
            base: true,
            status: "started".to_owned(),
            restarts: 0,
            created: Some(Time(1_787_313_600_000)),
        }
    );
    let canary = &seen.units[1];
    assert_eq!(canary.address.as_deref(), Some("172.20.1.7:9999"), "the version's own port");
    assert_eq!(canary.status, "error: CrashLoopBackOff");
    assert!(!canary.base && !canary.ready && !canary.routable);
}

#[test]
fn units_that_could_not_be_listed_are_an_error() {
    let mut info = sample();
    info["units"] = json!([]);
    assert_eq!(*observed(&info).unwrap().units, []);
    info["error"] =
        json!("unable to get units metrics: x\nunable to list app units: cluster away\n  at stack.go:12");
    let failure = observed(&info).unwrap_err();
    assert_eq!(failure.kind, PlatformErrorKind::Unreachable);
    assert!(failure.message.contains("cluster away"), "{}", failure.message);
    info["error"] = json!("");
    info["units"] = Value::Null;
    assert!(observed(&info).is_err(), "no list is not an empty list");
}

#[test]
fn what_tsuru_could_not_tell_is_a_gap() {
    let mut info = sample();
    info["error"] = json!(
        "unable to get autoscale info: no\nunable to get app quota: no\nunable to get volume binds: no"
    );
    info["autoscale"] = Value::Null;
    let gaps = observed(&info).unwrap().gaps;
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps.iter().any(|g| g.contains("autoscale")));
}

#[test]
fn units_without_their_identity_are_refused_and_other_lacks_are_said() {
    for key in ["ProcessName", "Version"] {
        let mut info = sample();
        info["units"][0].as_object_mut().unwrap().remove(key);
        let failure = observed(&info).unwrap_err();
        assert!(failure.message.contains(key), "{}", failure.message);
    }
    let mut info = sample();
    for key in ["Ready", "Routable", "InternalIP", "CreatedAt", "Restarts"] {
        info["units"][0][key] = Value::Null;
    }
    let seen = observed(&info).unwrap();
    assert!(seen.units[0].ready && !seen.units[0].routable);
    assert_eq!((seen.units[0].address.clone(), seen.units[0].created), (None, None));
    assert_eq!(seen.gaps.len(), 2);
}

#[test]
fn addresses_of_either_family_are_complete() {
    assert_eq!(address("10.0.0.1", 80).as_deref(), Some("10.0.0.1:80"));
    assert_eq!(address("fd00::7", 8888).as_deref(), Some("[fd00::7]:8888"));
    for wrong in ["", "not an ip", "10.0.0.1/24", "evil.example.com"] {
        assert_eq!(address(wrong, 80), None, "{wrong}");
    }
}

#[test]
fn the_base_is_told_by_the_name_of_its_deployment() {
    let base = |app: &str, process: &str, version: u32, name: &str| {
        let mut info = sample();
        info["name"] = json!(app);
        info["units"] = json!([{"Name": name, "ProcessName": process, "Version": version, "Ready": true, "Routable": true}]);
        observed(&info).unwrap().units[0].base
    };
    assert!(base("myapp", "web", 2, "myapp-web-5d9-abcde"));
    assert!(!base("myapp", "web", 2, "myapp-web-v2-5d9-abcde"));
    assert!(!base("myapp", "web", 12, "myapp-web-v12-5d9-abcde"));
    assert!(base("myapp", "web", 1, "myapp-web-v12-5d9-abcde"), "another version's name would be odd");
    // A process whose own name looks like a version.
    assert!(base("myapp", "web-v2", 2, "myapp-web-v2-5d9-abcde"));
    assert!(!base("myapp", "Web_x", 2, "myapp-web-x-v2-5d9-abcde"));
    // `sha256("a-very-long-process-name-v3")` and `…("a-very-long-process-name")`, cut to what 55 characters leave.
    let app = "an-app-with-a-name-that-is-long-enough";
    let name = |text: &str| format!("{app}-{}-7d9-abcde", &hex(&Sha256::digest(text))[..16]);
    assert!(!base(app, "a-very-long-process-name", 3, &name("a-very-long-process-name-v3")));
    assert!(base(app, "a-very-long-process-name", 3, &name("a-very-long-process-name")));
}

#[test]
fn a_quota_without_limit_is_none() {
    let left = |limit, inuse| Quota { limit, inuse }.left();
    assert_eq!(left(Some(-1), Some(4)), None);
    assert_eq!(left(None, Some(4)), None);
    assert_eq!(left(Some(3), Some(5)), Some(0));
    assert_eq!(left(Some(i64::MAX), Some(i64::MIN)), Some(u32::MAX));
}

#[test]
fn apps_are_listed_with_pool_and_team() {
    let apps =
        read_list(br#"[{"name":"a","pool":"p","teamowner":"t","units":[],"new":1},{"name":"b"}]"#).unwrap();
    assert_eq!(apps[0], App { name: AppName("a".into()), pool: "p".into(), team: "t".into() });
    assert_eq!(apps[1].pool, "");
    assert_eq!(read_list(b"null").unwrap(), []);
    assert!(read_list(b"<html>").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, AT, 8888);
        let _ = read_list(&bytes);
    }

    #[test]
    fn any_change_of_a_real_answer_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = sample().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes, AT, 8888);
    }

    #[test]
    fn names_never_break(app in ".{0,80}", process in ".{0,80}", version in any::<u32>()) {
        prop_assert!(!deployment(&app, &process, Some(Version(version))).is_empty());
    }
}
