//! Schemas and tables.

use std::collections::HashMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::error::Result as FlightResult;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use sheafdb::{Session, sql_name};
use tonic::Status;

use super::CATALOG;
use crate::sessions::Client;
use crate::shape::Shape;
use crate::status;

/// Types of tables, as [`type_of`] gives them.
pub(super) const TYPES: [&str; 4] = ["LOCAL TEMPORARY", "SYSTEM TABLE", "TABLE", "VIEW"];

/// A table, view or system view.
struct Relation {
    schema: String,
    name: String,
    table_type: &'static str,
}

pub(super) async fn schemas(
    client: &Client,
    command: CommandGetDbSchemas,
) -> Result<FlightResult<RecordBatch>, Status> {
    let names =
        texts(&client.session, "SELECT schema_name FROM information_schema.schemata").await?;
    let mut builder = command.into_builder();
    for [name] in &names {
        builder.append(CATALOG, name);
    }
    Ok(builder.build())
}

pub(super) async fn tables(
    client: &Client,
    command: CommandGetTables,
) -> Result<FlightResult<RecordBatch>, Status> {
    let include_schema = command.include_schema;
    let mut builder = command.into_builder();
    let nothing = Schema::empty();
    for relation in relations(&client.session).await? {
        let Relation { schema, name, table_type } = &relation;
        let columns = match include_schema {
            // A view whose tables are gone has no columns to tell.
            true => columns(client, &relation).await.unwrap_or_else(|_| Schema::empty()),
            false => nothing.clone(),
        };
        builder.append(CATALOG, schema, name, table_type, &columns).map_err(status::internal)?;
    }
    Ok(builder.build())
}

async fn relations(session: &Session) -> Result<Vec<Relation>, Status> {
    let sql = "SELECT table_schema, table_name, table_type FROM information_schema.tables";
    let relation = |[schema, name, kind]: [String; 3]| Relation {
        table_type: type_of(&schema, &kind),
        schema,
        name,
    };
    Ok(texts(session, sql).await?.into_iter().map(relation).collect())
}

fn type_of(schema: &str, kind: &str) -> &'static str {
    match (schema, kind) {
        ("sheaf" | "information_schema", _) => "SYSTEM TABLE",
        (_, "VIEW") => "VIEW",
        (_, "LOCAL TEMPORARY") => "LOCAL TEMPORARY",
        _ => "TABLE",
    }
}

/// The columns of a table as its rows come, with what Flight SQL says of columns.
async fn columns(client: &Client, relation: &Relation) -> Result<Schema, Status> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let sql = format!("SELECT * FROM {}.{}", quoted(&relation.schema), quoted(&relation.name));
    let prepared = client.session.prepare(&sql).map_err(status::of_error)?;
    let described = prepared.describe().await.map_err(status::of_error)?;
    let Some(columns) = described.columns else { return Ok(Schema::empty()) };
    let shape = Shape::new(&columns, client.wants_views());
    let fields = shape.schema().fields().iter().zip(columns.fields());
    Ok(Schema::new(
        fields.map(|(sent, stored)| described_field(relation, sent, stored)).collect::<Vec<_>>(),
    ))
}

fn described_field(relation: &Relation, sent: &Field, stored: &Field) -> Field {
    let key = |name: &str| format!("ARROW:FLIGHT:SQL:{name}");
    let mut metadata: HashMap<String, String> = [
        ("CATALOG_NAME", CATALOG.to_owned()),
        ("SCHEMA_NAME", relation.schema.clone()),
        ("TABLE_NAME", relation.name.clone()),
        ("TYPE_NAME", sql_name(stored.data_type())),
        ("IS_AUTO_INCREMENT", "0".to_owned()),
        ("IS_CASE_SENSITIVE", "1".to_owned()),
        (
            "IS_READ_ONLY",
            u8::from(!matches!(relation.table_type, "TABLE" | "LOCAL TEMPORARY")).to_string(),
        ),
        ("IS_SEARCHABLE", "1".to_owned()),
    ]
    .map(|(name, value)| (key(name), value))
    .into();
    if let DataType::Decimal128(precision, scale) = sent.data_type() {
        metadata.insert(key("PRECISION"), precision.to_string());
        metadata.insert(key("SCALE"), scale.to_string());
    }
    sent.clone().with_metadata(metadata)
}

/// The rows of a query whose columns are texts; NULL is the empty one.
pub(crate) async fn texts<const N: usize>(
    session: &Session,
    sql: &str,
) -> Result<Vec<[String; N]>, Status> {
    let output = session.query(sql).await.map_err(status::of_error)?;
    let batches = output.collect().await.map_err(status::of_error)?;
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| column.as_string_view()).collect();
        rows.extend(
            (0..batch.num_rows())
                .map(|row| std::array::from_fn(|column| columns[column].value(row).to_owned())),
        );
    }
    Ok(rows)
}
