//! One Parquet file: written under a temporary name, renamed when it is whole.

use std::fs::{self, File};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::failure::{During, Result};

/// Rows of a row group: what bounds memory, and what readers share among threads.
const GROUP_ROWS: usize = 1 << 19;

/// Writes `batches` and says how many rows they have.
pub fn parquet(
    path: &Path,
    schema: &SchemaRef,
    batches: impl Iterator<Item = std::result::Result<RecordBatch, ArrowError>>,
) -> Result<u64> {
    let temporary = path.with_extension("parquet.part");
    let what = || format!("writing {}", temporary.display());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let file = File::create(&temporary).during(what())?;
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        writer.write(&batch).during(what())?;
    }
    writer.close().during(what())?;
    fs::rename(&temporary, path)?;
    Ok(rows)
}
