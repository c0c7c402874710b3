//! Snapshots: the whole database at one sequence number.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use sheaf_formats::predicate::Predicate;
use sheaf_formats::segment::BatchStream;
use sheaf_formats::statistics::SegmentStatistics;

use crate::catalog::{Catalog, TableDef, TableId};
use crate::lookup::{Place, find};
use crate::memtable::Memtable;
use crate::row::key_hash;
use crate::segment::{
    SegmentHandle, Target, adapt, scan_memtable, scan_segment, segment_statistics, take,
};
use crate::state::{Pin, State, TableState};
use crate::{Error, Result};

/// The database at one sequence number. Cheap to clone; pins its files while it
/// lives, so a snapshot that is forgotten keeps the disk full.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pin: Arc<Pin>,
    state: Arc<State>,
}

impl Snapshot {
    pub(crate) fn new(pin: Pin, state: Arc<State>) -> Self {
        Self { pin: Arc::new(pin), state }
    }

    /// Every commit up to this number is visible, none after it.
    pub fn seq(&self) -> u64 {
        self.pin.seq
    }

    /// Names at this snapshot.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.state.catalog
    }

    /// Every table, for checks that look at files.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<TableState>> {
        self.state.tables.values()
    }

    /// Completes the delete vectors of a table's segments.
    pub(crate) fn resolve(&self, table: TableId) -> Result<()> {
        self.pin.resolve(table)
    }

    /// A table at this snapshot.
    pub fn table(&self, id: TableId) -> Result<TableSnapshot> {
        let table = self
            .state
            .tables
            .get(&id)
            .ok_or_else(|| Error::NotFound { what: format!("table {id}") })?;
        Ok(TableSnapshot::new(self.clone(), Arc::clone(table), Columns::Visible))
    }
}

/// Which columns a scan can return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// The table's live columns: [`TableDef::arrow_schema`].
    #[default]
    Visible,
    /// For an append table, the live columns followed by the hidden `_rowid: UInt64`
    /// that [`crate::Write::DeleteRows`] takes. A keyed table has none.
    WithRowId,
}

/// What to read from a part of a table. Column indices are those of
/// [`TableSnapshot::schema`].
#[derive(Clone, Debug, Default)]
pub struct PartScan {
    /// Columns in output order; empty means only row counts.
    pub projection: Vec<usize>,
    /// Keep only rows for which this is true.
    pub predicate: Option<Predicate>,
    /// Stop after so many rows.
    pub limit: Option<u64>,
    /// Split `(i, n)`: read the i-th of n pieces of this part's rows. Pieces are
    /// disjoint and together are the part, and piece `(i, n)` is the pieces
    /// `(i * m, n * m)` to `(i * m + m - 1, n * m)`.
    pub piece: Option<(usize, usize)>,
    /// Keep the part's row order.
    pub ordered: bool,
}

/// One table at one snapshot.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    snapshot: Snapshot,
    table: Arc<TableState>,
    target: Target,
    parts: OnceLock<Arc<[Part]>>,
}

impl TableSnapshot {
    fn new(snapshot: Snapshot, table: Arc<TableState>, columns: Columns) -> Self {
        let target = Target::new(Arc::clone(&table.def), columns);
        Self { snapshot, table, target, parts: OnceLock::new() }
    }

