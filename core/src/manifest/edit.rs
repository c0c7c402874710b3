//! Edits, and the state they add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, TableId};
use crate::segment::{DeleteVectorRef, SegmentMeta};

/// One atomic change of the database's durable state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Edit {
    /// Version that this edit makes: one more than the one before.
    pub version: u64,
    /// The largest sequence number that this edit makes durable (I10: the log is
    /// durable up to here before the edit is).
    pub seq: u64,
    /// Who wrote it.
    pub writer_epoch: u64,
    /// When, microseconds since the Unix epoch.
    pub timestamp_us: i64,
    /// What changes, in order.
    pub ops: Vec<EditOp>,
}

/// One part of an edit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EditOp {
    /// The catalog as it is from now on.
    SetCatalog(Arc<Catalog>),
    /// New segments of a table.
    AddSegments { table: TableId, segments: Vec<SegmentMeta> },
    /// Segments that the table has no longer.
    RemoveSegments { table: TableId, segments: Vec<String> },
    /// A new delete vector of a segment.
    SetDeletes { table: TableId, segment: String, deletes: DeleteVectorRef },
    /// Everything of the table up to this number is in segments.
    SetFlushed { table: TableId, seq: u64, next_rowid: u64 },
    /// The table and all its files are gone.
    DropTable(TableId),
}

/// Files of one table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TableFiles {
    /// Segments by name.
    pub segments: BTreeMap<String, SegmentMeta>,
    /// Log records up to this number need no replay.
    pub flushed_seq: u64,
    /// The next `_rowid` as of `flushed_seq`.
    #[serde(default)]
    pub next_rowid: u64,
}

/// Everything that is durable outside the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManifestState {
    /// Identity of the database, in every file of it.
    pub store_id: String,
    /// The version of the last edit.
    pub version: u64,
    /// The largest sequence number of an edit.
    pub seq: u64,
    /// Epoch of the last writer: one more for every opening.
    pub writer_epoch: u64,
    /// Names.
    pub catalog: Arc<Catalog>,
    /// Files per table.
    pub tables: BTreeMap<TableId, TableFiles>,
}

impl ManifestState {
    /// The state of a database that was just made.
    pub(crate) fn new(store_id: String) -> Self {
        Self {
            store_id,
            version: 0,
            seq: 0,
            writer_epoch: 0,
            catalog: Arc::default(),
            tables: BTreeMap::new(),
        }
    }

    /// Moves on by one edit.
    pub(crate) fn apply(&mut self, edit: &Edit) {
        self.version = edit.version;
        self.seq = self.seq.max(edit.seq);
        self.writer_epoch = edit.writer_epoch;
        for op in &edit.ops {
            match op {
                EditOp::SetCatalog(catalog) => self.catalog = Arc::clone(catalog),
                EditOp::AddSegments { table, segments } => {
                    let files = self.tables.entry(*table).or_default();
                    for segment in segments {
                        files.segments.insert(segment.name(), segment.clone());
                    }
                }
                EditOp::RemoveSegments { table, segments } => {
                    let files = self.tables.entry(*table).or_default();
                    for segment in segments {
                        files.segments.remove(segment);
                    }
                }
                EditOp::SetDeletes { table, segment, deletes } => {
                    let files = self.tables.entry(*table).or_default();
                    if let Some(meta) = files.segments.get_mut(segment) {
                        meta.deletes = Some(*deletes);
                    }
                }
                EditOp::SetFlushed { table, seq, next_rowid } => {
                    let files = self.tables.entry(*table).or_default();
                    files.flushed_seq = *seq;
                    files.next_rowid = *next_rowid;
                }
                EditOp::DropTable(table) => {
                    self.tables.remove(table);
                }
            }
        }
    }
}
