//! Commits that change the catalog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::committer::Committer;
use crate::catalog::{CatalogChange, TableDef};
use crate::manifest::EditOp;
use crate::memtable::Memtable;
use crate::state::{State, TableState};
use crate::write::Commit;
use crate::{Error, Result};

impl Committer {
    /// Completes the delete vectors of the tables whose segments `change` takes away:
    /// snapshots may hold them for long.
    pub(super) fn resolve_removed(&self, change: &CatalogChange) -> Result<()> {
        let current = self.shared.current();
        if current.tables.values().all(|table| table.unresolved.is_empty()) {
            return Ok(());
        }
        let delta = current.catalog.apply(change)?;
        delta
            .dropped
            .iter()
            .chain(&delta.truncated)
            .try_for_each(|table| self.shared.resolve(*table))
    }

    pub(super) fn commit_catalog(&mut self, change: &CatalogChange) -> Result<Commit> {
        let current = self.shared.current();
        let delta = current.catalog.apply(change)?;
        let seq = self.last_seq() + 1;
        let mut state = State::clone(&current);
        let catalog = Arc::new(delta.catalog);
        let mut ops = vec![EditOp::SetCatalog(Arc::clone(&catalog))];
        let mut garbage = Vec::new();

        for id in &delta.dropped {
            ops.push(EditOp::DropTable(*id));
            if let Some(table) = state.tables.remove(id) {
                garbage.extend(table.segments.iter().cloned());
            }
        }
        if let Some(id) = delta.defined {
            let def = catalog
                .tables
                .get(&id)
                .ok_or_else(|| Error::Invalid("a defined table is in the catalog".into()))?;
            let table = match current.tables.get(&id) {
                Some(table) => redefined(table, def)?,
                None => self.new_table(def, seq)?,
            };
            ops.push(EditOp::SetFlushed {
                table: id,
                seq: table.flushed_seq,
                next_rowid: table.next_rowid.load(Ordering::Relaxed),
            });
            state.tables.insert(id, Arc::new(table));
        }
        if let Some(id) = delta.truncated
            && let Some(table) = current.tables.get(&id)
        {
            garbage.extend(table.segments.iter().cloned());
            ops.push(EditOp::RemoveSegments {
                table: id,
                segments: table.segments.iter().map(|s| s.meta.name()).collect(),
            });
            ops.push(EditOp::SetFlushed {
                table: id,
                seq,
                next_rowid: table.next_rowid.load(Ordering::Relaxed),
            });
            let empty = TableState {
                active: Memtable::new(&table.def)?,
                immutable: Vec::new(),
                segments: Vec::new(),
                flushed_seq: seq,
                truncated_seq: seq,
                ..TableState::clone(table)
            };
            state.tables.insert(id, Arc::new(empty));
        }
        self.log.sync()?;
        state.manifest_version = self.commit_edit(seq, ops)?;
        state.catalog = catalog;
        self.take_seq(seq);
        self.shared.replace_and_publish(state, seq);
        for segment in garbage {
            self.garbage(segment.paths(), Some(&segment));
        }
        Ok(Commit { seq, ..Commit::default() })
    }

    /// A table without rows, made by the commit `seq`.
    pub(super) fn new_table(&self, def: &Arc<TableDef>, seq: u64) -> Result<TableState> {
        Ok(TableState {
            def: Arc::clone(def),
            active: Memtable::new(def)?,
            immutable: Vec::new(),
            segments: Vec::new(),
            flushed_seq: seq,
            truncated_seq: 0,
            next_rowid: Arc::new(AtomicU64::new(1)),
            unresolved: Arc::default(),
        })
    }
}

/// The table under a new definition. Its memtable is frozen, because a memtable
/// holds rows of one definition.
fn redefined(table: &TableState, def: &Arc<TableDef>) -> Result<TableState> {
    let mut next = TableState { def: Arc::clone(def), ..TableState::clone(table) };
    let full = std::mem::replace(&mut next.active, Memtable::new(def)?);
    if !full.is_empty() {
        next.immutable.push(full);
    }
    Ok(next)
}
