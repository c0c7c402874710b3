//! `COPY t FROM 'file'`: one transaction, whatever the number of files.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast::{CopySource, CopyTarget};
use sheaf_core::catalog::{ColumnDef, TableDef};

use super::rows;
use super::sink::Sink;
use super::source::{named_idents, places};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::session::{Context, Output, blocking};
use crate::sql::{Copy, position_of};

pub(super) async fn run(context: &Context, copy: &Copy) -> Result<Output> {
    let Copy { source, to: _, target, options } = copy;
    let CopySource::Table { table_name, columns } = source else {
        return Err(Error::new(ErrorKind::Internal, "COPY FROM has a table"));
    };
    let CopyTarget::File { filename } = target else {
        return Err(
            Error::not_supported(format!("COPY FROM {target}")).hint("name a file in quotes")
        );
    };
    let table = context.table(table_name)?;
    let columns =
        named_idents(&table, columns).map_err(|error| error.at(position_of(table_name)))?;
    let mut read = files::read_options(options, None)?;
    let readings = context.catalog.readings();
    read.rejects = files::skips_errors(options)?.then(|| readings.rejects());
    read.schema = Some(Arc::new(file_schema(&table, &columns)));
    let rejects = read.rejects.clone();
    let places = places(&table, &columns, true, columns.len())?;
    let names = std::slice::from_ref(filename);
    let dataset = files::dataset(readings.access(), names, read).await?;
    readings.add_progress(dataset.progress());
    let mut batches = dataset.read(None)?;
    let mut sink = Sink::new(context, Arc::clone(&table));
    while let Some(batch) = blocking(|| batches.next()) {
        sink.push(rows::shape(context, &table, &batch?, &places)?)?;
        // Other statements share these threads.
        tokio::task::yield_now().await;
    }
    let copied = Output::counted("COPY", sink.finish()?);
    Ok(match rejects.map_or(0, |rejects| rejects.count()) {
        0 => copied,
        1 => copied.with_notice("1 row was skipped: see sheaf.rejects"),
        many => copied.with_notice(format!("{many} rows were skipped: see sheaf.rejects")),
    })
}

/// The columns to read, with the types and the NOT NULL of the table: the reader
/// knows the line of a bad value.
fn file_schema(table: &TableDef, columns: &[usize]) -> Schema {
    let defs: Vec<&ColumnDef> = table.live_columns().collect();
    let field =
        |column: &ColumnDef| Field::new(&column.name, column.data_type.clone(), column.nullable);
    Schema::new(columns.iter().map(|index| field(defs[*index])).collect::<Vec<_>>())
}
