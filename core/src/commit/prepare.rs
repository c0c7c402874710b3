//! What a caller's thread does before a commit: check and encode.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use bytes::Bytes;

use super::keys::Keys;
use crate::catalog::TableDef;
use crate::log::{compress, encode_batch};
use crate::partition::{Bucket, split};
use crate::row::{RowBytes, RowUpdate};
use crate::state::State;
use crate::store::Compression;
use crate::views::compacted;
use crate::write::{Durability, OnConflict, Write, WriteBatch};
use crate::{Error, Result};

/// The largest write batch, in bytes of its encoded rows. More goes in by bulk load.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// Append batches of fewer rows are logged row by row: an IPC stream costs about a
/// kilobyte whatever it holds.
const ROW_FORM_BELOW: usize = 64;

/// A batch that needs nothing more from its caller's thread.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub ops: Vec<PreparedOp>,
    pub read_at: Option<u64>,
    pub durability: Durability,
    /// Bytes of the encoded rows.
    pub bytes: usize,
}

/// One encoded change.
#[derive(Debug)]
pub(crate) enum PreparedOp {
    Put {
        table: Arc<TableDef>,
        keys: Keys,
        packed: RowBytes,
        on_conflict: OnConflict,
        /// Keys and rows as the log gets them, where that is worth it.
        compressed: Option<Bytes>,
    },
    DeleteKeys {
        table: Arc<TableDef>,
        keys: Keys,
    },
    Update {
        update: RowUpdate,
        keys: Keys,
    },
    Append {
        table: Arc<TableDef>,
        parts: Vec<AppendPart>,
    },
    DeleteRows {
        table: Arc<TableDef>,
        rowids: Vec<u64>,
    },
}

/// Rows of one bucket.
#[derive(Debug)]
pub(crate) struct AppendPart {
    pub bucket: Bucket,
    pub rows: RecordBatch,
    pub wire: AppendWire,
    /// The same, where that is worth it.
    pub compressed: Option<Bytes>,
}

/// How rows of an append table go into the log.
#[derive(Debug)]
pub(crate) enum AppendWire {
    Rows(RowBytes),
    Ipc(Bytes),
}

impl PreparedOp {
    pub(crate) fn table(&self) -> &Arc<TableDef> {
        match self {
            Self::Put { table, .. }
            | Self::DeleteKeys { table, .. }
            | Self::Append { table, .. }
            | Self::DeleteRows { table, .. } => table,
            Self::Update { update, .. } => &update.table,
        }
    }

    /// Whether it may replace rows of segments that nobody has looked for.
    fn is_lazy_put(&self) -> bool {
        matches!(self, Self::Put { table, on_conflict: OnConflict::Replace, .. } if table.lazy_upserts)
    }

    /// Compresses what the log gets of many rows.
    fn compress(&mut self) {
        match self {
            Self::Put { keys, packed, compressed, .. } => {
                *compressed = compress_rows(&[&keys.bytes, packed]);
            }
            Self::Append { parts, .. } => {
                for part in parts {
                    part.compressed = match &part.wire {
                        AppendWire::Rows(rows) => compress_rows(&[rows]),
                        AppendWire::Ipc(ipc) => compress(&[ipc], || ipc.clone()),
                    };
                }
            }
            Self::DeleteKeys { .. } | Self::Update { .. } | Self::DeleteRows { .. } => {}
        }
    }
}

fn compress_rows(all: &[&RowBytes]) -> Option<Bytes> {
    let parts: Vec<&[u8]> = all.iter().map(|rows| rows.all()).collect();
    compress(&parts, || {
        let mut out = Vec::new();
        for rows in all {
            rows.encode(&mut out);
        }
        out.into()
    })
}

impl Prepared {
    /// Whether `op` may be applied without a look at segments.
    pub(crate) fn is_lazy(&self, op: &PreparedOp) -> bool {
        // A conflict is found by what has changed since.
        self.read_at.is_none() && op.is_lazy_put()
    }

