//! What Tsuru's refusals mean.
//!
//! Tsuru answers most refusals with status 500 and a text: a lock held by somebody else, a quota, a version that is
//! not deployed. Only the text tells what was done and whether it is worth trying again. Texts are matched at the
//! beginning of the first line, or inside it, never in the app's own log messages that Tsuru appends to some.

use reqwest::StatusCode;

use crate::platform::{PlatformError, PlatformErrorKind};

/// How much of a text is shown.
const SHOWN_CHARS: usize = 600;

/// A failure before it is said what was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: PlatformErrorKind,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(kind: PlatformErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The same, saying which permission there must be where one is missing.
    pub(super) fn naming(mut self, permission: &str) -> Self {
        if self.message.ends_with(PERMISSION) {
            self.message.push_str(" `");
            self.message.push_str(permission);
            self.message.push('`');
        }
        self
    }

    /// The error for the one who asked for `action`.
    pub(super) fn of(self, action: &str) -> PlatformError {
        PlatformError { action: action.to_owned(), message: self.message, kind: self.kind }
    }
}

/// Where a text is looked for.
enum At {
    Start,
    Within,
}

/// The texts of Tsuru's own refusals, with what they mean and what to do.
const REFUSALS: [(At, &str, PlatformErrorKind, &str); 25] = {
    use At::{Start, Within};
    use PlatformErrorKind::{Busy, Doubled, Failed, Refused};
    [
        (Start, "event locked:", Busy, "something else is working on the app"),
        (Start, "event throttled,", Busy, "Tsuru allows only so many of these in a time"),
        (
            Start,
            "error running \"",
            Busy,
            "an event block forbids it; `tsuru event block list` shows by whom",
        ),
        // The deployments that an override removed linger while their pods end, for a minute or so.
        (
            Within,
            "multiple versions currently deployed",
            Busy,
            "versions that were removed may still be ending",
        ),
        (
            Within,
            "too many deployments for same version",
            Doubled,
            "versions that were removed may still be ending",
        ),
        (
            Within,
            "more than one deployment for the same app version",
            Doubled,
            "versions that were removed may still be ending",
        ),
        (Within, "the object has been modified", Failed, "the cluster changed it at the same moment"),
        (
            Within,
            "app with autoscaler configured",
            Refused,
            "an autoscaler decides the number of units of this process",
        ),
        (Within, "Quota exceeded", Refused, "the app's or team's quota of units is used up"),
        (Within, "app that has stopped units", Refused, "start or remove the stopped units first"),
        (Within, "more than one version deployed", Refused, "a version must be named"),
        (Within, "no deployment found for version", Refused, "the version is not deployed"),
        (Within, "no versions available for app", Refused, "nothing was ever deployed"),
        (Within, "Invalid version:", Refused, "Tsuru does not know the version, or has removed its image"),
        (Within, "the selected version is marked to removal", Refused, "its image is about to be removed"),
        (Within, "the selected version is disabled for rollback", Refused, "somebody quarantined it"),
        (Within, "no build image found", Refused, "the version has no image any more"),
        (Within, "conflicting deploy flags", Refused, ""),
        // With a vertical autoscaler, Tsuru ends every change of routing so, after it was made.
        (Within, "process argument is required", Failed, "Tsuru reports this after the change was made"),
        (Within, "process error:", Refused, ""),
        (Within, "no routable version found for app", Refused, "the process is not deployed"),
        (Within, "could not swap the autoscale", Refused, "the version must be deployed"),
        (Within, "Cannot swap the autoscale", Refused, "the app has no autoscaler"),
        (
            Within,
            "explicit version not supported for provisioner",
            Refused,
            "versions need the kubernetes provisioner",
        ),
        (Within, "swapping is deprecated", Refused, ""),
    ]
};

/// What an answer with another status than success means for a change.
pub(super) fn of_change(status: StatusCode, text: &str) -> Failure {
    use PlatformErrorKind::{Busy, Failed, Refused, Unauthorized, Unknown};
    let code = status.as_u16();
    match code {
        300..=399 => {
            Failure::new(Refused, format!("the answer was a redirect ({code}); is `tsuru.url` right?"))
        }
        401 => Failure::new(Unauthorized, unauthorized()),
        403 => Failure::new(Refused, forbidden(text)),
        404 => not_found(text),
        408 | 502..=504 => {
            Failure::new(Unknown, format!("something in front of Tsuru answered {code}{}", quoted(text)))
        }
        429 => Failure::new(Busy, format!("too many requests, the answer said{}", quoted(text))),
        400..=499 => Failure::new(Refused, format!("Tsuru answered {code}{}", quoted(text))),
        _ => match meaning(text) {
            Some((kind, advice)) => {
                Failure::new(kind, format!("Tsuru answered {code}{}{}", quoted(text), after(advice)))
            }
            None => Failure::new(Failed, format!("Tsuru answered {code}{}", quoted(text))),
        },
    }
}

