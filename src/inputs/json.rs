//! Lines through `uguisu judge`, by both judges.

use serde_json::Value;

use super::{ensure, looks};
use crate::cli::judge_lines;

/// Each line that comes out is JSON whose numbers are numbers; each line that went in was answered or refused.
pub(super) fn lines(bytes: &[u8]) -> Result<(), String> {
    for policy in [looks::sequential()?, looks::kayenta(false)?] {
        let (out, errors) = judge_lines(&policy, bytes).map_err(|e| e.to_string())?;
        let given = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let mut answered = 0;
        for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            answered += 1;
            let answer: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
            let signals = answer["signals"].as_object().into_iter().flat_map(|signals| signals.values());
            let numbers = signals
                .flat_map(|signal| [&signal["log_e_harm"], &signal["log_e_safe"]])
                .chain([&answer["at"], &answer["score"][0], &answer["score"][1]]);
            for number in numbers {
                ensure(number.is_f64(), || format!("a number that is none: {answer}"))?;
            }
            for words in ["NaN", "inf "] {
                let why = answer["why"].as_str().unwrap_or_default();
                ensure(!why.contains(words), || format!("no words for a person: {why}"))?;
            }
        }
        let refused = String::from_utf8_lossy(&errors).lines().filter(|line| line.contains(": refused: ")).count();
        ensure(answered <= given && answered + refused >= given, || {
            format!("{given} lines in, {answered} answered, {refused} refused")
        })?;
    }
    Ok(())
}
