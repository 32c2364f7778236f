//! The noise that a signal is judged by, as it was learnt: for people, who want to know how much it slows the judge down.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::explain::times;
use crate::stats::gauge::NoiseSummary;

/// What is known of a signal's noise at a look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Of counts: of a ratio, a rate, or of requests slower than a bound.
    Counts {
        /// Variance over mean from clusters of events; 1 for independent ones.
        phi: f64,
        /// The squared coefficient of variation of an arm's rate from look to look; 0 for none.
        frailty: f64,
        /// Variance over what independent events would have, measured on neighbouring looks; nothing while it is not known.
        dispersion: Option<f64>,
        /// Whether that was measured before the rollout.
        before: bool,
        /// So many times longer than with independent events everything takes.
        slower: f64,
    },
    /// Of a gauge.
    Gauge(NoiseSummary),
}

/// Below this, slower is not worth telling.
const AS_QUICK: f64 = 1.05;

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counts { slower, dispersion: None, .. } => write!(
                f,
                "not measured yet; judged with care, {} times slower than if events were independent",
                times(*slower)
            ),
            Self::Counts { slower, .. } if *slower < AS_QUICK => {
                f.write_str("events are as good as independent; nothing is slowed down")
            }
            Self::Counts { phi, frailty, slower, .. } => {
                let clusters = (*phi > 1.0)
                    .then(|| format!("events come in clusters ({} times the variance)", times(*phi)));
                let wavers = (*frailty > 0.0)
                    .then(|| format!("the rate wavers by {:.0}% from look to look", 100.0 * frailty.sqrt()));
                let causes: Vec<String> = clusters.into_iter().chain(wavers).collect();
                write!(f, "{}; everything takes {} times as long", causes.join(", "), times(*slower))
            }
            Self::Gauge(noise) => gauge(noise, f),
        }
    }
}

fn gauge(noise: &NoiseSummary, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let percent = |part: f64| format!("{:.1}%", 100.0 * part);
    let NoiseSummary { units, samples, deviation, offset, correlation, inflation, by_ranks, .. } = *noise;
    let units = if units == 1 { "one series".to_owned() } else { format!("{units} units") };
    write!(f, "fitted on {samples} looks at {units}: they differ by {}", percent(deviation))?;
    if offset > 0.0 {
        write!(f, ", for good by {}", percent(offset))?;
    }
    write!(f, "; {:.0}% of it is still there at the next look", 100.0 * correlation)?;
    if inflation > 1.0 {
        write!(f, "; wilder than the model, so {} times the variance is reckoned with", times(inflation))?;
    }
    if by_ranks {
        f.write_str("; bursty, so ranks are compared")?;
    }
    Ok(())
}
