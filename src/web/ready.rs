//! Whether the daemon is ready, and what is missing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What must be there before the daemon is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The journal is open.
    Journal,
    /// The policies are loaded.
    Policies,
    /// The platform has answered once.
    Platform,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::Policies => "policies",
            Self::Platform => "platform",
        })
    }
}

/// How a part stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    /// It was there at least once.
    once: bool,
    /// What is wrong with it now; empty where nothing is.
    trouble: String,
}

/// Whether the daemon is ready. Clones share it; each part's owner tells it how the part stands.
///
/// A part that was there once stays ready: a platform that is away for a while is the rollouts' trouble, and they hold.
/// A restart would not bring it back.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// A plain lock: held for a look at three entries, never across an await.
    parts: Arc<Mutex<BTreeMap<Part, State>>>,
}

impl Readiness {
    /// The part is there.
    pub fn works(&self, part: Part) {
        self.set(part, |state| *state = State { once: true, trouble: String::new() });
    }

    /// Something is wrong with the part; `trouble` says what, without secrets.
    pub fn fails(&self, part: Part, trouble: impl fmt::Display) {
        self.set(part, |state| state.trouble = trouble.to_string());
    }

    fn set(&self, part: Part, change: impl FnOnce(&mut State)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(parts.entry(part).or_default());
    }

    /// Whether all parts were there, and one line for each.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ready = true;
        let mut lines = Vec::new();
        for part in [Part::Journal, Part::Policies, Part::Platform] {
            let State { once, trouble } = parts.get(&part).cloned().unwrap_or_default();
            ready &= once;
            let line = match (once, trouble.as_str()) {
                (true, "") => "ok".to_owned(),
                (true, trouble) => format!("ok before, now: {trouble}"),
                (false, "") => "not yet".to_owned(),
                (false, trouble) => format!("not yet: {trouble}"),
            };
            lines.push(format!("{part}: {line}\n"));
        }
        (ready, lines.concat())
    }
}