    /// Looks keys up in the segments of `state`, so that the leader need not.
    pub(crate) fn probe(&mut self, state: &State) -> Result<()> {
        // Whether a key has changed since then is more than where its row is.
        if self.read_at.is_some() {
            return Ok(());
        }
        for op in self.ops.iter_mut().filter(|op| !op.is_lazy_put()) {
            if let PreparedOp::Put { table, keys, .. } | PreparedOp::DeleteKeys { table, keys } = op
                && let Some(table) = state.tables.get(&table.id)
            {
                keys.probe(table)?;
            }
        }
        Ok(())
    }
}

/// Checks and encodes `batch`.
pub(crate) fn prepare(
    batch: WriteBatch,
    default: Durability,
    compression: Compression,
) -> Result<Prepared> {
    let mut bytes = 0;
    let mut ops = Vec::with_capacity(batch.writes.len());
    let durability = durability(&batch, default);
    for write in batch.writes {
        let mut op = prepare_write(write)?;
        bytes += match &op {
            PreparedOp::Put { keys, packed, .. } => keys.bytes.bytes_len() + packed.bytes_len(),
            PreparedOp::DeleteKeys { keys, .. } => keys.bytes.bytes_len(),
            PreparedOp::Append { parts, .. } => parts.iter().map(AppendPart::bytes).sum(),
            PreparedOp::DeleteRows { rowids, .. } => rowids.len() * 8,
            // What it makes of its row is not known yet.
            PreparedOp::Update { keys, .. } => keys.bytes.bytes_len(),
        };
        check_bytes(bytes)?;
        match compression {
            Compression::Lz4 => op.compress(),
            Compression::None => {}
        }
        ops.push(op);
    }
    Ok(Prepared { ops, read_at: batch.read_at, durability, bytes })
}

/// What the batch wants, or else the most careful of its tables.
fn durability(batch: &WriteBatch, default: Durability) -> Durability {
    let of_tables = batch.writes.iter().map(|write| write.table().durability.unwrap_or(default));
    batch.durability.or_else(|| of_tables.reduce(Durability::stronger)).unwrap_or(default)
}

/// Fails when the encoded rows of a batch are too many for one record.
pub(super) fn check_bytes(bytes: usize) -> Result<()> {
    if bytes <= MAX_BATCH_BYTES {
        return Ok(());
    }
    Err(Error::Invalid(
        "the write batch is larger than 1 GiB: use a bulk load, or several batches".into(),
    ))
}

fn prepare_write(write: Write) -> Result<PreparedOp> {
    match write {
        Write::Insert { table, rows, on_conflict } => {
            check_rows(&table, &rows)?;
            if table.is_keyed() {
                let (keys, packed) = table.row_layout()?.encode(&rows)?;
                prepare_put(table, keys, packed, on_conflict)
            } else {
                prepare_append(table, rows)
            }
        }
        Write::Put { rows, on_conflict } => {
            let (table, keys, packed) = rows.finish();
            if keys.len() != packed.len() {
                return Err(Error::Invalid("a row builder that holds keys alone".into()));
            }
            prepare_put(table, keys, packed, on_conflict)
        }
        Write::Update(update) => {
            let key = RowBytes::from_parts(update.key.clone(), vec![0, update.key.len() as u32]);
            Ok(PreparedOp::Update { update, keys: Keys::new(key) })
        }
        Write::Delete { keys } => {
            let (table, keys, packed) = keys.finish();
            if packed.len() > 0 {
                return Err(Error::Invalid("a deletion takes keys, and rows were pushed".into()));
            }
            Ok(PreparedOp::DeleteKeys { table, keys: Keys::new(keys) })
        }
        Write::DeleteKeys { table, keys } => {
            if !table.is_keyed() {
                return Err(Error::Invalid(format!("table '{}' has no key", table.name)));
            }
            let keys = Keys::new(table.key_codec()?.of_columns(keys.columns())?);
            Ok(PreparedOp::DeleteKeys { table, keys })
        }
        Write::DeleteRows { table, rowids } => {
            if table.is_keyed() {
                return Err(Error::Invalid(format!(
                    "rows of table '{}' are deleted by key",
                    table.name
                )));
            }
            let mut rowids = rowids.values().to_vec();
            rowids.sort_unstable();
            rowids.dedup();
            Ok(PreparedOp::DeleteRows { table, rowids })
        }
    }
}

