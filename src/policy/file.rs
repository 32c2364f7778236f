//! The shape of a policy file: which keys there are and how their values are written.
//!
//! The comments on keys are what editors show, by way of the JSON Schema that is made from these types. What the
//! values mean together is checked in [`resolve`](super::resolve).

pub(in crate::policy) mod choice;
pub(in crate::policy) mod kayenta;
pub(in crate::policy) mod scalar;
pub(in crate::policy) mod strategy;
pub(in crate::policy) mod value;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::builtin::Builtin;
use super::{Autoscale, Direction, GaugeForm, Mode};
use crate::words::{Share, Span};
use choice::{Alarm, HoldThen, Split, Stop, Undecided};
use kayenta::{Judge, Kayenta, Metric};
use scalar::{Change, Count, Floor, Name, Port, Status, Text, UrlPath, Weight};
use strategy::Strategy;
use value::{At, Field, Given, List};

/// The most steps that a strategy may have.
pub(in crate::policy) const MOST_STEPS: usize = 20;
/// The most signals, health checks or alert rules that a policy may have.
pub(in crate::policy) const MOST_RULES: usize = 50;
/// The most names that a list may have.
pub(in crate::policy) const MOST_NAMES: usize = 200;

/// What Uguisu does when an app gets a new version: how traffic moves, what is watched, what follows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Uguisu policy")]
pub(in crate::policy) struct File {
    /// The policy's name, unique among all that are loaded.
    pub(in crate::policy) policy: Field<Name>,
    /// The apps that it is for.
    pub(in crate::policy) r#for: At<For>,
    /// How far it is trusted. Default: `act`.
    #[serde(default)]
    #[schemars(extend("default" = "act"))]
    pub(in crate::policy) mode: Given<Field<Mode>>,
    /// How traffic moves.
    pub(in crate::policy) strategy: Strategy,
    /// Processes without users' requests of their own that take part: their units follow the canary's share.
    #[serde(default)]
    #[schemars(length(max = MOST_NAMES))]
    pub(in crate::policy) workers: List<Field<Name>>,
    /// What is done about the platform's autoscalers of the processes that take part. Default: `refuse`.
    #[serde(default)]
    #[schemars(extend("default" = "refuse"))]
    pub(in crate::policy) autoscale: Given<Field<Autoscale>>,
    /// What every unit of the canary must answer at its own address before any user's request goes there.
    #[serde(default)]
    #[schemars(length(max = MOST_RULES))]
    pub(in crate::policy) smoke: List<Smoke>,
    /// How long the rollback stays armed after the canary got everything, against what was known of the baseline.
    /// Default: `0s`, which ends the rollout then.
    #[serde(default)]
    #[schemars(extend("default" = "0s"))]
    pub(in crate::policy) watch: Given<Field<Span>>,
    /// How long the old version's units are kept, without users, after the canary got everything: the instant way back.
    /// Default: `0s`.
    #[serde(default)]
    #[schemars(extend("default" = "0s"))]
    pub(in crate::policy) keep_for: Given<Field<Span>>,
    /// Whether a version that was rolled back is marked on the platform so that nobody rolls back to it. Default: `false`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::policy) quarantine: Given<Field<bool>>,
    /// How often the policy may be wrong.
    #[serde(default)]
    pub(in crate::policy) budget: Budget,
    /// The time between two looks at the signals, `1s` to `10m`. Default: `15s`.
    #[serde(default)]
    #[schemars(extend("default" = "15s"))]
    pub(in crate::policy) look_every: Given<Field<Span>>,
    /// What is left out, in both arms alike, after a version starts to get traffic. Default: `60s`.
    #[serde(default)]
    #[schemars(extend("default" = "60s"))]
    pub(in crate::policy) warm_up: Given<Field<Span>>,
    /// Who judges. Default: `sequential`.
    #[serde(default)]
    #[schemars(extend("default" = "sequential"))]
    pub(in crate::policy) judge: Given<Field<Judge>>,
    /// How Kayenta's judge is asked. Only with `judge: kayenta`.
    #[serde(default)]
    pub(in crate::policy) kayenta: Given<At<Kayenta>>,
    /// What is compared between the canary and the baseline.
    #[serde(default)]
    #[schemars(length(max = MOST_RULES))]
    pub(in crate::policy) signals: List<At<Signal>>,
    /// What every unit of the canary must answer.
    #[serde(default)]
    #[schemars(length(max = MOST_RULES))]
    pub(in crate::policy) health: List<Health>,
    /// What a firing alert does to a rollout of the app that it names.
    #[serde(default)]
    #[schemars(length(max = MOST_RULES))]
    pub(in crate::policy) alerts: List<Alert>,
    /// What follows from which outcome.
    #[serde(default)]
    pub(in crate::policy) on: On,
    /// The receivers, by their names in the daemon's configuration, that are told.
    #[serde(default)]
    #[schemars(length(max = MOST_NAMES))]
    pub(in crate::policy) notify: List<Field<Name>>,
}

