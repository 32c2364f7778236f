//! The clock of a running emulator: the machine's wall clock at its start, and from there on steady.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::words::Time;

/// A clock that never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    epoch: Time,
    started: Instant,
}

impl Clock {
    /// A clock that starts at the machine's time.
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Time(i64::try_from(since_epoch.as_millis()).unwrap_or(0)), started: Instant::now() }
    }

    /// The time now.
    pub(super) fn now(&self) -> Time {
        Time(self.epoch.0 + i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX / 2))
    }

    /// When it will be `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.started + time.since(self.epoch).as_duration()
    }
}
