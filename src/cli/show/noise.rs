//! What a rollout's signals were known to be like before and by its last look: how noisy, learnt from what, when.

use std::io::{self, Write};

use serde::Serialize;

use super::super::print::{moment, plain};
use super::Line;
use crate::judge::{Level, Look, Noise, Verdict, past};
use crate::policy::Policy;
use crate::rollout::Event;
use crate::store::Quiet;
use crate::words::{AppName, Time};

/// What is known of each signal's noise.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Learnt {
    signals: Vec<Signal>,
}

/// One signal.
#[derive(Debug, Clone, Serialize)]
struct Signal {
    #[serde(rename = "signal")]
    name: String,
    /// The times of the first and the last look before the rollout that told of it; nothing where none did.
    from: Option<Time>,
    until: Option<Time>,
    /// How many such looks there were.
    looks: usize,
    /// The noise that the last look was judged by; nothing where it was not judged, or an older program wrote it.
    noise: Option<Noise>,
    /// All of it in words.
    said: String,
}

impl Learnt {
    /// From the journal: what the rollout opened with, the looks before it, its last verdict.
    pub(super) fn of(policy: Option<&Policy>, learnt: &[Line], last: Option<&Verdict>) -> Self {
        let Some(policy) = policy else { return Self::default() };
        let look = |line: &Line| match line.event() {
            Some(Event::Learnt { look }) => Some(look.clone()),
            _ => None,
        };
        let looks: Vec<Look> = learnt.iter().filter_map(look).collect();
        let signals = policy.signals.iter().zip(past(policy, &looks)).map(|(signal, past)| {
            let noise = last.and_then(|verdict| verdict.signals.get(&signal.name)).and_then(|s| s.noise);
            let (from, until) = past.as_ref().map_or((None, None), |past| {
                (Some(Time::from_seconds(past.from)), Some(Time::from_seconds(past.until)))
            });
            let looks = past.map_or(0, |past| past.looks);
            let before = match (from, until) {
                (Some(from), Some(until)) => {
                    format!("{looks} looks before the rollout, {} to {}", moment(from), moment(until))
                }
                _ => "no look before the rollout told of it".to_owned(),
            };
            let said = match noise {
                Some(noise) => format!("{before}; {noise}"),
                None => before,
            };
            Signal { name: signal.name.clone(), from, until, looks, noise, said }
        });
        Self { signals: signals.collect() }
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        if self.signals.is_empty() {
            return Ok(());
        }
        let heading = super::page::HEADING;
        writeln!(out, "\n{heading}Noise{heading:#}, as the last look was judged by it")?;
        self.signals
            .iter()
            .try_for_each(|signal| writeln!(out, "{}: {}", plain(&signal.name), plain(&signal.said)))
    }
}

/// What is known of an app that had no rollout yet.
pub(super) fn quiet(app: &AppName, quiet: &Quiet, out: &mut impl Write) -> io::Result<()> {
    let heading = super::page::HEADING;
    writeln!(out, "{heading}{}{heading:#}: no rollout yet", plain(&app.0))?;
    let Ok(policy) = serde_json::from_str::<Policy>(&quiet.policy) else {
        return writeln!(out, "what was seen of {} cannot be read: a newer program wrote it", quiet.version);
    };
    let looks: Vec<Look> =
        quiet.looks.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect();
    writeln!(
        out,
        "\n{heading}Noise{heading:#} of {}, learnt while nothing was rolled out, under policy {} (all times are UTC)",
        quiet.version,
        plain(&policy.name)
    )?;
    for (signal, past) in policy.signals.iter().zip(past(&policy, &looks)) {
        let Some(past) = past else {
            writeln!(out, "{}: no look told of it", plain(&signal.name))?;
            continue;
        };
        let noise = match &past.level {
            // As it is judged where both versions have half of the traffic.
            Level::Counts(counts) => counts
                .noise(0.5, policy.look_every.as_seconds())
                .map_or_else(|| "too few to know the noise".to_owned(), |noise| noise.to_string()),
            Level::Gauge(gauge) => match gauge.forecast(1, gauge.units) {
                Ok(forecast) => Noise::Gauge(forecast.fit().summary()).to_string(),
                Err(why) => why.to_string(),
            },
        };
        let [from, until] = [past.from, past.until].map(|at| moment(Time::from_seconds(at)));
        writeln!(out, "{}: {} looks, {from} to {until}; {noise}", plain(&signal.name), past.looks)?;
    }
    Ok(())
}
