//! Primary keys as bytes that compare like the values: `arrow-row`'s encoding.
//!
//! The encoding is on disk (in the log and in key indexes), so golden bytes in the
//! tests below pin it. Two values that SQL calls equal have the same bytes: -0.0
//! becomes 0.0 and every NaN the same NaN. In a column that descends, the bytes of a value
//! are those of an ascending one, inverted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::row::RowConverter;
use xxhash_rust::xxh3::xxh3_64;

use super::scalar;
use super::{RowBytes, Value};
use crate::catalog::{ColumnOrder, TableDef};
use crate::{Error, Result};

/// The longest key, in encoded bytes.
pub const MAX_KEY_LEN: usize = 16 << 10;

/// The first eight bytes of a key, zeros behind a shorter one: they decide most comparisons.
pub(crate) fn key_prefix(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut bytes = [0; 8];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

/// The hash that finds a key. It is on disk.
pub(crate) fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

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
    columns: Vec<KeyColumn>,
    /// Whether keys have no bounded size.
    may_be_long: bool,
}

/// How one column of a key is encoded.
#[derive(Debug)]
struct KeyColumn {
    data_type: DataType,
    descending: bool,
}

impl KeyCodec {
    /// For keys of the columns `indices` of rows with `schema`, each in its order;
    /// ascending where `orders` has none for it.
    pub(crate) fn new(
        schema: &Schema,
        indices: Vec<usize>,
        orders: &[ColumnOrder],
    ) -> Result<Self> {
        let orders = orders.iter().copied().chain(std::iter::repeat(ColumnOrder::default()));
        let columns: Vec<(DataType, ColumnOrder)> =
            indices.iter().map(|i| schema.field(*i).data_type().clone()).zip(orders).collect();
        let fields = columns.iter().map(|(data_type, order)| order.field(data_type.clone()));
        let converter = RowConverter::new(fields.collect())?;
        let may_be_long = columns.iter().any(|(t, _)| t.primitive_width().is_none());
        let column = |(data_type, order): (DataType, ColumnOrder)| KeyColumn {
            data_type,
            descending: order.descending,
        };
        let columns = columns.into_iter().map(column).collect();
        Ok(Self { converter, indices, columns, may_be_long })
    }

    /// Positions of the key's columns among the columns of a row.
    pub(crate) fn indices(&self) -> &[usize] {
        &self.indices
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

    /// Appends the first columns of a key to `out`: all of them, or a prefix.
    pub(crate) fn of_values(&self, values: &[Value<'_>], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        if values.len() > self.columns.len() {
            return Err(Error::Invalid(format!(
                "the key has {} columns, not {}",
                self.columns.len(),
                values.len()
            )));
        }
        for (value, column) in values.iter().zip(&self.columns) {
            column.push(value, out)?;
        }
        if out.len() - start > MAX_KEY_LEN {
            return Err(Error::Invalid(format!(
                "a key of {} bytes is too long: the limit is {MAX_KEY_LEN}",
                out.len() - start
            )));
        }
        Ok(())
    }

    /// The columns of keys, in key order.
    pub(crate) fn columns<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(keys.map(|key| parser.parse(key)))?)
    }

    /// The value of one column of the key.
    pub(crate) fn value(&self, key: &[u8], column: usize) -> Result<Value<'static>> {
        let mut rest = key;
        for before in &self.columns[..column] {
            before.skip(&mut rest).ok_or_else(damaged)?;
        }
        match self.columns[column].take(&mut rest).ok_or_else(damaged)? {
            Some(value) => Ok(value),
            None => Ok(Value::Other(self.columns([key].into_iter())?.swap_remove(column))),
        }
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

fn damaged() -> Error {
    Error::Incompatible("a key has a form that this version does not know".into())
}

/// Bytes per block of a text in a key, and of the blocks of its beginning.
const BLOCK: usize = 32;
const SMALL_BLOCK: usize = 8;
/// Follows a block after which there is another one.
const MORE: u8 = 0xff;

impl KeyColumn {
    /// Appends a value as `arrow-row` encodes it.
    fn push(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        push_value(&self.data_type, value, out)?;
        if self.descending {
            invert(&mut out[start + self.marks()..]);
        }
        Ok(())
    }

    /// Bytes before a value that are the same in both directions.
    fn marks(&self) -> usize {
        usize::from(self.fixed_len().is_some())
    }

    /// Bytes that every value takes; `None` where they differ.
    fn fixed_len(&self) -> Option<usize> {
        match &self.data_type {
            DataType::Boolean => Some(2),
            other => scalar::width(other).map(|width| width + 1),
        }
    }

    fn skip(&self, from: &mut &[u8]) -> Option<()> {
        match self.fixed_len() {
            Some(len) => from.split_off(..len).map(drop),
            None => take_bytes(self.descending, from).map(drop),
        }
    }

