//! Makes batches of the values of a block.
//!
//! A row that fails has a slot in every column all the same; it is left out when the
//! batch is made.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::{FieldRef, SchemaRef};

use super::super::ordered::Emit;
use super::super::rejects::{Reject, Rejects};
use super::blocks::{Block, lines};
use super::column::{Members, Slot};
use super::cursor::Cursor;
use super::fault::{Fault, Parsed, What, path, shown};
use super::malformed;
use super::structure::Layout;
use crate::{Error, Result, sql_name};

/// What is read of a file.
pub(super) struct Plan {
    pub(super) name: String,
    /// All columns of the file.
    pub(super) all: SchemaRef,
    /// Indices of those that are read.
    pub(super) columns: Vec<usize>,
    /// The one column is the whole value.
    pub(super) whole: bool,
    pub(super) layout: Layout,
    pub(super) batch_rows: usize,
    pub(super) rejects: Option<Arc<Rejects>>,
}

enum Columns {
    Members(Members),
    Whole(Option<Slot>),
}

/// Builders for the columns of a plan.
pub(super) struct Rows {
    plan: Arc<Plan>,
    columns: Columns,
    /// Those that are read, each once.
    fields: Vec<FieldRef>,
    schema: SchemaRef,
    /// Place in `fields` of each column of a batch.
    places: Vec<usize>,
    /// Rows in the builders, and those of them that failed.
    len: usize,
    failed: Vec<usize>,
}

/// Where in a block the text is, and what of it is a row.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a str,
    /// The line that the text begins in.
    line: u64,
}

impl Rows {
    pub(super) fn new(plan: &Arc<Plan>) -> Result<Self> {
        let unique: Vec<usize> =
            plan.columns.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let fields: Vec<FieldRef> =
            unique.iter().map(|&index| Arc::clone(&plan.all.fields()[index])).collect();
        let refuse = |field: &FieldRef| {
            let what = format!("JSON cannot become {}", sql_name(field.data_type()));
            malformed(&plan.name, None, Some(field.name()), what)
        };
        let columns = match (plan.whole, fields.first()) {
            (true, Some(field)) => {
                Columns::Whole(Some(Slot::new(field).ok_or_else(|| refuse(field))?))
            }
            (true, None) => Columns::Whole(None),
            (false, _) => {
                let names = plan.all.fields().iter().map(|field| field.name().as_str());
                Columns::Members(Members::new(&fields, names).map_err(|field| refuse(&field))?)
            }
        };
        Ok(Self {
            plan: Arc::clone(plan),
            columns,
            fields,
            schema: Arc::new(plan.all.project(&plan.columns)?),
            places: plan
                .columns
                .iter()
                .map(|index| unique.partition_point(|u| u < index))
                .collect(),
            len: 0,
            failed: Vec::new(),
        })
    }

    /// Reads the rows of a block; false when nobody wants more.
    pub(super) fn read(&mut self, block: &Block, emit: Emit<'_>) -> Result<bool> {
        let read = match std::str::from_utf8(&block.bytes) {
            Ok(text) => self.read_text(Place { text, line: block.line }, emit)?,
            Err(error) if self.plan.layout != Layout::Lines => {
                let line = block.line + lines(&block.bytes[..error.valid_up_to()]);
                let what = "the text is not UTF-8: convert the file";
                return Err(malformed(&self.plan.name, Some(line), None, what));
            }
            Err(_) => self.read_lines(block, emit)?,
        };
        Ok(read && self.flush(emit)?)
    }

    /// Reads each line on its own, as some are not UTF-8.
    fn read_lines(&mut self, block: &Block, emit: Emit<'_>) -> Result<bool> {
        for (index, bytes) in block.bytes.split(|&byte| byte == b'\n').enumerate() {
            let line = block.line + index as u64;
            match std::str::from_utf8(bytes) {
                Ok(text) => {
                    if !self.read_text(Place { text, line }, emit)? {
                        return Ok(false);
                    }
                }
                Err(_) => {
                    let text = String::from_utf8_lossy(bytes);
                    let what = format!("'{}' is not UTF-8: convert the file", shown(&text));
                    self.reject(line, None, &text, what)?;
                }
            }
        }
        Ok(true)
    }

    fn read_text(&mut self, place: Place<'_>, emit: Emit<'_>) -> Result<bool> {
        let mut at = passed_blanks(place.text, 0);
        while at < place.text.len() {
            if self.len >= self.plan.batch_rows && !self.flush(emit)? {
                return Ok(false);
            }
            let start = at;
            let mut cursor = Cursor::new(place.text, start);
            let mut appended = self.append(&mut cursor);
            if appended.is_ok() && cursor.broken && self.plan.layout == Layout::Lines {
                // Whether the rest of the value is in the block would be chance.
                appended = Err(Fault::syntax(start, "the value does not end on its line"));
            }
            let end = match appended {
                Ok(()) => cursor.at,
                Err(fault) => self.settle(place, start, fault)?,
            };
            at = passed_blanks(place.text, end);
            if self.plan.layout == Layout::Array && at < place.text.len() {
                at = self.after_comma(place, at)?;
            }
        }
        Ok(true)
    }