/// What an answer with another status than success means for a change, for who asks without HTTP: an emulated Tsuru in
/// the same process.
#[must_use]
pub fn refusal(status: u16, text: &str) -> (PlatformErrorKind, String) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let Failure { kind, message } = of_change(status, text);
    (kind, message)
}

/// What an error that Tsuru reports after it has begun means.
#[must_use]
pub fn report(text: &str) -> (PlatformErrorKind, String) {
    let Failure { kind, message } = of_error_text(text, true);
    (kind, message)
}

/// What an answer with another status than success means for a read.
pub(super) fn of_read(status: StatusCode, text: &str) -> Failure {
    match status.as_u16() {
        300..=499 => of_change(status, text),
        code => {
            Failure::new(PlatformErrorKind::Unreachable, format!("the answer was {code}{}", quoted(text)))
        }
    }
}

/// What an error in a change's answer or its event means. `begun`: Tsuru had reported progress before.
pub(super) fn of_error_text(text: &str, begun: bool) -> Failure {
    let (kind, advice) = match meaning(text) {
        // Part of it may have been done, so it cannot be taken for a refusal any more.
        Some((_, advice)) if begun => (PlatformErrorKind::Failed, advice),
        Some(found) => found,
        None => (PlatformErrorKind::Failed, ""),
    };
    Failure::new(kind, format!("Tsuru reported{}{}", quoted(text), after(advice)))
}

/// Whether the failure came from two writers in the cluster meeting, which passes.
pub(super) fn is_conflict(text: &str) -> bool {
    text.contains("the object has been modified")
}

fn unauthorized() -> String {
    "Tsuru did not accept the token (401); it is wrong or expired, or Tsuru's database is away".to_owned()
}

/// What a refusal for want of a permission ends with.
const PERMISSION: &str = "give its role the permission";

fn forbidden(text: &str) -> String {
    format!("the token may not do this (403{}); {PERMISSION}", quoted(text))
}

fn not_found(text: &str) -> Failure {
    let first = first_line(text);
    if first.starts_with("App ") && first.contains("not found") {
        return Failure::new(PlatformErrorKind::NotFound, format!("Tsuru answered{}", quoted(text)));
    }
    let hint = if first.starts_with("404 page not found") {
        "; this Tsuru does not know the call, or `tsuru.url` is wrong"
    } else {
        ""
    };
    Failure::new(PlatformErrorKind::Refused, format!("Tsuru answered 404{}{hint}", quoted(text)))
}

fn meaning(text: &str) -> Option<(PlatformErrorKind, &'static str)> {
    let first = first_line(text);
    REFUSALS
        .iter()
        .find(|(at, words, _, _)| match at {
            At::Start => first.starts_with(words),
            At::Within => first.contains(words),
        })
        .map(|(_, _, kind, advice)| (*kind, *advice))
}

/// The first line that says something, behind a heading such as `---- ERROR during deploy: ----`.
fn first_line(text: &str) -> &str {
    lines(text).next().unwrap_or_default()
}

/// What Tsuru says. Where units did not get ready, it adds the last lines of the app's own log, which may hold anything, and
/// are nobody's business but the app's.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let is_heading = |line: &str| line.starts_with("---- ERROR during ") && line.ends_with("----");
    let is_log = |line: &str| line.starts_with("---- Last ") && line.contains("log messages");
    let lines = text.lines().map(str::trim).take_while(move |line| !is_log(line));
    lines.filter(move |line| !line.is_empty() && !is_heading(line))
}

/// The text on one line, bounded and without control characters.
pub(crate) fn shown(text: &str) -> String {
    let joined = lines(text).collect::<Vec<_>>().join(" / ");
    let mut out: String =
        joined.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
    if joined.chars().nth(SHOWN_CHARS).is_some() {
        out.push('…');
    }
    out
}

fn quoted(text: &str) -> String {
    let shown = shown(text);
    if shown.is_empty() { String::new() } else { format!(": `{shown}`") }
}

