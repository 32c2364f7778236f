//! What Prometheus answers, as it stands in its JSON.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::http::Answer;
use crate::words::Time;

/// How much of an answer that is not Prometheus' is shown.
const SHOWN: usize = 120;

/// One series with its raw points, or its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    /// In the order of their times.
    pub(super) points: Vec<(Time, f64)>,
}

#[derive(Deserialize)]
struct Body {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    warnings: Vec<String>,
    /// `VictoriaMetrics`' word for an answer that lacks what some of its nodes know.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    value: Option<(f64, String)>,
}

/// Reads an answer: its series, and what the server warns of.
pub(super) fn read(answer: &Answer) -> Result<(Vec<Series>, Vec<String>), String> {
    let Ok(body) = serde_json::from_slice::<Body>(&answer.body) else { return Err(foreign(answer)) };
    if body.status != "success" {
        return Err(format!("it refuses the query ({}): {}", body.error_type, body.error));
    }
    if body.is_partial {
        return Err("its answer is partial: some of its nodes did not answer".to_owned());
    }
    let Some(data) = body.data else { return Err(foreign(answer)) };
    if !matches!(data.result_type.as_str(), "matrix" | "vector") {
        return Err(format!("it answers with a {}, not with series", data.result_type));
    }
    let series = data.result.into_iter().map(Entry::series).collect::<Result<_, _>>()?;
    Ok((series, body.warnings))
}

impl Entry {
    fn series(self) -> Result<Series, String> {
        let mut points = Vec::with_capacity(self.values.len() + usize::from(self.value.is_some()));
        for (seconds, text) in self.values.into_iter().chain(self.value) {
            let value = text.parse().map_err(|_| format!("`{text}` stands where a value should be"))?;
            points.push((Time::from_seconds(seconds), value));
        }
        Ok(Series { labels: self.metric, points })
    }
}

/// What is said of an answer that Prometheus would not give.
fn foreign(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let start: String =
        text.trim().chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let status = answer.status;
    match status.as_u16() {
        401 | 403 => format!("it refuses the credentials ({status})"),
        _ if start.is_empty() => format!("it answers with {status} and nothing else"),
        _ if start.starts_with('<') => {
            format!("it answers with {status} and a web page; is this the address of a Prometheus?")
        }
        _ => format!("it answers with {status} and what Prometheus would not say: `{start}`"),
    }
}

/// Reads a body as if it came with a status of success: its series, or a reason.
///
/// # Errors
/// Where it gives neither.
pub(crate) fn check(body: &[u8]) -> Result<(), String> {
    let answer = Answer { status: reqwest::StatusCode::OK, content_type: None, body: body.to_vec() };
    match read(&answer) {
        Err(why) if why.is_empty() => Err("an answer is refused without a word".to_owned()),
        _ => Ok(()),
    }
}
