//! Rows as bytes: how the log and keyed memtables hold them (`arrow-row`).

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use bytes::Bytes;

use crate::{Error, Result};

/// Many encoded rows in one shared allocation.
#[derive(Clone, Debug, Default)]
pub struct RowBytes {
    bytes: Bytes,
    /// `offsets[i]..offsets[i + 1]` is row i.
    offsets: Vec<u32>,
}

impl RowBytes {
    pub(crate) fn from_rows(rows: &Rows) -> Result<Self> {
        let total: usize = rows.lengths().sum();
        if u32::try_from(total).is_err() {
            return Err(Error::Invalid("one batch holds more than 4 GiB of rows".into()));
        }
        let mut bytes = Vec::with_capacity(total);
        let mut offsets = Vec::with_capacity(rows.num_rows() + 1);
        offsets.push(0);
        for row in rows {
            bytes.extend_from_slice(row.data());
            offsets.push(bytes.len() as u32);
        }
        Ok(Self { bytes: bytes.into(), offsets })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Bytes of all rows.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Row `i`, without its bytes being copied.
    pub fn get(&self, i: usize) -> Bytes {
        self.bytes.slice(self.offsets[i] as usize..self.offsets[i + 1] as usize)
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.offsets.windows(2).map(|w| &self.bytes[w[0] as usize..w[1] as usize])
    }

    /// The rows at `positions`, which are ascending, in a new allocation.
    pub(crate) fn select(&self, positions: &[usize]) -> Self {
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for i in positions {
            bytes.extend_from_slice(
                &self.bytes[self.offsets[*i] as usize..self.offsets[i + 1] as usize],
            );
            offsets.push(bytes.len() as u32);
        }
        Self { bytes: bytes.into(), offsets }
    }

    /// Appends the wire form: count, offsets, bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        for end in self.offsets.iter().skip(1) {
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Reads the wire form, which must fill `bytes`; `None` when it does not fit.
    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let count = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let start = count.checked_mul(4)?.checked_add(4)?;
        let mut offsets = vec![0];
        for end in bytes.get(4..start)?.chunks_exact(4) {
            offsets.push(u32::from_le_bytes(end.try_into().ok()?));
        }
        let bytes = bytes.slice(start..);
        let sorted = offsets.windows(2).all(|w| w[0] <= w[1]);
        let whole = offsets.last().is_some_and(|end| *end as usize == bytes.len());
        (sorted && whole).then_some(Self { bytes, offsets })
    }
}

/// Bytes of the rows of a batch, without what its buffers hold beside them: a slice
/// of a large batch is small.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    let size = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => 16 * column.len() + column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => {
            16 * column.len() + column.as_binary_view().total_buffer_bytes_used()
        }
        _ => column
            .to_data()
            .get_slice_memory_size()
            .unwrap_or_else(|_| column.get_array_memory_size()),
    };
    batch.columns().iter().map(size).sum()
}

/// Encodes and decodes whole rows of one schema.
#[derive(Debug)]
pub struct RowCodec {
    converter: RowConverter,
    schema: SchemaRef,
}

impl RowCodec {
    /// For rows of `schema`.
    pub fn new(schema: SchemaRef) -> Result<Self> {
        let fields =
            schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, schema })
    }

    /// Encodes every row of `rows`.
    pub fn encode(&self, rows: &RecordBatch) -> Result<RowBytes> {
        RowBytes::from_rows(&self.converter.convert_columns(rows.columns())?)
    }

    /// Decodes rows, in the order given.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<RecordBatch> {
        let parser = self.converter.parser();
        let mut count = 0;
        let parsed = rows.into_iter().inspect(|_| count += 1).map(|bytes| parser.parse(bytes));
        let columns = self.converter.convert_rows(parsed)?;
        let columns = columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(column, field)| restore(column, field.data_type()))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The row format gives dictionaries back as their values.
fn restore(column: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(column);
    }
    Ok(arrow::compute::cast(&column, data_type)?)
}

/// Fails when a column cannot be encoded row by row.
pub fn check_schema(schema: &SchemaRef) -> Result<()> {
    for field in schema.fields() {
        if !RowConverter::supports_fields(&[SortField::new(field.data_type().clone())]) {
            return Err(Error::Invalid(format!(
                "column '{}' of type {} cannot be in a table with a primary key",
                field.name(),
                field.data_type()
            )));
        }
    }
    Ok(())
}
