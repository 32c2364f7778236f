//! A policy after it has been read and checked: what the rest of the house works with.
//!
//! This is not the shape of the file (that is `policy::file`), but what the file means: every default filled in,
//! every name resolved, every number in its unit. It is what a rollout keeps a copy of.

use serde::{Deserialize, Serialize};

use super::Judging;
use super::strategy::Strategy;
use crate::words::{Share, Span};

/// One policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name, unique among the policies that are loaded.
    pub name: String,
    /// The apps that it is for.
    pub applies: Selector,
    /// How far it is trusted.
    pub mode: Mode,
    /// How traffic moves.
    pub strategy: Strategy,
    /// Processes without users' requests of their own that take part: their units follow the canary's share.
    #[serde(default)]
    pub workers: Vec<String>,
    /// What is done about autoscalers of the processes that take part.
    #[serde(default)]
    pub autoscale: Autoscale,
    /// What the canary must answer at its own address before any user's request goes there.
    #[serde(default)]
    pub smoke: Vec<SmokeCheck>,
    /// How long the rollback stays armed after the canary got everything.
    #[serde(default)]
    pub watch: Span,
    /// How long the old version's units are kept, without users, after the canary got everything: the instant way back.
    #[serde(default)]
    pub keep_for: Span,
    /// Whether a version that was rolled back is marked so that nobody rolls back to it.
    #[serde(default)]
    pub quarantine: bool,
    /// Who judges.
    #[serde(default)]
    pub judge: Judging,
    /// How often it may be wrong.
    pub budget: Budget,
    /// The time between two looks.
    pub look_every: Span,
    /// What is left out after a version starts to get traffic, in both arms alike.
    pub warm_up: Span,
    /// What is compared. Names are unique.
    pub signals: Vec<Signal>,
    /// What every canary unit must answer.
    pub health: Vec<HealthCheck>,
    /// What a firing alert does.
    pub alerts: Vec<AlertRule>,
    /// What follows from an outcome.
    pub on: Actions,
    /// The receivers (by name in the daemon's configuration) that are told.
    pub notify: Vec<String>,
}

impl Policy {
    /// Whether `process` is in the steps: the one that serves users, or one that follows it.
    #[must_use]
    pub fn takes_part(&self, process: &str) -> bool {
        process == self.strategy.process() || self.workers.iter().any(|worker| worker == process)
    }

    /// A policy with this name and strategy and every default: it selects no app and compares nothing, acts, may roll
    /// back 1 % of good canaries and promote 5 % of bad ones, looks every 15 s and leaves out no warm-up.
    #[must_use]
    pub fn new(name: &str, strategy: Strategy) -> Self {
        Self {
            name: name.to_owned(),
            applies: Selector::default(),
            mode: Mode::Act,
            strategy,
            workers: Vec::new(),
            autoscale: Autoscale::Refuse,
            smoke: Vec::new(),
            watch: Span::ZERO,
            keep_for: Span::ZERO,
            quarantine: false,
            judge: Judging::default(),
            budget: Budget::default(),
            look_every: Span::seconds(15),
            warm_up: Span::ZERO,
            signals: Vec::new(),
            health: Vec::new(),
            alerts: Vec::new(),
            on: Actions::default(),
            notify: Vec::new(),
        }
    }
}

/// The apps that a policy is for: those that match each list that is not empty. An empty selector matches none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selector {
    /// App names; `*` stands for any characters, `?` for one.
    pub apps: Vec<String>,
    /// Pools, likewise.
    pub pools: Vec<String>,
    /// Owning teams, likewise.
    pub teams: Vec<String>,
}

/// How far a policy is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Judge, journal, notify; touch nothing.
    Observe,
    /// Ask a person before every act that moves traffic.
    Advise,
    /// Act.
    #[default]
    Act,
}

/// How often the policy may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The most often that a canary no worse than its baseline may be rolled back, over a whole rollout (alpha).
    pub false_rollback: Share,
    /// The most often that a canary worse than what must be proven may be promoted (beta).
    pub false_promotion: Share,
}

impl Default for Budget {
    /// 1 % of good canaries rolled back, 5 % of bad ones promoted.
    fn default() -> Self {
        let share = |value| Share::new(value).unwrap_or(Share::NONE);
        Self { false_rollback: share(0.01), false_promotion: share(0.05) }
    }
}

/// One thing watched and compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its name, unique in the policy.
    pub name: String,
    /// What is measured.
    pub measure: Measure,
    /// How much worse than the baseline still counts as good enough: 0.2 is 20 % worse.
    pub margin: f64,
    /// What must be proven before a step is done, as a ratio to the baseline: 1.5 is "less than 50 % worse".
    /// Nothing: the ladder of the judge, which asks less of a small share.
    pub prove_within: Option<f64>,
    /// Its part of the budget relative to the other signals; above 0.
    pub weight: f64,
    /// Whether its failure alone rolls back.
    pub critical: bool,
    /// Whether a step may only be done when this signal is proven safe. Signals that do not gate still can fail.
    pub gates: bool,
}

