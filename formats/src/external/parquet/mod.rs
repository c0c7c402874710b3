//! Parquet files of users.
//!
//! The `ARROW:schema` key is ignored: it is bytes from outside that would choose
//! types, and Arrow's reader of it panics on some. Decoding is fenced by
//! `catch_unwind`, as checksums in Parquet are optional. A row group is a piece.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use ::parquet::arrow::{ARROW_SCHEMA_META_KEY, ProjectionMask};
use ::parquet::basic::Type;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::arrow_ipc::is_schema;
use super::columns::{by_name, convert, distinct, guarded, malformed, views};
use super::ordered::{Emit, Piece, Pieces};
use super::reader::{FileReader, Findings};
use super::{ReadOptions, Source};
use crate::Result;

mod intervals;

pub(super) fn open(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    let name = source.name().to_owned();
    let chunks = Chunks(source);
    let (metadata, intervals) = guarded(&name, || {
        let skip = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let found =
            ArrowReaderMetadata::load(&chunks, skip.clone()).map_err(|e| malformed(&name, e))?;
        let (found, intervals) =
            intervals::as_bytes(found, &skip).map_err(|e| malformed(&name, e))?;
        // Text and binary are read as views; what the crate cannot read so stays.
        let viewed = Arc::new(Schema::new(dated(views(found.schema().fields()), &found)));
        let viewed =
            ArrowReaderMetadata::try_new(found.metadata().clone(), skip.with_schema(viewed));
        Ok((viewed.unwrap_or(found), intervals))
    })?;
    let found = distinct(&intervals::named(metadata.schema(), &intervals));
    let (schema, places) = match &options.schema {
        None => {
            let places = (0..found.fields().len()).collect();
            (Arc::new(Schema::new(found.fields().clone())), places)
        }
        Some(schema) => (Arc::clone(schema), by_name(&name, &found, schema)?),
    };
    let batch_rows = options.batch_rows;
    Ok(Box::new(Reader { name, chunks, metadata, intervals, schema, places, batch_rows }))
}

/// Columns where the 96-bit timestamps of Spark and Impala are microseconds: as
/// nanoseconds those before 1677 and after 2262 would become other times.
fn dated(fields: Fields, found: &ArrowReaderMetadata) -> Fields {
    let leaves = found.parquet_schema().columns();
    let is_int96 = |name: &str| {
        leaves.iter().any(|leaf| {
            leaf.physical_type() == Type::INT96 && leaf.path().parts() == [name.to_owned()]
        })
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let field = |field: &FieldRef| match is_int96(field.name()) {
        true => Arc::new(Field::clone(field).with_data_type(micros.clone())),
        false => Arc::clone(field),
    };
    fields.iter().map(field).collect()
}

struct Reader {
    name: String,
    chunks: Chunks,
    metadata: ArrowReaderMetadata,
    /// Indices in the file of columns of intervals.
    intervals: Vec<usize>,
    schema: SchemaRef,
    /// Index in the file of each column of the schema.
    places: Vec<usize>,
    batch_rows: usize,
}

impl FileReader for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn findings(&self) -> Findings {
        let file = self.metadata.metadata().file_metadata();
        let mut findings = vec![
            ("rows", file.num_rows().to_string()),
            ("row groups", self.metadata.metadata().num_row_groups().to_string()),
        ];
        findings.extend(file.created_by().map(|writer| ("written by", writer.to_owned())));
        findings
    }

    /// Others trust the Arrow schema that writers leave beside Parquet's own, and Arrow's
    /// reader panics on types that it does not have, such as polars' integers of 128 bits.
    fn is_ordinary(&self) -> bool {
        let file = self.metadata.metadata().file_metadata();
        let pairs = file.key_value_metadata().into_iter().flatten();
        let mut schemas =
            pairs.filter(|pair| pair.key == ARROW_SCHEMA_META_KEY).filter_map(|pair| {
                let encoded = pair.value.as_ref()?;
                Some(BASE64_STANDARD.decode(encoded))
            });
        schemas.all(|schema| schema.is_ok_and(|schema| is_schema(&schema)))
    }

    fn pieces(self: Box<Self>, columns: &[usize]) -> Result<Box<dyn Pieces>> {
        let groups = self.metadata.metadata().num_row_groups();
        let plan = Plan {
            name: self.name,
            fields: columns.iter().map(|&index| Arc::clone(&self.schema.fields()[index])).collect(),
            places: columns.iter().map(|&index| self.places[index]).collect(),
            chunks: self.chunks,
            metadata: self.metadata,
            intervals: self.intervals,
            batch_rows: self.batch_rows,
        };
        Ok(Box::new(RowGroups { plan: Arc::new(plan), next: 0, groups }))
    }
}

struct RowGroups {
    plan: Arc<Plan>,
    next: usize,
    groups: usize,
}

impl Pieces for RowGroups {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        if self.next == self.groups {
            return Ok(None);
        }
        let (plan, group) = (Arc::clone(&self.plan), self.next);
        self.next += 1;
        Ok(Some(Box::new(move |emit| plan.read(group, emit))))
    }
}

/// Which columns are read, and what they become.
struct Plan {
    name: String,
    chunks: Chunks,
    metadata: ArrowReaderMetadata,
    /// Indices in the file of columns of intervals.
    intervals: Vec<usize>,
    /// The columns of batches.
    fields: Fields,
    /// Index in the file of each of them.
    places: Vec<usize>,
    batch_rows: usize,
}

impl Plan {
    fn read(&self, group: usize, emit: Emit<'_>) -> Result<()> {
        let mut reader = guarded(&self.name, || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.chunks.clone(),
                self.metadata.clone(),
            );
            let mask = ProjectionMask::roots(builder.parquet_schema(), self.places.iter().copied());
            builder
                .with_batch_size(self.batch_rows)
                .with_projection(mask)
                .with_row_groups(vec![group])
                .build()
                .map_err(|e| malformed(&self.name, e))
        })?;
        loop {
            let batch = guarded(&self.name, || {
                let batch = reader.next().transpose().map_err(|e| malformed(&self.name, e))?;
                batch.map(|batch| self.arrange(&batch)).transpose()
            })?;
            match batch {
                Some(batch) => {
                    if !emit(batch) {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            }
        }
    }

    /// The reader gives each column once, in the order of the file.
    fn arrange(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut read = self.places.clone();
        read.sort_unstable();
        read.dedup();
        let arrays = self
            .places
            .iter()
            .zip(&self.fields)
            .map(|(place, field)| {
                let position = read.partition_point(|other| other < place);
                let array = match self.intervals.contains(place) {
                    true => &intervals::from_bytes(batch.column(position)),
                    false => batch.column(position),
                };
                convert(&self.name, array, field)
            })
            .collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(self.fields.clone()));
        RecordBatch::try_new_with_options(schema, arrays, &options)
            .map_err(|e| malformed(&self.name, e))
    }
}

/// A source as the Parquet crate reads it.
#[derive(Clone)]
struct Chunks(Arc<dyn Source>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Range>;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Self::T> {
        let range = Range { source: Arc::clone(&self.0), at: start };
        Ok(BufReader::with_capacity(128 << 10, range))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        // The length is what the file claims.
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.size()) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are beyond the end of the file"
            )));
        }
        Ok(self.0.read_at(start, length)?)
    }
}

/// A source from some position on.
struct Range {
    source: Arc<dyn Source>,
    at: u64,
}

impl Read for Range {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.source.size().saturating_sub(self.at);
        let len = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        out[..len].copy_from_slice(&self.source.read_at(self.at, len)?);
        self.at += len as u64;
        Ok(len)
    }
}
