//! CSV files of users.
//!
//! The `csv` crate cuts records into fields; here they become columns. A batch of
//! fields is gathered as text per column and cast at once; only when that fails is
//! the first bad row looked for, so good files pay nothing for good messages. Empty
//! lines are skipped; a field that equals the NULL text is NULL, quoted or not;
//! blanks around values that are not text are ignored.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, SchemaRef};
use csv::ByteRecord;

use super::ordered::{Piece, Pieces};
use super::reader::FileReader;
use super::{ReadOptions, Source, io_error, sniff};
use crate::{Error, Result};

mod budget;
mod layout;
mod lines;

use budget::Budgeted;
use layout::Layout;
use lines::{line_ends, line_of};

/// Bytes that dialect and types are guessed from.
const SAMPLE_LEN: u64 = 4 << 20;
/// Text gathered before a batch ends early.
const BATCH_LEN_MAX: usize = 64 << 20;

pub(super) fn open(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    let path = Path::new(source.name());
    let name = source.name().to_owned();
    let io_error = io_error(source.name());
    let mut file = File::open(path).map_err(&io_error)?;
    let mut sample = Vec::new();
    (&mut file).take(SAMPLE_LEN).read_to_end(&mut sample).map_err(&io_error)?;
    let refuse = |what: &str| malformed(&name, None, None, what);
    if sample.starts_with(&[0xff, 0xfe]) || sample.starts_with(&[0xfe, 0xff]) {
        return Err(refuse("the file is UTF-16: convert it to UTF-8"));
    }
    let mark_len = if sample.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    sample.drain(..mark_len);
    let whole = (sample.len() as u64) < SAMPLE_LEN - mark_len as u64;

    let quote = options.csv.quote.unwrap_or(b'"');
    let is_tsv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tsv"));
    let delimiter = match options.csv.delimiter {
        Some(delimiter) => delimiter,
        None if is_tsv => b'\t',
        None => sniff::delimiter(&sample, quote),
    };
    if delimiter == quote || matches!(delimiter, b'\r' | b'\n') {
        return Err(Error::Invalid(
            "the delimiter must differ from quote and line ends".to_owned(),
        ));
    }
    let null = options.csv.nulls.clone().unwrap_or_default().into_iter().next().unwrap_or_default();
    let layout = Layout::find(&name, &sample, whole, delimiter, quote, &null, options)?;

    let budget = Arc::new(AtomicU64::new(0));
    let input = Budgeted {
        input: BufReader::with_capacity(256 * 1024, Cursor::new(sample).chain(file)),
        used: budget.clone(),
    };
    Ok(Box::new(Reader {
        path: path.to_owned(),
        name,
        mark_len: mark_len as u64,
        records: sniff::records(input, delimiter, quote),
        budget,
        skip_header: layout.header,
        width: layout.width,
        columns: layout.columns,
        schema: layout.schema,
        null,
        batch_rows: options.batch_rows,
        done: false,
    }))
}

impl FileReader for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn pieces(self: Box<Self>, columns: &[usize]) -> Result<Box<dyn Pieces>> {
        Ok(Box::new(Whole(Some((*self, columns.to_vec())))))
    }
}

/// The whole file as one piece.
struct Whole(Option<(Reader, Vec<usize>)>);

impl Pieces for Whole {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some((mut reader, columns)) = self.0.take() else { return Ok(None) };
        Ok(Some(Box::new(move |emit| {
            while let Some(batch) = reader.next_batch()? {
                if !emit(batch.project(&columns)?) {
                    break;
                }
            }
            Ok(())
        })))
    }
}

struct Reader {
    path: PathBuf,
    name: String,
    /// Length of the byte-order mark that the records do not see.
    mark_len: u64,
    records: csv::Reader<Budgeted>,
    budget: Arc<AtomicU64>,
    skip_header: bool,
    width: usize,
    columns: Vec<usize>,
    schema: SchemaRef,
    null: String,
    batch_rows: usize,
    done: bool,
}

/// The fields of a column, as text.
enum Texts {
    /// Stays text.
    View(StringViewBuilder),
    /// Is cast when the batch is full.
    Plain(StringBuilder),
}

