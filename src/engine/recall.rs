//! A rollout as the journal has it.
//!
//! The events alone say all that a [`Memory`] holds. A snapshot is a cache of it, with one thing more: the last sample of
//! every counter as of the last look, so that nothing is lost between two looks. Where that is missing or older than the
//! last look, counting begins anew at the last look: some events are then not compared, none is compared twice.

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::course::Memory;
use crate::rollout::{Event, Recorded};
use crate::signal::GathererState;
use crate::store::{Reader, StoreError};
use crate::words::RolloutId;

/// What a snapshot holds.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot<'a> {
    pub(super) memory: &'a Memory,
    pub(super) gatherer: &'a GathererState,
}

/// What is known of a rollout when it is taken up.
#[derive(Debug, Deserialize)]
pub(super) struct Recalled {
    pub(super) memory: Memory,
    /// The last sample of every counter; nothing where that is not known.
    pub(super) gatherer: Option<GathererState>,
}

impl Recalled {
    /// A rollout after its first event.
    ///
    /// # Errors
    /// When that is not `opened`.
    pub(super) fn begin(id: RolloutId, first: &Recorded) -> Result<Self, StoreError> {
        let wrong = StoreError::Illegal { detail: format!("rollout {id} does not begin with `opened`") };
        Ok(Self { memory: Memory::begin(id, first).ok_or(wrong)?, gatherer: None })
    }

    /// Takes the next event of the journal.
    fn take(&mut self, recorded: &Recorded) -> Result<(), StoreError> {
        if matches!(recorded.event, Event::Learnt { .. } | Event::Looked { .. }) {
            self.gatherer = None;
        }
        self.memory.replay(recorded)?;
        Ok(())
    }

    /// A rollout from the journal: the last snapshot and what followed it, or the fold of all events where there is none
    /// that can be read.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds what cannot be.
    pub(super) async fn read(journal: &Reader, id: &RolloutId) -> Result<Self, StoreError> {
        let missing = || StoreError::Illegal { detail: format!("rollout {id} has no events") };
        let loaded = journal.load(id).await?.ok_or_else(missing)?;
        let cached = loaded.snapshot.as_ref().map(|(_, body)| serde_json::from_str::<Self>(body));
        let (mut recalled, after) = match cached {
            Some(Ok(recalled)) => (recalled, loaded.after),
            unreadable => {
                if let Some(Err(e)) = unreadable {
                    warn!(rollout = %id, "the cached state cannot be read, so all events are folded anew: {e}");
                }
                let mut all = journal.events(id, 0, u32::MAX).await?;
                if all.is_empty() {
                    return Err(missing());
                }
                let first = all.remove(0).read(id)?;
                (Self::begin(id.clone(), &first)?, all)
            }
        };
        for entry in after {
            recalled.take(&entry.read(id)?)?;
        }
        Ok(recalled)
    }
}
