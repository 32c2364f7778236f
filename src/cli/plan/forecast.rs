//! The forecast itself: policy and traffic in, numbers out.

mod alone;
mod counts;
mod gauge;

use serde::Serialize;

use super::course::{Course, Leg};
use super::load::{Load, Told};
use super::print::{time, worse};
use super::simulate::Simulated;
use super::{Complaint, Promise};
use crate::judge::{Ask, asks};
use crate::policy::{Measure, Policy, Reaction, Signal, Strategy, rate_floor};
use crate::words::{Share, Span};
use alone::AloneSight;
use counts::CountSight;
use gauge::GaugeSight;

/// The regressions that are forecast, as ratios to the baseline.
pub(super) const REGRESSIONS: [f64; 6] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0];

/// The leaks of gauges that are forecast, as parts of the baseline's level an hour.
pub(super) const LEAKS: [f64; 4] = [0.2, 0.5, 1.0, 2.0];

/// What is proposed to be proven in place of what is too strict, as ratios.
pub(super) const WITHIN: [f64; 5] = [1.5, 2.0, 2.5, 3.0, 5.0];

/// Forecasts beyond this are of no use to anybody: a week.
const LONGEST: f64 = 7.0 * 86_400.0;

/// Why nothing can be forecast of a policy that Kayenta's judge judges.
const KAYENTA: &str = "Kayenta's judge keeps no budget, so neither its mistakes nor what it will find can be forecast; \
     `--simulate 1000` shows both for independent errors, which is the best case";

/// What a policy can see at this traffic.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Plan {
    pub(super) policy: String,
    /// How often a good canary may be rolled back, and one promoted that is as bad as what must be proven. Nothing where nothing is kept
    /// to: by Kayenta's judge; and where nothing must be proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) false_rollback: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) false_promotion: Option<Share>,
    /// Each step's shortest and longest bake, in seconds.
    pub(super) bake: [f64; 2],
    /// How it ends, where nothing is promoted because it is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ends: Option<String>,
    /// What whole units make impossible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) adjusted: Vec<String>,
    /// Empty where nothing can be forecast.
    pub(super) steps: Vec<Step>,
    /// What is left out of the first step, in seconds: the times count from its end.
    pub(super) warm_up: f64,
    /// What cannot be seen at any step, and what would help, in sentences.
    pub(super) notes: Vec<String>,
    /// Why nothing can be forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<&'static str>,
    /// What became of simulated rollouts, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) simulated: Option<Simulated>,
}

#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Step {
    pub(super) share: Share,
    /// Its shortest and longest bake, in seconds.
    pub(super) bake: [f64; 2],
    /// There is no baseline beside the canary: it is held against what was known before.
    pub(super) alone: bool,
    /// It is no step but the watch after the last one.
    pub(super) watch: bool,
    pub(super) signals: Vec<Forecast>,
    /// What the forecast rests on, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// One signal at one step. Times are in seconds, typical (the median of rollouts), counted from the step's beginning, or from the
/// end of the warm-up.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the signal at this step")]
pub(in crate::cli) struct Forecast {
    pub(super) signal: String,
    pub(super) critical: bool,
    pub(super) gates: bool,
    /// Whether the step waits until it is proven.
    pub(super) asked: bool,
    /// Whether its failure rolls back though no other signal shows harm.
    pub(super) alone: bool,
    pub(super) traffic: Told,
    /// How much worse still counts as good enough, as a ratio.
    pub(super) allowed: f64,
    /// How much worse passes for good where the canary serves alone, as a ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passes: Option<f64>,
    /// What must be proven at this step, as a ratio.
    pub(super) within: f64,
    /// The smallest regression that is noticed within the shortest and the longest bake; nothing: none is.
    pub(super) notices: [Option<f64>; 2],
    /// How long each regression lives.
    pub(super) detection: Vec<Detection>,
    /// How long a gauge that gets worse and worse from the beginning on lives; empty for others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) leaks: Vec<Leaking>,
    /// How long a canary as good as the baseline needs to be proven; nothing: longer than a week, or never.
    pub(super) proven: Option<f64>,
    /// What else cannot be seen at this step, and what would help, in sentences.
    pub(super) blind: Vec<String>,
    /// What cannot be seen at any step, likewise.
    #[serde(skip)]
    pub(super) never: Vec<String>,
    /// What of that breaks a promise of the policy.
    #[serde(skip)]
    pub(super) broken: Vec<Broken>,
}