    /// What the snapshot sees of the running state.
    pub(crate) fn state(&self) -> &TableState {
        &self.table
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Completes the delete vectors of the table's segments.
    pub(crate) fn resolve(&self) -> Result<()> {
        self.snapshot.resolve(self.table.def.id)
    }

    fn list_parts(&self) -> Arc<[Part]> {
        let Self { snapshot, table, target, .. } = self;
        let part = |source| Part { source, seq: snapshot.seq(), target: target.clone() };
        let seq = snapshot.seq();
        let segments = table
            .segments
            .iter()
            .filter(|s| s.meta.min_seq <= seq)
            .map(|s| part(PartSource::Segment(Arc::clone(s))));
        let memtables = table
            .memtables()
            .filter(|m| !m.is_empty() && m.seq_range().0 <= seq)
            .map(|m| part(PartSource::Memtable(m.clone())));
        segments.chain(memtables).collect()
    }

    /// The table's definition.
    pub fn def(&self) -> &Arc<TableDef> {
        &self.table.def
    }

    /// The snapshot that this table belongs to.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Chooses which columns scans see.
    pub fn with_columns(self, columns: Columns) -> Self {
        Self::new(self.snapshot, self.table, columns)
    }

    /// Schema that projections and predicates refer to.
    pub fn schema(&self) -> &SchemaRef {
        &self.target.schema
    }

    /// The disjoint parts whose union is the table: segments, then memtables.
    pub fn parts(&self) -> Result<&[Part]> {
        if let Some(parts) = self.parts.get() {
            return Ok(parts);
        }
        self.resolve()?;
        Ok(self.parts.get_or_init(|| self.list_parts()))
    }

    /// Point lookup by primary key: `keys` has the key's columns in key order, each
    /// row one key. Returns the rows found (schema [`Self::schema`], order not
    /// specified), at most one per key.
    pub fn get(&self, keys: &RecordBatch) -> Result<RecordBatch> {
        if !self.table.def.is_keyed() {
            return Err(Error::Invalid(format!(
                "table '{}' has no primary key",
                self.table.def.name
            )));
        }
        let keys = self.table.def.key_codec()?.of_columns(keys.columns())?;
        let mut batches = Vec::new();
        let mut by_segment: HashMap<u128, (Arc<SegmentHandle>, Vec<u64>)> = HashMap::new();
        for key in keys.iter() {
            match find(&self.table, key, key_hash(key), self.snapshot.seq(), None)?.place {
                Some(Place::Memtable { entry, memtable }) => {
                    let row = memtable.layout().decode_all(&[key], &[entry.get().packed()])?;
                    batches.push(adapt(&self.target, memtable.def().version, &row)?);
                }
                Some(Place::Segment { segment, ordinal }) => {
                    let entry =
                        by_segment.entry(segment.meta.id).or_insert_with(|| (segment, Vec::new()));
                    entry.1.push(u64::from(ordinal));
                }
                None => {}
            }
        }
        let all: Vec<usize> = (0..self.target.schema.fields().len()).collect();
        for (segment, mut ordinals) in by_segment.into_values() {
            ordinals.sort_unstable();
            ordinals.dedup();
            batches.push(take(&segment, &self.target, &ordinals, &all)?);
        }
        match batches.as_slice() {
            [one] => Ok(one.clone()),
            many => Ok(concat_batches(&self.target.schema, many)?),
        }
    }
}

/// A segment or a memtable at a snapshot.
#[derive(Clone, Debug)]
pub struct Part {
    source: PartSource,
    seq: u64,
    target: Target,
}

#[derive(Clone, Debug)]
enum PartSource {
    Segment(Arc<SegmentHandle>),
    Memtable(Memtable),
}

impl Part {
    /// True for a memtable.
    pub fn is_memtable(&self) -> bool {
        matches!(self.source, PartSource::Memtable(_))
    }

    /// Rows visible at the snapshot when known exactly, else an upper bound.
    pub fn rows(&self) -> u64 {
        match &self.source {
            PartSource::Segment(s) => s.meta.rows - s.deletes.count_at(self.seq),
            PartSource::Memtable(m) => m.rows(),
        }
    }

    /// Whether [`Self::rows`] is exact.
    pub fn rows_exact(&self) -> bool {
        match &self.source {
            PartSource::Segment(s) => s.meta.max_seq <= self.seq,
            PartSource::Memtable(_) => false,
        }
    }

    /// Rows that the statistics speak of but that are deleted at the snapshot.
    pub fn deleted_rows(&self) -> u64 {
        match &self.source {
            PartSource::Segment(s) => s.deletes.count_at(self.seq),
            PartSource::Memtable(_) => 0,
        }
    }

    /// Bytes on disk or in memory.
    pub fn bytes(&self) -> u64 {
        match &self.source {
            PartSource::Segment(s) => s.meta.bytes,
            PartSource::Memtable(m) => m.bytes() as u64,
        }
    }

    /// File name relative to the database, for a segment.
    pub fn path(&self) -> Option<PathBuf> {
        match &self.source {
            PartSource::Segment(s) => Some(s.path().into()),
            PartSource::Memtable(_) => None,
        }
    }

    /// Statistics of a segment over all its rows (deleted ones too), columns
    /// matching [`TableSnapshot::schema`] by position; `None` for a memtable. A segment
    /// that cannot be opened has none either: its scan says why.
    pub fn statistics(&self) -> Option<Arc<SegmentStatistics>> {
        match &self.source {
            PartSource::Segment(s) => segment_statistics(s, &self.target).ok(),
            PartSource::Memtable(_) => None,
        }
    }

    /// Reads it. The stream's batches have the projected schema.
    pub fn scan(&self, scan: PartScan) -> Result<BatchStream> {
        match &self.source {
            PartSource::Segment(s) => scan_segment(s, &self.target, self.seq, scan),
            PartSource::Memtable(m) => {
                let batches = scan_memtable(m, &self.target, self.seq, &scan)?;
                Ok(futures::stream::iter(batches.into_iter().map(Ok)).boxed())
            }
        }
    }
}
