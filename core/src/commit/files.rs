//! Commits that bring files: flush, bulk load, compaction.
//!
//! The files are written and synced before they get here; what happens on the
//! committer is one manifest edit and one swap of the state. Rows that ended
//! while the files were written are carried over (I4).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::committer::Committer;
use crate::catalog::{NewTable, TableDef, TableId};
use crate::lookup;
use crate::manifest::EditOp;
use crate::memtable::{Entries, LIVE, Memtable};
use crate::segment::{DeleteVectorRef, SegmentHandle, SegmentMeta};
use crate::state::{State, TableState};
use crate::write::Commit;
use crate::{Error, Result};

/// A segment on its way in, with what tells which of its rows have ended.
pub(crate) struct NewSegment {
    pub meta: SegmentMeta,
    pub rows: MovedRows,
}

/// Where the rows of a flushed segment came from, by ordinal.
pub(crate) enum MovedRows {
    Keyed(Entries),
    Append(Vec<u64>),
}

/// A memtable that has become segments.
pub(crate) struct FlushCommit {
    pub table: TableId,
    /// `None`: there were no rows, only deletions to make durable.
    pub memtable: Option<Memtable>,
    pub segments: Vec<NewSegment>,
}

/// Rows that were loaded beside the log.
pub(crate) struct BulkCommit {
    pub def: Arc<TableDef>,
    /// The table is made by the same commit.
    pub create: Option<NewTable>,
    pub segments: Vec<SegmentMeta>,
    /// The state whose segments and memtables were searched for duplicate keys.
    pub checked: Option<(Arc<State>, u64)>,
}

/// Segments that were merged.
pub(crate) struct CompactionCommit {
    pub table: TableId,
    pub inputs: Vec<Arc<SegmentHandle>>,
    /// None when no row was left.
    pub outputs: Vec<SegmentMeta>,
    /// Per output: the position of its first row among those of all outputs.
    pub starts: Vec<u32>,
    /// Per input: the position of each row, `u32::MAX` for rows left out.
    pub moved: Vec<Vec<u32>>,
    /// Rows that ended at or before this were left out.
    pub horizon: u64,
}

impl CompactionCommit {
    /// Per output: rows that ended while they were written, with the numbers that ended
    /// them (I4).
    fn ended(&self) -> Vec<Vec<(u32, u64)>> {
        let mut ended = vec![Vec::new(); self.outputs.len()];
        for (input, moved) in self.inputs.iter().zip(&self.moved) {
            for (ordinal, seq) in input.deletes.entries_after(self.horizon) {
                let position = moved[ordinal as usize];
                if position == u32::MAX {
                    continue;
                }
                let output = self.starts.partition_point(|start| *start <= position) - 1;
                ended[output].push((position - self.starts[output], seq));
            }
        }
        ended
    }
}

impl Committer {
    pub(super) fn commit_flush(&mut self, flush: FlushCommit) -> Result<()> {
        let mut state = State::clone(&self.shared.current());
        let Some(table) = state.tables.get(&flush.table) else {
            // Dropped meanwhile: the files go the way of all files nobody names.
            self.discard(flush.table, flush.segments.into_iter().map(|s| s.meta));
            return Ok(());
        };
        let mut table = TableState::clone(table);
        if let Some(memtable) = &flush.memtable {
            let before = table.immutable.len();
            table.immutable.retain(|m| !m.same_as(memtable));
            if table.immutable.len() == before {
                // Truncated meanwhile.
                self.discard(flush.table, flush.segments.into_iter().map(|s| s.meta));
                return Ok(());
            }
        }
        let mut added = Vec::with_capacity(flush.segments.len());
        for new in flush.segments {
            let handle = self.handle(&table.def, new.meta)?;
            match (&new.rows, &flush.memtable) {
                (MovedRows::Keyed(versions), _) => {
                    let ended = versions.iter().enumerate().map(|(at, v)| (at as u32, v.ended()));
                    handle.deletes.end_all(ended.filter(|(_, seq)| *seq != LIVE));
                }
                (MovedRows::Append(rowids), Some(Memtable::Append(memtable))) => {
                    let ended: HashMap<u64, u64> = memtable.deletions().into_iter().collect();
                    handle.deletes.end_all(
                        rowids.iter().enumerate().filter_map(|(at, rowid)| {
                            ended.get(rowid).map(|seq| (at as u32, *seq))
                        }),
                    );
                }
                (MovedRows::Append(_), _) => {}
            }
            added.push(handle);
        }
        // What is left in memtables is replayed from its first record on; everything
        // before that is now in segments and their delete vectors.
        let left = table.memtables().filter(|m| !m.is_empty()).map(|m| m.seq_range().0).min();
        let flushed_seq = left.map_or(self.last_seq(), |first| first - 1);
        table.flushed_seq = flushed_seq.max(table.flushed_seq);
        table.segments.extend(added.iter().cloned());

        let mut ops = vec![EditOp::AddSegments {
            table: flush.table,
            segments: added.iter().map(|s| s.meta.clone()).collect(),
        }];
        self.log.sync()?;
        ops.extend(self.write_deletes(&table)?);
        ops.push(EditOp::SetFlushed {
            table: flush.table,
            seq: table.flushed_seq,
            next_rowid: table.next_rowid.load(Ordering::Relaxed),
        });
        let seq = self.last_seq();
        state.manifest_version = self.commit_edit(seq, ops)?;
        state.tables.insert(flush.table, Arc::new(table));
        self.shared.replace(state);
        Ok(())
    }

