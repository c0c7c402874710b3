//! Parquet files of users.
//!
//! The `ARROW:schema` key is ignored: it is bytes from outside that would choose
//! types, and Arrow's reader of it panics on some. Decoding is fenced by
//! `catch_unwind`, as checksums in Parquet are optional.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::{Batches, ExternalFile, ReadOptions, io_error, name_of};
use crate::{Error, Result};

pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<ExternalFile> {
    let name = name_of(path);
    let file = File::open(path).map_err(io_error(path))?;
    let metadata = guarded(&name, || {
        let skip = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let found =
            ArrowReaderMetadata::load(&file, skip.clone()).map_err(|e| malformed(&name, e))?;
        // Text and binary are read as views; what the crate cannot read so stays.
        let viewed = Arc::new(Schema::new(views(found.schema().fields())));
        let viewed =
            ArrowReaderMetadata::try_new(found.metadata().clone(), skip.with_schema(viewed));
        Ok(viewed.unwrap_or(found))
    })?;
    let found = metadata.schema().clone();
    let plan = match &options.schema {
        None => Plan { schema: Arc::new(Schema::new(found.fields().clone())), columns: None },
        Some(schema) => Plan::by_name(&name, &found, schema)?,
    };
    let schema = plan.schema.clone();
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(options.batch_rows);
    if let Some(columns) = &plan.columns {
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    let mut reader = guarded(&name, || builder.build().map_err(|e| malformed(&name, e)))?;
    let mut failed = false;
    let batches: Batches = Box::new(std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let next = guarded(&name, || {
            let batch = reader.next().transpose().map_err(|e| malformed(&name, e))?;
            batch.map(|batch| plan.arrange(&name, &batch)).transpose()
        });
        failed = next.is_err();
        next.transpose()
    }));
    Ok(ExternalFile { schema, batches })
}

/// Which columns are read, and what they become.
struct Plan {
    schema: SchemaRef,
    /// Index in the file of each column of the schema; `None` for all as they are.
    columns: Option<Vec<usize>>,
}

impl Plan {
    fn by_name(name: &str, found: &SchemaRef, wanted: &SchemaRef) -> Result<Self> {
        let columns = wanted
            .fields()
            .iter()
            .map(|field| {
                let refuse = |what: String| Error::Malformed {
                    file: name.to_owned(),
                    line: None,
                    column: Some(field.name().clone()),
                    what,
                };
                let index = found.index_of(field.name()).map_err(|_| {
                    let names: Vec<_> =
                        found.fields().iter().map(|field| field.name().as_str()).collect();
                    refuse(format!("the file has no such column, only {}", names.join(", ")))
                })?;
                let data_type = found.field(index).data_type();
                if data_type != field.data_type() && !can_cast_types(data_type, field.data_type()) {
                    return Err(refuse(format!("{data_type} cannot become {}", field.data_type())));
                }
                Ok(index)
            })
            .collect::<Result<_>>()?;
        Ok(Self { schema: wanted.clone(), columns: Some(columns) })
    }

    fn arrange(&self, name: &str, batch: &RecordBatch) -> Result<RecordBatch> {
        let arrays = match &self.columns {
            None => batch.columns().to_vec(),
            Some(columns) => {
                let mut read = columns.clone();
                read.sort_unstable();
                read.dedup();
                columns
                    .iter()
                    .zip(self.schema.fields())
                    .map(|(column, field)| {
                        let position = read.partition_point(|other| other < column);
                        convert(name, batch.column(position), field)
                    })
                    .collect::<Result<_>>()?
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|e| malformed(name, e))
    }
}

fn convert(name: &str, array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(array.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, field.data_type(), &options).map_err(|e| Error::Malformed {
        file: name.to_owned(),
        line: None,
        column: Some(field.name().clone()),
        what: e.to_string(),
    })
}

fn views(fields: &Fields) -> Fields {
    fields
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                other => other.clone(),
            };
            Field::new(field.name(), data_type, field.is_nullable())
        })
        .collect()
}

fn guarded<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(malformed(name, "the Parquet file is damaged: it does not decode")))
}

fn malformed(name: &str, what: impl ToString) -> Error {
    Error::Malformed { file: name.to_owned(), line: None, column: None, what: what.to_string() }
}
