//! Segments as Parquet files, for tables that other tools must read in place.
//!
//! The payload is a whole Parquet file: cut off the first page and what follows the
//! payload and any reader opens it. Columns keep their names. Types come from the
//! catalog, never from the `ARROW:schema` key in the file.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowFilter, RowSelection,
};
use ::parquet::arrow::{ArrowWriter, ProjectionMask};
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::PageIndexPolicy;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::selection::{RowSelection as Rows, check_ordinals, check_projection};
use super::storage::StorageMap;
use super::{BatchStream, Effort, Encoding, ScanRequest, SegmentFormat, SegmentReader, footer};
use crate::predicate::Predicate;
use crate::statistics::{SegmentStatistics, StatisticsBuilder};
use crate::{Error, Result, envelope};

/// Rows per row group: a unit of skipping, and of memory while writing.
const ROW_GROUP_ROWS: usize = 131_072;
/// Rows per decoded batch.
const BATCH_ROWS: usize = 16_384;
/// Bytes that a sequential read takes at a time.
const READ_LEN: usize = 64 * 1024;

/// The Parquet encoding.
pub(super) struct ParquetFormat;

impl SegmentFormat for ParquetFormat {
    fn check_schema(&self, schema: &SchemaRef) -> Result<()> {
        storage_map(schema).map(drop)
    }

    fn write(
        &self,
        schema: &SchemaRef,
        batches: &mut dyn Iterator<Item = Result<RecordBatch>>,
        effort: Effort,
        mut out: envelope::Writer<Box<dyn Write + Send>>,
    ) -> Result<SegmentStatistics> {
        let storage = storage_map(schema)?;
        let failed = |e: ParquetError| {
            carried(&e).unwrap_or_else(|| {
                Error::Invalid(format!("a Parquet segment was not written: {e}"))
            })
        };
        let properties = WriterProperties::builder()
            .set_compression(match effort {
                Effort::Quick => Compression::UNCOMPRESSED,
                Effort::Thorough => Compression::ZSTD(ZstdLevel::default()),
            })
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let mut statistics = StatisticsBuilder::new(schema);
        let mut writer = ArrowWriter::try_new(&mut out, storage.stored.clone(), Some(properties))
            .map_err(failed)?;
        for batch in batches {
            let batch = batch?;
            statistics.push(&batch)?;
            writer.write(&storage.to_stored(&batch)?).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        let statistics = statistics.finish()?;
        out.finish(&footer::encode(Encoding::Parquet, schema, &statistics)?)?;
        Ok(statistics)
    }

    fn open(&self, schema: SchemaRef, file: envelope::Reader) -> Result<Arc<dyn SegmentReader>> {
        let statistics = footer::decode(Encoding::Parquet, &schema, &file)?;
        let metadata = guarded(&file, || load(&schema, &file))?;
        let (metadata, storage) = metadata;
        let rows = metadata.metadata().file_metadata().num_rows();
        if u64::try_from(rows) != Ok(statistics.rows) {
            return Err(damaged(
                &file,
                format!("the payload has {rows} rows and the footer says {}", statistics.rows),
            ));
        }
        Ok(Arc::new(ParquetSegment { file, metadata, storage: Arc::new(storage), statistics }))
    }
}

fn storage_map(schema: &SchemaRef) -> Result<StorageMap> {
    StorageMap::new(Encoding::Parquet, schema, |index| schema.field(index).name().clone())
}

/// Reads the metadata with the types that the catalog says. Columns are found by
/// position, so that one may have been renamed since.
fn load(schema: &SchemaRef, file: &envelope::Reader) -> Result<(ArrowReaderMetadata, StorageMap)> {
    let chunks = Chunks(file.clone());
    let options = ArrowReaderOptions::new()
        .with_skip_arrow_metadata(true)
        .with_page_index_policy(PageIndexPolicy::Optional);
    let found =
        ArrowReaderMetadata::load(&chunks, options.clone()).map_err(|e| decode_error(file, &e))?;
    let fields = found.schema().fields();
    if fields.len() != schema.fields().len() {
        return Err(Error::Incompatible {
            file: file.name().to_owned(),
            what: format!(
                "it has {} columns where the table has {}",
                fields.len(),
                schema.fields().len()
            ),
        });
    }
    let storage = StorageMap::new(Encoding::Parquet, schema, |index| fields[index].name().clone())?;
    // Nullability is the file's: the table may have become stricter since.
    let typed: Vec<_> = storage
        .stored
        .fields()
        .iter()
        .zip(fields)
        .map(|(stored, found)| stored.as_ref().clone().with_nullable(found.is_nullable()))
        .collect();
    let options = options.with_schema(Arc::new(Schema::new(typed)));
    let metadata = ArrowReaderMetadata::try_new(found.metadata().clone(), options)
        .map_err(|e| Error::Incompatible { file: file.name().to_owned(), what: e.to_string() })?;
    Ok((metadata, storage))
}

struct ParquetSegment {
    file: envelope::Reader,
    metadata: ArrowReaderMetadata,
    storage: Arc<StorageMap>,
    statistics: Arc<SegmentStatistics>,
}

impl ParquetSegment {
    /// Decodes the stored columns in `columns`, ascending, of some rows.
    fn reader(
        &self,
        columns: &[usize],
        selection: RowSelection,
        predicate: Option<Predicate>,
        limit: Option<u64>,
    ) -> Result<ParquetRecordBatchReader> {
        let schema = self.metadata.metadata().file_metadata().schema_descr();
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            Chunks(self.file.clone()),
            self.metadata.clone(),
        )
        .with_batch_size(BATCH_ROWS)
        .with_projection(ProjectionMask::roots(schema, columns.iter().copied()))
        .with_row_selection(selection);
        if let Some(predicate) = predicate {
            let columns: Vec<usize> = predicate.columns().into_iter().collect();
            check_projection(&columns, self.storage.logical.fields().len())?;
            let mask = ProjectionMask::roots(schema, columns.iter().copied());
            let predicate =
                predicate.map_columns(&|column| columns.partition_point(|&other| other < column));
            let storage = self.storage.clone();
            let matches = move |batch: RecordBatch| {
                let logical = exact(&storage, &columns, &batch).map_err(into_arrow)?;
                predicate.evaluate(&logical).map_err(into_arrow)
            };
            let filter = RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, matches))]);
            builder = builder.with_row_filter(filter);
        }
        if let Some(limit) = limit {
            builder = builder.with_limit(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        builder.build().map_err(|e| decode_error(&self.file, &e))
    }

    fn ranges(&self, runs: &[std::ops::Range<u64>]) -> RowSelection {
        let ranges = runs.iter().map(|run| run.start as usize..run.end as usize);
        RowSelection::from_consecutive_ranges(ranges, self.statistics.rows as usize)
    }
}