/// The apps that a policy is for: those that match every list that is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct For {
    /// Names of apps; `*` stands for any characters, `?` for one.
    #[serde(default)]
    #[schemars(length(max = MOST_NAMES))]
    pub(in crate::policy) apps: List<Field<Text>>,
    /// Pools, likewise.
    #[serde(default)]
    #[schemars(length(max = MOST_NAMES))]
    pub(in crate::policy) pools: List<Field<Text>>,
    /// Teams that own the apps, likewise.
    #[serde(default)]
    #[schemars(length(max = MOST_NAMES))]
    pub(in crate::policy) teams: List<Field<Text>>,
}

/// How often the policy may be wrong.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Budget {
    /// The most often that a canary no worse than its baseline may be rolled back, over a whole rollout and however
    /// often it is looked at. Default: `1%`.
    #[serde(default)]
    #[schemars(extend("default" = "1%"))]
    pub(in crate::policy) false_rollback: Given<Field<Share>>,
    /// The most often that a canary worse than what must be proven may be promoted. Default: `5%`.
    #[serde(default)]
    #[schemars(extend("default" = "5%"))]
    pub(in crate::policy) false_promotion: Given<Field<Share>>,
}

/// One thing that is compared between the canary and the baseline: a built-in signal (`use`), or one of `ratio`,
/// `rate`, `latency` and `gauge`. With `use`, the kind's own key replaces what the built-in signal counts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("anyOf" = [
    {"required": ["use"]},
    {"required": ["name", "ratio"]},
    {"required": ["name", "rate"]},
    {"required": ["name", "latency"]},
    {"required": ["name", "gauge"]},
]))]
pub(in crate::policy) struct Signal {
    /// Its name, unique in the policy. A built-in signal has its own.
    #[serde(default)]
    pub(in crate::policy) name: Given<Field<Name>>,
    /// A signal from the built-in library.
    #[serde(default)]
    pub(in crate::policy) r#use: Given<Field<Builtin>>,
    /// Bad events among all events.
    #[serde(default)]
    pub(in crate::policy) ratio: Given<Ratio>,
    /// A counter of events of which more is worse: a metric with label matchers, without `rate`. Compared per unit.
    #[serde(default)]
    pub(in crate::policy) rate: Given<Field<Text>>,
    /// A histogram of how long requests take, in seconds: its name without `_bucket`, with label matchers.
    #[serde(default)]
    pub(in crate::policy) latency: Given<Field<Text>>,
    /// A PromQL query with `{{ app }}`, and `{{ version }}` or `{{ arm }}`, giving one series for each unit.
    #[serde(default)]
    pub(in crate::policy) gauge: Given<Field<Text>>,
    /// How much worse than the baseline still counts as good enough. Default: `+10%`; for gauges `+20%`.
    #[serde(default)]
    #[schemars(extend("examples" = ["+20%"]))]
    pub(in crate::policy) margin: Given<Field<Change>>,
    /// What must be shown before a step is done: less than this much worse. Default: less strict for small shares
    /// of traffic, `+50%` in the end; `+100%` for a blue-green canary, which only the past is compared with.
    #[serde(default)]
    #[schemars(extend("examples" = ["+50%"]))]
    pub(in crate::policy) prove_within: Given<Field<Change>>,
    /// Its part of the budget relative to the other signals. Default: `1`; for gauges `0.5`.
    #[serde(default)]
    pub(in crate::policy) weight: Given<Field<Weight>>,
    /// Whether its failure alone rolls back. Default: `false`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::policy) critical: Given<Field<bool>>,
    /// Whether a step may only be done when this signal is proven safe. Default: `true`; for gauges `false`.
    #[serde(default)]
    pub(in crate::policy) gates: Given<Field<bool>>,
    /// An absolute limit, in addition to the comparison: on the share of bad events (`ratio`), or of slow requests
    /// (`latency` with `over`).
    #[serde(default)]
    #[schemars(extend("examples" = ["2%"]))]
    pub(in crate::policy) limit: Given<Field<Share>>,
    /// Below which nobody is harmed, whatever the comparison says. For `ratio`: a share of bad events, by default
    /// `0.05%`. For `rate`: so many events of a unit in a time, as `2/h`; for `gauge`: a value, as `50`; without it there is
    /// no such number.
    #[serde(default)]
    #[schemars(extend("examples" = ["0.05%", "2/h", 50]))]
    pub(in crate::policy) floor: Given<Field<Floor>>,
    /// For `ratio`: bad canary events without which there is no rollback. Default: `5`.
    #[serde(default)]
    pub(in crate::policy) min_events: Given<Field<Count>>,
    /// For `latency`: compare only the share of requests slower than this. Without it the whole distribution is.
    #[serde(default)]
    #[schemars(extend("examples" = ["300ms"]))]
    pub(in crate::policy) over: Given<Field<Span>>,
    /// For `gauge`: which way is worse. Default: `up`.
    #[serde(default)]
    pub(in crate::policy) worse: Given<Field<Direction>>,
    /// For `gauge`: what the margin means. Default: `strict`.
    #[serde(default)]
    pub(in crate::policy) form: Given<Field<GaugeForm>>,
    /// How Kayenta's judge treats it. Only with `judge: kayenta`.
    #[serde(default)]
    pub(in crate::policy) kayenta: Given<At<Metric>>,
}

