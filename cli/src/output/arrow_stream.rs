//! Arrow: each result is one IPC stream.

use std::io::Write;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::ResultSink;

/// Writes one result as an IPC stream.
pub struct ArrowSink<'a> {
    writer: StreamWriter<&'a mut dyn Write>,
}

impl<'a> ArrowSink<'a> {
    /// Writes the schema.
    pub fn new(schema: &SchemaRef, out: &'a mut dyn Write) -> Result<Self, ArrowError> {
        Ok(Self { writer: StreamWriter::try_new(out, schema)? })
    }
}

impl ResultSink for ArrowSink<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.writer.write(batch)
    }

    fn finish(mut self: Box<Self>, _elapsed: Duration) -> Result<(), ArrowError> {
        self.writer.finish()?;
        self.writer.flush()
    }
}