    pub(super) fn commit_bulk(&mut self, bulk: BulkCommit) -> Result<Commit> {
        let current = self.shared.current();
        let seq = self.last_seq() + 1;
        let mut state = State::clone(&current);
        let mut ops = Vec::new();
        if let Some(new) = &bulk.create {
            let mut catalog = (*current.catalog).clone();
            // Checks the name again; the identity was reserved when the load began.
            catalog.new_table(new)?;
            catalog.tables.insert(bulk.def.id, Arc::clone(&bulk.def));
            state.catalog = Arc::new(catalog);
            ops.push(EditOp::SetCatalog(Arc::clone(&state.catalog)));
            state.tables.insert(bulk.def.id, Arc::new(self.new_table(&bulk.def, seq)?));
        }
        let table = match state.tables.get(&bulk.def.id) {
            Some(table) if table.def.version == bulk.def.version => table,
            Some(_) => return Err(Error::SchemaChanged { table: bulk.def.name.clone() }),
            None => {
                return Err(Error::NotFound { what: format!("table '{}'", bulk.def.name) });
            }
        };
        let mut table = TableState::clone(table);
        let mut handles = Vec::with_capacity(bulk.segments.len());
        let mut rows = 0;
        for mut meta in bulk.segments {
            (meta.min_seq, meta.max_seq) = (seq, seq);
            rows += meta.rows;
            if let Some(ids) = &mut meta.rowids {
                let first = table.next_rowid.fetch_add(meta.rows, Ordering::Relaxed);
                (ids.min, ids.max) = (first, first + meta.rows.saturating_sub(1));
            }
            handles.push(self.handle(&bulk.def, meta)?);
        }
        if bulk.def.is_keyed() {
            check_new_keys(&table, &handles, bulk.checked.as_ref())?;
        }
        table.segments.extend(handles.iter().cloned());
        ops.push(EditOp::AddSegments {
            table: bulk.def.id,
            segments: handles.iter().map(|s| s.meta.clone()).collect(),
        });
        ops.push(EditOp::SetFlushed {
            table: bulk.def.id,
            seq: table.flushed_seq,
            next_rowid: table.next_rowid.load(Ordering::Relaxed),
        });
        self.log.sync()?;
        state.manifest_version = self.commit_edit(seq, ops)?;
        self.take_seq(seq);
        state.tables.insert(bulk.def.id, Arc::new(table));
        self.shared.replace_and_publish(state, seq);
        Ok(Commit { seq, inserted: rows, ..Commit::default() })
    }

