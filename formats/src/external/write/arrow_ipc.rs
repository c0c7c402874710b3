//! Arrow IPC, the file and the stream. There is nothing to encode, so it is written by
//! the thread that brings the batches.

use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use flate2::write::GzEncoder;

use super::target::Target;
use super::{Encoder, WriteOptions, columns};
use crate::external::{Compression, io_error};
use crate::plain::cast_rows;
use crate::{Error, Result};

const BUFFER_BYTES: usize = 1 << 20;

/// Writes an Arrow file or stream.
pub(super) struct ArrowFile {
    schema: SchemaRef,
    name: String,
    layout: Layout,
}

enum Layout {
    File(FileWriter<Output>),
    Stream(StreamWriter<Output>),
}

enum Output {
    Plain(BufWriter<Box<dyn Target>>),
    Gzip(GzEncoder<BufWriter<Box<dyn Target>>>),
    Zstd(zstd::Encoder<'static, BufWriter<Box<dyn Target>>>),
}

impl ArrowFile {
    pub(super) fn new(
        schema: &SchemaRef,
        target: Box<dyn Target>,
        options: &WriteOptions,
    ) -> Result<Self> {
        let name = target.name().to_owned();
        let compression = options.compression(&name)?;
        let is_stream =
            compression != Compression::None || name.to_lowercase().ends_with(".arrows");
        let schema = columns::plain(schema);
        let output = BufWriter::with_capacity(BUFFER_BYTES, target);
        let output = match compression {
            Compression::None => Output::Plain(output),
            Compression::Gzip => {
                Output::Gzip(GzEncoder::new(output, flate2::Compression::default()))
            }
            Compression::Zstd => {
                Output::Zstd(zstd::Encoder::new(output, 0).map_err(io_error(&name))?)
            }
        };
        let layout = match is_stream {
            true => Layout::Stream(StreamWriter::try_new(output, &schema)?),
            false => Layout::File(FileWriter::try_new(output, &schema)?),
        };
        Ok(Self { schema, name, layout })
    }
}

impl Encoder for ArrowFile {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        for rows in cast_rows(&batch, &self.schema)? {
            match &mut self.layout {
                Layout::File(writer) => writer.write(&rows)?,
                Layout::Stream(writer) => writer.write(&rows)?,
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Target>> {
        let Self { name, layout, schema: _ } = *self;
        let output = match layout {
            Layout::File(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            Layout::Stream(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
        };
        let output = match output {
            Output::Plain(output) => Ok(output),
            Output::Gzip(encoder) => encoder.finish(),
            Output::Zstd(encoder) => encoder.finish(),
        };
        output
            .and_then(|output| output.into_inner().map_err(|error| error.into_error()))
            .map_err(|source| Error::Io { file: name, source })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(output) => output.write(bytes),
            Self::Zstd(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Gzip(output) => output.flush(),
            Self::Zstd(output) => output.flush(),
        }
    }
}
