//! What comes from outside, by kind: any bytes at all go in, and what must hold of every answer is checked.
//!
//! The fuzz targets in `fuzz/` are nothing but [`Input::check`], and `tests/corpus.rs` replays what they found. Neither
//! can reach what is inside otherwise, so this is their door.

mod json;
mod looks;

use crate::policy::query::GaugeQuery;
use crate::policy::selector::SeriesSelector;
use crate::policy::{self, Policy};
use crate::signal::exposition::{self, Format};
use crate::words::{AppName, Arm, Time, Version};

/// One kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The text of a policy file.
    Policy,
    /// JSON Lines for `uguisu judge`.
    Lines,
    /// Looks at every kind of signal, as bytes that only this module reads.
    Looks,
    /// What a unit's `/metrics` answers.
    Exposition,
    /// What Prometheus answers to a query.
    Prometheus,
    /// What Alertmanager sends.
    Alertmanager,
    /// What Tsuru answers: app info, lists of apps and of events, one event, the stream of a change.
    Tsuru,
    /// A selector or a query of a policy.
    Selector,
}

impl Input {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Policy,
        Self::Lines,
        Self::Looks,
        Self::Exposition,
        Self::Prometheus,
        Self::Alertmanager,
        Self::Tsuru,
        Self::Selector,
    ];

    /// Its name: that of its fuzz target, and of the directory with its seeds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Lines => "lines",
            Self::Looks => "looks",
            Self::Exposition => "exposition",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Tsuru => "tsuru",
            Self::Selector => "selector",
        }
    }

    /// Reads `bytes` as the product would, and checks what must hold of the answer, whatever the bytes.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn check(self, bytes: &[u8]) -> Result<(), String> {
        // What is not text is refused before it gets there.
        let text = || std::str::from_utf8(bytes);
        match self {
            Self::Policy => text().map_or(Ok(()), check_policy),
            Self::Lines => json::lines(bytes),
            Self::Looks => looks::check(bytes),
            Self::Exposition => text().map_or(Ok(()), check_exposition),
            Self::Prometheus => crate::signal::read_answer(bytes),
            Self::Alertmanager => {
                // Either is an answer; that there is one is all that is asked.
                let _alerts_or_why = crate::web::read_alerts(bytes);
                Ok(())
            }
            Self::Tsuru => crate::platform::tsuru::read_any(bytes),
            Self::Selector => text().map_or(Ok(()), check_selector),
        }
    }
}

/// That `holds`, or what does not.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// A policy xor errors; findings have a place; a good policy is told in words and read back to the bit.
fn check_policy(text: &str) -> Result<(), String> {
    let reading = policy::read("fuzz.yaml", text);
    let findings = &reading.findings;
    ensure(reading.policy.is_none() == findings.has_errors(), || "a policy and errors, or neither".to_owned())?;
    ensure(findings.render(false).is_empty() == findings.is_empty(), || "findings without words".to_owned())?;
    for finding in findings.iter() {
        let is_told = finding.line > 0 && finding.column > 0 && !finding.message.is_empty();
        ensure(is_told, || format!("a finding without a place or words: {finding:?}"))?;
    }
    let Some(policy) = reading.policy else { return Ok(()) };
    ensure(!policy::describe(&policy).is_empty(), || "a policy that does nothing".to_owned())?;
    let written = serde_json::to_string(&policy).map_err(|e| e.to_string())?;
    let again: Policy = serde_json::from_str(&written).map_err(|e| e.to_string())?;
    ensure(again == policy, || format!("read back otherwise: {written}"))
}

/// Samples have names and sorted labels, and what is not wanted is checked as well.
fn check_exposition(text: &str) -> Result<(), String> {
    for format in [Format::Text, Format::OpenMetrics] {
        let all = exposition::read(text, format, Time(1_000), |_, _| true);
        let none = exposition::read(text, format, Time(1_000), |_, _| false);
        ensure(all.is_ok() == none.is_ok(), || format!("{format:?} depends on what is wanted"))?;
        for sample in all.unwrap_or_default() {
            let labels = &sample.labels;
            let is_sound = !sample.name.is_empty()
                && labels.windows(2).all(|pair| pair[0].0 < pair[1].0)
                && labels.iter().all(|(_, value)| !value.is_empty());
            ensure(is_sound, || format!("{sample:?}"))?;
        }
    }
    Ok(())
}

/// What is understood is written so that it is understood again, and filled in without a placeholder left.
fn check_selector(text: &str) -> Result<(), String> {
    match SeriesSelector::parse(text) {
        Ok(selector) => {
            let written = selector.to_string();
            let again = SeriesSelector::parse(&written).map_err(|e| format!("`{written}`: {e}"))?;
            ensure(again.to_string() == written, || format!("`{written}` is written as `{again}`"))?;
            let _matches = selector.matches("metric", |_| Some("value"));
        }
        Err(error) => {
            let is_inside = error.span.start <= error.span.end && error.span.end <= text.len();
            ensure(is_inside && !error.message.is_empty(), || format!("{error:?}"))?;
        }
    }
    if let Ok(query) = GaugeQuery::parse(text) {
        let _filled = query.fill(&AppName("app".to_owned()), Version(7), Arm::Canary);
        let _on_unit = query.on_unit();
    }
    Ok(())
}
