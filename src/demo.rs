//! An emulated Tsuru, a toy app in several versions and a load generator.
//!
//! * [`tsuru`] is the core: the platform as a state machine in virtual time.
//! * [`in_process`] shows it without HTTP, as the adapter for Tsuru would see it.
//! * [`toy`] tells how a version of the toy app behaves by its image's tag.
//! * [`Emulator`] serves the core over real HTTP, with units that are real servers and users' requests.

pub mod in_process;
pub mod toy;
pub mod tsuru;

mod clock;
mod cut;
mod emulator;
mod fleet;
mod http;
mod install;
mod unit;

#[cfg(test)]
mod tests;

pub use emulator::{CI, DAEMON, Emulator, EmulatorConfig};
pub use fleet::Served;