impl SegmentReader for ParquetSegment {
    fn schema(&self) -> &SchemaRef {
        &self.storage.logical
    }

    fn rows(&self) -> u64 {
        self.statistics.rows
    }

    fn statistics(&self) -> &Arc<SegmentStatistics> {
        &self.statistics
    }

    fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        check_projection(&request.projection, self.storage.logical.fields().len())?;
        let rows = Rows::of(&request, &self.statistics);
        if rows.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let columns: Vec<usize> =
            request.projection.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut reader = guarded(&self.file, || {
            self.reader(&columns, self.ranges(&rows.runs()), request.predicate, request.limit)
        })?;
        let file = self.file.clone();
        let storage = self.storage.clone();
        let projection = request.projection;
        let output = storage.projected(&projection)?;
        let mut failed = false;
        let batches = std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let next = guarded(&file, || {
                let batch = reader.next().transpose().map_err(|e| arrow_error(&file, e))?;
                let Some(batch) = batch else {
                    return Ok(None);
                };
                let exact = exact(&storage, &columns, &batch)?;
                arrange(&exact, &columns, &projection, &output).map(Some)
            });
            failed = next.is_err();
            next.transpose()
        });
        Ok(stream::iter(batches).boxed())
    }

    fn take(&self, ordinals: &[u64], projection: &[usize]) -> Result<RecordBatch> {
        check_projection(projection, self.storage.logical.fields().len())?;
        check_ordinals(ordinals, self.statistics.rows)?;
        let output = self.storage.projected(projection)?;
        let columns: Vec<usize> =
            projection.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if ordinals.is_empty() {
            return Ok(RecordBatch::new_empty(output));
        }
        let runs: Vec<_> = ordinals
            .chunk_by(|a, b| a + 1 == *b)
            .map(|run| run[0]..run[run.len() - 1] + 1)
            .collect();
        let batches = guarded(&self.file, || {
            let reader = self.reader(&columns, self.ranges(&runs), None, None)?;
            reader
                .map(|batch| {
                    let batch = batch.map_err(|e| arrow_error(&self.file, e))?;
                    let exact = exact(&self.storage, &columns, &batch)?;
                    arrange(&exact, &columns, projection, &output)
                })
                .collect::<Result<Vec<_>>>()
        })?;
        Ok(concat_batches(&output, &batches)?)
    }

    fn verify(&self) -> Result<u64> {
        let checked = self.file.verify_all()?;
        let projection = (0..self.storage.logical.fields().len()).collect();
        let batches = self.scan(ScanRequest { projection, ..ScanRequest::default() })?;
        let mut rows = 0;
        for batch in futures::executor::block_on_stream(batches) {
            rows += batch?.num_rows() as u64;
        }
        if rows != self.statistics.rows {
            return Err(damaged(
                &self.file,
                format!("{rows} rows decode where {} were written", self.statistics.rows),
            ));
        }
        Ok(checked)
    }
}

