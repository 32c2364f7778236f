use super::fake::{answer, json, nothing, refusal};
use super::*;
use crate::platform::ActivityKind;
use PlatformErrorKind::{Failed, NotFound, Unauthorized, Unreachable};

async fn asked(script: impl Fn(&Request, usize) -> Vec<Step> + Send + Sync + 'static) -> (Tsuru, Fake) {
    let fake = Fake::start(script).await;
    (tsuru(&fake.url), fake)
}

#[tokio::test]
async fn apps_are_listed_and_none_is_an_empty_list() {
    let (tsuru, fake) = asked(|_, n| if n == 0 { nothing() } else { json(&json!([{"name": "shop"}])) }).await;
    assert_eq!(tsuru.apps().await.unwrap(), []);
    assert_eq!(tsuru.apps().await.unwrap()[0].name, shop());
    assert_eq!(fake.seen()[0].line(), "GET /1.0/apps?simplified=true");
}

#[tokio::test]
async fn an_app_is_observed_with_the_time_of_asking() {
    let (tsuru, _fake) = asked(|_, _| json(&two_versions())).await;
    let observed = tsuru.observe(&shop()).await.unwrap();
    assert_eq!((observed.at, observed.units.len()), (NOW, 2));
    assert_eq!(observed.units[1].address.as_deref(), Some("127.0.0.1:8888"));
    assert_eq!(tsuru.base(&shop()).await.unwrap(), Some(Version(1)));
}

