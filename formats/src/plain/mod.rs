//! Rows in types that everybody knows. Views of text and bytes are young: many libraries read
//! them, and can do little else with them.

mod cast;
mod texts;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};

pub use cast::cast_rows;

/// The columns of a schema with what `change` says that their types become, at any depth but in
/// dictionaries; views of lists are plain lists. What is said of the schema itself, its source
/// said of its own.
pub fn plain_schema(schema: &Schema, change: &impl Fn(&DataType) -> Option<DataType>) -> Schema {
    let fields: Vec<_> = schema.fields().iter().map(|field| of_field(field, change)).collect();
    Schema::new(fields)
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
