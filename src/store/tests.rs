use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::words::{AppName, RolloutId, Span, Time, Version};

fn id(text: &str) -> RolloutId {
    RolloutId(text.to_owned())
}

fn event(kind: &str, at: i64) -> NewEvent {
    NewEvent { at: Time(at), kind: kind.to_owned(), body: format!(r#"{{"event":"{kind}","at":{at}}}"#) }
}

fn row(rollout: &str, app: &str, started: i64) -> RolloutRow {
    RolloutRow {
        id: id(rollout),
        app: AppName(app.to_owned()),
        baseline: Version(3),
        canary: Version(4),
        policy: "web".to_owned(),
        phase: "pending".to_owned(),
        started: Time(started),
        ended: None,
        summary: String::new(),
    }
}

/// The first batch of a rollout: one event and its line in the listing.
fn first(rollout: &str) -> AppendBatch {
    AppendBatch {
        events: vec![event("opened", 1)],
        index: Some(row(rollout, "shop", 1)),
        ..AppendBatch::default()
    }
}

/// A batch of one event after `expected_seq`.
fn next(expected_seq: u64, kind: &str) -> AppendBatch {
    AppendBatch { expected_seq, events: vec![event(kind, 5)], ..AppendBatch::default() }
}

fn message(receiver: &str, id: &str, at: i64) -> NewMessage {
    NewMessage { id: id.to_owned(), receiver: receiver.to_owned(), at: Time(at), body: "{}".to_owned() }
}

async fn open() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    (directory, store)
}

async fn seqs(reader: &Reader, rollout: &str) -> Vec<u64> {
    reader.events(&id(rollout), 0, u32::MAX).await.unwrap().iter().map(|e| e.seq).collect()
}

#[tokio::test]
async fn what_is_appended_is_read_back_in_order() {
    let (_directory, store) = open().await;
    let mut batch = first("r1");
    batch.events.push(event("planned", 2));
    store.append(&id("r1"), batch).await.unwrap();
    store.append(&id("r1"), next(2, "looked")).await.unwrap();

    let events = store.reader().events(&id("r1"), 0, 10).await.unwrap();
    let seen: Vec<_> = events.iter().map(|e| (e.seq, e.at, e.kind.as_str())).collect();
    assert_eq!(seen, [(1, Time(1), "opened"), (2, Time(2), "planned"), (3, Time(5), "looked")]);
    assert_eq!(events[1].body, r#"{"event":"planned","at":2}"#);
    assert_eq!(store.reader().events(&id("r1"), 1, 1).await.unwrap(), events[1..2]);
    assert_eq!(store.reader().last(&id("r1"), "planned").await.unwrap().as_ref(), Some(&events[1]));
    assert_eq!(store.reader().last(&id("r1"), "paused").await.unwrap(), None);
    assert_eq!(store.reader().events_but(&id("r1"), &["looked", "paused"]).await.unwrap(), events[..2]);
    assert_eq!(store.reader().events_but(&id("r1"), &[]).await.unwrap(), events);
}

#[tokio::test]
async fn a_batch_that_does_not_continue_the_journal_is_refused() {
    let (_directory, store) = open().await;
    store.append(&id("r1"), first("r1")).await.unwrap();
    for expected in [0, 2, u64::MAX] {
        let refused = store.append(&id("r1"), next(expected, "looked")).await;
        assert!(
            matches!(&refused, Err(StoreError::Conflict { expected: e, found: 1, .. }) if *e == expected),
            "{refused:?}"
        );
    }
    store.append(&id("r1"), next(1, "looked")).await.unwrap();
    assert_eq!(seqs(store.reader(), "r1").await, [1, 2]);
}

#[tokio::test]
async fn a_batch_that_was_written_though_its_writer_was_told_otherwise_is_not_written_twice() {
    let (_directory, store) = open().await;
    let mut batch = first("r1");
    batch.events.push(event("planned", 2));
    batch.outbox = vec![message("ops", "m1", 1)];
    for _ in 0..2 {
        store.append(&id("r1"), batch.clone()).await.unwrap();
    }
    assert_eq!(seqs(store.reader(), "r1").await, [1, 2]);
    assert_eq!(store.reader().messages(&id("r1")).await.unwrap().len(), 1);
    // Another body, one event fewer or one more: that is somebody else's.
    let mut other = batch.clone();
    other.events[1].body = "{}".to_owned();
    let mut fewer = batch.clone();
    fewer.events.pop();
    batch.events.push(event("looked", 3));
    for batch in [other, fewer, batch, AppendBatch::default()] {
        let refused = store.append(&id("r1"), batch).await;
        assert!(matches!(refused, Err(StoreError::Conflict { expected: 0, found: 2, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn of_two_writers_that_race_for_a_number_one_wins() {
    let (_directory, store) = open().await;
    store.append(&id("r1"), first("r1")).await.unwrap();
    let rollout = id("r1");
    let (a, b) =
        tokio::join!(store.append(&rollout, next(1, "looked")), store.append(&rollout, next(1, "paused")));
    assert!(a.is_ok() ^ b.is_ok(), "{a:?} {b:?}");
    assert_eq!(seqs(store.reader(), "r1").await, [1, 2]);
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_behind() {
    let (_directory, store) = open().await;
    let mut batch = first("r1");
    batch.cursors = vec![("events".to_owned(), "7".to_owned())];
    // The same message twice is refused by the outbox, after events and listing were written.
    batch.outbox = vec![message("ops", "m1", 1), message("ops", "m1", 1)];
    assert!(store.append(&id("r1"), batch).await.is_err());

    assert_eq!(store.reader().load(&id("r1")).await.unwrap(), None);
    assert_eq!(store.reader().list(&Filter::default(), 10).await.unwrap(), []);
    assert_eq!(store.reader().cursor("events").await.unwrap(), None);
    store.append(&id("r1"), first("r1")).await.unwrap();
}

#[tokio::test]
async fn events_need_a_line_in_the_listing() {
    let (_directory, store) = open().await;
    assert!(store.append(&id("r1"), next(0, "opened")).await.is_err());
    assert_eq!(store.reader().load(&id("r1")).await.unwrap(), None);
}

#[tokio::test]
async fn loading_gives_the_last_snapshot_and_what_came_after() {
    let (_directory, store) = open().await;
    store.append(&id("r1"), first("r1")).await.unwrap();
    let loaded = store.reader().load(&id("r1")).await.unwrap().unwrap();
    assert_eq!((loaded.snapshot, loaded.after.len()), (None, 1));

    for seq in 1..4 {
        let snapshot = (seq < 3).then(|| format!("state {}", seq + 1));
        let samples = Some(format!("samples {}", seq + 1));
        let batch = AppendBatch { snapshot, samples, ..next(seq, "looked") };
        store.append(&id("r1"), batch).await.unwrap();
    }
    let loaded = store.reader().load(&id("r1")).await.unwrap().unwrap();
    assert_eq!(loaded.snapshot, Some((3, "state 3".to_owned())));
    assert_eq!(loaded.samples, Some((4, "samples 4".to_owned())));
    assert_eq!(loaded.after.iter().map(|e| e.seq).collect::<Vec<_>>(), [4]);
}

#[tokio::test]
async fn the_listing_is_filtered_and_latest_first() {
    let (_directory, store) = open().await;
    for (rollout, app, started) in [("aa1", "shop", 1), ("aa2", "mail", 2), ("ab3", "shop", 3)] {
        let batch = AppendBatch { index: Some(row(rollout, app, started)), ..first(rollout) };
        store.append(&id(rollout), batch).await.unwrap();
    }
    let ended = RolloutRow {
        ended: Some(Time(9)),
        phase: "promoted".to_owned(),
        summary: "all good".to_owned(),
        ..row("aa1", "shop", 1)
    };
    let batch = AppendBatch { index: Some(ended.clone()), ..next(1, "finished") };
    store.append(&id("aa1"), batch).await.unwrap();

    let list = async |filter: Filter, limit| -> Vec<String> {
        store.reader().list(&filter, limit).await.unwrap().into_iter().map(|r| r.id.0).collect()
    };
    assert_eq!(list(Filter::default(), 10).await, ["ab3", "aa2", "aa1"]);
    assert_eq!(list(Filter::default(), 1).await, ["ab3"]);
    assert_eq!(list(Filter { unfinished: true, ..Filter::default() }, 10).await, ["ab3", "aa2"]);
    let of_shop = Filter { app: Some(AppName("shop".to_owned())), ..Filter::default() };
    assert_eq!(list(of_shop, 10).await, ["ab3", "aa1"]);
    // What a pattern would mean to SQL is an ordinary character here.
    for (prefix, found) in [("aa", 2), ("ab3", 1), ("a%", 0), ("", 3)] {
        let filter = Filter { id_prefix: Some(prefix.to_owned()), ..Filter::default() };
        assert_eq!(list(filter, 10).await.len(), found, "{prefix}");
    }
    assert_eq!(store.reader().unfinished().await.unwrap(), [id("aa2"), id("ab3")]);
    assert_eq!(store.reader().list(&Filter::default(), 10).await.unwrap()[2], ended);
}

#[tokio::test]
async fn cursors_move_with_a_batch_and_by_themselves() {
    let (_directory, store) = open().await;
    let batch = AppendBatch { cursors: vec![("events".to_owned(), "1".to_owned())], ..first("r1") };
    store.append(&id("r1"), batch).await.unwrap();
    assert_eq!(store.reader().cursor("events").await.unwrap().as_deref(), Some("1"));
    store.set_cursor("events", "2").await.unwrap();
    assert_eq!(store.reader().cursor("events").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn a_claimed_message_is_due_again_after_the_lease() {
    let (_directory, store) = open().await;
    let outbox = vec![message("ops", "m2", 20), message("ops", "m1", 10), message("dev", "m1", 10)];
    store.append(&id("r1"), AppendBatch { outbox, ..first("r1") }).await.unwrap();
    let (lease, horizon) = (Span(100), Span(1000));
    let claim = async |now| -> Vec<(String, u32)> {
        let claims = store.claim("ops", Time(now), lease, horizon, 10).await.unwrap();
        claims.into_iter().map(|c| (c.id, c.attempts)).collect()
    };
    let both = |attempts| [("m1".to_owned(), attempts), ("m2".to_owned(), attempts)];

    assert_eq!(claim(10).await, both(1)[..1]);
    assert_eq!(claim(50).await, both(1)[1..]);
    assert_eq!(claim(60).await, []);
    let waiting = store.reader().waiting().await.unwrap();
    assert_eq!(
        (waiting[1].receiver.as_str(), waiting[1].messages, waiting[1].next_due),
        ("ops", 2, Time(110))
    );
    assert_eq!(claim(150).await, both(2));
    // A clock that was set back by more than any wait: due now, not in years.
    assert_eq!(claim(-5000).await, both(3));

    store.delivered("ops", "m1", Time(200)).await.unwrap();
    store.give_up("ops", "m2", Time(300), "410 Gone").await.unwrap();
    assert_eq!(claim(99_999).await, []);
    let states: Vec<_> = store
        .reader()
        .messages(&id("r1"))
        .await
        .unwrap()
        .into_iter()
        .map(|m| (m.receiver, m.state))
        .collect();
    assert_eq!(
        states,
        [
            ("dev".to_owned(), MessageState::Pending { next_at: Time(10) }),
            ("ops".to_owned(), MessageState::Delivered { delivered_at: Time(200) }),
            ("ops".to_owned(), MessageState::GivenUp { given_up_at: Time(300) }),
        ]
    );
    let waiting = store.reader().waiting().await.unwrap();
    assert_eq!(waiting, [Waiting { receiver: "dev".to_owned(), messages: 1, next_due: Time(10) }]);
    store.give_up_all("dev", Time(400), "gone").await.unwrap();
    assert_eq!(store.reader().waiting().await.unwrap(), []);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_tear_a_batch_apart() {
    let (_directory, store) = open().await;
    store.append(&id("r1"), first("r1")).await.unwrap();
    for polls in 0..20 {
        let seq = *seqs(store.reader(), "r1").await.last().unwrap();
        let rollout = id("r1");
        let mut batch = next(seq, "looked");
        batch.events.push(event("paused", 6));
        let mut append = Box::pin(store.append(&rollout, batch));
        for _ in 0..polls {
            if futures_util::poll!(append.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
        // The next append waits for its turn, so all that was begun has ended.
        store.set_cursor("turn", "x").await.unwrap();
        let written = if polls == 0 { 0 } else { 2 };
        assert_eq!(seqs(store.reader(), "r1").await.len() as u64, seq + written, "after {polls} polls");
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let (directory, store) = open().await;
    store.append(&id("r1"), first("r1")).await.unwrap();
    store
        .write(|connection| {
            Box::pin(async move {
                sqlx::query("pragma max_page_count = 30").execute(connection).await.unwrap();
                Ok(())
            })
        })
        .await
        .unwrap();
    let big = |expected_seq| AppendBatch {
        expected_seq,
        events: vec![NewEvent { body: "x".repeat(1_000_000), ..event("looked", 5) }],
        ..AppendBatch::default()
    };
    let full = store.append(&id("r1"), big(1)).await;
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    // The limit belonged to the connection that failed, which is not used again: room was made.
    store.append(&id("r1"), big(1)).await.unwrap();
    drop(store);
    let reader = Reader::open(directory.path()).await.unwrap();
    assert_eq!(seqs(&reader, "r1").await, [1, 2]);
}

#[tokio::test]
async fn two_daemons_cannot_share_a_data_directory() {
    let (directory, store) = open().await;
    let second = Store::open(directory.path()).await.unwrap_err();
    assert!(
        second.to_string().contains(&format!("in use by another daemon (process {})", std::process::id())),
        "{second}"
    );
    store.close().await.unwrap();
    drop(store);
    Store::open(directory.path()).await.unwrap();
}

#[tokio::test]
async fn the_journal_can_be_read_with_and_without_a_daemon() {
    let directory = TempDir::new().unwrap();
    let missing = Reader::open(directory.path()).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");

    let store = Store::open(directory.path()).await.unwrap();
    let reader = Reader::open(directory.path()).await.unwrap();
    store.append(&id("r1"), first("r1")).await.unwrap();
    assert_eq!(seqs(&reader, "r1").await, [1]);
    store.close().await.unwrap();
    drop((store, reader));
    assert_eq!(seqs(&Reader::open(directory.path()).await.unwrap(), "r1").await, [1]);
}

#[tokio::test]
async fn a_reader_writes_nothing() {
    let (directory, store) = open().await;
    store.close().await.unwrap();
    let reader = Reader::open(directory.path()).await.unwrap();
    let refused = reader.rows(sqlx::query("delete from cursor"), |_| Ok(())).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_damaged_foreign_or_newer_file_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("journal.db");
    let check = async |expected: &str| {
        for error in [
            Store::open(directory.path()).await.map(drop).unwrap_err(),
            Reader::open(directory.path()).await.map(drop).unwrap_err(),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
    };
    std::fs::write(&file, "this is a diary, not a database. ".repeat(100)).unwrap();
    check("is damaged").await;
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is a diary"));

    std::fs::remove_file(&file).unwrap();
    Store::open(directory.path()).await.unwrap().close().await.unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[100..end].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
    check("is damaged").await;

    std::fs::remove_file(&file).unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    change(&store, "insert into _sqlx_migrations values (9999, 'later', 0, true, x'00', 0)").await;
    store.close().await.unwrap();
    drop(store);
    check("has schema 9999, and this program knows schemas up to 3").await;

    std::fs::remove_file(&file).unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    change(&store, "pragma application_id = 7").await;
    store.close().await.unwrap();
    drop(store);
    check("not a journal of Uguisu").await;
}

async fn change(store: &Store, statement: &'static str) {
    store
        .write(move |connection| {
            Box::pin(async move {
                sqlx::query(statement).execute(connection).await.unwrap();
                Ok(())
            })
        })
        .await
        .unwrap();
}

/// Not a test by itself: the process that the test below kills. It appends for ever and says each number that was
/// acknowledged.
#[tokio::test]
#[ignore = "the child of a_killed_daemon_loses_nothing_that_it_acknowledged"]
async fn appends_until_killed() {
    let Some(directory) = std::env::var_os("UGUISU_TEST_JOURNAL") else { return };
    let store = Store::open(directory.as_ref()).await.unwrap();
    let mut seq = seqs(store.reader(), "r1").await.len() as u64;
    if seq == 0 {
        store.append(&id("r1"), first("r1")).await.unwrap();
        seq = 1;
    }
    loop {
        let batch = AppendBatch { snapshot: Some(format!("{}", seq + 1)), ..next(seq, "looked") };
        store.append(&id("r1"), batch).await.unwrap();
        seq += 1;
        println!("acknowledged {seq}");
    }
}

#[tokio::test]
async fn a_killed_daemon_loses_nothing_that_it_acknowledged() {
    let directory = TempDir::new().unwrap();
    let mut acknowledged = 0_u64;
    for lines in [1, 40, 150] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::appends_until_killed", "--ignored", "--nocapture"])
            .env("UGUISU_TEST_JOURNAL", directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let numbers = |line: String| line.strip_prefix("acknowledged ").and_then(|n| n.parse::<u64>().ok());
        for number in said.by_ref().filter_map(numbers).take(lines) {
            acknowledged = number;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said between the last line that was awaited and its death counts as well.
        acknowledged = said.filter_map(numbers).last().unwrap_or(acknowledged);

        let reader = Reader::open(directory.path()).await.unwrap();
        let seqs = seqs(&reader, "r1").await;
        let last = seqs.len() as u64;
        assert!(seqs.iter().copied().eq(1..=last), "a gap: {seqs:?}");
        // One more may be there whose acknowledgement was not said any more.
        assert!(
            last == acknowledged || last == acknowledged + 1,
            "{last} in the journal, {acknowledged} said"
        );
        let loaded = reader.load(&id("r1")).await.unwrap().unwrap();
        assert_eq!(loaded.snapshot, Some((last, last.to_string())));
    }
    assert!(acknowledged >= 191, "{acknowledged}");
}

#[tokio::test]
async fn what_was_seen_of_an_app_is_kept_until_it_is_old_or_of_another_version() {
    let (directory, store) = open().await;
    let app = AppName("shop".to_owned());
    let quiet = |version: u32, policy: &str, looks: &[i64]| Quiet {
        version: Version(version),
        policy: policy.to_owned(),
        looks: looks.iter().map(|at| (Time(*at), format!("look {at}"))).collect(),
    };
    assert_eq!(store.reader().quiet(&app).await.unwrap(), None);
    store.keep_quiet(&app, quiet(1, "p", &[10, 20]), Time(0)).await.unwrap();
    // Given again, as after an answer that was lost, nothing is there twice.
    store.keep_quiet(&app, quiet(1, "p", &[20, 30]), Time(15)).await.unwrap();
    // A process that dies has no time to close anything.
    std::mem::forget(store.clone());
    let reader = Reader::open(directory.path()).await.unwrap();
    assert_eq!(reader.quiet(&app).await.unwrap(), Some(quiet(1, "p", &[20, 30])));
    assert_eq!(reader.quiet(&AppName("other".to_owned())).await.unwrap(), None);
    store.keep_quiet(&app, quiet(1, "q", &[40]), Time(15)).await.unwrap();
    assert_eq!(reader.quiet(&app).await.unwrap(), Some(quiet(1, "q", &[40])), "another policy");
    store.keep_quiet(&app, quiet(2, "q", &[50]), Time(15)).await.unwrap();
    assert_eq!(reader.quiet(&app).await.unwrap(), Some(quiet(2, "q", &[50])), "another version");
}
