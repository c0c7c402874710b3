//! Arrow IPC: the file and the stream, of Arrow's columnar format specification.
//!
//! ```text
//!   Source -- blocks of the footer --> file    a batch per piece, in any order
//!          -- messages ------------> stream  a batch per piece, one after the other
//!                                     Plan    decodes a batch on any thread
//! ```
//!
//! Lengths that a file claims are compared with its bytes before anything is
//! allocated for them. Decoding validates all offsets and text, and panics of Arrow's
//! reader, which trusts some more of the metadata than it should, are errors.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Fields, Schema, SchemaRef};

use super::columns::{by_name, convert, distinct, guarded, malformed};
use super::ordered::{Emit, Pieces};
use super::reader::{FileReader, Findings};
use super::source::decompressed;
use super::{Compression, ReadOptions, Source, io_error};
use crate::Result;

mod file;
mod message;
mod stored;
mod stream;

pub(super) use message::is_schema;
use message::{Dictionaries, Message};

/// What a file, as opposed to a stream, begins and ends with.
const MAGIC: &[u8; 6] = b"ARROW1";
/// The magic bytes and what aligns them.
const MAGIC_LEN: usize = 8;

/// Where the batches come from.
enum Origin {
    File(file::File),
    Stream(stream::Stream),
}

pub(super) fn open(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    let name = source.name().to_owned();
    let compression = options.compression.unwrap_or_else(|| Compression::of_name(&name));
    let bytes = source.stream().and_then(|stream| decompressed(stream, compression));
    let mut bytes = bytes.map_err(io_error(&name))?;
    let mut begin = Vec::new();
    bytes.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut begin).map_err(io_error(&name))?;
    let is_file = begin.starts_with(MAGIC);
    let (origin, found, layout) = match compression {
        Compression::None if is_file => {
            let (file, schema) = guarded(&name, || file::File::open(source))?;
            (Origin::File(file), schema, "an Arrow file")
        }
        _ => {
            // A file holds a stream between its magic bytes and its footer.
            let rest: Box<dyn Read + Send> = match is_file {
                true => bytes,
                false => Box::new(std::io::Cursor::new(begin).chain(bytes)),
            };
            let (stream, schema) = guarded(&name, || stream::Stream::open(&name, rest))?;
            (Origin::Stream(stream), schema, "an Arrow stream")
        }
    };
    let named = distinct(&found);
    let (schema, places) = match &options.schema {
        None => {
            let fields = stored::stored_fields(named.fields());
            let places = (0..fields.len()).collect();
            (Arc::new(Schema::new(fields)), places)
        }
        Some(schema) => (Arc::clone(schema), by_name(&name, &named, schema)?),
    };
    let mut findings: Findings = vec![("layout", layout.to_owned())];
    if let Origin::File(file) = &origin {
        findings.push(("batches", file.batches().to_string()));
    }
    let batch_rows = options.batch_rows;
    Ok(Box::new(Reader { name, origin, found, schema, places, findings, batch_rows }))
}

struct Reader {
    name: String,
    origin: Origin,
    /// The columns as the file has them.
    found: SchemaRef,
    schema: SchemaRef,
    /// Index in the file of each column of the schema.
    places: Vec<usize>,
    findings: Findings,
    batch_rows: usize,
}

impl FileReader for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn findings(&self) -> Findings {
        self.findings.clone()
    }

    fn pieces(self: Box<Self>, columns: &[usize]) -> Result<Box<dyn Pieces>> {
        let places: Vec<usize> = columns.iter().map(|&index| self.places[index]).collect();
        let mut read = places.clone();
        read.sort_unstable();
        read.dedup();
        let plan = Arc::new(Plan {
            name: self.name,
            found: self.found,
            fields: columns.iter().map(|&index| Arc::clone(&self.schema.fields()[index])).collect(),
            places: places.iter().map(|place| read.partition_point(|r| r < place)).collect(),
            read,
            batch_rows: self.batch_rows,
        });
        match self.origin {
            Origin::File(file) => file.pieces(plan),
            Origin::Stream(stream) => Ok(stream.pieces(plan)),
        }
    }
}

/// Which columns are read, and what they become.
struct Plan {
    name: String,
    found: SchemaRef,
    /// The columns of batches.
    fields: Fields,
    /// Place of each of them among those that are read.
    places: Vec<usize>,
    /// Indices in the file of those that are read, ascending.
    read: Vec<usize>,
    batch_rows: usize,
}

impl Plan {
    fn emit(&self, message: &Message, known: &Dictionaries, emit: Emit<'_>) -> Result<()> {
        let batch = guarded(&self.name, || {
            let batch = message.batch(&self.found, known, &self.read);
            batch.map_err(|what| malformed(&self.name, what))
        })?;
        for start in (0..batch.num_rows()).step_by(self.batch_rows) {
            let len = self.batch_rows.min(batch.num_rows() - start);
            let part = guarded(&self.name, || self.arrange(&batch.slice(start, len)))?;
            if !emit(part) {
                break;
            }
        }
        Ok(())
    }

    fn arrange(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let arrays = self.places.iter().zip(&self.fields);
        let arrays = arrays.map(|(&place, field)| {
            let array = stored::valued(batch.column(place), field.data_type())
                .map_err(|e| malformed(&self.name, e))?;
            convert(&self.name, &array, field)
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(self.fields.clone()));
        RecordBatch::try_new_with_options(schema, arrays.collect::<Result<_>>()?, &options)
            .map_err(|e| malformed(&self.name, e))
    }
}
