//! The strategies that the demo can show, each with a policy of its own.

use std::time::Duration;

use clap::ValueEnum;

use super::scenario::Scenario;
use crate::rollout::Phase;

/// How the new version takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Way {
    /// In steps: 10 % of the traffic, then half, then all.
    #[default]
    Canary,
    /// All at once, to nine units that stand ready; the old ones are kept warm meanwhile.
    #[value(alias = "blue-green")]
    BlueGreen,
    /// Three units at a time.
    Rolling,
    /// Not at all: both go on serving.
    #[value(alias = "multi-version")]
    MultiVersion,
}

impl Way {
    /// The policy's text.
    pub(super) fn policy(self) -> &'static str {
        match self {
            Self::Canary => include_str!("policies/canary.yaml"),
            Self::BlueGreen => include_str!("policies/blue_green.yaml"),
            Self::Rolling => include_str!("policies/rolling.yaml"),
            Self::MultiVersion => include_str!("policies/multi_version.yaml"),
        }
    }

    /// How long the version that serves is watched before anything is deployed. A strategy that never has both versions
    /// serve compares with what it knows from then; and whoever knows how little the app's errors waver by nature does not
    /// take an incident of both for that.
    pub(super) fn watches_first(self, scenario: Scenario) -> Option<Duration> {
        (self == Self::BlueGreen || scenario == Scenario::Shared).then_some(Duration::from_secs(30))
    }

    /// How a scenario should end.
    pub(super) fn ends(self, scenario: Scenario) -> Phase {
        match (scenario, self) {
            // With everything on one version nothing serves beside it that could tell an incident of both from its own.
            (Scenario::Errors | Scenario::Crash, _) | (Scenario::Shared, Self::BlueGreen) => {
                Phase::RolledBack
            }
            (Scenario::Good | Scenario::Shared | Scenario::Quiet, Self::MultiVersion) => Phase::Kept,
            // Its policy goes on where nothing speaks against the canary.
            (Scenario::Good | Scenario::Shared, _) | (Scenario::Quiet, Self::BlueGreen) => Phase::Promoted,
            (Scenario::Quiet, _) => Phase::Paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_a_policy_of_its_strategy() {
        for way in Way::value_variants() {
            let name = way.to_possible_value().unwrap();
            let policy = crate::policy::read("demo.yaml", way.policy()).policy.unwrap();
            assert_eq!(policy.strategy.label(), name.get_name());
        }
    }
}
