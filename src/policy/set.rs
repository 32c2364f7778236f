//! The policies that are in force, and which of them is for an app.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Policy, Selector};

/// The policies that are in force.
///
/// Several may match one app. The one that says more of it wins: first the one that names the app in full, then the
/// one with the longest fixed part of a matching app pattern, then likewise by pool, then by team; of equals, the
/// one whose name comes first. So a general policy can stand beside exceptions, whatever the order of the files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicySet {
    policies: Vec<Arc<Policy>>,
}

impl PolicySet {
    /// The set of these policies, whose names must differ; of equal names the first stays.
    #[must_use]
    pub fn new(policies: Vec<Policy>) -> Self {
        let mut policies: Vec<Arc<Policy>> = policies.into_iter().map(Arc::new).collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        policies.dedup_by(|later, first| later.name == first.name);
        Self { policies }
    }

    /// The policy for an app, by its name, pool and owning team.
    #[must_use]
    pub fn select(&self, app: &str, pool: &str, team: &str) -> Option<&Arc<Policy>> {
        self.policies
            .iter()
            .filter_map(|policy| Some((policy.applies.specificity(app, pool, team)?, policy)))
            .min_by_key(|(specificity, _)| Reverse(*specificity))
            .map(|(_, policy)| policy)
    }

    /// The policy of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// All policies, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Pairs of policies with the same selector: the second of each pair is never used.
    pub fn shadowed(&self) -> impl Iterator<Item = (&Policy, &Policy)> {
        self.policies.iter().enumerate().filter_map(|(index, policy)| {
            let winner = self.policies[..index].iter().find(|other| other.applies.same(&policy.applies))?;
            Some((winner.as_ref(), policy.as_ref()))
        })
    }
}

/// How much a selector says of an app: for each dimension whether it names it in full, and the length of what is
/// fixed in the pattern that matches.
type Specificity = [(bool, usize); 3];

impl Selector {
    /// Nothing where the selector is not for the app.
    fn specificity(&self, app: &str, pool: &str, team: &str) -> Option<Specificity> {
        if self.apps.is_empty() && self.pools.is_empty() && self.teams.is_empty() {
            return None;
        }
        Some([best(&self.apps, app)?, best(&self.pools, pool)?, best(&self.teams, team)?])
    }

    fn same(&self, other: &Self) -> bool {
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        sorted(&self.apps) == sorted(&other.apps)
            && sorted(&self.pools) == sorted(&other.pools)
            && sorted(&self.teams) == sorted(&other.teams)
    }
}

/// What the best matching pattern says; an empty list matches everything and says nothing.
fn best(patterns: &[String], text: &str) -> Option<(bool, usize)> {
    if patterns.is_empty() {
        return Some((false, 0));
    }
    let matching = patterns.iter().filter(|pattern| glob(pattern, text));
    matching
        .map(|pattern| {
            let fixed = pattern.chars().filter(|c| !matches!(c, '*' | '?')).count();
            (!pattern.contains(['*', '?']), fixed)
        })
        .max()
}

/// Whether `pattern` stands for all of `text`: `*` for any characters, `?` for one. Selectors and alert rules use it.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(apps: &[&str], pools: &[&str], teams: &[&str]) -> Selector {
        let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Selector { apps: list(apps), pools: list(pools), teams: list(teams) }
    }

    fn policy(name: &str, applies: Selector) -> Policy {
        let text = "policy: x\nfor: { apps: [x] }\nstrategy: { canary: { steps: [5%] } }\nsignals: [{ use: http-errors }]";
        let policy = crate::policy::read("x", text).policy.expect("a policy");
        Policy { name: name.to_owned(), applies, ..policy }
    }

    #[test]
    fn the_policy_that_says_more_of_an_app_wins() {
        let set = PolicySet::new(vec![
            policy("z-all", selector(&["*"], &[], &[])),
            policy("prod", selector(&[], &["prod"], &[])),
            policy("shop", selector(&["shop-*"], &[], &[])),
            policy("shop-prod", selector(&["shop-*"], &["prod"], &[])),
            policy("shop-ca", selector(&["shop-ca*"], &[], &[])),
            policy("cart", selector(&["other", "shop-cart"], &[], &[])),
            policy("pay", selector(&["*"], &[], &["pay"])),
            policy("pay2", selector(&["*"], &[], &["pay"])),
        ]);
        for (app, pool, team, expected) in [
            ("shop-cart", "prod", "pay", "cart"),
            ("shop-cafe", "prod", "pay", "shop-ca"),
            ("shop-x", "prod", "t", "shop-prod"),
            ("shop-x", "dev", "t", "shop"),
            ("x", "dev", "t", "z-all"),
            ("x", "prod", "t", "prod"),
            ("x", "dev", "pay", "pay"),
        ] {
            let selected = set.select(app, pool, team).map(|policy| policy.name.as_str());
            assert_eq!(selected, Some(expected), "{app} {pool} {team}");
        }
        assert_eq!(PolicySet::default().select("x", "y", "z"), None);
        let shadowed: Vec<_> = set.shadowed().map(|(a, b)| (a.name.as_str(), b.name.as_str())).collect();
        assert_eq!(shadowed, [("pay", "pay2")]);
    }

    #[test]
    fn an_empty_selector_matches_nothing() {
        assert_eq!(Selector::default().specificity("a", "b", "c"), None);
    }

    #[test]
    fn patterns_stand_for_whole_texts() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("a**b*", "ab", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
            ("a", "ab", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
