//! The rows of one keyed table: columns to bytes and back, whole or value by value.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::packed::PackedCodec;
use super::{KeyCodec, RowBytes, Value};
use crate::catalog::TableDef;
use crate::{Error, Result};

/// Where a column of the table is in a row.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The i-th column of the key.
    Key(usize),
    /// The i-th of the others.
    Packed(usize),
}

/// Encodes and decodes rows of a keyed table as they were at one version of it.
#[derive(Debug)]
pub(crate) struct RowLayout {
    schema: SchemaRef,
    key: Arc<KeyCodec>,
    packed: PackedCodec,
    places: Vec<Place>,
    /// Columns that are not in the key.
    others: Vec<usize>,
}

impl RowLayout {
    /// For rows with the columns of `schema`.
    pub(crate) fn new(schema: SchemaRef, key: Arc<KeyCodec>) -> Result<Self> {
        let mut others = Vec::new();
        let places = (0..schema.fields().len())
            .map(|column| match key.indices().iter().position(|i| *i == column) {
                Some(i) => Place::Key(i),
                None => {
                    others.push(column);
                    Place::Packed(others.len() - 1)
                }
            })
            .collect();
        let fields = others.iter().map(|i| Arc::clone(&schema.fields()[*i])).collect();
        Ok(Self { packed: PackedCodec::new(fields)?, schema, key, places, others })
    }

    /// Keys and packed columns of `rows`.
    pub(crate) fn encode(&self, rows: &RecordBatch) -> Result<(RowBytes, RowBytes)> {
        let others: Vec<ArrayRef> =
            self.others.iter().map(|i| Arc::clone(rows.column(*i))).collect();
        Ok((self.key.of_rows(rows)?, self.packed.encode(&others, rows.num_rows())?))
    }