/// A promise that cannot be kept at this traffic.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Broken {
    /// A good canary is not proven in the longest bake; what would help, in words.
    Unproven(String),
    /// Even a canary five times as bad is not noticed in the longest bake.
    Unseen,
    /// The baseline itself is beyond the limit.
    BeyondLimit(f64),
    /// The canary serves alone, and too little is known of the baseline to hold it against.
    Unknown,
}

impl Broken {
    /// Whether it is that a good canary cannot be proven.
    pub(super) fn is_unproven(&self) -> bool {
        matches!(self, Self::Unproven(_))
    }
}

/// How long a regression lives.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::cli) struct Detection {
    /// As a ratio to the baseline.
    pub(super) regression: f64,
    /// If it is there from the beginning; nothing: longer than a week, or never.
    pub(super) from_start: Option<f64>,
    /// If it begins later, from its onset.
    pub(super) late: Option<f64>,
}

/// How long a leak lives.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::cli) struct Leaking {
    /// How much worse the canary becomes in an hour, as a part of the baseline's level.
    pub(super) an_hour: f64,
    /// From where the leak begins; nothing: the whole rollout does not see it.
    pub(super) from_start: Option<f64>,
}

/// What can be seen of one signal at one step. Times are in seconds.
trait Sight {
    /// How long a regression lives; nothing where it is never seen.
    fn detection(&self, regression: f64, late: bool) -> Option<f64>;
    /// How long a canary as good as the baseline needs to be proven within `within`.
    fn proof(&self, within: f64) -> Option<f64>;
    /// The largest regression that there can be.
    fn most(&self) -> f64;
}

/// What a forecast rests on whose traffic was said and not read.
const HISTORY: &str = "Reckoned with an hour of history of this traffic, in which errors wander by 30% and latencies by 5%, as those \
                       of services do. Without it everything takes longer, often twice as long.";

/// Whether the noise of some counts was assumed, not read.
fn is_assumed(loads: &[Load]) -> bool {
    loads.iter().any(|load| matches!(load, Load::Counts(counts) if counts.assumed))
}

/// Forecasts every signal at every step of a policy.
pub(super) fn plan(policy: &Policy, course: &Course, loads: &[Load]) -> Plan {
    let asks = asks(policy);
    let step = |leg: &Leg| Step {
        share: leg.share,
        bake: [leg.bake.at_least.as_seconds(), leg.bake.at_most.as_seconds()],
        alone: leg.is_alone(),
        watch: leg.is_watch,
        notes: if leg.is_alone() { rests_on(leg, loads) } else { Vec::new() },
        signals: policy
            .signals
            .iter()
            .zip(&asks)
            .zip(loads)
            .map(|((signal, ask), load)| Case { policy, signal, ask, load, course, leg }.forecast())
            .collect(),
    };
    let unknown = policy.judge.kayenta().map(|_| KAYENTA);
    let steps: Vec<Step> =
        if unknown.is_some() { Vec::new() } else { course.legs.iter().map(step).collect() };
    let ends = ends(policy);
    let proves = ends.is_none() && steps.iter().flat_map(|step| &step.signals).any(|signal| signal.asked);
    let notes = steps.first().map_or(&[][..], |step| &step.signals).iter().flat_map(|forecast| {
        forecast.never.iter().map(|never| format!("{}: {never}", forecast.signal)).collect::<Vec<_>>()
    });
    let assumed = unknown.is_none() && is_assumed(loads);
    Plan {
        policy: policy.name.clone(),
        false_rollback: unknown.is_none().then_some(policy.budget.false_rollback),
        false_promotion: proves.then_some(policy.budget.false_promotion),
        bake: [course.bake.at_least.as_seconds(), course.bake.at_most.as_seconds()],
        ends,
        adjusted: course.adjusted.clone(),
        warm_up: course.legs.first().map_or(0.0, |leg| leg.warm_up.as_seconds()),
        notes: notes
            .chain(if assumed { taken(policy, loads) } else { Vec::new() })
            .chain(assumed.then(|| HISTORY.to_owned()))
            .collect(),
        steps,
        unknown,
        simulated: None,
    }
}

