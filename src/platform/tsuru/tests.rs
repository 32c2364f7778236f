mod changes;
mod emulated;
mod fake;
mod reads;

use std::io::Write;

use serde_json::{Value, json};

use self::fake::{Fake, Request, Step};
use super::*;
use crate::words::Span;

const TOKEN: &str = "hunter2hunter2";
const NOW: Time = Time(1_787_320_000_000);

/// A client of `url` that loses patience soon.
fn tsuru(url: &str) -> Tsuru {
    with_deadlines(
        url,
        Deadlines {
            read: Span::seconds(5),
            quick: Span::seconds(3),
            units: Span::seconds(3),
            replace: Span::seconds(3),
            silence: Span(300),
        },
    )
}

/// A client of `url` that is as patient as it is unless told otherwise: for answers that take a busy machine long.
fn patient(url: &str) -> Tsuru {
    with_deadlines(url, Deadlines::default())
}

fn with_deadlines(url: &str, deadlines: Deadlines) -> Tsuru {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{TOKEN}").unwrap();
    let mut config = TsuruConfig::new(url);
    config.token_file = Some(file.path().to_owned());
    config.owner = Some("uguisu".to_owned());
    config.deadlines = deadlines;
    open(config)
}

fn open(config: TsuruConfig) -> Tsuru {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut tsuru = Tsuru::new(config, || NOW).unwrap();
    tsuru.client.again = Duration::from_millis(5);
    tsuru.pace = Pace {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(40),
        appears: Duration::from_millis(300),
    };
    tsuru
}

fn shop() -> AppName {
    AppName("shop".to_owned())
}

fn unit(version: u32, base: bool, flags: &str) -> Value {
    let part = if base { String::new() } else { format!("-v{version}") };
    json!({
        "Name": format!("shop-web{part}-7d9-{version}{flags}"), "ProcessName": "web", "Version": version,
        "InternalIP": "127.0.0.1", "Status": "started", "Ready": flags.contains('r'), "Routable": flags.contains('u'),
    })
}

/// An app with v1 as its base and v2 beside it, both serving.
fn two_versions() -> Value {
    json!({"name": "shop", "units": [unit(1, true, "ru"), unit(2, false, "ru")], "error": ""})
}

fn event(id: &str, kind: &str, running: bool, error: &str) -> Value {
    json!({
        "UniqueID": id, "StartTime": "2026-08-21T13:00:00Z", "EndTime": "2026-08-21T13:00:05Z",
        "Target": {"Type": "app", "Value": "shop"}, "Kind": {"Type": "permission", "Name": kind},
        "Owner": {"Type": "token", "Name": "uguisu"}, "Running": running, "Error": error,
    })
}

/// Answers the reads that go before every change: no event yet, two versions that serve.
fn calm(request: &Request) -> Vec<Step> {
    if request.is("GET", "/1.0/apps/shop") { fake::json(&two_versions()) } else { fake::nothing() }
}
