//! Rows by key at a snapshot: one, several, or those of a range, without columns.

mod columns;
mod cursor;
mod range;
mod several;

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;

pub use range::RowRange;

use crate::lookup::{Place, find};
use crate::memtable::{KeyedMemtable, OwnedEntry};
use crate::row::{Row, Value, key_hash};
use crate::segment::{SegmentHandle, Target, adapt, take};
use crate::snapshot::TableSnapshot;
use crate::{Error, Result};

impl TableSnapshot {
    /// The row with this key, given as a value for each of its columns, in key order.
    pub fn row(&self, key: &[Value<'_>]) -> Result<Option<Row>> {
        let mut bytes = Vec::with_capacity(64);
        self.key_bytes(key, &mut bytes)?;
        self.row_at(&bytes)
    }

    /// The columns `projection` of the row with this key, as a batch of one row.
    pub fn columns(&self, key: &[Value<'_>], projection: &[usize]) -> Result<Option<RecordBatch>> {
        let mut bytes = Vec::with_capacity(64);
        self.key_bytes(key, &mut bytes)?;
        let found = find(self.state(), &bytes, key_hash(&bytes), self.snapshot().seq(), None)?;
        let (layout, version, packed) = match found.place {
            None => return Ok(None),
            Some(Place::Memtable { entry, memtable }) => {
                let packed = Bytes::copy_from_slice(entry.get().packed());
                (Arc::clone(memtable.layout()), memtable.def().version, packed)
            }
            Some(Place::Segment { segment, ordinal }) => match segment.rows()? {
                Some(rows) => {
                    let (row, key_len) = rows.row(ordinal)?;
                    (segment.row_layout()?, segment.meta.version, row.slice(key_len..))
                }
                None => {
                    let ordinals = [u64::from(ordinal)];
                    return take(&segment, self.target(), &ordinals, projection).map(Some);
                }
            },
        };
        if version == self.def().version {
            return layout.decode(&[&bytes], &[&packed], projection).map(Some);
        }
        let row = layout.decode_all(&[&bytes], &[&packed])?;
        Ok(Some(adapt(self.target(), version, &row)?.project(projection)?))
    }

    /// The bytes that keys with these first columns begin with.
    fn prefix_bytes(&self, key: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let def = self.def();
        if !def.is_keyed() {
            return Err(Error::Invalid(format!("table '{}' has no primary key", def.name)));
        }
        def.key_codec()?.of_values(key, out)
    }

    fn key_bytes(&self, key: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        match self.def().is_keyed() {
            true => self.def().row_layout()?.push_key(self.def(), key, out),
            false => self.prefix_bytes(key, out),
        }
    }

    fn row_at(&self, key: &[u8]) -> Result<Option<Row>> {
        let found = find(self.state(), key, key_hash(key), self.snapshot().seq(), None)?;
        found.place.map(|place| row_of(self.target(), &place)).transpose()
    }
}

/// The row at a place.
pub(crate) fn row_of(target: &Target, place: &Place) -> Result<Row> {
    match place {
        Place::Memtable { entry, memtable } => Ok(row_of_entry(target, memtable, entry)),
        Place::Segment { segment, ordinal } => row_of_segment(target, segment, *ordinal),
    }
}

fn row_of_entry(target: &Target, memtable: &KeyedMemtable, entry: &OwnedEntry) -> Row {
    let entry = entry.get();
    let (key, packed) = (entry.key(), entry.packed());
    let bytes = [key, packed].concat();
    let layout = Arc::clone(memtable.layout());
    let version = memtable.def().version;
    Row::new(Arc::clone(&target.def), layout, version, bytes.into(), key.len())
}

fn row_of_segment(target: &Target, segment: &SegmentHandle, ordinal: u32) -> Result<Row> {
    let def = &target.def;
    if let Some(rows) = segment.rows()? {
        let (bytes, key_len) = rows.row(ordinal)?;
        let layout = segment.row_layout()?;
        return Ok(Row::new(Arc::clone(def), layout, segment.meta.version, bytes, key_len));
    }
    let all: Vec<usize> = (0..def.arrow_schema().fields().len()).collect();
    let columns = take(segment, target, &[u64::from(ordinal)], &all)?;
    let (keys, packed) = def.row_layout()?.encode(&columns)?;
    Row::of_parts(def, keys.slice(0), packed.slice(0))
}
