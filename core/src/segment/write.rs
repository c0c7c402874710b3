//! Writing a segment: columns, key index, fsync of files and folder.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use sheaf_formats::envelope::{FileIdentity, FileKind, Writer};
use sheaf_formats::segment::{Effort, format};
use sheaf_formats::statistics::SegmentStatistics;

use super::{KeyIndex, RowFile, RowIds, SegmentMeta, physical_schema, segment_dir};
use crate::catalog::TableDef;
use crate::clock::{Clock, Rng, new_ulid};
use crate::compaction::{FLUSHED, SETTLED};
use crate::partition::Bucket;
use crate::vfs::{Vfs, WriteFile};
use crate::{Error, Result};

/// What every new file of the store is marked with.
#[derive(Clone, Debug)]
pub(crate) struct WriteContext {
    pub vfs: Arc<dyn Vfs>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub store_id: u128,
    pub writer_epoch: u64,
}

impl WriteContext {
    /// The identity of a new file.
    pub(crate) fn identity(&self) -> FileIdentity {
        FileIdentity {
            file_id: new_ulid(self.clock.as_ref(), self.rng.as_ref()),
            store_id: self.store_id,
            writer_epoch: self.writer_epoch,
            ..FileIdentity::default()
        }
    }
}

/// Sequence numbers of the rows of a new segment.
pub(crate) enum Seqs {
    /// All rows belong to a commit that has no number yet: the commit fills it in.
    AtCommit,
    /// One number per row.
    PerRow(Vec<u64>),
}

/// Row ids of a new segment of an append table.
pub(crate) enum Rowids {
    /// A keyed table has none.
    None,
    /// Consecutive from a number that the commit fills in.
    AtCommit,
    /// One id per row.
    PerRow(Vec<u64>),
}

/// Rows on their way into a segment, in their final order.
pub(crate) struct SegmentInput {
    pub bucket: Bucket,
    /// Schema of the definition.
    pub rows: RecordBatch,
    pub seqs: Seqs,
    pub rowids: Rowids,
    pub level: u32,
}

/// Writes rows of a table without key or buckets in the order in which they come, with
/// numbers that the commit fills in; durable as with [`write_segment`].
pub(crate) fn stream_segment(
    context: &WriteContext,
    def: &TableDef,
    batches: &mut dyn Iterator<Item = sheaf_formats::Result<RecordBatch>>,
) -> Result<SegmentMeta> {
    let identity = context.identity();
    let rowids = RowIds { min: 0, max: 0, sequential: true };
    let mut meta = SegmentMeta {
        rowids: Some(rowids),
        level: SETTLED,
        ..new_meta(def, identity, Bucket::All)
    };
    let schema = physical_schema(def, def.version, false, meta.rowids);
    let mut batches = batches
        .map(|rows| Ok(RecordBatch::try_new(Arc::clone(&schema), rows?.columns().to_vec())?));
    write_files(context, def, &mut meta, |meta| {
        let statistics = write_columns(context, def, identity, &schema, &mut batches, meta)?;
        meta.rows = statistics.rows;
        meta.rowids = Some(RowIds { max: meta.rows.saturating_sub(1), ..rowids });
        Ok(())
    })?;
    Ok(meta)
}

/// Writes the files and makes them durable; the manifest does not know them yet.
pub(crate) fn write_segment(
    context: &WriteContext,
    def: &TableDef,
    input: SegmentInput,
) -> Result<SegmentMeta> {
    let rows = input.rows.num_rows() as u64;
    let (min_seq, max_seq) = match &input.seqs {
        Seqs::AtCommit => (0, 0),
        Seqs::PerRow(seqs) => {
            (seqs.iter().min().copied().unwrap_or(0), seqs.iter().max().copied().unwrap_or(0))
        }
    };
    let rowids = match &input.rowids {
        Rowids::None => None,
        Rowids::AtCommit => Some(RowIds { min: 0, max: rows.saturating_sub(1), sequential: true }),
        Rowids::PerRow(ids) => Some(RowIds {
            min: ids.iter().min().copied().unwrap_or(0),
            max: ids.iter().max().copied().unwrap_or(0),
            sequential: ids.windows(2).all(|w| w[0] + 1 == w[1]),
        }),
    };
    let seq_column = min_seq != max_seq;
    let schema = physical_schema(def, def.version, seq_column, rowids);
    let mut columns: Vec<ArrayRef> = input.rows.columns().to_vec();
    if let (true, Seqs::PerRow(seqs)) = (seq_column, input.seqs) {
        columns.push(Arc::new(UInt64Array::from(seqs)));
    }
    if let (Some(RowIds { sequential: false, .. }), Rowids::PerRow(ids)) = (rowids, input.rowids) {
        columns.push(Arc::new(UInt64Array::from(ids)));
    }
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;

    let identity = context.identity();
    let mut meta = SegmentMeta {
        rows,
        min_seq,
        max_seq,
        seq_column,
        rowids,
        level: input.level,
        ..new_meta(def, identity, input.bucket)
    };
    write_files(context, def, &mut meta, |meta| {
        let batches = &mut std::iter::once(Ok(batch));
        write_columns(context, def, identity, &schema, batches, meta)?;
        if def.is_keyed() {
            write_keys(context, def, identity, &input.rows, meta)?;
        }
        Ok(())
    })?;
    Ok(meta)
}

