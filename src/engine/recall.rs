//! A rollout as the journal has it.
//!
//! The events alone say all that a [`Memory`] holds; a snapshot now and then saves folding them all. What does not follow
//! from them is the last sample of every counter, which is written beside every look, so that nothing is lost between
//! two looks. Where that is missing or older than the last look, counting begins anew at the last look: some events are
//! then not compared, none is compared twice.

use tracing::warn;

use super::course::Memory;
use crate::rollout::Recorded;
use crate::signal::GathererState;
use crate::store::{Loaded, Reader, StoreError};
use crate::words::RolloutId;

/// What is known of a rollout when it is taken up.
#[derive(Debug)]
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
        Ok(Self { memory: Memory::begin(id, first).ok_or(wrong)?, gatherer: Some(GathererState::default()) })
    }

    /// A rollout from the journal: the last snapshot and what followed it, or the fold of all events where there is none
    /// that can be read.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds what cannot be.
    pub(super) async fn read(journal: &Reader, id: &RolloutId) -> Result<Self, StoreError> {
        let missing = || StoreError::Illegal { detail: format!("rollout {id} has no events") };
        let Loaded { snapshot, samples, after } = journal.load(id).await?.ok_or_else(missing)?;
        let cached =
            snapshot.and_then(|(_, body)| read::<Memory>(&body, id, "state, so all events are folded anew"));
        let (mut memory, after) = if let Some(memory) = cached {
            (memory, after)
        } else {
            let mut all = journal.events(id, 0, u32::MAX).await?;
            if all.is_empty() {
                return Err(missing());
            }
            let first = all.remove(0).read(id)?;
            (Self::begin(id.clone(), &first)?.memory, all)
        };
        for entry in after {
            memory.replay(&entry.read(id)?)?;
        }
        let gatherer = match samples {
            Some((seq, body)) if seq >= memory.look() => read(&body, id, "samples, so counting begins anew"),
            _ if memory.look() == 0 => Some(GathererState::default()),
            _ => None,
        };
        Ok(Self { memory, gatherer })
    }
}

/// What was cached; nothing where it cannot be read, which is said.
fn read<T: serde::de::DeserializeOwned>(body: &str, id: &RolloutId, what: &str) -> Option<T> {
    serde_json::from_str(body).inspect_err(|e| warn!(rollout = %id, "there is no readable {what}: {e}")).ok()
}
