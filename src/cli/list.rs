//! `uguisu list`: the rollouts in the journal, latest first.
//!
//! Works beside a running daemon and without one. Exit codes: 0, also where there are none; 2, the journal cannot be
//! read.

use std::io::{self, Write};
use std::process::ExitCode;

use super::Trouble;
use super::print::{Journal, moment, plain, style, table, took, words, written};
use crate::store::{Filter, RolloutRow};
use crate::words::AppName;

/// What to list, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    journal: Journal,
    /// Only this app's
    #[arg(long)]
    app: Option<String>,
    /// Only those that have not ended
    #[arg(long)]
    unfinished: bool,
    /// How many at most
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print one JSON object a line; times are milliseconds since 1970
    #[arg(long)]
    json: bool,
}

/// Lists the rollouts, latest first.
///
/// # Errors
/// When the journal cannot be read, in words.
pub(super) async fn run(args: Args) -> Result<ExitCode, Trouble> {
    let rows = find(&args).await?;
    written(print(&rows, args.json, &mut anstream::stdout()))
}

async fn find(args: &Args) -> Result<Vec<RolloutRow>, Trouble> {
    let reader = args.journal.open().await?;
    let app = args.app.clone().map(AppName);
    let filter = Filter { app, unfinished: args.unfinished, ..Filter::default() };
    reader.list(&filter, args.limit).await.map_err(Trouble::new)
}

fn print(rows: &[RolloutRow], json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        Ok(())
    } else if rows.is_empty() {
        writeln!(out, "no rollouts")
    } else {
        print_table(rows, out)
    }
}

fn print_table(rows: &[RolloutRow], out: &mut impl Write) -> io::Result<()> {
    let mut table =
        table(&["PHASE", "APP", "FROM", "TO", "POLICY", "STARTED (UTC)", "TOOK", "ROLLOUT", "WHY"]);
    for row in rows {
        table.add_row([
            words(&row.phase),
            plain(&row.app.0),
            row.baseline.to_string(),
            row.canary.to_string(),
            plain(&row.policy),
            moment(row.started),
            took(row),
            short_id(row, rows),
            plain(&row.summary),
        ]);
    }
    // The phase is the first word of its line, so it can be coloured without the table counting the colour.
    let mut lines = table.lines();
    if let Some(headings) = lines.next() {
        writeln!(out, "{}", headings.trim_end())?;
    }
    for (line, row) in lines.zip(rows) {
        let (style, phase) = (style(&row.phase), words(&row.phase));
        let rest = line.trim_end().strip_prefix(&phase).unwrap_or_default().to_owned();
        writeln!(out, "{style}{phase}{style:#}{rest}")?;
    }
    Ok(())
}

/// The first characters of an id, as `show` takes them: those that say when, to the millisecond. All of it where that
/// would mean several.
fn short_id(row: &RolloutRow, rows: &[RolloutRow]) -> String {
    const SHORT: usize = 13;
    let short: String = row.id.0.chars().take(SHORT).collect();
    let same = rows.iter().filter(|other| other.id.0.starts_with(&short)).count();
    plain(if same == 1 { &short } else { &row.id.0 })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::rollout::{Ending, Event};
    use crate::store::{AppendBatch, Store, fixture};
    use crate::words::Time;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    async fn printed(directory: &std::path::Path, more: &[&str]) -> String {
        let args = ["list", "--data", directory.to_str().unwrap()];
        let command = Command::parse_from(args.iter().chain(more));
        let mut out = Vec::new();
        print(&find(&command.args).await.unwrap(), command.args.json, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[tokio::test]
    async fn rollouts_are_listed_latest_first() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        assert_eq!(printed(directory.path(), &[]).await, "no rollouts\n");

        let open = async |id: &str, app: &str, at: Time, ended: bool| {
            let (mut rollout, first) = fixture::opened(id, app, at, fixture::policy(&[]));
            let mut events = vec![first];
            if ended {
                let why = "errors:\u{1b}[31m 3.1 times the baseline's".to_owned();
                let end = Event::Finished { ending: Ending::RolledBack, why };
                events.push(fixture::apply(&mut rollout, Time(at.0 + 185_250), end));
            }
            let batch = AppendBatch::of(0, &events).unwrap().leading_to(&rollout).unwrap();
            store.append(&rollout.id, batch).await.unwrap();
        };
        open("0193a5b2-7c3d-7aaa-8000-000000000001", "shop", Time(1_700_000_000_000), true).await;
        open("0193a5b2-7c3e-7aaa-8000-000000000002", "mail", Time(1_700_000_100_000), false).await;

        let all = printed(directory.path(), &[]).await;
        insta::assert_snapshot!(all, @r"
        PHASE        APP   FROM  TO  POLICY  STARTED (UTC)        TOOK  ROLLOUT        WHY
        pending      mail  v3    v4  web     2023-11-14 22:15:00        0193a5b2-7c3e
        rolled back  shop  v3    v4  web     2023-11-14 22:13:20  3m5s  0193a5b2-7c3d  errors: [31m 3.1 times the baseline's
        ");
        let running = printed(directory.path(), &["--unfinished", "--json"]).await;
        assert_eq!(
            running,
            "{\"id\":\"0193a5b2-7c3e-7aaa-8000-000000000002\",\"app\":\"mail\",\"baseline\":3,\"canary\":4,\
             \"policy\":\"web\",\"phase\":\"pending\",\"started\":1700000100000,\"ended\":null,\"summary\":\"\"}\n"
        );
        assert_eq!(printed(directory.path(), &["--app", "none"]).await, "no rollouts\n");
        open("0193a5b2-7c3e-7aaa-8000-000000000003", "shop", Time(1_700_000_200_000), false).await;
        let all = printed(directory.path(), &["--limit", "2"]).await;
        assert!(all.contains("7aaa-8000-000000000002") && all.contains("7aaa-8000-000000000003"), "{all}");
    }
}
