//! CSV: fields in quotes where they would be read as something else.

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::SchemaRef;

use super::WriteOptions;
use super::json::Values;
use super::text::{Cell, Put, cell, plain};
use super::text_file::Rows;
use crate::external::Compression;
use crate::{Error, Result};

/// Batches as records.
#[derive(Debug)]
pub(super) struct Csv {
    delimiter: u8,
    quote: u8,
    null: Vec<u8>,
    /// Numbers and dates can be written without a look at them: they contain neither
    /// delimiter nor quote, and are not the NULL text.
    plain_is_safe: bool,
    /// The record of names, unless there is none.
    header: Vec<u8>,
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef, name: &str, options: &WriteOptions) -> Result<Self> {
        let (stem, _) = Compression::split(name);
        let by_name = if stem.to_ascii_lowercase().ends_with(".tsv") { b'\t' } else { b',' };
        let delimiter = options.delimiter.unwrap_or(by_name);
        let (quote, null) = (options.quote, options.null.as_bytes());
        let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
        if delimiter == quote || [delimiter, quote].iter().any(|byte| b"\r\n".contains(byte)) {
            return invalid("the delimiter must differ from quote and line ends");
        }
        if null.iter().any(|byte| [delimiter, quote, b'\r', b'\n'].contains(byte)) {
            return invalid("the NULL text must not contain delimiters, quotes or line ends");
        }
        let mut csv = Self {
            delimiter,
            quote,
            null: null.to_vec(),
            plain_is_safe: b",;|\t".contains(&delimiter)
                && b"\"'".contains(&quote)
                && null.is_empty(),
            header: Vec::new(),
        };
        if options.header {
            let mut header = Vec::new();
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    header.push(delimiter);
                }
                csv.field(field.name().as_bytes(), &mut header);
            }
            header.push(b'\n');
            csv.header = header;
        }
        Ok(csv)
    }

    /// A field that is not NULL.
    fn field(&self, text: &[u8], out: &mut Vec<u8>) {
        if !self.needs_quotes(text) {
            return out.extend_from_slice(text);
        }
        out.push(self.quote);
        for part in text.split_inclusive(|byte| *byte == self.quote) {
            out.extend_from_slice(part);
            if part.last() == Some(&self.quote) {
                out.push(self.quote);
            }
        }
        out.push(self.quote);
    }

    fn needs_quotes(&self, text: &[u8]) -> bool {
        let (delimiter, quote) = (self.delimiter, self.quote);
        // Without a way out in the middle this is a few vector instructions.
        let special = text.iter().fold(false, |found, &byte| {
            found | (byte == delimiter) | (byte == quote) | (byte == b'\n') | (byte == b'\r')
        });
        // Readers take a line that begins so for a comment, and an empty one for none.
        special || text == self.null || matches!(text.first(), None | Some(b'#'))
    }

    fn put<'a>(&'a self, cell: Cell<'a>, json: Option<Put<'a>>) -> Put<'a> {
        match cell {
            Cell::Plain(put) | Cell::Float(put) | Cell::Word(put) if self.plain_is_safe => put,
            Cell::Plain(put) | Cell::Float(put) | Cell::Word(put) | Cell::Made(put) => {
                self.made(put)
            }
            Cell::Text(text) => Box::new(move |row, out| self.field(text(row).as_bytes(), out)),
            Cell::Nested => json.map_or_else(|| self.made(Box::new(|_, _| {})), |j| self.made(j)),
        }
    }

    fn made<'a>(&'a self, put: Put<'a>) -> Put<'a> {
        Box::new(move |row, out| {
            let start = out.len();
            put(row, out);
            if self.needs_quotes(&out[start..]) {
                let text = out.split_off(start);
                self.field(&text, out);
            }
        })
    }
}

impl Rows for Csv {
    fn begin(&self) -> Vec<u8> {
        self.header.clone()
    }

    fn write(&self, batch: &RecordBatch, _: bool, out: &mut Vec<u8>) -> Result<()> {
        let arrays = batch.columns().iter().map(plain).collect::<Result<Vec<_>>>()?;
        let nested = arrays
            .iter()
            .map(|array| array.data_type().is_nested().then(|| Values::new(array)).transpose())
            .collect::<Result<Vec<_>>>()?;
        let columns = arrays
            .iter()
            .zip(&nested)
            .map(|(array, nested)| {
                let json = nested.as_ref().map(Values::put).transpose()?;
                Ok((array.logical_nulls(), self.put(cell(array)?, json)))
            })
            .collect::<Result<Vec<(Option<NullBuffer>, Put<'_>)>>>()?;
        for row in 0..batch.num_rows() {
            for (index, (nulls, put)) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                match nulls {
                    Some(nulls) if nulls.is_null(row) => out.extend_from_slice(&self.null),
                    _ => put(row, out),
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn end(&self) -> Vec<u8> {
        Vec::new()
    }
}
