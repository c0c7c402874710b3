//! Flushes: what memtables hold becomes segments, and what has ended is noted beside them.

use std::sync::Arc;

use super::Writer;
use crate::Result;
use crate::catalog::TableId;
use crate::commit::{Command, FlushCommit};
use crate::flush::{Flushed, write_memtable};
use crate::jobs::Work;
use crate::memtable::Memtable;

impl Writer {
    /// Flushes everything that the memtables of a table hold now.
    pub(crate) fn flush(&self, table: TableId) -> Result<()> {
        let _one_at_a_time = self.flushing.lock();
        self.pressure.flushing(Some(table));
        let flushed = self.flush_memtables(table);
        self.pressure.flushing(None);
        self.note_unmerged(table, None);
        flushed
    }

    /// The same for the thread that flushes.
    pub(super) fn flush_in_background(&self, table: TableId) {
        let flushed = self.flush(table).and_then(|()| self.collect());
        match flushed {
            Ok(()) => self.pressure.recovered(),
            Err(error) => {
                tracing::warn!(%error, "a flush failed");
                self.pressure.flush_failed(table, &error.to_string());
            }
        }
        self.flushed.notify_one();
    }

    fn flush_memtables(&self, table: TableId) -> Result<()> {
        let memtables = self.call(|reply| Command::Rotate(table, reply))?;
        if memtables.is_empty() {
            return self.flush_deletes(table);
        }
        for memtable in memtables {
            self.jobs.run("flush", Some(table), || self.flush_memtable(table, memtable))?;
        }
        Ok(())
    }

    fn flush_memtable(&self, table: TableId, memtable: Memtable) -> Result<Work> {
        let (horizon, state) = self.shared.pin_horizon();
        let Some(current) = state.tables.get(&table) else { return Ok(Work::default()) };
        let (def, rows) = (&Arc::clone(&current.def), self.options.segment_rows);
        // It would hold other memtables.
        drop(state);
        // The rows as columns, in their order, and encoded. It never waits: there is less
        // to hold when it is done.
        let _memory = self.memory.take(memtable.bytes() * 2);
        let mut flushed = Flushed::default();
        let written =
            write_memtable(&self.context, def, &memtable, horizon.seq, rows, &mut flushed);
        let Flushed { segments, moved } = flushed;
        written.inspect_err(|_| self.remove(&segments))?;
        let until = self.resolve(table)?;
        for (segment, moved) in segments.iter().zip(&moved) {
            moved.carry_deletes(&memtable, segment);
        }
        let work = Work {
            rows_in: memtable.rows(),
            rows_out: segments.iter().map(|s| s.meta.rows).sum(),
            bytes_out: segments.iter().map(|s| s.meta.new_bytes()).sum(),
            ..Work::default()
        };
        let state = self.shared.current();
        let older = state.tables.get(&table).map_or(&[][..], |table| &table.segments);
        let files = self.with_deletes(table, older, segments, until)?;
        let flush = FlushCommit { table, memtable: Some(memtable), files, moved };
        self.call(|reply| Command::Flushed(flush, reply))?;
        Ok(work)
    }

    /// Makes deletions of a table without memtable rows durable outside the log.
    fn flush_deletes(&self, table: TableId) -> Result<()> {
        let until = self.resolve(table)?;
        let state = self.shared.current();
        let Some(current) = state.tables.get(&table) else { return Ok(()) };
        let files = self.with_deletes(table, &current.segments, Vec::new(), until)?;
        if !files.deletes.is_empty() || current.flushed_seq < until {
            let flush = FlushCommit { table, memtable: None, files, moved: Vec::new() };
            self.call(|reply| Command::Flushed(flush, reply))?;
        }
        Ok(())
    }
}
