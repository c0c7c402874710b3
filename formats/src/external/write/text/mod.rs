//! Values as text, for CSV and JSON.
//!
//! An array becomes a [`Cell`]: a closure that appends the text of one value. What is
//! decided once per array (types, scales, zones) is not decided again per value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, GenericStringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, StringViewType};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::{Error, Result, sql_name};

mod number;
mod time;

/// Appends the text of the value in a row. The value must not be NULL.
pub(super) type Put<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// How the values of an array become text.
pub(super) enum Cell<'a> {
    /// A number or truth value: digits, letters, `+`, `-` and `.`.
    Plain(Put<'a>),
    /// A floating-point number; not all of them are numbers to JSON.
    Float(Put<'a>),
    /// Text of a few known characters, none of which needs quotes or escapes: dates,
    /// times, UUIDs.
    Word(Put<'a>),
    /// Any text.
    Text(Box<dyn Fn(usize) -> &'a str + 'a>),
    /// Text that is made, of any characters.
    Made(Put<'a>),
    /// Lists, structs and maps, which are written as JSON.
    Nested,
}

/// Encodings of equal values are taken off, once per array.
pub(super) fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Dictionary(_, values) => plain(&cast(array, values)?)?,
        DataType::RunEndEncoded(_, values) => plain(&cast(array, values.data_type())?)?,
        _ => Arc::clone(array),
    })
}

/// The cell of an array that [`plain`] gave.
pub(super) fn cell(array: &ArrayRef) -> Result<Cell<'_>> {
    if let Some(cell) = number::cell(array).or_else(|| time::cell(array)) {
        return Ok(cell);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => strings(array.as_string::<i32>()),
        DataType::LargeUtf8 => strings(array.as_string::<i64>()),
        DataType::Utf8View => {
            let views: &GenericByteViewArray<StringViewType> = array.as_string_view();
            Cell::Text(Box::new(|row| views.value(row)))
        }
        // The only ones that tables hold are UUIDs.
        DataType::FixedSizeBinary(16) => {
            let values = array.as_fixed_size_binary();
            Cell::Word(Box::new(|row, out| uuid(values.value(row), out)))
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            Cell::Made(Box::new(|row, out| bytes(values.value(row), out)))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Cell::Made(Box::new(|row, out| bytes(values.value(row), out)))
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            Cell::Made(Box::new(|row, out| bytes(values.value(row), out)))
        }
        DataType::BinaryView => {
            let values = array.as_binary_view();
            Cell::Made(Box::new(|row, out| bytes(values.value(row), out)))
        }
        DataType::Null => Cell::Plain(Box::new(|_, _| {})),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Struct(_)
        | DataType::Map(..) => Cell::Nested,
        _ => displayed(array)?,
    })
}

fn strings<O: arrow::array::OffsetSizeTrait>(values: &GenericStringArray<O>) -> Cell<'_> {
    Cell::Text(Box::new(|row| values.value(row)))
}

/// Arrow's own text, for types that are rare.
fn displayed(array: &ArrayRef) -> Result<Cell<'_>> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &OPTIONS).map_err(|_| {
        Error::Invalid(format!(
            "values of type {} cannot be written as text",
            sql_name(array.data_type())
        ))
    })?;
    Ok(Cell::Made(Box::new(move |row, out| {
        out.extend_from_slice(formatter.value(row).to_string().as_bytes());
    })))
}

/// `\xdeadbeef`
fn bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    value.iter().for_each(|byte| hex(*byte, out));
}

/// `00112233-4455-6677-8899-aabbccddeeff`
fn uuid(value: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in value.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex(*byte, out);
    }
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}
