//! How strategies are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::MOST_STEPS;
use super::choice::End;
use super::scalar::Name;
use super::value::{Field, Given, List};
use crate::policy::Capacity;
use crate::words::{Share, Span};

/// How traffic moves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::policy) enum Strategy {
    /// In steps, each with a larger share of the traffic than the one before.
    Canary(Canary),
    /// All at once, to a full set of units that stands ready, with the old one kept warm for a while.
    BlueGreen(BlueGreen),
    /// In batches: units of the canary take the place of the baseline's.
    Rolling(Rolling),
    /// Not at all in the end: both versions go on serving side by side, watched, until a person or a time ends it.
    MultiVersion(MultiVersion),
}

/// The canary strategy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Canary {
    /// The share of each step, growing, above 0% and below 100%. After the last one the canary gets everything.
    #[schemars(length(min = 1, max = MOST_STEPS))]
    pub(in crate::policy) steps: List<Field<Share>>,
    /// How long each step lasts.
    #[serde(default)]
    pub(in crate::policy) bake: Bake,
    /// The steps, by their share, after which a person must agree before the next.
    #[serde(default)]
    #[schemars(length(max = MOST_STEPS))]
    pub(in crate::policy) approve: List<Field<Share>>,
    /// The process whose units are scaled. Default: `web`.
    #[serde(default)]
    #[schemars(extend("default" = "web"))]
    pub(in crate::policy) process: Given<Field<Name>>,
    /// How room is made for the canary's units. Default: `surge`.
    #[serde(default)]
    #[schemars(extend("default" = "surge"))]
    pub(in crate::policy) capacity: Given<Field<Capacity>>,
}

/// The blue-green strategy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct BlueGreen {
    /// How long the canary serves alone, with the baseline kept warm, before the baseline is taken away.
    #[serde(default)]
    pub(in crate::policy) bake: Bake,
    /// Whether a person must agree before the switch. Default: `false`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::policy) approve: Given<Field<bool>>,
    /// The process whose units are scaled. Default: `web`.
    #[serde(default)]
    #[schemars(extend("default" = "web"))]
    pub(in crate::policy) process: Given<Field<Name>>,
}

/// The rolling strategy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Rolling {
    /// The part of the units that is replaced at a time. Default: `25%`.
    #[serde(default)]
    #[schemars(extend("default" = "25%"))]
    pub(in crate::policy) batch: Given<Field<Share>>,
    /// How long each batch lasts.
    #[serde(default)]
    pub(in crate::policy) bake: Bake,
    /// The process whose units are scaled. Default: `web`.
    #[serde(default)]
    #[schemars(extend("default" = "web"))]
    pub(in crate::policy) process: Given<Field<Name>>,
    /// Whether the platform rolls by itself, as in a plain deploy. Uguisu then watches for the longest bake afterwards, and
    /// takes a bad version back; it cannot slow a native rolling update or stop it. Default: `false`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::policy) native: Given<Field<bool>>,
}

/// The multi-version strategy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct MultiVersion {
    /// The canary's share of the traffic.
    pub(in crate::policy) share: Field<Share>,
    /// How long both serve. Default: until a person ends it.
    #[serde(default)]
    #[schemars(extend("examples" = ["7d"]))]
    pub(in crate::policy) r#for: Given<Field<Span>>,
    /// What follows then. Default: `keep`.
    #[serde(default)]
    #[schemars(extend("default" = "keep"))]
    pub(in crate::policy) then: Given<Field<End>>,
    /// The process whose units are scaled. Default: `web`.
    #[serde(default)]
    #[schemars(extend("default" = "web"))]
    pub(in crate::policy) process: Given<Field<Name>>,
    /// How room is made for the canary's units. Default: `surge`.
    #[serde(default)]
    #[schemars(extend("default" = "surge"))]
    pub(in crate::policy) capacity: Given<Field<Capacity>>,
}

/// How long a step lasts: at least `at_least`, then until it is shown that the canary is good enough, at most `at_most`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Bake {
    /// The shortest bake. Default: `5m`, or `at_most` if that is shorter.
    #[serde(default)]
    #[schemars(extend("default" = "5m"))]
    pub(in crate::policy) at_least: Given<Field<Span>>,
    /// The longest bake; what follows then is `on: inconclusive`. Default: `60m`, or `at_least` if that is longer.
    #[serde(default)]
    #[schemars(extend("default" = "60m"))]
    pub(in crate::policy) at_most: Given<Field<Span>>,
}
