//! Segments: immutable columnar files, one encoding behind one trait.
//!
//! Row *ordinals* (0-based positions in the segment) are the common language of
//! key indexes, delete vectors and vector indexes, so an encoding must keep the
//! order in which rows were written.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::envelope;
use crate::predicate::Predicate;
use crate::statistics::SegmentStatistics;
use crate::{Error, Result};

mod blank;
mod footer;
mod parquet;
mod selection;
mod storage;
mod vortex;

/// How a segment's columns are encoded; chosen per table when it is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Vortex: adaptive cascading encodings, fast random access.
    #[default]
    Vortex,
    /// Parquet with zstd: for tables other tools must read in place.
    Parquet,
}

impl Encoding {
    /// The name, as in `WITH (encoding = ...)` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vortex => "vortex",
            Self::Parquet => "parquet",
        }
    }
}

/// What a scan of one segment should return.
#[derive(Clone, Debug, Default)]
pub struct ScanRequest {
    /// Indices into the segment's schema, in output order. Empty means that only
    /// row counts are wanted: batches have no columns but a row count.
    pub projection: Vec<usize>,
    /// Keep only rows for which this is true; column indices are the segment's.
    pub predicate: Option<Predicate>,
    /// Ordinals that are not to be returned (a delete vector at a snapshot).
    pub excluded: Option<Arc<RoaringBitmap>>,
    /// Only ordinals in this range.
    pub rows: Option<Range<u64>>,
    /// Stop after this many rows have passed everything above.
    pub limit: Option<u64>,
    /// Return rows in ordinal order; without it, in whatever order is fastest.
    pub ordered: bool,
}

/// Record batches as they are decoded.
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// How much work goes into making a segment small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// For rows that will be written again soon: what is cheap to encode.
    Quick,
    /// Whatever makes it small without making it slow to read.
    #[default]
    Thorough,
}

/// An encoding: writes segments and opens them again.
pub trait SegmentFormat: Send + Sync {
    /// Fails when a column of `schema` cannot be stored.
    fn check_schema(&self, schema: &SchemaRef) -> Result<()>;

    /// Writes all `batches`, in order, as one segment: payload, statistics and
    /// checksums. Returns the statistics that were stored.
    fn write(
        &self,
        schema: &SchemaRef,
        batches: &mut dyn Iterator<Item = Result<RecordBatch>>,
        effort: Effort,
        out: envelope::Writer<Box<dyn Write + Send>>,
    ) -> Result<SegmentStatistics>;

    /// Opens a segment whose rows have exactly the Arrow types of `schema`.
    fn open(&self, schema: SchemaRef, file: envelope::Reader) -> Result<Arc<dyn SegmentReader>>;
}

/// An open segment.
pub trait SegmentReader: Send + Sync {
    /// The columns, with the exact types they were written with.
    fn schema(&self) -> &SchemaRef;

    /// Number of rows, deleted ones included.
    fn rows(&self) -> u64;

    /// Statistics over all rows, deleted ones included.
    fn statistics(&self) -> &Arc<SegmentStatistics>;

    /// Decodes the rows that `request` asks for. Decoding happens on whichever
    /// executor polls the stream; on none, use [`collect`].
    fn scan(&self, request: ScanRequest) -> Result<BatchStream>;

    /// Rows at `ordinals`, which must be strictly increasing, with the columns of
    /// `projection` in that order.
    fn take(&self, ordinals: &[u64], projection: &[usize]) -> Result<RecordBatch>;

    /// Reads and checks every byte; returns the number of bytes checked.
    fn verify(&self) -> Result<u64>;
}

/// The implementation of `encoding`.
pub fn format(encoding: Encoding) -> &'static dyn SegmentFormat {
    match encoding {
        Encoding::Vortex => &vortex::VortexFormat,
        Encoding::Parquet => &parquet::ParquetFormat,
    }
}

/// Drains a scan from a thread that may block, also one that belongs to an async
/// runtime: the work is done on this thread and the shared decoding threads, never
/// on the runtime that is being blocked.
pub fn collect(stream: BatchStream) -> Result<Vec<RecordBatch>> {
    vortex::block_on(futures::TryStreamExt::try_collect(stream))
}

impl std::str::FromStr for Encoding {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "vortex" => Ok(Self::Vortex),
            "parquet" => Ok(Self::Parquet),
            other => Err(Error::Invalid(format!(
                "unknown segment format '{other}': use 'vortex' or 'parquet'"
            ))),
        }
    }
}