    /// Between the elements of an array: where the next one begins.
    fn after_comma(&self, place: Place<'_>, at: usize) -> Result<usize> {
        if place.text.as_bytes()[at] != b',' {
            let fault = Fault::syntax(at, "a comma or ] is expected");
            return Err(self.error(place, at, &fault));
        }
        let next = passed_blanks(place.text, at + 1);
        if next == place.text.len() {
            let fault = Fault::syntax(at, "a value is expected after a comma");
            return Err(self.error(place, at, &fault));
        }
        Ok(next)
    }

    /// Takes one value as a row.
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let start = cursor.at;
        self.len += 1;
        let result = match &mut self.columns {
            Columns::Whole(Some(slot)) => slot.append(cursor),
            Columns::Whole(None) => cursor.skip().map(|_| ()),
            Columns::Members(members) if cursor.peek() == Some(b'{') => members.append(cursor),
            Columns::Members(members) => {
                members.append_null();
                cursor.skip().and_then(|_| {
                    let what = What::Misfit("is not an object as other values are".to_owned());
                    Err(Box::new(Fault { at: start, what }))
                })
            }
        };
        if result.is_err() {
            self.failed.push(self.len - 1);
        }
        result
    }

    /// After a row that failed: where the next one begins.
    fn settle(&mut self, place: Place<'_>, start: usize, fault: Box<Fault>) -> Result<usize> {
        let mut fault = fault;
        let mut text = place.text;
        if self.plan.layout == Layout::Lines {
            // What follows the line is of no interest.
            let rest = text.as_bytes()[start..].iter();
            let end = start + rest.take_while(|&&byte| byte != b'\n').count();
            text = &place.text[..end];
        }
        if fault.at >= text.len() || text.len() < place.text.len() && fault.at == start {
            let mut cursor = Cursor::new(text, start);
            match self.append(&mut cursor) {
                Ok(()) => return Ok(cursor.at),
                Err(closer) => fault = closer,
            }
        }
        if fault.what == What::Twice {
            let mut cursor = Cursor::new(text, start);
            cursor.careful = true;
            match self.append(&mut cursor) {
                Ok(()) => return Ok(cursor.at),
                Err(other) => fault = other,
            }
        }
        let place = Place { text, ..place };
        let mut cursor = Cursor::new(text, start);
        let end = match cursor.skip() {
            Ok(_) => cursor.at,
            Err(_) if self.plan.layout == Layout::Lines => text.len(),
            Err(_) => return Err(self.error(place, start, &fault)),
        };
        if self.plan.rejects.is_none() {
            return Err(self.error(place, start, &fault));
        }
        let (line, column) = whereabouts(place, start, &fault);
        self.reject(line, column, fault.value(text), fault.message(text))?;
        Ok(end)
    }

    fn reject(&self, line: u64, column: Option<String>, value: &str, reason: String) -> Result<()> {
        let file = self.plan.name.clone();
        let Some(rejects) = &self.plan.rejects else {
            return Err(Error::Malformed { file, line: Some(line), column, what: reason });
        };
        let value = Some(shown(value));
        rejects.push(Reject { file, line: Some(line), column, value, reason });
        Ok(())
    }

    fn error(&self, place: Place<'_>, start: usize, fault: &Fault) -> Error {
        let (line, column) = whereabouts(place, start, fault);
        let what = fault.message(place.text);
        malformed(&self.plan.name, Some(line), column.as_deref(), what)
    }

    /// Gives the rows as a batch; false when nobody wants more.
    fn flush(&mut self, emit: Emit<'_>) -> Result<bool> {
        let (len, failed) = (std::mem::take(&mut self.len), std::mem::take(&mut self.failed));
        if len == 0 {
            return Ok(true);
        }
        let arrays: Vec<ArrayRef> = match &mut self.columns {
            Columns::Members(members) => members.finish()?,
            Columns::Whole(slot) => slot.iter_mut().map(Slot::finish).collect::<Result<_>>()?,
        };
        let arrays: Vec<ArrayRef> = if failed.is_empty() {
            arrays
        } else {
            let mut kept = vec![true; len];
            failed.iter().for_each(|&row| kept[row] = false);
            let kept = BooleanArray::from(kept);
            arrays.iter().map(|array| filter(array, &kept)).collect::<Result<_, _>>()?
        };
        debug_assert_eq!(arrays.len(), self.fields.len());
        let columns = self.places.iter().map(|&place| Arc::clone(&arrays[place])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(len - failed.len()));
        Ok(emit(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?))
    }
}

fn passed_blanks(text: &str, at: usize) -> usize {
    let mut cursor = Cursor::new(text, at);
    cursor.blanks();
    cursor.at
}

/// The line of a fault, and the path to it where it has one.
fn whereabouts(place: Place<'_>, start: usize, fault: &Fault) -> (u64, Option<String>) {
    let before = place.text.as_bytes().get(..fault.at).unwrap_or(place.text.as_bytes());
    let path = path(place.text, start, fault.at);
    (place.line + lines(before), (!path.is_empty()).then_some(path))
}
