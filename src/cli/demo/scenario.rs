//! What can be watched in the demo.

use clap::ValueEnum;

use crate::words::Span;

/// What happens to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// A version with five times the errors: rolled back.
    Errors,
    /// A version whose process exits after a few seconds: rolled back.
    Crash,
    /// A version as good as the one before: promoted, or kept with `multi_version`.
    Good,
    /// A good version, but hardly any traffic: it waits for a person, and does not guess. With `blue_green`, whose policy here
    /// goes on where nothing speaks against a version, it is promoted.
    Quiet,
    /// A good version while both versions suffer from the same incident: promoted. With `blue_green` nothing serves beside it
    /// that could tell: rolled back.
    Shared,
}

/// Something that befalls all versions of the app alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Incident {
    /// When, after the canary's first traffic.
    pub(super) after: Span,
    /// For how long.
    pub(super) lasts: Span,
    /// How many times the usual share of errors.
    pub(super) errors: f64,
}

impl Scenario {
    /// The word that programs read.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Crash => "crash",
            Self::Good => "good",
            Self::Quiet => "quiet",
            Self::Shared => "shared",
        }
    }

    /// The image that is deployed.
    pub(super) fn image(self) -> &'static str {
        match self {
            Self::Errors => "toy:errors=5%",
            Self::Crash => "toy:crash-after=12s",
            Self::Good | Self::Quiet | Self::Shared => "toy:good",
        }
    }

    /// What a person is told beforehand.
    pub(super) fn intro(self) -> &'static str {
        match self {
            Self::Errors => "a version with five times the errors (5% instead of 1%)",
            Self::Crash => "a version whose process exits after a few seconds",
            Self::Good => "a version as good as the one that serves",
            Self::Quiet => "a good version, but hardly anybody uses the app",
            Self::Shared => "a good version, while an incident hits both versions alike",
        }
    }

    /// Requests a second.
    pub(super) fn rate(self) -> f64 {
        if self == Self::Quiet { 0.5 } else { 800.0 }
    }

    /// What befalls the app meanwhile.
    pub(super) fn incident(self) -> Option<Incident> {
        let incident = Incident { after: Span::seconds(5), lasts: Span::seconds(10), errors: 15.0 };
        (self == Self::Shared).then_some(incident)
    }
}
