//! Primary keys as bytes that compare like the values: `arrow-row`'s encoding.
//!
//! The encoding is on disk (in the log and in key indexes), so golden bytes in the
//! tests below pin it. Two values that SQL calls equal have the same bytes: -0.0
//! becomes 0.0 and every NaN the same NaN.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};

use crate::catalog::TableDef;
use crate::rows::RowBytes;
use crate::{Error, Result};

/// The longest key, in encoded bytes.
pub const MAX_KEY_LEN: usize = 16 << 10;

/// Fails when values of this type cannot be a key or a sort column.
pub fn check_type(column: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Boolean
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::BinaryView
        | DataType::LargeBinary
        | DataType::FixedSizeBinary(_) => Ok(()),
        t if t.is_numeric() || t.is_temporal() => match t {
            DataType::Interval(_) => Err(not_a_key(column, t)),
            _ => Ok(()),
        },
        t => Err(not_a_key(column, t)),
    }
}

fn not_a_key(column: &str, data_type: &DataType) -> Error {
    Error::Invalid(format!("column '{column}' of type {data_type} cannot be a key"))
}

/// Encodes the primary keys of one table.
#[derive(Debug)]
pub struct KeyCodec {
    converter: RowConverter,
    /// Positions of the key's columns among the live columns.
    indices: Vec<usize>,
    /// The longest key, when every column has a fixed size.
    may_be_long: bool,
}

impl KeyCodec {
    /// For the primary key of `def`.
    pub fn new(def: &TableDef) -> Result<Self> {
        let indices = def.key_indices();
        let schema = def.arrow_schema();
        let types: Vec<_> = indices.iter().map(|i| schema.field(*i).data_type().clone()).collect();
        let may_be_long = types.iter().any(|t| t.primitive_width().is_none());
        let converter = RowConverter::new(types.into_iter().map(SortField::new).collect())?;
        Ok(Self { converter, indices, may_be_long })
    }

    /// Keys of `rows`, which have the table's schema.
    pub fn of_rows(&self, rows: &RecordBatch) -> Result<RowBytes> {
        let columns: Vec<ArrayRef> =
            self.indices.iter().map(|i| Arc::clone(rows.column(*i))).collect();
        self.of_columns(&columns)
    }

    /// Keys given as their columns alone, in key order.
    pub fn of_columns(&self, columns: &[ArrayRef]) -> Result<RowBytes> {
        if columns.len() != self.indices.len() {
            return Err(Error::Invalid(format!(
                "the key has {} columns, not {}",
                self.indices.len(),
                columns.len()
            )));
        }
        let columns: Vec<ArrayRef> = columns.iter().map(normalized).collect();
        let keys = RowBytes::from_rows(&self.converter.convert_columns(&columns)?)?;
        if self.may_be_long
            && let Some(len) = keys.iter().map(|k| k.len()).find(|len| *len > MAX_KEY_LEN)
        {
            return Err(Error::Invalid(format!(
                "a key of {len} bytes is too long: the limit is {MAX_KEY_LEN}"
            )));
        }
        Ok(keys)
    }

    /// The key as text, for messages: `(month, day)=(2, 8)`.
    pub fn describe(&self, def: &TableDef, key: &[u8]) -> String {
        let parser = self.converter.parser();
        let Ok(values) = self.converter.convert_rows([parser.parse(key)]) else {
            return "?".to_owned();
        };
        let schema = def.arrow_schema();
        let names: Vec<&str> =
            self.indices.iter().map(|i| schema.field(*i).name().as_str()).collect();
        let values: Vec<String> = values
            .iter()
            .map(|v| {
                arrow::util::display::array_value_to_string(v, 0).unwrap_or_else(|_| "?".into())
            })
            .collect();
        format!("({})=({})", names.join(", "), values.join(", "))
    }
}

fn normalized(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let values: Float64Array = column
                .as_primitive::<Float64Type>()
                .unary(|v| if v.is_nan() { f64::NAN } else { v + 0.0 });
            Arc::new(values)
        }
        DataType::Float32 => {
            let values: Float32Array = column
                .as_primitive::<Float32Type>()
                .unary(|v| if v.is_nan() { f32::NAN } else { v + 0.0 });
            Arc::new(values)
        }
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringViewArray};

    use super::*;

    fn encode(columns: Vec<ArrayRef>) -> Vec<Vec<u8>> {
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let codec = KeyCodec {
            converter: RowConverter::new(fields).unwrap(),
            indices: (0..columns.len()).collect(),
            may_be_long: true,
        };
        codec.of_columns(&columns).unwrap().iter().map(|k| k.to_vec()).collect()
    }

    #[test]
    fn the_bytes_on_disk_do_not_change() {
        let ints = encode(vec![Arc::new(Int32Array::from(vec![-1, 0, 258]))]);
        assert_eq!(ints, [[1, 0x7f, 0xff, 0xff, 0xff], [1, 0x80, 0, 0, 0], [1, 0x80, 0, 1, 2]]);
        let text = encode(vec![Arc::new(StringViewArray::from(vec!["", "ab"]))]);
        assert_eq!(text, [vec![1], vec![2, b'a', b'b', 0, 0, 0, 0, 0, 0, 2]]);
    }

    #[test]
    fn equal_floats_have_equal_bytes() {
        let keys = encode(vec![Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]))]);
        assert_eq!(keys[0], keys[1]);
        assert_eq!(keys[2], keys[3]);
    }

    #[test]
    fn a_key_that_is_too_long_is_refused() {
        let long = "x".repeat(MAX_KEY_LEN + 1);
        let column: ArrayRef = Arc::new(StringViewArray::from(vec![long.as_str()]));
        let codec = KeyCodec {
            converter: RowConverter::new(vec![SortField::new(DataType::Utf8View)]).unwrap(),
            indices: vec![0],
            may_be_long: true,
        };
        assert!(codec.of_columns(&[column]).is_err());
    }
}
