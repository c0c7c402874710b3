//! CSV files of users.
//!
//! ```text
//!   Begin     the first bytes: dialect, header, types (sniff, layout)
//!   Chunker   one thread at a time: blocks of whole records
//!   Plan      any thread: a block into fields (records) into columns into batches
//! ```
//!
//! An unquoted field that equals a NULL text is NULL, and so is any empty one of a
//! column that is not text. Blanks around values that are not text are ignored.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::ordered::{Piece, Pieces};
use super::reader::{FileReader, Findings};
use super::{Compression, CsvOptions, ReadOptions, Source, io_error};
use crate::{Error, Result};

mod begin;
mod block;
mod chunker;
mod columns;
mod dialect;
mod faults;
mod layout;
mod lines;
mod records;
mod scan;
mod sniff;
#[cfg(test)]
mod tests;

use begin::Begin;
use block::Plan;
use chunker::{Chunker, RECORD_LEN_MAX};
use columns::Nulls;
use layout::{Further, Layout, Opening};
use sniff::Sniffed;

/// Length that blocks should have: some batches, in the cache of a processor.
const BLOCK_LEN: usize = 2 << 20;
/// Longest begin of a file that is read for the types of long records: it is in memory.
const TYPED_LEN_MAX: usize = 64 << 20;
/// Length of the parts of a file that types are guessed from besides its begin.
const PART_LEN: usize = 256 << 10;

pub(super) fn open(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    Ok(Box::new(Reader::open(source, options, BLOCK_LEN)?))
}

struct Reader {
    file: String,
    begin: Begin,
    layout: Layout,
    nulls: Nulls,
    preamble_lines: u64,
    options: ReadOptions,
    block_len: usize,
}

impl Reader {
    fn open(source: Arc<dyn Source>, options: &ReadOptions, block_len: usize) -> Result<Self> {
        let file = source.name().to_owned();
        let compression = options.compression.unwrap_or_else(|| Compression::of_name(&file));
        let mut begin = Begin::read(&*source, compression, options.csv.skip)?;
        let mut sniffed =
            sniff::dialect(&begin.sample, begin.whole, &options.csv, likely_delimiter(&file));
        sniffed.dialect.check()?;
        // Who says how many lines to skip has looked.
        if options.csv.skip > 0 {
            sniffed.preamble_lines = 0;
        }
        begin.skip_lines(sniffed.preamble_lines)?;
        // The first record tells the columns, however long it is, and the second one
        // their types; the third begins where the second ends.
        let records = |begin: &Begin, count: usize| {
            let survey = records::survey(&begin.sample, &sniffed.dialect, count);
            survey.records.len() + survey.defects
        };
        while !begin.whole
            && (begin.sample.len() <= RECORD_LEN_MAX && records(&begin, 2) < 2
                || begin.sample.len() <= TYPED_LEN_MAX && records(&begin, 3) < 3)
        {
            begin.grow()?;
        }
        let nulls = Nulls::new(options.csv.nulls.as_deref());
        let opening = Opening {
            file: &file,
            sample: &begin.sample,
            whole: begin.whole,
            line: begin.line,
            sniffed,
            nulls: &nulls,
            options,
        };
        let layout = opening.layout(further(&*source, &begin, options, sniffed)?)?;
        let preamble_lines = sniffed.preamble_lines;
        let options = options.clone();
        Ok(Self { file, begin, layout, nulls, preamble_lines, options, block_len })
    }
}

/// What types are to be guessed from besides the begin.
fn further(
    source: &dyn Source,
    begin: &Begin,
    options: &ReadOptions,
    sniffed: Sniffed,
) -> Result<Further> {
    if begin.whole || options.schema.is_some() {
        return Ok(Further::Parts(Vec::new()));
    }
    let compression = options.compression.unwrap_or_else(|| Compression::of_name(source.name()));
    if options.csv.sample_rows > CsvOptions::default().sample_rows {
        let mut again = Begin::read(source, compression, options.csv.skip)?;
        again.skip_lines(sniffed.preamble_lines)?;
        return Ok(Further::All(again.chunker(sniffed.dialect, BLOCK_LEN)));
    }
    // The middle and the end: files that are sorted begin with what is alike.
    let size = source.size();
    let places = match compression {
        Compression::None => vec![size / 2, size - PART_LEN as u64],
        _ => Vec::new(),
    };
    let parts = places.into_iter().map(|place| source.read_at(place, PART_LEN));
    let parts: io::Result<Vec<Bytes>> = parts.collect();
    Ok(Further::Parts(parts.map_err(io_error(source.name()))?))
}

fn likely_delimiter(file: &str) -> Option<u8> {
    let stem = Path::new(file).file_name()?.to_str()?.to_ascii_lowercase();
    stem.split('.').any(|part| part == "tsv").then_some(b'\t')
}

impl FileReader for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.layout.schema
    }

    fn findings(&self) -> Findings {
        let dialect = &self.layout.shape.dialect;
        let shown = |byte: u8| match byte {
            b'\t' => "\\t".to_owned(),
            byte => char::from(byte).to_string(),
        };
        let none = || "none".to_owned();
        let nulls = self.options.csv.nulls.clone().unwrap_or_else(|| vec![String::new()]);
        let nulls: Vec<String> = nulls.iter().map(|text| format!("'{text}'")).collect();
        let mut findings = vec![
            ("delimiter", shown(dialect.delimiter)),
            ("quote", dialect.quote.map_or_else(none, shown)),
            ("escape", dialect.escape.map_or_else(none, shown)),
            ("header", self.layout.header.to_string()),
            ("nulls", nulls.join(", ")),
            ("sampled rows", self.layout.sampled.to_string()),
        ];
        findings.extend(dialect.comment.map(|byte| ("comment", shown(byte))));
        let skipped = self.options.csv.skip + self.preamble_lines;
        findings.extend((skipped > 0).then(|| ("skipped lines", skipped.to_string())));
        findings
    }

    fn pieces(self: Box<Self>, columns: &[usize]) -> Result<Box<dyn Pieces>> {
        let layout = self.layout;
        let plan = Plan {
            file: self.file,
            shape: layout.shape,
            nulls: self.nulls,
            header: layout.header,
            given: layout.header || self.options.schema.is_some(),
            schema: Arc::new(layout.schema.project(columns)?),
            places: columns.iter().map(|&index| layout.places[index]).collect(),
            orders: columns.iter().map(|&index| layout.orders[index]).collect(),
            batch_rows: self.options.batch_rows,
            rejects: self.options.rejects.clone(),
        };
        let chunker = self.begin.chunker(layout.shape.dialect, self.block_len);
        Ok(Box::new(Blocks { plan: Arc::new(plan), chunker }))
    }
}

/// The blocks of a file.
struct Blocks {
    plan: Arc<Plan>,
    chunker: Chunker,
}

impl Pieces for Blocks {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(block) = self.chunker.next_block()? else { return Ok(None) };
        let plan = Arc::clone(&self.plan);
        Ok(Some(Box::new(move |emit| plan.read(block, emit))))
    }
}

fn malformed(
    file: &str,
    line: Option<u64>,
    column: Option<&str>,
    what: impl Into<String>,
) -> Error {
    let (file, column) = (file.to_owned(), column.map(str::to_owned));
    Error::Malformed { file, line, column, what: what.into() }
}