/// What a signal measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Bad events among all: compared as a ratio of ratios.
    Ratio {
        /// The counter of bad events.
        events: Counter,
        /// The counter of all events.
        total: Counter,
        /// A share of bad events below which nobody is harmed, whatever the ratio.
        floor: f64,
        /// Bad canary events without which no rollback.
        min_events: u32,
        /// An absolute limit on the share of bad events, in addition to the comparison.
        limit: Option<Share>,
    },
    /// Events per unit and second (queue deliveries, restarts, log errors): compared as a ratio of rates.
    Rate {
        /// The counter of events; more of them is worse.
        events: Counter,
        /// So many per unit and second harm nobody, whatever the ratio; 0: there is no such number.
        #[serde(default)]
        floor: f64,
    },
    /// How long requests take, from a histogram.
    Latency {
        /// The histogram, by the name without `_bucket`.
        histogram: Counter,
        /// Compare only the share of requests slower than this, in seconds; nothing: the whole distribution.
        over: Option<f64>,
        /// An absolute limit on that share.
        limit: Option<Share>,
    },
    /// A value that goes up and down.
    Gauge {
        /// The query, with `{{ app }}`, `{{ version }}` and `{{ arm }}` to be filled in; one series a unit.
        query: String,
        /// Which way is worse.
        worse: Direction,
        /// What the margin means.
        form: GaugeForm,
        /// Values up to this harm nobody, whatever the ratio; nothing: there is no such value.
        #[serde(default)]
        floor: Option<f64>,
    },
}

/// A counter as the app exposes it: a PromQL instant-vector selector without app, version or unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counter(pub String);

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is worse.
    #[default]
    Up,
    /// Less is worse.
    Down,
}

/// What a gauge's margin means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GaugeForm {
    /// A canary truly less than the margin worse is rolled back with at most the budget.
    #[default]
    Strict,
    /// Finds leaks and small shifts; the budget covers only a canary that is not worse at all.
    Loose,
}

/// What every unit of the canary must answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The path asked for at each unit's own address, starting with `/`.
    pub path: String,
    /// The port; nothing: the platform's port for the process.
    pub port: Option<u16>,
    /// The time between two checks of a unit.
    pub every: Span,
    /// How long an answer may take.
    pub timeout: Span,
    /// How many failures of one unit in a row make the canary fail.
    pub fail_after: u32,
}

/// What every unit of the canary must answer before any user's request goes there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeCheck {
    /// The path asked for at each unit's own address, starting with `/`.
    pub path: String,
    /// The port; nothing: the platform's port for the process.
    pub port: Option<u16>,
    /// The status that must come back; nothing: any from 200 to 399.
    pub status: Option<u16>,
    /// What the answer must hold; nothing: anything.
    pub contains: Option<String>,
    /// How long an answer may take.
    pub timeout: Span,
}

/// What is done about autoscalers, which change the number of units while a rollout counts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autoscale {
    /// No rollout begins where there is one.
    #[default]
    Refuse,
    /// It stays in charge of the units, and is moved to the version that serves in the end. Where it is, the canary keeps
    /// the unit that the platform gave it.
    Swap,
    /// It is removed for the rollout and made again at its end, whatever the end.
    Suspend,
}

/// What a firing alert does to a rollout of the app that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Labels that the alert must carry, with their values; `*` and `?` as in selectors.
    pub matches: std::collections::BTreeMap<String, String>,
    /// What follows.
    pub action: Reaction,
}

/// What may follow from an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Go back to the baseline.
    Rollback,
    /// Stop here and ask a person.
    Pause,
    /// Go on as if it had been shown to be good.
    Promote,
    /// Report it, and go on.
    Ignore,
}

/// Wait, then do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How long to hold.
    pub hold: Span,
    /// What to do when that is over.
    pub then: Reaction,
}

/// What follows from which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// Evidence of harm beyond the budget: rollback or pause.
    pub fail: Reaction,
    /// Neither harm nor safety shown at the longest bake: pause, rollback or promote.
    pub inconclusive: Reaction,
    /// The canary is silent while the baseline speaks: rollback or pause after a hold.
    pub no_data: Hold,
    /// Both are silent, or the source errs: pause or rollback after a hold.
    pub source_down: Hold,
    /// The traffic's split is not what the step asked for: pause or ignore.
    pub wrong_split: Reaction,
}

impl Default for Actions {
    fn default() -> Self {
        Self {
            fail: Reaction::Rollback,
            inconclusive: Reaction::Pause,
            no_data: Hold { hold: Span::minutes(5), then: Reaction::Rollback },
            source_down: Hold { hold: Span::minutes(15), then: Reaction::Pause },
            wrong_split: Reaction::Ignore,
        }
    }
}
