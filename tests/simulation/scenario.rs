//! What a rollout is made of: everything follows from its seed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use uguisu::demo::tsuru::faults::{Faults, Foreign, Switch};
use uguisu::policy::{
    Actions, Autoscale, Bake, BlueGreen, Canary, Capacity, Counter, Hold, Measure, Mode, MultiVersion,
    Policy, Reaction, Rolling, Signal, SmokeCheck, Strategy,
};
use uguisu::rollout::{Kind, OrderKind};
use uguisu::words::{Arm, Share, Span};

/// The share of the baseline's requests that fail.
pub(crate) const ERRORS: f64 = 0.03;

/// The process that users reach beside `web`.
pub(crate) const API: &str = "api";

/// How the canary is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Quality {
    /// As good as the baseline.
    Good,
    /// It fails so many times as often as the baseline: more than anybody allows.
    Worse(f64),
    /// Its units exit after a while.
    Crashing(Span),
}

/// Something that comes from outside, some time after the rollout began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Visit {
    /// A person gives an order.
    Order(OrderKind),
    /// An alert fires that the policy answers so; nothing: it is about something else.
    Alert(Option<Reaction>),
    /// It is over.
    Calm,
    /// Somebody does something on the platform.
    Somebody(Foreign),
    /// A unit's container exits.
    Exit,
}

/// A time without metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outage {
    pub(crate) from: Span,
    pub(crate) to: Span,
    /// The arm that is silent; nothing: both.
    pub(crate) arm: Option<Arm>,
}

/// What goes wrong around the daemon, as probabilities at each occasion.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Trouble {
    /// The daemon is killed, at each point where that makes a difference.
    pub(crate) kill: f64,
    /// A snapshot of it is lost or cannot be read, at each kill.
    pub(crate) forget: f64,
    /// A read of the platform fails.
    pub(crate) blind: f64,
    /// A read of the platform takes long.
    pub(crate) slow: f64,
    /// The machine's clock is set, at each kill.
    pub(crate) clock: f64,
}

/// A rollout to be simulated.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Units of the baseline.
    pub(crate) units: u32,
    pub(crate) quota: Option<u32>,
    /// The app's processes beside `web`: workers, and one that users reach and that is in no step.
    pub(crate) beside: Vec<&'static str>,
    /// The process that the platform's autoscaler is in charge of.
    pub(crate) scaled: Option<&'static str>,
    /// What began it.
    pub(crate) kind: Kind,
    /// The canary does not answer its smoke checks as it should.
    pub(crate) smokes: bool,
    pub(crate) policy: Policy,
    pub(crate) quality: Quality,
    /// How many looks of the baseline are known from before: a quarter have too few to know the noise by.
    pub(crate) history: u32,
    /// Requests a second.
    pub(crate) requests: f64,
    pub(crate) faults: Faults,
    pub(crate) trouble: Trouble,
    pub(crate) visits: Vec<(Span, Visit)>,
    pub(crate) outages: Vec<Outage>,
    /// When both versions fail more often, and how much more.
    pub(crate) incident: Option<(Span, Span, f64)>,
    /// From then on nothing goes wrong any more.
    pub(crate) calm: Span,
}

impl Scenario {
    /// The scenario that follows from `seed`.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x005E_ED0F_5CE0_u64);
        // Some are spared everything, so that what the statistics promise shows as well.
        let spared = rng.random_bool(0.2);
        let quality = match rng.random_range(0..20) {
            0..10 => Quality::Good,
            10..18 => Quality::Worse(*[3.0, 5.0, 10.0].choose(&mut rng).unwrap_or(&3.0)),
            _ => Quality::Crashing(Span::seconds(rng.random_range(20..200))),
        };
        let units = rng.random_range(1..=8);
        let worker = rng.random_bool(0.2).then_some("worker");
        let api = StdRng::seed_from_u64(seed ^ 0x0A91).random_bool(0.2).then_some(API);
        let beside: Vec<_> = worker.into_iter().chain(api).collect();
        let scaled = rng.random_bool(0.15).then_some("web");
        let mut more = StdRng::seed_from_u64(seed ^ 0x5CA1);
        let scaled = beside.choose(&mut more).copied().filter(|_| more.random_bool(0.3)).or(scaled);
        let kind = match rng.random_range(0..20) {
            0 => Kind::InPlace,
            1 => Kind::Return,
            _ => Kind::Beside,
        };
        let mut policy = policy(&mut rng, kind);
        if worker.is_some() && rng.random() {
            policy.workers = vec!["worker".to_owned()];
        }
        Self {
            seed,
            units,
            quota: rng.random_bool(0.2).then(|| {
                let processes = 1 + beside.len() as u32;
                let all = units * processes;
                all + processes + rng.random_range(0..=all)
            }),
            beside,
            scaled,
            kind,
            smokes: !policy.smoke.is_empty() && rng.random_bool(0.2),
            policy,
            quality,
            history: if seed.is_multiple_of(4) { 12 } else { 30 },
            requests: *[60.0, 200.0, 800.0].choose(&mut rng).unwrap_or(&200.0),
            faults: if spared { Faults::default() } else { faults(&mut rng) },
            trouble: if spared { Trouble::default() } else { trouble(&mut rng) },
            visits: if spared { Vec::new() } else { visits(&mut rng) },
            outages: if spared { Vec::new() } else { outages(&mut rng) },
            incident: rng.random_bool(0.1).then(|| {
                let from = Span::seconds(rng.random_range(0..600));
                (from, Span(from.0 + rng.random_range(60_000..600_000)), rng.random_range(2.0..6.0))
            }),
            calm: Span::minutes(40),
        }
    }

    /// The image of the baseline, and of the canary.
    pub(crate) fn images(&self) -> [String; 2] {
        let percent = |ratio: f64| format!("toy:errors={:.4}%", 100.0 * ratio);
        let canary = match self.quality {
            Quality::Good => percent(ERRORS),
            Quality::Worse(times) => percent(ERRORS * times),
            Quality::Crashing(after) => format!("{},crash-after={after}", percent(ERRORS)),
        };
        [percent(ERRORS), canary]
    }
}