    /// Takes a value off the front of `from`; `Some(None)` where only an array can hold it.
    fn take(&self, from: &mut &[u8]) -> Option<Option<Value<'static>>> {
        let Some(len) = self.fixed_len() else {
            let bytes = take_bytes(self.descending, from)?;
            return Some(Some(match &self.data_type {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    Value::Text(String::from_utf8(bytes).ok()?.into())
                }
                _ => Value::Bytes(bytes.into()),
            }));
        };
        let mut bytes = from.split_off(..len)?[self.marks()..].to_vec();
        if self.descending {
            invert(&mut bytes);
        }
        if self.data_type == DataType::Boolean {
            return Some(Some(Value::Bool(bytes != [0])));
        }
        from_sortable(&self.data_type, &mut bytes);
        Some(scalar::read(&self.data_type, &bytes).map(Value::into_owned))
    }
}

fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|b| *b = !*b);
}

/// Appends one value as `arrow-row` encodes it, ascending.
fn push_value(data_type: &DataType, value: &Value<'_>, out: &mut Vec<u8>) -> Result<()> {
    let fail = || scalar::misfit("key", data_type, value);
    if let Some(width) = scalar::width(data_type) {
        out.push(1);
        let start = out.len();
        out.resize(start + width, 0);
        let value = match value {
            Value::Float(v) if v.is_nan() => &Value::Float(f64::NAN),
            // Before zero is made positive: the type may round to it.
            Value::Float(v) if *data_type == DataType::Float32 => {
                &Value::Float(f64::from(*v as f32) + 0.0)
            }
            Value::Float(v) => &Value::Float(v + 0.0),
            Value::Other(_) if data_type.is_floating() => return Err(fail()),
            Value::Other(array) if array.is_null(0) => return Err(fail()),
            other => other,
        };
        if !scalar::write(data_type, value, &mut out[start..]) {
            return Err(fail());
        }
        make_sortable(data_type, &mut out[start..]);
        return Ok(());
    }
    match (data_type, value) {
        (DataType::Boolean, Value::Bool(v)) => out.extend([1, u8::from(*v)]),
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Value::Text(v)) => {
            push_bytes(v.as_bytes(), out);
        }
        (DataType::Binary | DataType::LargeBinary | DataType::BinaryView, Value::Bytes(v)) => {
            push_bytes(v, out);
        }
        _ => return Err(fail()),
    }
    Ok(())
}

/// Little-endian to bytes that compare like the value.
fn make_sortable(data_type: &DataType, bytes: &mut [u8]) {
    if matches!(data_type, DataType::FixedSizeBinary(_)) {
        return;
    }
    bytes.reverse();
    if data_type.is_floating() && bytes[0] & 0x80 != 0 {
        invert(bytes);
    } else if data_type.is_floating() || scalar::integer(data_type).is_some_and(|(_, s)| s) {
        bytes[0] ^= 0x80;
    }
}

/// The reverse of [`make_sortable`].
fn from_sortable(data_type: &DataType, bytes: &mut [u8]) {
    if matches!(data_type, DataType::FixedSizeBinary(_)) {
        return;
    }
    if data_type.is_floating() && bytes[0] & 0x80 == 0 {
        invert(bytes);
    } else if data_type.is_floating() || scalar::integer(data_type).is_some_and(|(_, s)| s) {
        bytes[0] ^= 0x80;
    }
    bytes.reverse();
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.is_empty() {
        out.push(1);
        return;
    }
    out.push(2);
    let (start, rest) = bytes.split_at(bytes.len().min(BLOCK));
    push_blocks(start, SMALL_BLOCK, out);
    if !rest.is_empty() {
        *out.last_mut().expect("a block was just pushed") = MORE;
        push_blocks(rest, BLOCK, out);
    }
}

fn push_blocks(bytes: &[u8], size: usize, out: &mut Vec<u8>) {
    let blocks = bytes.chunks(size);
    let last = blocks.len() - 1;
    for (i, block) in blocks.enumerate() {
        out.extend_from_slice(block);
        out.resize(out.len() + size - block.len(), 0);
        out.push(if i == last { block.len() as u8 } else { MORE });
    }
}

