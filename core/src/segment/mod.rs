//! Segments of a table: columnar data, key index and delete vector of one stretch
//! of rows, all immutable on disk.
//!
//! ```text
//! t/{table}/{bucket}/{ulid}.seg           columns c{id}, then _seq and _rowid
//! t/{table}/{bucket}/{ulid}.pk            key -> ordinal
//! t/{table}/{bucket}/{ulid}.row           ordinal -> whole row, where the table wants it
//! t/{table}/{bucket}/{ulid}.{version}.dv  ordinal -> sequence number that ended it
//! ```
//!
//! A row is visible at `s` when its `_seq <= s` and it was not ended at or before
//! `s`. Rows that were written by one commit share their number, which then stands
//! in [`SegmentMeta`] instead of a column.

mod delete_file;
mod delete_vector;
mod key_filter;
mod key_index;
mod key_index_v1;
mod meta;
mod read;
mod row_file;
mod sort;
mod write;

use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use bytes::Bytes;
use parking_lot::Mutex;
use sheaf_formats::envelope::{self, FileKind};
use sheaf_formats::segment::{ScanRequest, SegmentReader, collect, format};

pub(crate) use delete_file::{WrittenDeletes, write_deletes};
pub(crate) use delete_vector::DeleteVector;
pub(crate) use key_index::KeyIndex;
pub(crate) use meta::{DeleteVectorRef, RowIds, SegmentMeta, segment_dir};
pub(crate) use read::{Target, adapt, scan_memtable, scan_segment, segment_statistics, take};
pub(crate) use row_file::{PIECE_ROWS, Place as RowPlace, RowFile, RowPiece};
pub(crate) use sort::{SortOrder, order, permutation, reorder};
pub(crate) use write::{Rowids, SegmentInput, Seqs, WriteContext, stream_segment, write_segment};

use crate::catalog::{TableDef, TableId};
use crate::row::RowLayout;
use crate::snapshot::Columns;
use crate::vfs::Vfs;
use crate::{Error, Result};

/// The hidden column with the sequence number of the commit that wrote the row.
pub const SEQ_COLUMN: &str = "_seq";

/// The hidden column with the stable number of a row of an append table.
pub const ROWID_COLUMN: &str = "_rowid";

/// A segment as the running store holds it. Files are opened when first needed.
pub(crate) struct SegmentHandle {
    vfs: Arc<dyn Vfs>,
    pub(crate) table: TableId,
    /// The definition that the columns follow: that of `meta.version`, or newer,
    /// because dropped columns stay in it.
    def: Arc<TableDef>,
    pub(crate) meta: SegmentMeta,
    pub(crate) deletes: DeleteVector,
    /// The newest delete vector on disk.
    deletes_file: Mutex<Option<DeleteVectorRef>>,
    reader: OnceLock<Arc<dyn SegmentReader>>,
    keys: OnceLock<KeyIndex>,
    rows: OnceLock<RowFile>,
    row_layout: OnceLock<Arc<RowLayout>>,
    rowids: OnceLock<UInt64Array>,
    bounds: OnceLock<Bounds>,
}

/// The first and the last row of a segment, as [`SortOrder`] compares them.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub first: Box<[u8]>,
    pub last: Box<[u8]>,
}

