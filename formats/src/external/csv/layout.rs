//! Which columns the records of a file have, from its begin or from the caller.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use bytes::Bytes;

use super::chunker::Chunker;
use super::columns::{self, Nulls};
use super::records::{self, Records, Shape, unescape};
use super::sniff::{self, Sniffed};
use super::{faults, malformed};
use crate::Result;
use crate::external::ReadOptions;
use crate::external::infer::ColumnGuess;
use crate::external::parse::DateOrder;

/// What is known of the records before they are read.
pub(super) struct Layout {
    pub(super) header: bool,
    pub(super) shape: Shape,
    pub(super) schema: SchemaRef,
    /// Field of a record that each column comes from.
    pub(super) places: Vec<usize>,
    /// How each column writes dates.
    pub(super) orders: Vec<DateOrder>,
    /// Records that types were guessed from.
    pub(super) sampled: usize,
}

/// What types are guessed from besides the begin of a file.
pub(super) enum Further {
    /// All of it from the begin, until enough records were seen.
    All(Chunker),
    /// Some bytes of it from wherever.
    Parts(Vec<Bytes>),
}

/// The begin of a file and how to read it.
pub(super) struct Opening<'a> {
    pub(super) file: &'a str,
    pub(super) sample: &'a [u8],
    /// Nothing follows the sample.
    pub(super) whole: bool,
    /// The line that the sample begins with.
    pub(super) line: u64,
    pub(super) sniffed: Sniffed,
    pub(super) nulls: &'a Nulls,
    pub(super) options: &'a ReadOptions,
}