/// Takes bytes that [`push_bytes`] wrote, perhaps inverted, off the front of `from`.
fn take_bytes(inverted: bool, from: &mut &[u8]) -> Option<Vec<u8>> {
    let mask = if inverted { u8::MAX } else { 0 };
    let mut out = Vec::new();
    match from.split_off_first()? ^ mask {
        1 => return Some(out),
        2 => {}
        _ => return None,
    }
    for i in 0.. {
        let size = if i < BLOCK / SMALL_BLOCK { SMALL_BLOCK } else { BLOCK };
        let block = from.split_off(..size)?;
        match from.split_off_first()? ^ mask {
            MORE => out.extend_from_slice(block),
            len => {
                out.extend_from_slice(block.get(..usize::from(len))?);
                break;
            }
        }
    }
    if inverted {
        invert(&mut out);
    }
    Some(out)
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
    use arrow::datatypes::Field;

    use super::*;

    const DOWN: ColumnOrder = ColumnOrder { descending: true, nulls_first: true };

    fn codec(types: &[DataType], orders: &[ColumnOrder]) -> KeyCodec {
        let fields: Vec<Field> = types.iter().map(|t| Field::new("k", t.clone(), false)).collect();
        KeyCodec::new(&Schema::new(fields), (0..types.len()).collect(), orders).unwrap()
    }

    fn encode_in(orders: &[ColumnOrder], columns: Vec<ArrayRef>) -> Vec<Vec<u8>> {
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let keys = codec(&types, orders).of_columns(&columns).unwrap();
        keys.iter().map(|k| k.to_vec()).collect()
    }

    fn encode(columns: Vec<ArrayRef>) -> Vec<Vec<u8>> {
        encode_in(&[], columns)
    }

    #[test]
    fn the_bytes_on_disk_do_not_change() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![-1, 0, 258]));
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["", "ab"]));
        let up = encode(vec![Arc::clone(&ints)]);
        assert_eq!(up, [[1, 0x7f, 0xff, 0xff, 0xff], [1, 0x80, 0, 0, 0], [1, 0x80, 0, 1, 2]]);
        let up = encode(vec![Arc::clone(&texts)]);
        assert_eq!(up, [vec![1], vec![2, b'a', b'b', 0, 0, 0, 0, 0, 0, 2]]);

        let down = encode_in(&[DOWN], vec![ints]);
        let ff = 0xff;
        assert_eq!(down, [[1, 0x80, 0, 0, 0], [1, 0x7f, ff, ff, ff], [1, 0x7f, ff, 0xfe, 0xfd]]);
        let down = encode_in(&[DOWN], vec![texts]);
        assert_eq!(down, [vec![0xfe], vec![0xfd, !b'a', !b'b', ff, ff, ff, ff, ff, ff, 0xfd]]);
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
        let codec = codec(&[DataType::Utf8View], &[]);
        assert!(codec.of_columns(&[column]).is_err());
    }

    fn column(data_type: &DataType, numbers: &[i64], texts: &[String]) -> ArrayRef {
        use arrow::array::{BinaryViewArray, BooleanArray, Int64Array};
        match data_type {
            DataType::Boolean => {
                Arc::new(BooleanArray::from_iter(numbers.iter().map(|n| Some(n % 2 == 0))))
            }
            DataType::Utf8View => Arc::new(StringViewArray::from_iter_values(texts)),
            DataType::BinaryView => {
                Arc::new(BinaryViewArray::from_iter_values(texts.iter().map(String::as_bytes)))
            }
            DataType::FixedSizeBinary(n) => {
                let values = numbers.iter().map(|v| v.to_be_bytes()[..*n as usize].to_vec());
                Arc::new(arrow::array::FixedSizeBinaryArray::try_from_iter(values).unwrap())
            }
            other => arrow::compute::cast(&Int64Array::from(numbers.to_vec()), other).unwrap(),
        }
    }

    proptest::proptest! {
        /// Values one by one give the bytes that columns give, and come back.
        #[test]
        fn values_encode_as_columns_do(
            numbers in proptest::collection::vec(-100_i64..100, 8),
            texts in proptest::collection::vec("[a-c]{0,9}|[a-z]{30,70}", 8),
        ) {
            use arrow::datatypes::TimeUnit;
            use super::super::one_value;
            for data_type in [
                DataType::Boolean, DataType::Int8, DataType::Int16, DataType::Int32,
                DataType::Int64, DataType::Float32, DataType::Float64, DataType::Date32,
                DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Decimal128(20, 2),
                DataType::Time64(TimeUnit::Microsecond), DataType::Decimal64(12, 0),
                DataType::Utf8View, DataType::BinaryView, DataType::FixedSizeBinary(7),
            ] {
                for order in [ColumnOrder::default(), DOWN] {
                    let column = column(&data_type, &numbers, &texts);
                    let ascending: ArrayRef = Arc::new(arrow::array::Int64Array::from(numbers.clone()));
                    let codec = codec(
                        &[data_type.clone(), DataType::Int64],
                        &[order, ColumnOrder::default()],
                    );
                    let keys = codec.of_columns(&[Arc::clone(&column), ascending]).unwrap();
                    for (i, key) in keys.iter().enumerate() {
                        let value = one_value(&column.slice(i, 1)).unwrap();
                        let number = Value::from(numbers[i]);
                        let mut bytes = Vec::new();
                        codec.of_values(&[value.clone(), number.clone()], &mut bytes).unwrap();
                        proptest::prop_assert_eq!(&bytes, key, "{} {:?}", data_type, value);
                        proptest::prop_assert_eq!(codec.value(key, 0).unwrap(), value);
                        proptest::prop_assert_eq!(codec.value(key, 1).unwrap(), number);
                    }
                }
            }
        }
    }
}