fn strategy(rng: &mut StdRng, kind: Kind) -> Strategy {
    let at_least = Span::seconds(*[30, 60, 120].choose(rng).unwrap_or(&60));
    let bake = Bake { at_least, at_most: Span(at_least.0 * rng.random_range(3..6)) };
    let capacity = if rng.random() { Capacity::Surge } else { Capacity::Shift };
    let process = "web".to_owned();
    let share = |share: f64| Share::new(share).unwrap_or(Share::ALL);
    match rng.random_range(0..20) {
        _ if kind == Kind::InPlace => {
            Strategy::Rolling(Rolling { batch: Share::ALL, bake, process, native: true })
        }
        0..9 => {
            let ladders: [&[f64]; 5] = [&[0.5], &[0.25, 0.5], &[0.1, 0.25, 0.5], &[0.2], &[0.05, 0.3, 0.6]];
            let steps: Vec<Share> =
                ladders.choose(rng).unwrap_or(&ladders[0]).iter().map(|s| share(*s)).collect();
            let approve = steps.iter().copied().filter(|_| rng.random_bool(0.05)).collect();
            Strategy::Canary(Canary { steps, bake, approve, process, capacity })
        }
        9..13 => Strategy::BlueGreen(BlueGreen { bake, approve: rng.random_bool(0.1), process }),
        13..17 => {
            let batch = share(*[0.25, 0.34, 0.5, 1.0].choose(rng).unwrap_or(&0.5));
            Strategy::Rolling(Rolling { batch, bake, process, native: false })
        }
        _ => {
            let then = *[Reaction::Promote, Reaction::Rollback, Reaction::Ignore]
                .choose(rng)
                .unwrap_or(&Reaction::Ignore);
            let lasts = rng.random_bool(0.8).then_some(bake.at_most);
            Strategy::MultiVersion(MultiVersion {
                share: share(rng.random_range(0.2..0.6)),
                lasts,
                then,
                process,
                capacity,
            })
        }
    }
}

fn policy(rng: &mut StdRng, kind: Kind) -> Policy {
    let strategy = strategy(rng, kind);
    let counter = |text: &str| Counter(text.to_owned());
    let signal = Signal {
        name: "errors".to_owned(),
        measure: Measure::Ratio {
            events: counter("errors"),
            total: counter("requests"),
            floor: 0.0005,
            min_events: 5,
            limit: None,
        },
        margin: 0.2,
        prove_within: None,
        weight: 1.0,
        critical: true,
        gates: true,
    };
    let or = |rng: &mut StdRng, usual, other| if rng.random_bool(0.8) { usual } else { other };
    let hold = |rng: &mut StdRng, then| Hold { hold: Span::seconds(rng.random_range(60..400)), then };
    let on = Actions {
        fail: or(rng, Reaction::Rollback, Reaction::Pause),
        inconclusive: *[Reaction::Pause, Reaction::Rollback, Reaction::Promote]
            .choose(rng)
            .unwrap_or(&Reaction::Pause),
        no_data: {
            let then = or(rng, Reaction::Rollback, Reaction::Pause);
            hold(rng, then)
        },
        source_down: {
            let then = or(rng, Reaction::Pause, Reaction::Rollback);
            hold(rng, then)
        },
        wrong_split: or(rng, Reaction::Ignore, Reaction::Pause),
    };
    let mode = match rng.random_range(0..20) {
        0 => Mode::Observe,
        1 => Mode::Advise,
        _ => Mode::Act,
    };
    let warm_up = Span::seconds(*[0, 30, 60].choose(rng).unwrap_or(&0));
    let sometimes = |rng: &mut StdRng| {
        if rng.random_bool(0.3) { Span::seconds(rng.random_range(60..300)) } else { Span::ZERO }
    };
    let (watch, keep_for) = (sometimes(rng), sometimes(rng));
    let smoke = SmokeCheck {
        path: "/".to_owned(),
        port: None,
        status: None,
        contains: None,
        timeout: Span::seconds(1),
    };
    let smoke = if rng.random_bool(0.2) { vec![smoke] } else { Vec::new() };
    let autoscale = [Autoscale::Refuse, Autoscale::Suspend, Autoscale::Swap];
    let autoscale = *autoscale.choose(rng).unwrap_or(&Autoscale::Suspend);
    // As policies are checked: what is kept beside the canary needs a canary that can grow.
    let keep_for = if autoscale == Autoscale::Swap { Span::ZERO } else { keep_for };
    let at_once = matches!(strategy, Strategy::BlueGreen(_));
    let autoscale = if at_once && autoscale == Autoscale::Swap { Autoscale::Suspend } else { autoscale };
    let quarantine = rng.random_bool(0.2);
    Policy {
        mode,
        warm_up,
        signals: vec![signal],
        on,
        watch,
        keep_for,
        smoke,
        autoscale,
        quarantine,
        ..Policy::new("simulated", strategy)
    }
}

