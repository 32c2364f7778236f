//! The forecast itself: policy and traffic in, numbers out.

use serde::Serialize;

use super::simulate::Simulated;
use crate::judge::{Ask, asks};
use crate::policy::{Bake, Measure, Policy, Signal};
use crate::stats::power::{DETECTION_NATS, LATE_NATS, Traffic};
use crate::words::{Share, Span};

/// The regressions that are forecast, as ratios to the baseline.
pub(super) const REGRESSIONS: [f64; 6] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0];

/// Forecasts beyond this are of no use to anybody: a week.
const LONGEST: f64 = 7.0 * 86_400.0;

/// Why nothing can be forecast of a policy that Kayenta's judge judges.
const KAYENTA: &str = "Kayenta's judge keeps no budget, so neither its mistakes nor what it will find can be forecast; \
     `--simulate 1000` shows both for independent errors, which is the best case";

/// What the app's traffic is like.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Load {
    /// Requests a second, both versions together.
    pub(super) requests: f64,
    /// The baseline's share of requests that fail.
    pub(super) errors: Share,
    /// The baseline's share of requests slower than a latency's bound.
    pub(super) slow: Share,
    /// Events a second of signals that are rates, over all units.
    pub(super) events: Option<f64>,
    /// Variance over mean of the counts.
    pub(super) dispersion: f64,
}

/// What a policy can see at this traffic.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Plan {
    pub(super) policy: String,
    pub(super) traffic: Load,
    /// How often a good canary may be rolled back, and a bad one promoted.
    pub(super) false_rollback: Share,
    pub(super) false_promotion: Share,
    /// Each step's shortest and longest bake, in seconds.
    pub(super) bake: [f64; 2],
    /// Empty where nothing can be forecast.
    pub(super) steps: Vec<Step>,
    /// Why nothing can be forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<&'static str>,
    /// What became of simulated rollouts, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) simulated: Option<Simulated>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    pub(super) share: Share,
    pub(super) signals: Vec<Forecast>,
}

/// One signal at one step. Times are in seconds, typical (the median of rollouts), counted from the step's beginning.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Forecast {
    pub(super) signal: String,
    pub(super) critical: bool,
    pub(super) gates: bool,
    /// How much worse still counts as good enough, as a ratio.
    pub(super) allowed: f64,
    /// What must be proven at this step, as a ratio.
    pub(super) within: f64,
    /// The smallest regression that is noticed within the shortest and the longest bake; nothing: none is.
    pub(super) notices: [Option<f64>; 2],
    /// How long each regression lives.
    pub(super) detection: Vec<Detection>,
    /// How long a canary as good as the baseline needs to be proven; nothing: longer than a week, or never.
    pub(super) proven: Option<f64>,
    /// What cannot be seen, and what would help, in sentences.
    pub(super) blind: Vec<String>,
}

/// How long a regression lives.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Detection {
    /// As a ratio to the baseline.
    pub(super) regression: f64,
    /// If it is there from the beginning; nothing: longer than a week, or never.
    pub(super) from_start: Option<f64>,
    /// If it begins later, from its onset.
    pub(super) late: Option<f64>,
}

/// Forecasts every signal at every step of a policy, or at `share` alone.
pub(super) fn plan(policy: &Policy, share: Option<Share>, load: &Load) -> Plan {
    let Bake { at_least, at_most } = policy.strategy.bake();
    let shares = policy.strategy.shares();
    let asks = asks(policy);
    let step = |index: usize, share: Share| Step {
        share,
        signals: policy
            .signals
            .iter()
            .zip(&asks)
            .map(|(signal, ask)| {
                Case { policy, signal, ask, load, share, index }.forecast([at_least, at_most])
            })
            .collect(),
    };
    let unknown = policy.judge.kayenta().map(|_| KAYENTA);
    let steps = match share {
        _ if unknown.is_some() => Vec::new(),
        // What the last step asks for is what a canary needs in the end.
        Some(share) => vec![step(shares.len().saturating_sub(1), share)],
        None => shares.iter().enumerate().map(|(index, share)| step(index, *share)).collect(),
    };
    Plan {
        policy: policy.name.clone(),
        traffic: *load,
        false_rollback: policy.budget.false_rollback,
        false_promotion: policy.budget.false_promotion,
        bake: [at_least.as_seconds(), at_most.as_seconds()],
        steps,
        unknown,
        simulated: None,
    }
}

/// One signal at one step.
struct Case<'a> {
    policy: &'a Policy,
    signal: &'a Signal,
    ask: &'a Ask,
    load: &'a Load,
    share: Share,
    index: usize,
}