/// What is taken to be so of signals whose traffic was said with flags that are the same for all.
fn taken(policy: &Policy, loads: &[Load]) -> Vec<String> {
    let mut requests: Option<&str> = None;
    let mut notes = Vec::new();
    for (signal, load) in policy.signals.iter().zip(loads) {
        let Load::Counts(counts) = load else { continue };
        if !counts.assumed {
            continue;
        }
        let name = &signal.name;
        match &signal.measure {
            Measure::Ratio { total, .. } if *requests.get_or_insert(&total.0) != total.0 => notes.push(format!(
                "{name}: reckoned as if there were as many of `{}` as requests, and as many of them bad; `--app` reads how many there are",
                total.0
            )),
            Measure::Rate { floor, .. } if *floor > 0.0 => notes.push(format!(
                "{name}: reckoned as if all units were one, so its floor of {} is nearer than it is; `--app` reads how many there are",
                rate_floor(*floor)
            )),
            Measure::Latency { over: None, .. } if counts.base < SELDOM_SLOW => notes.push(format!(
                "{name}: harm is sought in all of it, and proof asked where about a tenth of requests are slower, not where {} are; a canary whose slowest requests alone are slower may be proven: `over` asks for proof there",
                Share::new(counts.base).unwrap_or(Share::NONE)
            )),
            Measure::Ratio { .. } | Measure::Rate { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => {}
        }
    }
    notes
}

/// Below this share of slow requests, the tail is another one than what a latency without `over` is proven at.
const SELDOM_SLOW: f64 = 0.05;

/// How a coexistence ends: not by proof.
fn ends(policy: &Policy) -> Option<String> {
    let Strategy::MultiVersion(both) = &policy.strategy else { return None };
    let end = match (both.lasts, both.then) {
        (None, _) => "until a person ends it (reckoned for 30 days)".to_owned(),
        (Some(lasts), Reaction::Promote) => {
            format!("for {lasts}, and then the canary gets everything unless it is shown to do harm")
        }
        (Some(lasts), Reaction::Rollback) => format!("for {lasts}, and then the canary is removed"),
        (Some(lasts), Reaction::Ignore | Reaction::Pause) => {
            format!("for {lasts}, and then both are left serving, unwatched")
        }
    };
    Some(format!("Nothing is promoted by proof here: both versions serve {end}. Harm ends it at any time."))
}

/// What the forecast of a canary alone rests on.
fn rests_on(leg: &Leg, loads: &[Load]) -> Vec<String> {
    let mut notes = vec![
        "nothing compares side by side: the canary is held against the baseline as it was, and what hits the app whatever its \
         version looks like the canary's fault"
            .to_owned(),
    ];
    if is_assumed(loads) {
        notes.push(format!(
            "reckoned with an hour of history of this traffic, in which requests wander by 15% and errors by 30%, as those of services \
             do; without history {}; `--app` reads what is known",
            if leg.is_watch { "only the steps before tell what the baseline was like" } else { "nothing is held against it" }
        ));
    }
    notes
}

/// One signal at one step.
struct Case<'a> {
    policy: &'a Policy,
    signal: &'a Signal,
    ask: &'a Ask,
    load: &'a Load,
    course: &'a Course,
    leg: &'a Leg,
}

