//! How the columns of a Parquet file are encoded.

use std::collections::HashSet;
use std::sync::Arc;

use ::parquet::arrow::add_encoded_arrow_schema_to_metadata;
use ::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use ::parquet::schema::types::ColumnPath;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};

use super::super::options::Codec;
use super::super::{WriteOptions, columns};
use crate::Result;

/// Values of a column that are looked at.
const SAMPLE_ROWS: usize = 4_096;
/// A column has a dictionary unless more of the sample are distinct.
const DISTINCT_PERCENT_MAX: usize = 60;

/// Properties that suit the rows of `first`, the first row group.
pub(super) fn properties(
    schema: &SchemaRef,
    first: &[RecordBatch],
    options: &WriteOptions,
) -> Result<WriterProperties> {
    let codec = match options.codec {
        None | Some(Codec::Zstd) => Compression::ZSTD(ZstdLevel::default()),
        Some(Codec::None) => Compression::UNCOMPRESSED,
        Some(Codec::Snappy) => Compression::SNAPPY,
        Some(Codec::Gzip) => Compression::GZIP(GzipLevel::default()),
        Some(Codec::Lz4) => Compression::LZ4_RAW,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(concat!("Sheaf ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None);
    for (index, field) in schema.fields().iter().enumerate() {
        if !field.data_type().is_nested() && !repeats(first, index)? {
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    let mut properties = properties.build();
    // Says which lists have a fixed size; readers that do not know it skip it.
    add_encoded_arrow_schema_to_metadata(&columns::plain(schema), &mut properties);
    Ok(properties)
}

/// Whether the values of a column repeat enough for a dictionary to be worth its while:
/// building one of distinct values costs more than all other work.
fn repeats(first: &[RecordBatch], index: usize) -> Result<bool> {
    let rows: usize = first.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Ok(true);
    }
    let step = rows.div_ceil(SAMPLE_ROWS);
    let parts = first
        .iter()
        .map(|batch| {
            let places = UInt32Array::from_iter_values((0..batch.num_rows() as u32).step_by(step));
            take(batch.column(index), &places, None)
        })
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    let sample = concat(&parts)?;
    let converter = RowConverter::new(vec![SortField::new(sample.data_type().clone())])?;
    let sampled = converter.convert_columns(&[Arc::clone(&sample)])?;
    let distinct: HashSet<&[u8]> = sampled.iter().map(|row| row.data()).collect();
    Ok(distinct.len() * 100 <= sample.len() * DISTINCT_PERCENT_MAX)
}