impl Opening<'_> {
    /// Types are guessed from `further` text, too.
    pub(super) fn layout(&self, further: Further) -> Result<Layout> {
        let Some(width) = self.width() else { return self.empty() };
        let shape = self.shape(width);
        let mut records = Records::default();
        let (at, _) = records.cut(self.sample, 0, 1, &shape);
        if records.len() == 0 {
            // Reading says what is wrong with it.
            return self.of_schema_or_text(shape);
        }
        let texts: Vec<String> =
            (0..width).map(|place| self.text(&records, place)).collect::<Result<_>>()?;
        let first: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut guesses = Guesses::new(width, self.nulls);
        let needed = self.options.schema.as_ref().is_none_or(|schema| {
            self.options.csv.names.is_some()
                || schema.fields().is_empty()
                || schema.fields().iter().any(|field| is_dated(field.data_type()))
        });
        if needed {
            self.guess(&mut guesses, further, at, &shape)?;
        }
        let header = self.header(&first, &guesses);
        if !header {
            guesses.see_first(&first);
        }
        let names = self.names(header, &first)?;
        match &self.options.schema {
            Some(schema) => self.of_schema(schema, shape, header, names, &guesses),
            None => Ok(self.guessed(shape, header, names, &guesses)),
        }
    }

    /// Looks at the records after the first one, which ends at `at`.
    fn guess(
        &self,
        guesses: &mut Guesses<'_>,
        further: Further,
        at: usize,
        shape: &Shape,
    ) -> Result<()> {
        let rows = self.options.csv.sample_rows;
        let parts = match further {
            Further::All(mut chunker) => {
                while guesses.rows < rows
                    && let Some(block) = chunker.next_block()?
                {
                    let at = if block.first { at } else { 0 };
                    guesses.see(&block.text, at, true, shape, rows);
                }
                return Ok(());
            }
            Further::Parts(parts) => parts,
        };
        guesses.see(self.sample, at, self.whole, shape, rows);
        for part in parts {
            // It begins somewhere in a record.
            let begin = super::lines::after(&part, 1, true).unwrap_or(part.len());
            let text = &part[begin..];
            let survey = records::survey(text, &shape.dialect, usize::MAX);
            let whole = survey.records.len().saturating_sub(1);
            let alike = survey.records[..whole].iter().all(|(_, width)| *width == shape.width);
            if survey.defects == 0 && alike {
                guesses.see(text, 0, false, shape, usize::MAX);
            }
        }
        Ok(())
    }

    fn shape(&self, width: usize) -> Shape {
        let padding = self.options.csv.null_padding;
        Shape { dialect: self.sniffed.dialect, width, padding }
    }

    /// Fields of the first record; of the longest one when others may be shorter.
    fn width(&self) -> Option<usize> {
        let looked_at = if self.options.csv.null_padding { usize::MAX } else { 1 };
        let survey = records::survey(self.sample, &self.sniffed.dialect, looked_at);
        let named = self.options.csv.names.as_ref().map(Vec::len);
        let widths = survey.records.iter().map(|(_, width)| *width);
        let found = widths.max().or_else(|| (survey.defects > 0).then_some(1))?;
        Some(match self.options.csv.null_padding {
            true => found.max(named.unwrap_or(0)),
            false => found,
        })
    }

    /// The text of a field of the first record.
    fn text(&self, records: &Records, place: usize) -> Result<String> {
        let cell = records.cell(self.sample, 0, place);
        let mut bytes = Vec::new();
        match cell.escaped {
            true => unescape(cell.bytes, &self.sniffed.dialect, &mut bytes),
            false => bytes.extend_from_slice(cell.bytes),
        }
        String::from_utf8(bytes).map_err(|_| {
            let line = self.line + super::lines::count(&self.sample[..cell.start]);
            let what = format!("'{}' is not UTF-8: convert the file", faults::shown(cell.bytes));
            malformed(self.file, Some(line), Some(&format!("column{place}")), what)
        })
    }

    fn header(&self, first: &[&str], guesses: &Guesses<'_>) -> bool {
        if let Some(header) = self.options.csv.header {
            return header;
        }
        let wanted = self.options.schema.as_ref().filter(|schema| !schema.fields().is_empty());
        if let (Some(schema), None) = (wanted, &self.options.csv.names) {
            let named = |field: &FieldRef| {
                first.iter().any(|text| text.trim().eq_ignore_ascii_case(field.name()))
            };
            return schema.fields().iter().any(named);
        }
        match guesses.rows {
            0 => first.iter().all(|text| {
                let mut guess = ColumnGuess::default();
                guess.see(text);
                guess.is_text() && !text.trim().is_empty()
            }),
            _ => sniff::has_header(first, &guesses.columns),
        }
    }

    /// Names of the fields of a record, where there are some.
    fn names(&self, header: bool, first: &[&str]) -> Result<Option<Vec<String>>> {
        let Some(given) = &self.options.csv.names else {
            return Ok(header.then(|| sniff::names(first)));
        };
        if given.len() > first.len() {
            let what = format!(
                "the record has {} fields where {} names are given",
                first.len(),
                given.len()
            );
            return Err(malformed(self.file, Some(self.line), None, what));
        }
        let mut names: Vec<&str> = given.iter().map(String::as_str).collect();
        names.resize(first.len(), "");
        Ok(Some(sniff::names(&names)))
    }

    /// A file without records.
    fn empty(&self) -> Result<Layout> {
        let names = self.options.csv.names.as_ref().map_or(0, Vec::len);
        let width = self.options.schema.as_ref().map_or(names, |schema| schema.fields().len());
        if width == 0 && self.options.schema.is_none() {
            let what = "the file is empty: give the columns and types to read it anyway";
            return Err(malformed(self.file, None, None, what));
        }
        self.of_schema_or_text(self.shape(width))
    }

    fn of_schema_or_text(&self, shape: Shape) -> Result<Layout> {
        let guesses = Guesses::new(shape.width, self.nulls);
        match &self.options.schema {
            Some(schema) => {
                let width = schema.fields().len();
                self.of_schema(schema, Shape { width, ..shape }, false, None, &guesses)
            }
            None => Ok(self.guessed(shape, false, self.options.csv.names.clone(), &guesses)),
        }
    }

    fn guessed(
        &self,
        shape: Shape,
        header: bool,
        names: Option<Vec<String>>,
        guesses: &Guesses<'_>,
    ) -> Layout {
        let names = names.unwrap_or_else(|| generated(shape.width));
        let field = |(name, guess): (String, &ColumnGuess)| {
            let alike = |given: &&(String, DataType)| given.0.eq_ignore_ascii_case(&name);
            let data_type = match self.options.types.iter().find(alike) {
                Some((_, data_type)) => data_type.clone(),
                None if self.options.csv.all_text => DataType::Utf8View,
                None => guess.data_type(),
            };
            Field::new(name, data_type, true)
        };
        let fields: Vec<Field> = names.into_iter().zip(&guesses.columns).map(field).collect();
        Layout {
            header,
            schema: Arc::new(Schema::new(fields)),
            places: (0..shape.width).collect(),
            orders: guesses.columns.iter().map(ColumnGuess::date_order).collect(),
            sampled: guesses.rows,
            shape,
        }
    }

    /// Columns of a given schema: by name where there are some, else by place.
    fn of_schema(
        &self,
        schema: &SchemaRef,
        shape: Shape,
        header: bool,
        names: Option<Vec<String>>,
        guesses: &Guesses<'_>,
    ) -> Result<Layout> {
        for field in schema.fields() {
            columns::column(field, DateOrder::Ymd)
                .map_err(|what| malformed(self.file, None, Some(field.name()), what))?;
        }
        let wanted = schema.fields().len();
        let mut shape = shape;
        let places = match names {
            Some(names) => by_name(schema, &names).map_err(|field| {
                let what = format!("the header has no such column, only {}", names.join(", "));
                malformed(self.file, Some(self.line), Some(&field), what)
            })?,
            None if wanted == shape.width => (0..wanted).collect(),
            None => match by_name(schema, &generated(shape.width)) {
                Ok(places) => places,
                Err(_) if wanted > shape.width && shape.padding => {
                    shape.width = wanted;
                    (0..wanted).collect()
                }
                Err(_) => {
                    let what = format!(
                        "the record has {} fields where {wanted} columns are expected",
                        shape.width
                    );
                    return Err(malformed(self.file, Some(self.line), None, what));
                }
            },
        };
        let order = |place: &usize| {
            guesses.columns.get(*place).map_or(DateOrder::Ymd, ColumnGuess::date_order)
        };
        Ok(Layout {
            header,
            schema: Arc::clone(schema),
            orders: places.iter().map(order).collect(),
            places,
            sampled: guesses.rows,
            shape,
        })
    }
}

