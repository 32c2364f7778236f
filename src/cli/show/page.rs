//! A rollout's story on a page of text.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::Table;

use super::super::print::{length, moment, plain, style, table, took, words};
use super::{Line, Story};
use crate::judge::{Outcome, SignalVerdict, Verdict};
use crate::rollout::{Answer, Event};
use crate::store::{Message, MessageState};
use crate::words::Time;

pub(super) const HEADING: Style = Style::new().bold();

/// Prints all of it.
pub(super) fn print(story: &Story, out: &mut impl Write) -> io::Result<()> {
    head(story, out)?;
    if let Some(look) = &story.last_look {
        last_look(look, out)?;
    }
    story.learnt.print(out)?;
    timeline(story, out)?;
    commands(story, out)?;
    messages(&story.messages, out)
}

fn head(story: &Story, out: &mut impl Write) -> io::Result<()> {
    let row = &story.row;
    let (style, phase) = (style(&row.phase), words(&row.phase));
    let app = plain(&row.app.0);
    writeln!(
        out,
        "{HEADING}{app}{HEADING:#} from {} to {}: {style}{phase}{style:#}",
        row.baseline, row.canary
    )?;
    if !row.summary.is_empty() {
        writeln!(out, "{}", plain(&row.summary))?;
    }
    let ended =
        row.ended.map_or_else(String::new, |ended| format!(", ended {} after {}", moment(ended), took(row)));
    writeln!(out, "\nrollout {}, policy {}", plain(&row.id.0), plain(&row.policy))?;
    writeln!(out, "started {}{ended} (all times are UTC)", moment(row.started))
}

fn last_look(look: &Line, out: &mut impl Write) -> io::Result<()> {
    let Some(Event::Looked { verdict, notes, .. }) = look.event() else {
        return writeln!(out, "\n{HEADING}Last look{HEADING:#}\n{}", plain(&look.sentence()));
    };
    // Adding nothing makes of -0, which would look odd, 0.
    let [low, high] = verdict.score.map(|score| score + 0.0);
    writeln!(
        out,
        "\n{HEADING}Last look{HEADING:#} at {}, score {low:.0} to {high:.0}",
        moment(look.entry.at)
    )?;
    // Where one signal says it all, it says it below.
    if !verdict.signals.values().any(|signal| signal.why == verdict.why) {
        writeln!(out, "{}", plain(&verdict.why))?;
    }
    let refused = verdict.refused.iter().map(|refusal| format!("not used: {refusal}"));
    for note in notes.iter().map(|note| format!("note: {note}")).chain(refused) {
        writeln!(out, "{}", plain(&note))?;
    }
    signals(verdict, out)
}

fn signals(verdict: &Verdict, out: &mut impl Write) -> io::Result<()> {
    if verdict.signals.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut numbers =
        table(&["SIGNAL", "OUTCOME", "CANARY", "BASELINE", "RATIO", "ALLOWED", "HARM", "SAFETY"]);
    for (name, signal) in &verdict.signals {
        let [canary, canary_total, baseline, baseline_total] = signal.seen;
        numbers.add_row([
            plain(name),
            format!("{}{}", outcome(signal.outcome), if signal.critical { ", critical" } else { "" }),
            seen(canary, canary_total),
            seen(baseline, baseline_total),
            effect(signal),
            number(signal.allowed),
            evidence(signal.log_e_harm, signal.harm_threshold),
            evidence(signal.log_e_safe, signal.safe_threshold),
        ]);
    }
    lines(&numbers, out)?;
    writeln!(
        out,
        "(ratio: canary to baseline, with its bounds; harm, safety: evidence so far of what it takes)\n"
    )?;
    for signal in verdict.signals.values() {
        writeln!(out, "{}", plain(&signal.why))?;
        if !signal.otherwise.is_empty() {
            writeln!(out, "  {}", plain(&signal.otherwise))?;
        }
    }
    Ok(())
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Inconclusive => "inconclusive",
        Outcome::NoData => "no data",
        Outcome::SourceDown => "source down",
    }
}

fn lines(table: &Table, out: &mut impl Write) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

/// Events of a total, with their share; nothing where the signal does not count.
fn seen(events: f64, total: f64) -> String {
    if total > 0.0 {
        format!("{} of {} ({}%)", number(events), number(total), number(events / total * 100.0))
    } else {
        "-".to_owned()
    }
}

/// The canary relative to the baseline, with its bounds; `?` where the data do not bound it.
fn effect(signal: &SignalVerdict) -> String {
    let [low, estimate, high] = signal.effect.map(|end| end.map_or_else(|| "?".to_owned(), number));
    if signal.effect == [None; 3] { "-".to_owned() } else { format!("{estimate} ({low} to {high})") }
}

/// Evidence and what it is held against; nothing where the judge keeps none.
fn evidence(log_e: f64, threshold: f64) -> String {
    // What rounds to nothing has no sign.
    let log_e = (log_e * 10.0).round() / 10.0 + 0.0;
    if threshold > 0.0 { format!("{log_e:.1} of {threshold:.1}") } else { "-".to_owned() }
}

/// A number with three digits that mean something; whole where it is large.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else if size >= 0.001 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

fn timeline(story: &Story, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}Timeline{HEADING:#}")?;
    let mut events = table(&["TIME", "AFTER", "EVENT", "WHAT"]);
    for line in &story.timeline {
        events.add_row([
            moment(line.entry.at),
            length(line.entry.at.since(story.row.started)),
            words(&line.entry.kind),
            plain(&line.sentence()),
        ]);
    }
    lines(&events, out)
}

/// Each command with its answer, if it came.
fn commands(story: &Story, out: &mut impl Write) -> io::Result<()> {
    let mut sent = table(&["NO", "SENT", "COMMAND", "ANSWER"]);
    for line in &story.timeline {
        let Some(Event::CommandIssued { number, command, .. }) = line.event() else { continue };
        sent.add_row([
            number.to_string(),
            moment(line.entry.at),
            plain(&command.to_string()),
            answer(story, *number, line.entry.at),
        ]);
    }
    if sent.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{HEADING}Commands{HEADING:#}")?;
    lines(&sent, out)
}

fn answer(story: &Story, wanted: u32, sent: Time) -> String {
    for line in &story.timeline {
        let Some(Event::CommandAnswered { number, answer }) = line.event() else { continue };
        if *number == wanted {
            let after = length(line.entry.at.since(sent));
            return match answer {
                Answer::Done => format!("done after {after}"),
                Answer::Error { message, .. } => format!("after {after}: {}", plain(message)),
            };
        }
    }
    "none yet".to_owned()
}

fn messages(messages: &[Message], out: &mut impl Write) -> io::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{HEADING}Messages{HEADING:#}")?;
    let mut told = table(&["TIME", "RECEIVER", "ID", "DELIVERY"]);
    for message in messages {
        told.add_row([moment(message.at), plain(&message.receiver), plain(&message.id), delivery(message)]);
    }
    lines(&told, out)
}

fn delivery(message: &Message) -> String {
    let attempts = message.attempts;
    match message.state {
        MessageState::Delivered { delivered_at } => format!("delivered {}", moment(delivered_at)),
        MessageState::GivenUp { given_up_at } => {
            format!(
                "given up {} after {attempts} attempts: {}",
                moment(given_up_at),
                plain(&message.last_error)
            )
        }
        MessageState::Pending { .. } if attempts == 0 => "waits".to_owned(),
        MessageState::Pending { next_at } => format!(
            "waits for attempt {} at {}: {}",
            attempts.saturating_add(1),
            moment(next_at),
            plain(&message.last_error)
        ),
    }
}
