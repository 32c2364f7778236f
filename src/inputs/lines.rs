//! Lines through `uguisu judge`, by both judges.

use serde_json::Value;

use super::{ensure, looks};
use crate::cli::judge_lines;

/// Each line that went in was answered or refused; each that comes out is JSON whose numbers are numbers.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let given = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    for policy in [looks::sequential()?, looks::kayenta(false)?] {
        let (out, errors) = judge_lines(policy, bytes).map_err(|e| e.to_string())?;
        let mut answered = 0;
        for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            answered += 1;
            answer(&serde_json::from_slice(line).map_err(|e| e.to_string())?)?;
        }
        let errors = String::from_utf8_lossy(&errors);
        let mut refused: Vec<&str> =
            errors.lines().filter_map(|line| line.split_once(": refused: ")).map(|(line, _)| line).collect();
        // Each reason has a line of its own.
        refused.dedup();
        let refused = refused.len();
        ensure(answered + refused == given, || {
            format!("{given} lines in, {answered} answered, {refused} refused")
        })?;
    }
    Ok(())
}

fn answer(answer: &Value) -> Result<(), String> {
    let signals = answer["signals"].as_object().into_iter().flat_map(|signals| signals.values());
    let numbers = signals.clone().flat_map(|signal| [&signal["log_e_harm"], &signal["log_e_safe"]]).chain([
        &answer["at"],
        &answer["score"][0],
        &answer["score"][1],
    ]);
    for number in numbers {
        ensure(number.is_f64(), || format!("a number that is none: {answer}"))?;
    }
    let score = |end: usize| answer["score"][end].as_f64().unwrap_or(-1.0);
    ensure((0.0..=score(1)).contains(&score(0)) && score(1) <= 100.0, || format!("no score: {answer}"))?;
    for why in signals.map(|signal| &signal["why"]).chain([&answer["why"]]) {
        let why = why.as_str().unwrap_or_default();
        ensure(looks::is_told(why), || format!("no words for a person: {why:?}"))?;
    }
    Ok(())
}
