//! How traffic moves from the baseline to the canary: the strategies.
//!
//! Who only needs to know how large a part of the traffic the canary has at each step, and for how long, asks
//! [`Strategy::shares`] and [`Strategy::bake`]; the plan in whole units is made from the strategy itself.

use serde::{Deserialize, Serialize};

use super::model::Reaction;
use crate::words::{Share, Span};

/// How traffic moves from the baseline to the canary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// In steps, each with a larger share than the one before.
    Canary(Canary),
    /// All at once, from a full set of units to another that stands ready.
    BlueGreen(BlueGreen),
    /// In batches, the sum of units staying what it was.
    Rolling(Rolling),
    /// Not at all in the end: both versions go on serving side by side.
    MultiVersion(MultiVersion),
}

/// The canary strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// The wished share of each step, growing, each above 0 and below 1.
    pub steps: Vec<Share>,
    /// How long each step lasts.
    pub bake: Bake,
    /// The steps (by their share) after which a person must agree before the next.
    pub approve: Vec<Share>,
    /// The process whose units are scaled; `web` unless the policy says otherwise.
    pub process: String,
    /// How room is made for the canary's units.
    pub capacity: Capacity,
}

/// The blue-green strategy: as many units of the canary as the baseline has, asked by smoke checks before any user is;
/// then every user at once, with the baseline kept warm while the canary bakes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlueGreen {
    /// How long the canary serves alone with the baseline kept warm.
    pub bake: Bake,
    /// A person must agree before the switch.
    pub approve: bool,
    /// The process whose units are scaled.
    pub process: String,
}

/// The rolling strategy: a batch of the baseline's units is replaced at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rolling {
    /// The part of the units that is replaced at a time; above 0.
    pub batch: Share,
    /// How long each batch lasts.
    pub bake: Bake,
    /// The process whose units are scaled.
    pub process: String,
    /// The platform rolls by itself (a plain deploy): it can only be watched, and taken back when it is over.
    pub native: bool,
}

/// The multi-version strategy: both serve, until a person or the policy ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiVersion {
    /// The wished share of the canary; above 0 and below 1.
    pub share: Share,
    /// How long it lasts; nothing: until a person ends it.
    pub lasts: Option<Span>,
    /// What follows when it is over: promote, roll back, or ignore, which leaves both serving.
    pub then: Reaction,
    /// The process whose units are scaled.
    pub process: String,
    /// How room is made for the canary's units.
    pub capacity: Capacity,
}

/// How long a step lasts: at least until the shortest bake is over, then until safety is shown, at most the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    /// The shortest bake.
    pub at_least: Span,
    /// The longest bake.
    pub at_most: Span,
}

/// How room is made for the canary's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// The baseline keeps all its units; canary units come on top.
    #[default]
    Surge,
    /// The sum stays about what it was: as the canary grows, the baseline shrinks, but never below half of what it was.
    Shift,
}

/// How long a coexistence without an end is planned for: evidence of harm is spread over this time.
const ENDLESS: Span = Span::minutes(30 * 24 * 60);

impl Strategy {
    /// Its name in policies.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Canary(_) => "canary",
            Self::BlueGreen(_) => "blue_green",
            Self::Rolling(_) => "rolling",
            Self::MultiVersion(_) => "multi_version",
        }
    }

    /// The process that serves users and whose units are scaled.
    #[must_use]
    pub fn process(&self) -> &str {
        match self {
            Self::Canary(Canary { process, .. })
            | Self::BlueGreen(BlueGreen { process, .. })
            | Self::Rolling(Rolling { process, .. })
            | Self::MultiVersion(MultiVersion { process, .. }) => process,
        }
    }

    /// Whether both versions are meant to go on serving side by side.
    #[must_use]
    pub fn coexists(&self) -> bool {
        matches!(self, Self::MultiVersion(_))
    }

    /// How long each step in which the canary serves lasts.
    #[must_use]
    pub fn bake(&self) -> Bake {
        match self {
            Self::Canary(Canary { bake, .. })
            | Self::BlueGreen(BlueGreen { bake, .. })
            | Self::Rolling(Rolling { bake, .. }) => *bake,
            Self::MultiVersion(MultiVersion { lasts, .. }) => {
                let lasts = lasts.unwrap_or(ENDLESS);
                Bake { at_least: lasts, at_most: lasts }
            }
        }
    }

    /// The canary's wished share in each step in which it serves, growing; never empty.
    #[must_use]
    pub fn shares(&self) -> Vec<Share> {
        match self {
            Self::Canary(canary) if canary.steps.is_empty() => vec![Share::ALL],
            Self::Canary(canary) => canary.steps.clone(),
            Self::BlueGreen(_) => vec![Share::ALL],
            Self::Rolling(rolling) if rolling.native => vec![Share::ALL],
            Self::Rolling(rolling) => batches(rolling.batch),
            Self::MultiVersion(both) => vec![both.share],
        }
    }
}

/// The share after each batch but the last one.
fn batches(batch: Share) -> Vec<Share> {
    // A batch of less than a hundredth is a unit at a time in any app that there is.
    let batch = batch.get().clamp(0.01, 1.0);
    let shares: Vec<Share> = (1..100)
        .map(|number| f64::from(number) * batch)
        .take_while(|share| *share < 1.0 - 1e-9)
        .filter_map(Share::new)
        .collect();
    if shares.is_empty() { vec![Share::ALL] } else { shares }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_to_just_below_the_whole() {
        let shares = |batch| batches(Share::new(batch).unwrap()).iter().map(|s| s.get()).collect::<Vec<_>>();
        assert_eq!(shares(0.25), [0.25, 0.5, 0.75]);
        assert_eq!(shares(0.4), [0.4, 0.8]);
        assert_eq!(shares(1.0), [1.0]);
        assert_eq!(shares(0.0).len(), 99);
    }
}
