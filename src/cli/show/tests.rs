use clap::Parser;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::judge::{Look, Reading, Verdict};
use crate::rollout::{Answer, Command as PlatformCommand, Ending, PlatformErrorKind};
use crate::store::{AppendBatch, NewEvent, NewMessage, Store, fixture};
use crate::words::{Arms, Span, Time, Version};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

const ID: &str = "0193a5b2-7c3d-7aaa-8000-000000000001";

const BEGAN: Time = Time(1_700_000_000_000);

/// What `uguisu show` prints, without colours; or why it shows nothing.
async fn shown(directory: &TempDir, arguments: &[&str]) -> Result<String, String> {
    let data = ["show", "--data", directory.path().to_str().unwrap()];
    let Command { args } = Command::parse_from(data.iter().chain(arguments));
    let reader = Reader::open(directory.path()).await.unwrap();
    let row = match find(&reader, &args.rollout).await.unwrap() {
        Found::One(row) => *row,
        Found::Not(why) => return Err(why),
    };
    let story = Story::read(&reader, row, args.looks).await.unwrap();
    let mut out = Vec::new();
    print(&story, args.json, &mut out).unwrap();
    Ok(anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string())
}

/// A verdict as the journal holds it.
fn verdict() -> Verdict {
    let signal = json!({
        "outcome": "fail", "critical": true, "gates": true,
        "log_e_harm": 7.25, "log_e_safe": -0.3, "harm_threshold": 4.605, "safe_threshold": 2.996,
        "effect": [1.63, 3.1, 6.04], "allowed": 1.2, "within": 1.5,
        "seen": [40.0, 1500.0, 120.0, 13500.0], "wait": null,
        "noise": {"counts": {"phi": 2.0, "frailty": 0.0, "dispersion": 2.0, "before": true, "slower": 2.0}},
        "why": "errors: 3.1 times the baseline's", "otherwise": "8 fewer errors would have kept it undecided",
    });
    let quiet = json!({
        "outcome": "no_data", "critical": false, "gates": false,
        "log_e_harm": 0.0, "log_e_safe": 0.0, "harm_threshold": 5.3, "safe_threshold": 2.996,
        "effect": [null, null, null], "allowed": 1.1, "within": 1.5,
        "seen": [0.0, 0.0, 0.0, 0.0], "wait": null, "why": "memory: the canary is silent", "otherwise": "",
    });
    let whole = json!({
        "at": 60.0, "score": [-0.0, 45.0], "log_e_harm": 7.25, "harm_threshold": 4.605,
        "harm": true, "culprits": ["errors"], "safe": false, "both_bad": false, "wrong_split": false,
        "no_data": false, "source_down": false, "signals": {"errors": signal, "memory": quiet},
        "why": "errors: 3.1 times the baseline's, between 1.6 and 6",
        "refused": [{"problem": "time"}],
    });
    serde_json::from_value(whole).unwrap()
}

/// A rollout that looked twice and was rolled back, with a message that waits.
async fn journal() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let (mut rollout, first) = fixture::opened(ID, "shop", BEGAN, fixture::policy(&[]));
    let why = "errors: 3.1 times the baseline's".to_owned();
    let look = || Look { at: 60.0, share: None, signals: std::collections::BTreeMap::new() };
    let looked = |notes: &[&str]| Event::Looked {
        look: look(),
        verdict: Box::new(verdict()),
        notes: notes.iter().map(|&n| n.to_owned()).collect(),
    };
    let refused =
        Answer::Error { kind: PlatformErrorKind::Busy, message: "event locked\nby somebody".to_owned() };
    let mut events = vec![first];
    for (after, event) in [
        (15, looked(&[])),
        (60, looked(&["one unit's /metrics was cut short"])),
        (
            61,
            Event::RollbackDecided {
                why: why.clone(),
                culprits: vec!["errors".to_owned()],
                ending: Ending::RolledBack,
            },
        ),
        (
            62,
            Event::CommandIssued {
                number: 1,
                command: PlatformCommand::Unroute { version: Version(4) },
                expected: None,
            },
        ),
        (65, Event::CommandAnswered { number: 1, answer: refused }),
        (
            70,
            Event::CommandIssued {
                number: 2,
                command: PlatformCommand::Unroute { version: Version(4) },
                expected: None,
            },
        ),
        (72, Event::CommandAnswered { number: 2, answer: Answer::Done }),
        (80, Event::Finished { ending: Ending::RolledBack, why }),
    ] {
        events.push(fixture::apply(&mut rollout, BEGAN + Span::seconds(after), event));
    }
    let message = |receiver: &str| NewMessage {
        id: "msg_9".to_owned(),
        receiver: receiver.to_owned(),
        at: BEGAN + Span::seconds(80),
        body: "{}".to_owned(),
    };
    let batch = AppendBatch {
        outbox: vec![message("dev"), message("ops"), message("page")],
        ..AppendBatch::of(0, &events).unwrap().leading_to(&rollout).unwrap()
    };
    store.append(&rollout.id, batch).await.unwrap();
    let now = BEGAN + Span::seconds(90);
    for receiver in ["dev", "ops"] {
        store.claim(receiver, now, Span::ZERO, Span::minutes(9), 1).await.unwrap();
    }
    store.delivered("dev", "msg_9", now).await.unwrap();
    store.retry("ops", "msg_9", now + Span::seconds(5), "no answer in time").await.unwrap();
    (directory, store)
}

#[tokio::test]
async fn a_rollouts_story_is_told() {
    let (directory, _store) = journal().await;
    let page = shown(&directory, &["shop"]).await.unwrap();
    insta::assert_snapshot!(page);
    let with_looks = shown(&directory, &["shop", "--looks"]).await.unwrap();
    assert_eq!(with_looks.matches("looked").count(), 2, "{with_looks}");
}