fn after(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, text: &str, kind: PlatformErrorKind) {
        let failure = of_change(StatusCode::from_u16(status).unwrap(), text);
        assert_eq!(failure.kind, kind, "{status} {text}: {}", failure.message);
    }

    #[test]
    fn refusals_are_told_apart_by_their_text() {
        use PlatformErrorKind::{Busy, Doubled, Failed, NotFound, Refused, Unauthorized, Unknown};
        let wrapped = |text: &str| format!("\n---- ERROR during add units: ----\n{text}\n\n");
        for (text, kind) in [
            (
                "event locked: app(myapp) running \"app.deploy\" start by user me@x.com at 2026-08-21T13:00:00Z",
                Busy,
            ),
            ("event throttled, limit for app.deploy on app \"myapp\" is 1 every 1m0s", Busy),
            (
                "error running \"app.deploy\" on app(myapp): block app.deploy by all users on app(myapp): frozen",
                Busy,
            ),
            (
                "multiple versions currently deployed, either new-version or override-old-versions must be set",
                Busy,
            ),
            ("too many deployments for same version 2 and process \"web\": 2", Doubled),
            ("more than one deployment for the same app version found: [a-web a-web-v2]", Doubled),
            (
                "no routable version found for app, at least one deploy is required before configuring autoscale",
                Refused,
            ),
            ("more than one version deployed, you must select one", Refused),
            ("no deployment found for version 3", Refused),
            (
                "cannot add units to an app with autoscaler configured, please update autoscale settings",
                Refused,
            ),
            (
                "Operation cannot be fulfilled on deployments.apps \"myapp-web\": the object has been modified; please apply",
                Failed,
            ),
            ("process error: no process name specified and more than one declared in Procfile", Refused),
            ("process error: process argument is required", Failed),
            ("pq: something nobody has seen", Failed),
            ("", Failed),
        ] {
            check(500, text, kind);
        }
        check(500, &wrapped("Quota exceeded. Available: 0, Requested: 1."), Refused);
        check(500, &wrapped("Cannot add units to an app that has stopped units"), Refused);
        check(500, &wrapped("Invalid version: v9"), Refused);
        check(500, &wrapped("the selected version is disabled for rollback: bad"), Refused);
        check(500, &wrapped("the selected version is marked to removal"), Refused);
        check(500, &wrapped("no build image found"), Refused);
        check(400, "Invalid version: v9\n", Refused);
        check(401, "You must provide a valid Authorization header\n", Unauthorized);
        check(403, "You don't have permission to do this action\n", Refused);
        check(404, "App shop not found.\n", NotFound);
        check(404, "404 page not found\n", Refused);
        check(404, "<html>nginx</html>", Refused);
        check(302, "", Refused);
        check(429, "", Busy);
        check(502, "<html>bad gateway</html>", Unknown);
        check(503, "", Unknown);
        check(504, "", Unknown);
    }

    #[test]
    fn the_apps_own_log_is_not_taken_for_tsurus_words() {
        let text = "\n---- ERROR during deploy: ----\n ---> Pod \"x\" failed health check\n\n---- Last 10 log messages: ----\n    \
                    event locked: says the app\n    Quota exceeded";
        check(500, text, PlatformErrorKind::Failed);
        check(500, "something failed: event locked: app(x)", PlatformErrorKind::Failed);
    }

    #[test]
    fn the_apps_own_log_is_shown_to_nobody() {
        let text = "\n---- ERROR during add units: ----\n ---> Pod \"x\" failed health check\n\n---- Last 2 log messages: ----\n    \
                    2026-11-27 [web][x]: DATABASE_URL=postgres://shop:hunter2@db\n";
        let message = of_change(StatusCode::INTERNAL_SERVER_ERROR, text).message;
        assert!(message.contains("failed health check") && !message.contains("hunter2"), "{message}");
        assert_eq!(shown(text), "---> Pod \"x\" failed health check");
    }

    #[test]
    fn nothing_is_a_refusal_once_work_has_begun() {
        let text = "event locked: app(myapp)";
        assert_eq!(of_error_text(text, false).kind, PlatformErrorKind::Busy);
        assert_eq!(of_error_text(text, true).kind, PlatformErrorKind::Failed);
    }

    #[test]
    fn reads_that_fail_were_not_answered() {
        let kind = |code, text| of_read(StatusCode::from_u16(code).unwrap(), text).kind;
        assert_eq!(kind(500, "event locked: x"), PlatformErrorKind::Unreachable);
        assert_eq!(kind(502, ""), PlatformErrorKind::Unreachable);
        assert_eq!(kind(404, "App shop not found."), PlatformErrorKind::NotFound);
        assert_eq!(kind(401, ""), PlatformErrorKind::Unauthorized);
    }

    #[test]
    fn shown_texts_are_bounded_and_on_one_line() {
        let text = format!("a\u{1b}[31m\n\n b\t{}", "ü".repeat(5000));
        let shown = shown(&text);
        assert!(shown.chars().count() == SHOWN_CHARS + 1 && shown.ends_with('…'));
        assert!(shown.starts_with("a [31m / b ") && !shown.chars().any(char::is_control));
    }
}
