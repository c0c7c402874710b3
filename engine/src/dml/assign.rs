//! Assignment: values as the exact type of the column they go into, or an error that
//! names column and value. Nothing is cut, wrapped or made NULL on the way.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, GenericByteViewArray,
    GenericListArray, OffsetSizeTrait, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ByteViewType, DECIMAL128_MAX_PRECISION, DataType, Float32Type, Float64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::assign_text;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{UUID_BYTES, sql_name};

const QUIET: CastOptions<'static> =
    CastOptions { safe: true, format_options: FormatOptions::new() };

/// Bytes of a text, in Arrow's views.
const LONGEST: usize = i32::MAX as usize;

/// `values` as values of a column.
pub(crate) fn assign(values: &ArrayRef, column: &str, to: &DataType) -> Result<ArrayRef> {
    let from = values.data_type();
    let bytes = longest(values);
    if bytes > LONGEST {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("column '{column}': a value has {LONGEST} bytes at most, this one {bytes}"),
        ));
    }
    if from == to {
        return Ok(one_nan(values));
    }
    match from {
        DataType::Null => return nulls(to, values.len()),
        DataType::Dictionary(_, value) => {
            return assign(&cast_with_options(values, value, &QUIET)?, column, to);
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            return assign_text::assign_text(values, column, to);
        }
        _ => {}
    }
    if !is_assignable(from, to) {
        return Err(Error::new(
            ErrorKind::DatatypeMismatch,
            format!(
                "column '{column}' is of type {}, the value is of type {}",
                sql_name(to),
                sql_name(from)
            ),
        )
        .hint(format!("convert it with CAST(… AS {})", sql_name(to))));
    }
    if let DataType::FixedSizeList(_, dimensions) = to {
        return vectors(values, column, to, *dimensions);
    }
    let rounded = round_for(values, to)?;
    let cast = cast_with_options(&rounded, to, &QUIET)?;
    if cast.logical_null_count() > values.logical_null_count() {
        return Err(first_lost(values, &cast, column, to));
    }
    Ok(one_nan(&cast))
}

/// Bytes of the longest text, at any depth; 0 where none can be longer than [`LONGEST`].
fn longest(values: &dyn Array) -> usize {
    match values.data_type() {
        DataType::Utf8View => of_views(values.as_string_view()),
        DataType::BinaryView => of_views(values.as_binary_view()),
        DataType::LargeUtf8 => of_offsets(values, values.as_string::<i64>().offsets()),
        DataType::LargeBinary => of_offsets(values, values.as_binary::<i64>().offsets()),
        DataType::List(_) => of_lists(values.as_list::<i32>()),
        DataType::LargeList(_) => of_lists(values.as_list::<i64>()),
        DataType::ListView(_) => longest(values.as_list_view::<i32>().values()),
        DataType::LargeListView(_) => longest(values.as_list_view::<i64>().values()),
        DataType::FixedSizeList(..) => longest(values.as_fixed_size_list().values()),
        DataType::Map(..) => {
            let maps = values.as_map();
            let (first, last) = (maps.offsets()[0] as usize, maps.offsets()[maps.len()] as usize);
            longest(&maps.entries().slice(first, last - first))
        }
        DataType::Dictionary(..) => longest(values.as_any_dictionary().values()),
        DataType::Struct(_) => {
            values.as_struct().columns().iter().map(|column| longest(column)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn of_views<T: ByteViewType>(values: &GenericByteViewArray<T>) -> usize {
    if values.data_buffers().iter().all(|buffer| buffer.len() <= LONGEST) {
        return 0;
    }
    let lens = values.views().iter().map(|view| *view as u32 as usize).enumerate();
    lens.filter(|(row, _)| values.is_valid(*row)).map(|(_, len)| len).max().unwrap_or(0)
}

fn of_offsets(values: &dyn Array, offsets: &[i64]) -> usize {
    if offsets[values.len()] - offsets[0] <= LONGEST as i64 {
        return 0;
    }
    let lens = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize).enumerate();
    lens.filter(|(row, _)| values.is_valid(*row)).map(|(_, len)| len).max().unwrap_or(0)
}

fn of_lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> usize {
    let (first, last) = (lists.offsets()[0].as_usize(), lists.offsets()[lists.len()].as_usize());
    longest(&lists.values().slice(first, last - first))
}

/// Every NaN as the same bits: those that arithmetic makes may have a sign, and would
/// be a group and a key of their own.
fn one_nan(values: &ArrayRef) -> ArrayRef {
    if let Some(floats) = values.as_primitive_opt::<Float64Type>()
        && floats.values().iter().any(|v| v.is_nan() && v.to_bits() != f64::NAN.to_bits())
    {
        return Arc::new(floats.unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v }));
    }
    if let Some(floats) = values.as_primitive_opt::<Float32Type>()
        && floats.values().iter().any(|v| v.is_nan() && v.to_bits() != f32::NAN.to_bits())
    {
        return Arc::new(floats.unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v }));
    }
    Arc::clone(values)
}

