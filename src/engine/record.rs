//! From decisions to the journal: events, the state after them, and the messages that tell of them, in one write.

use std::time::Duration;

use tracing::{error, info};

use super::course::Memory;
use super::house::House;
use crate::notify::messages;
use crate::platform::Platform;
use crate::rollout::{Event, Phase, Recorded, Rollout};
use crate::signal::GathererState;
use crate::store::{AppendBatch, RolloutRow, Store, StoreError};
use crate::web::Metrics;

/// The longest wait between two attempts to write what must be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// After so many events the state is written with them. A snapshot is much larger than a look; folding these at a restart
/// takes some milliseconds.
const SNAPSHOT: usize = 40;

/// Writes what a rollout decided.
pub(super) struct Recorder {
    /// The phase that was written last.
    phase: Phase,
    /// How many events were written since the last snapshot.
    since_snapshot: usize,
}

impl Recorder {
    /// For a rollout as the journal has it.
    pub(super) fn new(rollout: &Rollout) -> Self {
        Self { phase: rollout.phase, since_snapshot: 0 }
    }

    /// Writes `events`, which led to `memory`. Waits for a disk that is full or away: without the journal nothing may
    /// happen.
    ///
    /// # Errors
    /// When somebody else continued the rollout.
    pub(super) async fn record<P: Platform>(
        &mut self,
        house: &House<P>,
        events: Vec<Recorded>,
        memory: &Memory,
        gatherer: &GathererState,
    ) -> Result<(), StoreError> {
        let rollout = memory.rollout();
        for recorded in &events {
            say(rollout, &recorded.event);
        }
        let before = rollout.events.saturating_sub(events.len() as u64);
        let mut batch = AppendBatch::of(before, &events)?;
        batch.outbox = messages(rollout, before, &events)?;
        let is_look =
            |recorded: &Recorded| matches!(recorded.event, Event::Learnt { .. } | Event::Looked { .. });
        if events.iter().any(is_look) {
            batch.samples = Some(json("samples", gatherer)?);
        }
        self.since_snapshot += events.len();
        if self.phase != rollout.phase || self.since_snapshot >= SNAPSHOT {
            batch.snapshot = Some(json("snapshot", memory)?);
            self.since_snapshot = 0;
        }
        batch.index = Some(RolloutRow::from(rollout));
        append(&house.store, rollout, batch).await?;
        house.metrics.moved(Some(self.phase), rollout.phase);
        count_decisions(&house.metrics, &events);
        self.phase = rollout.phase;
        Ok(())
    }
}

fn json(kind: &str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Unwritable { kind: kind.to_owned(), detail: e.to_string() })
}

async fn append(store: &Store, rollout: &Rollout, batch: AppendBatch) -> Result<(), StoreError> {
    let mut wait = Duration::from_millis(100);
    loop {
        match store.append(&rollout.id, batch.clone()).await {
            Err(error) if error.may_pass() => {
                error!(rollout = %rollout.id, "nothing is done until this can be written: {error}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(PATIENCE);
            }
            result => return result,
        }
    }
}

/// Logs what a person who reads along wants to know; looks are for the journal.
fn say(rollout: &Rollout, event: &Event) {
    if !matches!(
        event,
        Event::Looked { .. }
            | Event::Learnt { .. }
            | Event::Heeded { .. }
            | Event::CommandIssued { .. }
            | Event::CommandAnswered { .. }
    ) {
        info!(rollout = %rollout.id, app = %rollout.app, event = event.label(), "{}", event.sentence());
    }
}

fn count_decisions(metrics: &Metrics, recorded: &[Recorded]) {
    for event in recorded {
        match &event.event {
            Event::RollbackDecided { .. } => metrics.decided("rollback"),
            Event::PromotionDecided { .. } => metrics.decided("promote"),
            Event::Paused { .. } => metrics.decided("pause"),
            Event::StepBegan { .. } => metrics.decided("advance"),
            _ => {}
        }
    }
}
