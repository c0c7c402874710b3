//! Results on their way out: one sink per format, one [`ResultSink`] per result.

mod arrow_stream;
mod boxed;
mod cell;
mod csv;
mod elide;
mod json;

use std::io::Write;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub use elide::grouped;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table drawn with lines, for people
    #[default]
    Box,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object per line
    Json,
    /// An Arrow IPC stream
    Arrow,
}

impl Format {
    /// Starts writing one result with the columns of `schema`.
    pub fn begin<'a>(
        self,
        schema: &SchemaRef,
        view: &View,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn ResultSink + 'a>, ArrowError> {
        Ok(match self {
            Self::Box => Box::new(boxed::BoxSink::new(schema.clone(), view.clone(), out)),
            Self::Csv => Box::new(csv::CsvSink::new(schema, out)?),
            Self::Json => Box::new(json::JsonSink::new(out)),
            Self::Arrow => Box::new(arrow_stream::ArrowSink::new(schema, out)?),
        })
    }
}

/// What a person's terminal looks like, and what they asked to see.
#[derive(Clone, Debug)]
pub struct View {
    /// Use colours.
    pub color: bool,
    /// Columns of the terminal; `None` where lines may be of any length.
    pub width: Option<usize>,
    /// Rows of a box, 0 for all.
    pub max_rows: usize,
    /// Say how long it took.
    pub timer: bool,
}

/// Writes one result.
pub trait ResultSink {
    /// Takes the next rows.
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError>;
    /// Writes whatever is left; `elapsed` since the statement was started.
    fn finish(self: Box<Self>, elapsed: Duration) -> Result<(), ArrowError>;
}