/// Each kind of fault is there in a part of the rollouts, so that they meet in all combinations.
fn faults(rng: &mut StdRng) -> Faults {
    let mut at =
        |most: f64| Switch::chance(if rng.random_bool(0.3) { rng.random_range(0.0..most) } else { 0.0 });
    let mut faults = Faults {
        unauthorized: at(0.1),
        gateway: at(0.1),
        units_error: at(0.1),
        autoscale_error: at(0.1),
        throttled: at(0.3),
        lost_answer: at(0.4),
        dies: at(0.1),
        routable_conflict: at(0.6),
        routable_late_error: at(0.2),
        router_error: at(0.3),
        delete_error: at(0.5),
        never_ready: at(0.2),
        ..Faults::default()
    };
    if rng.random_bool(0.5) {
        faults.autoscaling = Span::seconds(rng.random_range(20..200));
    }
    if rng.random_bool(0.3) {
        faults.lags = (0..rng.random_range(1..3)).map(|_| Span(rng.random_range(0..8000))).collect();
    }
    if rng.random_bool(0.2) {
        faults.slow_ready = Span::seconds(rng.random_range(1..60));
    }
    faults
}

fn trouble(rng: &mut StdRng) -> Trouble {
    let mut at =
        |often: f64, most: f64| if rng.random_bool(often) { rng.random_range(0.0..most) } else { 0.0 };
    Trouble {
        kill: at(0.5, 0.04),
        forget: at(0.5, 1.0),
        blind: at(0.3, 0.2),
        slow: at(0.3, 0.2),
        clock: at(0.5, 1.0),
    }
}

fn visits(rng: &mut StdRng) -> Vec<(Span, Visit)> {
    use OrderKind::{Approve, Keep, Pause, Promote, Resume, Rollback};
    let mut visits = Vec::new();
    let mut at = |rng: &mut StdRng, visit| visits.push((Span(rng.random_range(0..1_200_000)), visit));
    if rng.random_bool(0.25) {
        for _ in 0..rng.random_range(1..4) {
            let kind =
                *[Pause, Pause, Resume, Approve, Promote, Rollback, Keep].choose(rng).unwrap_or(&Pause);
            at(rng, Visit::Order(kind));
        }
    }
    if rng.random_bool(0.1) {
        let action = *[Some(Reaction::Rollback), Some(Reaction::Pause), Some(Reaction::Ignore), None]
            .choose(rng)
            .unwrap_or(&None);
        at(rng, Visit::Alert(action));
        if rng.random() {
            at(rng, Visit::Calm);
        }
    }
    if rng.random_bool(0.3) {
        for _ in 0..rng.random_range(1..3) {
            let what = *Foreign::ALL.choose(rng).unwrap_or(&Foreign::Gc);
            at(rng, Visit::Somebody(what));
        }
    } else if rng.random_bool(0.02) {
        at(rng, Visit::Somebody(Foreign::DeleteApp));
    }
    if rng.random_bool(0.2) {
        at(rng, Visit::Exit);
    }
    visits.sort_by_key(|(when, _)| *when);
    visits
}

fn outages(rng: &mut StdRng) -> Vec<Outage> {
    let mut outages = Vec::new();
    while rng.random_bool(0.2) {
        let from = rng.random_range(0..900_000);
        let arm = *[None, Some(Arm::Baseline), Some(Arm::Canary)].choose(rng).unwrap_or(&None);
        outages.push(Outage { from: Span(from), to: Span(from + rng.random_range(20_000..500_000)), arm });
    }
    outages
}
