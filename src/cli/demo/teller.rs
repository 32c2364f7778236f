//! Tells a rollout as it happens: for a person, or as JSON lines.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::scenario::Scenario;
use super::way::Way;
use crate::cli::print::plain;
use crate::demo::Served;
use crate::rollout::{Answer, Command, Event, Phase, PlatformErrorKind, Recorded, Rollout};
use crate::words::{Span, Time};

/// How often a look is worth a line to a person.
const LOOKS: Span = Span::seconds(5);

/// Tells one rollout.
pub(super) struct Teller {
    json: bool,
    way: Way,
    scenario: Scenario,
    began: Time,
    told_look: Option<Time>,
    /// When the canary was given its first traffic.
    pub(super) first_traffic: Option<Time>,
    /// When it was decided to go back or on.
    decided: Option<Time>,
}

impl Teller {
    pub(super) fn new(json: bool, way: Way, scenario: Scenario, began: Time) -> Self {
        Self { json, way, scenario, began, told_look: None, first_traffic: None, decided: None }
    }

    /// The line before anything happens.
    pub(super) fn introduce(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.json {
            return writeln!(
                out,
                "{}",
                json!({"scenario": self.scenario.label(), "event": "deploy", "image": self.scenario.image()})
            );
        }
        let bold = Style::new().bold();
        writeln!(out, "\n{bold}{}: {}{bold:#}", self.scenario.label(), self.scenario.intro())?;
        writeln!(out, "          CI deploys `{}` beside the version that serves", self.scenario.image())
    }

    /// One event.
    pub(super) fn tell(&mut self, recorded: &Recorded, out: &mut impl Write) -> std::io::Result<()> {
        let Recorded { at, event } = recorded;
        match event {
            Event::CommandIssued { command: Command::Route { .. }, .. } => {
                self.first_traffic.get_or_insert(*at);
            }
            Event::RollbackDecided { .. } | Event::PromotionDecided { .. } | Event::Paused { .. } => {
                self.decided.get_or_insert(*at);
            }
            _ => {}
        }
        let seconds = at.since(self.began).as_seconds();
        if self.json {
            let mut line = json!({
                "scenario": self.scenario.label(), "seconds": seconds, "event": event.label(), "what": event.sentence(),
            });
            if let Event::Looked { verdict, .. } = event {
                line["score"] = json!(verdict.score);
                line["log_e_harm"] = json!(verdict.log_e_harm);
                line["harm_threshold"] = json!(verdict.harm_threshold);
            }
            return writeln!(out, "{line}");
        }
        if !self.worth_telling(*at, event) {
            return Ok(());
        }
        let style = style(event);
        if let Event::CommandAnswered {
            answer: Answer::Error { kind: PlatformErrorKind::Busy, message },
            ..
        } = event
        {
            return writeln!(out, "{seconds:>7.1}s  {style}not yet: {}{style:#}", plain(message));
        }
        writeln!(out, "{seconds:>7.1}s  {style}{}{style:#}", plain(&event.sentence()))
    }

    fn worth_telling(&mut self, at: Time, event: &Event) -> bool {
        match event {
            Event::Learnt { .. }
            | Event::Heeded { .. }
            | Event::CommandAnswered { answer: Answer::Done, .. } => false,
            Event::Looked { .. } => {
                let worth = self.told_look.is_none_or(|last| at.since(last) >= LOOKS);
                if worth {
                    self.told_look = Some(at);
                }
                worth
            }
            _ => true,
        }
    }

    /// The end. Says whether it is the right one.
    pub(super) fn conclude(
        &self,
        rollout: &Rollout,
        canary: Served,
        out: &mut impl Write,
    ) -> std::io::Result<bool> {
        let right = rollout.phase == self.way.ends(self.scenario);
        let took = self.first_traffic.zip(self.decided).map(|(from, to)| to.since(from).as_seconds());
        let rolled_back = rollout.phase == Phase::RolledBack;
        if self.json {
            let line = json!({
                "scenario": self.scenario.label(),
                "phase": rollout.phase.label(),
                "as_it_should": right,
                "rollout": rollout.id,
                "reason": rollout.reason,
                "signal": rollout.culprits.first(),
                "detect_seconds": took.filter(|_| rolled_back),
                "decide_seconds": took,
                "canary_requests": canary.requests,
                "canary_errors": canary.errors,
            });
            writeln!(out, "{line}")?;
            return Ok(right);
        }
        let style = if right { AnsiColor::Green } else { AnsiColor::Red }.on_default().bold();
        let verdict = if right { "as it should" } else { "not as it should" };
        let took =
            took.map_or_else(String::new, |s| format!("; decided {s:.1} s after the canary's first traffic"));
        writeln!(
            out,
            "          {style}{}, {verdict}{style:#}{took}; {} of {} requests to the canary failed",
            rollout.phase.label().replace('_', " "),
            canary.errors,
            canary.requests,
        )?;
        Ok(right)
    }
}

fn style(event: &Event) -> Style {
    match event {
        Event::RollbackDecided { .. } => AnsiColor::Red.on_default(),
        Event::PromotionDecided { .. } => AnsiColor::Green.on_default(),
        Event::Paused { .. } | Event::TroubleBegan { .. } | Event::PersonNeeded { .. } => {
            AnsiColor::Yellow.on_default()
        }
        Event::Looked { .. } | Event::Noted { .. } | Event::CommandAnswered { .. } => Style::new().dimmed(),
        _ => Style::new(),
    }
}
