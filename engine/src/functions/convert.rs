//! Text and lists to vectors.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float32Builder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float32Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;

use super::types::{as_vector, mismatch, vector_type};

/// Whether values of this type can become vectors.
pub(super) fn convertible(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_numeric() || item.data_type().is_null()
        }
        other => other.is_string() || other.is_null(),
    }
}

/// Reads `[1, 2.5, -3e2]`.
pub(super) fn parse(text: &str) -> Result<Vec<f32>> {
    let Some(inner) = text.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
        return exec_err!("'{}' is not a vector: write for example '[1, 2.5, -3]'", shorten(text));
    };
    inner
        .split(',')
        .map(|number| match number.trim().parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => exec_err!(
                "'{}' is not a finite number in the vector '{}'",
                shorten(number.trim()),
                shorten(text)
            ),
        })
        .collect()
}

/// Enough of a text to recognise it in a message.
fn shorten(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The vector in a constant; `None` for NULL.
pub(super) fn constant(value: &ScalarValue) -> Result<Option<Vec<f32>>> {
    if value.is_null() {
        return Ok(None);
    }
    if let Some(Some(text)) = value.try_as_str() {
        return parse(text).map(Some);
    }
    let (values, nulls, offsets) = match list(&value.to_array()?)? {
        Some(list) => list,
        None => return exec_err!("{} is not a vector", value.data_type()),
    };
    let range = offsets[0] as usize..offsets[1] as usize;
    let missing = nulls.is_some_and(|n| n.is_null(0))
        || values.slice(range.start, range.len()).null_count() > 0;
    Ok((!missing).then(|| values.values()[range].to_vec()))
}

type Lists = (Float32Array, Option<NullBuffer>, OffsetBuffer<i64>);

/// Any kind of list of numbers: elements, NULL rows, offsets.
fn list(array: &ArrayRef) -> Result<Option<Lists>> {
    if !matches!(
        array.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    ) {
        return Ok(None);
    }
    let single = DataType::LargeList(Arc::new(Field::new_list_field(DataType::Float32, true)));
    let lists = cast(array, &single)?;
    let lists = lists.as_list::<i64>();
    let values = lists.values().as_primitive::<Float32Type>().clone();
    Ok(Some((values, lists.nulls().cloned(), lists.offsets().clone())))
}

/// Every row as a vector of `dimension` numbers; NULL stays NULL, and a list with a
/// NULL in it becomes NULL. Another number of numbers is an error.
pub(super) fn column(array: &ArrayRef, dimension: i32, half: bool) -> Result<FixedSizeListArray> {
    if let Some((n, is_half)) =
        as_vector(array.data_type()).filter(|(n, _)| *n != dimension || !array.is_empty())
    {
        if n != dimension {
            return Err(mismatch(dimension, n));
        }
        // A list of numbers that may be NULL is of another type, and looked through.
        if half == is_half && *array.data_type() == vector_type(dimension, half) {
            return Ok(array.as_fixed_size_list().clone());
        }
    }
    let mut numbers = Float32Builder::with_capacity(array.len() * dimension as usize);
    let mut valid = vec![true; array.len()];
    let mut push = |row: usize, vector: Option<&[f32]>| match vector {
        Some(vector) if vector.len() == dimension as usize => {
            numbers.append_slice(vector);
            Ok(())
        }
        Some(vector) => Err(mismatch(dimension, i32::try_from(vector.len()).unwrap_or(i32::MAX))),
        None => {
            numbers.append_value_n(0.0, dimension as usize);
            valid[row] = false;
            Ok(())
        }
    };
    if let Some((values, nulls, offsets)) = list(array)? {
        let broken = values.nulls().filter(|n| n.null_count() > 0);
        for (row, range) in offsets.windows(2).enumerate() {
            let (start, end) = (range[0] as usize, range[1] as usize);
            let missing = nulls.as_ref().is_some_and(|n| n.is_null(row))
                || broken.is_some_and(|b| b.slice(start, end - start).null_count() > 0);
            push(row, (!missing).then(|| &values.values()[start..end]))?;
        }
    } else {
        let texts = cast(array, &DataType::Utf8)?;
        for (row, text) in texts.as_string::<i32>().iter().enumerate() {
            let vector = text.map(parse).transpose()?;
            push(row, vector.as_deref())?;
        }
    }
    let nulls = NullBuffer::from(valid);
    let DataType::FixedSizeList(item, _) = vector_type(dimension, half) else {
        return exec_err!("a vector must be a fixed-size list");
    };
    let numbers = cast(&numbers.finish(), item.data_type())?;
    Ok(FixedSizeListArray::try_new(
        item,
        dimension,
        numbers,
        Some(nulls).filter(|n| n.null_count() > 0),
    )?)
}