#[tokio::test]
async fn a_program_gets_everything_as_json() {
    let (directory, _store) = journal().await;
    let text = shown(&directory, &["last", "--json", "--looks"]).await.unwrap();
    let story: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(story["rollout"]["phase"], "rolled_back");
    assert_eq!(story["timeline"].as_array().unwrap().len(), 9);
    assert_eq!(story["timeline"][3]["body"]["culprits"], json!(["errors"]));
    assert_eq!(story["timeline"][0]["at"], BEGAN.0);
    assert_eq!(story["last_look"]["seq"], 3);
    assert_eq!(
        story["last_look"]["body"]["verdict"]["signals"]["errors"]["effect"],
        json!([1.63, 3.1, 6.04])
    );
    assert_eq!(story["messages"][1]["state"], json!({"state": "pending", "next_at": BEGAN.0 + 95_000}));
}

#[tokio::test]
async fn a_rollout_is_found_by_the_beginning_of_its_id_its_app_or_as_the_last() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let shown = async |word| shown(&directory, &[word]).await;
    assert_eq!(shown("last").await, Err("there are no rollouts yet".to_owned()));
    for (id, app, at) in
        [("aa-1", "shop", 1000), ("ab-2", "shop", 2000), ("ac-3", "mail", 3000), ("ad-4", "ab", 500)]
    {
        let (rollout, first) = fixture::opened(id, app, Time(at), fixture::policy(&[]));
        let batch = AppendBatch::of(0, &[first]).unwrap().leading_to(&rollout).unwrap();
        store.append(&rollout.id, batch).await.unwrap();
    }
    for (word, id) in [
        ("shop", "ab-2"),
        ("aa", "aa-1"),
        ("ac-3", "ac-3"),
        ("last", "ac-3"),
        ("ab", "ad-4"),
        ("ab-", "ab-2"),
    ] {
        let page = shown(word).await.unwrap();
        assert!(page.contains(&format!("rollout {id}, ")), "{word}: {page}");
    }
    let several = shown("a").await.unwrap_err();
    assert!(several.contains("write more of it:\n  ac-3  mail v4, 1970-01-01 00:00:03"), "{several}");
    let none = shown("b%\u{1b}").await.unwrap_err();
    assert!(none.contains("no rollout's id begins with `b% `"), "{none}");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_its_place() {
    let (directory, store) = journal().await;
    let body = r#"{"event":"transmogrified","into":"a frog"}"#.to_owned();
    let strange = NewEvent { at: BEGAN, kind: "transmogrified".to_owned(), body };
    let damaged = NewEvent { at: BEGAN, kind: "looked".to_owned(), body: "{".to_owned() };
    let batch = AppendBatch { expected_seq: 9, events: vec![strange, damaged], ..AppendBatch::default() };
    store.append(&RolloutId(ID.to_owned()), batch).await.unwrap();
    let page = shown(&directory, &["last"]).await.unwrap();
    assert!(
        page.contains("event 10 of rollout") && page.contains("unknown variant `transmogrified`"),
        "{page}"
    );
    assert!(page.contains("event 11 of rollout") && page.contains("EOF while parsing"), "{page}");
    let text = shown(&directory, &["last", "--json"]).await.unwrap();
    assert!(text.contains(r#""into": "a frog""#) && text.contains(r#""body": "{""#), "{text}");
}

#[tokio::test]
async fn the_noise_is_told_with_what_it_was_learnt_from_and_when() {
    let text = "policy: web\nfor: { apps: ['*'] }\nstrategy: { canary: { steps: [10%] } }\nsignals: [{ name: errors, ratio: { \
                events: e_total, total: r_total } }, { use: memory }]\n";
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let (mut rollout, first) =
        fixture::opened(ID, "shop", BEGAN, crate::policy::read("web.yaml", text).policy.unwrap());
    let mut events = vec![first];
    for n in 0..30_u32 {
        let at = BEGAN.seconds() - 600.0 + 15.0 * f64::from(n);
        let counts = Reading::Counts { events: f64::from(3 * (n % 4)), total: 1000.0 };
        let arms = Arms { baseline: Some(counts), canary: None };
        let look = Look { at, share: None, signals: std::iter::once(("errors".to_owned(), arms)).collect() };
        events.push(fixture::apply(&mut rollout, BEGAN, Event::Learnt { look }));
    }
    let look = Look { at: 60.0, share: None, signals: std::collections::BTreeMap::new() };
    let looked = Event::Looked { look, verdict: Box::new(verdict()), notes: Vec::new() };
    events.push(fixture::apply(&mut rollout, BEGAN + Span::seconds(60), looked));
    let batch = AppendBatch::of(0, &events).unwrap().leading_to(&rollout).unwrap();
    store.append(&rollout.id, batch).await.unwrap();

    let page = shown(&directory, &["shop"]).await.unwrap();
    let noise: Vec<&str> = page.lines().skip_while(|line| !line.starts_with("Noise")).take(3).collect();
    insta::assert_snapshot!("noise", noise.join("\n"));
    let json: serde_json::Value =
        serde_json::from_str(&shown(&directory, &["shop", "--json"]).await.unwrap()).unwrap();
    let errors = &json["noise"][0];
    assert_eq!((&errors["looks"], &errors["from"]), (&json!(30), &json!(BEGAN.0 - 600_000)));
    assert_eq!(errors["noise"]["counts"]["slower"], 2.0);
    assert_eq!(json["noise"][1]["noise"], serde_json::Value::Null);
}
