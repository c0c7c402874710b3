//! What there is: catalogs, schemas, tables, keys, types, and what this server can.

mod keys;
mod sql_info;
mod tables;
mod types;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::Command;
use arrow_flight::sql::metadata::{GetTablesBuilder, SqlInfoDataBuilder};
use tonic::Status;

use crate::sessions::Client;
use crate::status;

pub(crate) use tables::texts;

/// The only catalog.
pub(crate) const CATALOG: &str = "sheaf";

/// The schema of the answer to a command; `None` when it is not one about metadata.
pub(crate) fn schema(command: &Command) -> Result<Option<SchemaRef>, Status> {
    Ok(Some(match command {
        Command::CommandGetCatalogs(command) => command.into_builder().schema(),
        Command::CommandGetDbSchemas(command) => command.clone().into_builder().schema(),
        Command::CommandGetTables(command) => GetTablesBuilder::from(command.clone()).schema(),
        Command::CommandGetTableTypes(command) => command.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => Arc::new(Schema::clone(SqlInfoDataBuilder::schema())),
        Command::CommandGetXdbcTypeInfo(_) => types::all()?.schema(),
        Command::CommandGetPrimaryKeys(_) => keys::primary_schema(),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => keys::reference_schema(),
        _ => return Ok(None),
    }))
}

/// The answer to a command about metadata; `None` when it is another one.
pub(crate) async fn rows(client: &Client, command: Command) -> Result<Option<RecordBatch>, Status> {
    let built = match command {
        Command::CommandGetCatalogs(command) => {
            let mut builder = command.into_builder();
            builder.append(CATALOG);
            builder.build()
        }
        Command::CommandGetDbSchemas(command) => tables::schemas(client, command).await?,
        Command::CommandGetTables(command) => tables::tables(client, command).await?,
        Command::CommandGetTableTypes(command) => {
            let mut builder = command.into_builder();
            for table_type in tables::TYPES {
                builder.append(table_type);
            }
            builder.build()
        }
        Command::CommandGetSqlInfo(command) => command.into_builder(sql_info::all()?).build(),
        Command::CommandGetXdbcTypeInfo(command) => command.into_builder(types::all()?).build(),
        Command::CommandGetPrimaryKeys(command) => Ok(keys::primary(client, &command)?),
        // There are no foreign keys.
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => {
            Ok(RecordBatch::new_empty(keys::reference_schema()))
        }
        _ => return Ok(None),
    };
    built.map(Some).map_err(status::internal)
}
