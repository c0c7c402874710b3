//! Merges: what is worth it, within the budget of bytes.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{IDLE, Writer, closing};
use crate::Result;
use crate::catalog::{TableDef, TableId};
use crate::commit::{Command, CompactionCommit};
use crate::compaction::{self, Pick, Policy};
use crate::jobs::Work;
use crate::memory::JobMemory;
use crate::state::Pin;

/// A merge that is ahead of its budget by less goes on.
const PACE_US: i64 = 20_000;

/// See [`Writer::pick`].
struct Picked {
    pick: Pick,
    policy: Policy,
    def: Arc<TableDef>,
    /// That of the policy, until the merge is committed.
    _horizon: Pin,
}

impl Writer {
    /// Does one merge; false when there was nothing to do. `pace` is told how many bytes
    /// of files were read; it may wait, and ends the merge with an error.
    pub(crate) fn compact_once(
        &self,
        table: TableId,
        thorough: bool,
        pace: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<bool> {
        let _one_at_a_time = self.compacting.lock();
        let mut memory = None;
        let (picked, _memory) = loop {
            let Some(picked) = self.pick(table, thorough)? else { return Ok(false) };
            let needed = picked.pick.memory().min(picked.policy.memory);
            let taken = memory.take().filter(|taken: &JobMemory<'_>| taken.bytes() >= needed);
            if let Some(taken) = taken.or_else(|| self.memory.try_take(needed)) {
                break (picked, taken);
            }
            // Nothing is held while it waits: what it waits for may hang on it.
            drop(picked);
            let looked = Cell::new(false);
            let goes_on = || {
                if looked.replace(true) {
                    // Those who wait for merges may have the memory.
                    self.pressure.merges_stuck();
                }
                *self.open.lock()
            };
            memory = Some(self.memory.wait(needed, goes_on).ok_or_else(closing)?);
        };
        let Picked { pick, policy, def, _horizon } = picked;
        let mut done = false;
        self.jobs.run("compact", Some(table), || {
            let mut work = Work {
                reason: pick.reason,
                rows_in: pick.inputs.iter().map(|s| s.meta.rows).sum(),
                ..Work::default()
            };
            let mut read = |bytes| {
                work.bytes_in += bytes;
                pace(bytes)
            };
            let inputs = pick.inputs.clone();
            let (segments, moved) =
                compaction::merge(&self.context, &def, pick, &policy, &mut read)?;
            work.rows_out = segments.iter().map(|s| s.meta.rows).sum();
            work.bytes_out = segments.iter().map(|s| s.meta.new_bytes()).sum();
            let until = self.resolve(table)?;
            moved.carry_deletes(&inputs, &segments);
            let files = self.with_deletes(table, &[], segments, until)?;
            let merged = CompactionCommit { table, inputs, files, moved };
            done = self.call(|reply| Command::Compacted(merged, reply))?;
            Ok(work)
        })?;
        Ok(done)
    }

    /// What is to be merged next of a table.
    fn pick(&self, table: TableId, thorough: bool) -> Result<Option<Picked>> {
        let (horizon, state) = self.shared.pin_horizon();
        let Some(current) = state.tables.get(&table) else { return Ok(None) };
        // What ended up to the horizon is left out; what ends later is carried over.
        self.resolve(table)?;
        let policy = Policy {
            segment_rows: self.options.segment_rows as u64,
            horizon: horizon.seq,
            now_us: self.context.clock.now_us(),
            thorough,
            memory: compaction::merge_memory(&self.memory),
        };
        let pick = compaction::pick(current, &policy)?;
        let def = Arc::clone(&current.def);
        Ok(pick.map(|pick| Picked { pick, policy, def, _horizon: horizon }))
    }

    /// Waits for a flush, or a while; false when the store closes.
    pub(super) fn wait_for_debt(&self) -> bool {
        let mut open = self.open.lock();
        if *open {
            self.flushed.wait_for(&mut open, IDLE);
        }
        *open
    }

    /// Merges what is worth it, until nothing is left.
    pub(super) fn compact_in_background(&self) {
        // A store that has stopped takes no outputs, so none are made.
        let mut result = self.collect();
        while result.is_ok() && *self.open.lock() {
            match self.compact_anything() {
                Ok(true) => result = self.collect(),
                Ok(false) => return,
                Err(error) => result = Err(error),
            }
        }
        self.pressure.merges_stuck();
        if let Err(error) = result
            && *self.open.lock()
        {
            tracing::warn!(%error, "a merge failed");
        }
    }

    /// Does a merge of each table that needs one; false when there was none to do. One
    /// that fails does not keep the others from theirs.
    fn compact_anything(&self) -> Result<bool> {
        let tables: Vec<TableId> = self.shared.current().tables.keys().copied().collect();
        let mut done = false;
        let mut failed = None;
        for table in tables {
            let merged = self.compact_once(table, false, &mut |bytes| self.pace(bytes));
            self.note_unmerged(table, Some(matches!(merged, Ok(true))));
            match merged {
                Ok(merged) => done |= merged,
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }

    /// Waits when background merges have read more than their budget; an error when the
    /// store closes.
    fn pace(&self, bytes: u64) -> Result<()> {
        let now = self.context.clock.now_us();
        let per_second = self.options.compaction_bytes_per_second;
        let due = self.paid_until_us.load(Ordering::Relaxed).max(now)
            + (bytes * 1_000_000).checked_div(per_second).unwrap_or(0) as i64;
        self.paid_until_us.store(due, Ordering::Relaxed);
        let mut open = self.open.lock();
        // Writers that wait for it pay for more than what it takes from them.
        if *open && due - now > PACE_US && !self.pressure.wants_merges() {
            self.flushed.wait_for(&mut open, Duration::from_micros((due - now) as u64).min(IDLE));
        }
        if *open { Ok(()) } else { Err(closing()) }
    }
}
