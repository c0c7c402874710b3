//! The columns of a row that are not in its key, packed.
//!
//! ```text
//! nulls    one bit per column, set for NULL
//! fixed    values of fixed width, one after another, little-endian; NULL is zeros
//! ends     u32 per value of varying length but the last: its end among them
//! varying  texts and bytes as they are; other types in arrow-row form
//! ```
//!
//! Every column has its place, so that one is read without the others. The form is in
//! the log and in row files: golden bytes in the tests below pin it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryBuilder, BinaryViewBuilder, BooleanBuilder,
    LargeBinaryBuilder, LargeStringBuilder, StringBuilder, StringViewBuilder, make_array,
};
use arrow::buffer::{BooleanBuffer, MutableBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, Rows, SortField};

use super::{RowBytes, Value, scalar};
use crate::{Error, Result};

/// Where a column is.
#[derive(Debug)]
enum Slot {
    /// A byte at this offset.
    Bool(usize),
    /// So many bytes at this offset.
    Fixed { at: usize, width: usize },
    /// The i-th of varying length.
    Varying(usize),
    /// The i-th of varying length, in arrow-row form.
    Sorted(usize, Box<RowConverter>),
}

/// Packs and unpacks the columns of one schema.
#[derive(Debug)]
pub(crate) struct PackedCodec {
    fields: Vec<Arc<Field>>,
    slots: Vec<Slot>,
    /// Bytes before the ends.
    fixed_len: usize,
    /// Number of values of varying length.
    varying: usize,
}

impl PackedCodec {
    pub(crate) fn new(fields: Vec<Arc<Field>>) -> Result<Self> {
        let mut fixed_len = fields.len().div_ceil(8);
        let mut varying = 0;
        let mut slots = Vec::with_capacity(fields.len());
        for field in &fields {
            let data_type = field.data_type();
            let slot = match (scalar::width(data_type), data_type) {
                (Some(width), _) => {
                    fixed_len += width;
                    Slot::Fixed { at: fixed_len - width, width }
                }
                (None, DataType::Boolean) => {
                    fixed_len += 1;
                    Slot::Bool(fixed_len - 1)
                }
                (None, other) => {
                    varying += 1;
                    match other {
                        DataType::Utf8
                        | DataType::LargeUtf8
                        | DataType::Utf8View
                        | DataType::Binary
                        | DataType::LargeBinary
                        | DataType::BinaryView => Slot::Varying(varying - 1),
                        _ => {
                            let field = SortField::new(other.clone());
                            Slot::Sorted(varying - 1, Box::new(RowConverter::new(vec![field])?))
                        }
                    }
                }
            };
            slots.push(slot);
        }
        Ok(Self { fields, slots, fixed_len, varying })
    }

    /// Bytes before the values of varying length.
    fn head_len(&self) -> usize {
        self.fixed_len + 4 * self.varying.saturating_sub(1)
    }

    /// Packs every row of `columns`.
    pub(crate) fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<RowBytes> {
        let mut lens = vec![self.head_len(); rows];
        let mut varying = Vec::with_capacity(self.varying);
        for (column, slot) in columns.iter().zip(&self.slots) {
            let values = match slot {
                Slot::Bool(_) | Slot::Fixed { .. } => continue,
                Slot::Varying(_) => Varying::new(column),
                Slot::Sorted(_, converter) => {
                    Varying::Sorted(converter.convert_columns(&[Arc::clone(column)])?, column)
                }
            };
            for (row, len) in lens.iter_mut().enumerate() {
                *len += values.get(row).len();
            }
            varying.push(values);
        }
        RowBytes::build(&lens, |bytes, offsets| {
            for (i, (column, slot)) in columns.iter().zip(&self.slots).enumerate() {
                self.write_column(i, column, slot, bytes, offsets);
            }
            let head = self.head_len();
            let mut ends = vec![0_u32; rows];
            for (i, values) in varying.iter().enumerate() {
                for (row, end) in ends.iter_mut().enumerate() {
                    let start = offsets[row] as usize;
                    let value = values.get(row);
                    let at = start + head + *end as usize;
                    bytes[at..at + value.len()].copy_from_slice(value);
                    *end += value.len() as u32;
                    if i + 1 < self.varying {
                        let at = start + self.fixed_len + 4 * i;
                        bytes[at..at + 4].copy_from_slice(&end.to_le_bytes());
                    }
                }
            }
        })
    }