    /// The columns `projection` of rows given as keys and packed columns.
    pub(crate) fn decode(
        &self,
        keys: &[&[u8]],
        packed: &[&[u8]],
        projection: &[usize],
    ) -> Result<RecordBatch> {
        let of_key = match projection.iter().any(|i| matches!(self.places[*i], Place::Key(_))) {
            true => self.key.columns(keys.iter().copied())?,
            false => Vec::new(),
        };
        let columns = projection
            .iter()
            .map(|i| match self.places[*i] {
                Place::Key(at) => Ok(Arc::clone(&of_key[at])),
                Place::Packed(at) => self.packed.decode_column(packed, at),
            })
            .collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(self.schema.project(projection)?);
        let options = RecordBatchOptions::new().with_row_count(Some(keys.len()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    /// All columns.
    pub(crate) fn decode_all(&self, keys: &[&[u8]], packed: &[&[u8]]) -> Result<RecordBatch> {
        let all: Vec<usize> = (0..self.places.len()).collect();
        self.decode(keys, packed, &all)
    }

    /// The bytes of a key, given as a value for each of its columns, in key order.
    pub(super) fn key_bytes(&self, table: &TableDef, key: &[Value<'_>]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.push_key(table, key, &mut bytes)?;
        Ok(bytes)
    }

    /// Key and packed columns of a row, given as a value for each column.
    pub(super) fn row_bytes(
        &self,
        table: &TableDef,
        row: &[Value<'_>],
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let (mut key, mut packed) = (Vec::new(), Vec::new());
        self.push_row(table, row, &mut key, &mut packed)?;
        Ok((key, packed))
    }

    /// Appends the same.
    pub(crate) fn push_key(
        &self,
        table: &TableDef,
        key: &[Value<'_>],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if key.len() != self.key.indices().len() {
            return Err(Error::Invalid(format!(
                "the key of table '{}' has {} columns, not {}",
                table.name,
                self.key.indices().len(),
                key.len()
            )));
        }
        self.key.of_values(key, out)
    }

    fn push_row(
        &self,
        table: &TableDef,
        row: &[Value<'_>],
        key: &mut Vec<u8>,
        packed: &mut Vec<u8>,
    ) -> Result<()> {
        if row.len() != self.places.len() {
            return Err(Error::Invalid(format!(
                "table '{}' has {} columns, and the row has {}",
                table.name,
                self.places.len(),
                row.len()
            )));
        }
        match self.key.indices() {
            [only] => self.key.of_values(&row[*only..=*only], key)?,
            many => {
                let values: Vec<Value<'_>> = many.iter().map(|i| row[*i].clone()).collect();
                self.key.of_values(&values, key)?;
            }
        }
        self.packed.push(self.others.iter().map(|i| &row[*i]), packed)
    }

    /// The value of one column.
    fn value<'a>(&self, key: &[u8], packed: &'a [u8], column: usize) -> Result<Value<'a>> {
        match self.places[column] {
            Place::Key(at) => self.key.value(key, at),
            Place::Packed(at) => self.packed.value(packed, at),
        }
    }
}

/// One row of a keyed table, as a point read or a range returns it.
#[derive(Clone, Debug)]
pub struct Row {
    table: Arc<TableDef>,
    /// Of the version that the row was written under.
    layout: Arc<RowLayout>,
    version: u32,
    /// The key, then the packed columns.
    bytes: Bytes,
    key_len: usize,
}

impl Row {
    pub(crate) fn new(
        table: Arc<TableDef>,
        layout: Arc<RowLayout>,
        version: u32,
        bytes: Bytes,
        key_len: usize,
    ) -> Self {
        Self { table, layout, version, bytes, key_len }
    }

    /// A row of `table` as it is now.
    pub(crate) fn of_parts(table: &Arc<TableDef>, key: &[u8], packed: &[u8]) -> Result<Self> {
        let bytes = [key, packed].concat().into();
        Ok(Self::new(Arc::clone(table), table.row_layout()?, table.version, bytes, key.len()))
    }

    /// The value of the column at this position among the table's live columns.
    pub fn value(&self, column: usize) -> Result<Value<'_>> {
        let stored = if self.version == self.table.version {
            Some(column).filter(|c| *c < self.layout.places.len())
        } else {
            let wanted = self.table.live_columns().nth(column).ok_or_else(|| no_column(column))?;
            let at = self.table.columns_at(self.version).position(|c| c.id == wanted.id);
            if at.is_none() {
                return wanted.missing_value();
            }
            at
        };
        let (key, packed) = self.bytes.split_at(self.key_len);
        self.layout.value(key, packed, stored.ok_or_else(|| no_column(column))?)
    }

    /// The key's bytes: they compare as the rows are ordered.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len]
    }
}

fn no_column(column: usize) -> Error {
    Error::Invalid(format!("the row has no column {column}"))
}

/// Gathers rows, or keys, of a keyed table for a [`crate::Write`]: cheaper than a record
/// batch where there are only a few.
#[derive(Clone, Debug)]
pub struct RowBuilder {
    pub(crate) table: Arc<TableDef>,
    layout: Arc<RowLayout>,
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    packed: Vec<u8>,
    packed_ends: Vec<u32>,
}

impl RowBuilder {
    /// For rows of `table`, which has a primary key.
    pub fn new(table: &Arc<TableDef>) -> Result<Self> {
        if !table.is_keyed() {
            return Err(Error::Invalid(format!("table '{}' has no primary key", table.name)));
        }
        Ok(Self {
            table: Arc::clone(table),
            layout: table.row_layout()?,
            keys: Vec::new(),
            key_ends: vec![0],
            packed: Vec::new(),
            packed_ends: vec![0],
        })
    }

    /// Adds a row: a value for each live column, in order.
    pub fn push(&mut self, row: &[Value<'_>]) -> Result<()> {
        let (keys, packed) = (self.keys.len(), self.packed.len());
        let pushed = self.layout.push_row(&self.table, row, &mut self.keys, &mut self.packed);
        if pushed.is_err() {
            self.keys.truncate(keys);
            self.packed.truncate(packed);
            return pushed;
        }
        self.key_ends.push(end_of(&self.keys)?);
        self.packed_ends.push(end_of(&self.packed)?);
        Ok(())
    }

    /// Adds a key, for a deletion: a value for each column of the key, in key order.
    pub fn push_key(&mut self, key: &[Value<'_>]) -> Result<()> {
        let start = self.keys.len();
        let pushed = self.layout.push_key(&self.table, key, &mut self.keys);
        if pushed.is_err() {
            self.keys.truncate(start);
            return pushed;
        }
        self.key_ends.push(end_of(&self.keys)?);
        Ok(())
    }

    /// Adds the key of a row that was read, for a deletion.
    pub(crate) fn push_key_bytes(&mut self, key: &[u8]) -> Result<()> {
        self.keys.extend_from_slice(key);
        self.key_ends.push(end_of(&self.keys)?);
        Ok(())
    }

    /// Keys, and packed columns where rows were pushed.
    pub(crate) fn finish(self) -> (Arc<TableDef>, RowBytes, RowBytes) {
        let keys = RowBytes::from_parts(self.keys.into(), self.key_ends);
        let packed = RowBytes::from_parts(self.packed.into(), self.packed_ends);
        (self.table, keys, packed)
    }
}

fn end_of(bytes: &[u8]) -> Result<u32> {
    u32::try_from(bytes.len())
        .map_err(|_| Error::Invalid("one batch holds more than 4 GiB of rows".into()))
}