impl Case<'_> {
    fn forecast(&self, bake: [Span; 2]) -> Forecast {
        let within = self.ask.within.get(self.index).copied().unwrap_or(self.ask.allowed);
        let traffic = self.traffic();
        let detects =
            |regression: f64, late: bool| traffic.and_then(|t| self.detection(&t, regression, late));
        let proven = traffic.and_then(|t| self.proof(&t, within));
        let notices = bake.map(|bake| traffic.and_then(|t| self.notices(&t, bake.as_seconds())));
        Forecast {
            signal: self.signal.name.clone(),
            critical: self.signal.critical,
            gates: self.signal.gates,
            allowed: self.ask.allowed,
            within,
            notices,
            detection: REGRESSIONS
                .map(|regression| Detection {
                    regression,
                    from_start: detects(regression, false),
                    late: detects(regression, true),
                })
                .to_vec(),
            proven,
            blind: self.blind(traffic.as_ref(), within, notices[1], proven, bake[1]),
        }
    }

    /// The traffic as this signal sees it; nothing where it cannot be told from what is known.
    fn traffic(&self) -> Option<Traffic> {
        let of = |requests: f64, base: f64| {
            Some(Traffic { requests, share: self.share.get(), base, phi: self.load.dispersion })
        };
        match &self.signal.measure {
            Measure::Ratio { .. } => of(self.load.requests, self.load.errors.get()),
            Measure::Latency { .. } => of(self.load.requests, self.load.slow.get()),
            Measure::Rate { .. } => self.load.events.and_then(|events| of(events, 1.0)),
            Measure::Gauge { .. } => None,
        }
    }

    /// Seconds until a regression is found, a look later at most.
    fn detection(&self, traffic: &Traffic, regression: f64, late: bool) -> Option<f64> {
        let rate = traffic.base * regression;
        let least = match &self.signal.measure {
            Measure::Ratio { floor, .. } if rate <= *floor => return None,
            Measure::Ratio { .. } | Measure::Latency { .. } if rate > 1.0 => return None,
            Measure::Ratio { min_events, .. } => f64::from(*min_events),
            _ => 1.0,
        };
        let overhead = DETECTION_NATS + if late { LATE_NATS } else { 0.0 };
        let alpha = (-self.ask.harm_threshold).exp();
        let seconds = traffic.detection_seconds(regression, self.ask.allowed, alpha, overhead);
        let counted = least / (traffic.requests * traffic.share * rate);
        self.at_look(seconds.max(counted))
    }

    /// Seconds until a canary as good as the baseline is proven, the shortest bake aside.
    fn proof(&self, traffic: &Traffic, within: f64) -> Option<f64> {
        self.at_look(traffic.safety_seconds(1.0, within, (-self.ask.safe_threshold).exp()))
    }

    /// The smallest regression that is found within so many seconds.
    fn notices(&self, traffic: &Traffic, seconds: f64) -> Option<f64> {
        let found =
            |regression: f64| self.detection(traffic, regression, false).is_some_and(|s| s <= seconds);
        let (mut low, mut high) = (self.ask.allowed, self.most(traffic));
        if !found(high) {
            return None;
        }
        while high / low > 1.001 {
            let middle = (low * high).sqrt();
            if found(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }

    /// The largest regression that is possible: everything fails.
    fn most(&self, traffic: &Traffic) -> f64 {
        match &self.signal.measure {
            Measure::Rate { .. } => 1e3,
            _ => (1.0 / traffic.base * (1.0 - 1e-9)).max(self.ask.allowed),
        }
    }

    /// The time of the look at which something is seen that takes so many seconds.
    fn at_look(&self, seconds: f64) -> Option<f64> {
        let every = self.policy.look_every.as_seconds().max(1e-3);
        let seconds = (seconds / every).ceil().max(1.0) * every;
        (seconds <= LONGEST).then_some(seconds)
    }

    fn blind(
        &self,
        traffic: Option<&Traffic>,
        within: f64,
        notices: Option<f64>,
        proven: Option<f64>,
        longest: Span,
    ) -> Vec<String> {
        let Some(traffic) = traffic else {
            return vec![
                match self.signal.measure {
                    Measure::Rate { .. } => "needs `--events` to be forecast",
                    _ => "a gauge's noise is learnt from its history; without it nothing can be forecast",
                }
                .to_owned(),
            ];
        };
        let mut blind = Vec::new();
        match notices {
            None => blind.push(format!("even if everything fails, {longest} are too short to see it")),
            Some(notices) => {
                blind.push(format!("worse by less than {} is not seen in {longest}", worse(notices)));
            }
        }
        if self.signal.gates && proven.is_none_or(|proven| proven > longest.as_seconds()) {
            blind.push(format!(
                "a good canary is not proven within {} in {longest}, so the step ends with `inconclusive`{}",
                worse(within),
                self.help(traffic, longest)
            ));
        }
        blind
    }

    /// What would let a good canary be proven in time.
    fn help(&self, traffic: &Traffic, longest: Span) -> String {
        let in_time = |traffic: &Traffic, within| {
            self.proof(traffic, within).is_some_and(|proven| proven <= longest.as_seconds())
        };
        let within = self.ask.within.get(self.index).copied().unwrap_or(self.ask.allowed);
        let share = (1..=50)
            .map(|percent| f64::from(percent) / 100.0)
            .find(|share| *share > traffic.share && in_time(&Traffic { share: *share, ..*traffic }, within));
        let bound =
            [1.5, 2.0, 3.0, 5.0].into_iter().find(|bound| *bound > within && in_time(traffic, *bound));
        match (share, bound) {
            (Some(share), Some(bound)) => {
                format!("; a share of {:.0}%, or `prove_within: {}`, would do", share * 100.0, worse(bound))
            }
            (Some(share), None) => format!("; a share of {:.0}% would do", share * 100.0),
            (None, Some(bound)) => format!("; `prove_within: {}` would do", worse(bound)),
            (None, None) => "; there is too little traffic to prove it".to_owned(),
        }
    }
}

/// A ratio as policies write it: `+50%`.
pub(super) fn worse(ratio: f64) -> String {
    format!("+{:.0}%", 100.0 * (ratio - 1.0))
}