/// Stored columns `columns` with their exact types.
fn exact(storage: &StorageMap, columns: &[usize], batch: &RecordBatch) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .zip(batch.columns())
        .map(|(&column, array)| storage.to_logical(column, array))
        .collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(storage.projected(columns)?, arrays, &options)?)
}

/// The columns of `batch` in the order of `projection`.
fn arrange(
    batch: &RecordBatch,
    columns: &[usize],
    projection: &[usize],
    output: &SchemaRef,
) -> Result<RecordBatch> {
    let arrays = projection
        .iter()
        .map(|&column| batch.column(columns.partition_point(|&other| other < column)).clone())
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(output.clone(), arrays, &options)?)
}

/// Runs a decoder that may panic on bytes no checksum can vouch for.
fn guarded<T>(file: &envelope::Reader, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged(file, "the Parquet payload does not decode".to_owned())))
}

fn damaged(file: &envelope::Reader, what: String) -> Error {
    Error::Corrupt { file: file.name().to_owned(), offset: envelope::PAYLOAD_OFFSET, what }
}

fn decode_error(file: &envelope::Reader, error: &ParquetError) -> Error {
    carried(error).unwrap_or_else(|| damaged(file, format!("the payload does not decode: {error}")))
}

fn arrow_error(file: &envelope::Reader, error: ArrowError) -> Error {
    match &error {
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<ParquetError>() {
            Some(parquet) => decode_error(file, parquet),
            None => error.into(),
        },
        ArrowError::ParquetError(what) => damaged(file, what.clone()),
        _ => error.into(),
    }
}

fn into_arrow(error: Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// An error of this crate that came through the Parquet crate.
fn carried(error: &ParquetError) -> Option<Error> {
    let ParquetError::External(inner) = error else {
        return None;
    };
    match inner.downcast_ref::<Error>()? {
        Error::Corrupt { file, offset, what } => {
            Some(Error::Corrupt { file: file.clone(), offset: *offset, what: what.clone() })
        }
        other => Some(Error::Invalid(other.to_string())),
    }
}

/// The payload as the Parquet crate reads it.
struct Chunks(envelope::Reader);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.payload_len()
    }
}

impl ChunkReader for Chunks {
    type T = Sequential;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Self::T> {
        Ok(Sequential { file: self.0.clone(), offset: start, rest: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        self.0.read(start, length).map_err(|e| ParquetError::External(Box::new(e)))
    }
}

/// Reads on from a place in the payload.
struct Sequential {
    file: envelope::Reader,
    offset: u64,
    rest: Bytes,
}

impl Read for Sequential {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            let left = self.file.payload_len().saturating_sub(self.offset);
            let len = left.min(READ_LEN as u64) as usize;
            self.rest = self.file.read(self.offset, len).map_err(io::Error::other)?;
            self.offset += len as u64;
        }
        let len = out.len().min(self.rest.len());
        out[..len].copy_from_slice(&self.rest.split_to(len));
        Ok(len)
    }
}
