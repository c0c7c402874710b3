//! Keys. There are primary keys, and no foreign ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::CommandGetPrimaryKeys;
use tonic::Status;

use super::CATALOG;
use crate::sessions::Client;
use crate::status;

/// The schema of GetPrimaryKeys.
pub(super) fn primary_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("key_name", true),
    ]))
}

/// The schema of GetImportedKeys, GetExportedKeys and GetCrossReference.
pub(super) fn reference_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

/// The columns of a table's primary key, in key order.
pub(super) fn primary(
    client: &Client,
    command: &CommandGetPrimaryKeys,
) -> Result<RecordBatch, Status> {
    let store = client.session.database().store();
    let snapshot = store.snapshot().map_err(|error| status::of_error(error.into()))?;
    let catalog = snapshot.catalog();
    let is_catalog = command.catalog.as_deref().is_none_or(|name| name == CATALOG);
    let mut rows: Vec<(&str, &str, i32)> = Vec::new();
    for table in catalog.tables.values().filter(|table| is_catalog && table.name == command.table) {
        let Some(schema) = catalog.schemas.get(&table.schema) else { continue };
        if command.db_schema.as_deref().is_some_and(|name| name != schema.name) {
            continue;
        }
        let columns = table.primary_key.iter().filter_map(|id| table.column(*id));
        rows.extend(columns.zip(1..).map(|(column, at)| (&*schema.name, &*column.name, at)));
    }
    let count = rows.len();
    let same = |value: &str| Arc::new(StringArray::from_iter_values(vec![value; count]));
    let columns: Vec<ArrayRef> = vec![
        same(CATALOG),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
        same(&command.table),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.2))),
        new_null_array(&DataType::Utf8, count),
    ];
    RecordBatch::try_new(primary_schema(), columns).map_err(status::internal)
}
