//! Commits that bring files: flush, bulk load, compaction.
//!
//! The files are written and synced before they get here; what happens on the
//! committer is one manifest edit and one swap of the state. Rows that ended
//! while the files were written are carried over (I4).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::committer::Committer;
use crate::catalog::{Catalog, CatalogChange, NewTable, TableDef, TableId};
use crate::lookup;
use crate::manifest::EditOp;
use crate::memtable::{Entries, LIVE, Memtable};
use crate::segment::{SegmentHandle, SegmentMeta, WrittenDeletes, write_deletes};
use crate::state::{State, TableState};
use crate::write::Commit;
use crate::{Error, Result};

/// Files of a flush or a merge, written and not yet named by the manifest.
pub(crate) struct NewFiles {
    pub segments: Vec<Arc<SegmentHandle>>,
    /// Of new and of older segments.
    pub deletes: Vec<WrittenDeletes>,
    /// Rows that ended at or before this are in the delete vectors.
    pub until: u64,
}

impl NewFiles {
    pub(crate) fn paths(&self) -> Vec<String> {
        let segments = self.segments.iter().flat_map(|s| s.meta.paths(s.table));
        segments.chain(self.deletes.iter().map(WrittenDeletes::path)).collect()
    }
}

/// Where the rows of a flushed segment came from, by ordinal.
pub(crate) enum MovedRows {
    Keyed(Entries),
    Append(Vec<u64>),
}

impl MovedRows {
    /// Notes in the new segment which of its rows have ended since they were written (I4).
    pub(crate) fn carry_deletes(&self, memtable: &Memtable, segment: &SegmentHandle) {
        match (self, memtable) {
            (Self::Keyed(versions), _) => {
                let ended = versions.iter().enumerate().map(|(at, v)| (at as u32, v.ended()));
                segment.deletes.end_all(ended.filter(|(_, seq)| *seq != LIVE));
            }
            (Self::Append(rowids), Memtable::Append(memtable)) => {
                let ended: HashMap<u64, u64> = memtable.deletions().into_iter().collect();
                segment.deletes.end_all(
                    rowids
                        .iter()
                        .enumerate()
                        .filter_map(|(at, rowid)| ended.get(rowid).map(|seq| (at as u32, *seq))),
                );
            }
            (Self::Append(_), Memtable::Keyed(_)) => {}
        }
    }
}

/// A memtable that has become segments.
pub(crate) struct FlushCommit {
    pub table: TableId,
    /// `None`: there were no rows, only deletions to make durable.
    pub memtable: Option<Memtable>,
    pub files: NewFiles,
    /// Per new segment.
    pub moved: Vec<MovedRows>,
}

/// Rows that were loaded beside the log.
pub(crate) struct BulkCommit {
    pub def: Arc<TableDef>,
    /// The table is made by the same commit.
    pub create: Option<Created>,
    pub segments: Vec<SegmentMeta>,
    /// The state whose segments and memtables were searched for duplicate keys.
    pub checked: Option<(Arc<State>, u64)>,
}

/// A table that a load creates.
#[derive(Clone)]
pub(crate) struct Created {
    pub table: NewTable,
    /// The table that goes when it comes.
    pub replaces: Option<TableId>,
}

impl Created {
    /// `current` without what is replaced.
    pub(crate) fn catalog(&self, current: &Catalog) -> Result<Catalog> {
        match self.replaces {
            Some(old) => Ok(current.apply(&CatalogChange::DropTable(old))?.catalog),
            None => Ok(current.clone()),
        }
    }
}

/// Segments that were merged.
pub(crate) struct CompactionCommit {
    pub table: TableId,
    pub inputs: Vec<Arc<SegmentHandle>>,
    /// No segments when no row was left.
    pub files: NewFiles,
    pub moved: MovedPositions,
}

/// Where the rows of merged segments went.
pub(crate) struct MovedPositions {
    /// Rows that ended at or before this were left out.
    pub horizon: u64,
    /// Per output: the position of its first row among those of all outputs.
    pub starts: Vec<u32>,
    /// Per input: the position of each row, `u32::MAX` for rows left out.
    pub positions: Vec<Vec<u32>>,
}

impl MovedPositions {
    /// Notes in the new segments which of their rows have ended since they were written
    /// (I4).
    pub(crate) fn carry_deletes(&self, from: &[Arc<SegmentHandle>], to: &[Arc<SegmentHandle>]) {
        let mut ended: Vec<Vec<(u32, u64)>> = vec![Vec::new(); to.len()];
        for (input, positions) in from.iter().zip(&self.positions) {
            for (ordinal, seq) in input.deletes.entries_after(self.horizon) {
                let position = positions[ordinal as usize];
                if position == u32::MAX {
                    continue;
                }
                let output = self.starts.partition_point(|start| *start <= position) - 1;
                ended[output].push((position - self.starts[output], seq));
            }
        }
        for (segment, ended) in to.iter().zip(ended) {
            segment.deletes.end_all(ended);
        }
    }
}

