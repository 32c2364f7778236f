//! `uguisu show ROLLOUT`: what happened in a rollout, and why.
//!
//! Works beside a running daemon and without one. Exit codes: 0; 1, there is no such rollout, or there are several; 2,
//! the journal cannot be read.

mod find;
mod noise;
mod page;

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use self::find::{Found, find};
use self::noise::Learnt;
use super::Trouble;
use super::print::{Journal, written};
use crate::rollout::{Event, Recorded};
use crate::store::{Entry, Message, Reader, RolloutRow, StoreError};
use crate::words::{AppName, RolloutId};

/// What to show, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The beginning of the rollout's id; or an app's name or `last`, which mean its latest rollout and the latest of
    /// all. Of an app that had none yet: what is known of its noise
    rollout: String,
    #[command(flatten)]
    journal: Journal,
    /// Every look in the timeline, too
    #[arg(long)]
    looks: bool,
    /// Print one JSON object; times are milliseconds since 1970
    #[arg(long)]
    json: bool,
}

/// Shows what happened in a rollout, and why.
///
/// # Errors
/// When the journal cannot be read, in words.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    let reader = args.journal.open().await?;
    let row = match find(&reader, &args.rollout).await.map_err(Trouble::new)? {
        Found::One(row) => *row,
        Found::Not(why) => {
            let app = AppName(args.rollout.clone());
            if let Some(quiet) = reader.quiet(&app).await.map_err(Trouble::new)? {
                return written(noise::quiet(&app, &quiet, &mut anstream::stdout()));
            }
            anstream::eprintln!("uguisu: {why}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let story = Story::read(&reader, row, args.looks).await.map_err(Trouble::new)?;
    written(print(&story, args.json, &mut anstream::stdout()))
}

fn print(story: &Story, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json { writeln!(out, "{:#}", story.as_json()) } else { page::print(story, out) }
}

/// The kinds of events that tell a person nothing at each time: looks, which are most of a journal, and bookkeeping.
const LOOKS: [&str; 3] = ["learnt", "looked", "heeded"];

/// All that is known of a rollout.
struct Story {
    row: RolloutRow,
    timeline: Vec<Line>,
    last_look: Option<Line>,
    learnt: Learnt,
    messages: Vec<Message>,
}

/// One event of a story.
struct Line {
    entry: Entry,
    /// What it says, unless a newer program wrote it or it is damaged: then, why it cannot be read.
    event: Result<Recorded, String>,
}

impl Line {
    fn new(entry: Entry, rollout: &RolloutId) -> Self {
        let event = entry.read(rollout).map_err(|e| e.to_string());
        Self { entry, event }
    }

    fn event(&self) -> Option<&Event> {
        self.event.as_ref().ok().map(|recorded| &recorded.event)
    }

    /// What happened, as a sentence.
    fn sentence(&self) -> String {
        match &self.event {
            Ok(recorded) => recorded.event.sentence(),
            Err(unreadable) => unreadable.clone(),
        }
    }

    fn as_json(&self) -> serde_json::Value {
        // What was stored, not what this program understands of it.
        let body = serde_json::from_str(&self.entry.body)
            .unwrap_or_else(|_| serde_json::Value::String(self.entry.body.clone()));
        json!({
            "seq": self.entry.seq,
            "at": self.entry.at,
            "kind": self.entry.kind,
            "sentence": self.sentence(),
            "body": body,
        })
    }
}

impl Story {
    async fn read(reader: &Reader, row: RolloutRow, looks: bool) -> Result<Self, StoreError> {
        let without: &[&str] = if looks { &[] } else { &LOOKS };
        let lines = |entries: Vec<Entry>| entries.into_iter().map(|e| Line::new(e, &row.id));
        let timeline: Vec<Line> = lines(reader.events_but(&row.id, without).await?).collect();
        let last_look = reader.last(&row.id, "looked").await?.map(|e| Line::new(e, &row.id));
        let learnt: Vec<Line> = lines(reader.events_of(&row.id, "learnt").await?).collect();
        let policy = timeline.iter().find_map(|line| match line.event() {
            Some(Event::Opened { policy, .. }) => Some(&**policy),
            _ => None,
        });
        let verdict = last_look.as_ref().and_then(|line| match line.event() {
            Some(Event::Looked { verdict, .. }) => Some(&**verdict),
            _ => None,
        });
        let learnt = Learnt::of(policy, &learnt, verdict);
        let messages = reader.messages(&row.id).await?;
        Ok(Self { row, timeline, last_look, learnt, messages })
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "rollout": self.row,
            "last_look": self.last_look.as_ref().map(Line::as_json),
            "noise": self.learnt,
            "timeline": self.timeline.iter().map(Line::as_json).collect::<Vec<_>>(),
            "messages": self.messages,
        })
    }
}

#[cfg(test)]
mod tests;
