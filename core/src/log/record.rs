//! One transaction as the log holds it.

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::{Buf, BufMut, Bytes};

use super::compress::decompress;
use crate::catalog::TableId;
use crate::row::RowBytes;
use crate::{Error, Result};

/// A committed transaction.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub seq: u64,
    /// Commit time, microseconds since the Unix epoch.
    pub timestamp_us: i64,
    pub changes: Vec<Change>,
}

/// What a transaction did to one table, in terms of ids and a table version.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub table: TableId,
    /// Version of the table's definition that the bytes follow.
    pub version: u32,
    pub payload: Payload,
    /// What is written for the rows of the payload, where that is worth it. A record that
    /// was read has none.
    pub compressed: Option<Bytes>,
}

/// Set in the form of a payload whose rows are compressed.
const COMPRESSED: u8 = 0x40;

/// Rows as they go into the log.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Whole rows of a keyed table in arrow-row form, put in place of rows with the same
    /// keys. Only older versions wrote it.
    PutSortable(RowBytes),
    /// Keys and packed columns of rows, put in place of rows with the same keys.
    Put { keys: RowBytes, packed: RowBytes },
    /// Encoded keys of a keyed table.
    DeleteKeys(RowBytes),
    /// Rows of an append table, numbered from `first_rowid`; row by row.
    AppendRows { first_rowid: u64, rows: RowBytes },
    /// The same, as an Arrow IPC stream.
    AppendBatch { first_rowid: u64, ipc: Bytes },
    /// Row ids of an append table.
    DeleteRows(Vec<u64>),
}

impl Record {
    /// About the bytes of the wire form.
    pub(crate) fn payload_bytes(&self) -> usize {
        let bytes = |change: &Change| {
            64 + change.compressed.as_ref().map_or_else(|| change.payload.bytes(), Bytes::len)
        };
        self.changes.iter().map(bytes).sum()
    }

    /// Appends the wire form.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.seq);
        out.put_i64_le(self.timestamp_us);
        out.put_u32_le(self.changes.len() as u32);
        for change in &self.changes {
            out.put_u32_le(change.table.0);
            out.put_u32_le(change.version);
            let compressed = if change.compressed.is_some() { COMPRESSED } else { 0 };
            out.put_u8(change.payload.form() | compressed);
            let len_at = out.len();
            out.put_u32_le(0);
            let start = out.len();
            if let Some(first_rowid) = change.payload.first_rowid() {
                out.put_u64_le(first_rowid);
            }
            match &change.compressed {
                Some(bytes) => out.extend_from_slice(bytes),
                None => change.payload.encode_rows(out),
            }
            let len = (out.len() - start) as u32;
            out[len_at..start].copy_from_slice(&len.to_le_bytes());
        }
    }

    /// Reads the wire form; the bytes have passed their checksum, so a misfit is a
    /// record of another version of this program.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self> {
        Self::try_decode(&mut bytes).ok_or_else(|| {
            Error::Incompatible("a log record has a form that this version does not know".into())
        })
    }

    fn try_decode(bytes: &mut Bytes) -> Option<Self> {
        let seq = bytes.try_get_u64_le().ok()?;
        let timestamp_us = bytes.try_get_i64_le().ok()?;
        let count = bytes.try_get_u32_le().ok()?;
        let mut changes = Vec::new();
        for _ in 0..count {
            let table = TableId(bytes.try_get_u32_le().ok()?);
            let version = bytes.try_get_u32_le().ok()?;
            let tag = bytes.try_get_u8().ok()?;
            let len = bytes.try_get_u32_le().ok()? as usize;
            if len > bytes.len() {
                return None;
            }
            let payload = Payload::decode(tag, bytes.split_to(len))?;
            changes.push(Change { table, version, payload, compressed: None });
        }
        bytes.is_empty().then_some(Self { seq, timestamp_us, changes })
    }
}

impl Payload {
    fn bytes(&self) -> usize {
        let rows = |rows: &RowBytes| rows.bytes_len() + rows.len() * 4;
        match self {
            Self::PutSortable(all) | Self::DeleteKeys(all) | Self::AppendRows { rows: all, .. } => {
                rows(all)
            }
            Self::Put { keys, packed } => rows(keys) + rows(packed),
            Self::AppendBatch { ipc, .. } => ipc.len(),
            Self::DeleteRows(rowids) => rowids.len() * 8,
        }
    }

    /// How the bytes are to be read.
    fn form(&self) -> u8 {
        match self {
            Self::PutSortable(_) => 1,
            Self::DeleteKeys(_) => 2,
            Self::AppendRows { .. } => 3,
            Self::AppendBatch { .. } => 4,
            Self::DeleteRows(_) => 5,
            Self::Put { .. } => 6,
        }
    }

    /// Known to the leader alone, and so never compressed.
    fn first_rowid(&self) -> Option<u64> {
        match self {
            Self::AppendRows { first_rowid, .. } | Self::AppendBatch { first_rowid, .. } => {
                Some(*first_rowid)
            }
            _ => None,
        }
    }

    fn encode_rows(&self, out: &mut Vec<u8>) {
        match self {
            Self::PutSortable(rows) | Self::DeleteKeys(rows) | Self::AppendRows { rows, .. } => {
                rows.encode(out);
            }
            Self::Put { keys, packed } => {
                keys.encode(out);
                packed.encode(out);
            }
            Self::AppendBatch { ipc, .. } => out.extend_from_slice(ipc),
            Self::DeleteRows(rowids) => {
                for rowid in rowids {
                    out.put_u64_le(*rowid);
                }
            }
        }
    }

    fn decode(tag: u8, mut bytes: Bytes) -> Option<Self> {
        let form = tag & !COMPRESSED;
        let first_rowid = match form {
            3 | 4 => bytes.try_get_u64_le().ok()?,
            _ => 0,
        };
        if form != tag {
            bytes = decompress(&bytes)?;
        }
        Some(match form {
            1 => Self::PutSortable(RowBytes::decode(bytes)?),
            6 => {
                let keys = RowBytes::split_off(&mut bytes)?;
                let packed = RowBytes::decode(bytes)?;
                if keys.len() != packed.len() {
                    return None;
                }
                Self::Put { keys, packed }
            }
            2 => Self::DeleteKeys(RowBytes::decode(bytes)?),
            3 => Self::AppendRows { first_rowid, rows: RowBytes::decode(bytes)? },
            4 => Self::AppendBatch { first_rowid, ipc: bytes },
            5 if bytes.len().is_multiple_of(8) => {
                let mut rowids = Vec::with_capacity(bytes.len() / 8);
                while let Ok(rowid) = bytes.try_get_u64_le() {
                    rowids.push(rowid);
                }
                Self::DeleteRows(rowids)
            }
            _ => return None,
        })
    }
}

/// A batch as an Arrow IPC stream.
pub(crate) fn encode_batch(batch: &RecordBatch) -> Result<Bytes> {
    let mut out = Vec::with_capacity(batch.get_array_memory_size() + 1024);
    let mut writer = StreamWriter::try_new(&mut out, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(out.into())
}

/// The batch of an Arrow IPC stream that [`encode_batch`] made.
pub(crate) fn decode_batch(ipc: Bytes) -> Result<RecordBatch> {
    let mut reader = StreamReader::try_new(ipc.reader(), None)?;
    reader.next().transpose()?.ok_or_else(|| {
        Error::Incompatible("a log record holds an empty stream where a batch belongs".into())
    })
}
