//! CREATE TABLE … AS query: the table and its rows appear in one commit.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::sql::sqlparser::ast::CreateTable;
use futures::TryStreamExt;
use sheaf_core::catalog::NewColumn;

use super::create_table;
use crate::dml;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output, blocking};
use crate::sql::UUID_BYTES;

pub(super) async fn run(context: &Context, mut table: CreateTable) -> Result<Output> {
    create_table::check_clauses(&table)?;
    if !table.columns.is_empty() {
        return Err(Error::not_supported("CREATE TABLE AS with types of its own")
            .hint("name the columns without types, and CAST in the query"));
    }
    if create_table::is_there(context, &table)? {
        return Ok(Output::done("CREATE TABLE AS"));
    }
    let Some(query) = table.query.take() else {
        return Err(Error::new(ErrorKind::Internal, "CREATE TABLE AS has no query"));
    };
    let plan = context.plan_query(*query).await?;
    let rows = context.stream(&plan).await?;
    let new = create_table::new_table(context, &table, columns(&rows.schema())?, Vec::new())?;
    let load = blocking(|| context.store.bulk_create(new))
        .map_err(|error| create_table::already_exists(error.into(), &table.name))?;
    let count = dml::fill(context, load, rows.map_err(Error::from)).await?;
    Ok(Output::counted("SELECT", count))
}

/// Columns that can hold the rows of a query.
fn columns(schema: &SchemaRef) -> Result<Vec<NewColumn>> {
    let columns = columns_for(schema)?;
    Ok(columns.into_iter().map(|column| NewColumn { nullable: true, ..column }).collect())
}

/// Columns that can hold rows of this schema.
pub(crate) fn columns_for(schema: &Schema) -> Result<Vec<NewColumn>> {
    schema
        .fields()
        .iter()
        .map(|field| {
            Ok(NewColumn {
                name: field.name().clone(),
                data_type: stored_type(field.data_type()),
                nullable: field.is_nullable(),
                default_sql: None,
                missing: None,
            })
        })
        .collect()
}

/// The type that a column of a table has for values of this type: one of those that
/// CREATE TABLE has names for.
fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        // A column of NULLs may become anything; text takes everything later.
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::FixedSizeBinary(bytes) if *bytes != UUID_BYTES => DataType::BinaryView,
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Decimal256(_, s) => DataType::Decimal128(38, *s),
        DataType::Dictionary(_, value) => stored_type(value),
        DataType::RunEndEncoded(_, value) => stored_type(value.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            DataType::List(Arc::new(Field::new_list_field(stored_type(item.data_type()), true)))
        }
        DataType::FixedSizeList(item, n)
            if matches!(item.data_type(), DataType::Float32 | DataType::Float16) =>
        {
            DataType::FixedSizeList(
                Arc::new(Field::new_list_field(item.data_type().clone(), false)),
                *n,
            )
        }
        other => other.clone(),
    }
}