    /// Writes NULLs and values of fixed width of one column.
    fn write_column(
        &self,
        i: usize,
        column: &ArrayRef,
        slot: &Slot,
        bytes: &mut [u8],
        offsets: &[u32],
    ) {
        let starts = &offsets[..offsets.len() - 1];
        if let Some(nulls) = column.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            for (row, start) in starts.iter().enumerate() {
                if nulls.is_null(row) {
                    bytes[*start as usize + i / 8] |= 1 << (i % 8);
                }
            }
        }
        match slot {
            Slot::Bool(at) => {
                let values = column.as_boolean();
                for (row, start) in starts.iter().enumerate() {
                    bytes[*start as usize + at] =
                        u8::from(values.is_valid(row) && values.value(row));
                }
            }
            Slot::Fixed { at, width } => {
                let data = column.to_data();
                let values = &data.buffers()[0].as_slice()[data.offset() * width..];
                for (row, start) in starts.iter().enumerate() {
                    if column.is_valid(row) {
                        let to = *start as usize + at;
                        bytes[to..to + width]
                            .copy_from_slice(&values[row * width..(row + 1) * width]);
                    }
                }
            }
            Slot::Varying(_) | Slot::Sorted(..) => {}
        }
    }

    /// Appends one row, a value per column, to `out`.
    pub(crate) fn push<'a>(
        &self,
        values: impl Iterator<Item = &'a Value<'a>> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        out.resize(start + self.head_len(), 0);
        for (i, ((value, slot), field)) in
            values.clone().zip(&self.slots).zip(&self.fields).enumerate()
        {
            let data_type = field.data_type();
            let value = match value {
                Value::Other(array) if array.len() == 1 && array.is_null(0) => &Value::Null,
                value => value,
            };
            if matches!(value, Value::Null) {
                if !field.is_nullable() {
                    return Err(Error::Invalid(format!("column '{}' is NOT NULL", field.name())));
                }
                out[start + i / 8] |= 1 << (i % 8);
            }
            let place = match (slot, value) {
                (Slot::Bool(_) | Slot::Fixed { .. }, Value::Null) => continue,
                (Slot::Bool(at), Value::Bool(v)) => {
                    out[start + at] = u8::from(*v);
                    continue;
                }
                (Slot::Fixed { at, width }, value) => {
                    let to = &mut out[start + at..start + at + width];
                    let fits = scalar::write(data_type, value, to);
                    scalar::written(fits, field.name(), data_type, value)?;
                    continue;
                }
                (Slot::Varying(i), Value::Null) => *i,
                (Slot::Varying(i), Value::Text(v)) if is_text(data_type) => {
                    out.extend_from_slice(v.as_bytes());
                    *i
                }
                (Slot::Varying(i), Value::Bytes(v)) if !is_text(data_type) => {
                    out.extend_from_slice(v);
                    *i
                }
                (Slot::Sorted(i, converter), Value::Other(array))
                    if array.data_type() == data_type && array.len() == 1 =>
                {
                    out.extend_from_slice(
                        converter.convert_columns(&[Arc::clone(array)])?.row(0).data(),
                    );
                    *i
                }
                (Slot::Sorted(i, _), Value::Null) => *i,
                _ => return Err(scalar::misfit(field.name(), data_type, value)),
            };
            if place + 1 < self.varying {
                let end = (out.len() - start - self.head_len()) as u32;
                let at = start + self.fixed_len + 4 * place;
                out[at..at + 4].copy_from_slice(&end.to_le_bytes());
            }
        }
        Ok(())
    }

    /// The value of one column of a row.
    pub(crate) fn value<'a>(&self, row: &'a [u8], column: usize) -> Result<Value<'a>> {
        if self.is_null(row, column)? {
            return Ok(Value::Null);
        }
        let data_type = self.fields[column].data_type();
        let value = match &self.slots[column] {
            Slot::Bool(at) => Some(Value::Bool(*row.get(*at).ok_or_else(damaged)? != 0)),
            Slot::Fixed { at, width } => {
                scalar::read(data_type, row.get(*at..at + width).ok_or_else(damaged)?)
            }
            Slot::Varying(i) => {
                let bytes = self.varying(row, *i)?;
                Some(if is_text(data_type) {
                    Value::Text(std::str::from_utf8(bytes).map_err(|_| damaged())?.into())
                } else {
                    Value::Bytes(bytes.into())
                })
            }
            Slot::Sorted(..) => None,
        };
        match value {
            Some(value) => Ok(value),
            None => Ok(Value::Other(self.decode_column(&[row], column)?)),
        }
    }

    /// One column of rows.
    pub(crate) fn decode_column(&self, rows: &[&[u8]], column: usize) -> Result<ArrayRef> {
        let field = &self.fields[column];
        let nulls = rows
            .iter()
            .map(|row| self.is_null(row, column).map(|null| !null))
            .collect::<Result<BooleanBuffer>>()?;
        let nulls = Some(NullBuffer::new(nulls)).filter(|nulls| nulls.null_count() > 0);
        let is_null = |row: usize| nulls.as_ref().is_some_and(|n| n.is_null(row));
        Ok(match &self.slots[column] {
            Slot::Bool(at) => {
                let mut out = BooleanBuilder::with_capacity(rows.len());
                for (i, row) in rows.iter().enumerate() {
                    let value = *row.get(*at).ok_or_else(damaged)? != 0;
                    out.append_option((!is_null(i)).then_some(value));
                }
                Arc::new(out.finish())
            }
            Slot::Fixed { at, width } => {
                let mut values = MutableBuffer::with_capacity(rows.len() * width);
                for row in rows {
                    values.extend_from_slice(row.get(*at..at + width).ok_or_else(damaged)?);
                }
                let data = ArrayData::builder(field.data_type().clone())
                    .len(rows.len())
                    .add_buffer(values.into())
                    .nulls(nulls)
                    .build()?;
                make_array(data)
            }
            Slot::Varying(i) => self.decode_varying(rows, *i, field.data_type(), &is_null)?,
            Slot::Sorted(i, converter) => {
                let null = converter
                    .convert_columns(&[arrow::array::new_null_array(field.data_type(), 1)])?;
                let parser = converter.parser();
                let parsed = rows
                    .iter()
                    .enumerate()
                    .map(|(row, bytes)| match is_null(row) {
                        true => Ok(parser.parse(null.row(0).data())),
                        false => Ok(parser.parse(self.varying(bytes, *i)?)),
                    })
                    .collect::<Result<Vec<_>>>()?;
                let array = converter.convert_rows(parsed)?.swap_remove(0);
                // The row format gives dictionaries back as their values.
                match array.data_type() == field.data_type() {
                    true => array,
                    false => arrow::compute::cast(&array, field.data_type())?,
                }
            }
        })
    }

    fn decode_varying(
        &self,
        rows: &[&[u8]],
        i: usize,
        data_type: &DataType,
        is_null: &dyn Fn(usize) -> bool,
    ) -> Result<ArrayRef> {
        macro_rules! build {
            ($builder:expr, $value:expr) => {{
                let mut out = $builder;
                for (at, row) in rows.iter().enumerate() {
                    if is_null(at) {
                        out.append_null();
                    } else {
                        out.append_value($value(self.varying(row, i)?)?);
                    }
                }
                Arc::new(out.finish())
            }};
        }
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| damaged());
        let raw = |bytes| -> Result<&[u8]> { Ok(bytes) };
        Ok(match data_type {
            DataType::Utf8 => build!(StringBuilder::new(), text),
            DataType::LargeUtf8 => build!(LargeStringBuilder::new(), text),
            DataType::Utf8View => build!(StringViewBuilder::new(), text),
            DataType::Binary => build!(BinaryBuilder::new(), raw),
            DataType::LargeBinary => build!(LargeBinaryBuilder::new(), raw),
            _ => build!(BinaryViewBuilder::new(), raw),
        })
    }

    fn is_null(&self, row: &[u8], column: usize) -> Result<bool> {
        Ok(row.get(column / 8).ok_or_else(damaged)? & (1 << (column % 8)) != 0)
    }

    /// The i-th value of varying length.
    fn varying<'a>(&self, row: &'a [u8], i: usize) -> Result<&'a [u8]> {
        let end = |i: usize| {
            let at = self.fixed_len + 4 * i;
            let bytes = row.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes) as usize)
        };
        let values = row.get(self.head_len()..).ok_or_else(damaged)?;
        let from = if i == 0 { Some(0) } else { end(i - 1) };
        let to = if i + 1 == self.varying { Some(values.len()) } else { end(i) };
        from.zip(to).and_then(|(from, to)| values.get(from..to)).ok_or_else(damaged)
    }
}