#[tokio::test]
async fn a_token_that_is_refused_for_a_moment_is_tried_again() {
    let (tsuru, fake) =
        asked(|_, n| if n < 2 { refusal(401, "You must") } else { json(&two_versions()) }).await;
    tsuru.observe(&shop()).await.unwrap();
    assert_eq!(fake.seen().len(), 3);
    let (tsuru, fake) = asked(|_, _| refusal(401, "You must")).await;
    assert_eq!(tsuru.observe(&shop()).await.unwrap_err().kind, Unauthorized);
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_rotated_token_is_picked_up() {
    let fake = Fake::start(|r, _| {
        if r.headers.contains("bearer second") { json(&two_versions()) } else { refusal(401, "You must") }
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let mut config = TsuruConfig::new(&fake.url);
    config.token_file = Some(file.path().to_owned());
    let tsuru = open(config);
    std::fs::write(file.path(), "second\n").unwrap();
    tsuru.observe(&shop()).await.unwrap();
}

#[tokio::test]
async fn reads_that_fail_say_how() {
    for (steps, kind) in [
        (refusal(404, "App shop not found.\n"), NotFound),
        (refusal(500, "event locked: app(shop)"), Unreachable),
        (refusal(502, ""), Unreachable),
        (answer(200, "application/json", "{\"name\":"), Failed),
        (answer(200, "text/html", "<html>"), Failed),
        (Vec::new(), Unreachable),
        (vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"na".to_vec())], Unreachable),
        (vec![Step::Wait(Duration::from_secs(9))], Unreachable),
    ] {
        let shown = format!("{steps:?}");
        let (tsuru, _fake) = asked(move |_, _| steps.clone()).await;
        let error = tsuru.observe(&shop()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{shown}: {error}");
        assert!(error.to_string().starts_with("reading the units of app `shop` failed: "), "{error}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_kept() {
    let (_, fake) = asked(|_, _| {
        let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        std::iter::once(Step::Send(head)).chain((0..70).map(|_| Step::Send(vec![b' '; 1 << 19]))).collect()
    })
    .await;
    let error = patient(&fake.url).observe(&shop()).await.unwrap_err();
    assert!(error.message.contains("larger than 32 MiB"), "{error}");
}

fn deploy(id: &str, start: &str, running: bool, new_version: bool, image: &str) -> Value {
    let mut event = event(id, "app.deploy", running, "");
    event["StartTime"] = json!(start);
    let end = if running { Value::Null } else { json!({"image": image}) };
    event["CustomData"] = json!({"Start": {"newversion": new_version, "app": {"env": "secret"}}, "End": end});
    event
}

#[tokio::test]
async fn what_was_done_is_listed_oldest_first_with_its_versions() {
    let (tsuru, fake) = asked(|r, _| {
        let first = deploy("a1", "2026-08-21T12:00:00Z", false, false, "r/app-shop:v1");
        let second = deploy("b2", "2026-08-21T13:00:00Z", true, true, "");
        match r.target.split('?').next() {
            Some("/1.1/events") if r.target.contains("since=2026-08-21T11") => json(&json!([second, first])),
            Some("/1.1/events") => json(&json!([second])),
            Some("/1.1/events/a1") => json(&first),
            _ => json(&second),
        }
    })
    .await;
    for _ in 0..2 {
        let seen = tsuru.activity(Some(&shop()), Time(1_787_310_000_000)).await.unwrap();
        assert_eq!(seen.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["a1", "b2"]);
        assert_eq!(seen[0].kind, ActivityKind::Replaced { version: Some(Version(1)) });
        assert_eq!(seen[1].kind, ActivityKind::NewVersion { version: None });
        assert!(seen[0].ours && seen[1].ended.is_none());
    }
    let count = |path: &str| fake.seen().iter().filter(|r| r.is("GET", path)).count();
    assert_eq!((count("/1.1/events/a1"), count("/1.1/events/b2")), (1, 2), "what has ended is read once");
    let listed: Vec<String> =
        fake.seen().into_iter().map(|r| r.target).filter(|t| t.contains("since")).collect();
    let start =
        "/1.1/events?target.type=app&sort=-starttime&limit=50&skip=0&target.value=shop&since=2026-08-21T";
    assert_eq!(
        listed,
        [format!("{start}11%3A00%3A00Z"), format!("{start}12%3A58%3A00Z")],
        "only what is new is asked for"
    );
}

#[tokio::test]
async fn an_event_of_the_future_hides_nothing() {
    let (tsuru, fake) = asked(|r, _| {
        if !r.target.contains("since=2026-08-21T13%3A00") {
            return nothing();
        }
        let mut event = event("a1", "app.update.routable", false, "");
        event["StartTime"] = json!("2199-01-01T00:00:00Z");
        json(&json!([event]))
    })
    .await;
    for _ in 0..2 {
        assert_eq!(tsuru.activity(None, Time(1_787_317_200_000)).await.unwrap().len(), 1);
    }
    // The time now is 13:46:40.
    let last = fake.seen().into_iter().rfind(|r| r.target.contains("since")).unwrap();
    assert!(last.target.contains("since=2026-08-21T13%3A44%3A40Z"), "{}", last.target);
}

#[tokio::test]
async fn one_who_asks_for_an_earlier_time_gets_it_all() {
    let (tsuru, _fake) = asked(|r, _| {
        let mut old = event("a1", "app.update.routable", false, "");
        old["StartTime"] = json!("2026-08-20T13:00:00Z");
        old["EndTime"] = json!("2026-08-20T13:00:09Z");
        let new = event("b2", "app.update.routable", false, "");
        match r.target.split("since=").nth(1) {
            Some(since) if since.starts_with("2026-08-20") => json(&json!([new, old])),
            Some(_) => json(&json!([new])),
            None => nothing(),
        }
    })
    .await;
    let count = async |since| tsuru.activity(None, Time(since)).await.unwrap().len();
    assert_eq!(count(1_787_317_000_000).await, 1);
    assert_eq!(count(1_787_217_000_000).await, 2);
    assert_eq!(count(1_787_317_000_000).await, 1);
}

#[tokio::test]
async fn an_event_that_began_before_is_still_seen_to_end() {
    let (tsuru, _fake) = asked(|r, n| match r.target.split('?').next() {
        Some("/1.1/events") if n == 1 => json(&json!([deploy("b2", "2026-08-21T13:00:00Z", true, true, "")])),
        Some("/1.1/events") => nothing(),
        _ if n == 0 => json(&deploy("b2", "2026-08-21T13:00:00Z", true, true, "")),
        _ => json(&deploy("b2", "2026-08-21T13:00:00Z", false, true, "r/app-shop:v7")),
    })
    .await;
    // It began at 13:00:00 and ended at 13:00:05; both lists are asked for from 13:00:03.
    let since = Time(1_787_317_203_000);
    assert_eq!(tsuru.activity(None, since).await.unwrap()[0].ended, None);
    for _ in 0..2 {
        let seen = tsuru.activity(None, since).await.unwrap();
        assert_eq!(seen[0].kind, ActivityKind::NewVersion { version: Some(Version(7)) });
        assert_eq!(seen[0].ended, Some(Time(1_787_317_205_000)));
    }
    assert_eq!(tsuru.activity(None, since + Span::minutes(5)).await.unwrap(), []);
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let (tsuru, fake) = asked(|r, _| {
        if !r.target.contains("since") {
            return nothing();
        }
        let query = |key: &str| {
            r.target.split(['?', '&']).find_map(|p| p.strip_prefix(key)).map(|n| n.parse::<usize>().unwrap())
        };
        let (limit, skip) = (query("limit=").unwrap(), query("skip=").unwrap());
        let all = (0..120).map(|i| event(&format!("{i:03}"), "app.update.routable", false, ""));
        json(&all.skip(skip).take(limit).collect())
    })
    .await;
    assert_eq!(tsuru.activity(None, Time(0)).await.unwrap().len(), 120);
    assert_eq!(fake.seen().iter().filter(|r| r.target.contains("since")).count(), 3);
}

#[tokio::test]
async fn it_learns_who_it_is() {
    for (email, owner) in [("uguisu@tsuru-team-token", "uguisu"), ("me@example.com", "me@example.com")] {
        let (mut tsuru, fake) = asked(move |r, _| {
            if r.target == "/1.0/users/info" {
                json(&json!({"Email": email, "Roles": []}))
            } else {
                nothing()
            }
        })
        .await;
        tsuru.owner = OnceCell::new();
        assert_eq!(tsuru.owner().await.unwrap(), owner);
        tsuru.activity(None, NOW).await.unwrap();
        assert_eq!(fake.seen().iter().filter(|r| r.target == "/1.0/users/info").count(), 1);
    }
    let (mut tsuru, _fake) = asked(|_, _| refusal(403, "no")).await;
    tsuru.owner = OnceCell::new();
    let error = tsuru.activity(None, NOW).await.unwrap_err();
    assert!(error.message.contains("set `tsuru.owner`"), "{error}");
}

#[tokio::test]
async fn a_stopped_base_is_told_by_its_deploy() {
    let (tsuru, _fake) = asked(|r, _| {
        let beside = deploy("c3", "2026-08-21T13:00:00Z", false, true, "r/app-shop:v2");
        let base = deploy("b2", "2026-08-21T12:00:00Z", false, false, "r/app-shop:v1");
        match r.target.split('?').next() {
            Some("/1.0/apps/shop") => json(&json!({"name": "shop", "units": [unit(2, false, "ru")]})),
            Some("/1.1/events") => json(&json!([beside, base])),
            Some("/1.1/events/c3") => json(&beside),
            _ => json(&base),
        }
    })
    .await;
    assert_eq!(tsuru.base(&shop()).await.unwrap(), Some(Version(1)));
    let error = tsuru.execute(&shop(), &Command::Delete { version: Version(1) }).await.unwrap_err();
    assert!(error.message.contains("base"), "{error}");
}

#[tokio::test]
async fn only_so_many_reads_are_under_way_at_once() {
    let (tsuru, fake) = asked(|_, _| {
        std::iter::once(Step::Wait(Duration::from_millis(100))).chain(json(&two_versions())).collect()
    })
    .await;
    let app = shop();
    let all = futures_util::future::join_all((0..20).map(|_| tsuru.observe(&app)));
    let mut most = 0;
    tokio::pin!(all);
    loop {
        tokio::select! {
            results = &mut all => {
                assert!(results.iter().all(Result::is_ok));
                break;
            }
            () = sleep(Duration::from_millis(20)) => most = most.max(fake.under_way()),
        }
    }
    assert_eq!(most, 8);
}
