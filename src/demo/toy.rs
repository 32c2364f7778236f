//! How a version of the toy app behaves, told by the tag of its image: `toy:good`, `toy:errors=5%,latency=+30%`.
//!
//! The emulated platform reads it for what concerns pods (crashes, readiness); the units read it for what concerns
//! requests (errors, latency, memory).

use std::str::FromStr;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::words::Span;

/// The share of requests that fail where the tag says nothing about it.
pub const ERRORS: f64 = 0.01;

/// The median of the usual latency, in seconds.
const MEDIAN: f64 = 0.08;
/// The spread of the logarithm of the latency.
const SPREAD: f64 = 0.5;

/// How a version behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// The share of requests that fail, from 0 to 1; nothing: the usual share.
    pub errors: Option<f64>,
    /// What the usual latency is multiplied with; above 0.
    pub latency: f64,
    /// Memory that it never gives back, in bytes a second.
    pub leak: f64,
    /// How long after its start its process exits; nothing: never.
    pub crash_after: Option<Span>,
    /// How long after its start it becomes ready; nothing: as long as the platform's units take.
    pub ready_after: Option<Span>,
    /// It never becomes ready.
    pub unready: bool,
}

impl Default for Behaviour {
    /// As `toy:good`.
    fn default() -> Self {
        Self { errors: None, latency: 1.0, leak: 0.0, crash_after: None, ready_after: None, unready: false }
    }
}

/// What a leak without a number loses in a second: 1 MiB.
const LEAK: f64 = 1_048_576.0;

impl Behaviour {
    /// Reads the behaviour from an image name such as `registry.example.com/toy:errors=5%`.
    ///
    /// # Errors
    /// The image is not of the toy app, or its tag has a part that means nothing.
    pub fn of_image(image: &str) -> Result<Self, String> {
        let name = image.rsplit('/').next().unwrap_or(image);
        match name.split_once(':') {
            Some(("toy", tag)) => tag.parse(),
            None if name == "toy" => Ok(Self::default()),
            _ => {
                Err(format!("`{image}` is not an image of the toy app; write `toy:good` or `toy:errors=5%`"))
            }
        }
    }
}

/// How one request went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// It failed.
    pub failed: bool,
    /// How long it took.
    pub seconds: f64,
}

impl Behaviour {
    /// One request, with the share of failures and the latency multiplied by what befalls all versions; 1 is as usual.
    pub fn request(&self, rng: &mut impl Rng, (errors, latency): (f64, f64)) -> Request {
        let failed = rng.random::<f64>() < self.errors.unwrap_or(ERRORS) * errors;
        let deviation: f64 = StandardNormal.sample(rng);
        Request { failed, seconds: MEDIAN * (SPREAD * deviation).exp() * self.latency * latency }
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(tag: &str) -> Result<Self, Self::Err> {
        let mut behaviour = Self::default();
        for part in tag.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let wrong = || {
                format!(
                    "the tag `{tag}` has the part `{part}`, which means nothing; known are `good`, `errors=5%`, \
                     `latency=+30%`, `leak`, `leak=4MiB`, `crash-after=20s`, `ready-after=10s` and `unready`"
                )
            };
            match (name, value) {
                ("good" | "latest", "") => {}
                ("leak", "") => behaviour.leak = LEAK,
                ("unready", "") => behaviour.unready = true,
                ("errors", value) => {
                    let share = percent(value).filter(|s| (0.0..=1.0).contains(s)).ok_or_else(wrong)?;
                    behaviour.errors = Some(share);
                }
                ("latency", value) => {
                    let change = percent(value).filter(|c| (-0.99..=1000.0).contains(c)).ok_or_else(wrong)?;
                    behaviour.latency = 1.0 + change;
                }
                ("leak", value) => {
                    let mebibytes = value.strip_suffix("MiB").and_then(|n| n.parse::<f64>().ok());
                    let rate = mebibytes.filter(|n| (0.0..=65_536.0).contains(n)).ok_or_else(wrong)?;
                    behaviour.leak = rate * LEAK;
                }
                ("crash-after", value) => behaviour.crash_after = Some(value.parse().map_err(|_| wrong())?),
                ("ready-after", value) => behaviour.ready_after = Some(value.parse().map_err(|_| wrong())?),
                _ => return Err(wrong()),
            }
        }
        Ok(behaviour)
    }
}

/// `5%`, `+30%` or `-10%` as 0.05, 0.3 and -0.1.
fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.parse().ok()?;
    number.is_finite().then_some(number / 100.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_tag_tells_the_behaviour() {
        assert_eq!(Behaviour::of_image("toy:good"), Ok(Behaviour::default()));
        assert_eq!(Behaviour::of_image("registry.example.com:5000/x/toy"), Ok(Behaviour::default()));
        let both = Behaviour::of_image("r/toy:errors=5%,latency=+30%").expect("both parts are known");
        assert_eq!((both.errors, both.latency), (Some(0.05), 1.3));
        let slow = Behaviour::of_image("toy:crash-after=20s,leak=2MiB").expect("both parts are known");
        assert_eq!((slow.crash_after, slow.leak), (Some(Span::seconds(20)), 2.0 * LEAK));
    }

    #[test]
    fn requests_are_as_the_tag_says() {
        let mut rng = StdRng::seed_from_u64(1);
        let behaviour = Behaviour::of_image("toy:errors=20%,latency=+50%").expect("both parts are known");
        let requests: Vec<Request> = (0..10_000).map(|_| behaviour.request(&mut rng, (2.0, 1.0))).collect();
        let failed = requests.iter().filter(|r| r.failed).count();
        assert!((3800..4200).contains(&failed), "{failed}");
        let slower = requests.iter().filter(|r| r.seconds > 0.12).count();
        assert!((4800..5200).contains(&slower), "the median is 80 ms and half as much again: {slower}");
    }

    #[test]
    fn a_tag_that_means_nothing_is_refused() {
        for image in [
            "",
            "nginx:1.27",
            "toy:",
            "toy:errors",
            "toy:errors=5",
            "toy:errors=101%",
            "toy:errors=NaN%",
            "toy:latency=-100%",
            "toy:latency=inf%",
            "toy:leak=-1MiB",
            "toy:crash-after=soon",
            "toy:good,",
            "toy:good=1",
        ] {
            assert!(Behaviour::of_image(image).is_err(), "{image}");
        }
    }
}