/// Writes the key index and, where the table wants it, the row file.
fn write_keys(
    context: &WriteContext,
    def: &TableDef,
    identity: FileIdentity,
    rows: &RecordBatch,
    meta: &mut SegmentMeta,
) -> Result<()> {
    let keys = if def.row_store {
        let (keys, packed) = def.row_layout()?.encode(rows)?;
        let path = meta.row_file_path(def.id);
        let in_key_order = keys.iter().is_sorted();
        meta.row_bytes = write_file(context, &path, |file| {
            let mut out = Writer::new(file.clone(), FileKind::RowSidecar, identity)?;
            RowFile::write(&keys, &packed, in_key_order, &mut out)
                .map_err(|source| io_error(&path, source))?;
            out.finish(&[])?;
            Ok(())
        })?;
        keys
    } else {
        def.key_codec()?.of_rows(rows)?
    };
    let keys: Vec<&[u8]> = keys.iter().collect();
    let path = meta.key_index_path(def.id);
    meta.key_bytes = write_file(context, &path, |file| {
        let mut out = Writer::new(file.clone(), FileKind::KeyIndex, identity)?;
        KeyIndex::write(&keys, !def.row_store, &mut out)
            .map_err(|source| io_error(&path, source))?;
        out.finish(&KeyIndex::footer(&keys))?;
        Ok(())
    })?;
    Ok(())
}

/// What is known of a segment before its first row.
fn new_meta(def: &TableDef, identity: FileIdentity, bucket: Bucket) -> SegmentMeta {
    SegmentMeta {
        id: identity.file_id,
        bucket,
        partition_spec: def.partition.as_ref().map(|p| p.id),
        version: def.version,
        rows: 0,
        bytes: 0,
        key_bytes: 0,
        row_bytes: 0,
        min_seq: 0,
        max_seq: 0,
        seq_column: false,
        rowids: None,
        level: FLUSHED,
        full: false,
        encoding: def.encoding,
        key_id: identity.key_id,
        location_id: identity.location_id,
        deletes: None,
    }
}

/// Has `write` write the files of a segment into their folder, which is durable
/// afterwards; a failure leaves no file.
fn write_files(
    context: &WriteContext,
    def: &TableDef,
    meta: &mut SegmentMeta,
    write: impl FnOnce(&mut SegmentMeta) -> Result<()>,
) -> Result<()> {
    let dir = segment_dir(def.id, meta.bucket);
    let result = (|| {
        context.vfs.create_dir_all(&dir).map_err(|source| io_error(&dir, source))?;
        write(meta)?;
        context.vfs.sync_dir(&dir).map_err(|source| io_error(&dir, source))
    })();
    if result.is_err() {
        // Outputs of a failed write are ours to remove (I5); if that fails too, the
        // next writer's collection finds them.
        let id = def.id;
        for path in [meta.segment_path(id), meta.key_index_path(id), meta.row_file_path(id)] {
            let _ = context.vfs.delete(&path);
        }
    }
    result
}

fn write_columns(
    context: &WriteContext,
    def: &TableDef,
    identity: FileIdentity,
    schema: &SchemaRef,
    batches: &mut dyn Iterator<Item = sheaf_formats::Result<RecordBatch>>,
    meta: &mut SegmentMeta,
) -> Result<SegmentStatistics> {
    let mut statistics = SegmentStatistics::default();
    meta.bytes = write_file(context, &meta.segment_path(def.id), |file| {
        let out: Box<dyn Write + Send> = Box::new(file.clone());
        let out = Writer::new(out, FileKind::Segment, identity)?;
        // What is not settled will be written again.
        let effort = if meta.level < SETTLED { Effort::Quick } else { Effort::Thorough };
        statistics = format(def.encoding).write(schema, batches, effort, out)?;
        Ok(())
    })?;
    Ok(statistics)
}

fn write_file(
    context: &WriteContext,
    path: &str,
    fill: impl FnOnce(&SharedFile) -> Result<()>,
) -> Result<u64> {
    let file = context.vfs.create(path).map_err(|source| io_error(path, source))?;
    let file = SharedFile(Arc::new(Mutex::new(Counted { file, bytes: 0 })));
    fill(&file)?;
    let mut counted = file.0.lock();
    counted.file.sync().map_err(|source| io_error(path, source))?;
    Ok(counted.bytes)
}

fn io_error(path: &str, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}

struct Counted {
    file: Box<dyn WriteFile>,
    bytes: u64,
}

/// Lets an encoding own the writer while we keep the file to sync it.
#[derive(Clone)]
struct SharedFile(Arc<Mutex<Counted>>);

impl Write for SharedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut counted = self.0.lock();
        let written = counted.file.write(buf)?;
        counted.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().file.flush()
    }
}
