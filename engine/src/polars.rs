//! Results as frames of polars, and frames as rows for statements.
//!
//! Buffers cross by Arrow's C data interface, without being copied where polars has them as Arrow
//! does: numbers, decimals, texts, bytes, dates and moments. Times of day become nanoseconds, and
//! the offsets of lists 64 bits wide.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use datafusion::datasource::MemTable;
use polars_arrow::ffi as theirs;
use polars_core::datatypes::CompatLevel;
use polars_core::error::PolarsError;
use polars_core::frame::DataFrame;
use polars_core::prelude::{Column, Series};

use crate::error::{Error, ErrorKind, Result};
use crate::relation::Relation;
use crate::session::Output;

impl Output {
    /// All rows as a frame of polars; one without columns when the statement gives no rows.
    pub async fn polars(self) -> Result<DataFrame> {
        let schema = self.schema().cloned().unwrap_or_else(|| Arc::new(Schema::empty()));
        frame(&schema, &self.collect().await?)
    }
}

impl Relation {
    /// The rows of a frame.
    pub fn of_polars(frame: &DataFrame) -> Result<Self> {
        let (schema, batches) = batches(frame)?;
        Ok(Self::Table(Arc::new(MemTable::try_new(schema, vec![batches])?)))
    }
}

/// Batches as a frame of polars, a chunk for each.
///
/// # Errors
///
/// When two columns have one name, or one is of a type that polars does not have.
pub fn frame(schema: &Schema, batches: &[RecordBatch]) -> Result<DataFrame> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let column = |(at, field): (usize, &Arc<Field>)| {
        if !is_known(field.data_type()) {
            let what = format!("a column of type {} is unknown to polars", field.data_type());
            return Err(refused(field.name(), &what));
        }
        let empty = batches.is_empty().then(|| new_empty_array(field.data_type()));
        let chunks = batches.iter().map(|batch| batch.column(at)).chain(&empty);
        column(field, chunks).map_err(|error| refused(field.name(), &error))
    };
    let columns = schema.fields().iter().enumerate().map(column).collect::<Result<_>>()?;
    DataFrame::new(rows, columns).map_err(|error| {
        Error::new(ErrorKind::DatatypeMismatch, format!("polars refuses the rows: {error}"))
    })
}

/// A frame of polars as batches, one for each chunk.
///
/// # Errors
///
/// When a column holds what Arrow has no type for: objects of a program.
pub fn batches(frame: &DataFrame) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut frame = frame.clone();
    frame.align_chunks();
    let mut fields = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let level = CompatLevel::newest();
        column.dtype().try_to_arrow(level).map_err(|error| refused(column.name(), &error))?;
        let schema = theirs::export_field_to_c(&column.field().to_arrow(level));
        let field = Field::try_from(&our_schema(schema));
        fields.push(field.map_err(|error| refused(column.name(), &error))?);
    }
    let schema = Arc::new(Schema::new(fields));
    let mut batches = Vec::new();
    for chunk in frame.iter_chunks(CompatLevel::newest(), false) {
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.height()));
        let arrays = chunk.arrays().iter().zip(schema.fields());
        let arrays = arrays.map(|(array, field)| {
            let array = our_array(theirs::export_array_to_c(array.clone()));
            // SAFETY: polars has just exported it, as a value of this type.
            let data = unsafe { from_ffi(array, &FFI_ArrowSchema::try_from(field.as_ref())?) }?;
            Ok(make_array(data))
        });
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        batches.push(RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?);
    }
    Ok((schema, batches))
}

/// Whether polars has the type. Of some it has not, it panics.
fn is_known(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::Map(..)
        | DataType::Union(..)
        | DataType::FixedSizeBinary(_)
        | DataType::Decimal256(..) => false,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => is_known(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_known(field.data_type())),
        _ => true,
    }
}

fn column<'a>(
    field: &Field,
    chunks: impl Iterator<Item = &'a ArrayRef>,
) -> Result<Column, PolarsError> {
    let schema = FFI_ArrowSchema::try_from(field).map_err(as_theirs)?;
    // SAFETY: arrow has just exported it.
    let theirs = unsafe { theirs::import_field_from_c(&their_schema(schema)) }?;
    let chunk = |array: &ArrayRef| {
        let (array, _) = to_ffi(&array.to_data()).map_err(as_theirs)?;
        // SAFETY: arrow has just exported it, as a value of this type.
        unsafe { theirs::import_array_from_c(their_array(array), theirs.dtype().clone()) }
    };
    let chunks = chunks.map(chunk).collect::<Result<Vec<_>, _>>()?;
    Ok(Series::try_from((&theirs, chunks))?.into())
}

fn as_theirs(error: arrow::error::ArrowError) -> PolarsError {
    PolarsError::ComputeError(error.to_string().into())
}

fn refused(column: &str, why: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::DatatypeMismatch, format!("column '{column}' cannot cross: {why}"))
}

// Both libraries write the structures of the C data interface down for themselves. What is moved
// here is owned by the other side from then on, and released by it.

fn their_schema(schema: FFI_ArrowSchema) -> theirs::ArrowSchema {
    let schema = ManuallyDrop::new(schema);
    // SAFETY: both are `struct ArrowSchema`, and the first is not used again.
    unsafe { std::ptr::from_ref(&*schema).cast::<theirs::ArrowSchema>().read() }
}

fn their_array(array: FFI_ArrowArray) -> theirs::ArrowArray {
    let array = ManuallyDrop::new(array);
    // SAFETY: both are `struct ArrowArray`, and the first is not used again.
    unsafe { std::ptr::from_ref(&*array).cast::<theirs::ArrowArray>().read() }
}

fn our_schema(schema: theirs::ArrowSchema) -> FFI_ArrowSchema {
    let schema = ManuallyDrop::new(schema);
    // SAFETY: both are `struct ArrowSchema`, and the first is not used again.
    unsafe { std::ptr::from_ref(&*schema).cast::<FFI_ArrowSchema>().read() }
}

fn our_array(array: theirs::ArrowArray) -> FFI_ArrowArray {
    let array = ManuallyDrop::new(array);
    // SAFETY: both are `struct ArrowArray`, and the first is not used again.
    unsafe { std::ptr::from_ref(&*array).cast::<FFI_ArrowArray>().read() }
}
