//! Values of JSON text as Arrow arrays, one builder per column and level.

use arrow::array::{Array, ArrayRef, make_array};
use arrow::datatypes::{DataType, Field, TimeUnit};

use super::cursor::Cursor;
use super::fault::{Fault, Parsed};
use crate::Result;

mod list;
mod map;
mod number;
mod object;
mod other;
mod scalar;
mod text;

pub(super) use object::Members;

/// Takes values of one type.
pub(super) trait Column: Send {
    /// Takes the value at the cursor, which is not `null`. Appends one slot even when
    /// it fails; then the slot's content and the cursor's place mean nothing.
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()>;

    fn append_null(&mut self);

    /// The slots so far; none are left.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// A column and whether it takes NULL.
pub(super) struct Slot {
    pub(super) name: String,
    nullable: bool,
    column: Box<dyn Column>,
}

impl Slot {
    pub(super) fn new(field: &Field) -> Option<Self> {
        let column = column(field.data_type())?;
        Some(Self { name: field.name().clone(), nullable: field.is_nullable(), column })
    }

    /// Takes the value at the cursor.
    pub(super) fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.peek() != Some(b'n') {
            return self.column.append(cursor);
        }
        let start = cursor.at;
        self.column.append_null();
        cursor.literal("null")?;
        match self.nullable {
            true => Ok(()),
            false => Err(Fault::not_null(start)),
        }
    }

    /// Takes a value that is not there.
    pub(super) fn append_missing(&mut self, object: usize) -> Parsed<()> {
        self.column.append_null();
        match self.nullable {
            true => Ok(()),
            false => Err(Fault::missing(object, &self.name)),
        }
    }

    pub(super) fn append_null(&mut self) {
        self.column.append_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let array = self.column.finish()?;
        if self.nullable || array.null_count() == 0 {
            return Ok(array);
        }
        // Only rows that were given up, and what is below NULLs, have NULLs here, and
        // Arrow would not take them.
        Ok(make_array(array.to_data().into_builder().nulls(None).build()?))
    }
}

/// A builder of this type; none when JSON cannot become it.
fn column(data_type: &DataType) -> Option<Box<dyn Column>> {
    use DataType::*;
    Some(match data_type {
        Boolean => Box::new(scalar::Booleans::default()),
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => {
            return number::integers(data_type);
        }
        Float16 | Float32 | Float64 => return number::floats(data_type),
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => {
            return number::decimals(data_type);
        }
        Utf8View => Box::new(text::Texts::default()),
        Utf8 | LargeUtf8 => Box::new(text::Texts::cast_to(data_type)),
        BinaryView => Box::new(text::Bytes::default()),
        Binary | LargeBinary => Box::new(text::Bytes::cast_to(data_type)),
        FixedSizeBinary(width) => Box::new(text::FixedBytes::new(*width)?),
        Date32 | Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) | Timestamp(..) => {
            return scalar::temporal(data_type);
        }
        List(item) => Box::new(list::Lists::<i32>::new(item)?),
        LargeList(item) => Box::new(list::Lists::<i64>::new(item)?),
        FixedSizeList(item, len) => Box::new(list::FixedLists::new(item, *len)?),
        Struct(fields) => Box::new(object::Objects::new(fields)?),
        Map(entry, _) => Box::new(map::Maps::new(entry)?),
        other => Box::new(other::Others::new(other)?),
    })
}

/// The text of a number, which may also stand in a string: writers that do not trust
/// readers with many digits do so.
fn number_text<'a>(cursor: &mut Cursor<'a>, wanted: &DataType) -> Parsed<&'a str> {
    match cursor.peek() {
        Some(b'-' | b'0'..=b'9') => cursor.number(),
        Some(b'"') => plain_string(cursor, wanted),
        _ => not_this(cursor, wanted),
    }
}

/// The content of a string whose values have no escapes.
fn plain_string<'a>(cursor: &mut Cursor<'a>, wanted: &DataType) -> Parsed<&'a str> {
    let start = cursor.at;
    if cursor.peek() != Some(b'"') {
        return not_this(cursor, wanted);
    }
    match cursor.string()? {
        (content, false) => Ok(content),
        (_, true) => Err(Fault::misfit(start, wanted)),
    }
}

/// The value at the cursor is of another type, or none.
#[cold]
fn not_this<T>(cursor: &mut Cursor<'_>, wanted: &DataType) -> Parsed<T> {
    let start = cursor.at;
    cursor.skip()?;
    Err(Fault::misfit(start, wanted))
}
