//! Deletes rows whose time to live is over.

use super::Writer;
use crate::catalog::TableId;
use crate::expiry;
use crate::jobs::Work;
use crate::snapshot::Snapshot;
use crate::{Error, Result};

impl Writer {
    /// Deletes rows of a table whose time to live was over at `now_us`; returns how many, and
    /// whether there may be more.
    pub(crate) fn expire(&self, table: TableId, now_us: i64) -> Result<(u64, bool)> {
        let (pin, state) = self.shared.pin();
        // Held until the rows are deleted: others forget when a row ended that is older, and
        // then it looks changed.
        let snapshot = Snapshot::new(pin, state);
        let Ok(rows) = snapshot.table(table) else { return Ok((0, false)) };
        let Some((batch, more)) = expiry::deletion(rows, now_us)? else {
            return Ok((0, false));
        };
        let mut conflict = false;
        let work =
            self.jobs.run("expire", Some(table), || match self.commit_beside_merges(batch) {
                Ok(commit) => Ok(Work { rows_out: commit.deleted, ..Work::default() }),
                // Somebody changed one of the rows, or the table, or dropped it.
                Err(
                    Error::Conflict { .. } | Error::SchemaChanged { .. } | Error::NotFound { .. },
                ) => {
                    conflict = true;
                    Ok(Work::default())
                }
                Err(error) => Err(error),
            })?;
        Ok((work.rows_out, more || conflict))
    }

    /// The same of all tables that have not been looked at for a while.
    pub(super) fn expire_in_background(&self) {
        let state = self.shared.current();
        let now_us = self.context.clock.now_us();
        let mut look_at = self.look_at.lock();
        look_at.retain(|table, _| state.tables.contains_key(table));
        for (id, table) in &state.tables {
            let Some(ttl) = &table.def.ttl else { continue };
            let version = table.def.version;
            if look_at.get(id).is_some_and(|(of, at)| *of == version && now_us < *at) {
                continue;
            }
            // Merges have their turn before more is deleted.
            let more = self.expire(*id, now_us).map(|(_, more)| more).unwrap_or_else(|error| {
                if *self.open.lock() {
                    tracing::warn!(%error, "rows that have expired are still there");
                }
                false
            });
            let pause_us = if more { 0 } else { expiry::look_every_us(ttl) };
            look_at.insert(*id, (version, now_us + pause_us));
        }
    }
}
