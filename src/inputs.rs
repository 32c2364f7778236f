//! What strangers send, by kind, and what must be true of every answer, whatever they send.
//!
//! The product never calls this. It is for what breaks things on purpose: the fuzz targets of `tests/fuzz/` are nothing
//! but [`Input::check`], and `tests/corpus.rs` replays what they begin from, and much that is nearly the same. Both are
//! programs of their own, so this module is public, and hidden from the documentation.

mod lines;
mod looks;
mod text;
mod wire;

/// One kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The text of a policy file.
    Policy,
    /// A selector or a query of a policy.
    Selector,
    /// JSON Lines for `uguisu judge`.
    Lines,
    /// Looks at every kind of signal, as bytes that only this module reads.
    Looks,
    /// What a unit's `/metrics` answers.
    Exposition,
    /// What Prometheus answers to a query.
    Prometheus,
    /// What Alertmanager sends.
    Alertmanager,
    /// What Tsuru answers: app info, lists of apps and of events, one event, the stream of a change.
    Tsuru,
    /// What a deployer that is driven by webhooks answers: apps, what is observed, what was done.
    Deployer,
    /// An order: its name, and on the next line the query of its address.
    Order,
}

impl Input {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Policy,
        Self::Selector,
        Self::Lines,
        Self::Looks,
        Self::Exposition,
        Self::Prometheus,
        Self::Alertmanager,
        Self::Tsuru,
        Self::Deployer,
        Self::Order,
    ];

    /// Its name: that of its fuzz target, and of the directory with its seeds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Selector => "selector",
            Self::Lines => "lines",
            Self::Looks => "looks",
            Self::Exposition => "exposition",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Tsuru => "tsuru",
            Self::Deployer => "deployer",
            Self::Order => "order",
        }
    }

    /// Reads `bytes` as the product would, and checks what must be true of the answer, whatever the bytes.
    ///
    /// # Errors
    /// What is not true, in words.
    pub fn check(self, bytes: &[u8]) -> Result<(), String> {
        // Where the product refuses what is not text before it reads it, there is nothing to check.
        let text = |check: fn(&str) -> Result<(), String>| std::str::from_utf8(bytes).map_or(Ok(()), check);
        match self {
            Self::Policy => text(text::policy),
            Self::Selector => text(text::selector),
            Self::Lines => lines::check(bytes),
            Self::Looks => looks::check(bytes),
            Self::Exposition => text(text::exposition),
            Self::Prometheus => wire::prometheus(bytes),
            Self::Alertmanager => wire::alertmanager(bytes),
            Self::Tsuru => wire::tsuru(bytes),
            Self::Deployer => wire::deployer(bytes),
            Self::Order => text(wire::order),
        }
    }
}

/// That `holds`, or what does not.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// That a sentence for people is one: not empty, on one line, without numbers that are none.
fn ensure_sentence(text: &str) -> Result<(), String> {
    let is_sentence = !text.trim().is_empty() && !text.contains(char::is_control);
    ensure(is_sentence, || format!("no sentence for a person: {text:?}"))
}

#[cfg(test)]
mod tests;
