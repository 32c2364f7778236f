//! A rollout for tests of what is kept, told and shown.

use crate::policy::{Actions, Bake, Budget, Canary, Capacity, Mode, Policy, Selector, Strategy};
use crate::rollout::{Event, Recorded, Rollout};
use crate::words::{AppName, RolloutId, Share, Span, Time, Version};

/// A policy called `web` that compares nothing and tells `notify`.
pub(crate) fn policy(notify: &[&str]) -> Policy {
    Policy {
        name: "web".to_owned(),
        applies: Selector::default(),
        mode: Mode::Act,
        strategy: Strategy::Canary(Canary {
            steps: vec![Share::new(0.25).unwrap()],
            bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
            approve: Vec::new(),
            process: "web".to_owned(),
            capacity: Capacity::Surge,
        }),
        budget: Budget {
            false_rollback: Share::new(0.01).unwrap(),
            false_promotion: Share::new(0.05).unwrap(),
        },
        look_every: Span::seconds(15),
        warm_up: Span::ZERO,
        signals: Vec::new(),
        health: Vec::new(),
        alerts: Vec::new(),
        on: Actions::default(),
        notify: notify.iter().map(|&n| n.to_owned()).collect(),
    }
}

/// The first event of a rollout of `app` from v3 to v4, at `at`, and the state after it.
pub(crate) fn opened(id: &str, app: &str, at: Time, policy: Policy) -> (Rollout, Recorded) {
    let event = Event::Opened {
        app: AppName(app.to_owned()),
        baseline: Version(3),
        canary: Version(4),
        trigger: "e1".to_owned(),
        deployed: at,
        policy: Box::new(policy),
    };
    let recorded = Recorded { at, event };
    (Rollout::open(RolloutId(id.to_owned()), &recorded).unwrap(), recorded)
}

/// The state after one more event.
pub(crate) fn apply(rollout: &mut Rollout, at: Time, event: Event) -> Recorded {
    let recorded = Recorded { at, event };
    rollout.apply(&recorded).unwrap();
    recorded
}
