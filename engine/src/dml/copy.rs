//! `COPY t FROM 'file'`.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{CopySource, CopyTarget};
use sheaf_core::catalog::{ColumnDef, TableDef};
use sheaf_formats::external::{self, Format, ReadOptions};

use super::rows;
use super::sink::Sink;
use super::source::{named_idents, places};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{Copy, CopyOptions, position_of};

/// The options that it takes.
const OPTIONS: [&str; 6] = ["format", "header", "delimiter", "quote", "null", "encoding"];

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
    let mut read = read_options(options)?;
    read.schema = Some(Arc::new(file_schema(&table, &columns, Path::new(filename), &read)?));
    let places = places(&table, &columns, true, columns.len())?;
    let file = crate::session::blocking(|| external::open(Path::new(filename), &read))?;
    let mut sink = Sink::new(context, Arc::clone(&table));
    for batch in file.read(None)? {
        sink.push(rows::shape(context, &table, &batch?, &places)?)?;
        // Other statements share these threads.
        tokio::task::yield_now().await;
    }
    Ok(Output::counted("COPY", sink.finish()?))
}

/// The columns to read. Of CSV, those types that the file's reader parses: it knows
/// the line of a bad value. The rest is read as text and assigned.
fn file_schema(
    table: &TableDef,
    columns: &[usize],
    path: &Path,
    options: &ReadOptions,
) -> Result<Schema> {
    let format = match options.format {
        Some(format) => format,
        None => Format::of_name(&path.to_string_lossy())?,
    };
    let defs: Vec<&ColumnDef> = table.live_columns().collect();
    let fields: Vec<Field> = columns
        .iter()
        .map(|index| {
            let column = defs[*index];
            let data_type = match format {
                Format::Csv if !is_parsed(&column.data_type) => DataType::Utf8View,
                _ => column.data_type.clone(),
            };
            Field::new(&column.name, data_type, true)
        })
        .collect();
    Ok(Schema::new(fields))
}

fn is_parsed(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Time64(_)
            | DataType::Timestamp(..)
    ) || data_type.is_numeric()
}

fn read_options(options: &CopyOptions) -> Result<ReadOptions> {
    options.check(&OPTIONS)?;
    let mut read = ReadOptions::default();
    for option in options.iter() {
        match option.key().as_str() {
            "format" => {
                read.format = Some(match option.text()?.to_lowercase().as_str() {
                    "csv" => Format::Csv,
                    "parquet" => Format::Parquet,
                    "json" | "ndjson" => Format::Json,
                    "arrow" => Format::Arrow,
                    other => {
                        return Err(Error::not_supported(format!("the format '{other}' in COPY"))
                            .at(option.value_at)
                            .hint("csv, json, parquet and arrow are"));
                    }
                });
            }
            "header" => read.csv.header = Some(option.boolean()?),
            "delimiter" => read.csv.delimiter = Some(option.character()?),
            "quote" => read.csv.quote = Some(option.character()?),
            "null" => read.csv.nulls = Some(vec![option.text()?]),
            "encoding" => {
                if !matches!(option.text()?.to_lowercase().as_str(), "utf8" | "utf-8") {
                    return Err(option.refused("'utf8'"));
                }
            }
            // `check` has refused the rest.
            _ => {}
        }
    }
    Ok(read)
}
