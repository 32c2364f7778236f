//! Texts that people write, and the texts that units answer with.

use super::{ensure, ensure_sentence};
use crate::policy::query::GaugeQuery;
use crate::policy::selector::SeriesSelector;
use crate::policy::{self, Policy};
use crate::signal::exposition::{self, Format};
use crate::words::{AppName, Arm, Time, Version};

/// A policy or errors, never both; findings have a place and words; a good policy is told in words and read back to the bit.
pub(super) fn policy(text: &str) -> Result<(), String> {
    let reading = policy::read("fuzz.yaml", text);
    let findings = &reading.findings;
    ensure(reading.policy.is_none() == findings.has_errors(), || {
        "a policy and errors, or neither".to_owned()
    })?;
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

/// What is understood is written so that it is understood again, and filled in.
pub(super) fn selector(text: &str) -> Result<(), String> {
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
        let filled = query.fill(&AppName("app".to_owned()), Version(7), Arm::Canary);
        ensure(!filled.contains("{{ app }}"), || format!("`{filled}` is not filled in"))?;
        let _on_unit = query.on_unit();
    }
    Ok(())
}

/// What is wrong does not depend on what is wanted; samples have a name, and labels that are sorted and not empty.
pub(super) fn exposition(text: &str) -> Result<(), String> {
    for format in [Format::Text, Format::OpenMetrics] {
        let read = |wanted: bool| exposition::read(text, format, Time(1_000), |_, _| wanted);
        match (read(true), read(false)) {
            (Ok(samples), Ok(_)) => {
                for sample in &samples {
                    let labels = &sample.labels;
                    let is_sound = !sample.name.is_empty()
                        && labels.windows(2).all(|pair| pair[0].0 < pair[1].0)
                        && labels.iter().all(|(_, value)| !value.is_empty());
                    ensure(is_sound, || format!("{sample:?}"))?;
                }
            }
            (Err(all), Err(none)) if all == none => ensure_sentence(&all.to_string())?,
            (all, none) => {
                return Err(format!("{format:?}: {all:?} where all is wanted, {none:?} where nothing is"));
            }
        }
    }
    Ok(())
}
