//! The types that tables hold: values in place of dictionaries and runs, and text and
//! binary as views.

use arrow::array::{Array, ArrayRef, cast::AsArray};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use std::sync::Arc;

/// Columns as tables hold them; a type that Arrow cannot cast stays.
pub(super) fn stored_fields(fields: &Fields) -> Fields {
    fields
        .iter()
        .map(|field| {
            let stored = stored(field.data_type());
            let data_type = match can_become(field.data_type(), &stored) {
                true => stored,
                false => field.data_type().clone(),
            };
            Field::new(field.name(), data_type, field.is_nullable())
        })
        .collect()
}

fn stored(data_type: &DataType) -> DataType {
    let item = |field: &Arc<Field>| {
        Arc::new(Field::clone(field).with_data_type(stored(field.data_type())))
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => stored(values),
        DataType::RunEndEncoded(_, values) => stored(values.data_type()),
        DataType::List(field) => DataType::List(item(field)),
        DataType::LargeList(field) => DataType::LargeList(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        other => other.clone(),
    }
}

fn can_become(from: &DataType, to: &DataType) -> bool {
    match from {
        DataType::RunEndEncoded(_, values) => can_become(values.data_type(), to),
        DataType::Dictionary(_, values) if from != to => {
            can_cast_types(from, to) || can_become(values, to)
        }
        _ => from == to || can_cast_types(from, to),
    }
}

/// An array without dictionary or runs at its top, unless that is what is wanted.
pub(super) fn valued(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        from if from == wanted => Ok(Arc::clone(array)),
        DataType::RunEndEncoded(_, values) => cast(array, values.data_type()),
        // Arrow's cast to views takes a NULL among the values for an empty one.
        DataType::Dictionary(_, values)
            if !can_cast_types(array.data_type(), wanted)
                || array.as_any_dictionary().values().null_count() > 0 =>
        {
            let dictionary = array.as_any_dictionary();
            let keys = cast(dictionary.keys(), &DataType::UInt64)?;
            debug_assert_eq!(**values, *dictionary.values().data_type());
            arrow::compute::take(dictionary.values().as_ref(), &keys, None)
        }
        _ => Ok(Arc::clone(array)),
    }
}