/// Bad events among all events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Ratio {
    /// The counter of bad events: a metric with label matchers, without `rate`.
    #[serde(default)]
    #[schemars(extend("examples" = ["http_requests_total{code=~\"5..\"}"]))]
    pub(in crate::policy) events: Given<Field<Text>>,
    /// The counter of all events, good and bad.
    #[serde(default)]
    #[schemars(extend("examples" = ["http_requests_total"]))]
    pub(in crate::policy) total: Given<Field<Text>>,
}

/// What every unit of the canary must answer with a 2xx status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Health {
    /// The path that is asked for at each unit's own address.
    #[schemars(extend("examples" = ["/healthz"]))]
    pub(in crate::policy) http: Field<UrlPath>,
    /// The port. Default: the platform's port for the process.
    #[serde(default)]
    pub(in crate::policy) port: Given<Field<Port>>,
    /// The time between two checks of a unit. Default: `5s`.
    #[serde(default)]
    #[schemars(extend("default" = "5s"))]
    pub(in crate::policy) every: Given<Field<Span>>,
    /// How long an answer may take. Default: `2s`, or `every` if that is shorter.
    #[serde(default)]
    #[schemars(extend("default" = "2s"))]
    pub(in crate::policy) timeout: Given<Field<Span>>,
    /// How many failures of one unit in a row make the canary fail. Default: `3`.
    #[serde(default)]
    #[schemars(extend("default" = 3))]
    pub(in crate::policy) fail_after: Given<Field<Count>>,
}

/// What every unit of the canary must answer before any user's request goes there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Smoke {
    /// The path that is asked for at each unit's own address.
    #[schemars(extend("examples" = ["/healthz"]))]
    pub(in crate::policy) http: Field<UrlPath>,
    /// The port. Default: the platform's port for the process.
    #[serde(default)]
    pub(in crate::policy) port: Given<Field<Port>>,
    /// The status that must come back. Default: any from 200 to 399.
    #[serde(default)]
    pub(in crate::policy) status: Given<Field<Status>>,
    /// What the answer's text must hold.
    #[serde(default)]
    pub(in crate::policy) contains: Given<Field<Text>>,
    /// How long an answer may take. Default: `5s`.
    #[serde(default)]
    #[schemars(extend("default" = "5s"))]
    pub(in crate::policy) timeout: Given<Field<Span>>,
}

/// What a firing alert does to a rollout of the app that it names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct Alert {
    /// Labels that the alert must carry, with their values; `*` stands for any characters, `?` for one. The first
    /// entry of `alerts` that matches counts.
    #[serde(default)]
    #[schemars(extend("examples" = [{"severity": "page"}]))]
    #[schemars(extend("maxProperties" = MOST_NAMES))]
    pub(in crate::policy) r#match: BTreeMap<String, Field<Text>>,
    /// What follows.
    pub(in crate::policy) r#do: Field<Alarm>,
}

/// What follows from which outcome.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::policy) struct On {
    /// Evidence of harm beyond the budget. Default: `rollback`.
    #[serde(default)]
    #[schemars(extend("default" = "rollback"))]
    pub(in crate::policy) fail: Given<Field<Stop>>,
    /// Neither harm nor safety shown at the longest bake. Default: `pause`.
    #[serde(default)]
    #[schemars(extend("default" = "pause"))]
    pub(in crate::policy) inconclusive: Given<Field<Undecided>>,
    /// The canary is silent while the baseline speaks. Default: `hold 5m then rollback`.
    #[serde(default)]
    #[schemars(extend("default" = "hold 5m then rollback"))]
    pub(in crate::policy) no_data: Given<Field<HoldThen>>,
    /// Both arms are silent, or the source errs. Default: `hold 15m then pause`.
    #[serde(default)]
    #[schemars(extend("default" = "hold 15m then pause"))]
    pub(in crate::policy) source_down: Given<Field<HoldThen>>,
    /// The traffic's split is not what the step asked for. Default: `ignore`, which reports it.
    #[serde(default)]
    #[schemars(extend("default" = "ignore"))]
    pub(in crate::policy) wrong_split: Given<Field<Split>>,
}
