//! Parquet: each row group is encoded and compressed by one thread, several at a time.

use std::sync::Arc;

use ::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::writer::SerializedFileWriter;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::gather::Gather;
use super::in_order::{InOrder, Sink};
use super::target::Target;
use super::{Encoder, WriteOptions, columns};
use crate::external::Compression;
use crate::plain::cast_rows;
use crate::{Error, Result};

mod properties;
mod schema;

use properties::properties;

/// Bytes in memory of a row group, whatever its rows: several are there at a time.
const ROW_GROUP_BYTES_MAX: usize = 128 << 20;

/// Writes a Parquet file.
pub(super) struct ParquetFile {
    schema: SchemaRef,
    options: WriteOptions,
    gather: Gather,
    /// Until the first row group tells what its columns are like.
    target: Option<Box<dyn Target>>,
    writing: Option<Writing>,
}

/// What there is from the first row group on.
struct Writing {
    factory: Arc<ArrowRowGroupWriterFactory>,
    line: InOrder<RowGroups>,
    row_groups: usize,
}

impl ParquetFile {
    pub(super) fn new(
        schema: &SchemaRef,
        target: Box<dyn Target>,
        options: &WriteOptions,
    ) -> Result<Self> {
        let name = target.name();
        if Compression::of_name(name) != Compression::None {
            return Err(Error::Invalid(format!(
                "{name}: Parquet is compressed inside: leave the ending of the compression off"
            )));
        }
        schema::check(schema)?;
        Ok(Self {
            schema: columns::viewed(schema),
            options: options.clone(),
            gather: Gather::new(options.row_group_rows, ROW_GROUP_BYTES_MAX),
            target: Some(target),
            writing: None,
        })
    }

    /// Starts the file, with properties that suit `first`.
    fn start(&mut self, first: &[RecordBatch]) -> Result<Writing> {
        let Some(target) = self.target.take() else {
            return Err(Error::Invalid("the file was given up after an error".to_owned()));
        };
        let name = target.name().to_owned();
        let properties = Arc::new(properties(&self.schema, first, &self.options)?);
        let root = schema::root(&self.schema).map_err(|error| told(&name, error))?;
        let writer = SerializedFileWriter::new(target, root, properties)
            .map_err(|error| told(&name, error))?;
        Ok(Writing {
            factory: Arc::new(ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&self.schema))),
            line: InOrder::start(self.options.threads, RowGroups { writer, name })?,
            row_groups: 0,
        })
    }

    fn row_group(&mut self, batches: Vec<RecordBatch>) -> Result<()> {
        let mut writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.start(&batches)?,
        };
        let (factory, number) = (Arc::clone(&writing.factory), writing.row_groups);
        let schema = Arc::clone(&self.schema);
        writing.row_groups += 1;
        let pushed = writing.line.push(move || {
            encode(&factory, number, &schema, &batches).map_err(|error| told("Parquet", error))
        });
        self.writing = Some(writing);
        pushed
    }
}

fn encode(
    factory: &ArrowRowGroupWriterFactory,
    number: usize,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut writers = factory.create_column_writers(number)?.into_iter();
    let mut chunks = Vec::with_capacity(writers.len());
    for (index, field) in schema.fields().iter().enumerate() {
        // A nested column has several leaves; how many, its first batch tells.
        let mut leaves = Vec::new();
        for batch in batches {
            for (leaf, levels) in compute_leaves(field, batch.column(index))?.iter().enumerate() {
                if leaf == leaves.len() {
                    leaves.extend(writers.next());
                }
                leaves[leaf].write(levels)?;
            }
        }
        for writer in leaves {
            chunks.push(writer.close()?);
        }
    }
    Ok(chunks)
}

impl Encoder for ParquetFile {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let mut full = Vec::new();
        for rows in cast_rows(&batch, &self.schema)? {
            self.gather.push(rows, |group| {
                full.push(group);
                Ok::<_, Error>(())
            })?;
        }
        full.into_iter().try_for_each(|group| self.row_group(group))
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Target>> {
        let rest = self.gather.take();
        if !rest.is_empty() {
            self.row_group(rest)?;
        }
        let writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.start(&[])?,
        };
        let RowGroups { writer, name } = writing.line.finish()?;
        writer.into_inner().map_err(|error| told(&name, error))
    }
}

/// Appends encoded row groups to the file.
struct RowGroups {
    writer: SerializedFileWriter<Box<dyn Target>>,
    name: String,
}

impl Sink for RowGroups {
    type Item = Vec<ArrowColumnChunk>;

    fn put(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<()> {
        let append = |writer: &mut SerializedFileWriter<Box<dyn Target>>| {
            let mut group = writer.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close().map(drop)
        };
        append(&mut self.writer).map_err(|error| told(&self.name, error))
    }
}

fn told(name: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => Error::Io { file: name.to_owned(), source: *source },
            Err(other) => Error::Invalid(format!("{name}: {other}")),
        },
        other => Error::Invalid(format!("{name}: {other}")),
    }
}