/// Types whose values PostgreSQL assigns to each other without a CAST.
fn is_assignable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let is_time = |t: &T| matches!(t, T::Date32 | T::Date64 | T::Timestamp(..));
    let is_list =
        |t: &T| matches!(t, T::List(_) | T::LargeList(_) | T::ListView(_) | T::FixedSizeList(..));
    let is_binary = |t: &T| matches!(t, T::Binary | T::LargeBinary | T::BinaryView);
    match (from, to) {
        // Everything has a text.
        (T::FixedSizeBinary(_), T::Utf8View) => false,
        (from, T::Utf8View) => !from.is_nested(),
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (from, to) if is_time(from) && is_time(to) => true,
        (T::Time32(_) | T::Time64(_), T::Time64(_)) => true,
        (T::Interval(_) | T::Duration(_), T::Interval(_)) => true,
        (from, to) if is_binary(from) && is_binary(to) => true,
        (T::FixedSizeBinary(bytes), to) if *bytes != UUID_BYTES => is_binary(to),
        (from, T::FixedSizeBinary(_)) => is_binary(from),
        (from, to) if is_list(from) && is_list(to) => true,
        (T::Struct(_), T::Struct(_)) | (T::Map(..), T::Map(..)) => true,
        _ => false,
    }
}

/// Numbers with a fraction round to the nearest whole number; the cast would cut.
fn round_for(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if !to.is_integer() {
        return Ok(Arc::clone(values));
    }
    Ok(match values.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast_with_options(values, &DataType::Float64, &QUIET)?;
            let rounded: Float64Array =
                wide.as_primitive::<Float64Type>().unary(f64::round_ties_even);
            Arc::new(rounded)
        }
        DataType::Decimal128(_, scale) if *scale > 0 => {
            cast_with_options(values, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0), &QUIET)?
        }
        _ => Arc::clone(values),
    })
}

/// Lists as vectors: every one has the column's number of items, none of them NULL.
fn vectors(values: &ArrayRef, column: &str, to: &DataType, dimensions: i32) -> Result<ArrayRef> {
    let item =
        DataType::List(Arc::new(arrow::datatypes::Field::new_list_field(item_type(to), true)));
    let lists = cast_with_options(values, &item, &QUIET)?;
    let lists = lists.as_list::<i32>();
    for row in 0..lists.len() {
        if lists.is_null(row) {
            continue;
        }
        let length = lists.value_length(row);
        if length != dimensions {
            return Err(wrong_dimensions(column, dimensions, length as usize));
        }
        if lists.value(row).null_count() > 0 {
            return Err(Error::new(
                ErrorKind::NotNullViolation,
                format!("column '{column}': a vector must not contain NULL"),
            ));
        }
    }
    let cast = cast_with_options(lists, to, &CastOptions { safe: false, ..QUIET })?;
    items_without_nulls(cast.as_fixed_size_list(), to)
}

/// So many NULLs of a type.
pub(super) fn nulls(data_type: &DataType, rows: usize) -> Result<ArrayRef> {
    let nulls = new_null_array(data_type, rows);
    match data_type {
        DataType::FixedSizeList(..) => items_without_nulls(nulls.as_fixed_size_list(), data_type),
        _ => Ok(nulls),
    }
}

