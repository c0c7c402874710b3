//! Fields of one place of the records become the values of one column.

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::compute::can_cast_types;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::dialect::Dialect;
use super::faults::{Fault, Reason};
use super::records::{Cell, Records, unescape};
use crate::Result;
use crate::external::parse::{self, DateOrder};

mod binary;
mod boolean;
mod cast;
mod primitive;
mod text;
mod vector;

/// Texts that stand for NULL.
#[derive(Clone, Debug)]
pub(super) struct Nulls {
    empty: bool,
    others: Vec<Vec<u8>>,
}

impl Nulls {
    pub(super) fn new(texts: Option<&[String]>) -> Self {
        let Some(texts) = texts else { return Self { empty: true, others: Vec::new() } };
        let others = texts.iter().filter(|text| !text.is_empty());
        Self {
            empty: texts.iter().any(String::is_empty),
            others: others.map(|text| text.as_bytes().to_vec()).collect(),
        }
    }

    #[inline]
    pub(super) fn contain(&self, text: &[u8]) -> bool {
        match text {
            [] => self.empty,
            _ => !self.others.is_empty() && self.others.iter().any(|other| other == text),
        }
    }
}

/// Records that are ready to become values.
pub(super) struct Rows<'a> {
    /// What the records are in.
    pub(super) text: &'a [u8],
    pub(super) records: &'a Records,
    pub(super) dialect: &'a Dialect,
    pub(super) nulls: &'a Nulls,
    /// All of `text` is UTF-8.
    pub(super) is_utf8: bool,
}

/// The column that is read and where it comes from.
pub(super) struct Slot<'a> {
    pub(super) column: usize,
    pub(super) place: usize,
    pub(super) nullable: bool,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Slot<'_> {
    #[cold]
    fn fault(&mut self, row: usize, reason: Reason) {
        self.faults.push(Fault { row, place: self.place, column: self.column, reason });
    }
}

/// Takes fields, and makes an array of them. A field that is not a value becomes NULL
/// and a fault.
pub(super) trait Column: Send {
    /// Takes a field of each record.
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()>;

    /// What was taken since the last call. `text` is what the records were in.
    fn finish(&mut self, text: &Buffer) -> Result<ArrayRef>;
}

/// Gives the trimmed values of a column that is not text to `push`, which says whether
/// it was one; NULLs are `None`.
fn push_values(rows: &Rows<'_>, slot: &mut Slot<'_>, mut push: impl FnMut(Option<&[u8]>) -> bool) {
    let mut unescaped = Vec::new();
    for row in 0..rows.records.len() {
        let cell = rows.records.cell(rows.text, row, slot.place);
        let text = plain(rows, cell, &mut unescaped);
        let value = parse::trimmed(text);
        // No value of these types has an empty text.
        if value.is_empty() || rows.nulls.contain(text) {
            push(None);
            if !slot.nullable {
                slot.fault(row, Reason::Null);
            }
        } else if !push(Some(value)) {
            slot.fault(row, Reason::NotAValue);
        }
    }
}

#[inline]
fn plain<'a>(rows: &Rows<'a>, cell: Cell<'a>, unescaped: &'a mut Vec<u8>) -> &'a [u8] {
    if !cell.escaped {
        return cell.bytes;
    }
    unescaped.clear();
    unescape(cell.bytes, rows.dialect, unescaped);
    unescaped
}

/// What reads the values of `field`; an explanation when nothing can.
pub(super) fn column(field: &Field, order: DateOrder) -> Result<Box<dyn Column>, String> {
    use primitive::Primitive;
    fn to<T: TryFrom<i64>>(text: &[u8]) -> Option<T> {
        T::try_from(parse::signed(text)?).ok()
    }
    fn natural<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
        T::try_from(parse::unsigned(text)?).ok()
    }
    Ok(match field.data_type() {
        DataType::Boolean => Box::new(boolean::Booleans::default()),
        DataType::Int8 => Primitive::<Int8Type, _>::boxed(field, to),
        DataType::Int16 => Primitive::<Int16Type, _>::boxed(field, to),
        DataType::Int32 => Primitive::<Int32Type, _>::boxed(field, to),
        DataType::Int64 => Primitive::<Int64Type, _>::boxed(field, parse::signed),
        DataType::UInt8 => Primitive::<UInt8Type, _>::boxed(field, natural),
        DataType::UInt16 => Primitive::<UInt16Type, _>::boxed(field, natural),
        DataType::UInt32 => Primitive::<UInt32Type, _>::boxed(field, natural),
        DataType::UInt64 => Primitive::<UInt64Type, _>::boxed(field, parse::unsigned),
        DataType::Float32 => Primitive::<Float32Type, _>::boxed(field, parse::float32),
        DataType::Float64 => Primitive::<Float64Type, _>::boxed(field, parse::float64),
        DataType::Decimal128(..) => primitive::decimals(field),
        DataType::Date32
        | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => {
            primitive::temporal(field, order)
        }
        DataType::Timestamp(_, zone) if zone.as_deref().is_none_or(is_utc) => {
            primitive::temporal(field, order)
        }
        DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => {
            Box::new(text::Texts::new(field.data_type()))
        }
        DataType::BinaryView | DataType::Binary | DataType::LargeBinary => {
            Box::new(binary::Binaries::new(field.data_type()))
        }
        DataType::FixedSizeBinary(len) => Box::new(binary::Fixed::new(*len)),
        DataType::FixedSizeList(item, len) if item.data_type() == &DataType::Float32 => {
            Box::new(vector::Vectors::new(item, *len))
        }
        other if !other.is_nested() && can_cast_types(&DataType::Utf8, other) => {
            Box::new(cast::Cast::new(other))
        }
        other => return Err(format!("text in a CSV file cannot become {other}")),
    })
}

fn is_utc(zone: &str) -> bool {
    zone.eq_ignore_ascii_case("utc") || matches!(zone, "Z" | "+00:00" | "Etc/UTC")
}
