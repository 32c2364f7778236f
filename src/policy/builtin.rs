//! The built-in signals: what `use:` stands for.
//!
//! They name the metrics that the official Prometheus client libraries and common HTTP middleware expose.

use super::file::choice::Choice;

/// A signal of the built-in library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    HttpErrors,
    HttpLatency,
    Memory,
}

impl Choice for Builtin {
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        (
            "http-errors",
            Self::HttpErrors,
            "Requests that ended with a status of 500 or above, among all: `http_requests_total{code=~\"5..\"}` over \
             `http_requests_total`.",
        ),
        ("http-latency", Self::HttpLatency, "How long requests take: `http_request_duration_seconds`."),
        ("memory", Self::Memory, "Resident memory of each unit: `process_resident_memory_bytes`."),
    ];
}

/// The counter of bad requests in `http-errors`.
pub(super) const ERRORS: &str = r#"http_requests_total{code=~"5.."}"#;
/// The counter of all requests in `http-errors`.
pub(super) const REQUESTS: &str = "http_requests_total";
/// The histogram of `http-latency`.
pub(super) const DURATIONS: &str = "http_request_duration_seconds";
/// The query of `memory`.
pub(super) const MEMORY: &str = r#"process_resident_memory_bytes{app="{{ app }}",version="{{ version }}"}"#;