/// Arrow fills a NULL vector with NULL items, which the type of the items forbids:
/// whatever they are, nobody sees them.
fn items_without_nulls(vectors: &FixedSizeListArray, to: &DataType) -> Result<ArrayRef> {
    let DataType::FixedSizeList(item, dimensions) = to else {
        return Err(Error::new(ErrorKind::Internal, format!("not a vector type: {to}")));
    };
    let items = vectors.values().to_data().into_builder().nulls(None).build()?;
    let items = arrow::array::make_array(items);
    Ok(Arc::new(FixedSizeListArray::try_new(
        Arc::clone(item),
        *dimensions,
        items,
        vectors.nulls().cloned(),
    )?))
}

fn item_type(vector: &DataType) -> DataType {
    match vector {
        DataType::FixedSizeList(item, _) => item.data_type().clone(),
        other => other.clone(),
    }
}

pub(super) fn wrong_dimensions(column: &str, expected: i32, found: usize) -> Error {
    Error::new(
        ErrorKind::DatatypeMismatch,
        format!("column '{column}' holds vectors of {expected} dimensions, the value has {found}"),
    )
}

/// The error for the first value that has no counterpart in the column's type.
pub(super) fn first_lost(values: &ArrayRef, cast: &ArrayRef, column: &str, to: &DataType) -> Error {
    let (before, after) = (values.logical_nulls(), cast.logical_nulls());
    let is_null = |nulls: &Option<arrow::buffer::NullBuffer>, row| {
        nulls.as_ref().is_some_and(|n| n.is_null(row))
    };
    let lost = (0..values.len()).find(|row| is_null(&after, *row) && !is_null(&before, *row));
    let shown = lost.and_then(|row| {
        let formatter = ArrayFormatter::try_new(values, &FormatOptions::new()).ok()?;
        formatter.value(row).try_to_string().ok()
    });
    let shown = shorten(&shown.unwrap_or_default());
    let type_name = sql_name(to);
    let is_text =
        matches!(values.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if is_text && !looks_like_number(&shown, to) {
        return Error::new(
            ErrorKind::InvalidText,
            format!("column '{column}': '{shown}' is not a value of type {type_name}"),
        );
    }
    Error::new(
        ErrorKind::OutOfRange,
        format!("column '{column}': {shown} is out of range for type {type_name}"),
    )
}

fn looks_like_number(text: &str, to: &DataType) -> bool {
    to.is_numeric() && text.trim().parse::<f64>().is_ok()
}

/// A value in a message need not be shown in full.
fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Decimal128Array, Float64Array, Int64Array, LargeBinaryArray, ListArray,
        StringArray,
    };
    use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn error(values: ArrayRef, to: DataType) -> Error {
        assign(&values, "c", &to).unwrap_err()
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_column_and_value() {
        let error = error(Arc::new(Int64Array::from(vec![1, 3_000_000_000])), DataType::Int32);
        assert_eq!(error.kind, ErrorKind::OutOfRange);
        assert_eq!(error.message, "column 'c': 3000000000 is out of range for type integer");
    }

    #[test]
    fn what_no_view_can_show_is_refused() {
        // Bytes that nobody writes take no memory.
        let bytes = Buffer::from(vec![0; LONGEST + 1]);
        let offsets = OffsetBuffer::<i64>::from_lengths([0, LONGEST + 1, 0]);
        let long = LargeBinaryArray::new(offsets.clone(), bytes.clone(), None);
        let item = Arc::new(Field::new_list_field(DataType::LargeBinary, true));
        let lists = OffsetBuffer::from_lengths([2, 1]);
        let list = ListArray::new(item, lists, Arc::new(long.clone()), None);
        let item = Arc::new(Field::new_list_field(DataType::BinaryView, true));
        assert_eq!(error(Arc::new(long), DataType::BinaryView).kind, ErrorKind::LimitExceeded);
        assert_eq!(error(Arc::new(list), DataType::List(item)).kind, ErrorKind::LimitExceeded);
        let is_null = Some(NullBuffer::from(vec![true, false, true]));
        let null: ArrayRef = Arc::new(LargeBinaryArray::new(offsets, bytes, is_null));
        assert_eq!(longest(&null), 0);
    }

    #[test]
    fn decimals_are_not_cut() {
        let values: ArrayRef =
            Arc::new(Decimal128Array::from(vec![12_345]).with_precision_and_scale(20, 2).unwrap());
        assert_eq!(error(values.clone(), DataType::Decimal128(3, 1)).kind, ErrorKind::OutOfRange);
        assert!(assign(&values, "c", &DataType::Decimal128(5, 2)).is_ok());
    }

    #[test]
    fn fractions_round_to_whole_numbers() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5, -0.6]));
        let assigned = assign(&values, "c", &DataType::Int32).unwrap();
        assert_eq!(assigned.as_primitive::<Int32Type>().values(), &[2, 2, -1]);
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![250, 149]).with_precision_and_scale(10, 2).unwrap(),
        );
        let assigned = assign(&decimals, "c", &DataType::Int32).unwrap();
        assert_eq!(assigned.as_primitive::<Int32Type>().values(), &[3, 1]);
        assert_eq!(
            error(Arc::new(Float64Array::from(vec![f64::NAN])), DataType::Int32).kind,
            ErrorKind::OutOfRange
        );
    }

    #[test]
    fn there_is_one_nan() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![-f64::NAN, 1.0]));
        for to in [DataType::Float64, DataType::Float32] {
            let wide =
                cast_with_options(&assign(&values, "c", &to).unwrap(), &DataType::Float64, &QUIET);
            let first = wide.unwrap().as_primitive::<Float64Type>().value(0);
            assert!(first.is_nan() && first.is_sign_positive());
        }
    }

    #[test]
    fn unlike_types_need_a_cast() {
        let error = error(Arc::new(BooleanArray::from(vec![true])), DataType::Int32);
        assert_eq!(error.kind, ErrorKind::DatatypeMismatch);
    }

    #[test]
    fn lists_become_vectors_of_the_right_size() {
        let to =
            DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, false)), 2);
        let list = |items: Vec<Option<i32>>| -> ArrayRef {
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(items), None]))
        };
        let vectors = assign(&list(vec![Some(1), Some(2)]), "c", &to).unwrap();
        assert_eq!(
            vectors.as_fixed_size_list().value(0).as_primitive::<Float32Type>().values(),
            &[1.0, 2.0]
        );
        assert!(vectors.is_null(1));
        assert_eq!(vectors.as_fixed_size_list().values().null_count(), 0);
        assert_eq!(nulls(&to, 3).unwrap().as_fixed_size_list().values().null_count(), 0);
        let message = error(list(vec![Some(1), Some(2), Some(3)]), to.clone()).message;
        assert_eq!(message, "column 'c' holds vectors of 2 dimensions, the value has 3");
        assert!(error(list(vec![Some(1), None]), to).message.contains("NULL"));
    }

    #[test]
    fn text_is_read_as_the_columns_type() {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        assert_eq!(
            assign(&text(" 12 "), "c", &DataType::Int32)
                .unwrap()
                .as_primitive::<Int32Type>()
                .value(0),
            12
        );
        assert_eq!(
            error(text("twelve"), DataType::Int32).message,
            "column 'c': 'twelve' is not a value of type integer"
        );
        assert_eq!(error(text("99999999999"), DataType::Int32).kind, ErrorKind::OutOfRange);
        assert_eq!(error(text("2024-02-30"), DataType::Date32).kind, ErrorKind::InvalidText);
        let uuid = assign(
            &text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            "c",
            &DataType::FixedSizeBinary(16),
        )
        .unwrap();
        assert_eq!(uuid.as_fixed_size_binary().value(0)[0], 0xa0);
        let bytes = assign(&text("\\xDEADbeef"), "c", &DataType::BinaryView).unwrap();
        assert_eq!(bytes.as_binary_view().value(0), [0xde, 0xad, 0xbe, 0xef]);
    }
}
