//! `COPY t FROM 'file'`.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{CopyOption, CopySource, CopyTarget, Statement};
use sheaf_core::catalog::{ColumnDef, TableDef};
use sheaf_formats::external::{self, Format, ReadOptions};

use super::rows;
use super::sink::Sink;
use super::source::{named_idents, places};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{fold, ident_position, position_of};

pub(super) async fn run(context: &Context, statement: &Statement) -> Result<Output> {
    let Statement::Copy { source, to, target, options, legacy_options, values: _ } = statement
    else {
        return Err(Error::new(ErrorKind::Internal, "COPY is expected here"));
    };
    let (CopySource::Table { table_name, columns }, false) = (source, to) else {
        return Err(Error::not_supported("COPY … TO"));
    };
    let CopyTarget::File { filename } = target else {
        return Err(
            Error::not_supported(format!("COPY FROM {target}")).hint("name a file in quotes")
        );
    };
    if let Some(option) = legacy_options.first() {
        return Err(Error::not_supported(format!("the COPY option {option}"))
            .hint("write the options in parentheses, as in (FORMAT csv, HEADER true)"));
    }
    let table = context.table(table_name)?;
    let columns =
        named_idents(&table, columns).map_err(|error| error.at(position_of(table_name)))?;
    let mut read = read_options(options)?;
    read.schema = Some(Arc::new(file_schema(&table, &columns, Path::new(filename), &read)?));
    let places = places(&table, &columns, true, columns.len())?;
    let file = crate::session::blocking(|| external::open(Path::new(filename), &read))?;
    let mut sink = Sink::new(context, Arc::clone(&table));
    for batch in file.read() {
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
        None => Format::of_path(path)?,
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

fn read_options(options: &[CopyOption]) -> Result<ReadOptions> {
    let mut read = ReadOptions::default();
    for option in options {
        match option {
            CopyOption::Format(name) => {
                read.format = Some(match fold(name).to_lowercase().as_str() {
                    "csv" => Format::Csv,
                    "parquet" => Format::Parquet,
                    other => {
                        return Err(Error::not_supported(format!("the format '{other}' in COPY"))
                            .at(ident_position(name))
                            .hint("csv and parquet are"));
                    }
                });
            }
            CopyOption::Header(header) => read.header = Some(*header),
            CopyOption::Delimiter(delimiter) => {
                read.delimiter = Some(one_byte(*delimiter, "DELIMITER")?)
            }
            CopyOption::Quote(quote) => read.quote = Some(one_byte(*quote, "QUOTE")?),
            CopyOption::Null(null) => read.null = Some(null.clone()),
            CopyOption::Encoding(name)
                if matches!(name.to_lowercase().as_str(), "utf8" | "utf-8") => {}
            other => {
                return Err(Error::not_supported(format!("the COPY option {other}"))
                    .hint("FORMAT, HEADER, DELIMITER, QUOTE and NULL are"));
            }
        }
    }
    Ok(read)
}

fn one_byte(character: char, option: &str) -> Result<u8> {
    u8::try_from(character).ok().filter(u8::is_ascii).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidParameter,
            format!("{option} must be one ASCII character, not '{character}'"),
        )
    })
}
