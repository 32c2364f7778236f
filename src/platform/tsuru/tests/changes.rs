use super::fake::{answer, chunk, end_of_chunks, json, nothing, refusal, stream_head};
use super::*;
use crate::rollout::Autoscaler;
use PlatformErrorKind::{Busy, Failed, Refused, Unauthorized, Unknown, Unreachable};

fn v(version: u32) -> Version {
    Version(version)
}

fn add() -> Command {
    Command::AddUnits { version: v(2), process: "web".to_owned(), count: 3 }
}

fn only() -> Command {
    Command::MakeOnly { version: v(2) }
}

/// Does `command` against a Tsuru that is calm for reads and does `script` for the change.
async fn done(
    command: &Command,
    script: impl Fn(&Request, usize) -> Vec<Step> + Send + Sync + 'static,
) -> (Result<(), PlatformError>, Fake) {
    let fake = Fake::start(move |r, n| if r.method == "GET" { calm(r) } else { script(r, n) }).await;
    (tsuru(&fake.url).execute(&shop(), command).await, fake)
}

#[track_caller]
fn kind(result: Result<(), PlatformError>) -> PlatformErrorKind {
    result.unwrap_err().kind
}

#[tokio::test]
async fn each_command_is_the_call_that_tsuru_has_for_it() {
    let web = Autoscaler {
        process: "web".to_owned(),
        version: Some(v(1)),
        spec: r#"{"minUnits":2,"process":"web"}"#.to_owned(),
    };
    for (command, request) in [
        (Command::MoveAutoscalers { version: v(2) }, "POST /1.29/apps/shop/units/autoscale/swap version=2"),
        (
            Command::SuspendAutoscaler { process: "web".to_owned() },
            "DELETE /1.9/apps/shop/units/autoscale?process=web",
        ),
        (
            Command::RestoreAutoscaler { autoscaler: web },
            r#"POST /1.9/apps/shop/units/autoscale {"minUnits":2,"process":"web"}"#,
        ),
        (
            Command::Route { version: v(2) },
            r#"POST /1.8/apps/shop/routable {"isRoutable":true,"version":":v2"}"#,
        ),
        (
            Command::Unroute { version: v(2) },
            r#"POST /1.8/apps/shop/routable {"isRoutable":false,"version":":v2"}"#,
        ),
        (add(), "PUT /1.0/apps/shop/units units=3&process=web&version=%3Av2"),
        (
            Command::RemoveUnits { version: v(1), process: "web".to_owned(), count: 1 },
            "DELETE /1.0/apps/shop/units?units=1&process=web&version=%3Av1",
        ),
        (only(), "POST /1.0/apps/shop/deploy/rollback image=%3Av2&origin=rollback&override-versions=true"),
        (Command::Delete { version: v(2) }, "DELETE /1.10/apps/shop/versions/:v2"),
        (
            Command::Quarantine { version: v(2), reason: "errors & more".to_owned() },
            "PUT /1.4/apps/shop/deploy/rollback/update image=%3Av2&disable=true&reason=errors+%26+more",
        ),
    ] {
        let (result, fake) = done(&command, |_, _| answer(200, "application/x-json-stream", "")).await;
        result.unwrap();
        assert_eq!(fake.changes(), [request]);
        for seen in fake.seen() {
            let headers = seen.headers.to_ascii_lowercase();
            assert!(headers.contains(&format!("authorization: bearer {TOKEN}")), "{headers}");
            assert_eq!(headers.contains("content-type"), !seen.body.is_empty(), "{headers}");
        }
    }
}

#[tokio::test]
async fn an_app_name_cannot_lead_to_another_call() {
    let fake = Fake::start(|_, _| nothing()).await;
    let app = AppName("../../tokens?x#".to_owned());
    let _ = tsuru(&fake.url).execute(&app, &only()).await;
    let changes = fake.changes();
    assert!(changes[0].starts_with("POST /1.0/apps/..%2F..%2Ftokens%3Fx%23/deploy/rollback "), "{changes:?}");
}