/// An array of one element.
pub(crate) fn one_element(field: &Field, value: &Value<'_>) -> Result<ArrayRef> {
    let codec = PackedCodec::new(vec![Arc::new(field.clone())])?;
    let mut row = Vec::new();
    codec.push(std::iter::once(value), &mut row)?;
    codec.decode_column(&[&row], 0)
}

/// The only element of `array` as a value.
pub(crate) fn one_value(array: &ArrayRef) -> Result<Value<'static>> {
    let field = Field::new("value", array.data_type().clone(), true);
    let codec = PackedCodec::new(vec![Arc::new(field)])?;
    let row = codec.encode(std::slice::from_ref(array), 1)?;
    codec.value(&row.get(0), 0).map(Value::into_owned)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn damaged() -> Error {
    Error::Incompatible("a row has a form that this version does not know".into())
}

/// Values of varying length; NULL is empty.
enum Varying<'a> {
    Utf8(&'a arrow::array::StringArray),
    LargeUtf8(&'a arrow::array::LargeStringArray),
    Utf8View(&'a arrow::array::StringViewArray),
    Binary(&'a arrow::array::BinaryArray),
    LargeBinary(&'a arrow::array::LargeBinaryArray),
    BinaryView(&'a arrow::array::BinaryViewArray),
    Sorted(Rows, &'a ArrayRef),
}

impl<'a> Varying<'a> {
    fn new(column: &'a ArrayRef) -> Self {
        match column.data_type() {
            DataType::Utf8 => Self::Utf8(column.as_string()),
            DataType::LargeUtf8 => Self::LargeUtf8(column.as_string()),
            DataType::Utf8View => Self::Utf8View(column.as_string_view()),
            DataType::Binary => Self::Binary(column.as_binary()),
            DataType::LargeBinary => Self::LargeBinary(column.as_binary()),
            _ => Self::BinaryView(column.as_binary_view()),
        }
    }

    fn get(&self, row: usize) -> &[u8] {
        macro_rules! value {
            ($array:expr) => {
                if $array.is_null(row) { &[] } else { $array.value(row).as_ref() }
            };
        }
        match self {
            Self::Utf8(a) => value!(a),
            Self::LargeUtf8(a) => value!(a),
            Self::Utf8View(a) => value!(a),
            Self::Binary(a) => value!(a),
            Self::LargeBinary(a) => value!(a),
            Self::BinaryView(a) => value!(a),
            Self::Sorted(_, a) if a.is_null(row) => &[],
            Self::Sorted(rows, _) => rows.row(row).data(),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int32Array, ListArray, RecordBatch, StringViewArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn batch() -> RecordBatch {
        let lists = vec![Some(vec![Some(1), None]), None, Some(vec![])];
        RecordBatch::try_from_iter_with_nullable([
            ("i", Arc::new(Int32Array::from(vec![Some(258), None, Some(-1)])) as ArrayRef, true),
            ("b", Arc::new(BooleanArray::from(vec![true, false, true])), true),
            ("s", Arc::new(StringViewArray::from(vec![Some("ab"), None, Some("")])), true),
            ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)), true),
            (
                "t",
                Arc::new(StringViewArray::from(vec!["xyz", "a longer text than that", ""])),
                true,
            ),
        ])
        .unwrap()
    }

    fn codec(batch: &RecordBatch) -> PackedCodec {
        PackedCodec::new(batch.schema().fields().iter().cloned().collect()).unwrap()
    }

    #[test]
    fn the_bytes_on_disk_do_not_change() {
        let batch = batch().project(&[0, 1, 2, 4]).unwrap();
        let rows = codec(&batch).encode(batch.columns(), 3).unwrap();
        let rows: Vec<&[u8]> = rows.iter().collect();
        assert_eq!(rows[0], [0, 2, 1, 0, 0, 1, 2, 0, 0, 0, b'a', b'b', b'x', b'y', b'z']);
        assert_eq!(rows[2], [0, 255, 255, 255, 255, 1, 0, 0, 0, 0]);
        assert_eq!(rows[1][..10], [0b101, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn rows_come_back_as_columns_and_as_values() {
        let batch = batch();
        let codec = codec(&batch);
        let rows = codec.encode(batch.columns(), 3).unwrap();
        let slices: Vec<&[u8]> = rows.iter().collect();
        for (i, column) in batch.columns().iter().enumerate() {
            assert_eq!(&codec.decode_column(&slices, i).unwrap(), column);
        }
        for row in &slices {
            let values: Vec<Value<'_>> =
                (0..batch.num_columns()).map(|i| codec.value(row, i).unwrap()).collect();
            let mut packed = Vec::new();
            codec.push(values.iter(), &mut packed).unwrap();
            assert_eq!(&packed, row);
        }
    }

    #[test]
    fn rows_that_are_cut_are_an_error() {
        let batch = batch();
        let codec = codec(&batch);
        let rows = codec.encode(batch.columns(), 3).unwrap();
        let row = rows.get(0);
        for len in 0..row.len() {
            for column in 0..batch.num_columns() {
                let _ = codec.value(&row[..len], column);
                let _ = codec.decode_column(&[&row[..len]], column);
            }
        }
        assert!(codec.value(&row[..3], 0).is_err());
    }
}
