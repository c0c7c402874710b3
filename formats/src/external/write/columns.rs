//! The columns that Arrow and Parquet files have.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::plain::{plain_schema, without_views};

/// With views, which are written as the text that they show.
pub(super) fn viewed(schema: &Schema) -> SchemaRef {
    bare(&plain_schema(schema, &without_words))
}

/// With text, for readers: views are young, and a view of a few values brings along all bytes of
/// its buffers.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    bare(&plain_schema(schema, &|data_type| {
        without_words(data_type).or_else(|| without_views(data_type))
    }))
}

/// Values in place of a dictionary of views, which no file has.
fn without_words(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Dictionary(_, value) if without_views(value).is_some() => {
            Some(DataType::clone(value))
        }
        _ => None,
    }
}

/// Without what the sources of the rows say of their own columns. It need not be true of these,
/// and pandas reads a file by the types that it had written down.
fn bare(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|f| Field::new(f.name(), f.data_type().clone(), f.is_nullable()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
