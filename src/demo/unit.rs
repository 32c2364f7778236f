//! A unit of the toy app: a real HTTP server with `/`, `/healthz` and `/metrics`, on an address of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::cut;
use super::toy::{Behaviour, Request};
use crate::words::Time;

/// The upper bounds of the latency histogram, in seconds, around the usual 80 ms.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0];
/// The memory of a unit that leaks nothing, in bytes.
const MEMORY: f64 = 60e6;

/// What befalls all versions of an app alike, as a broken dependency does.
#[derive(Debug)]
pub(super) struct Incident {
    errors: AtomicU64,
    latency: AtomicU64,
}

impl Default for Incident {
    fn default() -> Self {
        Self { errors: AtomicU64::new(1.0_f64.to_bits()), latency: AtomicU64::new(1.0_f64.to_bits()) }
    }
}

impl Incident {
    /// Multiplies the share of errors and the latency; 1 is as usual.
    pub(super) fn set(&self, errors: f64, latency: f64) {
        self.errors.store(errors.to_bits(), Ordering::Relaxed);
        self.latency.store(latency.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> (f64, f64) {
        let load = |cell: &AtomicU64| f64::from_bits(cell.load(Ordering::Relaxed));
        (load(&self.errors), load(&self.latency))
    }
}

/// How many requests a version of an app had over all its units, and how many of them failed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: AtomicU64,
    pub(super) errors: AtomicU64,
}

/// What a unit is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) app: String,
    pub(super) version: u32,
}

/// The counters of one life of a unit. A restart begins at zero.
#[derive(Debug, Default)]
struct Counters {
    good: u64,
    failed: u64,
    buckets: [u64; BUCKETS.len()],
    seconds: f64,
}

/// A unit.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) identity: Identity,
    behaviour: Behaviour,
    started: Time,
    clock: Clock,
    ready: AtomicBool,
    incident: Arc<Incident>,
    tally: Arc<Tally>,
    // One lock for what a request changes together, so that a scrape sees whole requests. Held for no longer than that.
    inner: Mutex<(Counters, StdRng)>,
}

impl Unit {
    pub(super) fn new(
        identity: Identity,
        behaviour: Behaviour,
        (clock, seed): (Clock, u64),
        (incident, tally): (Arc<Incident>, Arc<Tally>),
    ) -> Self {
        Self {
            identity,
            behaviour,
            started: clock.now(),
            clock,
            ready: AtomicBool::new(false),
            incident,
            tally,
            inner: Mutex::new((Counters::default(), StdRng::seed_from_u64(seed))),
        }
    }

    /// Its health check passes from now on.
    pub(super) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// One request of a user. The latency is counted, not waited for.
    pub(super) fn request(&self) -> StatusCode {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (counters, rng) = &mut *inner;
        let Request { failed, seconds } = self.behaviour.request(rng, self.incident.get());
        counters.seconds += seconds;
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            counters.buckets[bucket] += 1;
        }
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
        if failed {
            counters.failed += 1;
            self.tally.errors.fetch_add(1, Ordering::Relaxed);
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            counters.good += 1;
            StatusCode::OK
        }
    }

    /// Its metrics in the Prometheus text format.
    pub(super) fn metrics(&self) -> String {
        let uptime = self.clock.now().since(self.started).as_seconds();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (counters, rng) = &mut *inner;
        let memory = MEMORY * rng.random_range(0.98..1.02) + self.behaviour.leak * uptime;
        let queue: u32 = rng.random_range(0..8);
        let mut text = String::with_capacity(2048);
        // Writing to a string cannot fail.
        let _ = write_metrics(&mut text, counters, (memory, queue, self.started));
        text
    }

    /// Serves until it is told to stop. The address may still be taken by the life before, so binding is tried again.
    pub(super) async fn serve(
        self: Arc<Self>,
        listener: Option<TcpListener>,
        address: SocketAddr,
        stop: CancellationToken,
    ) {
        let listener = match listener {
            Some(listener) => listener,
            None => loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(error) => tracing::debug!(%address, %error, "unit cannot listen yet"),
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            },
        };
        let router = Router::new()
            .route("/", get(home))
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics))
            .with_state(self);
        cut::serve(listener, router, stop).await;
    }
}

fn write_metrics(
    text: &mut String,
    counters: &Counters,
    (memory, queue, started): (f64, u32, Time),
) -> std::fmt::Result {
    writeln!(text, "# HELP http_requests_total Requests by status code and method.")?;
    writeln!(text, "# TYPE http_requests_total counter")?;
    // As in most client libraries, a series appears with its first request.
    for (code, count) in [("200", counters.good), ("500", counters.failed)] {
        if count > 0 {
            writeln!(text, "http_requests_total{{code=\"{code}\",method=\"GET\"}} {count}")?;
        }
    }
    writeln!(text, "# HELP http_request_duration_seconds Latency of requests.")?;
    writeln!(text, "# TYPE http_request_duration_seconds histogram")?;
    let mut sum = 0;
    for (bound, count) in BUCKETS.iter().zip(counters.buckets) {
        sum += count;
        writeln!(text, "http_request_duration_seconds_bucket{{le=\"{bound}\"}} {sum}")?;
    }
    let all = counters.good + counters.failed;
    writeln!(text, "http_request_duration_seconds_bucket{{le=\"+Inf\"}} {all}")?;
    writeln!(text, "http_request_duration_seconds_sum {}", counters.seconds)?;
    writeln!(text, "http_request_duration_seconds_count {all}")?;
    writeln!(text, "# HELP queue_depth Jobs that wait.\n# TYPE queue_depth gauge\nqueue_depth {queue}")?;
    writeln!(text, "# HELP process_resident_memory_bytes Resident memory.")?;
    writeln!(text, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {memory:.0}")?;
    writeln!(text, "# HELP process_start_time_seconds When the process started, since the Unix epoch.")?;
    writeln!(text, "# TYPE process_start_time_seconds gauge")?;
    writeln!(text, "process_start_time_seconds {}", started.seconds())
}

async fn home(State(unit): State<Arc<Unit>>) -> Response {
    let status = unit.request();
    (status, format!("{} v{}\n", unit.identity.app, unit.identity.version)).into_response()
}

async fn healthz(State(unit): State<Arc<Unit>>) -> Response {
    if unit.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response()
    }
}

async fn metrics(State(unit): State<Arc<Unit>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, unit.metrics()).into_response()
}