fn prepare_put(
    table: Arc<TableDef>,
    keys: RowBytes,
    packed: RowBytes,
    on_conflict: OnConflict,
) -> Result<PreparedOp> {
    let keys = Keys::new(keys);
    Ok(match one_per_key(&table, &keys, on_conflict)? {
        None => PreparedOp::Put { table, keys, packed, on_conflict, compressed: None },
        Some(kept) => {
            let (keys, packed) = (Keys::new(keys.bytes.select(&kept)), packed.select(&kept));
            PreparedOp::Put { table, keys, packed, on_conflict, compressed: None }
        }
    })
}

/// Within one batch the rules are those between batches: a second row with the same key
/// fails, is skipped, or replaces the first. `None` when no key comes twice.
fn one_per_key(
    table: &TableDef,
    keys: &Keys,
    on_conflict: OnConflict,
) -> Result<Option<Vec<usize>>> {
    let mut dropped: Vec<usize> = Vec::new();
    let mut first = usize::MAX;
    keys.for_duplicates(|earlier, later| {
        first = first.min(later);
        dropped.push(if on_conflict == OnConflict::Replace { earlier } else { later });
    });
    if dropped.is_empty() {
        return Ok(None);
    }
    if on_conflict == OnConflict::Fail {
        let key = table.key_codec()?.describe(table, keys.bytes.slice(first));
        return Err(Error::DuplicateKey { table: table.name.clone(), key });
    }
    let mut kept = vec![true; keys.len()];
    for i in dropped {
        kept[i] = false;
    }
    Ok(Some((0..keys.len()).filter(|i| kept[*i]).collect()))
}

fn prepare_append(table: Arc<TableDef>, rows: RecordBatch) -> Result<PreparedOp> {
    let by_rows = crate::row::check_schema(table.arrow_schema()).is_ok();
    let mut parts = Vec::new();
    for (bucket, rows) in split(&table, rows)? {
        let rows = compacted(&rows)?;
        let wire = if by_rows && rows.num_rows() < ROW_FORM_BELOW {
            AppendWire::Rows(table.row_codec()?.encode(&rows)?)
        } else {
            AppendWire::Ipc(encode_batch(&rows)?)
        };
        parts.push(AppendPart { bucket, rows, wire, compressed: None });
    }
    Ok(PreparedOp::Append { table, parts })
}

impl AppendPart {
    fn bytes(&self) -> usize {
        match &self.wire {
            AppendWire::Rows(rows) => rows.bytes_len(),
            AppendWire::Ipc(ipc) => ipc.len(),
        }
    }
}

/// Fails unless `rows` has the schema of `table` and no NULL where none is allowed.
pub(crate) fn check_rows(table: &TableDef, rows: &RecordBatch) -> Result<()> {
    let schema = table.arrow_schema();
    if rows.num_columns() != schema.fields().len() {
        return Err(Error::Invalid(format!(
            "table '{}' has {} columns, and the rows have {}",
            table.name,
            schema.fields().len(),
            rows.num_columns()
        )));
    }
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        if column.data_type() != field.data_type() {
            return Err(Error::Invalid(format!(
                "column '{}' of table '{}' has type {}, and the rows have {}",
                field.name(),
                table.name,
                field.data_type(),
                column.data_type()
            )));
        }
        if !field.is_nullable() && column.logical_null_count() > 0 {
            return Err(Error::NullViolation {
                table: table.name.clone(),
                column: field.name().clone(),
            });
        }
    }
    Ok(())
}
