//! From decisions to the journal: events, the state after them, and the messages that tell of them, in one write.

use std::time::Duration;

use tracing::{error, info};

use super::house::House;
use super::runner::Snapshot;
use crate::judge::Judge;
use crate::notify::messages;
use crate::platform::Platform;
use crate::rollout::{Event, Recorded, Rollout};
use crate::signal::GathererState;
use crate::store::{AppendBatch, RolloutRow, StoreError};
use crate::web::Metrics;

/// The longest wait between two attempts to write what must be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes what a rollout decided.
pub(super) struct Recorder<'a, P> {
    house: &'a House<P>,
}

impl<'a, P: Platform> Recorder<'a, P> {
    pub(super) fn new(house: &'a House<P>) -> Self {
        Self { house }
    }

    /// Writes `events` and only then lets the rollout take them. Waits for a disk that is full or away: without the
    /// journal nothing may happen.
    ///
    /// # Errors
    /// When somebody else continued the rollout, or when an event cannot happen in its state.
    pub(super) async fn record(
        &self,
        rollout: &mut Rollout,
        events: Vec<Event>,
        judge: &Judge,
        gatherer: GathererState,
    ) -> Result<(), StoreError> {
        let at = self.house.clock.now();
        let mut next = rollout.clone();
        let mut recorded = Vec::with_capacity(events.len());
        for event in events {
            let event = Recorded { at, event };
            next.apply(&event).map_err(|e| StoreError::Illegal { detail: e.to_string() })?;
            say(&next, &event.event);
            recorded.push(event);
        }
        let outbox = messages(&next, rollout.events, &recorded)?;
        let snapshot = Snapshot { rollout: next, judge: judge.clone(), gatherer };
        let mut batch = AppendBatch::of(rollout.events, &recorded)?;
        batch.snapshot =
            Some(serde_json::to_string(&snapshot).map_err(|e| StoreError::Unwritable {
                kind: "snapshot".to_owned(),
                detail: e.to_string(),
            })?);
        batch.index = Some(RolloutRow::from(&snapshot.rollout));
        batch.outbox = outbox;
        self.append(&snapshot.rollout, batch).await?;
        self.house.metrics.moved(Some(rollout.phase), snapshot.rollout.phase);
        count_decisions(&self.house.metrics, &recorded);
        *rollout = snapshot.rollout;
        Ok(())
    }

    async fn append(&self, rollout: &Rollout, batch: AppendBatch) -> Result<(), StoreError> {
        let mut wait = Duration::from_millis(100);
        loop {
            match self.house.store.append(&rollout.id, batch.clone()).await {
                Err(error) if error.may_pass() => {
                    error!(rollout = %rollout.id, "nothing is done until this can be written: {error}");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(PATIENCE);
                }
                result => return result,
            }
        }
    }
}

/// Logs what a person who reads along wants to know; looks are for the journal.
fn say(rollout: &Rollout, event: &Event) {
    if !matches!(event, Event::Looked { .. } | Event::CommandIssued { .. } | Event::CommandAnswered { .. }) {
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
