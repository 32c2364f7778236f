use super::super::fakes::{Server, answer, observed, unit};
use super::*;
use crate::words::Span;

fn check(path: &str) -> HealthCheck {
    let (every, timeout) = (Span::seconds(5), Span::seconds(1));
    HealthCheck { path: path.to_owned(), port: None, every, timeout, fail_after: 3 }
}

const VERSIONS: Arms<Version> = Arms { baseline: Version(1), canary: Version(2) };

fn book() -> HealthBook {
    HealthBook::new(vec![check("/healthz")], VERSIONS, "web".to_owned())
}

fn address() -> Option<std::net::SocketAddr> {
    "127.0.0.1:8888".parse().ok()
}

fn both() -> Observed {
    observed(vec![unit("b", 1, address()), unit("c", 2, address())])
}

fn at(seconds: i64) -> Time {
    Time(seconds * 1000)
}

/// Lets all units answer `rounds` times, the canary's and the baseline's each in its way.
fn rounds(book: &mut HealthBook, from: i64, rounds: i64, canary: &Answer, baseline: &Answer) -> Health {
    for round in 0..rounds {
        for probe in book.due(&both(), at(from + 5 * round)) {
            book.record(&probe, if probe.unit == "c" { canary.clone() } else { baseline.clone() });
        }
    }
    book.health()
}

#[test]
fn only_failures_in_a_row_count() {
    let mut book = book();
    let bad = Answer::Status(503);
    assert_eq!(rounds(&mut book, 0, 2, &bad, &Answer::Good), Health::Good);
    assert_eq!(rounds(&mut book, 10, 1, &Answer::Good, &Answer::Good), Health::Good);
    assert_eq!(rounds(&mut book, 15, 2, &bad, &Answer::Good), Health::Good);
    let why = "unit `c` of the canary failed `GET /healthz` 3 times in a row: it answers with 503";
    assert_eq!(rounds(&mut book, 25, 1, &bad, &Answer::Good), Health::Failing(why.to_owned()));
    assert_eq!(rounds(&mut book, 30, 1, &Answer::Good, &Answer::Good), Health::Good);
}

#[test]
fn what_the_baseline_fails_alike_is_not_the_canarys_fault() {
    let lost = || Answer::Unreachable("cannot connect".to_owned());
    let shared = |canary: &Answer, baseline: &Answer| matches!(rounds(&mut book(), 0, 3, canary, baseline), Health::Shared(why) if why.contains("baseline"));
    assert!(shared(&lost(), &lost()));
    assert!(shared(&Answer::Status(503), &Answer::Status(500)));
    assert!(!shared(&lost(), &Answer::Status(503)), "the network works");
    assert!(!shared(&Answer::Status(503), &Answer::Status(404)), "the baseline just has no such page");
    assert!(
        !shared(&Answer::Status(404), &Answer::Status(404)),
        "a check that cannot pass is the policy's fault"
    );
}

#[test]
fn each_unit_is_asked_in_its_own_time_once_it_was_ready() {
    let mut book = HealthBook::new(vec![check("/a"), check("/b")], VERSIONS, "web".to_owned());
    let mut starting = unit("c", 2, address());
    starting.ready = false;
    assert_eq!(book.due(&observed(vec![starting.clone()]), at(0)), []);
    let worker = crate::rollout::Unit { process: "worker".to_owned(), ..unit("w", 2, address()) };
    assert_eq!(book.due(&observed(vec![worker, unit("n", 2, None), unit("x", 9, address())]), at(0)), []);
    let urls: Vec<_> = book.due(&both(), at(1)).into_iter().map(|probe| probe.url).collect();
    let (a, b) = ("http://127.0.0.1:8888/a", "http://127.0.0.1:8888/b");
    assert_eq!(urls, [a, b, a, b]);
    assert_eq!(book.next_due(), Some(at(6)));
    assert_eq!(book.due(&both(), at(5)), []);
    assert_eq!(book.due(&observed(vec![starting]), at(6)).len(), 2, "it was ready, so it must answer");
    assert_eq!(book.due(&both(), at(-900)).len(), 4, "a clock that was set back silences no check");
}

#[test]
fn a_unit_that_is_gone_is_forgotten() {
    let mut book = book();
    rounds(&mut book, 0, 3, &Answer::Status(500), &Answer::Good);
    assert!(matches!(book.health(), Health::Failing(_)));
    book.due(&observed(vec![unit("b", 1, address())]), at(15));
    assert_eq!(book.health(), Health::Good);
}

