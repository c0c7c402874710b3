//! Bulk ingest: a stream of rows into a table, in one commit.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use futures::{Stream, StreamExt, TryStreamExt};
use sheafdb::{Error, ErrorKind, IfMissing, IfThere, Ingest};
use tonic::Status;

use crate::metadata::CATALOG;
use crate::sessions::Client;
use crate::status;

/// Runs the command on rows with this schema; returns how many there were.
pub(crate) async fn run(
    client: &Client,
    command: CommandStatementIngest,
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Result<i64, Status> {
    if command.transaction_id.is_some() {
        return Err(status::unimplemented("ingest inside a transaction of several statements"));
    }
    if let Some(catalog) = command.catalog.as_deref().filter(|it| !it.is_empty() && *it != CATALOG)
    {
        return Err(Status::not_found(format!(
            "[3D000] there is no catalog '{catalog}': there is '{CATALOG}'"
        )));
    }
    let options = command.table_definition_options.unwrap_or_default();
    let if_missing = match options.if_not_exist() {
        TableNotExistOption::Create => IfMissing::Create,
        TableNotExistOption::Fail | TableNotExistOption::Unspecified => IfMissing::Fail,
    };
    let if_there = match options.if_exists() {
        TableExistsOption::Append => IfThere::Append,
        TableExistsOption::Replace => IfThere::Replace,
        TableExistsOption::Fail | TableExistsOption::Unspecified => IfThere::Fail,
    };
    let target = Ingest {
        schema: command.schema.filter(|schema| !schema.is_empty()),
        table: command.table,
        temporary: command.temporary,
        if_missing,
        if_there,
    };
    let rows = rows.map_err(|status| Error::new(ErrorKind::Cancelled, status.message().to_owned()));
    let count = client.session.ingest(target, schema, rows.boxed()).await;
    count.map(|count| count as i64).map_err(status::of_error)
}
