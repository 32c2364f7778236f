//! The time, passed in.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::words::{Span, Time};

/// How far ahead of the machine's clock the journal is believed.
const BELIEVED: Span = Span::minutes(60);

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time now. Never earlier than what it said before.
    fn now(&self) -> Time;
}

/// The machine's clock, read once at start and carried on by the monotonic clock: a wall clock that is set forwards
/// or backwards while the daemon runs neither ends a bake early nor makes time stand still.
#[derive(Debug, Clone)]
pub struct SystemClock {
    wall: Time,
    started: Instant,
}

impl SystemClock {
    /// Starts at the machine's time, but not before `earliest` (the last time in the journal), so that a clock that was
    /// set back over a restart repeats nothing. It is believed up to an hour: beyond that the journal was wrong.
    #[must_use]
    pub fn start(earliest: Time) -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Self { wall: wall.max(earliest.min(wall + BELIEVED)), started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Time(self.wall.0.saturating_add(elapsed))
    }
}
