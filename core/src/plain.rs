//! Rows in types that everybody knows. Views of text and bytes are young: many libraries read
//! them, and can do little else with them.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use sheaf_formats::shown_bytes;

use crate::error::Result;

/// Bytes of all texts of an array without views, or of one of its lists.
const BYTES_MAX: usize = i32::MAX as usize;

/// Bytes of a view, and of which of one value are NULL.
const OF_ONE_VIEW: usize = 17;

/// The columns of a schema with what `change` says that their types become, at any depth; views
/// of lists are plain lists.
pub fn plain_schema(schema: &Schema, change: &impl Fn(&DataType) -> Option<DataType>) -> Schema {
    let fields: Vec<_> = schema.fields().iter().map(|field| of_field(field, change)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Text and bytes instead of views of them.
pub fn without_views(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Utf8View => Some(DataType::Utf8),
        DataType::BinaryView => Some(DataType::Binary),
        _ => None,
    }
}

fn of_field(field: &FieldRef, change: &impl Fn(&DataType) -> Option<DataType>) -> FieldRef {
    let data_type = of_type(field.data_type(), change);
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn of_type(data_type: &DataType, change: &impl Fn(&DataType) -> Option<DataType>) -> DataType {
    if let Some(other) = change(data_type) {
        return of_type(&other, change);
    }
    let item = |item| of_field(item, change);
    match data_type {
        DataType::List(of) | DataType::ListView(of) => DataType::List(item(of)),
        DataType::LargeList(of) | DataType::LargeListView(of) => DataType::LargeList(item(of)),
        DataType::FixedSizeList(of, len) => DataType::FixedSizeList(item(of), *len),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        DataType::Map(entries, sorted) => DataType::Map(item(entries), *sorted),
        same => same.clone(),
    }
}

/// Rows with the types of a schema, and its names. They become several batches where texts of
/// more than 2 GiB would be in one. A value that its column cannot have is an error.
pub fn cast_rows(rows: &RecordBatch, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    if rows.num_columns() != schema.fields().len() {
        let error = "the rows have other columns than were announced".to_owned();
        return Err(ArrowError::SchemaError(error).into());
    }
    let mut all = Vec::with_capacity(1);
    cast_parts(rows, schema, BYTES_MAX, &mut all)?;
    Ok(all)
}

fn cast_parts(
    rows: &RecordBatch,
    schema: &SchemaRef,
    bytes_max: usize,
    all: &mut Vec<RecordBatch>,
) -> Result<()> {
    let len = rows.num_rows();
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (column, field) in rows.columns().iter().zip(schema.fields()) {
        if column.data_type() == field.data_type() {
            columns.push(Arc::clone(column));
            continue;
        }
        // Arrow's cast would panic.
        let bytes = shown_bytes(column);
        if bytes > bytes_max && len > 1 {
            cast_parts(&rows.slice(0, len / 2), schema, bytes_max, all)?;
            return cast_parts(&rows.slice(len / 2, len - len / 2), schema, bytes_max, all);
        }
        if bytes > bytes_max + OF_ONE_VIEW {
            let error = format!("a value of '{}' is longer than 2 GiB", field.name());
            return Err(ArrowError::InvalidArgumentError(error).into());
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        columns.push(cast_with_options(column, field.data_type(), &strict)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    all.push(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, ListArray, StringViewArray, StructArray};
    use arrow::buffer::{Buffer, OffsetBuffer};

    use super::*;

    fn plain(rows: &RecordBatch) -> Result<Vec<RecordBatch>> {
        cast_rows(rows, &Arc::new(plain_schema(rows.schema_ref(), &without_views)))
    }

    #[test]
    fn views_are_plain_wherever_they_are() {
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter([Some("a"), None, Some("b")]));
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let lists = OffsetBuffer::from_lengths([1, 0, 2]);
        let lists = ListArray::new(item, lists, Arc::clone(&texts), None);
        let of_texts = Arc::new(Field::new("t", DataType::Utf8View, true));
        let parts = StructArray::from(vec![(of_texts, Arc::clone(&texts))]);
        let rows = RecordBatch::try_from_iter([
            ("t", texts),
            ("l", Arc::new(lists) as ArrayRef),
            ("s", Arc::new(parts) as ArrayRef),
        ]);
        let plain = plain(&rows.unwrap()).unwrap();
        let [rows] = plain.as_slice() else { panic!("{} batches", plain.len()) };
        assert_eq!(
            rows.column(0).as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some("a"), None, Some("b")]
        );
        let last = rows.column(1).as_list::<i32>().value(2);
        assert_eq!(last.as_string::<i32>().value(1), "b");
        assert_eq!(rows.column(2).as_struct().column(0).as_string::<i32>().value(2), "b");
    }

    #[test]
    fn more_than_an_array_has_becomes_several() {
        // Views of one text, which takes no more than itself until they are plain.
        let text = "x".repeat(1 << 20);
        let view = StringViewArray::from_iter_values([&text]).views()[0];
        let texts = |len: usize| {
            let views = vec![view; len].into();
            StringViewArray::new(views, [Buffer::from(text.as_bytes())], None)
        };
        let rows = |texts: StringViewArray| {
            RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).unwrap()
        };
        let rows = rows(texts(100));
        assert_eq!(plain(&rows).unwrap().len(), 1);
        let (mut parts, schema) = (Vec::new(), plain_schema(rows.schema_ref(), &without_views));
        cast_parts(&rows, &Arc::new(schema), 10 << 20, &mut parts).unwrap();
        assert_eq!(parts.len(), 16);
        assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let list =
            ListArray::new(item, OffsetBuffer::from_lengths([3000]), Arc::new(texts(3000)), None);
        let lists = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).unwrap();
        let error = plain(&lists).unwrap_err().to_string();
        assert!(error.contains("'l' is longer than 2 GiB"), "{error}");
    }
}
