//! What a format has to offer: one file whose columns are known, cut into pieces.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::format::Format;
use super::options::ReadOptions;
use super::ordered::Pieces;
use super::source::Source;
use super::{arrow_ipc, csv, json, parquet};
use crate::Result;

/// What was found out about how a file is written, for people: name and value.
pub type Findings = Vec<(&'static str, String)>;

/// A file whose columns are known and whose rows are yet to be read.
pub(super) trait FileReader: Send {
    /// The columns; those of the options when they give a schema.
    fn schema(&self) -> &SchemaRef;

    /// What was found out.
    fn findings(&self) -> Findings {
        Findings::new()
    }

    /// Whether another reader of the format can be trusted with the file.
    fn is_ordinary(&self) -> bool {
        true
    }

    /// The rows, of the columns with these indices in the schema, in their order.
    fn pieces(self: Box<Self>, columns: &[usize]) -> Result<Box<dyn Pieces>>;
}

/// Reads as much of a file as it takes to know its columns.
pub(super) fn open(
    source: Arc<dyn Source>,
    format: Format,
    options: &ReadOptions,
) -> Result<Box<dyn FileReader>> {
    match format {
        Format::Csv => csv::open(source, options),
        Format::Json => json::open(source, options),
        Format::Parquet => parquet::open(source, options),
        Format::Arrow => arrow_ipc::open(source, options),
    }
}

/// What errors say of a value that is not one of its column's type.
pub(super) const NOT_A_VALUE: &str = "is not a value of type";
