//! JSON: one object per row and line, NULL written out.

use std::io::Write;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{LineDelimited, Writer};

use super::ResultSink;

/// Writes one result as lines of JSON.
pub struct JsonSink<'a> {
    writer: Writer<&'a mut dyn Write, LineDelimited>,
}

impl<'a> JsonSink<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { writer: WriterBuilder::new().with_explicit_nulls(true).build(out) }
    }
}

impl ResultSink for JsonSink<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.writer.write(batch)
    }

    fn finish(mut self: Box<Self>, _elapsed: Duration) -> Result<(), ArrowError> {
        self.writer.finish()?;
        Ok(self.writer.into_inner().flush()?)
    }
}