impl Committer {
    pub(super) fn commit_flush(&mut self, flush: FlushCommit) -> Result<()> {
        let mut state = State::clone(&self.shared.current());
        let Some(table) = state.tables.get(&flush.table) else {
            // Dropped meanwhile: the files go the way of all files nobody names.
            self.garbage(flush.files.paths(), None);
            return Ok(());
        };
        let mut table = TableState::clone(table);
        if let Some(memtable) = &flush.memtable {
            let before = table.immutable.len();
            table.immutable.retain(|m| !m.same_as(memtable));
            if table.immutable.len() == before {
                // Truncated meanwhile.
                self.garbage(flush.files.paths(), None);
                return Ok(());
            }
            for (segment, moved) in flush.files.segments.iter().zip(&flush.moved) {
                moved.carry_deletes(memtable, segment);
            }
        }
        // What is left in memtables is replayed from its first record on, and deletions
        // from the first that delete vectors do not have; everything before is in files.
        let left = table.memtables().filter(|m| !m.is_empty()).map(|m| m.seq_range().0).min();
        let flushed_seq = left.map_or(self.last_seq(), |first| first - 1).min(flush.files.until);
        table.flushed_seq = flushed_seq.max(table.flushed_seq);
        self.log.sync()?;
        let mut ops = self.name_files(&mut table, flush.files, None)?;
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
        let mut dropped = None;
        if let Some(created) = &bulk.create {
            let mut catalog = created.catalog(&current.catalog)?;
            // Checks the name again; the identity was reserved when the load began.
            catalog.new_table(&created.table)?;
            catalog.tables.insert(bulk.def.id, Arc::clone(&bulk.def));
            state.catalog = Arc::new(catalog);
            ops.push(EditOp::SetCatalog(Arc::clone(&state.catalog)));
            if let Some(old) = created.replaces {
                ops.push(EditOp::DropTable(old));
                dropped = state.tables.remove(&old);
            }
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
            handles.push(SegmentHandle::open(&self.context.vfs, &bulk.def, meta)?);
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
        for segment in dropped.iter().flat_map(|table| &table.segments) {
            self.garbage(segment.paths(), Some(segment));
        }
        Ok(Commit { seq, inserted: rows, ..Commit::default() })
    }

    pub(super) fn commit_compaction(&mut self, compaction: CompactionCommit) -> Result<bool> {
        let CompactionCommit { table: id, inputs, files, moved } = compaction;
        let mut state = State::clone(&self.shared.current());
        let table = state.tables.get(&id).filter(|table| {
            inputs.iter().all(|input| table.segments.iter().any(|s| Arc::ptr_eq(s, input)))
        });
        let Some(table) = table else {
            self.garbage(files.paths(), None);
            return Ok(false);
        };
        let mut table = TableState::clone(table);
        self.log.sync()?;
        moved.carry_deletes(&inputs, &files.segments);
        let is_input = |s: &Arc<SegmentHandle>| inputs.iter().any(|input| Arc::ptr_eq(s, input));
        let at = table.segments.iter().position(is_input);
        table.segments.retain(|s| !is_input(s));
        let mut ops = self.name_files(&mut table, files, at)?;
        ops.push(EditOp::RemoveSegments {
            table: id,
            segments: inputs.iter().map(|s| s.meta.name()).collect(),
        });
        let seq = self.last_seq();
        state.manifest_version = self.commit_edit(seq, ops)?;
        for input in &inputs {
            self.garbage(input.paths(), Some(input));
        }
        state.tables.insert(id, Arc::new(table));
        self.shared.replace(state);
        Ok(true)
    }

    /// Puts new segments into the table, at the end or at a place among its segments.
    /// Returns how the manifest names them and their delete vectors.
    fn name_files(
        &mut self,
        table: &mut TableState,
        files: NewFiles,
        at: Option<usize>,
    ) -> Result<Vec<EditOp>> {
        let mut ops = vec![EditOp::AddSegments {
            table: table.def.id,
            segments: files.segments.iter().map(|s| s.meta.clone()).collect(),
        }];
        let at = at.unwrap_or(usize::MAX).min(table.segments.len());
        table.segments.splice(at..at, files.segments);
        for written in files.deletes {
            let is_there = table.segments.iter().any(|s| Arc::ptr_eq(s, &written.segment));
            let newest = written.segment.deletes_file().map_or(0, |file| file.rows);
            if is_there && newest < written.file.rows {
                ops.push(self.name_deletes(&written));
            } else {
                self.garbage(vec![written.path()], None);
            }
        }
        // Deletions whose log may go must be in a file: those that a file which was written
        // meanwhile has missed.
        for segment in &table.segments {
            let named = segment.deletes_file().map_or(0, |file| file.rows);
            if segment.deletes.count_at(table.flushed_seq) > named {
                let horizon = self.shared.horizon().min(table.flushed_seq);
                let until = self.last_seq();
                if let Some(written) = write_deletes(&self.context, segment, horizon, until)? {
                    ops.push(self.name_deletes(&written));
                }
            }
        }
        Ok(ops)
    }

    fn name_deletes(&mut self, written: &WrittenDeletes) -> EditOp {
        let segment = &written.segment;
        if let Some(before) = segment.set_deletes_file(written.file) {
            let path = segment.meta.delete_vector_path(segment.table, before.version);
            // Named until the next edit.
            self.garbage_at(self.manifest.state().version + 1, vec![path], None);
        }
        EditOp::SetDeletes {
            table: segment.table,
            segment: segment.meta.name(),
            deletes: written.file,
        }
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