    pub(super) fn commit_compaction(&mut self, compaction: CompactionCommit) -> Result<bool> {
        let mut state = State::clone(&self.shared.current());
        let table = state.tables.get(&compaction.table);
        let current = table.filter(|table| {
            compaction
                .inputs
                .iter()
                .all(|input| table.segments.iter().any(|s| Arc::ptr_eq(s, input)))
        });
        let Some(table) = current else {
            self.discard(compaction.table, compaction.outputs);
            return Ok(false);
        };
        let mut table = TableState::clone(table);
        self.log.sync()?;
        let ended = compaction.ended();
        let mut added = Vec::with_capacity(compaction.outputs.len());
        for (meta, ended) in compaction.outputs.into_iter().zip(ended) {
            let handle = self.handle(&table.def, meta)?;
            handle.deletes.end_all(ended);
            added.push(handle);
        }
        let mut ops = vec![EditOp::AddSegments {
            table: compaction.table,
            segments: added.iter().map(|s| s.meta.clone()).collect(),
        }];
        ops.push(EditOp::RemoveSegments {
            table: compaction.table,
            segments: compaction.inputs.iter().map(|s| s.meta.name()).collect(),
        });
        let first = table
            .segments
            .iter()
            .position(|s| compaction.inputs.iter().any(|input| Arc::ptr_eq(s, input)));
        table.segments.retain(|s| !compaction.inputs.iter().any(|input| Arc::ptr_eq(s, input)));
        let at = first.unwrap_or(0).min(table.segments.len());
        table.segments.splice(at..at, added);
        ops.extend(self.write_deletes(&table)?);
        let seq = self.last_seq();
        state.manifest_version = self.commit_edit(seq, ops)?;
        for input in &compaction.inputs {
            self.garbage(input.paths(), Some(input));
        }
        state.tables.insert(compaction.table, Arc::new(table));
        self.shared.replace(state);
        Ok(true)
    }

    /// A running segment for a file that was just written.
    fn handle(&self, def: &Arc<TableDef>, meta: SegmentMeta) -> Result<Arc<SegmentHandle>> {
        let vfs = Arc::clone(&self.context.vfs);
        SegmentHandle::open(vfs, Arc::clone(def), meta).map(Arc::new)
    }

    /// Writes the delete vectors of a table that have grown since they were written.
    fn write_deletes(&mut self, table: &TableState) -> Result<Vec<EditOp>> {
        let seq = self.last_seq();
        let horizon = self.shared.horizon();
        let version = self.manifest.state().version + 1;
        let mut ops = Vec::new();
        for segment in &table.segments {
            let rows = segment.deletes.count_at(seq);
            if rows == segment.deletes_file().map_or(0, |d| d.rows) {
                continue;
            }
            let path = segment.meta.delete_vector_path(segment.table, version);
            let bytes = segment.deletes.encode(self.context.identity(), horizon, seq);
            let file = DeleteVectorRef { version, rows, bytes: bytes.len() as u64 };
            let made = self
                .context
                .vfs
                .put_if_absent(&path, &bytes)
                .map_err(|source| Error::Io { path: path.clone(), source })?;
            if !made {
                return Err(Error::Stopped(format!("{path} is already there")));
            }
            if let Some(before) = segment.set_deletes_file(file) {
                let path = segment.meta.delete_vector_path(segment.table, before.version);
                // Named until the edit that this version number belongs to.
                self.garbage_at(version, vec![path], None);
            }
            ops.push(EditOp::SetDeletes {
                table: segment.table,
                segment: segment.meta.name(),
                deletes: file,
            });
        }
        Ok(ops)
    }
}

/// Fails when a key of a new segment is live in the table. What was searched before
/// the load came here is only searched for what happened since.
fn check_new_keys(
    table: &TableState,
    new: &[Arc<SegmentHandle>],
    checked: Option<&(Arc<State>, u64)>,
) -> Result<()> {
    let known = checked.and_then(|(state, seq)| Some((state.tables.get(&table.def.id)?, *seq)));
    let unchanged = known.is_some_and(|(before, seq)| {
        let same_segments = table.segments.len() == before.segments.len()
            && table.segments.iter().zip(&before.segments).all(|(a, b)| Arc::ptr_eq(a, b));
        let no_rows = table.memtables().all(|m| m.is_empty() || m.seq_range().1 <= seq);
        same_segments && no_rows
    });
    if unchanged {
        return Ok(());
    }
    lookup::check_absent(table, new, table.def.key_codec()?.as_ref())
}
