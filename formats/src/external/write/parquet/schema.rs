//! The Parquet schema of Arrow columns.

use std::sync::Arc;

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::basic::{LogicalType, Type as Physical};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::{Type, TypePtr};
use arrow::datatypes::{DataType, Field, Schema};

use crate::{Error, Result};

/// Refuses columns that Parquet has no type for.
pub(super) fn check(schema: &Schema) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(Error::Invalid("a Parquet file must have a column".to_owned()));
    }
    for field in schema.fields() {
        if let Some(what) = refused(field) {
            return Err(Error::Invalid(format!(
                "Parquet has no type for the column '{}' of {what}: CAST it to TEXT",
                field.name()
            )));
        }
    }
    Ok(())
}

fn refused(field: &Field) -> Option<&'static str> {
    match field.data_type() {
        // Parquet's own has no sign and no microseconds, and readers drop its months.
        DataType::Interval(_) => Some("intervals"),
        DataType::Duration(_) => Some("durations"),
        DataType::Union(..) => Some("unions"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => refused(item),
        DataType::Struct(fields) => fields.iter().find_map(|field| refused(field)),
        _ => None,
    }
}

/// The type of the file's rows.
pub(super) fn root(schema: &Schema) -> Result<TypePtr, ParquetError> {
    let converted = ArrowSchemaConverter::new().convert(schema)?;
    with_uuids(&converted.root_schema_ptr())
}

/// Sixteen bytes that are nothing else are UUIDs, here as in tables.
fn with_uuids(found: &TypePtr) -> Result<TypePtr, ParquetError> {
    let info = found.get_basic_info();
    let id = info.has_id().then(|| info.id());
    if found.is_primitive() {
        let is_uuid = found.get_physical_type() == Physical::FIXED_LEN_BYTE_ARRAY
            && matches!(found.as_ref(), Type::PrimitiveType { type_length: 16, .. })
            && info.logical_type_ref().is_none();
        if !is_uuid {
            return Ok(Arc::clone(found));
        }
        let uuid = Type::primitive_type_builder(found.name(), Physical::FIXED_LEN_BYTE_ARRAY)
            .with_repetition(info.repetition())
            .with_length(16)
            .with_logical_type(Some(LogicalType::Uuid))
            .with_id(id)
            .build()?;
        return Ok(Arc::new(uuid));
    }
    let fields = found.get_fields().iter().map(with_uuids).collect::<Result<_, _>>()?;
    let mut group = Type::group_type_builder(found.name())
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_fields(fields)
        .with_id(id);
    if info.has_repetition() {
        group = group.with_repetition(info.repetition());
    }
    Ok(Arc::new(group.build()?))
}
