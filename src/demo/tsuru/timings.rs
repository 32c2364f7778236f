//! How long things take on the emulated install.

use serde::{Deserialize, Serialize};

use crate::words::Span;

/// How long things take. [`Timings::default`] is a brisk Tsuru; [`Timings::scaled`] makes all of it quicker at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timings {
    /// How long a call waits for the app's lock before it is refused.
    pub lock_wait: Span,
    /// How often it tries meanwhile.
    pub lock_retry: Span,
    /// From the start of a deploy until its image is built.
    pub build: Span,
    /// From a pod's creation until its container runs.
    pub pending: Span,
    /// The least and the most it takes from a running container until it is ready.
    pub ready: (Span, Span),
    /// The first delay before a crashed container starts again; it doubles with each crash.
    pub restart: Span,
    /// The longest delay before a crashed container starts again.
    pub restart_most: Span,
    /// How long a removed deployment lingers before it is gone.
    pub linger: Span,
    /// How long a routable call takes.
    pub toggle: Span,
    /// How long a rebuild of the router takes.
    pub router: Span,
    /// How long all units of a deployment may run without being ready.
    pub health: Span,
    /// How long a deployment may go without one more ready unit.
    pub progress: Span,
    /// How often an autoscaler looks at what it scales.
    pub autoscaler: Span,
    /// How long after it was asked for a cancellation takes effect.
    pub cancel: Span,
    /// How long an event without a sign of life holds its lock.
    pub expiry: Span,
    /// The silence after which a stream gets a line that says nothing.
    pub keepalive: Span,
    /// How long a receiver of a webhook may take.
    pub webhook: Span,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            lock_wait: Span::seconds(10),
            lock_retry: Span(100),
            build: Span::seconds(5),
            pending: Span::seconds(1),
            ready: (Span::seconds(2), Span::seconds(4)),
            restart: Span::seconds(10),
            restart_most: Span::minutes(5),
            linger: Span::seconds(40),
            toggle: Span(100),
            router: Span(200),
            health: Span::minutes(2),
            progress: Span::minutes(10),
            autoscaler: Span::seconds(15),
            cancel: Span::seconds(1),
            expiry: Span::minutes(5),
            keepalive: Span::seconds(30),
            webhook: Span::minutes(1),
        }
    }
}

impl Timings {
    /// The same, `speed` times as fast; each at least a millisecond.
    #[must_use]
    pub fn scaled(mut self, speed: f64) -> Self {
        let spans = [
            &mut self.lock_wait,
            &mut self.lock_retry,
            &mut self.build,
            &mut self.pending,
            &mut self.ready.0,
            &mut self.ready.1,
            &mut self.restart,
            &mut self.restart_most,
            &mut self.linger,
            &mut self.toggle,
            &mut self.router,
            &mut self.health,
            &mut self.progress,
            &mut self.autoscaler,
            &mut self.cancel,
            &mut self.expiry,
            &mut self.keepalive,
            &mut self.webhook,
        ];
        for span in spans {
            *span = scale(*span, speed);
        }
        self
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float saturates at the ends of u64"
)]
fn scale(span: Span, speed: f64) -> Span {
    if speed > 0.0 { Span(((span.as_seconds() * 1e3 / speed) as u64).max(1)) } else { span }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_shortens_everything_and_leaves_nothing_at_zero() {
        let quick = Timings::default().scaled(10.0);
        assert_eq!(quick.lock_wait, Span::seconds(1));
        assert_eq!(quick.ready, (Span(200), Span(400)));
        assert_eq!(Timings::default().scaled(1e9).lock_retry, Span(1));
        assert_eq!(Timings::default().scaled(f64::NAN), Timings::default());
    }
}
