//! One question to one unit.

use std::fmt;

use futures_util::StreamExt as _;
use reqwest::Client;

use super::super::http;
use super::smoke::{SmokeFault, SmokeProbe};
use crate::policy::HealthCheck;
use crate::rollout::Unit;
use crate::words::Span;

/// The most bytes of a page that are searched for what a smoke check wants.
const LONGEST_PAGE: usize = 1024 * 1024;

/// How many units are asked at the same time.
const AT_ONCE: usize = 32;

/// A question to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The unit's name.
    pub unit: String,
    /// Which of the policy's checks it is.
    pub(super) check: usize,
    /// What is asked for.
    pub url: String,
    /// How long an answer may take.
    pub within: Span,
}

/// What a unit said to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A status of 200 to 399.
    Good,
    /// Another status.
    Status(u16),
    /// Nothing that is HTTP; why.
    Unreachable(String),
}

impl Probe {
    /// A check of a unit; nothing while the unit has no address.
    pub(super) fn new(unit: &Unit, number: usize, check: &HealthCheck) -> Option<Self> {
        let address = unit.address.as_deref()?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let address = check.port.map_or_else(|| address.to_owned(), |port| format!("{host}:{port}"));
        let url = format!("http://{address}{path}", path = check.path);
        Some(Self { unit: unit.name.clone(), check: number, url, within: check.timeout })
    }
}

impl Answer {
    /// Whether the same thing may be behind both: not being reachable, or an error of the server. That a unit has no such
    /// page, or asks for credentials, is its own affair.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unreachable(_), Self::Unreachable(_)) => true,
            (Self::Status(one), Self::Status(another)) => *one >= 500 && *another >= 500,
            _ => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("it is well"),
            Self::Status(status) => write!(f, "it answers with {status}"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

/// Asks units.
#[derive(Debug, Clone)]
pub struct Prober {
    client: Client,
}

impl Prober {
    /// A prober that follows no redirect and uses no proxy.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new() -> Result<Self, String> {
        let client = http::unit_client()?;
        Ok(Self { client })
    }

    /// Sends all probes and waits for all answers.
    pub async fn ask(&self, probes: Vec<Probe>) -> Vec<(Probe, Answer)> {
        let asking: Vec<_> = probes.into_iter().map(|probe| self.ask_one(probe)).collect();
        futures_util::stream::iter(asking).buffered(AT_ONCE).collect().await
    }

    /// Sends all smoke probes and waits for all answers.
    pub async fn smoke(&self, probes: Vec<SmokeProbe>) -> Vec<(SmokeProbe, Result<(), SmokeFault>)> {
        let asking: Vec<_> = probes.into_iter().map(|probe| self.smoke_one(probe)).collect();
        futures_util::stream::iter(asking).buffered(AT_ONCE).collect().await
    }

    async fn smoke_one(&self, probe: SmokeProbe) -> (SmokeProbe, Result<(), SmokeFault>) {
        let within = probe.check.timeout;
        let request = self.client.get(&probe.url).timeout(within.as_duration());
        let unreachable = |error| SmokeFault::Unreachable(http::explained(error, within));
        let answer = async {
            let mut response = request.send().await.map_err(unreachable)?;
            let (status, mut body) = (response.status().as_u16(), Vec::new());
            // Only as much of a page is read as a check may want.
            while probe.check.contains.is_some() && body.len() < LONGEST_PAGE {
                match response.chunk().await.map_err(unreachable)? {
                    Some(piece) => body.extend_from_slice(&piece),
                    None => break,
                }
            }
            probe.check.judge(status, &String::from_utf8_lossy(&body))
        };
        let answer = answer.await;
        (probe, answer)
    }

    async fn ask_one(&self, probe: Probe) -> (Probe, Answer) {
        let request = self.client.get(&probe.url).timeout(probe.within.as_duration());
        let answer = match request.send().await {
            Err(error) => Answer::Unreachable(http::explained(error, probe.within)),
            // The status says all; the rest of the answer is not read.
            Ok(response) => match response.status().as_u16() {
                200..400 => Answer::Good,
                status => Answer::Status(status),
            },
        };
        (probe, answer)
    }
}