#[tokio::test]
async fn an_early_refusal_is_told_by_its_text() {
    let bytes = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nSupported-Tsuru: 1.0.1\r\nX-Content-Type-Options: nosniff\r\nTransfer-Encoding: chunked\r\n\r\n35\r\n\n---- ERROR during deploy: ----\nInvalid version: v9\n\n\r\n0\r\n\r\n";
    let (result, _fake) = done(&only(), |_, _| vec![Step::Send(bytes.to_vec())]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Refused);
    let text = error.to_string();
    assert!(
        text.starts_with(
            "making v2 the only version of app `shop` failed: Tsuru answered 500: `Invalid version: v9`"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn a_late_failure_is_found_behind_signs_of_life() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-json-stream\r\nSupported-Tsuru: 1.0.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\n\n\r\n5e\r\n{\"Message\":\"---- Updating units [web] [version 2] ----\\n\",\"Timestamp\":\"2026-08-21T13:00:00Z\"}\n\r\n1\r\n\n\r\n41\r\n{\"Message\":\"\",\"Timestamp\":\"2026-08-21T13:00:09Z\",\"Error\":\"boom\"}\n\r\n0\r\n\r\n";
    let (result, fake) = done(&only(), |_, _| vec![Step::Send(bytes.to_vec())]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Failed);
    assert!(error.message.contains("`boom`"), "{error}");
    assert_eq!(fake.changes().len(), 1, "a failure is not repeated");
}

#[tokio::test]
async fn a_long_answer_succeeds_at_its_end() {
    let (result, _fake) = done(&only(), |_, _| {
        let mut steps = vec![stream_head(), chunk("\n\n")];
        for i in 0..4 {
            steps.push(Step::Wait(Duration::from_millis(150)));
            steps.push(chunk(&format!("{{\"Message\":\" ---\\u003e {i} of 4 new units re")));
            steps.push(chunk("ady\\n\"}\n\n"));
        }
        steps.push(end_of_chunks());
        steps
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn a_conflict_is_repeated_where_twice_is_once() {
    let conflict = "Operation cannot be fulfilled on deployments.apps \"shop-web-v2\": the object has been modified; please apply your changes";
    let script = move |_: &Request, n| if n < 3 { refusal(500, conflict) } else { answer(200, "text", "") };
    let (result, fake) = done(&Command::Route { version: v(2) }, script).await;
    result.unwrap();
    assert_eq!(fake.changes().len(), 4);
    let (result, fake) = done(&add(), script).await;
    assert_eq!((kind(result), fake.changes().len()), (Failed, 1), "a difference is never repeated");
    let (result, fake) = done(&Command::Route { version: v(2) }, move |_, _| refusal(500, conflict)).await;
    assert_eq!((kind(result), fake.changes().len()), (Failed, 6), "nor for ever");
}

#[tokio::test]
async fn a_lock_and_a_refused_token_are_not_waited_for_here() {
    let (result, fake) =
        done(&add(), |_, _| refusal(500, "event locked: app(shop) running \"app.deploy\"")).await;
    assert_eq!((kind(result), fake.changes().len()), (Busy, 1));
    let (result, fake) =
        done(&add(), |_, _| refusal(401, "You must provide a valid Authorization header")).await;
    assert_eq!((kind(result), fake.changes().len()), (Unauthorized, 1));
}

#[tokio::test]
async fn nobody_there_means_nothing_done() {
    // One read comes before the change; it is answered, then nobody listens.
    let fake = Fake::until(1, |r, _| calm(r)).await;
    let error = tsuru(&fake.url).execute(&shop(), &add()).await.unwrap_err();
    assert_eq!((error.kind, fake.seen().len()), (Unreachable, 1), "{error}");
}

/// A change whose answer is lost as `lost` says; `find` gives what the search for the event finds, by its number.
async fn lost(
    command: Command,
    lost: Vec<Step>,
    find: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static,
) -> (Result<(), PlatformError>, Fake) {
    let fake = Fake::start(move |r, n| match r.method.as_str() {
        "GET" if r.is("GET", "/1.1/events") => find(n),
        "GET" => calm(r),
        _ => lost.clone(),
    })
    .await;
    (tsuru(&fake.url).execute(&shop(), &command).await, fake)
}

fn cut() -> Vec<Step> {
    vec![stream_head(), Step::Send(b"5e\r\n{\"Message\":\"---- Upd".to_vec())]
}

/// Complete, but for the end of a line.
fn garbled() -> Vec<Step> {
    vec![stream_head(), chunk("{\"Message\":\"\",\"Err"), end_of_chunks()]
}

fn found(running: bool, error: &str) -> Vec<Step> {
    json(&json!([event("new", "app.deploy", running, error)]))
}

fn found_old() -> Vec<Step> {
    json(&json!([event("old", "app.deploy", false, "an old failure")]))
}

#[tokio::test]
async fn a_lost_answer_is_found_among_the_events() {
    for how in [cut(), garbled(), Vec::new(), vec![stream_head(), Step::Wait(Duration::from_secs(9))]] {
        // The old event is there before; the new one appears late, runs, and ends well.
        let (result, fake) = lost(only(), how, |n| match n {
            0..=2 => found_old(),
            3..=5 => found(true, ""),
            _ => found(false, ""),
        })
        .await;
        result.unwrap();
        assert_eq!(fake.changes().len(), 1);
        let asked = &fake.seen().into_iter().find(|r| r.target.contains("kindname")).unwrap().target;
        assert_eq!(
            asked,
            "/1.1/events?target.type=app&target.value=shop&kindname=app.deploy&ownername=uguisu&sort=-starttime&limit=1"
        );
    }
}

#[tokio::test]
async fn a_lost_answer_is_a_failure_if_its_event_is() {
    for how in [cut(), garbled()] {
        let (result, _fake) =
            lost(only(), how, |n| if n == 0 { nothing() } else { found(false, "boom") }).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, Failed);
        assert!(error.message.contains("boom"));
    }
}

#[tokio::test]
async fn a_lost_answer_without_an_event_stays_unknown() {
    let (result, fake) = lost(add(), cut(), |_| nothing()).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, fake.changes().len()), (Unknown, 1));
    assert!(error.message.contains("no event of it"), "{error}");
    let away = |n| if n == 0 { nothing() } else { refusal(503, "away") };
    assert_eq!(kind(lost(add(), cut(), away).await.0), Unknown);
    let (result, _fake) = lost(only(), cut(), |n| if n == 0 { nothing() } else { found(true, "") }).await;
    assert!(result.unwrap_err().message.contains("still working"));
}

#[tokio::test]
async fn what_something_in_between_answers_is_not_tsurus_word() {
    for answer in [
        refusal(502, "<html>bad gateway</html>"),
        refusal(504, ""),
        answer(200, "text/html; charset=utf-8", "<html>please log in</html>"),
    ] {
        let (result, fake) = lost(add(), answer, |_| nothing()).await;
        assert_eq!((kind(result), fake.changes().len()), (Unknown, 1));
    }
}

#[tokio::test]
async fn what_never_ends_is_ended_here() {
    let alive: Vec<Step> = [stream_head()]
        .into_iter()
        .chain((0..60).flat_map(|_| [chunk("\n"), Step::Wait(Duration::from_millis(100))]))
        .collect();
    let (result, _fake) = lost(only(), alive, |n| if n == 0 { nothing() } else { found(true, "") }).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Unknown);
    assert!(error.message.contains("in the time allowed"), "{error}");
}

#[tokio::test]
async fn a_removal_that_is_half_done_is_no_success() {
    let half = concat!(
        r#"{"Message":"Unable to destroy app in provisioner: api away\n"}"#,
        "\n",
        r#"{"Message":"---- Done removing application version :v2. Some errors occurred during removal. ----\n"}"#,
        "\n"
    );
    let delete = Command::Delete { version: v(2) };
    let (result, _fake) = done(&delete, move |_, _| answer(200, "application/x-json-stream", half)).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Failed);
    assert!(error.message.contains("api away"), "{error}");

    let fake = Fake::start(|r, n| match r.target.split('?').next() {
        Some("/1.1/events") if n == 0 => nothing(),
        Some("/1.1/events") => json(&json!([event("new", "app.update", false, "")])),
        Some("/1.1/events/new") => {
            let mut event = event("new", "app.update", false, "");
            event["Log"] = json!("... Some errors occurred during removal. ----");
            json(&event)
        }
        _ if r.method == "GET" => calm(r),
        _ => cut(),
    })
    .await;
    assert_eq!(kind(tsuru(&fake.url).execute(&shop(), &delete).await), Failed);
}

#[tokio::test]
async fn what_would_leave_users_with_nothing_is_not_sent() {
    for (info, command) in [
        (json!([unit(2, false, "ru")]), Command::Unroute { version: v(2) }),
        (json!([unit(1, true, "u"), unit(2, false, "ru")]), Command::Unroute { version: v(2) }),
        (json!([unit(2, true, "ru")]), Command::Delete { version: v(2) }),
        (
            json!([unit(1, true, "ru"), unit(2, false, "r")]),
            Command::RemoveUnits { version: v(1), process: "web".to_owned(), count: 1 },
        ),
    ] {
        let info = json!({"name": "shop", "units": info});
        let fake =
            Fake::start(move |r, _| if r.is("GET", "/1.0/apps/shop") { json(&info) } else { nothing() })
                .await;
        let result = tsuru(&fake.url).execute(&shop(), &command).await;
        assert_eq!((kind(result), fake.changes().len()), (Refused, 0), "{command}");
    }
    // Units that cannot be listed are no units that may be taken away.
    let fake = Fake::start(|r, _| match r.target.as_str() {
        "/1.0/apps/shop" => {
            json(&json!({"name": "shop", "units": [], "error": "unable to list app units: x"}))
        }
        _ => nothing(),
    })
    .await;
    let result = tsuru(&fake.url).execute(&shop(), &Command::Unroute { version: v(2) }).await;
    assert_eq!((kind(result), fake.changes().len()), (Unreachable, 0));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Fake::start(|_, _| answer(200, "application/x-json-stream", "")).await;
    let to =
        format!("HTTP/1.1 307 X\r\nLocation: {}/1.0/apps/shop/units\r\nContent-Length: 0\r\n\r\n", other.url);
    let (result, _fake) = done(&add(), move |_, _| vec![Step::Send(to.clone().into_bytes())]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Refused);
    assert!(error.message.contains("tsuru.url"), "{error}");
    assert_eq!(other.seen().len(), 0, "the token went to nobody else");
}

#[tokio::test]
async fn the_token_is_shown_nowhere() {
    let echo = |r: &Request, _| refusal(500, &format!("what is {}?", r.headers));
    let (result, fake) = done(&add(), echo).await;
    let error = result.unwrap_err();
    let tsuru = tsuru(&fake.url);
    let shown = format!("{error} {error:?} {tsuru:?} {} {:?}", tsuru.describe(), tsuru.config);
    assert!(shown.contains("[token]") && !shown.contains(TOKEN), "{shown}");
}
