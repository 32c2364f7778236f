//! The state machine of a rollout: state, events, decisions, and the acts that follow.
//!
//! Three pure functions carry a rollout. [`decide`] takes the state and what was seen, and says which [`Event`]s
//! follow. [`Rollout::apply`] folds an event into the state. [`next_act`] compares the traffic that the state wants
//! with what the platform showed and names the next [`Command`]. The shell gathers, records the events, and then
//! does the act: never the other way round.

mod act;
mod decide;
mod event;
mod phase;
mod plan;
mod state;
mod traffic;

pub use act::{Act, next_act};
pub use decide::{Alarm, Foreign, Inputs, Order, OrderKind, READY_WITHIN, Smoke, decide};
pub use event::{Answer, Ending, Event, Kind, PauseCause, Recorded, Trouble};
pub use phase::Phase;
pub use plan::{Footing, Plan, Routed, Step, plan};
pub use state::{IllegalEvent, Issued, Rollout};
pub use traffic::{Autoscaler, Command, Observed, PlatformErrorKind, Unit};

#[cfg(test)]
mod tests;
