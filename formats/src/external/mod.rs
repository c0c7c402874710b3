//! Files that a user brings: read as record batches, trusted in nothing.
//!
//! Whatever is wrong with a file is an error that names the file and, where it has
//! lines, the line, the column and the value.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::{Error, Result};

mod csv;
mod infer;
mod parquet;
mod sniff;

/// Rows per batch when the caller does not say.
pub const BATCH_ROWS: usize = 8192;

/// Formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text with one record per line, RFC 4180 and its common variants.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format that the ending of `path` stands for.
    pub fn of_path(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            "" => Err(Error::Invalid(format!(
                "{} has no ending that tells its format: say whether it is CSV or Parquet",
                path.display()
            ))),
            other => Err(Error::Invalid(format!(
                "{}: files that end in .{other} cannot be read; .csv, .tsv and .parquet can, or say the format",
                path.display()
            ))),
        }
    }
}

/// How a file is to be read. What is `None` is found out from the file.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The format; by default the path's ending decides.
    pub format: Option<Format>,
    /// CSV: whether the first record names the columns.
    pub header: Option<bool>,
    /// CSV: what separates fields.
    pub delimiter: Option<u8>,
    /// CSV: what encloses fields that contain delimiters or line ends; `"` by
    /// default.
    pub quote: Option<u8>,
    /// CSV: the text that stands for NULL; empty by default.
    pub null: Option<String>,
    /// The columns and their types. CSV fields are parsed as these strictly; a
    /// Parquet file's columns are found by name and cast without loss.
    pub schema: Option<SchemaRef>,
    /// Largest number of rows per batch.
    pub batch_rows: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            header: None,
            delimiter: None,
            quote: None,
            null: None,
            schema: None,
            batch_rows: BATCH_ROWS,
        }
    }
}

/// Batches in the order of the file. After an error there are no more.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A file whose columns are known and whose rows are yet to be read.
pub struct ExternalFile {
    schema: SchemaRef,
    batches: Batches,
}

impl std::fmt::Debug for ExternalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalFile").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl ExternalFile {
    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads the rows.
    pub fn read(self) -> Batches {
        self.batches
    }
}

/// Opens the file at `path`. Reads as much of it as it takes to know its columns.
pub fn open(path: &Path, options: &ReadOptions) -> Result<ExternalFile> {
    if options.batch_rows == 0 {
        return Err(Error::Invalid("batches of a file must have at least one row".to_owned()));
    }
    let format = match options.format {
        Some(format) => format,
        None => Format::of_path(path)?,
    };
    match format {
        Format::Csv => csv::open(path, options),
        Format::Parquet => parquet::open(path, options),
    }
}

/// The name of `path` in messages.
fn name_of(path: &Path) -> String {
    path.display().to_string()
}

fn io_error(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let file = name_of(path);
    move |source| Error::Io { file: file.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_formats() {
        assert_eq!(Format::of_path(Path::new("a/B.TSV")).unwrap(), Format::Csv);
        assert_eq!(Format::of_path(Path::new("x.parquet")).unwrap(), Format::Parquet);
        let message = Format::of_path(Path::new("x.xlsx")).unwrap_err().to_string();
        assert!(message.contains(".xlsx") && message.contains(".csv"), "{message}");
        assert!(Format::of_path(Path::new("plain")).is_err());
    }
}
