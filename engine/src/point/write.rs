//! Commits of statements that were not planned.

use sheaf_core::{Commit, Error as StoreError, Store, Write, WriteBatch};

use crate::error::Result;
use crate::session::Settings;

/// Commits one change. `None` when the store refused it, and nothing has changed: the
/// planner says what is wrong, or runs the statement again where others came between.
pub(super) fn commit(store: &Store, settings: &Settings, write: Write) -> Result<Option<Commit>> {
    let batch = WriteBatch { writes: vec![write], read_at: None, durability: settings.durability };
    match store.commit(batch) {
        Ok(commit) => Ok(Some(commit)),
        Err(
            error @ (StoreError::DuplicateKey { .. }
            | StoreError::Stopped(_)
            | StoreError::Io { .. }
            | StoreError::Corrupt { .. }),
        ) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
