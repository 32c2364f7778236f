//! A rollout for tests of what is kept, told and shown.

use crate::policy::{Bake, Canary, Capacity, Policy, Strategy};
use crate::rollout::{Event, Kind, Recorded, Rollout};
use crate::words::{AppName, RolloutId, Share, Span, Time, Version};

/// A policy called `web` that compares nothing and tells `notify`.
pub(crate) fn policy(notify: &[&str]) -> Policy {
    let strategy = Strategy::Canary(Canary {
        steps: vec![Share::new(0.25).unwrap()],
        bake: Bake { at_least: Span::minutes(5), at_most: Span::minutes(30) },
        approve: Vec::new(),
        process: "web".to_owned(),
        capacity: Capacity::Surge,
    });
    Policy {
        warm_up: Span::ZERO,
        notify: notify.iter().map(|&n| n.to_owned()).collect(),
        ..Policy::new("web", strategy)
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
        kind: Kind::Beside,
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