/// The place of each column of the schema, or the name of one that has none.
fn by_name(schema: &SchemaRef, names: &[String]) -> Result<Vec<usize>, String> {
    let fields = schema.fields().iter();
    fields
        .map(|field| {
            let alike = || names.iter().position(|name| name.eq_ignore_ascii_case(field.name()));
            let exact = names.iter().position(|name| name == field.name());
            exact.or_else(alike).ok_or_else(|| field.name().clone())
        })
        .collect()
}

fn generated(width: usize) -> Vec<String> {
    (0..width).map(|index| format!("column{index}")).collect()
}

fn is_dated(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
}

/// What the values of the columns can be.
struct Guesses<'a> {
    columns: Vec<ColumnGuess>,
    nulls: &'a Nulls,
    rows: usize,
}

impl<'a> Guesses<'a> {
    fn new(width: usize, nulls: &'a Nulls) -> Self {
        Self { columns: vec![ColumnGuess::default(); width], nulls, rows: 0 }
    }

    /// Takes at most `rows` records of `text` from `at` on.
    fn see(&mut self, text: &[u8], mut at: usize, whole: bool, shape: &Shape, rows: usize) {
        let mut records = Records::default();
        while self.rows < rows {
            records.clear();
            let (next, stop) = records.cut(text, at, (rows - self.rows).min(512), shape);
            // The last record may go on after the text; a defect is not among them.
            let is_last = next >= text.len() && !matches!(stop, records::Stop::Defect(..));
            let cut = usize::from(!whole && is_last);
            let count = records.len().saturating_sub(cut);
            for row in 0..count {
                for (place, guess) in self.columns.iter_mut().enumerate() {
                    see(guess, records.cell(text, row, place).bytes, self.nulls);
                }
            }
            self.rows += count;
            at = next;
            if next >= text.len() || stop == records::Stop::End {
                return;
            }
        }
    }

    /// Takes the first record, which is no header.
    fn see_first(&mut self, first: &[&str]) {
        for (guess, text) in self.columns.iter_mut().zip(first) {
            see(guess, text.as_bytes(), self.nulls);
        }
        self.rows += 1;
    }
}

fn see(guess: &mut ColumnGuess, value: &[u8], nulls: &Nulls) {
    let value = value.trim_ascii();
    if value.is_empty() || nulls.contain(value) {
        return;
    }
    // Codes of places and telephone numbers would lose their begin.
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    match digits {
        [b'+', ..] | [b'0', b'0'..=b'9', ..]
            if digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+')) =>
        {
            guess.see_text();
        }
        // Bytes that are not text are reported when the record is read.
        _ => guess.see(&String::from_utf8_lossy(value)),
    }
}