#[test]
fn a_port_of_its_own_and_addresses_of_all_kinds() {
    for (address, url) in
        [("10.0.0.1:8888", "http://10.0.0.1:9000/healthz"), ("[::1]:80", "http://[::1]:9000/healthz")]
    {
        let unit = Unit { address: Some(address.to_owned()), ..unit("c", 2, None) };
        let check = HealthCheck { port: Some(9000), ..check("/healthz") };
        assert_eq!(Probe::new(&unit, 0, &check).unwrap().url, url);
    }
}

#[tokio::test]
async fn answers_are_what_units_say() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/ok" => answer("204 No Content", "text/plain", ""),
        "/moved" => {
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec()
        }
        "/endless" => b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\nhello".to_vec(),
        "/bad" => answer("500 Internal Server Error", "text/plain", "boom"),
        "/junk" => b"\0\0\0\0".to_vec(),
        _ => Vec::new(),
    })
    .await;
    let probes = ["/ok", "/moved", "/endless", "/bad", "/junk", "/slow"].map(|path| {
        let check = HealthCheck { timeout: Span(300), ..check(path) };
        Probe::new(&unit("c", 2, Some(server.address)), 0, &check).unwrap()
    });
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let closed = Probe::new(&unit("c", 2, Some(closed)), 0, &check("/")).unwrap();
    let answers = Prober::new().unwrap().ask(probes.into_iter().chain([closed]).collect()).await;
    let said: Vec<_> = answers.iter().map(|(_, answer)| answer.to_string()).collect();
    assert_eq!(said[..4], ["it is well", "it is well", "it is well", "it answers with 500"]);
    assert!(said[4].starts_with("the request failed"), "{said:?}");
    assert_eq!(said[5], "no answer within 300ms");
    assert!(said[6].starts_with("cannot connect: "), "{said:?}");
}

fn seen(watch: &mut UnitWatch, seconds: i64, units: &[Unit]) -> Health {
    let mut observed = observed(units.to_vec());
    observed.at = at(seconds);
    watch.observe(&observed)
}

#[test]
fn a_unit_that_restarts_again_and_again_fails() {
    let mut watch = UnitWatch::new(VERSIONS, UnitLimits::default());
    let restarted = |restarts| Unit { restarts, ..unit("c", 2, None) };
    for restarts in [7, 8, 9] {
        assert_eq!(seen(&mut watch, 0, &[restarted(restarts)]), Health::Good);
    }
    let why = "unit `c` was restarted 3 times; its state is `started`".to_owned();
    assert_eq!(seen(&mut watch, 1, &[restarted(10)]), Health::Failing(why));
}

#[test]
fn a_unit_in_error_or_not_ready_any_more_fails_in_time() {
    let state = |name, version, ready, status: &str| Unit {
        ready,
        status: status.to_owned(),
        ..unit(name, version, None)
    };
    let mut watch = UnitWatch::new(VERSIONS, UnitLimits::default());
    let crashing = state("c", 2, false, "error: CrashLoopBackOff");
    assert_eq!(seen(&mut watch, 0, &[state("c", 2, false, "starting")]), Health::Good);
    assert_eq!(
        seen(&mut watch, 900, &[state("c", 2, false, "starting")]),
        Health::Good,
        "its platform waits for it"
    );
    assert_eq!(seen(&mut watch, 1000, std::slice::from_ref(&crashing)), Health::Good);
    let why = "unit `c` has been in error for 1m; its state is `error: CrashLoopBackOff`".to_owned();
    assert_eq!(seen(&mut watch, 1060, &[crashing]), Health::Failing(why));
    assert_eq!(seen(&mut watch, 1070, &[state("c", 2, true, "started")]), Health::Good);
    let unready = || [state("c", 2, false, "starting"), state("b", 1, true, "started")];
    assert_eq!(seen(&mut watch, 1080, &unready()), Health::Good);
    let why = "unit `c` has not been ready for 1m10s; its state is `starting`".to_owned();
    assert_eq!(seen(&mut watch, 1150, &unready()), Health::Failing(why));
    let state = serde_json::to_string(&watch).unwrap();
    assert_eq!(serde_json::from_str::<UnitWatch>(&state).unwrap(), watch);
}

#[test]
fn a_node_that_takes_down_both_versions_is_shared() {
    let mut watch = UnitWatch::new(VERSIONS, UnitLimits::default());
    let broken = || {
        ["b", "c"]
            .map(|name| Unit { status: "error".to_owned(), ..unit(name, 1 + u32::from(name == "c"), None) })
    };
    seen(&mut watch, 0, &broken());
    assert!(matches!(seen(&mut watch, 60, &broken()), Health::Shared(_)));
    let mut units = broken().to_vec();
    units.push(unit("b2", 1, None));
    assert!(matches!(seen(&mut watch, 61, &units), Health::Failing(_)));
}