impl Texts {
    fn append(&mut self, value: Option<&str>) {
        match self {
            Self::View(builder) => builder.append_option(value),
            Self::Plain(builder) => builder.append_option(value.map(str::trim)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::View(builder) => Arc::new(builder.finish()),
            Self::Plain(builder) => Arc::new(builder.finish()),
        }
    }
}

impl Reader {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        let batch = self.read_batch();
        self.done = !matches!(batch, Ok(Some(_)));
        batch
    }

    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut texts: Vec<Texts> = self
            .schema
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::Utf8View => Texts::View(StringViewBuilder::new()),
                _ => Texts::Plain(StringBuilder::new()),
            })
            .collect();
        let mut starts: Vec<u64> = Vec::new();
        let mut len = 0;
        let mut record = ByteRecord::new();
        while starts.len() < self.batch_rows && len < BATCH_LEN_MAX {
            self.budget.store(0, Ordering::Relaxed);
            let start = self.records.position().byte();
            let more =
                self.records.read_byte_record(&mut record).map_err(|e| self.read_error(e))?;
            if !more {
                break;
            }
            if record.len() != self.width {
                return Err(self.malformed(
                    start,
                    0,
                    None,
                    format!(
                        "the record has {} fields where {} are expected{}",
                        record.len(),
                        self.width,
                        if self.skip_header { "" } else { ", as in the first record" }
                    ),
                ));
            }
            if std::mem::take(&mut self.skip_header) {
                continue;
            }
            self.append(&record, start, &mut texts)?;
            starts.push(start);
            len += record.as_slice().len();
        }
        if starts.is_empty() {
            return Ok(None);
        }
        let texts: Vec<ArrayRef> = texts.iter_mut().map(Texts::finish).collect();
        self.convert(&texts, &starts).map(Some)
    }

    fn append(&self, record: &ByteRecord, start: u64, texts: &mut [Texts]) -> Result<()> {
        for ((column, &place), field) in
            texts.iter_mut().zip(&self.columns).zip(self.schema.fields())
        {
            let bytes = &record[place];
            if bytes == self.null.as_bytes() {
                column.append(None);
                continue;
            }
            match std::str::from_utf8(bytes) {
                Ok(text) => column.append(Some(text)),
                Err(_) => {
                    let lines = record.iter().take(place).map(line_ends).sum();
                    return Err(self.malformed(start, lines, Some(field), not_text(bytes)));
                }
            }
        }
        Ok(())
    }

    fn convert(&self, texts: &[ArrayRef], starts: &[u64]) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(texts.len());
        for (index, (text, field)) in texts.iter().zip(self.schema.fields()).enumerate() {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let array = match text.data_type() == field.data_type() {
                true => text.clone(),
                false => cast_with_options(text, field.data_type(), &strict)
                    .map_err(|e| self.cast_error(texts, starts, index, &e.to_string()))?,
            };
            if !field.is_nullable() && array.null_count() > 0 {
                let row = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or(0);
                let lines = lines_before(texts, &self.columns, index, row);
                let what = "the field is empty or NULL and the column must have a value";
                return Err(self.malformed(starts[row], lines, Some(field), what));
            }
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(starts.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }

    /// Looks for the first value of column `index` that does not parse.
    fn cast_error(&self, texts: &[ArrayRef], starts: &[u64], index: usize, why: &str) -> Error {
        let field = self.schema.field(index);
        let text = &texts[index];
        let lenient = CastOptions { safe: true, ..CastOptions::default() };
        let parsed = cast_with_options(text, field.data_type(), &lenient).ok();
        let bad = parsed.and_then(|parsed| {
            (0..text.len()).find(|&row| text.is_valid(row) && parsed.is_null(row))
        });
        let Some(row) = bad else {
            return malformed(&self.name, None, Some(field.name()), why);
        };
        let lines = lines_before(texts, &self.columns, index, row);
        let what = format!(
            "'{}' is not a value of type {}; give the column another type to read it",
            shown(value(text, row)),
            field.data_type()
        );
        self.malformed(starts[row], lines, Some(field), what)
    }

    /// An error in the record at byte `start`, `lines` line ends after its begin.
    fn malformed(
        &self,
        start: u64,
        lines: u64,
        field: Option<&Field>,
        what: impl Into<String>,
    ) -> Error {
        let line = line_of(&self.path, self.mark_len + start)
            .unwrap_or_else(|_| self.records.position().line());
        let column = field.map(|field| field.name().as_str());
        malformed(&self.name, Some(line + lines), column, what)
    }

    fn read_error(&self, error: csv::Error) -> Error {
        match error.into_kind() {
            csv::ErrorKind::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                let start = self.records.position().byte();
                let mut error = self.malformed(start, 0, None, source.to_string());
                // The position is where reading stopped, which may be far from the
                // record's begin.
                if let Error::Malformed { line, .. } = &mut error {
                    *line = None;
                }
                error
            }
            csv::ErrorKind::Io(source) => Error::Io { file: self.name.clone(), source },
            kind => {
                malformed(&self.name, None, None, format!("the record does not parse: {kind:?}"))
            }
        }
    }
}

/// Line ends in the fields of `row` that come before column `index` in its record.
fn lines_before(texts: &[ArrayRef], places: &[usize], index: usize, row: usize) -> u64 {
    texts
        .iter()
        .zip(places)
        .filter(|(text, place)| **place < places[index] && text.is_valid(row))
        .map(|(text, _)| line_ends(value(text, row).as_bytes()))
        .sum()
}

fn value(text: &ArrayRef, row: usize) -> &str {
    match text.as_string_view_opt() {
        Some(view) => view.value(row),
        None => text.as_string::<i32>().value(row),
    }
}

/// A value short enough for a message.
fn shown(value: &str) -> String {
    const SHOWN: usize = 80;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

fn not_text(bytes: &[u8]) -> String {
    format!("'{}' is not UTF-8: convert the file", shown(&String::from_utf8_lossy(bytes)))
}

fn malformed(
    file: &str,
    line: Option<u64>,
    column: Option<&str>,
    what: impl Into<String>,
) -> Error {
    Error::Malformed {
        file: file.to_owned(),
        line,
        column: column.map(str::to_owned),
        what: what.into(),
    }
}
