//! JSON files: values one after the other, or elements of one array.
//!
//! ```text
//!   Source -- bytes --> Blocks -- whole values --> Rows (any thread) --> batches
//!                        Structure                  Cursor  tokens
//!                                                   Column  a builder per type
//! ```
//!
//! Values are read straight from the text into builders of their columns, guided by
//! the columns' types: no tree or tape is built, since for tables of many short values
//! building one takes longer than reading them (simd-json's tape of TPC-H `lineitem`
//! alone takes longer than all of this), and numbers keep their digits.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::ordered::{Piece, Pieces};
use super::reader::{FileReader, Findings};
use super::{Compression, ReadOptions, Source};
use crate::{Error, Result};

mod blocks;
mod column;
mod cursor;
mod escape;
mod fault;
mod rows;
mod sample;
mod shape;
mod structure;

use blocks::Blocks;
use rows::{Plan, Rows};
use sample::Sample;
use structure::Layout;

/// The name of the column when values are not objects.
const WHOLE: &str = "json";

pub(super) fn open(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Box<dyn FileReader>> {
    let blocks = Blocks::open(&source, options)?;
    let mut findings: Findings = vec![("layout", layout_name(blocks.layout()).to_owned())];
    match options.compression.unwrap_or_else(|| Compression::of_name(source.name())) {
        Compression::None => {}
        Compression::Gzip => findings.push(("compression", "gzip".to_owned())),
        Compression::Zstd => findings.push(("compression", "zstd".to_owned())),
    }
    let told = options.json.columns.as_ref().map(|names| told(names, options));
    let (schema, whole, blocks) = match options.schema.clone().or(told) {
        Some(schema) => {
            let whole = sample::is_whole(blocks.head(), &schema);
            (schema, whole, blocks)
        }
        None => {
            let sample = Sample::take(blocks, source.name(), options)?;
            findings.push(("sampled values", sample.values.to_string()));
            let schema = typed(sample.fields(), options, source.name())?;
            (schema, sample.is_whole(), Blocks::open(&source, options)?)
        }
    };
    let options = options.clone();
    let name = source.name().to_owned();
    Ok(Box::new(Reader { name, blocks, schema, whole, findings, options }))
}

fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Lines => "a value per line",
        Layout::Values => "values over several lines",
        Layout::Array => "an array",
    }
}

/// The columns with these names; text where no type is given.
fn told(names: &[String], options: &ReadOptions) -> SchemaRef {
    let field = |name: &String| {
        let given = options.types.iter().find(|(typed, _)| typed == name);
        let data_type = given.map_or(DataType::Utf8View, |(_, data_type)| data_type.clone());
        Field::new(name, data_type, true)
    };
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// The columns with the types that the options give some of them.
fn typed(fields: Fields, options: &ReadOptions, name: &str) -> Result<SchemaRef> {
    let mut fields: Vec<Field> = fields.iter().map(|field| Field::clone(field)).collect();
    for (column, data_type) in &options.types {
        let same = |field: &&mut Field| field.name().eq_ignore_ascii_case(column);
        match fields.iter_mut().find(same) {
            Some(field) => field.set_data_type(data_type.clone()),
            None => {
                let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                let what = format!("the file has no such column, only {}", names.join(", "));
                return Err(malformed(name, None, Some(column), what));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

struct Reader {
    name: String,
    blocks: Blocks,
    schema: SchemaRef,
    /// The one column is the whole value.
    whole: bool,
    findings: Findings,
    options: ReadOptions,
}

impl FileReader for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn findings(&self) -> Findings {
        self.findings.clone()
    }

    fn pieces(self: Box<Self>, columns: &[usize]) -> Result<Box<dyn Pieces>> {
        let plan = Arc::new(Plan {
            name: self.name,
            all: self.schema,
            columns: columns.to_vec(),
            whole: self.whole,
            layout: self.blocks.layout(),
            batch_rows: self.options.batch_rows,
            rejects: self.options.rejects,
        });
        // Types that cannot be read are known before the first row.
        let idle = Arc::new(Mutex::new(vec![Rows::new(&plan)?]));
        Ok(Box::new(BlockPieces { blocks: self.blocks, plan, idle }))
    }
}

struct BlockPieces {
    blocks: Blocks,
    plan: Arc<Plan>,
    /// Builders that no thread uses; they have learned the order of keys.
    idle: Arc<Mutex<Vec<Rows>>>,
}

impl Pieces for BlockPieces {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(block) = self.blocks.next_block()? else { return Ok(None) };
        let (plan, idle) = (Arc::clone(&self.plan), Arc::clone(&self.idle));
        let spare = self.blocks.spare();
        Ok(Some(Box::new(move |emit| {
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut rows = match waiting {
                Some(rows) => rows,
                None => Rows::new(&plan)?,
            };
            if rows.read(&block, emit)? {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(rows);
            }
            spare.give(block);
            Ok(())
        })))
    }
}

/// The column that holds whole values.
fn whole_field(data_type: DataType) -> Fields {
    Fields::from(vec![Field::new(WHOLE, data_type, true)])
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