impl Case<'_> {
    fn forecast(&self) -> Forecast {
        let within = self.ask.within.get(self.leg.index).copied().unwrap_or(self.ask.allowed);
        let look = self.policy.look_every.as_seconds().max(1e-3);
        let mut forecast = Forecast {
            signal: self.signal.name.clone(),
            critical: self.signal.critical,
            gates: self.signal.gates,
            asked: self.signal.gates && !self.leg.is_watch && !self.policy.strategy.coexists(),
            alone: self.ask.alone,
            traffic: Told::of(self.load, self.leg.share.get(), look),
            allowed: self.ask.allowed,
            passes: None,
            within,
            notices: [None; 2],
            detection: Vec::new(),
            leaks: Vec::new(),
            proven: None,
            blind: Vec::new(),
            never: Vec::new(),
            broken: Vec::new(),
        };
        match self.load {
            Load::Unknown(why) => forecast.never.push((*why).to_owned()),
            _ if self.leg.is_alone() => self.forecast_alone(&mut forecast),
            Load::Counts(counts) => {
                let sight = CountSight::new(self.policy, self.signal, self.ask, counts, self.leg);
                self.look(&sight, &mut forecast);
                forecast.never.extend(sight.hidden());
                let help = |longest: Span| sight.help(within, self.told_in(longest));
                self.judge(&mut forecast, help);
                if let Some(limit) = sight.limit().filter(|limit| counts.base >= *limit) {
                    forecast.broken.retain(|broken| !broken.is_unproven());
                    forecast.broken.insert(0, Broken::BeyondLimit(limit));
                }
            }
            Load::Gauge(past) => match GaugeSight::new(self.policy, self.ask, past, self.course, self.leg) {
                Ok(sight) => {
                    self.look(&sight, &mut forecast);
                    let leak = |an_hour| Leaking {
                        an_hour,
                        from_start: sight.leak(an_hour).and_then(|s| self.at_look(s)),
                    };
                    forecast.leaks = LEAKS.map(leak).to_vec();
                    self.judge(&mut forecast, |_| String::new());
                }
                Err(why) => forecast.never.push(format!("{why}; without it nothing is rolled back for it")),
            },
        }
        // Whether it gates or not: evidence of harm that does not roll back keeps a step from being done.
        if !self.ask.alone {
            let then =
                "its failure alone does not roll back: it holds the step, which ends with `inconclusive`";
            forecast.never.push(format!("{then}; `critical: true` would"));
        }
        forecast
    }

    fn forecast_alone(&self, forecast: &mut Forecast) {
        let Some(sight) = AloneSight::new(self.policy, self.signal, self.ask, self.load) else {
            forecast.blind.push(UNKNOWN.to_owned());
            if !self.leg.is_watch {
                forecast.broken.push(Broken::Unknown);
            }
            return;
        };
        forecast.asked &= sight.proves();
        forecast.passes = Some(sight.passes()).filter(|passes| passes.is_finite());
        self.look(&sight, forecast);
        // A watch promises nothing: what it does not see was compared before.
        if !self.leg.is_watch {
            let proves = |within: f64, longest: Span| {
                let ask = Ask { within: vec![within], ..self.ask.clone() };
                let sight = AloneSight::new(self.policy, self.signal, &ask, self.load);
                sight
                    .and_then(|sight| sight.proof(within))
                    .is_some_and(|seconds| seconds <= self.told_in(longest))
            };
            let least = forecast.within;
            self.judge(forecast, |longest| {
                let bound = WITHIN.into_iter().find(|bound| *bound > least && proves(*bound, longest));
                bound.map_or_else(String::new, |bound| format!("; `prove_within: {}` would do", worse(bound)))
            });
        }
    }

    fn look(&self, sight: &impl Sight, forecast: &mut Forecast) {
        let bake = self.leg.bake;
        forecast.notices = [bake.at_least, bake.at_most].map(|bake| self.notices(sight, self.told_in(bake)));
        // More than everything cannot fail.
        let possible = REGRESSIONS.into_iter().filter(|regression| *regression <= sight.most());
        forecast.detection = possible
            .map(|regression| Detection {
                regression,
                from_start: sight.detection(regression, false).and_then(|s| self.at_look(s)),
                late: sight.detection(regression, true).and_then(|s| self.at_look(s)),
            })
            .collect();
        // A watch has nothing to prove; a gauge that does not gate may still be proven.
        let is_asked = !self.leg.is_watch && !self.policy.strategy.coexists();
        let proven = if is_asked { sight.proof(forecast.within) } else { None };
        forecast.proven = proven.and_then(|s| self.at_look(s));
    }

    /// Says what cannot be seen, and which promises that breaks.
    fn judge(&self, forecast: &mut Forecast, help: impl Fn(Span) -> String) {
        let longest = self.leg.bake.at_most;
        if forecast.notices[1].is_none() {
            forecast.blind.push(if forecast.detection.is_empty() {
                "so much of the baseline's fails that no canary can be noticeably worse".to_owned()
            } else {
                format!("even if everything fails, {longest} are too short to see it")
            });
        }
        if forecast.notices[1].is_none_or(|notices| notices > UNSEEN) {
            forecast.broken.push(Broken::Unseen);
        }
        if forecast.asked && forecast.proven.is_none_or(|proven| proven > self.told_in(longest)) {
            let help = help(longest);
            forecast.blind.push(format!(
                "a good canary is not proven within {} in {longest}, so the step ends with `inconclusive`{help}",
                worse(forecast.within),
            ));
            forecast.broken.push(Broken::Unproven(help));
        }
    }

    /// The seconds of a bake that looks are taken in.
    fn told_in(&self, bake: Span) -> f64 {
        (bake.as_seconds() - self.leg.warm_up.as_seconds()).max(0.0)
    }

    /// The smallest regression that is found within so many seconds.
    fn notices(&self, sight: &impl Sight, seconds: f64) -> Option<f64> {
        let found = |regression: f64| {
            sight.detection(regression, false).and_then(|s| self.at_look(s)).is_some_and(|s| s <= seconds)
        };
        let (mut low, mut high) = (self.ask.allowed, sight.most());
        if !found(high) {
            return None;
        }
        while high / low > 1.002 {
            let middle = (low * high).sqrt();
            if found(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }

    /// The time of the look at which something is seen that takes so many seconds.
    fn at_look(&self, seconds: f64) -> Option<f64> {
        let every = self.policy.look_every.as_seconds().max(1e-3);
        let seconds = (seconds / every).ceil().max(1.0) * every;
        (seconds <= LONGEST).then_some(seconds)
    }
}

impl Forecast {
    /// How long a regression of this size lives; nothing where it is not possible.
    pub(super) fn at(&self, regression: f64) -> Option<&Detection> {
        self.detection.iter().find(|found| (found.regression - regression).abs() < 1e-9)
    }
}

/// Why nothing is forecast of a canary that has all of the traffic.
const UNKNOWN: &str = "too little is known of the baseline to hold a canary against that serves alone: what counts then are checks of \
                       health, smoke checks, alerts and absolute limits";

/// A policy that does not notice a canary this many times as bad promises what its traffic cannot show.
pub(super) const UNSEEN: f64 = 5.0;

/// A promise that cannot be kept at a step, for the policy's author. `longest`: the longest bake.
pub(super) fn complaint(broken: &Broken, forecast: &Forecast, share: Share, longest: f64) -> Complaint {
    let (signal, longest) = (forecast.signal.clone(), time(longest));
    match broken {
        Broken::Unproven(help) => Complaint {
            what: format!(
                "at {share} of this traffic a good canary is not proven within {} in the longest bake ({longest})",
                worse(forecast.within)
            ),
            help: help.trim_start_matches("; ").to_owned(),
            about: Promise::ProveWithin(signal),
        },
        Broken::Unseen => Complaint {
            what: format!(
                "at this traffic not even a canary {UNSEEN} times as bad is noticed in the longest bake ({longest})"
            ),
            help: "bake longer, take a larger share, or watch something that happens more often".to_owned(),
            about: Promise::Signal(signal),
        },
        Broken::BeyondLimit(limit) => Complaint {
            what: format!(
                "the baseline itself is beyond the limit of {}, so no canary is ever promoted",
                Share::new(*limit).unwrap_or(Share::ALL)
            ),
            help: "raise the limit, or repair the app first".to_owned(),
            about: Promise::Limit(signal),
        },
        Broken::Unknown => Complaint {
            what: format!("at {share} of the traffic {UNKNOWN}"),
            help: "let the daemon watch the app for an hour, or take a strategy in which both versions serve"
                .to_owned(),
            about: Promise::Signal(signal),
        },
    }
}
