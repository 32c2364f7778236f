//! Who only observes lets others do everything, and is done when they are.

use super::*;

fn observing() -> World {
    let mut world = World::new(Policy { mode: Mode::Observe, ..policy() }, 3);
    world.look(Inputs::default());
    world.pass(Span::seconds(15)).look(Inputs::default());
    assert_eq!(world.log, ["planned", "step_began"]);
    world
}

#[test]
fn who_observes_lets_others_route_the_canary() {
    let mut world = observing();
    let routed = Foreign::Changed("ana changed which versions get traffic".to_owned());
    world.route(C, true);
    world.look(Inputs { foreign: Some(&routed), ..Inputs::default() });
    world.pass(Span::seconds(15)).look(Inputs::default());
    assert_eq!(world.log[2..], ["noted", "step_reached"]);
    let harm = Verdict { harm: true, ..verdict() };
    world.pass(Span::minutes(1)).look(Inputs { verdict: Some(&harm), ..Inputs::default() });
    assert_eq!((world.rollout.phase, world.commands.len()), (Phase::Observed, 0));
}

#[test]
fn who_observes_is_not_kept_from_the_next_version() {
    let newer = Foreign::NewVersion(Some(Version(3)), "ci deployed v3 beside the running ones".to_owned());
    let mut world = observing();
    world.look(Inputs { foreign: Some(&newer), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Superseded);

    let mut world = observing();
    world.pass(Span::minutes(24 * 60 - 1)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Step);
    world.pass(Span::minutes(1)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Observed);

    let mut world = observing();
    world.units.retain(|u| u.version != C);
    world.pass(Span::minutes(1)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Observed);
}

#[test]
fn who_observes_is_done_once_the_canary_is_gone() {
    let mut world = observing();
    world.look(Inputs::default());
    world.units.retain(|u| u.version == B);
    world.pass(Span::seconds(30)).look(Inputs::default());
    assert!(!world.rollout.phase.is_final(), "listings lag");
    world.pass(Span::seconds(60)).look(Inputs::default());
    assert_eq!(world.rollout.phase, Phase::Observed);
    assert_eq!(world.rollout.reason, "v2 has no units any more");
}

#[test]
fn who_observes_waits_for_nobody() {
    let mut world = observing();
    world.route(C, true);
    world.pass(Span::seconds(15)).look(Inputs::default());
    world.pass(Span::minutes(31)).look(Inputs { verdict: Some(&verdict()), ..Inputs::default() });
    assert_eq!(world.rollout.phase, Phase::Observed);
    assert!(world.rollout.reason.starts_with("would have paused"), "{}", world.rollout.reason);
}
