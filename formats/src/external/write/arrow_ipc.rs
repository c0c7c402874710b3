//! Arrow IPC, the file and the stream. There is nothing to encode, so it is written by
//! the thread that brings the batches.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use flate2::write::GzEncoder;

use super::target::Target;
use super::{Encoder, WriteOptions};
use crate::external::{Compression, io_error};
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
        let fields: Vec<FieldRef> = schema.fields().iter().map(without_views).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
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
        let arrays = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(array, field)| match array.data_type() == field.data_type() {
                true => Ok(Arc::clone(array)),
                false => cast(array, field.data_type()),
            })
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &rows)?;
        match &mut self.layout {
            Layout::File(writer) => writer.write(&batch)?,
            Layout::Stream(writer) => writer.write(&batch)?,
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

/// Views are young, and a view of a few values brings along all bytes of its buffers.
pub(super) fn without_views(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(without_views(item)),
        DataType::LargeList(item) => DataType::LargeList(without_views(item)),
        DataType::ListView(item) => DataType::List(without_views(item)),
        DataType::LargeListView(item) => DataType::LargeList(without_views(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(without_views(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(without_views).collect()),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}
