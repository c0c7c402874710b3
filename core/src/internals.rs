//! Handles on private parts of the store for its benchmarks (`core/benches`). Behind the
//! feature `internals`, and not for anybody else.

use std::sync::Arc;

use bytes::Bytes;
use sheaf_formats::envelope::{FileIdentity, FileKind, Writer};
use sheaf_formats::io::MemoryFile;

use crate::Result;
use crate::catalog::TableDef;
use crate::log::{Change, LogWriter, Payload, Record, SpareFiles};
use crate::memtable::KeyedMemtable;
use crate::row::{self, RowBuilder, RowBytes};
use crate::segment;
use crate::vfs::{MemoryVfs, Vfs};

/// The hash by which key indexes are ordered.
pub fn key_hash(key: &[u8]) -> u64 {
    row::key_hash(key)
}

/// A log in memory.
pub struct Log {
    writer: LogWriter,
    seq: u64,
}

impl Log {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let spares = SpareFiles::new(Arc::clone(&vfs), u64::MAX)?;
        let writer = LogWriter::create(vfs, spares, FileIdentity::default(), 1)?;
        Ok(Self { writer, seq: 0 })
    }

    /// Appends a transaction that puts `rows`, and syncs; returns the length of the file.
    pub fn append(&mut self, rows: &Rows) -> Result<u64> {
        self.seq += 1;
        let payload = Payload::Put { keys: rows.keys.clone(), packed: rows.packed.clone() };
        let (table, version) = (rows.table.id, rows.table.version);
        let change = Change { table, version, payload, compressed: None };
        self.writer.push(&Record { seq: self.seq, timestamp_us: 0, changes: vec![change] });
        self.writer.write_group()?;
        self.writer.sync()?;
        Ok(self.writer.file_bytes())
    }
}

/// Encoded rows of a keyed table.
#[derive(Clone)]
pub struct Rows {
    table: Arc<TableDef>,
    keys: RowBytes,
    packed: RowBytes,
}

impl Rows {
    /// The rows of a builder.
    pub fn new(rows: RowBuilder) -> Self {
        let (table, keys, packed) = rows.finish();
        Self { table, keys, packed }
    }

    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter()
    }
}

/// A memtable of a keyed table.
pub struct Memtable(KeyedMemtable);

impl Memtable {
    /// An empty one.
    pub fn new(table: &Arc<TableDef>) -> Result<Self> {
        Ok(Self(KeyedMemtable::new(Arc::clone(table))?))
    }

    /// Adds rows with new keys, all at `seq`.
    pub fn insert(&self, rows: &Rows, seq: u64) {
        for (key, packed) in rows.keys.iter().zip(rows.packed.iter()) {
            self.0.insert(key, row::key_hash(key), packed, seq);
        }
    }

    /// Bytes of the packed columns of the row with this key.
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        let newest = self.0.versions(key, row::key_hash(key), u64::MAX).next()?;
        Some(newest.packed().len())
    }
}

/// A key index in memory.
pub struct KeyIndex(segment::KeyIndex);

impl KeyIndex {
    /// That of a segment with these keys, in the order of its rows.
    pub fn new(keys: &[&[u8]]) -> Result<Self> {
        let identity = FileIdentity { file_id: 1, ..FileIdentity::default() };
        let mut out = Writer::new(Vec::new(), FileKind::KeyIndex, identity)?;
        segment::KeyIndex::write(keys, true, &mut out)
            .map_err(|source| crate::Error::Io { path: "keys".into(), source })?;
        let bytes = Bytes::from(out.finish(&segment::KeyIndex::footer(keys))?);
        let file = Arc::new(MemoryFile::new("keys", bytes));
        Ok(Self(segment::KeyIndex::open(file, 1, keys.len() as u64)?))
    }

    /// Ordinals of the rows with this key.
    pub fn find(&self, key: &[u8]) -> Result<Vec<u32>> {
        self.0.find(key, row::key_hash(key), None)
    }
}