impl std::fmt::Debug for SegmentHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentHandle").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl SegmentHandle {
    /// A segment that the manifest names; its delete vector is read now.
    pub(crate) fn open(
        vfs: &Arc<dyn Vfs>,
        def: &Arc<TableDef>,
        meta: SegmentMeta,
    ) -> Result<Arc<Self>> {
        let deletes = match &meta.deletes {
            Some(reference) => {
                let path = meta.delete_vector_path(def.id, reference.version);
                let bytes =
                    vfs.read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
                DeleteVector::decode(&path, bytes, meta.rows)?
            }
            None => DeleteVector::default(),
        };
        Ok(Arc::new(Self {
            vfs: Arc::clone(vfs),
            table: def.id,
            def: Arc::clone(def),
            deletes_file: Mutex::new(meta.deletes),
            meta,
            deletes,
            reader: OnceLock::new(),
            keys: OnceLock::new(),
            rows: OnceLock::new(),
            row_layout: OnceLock::new(),
            rowids: OnceLock::new(),
            bounds: OnceLock::new(),
        }))
    }

    pub(crate) fn path(&self) -> String {
        self.meta.segment_path(self.table)
    }

    /// The newest delete vector on disk.
    pub(crate) fn deletes_file(&self) -> Option<DeleteVectorRef> {
        *self.deletes_file.lock()
    }

    /// Notes a new delete vector on disk; returns the one before.
    pub(crate) fn set_deletes_file(&self, file: DeleteVectorRef) -> Option<DeleteVectorRef> {
        self.deletes_file.lock().replace(file)
    }

    /// Every file of the segment, as it is now.
    pub(crate) fn paths(&self) -> Vec<String> {
        let meta = SegmentMeta { deletes: self.deletes_file(), ..self.meta.clone() };
        meta.paths(self.table)
    }

    /// Bytes of all its files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let deletes = self.deletes_file().map_or(0, |d| d.bytes);
        self.meta.new_bytes() + deletes
    }

    /// Columns as they are in the file.
    pub(crate) fn physical_schema(&self) -> SchemaRef {
        physical_schema(&self.def, self.meta.version, self.meta.seq_column, self.meta.rowids)
    }

    pub(crate) fn reader(&self) -> Result<&Arc<dyn SegmentReader>> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let path = self.path();
        let file = self.vfs.open(&path).map_err(|source| Error::Io { path, source })?;
        let envelope = envelope::Reader::open(file, FileKind::Segment, Some(self.meta.id))?;
        let reader = format(self.meta.encoding).open(self.physical_schema(), envelope)?;
        if reader.rows() != self.meta.rows {
            return Err(Error::Corrupt {
                file: self.path(),
                what: format!(
                    "it holds {} rows, and the manifest says {}",
                    reader.rows(),
                    self.meta.rows
                ),
            });
        }
        Ok(self.reader.get_or_init(|| reader))
    }

    /// The key index of a keyed table's segment.
    pub(crate) fn keys(&self) -> Result<&KeyIndex> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let path = self.meta.key_index_path(self.table);
        let file = self.vfs.open(&path).map_err(|source| Error::Io { path, source })?;
        let keys = KeyIndex::open(file, self.meta.id, self.meta.rows)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The row file, where there is one.
    pub(crate) fn rows(&self) -> Result<Option<&RowFile>> {
        if self.meta.row_bytes == 0 {
            return Ok(None);
        }
        if let Some(rows) = self.rows.get() {
            return Ok(Some(rows));
        }
        let path = self.meta.row_file_path(self.table);
        let file = self.vfs.open(&path).map_err(|source| Error::Io { path, source })?;
        let rows = RowFile::open(file, self.meta.id, self.meta.rows)?;
        Ok(Some(self.rows.get_or_init(|| rows)))
    }

    /// How rows of the row file are laid out.
    pub(crate) fn row_layout(&self) -> Result<Arc<RowLayout>> {
        if let Some(layout) = self.row_layout.get() {
            return Ok(Arc::clone(layout));
        }
        let layout = self.def.row_layout_at(self.meta.version)?;
        Ok(Arc::clone(self.row_layout.get_or_init(|| layout)))
    }

    /// Every key with its ordinal, equal keys one after another.
    pub(crate) fn all_keys(&self) -> Result<Vec<(Bytes, u32)>> {
        self.keys()?.keys(self.rows()?)
    }

    /// Ordinals of the rows with this key, whose hash is `hash`.
    pub(crate) fn find_key(&self, key: &[u8], hash: u64) -> Result<Vec<u32>> {
        self.keys()?.find(key, hash, self.rows()?)
    }

    /// Sequence numbers of the rows at `ordinals`, which are strictly increasing.
    pub(crate) fn seqs(&self, ordinals: &[u64]) -> Result<Vec<u64>> {
        if !self.meta.seq_column {
            return Ok(vec![self.meta.min_seq; ordinals.len()]);
        }
        let column = self.physical_index(SEQ_COLUMN)?;
        let rows = self.reader()?.take(ordinals, &[column])?;
        Ok(rows.column(0).as_primitive::<UInt64Type>().values().to_vec())
    }

    /// Whether the row at `ordinal` was written before `seq`.
    pub(crate) fn is_older(&self, ordinal: u32, seq: u64) -> Result<bool> {
        let (min, max) = (self.meta.min_seq, self.meta.max_seq);
        Ok(min < seq && (max < seq || self.seqs(&[u64::from(ordinal)])?[0] < seq))
    }

    /// Position of a physical column.
    pub(crate) fn physical_index(&self, name: &str) -> Result<usize> {
        self.physical_schema().index_of(name).map_err(Error::Arrow)
    }

    /// Ordinals of the rows with these ids (sorted); rows that are elsewhere are
    /// left out. Pairs are (row id, ordinal).
    pub(crate) fn find_rowids(&self, wanted: &[u64]) -> Result<Vec<(u64, u32)>> {
        let Some(ids) = self.meta.rowids else { return Ok(Vec::new()) };
        let from = wanted.partition_point(|id| *id < ids.min);
        let to = wanted.partition_point(|id| *id <= ids.max);
        let wanted = &wanted[from..to];
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        if ids.sequential {
            return Ok(wanted.iter().map(|id| (*id, (*id - ids.min) as u32)).collect());
        }
        let stored = self.stored_rowids()?;
        Ok(stored
            .values()
            .iter()
            .enumerate()
            .filter(|(_, id)| wanted.binary_search(id).is_ok())
            .map(|(ordinal, id)| (*id, ordinal as u32))
            .collect())
    }

    fn stored_rowids(&self) -> Result<&UInt64Array> {
        if let Some(ids) = self.rowids.get() {
            return Ok(ids);
        }
        let request = ScanRequest {
            projection: vec![self.physical_index(ROWID_COLUMN)?],
            ordered: true,
            ..ScanRequest::default()
        };
        let batches = collect(self.reader()?.scan(request)?)?;
        let mut ids = Vec::with_capacity(self.meta.rows as usize);
        for batch in &batches {
            ids.extend_from_slice(batch.column(0).as_primitive::<UInt64Type>().values());
        }
        debug_assert_eq!(ids.len() as u64, self.meta.rows);
        Ok(self.rowids.get_or_init(|| UInt64Array::from(ids)))
    }

    /// The bounds of its rows. A segment has one.
    pub(crate) fn bounds(&self) -> Result<&Bounds> {
        if let Some(bounds) = self.bounds.get() {
            return Ok(bounds);
        }
        let order = SortOrder::of(&self.def)?;
        let last = self.meta.rows.saturating_sub(1);
        let ends: Vec<ArrayRef> = match self.meta.rowids {
            Some(ids) if !self.def.is_clustered() => {
                vec![Arc::new(UInt64Array::from(vec![ids.min, ids.max]))]
            }
            _ => {
                let target = Target::new(Arc::clone(&self.def), Columns::Visible);
                let ordinals: &[u64] = if last == 0 { &[0] } else { &[0, last] };
                take(self, &target, ordinals, order.columns())?.columns().to_vec()
            }
        };
        let keys = order.keys_of(&ends)?;
        let bytes = |i: usize| keys.row(i).as_ref().into();
        let bounds = Bounds { first: bytes(0), last: bytes(keys.num_rows() - 1) };
        Ok(self.bounds.get_or_init(|| bounds))
    }

    /// Whether its rows are in the table's [`SortOrder`]: of tables without clustering,
    /// earlier versions merged segments in any order.
    pub(crate) fn is_in_order(&self) -> Result<bool> {
        let sequential = self.meta.rowids.is_none_or(|ids| ids.sequential);
        Ok(sequential || self.def.is_clustered() || self.stored_rowids()?.values().is_sorted())
    }

    /// Reads and checks every file of the segment; returns bytes.
    pub(crate) fn verify(&self) -> Result<u64> {
        let mut bytes = self.reader()?.verify()?;
        if self.meta.key_bytes > 0 {
            bytes += self.keys()?.verify()?;
        }
        if let Some(rows) = self.rows()? {
            bytes += rows.verify()?;
        }
        if let Some(reference) = self.deletes_file() {
            let path = self.meta.delete_vector_path(self.table, reference.version);
            let raw =
                self.vfs.read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
            bytes += raw.len() as u64;
            DeleteVector::decode(&path, raw, self.meta.rows)?;
        }
        Ok(bytes)
    }
}

/// Columns of a segment file: live columns by id, then the hidden ones.
pub(crate) fn physical_schema(
    def: &TableDef,
    version: u32,
    seq_column: bool,
    rowids: Option<RowIds>,
) -> SchemaRef {
    let mut fields: Vec<Field> = def
        .columns_at(version)
        .map(|c| Field::new(format!("c{}", c.id), c.data_type.clone(), c.nullable))
        .collect();
    if seq_column {
        fields.push(Field::new(SEQ_COLUMN, DataType::UInt64, false));
    }
    if rowids.is_some_and(|ids| !ids.sequential) {
        fields.push(Field::new(ROWID_COLUMN, DataType::UInt64, false));
    }
    Arc::new(Schema::new(fields))
}
